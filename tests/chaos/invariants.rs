//! What must hold whatever happens, judged from the cloud's side: what Azure recorded, what was delivered to the responder,
//! what came to the team, and what there is in the world. What the responder says of itself is not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use keymend::clock::add;
use keymend::domain::policy::{Mode, Policy, Preset};
use keymend::domain::remedy::Remedy;
use keymend::domain::resource_id::ResourceId;
use keymend::drill::cloud::{Cloud, Delivery, Exchange, Plane, What};
use serde_json::Value;

use crate::messages::{Message, difference, gaps, message, message_id, tells_an_end, words};
use crate::writes::{changed_twice, is_under, over_budget, path_of, remedy_of, resource};

/// How soon after a gate came down a change that was already on its way may still arrive.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(60);
/// The channels that every story has, by the path of their sink.
const CHANNELS: [&str; 2] = ["teams", "webhook"];

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Each alert of a loss that was answered 202 was looked into, and the team heard of its server.
    NoAlertLost,
    /// At most one change took effect by remedy and thing in one incident.
    ChangedOnce,
    /// Nothing outside the scope was written to.
    InScope,
    /// Nothing was written past a hold, a lock, a deliberate revocation, a person who was not asked, or an observer's policy.
    NotPastAGate,
    /// The writes of no hour exceed the budget.
    WithinBudget,
    /// Every incident ended, or is with a person.
    EndsOrIsWithAPerson,
    /// The team was told, all of it, on every channel, and each message is one message.
    TeamTold,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAlertLost => "no alert lost",
            Self::ChangedOnce => "changed once",
            Self::InScope => "in scope",
            Self::NotPastAGate => "not past a gate",
            Self::WithinBudget => "within budget",
            Self::EndsOrIsWithAPerson => "ends or is with a person",
            Self::TeamTold => "team told",
        })
    }
}

/// An invariant that does not hold.
#[derive(Debug, Clone)]
pub struct Breach {
    pub of: Invariant,
    pub why: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.of, self.why)
    }
}

/// A story that was played, as everybody but the responder saw it.
pub struct Seen {
    pub cloud: Cloud,
    /// What the operator allows.
    pub policy: Policy,
    /// What people and accidents did, and when.
    pub deeds: Vec<(Timestamp, What)>,
    /// When a person approved.
    pub approved: Vec<Timestamp>,
    /// Channels whose receiver refused or hung in this story, so that only another one can be asked for.
    pub failing_channels: Vec<&'static str>,
    /// Not one write may reach Azure in this story.
    pub no_writes: bool,
}

/// Everything that does not hold.
pub fn breaches(seen: &Seen) -> Vec<Breach> {
    let mut all = Vec::new();
    let mut add = |of, whys: Vec<String>| all.extend(whys.into_iter().map(|why| Breach { of, why }));
    let writes = seen.cloud.requests_that(Exchange::is_write);
    let messages = seen.messages();
    add(Invariant::NoAlertLost, seen.alerts_lost(&messages));
    add(Invariant::ChangedOnce, changed_twice(&seen.cloud, &writes));
    add(Invariant::InScope, seen.out_of_scope(&writes));
    add(Invariant::NotPastAGate, seen.past_a_gate(&writes));
    add(Invariant::WithinBudget, over_budget(&writes, seen.policy.gates.writes_per_hour));
    add(Invariant::EndsOrIsWithAPerson, seen.open_ends(&messages));
    add(Invariant::TeamTold, seen.untold(&messages));
    all
}

impl Seen {
    /// What the webhook's receiver took: it tells what each message is about in fields.
    fn messages(&self) -> Vec<Message> {
        let inbox = self.cloud.inbox();
        let taken = inbox.iter().filter(|one| one.sink == "webhook" && (200..300).contains(&one.status));
        taken.filter_map(|one| message(&one.body)).collect()
    }

