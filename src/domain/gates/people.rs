//! Gates of intent: who made the breaking change, and whether it looks deliberate.

use jiff::SignedDuration;

use crate::clock::add;
use crate::domain::diagnose::{can_lead_to, culprit_of, is_logged};
use crate::domain::diagnosis::Culprit;
use crate::domain::evidence::CallerKind;
use crate::domain::gates::{Situation, finding_of, hard, servers};
use crate::domain::incident::{Approval, AttemptOutcome};
use crate::domain::plan::{Gate, GateHit, Plan};
use crate::domain::policy::Preset;
use crate::domain::words::deed;

/// How late the Activity Log may be ("3 to 20 minutes": Microsoft, "Activity log").
const LOG_LAGS: SignedDuration = SignedDuration::from_mins(20);

pub(super) fn hits(plan: &Plan, situation: &Situation<'_>) -> Vec<GateHit> {
    let culprits = culprits(plan, situation);
    let mut hits = Vec::new();
    let suspects = culprits.iter().chain(&situation.diagnosis.protective_changes);
    for culprit in suspects.filter(|culprit| is_listed(culprit, &situation.policy.gates.custodians)) {
        let why = format!("{}, who is on the list of custodians: {}", name(culprit), deed(culprit));
        hits.push(hard(Gate::Custodian, why));
    }
    let protective = &situation.diagnosis.protective_changes;
    if !protective.is_empty() {
        let what: Vec<String> = protective.iter().map(deed).collect();
        let why = format!(
            "{} protective changes close together look like a deliberate revocation: {}",
            what.len(),
            what.join("; ")
        );
        hits.push(hard(Gate::DeliberateRevocation, why));
    }
    hits.extend(culprits.iter().find_map(|culprit| made_by_person(culprit, situation)));
    hits.extend(unnamed(plan, &culprits, situation));
    hits
}

/// Found before the Activity Log can show who did it, and there are custodians, who may have: it waits until the log names
/// somebody, or until the log would have.
fn unnamed(plan: &Plan, culprits: &[Culprit], situation: &Situation<'_>) -> Option<GateHit> {
    let lost = situation.incident.loss();
    let named = culprits.iter().any(|culprit| culprit.at >= add(lost, -LOG_LAGS));
    let too_early = situation.now < add(lost, LOG_LAGS);
    let custodians = !situation.policy.gates.custodians.is_empty();
    (custodians && too_early && !named && is_logged(plan.cause)).then(|| {
        let why = "whether a custodian did it is not known yet: the Activity Log shows it 3 to 20 minutes later";
        hard(Gate::CannotTell, why.to_owned())
    })
}

/// Who broke what the plan mends: the diagnosis names the first finding's culprit; another finding has its own.
fn culprits(plan: &Plan, situation: &Situation<'_>) -> Vec<Culprit> {
    let finding = finding_of(plan, situation);
    let mut culprits = Vec::new();
    if let Some(culprit) = &situation.diagnosis.culprit {
        let servers = servers(plan);
        let first = situation.diagnosis.first();
        let shared = first.is_none_or(|first| first.servers.iter().any(|server| servers.contains(server)));
        if shared || plan.cause == situation.diagnosis.cause() {
            culprits.push(culprit.clone());
        }
    }
    let own = finding.and_then(|finding| culprit_of(finding, situation.evidence, situation.incident, situation.policy));
    culprits.extend(own.filter(|own| !culprits.contains(own)).into_iter().collect::<Vec<_>>());
    culprits
}

fn made_by_person(culprit: &Culprit, situation: &Situation<'_>) -> Option<GateHit> {
    let asks = situation.policy.preset != Preset::Auto
        && culprit.kind == CallerKind::Person
        && !is_listed(culprit, &situation.policy.gates.pipelines)
        && !was_known_when_approved(culprit, situation);
    asks.then(|| GateHit {
        gate: Gate::MadeByPerson,
        why: format!("{}: it may have been meant", deed(culprit)),
        hard: false,
    })
}

/// A plan of this incident was approved and has run. The change that led to it was known then, so it is no new reason
/// to ask about what is left to mend, such as roles that a recovered vault has lost.
fn was_known_when_approved(culprit: &Culprit, situation: &Situation<'_>) -> bool {
    situation.incident.approval.as_ref().is_some_and(|approval| {
        approved_plan_has_run(approval, situation)
            && culprit.at <= approval.asked_at
            && can_lead_to(&culprit.operation, approval.plan.cause)
    })
}

/// Whether a plan was approved and a change of it was made, or found made.
pub(in crate::domain) fn approved_plan_has_run(approval: &Approval, situation: &Situation<'_>) -> bool {
    let approved = approval.decision.as_ref().is_some_and(|decision| decision.approved);
    let done = |outcome: Option<&AttemptOutcome>| {
        matches!(outcome, Some(AttemptOutcome::Made { .. } | AttemptOutcome::AlreadyThere { .. }))
    };
    let of_plan = |hash: &str| hash == approval.plan_hash;
    approved && situation.incident.attempts.iter().any(|a| of_plan(&a.plan_hash) && done(a.outcome.as_ref()))
}

fn is_listed(culprit: &Culprit, list: &[String]) -> bool {
    let ids = culprit.ids.iter().chain(&culprit.who);
    let listed =
        |id: &String| list.iter().any(|known| !known.is_empty() && known.trim().eq_ignore_ascii_case(id.trim()));
    ids.into_iter().any(listed)
}

fn name(culprit: &Culprit) -> &str {
    culprit.who.as_deref().or(culprit.ids.first().map(String::as_str)).unwrap_or("somebody")
}
