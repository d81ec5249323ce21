//! Keys and their versions: what an answer proves of them, and what it does not.

use super::*;

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
async fn a_versionless_protector_is_read_by_the_version_in_use() {
    let (evidence, cloud) = seen(&question(1), 1, |asked| asked.path.ends_with("/current").then(|| Reply::json(json!({
        "name": "current", "properties": {"serverKeyType": "AzureKeyVault", "serverKeyName": "contoso-kv_tde-key", "autoRotationEnabled": true,
            "uri": "https://contoso-kv.vault.azure.net/keys/TDE-Key", "keyVersion": OLDER}})))).await;
    let in_use = evidence.keys.iter().find(|key| key.uri.version.is_none()).unwrap();
    assert_eq!(in_use.version.known().map(|version| version.version.as_str()), Some(OLDER));
    assert!(cloud.lines().iter().any(|line| line.ends_with(&format!("/keys/tde-key/versions/{OLDER}"))));
}
