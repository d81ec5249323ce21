//! Kills at every request that the responder sends in a story: before it is carried out, and before it is answered. At every
//! write and every message; of the reads, at one in twenty, drawn anew each time. `KEYMEND_TEST_STORY=all` kills at each of
//! them, which takes some times as long.

use futures::StreamExt;
use keymend::drill::cloud::Moment;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::progress;
use crate::requests::{Request, Trap, common, named};
use crate::stage::Stage;
use crate::story::{ACTION_GROUP_TRIES_FOR, Story};
use crate::verdict::Ended;

/// How often a step is tried where the machine did not let it happen.
const TRIES: usize = 4;
/// Undisturbed runs: what they have in common is what a run that is to be killed will have, too.
const UNDISTURBED: usize = 6;
/// One read in so many is killed at.
const READS_ONE_IN: u32 = 20;
/// How many reads out of so many may not come in a run that is to be killed: how often the databases are looked at until
/// they are back depends on the machine by a little.
const ONE_READ_IN: usize = 10;

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
    let requests = drawn(requests);
    let steps: Vec<(Request, Moment)> =
        requests.iter().flat_map(|one| [(one.clone(), Moment::Before), (one.clone(), Moment::After)]).collect();
    let all = steps.len();
    progress(&format!(
        "{}: {all} steps, undisturbed {:?}",
        story.name,
        baselines.iter().map(Ended::length).collect::<Vec<_>>()
    ));
    let results: Vec<Step> = futures::stream::iter(steps.into_iter().enumerate())
        .map(|(at, (request, moment))| async move {
            let label = format!("{} step {}/{all} {} {request}", story.name, at + 1, word(moment));
            let step = step(baseline, &request, moment).await;
            progress(&format!("{label}: {}", step.in_words()));
            match step {
                Step::NotReached if request.is_essential() => {
                    Step::Failed(format!("{label}: the request did not come"))
                }
                Step::Failed(why) => Step::Failed(format!("{label}: {why}")),
                other => other,
            }
        })
        .buffer_unordered(all)
        .collect()
        .await;
    let faults: Vec<&str> = results.iter().filter_map(Step::fault).collect();
    assert!(faults.is_empty(), "{} of {all} steps failed\n{}", faults.len(), faults.join("\n"));
    let not_reached = results.iter().filter(|step| matches!(step, Step::NotReached)).count();
    assert!(not_reached <= all / ONE_READ_IN, "{not_reached} of {all} requests did not come");
}

/// Those of the requests that are killed at.
fn drawn(requests: Vec<Request>) -> Vec<Request> {
    if std::env::var("KEYMEND_TEST_STORY").is_ok_and(|story| story == "all") {
        return requests;
    }
    let seed = std::env::var("KEYMEND_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    progress(&format!("seed {seed} (KEYMEND_TEST_SEED={seed} draws the same reads)"));
    let mut random = StdRng::seed_from_u64(seed);
    requests.into_iter().filter(|one| one.is_essential() || random.random_range(0..READS_ONE_IN) == 0).collect()
}

/// What came of a step.
enum Step {
    Ok,
    /// The request that was to be killed at did not come, although it was tried several times.
    NotReached,
    Failed(String),
}

impl Step {
    const fn in_words(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotReached => "did not come",
            Self::Failed(_) => "FAILED",
        }
    }

    fn fault(&self) -> Option<&str> {
        if let Self::Failed(why) = self { Some(why) } else { None }
    }
}

const fn word(moment: Moment) -> &'static str {
    match moment {
        Moment::Before => "before",
        Moment::After => "after",
    }
}

/// One kill. It is tried again where the request did not come at all, or the machine took so long to start `serve` again
/// that Azure gave up: then there was nothing to see.
async fn step(baseline: &Ended, request: &Request, moment: Moment) -> Step {
    let mut last = Step::NotReached;
    let mut story = baseline.story.clone();
    for _ in 0..TRIES {
        let mut stage = Stage::open(&story).await;
        let trap = Trap::set(&stage.cloud, request, moment);
        stage.break_it();
        let Some(number) = stage.until_sprung(trap).await else {
            last = Step::NotReached;
            continue;
        };
        if moment == Moment::After {
            stage.carried_out.push(number);
        }
        let before = stage.cloud.requests();
        let unanswered = before.iter().any(|one| one.number == number && one.answered_at.is_none());
        if !unanswered {
            return Step::Failed("the request was answered, so the kill came too late".to_owned());
        }
        stage.kill_and_restart().await;
        stage.until_over().await;
        let ended = stage.conclude().await;
        if ended.away > ACTION_GROUP_TRIES_FOR {
            last = Step::Failed(format!("the new start took {:?} of the story, {TRIES} times", ended.away));
            story = story.slower();
            continue;
        }
        return judge(&ended, baseline, before.len());
    }
    last
}

fn judge(ended: &Ended, baseline: &Ended, requests_before: usize) -> Step {
    let mut faults = ended.faults(Some(baseline));
    if !ended.took_up() {
        faults.push("the second process found nothing to take up".to_owned());
    }
    if ended.exchanges.len() <= requests_before {
        faults.push("the second process sent no request".to_owned());
    }
    if faults.is_empty() {
        return Step::Ok;
    }
    let timeline = ended.incidents.iter().flat_map(|incident| &incident.timeline);
    let timeline: Vec<String> =
        timeline.map(|entry| format!("  {} {:?} {}", entry.at, entry.kind, entry.text)).collect();
    Step::Failed(format!("{}\n{}\n{}", faults.join("\n"), timeline.join("\n"), ended.logs.join("\n-- killed --\n")))
}
