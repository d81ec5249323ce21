//! What follows by itself when a key is lost.

use keymend::drill::cloud::world::DatabaseSpec;
use keymend::drill::cloud::{KeyRef, What, World};
use serde_json::{Value, json};

use crate::sky::Sky;

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_key_denies_then_ends_the_window_and_drops_settings() {
    let mut sky = Sky::new(World::standard()).await;
    sky.does(What::DisableKey(KeyRef::default()));
    sky.pass(10).await;
    assert_eq!(sky.access("orders"), "losing");
    assert_eq!(sky.sql("GET", "/inaccessibleDatabases", None).await.values().len(), 3);
    sky.pass(31).await;
    assert_eq!(sky.access("orders"), "lost");
    sky.pass(20).await;
    assert_eq!(sky.events("orders").await, ["MakeDatabaseInaccessible Started", "MakeDatabaseInaccessible Succeeded"]);
    let orders = sky.sql("GET", "/databases/orders", None).await;
    assert_eq!(orders.body["properties"]["status"], "Inaccessible");
    assert_eq!(orders.body["tags"], json!({}), "the tags are dropped");
    assert_eq!(orders.body["properties"]["failoverGroupId"], Value::Null);
    assert_eq!(orders.body["properties"]["readScale"], "Disabled");

    sky.does(What::EnableKey(KeyRef::default()));
    sky.pass(120).await;
    assert_eq!(sky.access("orders"), "lost", "past the window nothing heals by itself");
    assert_eq!(sky.revalidate().await.status, 200);
    assert_eq!(sky.access("orders"), "online");
    sky.pass(21).await;
    assert_eq!(sky.events("orders").await[2..], ["MakeDatabaseAccessible Started", "MakeDatabaseAccessible Succeeded"]);
    sky.check("lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_back_within_the_window_heals_by_itself_and_keeps_settings() {
    let mut sky = Sky::new(World::standard()).await;
    sky.does(What::DisableKey(KeyRef::default()));
    sky.pass(15).await;
    assert_eq!(sky.access("web"), "losing");
    sky.does(What::EnableKey(KeyRef::default()));
    sky.pass(60).await;
    assert_eq!(sky.access("web"), "online", "it heals within the subsequent hour");
    let orders = sky.sql("GET", "/databases/orders", None).await;
    assert_eq!(orders.body["tags"]["owner"], "sales");
    assert!(!sky.events("orders").await.contains(&"MakeDatabaseInaccessible Succeeded".to_owned()));
    sky.check("healed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_revalidation_fails_later_with_the_code_of_the_cause() {
    for (what, code) in [
        (What::DisableKey(KeyRef::default()), "AzureKeyVaultKeyDisabled"),
        (What::ExpireKey(KeyRef::default()), "AzureKeyVaultInvalidExpirationDate"),
        (What::DeleteKey(KeyRef::default()), "AzureKeyVaultKeyNameNotFound"),
        (What::DeleteVault { vault: None }, "AkvHostNotResolvingFromNode"),
        (What::RemoveIdentity { server: None }, "AzureKeyVaultNoServerIdentity"),
        (What::RevokePermission { server: None }, "AkvKeyOperationNotAllowedByRBAC"),
        (What::FirewallVault { vault: None, ip_rules: None }, "AkvKeyOperationNotAllowedByFirewall"),
    ] {
        let mut sky = Sky::new(World::standard()).await;
        sky.does(what);
        sky.pass(45).await;
        let end = sky.revalidate().await;
        assert_eq!((end.status >= 400, end.code()), (true, code));
        assert_eq!(sky.access("orders"), "lost");
        let effects = sky.cloud.requests().iter().filter(|request| request.effect).count();
        assert_eq!(effects, 0, "{code}: a failed re-validation changes nothing");
        sky.check(code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_vault_has_a_day_and_comes_back_by_itself() {
    let mut sky = Sky::new(World::standard()).await;
    sky.does(What::VaultOutage { vault: None, minutes: Some(300.0) });
    sky.pass(120).await;
    assert_eq!(sky.access("orders"), "vault-unreachable");
    let orders = sky.sql("GET", "/databases/orders", None).await;
    assert_eq!(orders.body["properties"]["status"], "Online", "within the buffer databases live on");
    sky.pass(200).await;
    assert_eq!(sky.access("orders"), "online");
    sky.does(What::VaultOutage { vault: None, minutes: Some(25.0 * 60.0) });
    sky.pass(24 * 60 + 11).await;
    assert_eq!(sky.access("orders"), "lost");
    sky.check("outage");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_that_pages_still_need_is_enough_to_lose_all() {
    let mut sky = Sky::new(World::standard().older_versions(2)).await;
    let linked = sky.sql("GET", "/keys", None).await;
    assert_eq!(linked.values().len(), 4, "three versions, and Microsoft's own");
    let oldest =
        sky.vault("GET", "/keys/tde-key/versions", None).await.values()[0]["name"].as_str().unwrap().to_owned();
    sky.does(What::DisableKey(KeyRef { version: Some(oldest), ..KeyRef::default() }));
    sky.pass(10).await;
    assert_eq!(sky.access("orders"), "losing");
    assert_eq!(sky.key_access(), "AzureKeyVaultKeyDisabled");
    sky.check("latent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_expires_is_lost_on_that_day() {
    let mut world = World::standard();
    world.vaults[0].keys[0].versions[0].expires_in_days = Some(2.0);
    let mut sky = Sky::new(world).await;
    sky.pass(2 * 24 * 60 - 5).await;
    assert_eq!(sky.access("orders"), "online");
    sky.pass(16).await;
    assert_eq!(sky.access("orders"), "losing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_rule_waits_eight_hours_and_says_so() {
    let mut sky = Sky::new(World::standard().old_rule()).await;
    sky.does(What::DisableKey(KeyRef::default()));
    sky.pass(7 * 60).await;
    assert_eq!(sky.access("orders"), "losing");
    assert_eq!(sky.events("orders").await, ["MakeDatabaseInaccessible Started", "MakeDatabaseInaccessible InProgress"]);
    sky.pass(75).await;
    assert_eq!(sky.access("orders"), "lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_larger_database_takes_longer_to_come_back() {
    let mut world = World::standard();
    world.servers[0].databases.push(DatabaseSpec { name: "dwh".into(), size_gb: 900, ..DatabaseSpec::default() });
    let mut sky = Sky::new(world).await;
    sky.does(What::DisableKey(KeyRef::default()));
    sky.pass(45).await;
    sky.does(What::EnableKey(KeyRef::default()));
    let started = sky.sql("POST", "/encryptionProtector/current/revalidate", None).await;
    let again = sky.sql("POST", "/encryptionProtector/current/revalidate", None).await;
    assert_eq!((again.status, again.code()), (409, "EncryptionProtectorChangeInProgress"));
    sky.pass(5).await;
    assert_eq!((sky.access("web").as_str(), sky.access("dwh").as_str()), ("online", "coming-back"));
    assert_eq!(sky.follow(&started).await.status, 200);
    assert_eq!(sky.access("dwh"), "online");
    sky.check("large");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_tells_the_same_story() {
    let tell = async |seed| {
        let mut sky = Sky::new(World::shared_vault(3, 2).seeded(seed)).await;
        sky.does(What::DisableKey(KeyRef::default()));
        sky.pass(90).await;
        let entries = sky.log("").await;
        let told = entries.iter().map(|one| format!("{} {} {}", one["eventTimestamp"], one["id"], one["eventDataId"]));
        told.collect::<Vec<_>>()
    };
    let first = tell(7).await;
    assert_eq!(first.len(), 18, "for each of 6 databases two events of TDE, and one of health");
    assert_eq!(first, tell(7).await);
    assert_ne!(first, tell(8).await);
}
