//! What cannot be done ends with a person who knows of it, and everything else goes on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keymend::domain::incident::Phase;
use keymend::domain::policy::Preset;
use keymend::drill::cloud::{Fault, FaultKind};

use crate::host_double::invoke::Outcome;
use crate::host_double::{Call, Host};
use crate::moments::quick;
use crate::stage::Stage;
use crate::verdict;

/// What somebody else wrote into the queue.
const FOREIGN: &str = "<b>not a doorbell</b> {\"v\": 99}";

async fn poison_calls(host: &Host) -> usize {
    host.calls().iter().filter(|call| call.function == "poison" && call.outcome.is_some()).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_nobody_can_read_reaches_poison_and_the_others_go_on() {
    let setup = quick("vault-deleted", Preset::Auto);
    let Some(stage) = Stage::open(&setup.world, &setup.policy, 60.0).await else { return };
    let host = stage
        .host_with(|options| {
            let most = "AzureFunctionsJobHost__extensions__queues__maxDequeueCount";
            options.settings.insert(most.to_owned(), "3".to_owned());
        })
        .await;
    stage.queues.put(&stage.queue, &STANDARD.encode(FOREIGN)).await.unwrap();
    for what in crate::moments::breaks(&setup) {
        stage.cloud.try_break(&what).unwrap();
    }
    stage.until("poison is called", &[&host], async || poison_calls(&host).await > 0).await;
    let failed = |call: &&Call| call.function == "jobs" && matches!(call.outcome, Some(Outcome::Failed(_)));
    let calls = host.calls();
    let tries: Vec<u64> = calls.iter().filter(failed).filter_map(|call| Some(call.message.as_ref()?.1)).collect();
    assert_eq!(tries, [1, 2, 3], "the host tried it as often as it may");
    stage
        .until("the team is told", &[&host], async || {
            ["teams", "webhook"]
                .iter()
                .all(|sink| verdict::told(&stage.cloud, sink).iter().any(|body| body.contains("cannot be read")))
        })
        .await;
    stage
        .until("the vault's incident is healed", &[&host], async || {
            stage
                .incidents()
                .await
                .iter()
                .any(|incident| incident.key.0.starts_with("vault:") && incident.phase == Phase::Healed)
        })
        .await;
    stage.until("both queues are empty", &[&host], async || stage.queues_are_empty().await).await;
    assert_eq!(host.worker().starts(), 1);
    verdict::stop(host).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_always_fails_reaches_poison_and_a_person_is_told_by_another_way() {
    let setup = quick("vault-deleted", Preset::Auto);
    let Some(stage) = Stage::open(&setup.world, &setup.policy, 60.0).await else { return };
    // The Workflow behind the Teams channel is gone.
    let kind = FaultKind::Status { status: 500, code: "WorkflowFailed".to_owned() };
    stage.cloud.fault(Fault { times: None, for_seconds: Some(u32::MAX), ..Fault::new(kind, "/sink/teams", 1) });
    let host = stage.host().await;
    for what in crate::moments::breaks(&setup) {
        stage.cloud.try_break(&what).unwrap();
    }
    stage.until("poison is called", &[&host], async || poison_calls(&host).await > 0).await;
    stage
        .until("the other channel is told", &[&host], async || {
            verdict::told(&stage.cloud, "webhook").iter().any(|body| body.contains("set aside"))
        })
        .await;
    stage
        .until("the databases are back", &[&host], async || {
            keymend::drill::story::statuses(&stage.cloud.world()).values().all(|status| status == "Online")
        })
        .await;
    stage
        .until("the poison queue is empty", &[&host], async || {
            stage.queues.count(&stage.poison_queue()).await.unwrap() == 0
        })
        .await;
    // A message that was set aside is tried again every ten minutes, and is set aside again.
    let mut set_aside = Vec::new();
    stage
        .until("the message is set aside", &[&host], async || {
            set_aside = stage.store.poison().await.unwrap();
            !set_aside.is_empty()
        })
        .await;
    assert!(set_aside.iter().all(|(job, _)| job.starts_with("tell:")), "{set_aside:?}");
    assert_eq!(host.worker().starts(), 1);
    verdict::stop(host).await;
    stage.close().await;
}
