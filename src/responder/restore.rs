//! After an outage: compares settings with what they were, and puts back what Azure dropped.
//!
//! The incident has ended when this begins: the databases are in service and people have been told so. A new loss opens an
//! incident of its own, and ends this. One pass is: follow what runs, read everything again, take in what is back, then
//! decide and make a few changes, each of which the next pass sees in Azure before it counts.

mod decide;

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::draft::Draft;
use super::{JobResult, Responder};
use crate::clock::add;
use crate::domain::database_ref::DatabaseRef;
use crate::domain::decide::restoring::{self, ANSWER_LOST};
use crate::domain::incident::{Attempt, AttemptOutcome, EntryKind, Incident};
use crate::domain::remedy::{Change, Remedy};
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::{self, Item, Restoration, changes_for, id_of};
use crate::notify::texts::restoring::short;

/// What one look at the databases told.
struct Seen {
    /// Every difference that there is.
    items: Vec<Item>,
    /// The databases that were read.
    read: BTreeSet<DatabaseRef>,
    /// Servers that could not be read.
    unread: BTreeSet<ResourceId>,
    /// A database that is not in service.
    down: Option<String>,
}

impl Responder {
    /// The databases are back: compares what Azure may have dropped. What is to be put back is left to the passes to come.
    pub(super) async fn begin_restoration(&self, draft: &mut Draft) {
        let now = self.clock.now();
        let past = draft.incident.members.values().filter(|member| !member.past_window.is_empty());
        let servers: BTreeSet<ResourceId> = past.map(|member| member.server.clone()).collect();
        if servers.is_empty() || draft.incident.restoration.is_some() {
            return;
        }
        let mut restoration = Restoration::of(servers, now);
        self.compare_servers(&draft.incident, &mut restoration).await;
        if restoration.uncompared.is_empty() && restoration.pending().next().is_none() {
            restoration.ended_at = Some(now);
        }
        if let Some(why) = self.restoring_is_forbidden() {
            restoration.leave_the_rest(&why);
            restoration.ended_at = Some(now);
        }
        for item in &restoration.items {
            let Item { database, setting, .. } = item;
            let (was, is) = (short(&item.before), short(&item.now));
            let line = format!("{setting} of {} on {} was {was}, is {is}", database.name, database.server.name());
            draft.incident.note(now, EntryKind::Checked, line);
        }
        draft.incident.restoration = Some(restoration);
    }

    fn restoring_is_forbidden(&self) -> Option<String> {
        restoring::forbidden(&self.policy)
    }

    /// Adds the differences of servers that were not compared yet.
    async fn compare_servers(&self, incident: &Incident, restoration: &mut Restoration) {
        let seen = self.see(incident, &restoration.uncompared.clone()).await;
        restoration.uncompared = seen.unread;
        restoration.items.extend(seen.items);
        restoration.items.sort_by(|one, other| (&one.database, &one.setting).cmp(&(&other.database, &other.setting)));
        for database in seen.read {
            let member = incident.members.get(database.server.key());
            match member.and_then(|member| member.before.get(&database.name)).filter(|snapshot| snapshot.whole) {
                None => restoration.without_snapshot.push(database),
                Some(snapshot) if snapshot.retention.is_none() && id_of(&database).is_some() => {
                    restoration.without_retention.push(database);
                }
                Some(_) => {}
            }
        }
    }

    /// Reads the databases that were down for too long, of these servers.
    async fn see(&self, incident: &Incident, servers: &BTreeSet<ResourceId>) -> Seen {
        let mut seen = Seen { items: Vec::new(), read: BTreeSet::new(), unread: BTreeSet::new(), down: None };
        for member in incident.members.values().filter(|member| servers.contains(&member.server)) {
            let Ok(databases) = self.azure.databases(&member.server).await else {
                seen.unread.insert(member.server.clone());
                continue;
            };
            for database in databases.iter().filter(|database| member.past_window.contains(&database.name)) {
                if !database.is_in_service() {
                    seen.down = Some(format!("{} on {} is {}", database.name, member.server.name(), database.status));
                }
                seen.read.insert(DatabaseRef { server: member.server.clone(), name: database.name.clone() });
                let Some(before) = member.before.get(&database.name) else { continue };
                let kept = match before.retention {
                    Some(_) => self.retention_now(&member.server, &database.name).await,
                    _ => None,
                };
                seen.items.extend(restoration::compare(&member.server, before, database, kept.as_ref()));
            }
        }
        seen
    }

    /// One pass over an incident that has ended and whose settings are being put back.
    pub(super) async fn restore_settings(&self, mut draft: Draft) -> JobResult {
        if let Some(again) = self.follow_settings(&mut draft.incident).await {
            let due = add(self.clock.now(), again);
            return self.leave(draft, due).await;
        }
        let Some(mut restoration) = draft.incident.restoration.take() else { return Ok(()) };
        if !restoration.uncompared.is_empty() {
            self.compare_servers(&draft.incident, &mut restoration).await;
        }
        let servers = restoration.pending().map(|(item, _)| item.database.server.clone()).collect();
        let seen = self.see(&draft.incident, &servers).await;
        self.take_in(&mut draft.incident, &mut restoration, &seen);
        if let Some(down) = seen.down {
            restoration.leave_the_rest(&format!("a database went down again ({down}), and that comes first"));
        }
        if restoration.pending().next().is_none() && restoration.uncompared.is_empty() {
            draft.incident.restoration = Some(restoration);
            return self.end_restoration(draft).await;
        }
        if restoration.pending().next().is_none() {
            draft.incident.restoration = Some(restoration);
            return self.wait_for_settings(draft, "not every database could be read").await;
        }
        let plan = decide::plan_for(&draft.incident, &restoration);
        draft.incident.restoration = Some(restoration);
        self.decide_on_settings(draft, plan).await
    }

    /// Follows changes that Azure is carrying out. Answers when to look again, while one runs.
    async fn follow_settings(&self, incident: &mut Incident) -> Option<SignedDuration> {
        let mut again = None;
        for at in 0..incident.attempts.len() {
            let attempt = &incident.attempts[at];
            let (Some(url), None) = (&attempt.operation, &attempt.outcome) else { continue };
            if attempt.change.remedy() == Remedy::RestoreSettings
                && let Some(wait) = self.follow_one(incident, at, &url.clone()).await
            {
                again = Some(again.map_or(wait, |known: SignedDuration| known.min(wait)));
            }
        }
        again
    }

    /// What Azure shows now: settings that are back, and how changes went whose answer was lost.
    fn take_in(&self, incident: &mut Incident, restoration: &mut Restoration, seen: &Seen) {
        let now = self.clock.now();
        for item in restoration::settle(restoration, &seen.items, &seen.read, now) {
            let DatabaseRef { server, name } = &item.database;
            let line = format!("{} of {name} on {} is as it was before", item.setting, server.name());
            incident.note(now, EntryKind::Verified, line);
        }
        let pending: BTreeSet<String> = changes_for(restoration).iter().flat_map(Change::subjects).collect();
        let settings = |attempt: &&mut Attempt| attempt.change.remedy() == Remedy::RestoreSettings;
        for attempt in incident.attempts.iter_mut().filter(settings) {
            let lost = attempt.outcome.is_none() && attempt.operation.is_none();
            if lost && !attempt.change.subjects().iter().any(|subject| pending.contains(subject)) {
                attempt.outcome = Some(AttemptOutcome::Made { at: now });
            } else if lost {
                let why = format!("{ANSWER_LOST} and Azure shows no effect; it is tried again");
                attempt.outcome = Some(AttemptOutcome::NotApplicable { at: now, why });
            }
        }
    }
}
