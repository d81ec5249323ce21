//! Done once, done twice, done already; and a dry run that shows what is sent.

use keymend::domain::remedy::Remedy;
use keymend::remedy::{Applied, prepare};

use crate::lab::{Lab, REMEDIES, world};

/// Whether a second run would send again: re-validating is the check itself.
fn asks_again(remedy: Remedy) -> bool {
    remedy == Remedy::Revalidate
}

#[tokio::test(flavor = "multi_thread")]
async fn every_remedy_mends_its_world_with_one_write() {
    for remedy in REMEDIES {
        let lab = Lab::broken(remedy).await;
        let change = lab.change(remedy).await;
        assert!(remedy == Remedy::Revalidate || !lab.is_mended(&change).await, "{remedy} has nothing to mend");
        let first = lab.settle(&change).await.remove(0);
        assert!(lab.is_mended(&change).await, "{remedy}");
        assert_eq!(
            lab.gate.writes().iter().filter(|write| write.took()).count(),
            1,
            "{remedy}: {:#?}",
            lab.gate.passed()
        );
        let (Applied::Made(receipt) | Applied::Running { receipt, .. }) = first else { panic!("{remedy}: {first:?}") };
        assert!(receipt.correlation_id.is_some(), "{remedy}");
        assert!(
            receipt.before_after.iter().all(|(what, before, after)| !what.is_empty() && before != after),
            "{remedy}"
        );
        assert!(!receipt.before_after.is_empty(), "{remedy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn done_twice_is_done_once() {
    for remedy in REMEDIES.into_iter().filter(|remedy| !asks_again(*remedy)) {
        let lab = Lab::broken(remedy).await;
        let change = lab.change(remedy).await;
        lab.settle(&change).await;
        lab.gate.open();
        let again = lab.apply_one(&change).await;
        assert!(matches!(again, Applied::AlreadyThere { .. }), "{remedy}: {again:?}");
        assert!(lab.gate.writes().is_empty(), "{remedy}: {:#?}", lab.gate.writes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_mended_is_left_alone() {
    for remedy in REMEDIES.into_iter().filter(|remedy| !asks_again(*remedy)) {
        let broken = Lab::broken(remedy).await;
        let change = broken.change(remedy).await;
        let mut healthy = world(Remedy::Wait);
        // The key of a world with access policies is given by policy also when nothing is wrong.
        healthy.vaults[0].model = world(remedy).vaults[0].model;
        let lab = Lab::of(healthy).await;
        let applied = lab.apply_one(&change).await;
        assert!(matches!(applied, Applied::AlreadyThere { .. }), "{remedy}: {applied:?}");
        assert!(lab.gate.writes().is_empty(), "{remedy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_exactly_what_is_sent() {
    for remedy in REMEDIES {
        let lab = Lab::broken(remedy).await;
        let change = lab.change(remedy).await;
        let shown: Vec<String> = prepare(&lab.azure, &change).iter().map(ToString::to_string).collect();
        lab.apply_one(&change).await;
        let sent: Vec<String> = lab
            .gate
            .writes()
            .iter()
            .map(|write| match &write.body {
                serde_json::Value::Null => format!("{} {}", write.method, write.url),
                body => format!("{} {} {body}", write.method, write.url),
            })
            .collect();
        assert_eq!(shown, sent, "{remedy}");
    }
}
