//! Alert rules: each operation left out, listing forbidden, an action group that does not call us.

use keymend::drill::cloud::World;
use serde_json::Value;

use crate::clinic::{Clinic, check, commands, lacking, well};

const LOSS: &str = "Microsoft.Sql/servers/databases/write";

fn without(operation: &str) -> World {
    let mut world = well(World::standard());
    world.alerts.without = vec![operation.to_owned()];
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_rule_for_the_loss_nobody_would_ring() {
    let (code, report) = Clinic::open(without(LOSS)).await.report().await;
    assert_eq!((code, &check(&report, "loss")["state"]), (1, &Value::from("missing")));
    let commands = commands(&report);
    assert!(commands.contains("az monitor activity-log alert create") && commands.contains(LOSS), "{commands}");
    assert!(commands.contains("/actionGroups/keymend"), "the group that is there is used: {commands}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_cause_that_no_rule_watches_is_named_alone() {
    for cause in [
        "Microsoft.KeyVault/vaults/delete",
        "Microsoft.KeyVault/locations/deletedVaults/purge/action",
        "Microsoft.KeyVault/vaults/write",
        "Microsoft.KeyVault/vaults/accessPolicies/write",
        "Microsoft.Authorization/roleAssignments/delete",
        "Microsoft.Authorization/roleAssignments/write",
        "Microsoft.Authorization/locks/delete",
        "Microsoft.Sql/servers/write",
        "Microsoft.Sql/servers/encryptionProtector/write",
        "Microsoft.Sql/servers/keys/write",
        "Microsoft.Sql/servers/keys/delete",
        "Microsoft.ManagedIdentity/userAssignedIdentities/delete",
    ] {
        let (code, report) = Clinic::open(without(cause)).await.report().await;
        let causes = check(&report, "causes");
        assert_eq!((code, &causes["state"]), (0, &Value::from("warning")));
        assert_eq!(causes["said"], format!("no rule rings for {cause}"));
        assert!(commands(&report).contains(&format!("operationName={cause}")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_may_not_be_listed_are_unknown_and_the_right_is_named() {
    for right in ["Microsoft.Insights/activityLogAlerts/read", "Microsoft.Insights/actionGroups/read"] {
        let (code, report) = Clinic::open(well(World::standard().without_right(right))).await.report().await;
        assert_eq!(code, 1);
        let unknown: Vec<_> = crate::clinic::in_state(&report, "unknown");
        assert_eq!(unknown.len(), 1, "{report:#}");
        assert_eq!(lacking(&report).into_iter().map(|(right, _)| right).collect::<Vec<_>>(), [right]);
        assert!(commands(&report).contains("infra/roles/01-responder-probe.json"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_schema_is_worth_a_word() {
    let mut world = well(World::standard());
    world.alerts.common_schema = false;
    let (code, report) = Clinic::open(world).await.report().await;
    assert_eq!((code, &check(&report, "action group")["state"]), (0, &Value::from("warning")));
}
