//! Carries out a decision: tell, write the intent, change Azure, write the outcome.

use jiff::{SignedDuration, Timestamp};
use tracing::Instrument;

use super::draft::Draft;
use super::tell::Say;
use super::{JobResult, Responder, memory};
use crate::clock::add;
use crate::domain::decide::restoring::NOT_SENT;
use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::incident::{Approval, Attempt, AttemptOutcome, EntryKind, Incident, Phase};
use crate::domain::notice::Situation;
use crate::domain::plan::{Decision, GateHit, NeedsPerson, Plan};
use crate::domain::remedy::Remedy;
use crate::notify::texts;
use crate::remedy::{self, Applied};

/// How long a question stays open after the window, when nobody answered inside it.
pub(super) const QUESTION_OPEN: SignedDuration = SignedDuration::from_hours(24);
/// How soon a change that could not be sent is tried again, where Azure does not say.
pub(super) const AGAIN: SignedDuration = SignedDuration::from_secs(30);

impl Responder {
    /// Does what was decided.
    pub(super) async fn carry_out(&self, mut draft: Draft, decision: Decision, hits: Vec<GateHit>) -> JobResult {
        let now = self.clock.now();
        draft.incident.gates = hits;
        draft.incident.look_by = if let Decision::Wait { until, .. } = &decision { *until } else { None };
        let before = draft.incident.phase;
        // What is told of the diagnosis depends on what comes next.
        match &decision {
            Decision::Repair { .. } => draft.incident.phase = Phase::Mending,
            Decision::Ask { .. } => draft.incident.phase = Phase::AwaitingApproval,
            Decision::Escalate { .. } => draft.incident.phase = Phase::Escalated,
            Decision::Observe { .. } => draft.incident.phase = Phase::Diagnosed,
            Decision::Wait { .. } | Decision::Close { .. } if before == Phase::Opened => {
                draft.incident.phase = at_first(&draft.incident);
            }
            Decision::Wait { .. } | Decision::Close { .. } => {}
        }
        self.tell_what_is_known(&mut draft, &decision, now);
        match decision {
            Decision::Repair { plan } => return self.repair(draft, plan).await,
            Decision::Ask { plan, why } => self.ask(&mut draft, plan, why, now),
            Decision::Observe { plan, why } => self.observe(&mut draft, plan, &why, now),
            Decision::Escalate { reason, why, plan } => self.escalate(&mut draft, reason, why, plan, now),
            Decision::Wait { why, .. } | Decision::Close { why } => wait(&mut draft.incident, why, now),
        }
        self.come_back(draft).await
    }

    /// The first notice, and the diagnosis once there is one; neither while it may be a false alarm.
    fn tell_what_is_known(&self, draft: &mut Draft, decision: &Decision, now: Timestamp) {
        let Some(cause) = draft.incident.diagnosis.as_ref().map(|diagnosis| diagnosis.cause()) else { return };
        if matches!(cause, Cause::Healthy | Cause::ServiceManaged | Cause::TargetGone) && !draft.incident.was_broken {
            return;
        }
        // The first word says where things stand, the next ones what is done about it.
        let decided = draft.incident.phase;
        if is_at_risk(&draft.incident) {
            draft.incident.phase = Phase::AtRisk;
        }
        self.tell(draft, Situation::FirstNotice, Say::default(), now);
        draft.incident.phase = decided;
        if matches!(cause, Cause::Undetermined | Cause::Healthy | Cause::TargetGone) {
            return;
        }
        // After our own change the next causes on the way (the grant after the vault) are part of the plan told.
        let (plan, reason) = match decision {
            Decision::Repair { plan } => (Some(plan.clone()), None),
            Decision::Ask { plan, why } | Decision::Observe { plan, why } => (Some(plan.clone()), Some(why.clone())),
            Decision::Escalate { plan, why, .. } => (plan.clone(), Some(why.clone())),
            Decision::Wait { why, .. } | Decision::Close { why } => (None, Some(why.clone())),
        };
        if cause == Cause::StillInaccessible && draft.incident.made().next().is_some() {
            return;
        }
        let say = Say { reason, plan, ..Say::default() };
        self.tell(draft, Situation::Diagnosed, say, now);
    }