    fn alerts_lost(&self, messages: &[Message]) -> Vec<String> {
        let told: BTreeSet<&String> = messages.iter().flat_map(|message| &message.servers).collect();
        let world = self.cloud.world();
        let mut lost = Vec::new();
        let alerts = self.cloud.deliveries();
        for alert in alerts.iter().filter(|one| one.status == Some(202) && tells_a_loss(one)) {
            let Some(server) = server_of(alert) else { continue };
            let since = happened_at(alert);
            let looked = |one: &Exchange| one.at >= since && path_of(one).to_lowercase().contains(&server);
            if self.cloud.requests_that(looked).is_empty() {
                lost.push(format!(
                    "alert {} about {server} was taken at {} and never looked into",
                    alert.event, alert.at
                ));
            } else if world["losses"] != 0 && !self.false_alarm() && !told.contains(&server) {
                lost.push(format!("alert {} was taken, and no message names {server}", alert.event));
            }
        }
        lost
    }

    /// Nobody broke anything: an alert may then be a false one.
    fn false_alarm(&self) -> bool {
        self.deeds.iter().all(|(_, what)| matches!(what, What::PostAlert { .. }))
    }

    fn out_of_scope(&self, writes: &[Exchange]) -> Vec<String> {
        let world = self.cloud.world();
        let vaults: Vec<(String, ResourceId)> = list(&world["vaults"])
            .filter_map(|vault| {
                Some((vault["name"].as_str()?.to_lowercase(), ResourceId::parse(vault["id"].as_str()?).ok()?))
            })
            .collect();
        let outside = |write: &&Exchange| {
            let rest = path_of(write).trim_start_matches("https://");
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if write.plane == Plane::KeyVault {
                let name = host.split('.').next().unwrap_or_default().to_lowercase();
                let vault = vaults.iter().find(|(known, _)| *known == name);
                return !vault.is_some_and(|(_, id)| self.policy.scope.covers(id));
            }
            let target = path.split("/providers/Microsoft.Authorization").next().unwrap_or(path);
            !resource(target).is_some_and(|id| self.policy.scope.covers(&id))
        };
        writes.iter().filter(outside).map(|write| format!("{} {}", write.method, path_of(write))).collect()
    }

    fn past_a_gate(&self, writes: &[Exchange]) -> Vec<String> {
        let said = |write: &Exchange, why: &str| format!("{} {} at {}, {why}", write.method, path_of(write), write.at);
        let mut past = Vec::new();
        for write in writes {
            let remedy = remedy_of(write);
            let mode = self.policy.mode(remedy);
            let approved = self.approved.iter().any(|at| *at <= write.at);
            if self.no_writes {
                past.push(said(write, "in a story in which nothing may be written"));
            } else if self.policy.preset == Preset::Observe || self.policy.dry_run || mode == Mode::Off {
                past.push(said(write, "which the policy forbids"));
            } else if mode == Mode::Approve && !approved {
                past.push(said(write, "and nobody had approved it"));
            }
            if let Some((at, gate)) = self.gate_before(write) {
                past.push(said(write, &format!("although {gate} since {at}")));
            }
        }
        past
    }

    /// What people had done that forbids this change, long enough before for everybody to know.
    fn gate_before(&self, write: &Exchange) -> Option<(Timestamp, String)> {
        let before = |began: Timestamp| write.at > add(began, ON_ITS_WAY);
        let tag = self.policy.gates.hold_tag.as_str();
        let (mut held, mut locked, mut denied) = (None, None, None);
        for (began, what) in self.deeds.iter().filter(|(began, _)| before(*began)) {
            match what {
                What::SetTag { name, value, .. } if name.eq_ignore_ascii_case(tag) => {
                    let holds = value.as_deref().is_some_and(|value| value != "false");
                    held = holds.then(|| (*began, format!("the tag {name} was set")));
                }
                What::AddLock { scope, .. } if is_under(write, scope.as_deref()) => {
                    locked = Some((*began, "a lock was set".to_owned()));
                }
                What::AddDeny { .. } if remedy_of(write) == Remedy::AssignRole => {
                    denied = Some((*began, "a deny assignment was made".to_owned()));
                }
                What::RemoveLock { .. } => locked = None,
                What::RemoveDeny { .. } => denied = None,
                _ => {}
            }
        }
        held.or(locked).or(denied)
    }

