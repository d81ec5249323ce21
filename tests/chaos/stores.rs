//! A store that fails at each of its calls in turn, once and for a while, before the call is done and after.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use keymend::domain::policy::Preset;
use keymend::store::Store;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::between::{Between, Wrong};
use crate::stage::{Plan, Stage};
use crate::workers::{Outcome, Task, on_a_thread};

const STORIES: [(&str, Preset); 3] =
    [("vault-deleted", Preset::Guarded), ("late-alert", Preset::Auto), ("hold-tag", Preset::Auto)];
/// Calls that are made all the time; of each only the first so many are failed.
const FIRST: u32 = 12;

type Kept = Arc<Mutex<Option<Arc<Between>>>>;

fn through(plan: &mut Plan, wrong: Wrong) -> Kept {
    let kept = Kept::default();
    let keep = kept.clone();
    plan.wrap = Some(Arc::new(move |inner| {
        let between = Arc::new(Between::new(inner, wrong.clone()));
        *keep.lock().unwrap() = Some(between.clone());
        between as Arc<dyn Store>
    }));
    kept
}

/// How often each call is made in an undisturbed story.
fn calls(story: (&'static str, Preset), seed: u64) -> BTreeMap<&'static str, u32> {
    on_a_thread(async move {
        let mut plan = Plan::of(story.0, story.1, seed);
        let kept = through(&mut plan, Wrong::Nothing);
        let _ = Stage::open(plan).await.play(async |_, _| ()).await;
        let between = kept.lock().unwrap().take().unwrap();
        between.counts()
    })
}

pub fn tasks(seed: u64, some: Option<usize>) -> Vec<Task> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stories = STORIES.to_vec();
    stories.shuffle(&mut random);
    if some.is_some() {
        stories.truncate(1);
    }
    let mut all = Vec::new();
    for story in stories {
        for (call, count) in calls(story, seed) {
            for nth in 1..=count.min(FIRST) {
                for (times, after) in [(1, false), (1, true), (2, false), (6, false)] {
                    all.push((story, Wrong::Fails { call, nth, times, after }));
                }
            }
        }
    }
    all.shuffle(&mut random);
    all.truncate(some.unwrap_or(usize::MAX));
    let task = |(story, wrong): ((&'static str, Preset), Wrong)| {
        let label = format!("{} ({}): {wrong:?}", story.0, story.1.name());
        Task::new("store", label, move || play(story, wrong.clone(), seed))
    };
    all.into_iter().map(task).collect()
}

fn play(story: (&'static str, Preset), wrong: Wrong, seed: u64) -> Outcome {
    on_a_thread(async move {
        let mut plan = Plan::of(story.0, story.1, seed);
        let kept = through(&mut plan, wrong);
        let played = Stage::open(plan).await.play(async |_, _| ()).await;
        let between = kept.lock().unwrap().take().unwrap();
        let hits = *between.hits.lock().unwrap();
        Outcome::of(&played, hits)
    })
}
