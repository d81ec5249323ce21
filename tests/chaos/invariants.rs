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

/// A message that came to the team.
struct Message {
    incident: String,
    sequence: u64,
    situation: String,
    servers: BTreeSet<String>,
}

/// Everything that does not hold.
pub fn breaches(seen: &Seen) -> Vec<Breach> {
    let mut all = Vec::new();
    let mut add = |of, whys: Vec<String>| all.extend(whys.into_iter().map(|why| Breach { of, why }));
    let writes = seen.cloud.requests_that(Exchange::is_write);
    let messages = seen.messages();
    add(Invariant::NoAlertLost, seen.alerts_lost(&messages));
    add(Invariant::ChangedOnce, changed_twice(&writes));
    add(Invariant::InScope, seen.out_of_scope(&writes));
    add(Invariant::NotPastAGate, seen.past_a_gate(&writes));
    add(Invariant::WithinBudget, over_budget(&writes, seen.policy.gates.writes_per_hour));
    add(Invariant::EndsOrIsWithAPerson, seen.open_ends(&messages));
    add(Invariant::TeamTold, seen.untold(&messages));
    all
}

/// Which remedy a write is, by what it asks of Azure.
pub fn remedy_of(write: &Exchange) -> Remedy {
    let (url, method) = (write.url.to_lowercase(), write.method.as_str());
    let path = url.split('?').next().unwrap_or_default();
    let body = write.request_body.clone().unwrap_or_default();
    let kind = path.rsplit('/').nth(1).unwrap_or_default();
    match (write.plane, method) {
        (Plane::KeyVault, "POST") => Remedy::RecoverKey,
        (Plane::KeyVault, _) if body.pointer("/attributes/exp").is_some() => Remedy::ExtendExpiry,
        (Plane::KeyVault, _) => Remedy::EnableKey,
        _ if path.ends_with("/revalidate") => Remedy::Revalidate,
        _ if kind == "roleassignments" => Remedy::AssignRole,
        _ if kind == "accesspolicies" => Remedy::AddAccessPolicy,
        (_, "PUT") if kind == "vaults" => Remedy::RecoverVault,
        (_, _) if kind == "vaults" => Remedy::TrustedServicesBypass,
        (_, "PATCH") if kind == "servers" || kind == "managedinstances" => Remedy::AssignIdentity,
        _ => Remedy::RestoreSettings,
    }
}

fn path_of(exchange: &Exchange) -> &str {
    exchange.url.split('?').next().unwrap_or_default()
}

/// What a write is about. A role assignment has a name of its own each time: there the principal counts.
fn thing_of(write: &Exchange) -> String {
    let path = path_of(write).to_lowercase();
    let principal = write.request_body.as_ref().and_then(|body| body.pointer("/properties/principalId")?.as_str());
    match (remedy_of(write), principal) {
        (Remedy::AssignRole, Some(principal)) => {
            format!("{} for {principal}", path.rsplit_once('/').map_or(path.as_str(), |(scope, _)| scope))
        }
        _ => path,
    }
}

fn changed_twice(writes: &[Exchange]) -> Vec<String> {
    let mut effects: BTreeMap<(Remedy, String), Vec<Timestamp>> = BTreeMap::new();
    for write in writes.iter().filter(|write| write.effect) {
        effects.entry((remedy_of(write), thing_of(write))).or_default().push(write.at);
    }
    // Each setting is a change of its own, told apart by its body.
    effects.retain(|(remedy, _), at| *remedy != Remedy::RestoreSettings && at.len() > 1);
    effects.into_iter().map(|((remedy, thing), at)| format!("{remedy} took effect {at:?} on {thing}")).collect()
}