    fn open_ends(&self, messages: &[Message]) -> Vec<String> {
        const OVER: [&str; 3] = ["resolved", "recovered_without_us", "settings_restored"];
        const PERSON: [&str; 4] = ["escalated", "approval_asked", "approval_reminder", "observed_only"];
        let told_elsewhere = self.ends_told_elsewhere();
        let mut last: BTreeMap<&str, &Message> = BTreeMap::new();
        for message in messages {
            let known = last.entry(&message.incident).or_insert(message);
            if message.sequence >= known.sequence {
                *known = message;
            }
        }
        let mut open: Vec<String> = last
            .values()
            .filter(|message| !OVER.contains(&message.situation.as_str()))
            .filter(|message| !told_elsewhere.contains(&message.incident))
            // Once with a person, what follows tells how it stands.
            .filter(|last| {
                !messages.iter().any(|one| one.incident == last.incident && PERSON.contains(&one.situation.as_str()))
            })
            .map(|message| {
                format!("incident {} stops at message {}, {}", message.incident, message.sequence, message.situation)
            })
            .collect();
        let with_person = last.values().any(|message| !OVER.contains(&message.situation.as_str()));
        let down: Vec<String> = self
            .cloud
            .statuses()
            .into_iter()
            .filter(|(_, status)| status == "Inaccessible")
            .map(|(name, _)| name)
            .collect();
        if !down.is_empty() && !with_person {
            open.push(format!("{} are inaccessible, and no incident is open", down.join(", ")));
        }
        open
    }

    /// Incidents of which Teams was told how they ended, or that a person is needed, where the webhook's receiver refuses messages
    /// for good in this story.
    fn ends_told_elsewhere(&self) -> BTreeSet<String> {
        if !self.failing_channels.contains(&"webhook") {
            return BTreeSet::new();
        }
        let inbox = self.cloud.inbox();
        let taken = inbox.iter().filter(|one| one.sink == "teams" && (200..300).contains(&one.status));
        taken
            .filter(|one| tells_an_end(&one.body))
            .filter_map(|one| Some(message_id(&one.body)?.rsplit_once('.')?.0.to_owned()))
            .collect()
    }

    fn untold(&self, messages: &[Message]) -> Vec<String> {
        let mut untold = Vec::new();
        let world = self.cloud.world();
        if messages.is_empty() && self.failing_channels.is_empty() && world["losses"] != 0 && !self.false_alarm() {
            untold.push("databases were lost, and no message came".to_owned());
        }
        let mut came: BTreeMap<&str, BTreeMap<String, BTreeSet<Vec<String>>>> = BTreeMap::new();
        for posted in self.cloud.inbox().iter().filter(|one| (200..300).contains(&one.status)) {
            let Some(channel) = CHANNELS.iter().find(|channel| **channel == posted.sink) else { continue };
            let Some(id) = message_id(&posted.body) else { continue };
            came.entry(channel).or_default().entry(id).or_default().insert(words(&posted.body));
        }
        let all: BTreeSet<&String> = came.values().flat_map(BTreeMap::keys).collect();
        for channel in CHANNELS.iter().filter(|channel| !self.failing_channels.contains(channel)) {
            let got = came.get(channel);
            let missing = all.iter().filter(|id| !got.is_some_and(|got| got.contains_key(**id)));
            untold.extend(missing.map(|id| format!("{channel} never got message {id}")));
        }
        for (channel, messages) in &came {
            let differ = messages.iter().filter(|(_, bodies)| bodies.len() > 1);
            untold.extend(differ.map(|(id, bodies)| {
                format!("{channel} got {} different messages {id}: {}", bodies.len(), difference(bodies))
            }));
        }
        if self.failing_channels.is_empty() {
            untold.extend(gaps(messages));
        }
        untold
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

/// The server that an alert is about, as a part of a path.
fn server_of(alert: &Delivery) -> Option<String> {
    let target = alert.body.pointer("/data/essentials/alertTargetIDs/0")?.as_str()?.to_lowercase();
    let (_, rest) = target.split_once("/servers/")?;
    Some(format!("/servers/{}", rest.split('/').next()?))
}

/// When that happened which an alert tells of: what was seen since then is seen.
fn happened_at(alert: &Delivery) -> Timestamp {
    let told = alert.body.pointer("/data/alertContext/eventTimestamp").and_then(Value::as_str);
    told.and_then(|at| at.parse().ok()).unwrap_or(alert.at)
}

fn tells_a_loss(alert: &Delivery) -> bool {
    alert.body.to_string().contains("MakeDatabaseInaccessible")
}
