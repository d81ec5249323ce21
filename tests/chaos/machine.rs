//! An incident under arbitrary interleavings: what people, accidents and machines do is drawn at random, each thing at a minute
//! of the story, and what must hold is judged at the end. A story that breaks it is made as short as it can be, and told.

use std::fmt;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use keymend::clock::add;
use keymend::domain::policy::Preset;
use keymend::drill::cloud::{Actor, Break, Exchange, Fault, FaultKind, What};
use keymend::drill::scenario::People;
use keymend::responder::answer::{Answer, By, keep};
use keymend::store::Store;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::invariants::breaches;
use crate::mortal::{Dies, Life, Mortal};
use crate::stage::{Plan, Stage};
use crate::workers::{Outcome, on_a_thread, say};

const STORIES: [(&str, Preset); 7] = [
    ("permission-revoked-rbac", Preset::Auto),
    ("vault-deleted", Preset::Guarded),
    ("missing-identity", Preset::Auto),
    ("missing-identity", Preset::Guarded),
    ("key-disabled", Preset::Guarded),
    ("late-alert", Preset::Auto),
    ("fight-the-admin", Preset::Auto),
];
/// A clock that was put wrong is right again after so long.
const WRONG_FOR: SignedDuration = SignedDuration::from_mins(40);
/// A change that was on its way when people took the incident over.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(60);

/// What happens at a minute.
#[derive(Debug, Clone)]
enum Move {
    /// An alert that came comes so many times more.
    AlertAgain { which: usize, times: usize },
    /// All that came come again, the last first.
    AlertsBackwards,
    /// One comes again with times of a week before.
    AlertOfLastWeek { which: usize },
    /// The responder ends at a call, and another one follows.
    Crash(Dies),
    /// The responder's clock jumps by so many minutes.
    ClockJumps(i64),
    /// A person answers about the incident that is open.
    Says(Word),
    /// The store fails for some calls, or does them and loses the answer.
    StoreFails { times: u32, after: bool },
    /// Azure fails for some requests, or carries them out first.
    AzureFails { kind: FaultKind, times: u32, after: bool },
    /// Somebody changes the world.
    Does(What),
}

#[derive(Debug, Clone, Copy)]
enum Word {
    Approve,
    Reject,
    Hold,
    TakeOver,
    Release,
}

/// What is played.
#[derive(Clone)]
struct Story {
    of: (&'static str, Preset),
    seed: u64,
    moves: Vec<(i64, Move)>,
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}), seed {}", self.of.0, self.of.1.name(), self.seed)?;
        self.moves.iter().try_for_each(|(minute, what)| write!(f, "\n  minute {minute:>3}: {what}"))
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = |after: &bool| if *after { "done, and the answer lost" } else { "not done" };
        match self {
            Self::AlertAgain { which, times } => write!(f, "alert {which} comes {times} times more"),
            Self::AlertsBackwards => f.write_str("all alerts come again, the last first"),
            Self::AlertOfLastWeek { which } => write!(f, "alert {which} comes as one of last week"),
            Self::Crash(dies) => {
                let of = if dies.at_azure { "to the cloud" } else { "of the store" };
                write!(f, "the responder dies at call {} {of}, {}", dies.calls + 1, done(&dies.after))
            }
            Self::ClockJumps(minutes) => write!(f, "the responder's clock jumps by {minutes} minutes"),
            Self::Says(word) => write!(f, "ada says {word:?}"),
            Self::StoreFails { times, after } => write!(f, "{times} calls of the store fail, {}", done(after)),
            Self::AzureFails { kind, times, after } => {
                write!(f, "{times} requests to Azure fail by {kind:?}, {}", done(after))
            }
            Self::Does(what) => write!(f, "bob does {what:?}"),
        }
    }
}

