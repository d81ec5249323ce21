//! What is kept of a body besides its kind: time, caller, ids, words, window; and what makes two signals the same.

use std::path::Path;

use serde_json::{Value, json};

use super::{Reading, Signal, SignalKind, read, validation_code};
use crate::domain::resource_id::ResourceId;

const DATABASE: &str = "/subscriptions/s1/resourceGroups/RG/providers/Microsoft.Sql/servers/Sql1/databases/Orders";
const VAULT: &str = "/subscriptions/s1/resourceGroups/RG/providers/Microsoft.KeyVault/vaults/Kv1";

fn fixture(name: &str) -> Signal {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/payloads/{name}.json"));
    only(&std::fs::read(file).expect("the fixture is there"))
}

fn only(body: &[u8]) -> Signal {
    match read(body) {
        Reading::Signals(signals) if signals.len() == 1 => signals.into_iter().next().expect("there is one"),
        other => panic!("one signal was expected: {other:?}"),
    }
}

/// A common-schema alert about a databases write whose context has `fields` besides.
fn alert(fields: Value) -> Vec<u8> {
    let mut context = json!({"operationName": "Microsoft.Sql/servers/databases/write", "eventDataId": "e-1"});
    for (key, value) in fields.as_object().expect("an object of fields") {
        context[key] = value.clone();
    }
    json!({"schemaId": "azureMonitorCommonAlertSchema", "data": {
        "essentials": {"signalType": "Activity Log", "alertTargetIDs": [DATABASE], "firedDateTime": "2026-03-14T03:00:00Z"},
        "alertContext": context,
    }})
    .to_string()
    .into_bytes()
}

fn kind(fields: Value) -> SignalKind {
    only(&alert(fields)).kind
}

#[test]
fn name_and_status_decide_whatever_the_description_says() {
    let inaccessible = "Database d on Server s has lost access to Azure Key Vault Key";
    let event = |name: &str, status: Value| {
        kind(
            json!({"properties": {"eventName": name}, "status": status, "Activity Log Event Description": inaccessible}),
        )
    };
    for name in ["MakeDatabaseInaccessible", "MakeManagedDbInaccessible", "MAKEMANAGEDDATABASEINACCESSIBLE"] {
        assert_eq!(event(name, json!("Started")), SignalKind::AccessLost);
        assert_eq!(event(name, json!({"value": "Accepted"})), SignalKind::AccessLost);
        assert_eq!(event(name, json!("In Progress")), SignalKind::WaitingForAccess);
        assert_eq!(event(name, json!("Succeeded")), SignalKind::SelfHealEnded, "the worst state, no recovery");
        assert_eq!(event(name, json!(null)), SignalKind::AccessLost);
        assert_eq!(event(name, json!("Active")), SignalKind::AccessLost);
    }
    for name in ["MakeDatabaseAccessible", "MakeManagedDatabaseAccessible", "makemanageddbaccessible"] {
        assert_eq!(event(name, json!("Started")), SignalKind::RestoreStarted);
        assert_eq!(event(name, json!("Succeeded")), SignalKind::RestoreSucceeded);
        assert_eq!(event(name, json!("Failed")), SignalKind::RestoreFailed);
        assert_eq!(event(name, json!(null)), SignalKind::RestoreStarted, "never a recovery without proof");
    }
}

#[test]
fn a_name_counts_only_as_a_word_of_its_own() {
    for (text, found) in [
        ("MakeDatabaseInaccessible", true),
        ("Event 'MakeDatabaseInaccessible' occurred.", true),
        ("remakemakeMakeDatabaseInaccessible, MakeManagedDbInaccessible.", true),
        ("/subscriptions/s1/resourceGroups/MakeDatabaseInaccessible", false),
        ("MakeDatabaseInaccessible-rule", false),
        ("on-MakeDatabaseInaccessible", false),
        ("NeverMakeDatabaseInaccessible", false),
        ("MakeDatabaseInaccessibleAlert", false),
        ("MakeDatabaseUnaccessible", false),
        ("make the database inaccessible", false),
    ] {
        let expected = if found { SignalKind::AccessLost } else { SignalKind::DatabaseChanged };
        assert_eq!(kind(json!({"properties": {"note": text}, "status": "Started"})), expected, "{text}");
    }
}

#[test]
fn an_event_of_another_provider_is_never_a_tde_event() {
    let body = alert(
        json!({"operationName": "Microsoft.Resources/deployments/write", "eventName": "MakeDatabaseInaccessible"}),
    );
    assert!(matches!(read(&body), Reading::Ignored(_)));
}

#[test]
fn resource_health_is_known_by_its_category_where_the_operation_is_missing() {
    assert_eq!(kind(json!({"operationName": null, "eventSource": "Resource Health"})), SignalKind::HealthChanged);
}

