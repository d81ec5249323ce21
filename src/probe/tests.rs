//! Observations of a small Azure over real HTTP: what is asked, and what is made of the answers.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Question, inaccessible, observe, protector, servers_of_vault};
use crate::azure::stand_in::{Asked, Reply, StandIn};
use crate::domain::evidence::{CallerKind, Evidence, Fact};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::resource_id::ResourceId;

const SUB: &str = "/subscriptions/11111111-2222-3333-4444-555555555555";
const TENANT: &str = "99999999-8888-7777-6666-555555555555";
const VERSION: &str = "ee059b2bb5bc48398a53b168c6cdcb10";
const OLDER: &str = "aa059b2bb5bc48398a53b168c6cdcb10";
const ENCRYPTION_USER: &str = "e147488a-f6f5-4113-8e2d-b22465e65bf6";

fn now() -> Timestamp {
    "2026-11-24T02:07:31Z".parse().unwrap()
}

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

fn server(n: usize) -> ResourceId {
    let name = if n == 0 { "contoso-sql".to_owned() } else { format!("contoso-sql{n}") };
    id(&format!("{SUB}/resourceGroups/rg-data/providers/Microsoft.Sql/servers/{name}"))
}

fn vault_id() -> ResourceId {
    id(&format!("{SUB}/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults/contoso-kv"))
}

fn host() -> VaultHost {
    VaultHost::parse("contoso-kv.vault.azure.net").unwrap()
}

fn principal(server: &str) -> String {
    format!("principal-of-{server}")
}

/// A question with everything known beforehand.
fn question(servers: usize) -> Question {
    Question {
        vault: Some(host()),
        vault_id: Some(vault_id()),
        ..Question::new((0..servers).map(server).collect(), now())
    }
}

fn server_body(id: &str) -> Value {
    let name = id.rsplit('/').next().unwrap();
    json!({
        "id": id, "name": name, "type": "Microsoft.Sql/servers", "location": "westeurope", "tags": {"team": "orders"},
        "identity": {"type": "SystemAssigned", "principalId": principal(name), "tenantId": TENANT},
        "properties": {"state": "Ready", "fullyQualifiedDomainName": "x"},
    })
}

fn vault_body() -> Value {
    json!({
        "id": vault_id().to_string(), "name": "contoso-kv", "type": "Microsoft.KeyVault/vaults", "location": "westeurope",
        "properties": {
            "tenantId": TENANT, "sku": {"family": "A", "name": "standard"}, "provisioningState": "Succeeded",
            "enableRbacAuthorization": true, "enablePurgeProtection": true, "publicNetworkAccess": "Enabled",
        },
    })
}

fn policy_vault_body() -> Value {
    let mut vault = vault_body();
    vault["properties"]["enableRbacAuthorization"] = Value::Null;
    vault["properties"]["accessPolicies"] = json!([{
        "tenantId": TENANT, "objectId": principal("contoso-sql"),
        "permissions": {"keys": ["Get", "WrapKey", "UNWRAPKEY"], "secrets": ["get"]},
    }]);
    vault
}

fn key_body(version: &str) -> Value {
    json!({
        "id": format!("{}/keys/tde-key/versions/{version}", vault_id()), "name": version,
        "properties": {
            "attributes": {"enabled": true, "created": 1_598_533_051, "updated": 1_598_533_051, "exp": 1_830_297_600},
            "kty": "RSA", "keySize": 3072, "keyOps": ["wrapKey", "unwrapKey"],
            "keyUri": "https://contoso-kv.vault.azure.net:443/keys/tde-key",
            "keyUriWithVersion": format!("https://contoso-kv.vault.azure.net:443/keys/tde-key/{version}"),
        },
    })
}

fn assignment(name: &str, scope: &str, role: &str, principal: &str, kind: &str) -> Value {
    json!({
        "id": format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"), "name": name,
        "properties": {
            "roleDefinitionId": format!("{SUB}/providers/Microsoft.Authorization/roleDefinitions/{role}"),
            "principalId": principal, "principalType": kind, "scope": scope,
        },
    })
}

fn list(items: impl IntoIterator<Item = Value>) -> Reply {
    Reply::json(json!({"value": items.into_iter().collect::<Vec<_>>()}))
}