    /// Puts the plan to people. The same plan is asked once.
    fn ask(&self, draft: &mut Draft, plan: Plan, why: String, now: Timestamp) {
        let incident = &mut draft.incident;
        let hash = plan.hash();
        let asked = incident.approval.as_ref().filter(|asked| asked.plan_hash == hash && asked.decision.is_none());
        incident.phase = Phase::AwaitingApproval;
        match asked {
            None => {
                let window = incident.lost_ahead(now).unwrap_or_else(|| incident.restore_before());
                let answer_by = if window > now { window } else { add(now, QUESTION_OPEN) };
                let asked = Approval {
                    plan: plan.clone(),
                    plan_hash: hash,
                    why: why.clone(),
                    asked_at: now,
                    answer_by,
                    reminders: 0,
                    decision: None,
                };
                incident.approval = Some(asked);
                incident.quiet_passes = 0;
                let question = texts::plan_sentence(&plan);
                incident.note(now, EntryKind::Approval, format!("Asked a person to approve: {question}"));
                let say = Say { reason: Some(why), plan: Some(plan), ..Say::default() };
                self.tell(draft, Situation::ApprovalAsked, say, now);
            }
            Some(asked) if now >= asked.answer_by => {
                let why = "Nobody answered before the self-heal window ended, so nothing was changed. It can still be \
                           approved; the databases then need re-validation, which follows by itself."
                    .to_owned();
                if let Some(asked) = &mut incident.approval {
                    asked.answer_by = add(now, QUESTION_OPEN);
                }
                incident.needs_person = Some((NeedsPerson::NotApproved, why.clone()));
                incident.note(now, EntryKind::Approval, "Nobody answered in time; nothing was changed");
                let say = Say {
                    reason: Some(why),
                    needs_person: Some(NeedsPerson::NotApproved),
                    plan: Some(plan),
                    retry: None,
                };
                self.tell(draft, Situation::Escalated, say, now);
            }
            Some(_) => {}
        }
    }

    /// Reminds people of a question that nobody has answered.
    pub(super) fn remind(&self, draft: &mut Draft, now: Timestamp) {
        let Some(asked) = &mut draft.incident.approval else { return };
        if asked.remind_at().is_none_or(|at| now < at) {
            return;
        }
        asked.reminders += 1;
        let say = Say { reason: Some(asked.why.clone()), plan: Some(asked.plan.clone()), ..Say::default() };
        self.tell_anew(draft, Situation::ApprovalReminder, say, None, now);
    }

    fn observe(&self, draft: &mut Draft, plan: Plan, why: &str, now: Timestamp) {
        let incident = &mut draft.incident;
        let line = format!("Would do, but may not ({why}): {}", texts::plan_sentence(&plan));
        incident.note(now, EntryKind::Decided, line);
        for change in &plan.changes {
            for write in remedy::prepare(&self.azure, change) {
                incident.note(now, EntryKind::Decided, format!("Would send {write}"));
            }
        }
        incident.phase = Phase::Diagnosed;
        let say = Say { reason: Some(why.to_owned()), plan: Some(plan), ..Say::default() };
        self.tell(draft, Situation::ObservedOnly, say, now);
    }

    fn escalate(&self, draft: &mut Draft, reason: NeedsPerson, why: String, plan: Option<Plan>, now: Timestamp) {
        let incident = &mut draft.incident;
        incident.phase = Phase::Escalated;
        incident.note(now, EntryKind::Decided, format!("A person is needed: {why}"));
        incident.needs_person = Some((reason, why.clone()));
        let say = Say { reason: Some(why), needs_person: Some(reason), plan, retry: None };
        self.tell(draft, Situation::Escalated, say, now);
    }

    /// Intent, change, outcome.
    async fn repair(&self, mut draft: Draft, plan: Plan) -> JobResult {
        let now = self.clock.now();
        let numbers = intend(&mut draft.incident, &plan, now);
        draft.incident.needs_person = None;
        if plan.remedy == Remedy::Revalidate {
            draft.incident.phase = Phase::Revalidating;
            let say = Say { plan: Some(plan.clone()), ..Say::default() };
            self.tell(&mut draft, Situation::WindowOver, say, now);
        } else {
            draft.incident.phase = Phase::Mending;
        }
        let intents: Vec<Attempt> =
            draft.incident.attempts.iter().filter(|a| numbers.contains(&a.number)).cloned().collect();
        for intent in &intents {
            memory::count_write(&*self.store, &draft.incident.id, intent, now).await?;
        }
        self.save(&draft, now).await?;
        self.wake.now(&self.clock);
        let span = tracing::info_span!("repair", remedy = plan.remedy.name(), changes = plan.changes.len());
        let applied = remedy::apply(&self.azure, &plan.changes).instrument(span).await;
        self.record_outcomes(draft, &numbers, &applied).await
    }

