//! Azurite does what it is asked, and the answer gets lost. The sender asks again, and must not take its own first try for
//! somebody else's.

use keymend::store::{Accepted, Store, Version};

use crate::azurite::Azurite;
use crate::kit::{LEASE, at, drain, incident, loss, open, pass, place, server, through, untaken};
use crate::proxy::Proxy;

/// Everything that one alert brings about, call by call; each must answer as if nothing had happened.
async fn live_through(store: &dyn Store, way: &str) {
    let accepted = store.accept(&[loss("a", "one"), loss("a", "two")], at(0)).await.unwrap();
    assert_eq!(accepted, Accepted { new: 2, repeated: 0 }, "{way}");
    let locate = store.lease(at(0), LEASE).await.unwrap().unwrap_or_else(|| panic!("no job: {way}"));
    let untaken = store.untaken_signals(&server("a")).await.unwrap();
    let taken: Vec<_> = untaken.into_iter().map(|(signal, _)| signal).collect();
    let mut opened = incident("first", "kv");
    let first = store.save(&opened, None, &[pass(&opened)], &taken, at(1)).await;
    assert_eq!(first, Ok(Version(1)), "{way}");
    assert_eq!(store.complete(&locate, at(1)).await, Ok(()), "{way}");

    let job = store.lease(at(2), LEASE).await.unwrap().unwrap_or_else(|| panic!("no job: {way}"));
    assert_eq!(store.retry(&job, at(3), "ARM is down").await, Ok(false), "{way}");
    let job = store.lease(at(3), LEASE).await.unwrap().unwrap_or_else(|| panic!("no job: {way}"));
    opened.ended_at = Some(at(4));
    assert_eq!(store.save(&opened, Some(Version(1)), &[], &[], at(4)).await, Ok(Version(2)), "{way}");
    assert_eq!(store.complete(&job, at(4)).await, Ok(()), "{way}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_answer_was_lost_is_ours_all_the_same() {
    let Some(azurite) = Azurite::shared() else { return };
    let proxy = Proxy::start(azurite).await;
    let mut nth = 1;
    loop {
        let way = format!("the answer to request {nth} was lost");
        let place = place(azurite);
        let unlucky = open(&through(&place, &proxy.connection_string())).await;
        proxy.lose_answer_of(nth);
        live_through(&unlucky, &way).await;
        let sent = proxy.seen();
        let store = open(&place).await;
        assert_eq!(untaken(&store, "a").await, <[&str; 0]>::default(), "{way}");
        assert_eq!(drain(&store, 1000).await, <[&str; 0]>::default(), "{way}");
        assert_eq!(store.incidents(false, 9).await.unwrap().len(), 1, "{way}");
        if nth > sent {
            break;
        }
        nth += 1;
    }
    assert!(nth > 40, "{nth}");
}