/// The standard world, healthy: `servers` servers, one RBAC vault, one key.
fn healthy(asked: &Asked, servers: usize) -> Reply {
    let path = asked.path.as_str();
    let vault = vault_id().to_string();
    let last = path.rsplit('/').next().unwrap_or_default();
    if let Some(rest) = path.strip_prefix(vault.as_str()) {
        return match rest {
            "" => Reply::json(vault_body()),
            _ if rest.starts_with("/keys/tde-key/versions/") => Reply::json(key_body(last)),
            "/keys/tde-key/versions" => list([key_body(VERSION)]),
            "/keys/tde-key" => Reply::json(key_body(VERSION)),
            _ if rest.ends_with("/roleAssignments") => {
                let all = (0..servers).map(|n| {
                    assignment(
                        &format!("a{n}"),
                        &format!("{vault}/keys/tde-key"),
                        ENCRYPTION_USER,
                        &principal(server(n).name()),
                        "ServicePrincipal",
                    )
                });
                list(all.filter(|one| {
                    !asked.query.contains("assignedTo")
                        || asked.query.contains(&format!("'{}'", one["properties"]["principalId"].as_str().unwrap()))
                }))
            }
            _ if rest.ends_with("/denyAssignments") => list([]),
            _ => Reply::error(404, "ResourceNotFound"),
        };
    }
    match last {
        "servers" => list((0..servers).map(|n| server_body(server(n).as_str()))),
        "current" => Reply::json(json!({
            "id": path, "name": "current", "kind": "azurekeyvault",
            "properties": {"serverKeyType": "AzureKeyVault", "serverKeyName": format!("contoso-kv_tde-key_{VERSION}"),
                "uri": format!("https://Contoso-KV.vault.azure.net:443/keys/tde-key/{VERSION}"), "autoRotationEnabled": false},
        })),
        "keys" => list([
            json!({"id": path, "name": format!("contoso-kv_tde-key_{VERSION}"), "kind": "azurekeyvault", "properties": {"thumbprint": "00AA", "creationDate": "2020-11-15T00:00:00Z"}}),
            json!({"id": path, "name": "ServiceManaged", "kind": "servicemanaged", "properties": {}}),
        ]),
        "databases" => list(["master", "orders", "billing"].map(|name| {
            json!({"id": path, "name": name, "location": "westeurope", "sku": {"name": "GP_Gen5", "capacity": 2}, "tags": {"tier": "1"},
                "properties": {"status": "Online", "readScale": "Disabled", "zoneRedundant": false, "elasticPoolId": null}})
        })),
        "inaccessibleDatabases" => list([json!({"id": path, "name": "orders", "location": "westeurope", "properties": {"status": "Inaccessible"}})]),
        "locks" | "deletedVaults" | "values" => list([]),
        "vaults" => list([vault_body()]),
        "resources" => Reply::json(json!({"totalRecords": 1, "count": 1, "resultTruncated": "false", "data": [vault_body()]})),
        "healthstatus" => Reply::json(json!({})),
        _ if path.contains("/Microsoft.Sql/servers/") => Reply::json(server_body(path)),
        _ => Reply::error(404, "ResourceNotFound"),
    }
}

/// Observes a healthy world in which some paths answer otherwise.
async fn seen(
    question: &Question,
    servers: usize,
    otherwise: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static,
) -> (Evidence, StandIn) {
    let cloud = StandIn::start(move |asked, _| otherwise(asked).unwrap_or_else(|| healthy(asked, servers))).await;
    (observe(&cloud.azure(), question).await, cloud)
}

fn arm_requests(cloud: &StandIn) -> usize {
    cloud.asked().iter().filter(|asked| asked.host.starts_with("127.")).count()
}

#[tokio::test]
async fn a_healthy_chain_is_seen_whole() {
    let (evidence, _) = seen(&question(1), 1, |_| None).await;
    let server = &evidence.servers[0];
    let identity = server.server.known().and_then(|server| server.identity.effective()).unwrap();
    assert_eq!(identity.principal_id, principal("contoso-sql"));
    let uri = server.protector.known().and_then(|protector| protector.uri.clone()).unwrap();
    assert_eq!(uri.to_string(), format!("https://contoso-kv.vault.azure.net/keys/tde-key/{VERSION}"));
    assert_eq!(server.linked_keys.known().unwrap()[0].uri.as_ref(), Some(&uri), "by its name, as no uri is listed");
    let databases = server.databases.known().unwrap();
    assert_eq!(databases.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["orders", "billing"]);
    assert_eq!(databases[0].settings["service objective"], "GP_Gen5, capacity 2");
    assert!(!databases[0].settings.contains_key("elastic pool"));
    let vault = evidence.vault.unwrap();
    assert!(vault.vault.known().is_some_and(|vault| vault.rbac && vault.network.trusted_services_bypass));
    assert!(vault.grants.known().unwrap()[0].rights.complete());
    assert_eq!(vault.denials, Fact::Known(vec![]));
    assert_eq!(vault.reachable, Fact::Known(true));
    assert_eq!(evidence.keys.len(), 1);
    let key = evidence.keys[0].version.known().unwrap();
    assert!(key.enabled && key.expires.is_some_and(|end| end > now()));
    assert_eq!(evidence.locks, Fact::Known(vec![]));
    assert_eq!(evidence.changes_read, Fact::Known(()));
    assert!(evidence.waves <= 3);
}