fn over_budget(writes: &[Exchange], budget: u32) -> Vec<String> {
    let effects: Vec<Timestamp> = writes.iter().filter(|write| write.effect).map(|write| write.at).collect();
    let hour = |from: &Timestamp| {
        effects.iter().filter(|at| *at >= from && **at < add(*from, SignedDuration::from_hours(1))).count()
    };
    let most = effects.iter().map(hour).max().unwrap_or_default();
    let allowed = usize::try_from(budget).unwrap_or(usize::MAX);
    if most > allowed { vec![format!("{most} changes in an hour, {budget} are allowed")] } else { Vec::new() }
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
            if let Some((at, gate)) = self.gate_before(write.at) {
                past.push(said(write, &format!("although {gate} since {at}")));
            }
        }
        past
    }

    /// What people had done by then that forbids every change, long enough before for everybody to know.
    fn gate_before(&self, at: Timestamp) -> Option<(Timestamp, String)> {
        let before = |began: Timestamp| at > add(began, ON_ITS_WAY);
        let hold = self.policy.gates.hold_tag.as_str();
        let mut gate = None;
        for (began, what) in self.deeds.iter().filter(|(began, _)| before(*began)) {
            match what {
                What::SetTag { name, value, .. } if name.eq_ignore_ascii_case(hold) => {
                    let held = value.as_deref().is_some_and(|value| value != "false");
                    gate = held.then(|| (*began, format!("the tag {name} was set")));
                }
                What::AddLock { .. } => gate = Some((*began, "a lock was set".to_owned())),
                What::AddDeny { .. } => gate = Some((*began, "a deny assignment was made".to_owned())),
                What::RemoveLock { .. } | What::RemoveDeny { .. } => gate = None,
                _ => {}
            }
        }
        gate
    }

    fn open_ends(&self, messages: &[Message]) -> Vec<String> {
        const OVER: [&str; 3] = ["resolved", "recovered_without_us", "settings_restored"];
        const PERSON: [&str; 4] = ["escalated", "approval_asked", "approval_reminder", "observed_only"];
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

    fn untold(&self, messages: &[Message]) -> Vec<String> {
        let mut untold = Vec::new();
        let world = self.cloud.world();
        if messages.is_empty() && self.failing_channels.is_empty() && world["losses"] != 0 && !self.false_alarm() {
            untold.push("databases were lost, and no message came".to_owned());
        }
        let mut came: BTreeMap<&str, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for posted in self.cloud.inbox().iter().filter(|one| (200..300).contains(&one.status)) {
            let Some(channel) = CHANNELS.iter().find(|channel| **channel == posted.sink) else { continue };
            let Some(id) = message_id(&posted.body) else { continue };
            came.entry(channel).or_default().entry(id).or_default().insert(posted.body.to_string());
        }
        let all: BTreeSet<&String> = came.values().flat_map(BTreeMap::keys).collect();
        for channel in CHANNELS.iter().filter(|channel| !self.failing_channels.contains(channel)) {
            let got = came.get(channel);
            let missing = all.iter().filter(|id| !got.is_some_and(|got| got.contains_key(**id)));
            untold.extend(missing.map(|id| format!("{channel} never got message {id}")));
        }
        for (channel, messages) in &came {
            let differ = messages.iter().filter(|(_, bodies)| bodies.len() > 1);
            untold.extend(differ.map(|(id, bodies)| format!("{channel} got {} different messages {id}", bodies.len())));
        }
        if self.failing_channels.is_empty() {
            untold.extend(gaps(messages));
        }
        untold
    }
}

/// Messages of an incident are counted from 1: one that is missing was written and never came.
fn gaps(messages: &[Message]) -> Vec<String> {
    let mut of: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for message in messages {
        of.entry(&message.incident).or_default().insert(message.sequence);
    }
    let missing = |(incident, got): (&str, BTreeSet<u64>)| {
        let last = got.last().copied().unwrap_or_default();
        (1..=last)
            .filter(|one| !got.contains(one))
            .map(|one| format!("message {one} of {incident} never came"))
            .collect::<Vec<_>>()
    };
    of.into_iter().flat_map(missing).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

/// What a path leads to: the longest beginning of it that is a resource's id.
fn resource(path: &str) -> Option<ResourceId> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]).collect::<Vec<_>>();
    ends.into_iter().rev().find_map(|end| ResourceId::parse(&path[..end]).ok())
}

fn message(body: &Value) -> Option<Message> {
    let data = &body["data"];
    let text = data.to_string().to_lowercase();
    let servers = text.match_indices("/servers/").map(|(at, mark)| {
        let rest = &text[at + mark.len()..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        format!("/servers/{}", &rest[..end])
    });
    Some(Message {
        incident: data["incident"].as_str()?.to_owned(),
        sequence: data["sequence"].as_u64()?,
        situation: data["situation"].as_str()?.to_owned(),
        servers: servers.collect(),
    })
}

/// A message's id: in the event, or at the end of a card's text (`incident ID · message N`).
fn message_id(body: &Value) -> Option<String> {
    if let Some(id) = body["id"].as_str() {
        return Some(id.to_owned());
    }
    let text = body.pointer("/attachments/0/content/fallbackText")?.as_str()?;
    let (_, tail) = text.rsplit_once("incident ")?;
    Some(tail.trim().replace(" · message ", "."))
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
