//! The table, as a tired person sees it.

use keymend::domain::rights::CustomRole;
use keymend::drill::cloud::world::ServerSpec;
use keymend::drill::cloud::{Break, What, World};

use crate::clinic::{Clinic, SUB};

/// Without what differs from run to run.
fn steady(clinic: &Clinic, text: &str) -> String {
    let text = text.replace(&clinic.running.url(), "http://127.0.0.1:7070");
    let lines = text.lines().map(|line| match line.split_once("ours is ") {
        Some((before, _)) => format!("{before}ours is 0 s ahead of Azure's"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well() {
    let clinic = Clinic::well().await;
    let said = clinic.doctor(&[]).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    insta::assert_snapshot!("well", steady(&clinic, &said.out));
}

#[tokio::test(flavor = "multi_thread")]
async fn much_is_missing() {
    let mut world = World::standard();
    world.servers.push(ServerSpec {
        name: "hr-sql".to_owned(),
        resource_group: "rg-hr".to_owned(),
        ..ServerSpec::default()
    });
    world.responder.roles.retain(|role| role.name != CustomRole::VaultWrite.name());
    for role in world.responder.roles.iter_mut().filter(|role| role.name == CustomRole::Identity.name()) {
        role.scope = Some(format!("{SUB}/resourceGroups/rg-data"));
    }
    let world = world.without_right("Microsoft.Sql/servers/encryptionProtector/revalidate/action");
    let clinic = Clinic::open(world).await;
    clinic.cloud.break_it(&Break::new(What::FirewallVault { vault: None, ip_rules: None }));
    let said = clinic.doctor(&[]).await;
    assert_eq!(said.code, 1);
    for line in said.out.lines().filter(|line| line.chars().count() > 100) {
        assert!(line.contains("/subscriptions/"), "only an id may be longer than a line: {line}");
    }
    insta::assert_snapshot!("missing", steady(&clinic, &said.out));
}
