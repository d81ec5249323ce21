//! What the doctor asks, and what the simulated cloud answers, held against the published OpenAPI, where it is at hand. The
//! saved files do not hold the alert rules, so their published shapes are written down in `openapi/insights.json`.

use std::path::Path;
use std::process::Command;

use keymend::drill::cloud::World;
use keymend::drill::cloud::world::PermissionModel;
use serde_json::{Value, json};

use crate::clinic::{Clinic, well};

fn is_alert(entry: &Value) -> bool {
    let url = entry["request"]["url"].as_str().unwrap();
    url.contains("/activityLogAlerts") || url.contains("/actionGroups")
}

fn held_against(checker: &Path, entries: &[Value], specs: Option<&Path>) {
    let file = tempfile::NamedTempFile::with_suffix(".har").unwrap();
    std::fs::write(file.path(), json!({"log": {"entries": entries}}).to_string()).unwrap();
    let mut command = Command::new("python3");
    command.arg(checker).arg(file.path());
    if let Some(specs) = specs {
        command.arg("--specs").arg(specs);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_speaks_as_azure_publishes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checker = root.join("../shared/tools/check-openapi");
    if !checker.exists() {
        eprintln!("SKIPPED: {} is not there", checker.display());
        return;
    }
    let worlds = [
        World::standard(),
        World::standard().model(PermissionModel::Policy).user_assigned(),
        World::standard().without_right("Microsoft.KeyVault/vaults/read"),
        World::standard().without_right("Microsoft.Insights/activityLogAlerts/read"),
    ];
    let mut entries = Vec::new();
    for world in worlds {
        let clinic = Clinic::open(well(world)).await;
        clinic.report().await;
        entries.extend(clinic.cloud.har()["log"]["entries"].as_array().unwrap().clone());
    }
    let (alerts, others): (Vec<Value>, Vec<Value>) = entries.into_iter().partition(is_alert);
    assert!(alerts.len() >= 7 && others.len() >= 40, "{} and {}", alerts.len(), others.len());
    held_against(&checker, &others, None);
    held_against(&checker, &alerts, Some(&root.join("tests/doctor/openapi")));
}
