//! What a storm cost: requests to Resource Manager before and after the last write, and messages to the team.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use keymend::domain::incident::Incident;
use keymend::drill::cloud::{Cloud, Exchange, Plane};
use keymend::drill::judge::is_write;
use serde_json::Value;

/// Requests to Resource Manager, split at the last write that took effect.
pub struct Accounts {
    /// Writes that took effect, in order.
    pub writes: Vec<Exchange>,
    /// Requests up to and including the last write.
    pub until_last_write: usize,
    /// What they were, by kind, for messages.
    pub before: BTreeMap<String, usize>,
    /// Later requests, pass by pass.
    pub passes: Vec<Pass>,
}

/// Requests without a gap of ten seconds between them.
#[derive(Debug, Clone)]
pub struct Pass {
    pub began: Timestamp,
    pub ended: Timestamp,
    pub requests: usize,
    /// What they were, by kind, for messages.
    pub kinds: BTreeMap<String, usize>,
}

/// Two requests further apart than this belong to two passes.
const GAP: SignedDuration = SignedDuration::from_secs(10);
/// Between the last write and the first verification pass.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(30);
/// The longest wait between two passes.
const CEILING: SignedDuration = SignedDuration::from_mins(8);

impl Accounts {
    pub fn of(cloud: &Cloud) -> Self {
        Self::count(cloud.requests(), false)
    }

    /// Of requests whose URL does not contain `left_out`, where news may call for a pass at any moment: what is read again
    /// at once is another pass.
    pub fn without(cloud: &Cloud, left_out: &[&str]) -> Self {
        let mut all = cloud.requests();
        all.retain(|one| left_out.iter().all(|part| !one.url.contains(part)));
        Self::count(all, true)
    }

    fn count(all: Vec<Exchange>, again_is_another: bool) -> Self {
        let writes: Vec<Exchange> = all.iter().filter(|one| is_write(one) && one.effect).cloned().collect();
        let last = writes.last().map_or(0, |write| write.number);
        let arm = || all.iter().filter(|one| one.plane == Plane::Arm);
        let mut passes: Vec<Pass> = Vec::new();
        let mut read = BTreeSet::new();
        for one in arm().filter(|one| one.number > last) {
            let again = !read.insert(one.url.clone()) && again_is_another;
            match passes.last_mut() {
                Some(pass) if one.at.duration_since(pass.ended) < GAP && !again => {
                    pass.ended = one.at;
                    pass.requests += 1;
                }
                _ => {
                    read = BTreeSet::from([one.url.clone()]);
                    passes.push(Pass { began: one.at, ended: one.at, requests: 1, kinds: BTreeMap::new() });
                }
            }
            if let Some(pass) = passes.last_mut() {
                *pass.kinds.entry(kind(one)).or_default() += 1;
            }
        }
        let mut before = BTreeMap::new();
        for one in arm().filter(|one| one.number <= last) {
            *before.entry(kind(one)).or_default() += 1;
        }
        Self { until_last_write: before.values().sum(), before, passes, writes }
    }

    /// All requests to Resource Manager.
    pub fn all(&self) -> usize {
        self.until_last_write + self.passes.iter().map(|pass| pass.requests).sum::<usize>()
    }

    /// As [`Self::assert_bounded`], and the passes back off to one in eight minutes.
    pub fn assert_frugal(&self, servers: usize, fixed: usize, each: usize) {
        self.assert_bounded(servers, fixed, each);
        self.assert_backing_off();
    }

    /// At most `fixed` + `each` requests a server up to and including the last write; at most one a server in each
    /// later pass.
    pub fn assert_bounded(&self, servers: usize, fixed: usize, each: usize) {
        let allowed = fixed + each * servers;
        assert!(
            self.until_last_write <= allowed,
            "{} requests up to the last write: {:#?}",
            self.until_last_write,
            self.before
        );
        for pass in &self.passes {
            assert!(pass.requests <= servers, "more than one request a server in {pass:#?}");
        }
    }

    /// No pass follows another sooner than the first one follows the write, and all of them are few: 30 s, 1, 2 and 4
    /// minutes, then one in eight minutes. Two more are due when the self-heal window is about to end and when it ends.
    fn assert_backing_off(&self) {
        let (Some(first), Some(last), Some(write)) = (self.passes.first(), self.passes.last(), self.writes.last())
        else {
            return;
        };
        // A change is read back at once.
        let later = self.passes.iter().map(|pass| pass.began).filter(|began| began.duration_since(write.at) >= GAP);
        let starts: Vec<Timestamp> = std::iter::once(write.at).chain(later).collect();
        let gaps: Vec<SignedDuration> = starts.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect();
        assert!(gaps.iter().all(|gap| *gap >= FIRST_WAIT), "passes follow each other too fast: {gaps:?}");
        let minutes = last.began.duration_since(first.began).as_mins();
        let most = 4 + 2 + 1 + usize::try_from(minutes / CEILING.as_mins()).unwrap();
        assert!(self.passes.len() <= most, "{} passes in {minutes} minutes: {gaps:?}", self.passes.len());
    }

    /// Writes in words, for messages.
    pub fn writes_in_words(&self) -> Vec<String> {
        self.writes.iter().map(|one| format!("{} {}", one.method, one.url)).collect()
    }
}

/// What is told apart when messages are counted: situation and cause, and where two changes of one incident are
/// unavoidable, the change.
pub fn assert_one_card_each(cloud: &Cloud, incident: &Incident, changes: usize) {
    let inbox = cloud.inbox();
    let taken = |sink: &str| -> Vec<Value> {
        inbox.iter().filter(|one| one.sink == sink && one.status < 300).map(|one| one.body.clone()).collect()
    };
    let (cards, events) = (taken("teams"), taken("webhook"));
    let events: Vec<&Value> =
        events.iter().filter(|event| event["data"]["incident"] == incident.id.0.as_str()).collect();
    let of_incident: Vec<&Value> = cards.iter().filter(|card| card.to_string().contains(&incident.id.0)).collect();
    let twice = |keys: Vec<String>, most: usize| {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for key in keys {
            *seen.entry(key).or_default() += 1;
        }
        seen.retain(|_, count| *count > most);
        seen
    };
    let by_id = twice(events.iter().map(|event| event["id"].to_string()).collect(), 1);
    assert!(by_id.is_empty(), "sent more than once: {by_id:?}");
    let by_content = twice(of_incident.iter().map(|card| card.to_string()).collect(), 1);
    assert!(by_content.is_empty(), "the same card twice: {by_content:?}");
    let situation = |event: &&Value| format!("{} {}", event["data"]["situation"], event["data"]["cause"]["name"]);
    let by_situation = twice(events.iter().map(situation).collect(), 1);
    let made = by_situation.iter().all(|(what, count)| what.contains("change_made") && *count <= changes);
    assert!(made, "more than one card: {by_situation:?}");
    assert_eq!(of_incident.len(), incident.notices.len(), "every message is one card");
    assert_eq!(events.len(), incident.notices.len(), "every message is one event");
}

/// The minute and kind of a request: its path without names.
fn kind(one: &Exchange) -> String {
    let path = one.url.split_once('?').map_or(one.url.as_str(), |(path, _)| path);
    let words: Vec<&str> = path.split('/').filter(|word| word.chars().all(char::is_alphabetic)).collect();
    format!("{} {} {}", one.at.strftime("%H:%M:%S"), one.method, words[words.len().saturating_sub(3)..].join("/"))
}