fn any_move() -> impl Strategy<Value = Move> {
    let crash = (0_u32..24, any::<bool>(), any::<bool>());
    let kinds = prop::sample::select(vec![
        FaultKind::Throttle { retry_after: 20 },
        FaultKind::Status { status: 503, code: "ServiceUnavailable".to_owned() },
        FaultKind::Status { status: 500, code: "InternalServerError".to_owned() },
        FaultKind::Status { status: 401, code: "ExpiredAuthenticationToken".to_owned() },
        FaultKind::Status { status: 404, code: "ResourceNotFound".to_owned() },
        FaultKind::Reset,
        FaultKind::Truncated,
    ]);
    let tag = |value: Option<&str>| What::SetTag {
        target: None,
        name: "keymend-hold".to_owned(),
        value: value.map(str::to_owned),
    };
    let deeds = prop::sample::select(vec![
        tag(Some("audit")),
        tag(None),
        What::AddLock { scope: None, level: None },
        What::RemoveLock { scope: None },
        What::RevokePermission { server: None },
        What::GrantPermission { server: None },
        What::RecoverVault { vault: None },
        What::AssignIdentity { server: None },
    ]);
    let words = prop::sample::select(vec![
        Word::Approve,
        Word::Approve,
        Word::Reject,
        Word::Hold,
        Word::TakeOver,
        Word::Release,
    ]);
    let jumps = prop::sample::select(vec![5, -5, 60, -30, 7 * 60, -6 * 60, 3 * 24 * 60, -3 * 24 * 60]);
    prop_oneof![
        2 => (0_usize..6, 1_usize..4).prop_map(|(which, times)| Move::AlertAgain { which, times }),
        1 => Just(Move::AlertsBackwards),
        1 => (0_usize..6).prop_map(|which| Move::AlertOfLastWeek { which }),
        5 => crash.prop_map(|(calls, at_azure, after)| Move::Crash(Dies { calls, at_azure, after })),
        1 => jumps.prop_map(Move::ClockJumps),
        4 => words.prop_map(Move::Says),
        2 => (1_u32..6, any::<bool>()).prop_map(|(times, after)| Move::StoreFails { times, after }),
        2 => (kinds, 1_u32..6, any::<bool>()).prop_map(|(kind, times, after)| Move::AzureFails { kind, times, after }),
        2 => deeds.prop_map(Move::Does),
    ]
}

fn any_story() -> impl Strategy<Value = Story> {
    let moves = prop::collection::vec((1_i64..90, any_move()), 0..14);
    (prop::sample::select(STORIES.to_vec()), 0_u64..1000, moves).prop_map(|(of, seed, mut moves)| {
        moves.sort_by_key(|(minute, _)| *minute);
        Story { of, seed, moves }
    })
}

/// What happened in a story beside the script.
#[derive(Default)]
struct Happened {
    next: usize,
    approved: Vec<Timestamp>,
    deeds: Vec<(Timestamp, What)>,
    wrong_until: Option<Timestamp>,
    /// From when to when all that is open was held by people.
    held: Vec<(Timestamp, Timestamp)>,
    held_since: Option<Timestamp>,
}

impl Happened {
    async fn at_a_look(&mut self, story: &Story, life: &Life, store: &dyn Store, stage: &mut Stage, now: Timestamp) {
        if life.is_dead() {
            stage.replace().await;
        }
        if self.wrong_until.is_some_and(|until| now >= until) {
            self.wrong_until = None;
            stage.put_clock(SignedDuration::ZERO);
        }
        while let Some((minute, what)) = story.moves.get(self.next)
            && now >= add(stage.began(), SignedDuration::from_mins(*minute))
        {
            self.next += 1;
            self.make(what, life, store, stage, now).await;
        }
        self.see_holds(store, now).await;
    }

    async fn make(&mut self, what: &Move, life: &Life, store: &dyn Store, stage: &mut Stage, now: Timestamp) {
        let alerts = stage.cloud.deliveries();
        match what {
            Move::AlertAgain { which, times } => {
                if let Some(alert) = alerts.get(which % alerts.len().max(1)) {
                    for _ in 0..*times {
                        stage.post(&alert.body).await;
                    }
                }
            }
            Move::AlertsBackwards => {
                for alert in alerts.iter().rev() {
                    stage.post(&alert.body).await;
                }
            }
            Move::AlertOfLastWeek { which } => {
                if let Some(alert) = alerts.get(which % alerts.len().max(1)) {
                    let old = alert.body.to_string().replace("2026-11-24T", "2026-11-17T");
                    stage.post(&serde_json::from_str(&old).unwrap()).await;
                }
            }
            Move::Crash(dies) => life.ends(*dies),
            Move::ClockJumps(minutes) => {
                self.wrong_until = Some(add(now, WRONG_FOR));
                stage.put_clock(SignedDuration::from_mins(*minutes));
            }
            Move::Says(word) => self.say(*word, store, stage, now).await,
            Move::StoreFails { times, after } => life.fails(*times, *after),
            Move::AzureFails { kind, times, after } => {
                let fault = Fault::new(kind.clone(), "/subscriptions/", *times);
                stage.cloud.fault(if *after { fault.after_effect() } else { fault });
            }
            Move::Does(what) => {
                let deed = Break::new(what.clone()).by(Actor::person("bob@contoso.example"));
                // What cannot be done now, as recovering what is there, is not done.
                if stage.cloud.try_break(&deed).is_ok() {
                    self.deeds.push((now, what.clone()));
                }
            }
        }
    }

    async fn say(&mut self, word: Word, store: &dyn Store, stage: &Stage, now: Timestamp) {
        let Some(incident) = store.incidents(true, 10).await.unwrap().into_iter().next() else { return };
        let answer = match word {
            Word::Approve => Answer::Approve { code: None },
            Word::Reject => Answer::Reject { code: None, why: None },
            Word::Hold => Answer::Hold { why: None, taken_over: false },
            Word::TakeOver => Answer::Hold { why: None, taken_over: true },
            Word::Release => Answer::Release { why: None },
        };
        let by = By { name: "ada".to_owned(), way: "in this story" };
        let said = keep(store, &stage.responders_clock, &incident.id, &answer, &by, None, None).await;
        if said.is_ok() && matches!(word, Word::Approve) {
            self.approved.push(now);
        }
    }

