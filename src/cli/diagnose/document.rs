//! What was found, as a stable JSON document: fields are added, never renamed.

use serde_json::{Value, json};

use super::Found;
use crate::domain::plan::Decision;
use crate::domain::policy::Policy;
use crate::notify::texts::by_hand::command;
use crate::notify::texts::causes::finding_sentence;
use crate::notify::texts::changes::change_sentence;
use crate::posture::chain::Chain;

/// The document's name and version.
const SCHEMA: &str = "keymend.diagnose/1";

pub(super) fn document(found: &Found, policy: &Policy) -> Value {
    let vault = found.evidence.vault.as_ref();
    json!({
        "schema": SCHEMA,
        "resource": found.named,
        "exists": found.is_there(),
        "verdict": found.verdict(),
        "in_scope": policy.scope.covers(&found.named),
        "at": found.evidence.taken_at,
        "waves": found.evidence.waves,
        "vault": vault.map(|vault| json!({ "host": vault.host, "id": vault.id })),
        "preset": policy.preset,
        "chains": found.chains.iter().map(chain).collect::<Vec<_>>(),
        "not_looked_at": found.unread,
    })
}

fn chain(chain: &Chain) -> Value {
    let mut value = serde_json::to_value(chain).unwrap_or_default();
    let at = chain.diagnosis.at;
    value["findings_in_words"] =
        chain.diagnosis.findings.iter().map(|finding| json!(finding_sentence(finding, at).to_string())).collect();
    let plan = match &chain.decision {
        Decision::Repair { plan } | Decision::Ask { plan, .. } | Decision::Observe { plan, .. } => Some(plan),
        Decision::Escalate { plan, .. } => plan.as_ref(),
        Decision::Close { .. } | Decision::Wait { .. } => None,
    };
    value["steps"] = plan
        .map(|plan| plan.changes.as_slice())
        .unwrap_or_default()
        .iter()
        .map(|change| json!({ "words": change_sentence(change).to_string(), "command": command(change) }))
        .collect();
    value
}
