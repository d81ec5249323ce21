//! Every call of a story in turn, failed in every way, once and twice.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keymend::domain::policy::Preset;
use keymend::drill::cloud::{Exchange, Fault, FaultKind, Plane};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::invariants::breaches;
use crate::stage::{Plan, Stage};
use crate::workers::{Outcome, Task, on_a_thread, say};

/// The stories whose calls are failed.
pub const STORIES: [(&str, Preset); 8] = [
    ("vault-deleted", Preset::Guarded),
    ("missing-identity", Preset::Auto),
    ("permission-revoked-policy", Preset::Guarded),
    ("key-deleted", Preset::Auto),
    ("vault-firewalled", Preset::Guarded),
    ("late-alert", Preset::Auto),
    ("deliberate-revocation", Preset::Auto),
    ("hold-tag", Preset::Auto),
];

/// How long an answer is waited for where one never comes, in real time.
const SHORT: Duration = Duration::from_millis(400);

/// One request of a story: the `nth` to that place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub nth: u32,
    pub write: bool,
}

impl Call {
    fn place(one: &Exchange) -> (String, String) {
        let path = one.url.split('?').next().unwrap_or_default();
        // A role assignment is named anew in each story.
        let path = match path.split_once("/roleAssignments/") {
            Some((scope, _)) => format!("{scope}/roleAssignments/"),
            None => path.to_owned(),
        };
        let path = path.split("OperationResults/").next().unwrap_or_default().to_owned();
        (one.method.clone(), path)
    }

    /// Those of a story, in order, each with the poll that it is one of.
    ///
    /// A read that is answered the same as the one before it, with nothing written and nobody told in between, is the same
    /// poll: all of those have one number.
    fn all(exchanges: &[Exchange]) -> Vec<(Self, usize)> {
        let mut last: BTreeMap<(String, String), (u32, usize, &Exchange)> = BTreeMap::new();
        let (mut polls, mut all) = (0, Vec::new());
        // Where the last write or message stands: what was asked before that is asked anew.
        let mut moved = 0;
        for one in exchanges.iter().filter(|one| one.plane != Plane::Token) {
            let (place, write) = (Self::place(one), one.is_write());
            if write || one.plane == Plane::Other {
                moved = one.number;
            }
            let (mut nth, mut poll) = (1, polls);
            if let Some((before, same, asked)) = last.get(&place) {
                nth = before + 1;
                let answer = |one: &Exchange| (one.status, one.response_body.clone());
                if asked.number > moved && answer(asked) == answer(one) {
                    poll = *same;
                }
            }
            polls += usize::from(poll == polls);
            last.insert(place.clone(), (nth, poll, one));
            all.push((Self { method: place.0, path: place.1, nth, write }, poll));
        }
        all
    }

    /// Without what only repeats: of each poll the first, the last, and one in between.
    fn telling(all: &[(Self, usize)], random: &mut StdRng) -> Vec<Self> {
        let mut polls: BTreeMap<usize, Vec<&Self>> = BTreeMap::new();
        for (call, poll) in all {
            polls.entry(*poll).or_default().push(call);
        }
        let telling = polls.into_values().flat_map(|calls| match calls.as_slice() {
            [first, between @ .., last] if between.len() > 1 => {
                vec![*first, between[random.random_range(0..between.len())], *last]
            }
            few => few.to_vec(),
        });
        telling.cloned().collect()
    }

    fn sink(&self) -> Option<&'static str> {
        ["teams", "webhook"].into_iter().find(|sink| self.path.ends_with(&format!("/sink/{sink}")))
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split("/providers/").last().unwrap_or(&self.path);
        write!(f, "{} {} #{}", self.method, path.trim_start_matches("https://"), self.nth)
    }
}

