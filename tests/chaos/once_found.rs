//! What was found once, and is mended: each story as it was.

use keymend::domain::policy::Preset;
use keymend::drill::cloud::{Exchange, Fault, FaultKind};

use crate::invariants::breaches;
use crate::stage::{Plan, Played, Stage};
use crate::workers::on_a_thread;

/// Azure answers 404 to some requests that end so, the `from`th to the `to`th.
fn not_found(plan: Plan, ends: &'static str, from: u32, to: u32) -> Played {
    on_a_thread(async {
        let stage = Stage::open(plan).await;
        let count = std::sync::Mutex::new(0);
        stage.cloud.fault_when(move |one: &Exchange| {
            if one.method != "GET" || !one.url.split('?').next()?.to_lowercase().ends_with(ends) {
                return None;
            }
            let mut count = count.lock().unwrap();
            *count += 1;
            let kind = FaultKind::Status { status: 404, code: "ResourceNotFound".to_owned() };
            (from..=to).contains(&*count).then(|| Fault::new(kind, "/", 1))
        });
        stage.play(async |_, _| ()).await
    })
}

fn assert_well(played: &Played) {
    let broken: Vec<String> = breaches(&played.seen).iter().map(ToString::to_string).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(played.undeclared.is_empty(), "{:?}", played.undeclared);
}

/// An incident was closed, and the team was told that its databases are online again, because Azure answered 404 once.
#[test]
fn a_server_that_azure_does_not_know_for_a_moment_is_not_given_up() {
    for (from, to) in [(1, 1), (4, 4), (4, 5)] {
        assert_well(&not_found(Plan::of("vault-deleted", Preset::Guarded, 7), "/servers/contoso-sql", from, to));
    }
}

/// The only alert of a loss was dismissed because Azure answered 404 to the first question about its server.
#[test]
fn the_only_alert_of_a_loss_outlives_a_wrong_answer() {
    for to in [1, 2] {
        let mut plan = Plan::of("permission-revoked-rbac", Preset::Guarded, 7);
        plan.setup.world.servers[0].databases.truncate(1);
        assert_well(&not_found(plan, "/encryptionprotector/current", 1, to));
    }
}
