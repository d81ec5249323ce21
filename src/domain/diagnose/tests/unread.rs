//! What could not be read never becomes a cause, and never health.

use crate::domain::diagnosis::{Cause, Link, LinkState};
use crate::domain::evidence::{Fact, MissingRight};
use crate::domain::test_support::{World, identity_id, policy_world, server_id, world, world_of};

fn denied<T>(action: &str) -> Fact<T> {
    Fact::Denied(MissingRight { action: action.to_owned(), scope: "somewhere".to_owned() })
}

type Hide = (&'static str, fn(&mut World));

#[test]
fn a_healthy_chain_with_an_unread_link_is_undetermined_and_names_the_right() {
    let hidings: [Hide; 9] = [
        ("Microsoft.Sql/servers/read", |w| w.server().server = denied("Microsoft.Sql/servers/read")),
        ("protector/read", |w| w.server().protector = denied("protector/read")),
        ("servers/keys/read", |w| w.server().linked_keys = denied("servers/keys/read")),
        ("databases/read", |w| w.server().databases = denied("databases/read")),
        ("vaults/read", |w| w.vault_evidence().vault = denied("vaults/read")),
        ("roleAssignments/read", |w| w.vault_evidence().grants = denied("roleAssignments/read")),
        ("denyAssignments/read", |w| w.vault_evidence().denials = denied("denyAssignments/read")),
        ("keys/read", |w| w.evidence.keys[0].version = denied("keys/read")),
        ("deletedKeys/read", |w| {
            w.delete_key();
            w.evidence.keys[0].deleted = denied("deletedKeys/read");
        }),
    ];
    for (action, hide) in hidings {
        let mut world = world();
        hide(&mut world);
        let diagnosis = world.diagnosis();
        assert_eq!(diagnosis.cause(), Cause::Undetermined, "{action}");
        assert!(diagnosis.findings[0].changes.is_empty());
        assert!(diagnosis.missing_rights.iter().any(|right| right.action == action), "{action}: {diagnosis:#?}");
        assert!(diagnosis.unknowns.iter().any(|said| said.contains(action)), "{action}: {:?}", diagnosis.unknowns);
        assert!(diagnosis.checks.iter().any(|check| check.state == LinkState::Unknown), "{action}");
    }
}

#[test]
fn a_policy_vault_needs_no_role_assignments_to_be_read() {
    let mut world = policy_world();
    world.vault_evidence().grants = denied("roleAssignments/read");
    world.vault_evidence().denials = denied("denyAssignments/read");
    assert_eq!(world.diagnosis().cause(), Cause::Healthy);
}

#[test]
fn a_vault_that_may_not_be_read_is_not_called_absent() {
    let mut world = world();
    world.vault_evidence().vault = denied("Microsoft.KeyVault/vaults/read");
    world.vault_evidence().deleted = Fact::Absent;
    assert_eq!(world.diagnosis().cause(), Cause::Undetermined);
    world.delete_vault();
    world.vault_evidence().deleted = denied("Microsoft.KeyVault/deletedVaults/read");
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.cause(), Cause::Undetermined, "it may be deleted or purged");
    assert_eq!(diagnosis.missing_rights[0].action, "Microsoft.KeyVault/deletedVaults/read");
}

#[test]
fn keys_of_a_deleted_vault_are_no_finding() {
    let mut world = world();
    world.delete_vault();
    world.evidence.keys[0].version = Fact::Absent;
    world.evidence.keys[0].exists = Fact::Known(false);
    world.evidence.keys[0].deleted = Fact::Absent;
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.findings.len(), 1);
    assert_eq!(diagnosis.cause(), Cause::VaultDeleted);
    let key = diagnosis.checks.iter().find(|check| check.link == Link::Key).expect("checked");
    assert_eq!(key.state, LinkState::Unknown);
}

#[test]
fn what_is_broken_is_said_even_where_something_else_could_not_be_read() {
    let mut world = world_of(&["a-sql", "b-sql"]);
    world.server().server = Fact::Unknown("timeout".to_owned());
    world.lose_roles();
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.findings[0].cause, Cause::RoleMissing);
    assert_eq!(diagnosis.findings[0].servers, [server_id("b-sql")]);
    assert_eq!(diagnosis.findings[1].cause, Cause::Undetermined);
    assert_eq!(diagnosis.findings[1].servers, [server_id("a-sql")]);
}

#[test]
fn an_identity_that_may_not_be_read_is_not_called_deleted() {
    let mut world = world();
    world.use_identity("umi");
    world.server_facts().identity.user_assigned[0].resource = denied("identities/read");
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.cause(), Cause::Undetermined);
    assert!(diagnosis.unknowns[0].contains(identity_id("umi").name()));
}

#[test]
fn no_server_is_not_health() {
    let mut world = world();
    world.evidence.servers.clear();
    assert_eq!(world.diagnosis().cause(), Cause::Undetermined);
    world.delete_vault();
    assert!(world.diagnosis().findings.iter().all(|finding| finding.changes.is_empty()));
}

#[test]
fn versions_that_were_not_listed_are_said_to_whoever_approves() {
    let mut world = world();
    world.version().enabled = false;
    assert!(!world.diagnosis().unknowns.iter().any(|said| said.contains("newer")));
    world.evidence.keys[0].versions.clear();
    assert!(world.diagnosis().unknowns.iter().any(|said| said.contains("newer")));
}
