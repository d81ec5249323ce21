//! Vaults: there, deleted, in no list, behind a firewall, and of the kind that is left alone.

use super::*;

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