    async fn record_outcomes(&self, draft: Draft, numbers: &[u32], applied: &[Applied]) -> JobResult {
        let id = draft.incident.id.clone();
        let now = self.clock.now();
        let again = applied.iter().filter_map(|one| match one {
            Applied::Later { after, .. } => Some(after.unwrap_or(AGAIN)),
            Applied::Unknown { .. } => Some(AGAIN),
            _ => None,
        });
        let again = again.max();
        // The answer of a change must not be lost to somebody who saved meanwhile: merge it into what is stored.
        self.record(&id, |incident| {
            for (number, one) in numbers.iter().zip(applied) {
                outcome(incident, *number, one, now);
            }
        })
        .await?;
        let Some((incident, version)) = self.store.incident(&id).await? else { return Ok(()) };
        let mut draft = Draft::new(incident, version);
        self.settled(&mut draft).await?;
        draft.incident.quiet_passes = 0;
        match again {
            Some(wait) => self.leave(draft, add(now, wait)).await,
            None => self.come_back(draft).await,
        }
    }
}

/// Where an incident stands that was looked at for the first time, while nothing is done yet.
fn at_first(incident: &Incident) -> Phase {
    let cause = incident.diagnosis.as_ref().map(Diagnosis::cause);
    match cause {
        None | Some(Cause::Undetermined | Cause::Healthy) => Phase::Opened,
        Some(_) if incident.members.values().all(|member| !member.was_down) => Phase::AtRisk,
        Some(_) => Phase::Diagnosed,
    }
}

/// Whether the key is lost or about to be, and neither Azure nor a database shows it yet.
fn is_at_risk(incident: &Incident) -> bool {
    let broken = incident.diagnosis.as_ref().is_some_and(|diagnosis| {
        !matches!(diagnosis.cause(), Cause::Undetermined | Cause::Healthy | Cause::StillInaccessible)
    });
    broken && !incident.loss_reported && incident.members.values().all(|member| !member.was_down)
}

fn wait(incident: &mut Incident, why: String, now: Timestamp) {
    let whole = incident.diagnosis.as_ref().is_some_and(|diagnosis| diagnosis.chain_is_whole());
    if whole {
        let fresh = incident.last_made_at().is_some_and(|made| now < add(made, SignedDuration::from_mins(10)));
        incident.phase = if fresh { Phase::Propagating } else { Phase::Verifying };
        incident.needs_person = None;
    } else if incident.phase == Phase::Mending {
        incident.phase = Phase::Propagating;
    }
    incident.note(now, EntryKind::Decided, why);
}

/// Writes down what is about to be done.
pub(super) fn intend(incident: &mut Incident, plan: &Plan, now: Timestamp) -> Vec<u32> {
    let hash = plan.hash();
    let mut numbers = Vec::new();
    incident.note(now, EntryKind::Decided, format!("Repairing: {}", texts::plan_sentence(plan)));
    for change in &plan.changes {
        let number = u32::try_from(incident.attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
        incident.attempts.push(Attempt {
            number,
            change: change.clone(),
            plan_hash: hash.clone(),
            intended_at: now,
            outcome: None,
            operation: None,
            correlation_id: None,
            before_after: Vec::new(),
        });
        numbers.push(number);
    }
    numbers
}

/// Writes down what became of it.
pub(super) fn outcome(incident: &mut Incident, number: u32, applied: &Applied, now: Timestamp) {
    let Some(attempt) = incident.attempts.iter_mut().find(|attempt| attempt.number == number) else { return };
    let what = texts::change_sentence(&attempt.change);
    let line = match applied {
        Applied::Made(receipt) => {
            attempt.outcome = Some(AttemptOutcome::Made { at: now });
            attempt.correlation_id.clone_from(&receipt.correlation_id);
            attempt.before_after.clone_from(&receipt.before_after);
            format!("Made: {what}")
        }
        Applied::Running { receipt, operation } => {
            attempt.operation.clone_from(operation);
            attempt.correlation_id.clone_from(&receipt.correlation_id);
            attempt.before_after.clone_from(&receipt.before_after);
            format!("Accepted by Azure, under way: {what}")
        }
        Applied::AlreadyThere { said } => {
            attempt.outcome = Some(AttemptOutcome::AlreadyThere { at: now });
            format!("Nothing to change: {said}")
        }
        Applied::NotApplicable { why } => {
            attempt.outcome = Some(AttemptOutcome::NotApplicable { at: now, why: why.clone() });
            format!("Not done, the situation changed: {why}")
        }
        Applied::Failed { code, why, .. } => {
            attempt.outcome = Some(AttemptOutcome::Failed { at: now, code: code.clone(), why: why.clone() });
            format!("Azure refused ({what}): {code}: {why}")
        }
        Applied::Later { why, .. } => {
            let why = format!("{NOT_SENT}{why}");
            let line = format!("Put off ({what}): {why}");
            attempt.outcome = Some(AttemptOutcome::NotApplicable { at: now, why });
            line
        }
        Applied::Unknown { why } => {
            format!("Sent, but the answer was lost ({what}): {why}. Looking before anything else")
        }
    };
    incident.note(now, EntryKind::Changed, line);
}
