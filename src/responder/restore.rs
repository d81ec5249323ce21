//! After an outage: compares settings with what they were, and puts back what Azure dropped.
//!
//! The incident has ended when this begins: the databases are in service and people have been told so. A new loss opens an
//! incident of its own, and ends this. One pass is: follow what runs, read everything again, take in what is back, then
//! decide and make a few changes, each of which the next pass sees in Azure before it counts.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use tracing::Instrument;

use super::act::{AGAIN, QUESTION_OPEN, intend, outcome};
use super::pass::Draft;
use super::tell::Say;
use super::{JobResult, Responder, memory};
use crate::clock::add;
use crate::domain::decide::restoring::{self, ANSWER_LOST, Restoring};
use crate::domain::diagnose::diagnose;
use crate::domain::diagnosis::{Cause, DatabaseRef, Diagnosis};
use crate::domain::evidence::{Database, Evidence};
use crate::domain::gates;
use crate::domain::incident::{Approval, Attempt, AttemptOutcome, EntryKind, Incident};
use crate::domain::notice::Situation;
use crate::domain::plan::Plan;
use crate::domain::remedy::{Change, Remedy};
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::{self, Fate, Item, Restoration, changes_for, id_of};
use crate::notify::texts;
use crate::notify::texts::restoring::short;
use crate::remedy::{self, Applied};

/// How often what could not be read, or is held back for the moment, is looked at again.
const LATER: SignedDuration = SignedDuration::from_mins(5);
/// The same while a person is asked.
const ASKED: SignedDuration = SignedDuration::from_mins(30);
/// So many such looks in a row, then it is left to a person.
const LOOKS: u32 = 24;

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
        let seen = self.see(incident, &restoration.uncompared.clone(), true).await;
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
    async fn see(&self, incident: &Incident, servers: &BTreeSet<ResourceId>, retention: bool) -> Seen {
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
                    Some(_) if retention => self.retention_now(&member.server, &database.name).await,
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
        let seen = self.see(&draft.incident, &servers, true).await;
        self.take_in(&mut draft.incident, &mut restoration, &seen);
        if let Some(down) = seen.down {
            restoration.leave_the_rest(&format!("a database went down again ({down}), and that comes first"));
        }
        if restoration.pending().next().is_none() && restoration.uncompared.is_empty() {
            draft.incident.restoration = Some(restoration);
            return self.end_restoration(draft).await;
        }
        let plan = plan_for(&draft.incident, &restoration);
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

    /// What may be done about the rest, and does it.
    async fn decide_on_settings(&self, mut draft: Draft, plan: Plan) -> JobResult {
        let now = self.clock.now();
        if let Some(why) = self.restoring_is_forbidden() {
            return self.give_up(draft, &why).await;
        }
        let (evidence, found) = self.look_again(&draft.incident, &plan).await;
        match found.cause() {
            _ if !found.inaccessible.is_empty() => {
                return self
                    .give_up(draft, "a database of the server is inaccessible again, and that comes first")
                    .await;
            }
            _ if found.chain_is_whole() => {}
            Cause::Undetermined => return self.wait_for_settings(draft, "not everything could be read").await,
            _ => return self.give_up(draft, "access to the key was lost again, and that comes first").await,
        }
        let memory = memory::recall(&*self.store, &self.policy, now).await?;
        let broken = draft.incident.broken.clone().unwrap_or(found);
        // What was tried before to get the key back says nothing about settings.
        let mut incident = draft.incident.clone();
        incident.attempts.retain(|attempt| attempt.change.remedy() == Remedy::RestoreSettings);
        let situation = gates::Situation {
            evidence: &evidence,
            diagnosis: &broken,
            incident: &incident,
            memory: &memory,
            policy: &self.policy,
            now,
        };
        let (allowed, left, waits) = sort_out(&plan, &situation);
        if let Some(restoration) = &mut draft.incident.restoration {
            left.iter().for_each(|(change, why)| leave_change(restoration, change, why));
        }
        for (change, why) in &left {
            let what = texts::change_sentence(change);
            draft.incident.note(now, EntryKind::Decided, format!("Left as it is ({what}): {why}"));
        }
        let rest = Plan { changes: allowed, ..plan };
        if rest.changes.is_empty() {
            return match waits {
                Some(why) => self.wait_for_settings(draft, &why).await,
                None => self.end_restoration(draft).await,
            };
        }
        match restoring::by_mode(&rest, &situation) {
            Restoring::Go => self.make_some(draft, rest).await,
            Restoring::Ask { why } => self.ask_for_settings(draft, rest, why).await,
            Restoring::Leave { why } => self.give_up(draft, &why).await,
            Restoring::Wait { .. } => self.leave(draft, add(now, ASKED)).await,
        }
    }

    /// The whole chain, for the gates: what was true when the incident ended need not be so now.
    async fn look_again(&self, incident: &Incident, plan: &Plan) -> (Evidence, Diagnosis) {
        let question = self.question(incident, plan.servers.clone());
        let evidence = crate::probe::observe(&self.azure, &question).await;
        let mut found = diagnose(&evidence, incident, &self.policy);
        let known = evidence.servers.iter().filter_map(|seen| Some((&seen.id, seen.databases.known()?)));
        found.inaccessible = known
            .flat_map(|(server, all)| {
                let down = all.iter().filter(|database| Database::is_inaccessible(database));
                down.map(|one| DatabaseRef { server: server.clone(), name: one.name.clone() }).collect::<Vec<_>>()
            })
            .collect();
        (evidence, found)
    }

    /// Intent, change, outcome, for a few changes.
    async fn make_some(&self, mut draft: Draft, plan: Plan) -> JobResult {
        let now = self.clock.now();
        let plan = Plan { changes: restoration::next(&plan.changes), ..plan };
        if let Some(restoration) = &mut draft.incident.restoration {
            restoration.waited = 0;
        }
        let numbers = intend(&mut draft.incident, &plan, now);
        let intents: Vec<Attempt> =
            draft.incident.attempts.iter().filter(|attempt| numbers.contains(&attempt.number)).cloned().collect();
        for intent in &intents {
            memory::count_write(&*self.store, &draft.incident.id, intent, now).await?;
        }
        // Whoever takes over after a crash finds the intent, and a job that looks.
        Self::leave_by(&mut draft, add(now, SignedDuration::from_mins(2)));
        self.save(&draft, now).await?;
        let span = tracing::info_span!("restore settings", changes = plan.changes.len());
        let applied = remedy::apply(&self.azure, &plan.changes).instrument(span).await;
        let later = applied.iter().filter_map(|one| match one {
            Applied::Later { after, .. } => Some(after.unwrap_or(AGAIN)),
            Applied::Unknown { .. } | Applied::Running { .. } => Some(AGAIN),
            _ => None,
        });
        let again = later.max().unwrap_or(SignedDuration::from_secs(1));
        let (id, now) = (draft.incident.id.clone(), self.clock.now());
        self.record(&id, |incident| {
            for (number, one) in numbers.iter().zip(&applied) {
                outcome(incident, *number, one, now);
            }
        })
        .await?;
        let Some((incident, version)) = self.store.incident(&id).await? else { return Ok(()) };
        self.leave(Draft::new(incident, version), add(now, again)).await
    }

    async fn ask_for_settings(&self, mut draft: Draft, plan: Plan, why: String) -> JobResult {
        let now = self.clock.now();
        let answer_by = add(now, QUESTION_OPEN);
        let question = texts::plan_sentence(&plan);
        draft.incident.note(now, EntryKind::Approval, format!("Asked a person to approve: {question}"));
        draft.incident.approval = Some(Approval {
            plan_hash: plan.hash(),
            plan: plan.clone(),
            why: why.clone(),
            asked_at: now,
            answer_by,
            decision: None,
        });
        let say = Say { reason: Some(why), plan: Some(plan), ..Say::default() };
        self.tell(&mut draft, Situation::ApprovalAsked, say, now);
        self.leave(draft, add(now, ASKED)).await
    }

    /// Something could not be read, or is held back for the moment: later, but not for ever.
    async fn wait_for_settings(&self, mut draft: Draft, why: &str) -> JobResult {
        let now = self.clock.now();
        let Some(restoration) = &mut draft.incident.restoration else { return Ok(()) };
        restoration.waited += 1;
        if restoration.waited > LOOKS {
            let why = format!("{why}, for hours");
            return self.give_up(draft, &why).await;
        }
        draft.incident.note(now, EntryKind::Decided, format!("Settings are put back later: {why}"));
        self.leave(draft, add(now, LATER)).await
    }

    async fn give_up(&self, mut draft: Draft, why: &str) -> JobResult {
        if let Some(restoration) = &mut draft.incident.restoration {
            restoration.leave_the_rest(why);
        }
        self.end_restoration(draft).await
    }

    /// Nothing is left to be done: says what was put back, what was not, and why.
    async fn end_restoration(&self, mut draft: Draft) -> JobResult {
        let now = self.clock.now();
        let Some(restoration) = &mut draft.incident.restoration else { return Ok(()) };
        restoration.ended_at = Some(now);
        let (back, all) = (restoration.put_back(), restoration.items.len());
        draft.incident.note(now, EntryKind::Ended, format!("Settings: {back} of {all} that differed were put back"));
        self.tell(&mut draft, Situation::SettingsRestored, Say::default(), now);
        tracing::info!(incident = %draft.incident.id, back, all, "settings were compared and put back");
        self.save(&draft, now).await
    }
}

