//! Any body, read as each kind of answer: for those who hold the parsers against arbitrary bytes (fuzz/).

use serde_json::Value;

use super::{
    activity_log, alert_rules, authorization, error, key_attributes, key_vault, key_vault_keys, locks, own_rights,
    replication, sql, sql_databases, sql_settings,
};
use crate::azure::dependent::synapse_workspace;
use crate::domain::key_uri::VaultHost;

/// What one parser made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Which answer it was taken for.
    pub kind: &'static str,
    /// What was read, or why it cannot be.
    pub read: Result<String, String>,
}

/// The body as each kind of answer.
#[must_use]
pub fn of(body: &Value) -> Vec<Shape> {
    fn shown<T: std::fmt::Debug>(kind: &'static str, read: Result<T, String>) -> Shape {
        Shape { kind, read: read.map(|read| format!("{read:?}")) }
    }
    let host = |name: &str| VaultHost::parse(&format!("{name}.vault.azure.net"));
    vec![
        shown("server", sql::parse_server(body)),
        shown("protector", sql::parse_protector(body, &host)),
        shown("linked key", sql::parse_linked_key(body, &host)),
        shown("database", sql_databases::parse_database(body)),
        shown("own protector", sql_databases::parse_own_protector(body)),
        shown("own keys", sql_databases::parse_own_keys(body)),
        shown("tagged", sql_settings::parse_tagged(body)),
        shown("short-term retention", sql_settings::parse_short_term(body)),
        shown("long-term retention", sql_settings::parse_long_term(body)),
        shown("failover group", sql_settings::parse_failover_group(body)),
        shown("replication link", replication::parse_link(body)),
        shown("workspace", synapse_workspace::parse_workspace(body)),
        shown("workspace's own key", synapse_workspace::parse_own_key(body)),
        shown("workspace's key", synapse_workspace::parse_key(body)),
        shown("vault", key_vault::parse_vault(body)),
        shown("deleted vault", key_vault::parse_deleted_vault(body)),
        shown("key", key_attributes::parse_key(body)),
        shown("key bundle", key_vault_keys::parse_bundle(body)),
        shown("role assignment", authorization::parse_assignment(body)),
        shown("role", authorization::parse_role(body)),
        shown("denial", authorization::parse_denial(body)),
        shown("own role", own_rights::parse_definition(body)),
        shown("own denial", own_rights::parse_denial(body)),
        shown("lock", locks::parse(body)),
        shown("alert rule", alert_rules::parse_rule(body)),
        shown("action group", alert_rules::parse_group(body)),
        shown("change", activity_log::parse(body).ok_or_else(|| "no change".to_owned())),
    ]
}

/// The body as an error, in a person's words.
#[must_use]
pub fn refused(status: u16, body: &Value) -> super::AzureError {
    error::refusal("GET /subscriptions/s".to_owned(), status, body, "Microsoft.Sql/servers/read", "/subscriptions/s")
}
