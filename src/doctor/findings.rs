//! What the doctor says of Keymend's own rights and of the alert rules, as findings of the audit.

use super::report::{Section, State};
use crate::posture::finding::{ALERT_RULES, Finding, Level, OWN_RIGHTS, Rule};

/// Every check that is not well; other sections say nothing about databases and their keys.
#[must_use]
pub fn of(sections: &[Section]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for section in sections {
        let rule: &Rule = match section.name {
            "rights" => &OWN_RIGHTS,
            "alert rules" => &ALERT_RULES,
            _ => continue,
        };
        for check in &section.checks {
            let level = match check.state {
                State::Ok => continue,
                State::Warning => Level::Low,
                State::Unknown => Level::Medium,
                State::Missing => Level::High,
            };
            let subject = check.lacking.as_ref().map_or(check.name.as_str(), |lacking| lacking.scope.as_str());
            let finding = Finding::new(rule, level, subject, format!("{}: {}", check.name, check.said));
            let finding = match &check.fix {
                Some(fix) => {
                    fix.run.iter().fold(finding.fix(fix.what.clone()), |finding, run| finding.run(run.clone()))
                }
                None => finding.fix("See what is missing").run("keymend doctor"),
            };
            findings.push(finding);
        }
    }
    findings
}
