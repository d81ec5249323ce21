//! What may be done about settings that are still to be put back, and doing it.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use tracing::Instrument;

use crate::clock::add;
use crate::domain::database_ref::DatabaseRef;
use crate::domain::decide::restoring::{self, Restoring};
use crate::domain::diagnose::diagnose;
use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::evidence::{Database, Evidence};
use crate::domain::gates;
use crate::domain::incident::{Approval, Attempt, EntryKind, Incident};
use crate::domain::notice::Situation;
use crate::domain::plan::Plan;
use crate::domain::remedy::{Change, Remedy};
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::{self, Fate, Restoration, changes_for, id_of};
use crate::notify::texts;
use crate::remedy::{self, Applied};
use crate::responder::act::{AGAIN, QUESTION_OPEN, intend, outcome};
use crate::responder::draft::Draft;
use crate::responder::tell::Say;
use crate::responder::{JobResult, Responder, memory};

/// How often what could not be read, or is held back for the moment, is looked at again.
const LATER: SignedDuration = SignedDuration::from_mins(5);
/// The same while a person is asked.
const ASKED: SignedDuration = SignedDuration::from_mins(30);
/// So many such looks in a row, then it is left to a person.
const LOOKS: u32 = 24;

impl Responder {
    /// What may be done about the rest, and does it.
    pub(super) async fn decide_on_settings(&self, mut draft: Draft, plan: Plan) -> JobResult {
        let now = self.clock.now();
        if let Some(why) = self.restoring_is_forbidden() {
            return self.give_up(draft, &why).await;
        }
        if let Some(hold) = &draft.incident.hold {
            let why = format!("{} holds the incident", hold.by);
            return self.wait_for_settings(draft, &why).await;
        }
        let (evidence, found) = self.look_again(&draft.incident, &plan).await;
        match found.cause() {
            _ if !found.inaccessible.is_empty() => {
                return self
                    .give_up(draft, "a database of the server is inaccessible again, and that comes first")
                    .await;
            }
            _ if found.chain_is_whole() => {}
            Cause::KeyExpiring => {}
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
                None if draft.incident.restoration.as_ref().is_some_and(|it| !it.uncompared.is_empty()) => {
                    self.wait_for_settings(draft, "not every database could be read").await
                }
                None => self.end_restoration(draft).await,
            };
        }
        match restoring::by_mode(&rest, &situation) {
            Restoring::Go => self.make_some(draft, rest).await,
            Restoring::Ask { why } => self.ask_for_settings(draft, rest, why).await,
            Restoring::Leave { why } => self.give_up(draft, &why).await,
            Restoring::Wait { .. } => {
                self.remind(&mut draft, now);
                self.leave(draft, add(now, ASKED)).await
            }
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
            reminders: 0,
            decision: None,
        });
        let say = Say { reason: Some(why), plan: Some(plan), ..Say::default() };
        self.tell(&mut draft, Situation::ApprovalAsked, say, now);
        self.leave(draft, add(now, ASKED)).await
    }

    /// Something could not be read, or is held back for the moment: later, but not for ever.
    pub(super) async fn wait_for_settings(&self, mut draft: Draft, why: &str) -> JobResult {
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
    pub(super) async fn end_restoration(&self, mut draft: Draft) -> JobResult {
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
pub(super) fn plan_for(incident: &Incident, restoration: &Restoration) -> Plan {
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
