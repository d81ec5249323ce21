//! Faults everywhere, one story at a time: the matrix of failed calls, hostile answers, wrong clocks, failing stores. What
//! must hold is judged from the cloud's side. `scripts/chaos` plays all of it; see docs/chaos.md.
//!
//! | file | job |
//! |---|---|
//! | `invariants` | what must hold, judged by what the cloud, the sinks and the world saw |
//! | `stage` | plays one story |
//! | `workers` | plays many, and counts |
//! | `matrix` | every call failed in every way |
//! | `stores`, `between` | every call of the store failed |
//! | `hostile` | answers that lie |
//! | `times` | clocks, tokens, alerts again and late, replaced and two at once |
//! | `budget` | more to repair than may be written |
//! | `machine`, `mortal` | an incident under arbitrary interleavings, and a responder that dies between any two calls |
//! | `once_found` | what was found once |
//! | `planted` | bugs that must be found |
#![cfg(feature = "drill")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod between;
mod budget;
mod hostile;
mod invariants;
mod machine;
mod matrix;
mod messages;
mod mortal;
mod once_found;
mod planted;
mod stage;
mod stores;
mod times;
mod workers;
mod writes;

use workers::{campaign, say};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn seed() -> u64 {
    let seed = number("KEYMEND_TEST_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    say(&format!("seed {seed} (KEYMEND_TEST_SEED={seed} plays the same)"));
    seed
}

/// A few of each family; `scripts/chaos` plays all.
#[test]
fn what_must_hold_holds_whatever_fails() {
    let seed = seed();
    let mut tasks = matrix::tasks(seed, Some(8));
    tasks.extend(stores::tasks(seed, Some(4)));
    tasks.extend(hostile::tasks(seed, Some(4)));
    tasks.extend(times::tasks(seed, 1, Some(6)));
    tasks.extend(budget::tasks(seed, 1));
    let report = campaign(tasks);
    say(&report.table());
    assert!(report.found.is_empty(), "{}", report.found.join("\n"));
}

/// All of it, or the families that `KEYMEND_TEST_FAULTS` names, for `scripts/chaos`. `KEYMEND_TEST_ONLY`: stories whose name
/// holds that text.
#[test]
#[ignore = "takes long; scripts/chaos runs it"]
fn everything() {
    let (seed, wanted) = (seed(), std::env::var("KEYMEND_TEST_FAULTS").unwrap_or_else(|_| "all".to_owned()));
    let wants = |family: &str| wanted == "all" || wanted.split(',').any(|one| one == family);
    let some = number("KEYMEND_TEST_STORIES").map(|count| usize::try_from(count).unwrap());
    let mut tasks = Vec::new();
    if wants("times") {
        tasks.extend(times::tasks(seed, number("KEYMEND_TEST_ROUNDS").unwrap_or(8), some));
    }
    if wants("budget") {
        tasks.extend(budget::tasks(seed, some.unwrap_or(36)));
    }
    if wants("hostile") {
        tasks.extend(hostile::tasks(seed, some));
    }
    if wants("store") {
        tasks.extend(stores::tasks(seed, some));
    }
    if wants("azure") {
        tasks.extend(matrix::tasks(seed, some));
    }
    if let Ok(only) = std::env::var("KEYMEND_TEST_ONLY") {
        tasks.retain(|task| task.label.contains(&only));
    }
    let report = campaign(tasks);
    say(&report.table());
    assert!(report.found.is_empty(), "{}", report.found.join("\n"));
}
