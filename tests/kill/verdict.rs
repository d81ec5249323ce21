//! What must hold in the end, whenever the process was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use keymend::domain::incident::Incident;
use keymend::drill::cloud::{Cloud, Delivery, Exchange, Plane};
use keymend::drill::judge;
use rusqlite::Connection;
use serde_json::Value;

use crate::invariants::{Seen, breaches};
use crate::requests::Kind;
use crate::story::Story;

/// What the next process says when it starts after a kill in the midst of something.
const TAKEN_UP: &str = "taking up what the process before this one was at";

/// A story that was played to its end.
pub struct Ended {
    pub story: Story,
    pub cloud: Cloud,
    pub incidents: Vec<Incident>,
    pub poison: Vec<(String, String)>,
    /// Signals in the store, and those of them that nobody took.
    pub signals: (usize, usize),
    pub deliveries: Vec<Delivery>,
    pub exchanges: Vec<Exchange>,
    pub carried_out: Vec<u64>,
    /// Of each process, in order.
    pub logs: Vec<String>,
    pub away: SignedDuration,
    pub kills: usize,
    /// When the story began, and when a person approved.
    pub began: Timestamp,
    pub approved: Vec<Timestamp>,
}

impl Ended {
    pub fn signals_in(store: &Path) -> (usize, usize) {
        let connection = Connection::open(store).unwrap();
        let count = |condition: &str| {
            let text = format!("SELECT count(*) FROM signal WHERE {condition}");
            connection.query_row(&text, [], |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap()
        };
        (count("true"), count("taken_at IS NULL"))
    }

    /// The same as everybody but the responder saw it.
    pub fn seen(&self) -> Seen {
        Seen {
            cloud: self.cloud.clone(),
            policy: self.story.setup.policy.clone(),
            deeds: self.story.breaks().into_iter().map(|one| (self.began, one.what)).collect(),
            approved: self.approved.clone(),
            failing_channels: Vec::new(),
            no_writes: false,
        }
    }

    /// From the first request to the last.
    pub fn length(&self) -> SignedDuration {
        let (first, last) = (self.exchanges.first(), self.exchanges.last());
        first.zip(last).map_or(SignedDuration::ZERO, |(first, last)| last.at.duration_since(first.at))
    }

    /// Everything that is not as it must be. `undisturbed`: the same story, without a kill.
    pub fn faults(&self, undisturbed: Option<&Self>) -> Vec<String> {
        let mut faults = judge::faults(&self.story.setup.expect, &self.incidents, &self.cloud);
        faults.extend(self.alerts());
        faults.extend(self.notices());
        if !self.story.asks() {
            faults.extend(breaches(&self.seen()).iter().map(ToString::to_string));
        }
        faults.extend(self.poison.iter().map(|(job, why)| format!("{job} was set aside: {why}")));
        if let Some(undisturbed) = undisturbed {
            let (mine, theirs) = (self.effects(), undisturbed.effects());
            if mine != theirs {
                faults.push(format!("took effect in Azure: {mine:?}; undisturbed: {theirs:?}"));
            }
            let (mine, theirs) = (self.told(), undisturbed.told());
            if mine != theirs {
                faults.push(format!("the team was told {mine:?}; undisturbed: {theirs:?}"));
            }
            let (mine, theirs) = (self.ends(), undisturbed.ends());
            if mine != theirs {
                faults.push(format!("it ended {mine:?}; undisturbed: {theirs:?}"));
            }
        }
        faults
    }

    /// The proof that the kill fell into the midst of work, and that the next process took that work up.
    pub fn took_up(&self) -> bool {
        self.kills > 0 && self.logs[1..].iter().all(|log| log.contains(TAKEN_UP))
    }

    fn ends(&self) -> Vec<String> {
        self.incidents.iter().map(|one| format!("{:?}: {}", one.phase, one.end.clone().unwrap_or_default())).collect()
    }

    /// The writes that changed something, each with how often.
    fn effects(&self) -> BTreeMap<Kind, usize> {
        let mut effects = BTreeMap::new();
        for one in self.exchanges.iter().filter(|one| one.effect && judge::is_write(one)) {
            *effects.entry(Kind::of(one)).or_default() += 1;
        }
        effects
    }

    fn told(&self) -> Vec<String> {
        let notices = self.incidents.iter().flat_map(|incident| &incident.notices);
        let mut told: Vec<String> = notices.map(|one| format!("{:?}/{:?}", one.situation, one.cause)).collect();
        told.sort();
        told
    }

    /// Every alert was taken, if need be when it was posted again, once and for all, and is in the incident.
    fn alerts(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut by_event: BTreeMap<&str, Vec<&Delivery>> = BTreeMap::new();
        for one in &self.deliveries {
            by_event.entry(&one.event).or_default().push(one);
        }
        if !self.story.patrol && by_event.len() != self.story.alerts {
            faults.push(format!("{} alerts were due, {} were posted", self.story.alerts, by_event.len()));
        }
        for (event, tries) in &by_event {
            let taken = tries.iter().filter(|one| one.status == Some(202)).count();
            if taken != 1 || tries.last().is_none_or(|last| last.status != Some(202)) {
                let answers: Vec<String> = tries.iter().map(|one| format!("{:?} {}", one.status, one.answer)).collect();
                faults.push(format!("alert {event} was answered {}", answers.join(", then ")));
            }
        }
        let (stored, untaken) = self.signals;
        if (stored, untaken) != (by_event.len(), 0) {
            faults
                .push(format!("{} alerts, {stored} signals in the store, {untaken} of them not taken", by_event.len()));
        }
        let members = self.incidents.iter().flat_map(|incident| incident.members.values());
        let known: BTreeSet<String> = members.flat_map(|member| member.databases.iter().cloned()).collect();
        let told_of = |one: &Delivery| {
            let target =
                one.body.pointer("/data/essentials/alertTargetIDs/0").and_then(Value::as_str).unwrap_or_default();
            target.rsplit('/').next().unwrap_or_default().to_owned()
        };
        let missing: BTreeSet<String> =
            self.deliveries.iter().map(told_of).filter(|name| !known.contains(name)).collect();
        faults.extend(missing.into_iter().map(|name| format!("{name} was told of and is not in the incident")));
        faults
    }

    /// Every notice reached every channel; one that was sent again is the same.
    fn notices(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut delivered: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        let answered = self.exchanges.iter().filter(|one| one.status != 0 || self.carried_out.contains(&one.number));
        for (sink, id, body) in sink_posts(&answered.cloned().collect::<Vec<_>>()) {
            delivered.entry((sink, id)).or_default().insert(body);
        }
        let notices = self.incidents.iter().flat_map(|incident| &incident.notices);
        let mut wanted = BTreeSet::new();
        for notice in notices {
            for sink in ["teams", "webhook"] {
                wanted.insert((sink.to_owned(), notice.id.clone()));
            }
        }
        let came: BTreeSet<_> = delivered.keys().cloned().collect();
        faults.extend(wanted.difference(&came).map(|(sink, id)| format!("{sink} never got message {id}")));
        faults.extend(
            came.difference(&wanted).map(|(sink, id)| format!("{sink} got message {id}, which is of no incident")),
        );
        for ((sink, id), bodies) in delivered.iter().filter(|(_, bodies)| bodies.len() > 1) {
            let bodies: Vec<&String> = bodies.iter().collect();
            faults.push(format!("{sink} got {} different messages {id}: {bodies:?}", bodies.len()));
        }
        faults
    }
}

/// What was posted to the sinks: which sink, the message's id, the body.
pub fn sink_posts(exchanges: &[Exchange]) -> Vec<(String, String, String)> {
    let posts = exchanges.iter().filter(|one| one.plane == Plane::Other && one.url.contains("/sink/"));
    let read = |one: &Exchange| {
        let sink = one.url.rsplit('/').next().unwrap_or_default().to_owned();
        let body = one.request_body.clone().unwrap_or_default();
        let id = match body["id"].as_str() {
            Some(id) => id.to_owned(),
            None => card_id(&body),
        };
        (sink, id, body.to_string())
    };
    posts.map(read).collect()
}

/// A card ends with `incident ID · message N`, and the message's id is `ID.N`.
fn card_id(body: &Value) -> String {
    let text = body.pointer("/attachments/0/content/fallbackText").and_then(Value::as_str).unwrap_or_default();
    let tail = text.rsplit_once("incident ").map_or("", |(_, tail)| tail);
    tail.trim().replace(" · message ", ".")
}