/// Everything that is still to be put back, as one plan.
fn plan_for(incident: &Incident, restoration: &Restoration) -> Plan {
    let servers: BTreeSet<ResourceId> = restoration.pending().map(|(item, _)| item.database.server.clone()).collect();
    Plan {
        cause: incident.root_cause.unwrap_or(Cause::StillInaccessible),
        remedy: Remedy::RestoreSettings,
        changes: changes_for(restoration),
        servers: servers.into_iter().collect(),
    }
}

type Sorted = (Vec<Change>, Vec<(Change, String)>, Option<String>);

/// Which changes may be made, which are left and why, and why some wait.
fn sort_out(plan: &Plan, situation: &gates::Situation<'_>) -> Sorted {
    let (mut allowed, mut left, mut waits) = (Vec::new(), Vec::new(), None);
    let mut put = |change: &Change, verdict: Option<Restoring>| match verdict {
        Some(Restoring::Leave { why }) => left.push((change.clone(), why)),
        Some(Restoring::Wait { why }) => waits = Some(why),
        _ => allowed.push(change.clone()),
    };
    for server in &plan.servers {
        let part = restoring::part_for(plan, server);
        let slice = Plan { changes: restoration::next(&part.changes), ..part.clone() };
        let held = restoring::held(&slice, situation).map(|(verdict, _)| verdict);
        for change in &part.changes {
            put(change, restoring::tried(change, situation).or_else(|| held.clone()));
        }
    }
    let order = |change: &Change| plan.changes.iter().position(|other| other == change);
    allowed.sort_by_key(order);
    (allowed, left, waits)
}

/// Leaves what a change would have put back.
fn leave_change(restoration: &mut Restoration, change: &Change, why: &str) {
    let Change::RestoreSetting { database, setting } = change else { return };
    restoration.leave(why, |item| match &item.fate {
        Fate::ToPutBack { setting: of } => id_of(&item.database).as_ref() == Some(database) && of.is_part_of(setting),
        _ => false,
    });
}
