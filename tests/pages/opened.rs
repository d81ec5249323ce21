//! `keymend drill --open`: the pages while a story is played, and after it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::stage::read;

#[tokio::test]
async fn a_drill_is_watched_until_it_is_interrupted() {
    let mut drill = Command::new(env!("CARGO_BIN_EXE_keymend"))
        .args(["drill", "--open", "--speed", "5000", "permission-revoked-rbac:auto"])
        // No browser is found, and none is missed.
        .env("PATH", "/nowhere")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(drill.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("http://")).expect("an address");
    let address = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
    assert_eq!(read(&address).await.status, 200, "while it is played");
    lines.find(|line| line.contains("The story is over.")).expect("its end");
    read(&address).await.says("RESOLVED").says("Nothing is going on");

    assert!(Command::new("/bin/kill").args(["-INT", &drill.id().to_string()]).status().unwrap().success());
    let began = Instant::now();
    let code = loop {
        if let Some(code) = drill.try_wait().unwrap() {
            break code;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(code.success(), "{code}");
    let rest: Vec<String> = lines.collect();
    assert!(rest.iter().any(|line| line.contains("1 of 1 stories ended as declared.")), "{rest:?}");

    let two = Command::new(env!("CARGO_BIN_EXE_keymend")).args(["drill", "--open", "all"]).output().unwrap();
    assert_eq!(two.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&two.stderr).contains("--open shows one story"));
}
