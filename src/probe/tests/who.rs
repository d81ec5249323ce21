//! What the Activity Log says of who did it.

use super::*;

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
