//! The report as JUnit XML: one suite a vault, one case a rule, so that a pipeline shows what got worse.

use std::collections::BTreeSet;

use crate::markup::escaped;
use crate::posture::finding::{Finding, Level, RULES};
use crate::posture::report::Report;

/// Findings from this level on fail their case; lesser ones are told in its output.
const FAILS: Level = Level::Medium;

pub(super) fn suites(report: &Report) -> String {
    let mut hosts: BTreeSet<Option<&str>> = report.map.iter().map(|node| Some(node.host.as_str())).collect();
    hosts.extend(report.findings.iter().map(|finding| finding.vault.as_deref()));
    let suites: Vec<(String, usize, usize)> = hosts.into_iter().map(|host| suite(report, host)).collect();
    let tests: usize = suites.iter().map(|(_, tests, _)| tests).sum();
    let failures: usize = suites.iter().map(|(.., failures)| failures).sum();
    let body: String = suites.into_iter().map(|(text, ..)| text).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"keymend audit\" tests=\"{tests}\" failures=\"{failures}\">\n{body}</testsuites>\n"
    )
}

fn suite(report: &Report, host: Option<&str>) -> (String, usize, usize) {
    let name = host.unwrap_or("keymend itself");
    let mut body = String::new();
    let (mut tests, mut failures) = (0, 0);
    for rule in RULES {
        let found: Vec<&Finding> =
            report.findings.iter().filter(|one| one.rule == rule.id && one.vault.as_deref() == host).collect();
        let ours = matches!(rule.id, "own-rights" | "alert-rules");
        if found.is_empty() && ours == host.is_some() {
            continue;
        }
        tests += 1;
        let bad = found.iter().any(|finding| finding.level >= FAILS);
        body.push_str(&format!("    <testcase classname=\"{}\" name=\"{}\"", escaped(name), escaped(rule.id)));
        if found.is_empty() {
            body.push_str("/>\n");
            continue;
        }
        let text: String = found.iter().map(|finding| words(finding)).collect();
        let text = escaped(&text);
        if bad {
            failures += 1;
            let level = found.first().map_or("", |finding| finding.level.word());
            body.push_str(&format!(
                ">\n      <failure type=\"{level}\" message=\"{}\">{text}</failure>\n    </testcase>\n",
                escaped(rule.title)
            ));
        } else {
            body.push_str(&format!(">\n      <system-out>{text}</system-out>\n    </testcase>\n"));
        }
    }
    let head = format!(
        "  <testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" timestamp=\"{}\">\n",
        escaped(name),
        report.at.strftime("%Y-%m-%dT%H:%M:%S")
    );
    (format!("{head}{body}  </testsuite>\n"), tests, failures)
}

fn words(finding: &Finding) -> String {
    let mut text = format!("{}: {}\n{}\n{}\n", finding.level.word(), finding.what, finding.why, finding.fix);
    for command in &finding.commands {
        text.push_str(command);
        text.push('\n');
    }
    text.push_str(&format!("{}\n{}\n\n", finding.subject, finding.source));
    text
}
