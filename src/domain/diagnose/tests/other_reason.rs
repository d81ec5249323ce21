//! Databases that are down, and not because of their key.

use crate::domain::diagnosis::Cause;
use crate::domain::evidence::{Database, Fact, Inaccessibility};
use crate::domain::test_support::{World, world};

fn down(world: &mut World, name: &str, kind: &str) {
    let Fact::Known(databases) = &mut world.server().databases else { panic!() };
    let database: &mut Database = databases.iter_mut().find(|database| database.name == name).expect("it is there");
    "Inaccessible".clone_into(&mut database.status);
    database.reason = Some(Inaccessibility {
        kind: kind.to_owned(),
        code: "SomeCode".to_owned(),
        description: "What Azure says.".to_owned(),
        key: None,
    });
}

#[test]
fn what_azure_does_not_blame_on_the_key_is_a_persons() {
    for kind in ["DatabaseReplication", "Unknown", "SomethingNew"] {
        let mut world = world();
        down(&mut world, "orders", kind);
        let diagnosis = world.diagnosis();
        assert_eq!(diagnosis.cause(), Cause::OtherReason, "{kind}");
        assert!(diagnosis.findings[0].changes.is_empty());
        assert!(diagnosis.findings[0].proof[0].said.contains("What Azure says."), "in Azure's own words");
        assert!(diagnosis.chain_is_whole());
    }
}

#[test]
fn what_can_come_back_comes_first() {
    let mut world = world();
    down(&mut world, "orders", "DatabaseReplication");
    down(&mut world, "billing", "TransparentDataEncryption");
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.cause(), Cause::StillInaccessible);
    assert!(diagnosis.findings[0].proof.iter().all(|proof| !proof.said.contains("orders")), "{diagnosis:?}");
    assert!(diagnosis.unknowns.iter().any(|said| said.contains("orders")), "{:?}", diagnosis.unknowns);
}

#[test]
fn a_stopped_instance_is_started_by_a_person_not_revalidated() {
    let mut world = world();
    down(&mut world, "orders", "TransparentDataEncryption");
    let Fact::Known(server) = &mut world.server().server else { panic!() };
    server.state = Some("Stopped".to_owned());
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.cause(), Cause::OtherReason);
    assert!(diagnosis.findings[0].proof[0].said.contains("is stopped"));
}
