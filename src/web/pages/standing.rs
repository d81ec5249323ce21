//! How an incident stands now, as the message that would be sent now: so a page says everything in the words of the messages.

use jiff::Timestamp;

use crate::domain::diagnosis::Cause;
use crate::domain::incident::{Approval, Incident, Phase};
use crate::domain::notice::{Notice, Situation, Told};
use crate::domain::restoration::still_lost;
use crate::notify::compose::compose;
use crate::responder::{databases, schedule};

/// The notice that tells how it stands.
#[must_use]
pub fn standing(incident: &Incident, now: Timestamp) -> Notice {
    let situation = situation(incident, now);
    let needs = incident.needs_person.clone().filter(|_| situation == Situation::Escalated);
    let (needs_person, why) = needs.unzip();
    let ended = incident.end.clone().filter(|_| incident.phase.is_end());
    let lost = incident.restoration.as_ref().map_or_else(|| databases::lost_settings(incident), still_lost);
    let next = (!incident.phase.is_end()).then(|| schedule::next_word(incident, now));
    let at = incident.ended_at.filter(|_| is_ending(situation)).unwrap_or(now);
    compose(incident, situation, why.or(ended), needs_person, lost, incident.lost_at.is_some(), next, at)
}

/// Whether it tells how it ended: the same, whenever somebody looks.
const fn is_ending(situation: Situation) -> bool {
    matches!(situation, Situation::Resolved | Situation::RecoveredWithoutUs)
}

/// The question that waits for an answer, if one does.
#[must_use]
pub fn open_question(incident: &Incident) -> Option<&Approval> {
    let asks = incident.phase == Phase::AwaitingApproval || (incident.phase.is_end() && incident.is_restoring());
    incident.approval.as_ref().filter(|approval| asks && approval.decision.is_none())
}

/// What would be told now.
fn situation(incident: &Incident, now: Timestamp) -> Situation {
    if open_question(incident).is_some() {
        return Situation::ApprovalAsked;
    }
    let told = |situation: Situation| incident.notices.iter().any(|told: &Told| told.situation == situation);
    let made = incident.made().next().is_some();
    let still = incident.diagnosis.as_ref().is_some_and(|found| found.cause() == Cause::StillInaccessible);
    match incident.phase {
        Phase::Healed | Phase::Closed if told(Situation::SettingsRestored) => Situation::SettingsRestored,
        Phase::Healed | Phase::Closed if made => Situation::Resolved,
        Phase::Healed | Phase::Closed => Situation::RecoveredWithoutUs,
        Phase::Escalated => Situation::Escalated,
        Phase::Mending if made => Situation::ChangeMade,
        Phase::Opened | Phase::AtRisk => Situation::FirstNotice,
        Phase::Propagating => Situation::ChangeMade,
        _ if incident.window_is_over(now) => Situation::WindowOver,
        Phase::Revalidating => Situation::ChangeMade,
        Phase::Verifying if made => Situation::ChangeMade,
        Phase::Verifying if still => Situation::Diagnosed,
        _ if told(Situation::ObservedOnly) => Situation::ObservedOnly,
        _ if incident.diagnosis.is_none() => Situation::FirstNotice,
        _ => Situation::Diagnosed,
    }
}