#[test]
fn the_window_is_the_one_that_the_text_names() {
    let window = |text: &str| only(&alert(json!({"description": text}))).window_minutes;
    let waiting = "Database is waiting for Azure key vault key access to be reestablished by user within";
    assert_eq!(window(&format!("{waiting} 8 hours.")), Some(480));
    assert_eq!(window(&format!("{waiting} 48 hours.")), Some(2880));
    assert_eq!(window(&format!("{waiting} 30 minutes")), Some(30));
    assert_eq!(window(&format!("{waiting} 1 hour")), Some(60));
    assert_eq!(window(&format!("{waiting} 0 minutes.")), None);
    assert_eq!(window(&format!("{waiting} 4000000000 hours.")), None);
    assert_eq!(window(&format!("{waiting} the subsequent hour.")), None);
    assert_eq!(fixture("tde/lost_common").window_minutes, None, "today's text names none");
    assert_eq!(fixture("tde/waiting_2019").window_minutes, Some(480));
}

#[test]
fn azures_own_words_are_kept_and_cut() {
    assert!(
        fixture("tde/lost_common")
            .text
            .is_some_and(|text| text.starts_with("Database Carts on Server shop-sql has lost"))
    );
    assert_eq!(fixture("health/database_unavailable").text.as_deref(), Some("Unavailable"));
    assert_eq!(fixture("cause/vault_delete").text, None, "the operation's name is no description");
    let long = only(&alert(json!({"description": format!("a\r\n{}", "é\u{1b}".repeat(4000))}))).text.expect("a text");
    assert_eq!(long.chars().count(), 1000);
    assert!(long.starts_with("a éé"), "{long}");
}

#[test]
fn the_time_is_the_events_own_before_the_envelopes() {
    let at = |fields: Value| only(&alert(fields)).occurred_at.map(|at| at.to_string());
    assert_eq!(
        at(json!({"eventTimestamp": "2026-03-14T02:11:09.4471902+00:00"})).as_deref(),
        Some("2026-03-14T02:11:09.4471902Z")
    );
    assert_eq!(at(json!({"eventTimestamp": "2026-03-14T02:11:09"})).as_deref(), Some("2026-03-14T02:11:09Z"));
    assert_eq!(
        at(json!({"eventTimestamp": "soon", "submissionTimestamp": "2026-03-14T02:12:00Z"})).as_deref(),
        Some("2026-03-14T02:12:00Z")
    );
    assert_eq!(at(json!({})).as_deref(), Some("2026-03-14T03:00:00Z"));
}

#[test]
fn the_caller_is_found_in_the_claims_where_no_field_names_it() {
    let upn = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn";
    assert_eq!(only(&alert(json!({"caller": "a@b.example"}))).caller.as_deref(), Some("a@b.example"));
    assert_eq!(
        only(&alert(json!({"caller": null, "claims": json!({upn: "c@d.example"}).to_string()}))).caller.as_deref(),
        Some("c@d.example")
    );
    assert_eq!(only(&alert(json!({"claims": {"appid": "1234", upn: ""}}))).caller.as_deref(), Some("1234"));
    assert_eq!(only(&alert(json!({"caller": null, "claims": "{}"}))).caller, None);
    assert_eq!(fixture("cause/vault_delete_records").caller.as_deref(), Some("ops@shop.example"));
}

#[test]
fn the_event_id_is_the_events_own_and_never_a_placeholder() {
    let id = |fields: Value| only(&alert(fields)).event_id;
    assert_eq!(id(json!({})).as_deref(), Some("e-1"));
    for placeholder in ["<GUID>", "{id}", "00000000-0000-0000-0000-000000000000"] {
        assert_eq!(id(json!({"eventDataId": placeholder})), None);
    }
    assert_eq!(fixture("tde/lost_rest").event_id.as_deref(), Some("c0ffee99-51ce-4a11-8e77-0123456789ab"));
    assert_eq!(fixture("events/vault_deleted").event_id.as_deref(), Some("4f2d9a10-eg"));
    assert_eq!(fixture("events/key_near_expiry_cloudevent").event_id.as_deref(), Some("4f2d9a10-ce"));
    let origin = json!({"essentials": {"originAlertId": "e-7_00ff", "alertTargetIDs": [DATABASE]},
        "alertContext": {"operationName": "Microsoft.Sql/servers/databases/write"}});
    assert_eq!(only(origin.to_string().as_bytes()).event_id.as_deref(), Some("e-7"));
}

fn signal(target: &str) -> Signal {
    Signal {
        kind: SignalKind::DatabaseChanged,
        target: ResourceId::parse(target).expect("an id"),
        occurred_at: None,
        caller: None,
        event_id: None,
        correlation_id: None,
        window_minutes: None,
        text: None,
    }
}

