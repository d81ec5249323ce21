//! From an incident to a notice, and whether there is anything new to tell. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::database_ref::DatabaseRef;
use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::incident::{ApprovalDecision, Attempt, Incident};
use crate::domain::notice::{Notice, Situation, Told};
use crate::domain::plan::{NeedsPerson, Plan};
use crate::domain::restoration::LostSetting;

/// Builds the notice that tells `situation` of the incident as it stands now. Its number is the next one of the
/// incident; the caller adds it to [`Incident::notices`] when it saves.
///
/// `reason` is why we wait, escalate or end, in words; `lost_at_is_known` says whether [`Incident::loss`] comes from
/// the log or the resource, as opposed to a guess.
#[must_use]
#[expect(clippy::too_many_arguments, reason = "each is a fact of the moment that the incident does not hold")]
pub fn compose(
    incident: &Incident,
    situation: Situation,
    reason: Option<String>,
    needs_person: Option<NeedsPerson>,
    lost_settings: Vec<LostSetting>,
    lost_at_is_known: bool,
    next_message_at: Option<Timestamp>,
    now: Timestamp,
) -> Notice {
    let sequence = u32::try_from(incident.notices.len()).unwrap_or(u32::MAX).saturating_add(1);
    let cause = cause(incident, situation);
    let asks = matches!(
        situation,
        Situation::ApprovalAsked | Situation::ApprovalReminder | Situation::DeadlineNear | Situation::Escalated
    );
    let approval = incident.approval.clone().filter(|_| asks);
    let ends = matches!(situation, Situation::Resolved | Situation::RecoveredWithoutUs | Situation::SettingsRestored);
    let restores = incident.ended_at.is_some()
        && (ends || matches!(situation, Situation::ApprovalAsked | Situation::ApprovalReminder));
    let asked_plan = approval.as_ref().map(|approval| approval.plan.clone());
    Notice {
        id: format!("{}.{sequence}", incident.id),
        sequence,
        incident: incident.id.clone(),
        situation,
        at: now,
        phase: incident.phase,
        vault: incident.vault.as_ref().map(ToString::to_string),
        vault_id: incident.vault_id.clone(),
        cause,
        servers: incident.servers().cloned().collect(),
        databases: databases(incident),
        down: incident.inaccessible(),
        lost_at: incident.loss(),
        lost_at_is_known,
        restore_before: incident.restore_before(),
        window_minutes: incident.heals_for_minutes(),
        window_over: incident.window_is_over(now),
        at_risk: !incident.members.is_empty() && !incident.loss_reported && databases(incident).is_empty(),
        diagnosis: diagnosis(incident, cause).cloned(),
        plan: if ends { None } else { asked_plan.or_else(|| Plan::of(incident.diagnosis.as_ref())) },
        retry: None,
        gates: if ends { Vec::new() } else { incident.gates.clone() },
        approval,
        approved: approved(incident),
        attempts: incident.attempts.clone(),
        needs_person,
        reason,
        lost_settings,
        restoration: incident.restoration.clone().filter(|_| restores),
        next_message_at,
        timeline: if ends { incident.timeline.clone() } else { Vec::new() },
        expiring: None,
    }
}

/// Whether telling `situation` with `cause` would say anything that this incident has not told yet.
///
/// One message per situation and cause. The first notice, the end of the window and the two endings come once an
/// incident, whatever the cause; a person is called again for another reason ([`Incident::needs_person`] must be the
/// present one); approval is asked again for another plan ([`Incident::approval`]); a change is told once a plan (the
/// one of the last attempt).
#[must_use]
pub fn is_new(incident: &Incident, situation: Situation, cause: Option<Cause>) -> bool {
    let asks = matches!(situation, Situation::ApprovalAsked | Situation::Escalated);
    let since = incident.released_at.filter(|_| asks);
    let counts = |told: &&Told| told.situation == situation && since.is_none_or(|since| told.at >= since);
    let told = |same: &dyn Fn(&Told) -> bool| incident.notices.iter().filter(counts).any(same);
    !match situation {
        Situation::FirstNotice
        | Situation::WindowOver
        | Situation::Resolved
        | Situation::RecoveredWithoutUs
        | Situation::SettingsRestored
        | Situation::KeyExpiresSoon => told(&|_| true),
        Situation::Diagnosed | Situation::DeadlineNear | Situation::ObservedOnly => {
            told(&|notice| notice.cause == cause)
        }
        Situation::Escalated => {
            let reason = incident.needs_person.as_ref().map(|(reason, _)| *reason);
            let since = incident.hold.as_ref().filter(|_| reason == Some(NeedsPerson::Held)).map(|hold| hold.at);
            told(&|notice| {
                notice.cause == cause && notice.needs_person == reason && since.is_none_or(|since| notice.at >= since)
            })
        }
        // Whoever reminds counts.
        Situation::ApprovalReminder => false,
        Situation::ApprovalAsked => {
            let hash = incident.approval.as_ref().map(|approval| &approval.plan_hash);
            told(&|notice| notice.plan_hash.as_ref() == hash)
        }
        Situation::ChangeMade => {
            let present = Attempt::last_made(&incident.attempts).map(|attempt| &attempt.plan_hash);
            told(&|notice| notice.made_hash.as_ref() == present)
        }
    }
}

