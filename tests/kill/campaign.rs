//! Kills by the thousand, at random moments: also where a person is asked, where the patrol walks, and where a channel hangs.
//! `scripts/chaos` runs it; `KEYMEND_TEST_KILLS` says how many, `KEYMEND_TEST_SEED` from which seed.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use jiff::{SignedDuration, Timestamp};
use keymend::clock::{Clock, add};
use keymend::domain::incident::ApprovalDecision;
use keymend::drill::cloud::{Fault, FaultKind};
use keymend::store::{NewJob, SqliteStore, Store, Work};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::every_request::undisturbed;
use crate::invariants::breaches;
use crate::progress;
use crate::stage::Stage;
use crate::story::{ACTION_GROUP_TRIES_FOR, Story};
use crate::verdict::Ended;

/// Stories at a time: each waits most of the time.
const AT_A_TIME: usize = 6;
const MOST_KILLS: usize = 8;

/// What else goes on in a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Besides {
    Nothing,
    APersonIsAsked,
    ThePatrolWalks,
    AChannelHangs,
}

const KINDS: [(fn() -> Story, Besides); 6] = [
    (Story::vault_deleted, Besides::Nothing),
    (Story::late_alert, Besides::Nothing),
    (Story::vault_deleted_and_asked, Besides::APersonIsAsked),
    (Story::vault_deleted, Besides::ThePatrolWalks),
    (Story::vault_deleted, Besides::AChannelHangs),
    (Story::late_alert, Besides::AChannelHangs),
];

/// What came of a story.
enum Outcome {
    /// Its end, and what is wrong with it.
    Ended(Box<Ended>, Vec<String>),
    /// The machine was so slow that Azure gave an alert up: that tells nothing.
    TooSlow,
    /// It never ended.
    Panicked(String),
}

fn in_words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

#[derive(Debug, Default)]
struct Counts {
    stories: usize,
    kills: usize,
    again: usize,
    faults: usize,
}

pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long; scripts/chaos runs it"]
async fn a_thousand_kills() {
    let wanted = usize::try_from(number("KEYMEND_TEST_KILLS").unwrap_or(1000)).unwrap();
    let first = number("KEYMEND_TEST_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    progress(&format!("seeds from {first} (KEYMEND_TEST_SEED={first} KEYMEND_TEST_KILLS=1 plays the first again)"));
    let mut baselines = Vec::new();
    for (story, besides) in KINDS {
        let mut story = story();
        story.patrol = besides == Besides::ThePatrolWalks;
        baselines.push(if matches!(besides, Besides::APersonIsAsked | Besides::ThePatrolWalks) {
            None
        } else {
            Some(undisturbed(&story).await)
        });
    }
    let (began, mut counts, mut found) = (Instant::now(), BTreeMap::<&str, Counts>::new(), Vec::new());
    let mut kills = 0;
    let mut runs = futures::stream::iter(first..)
        .map(|seed| {
            let kind = usize::try_from(seed % KINDS.len() as u64).unwrap();
            let baseline = baselines[kind].as_ref();
            async move {
                // A story that never ends panics, and is one finding among others.
                let outcome = AssertUnwindSafe(one(seed, kind, baseline)).catch_unwind().await;
                (seed, kind, outcome.unwrap_or_else(|panic| Outcome::Panicked(in_words(&*panic))))
            }
        })
        .buffer_unordered(AT_A_TIME);
    while kills < wanted {
        let (seed, kind, outcome) = runs.next().await.unwrap();
        let name = name(kind);
        let count = counts.entry(name).or_default();
        let faults = match outcome {
            Outcome::TooSlow => {
                count.again += 1;
                continue;
            }
            Outcome::Panicked(why) => vec![why],
            Outcome::Ended(ended, faults) => {
                count.kills += ended.kills;
                kills += ended.kills;
                let rate = kills as f64 / began.elapsed().as_secs_f64() * 60.0;
                let well = if faults.is_empty() { "ok" } else { "FAILED" };
                let story = format!("{name}, seed {seed}, {} kills: {well}", ended.kills);
                progress(&format!("{kills}/{wanted} kills, {rate:.0} a minute: {story}"));
                faults
            }
        };
        count.stories += 1;
        for fault in faults {
            count.faults += 1;
            progress(&format!("FOUND {name}, seed {seed}: {fault}"));
            found.push(format!("{name}, seed {seed}: {fault}"));
        }
    }
    progress(&format!("{:<44} {:>7} {:>6} {:>9} {:>6}", "story", "played", "kills", "too slow", "found"));
    for (name, count) in &counts {
        progress(&format!("{name:<44} {:>7} {:>6} {:>9} {:>6}", count.stories, count.kills, count.again, count.faults));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

const fn name(kind: usize) -> &'static str {
    [
        "vault deleted",
        "late alert",
        "vault deleted, a person is asked",
        "vault deleted, the patrol walks",
        "vault deleted, a channel hangs",
        "late alert, a channel hangs",
    ][kind]
}

async fn one(seed: u64, kind: usize, baseline: Option<&Ended>) -> Outcome {
    let (story, besides) = KINDS[kind];
    let mut story = story();
    story.patrol = besides == Besides::ThePatrolWalks;
    let length = baseline.map_or(SignedDuration::from_mins(6), |one| one.length() + SignedDuration::from_mins(1));
    let Some(ended) = play(&story.slower(), besides, seed, length).await else { return Outcome::TooSlow };
    let given_up = |fault: &String| fault.contains("was answered None");
    // The patrol may tell of it first, and a person decides when: both end the same, by other messages.
    let compared = baseline.filter(|_| besides == Besides::Nothing);
    let mut faults = ended.faults(compared);
    if faults.iter().any(given_up) {
        return Outcome::TooSlow;
    }
    if besides == Besides::ThePatrolWalks {
        faults.retain(|fault| !fault.contains("signals in the store"));
    }
    if story.asks() {
        faults.extend(breaches(&ended.seen()).iter().map(ToString::to_string));
    }
    if !faults.is_empty() {
        faults.extend(ended.logs.clone());
    }
    Outcome::Ended(Box::new(ended), faults)
}

/// `None` where nobody listened for so long that Azure may have given an alert up.
async fn play(story: &Story, besides: Besides, seed: u64, length: SignedDuration) -> Option<Ended> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::open(story).await;
    let begins = stage.cloud.clock().now();
    if besides == Besides::AChannelHangs {
        let sink = if random.random_bool(0.5) { "/sink/teams" } else { "/sink/webhook" };
        let hangs = Fault { for_seconds: Some(180), times: None, ..Fault::new(FaultKind::Timeout, sink, 1) };
        stage.cloud.fault(hangs);
    }
    stage.break_it();
    let approved = Arc::default();
    let person = (besides == Besides::APersonIsAsked).then(|| {
        let file = stage.folder().join("keymend.db");
        tokio::spawn(approve(file, stage.cloud.clock().clone(), Arc::clone(&approved)))
    });
    let mut moments: Vec<f64> =
        (0..random.random_range(1..=MOST_KILLS)).map(|_| random.random_range(0.0..1.0)).collect();
    moments.sort_by(f64::total_cmp);
    for moment in moments {
        let wait = SignedDuration::from_secs_f64(length.as_secs_f64() * moment);
        let _ = stage.cloud.clock().idle_until(add(begins, wait)).await;
        let killed_at = stage.kill();
        if random.random_bool(0.2) {
            stage.start_and_kill(Duration::from_millis(random.random_range(0..80))).await;
        }
        stage.restart(killed_at).await;
        // Azure may have given alerts up by its own rules: then a story need not end, and tells nothing.
        if stage.away > ACTION_GROUP_TRIES_FOR {
            if let Some(person) = person {
                person.abort();
            }
            return None;
        }
    }
    stage.until_over().await;
    if let Some(person) = person {
        person.abort();
    }
    let mut ended = stage.conclude().await;
    ended.approved = approved.lock().unwrap().clone();
    Some(ended)
}

/// The person on call: approves whatever is asked, soon, and writes down when.
async fn approve(store: PathBuf, clock: Clock, approved: Arc<Mutex<Vec<Timestamp>>>) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let Ok(store) = SqliteStore::open(&store) else { continue };
        let Ok(incidents) = store.incidents(true, 10).await else { continue };
        for incident in
            incidents.iter().filter(|one| one.approval.as_ref().is_some_and(|asked| asked.decision.is_none()))
        {
            let Ok(Some((mut incident, version))) = store.incident(&incident.id).await else { continue };
            let now = clock.now();
            let Some(asked) = &mut incident.approval else { continue };
            asked.decision = Some(ApprovalDecision { approved: true, by: "ada".to_owned(), at: now });
            let pass = NewJob { work: Work::Pass { incident: incident.id.clone() }, due: now };
            if store.save(&incident, Some(version), &[pass], &[], now).await.is_ok() {
                approved.lock().unwrap().push(now);
            }
        }
    }
}
