//! Many stories, a few at a time, each on a thread with a runtime of its own: there a stepped clock knows for certain when
//! nobody has anything left to do.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::invariants::{Invariant, breaches};
use crate::stage::Played;

/// Runs a story on a runtime of its own.
pub fn on_a_thread<T>(story: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story)
}

/// What a story came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// How often the fault happened.
    pub hits: u32,
    /// Whether it ended as without the fault.
    pub as_declared: bool,
    /// What does not hold.
    pub breaches: Vec<(Invariant, String)>,
    /// What happened, for whoever looks into a breach.
    pub account: String,
}

impl Outcome {
    pub fn of(played: &Played, hits: u32) -> Self {
        let breaches: Vec<_> = breaches(&played.seen).into_iter().map(|one| (one.of, one.why)).collect();
        let account = if breaches.is_empty() { String::new() } else { account(played) };
        Self { hits, as_declared: played.undeclared.is_empty(), breaches, account }
    }
}

fn account(played: &Played) -> String {
    let mut lines = vec![format!("not as declared: {:?}, after {:?}", played.undeclared, played.length)];
    for incident in &played.incidents {
        lines.push(format!("incident {} stands at {:?}, {:?}", incident.id, incident.phase, incident.needs_person));
        lines.extend(incident.timeline.iter().map(|entry| format!("  {} {:?} {}", entry.at, entry.kind, entry.text)));
    }
    let writes = played.seen.cloud.requests_that(keymend::drill::cloud::Exchange::is_write);
    lines.extend(
        writes
            .iter()
            .map(|one| format!("  {} {} {} -> {} effect {}", one.at, one.method, one.url, one.status, one.effect)),
    );
    lines.join("\n")
}

type Play = Box<dyn Fn() -> Outcome + Send + Sync>;

/// A story to be played.
pub struct Task {
    pub family: &'static str,
    pub label: String,
    play: Play,
}

impl Task {
    pub fn new(family: &'static str, label: String, play: impl Fn() -> Outcome + Send + Sync + 'static) -> Self {
        Self { family, label, play: Box::new(play) }
    }
}

/// Counts of one family.
#[derive(Debug, Default)]
pub struct Tally {
    pub played: usize,
    pub hit: usize,
    pub as_declared: usize,
    pub breaches: BTreeMap<Invariant, usize>,
}

/// What a campaign came to.
#[derive(Debug, Default)]
pub struct Report {
    pub families: BTreeMap<&'static str, Tally>,
    /// What does not hold, each with its story.
    pub found: Vec<String>,
    /// Stories whose fault never happened: they prove nothing.
    pub never_met: Vec<String>,
}

impl Report {
    fn add(&mut self, task: &Task, outcome: &Outcome) {
        let tally = self.families.entry(task.family).or_default();
        tally.played += 1;
        tally.hit += usize::from(outcome.hits > 0);
        tally.as_declared += usize::from(outcome.as_declared);
        if outcome.hits == 0 {
            self.never_met.push(format!("{}: {}", task.family, task.label));
        }
        for (of, why) in &outcome.breaches {
            *tally.breaches.entry(*of).or_default() += 1;
            self.found.push(format!("{}: {of}: {why}", task.label));
        }
    }

    /// One line a family, and the stories that prove nothing.
    pub fn table(&self) -> String {
        let mut lines =
            vec![format!("{:<28} {:>7} {:>7} {:>12} {:>9}", "family", "played", "hit", "as declared", "breaches")];
        for (family, tally) in &self.families {
            let breaches: usize = tally.breaches.values().sum();
            lines.push(format!(
                "{family:<28} {:>7} {:>7} {:>12} {breaches:>9}",
                tally.played, tally.hit, tally.as_declared
            ));
            lines.extend(tally.breaches.iter().map(|(of, count)| format!("    {of}: {count}")));
        }
        if !self.never_met.is_empty() {
            lines.push(format!("{} stories never met their fault, and prove nothing:", self.never_met.len()));
            lines.extend(self.never_met.iter().map(|label| format!("    {label}")));
        }
        lines.join("\n")
    }
}

/// How many stories at a time.
fn at_a_time() -> usize {
    std::env::var("KEYMEND_TEST_AT_A_TIME").ok().and_then(|count| count.parse().ok()).unwrap_or(4)
}

/// Plays them all, and says how far it has come every few seconds.
pub fn campaign(tasks: Vec<Task>) -> Report {
    let (all, began) = (tasks.len(), Instant::now());
    let queue = Mutex::new(tasks.into_iter());
    let state = Mutex::new((Report::default(), 0_usize, Instant::now()));
    std::thread::scope(|scope| {
        for _ in 0..at_a_time() {
            scope.spawn(|| {
                loop {
                    let Some(task) = queue.lock().unwrap().next() else { return };
                    let outcome = (task.play)();
                    let mut state = state.lock().unwrap();
                    state.0.add(&task, &outcome);
                    state.1 += 1;
                    for (of, why) in &outcome.breaches {
                        say(&format!("BREACH {}: {of}: {why}", task.label));
                    }
                    if !outcome.breaches.is_empty() {
                        say(&outcome.account);
                    }
                    if state.2.elapsed() > Duration::from_secs(5) {
                        state.2 = Instant::now();
                        let rate = state.1 as f64 / began.elapsed().as_secs_f64();
                        say(&format!(
                            "{}/{all} stories, {rate:.1} a second, {} breaches",
                            state.1,
                            state.0.found.len()
                        ));
                    }
                }
            });
        }
    });
    let (report, ..) = state.into_inner().unwrap();
    report
}

/// To the terminal, where the test runner does not hide it.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