#[test]
fn the_subject_is_the_server_or_vault_above() {
    for (target, subject) in [
        (DATABASE.to_owned(), &DATABASE[..DATABASE.len() - "/databases/Orders".len()]),
        (format!("{VAULT}/keys/tde"), VAULT),
        (format!("{VAULT}/accessPolicies/add"), VAULT),
        (VAULT.to_owned(), VAULT),
        ("/subscriptions/s1/resourceGroups/RG".to_owned(), "/subscriptions/s1/resourceGroups/RG"),
        ("/subscriptions/s1".to_owned(), "/subscriptions/s1"),
        (
            "/subscriptions/s1/resourceGroups/RG/providers/Microsoft.Sql/managedInstances/Mi/databases/D".to_owned(),
            "/subscriptions/s1/resourceGroups/RG/providers/Microsoft.Sql/managedInstances/Mi",
        ),
    ] {
        assert_eq!(signal(&target).subject().as_str(), subject);
    }
}

#[test]
fn one_event_is_one_signal_however_it_is_delivered() {
    let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/payloads/{name}.json"));
    let body: Value = serde_json::from_slice(&std::fs::read(file("tde/lost_common")).expect("there")).expect("JSON");
    let first = only(body.to_string().as_bytes());
    let wrapped = json!({"WebhookName": "w", "RequestBody": body.to_string()});
    assert_eq!(only(wrapped.to_string().as_bytes()).fingerprint(), first.fingerprint());
    let bare = json!({"alertContext": body["data"]["alertContext"]});
    assert_eq!(only(bare.to_string().as_bytes()).fingerprint(), first.fingerprint());
    let batch = json!([body, body, wrapped]);
    assert_eq!(only(batch.to_string().as_bytes()).fingerprint(), first.fingerprint());
}

#[test]
fn different_signals_have_different_fingerprints() {
    let at = |second| Some(jiff::Timestamp::from_second(second).expect("a time"));
    let event = |id: &str, target| Signal { event_id: Some(id.to_owned()), ..signal(target) };
    let all = [
        signal(DATABASE),
        signal(VAULT),
        Signal { kind: SignalKind::AccessLost, ..signal(DATABASE) },
        Signal { occurred_at: at(1), ..signal(DATABASE) },
        Signal { text: Some("a".to_owned()), ..signal(DATABASE) },
        event("e-1", DATABASE),
        event("e-2", DATABASE),
        event("e-1", VAULT),
        Signal { kind: SignalKind::AccessLost, ..event("e-1", DATABASE) },
    ];
    let prints: std::collections::HashSet<String> = all.iter().map(Signal::fingerprint).collect();
    assert_eq!(prints.len(), all.len());
    assert_eq!(signal(DATABASE).fingerprint(), signal(&DATABASE.to_lowercase()).fingerprint());
    assert_eq!(event("E-1", DATABASE).fingerprint(), event("e-1", &DATABASE.to_uppercase()).fingerprint());
}

#[test]
fn the_name_of_a_kind_is_its_json_name() {
    use SignalKind as K;
    for kind in [
        K::AccessLost,
        K::WaitingForAccess,
        K::SelfHealEnded,
        K::RestoreStarted,
        K::RestoreSucceeded,
        K::RestoreFailed,
        K::VaultDeleted,
        K::VaultChanged,
        K::AccessPolicyChanged,
        K::RoleAssignmentChanged,
        K::ServerChanged,
        K::ProtectorChanged,
        K::ServerKeyChanged,
        K::IdentityDeleted,
        K::LockChanged,
        K::KeyNearExpiry,
        K::KeyExpired,
        K::KeyRotated,
        K::HealthChanged,
        K::DatabaseChanged,
    ] {
        assert_eq!(serde_json::to_value(kind).expect("a kind is JSON"), kind.name());
    }
}

#[test]
fn event_grid_gets_back_its_validation_code_and_nothing_else_does() {
    let event =
        json!({"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "C-1"}});
    assert_eq!(validation_code(event.to_string().as_bytes()).as_deref(), Some("C-1"));
    assert_eq!(validation_code(json!([event]).to_string().as_bytes()).as_deref(), Some("C-1"));
    let other = json!({"eventType": "Microsoft.KeyVault.KeyExpired", "data": {"validationCode": "C-1"}});
    assert_eq!(validation_code(other.to_string().as_bytes()), None);
    let escaped = event.to_string().replace("Validation", "\\u0056alidation");
    assert_eq!(validation_code(escaped.as_bytes()).as_deref(), Some("C-1"), "{escaped}");
    assert_eq!(validation_code(b"[1, null"), None);
}
