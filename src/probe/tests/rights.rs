//! Who may do what with a key, and what we may not read of it.

use super::*;

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
