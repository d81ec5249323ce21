//! What the patrol has told of already. What a person has closed stays closed as long as nothing has changed, and what was
//! told a minute ago is not told again; but nothing that came to nothing is left untold.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::add;
use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::incident::{Incident, IncidentId, IncidentKey, Phase};
use crate::domain::resource_id::ResourceId;
use crate::responder::Responder;
use crate::store::StoreError;

/// The kind of fact that remembers what was told of a vault or a server.
const TOLD: &str = "patrol_told";
/// The kind of fact that remembers which incident was last seen at work on a vault or server.
const AT_WORK: &str = "patrol_at_work";
/// How long a telling may take to become an incident.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// Ended incidents that are looked through for the one of a telling.
const MOST: usize = 500;

/// What a round saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Seen {
    /// Causes, each with what is broken and whom it keeps from the key.
    Broken(BTreeSet<(Cause, String, BTreeSet<String>)>),
    /// A server's databases that are down.
    Down(ResourceId, BTreeSet<String>),
}

impl Seen {
    /// The causes of a diagnosis; none if nothing was seen to be broken.
    pub fn broken(diagnosis: &Diagnosis) -> Option<Self> {
        let broken = diagnosis.findings.iter().filter(|finding| is_broken(finding.cause));
        let broken = broken.map(|finding| {
            let servers = finding.servers.iter().map(|server| server.key().to_owned()).collect();
            (finding.cause, finding.resource.clone(), servers)
        });
        let broken: BTreeSet<_> = broken.collect();
        (!broken.is_empty()).then_some(Self::Broken(broken))
    }

    /// The vault or server that it is about.
    fn about(&self, incident: &IncidentKey) -> String {
        match self {
            Self::Broken(_) => incident.0.clone(),
            Self::Down(server, _) => server.key().to_owned(),
        }
    }

    /// Whether whoever closed the incident knew of it: all of it, or the cause of it.
    fn was_known(&self, incident: &Incident) -> bool {
        let known = incident.diagnosis.as_ref().and_then(Self::broken);
        let Some(Self::Broken(known)) = known else {
            return matches!(self, Self::Down(server, down) if was_down(incident, server, down));
        };
        match self {
            Self::Broken(now) => now.iter().all(|(cause, resource, servers)| {
                known.iter().any(|one| one.0 == *cause && one.1 == *resource && servers.is_subset(&one.2))
            }),
            Self::Down(server, down) => {
                was_down(incident, server, down) || known.iter().any(|one| one.2.contains(server.key()))
            }
        }
    }
}

fn was_down(incident: &Incident, server: &ResourceId, down: &BTreeSet<String>) -> bool {
    incident.members.get(server.key()).is_some_and(|member| down.is_subset(&member.inaccessible))
}

/// Whether a cause was seen, as opposed to not being able to see, or to nothing that concerns us.
pub(super) const fn is_broken(cause: Cause) -> bool {
    !matches!(
        cause,
        Cause::Healthy
            | Cause::StillInaccessible
            | Cause::Undetermined
            | Cause::ServiceManaged
            | Cause::TargetGone
            | Cause::ManagedHsm
            | Cause::CrossTenant
    )
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Told {
    told: BTreeMap<String, (Value, Timestamp)>,
    at_work: BTreeMap<String, Value>,
    new: BTreeMap<(&'static str, String), Value>,
}

impl Told {
    pub async fn load(responder: &Responder) -> Result<Self, StoreError> {
        let told = responder.store.facts(TOLD).await?;
        let at_work = responder.store.facts(AT_WORK).await?;
        Ok(Self {
            told: told.into_iter().map(|(about, what, at)| (about, (what, at))).collect(),
            at_work: at_work.into_iter().map(|(about, id, _)| (about, id)).collect(),
            new: BTreeMap::new(),
        })
    }

    /// An incident is open: what it knows when a person closes it will not be told again.
    pub fn is_at_work(&mut self, incident: &Incident) {
        let id = json!(incident.id);
        if self.at_work.get(&incident.key.0) != Some(&id) {
            self.new.insert((AT_WORK, incident.key.0.clone()), id);
        }
    }

    /// Nothing is wrong: what was told is over, and so is what was closed.
    pub fn is_well(&mut self, about: &str) {
        let told = self.told.get(about).is_some_and(|(told, _)| !told.is_null());
        let at_work = self.at_work.get(about).is_some_and(|id| !id.is_null());
        for (kind, _) in [(TOLD, told), (AT_WORK, at_work)].into_iter().filter(|(_, known)| *known) {
            self.new.insert((kind, about.to_owned()), Value::Null);
        }
    }

    /// Whether it is to be told; if so it counts as told once [`Self::keep`] was called. `key` is that of the incident
    /// which it would become.
    pub async fn is_news(&mut self, responder: &Responder, key: &IncidentKey, seen: &Seen) -> Result<bool, StoreError> {
        if self.was_closed(responder, key, seen).await? {
            return Ok(false);
        }
        let (about, what) = (seen.about(key), json!(seen));
        let news = match self.told.get(&about) {
            Some((told, at)) if *told == what => match ended_since(responder, key, *at).await? {
                Some(Phase::Closed) => false,
                Some(_) => true,
                None => responder.clock.now() >= add(*at, PATIENCE),
            },
            _ => true,
        };
        if news {
            self.new.insert((TOLD, about), what);
        }
        Ok(news)
    }

    async fn was_closed(&self, responder: &Responder, key: &IncidentKey, seen: &Seen) -> Result<bool, StoreError> {
        let last = self.at_work.get(&key.0).and_then(|id| serde_json::from_value::<IncidentId>(id.clone()).ok());
        let Some(id) = last else { return Ok(false) };
        let found = responder.store.incident(&id).await?;
        Ok(found.is_some_and(|(incident, _)| incident.phase == Phase::Closed && seen.was_known(&incident)))
    }

    /// To be called once the signals are stored: a crash in between tells once more, and loses nothing.
    pub async fn keep(self, responder: &Responder) -> Result<(), StoreError> {
        let now = responder.clock.now();
        for ((kind, about), what) in self.new {
            responder.store.keep_fact(kind, &about, &what, now).await?;
        }
        Ok(())
    }
}

/// How the last incident of that key ended, if one did since then.
async fn ended_since(responder: &Responder, key: &IncidentKey, since: Timestamp) -> Result<Option<Phase>, StoreError> {
    let all = responder.store.incidents(false, MOST).await?;
    let ended = all.into_iter().filter(|past| past.key == *key && past.ended_at.is_some_and(|at| at >= since));
    Ok(ended.max_by_key(|past| past.ended_at).map(|past| past.phase))
}
