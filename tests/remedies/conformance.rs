//! What the remedies send, and what the simulated cloud answers, held against the published OpenAPI, where it is at hand.

use std::path::Path;
use std::process::Command;

use keymend::domain::remedy::{Change, Remedy};

use crate::lab::{Lab, REMEDIES, world};

fn check(lab: &Lab, what: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tools/check-openapi");
    if !script.exists() {
        eprintln!("skipped: {} is not there", script.display());
        return;
    }
    let file = tempfile::NamedTempFile::with_suffix(".har").unwrap();
    std::fs::write(file.path(), lab.cloud.har().to_string()).unwrap();
    let output = Command::new("python3").arg(&script).arg(file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{what}: {said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_remedy_speaks_as_azure_publishes() {
    for remedy in REMEDIES {
        let lab = Lab::broken(remedy).await;
        lab.settle(&lab.change(remedy).await).await;
        check(&lab, remedy.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_the_one_that_keeps_identities() {
    let lab = Lab::of(world(Remedy::Wait).user_assigned()).await;
    let kept = lab.direct.server(&lab.server()).await.unwrap().identity.user_assigned;
    let keep = kept.into_iter().map(|identity| identity.id).collect();
    lab.settle(&Change::AssignIdentity { server: lab.server(), keep }).await;
    check(&lab, "assign_identity, kept");
}
