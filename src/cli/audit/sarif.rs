//! The report as SARIF 2.1.0 (OASIS), for code scanning and dashboards.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::posture::finding::{Finding, Level, RULES};
use crate::posture::report::Report;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn log(report: &Report) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            let mut value = json!({
                "id": rule.id,
                "shortDescription": { "text": rule.title },
                "fullDescription": { "text": rule.why },
                "help": { "text": format!("{} Source: {}", rule.why, rule.source) },
            });
            if rule.source.starts_with("https://") {
                value["helpUri"] = json!(rule.source);
            }
            value
        })
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "keymend",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "invocations": [{
                "executionSuccessful": true,
                "startTimeUtc": report.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            }],
            "results": report.findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::Critical | Level::High => "error",
        Level::Medium => "warning",
        Level::Low | Level::Info => "note",
    }
}

/// What code scanning ranks by: 0 to 100.
const fn rank(level: Level) -> f64 {
    match level {
        Level::Critical => 95.0,
        Level::High => 80.0,
        Level::Medium => 50.0,
        Level::Low => 25.0,
        Level::Info => 5.0,
    }
}

fn result(finding: &Finding) -> Value {
    let index = RULES.iter().position(|rule| rule.id == finding.rule);
    let mut text = format!("{}. {}", finding.what.trim_end_matches('.'), finding.why);
    if !finding.fix.is_empty() {
        text.push_str(&format!(" To do: {}.", finding.fix.trim_end_matches('.')));
    }
    for command in &finding.commands {
        text.push_str(&format!("\n{command}"));
    }
    json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": level(finding.level),
        "rank": rank(finding.level),
        "message": { "text": text },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": address(&finding.subject) } },
            "logicalLocations": [{ "fullyQualifiedName": finding.subject, "name": finding.name(), "kind": "resource" }],
        }],
        "partialFingerprints": { "keymend/v1": hex::encode(Sha256::digest(finding.fingerprint())) },
        "properties": {
            "level": finding.level.word(),
            "vault": finding.vault,
            "servers": finding.servers,
            "databases": finding.databases,
        },
    })
}

/// The subject as a URI reference: readers want a place for every result.
fn address(subject: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_');
    let path = subject.strip_prefix("https://").unwrap_or(subject);
    percent_encoding::utf8_percent_encode(path.trim_start_matches('/'), KEPT).to_string()
}
