//! What was recorded of a person's answer, in words.

use serde_json::{Value, json};

use crate::cli::output::plain;
use crate::domain::remedy::Remedy;
use crate::notify::texts::changes::{before_after, change_sentence, plan_sentence};
use crate::notify::texts::clocks::date_and_clock;
use crate::responder::answer::{Said, code};

/// For a person.
pub(super) fn words(said: &Said) -> String {
    let Said { incident, what, by, at } = said;
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
        (_, "held" | "taken over") => {
            let id = &incident.id;
            lines.push(format!("Keymend watches and changes nothing until: keymend incidents release {id}"));
        }
        (_, "released") => lines.push("Keymend goes on from what it sees now.".to_owned()),
        _ => lines.push("It is not watched any more. A new alert opens a new incident.".to_owned()),
    }
    if incident.attempts.iter().any(|attempt| attempt.outcome.is_none()) && *what == "closed" {
        lines.push("A change had been begun; Azure may still be carrying it out.".to_owned());
    }
    lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")
}

/// For a program.
pub(super) fn json(said: &Said) -> Value {
    let Said { incident, what, by, at } = said;
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