#[tokio::test]
async fn requests_are_counted() {
    for (servers, rbac) in [(1, true), (2, true), (3, true), (40, true), (1, false), (40, false)] {
        let (evidence, cloud) = seen(&question(servers), servers, move |asked| {
            (!rbac && asked.path == vault_id().as_str()).then(|| Reply::json(policy_vault_body()))
        })
        .await;
        let keys = 1;
        let fixed = if servers <= 2 { 4 * servers + keys + 4 } else { 3 * servers + keys + 5 };
        assert_eq!(arm_requests(&cloud), fixed + usize::from(rbac), "{servers} servers: {:#?}", cloud.lines());
        assert!(evidence.waves <= 2, "with the vault known nothing has to wait for a third wave");
        let distinct: BTreeSet<_> =
            cloud.asked().iter().map(|asked| format!("{}?{}", asked.path, asked.query)).collect();
        assert_eq!(distinct.len(), cloud.asked().len(), "nothing is asked twice");
        assert!(cloud.asked().iter().all(|asked| asked.method == "GET"), "{:#?}", cloud.lines());
        assert!(evidence.servers.iter().all(|server| server.server.known().is_some()));
    }
}

#[tokio::test]
async fn a_protector_that_was_just_read_is_not_read_again() {
    let cloud = StandIn::start(|asked, _| healthy(asked, 3)).await;
    let azure = cloud.azure();
    let mut asked_for = question(3);
    for id in &asked_for.servers.clone() {
        let read = protector(&azure, id).await.known().cloned().unwrap();
        asked_for.protectors.insert(id.clone(), read);
    }
    let evidence = observe(&azure, &asked_for).await;
    assert_eq!(cloud.lines().iter().filter(|line| line.ends_with("/encryptionProtector/current")).count(), 3);
    assert!(evidence.keys[0].version.known().is_some());
}

#[tokio::test]
async fn without_hints_three_waves_do() {
    let (evidence, cloud) = seen(&Question::new(vec![server(0)], now()), 1, |_| None).await;
    assert_eq!(evidence.waves, 3);
    let vault = evidence.vault.unwrap();
    assert!(vault.vault.known().is_some() && vault.grants.known().is_some_and(|grants| grants.len() == 1));
    assert!(evidence.keys[0].version.known().is_some());
    assert_eq!(cloud.asked().iter().filter(|asked| asked.method == "POST").count(), 1, "Resource Graph alone");
}

#[tokio::test]
async fn a_deleted_vault_is_found_among_the_deleted() {
    for hint in [Some(vault_id()), None] {
        let asked_for = Question { vault_id: hint.clone(), ..question(1) };
        let stale_graph = hint.is_none();
        let (evidence, _) = seen(&asked_for, 1, move |asked| match asked.path.as_str() {
            path if path == vault_id().as_str() => Some(Reply::error(404, "ResourceNotFound")),
            path if path.starts_with(vault_id().as_str()) => Some(Reply::error(404, "ParentResourceNotFound")),
            path if path.ends_with("/resources") && !stale_graph => Some(Reply::json(json!({"data": []}))),
            path if path.ends_with("/vaults") => Some(list([])),
            path if path.ends_with("/deletedVaults") => Some(list([json!({
                "id": format!("{SUB}/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/contoso-kv"), "name": "contoso-kv",
                "properties": {"vaultId": vault_id().to_string(), "location": "westeurope", "tags": {},
                    "deletionDate": "2026-11-24T02:00:00Z", "scheduledPurgeDate": "2027-02-22T02:00:00Z", "purgeProtectionEnabled": true},
            })])),
            _ => None,
        })
        .await;
        let vault = evidence.vault.unwrap();
        assert_eq!(vault.vault, Fact::Absent);
        assert_eq!(vault.id, Some(vault_id()));
        let deleted = vault.deleted.known().unwrap();
        assert_eq!(deleted.purge_at, "2027-02-22T02:00:00Z".parse().ok());
        let key = &evidence.keys[0];
        assert!(
            matches!((&key.version, &key.exists), (Fact::Unknown(_), Fact::Unknown(_))),
            "a key is not gone by itself: {key:?}"
        );
        assert!(matches!(vault.grants, Fact::Unknown(_)));
    }
}

#[tokio::test]
async fn a_late_graph_does_not_make_a_vault_absent() {
    let asked_for = Question { vault_id: None, ..question(1) };
    for graph in [Reply::json(json!({"data": []})), Reply::error(403, "AuthorizationFailed"), Reply::json(json!({}))] {
        let (evidence, _) =
            seen(&asked_for, 1, move |asked| asked.path.ends_with("/resources").then(|| graph.clone())).await;
        let vault = evidence.vault.unwrap();
        assert!(vault.vault.known().is_some(), "{:?}", vault.vault);
        assert!(evidence.keys[0].version.known().is_some());
    }
}