/// Every way in which a call fails, with its name.
fn ways() -> Vec<(&'static str, FaultKind)> {
    let status = |status, code: &str| FaultKind::Status { status, code: code.to_owned() };
    let say = |status, content_type: &str, text: &str| FaultKind::Say {
        status,
        content_type: content_type.to_owned(),
        text: text.to_owned(),
        location: None,
    };
    vec![
        ("401", status(401, "ExpiredAuthenticationToken")),
        ("403", status(403, "AuthorizationFailed")),
        ("404", status(404, "ResourceNotFound")),
        ("409", status(409, "Conflict")),
        ("429", FaultKind::Throttle { retry_after: 17 }),
        ("500", status(500, "InternalServerError")),
        ("503", status(503, "ServiceUnavailable")),
        ("time-out", FaultKind::Timeout),
        ("reset", FaultKind::Reset),
        ("truncated", FaultKind::Truncated),
        ("wrong JSON", say(200, "application/json", r#"{"value":{"properties":[7]},"id":0}"#)),
        ("no JSON", say(200, "text/html", "<html>Please sign in</html>")),
    ]
}

/// One case of the matrix.
#[derive(Debug, Clone)]
pub struct Case {
    pub story: (&'static str, Preset),
    pub call: Call,
    pub way: (&'static str, FaultKind),
    pub times: u32,
    pub after_effect: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let twice = if self.times > 1 { " twice" } else { "" };
        let after = if self.after_effect { " after it was carried out" } else { "" };
        write!(f, "{} ({}): {} gets {}{twice}{after}", self.story.0, self.story.1.name(), self.call, self.way.0)
    }
}

/// The cases of one story, by an undisturbed play of it. `KEYMEND_TEST_EVERY`: also of the reads that only repeat.
fn cases_of(story: (&'static str, Preset), seed: u64) -> Vec<Case> {
    let played =
        on_a_thread(async move { Stage::open(Plan::of(story.0, story.1, seed)).await.play(async |_, _| ()).await });
    let broken: Vec<String> = breaches(&played.seen).iter().map(ToString::to_string).chain(played.undeclared).collect();
    assert!(broken.is_empty(), "{} undisturbed: {}", story.0, broken.join("\n"));
    let all = Call::all(&played.seen.cloud.requests());
    let mut calls = Call::telling(&all, &mut StdRng::seed_from_u64(seed));
    if std::env::var_os("KEYMEND_TEST_EVERY").is_some() {
        calls = all.iter().map(|(call, _)| call.clone()).collect();
    }
    say(&format!("{} ({}): {} of {} requests are failed", story.0, story.1.name(), calls.len(), all.len()));
    let mut cases = Vec::new();
    for call in calls {
        for way in ways() {
            for times in [1, 2] {
                let case = Case { story, call: call.clone(), way: way.clone(), times, after_effect: false };
                cases.push(case.clone());
                if call.write {
                    cases.push(Case { after_effect: true, ..case });
                }
            }
        }
    }
    cases
}

/// The matrix: all of it, or `some` of its cases drawn by `seed`.
pub fn tasks(seed: u64, some: Option<usize>) -> Vec<Task> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stories = STORIES.to_vec();
    stories.shuffle(&mut random);
    if let Some(some) = some {
        stories.truncate(some.div_ceil(16));
    }
    let mut cases: Vec<Case> = stories.into_iter().flat_map(|story| cases_of(story, seed)).collect();
    cases.shuffle(&mut random);
    cases.truncate(some.unwrap_or(usize::MAX));
    cases
        .into_iter()
        .map(|case| Task::new("Azure and channels", case.to_string(), move || play(case.clone(), seed)))
        .collect()
}

fn play(case: Case, seed: u64) -> Outcome {
    on_a_thread(async move {
        let mut plan = Plan::of(case.story.0, case.story.1, seed);
        if case.way.0 == "time-out" {
            plan.patience = SHORT;
        }
        plan.failing_channels.extend(case.call.sink());
        let stage = Stage::open(plan).await;
        let hits = Arc::new(AtomicU32::new(0));
        arm(&stage, &case, hits.clone());
        let played = stage.play(async |_, _| ()).await;
        Outcome::of(&played, hits.load(Ordering::SeqCst))
    })
}

/// Fails the call when it comes, and the same call again if that is the case.
fn arm(stage: &Stage, case: &Case, hits: Arc<AtomicU32>) {
    let (case, seen) = (case.clone(), Mutex::new(0));
    stage.cloud.fault_when(move |one| {
        if Call::place(one) != (case.call.method.clone(), case.call.path.clone()) {
            return None;
        }
        let mut seen = seen.lock().unwrap();
        *seen += 1;
        if *seen < case.call.nth || *seen >= case.call.nth + case.times {
            return None;
        }
        hits.fetch_add(1, Ordering::SeqCst);
        let fault = Fault::new(case.way.1.clone(), "/", 1);
        Some(if case.after_effect { fault.after_effect() } else { fault })
    });
}
