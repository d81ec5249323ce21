//! Clocks that jump, tokens that expire in the middle of a repair, alerts that come twice, in another order, or a week late, a
//! responder that is replaced at any moment, and two at once.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use keymend::clock::add;
use keymend::domain::policy::Preset;
use keymend::drill::cloud::{Exchange, Fault, FaultKind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::stage::{Plan, Stage};
use crate::workers::{Outcome, Task, on_a_thread};

const STORIES: [(&str, Preset); 6] = [
    ("vault-deleted", Preset::Guarded),
    ("missing-identity", Preset::Auto),
    ("late-alert", Preset::Auto),
    ("key-disabled", Preset::Guarded),
    ("hold-tag", Preset::Auto),
    ("fight-the-admin", Preset::Auto),
];

/// What happens in a story.
#[derive(Debug, Clone, Copy)]
enum Happening {
    /// The responder's clock jumps by so many minutes at a random moment, and back again later.
    Jump(i64),
    /// From a random moment on, for five minutes, no token is accepted.
    TokenExpires,
    /// Every alert is posted three times, the later ones in another order.
    AlertsAgain,
    /// An hour after the end, and a week after it happened, every alert comes once more.
    AlertsLate,
    /// The process is replaced at random moments.
    Replaced,
    /// Two responders work on one store.
    Two,
    /// The patrol walks as well.
    Patrol,
}

const ALL: [Happening; 12] = [
    Happening::Jump(60),
    Happening::Jump(7 * 60),
    Happening::Jump(3 * 24 * 60),
    Happening::Jump(-30),
    Happening::Jump(-6 * 60),
    Happening::Jump(-3 * 24 * 60),
    Happening::TokenExpires,
    Happening::AlertsAgain,
    Happening::AlertsLate,
    Happening::Replaced,
    Happening::Two,
    Happening::Patrol,
];

const fn family(happening: Happening) -> &'static str {
    match happening {
        Happening::Jump(_) => "clock jumps",
        Happening::TokenExpires => "token expires",
        Happening::AlertsAgain | Happening::AlertsLate => "alerts again and late",
        Happening::Replaced => "replaced in process",
        Happening::Two => "two at once",
        Happening::Patrol => "patrol beside alerts",
    }
}

/// `rounds` times each happening in each story; or `some` of them, of each family one before there are two of any.
pub fn tasks(seed: u64, rounds: u64, some: Option<usize>) -> Vec<Task> {
    let mut all = Vec::new();
    for round in 0..rounds {
        for story in STORIES {
            all.extend(ALL.map(|happening| (story, happening, seed.wrapping_add(round))));
        }
    }
    let mut random = StdRng::seed_from_u64(seed);
    rand::seq::SliceRandom::shuffle(all.as_mut_slice(), &mut random);
    if let Some(some) = some {
        let mut counts = BTreeMap::<&str, usize>::new();
        let rank = |one: (_, Happening, _)| {
            let count = counts.entry(family(one.1)).or_default();
            *count += 1;
            (*count, one)
        };
        let mut ranked: Vec<_> = all.into_iter().map(rank).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        all = ranked.into_iter().map(|(_, one)| one).take(some).collect();
    }
    let task = |(story, happening, seed): ((&'static str, Preset), Happening, u64)| {
        let label = format!("{} ({}): {happening:?}, seed {seed}", story.0, story.1.name());
        Task::new(family(happening), label, move || on_a_thread(play(story, happening, seed)))
    };
    all.into_iter().map(task).collect()
}

async fn play(story: (&'static str, Preset), happening: Happening, seed: u64) -> Outcome {
    let mut random = StdRng::seed_from_u64(seed ^ 0x5eed);
    let mut plan = Plan::of(story.0, story.1, seed);
    plan.responders = if matches!(happening, Happening::Two) { 2 } else { 1 };
    plan.setup.patrol |= matches!(happening, Happening::Patrol);
    let stage = Stage::open(plan).await;
    let moment = SignedDuration::from_secs(random.random_range(120..2400));
    let (begins, ends) = (add(stage.began(), moment), add(stage.began(), moment + SignedDuration::from_mins(40)));
    if matches!(happening, Happening::TokenExpires) {
        let until = add(begins, SignedDuration::from_mins(5));
        let refused = FaultKind::Status { status: 401, code: "ExpiredAuthenticationToken".to_owned() };
        let clock = stage.clock.clone();
        stage.cloud.fault_when(move |one: &Exchange| {
            let expired = clock.now() >= begins && clock.now() < until && !one.url.contains("/sink/");
            expired.then(|| Fault::new(refused.clone(), "/", 1))
        });
    }
    let mut state = State { posted: 0, again: Vec::new(), hits: 0, random };
    let played = stage
        .play(async |stage, now| match happening {
            Happening::Jump(minutes) => {
                let wrong = if now >= begins && now < ends { minutes } else { 0 };
                state.hits += u32::from(wrong != 0);
                stage.put_clock(SignedDuration::from_mins(wrong));
            }
            Happening::AlertsAgain => state.post_again(stage).await,
            Happening::AlertsLate => state.post_late(stage, now).await,
            Happening::Replaced if state.random.random_bool(0.15) => {
                state.hits += 1;
                stage.replace().await;
            }
            Happening::Two if state.random.random_bool(0.3) => {
                state.hits += 1;
                let number = state.random.random_range(0..2);
                stage.deliver_to(number);
            }
            Happening::TokenExpires | Happening::Patrol => state.hits += 1,
            Happening::Replaced | Happening::Two => {}
        })
        .await;
    Outcome::of(&played, state.hits)
}

struct State {
    posted: usize,
    again: Vec<Value>,
    hits: u32,
    random: StdRng,
}

impl State {
    /// What came since the last look comes twice more, the last first.
    async fn post_again(&mut self, stage: &Stage) {
        let bodies = self.new_bodies(stage);
        for body in bodies.iter().rev().chain(&bodies) {
            self.hits += 1;
            stage.post(body).await;
        }
    }

    /// What came is kept, and comes again an hour and a half later; and once with times of a week before.
    async fn post_late(&mut self, stage: &Stage, now: Timestamp) {
        let bodies = self.new_bodies(stage);
        self.again.extend(bodies);
        if now < add(stage.began(), SignedDuration::from_mins(30)) {
            return;
        }
        for body in std::mem::take(&mut self.again) {
            self.hits += 1;
            let old = body.to_string().replace("2026-11-24T", "2026-11-17T");
            stage.post(&serde_json::from_str(&old).unwrap()).await;
            stage.post(&body).await;
        }
    }

    fn new_bodies(&mut self, stage: &Stage) -> Vec<Value> {
        let all = stage.cloud.deliveries();
        let new = all.get(self.posted..).unwrap_or_default().iter().map(|one| one.body.clone()).collect();
        self.posted = all.len();
        new
    }
}
