//! A person's answer, and when it does not count. Pure: the incident and the time come in, the changed incident goes out.
//! [`keep`] stores it.

mod keep;
mod refusal;

use jiff::Timestamp;

pub use keep::{NotKept, keep};
pub use refusal::Refusal;

use crate::domain::incident::{Approval, ApprovalDecision, EntryKind, Hold, Incident, Phase};
use crate::domain::remedy::Remedy;
use crate::notify::texts::words::clean;

/// The longest reason that is recorded, in characters.
const LONGEST_REASON: usize = 500;
/// The longest name that is recorded.
const LONGEST_NAME: usize = 128;

/// Who answers, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The person, as the command line or the sign-in names them.
    pub name: String,
    /// By which way, as in `on the command line`.
    pub way: &'static str,
}

/// What a person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Allow the waiting plan.
    Approve {
        /// Only if it has this code.
        code: Option<String>,
    },
    /// Forbid it.
    Reject {
        /// Only if it has this code.
        code: Option<String>,
        /// Why.
        why: Option<String>,
    },
    /// Change nothing until it is released: somebody wants to think, or works on it.
    Hold {
        /// Why.
        why: Option<String>,
        /// A person mends it, instead of Keymend.
        taken_over: bool,
    },
    /// Let Keymend go on.
    Release {
        /// Why.
        why: Option<String>,
    },
    /// End the incident.
    Close {
        /// Why.
        why: String,
    },
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The incident, with the answer.
    pub incident: Incident,
    /// What was done, as in `approved`.
    pub what: &'static str,
    /// Who did it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// The first eight digits of the hash of the plan that waits: what people compare.
pub fn code(approval: &Approval) -> String {
    approval.plan_hash.chars().take(8).collect()
}

impl Answer {
    /// Records the answer. `seen` is the hash of the plan that the person saw: it must not be another one by now. Answers what
    /// was done, in a word.
    ///
    /// # Errors
    /// [`Refusal`]; the incident is as it was.
    pub fn record(
        &self,
        incident: &mut Incident,
        by: &By,
        seen: Option<&str>,
        now: Timestamp,
    ) -> Result<&'static str, Refusal> {
        let id = incident.id.to_string();
        if let Some(at) = incident.ended_at.filter(|_| incident.phase.is_end() && !self.is_about_settings(incident)) {
            let why = incident.end.clone().unwrap_or_else(|| "it is over".to_owned());
            return Err(Refusal::Ended { id, at, why });
        }
        let (approved, code, why) = match self {
            Self::Close { why } => return close(incident, by, why, now),
            Self::Hold { why, taken_over } => return hold(incident, by, why.as_deref(), *taken_over, now),
            Self::Release { why } => return release(incident, by, why.as_deref(), now),
            Self::Approve { code } => (true, code, None),
            Self::Reject { code, why } => (false, code, why.as_deref()),
        };
        let phase = incident.phase.words();
        let approval = incident.approval.as_mut().ok_or(Refusal::NothingAsked { id: id.clone(), phase })?;
        check(approval, &id, code.as_deref(), seen, now)?;
        if approved && let Some(hold) = &incident.hold {
            return Err(Refusal::Held { id, by: hold.by.clone(), at: hold.at });
        }
        approval.decision = Some(ApprovalDecision { approved, by: by.name.clone(), at: now });
        let what = if approved { "approved" } else { "rejected" };
        let text = format!("{} {what} the plan {} {}", by.name, self::code(approval), by.way);
        incident.note(now, EntryKind::Approval, with_reason(text, why));
        Ok(what)
    }
}

impl Answer {
    /// Settings are put back after the end: the answer to that question counts although the incident has ended, and so does
    /// holding it.
    fn is_about_settings(&self, incident: &Incident) -> bool {
        let asked = incident.approval.as_ref().is_some_and(|asked| asked.plan.remedy == Remedy::RestoreSettings);
        let counts = match self {
            Self::Close { .. } => false,
            Self::Hold { .. } | Self::Release { .. } => true,
            Self::Approve { .. } | Self::Reject { .. } => asked,
        };
        counts && incident.is_restoring()
    }
}

fn check(
    approval: &Approval,
    id: &str,
    given: Option<&str>,
    seen: Option<&str>,
    now: Timestamp,
) -> Result<(), Refusal> {
    if let Some(ApprovalDecision { approved, by, at }) = &approval.decision {
        return Err(Refusal::Decided { approved: *approved, by: clean(by, LONGEST_NAME), at: *at });
    }
    if now > approval.answer_by {
        let (id, at) = (id.to_owned(), approval.answer_by);
        return Err(match approval.plan.remedy {
            Remedy::RestoreSettings => Refusal::SettingsRanOut { id, at, now },
            _ => Refusal::RanOut { id, at, now },
        });
    }
    let waits = code(approval);
    if let Some(given) = given
        && !matches_code(given, &approval.plan_hash)
    {
        return Err(Refusal::OtherCode { id: id.to_owned(), given: clean(given, LONGEST_NAME), waits });
    }
    if seen.is_some_and(|seen| seen != approval.plan_hash) {
        return Err(Refusal::Changed { id: id.to_owned(), waits });
    }
    Ok(())
}

/// Whether a code names the plan: its first eight digits, or more of them.
fn matches_code(given: &str, hash: &str) -> bool {
    let given = given.trim().to_ascii_lowercase();
    given.len() >= 8 && hash.to_ascii_lowercase().starts_with(&given)
}

fn close(incident: &mut Incident, by: &By, why: &str, now: Timestamp) -> Result<&'static str, Refusal> {
    let why = reason(why);
    if why.is_empty() {
        return Err(Refusal::NoReason);
    }
    incident.finish(Phase::Closed, format!("closed by {}: {why}", by.name), now);
    Ok("closed")
}

fn hold(
    incident: &mut Incident,
    by: &By,
    why: Option<&str>,
    taken_over: bool,
    now: Timestamp,
) -> Result<&'static str, Refusal> {
    if let Some(hold) = incident.hold.as_ref().filter(|hold| hold.taken_over || !taken_over) {
        return Err(Refusal::Held { id: incident.id.to_string(), by: hold.by.clone(), at: hold.at });
    }
    let (what, means) = if taken_over { ("taken over", "took over") } else { ("held", "put on hold") };
    incident.hold = Some(Hold { by: by.name.clone(), at: now, why: why.map(reason), taken_over });
    let text = format!("{} {means} the incident {}: Keymend changes nothing until it is released", by.name, by.way);
    incident.note(now, EntryKind::Approval, with_reason(text, why));
    Ok(what)
}

fn release(incident: &mut Incident, by: &By, why: Option<&str>, now: Timestamp) -> Result<&'static str, Refusal> {
    if incident.hold.take().is_none() {
        return Err(Refusal::NotHeld { id: incident.id.to_string() });
    }
    incident.released_at = Some(now);
    // Its time may have run out meanwhile.
    incident.approval = incident.approval.take().filter(|asked| asked.decision.is_some());
    let text = format!("{} released the incident {}: Keymend goes on", by.name, by.way);
    incident.note(now, EntryKind::Approval, with_reason(text, why));
    Ok("released")
}

fn with_reason(text: String, why: Option<&str>) -> String {
    match why.map(reason).filter(|why| !why.is_empty()) {
        Some(why) => format!("{text}: {why}"),
        None => text,
    }
}

fn reason(text: &str) -> String {
    clean(text, LONGEST_REASON).trim().to_owned()
}
