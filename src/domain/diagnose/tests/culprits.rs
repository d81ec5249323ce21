//! Who did it, and whether it looks deliberate.

use crate::domain::diagnosis::Cause;
use crate::domain::evidence::{CallerKind, Fact};
use crate::domain::remedy::Change;
use crate::domain::test_support::{TENANT, World, at, policy_world, server_id, vault_id, world};

const PERSON: CallerKind = CallerKind::Person;

fn who(world: &World) -> Option<String> {
    world.diagnosis().culprit.and_then(|culprit| culprit.who)
}

#[test]
fn the_newest_matching_change_names_the_culprit() {
    let mut world = world();
    world.lose_roles();
    assert_eq!(who(&world), None);
    world.log_role_removal("early", PERSON, "2026-11-24T01:00:00Z");
    world.log_role_removal("late", PERSON, "2026-11-24T02:01:00Z");
    world.log("microsoft.keyvault/vaults/write", vault_id().as_str(), "other", PERSON, "2026-11-24T02:05:00Z");
    assert_eq!(who(&world).as_deref(), Some("late"));
    let culprit = world.diagnosis().culprit.expect("named");
    assert_eq!(culprit.at, at("2026-11-24T02:01:00Z"));
    assert_eq!(culprit.ids, ["late", "oid-of-late"]);
}

#[test]
fn a_removal_on_the_vault_is_nearer_than_one_on_its_group() {
    let mut world = world();
    world.lose_roles();
    world.log_role_removal("near", PERSON, "2026-11-24T02:00:00Z");
    let group = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-keys/providers/Microsoft.Authorization/roleAssignments/b";
    world.log("microsoft.authorization/roleassignments/delete", group, "far", PERSON, "2026-11-24T02:05:00Z");
    let other = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-key/providers/Microsoft.Authorization/roleAssignments/b";
    world.log("microsoft.authorization/roleassignments/delete", other, "elsewhere", PERSON, "2026-11-24T02:06:00Z");
    assert_eq!(who(&world).as_deref(), Some("near"));
}

#[test]
fn our_own_repairs_are_nobodys_fault() {
    let mut world = policy_world();
    world.vault().access_policies.clear();
    let target = vault_id().to_string();
    world.log("microsoft.keyvault/vaults/accesspolicies/write", &target, "responder", PERSON, "2026-11-24T02:09:00Z");
    let change = Change::AddAccessPolicy { vault: vault_id(), tenant_id: TENANT.to_owned(), grants: Vec::new() };
    let made = world.made(1);
    world.attempt(change, 1, made);
    world.incident.attempts[0].correlation_id = world.evidence.changes[0].correlation_id.clone();
    assert_eq!(who(&world), None);
    world.incident.attempts[0].correlation_id = Some("another".to_owned());
    assert_eq!(who(&world).as_deref(), Some("responder"), "somebody else's, though at the same time");
    world.incident.attempts[0].correlation_id = None;
    assert_eq!(who(&world), None, "recognised by operation and time");
}

#[test]
fn nobody_is_named_for_keys_and_it_says_why() {
    let mut world = world();
    world.version().enabled = false;
    world.log("microsoft.keyvault/vaults/write", vault_id().as_str(), "innocent", PERSON, "2026-11-24T02:05:00Z");
    assert_eq!(who(&world), None);
    let said = "key changes are not in the Activity Log: nobody could be named";
    assert!(world.diagnosis().unknowns.iter().any(|unknown| unknown == said));

    world.version().enabled = true;
    world.version().expires = Some(at("2026-11-24T02:00:00Z"));
    assert!(!world.diagnosis().unknowns.iter().any(|unknown| unknown == said), "it expired by itself");
    assert_eq!(world.diagnosis().began_at(), Some(at("2026-11-24T02:00:00Z")));
}

#[test]
fn a_log_that_may_not_be_read_is_said_so() {
    let mut world = world();
    world.lose_roles();
    world.evidence.changes_read = Fact::Unknown("throttled".to_owned());
    assert!(world.diagnosis().unknowns.iter().any(|said| said.contains("throttled")));
}

