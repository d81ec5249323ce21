//! What Azure refuses.

use keymend::drill::cloud::{What, World};
use serde_json::json;

use crate::sky::{SERVER, SUB, Sky, VAULT};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_the_right_names_the_right_and_the_scope() {
    let world = World::standard()
        .without_right("Microsoft.Sql/servers/encryptionProtector/revalidate/action")
        .without_right("Microsoft.KeyVault/vaults/read")
        .without_right("Microsoft.KeyVault/vaults/keys/recover/action");
    let sky = Sky::new(world).await;
    let refused = sky.sql("POST", "/encryptionProtector/current/revalidate", None).await;
    assert_eq!((refused.status, refused.code()), (403, "AuthorizationFailed"));
    assert!(refused.message().contains("'Microsoft.Sql/servers/encryptionProtector/revalidate/action'"));
    assert!(refused.message().contains(&format!("over scope '{SUB}{SERVER}")));
    assert_eq!(sky.vault("GET", "", None).await.status, 403);
    let found = sky.graph("resources | where name =~ 'contoso-kv'").await;
    assert_eq!(found.body["totalRecords"], 0, "the graph shows what may be read, and nothing else");
    let recover = sky.key("POST", "/deletedkeys/tde-key/recover", None).await.unwrap();
    assert_eq!(recover.body["error"]["innererror"]["code"], "ForbiddenByRbac");
    let never = sky.key("DELETE", "/keys/tde-key", None).await.unwrap();
    assert_eq!(never.status, 403, "no role of the responder's lets it delete a key");
    assert_eq!(sky.arm("DELETE", &format!("{SERVER}?api-version=2025-01-01"), None).await.status, 403);
    assert!(sky.cloud.requests().iter().all(|request| !request.effect));
    sky.check("rights");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_is_gone_at_once_and_can_come_back() {
    let sky = Sky::new(World::standard()).await;
    let action = "Microsoft.Sql/servers/read".to_owned();
    sky.does(What::RevokeResponderRight { action: action.clone() });
    assert_eq!(sky.sql("GET", "", None).await.status, 403);
    sky.does(What::GrantResponderRight { action });
    assert_eq!(sky.sql("GET", "", None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_lock_stops_writes_and_actions_below_it_but_no_reads_and_no_keys() {
    let sky = Sky::new(World::standard()).await;
    sky.does(What::AddLock { scope: Some(format!("{SUB}/resourceGroups/rg-data")), level: None });
    sky.does(What::AddLock { scope: None, level: None });
    let revalidate = sky.sql("POST", "/encryptionProtector/current/revalidate", None).await;
    assert_eq!((revalidate.status, revalidate.code()), (409, "ScopeLocked"));
    let patch = sky.vault("PATCH", "", Some(json!({ "properties": { "networkAcls": { "bypass": "None" } } }))).await;
    assert_eq!(patch.code(), "ScopeLocked");
    let grant = sky
        .grants(
            "PUT",
            VAULT,
            "/7c9e6679-7425-40de-944b-e07fc1f90ae7",
            Some(json!({ "properties": {
        "roleDefinitionId": "/providers/Microsoft.Authorization/roleDefinitions/e147488a-f6f5-4113-8e2d-b22465e65bf6",
        "principalId": "7c9e6679-7425-40de-944b-e07fc1f90ae7" } })),
        )
        .await;
    assert_eq!(grant.code(), "ScopeLocked");
    assert_eq!(sky.sql("GET", "", None).await.status, 200);
    let patch = sky.key("PATCH", "/keys/tde-key/", Some(json!({ "attributes": { "exp": 4_000_000_000_i64 } }))).await;
    assert_eq!(patch.unwrap().status, 200, "the data plane knows no locks");
    let locks = "providers/Microsoft.Authorization/locks?api-version=2020-05-01";
    assert_eq!(sky.arm("GET", &format!("/{locks}"), None).await.values().len(), 2);
    assert_eq!(sky.arm("GET", &format!("/resourceGroups/rg-data/{locks}"), None).await.values().len(), 1);
    assert_eq!(sky.arm("GET", &format!("{SERVER}/{locks}"), None).await.values().len(), 0, "parents are not listed");
    sky.does(What::RemoveLock { scope: None });
    sky.does(What::AddLock { scope: None, level: Some("CanNotDelete".to_owned()) });
    let patch = sky.vault("PATCH", "", Some(json!({ "tags": { "a": "b" } }))).await;
    assert_eq!(patch.status, 200, "a lock against deletion does not stop a change");
    sky.check("locks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_assignment_beats_a_role() {
    let sky = Sky::new(World::standard()).await;
    sky.does(What::AddDeny { server: None });
    assert_eq!(sky.key_access(), "AkvKeyOperationNotAllowedByRBAC");
    let filter = format!("principalId%20eq%20'{}'", sky.principal());
    let path =
        format!("{VAULT}/providers/Microsoft.Authorization/denyAssignments?api-version=2022-04-01&$filter={filter}");
    let list = sky.arm("GET", &path, None).await;
    assert_eq!(list.values()[0]["properties"]["principals"][0]["id"], sky.principal().as_str());
    sky.does(What::RemoveDeny { server: None });
    assert_eq!(sky.key_access(), "ok");
    sky.check("deny");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_no_calls_are_refused() {
    let sky = Sky::new(World::standard()).await;
    let path = format!("{SUB}{SERVER}?api-version=2025-01-01");
    assert_eq!(sky.raw("GET", None, &path, "", None).await.unwrap().status, 401);
    let wrong = sky.raw("GET", None, &path, "other", None).await.unwrap();
    assert_eq!(wrong.status, 401);
    assert!(wrong.headers.contains_key("www-authenticate"));
    assert_eq!(sky.arm("GET", SERVER, None).await.code(), "MissingApiVersionParameter");
    let old = sky.arm("GET", &format!("{SERVER}?api-version=2014-04-01"), None).await;
    assert_eq!(old.code(), "NoRegisteredProviderFound");
    let unknown = sky.arm("GET", &format!("{SERVER}/keysAndMore?api-version=2025-01-01"), None).await;
    assert_eq!(unknown.code(), "InvalidResourceType");
    assert_eq!(sky.cloud.world()["unknown_requests"], 1);
    let elsewhere =
        "/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.Sql/servers?api-version=2025-01-01";
    assert_eq!(sky.send("GET", elsewhere, None).await.code(), "SubscriptionNotFound");
    let absent = SERVER.replace("contoso-sql", "nobody");
    assert_eq!(sky.arm("GET", &format!("{absent}?api-version=2025-01-01"), None).await.code(), "ResourceNotFound");
    let no_token = sky.raw("GET", Some("contoso-kv.vault.azure.net"), "/keys/tde-key?api-version=2025-07-01", "", None);
    let no_token = no_token.await.unwrap();
    assert!(no_token.headers["www-authenticate"].to_str().unwrap().contains("resource=\"https://vault.azure.net\""));
    assert!(sky.raw("GET", Some("no-such-kv.vault.azure.net"), "/keys/x", "", None).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_calls_are_throttled_and_time_makes_room() {
    let mut sky = Sky::new(World::standard()).await;
    let first = sky.sql("GET", "", None).await;
    assert_eq!(first.headers["x-ms-ratelimit-remaining-subscription-reads"], "249");
    for _ in 0..249 {
        assert_eq!(sky.sql("GET", "", None).await.status, 200);
    }
    let refused = sky.sql("GET", "", None).await;
    assert_eq!((refused.status, refused.headers["retry-after"].to_str().unwrap()), (429, "1"));
    assert_eq!(sky.key("GET", "/keys/tde-key/", None).await.unwrap().status, 200, "the vault counts by itself");
    sky.pass(1).await;
    assert_eq!(sky.sql("GET", "", None).await.status, 200);
    sky.check("throttled");
}
