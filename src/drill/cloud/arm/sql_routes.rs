//! Which operation of Microsoft.Sql a request is.

use super::sql_databases::{databases, failover_groups, inaccessible, long_term, nothing, short_term};
use super::sql_operations::{result, revalidate, revalidate_database};
use super::sql_servers::{keys, protector, servers};
use super::{Operation, database_change, server_change, unsupported};

pub(super) fn find(method: &str, types: &str) -> Option<Operation> {
    Some(match (method, types) {
        ("GET", "servers") => servers,
        ("PATCH", "servers") => server_change::patch,
        ("GET", "servers/encryptionprotector") => protector,
        ("POST", "servers/encryptionprotector/revalidate") => revalidate,
        ("POST", "servers/databases/encryptionprotector/revalidate") => revalidate_database,
        ("GET", "locations/databaseencryptionprotectorrevalidateoperationresults") => result,
        ("GET", "servers/keys") => keys,
        ("GET", "servers/databases") => databases,
        ("GET", "servers/inaccessibledatabases") => inaccessible,
        ("GET", "servers/failovergroups") => failover_groups,
        ("PATCH", "servers/databases") => database_change::patch,
        ("PUT", "servers/databases/backupshorttermretentionpolicies") => database_change::put_short_term,
        ("PUT", "servers/databases/backuplongtermretentionpolicies") => database_change::put_long_term,
        ("PATCH", "servers/failovergroups") => database_change::patch_failover_group,
        ("GET", "locations/databaseazureasyncoperation" | "locations/failovergroupazureasyncoperation") => {
            database_change::status
        }
        ("GET", "servers/replicationlinks" | "servers/databases/replicationlinks" | "servers/databases/operations") => {
            nothing
        }
        ("GET", "servers/databases/backupshorttermretentionpolicies") => short_term,
        ("GET", "servers/databases/backuplongtermretentionpolicies") => long_term,
        ("GET", "locations/encryptionprotectoroperationresults" | "locations/serveroperationresults") => result,
        // Known to Azure, and not for the responder: whoever has no right to them is told so.
        ("PUT", "servers" | "servers/encryptionprotector" | "servers/keys" | "servers/databases")
        | ("DELETE", "servers/databases")
        | ("DELETE", "servers" | "servers/keys")
        | ("POST", "servers/databases/encryptionprotector/revert") => unsupported,
        _ => return None,
    })
}
