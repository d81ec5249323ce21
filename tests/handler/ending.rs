//! It never ends with 0: the host would take that for meant, and start nothing again.

use crate::stage::{Handler, command};

#[tokio::test]
async fn a_signal_ends_it_with_the_signals_code() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let folder = tempfile::tempdir().unwrap();
        let handler = Handler::working(folder.path()).await;
        let left = handler.stop(signal);
        assert_eq!(left.code, Some(code), "{signal}: {}", left.log());
        assert!(!left.log().contains("panic"), "{}", left.log());
    }
}

#[tokio::test]
async fn a_signal_while_it_cannot_work_does_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let handler = Handler::start(folder.path(), &[]).await;
    let left = handler.stop("-TERM");
    assert_eq!(left.code, Some(143), "{}", left.log());
}

#[test]
fn a_port_that_cannot_be_had_ends_it_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let output = command(folder.path(), taken.local_addr().unwrap().port(), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let output = command(folder.path(), 1, &[]).env("FUNCTIONS_CUSTOMHANDLER_PORT", "seven").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