    async fn see_holds(&mut self, store: &dyn Store, now: Timestamp) {
        let open = store.incidents(true, 10).await.unwrap();
        if !open.is_empty() && open.iter().all(|incident| incident.hold.is_some()) {
            let since = *self.held_since.get_or_insert(now);
            match self.held.last_mut() {
                Some((from, until)) if *from == since => *until = now,
                _ => self.held.push((since, now)),
            }
        } else {
            self.held_since = None;
        }
    }

    /// Nothing is changed while people hold all that is open.
    fn changed_while_held(&self, writes: &[Exchange]) -> Vec<String> {
        let within = |write: &&Exchange| {
            self.held.iter().any(|(from, until)| write.at > add(*from, ON_ITS_WAY) && write.at <= *until)
        };
        writes
            .iter()
            .filter(within)
            .map(|write| format!("while people held it: {} {} at {}", write.method, write.url, write.at))
            .collect()
    }
}

/// Plays it. Answers what does not hold, what came of it, and how many responders there were.
fn play(story: &Story) -> (Vec<String>, String, u32) {
    let life = Arc::new(Life::default());
    let memory: Arc<Mutex<Option<Arc<dyn Store>>>> = Arc::default();
    let mut plan = Plan::of(story.of.0, story.of.1, story.seed);
    plan.setup.people = People::NotAsked;
    let (lives, keeps) = (life.clone(), memory.clone());
    plan.wrap = Some(Arc::new(move |store| {
        *keeps.lock().unwrap() = Some(store.clone());
        Arc::new(Mortal::new(store, lives.clone()))
    }));
    on_a_thread(async {
        let stage = Stage::open(plan).await;
        let store = memory.lock().unwrap().clone().unwrap();
        let choose = life.clone();
        stage.cloud.fault_when(move |_| choose.at_azure());
        let mut happened = Happened::default();
        let mut played =
            stage.play(async |stage, now| happened.at_a_look(story, &life, store.as_ref(), stage, now).await).await;
        played.seen.approved.extend(&happened.approved);
        played.seen.deeds.extend(happened.deeds.iter().cloned());
        played.seen.deeds.sort_by_key(|(at, _)| *at);
        let writes = played.seen.cloud.requests_that(|one| one.is_write() && one.effect);
        let mut broken: Vec<String> = breaches(&played.seen).iter().map(ToString::to_string).collect();
        broken.extend(happened.changed_while_held(&writes));
        let account = Outcome::of(&played, 0).account;
        (broken, account, life.responders())
    })
}

/// Draws stories and plays them, some threads at a time.
fn stories(cases: u32, seed: u64) {
    let threads = cases.min(2);
    std::thread::scope(|scope| {
        for number in 0..threads {
            let cases = cases / threads + u32::from(number < cases % threads);
            scope.spawn(move || run(cases, seed.wrapping_add(u64::from(number))));
        }
    });
}

fn run(cases: u32, seed: u64) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    let (played, crashes) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let judged = TestRunner::new_with_rng(config, random).run(&any_story(), |story| {
        let (broken, _, responders) = play(&story);
        played.set(played.get() + 1);
        crashes.set(crashes.get() + responders.saturating_sub(1));
        if played.get() % 50 == 0 {
            say(&format!("{} of {cases} stories, {} responders died in them", played.get(), crashes.get()));
        }
        if broken.is_empty() { Ok(()) } else { Err(TestCaseError::fail(broken.join("\n"))) }
    });
    say(&format!("{} stories, {} responders died in them", played.get(), crashes.get()));
    match judged {
        Ok(()) => {}
        Err(TestError::Fail(_, story)) => {
            let (broken, account, _) = play(&story);
            panic!("{story:?}\n{}\n{account}", broken.join("\n"));
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// A few of them; `KEYMEND_TEST_CASES` for more.
#[test]
fn an_incident_stands_every_interleaving() {
    let cases = crate::number("KEYMEND_TEST_CASES").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(5);
    stories(cases, crate::seed());
}

/// The fault happens: a responder that dies between a change and the note of it is followed by one that does not repeat it.
#[test]
fn a_responder_that_dies_between_two_calls_is_followed_by_another() {
    for (calls, at_azure, after) in [(3, false, true), (6, true, true), (9, true, false)] {
        let dies = Move::Crash(Dies { calls, at_azure, after });
        let story = Story { of: STORIES[0], seed: 7, moves: vec![(3, dies.clone()), (8, dies)] };
        let (broken, account, responders) = play(&story);
        assert!(broken.is_empty(), "{story:?}\n{broken:?}\n{account}");
        assert!(responders > 1, "{story:?}: nobody died");
    }
}
