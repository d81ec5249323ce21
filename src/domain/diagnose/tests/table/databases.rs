//! Rows 18 to 24: databases, and servers that are gone or not ours.

use super::*;

#[test]
fn rows_18_and_19_whole_chain_and_databases_down() {
    let mut world = world_of(&["a-sql", "b-sql"]);
    let Fact::Known(databases) = &mut world.server().databases else { panic!() };
    databases[0].status = "Inaccessible".to_owned();
    let diagnosis = world.diagnosis();
    assert_eq!(causes(&diagnosis), [Cause::StillInaccessible]);
    assert_eq!(diagnosis.findings[0].servers, [server_id("a-sql")]);
    assert!(diagnosis.chain_is_whole());
    assert_eq!(diagnosis.inaccessible.len(), 1);
    assert_eq!(link(&diagnosis, Link::Database), LinkState::Broken);
}

#[test]
fn a_database_that_is_still_recovering_is_not_back() {
    let mut world = world();
    let Fact::Known(databases) = &mut world.server().databases else { panic!() };
    databases[0].status = "Recovering".to_owned();
    assert_eq!(world.diagnosis().cause(), Cause::StillInaccessible);
    databases_of(&mut world)[0].status = "Online".to_owned();
    databases_of(&mut world)[1].status = "Restoring".to_owned();
    assert_eq!(world.diagnosis().cause(), Cause::Healthy, "billing was never part of this incident");
}

fn databases_of(world: &mut World) -> &mut Vec<crate::domain::evidence::Database> {
    match &mut world.server().databases {
        Fact::Known(databases) => databases,
        other => panic!("{other:?}"),
    }
}

#[test]
fn row_24_gone_and_variants_that_are_not_ours() {
    let mut gone = world();
    gone.server().server = Fact::Absent;
    assert_eq!(causes(&gone.diagnosis()), [Cause::TargetGone]);
    let mut empty = world();
    empty.server().databases = Fact::Known(Vec::new());
    assert_eq!(causes(&empty.diagnosis()), [Cause::TargetGone]);
    let mut managed = world();
    let Fact::Known(protector) = &mut managed.server().protector else { panic!() };
    protector.customer_managed = false;
    protector.uri = None;
    assert_eq!(causes(&managed.diagnosis()), [Cause::ServiceManaged]);
}

#[test]
fn a_server_that_is_gone_does_not_hide_the_others() {
    let mut world = world_of(&["a-sql", "b-sql"]);
    world.server().server = Fact::Absent;
    assert_eq!(causes(&world.diagnosis()), [Cause::Healthy]);
    world.lose_roles();
    let diagnosis = world.diagnosis();
    assert_eq!(causes(&diagnosis), [Cause::RoleMissing]);
    assert_eq!(diagnosis.findings[0].servers, [server_id("b-sql")]);
}

#[test]
fn a_database_with_its_own_key_is_a_persons_work_and_hides_nothing() {
    let mut world = world();
    let own = key_uri("own-key", Some(OLD_VERSION));
    let database = &mut databases_of(&mut world)[2];
    database.own_protector = Some(own);
    assert_eq!(causes(&world.diagnosis()), [Cause::Healthy]);
    database_down(&mut world, 2);
    assert_eq!(causes(&world.diagnosis()), [Cause::DatabaseLevelKey]);
    assert!(!world.diagnosis().chain_is_whole());
    database_down(&mut world, 0);
    assert_eq!(causes(&world.diagnosis()), [Cause::StillInaccessible, Cause::DatabaseLevelKey]);
    assert!(world.diagnosis().chain_is_whole());
    world.lose_roles();
    assert_eq!(world.diagnosis().cause(), Cause::RoleMissing);
}

fn database_down(world: &mut World, index: usize) {
    databases_of(world)[index].status = "Inaccessible".to_owned();
}

#[test]
fn causes_on_different_servers_are_told_apart_and_in_order() {
    let mut world = world_of(&["a-sql", "b-sql", "c-sql"]);
    world.server_facts().identity.system_principal_id = None;
    world.vault_evidence().grants = Fact::Known(vec![grant(&principal("c-sql"))]);
    let Fact::Known(databases) = &mut world.evidence.servers[2].databases else { panic!() };
    databases[0].status = "Inaccessible".to_owned();
    let diagnosis = world.diagnosis();
    assert_eq!(causes(&diagnosis), [Cause::IdentityMissing, Cause::RoleMissing, Cause::StillInaccessible]);
    let servers: Vec<_> = diagnosis.findings.iter().map(|finding| finding.servers[0].name()).collect();
    assert_eq!(servers, ["a-sql", "b-sql", "c-sql"]);
    assert!(!diagnosis.chain_is_whole());
}

#[test]
fn a_server_whose_key_is_in_another_vault_by_now_is_left_alone() {
    let mut world = world_of(&["a-sql", "b-sql"]);
    let other = crate::domain::key_uri::KeyUri::parse(
        "https://other-kv.vault.azure.net/keys/k/ee059b2bb5bc48398a53b168c6cdcb10",
    );
    let Fact::Known(protector) = &mut world.server().protector else { panic!() };
    protector.uri = other;
    world.delete_vault();
    assert_eq!(world.diagnosis().findings[0].servers, [server_id("b-sql")]);
}
