//! A person's answer, and when it does not count. Pure: the incident and the time come in, the changed incident goes out.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::output::plain;
use crate::domain::incident::{Approval, ApprovalDecision, EntryKind, Incident, Phase};
use crate::domain::remedy::Remedy;
use crate::notify::texts::changes::{before_after, change_sentence, plan_sentence};
use crate::notify::texts::clocks::{date_and_clock, length};

/// The longest reason that is recorded.
const LONGEST_REASON: usize = 500;

/// What a person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
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
    /// End the incident.
    Close {
        /// Why.
        why: String,
    },
}

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{id} ended at {}: {why}", date_and_clock(*at))]
    Ended { id: String, at: Timestamp, why: String },
    #[error("nothing waits for an answer in {id}: it is {phase}. See it with: keymend incidents show {id}")]
    NothingAsked { id: String, phase: &'static str },
    #[error("already {} by {by} at {}; a decision stands", if *approved { "approved" } else { "rejected" }, date_and_clock(*at))]
    Decided { approved: bool, by: String, at: Timestamp },
    #[error(
        "the question ran out at {}, {} ago: the self-heal window was as good as over, or the key about to expire. A new one is asked if a repair still makes sense: \
         keymend incidents show {id}",
        date_and_clock(*at), length(now.duration_since(*at))
    )]
    RanOut { id: String, at: Timestamp, now: Timestamp },
    #[error(
        "the question ran out at {}, {} ago: the settings stay as they are. What to do by hand: keymend incidents show {id}",
        date_and_clock(*at), length(now.duration_since(*at))
    )]
    SettingsRanOut { id: String, at: Timestamp, now: Timestamp },
    #[error(
        "the plan that waits has the code {waits}, not {given}: it may be another one by now. Look at it first: keymend incidents show {id}"
    )]
    OtherCode { id: String, given: String, waits: String },
    #[error(
        "the plan changed while you answered; it has the code {waits} now. Look at it first: keymend incidents show {id}"
    )]
    Changed { id: String, waits: String },
    #[error("say why it is closed: --why TEXT")]
    NoReason,
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub incident: Incident,
    pub what: &'static str,
    pub by: String,
    pub at: Timestamp,
}

/// The first eight digits of the hash of the plan that waits: what people compare.
pub(super) fn code(approval: &Approval) -> String {
    approval.plan_hash.chars().take(8).collect()
}

impl Answer {
    /// Records the answer. `seen` is the hash of the plan that was there at first: it must not become another one while we
    /// are at it.
    pub fn record(
        &self,
        incident: &mut Incident,
        by: &str,
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
            Self::Approve { code } => (true, code, None),
            Self::Reject { code, why } => (false, code, why.as_deref()),
        };
        let phase = phase_words(incident.phase);
        let approval = incident.approval.as_mut().ok_or(Refusal::NothingAsked { id: id.clone(), phase })?;
        check(approval, &id, code.as_deref(), seen, now)?;
        approval.decision = Some(ApprovalDecision { approved, by: by.to_owned(), at: now });
        let what = if approved { "approved" } else { "rejected" };
        let mut text = format!("{by} {what} the plan {} on the command line", self::code(approval));
        if let Some(why) = why.map(reason).filter(|why| !why.is_empty()) {
            text = format!("{text}: {why}");
        }
        incident.note(now, EntryKind::Approval, text);
        Ok(what)
    }
}

impl Answer {
    /// Settings are put back after the end: the answer to that question counts although the incident has ended.
    fn is_about_settings(&self, incident: &Incident) -> bool {
        let asked = incident.approval.as_ref().is_some_and(|asked| asked.plan.remedy == Remedy::RestoreSettings);
        !matches!(self, Self::Close { .. }) && incident.is_restoring() && asked
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
        return Err(Refusal::Decided { approved: *approved, by: plain(by), at: *at });
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
        return Err(Refusal::OtherCode { id: id.to_owned(), given: plain(given), waits });
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

fn close(incident: &mut Incident, by: &str, why: &str, now: Timestamp) -> Result<&'static str, Refusal> {
    let why = reason(why);
    if why.is_empty() {
        return Err(Refusal::NoReason);
    }
    incident.finish(Phase::Closed, format!("closed by {by}: {why}"), now);
    Ok("closed")
}

fn reason(text: &str) -> String {
    plain(text).trim().chars().take(LONGEST_REASON).collect()
}

impl Said {
    pub fn words(&self) -> String {
        let Self { incident, what, by, at } = self;
        let mut lines = vec![format!("{what} by {by} at {}: {}", date_and_clock(*at), incident.id)];
        match (&incident.approval, *what) {
            (Some(approval), "approved" | "rejected") => {
                lines.push(format!("  plan {}: {}", code(approval), plan_sentence(&approval.plan)));
                for change in &approval.plan.changes {
                    lines.push(format!("  - {}", change_sentence(change)));
                    for step in before_after(change) {
                        lines.push(format!("      {}: {} -> {}", step.property, step.before, step.after));
                    }
                }
                lines.push(if *what == "approved" {
                    "Before anything is sent, Keymend looks again: only this very plan may run.".to_owned()
                } else if approval.plan.remedy == Remedy::RestoreSettings {
                    "Nothing is changed: the settings stay as they are.".to_owned()
                } else {
                    "Nothing is changed. The incident stays open and is watched.".to_owned()
                });
            }
            _ => lines.push("It is not watched any more. A new alert opens a new incident.".to_owned()),
        }
        if incident.attempts.iter().any(|attempt| attempt.outcome.is_none()) && *what == "closed" {
            lines.push("A change had been begun; Azure may still be carrying it out.".to_owned());
        }
        lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")
    }

    pub fn json(&self) -> Value {
        let Self { incident, what, by, at } = self;
        let approval = incident.approval.as_ref().filter(|_| *what != "closed");
        json!({
            "incident": incident.id,
            "answer": what,
            "by": by,
            "at": at.to_string(),
            "code": approval.map(code),
            "plan": approval.map(|approval| &approval.plan),
        })
    }
}

/// A phase in words.
pub(super) const fn phase_words(phase: Phase) -> &'static str {
    phase.words()
}