/// The cause to be told: what was found last, but after a repair the cause that was repaired.
fn cause(incident: &Incident, situation: Situation) -> Option<Cause> {
    let found = incident.diagnosis.as_ref().map(Diagnosis::cause);
    let looks_back = matches!(
        situation,
        Situation::ChangeMade
            | Situation::WindowOver
            | Situation::Resolved
            | Situation::RecoveredWithoutUs
            | Situation::SettingsRestored
    ) || incident.ended_at.is_some();
    match found {
        Some(Cause::Healthy | Cause::StillInaccessible) if looks_back => incident.root_cause.or(found),
        _ => found,
    }
}

/// The diagnosis that explains `cause`: the present one, or after a repair the one that was repaired.
fn diagnosis(incident: &Incident, cause: Option<Cause>) -> Option<&Diagnosis> {
    let explains = |diagnosis: &&Diagnosis| Some(diagnosis.cause()) == cause;
    let present = incident.diagnosis.as_ref();
    present.filter(explains).or_else(|| incident.broken.as_ref().filter(explains)).or(present)
}

/// The decision by which changes were made.
fn approved(incident: &Incident) -> Option<ApprovalDecision> {
    let asked = incident.approval.as_ref()?;
    let made = incident.made().any(|attempt| attempt.plan_hash == asked.plan_hash);
    asked.decision.clone().filter(|decision| decision.approved && made)
}

/// Databases that signals named or that were seen down, by server.
fn databases(incident: &Incident) -> Vec<DatabaseRef> {
    let mut all = Vec::new();
    for member in incident.members.values() {
        let names: BTreeSet<&String> = member.databases.union(&member.inaccessible).collect();
        all.extend(names.into_iter().map(|name| DatabaseRef { server: member.server.clone(), name: name.clone() }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::incident::{Approval, IncidentId, IncidentKey};
    use crate::domain::remedy::{Change, Remedy};
    use crate::domain::resource_id::ResourceId;

    const SERVER: &str = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Sql/servers/contoso-sql";

    fn now() -> Timestamp {
        "2026-11-24T02:07:31Z".parse().unwrap()
    }

    fn incident() -> Incident {
        let server = ResourceId::parse(SERVER).unwrap();
        let id = IncidentId("km-20261124-0207-7f3k".to_owned());
        let mut incident = Incident::open(id, IncidentKey::server(&server), 30, now());
        let member = incident.add_member(&server, None);
        member.databases.insert("orders".to_owned());
        member.inaccessible.insert("web".to_owned());
        incident
    }

    fn tell(incident: &mut Incident, situation: Situation) -> bool {
        let cause = incident.diagnosis.as_ref().map(Diagnosis::cause);
        let new = is_new(incident, situation, cause);
        if new {
            let person = incident.needs_person.as_ref().map(|(reason, _)| *reason);
            let notice = compose(incident, situation, None, person, Vec::new(), true, None, now());
            incident.notices.push(Told::of(&notice));
        }
        new
    }

    fn plan(name: &str) -> Plan {
        let server = ResourceId::parse(&SERVER.replace("contoso-sql", name)).unwrap();
        let changes = vec![Change::Revalidate { server: server.clone() }];
        Plan { cause: Cause::StillInaccessible, remedy: Remedy::Revalidate, changes, servers: vec![server] }
    }

    #[test]
    fn numbers_its_notices_and_gathers_databases() {
        let mut incident = incident();
        assert!(tell(&mut incident, Situation::FirstNotice));
        assert!(tell(&mut incident, Situation::Diagnosed));
        let ids: Vec<&str> = incident.notices.iter().map(|notice| notice.id.as_str()).collect();
        assert_eq!(ids, ["km-20261124-0207-7f3k.1", "km-20261124-0207-7f3k.2"]);
        let notice = compose(&incident, Situation::FirstNotice, None, None, Vec::new(), true, None, now());
        let names: Vec<&str> = notice.databases.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["orders", "web"]);
        assert_eq!(notice.down.len(), 1);
    }

    #[test]
    fn tells_each_situation_once() {
        let mut incident = incident();
        for situation in [Situation::FirstNotice, Situation::Diagnosed, Situation::DeadlineNear, Situation::Resolved] {
            assert!(tell(&mut incident, situation), "{situation:?}");
            assert!(!tell(&mut incident, situation), "{situation:?} was told twice");
        }
    }

    #[test]
    fn calls_a_person_again_for_another_reason_only() {
        let mut incident = incident();
        incident.needs_person = Some((NeedsPerson::Gate, "hold tag".to_owned()));
        assert!(tell(&mut incident, Situation::Escalated));
        incident.needs_person = Some((NeedsPerson::Gate, "the same gate in other words".to_owned()));
        assert!(!tell(&mut incident, Situation::Escalated));
        incident.needs_person = Some((NeedsPerson::MissingRight, "no right".to_owned()));
        assert!(tell(&mut incident, Situation::Escalated));
    }

    #[test]
    fn asks_again_for_another_plan_only() {
        let mut incident = incident();
        let mut ask = |name: &str| {
            let plan = plan(name);
            incident.approval = Some(Approval {
                plan_hash: plan.hash(),
                plan,
                why: "policy".to_owned(),
                asked_at: now(),
                answer_by: now(),
                reminders: 0,
                decision: None,
            });
            tell(&mut incident, Situation::ApprovalAsked)
        };
        assert!(ask("a"));
        assert!(!ask("a"));
        assert!(ask("b"));
    }
}