#[test]
fn every_cause_that_the_log_can_explain_finds_its_operation() {
    let server = server_id("contoso-sql").to_string();
    let vault = vault_id().to_string();
    type Case = (Cause, &'static str, fn(&mut World), String);
    let cases: Vec<Case> = vec![
        (
            Cause::IdentityMissing,
            "microsoft.sql/servers/write",
            |w| w.server_facts().identity.system_principal_id = None,
            server,
        ),
        (Cause::VaultDeleted, "microsoft.keyvault/vaults/delete", World::delete_vault, vault.clone()),
        (Cause::VaultFirewalled, "microsoft.keyvault/vaults/write", World::close_firewall, vault.clone()),
        (
            Cause::RoleMissing,
            "microsoft.authorization/roleassignments/delete",
            World::lose_roles,
            format!("{vault}/keys/tde-key/providers/Microsoft.Authorization/roleAssignments/x"),
        ),
        (
            Cause::DenyAssignment,
            "microsoft.authorization/denyassignments/write",
            |w| w.deny("principal-of-contoso-sql"),
            format!("{vault}/providers/Microsoft.Authorization/denyAssignments/x"),
        ),
    ];
    for (cause, operation, break_it, target) in cases {
        let mut world = world();
        break_it(&mut world);
        world.log(operation, &target, "eve", PERSON, "2026-11-24T02:01:00Z");
        let diagnosis = world.diagnosis();
        assert_eq!(diagnosis.cause(), cause);
        assert_eq!(diagnosis.culprit.and_then(|culprit| culprit.who).as_deref(), Some("eve"), "{cause:?}");
    }
}

#[test]
fn roles_lost_with_a_recovered_vault_are_the_deleters_doing() {
    let mut world = world();
    world.lose_roles();
    world.log_role_removal("long-ago", PERSON, "2026-11-23T08:00:00Z");
    world.log("microsoft.keyvault/vaults/delete", vault_id().as_str(), "eve", PERSON, "2026-11-24T02:00:00Z");
    let recover =
        Change::RecoverVault { vault: vault_id(), location: "westeurope".to_owned(), tenant_id: TENANT.to_owned() };
    let made = world.made(2);
    world.attempt(recover, 3, made);
    assert_eq!(who(&world).as_deref(), Some("eve"));
}

#[test]
fn two_kinds_of_protective_changes_close_together_look_deliberate() {
    let mut world = world();
    world.lose_roles();
    world.log_role_removal("eve", PERSON, "2026-11-24T02:00:00Z");
    assert!(world.diagnosis().protective_changes.is_empty(), "one kind is an accident");
    world.log_role_removal("eve", PERSON, "2026-11-24T02:01:00Z");
    assert!(world.diagnosis().protective_changes.is_empty(), "twice the same is one kind");
    let lock = format!("{}/providers/Microsoft.Authorization/locks/freeze", vault_id());
    world.log("microsoft.authorization/locks/write", &lock, "eve", PERSON, "2026-11-24T02:08:00Z");
    assert!(world.diagnosis().protective_changes.is_empty(), "the lock does not stand any more");
    world.lock(&vault_id());
    assert_eq!(world.diagnosis().protective_changes.len(), 3);
    world.policy.gates.deliberate_within_minutes = 5;
    assert!(world.diagnosis().protective_changes.is_empty(), "eight minutes apart");
}

#[test]
fn a_disabled_key_and_a_removed_role_are_two_kinds() {
    let mut world = world();
    world.version().enabled = false;
    world.version().updated = Some(at("2026-11-24T02:03:00Z"));
    world.lose_roles();
    world.log_role_removal("eve", PERSON, "2026-11-24T02:00:00Z");
    let protective = world.diagnosis().protective_changes;
    assert_eq!(protective.len(), 2, "{protective:#?}");
    assert!(protective[0].at >= protective[1].at, "newest first");
}

#[test]
fn a_side_that_the_lagging_log_does_not_explain_yet_counts_as_now() {
    let mut world = world();
    world.version().enabled = false;
    world.version().updated = Some(at("2026-11-24T02:03:00Z"));
    world.lose_roles();
    assert_eq!(world.diagnosis().protective_changes.len(), 2);
    world.version().updated = Some(at("2026-03-01T00:00:00Z"));
    assert!(world.diagnosis().protective_changes.is_empty(), "that key was disabled long ago");
}

#[test]
fn what_was_mended_counts_once_access_is_lost_from_another_side() {
    let mut lost = world();
    lost.lose_roles();
    let grant = lost.diagnosis().findings[0].changes[0].clone();
    let mut world = world();
    let made = world.made(5);
    world.attempt(grant, 5, made);
    world.version().enabled = false;
    world.version().updated = Some(at("2026-11-24T02:03:00Z"));
    assert!(world.diagnosis().protective_changes.is_empty(), "both may have been broken from the beginning");
    world.incident.whole_since = Some(at("2026-11-24T02:01:00Z"));
    assert_eq!(world.diagnosis().protective_changes.len(), 2, "{:#?}", world.diagnosis().protective_changes);
    world.incident.whole_since = None;
    world.incident.lost_again_at = Some(at("2026-11-24T02:04:00Z"));
    assert_eq!(world.diagnosis().protective_changes.len(), 2, "it is not forgotten at the next look");
    world.version().enabled = true;
    assert!(world.diagnosis().protective_changes.is_empty(), "nothing is broken");
}

#[test]
fn ordinary_changes_that_took_nothing_away_are_not_protective() {
    let mut world = policy_world();
    world.version().enabled = false;
    world.version().updated = Some(at("2026-11-24T02:03:00Z"));
    let vault = vault_id().to_string();
    world.log("microsoft.keyvault/vaults/write", &vault, "pipeline", PERSON, "2026-11-24T02:00:00Z");
    world.log("microsoft.keyvault/vaults/accesspolicies/write", &vault, "pipeline", PERSON, "2026-11-24T02:01:00Z");
    world.log_role_removal("pipeline", PERSON, "2026-11-24T02:02:00Z");
    assert!(world.diagnosis().protective_changes.is_empty(), "{:#?}", world.diagnosis().protective_changes);
}
