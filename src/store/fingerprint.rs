//! What a signal is about for the store's purposes: its subject, and what makes two signals the same one.

use sha2::{Digest, Sha256};

use crate::domain::resource_id::ResourceId;
use crate::domain::signal::Signal;

/// The server, managed instance or vault that `target` is or lies below; the target itself where it is neither.
/// Incidents are looked for by subject, so that a server with 10,000 databases is looked at once.
pub(super) fn subject(target: &ResourceId) -> ResourceId {
    target
        .sql_server()
        .or_else(|| target.managed_instance())
        .or_else(|| target.key_vault())
        .unwrap_or_else(|| target.clone())
}

/// Equal for two deliveries of one event. The subject stands for the target, because one event may name the database
/// in one delivery and its server in another.
pub(super) fn fingerprint(signal: &Signal) -> String {
    let kind = serde_json::to_value(signal.kind).unwrap_or_default();
    let parts = match &signal.event_id {
        Some(id) => serde_json::json!([id, kind, subject(&signal.target).key()]),
        None => serde_json::json!([kind, signal.target.key(), signal.occurred_at, signal.text]),
    };
    hex::encode(Sha256::digest(parts.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::signal::SignalKind;

    fn signal(target: &str, event_id: Option<&str>) -> Signal {
        Signal {
            kind: SignalKind::AccessLost,
            target: ResourceId::parse(target).unwrap(),
            occurred_at: None,
            caller: None,
            event_id: event_id.map(str::to_owned),
            correlation_id: None,
            window_minutes: None,
            text: None,
        }
    }

    const GROUP: &str = "/subscriptions/s/resourceGroups/rg/providers";

    #[test]
    fn the_subject_is_what_holds_the_key_or_uses_it() {
        for (target, expected) in [
            ("Microsoft.Sql/servers/a/databases/d", "Microsoft.Sql/servers/a"),
            ("Microsoft.Sql/servers/a/encryptionProtector/current", "Microsoft.Sql/servers/a"),
            ("Microsoft.Sql/managedInstances/m/databases/d", "Microsoft.Sql/managedInstances/m"),
            (
                "Microsoft.KeyVault/vaults/v/providers/Microsoft.Authorization/roleAssignments/r",
                "Microsoft.KeyVault/vaults/v",
            ),
            ("Microsoft.Storage/storageAccounts/x", "Microsoft.Storage/storageAccounts/x"),
        ] {
            let target = ResourceId::parse(&format!("{GROUP}/{target}")).unwrap();
            assert_eq!(subject(&target), ResourceId::parse(&format!("{GROUP}/{expected}")).unwrap());
        }
    }

    #[test]
    fn one_event_is_one_signal_whichever_level_it_names() {
        let server = format!("{GROUP}/Microsoft.Sql/servers/a");
        let database = format!("{server}/databases/d");
        assert_eq!(
            fingerprint(&signal(&server, Some("e1"))),
            fingerprint(&signal(&database.to_uppercase(), Some("e1")))
        );
        assert_ne!(fingerprint(&signal(&server, Some("e1"))), fingerprint(&signal(&server, Some("e2"))));
    }

    #[test]
    fn without_an_event_id_time_and_text_tell_signals_apart() {
        let database = format!("{GROUP}/Microsoft.Sql/servers/a/databases/d");
        let plain = signal(&database, None);
        let mut later = plain.clone();
        later.occurred_at = Some("2026-03-01T10:00:00Z".parse().unwrap());
        let mut worded = plain.clone();
        worded.text = Some("other words".to_owned());
        let other = signal(&format!("{GROUP}/Microsoft.Sql/servers/a/databases/e"), None);
        for different in [later, worded, other] {
            assert_ne!(fingerprint(&plain), fingerprint(&different), "{different:?}");
        }
        assert_eq!(fingerprint(&plain), fingerprint(&plain.clone()));
    }
}