#[tokio::test]
async fn a_vault_that_is_nowhere_is_absent_only_if_everything_answered() {
    let asked_for = Question { vault_id: None, ..question(1) };
    for (graph, lists, expected) in [
        (Reply::json(json!({"data": []})), list([]), "absent"),
        (Reply::error(403, "AuthorizationFailed"), list([]), "unknown"),
        (Reply::json(json!({"data": []})), Reply::error(403, "AuthorizationFailed"), "denied"),
    ] {
        let (evidence, _) = seen(&asked_for, 1, move |asked| match asked.path.as_str() {
            path if path.ends_with("/resources") => Some(graph.clone()),
            path if path.ends_with("/vaults") => Some(lists.clone()),
            _ => None,
        })
        .await;
        let vault = evidence.vault.unwrap().vault;
        let got = match vault {
            Fact::Absent => "absent",
            Fact::Denied(_) => "denied",
            Fact::Unknown(_) => "unknown",
            Fact::Known(_) => "known",
        };
        assert_eq!(got, expected);
    }
}

#[tokio::test]
async fn a_missing_key_is_told_from_a_missing_version() {
    let gone = |asked: &Asked| match asked.path.as_str() {
        path if path.contains("/vaults/contoso-kv/keys/") => Some(Reply::error(404, "KeyNotFound")),
        path if path.starts_with("/deletedkeys/") => Some(Reply::json(json!({
            "recoveryId": "https://contoso-kv.vault.azure.net/deletedkeys/tde-key", "deletedDate": 1_795_484_000, "scheduledPurgeDate": 1_803_260_000,
            "key": {}, "attributes": {}, "tags": {"why": "test"}}))),
        _ => None,
    };
    let (evidence, _) = seen(&question(1), 1, gone).await;
    let key = &evidence.keys[0];
    assert_eq!((&key.version, &key.exists), (&Fact::Absent, &Fact::Known(false)));
    let deleted = key.deleted.known().unwrap();
    assert_eq!(deleted.deleted_at, Timestamp::from_second(1_795_484_000).ok());
    assert_eq!(deleted.tags["why"], "test");

    let replaced = |asked: &Asked| match asked.path.as_str() {
        path if path.ends_with("/versions") => Some(list([key_body(OLDER)])),
        path if path.contains("/vaults/contoso-kv/keys/") => Some(Reply::error(404, "KeyNotFound")),
        path if path.starts_with("/deletedkeys/") => Some(Reply::error(404, "KeyNotFound")),
        _ => None,
    };
    let (evidence, _) = seen(&question(1), 1, replaced).await;
    let key = &evidence.keys[0];
    assert_eq!((&key.version, &key.exists, &key.deleted), (&Fact::Absent, &Fact::Known(true), &Fact::Absent));
    assert_eq!(key.versions, [(OLDER.to_owned(), Timestamp::from_second(1_598_533_051).ok())]);
}

#[tokio::test]
async fn the_tags_of_a_disabled_key_are_read_from_the_vault() {
    let (evidence, cloud) = seen(&question(1), 1, |asked| match asked.path.as_str() {
        path if path.starts_with("/keys/") => Some(Reply::json(json!({
            "key": {"kid": format!("https://contoso-kv.vault.azure.net/keys/tde-key/{VERSION}"), "kty": "RSA"},
            "attributes": {"enabled": false}, "tags": {"keymend-hold": "case 7"}}))),
        path if path.contains("/vaults/contoso-kv/keys/tde-key/versions/") => {
            let mut body = key_body(VERSION);
            body["properties"]["attributes"]["enabled"] = json!(false);
            body["tags"] = json!({"owner": "platform"});
            Some(Reply::json(body))
        }
        _ => None,
    })
    .await;
    let version = evidence.keys[0].version.known().unwrap();
    assert!(!version.enabled);
    assert_eq!(version.tags.keys().collect::<Vec<_>>(), ["keymend-hold", "owner"]);
    assert_eq!(
        cloud.asked().iter().filter(|asked| asked.host == "contoso-kv.vault.azure.net").count(),
        2,
        "and its health"
    );
}

