//! Azure refuses to say which key a server uses, to one alert and not to the next: it stays one loss.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use keymend::domain::incident::Phase;
use keymend::domain::policy::Preset;
use keymend::drill::cloud::world::PermissionModel;
use keymend::drill::cloud::{Fault, FaultKind, World};

use crate::kit::{Storm, all_rights_removed, policy};

/// More tries than a read has.
const REFUSALS: u32 = 7;

fn refuse(path: &str, times: u32) -> Fault {
    Fault {
        method: None,
        path: path.to_owned(),
        kind: FaultKind::Throttle { retry_after: 5 },
        times: Some(times),
        for_seconds: None,
        after_effect: false,
    }
}

/// Plays one loss whose `first` alert comes before the others. Answers the key of its only incident.
async fn lose(refusals: u32, of_the_first: bool) -> String {
    let world = World::standard().model(PermissionModel::Rbac).activity_log_minutes(3.0);
    let policy = policy(Preset::Auto, &world);
    let mut storm = Storm::new(world, &policy, u64::from(refusals)).await;
    storm.cloud.break_it(&all_rights_removed());
    let mut alerts = Vec::new();
    while alerts.len() < 3 {
        storm.pass(SignedDuration::from_secs(30)).await;
        alerts.extend(storm.fresh());
    }
    let refusal = refuse("/encryptionProtector/current", refusals);
    if of_the_first {
        storm.cloud.fault(refusal);
        storm.post(&alerts[..1]).await;
        storm.pass(SignedDuration::from_secs(1)).await;
        storm.post(&alerts[1..]).await;
    } else {
        storm.post(&alerts[..1]).await;
        storm.pass(SignedDuration::from_secs(1)).await;
        storm.cloud.fault(refusal);
        storm.post(&alerts[1..]).await;
    }
    storm.pass(SignedDuration::from_hours(2)).await;
    storm.assert_online();
    storm.assert_all_taken().await;
    let refused = storm.cloud.requests().iter().filter(|one| one.status == 429).count();
    assert!(refused > 0 || !of_the_first, "the fault did not happen");
    let incident = storm.only_incident().await;
    assert_eq!(incident.phase, Phase::Healed, "{:?}", incident.end);
    let key = incident.key.0.clone();
    storm.stop().await;
    key
}

#[tokio::test]
async fn an_alert_whose_key_azure_did_not_tell_opens_no_second_incident() {
    let mut kinds = BTreeSet::new();
    for refusals in 1..=REFUSALS {
        for of_the_first in [true, false] {
            let key = lose(refusals, of_the_first).await;
            kinds.insert(key.split_once(':').map(|(kind, _)| kind.to_owned()));
        }
    }
    assert_eq!(kinds.len(), 2, "an incident was opened before its vault was known, another one after: {kinds:?}");
}
