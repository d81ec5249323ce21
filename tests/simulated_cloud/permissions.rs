//! Granting: access policies, role assignments, identities, and the time they take.

use keymend::drill::cloud::world::{PermissionModel, TENANT};
use keymend::drill::cloud::{CRYPTO_SERVICE_ENCRYPTION_USER, What, World};
use serde_json::{Value, json};

use crate::sky::{SUB, Sky, VAULT};

fn role(principal: &str, kind: Option<&str>) -> Value {
    let id = format!("{SUB}/providers/Microsoft.Authorization/roleDefinitions/{CRYPTO_SERVICE_ENCRYPTION_USER}");
    let mut body = json!({ "properties": { "roleDefinitionId": id, "principalId": principal } });
    if let Some(kind) = kind {
        body["properties"]["principalType"] = json!(kind);
    }
    body
}

const NAME: &str = "/7c9e6679-7425-40de-944b-e07fc1f90ae7";

#[tokio::test(flavor = "multi_thread")]
async fn a_role_assignment_works_only_after_a_while() {
    let mut sky = Sky::new(World::standard()).await;
    let principal = sky.principal();
    sky.does(What::RevokePermission { server: None });
    assert_eq!(sky.key_access(), "AkvKeyOperationNotAllowedByRBAC");
    let made = sky.grants("PUT", VAULT, NAME, Some(role(&principal, Some("ServicePrincipal")))).await;
    assert_eq!(made.status, 201);
    assert_eq!(sky.key_access(), "AkvKeyOperationNotAllowedByRBAC", "it has not propagated");
    sky.pass(7).await;
    assert_eq!(sky.key_access(), "ok");

    let again = sky.grants("PUT", VAULT, NAME, Some(role(&principal, Some("ServicePrincipal")))).await;
    assert_eq!(again.status, 200, "the same under the same name is no change");
    let other_name = "/11111111-7425-40de-944b-e07fc1f90ae7";
    let twice = sky.grants("PUT", VAULT, other_name, Some(role(&principal, Some("ServicePrincipal")))).await;
    assert_eq!((twice.status, twice.code()), (409, "RoleAssignmentExists"));
    let other = role("11111111-7425-40de-944b-e07fc1f90ae8", Some("ServicePrincipal"));
    assert_eq!(sky.grants("PUT", VAULT, NAME, Some(other)).await.code(), "RoleAssignmentUpdateNotPermitted");
    assert_eq!(sky.grants("PUT", VAULT, "/not-a-guid", Some(role(&principal, None))).await.status, 400);
    let effects = sky.cloud.requests().iter().filter(|request| request.effect).count();
    assert_eq!(effects, 1);
    sky.check("role-assigned");
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_listed_at_above_and_below_a_scope() {
    let sky = Sky::new(World::standard()).await;
    let principal = sky.principal();
    let list = async |filter: &str| {
        let path = format!(
            "{VAULT}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01&$filter={}",
            percent_encoding::utf8_percent_encode(filter, percent_encoding::NON_ALPHANUMERIC)
        );
        sky.arm("GET", &path, None).await
    };
    assert_eq!(list(&format!("assignedTo('{principal}')")).await.values().len(), 1);
    assert_eq!(list(&format!("principalId eq '{principal}'")).await.values().len(), 1);
    assert_eq!(list("atScope()").await.values().len(), 9, "the server's, and eight of the responder's above");
    assert_eq!(list("roleName eq 'x'").await.code(), "UnsupportedQuery");
    let one = &list(&format!("assignedTo('{principal}')")).await.body["value"][0]["properties"]["roleDefinitionId"];
    let definition = format!("{}?api-version=2022-04-01", one.as_str().unwrap());
    let definition = sky.send("GET", &definition, None).await;
    let data = &definition.body["properties"]["permissions"][0]["dataActions"];
    assert!(data.as_array().unwrap().contains(&json!("Microsoft.KeyVault/vaults/keys/unwrap/action")));
    sky.check("role-lists");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_identity_is_a_new_principal_that_entra_learns_of_later() {
    let mut sky = Sky::new(World::standard()).await;
    let old = sky.principal();
    sky.does(What::RemoveIdentity { server: None });
    assert_eq!(sky.sql("GET", "", None).await.body["identity"], Value::Null);
    let asked = sky.sql("PATCH", "", Some(json!({ "identity": { "type": "SystemAssigned" } }))).await;
    let busy = sky.sql("PATCH", "", Some(json!({ "identity": { "type": "SystemAssigned" } }))).await;
    assert_eq!(busy.status, 409);
    let done = sky.follow(&asked).await;
    let new = done.body["identity"]["principalId"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    let unknown = sky.grants("PUT", VAULT, NAME, Some(role("aaaaaaaa-0000-4000-8000-000000000000", None))).await;
    assert_eq!(unknown.code(), "PrincipalNotFound");
    let made = sky.grants("PUT", VAULT, NAME, Some(role(&new, Some("ServicePrincipal")))).await;
    assert_eq!(made.status, 201, "with its type, a principal is taken on trust");
    sky.check("identity");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_block_replaces_the_one_before() {
    let mut sky = Sky::new(World::standard().user_assigned()).await;
    let server = sky.sql("GET", "", None).await;
    assert_eq!(server.body["identity"]["type"], "UserAssigned");
    let id = server.body["properties"]["primaryUserAssignedIdentityId"].as_str().unwrap().to_owned();
    assert_eq!(sky.send("GET", &format!("{id}?api-version=2024-11-30"), None).await.status, 200);
    let both = json!({ "identity": { "type": "SystemAssigned,UserAssigned", "userAssignedIdentities": { id: {} } } });
    let asked = sky.sql("PATCH", "", Some(both)).await;
    assert_eq!(sky.follow(&asked).await.body["identity"]["type"], "SystemAssigned,UserAssigned");
    assert_eq!(sky.key_access(), "ok", "the primary one is still the user-assigned");
    let asked = sky.sql("PATCH", "", Some(json!({ "identity": { "type": "SystemAssigned" } }))).await;
    sky.follow(&asked).await;
    assert_eq!(sky.key_access(), "AkvKeyOperationNotAllowedByRBAC", "the one that was granted is gone");
    sky.check("identity-block");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_assigned_identity_stays_on_the_server_and_works_no_more() {
    let sky = Sky::new(World::standard().user_assigned()).await;
    sky.does(What::DeleteUami { identity: None });
    let server = sky.sql("GET", "", None).await;
    let id = server.body["properties"]["primaryUserAssignedIdentityId"].as_str().unwrap().to_owned();
    assert_eq!(sky.send("GET", &format!("{id}?api-version=2024-11-30"), None).await.status, 404);
    assert_eq!(sky.key_access(), "AdalServicePrincipalNotFound");
    sky.check("uami-deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_added_access_policy_merges_and_works_later() {
    let mut sky = Sky::new(World::standard().model(PermissionModel::Policy)).await;
    let principal = sky.principal();
    sky.does(What::RevokePermission { server: None });
    assert_eq!(sky.key_access(), "AzureKeyVaultMissingPermissions");
    let add = |keys: Value| {
        json!({ "properties": { "accessPolicies": [
            { "tenantId": TENANT, "objectId": principal.to_uppercase(), "permissions": { "keys": keys } } ] } })
    };
    assert_eq!(sky.vault("PUT", "/accessPolicies/add", Some(add(json!(["get"])))).await.status, 200);
    assert_eq!(sky.vault("PUT", "/accessPolicies/add", Some(add(json!(["wrapKey", "unwrapKey"])))).await.status, 200);
    assert_eq!(sky.key_access(), "AzureKeyVaultMissingPermissions");
    sky.pass(7).await;
    assert_eq!(sky.key_access(), "ok");
    let vault = sky.vault("GET", "", None).await;
    assert_eq!(
        vault.body["properties"]["accessPolicies"].as_array().unwrap().len(),
        2,
        "and nobody else's was touched"
    );
    let again = sky.vault("PUT", "/accessPolicies/add", Some(add(json!(["GET"])))).await;
    assert_eq!(again.status, 200);
    assert!(!sky.cloud.requests().last().unwrap().effect);
    sky.check("policy");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_permission_model_ignores_what_was_granted() {
    let sky = Sky::new(World::standard()).await;
    sky.does(What::SwitchPermissionModel { vault: None });
    assert_eq!(sky.key_access(), "AzureKeyVaultMissingPermissions");
    let vault = sky.vault("GET", "", None).await;
    assert_eq!(vault.body["properties"]["enableRbacAuthorization"], false);
}
