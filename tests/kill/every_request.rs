//! Kills at every request that the responder sends in a story: before it is carried out, and before it is answered.

use futures::StreamExt;
use keymend::drill::cloud::Moment;

use crate::progress;
use crate::requests::{Request, Trap, common, named};
use crate::stage::Stage;
use crate::story::{ACTION_GROUP_TRIES_FOR, Story};
use crate::verdict::Ended;

/// How often a step is tried where the machine did not let it happen.
const TRIES: usize = 3;
/// Undisturbed runs: what they have in common is what a run that is to be killed will have, too.
const UNDISTURBED: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_vault_ends_the_same_wherever_serve_is_killed() {
    kill_at_every_request(&Story::vault_deleted()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_alert_ends_the_same_wherever_serve_is_killed() {
    kill_at_every_request(&Story::late_alert()).await;
}

/// Plays a story without a kill.
pub async fn undisturbed(story: &Story) -> Ended {
    let stage = Stage::open(story).await;
    stage.break_it();
    stage.until_over().await;
    let ended = stage.conclude().await;
    let faults = ended.faults(None);
    assert!(faults.is_empty(), "{} undisturbed:\n{}\n{}", story.name, faults.join("\n"), ended.logs.join("\n"));
    ended
}

async fn kill_at_every_request(story: &Story) {
    let baselines: Vec<Ended> = futures::future::join_all((0..UNDISTURBED).map(|_| undisturbed(story))).await;
    let requests = common(&baselines.iter().map(|one| named(&one.exchanges)).collect::<Vec<_>>());
    let baseline = &baselines[0];
    assert!(requests.iter().filter(|one| one.write).count() >= 2, "each story has two repairs: {requests:?}");
    let steps: Vec<(Request, Moment)> =
        requests.iter().flat_map(|one| [(one.clone(), Moment::Before), (one.clone(), Moment::After)]).collect();
    let all = steps.len();
    progress(&format!(
        "{}: {all} steps, undisturbed {:?}",
        story.name,
        baselines.iter().map(Ended::length).collect::<Vec<_>>()
    ));
    let faults: Vec<String> = futures::stream::iter(steps.into_iter().enumerate())
        .map(|(at, (request, moment))| async move {
            let label = format!("{} step {}/{all} {} {request}", story.name, at + 1, word(moment));
            match step(baseline, &request, moment).await {
                Ok(()) => {
                    progress(&format!("{label}: ok"));
                    None
                }
                Err(why) => {
                    progress(&format!("{label}: FAILED: {why}"));
                    Some(format!("{label}: {why}"))
                }
            }
        })
        .buffer_unordered(all)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(faults.is_empty(), "{} of {all} steps failed\n{}", faults.len(), faults.join("\n"));
}

const fn word(moment: Moment) -> &'static str {
    match moment {
        Moment::Before => "before",
        Moment::After => "after",
    }
}

/// One kill. It is tried again where the request did not come at all, or the machine took so long to start `serve` again
/// that Azure gave up: then there was nothing to see.
async fn step(baseline: &Ended, request: &Request, moment: Moment) -> Result<(), String> {
    let mut why = String::new();
    for _ in 0..TRIES {
        let mut stage = Stage::open(&baseline.story).await;
        let trap = Trap::set(&stage.cloud, request, moment);
        stage.break_it();
        let Some(number) = stage.until_sprung(trap).await else {
            why = "the story was over before the request came".to_owned();
            continue;
        };
        if moment == Moment::After {
            stage.carried_out.push(number);
        }
        let before = stage.cloud.requests();
        let stalled = before.iter().find(|one| one.number == number).ok_or("the request is not in the recording")?;
        if stalled.answered_at.is_some() {
            return Err("the request was answered, so the kill came too late".to_owned());
        }
        stage.kill_and_restart().await;
        stage.until_over().await;
        let ended = stage.conclude().await;
        if ended.away > ACTION_GROUP_TRIES_FOR {
            why = format!("the new start took {:?} of the story: Azure may have given up alerts", ended.away);
            continue;
        }
        return judge(&ended, baseline, before.len());
    }
    Err(format!("{TRIES} times: {why}"))
}

fn judge(ended: &Ended, baseline: &Ended, requests_before: usize) -> Result<(), String> {
    let mut faults = ended.faults(Some(baseline));
    if !ended.took_up() {
        faults.push("the second process found nothing to take up".to_owned());
    }
    if ended.exchanges.len() <= requests_before {
        faults.push("the second process sent no request".to_owned());
    }
    if faults.is_empty() {
        return Ok(());
    }
    let timeline = ended.incidents.iter().flat_map(|incident| &incident.timeline);
    let timeline: Vec<String> =
        timeline.map(|entry| format!("  {} {:?} {}", entry.at, entry.kind, entry.text)).collect();
    Err(format!("{}\n{}\n{}", faults.join("\n"), timeline.join("\n"), ended.logs.join("\n-- killed --\n")))
}