#[tokio::test]
async fn a_firewalled_vault_does_not_make_a_key_purged() {
    for (inner, denied) in [("ForbiddenByFirewall", false), ("ForbiddenByConnection", false), ("ForbiddenByRbac", true)]
    {
        let (evidence, _) = seen(&question(1), 1, move |asked| match asked.path.as_str() {
            path if path.contains("/vaults/contoso-kv/keys/") => Some(Reply::error(404, "KeyNotFound")),
            path if path.starts_with("/deletedkeys/") => Some(Reply(
                403,
                vec![],
                json!({"error": {"code": "Forbidden", "message": "no", "innererror": {"code": inner}}}).to_string(),
            )),
            _ => None,
        })
        .await;
        match &evidence.keys[0].deleted {
            Fact::Denied(right) if denied => assert_eq!(right.scope, "contoso-kv.vault.azure.net"),
            Fact::Unknown(why) if !denied => assert!(why.contains(inner), "{why}"),
            other => panic!("{inner}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_missing_key_proves_nothing_while_the_vault_cannot_be_read() {
    let (evidence, _) = seen(&question(1), 1, |asked| match asked.path.as_str() {
        path if path == vault_id().as_str() => Some(Reply::error(403, "AuthorizationFailed")),
        path if path.contains("/vaults/contoso-kv/keys/") => Some(Reply::error(404, "ParentResourceNotFound")),
        path if path.starts_with("/deletedkeys/") => Some(Reply::error(404, "KeyNotFound")),
        _ => None,
    })
    .await;
    assert!(matches!(evidence.vault.unwrap().vault, Fact::Denied(_)));
    let key = &evidence.keys[0];
    assert!(matches!((&key.version, &key.exists), (Fact::Unknown(_), Fact::Unknown(_))), "{key:?}");
}

#[tokio::test]
async fn missing_rights_are_named_and_fail_nothing_else() {
    let (evidence, _) = seen(&question(1), 1, |asked| {
        let denied = ["/locks", "/deletedVaults", "/roleAssignments", "/values", "/keys"];
        denied.iter().any(|end| asked.path.ends_with(end)).then(|| Reply::error(403, "AuthorizationFailed"))
    })
    .await;
    let vault = evidence.vault.as_ref().unwrap();
    for (fact, action) in [
        (denied(&evidence.locks), "Microsoft.Authorization/locks/read"),
        (denied(&vault.grants), "Microsoft.Authorization/roleAssignments/read"),
        (denied(&evidence.servers[0].linked_keys), "Microsoft.Sql/servers/keys/read"),
        (denied(&evidence.changes_read), "Microsoft.Insights/eventtypes/values/read"),
    ] {
        assert_eq!(fact.as_deref(), Some(action));
    }
    assert!(vault.vault.known().is_some());
    assert!(evidence.keys[0].version.known().is_some(), "the protector's key is read though the links are not");
}

fn denied<T>(fact: &Fact<T>) -> Option<String> {
    match fact {
        Fact::Denied(right) => Some(right.action.clone()),
        _ => None,
    }
}

#[tokio::test]
async fn a_server_that_is_not_listed_is_asked_for_before_it_is_called_gone() {
    let (evidence, cloud) = seen(&question(3), 3, |asked| match asked.path.as_str() {
        path if path.ends_with("/servers") => Some(list((0..2).map(|n| server_body(server(n).as_str())))),
        path if path == server(2).as_str() => Some(Reply::error(404, "ResourceNotFound")),
        path if path.starts_with(server(2).as_str()) => Some(Reply::error(404, "ParentResourceNotFound")),
        _ => None,
    })
    .await;
    assert_eq!(evidence.servers[2].server, Fact::Absent);
    assert_eq!(evidence.servers[2].databases, Fact::Absent);
    assert!(evidence.servers[0].server.known().is_some());
    assert_eq!(cloud.lines().iter().filter(|line| line.ends_with("/servers/contoso-sql2")).count(), 1);

    // A reader of one resource group may not list the subscription.
    let (evidence, _) = seen(&question(3), 3, |asked| {
        asked.path.ends_with("/servers").then(|| Reply::error(403, "AuthorizationFailed"))
    })
    .await;
    assert!(evidence.servers.iter().all(|server| server.server.known().is_some()));
}

#[tokio::test]
async fn a_deleted_identity_is_noticed_though_the_server_lists_it() {
    let mi = format!("{SUB}/resourceGroups/rg-id/providers/Microsoft.ManagedIdentity/userAssignedIdentities/sql-mi");
    let listed = mi.clone();
    let (evidence, cloud) = seen(&question(1), 1, move |asked| {
        (asked.path == server(0).as_str()).then(|| {
            let mut body = server_body(server(0).as_str());
            body["identity"] = json!({"type": "UserAssigned", "tenantId": TENANT, "userAssignedIdentities": {&listed: {"principalId": "gone", "clientId": "c"}}});
            body["properties"]["primaryUserAssignedIdentityId"] = json!(listed);
            Reply::json(body)
        })
    })
    .await;
    let identity = &evidence.servers[0].server.known().unwrap().identity;
    assert_eq!(identity.user_assigned[0].resource, Fact::Absent);
    assert_eq!(identity.effective().map(|identity| identity.principal_id).as_deref(), Some("gone"));
    let logs = cloud.asked().into_iter().filter(|asked| asked.path.ends_with("/values"));
    let groups: Vec<String> = logs.map(|asked| asked.query.rsplit("eq '").next().unwrap().to_owned()).collect();
    assert_eq!(groups, ["rg-keys'", "rg-id'"], "who deleted it stands in its own group's log");
}

#[tokio::test]
async fn a_role_through_a_group_counts_for_the_identity() {
    let (evidence, _) = seen(&question(2), 2, |asked| {
        let group = assignment("g", SUB, "12338af0-0e69-4776-bea7-57ae8d297424", "a-group", "Group");
        if !asked.path.ends_with("/roleAssignments") {
            return None;
        }
        let direct =
            assignment("d", vault_id().as_str(), ENCRYPTION_USER, &principal("contoso-sql"), "ServicePrincipal");
        Some(if asked.query.contains(&principal("contoso-sql1")) { list([group]) } else { list([group, direct]) })
    })
    .await;
    let vault = evidence.vault.unwrap();
    let grants = vault.grants.known().unwrap();
    assert!(
        grants
            .iter()
            .any(|grant| grant.found_for.as_deref() == Some(&principal("contoso-sql1")) && grant.rights.complete())
    );
    assert!(grants.iter().any(|grant| grant.principal_id == principal("contoso-sql") && grant.rights.complete()));
}

#[tokio::test]
async fn custom_roles_are_read_and_an_unreadable_one_leaves_it_open() {
    let custom = "abcdef00-0000-0000-0000-000000000001";
    let with_role = |role: Reply| {
        move |asked: &Asked| match asked.path.as_str() {
            path if path.ends_with("/roleAssignments") => Some(list([
                assignment(
                    "c",
                    &format!("{SUB}/resourceGroups/rg-keys"),
                    custom,
                    &principal("contoso-sql"),
                    "ServicePrincipal",
                ),
                assignment(
                    "s",
                    &format!("{}/secrets/x", vault_id()),
                    ENCRYPTION_USER,
                    &principal("contoso-sql"),
                    "ServicePrincipal",
                ),
                assignment(
                    "k",
                    &format!("{}/keys/other", vault_id()),
                    ENCRYPTION_USER,
                    &principal("contoso-sql"),
                    "ServicePrincipal",
                ),
            ])),
            path if path.ends_with(custom) => Some(role.clone()),
            _ => None,
        }
    };
    let body = |actions: Value, not: Value| {
        Reply::json(
            json!({"id": "/r", "name": custom, "properties": {"roleName": "Our keys", "permissions": [{"actions": [], "dataActions": actions, "notDataActions": not}]}}),
        )
    };
    for (role, missing) in [
        (body(json!(["Microsoft.KeyVault/vaults/keys/*"]), json!([])), vec![]),
        (body(json!(["*"]), json!(["Microsoft.KeyVault/vaults/keys/unwrap/action"])), vec!["unwrapKey"]),
        (body(json!(["Microsoft.KeyVault/vaults/*/read"]), json!([])), vec!["wrapKey", "unwrapKey"]),
    ] {
        let (evidence, _) = seen(&question(1), 1, with_role(role)).await;
        let vault = evidence.vault.unwrap();
        let [grant] = &vault.grants.known().unwrap()[..] else {
            panic!("a secret and another key do not count: {:?}", vault.grants)
        };
        assert_eq!((grant.role.as_str(), grant.rights.missing()), ("Our keys", missing));
    }
    let (evidence, _) = seen(&question(1), 1, with_role(Reply::error(403, "AuthorizationFailed"))).await;
    assert_eq!(
        denied(&evidence.vault.unwrap().grants).as_deref(),
        Some("Microsoft.Authorization/roleDefinitions/read")
    );
}

#[tokio::test]
async fn deny_assignments_are_judged_by_what_they_deny() {
    let (evidence, _) = seen(&question(1), 1, |asked| {
        asked.path.ends_with("/denyAssignments").then(|| {
            let deny = |name: &str, data: Value| {
                json!({"id": format!("/d/{name}"), "name": name, "properties": {
                "denyAssignmentName": name, "permissions": [{"actions": ["*/delete"], "dataActions": data}],
                "principals": [{"id": "00000000-0000-0000-0000-000000000000", "type": "SystemDefined"}],
                "excludePrincipals": [{"id": "admin", "type": "User"}]}})
            };
            list([deny("managed", json!([])), deny("keys", json!(["Microsoft.KeyVault/vaults/keys/*"]))])
        })
    })
    .await;
    let vault = evidence.vault.unwrap();
    let hits: Vec<bool> = vault.denials.known().unwrap().iter().map(|denial| denial.hits("anyone")).collect();
    assert_eq!(hits, [false, true]);
    assert!(!vault.denials.known().unwrap()[1].hits("ADMIN"));
}

#[tokio::test]
async fn the_log_names_who_did_it() {
    let upn = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn";
    let oid = "http://schemas.microsoft.com/identity/claims/objectidentifier";
    let event = |at: &str, operation: &str, status: &str, caller: Value, claims: Value| {
        json!({
        "eventTimestamp": at, "operationName": {"value": operation}, "status": {"value": status}, "caller": caller, "claims": claims,
        "resourceId": vault_id().to_string(), "correlationId": "c"})
    };
    let events = [
        event(
            "2026-11-24T01:00:00.1234567Z",
            "Microsoft.KeyVault/vaults/write",
            "Succeeded",
            json!("6f1c5d0a-0000-4000-8000-000000000001"),
            json!({"appid": "app", oid: "6f1c5d0a-0000-4000-8000-000000000001"}),
        ),
        event(
            "2026-11-24T02:00:00Z",
            "MICROSOFT.KEYVAULT/vaults/accessPolicies/write",
            "Succeeded",
            json!("dana@contoso.com"),
            json!({upn: "dana@contoso.com", oid: "o1"}),
        ),
        event(
            "2026-11-24T02:01:00Z",
            "Microsoft.KeyVault/vaults/delete",
            "Started",
            json!("dana@contoso.com"),
            json!({}),
        ),
        event(
            "2026-11-24T02:02:00Z",
            "Microsoft.KeyVault/vaults/read",
            "Succeeded",
            json!("dana@contoso.com"),
            json!({}),
        ),
        event(
            "2026-11-24T02:03:00Z",
            "Microsoft.Authorization/roleAssignments/delete",
            "Succeeded",
            Value::Null,
            json!(null),
        ),
        json!({"eventTimestamp": 7}),
    ];
    let (evidence, cloud) =
        seen(&question(1), 1, move |asked| asked.path.ends_with("/values").then(|| list(events.clone()))).await;
    let told: Vec<_> = evidence.changes.iter().map(|change| (change.operation.as_str(), change.caller_kind)).collect();
    assert_eq!(
        told,
        [
            ("microsoft.authorization/roleassignments/delete", CallerKind::Unknown),
            ("microsoft.keyvault/vaults/accesspolicies/write", CallerKind::Person),
            ("microsoft.keyvault/vaults/write", CallerKind::Application),
        ]
    );
    assert_eq!(evidence.changes[1].caller_ids, ["o1"]);
    assert_eq!(evidence.changes[2].caller_ids, ["app"]);
    let asked = cloud.asked().into_iter().find(|asked| asked.path.ends_with("/values")).unwrap();
    assert_eq!(
        asked.query,
        "api-version=2015-04-01&$filter=eventTimestamp ge '2026-11-23T02:07:31Z' and eventTimestamp le '2026-11-24T02:07:31Z' and resourceGroupName eq 'rg-keys'"
    );
}

#[tokio::test]
async fn a_managed_hsm_is_left_alone() {
    let hsm = VaultHost::parse("contoso-hsm.managedhsm.azure.net").unwrap();
    let (evidence, cloud) = seen(&Question { vault: Some(hsm), vault_id: None, ..question(1) }, 1, |_| None).await;
    let vault = evidence.vault.unwrap();
    assert!(matches!(&vault.vault, Fact::Unknown(why) if why.contains("managed HSM")));
    assert!(matches!(vault.reachable, Fact::Unknown(_)));
    assert!(
        !cloud.lines().iter().any(|line| line.contains("KeyVault") || line.contains("healthstatus")),
        "{:?}",
        cloud.lines()
    );
}

#[tokio::test]
async fn a_versionless_protector_is_read_by_the_version_in_use() {
    let (evidence, cloud) = seen(&question(1), 1, |asked| asked.path.ends_with("/current").then(|| Reply::json(json!({
        "name": "current", "properties": {"serverKeyType": "AzureKeyVault", "serverKeyName": "contoso-kv_tde-key", "autoRotationEnabled": true,
            "uri": "https://contoso-kv.vault.azure.net/keys/TDE-Key", "keyVersion": OLDER}})))).await;
    let in_use = evidence.keys.iter().find(|key| key.uri.version.is_none()).unwrap();
    assert_eq!(in_use.version.known().map(|version| version.version.as_str()), Some(OLDER));
    assert!(cloud.lines().iter().any(|line| line.ends_with(&format!("/keys/tde-key/versions/{OLDER}"))));
}

#[tokio::test]
async fn everything_down_is_all_unknown_and_nothing_absent() {
    let (mut evidence, _) = seen(&question(2), 2, |_| Some(Reply(500, vec![], "<html>".to_owned()))).await;
    let vault = evidence.vault.as_mut().unwrap();
    assert_eq!(std::mem::take(&mut vault.reachable), Fact::Known(false), "server errors are how an outage is seen");
    let text = serde_json::to_string(&evidence).unwrap();
    assert!(!text.contains("\"absent\"") && !text.contains("\"known\""), "{text}");
    let (evidence, _) = seen(&question(2), 2, |_| Some(Reply(404, vec![], "<html>not found</html>".to_owned()))).await;
    let text = serde_json::to_string(&evidence).unwrap();
    assert!(!text.contains("\"absent\""), "a 404 that Azure did not word proves nothing: {text}");
}

#[tokio::test]
async fn verification_costs_one_request_a_server() {
    let cloud = StandIn::start(|asked, _| {
        if asked.path.contains("/contoso-sql1/") { Reply::error(404, "ResourceNotFound") } else { healthy(asked, 3) }
    })
    .await;
    let servers = [server(0), server(1), server(2), server(0)];
    let down = inaccessible(&cloud.azure(), &servers).await;
    assert_eq!(cloud.asked().len(), 3);
    assert_eq!(down[&server(0)], Fact::Known(vec!["orders".to_owned()]));
    assert_eq!(down[&server(1)], Fact::Absent);
}

#[tokio::test]
async fn the_small_questions() {
    let instance =
        || ResourceId::parse(&format!("{SUB}/resourceGroups/r/providers/Microsoft.Sql/managedInstances/mi")).unwrap();
    let cloud = StandIn::start(|asked, _| {
        if asked.path.ends_with("/resources") {
            let rows = [
                json!({"id": server(0).to_string(), "k": "x"}),
                json!({"id": format!("{SUB}/resourceGroups/r/providers/Microsoft.Sql/managedInstances/mi")}),
            ];
            return Reply::json(json!({"data": rows}));
        }
        healthy(asked, 1)
    })
    .await;
    let azure = cloud.azure();
    let read = protector(&azure, &server(0)).await;
    assert_eq!(
        read.known().and_then(|protector| protector.uri.as_ref()).map(|uri: &KeyUri| uri.vault.clone()),
        Some(host())
    );
    assert_eq!(servers_of_vault(&azure, &host(), &["s".to_owned()]).await, Fact::Known(vec![server(0), instance()]));
    assert_eq!(
        servers_of_vault(&azure, &host(), &[]).await,
        Fact::Known(vec![]),
        "no subscription is not every subscription"
    );
    assert_eq!(cloud.asked().len(), 2);
}

#[tokio::test]
async fn no_servers_ask_nothing_about_servers() {
    let (evidence, cloud) = seen(&Question::new(vec![], now()), 1, |_| None).await;
    assert!(evidence.servers.is_empty() && evidence.vault.is_none());
    assert!(cloud.asked().is_empty(), "{:?}", cloud.lines());
}

mod failures {
    use proptest::prelude::*;

    use super::*;

    fn failure(kind: u8) -> Option<Reply> {
        Some(match kind {
            0 => Reply::error(403, "AuthorizationFailed"),
            1 => Reply::error(500, "InternalServerError"),
            2 => Reply::error(429, "TooManyRequests").with("retry-after", "3600"),
            3 => Reply(200, vec![], "<html>".to_owned()),
            4 => Reply(404, vec![], "Not Found".to_owned()),
            5 => Reply::error(404, "SubscriptionNotFound"),
            6 => Reply::json(json!({"value": 7, "data": {}, "properties": []})),
            7 => Reply::error(400, "InvalidApiVersionParameter"),
            _ => return None,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever fails, and however: nothing that is there is called absent, and no more than three waves go out.
        #[test]
        fn failures_are_never_taken_for_absence(kinds in prop::collection::vec(0_u8..14, 16), hinted in any::<bool>(), servers in 1_usize..4) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let asked_for = Question { vault_id: hinted.then(vault_id), ..question(servers) };
            let evidence = runtime.block_on(async move {
                // All requests to one kind of resource fail alike.
                let kind_of = move |asked: &Asked| {
                    let last = asked.path.rsplit('/').next().unwrap_or_default().bytes().map(usize::from).sum::<usize>();
                    kinds[(last + asked.path.matches('/').count()) % kinds.len()]
                };
                seen(&asked_for, servers, move |asked| failure(kind_of(asked))).await.0
            });
            prop_assert!(evidence.waves <= 3);
            let vault = evidence.vault.as_ref().unwrap();
            prop_assert!(!vault.vault.is_absent(), "{:?}", vault.vault);
            prop_assert!(evidence.keys.iter().all(|key| !key.version.is_absent() && key.exists != Fact::Known(false)));
            for server in &evidence.servers {
                prop_assert!(!server.server.is_absent() && !server.protector.is_absent() && !server.databases.is_absent());
                prop_assert!(server.databases.known().is_none_or(|databases| databases.len() == 2));
                prop_assert!(server.server.known().is_none_or(|server| server.identity.effective().is_some()));
            }
            let principals: Vec<_> = (0..servers).map(|n| principal(server(n).name())).collect();
            let granted = |grants: &Vec<crate::domain::evidence::Grant>| principals.iter().all(|principal| grants.iter().any(|grant| grant.principal_id == *principal));
            let all_servers_read = evidence.servers.iter().all(|server| server.server.known().is_some());
            prop_assert!(!all_servers_read || vault.grants.known().is_none_or(granted), "{:?}", vault.grants);
        }
    }
}
