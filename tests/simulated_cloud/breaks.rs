//! Every kind of break takes effect, every mending undoes it, and both can be said in JSON.

use keymend::drill::cloud::world::PermissionModel;
use keymend::drill::cloud::{Break, World};
use serde_json::{Value, json};

use crate::sky::{SUB, Sky, VAULT};

/// Breaks in JSON, the code of what the server then cannot do, and what mends them (with the minutes that takes).
fn stories() -> Vec<(Value, &'static str, Value, i64)> {
    vec![
        (json!({ "kind": "delete-vault" }), "AkvHostNotResolvingFromNode", json!({ "kind": "recover-vault" }), 5),
        (
            json!({ "kind": "firewall-vault" }),
            "AkvKeyOperationNotAllowedByFirewall",
            json!({ "kind": "open-firewall" }),
            0,
        ),
        (
            json!({ "kind": "perimeter-vault" }),
            "AkvKeyOperationNotAllowedByFirewall",
            json!({ "kind": "open-firewall" }),
            0,
        ),
        (json!({ "kind": "vault-outage" }), "AzureKeyVaultConnectionFailed", json!({ "kind": "end-outage" }), 0),
        (json!({ "kind": "delete-key" }), "AzureKeyVaultKeyNameNotFound", json!({ "kind": "recover-key" }), 3),
        (
            json!({ "kind": "disable-key", "key": "tde-key" }),
            "AzureKeyVaultKeyDisabled",
            json!({ "kind": "enable-key" }),
            0,
        ),
        (
            json!({ "kind": "expire-key", "version": "*" }),
            "AzureKeyVaultInvalidExpirationDate",
            json!({ "kind": "extend-key" }),
            0,
        ),
        (
            json!({ "kind": "revoke-permission", "server": "contoso-sql" }),
            "AzureKeyVaultMissingPermissions",
            json!({ "kind": "grant-permission" }),
            7,
        ),
        (
            json!({ "kind": "switch-permission-model" }),
            "AkvKeyOperationNotAllowedByRBAC",
            json!({ "kind": "switch-permission-model" }),
            0,
        ),
        (json!({ "kind": "add-deny" }), "AzureKeyVaultMissingPermissions", json!({ "kind": "remove-deny" }), 0),
        (
            json!({ "kind": "replace-key", "vault": "contoso-kv" }),
            "AzureKeyVaultKeyThumbprintIsDifferent",
            Value::Null,
            0,
        ),
        (json!({ "kind": "purge-key" }), "AzureKeyVaultKeyNameNotFound", Value::Null, 0),
        (json!({ "kind": "purge-vault" }), "AkvHostNotResolvingFromNode", Value::Null, 0),
        (json!({ "kind": "remove-identity" }), "AzureKeyVaultNoServerIdentity", Value::Null, 0),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_break_takes_the_key_away_and_each_mending_gives_it_back() {
    for (broken, code, mended, minutes) in stories() {
        let mut sky = Sky::new(World::standard().model(PermissionModel::Policy)).await;
        let reply = sky.send("POST", "/sim/break", Some(broken.clone())).await;
        assert_eq!(reply.status, 200, "{broken}: {}", reply.body);
        assert_eq!(sky.key_access(), code, "{broken}");
        sky.pass(10).await;
        assert_ne!(sky.access("orders"), "online", "{broken}: SQL has looked by now");
        if mended.is_null() {
            continue;
        }
        assert_eq!(sky.send("POST", "/sim/break", Some(mended.clone())).await.status, 200, "{mended}");
        sky.pass(minutes).await;
        assert_eq!(sky.key_access(), "ok", "{mended}");
        sky.pass(60).await;
        assert_eq!(sky.access("orders"), "online", "{mended}: and it heals");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_can_be_set_on_everything_that_may_carry_a_hold() {
    let sky = Sky::new(World::standard()).await;
    for target in [format!("{SUB}{VAULT}"), format!("{SUB}{VAULT}/keys/tde-key")] {
        let tag = json!({ "kind": "set-tag", "target": target, "name": "hold", "value": "yes" });
        assert_eq!(sky.send("POST", "/sim/break", Some(tag)).await.status, 200);
    }
    assert_eq!(sky.vault("GET", "", None).await.body["tags"]["hold"], "yes");
    assert_eq!(sky.vault("GET", "/keys/tde-key", None).await.body["tags"]["hold"], "yes");
    assert_eq!(sky.key("GET", "/keys/tde-key/", None).await.unwrap().body["tags"]["hold"], "yes");
    let gone = json!({ "kind": "set-tag", "name": "hold" });
    sky.send("POST", "/sim/break", Some(gone)).await;
    assert_eq!(sky.vault("GET", "", None).await.body["tags"], json!({}));
    sky.check("tags");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_selector_is_one_thing_and_an_unknown_name_is_nothing() {
    let sky = Sky::new(World::shared_vault(3, 1)).await;
    let count = || {
        let world = sky.cloud.world();
        world["servers"].as_array().unwrap().iter().filter(|one| one["key_access"] != "ok").count()
    };
    sky.send("POST", "/sim/break", Some(json!({ "kind": "revoke-permission" }))).await;
    assert_eq!(count(), 1);
    let unknown =
        sky.send("POST", "/sim/break", Some(json!({ "kind": "revoke-permission", "server": "no-one" }))).await;
    assert_eq!((unknown.status, count()), (404, 1));
    sky.send("POST", "/sim/break", Some(json!({ "kind": "revoke-permission", "server": "*" }))).await;
    assert_eq!(count(), 3);
    let nonsense = sky.send("POST", "/sim/break", Some(json!({ "kind": "set-fire" }))).await;
    assert_eq!(nonsense.status, 400);
}

#[test]
fn a_break_survives_its_json() {
    for (broken, _, mended, _) in stories() {
        for one in [broken, mended].into_iter().filter(|one| !one.is_null()) {
            let read: Break = serde_json::from_value(one.clone()).unwrap_or_else(|error| panic!("{one}: {error}"));
            let again: Break = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
            assert_eq!(read, again);
        }
    }
}
