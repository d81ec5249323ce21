//! Which operations concern access to a key, by their Azure names (reference: alerts and signals, 5.1).

use super::SignalKind;
use super::target::Wanted;

/// Why an operation concerns us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Concern {
    /// A write of a database: the operation behind which TDE events hide. Its outcome says nothing of itself.
    Database,
    /// It may take away or give back access to a key once it has succeeded.
    Cause(SignalKind, Wanted),
    /// Resource Health speaks.
    Health,
}

/// What concerns us of other providers than `Microsoft.Sql`.
const OPERATIONS: &[(&str, Concern)] = &[
    ("Microsoft.KeyVault/vaults/delete", Concern::Cause(SignalKind::VaultDeleted, Wanted::Vault)),
    ("Microsoft.KeyVault/managedHSMs/delete", Concern::Cause(SignalKind::VaultDeleted, Wanted::Vault)),
    ("Microsoft.KeyVault/deletedVaults/purge/action", Concern::Cause(SignalKind::VaultDeleted, Wanted::Vault)),
    (
        "Microsoft.KeyVault/locations/deletedVaults/purge/action",
        Concern::Cause(SignalKind::VaultDeleted, Wanted::Vault),
    ),
    (
        "Microsoft.KeyVault/locations/deletedManagedHsms/purge/action",
        Concern::Cause(SignalKind::VaultDeleted, Wanted::Vault),
    ),
    ("Microsoft.KeyVault/vaults/write", Concern::Cause(SignalKind::VaultChanged, Wanted::Vault)),
    ("Microsoft.KeyVault/managedHSMs/write", Concern::Cause(SignalKind::VaultChanged, Wanted::Vault)),
    ("Microsoft.KeyVault/vaults/accessPolicies/write", Concern::Cause(SignalKind::AccessPolicyChanged, Wanted::Vault)),
    ("Microsoft.KeyVault/vaults/accessPolicies/delete", Concern::Cause(SignalKind::AccessPolicyChanged, Wanted::Vault)),
    ("Microsoft.Authorization/roleAssignments/write", Concern::Cause(SignalKind::RoleAssignmentChanged, Wanted::Scope)),
    (
        "Microsoft.Authorization/roleAssignments/delete",
        Concern::Cause(SignalKind::RoleAssignmentChanged, Wanted::Scope),
    ),
    ("Microsoft.Authorization/locks/write", Concern::Cause(SignalKind::LockChanged, Wanted::Scope)),
    ("Microsoft.Authorization/locks/delete", Concern::Cause(SignalKind::LockChanged, Wanted::Scope)),
    (
        "Microsoft.ManagedIdentity/userAssignedIdentities/delete",
        Concern::Cause(SignalKind::IdentityDeleted, Wanted::Identity),
    ),
];

/// What `Microsoft.Sql` calls a server. The one captured event of a managed instance calls it a managed server.
const SERVERS: [&str; 3] = ["servers", "managedServers", "managedInstances"];

/// What concerns us below each of [`SERVERS`].
const BELOW_SERVERS: &[(&str, Concern)] = &[
    ("databases/write", Concern::Database),
    ("write", Concern::Cause(SignalKind::ServerChanged, Wanted::Sql)),
    ("delete", Concern::Cause(SignalKind::ServerChanged, Wanted::Sql)),
    ("keys/write", Concern::Cause(SignalKind::ServerKeyChanged, Wanted::Sql)),
    ("keys/delete", Concern::Cause(SignalKind::ServerKeyChanged, Wanted::Sql)),
    ("encryptionProtector/write", Concern::Cause(SignalKind::ProtectorChanged, Wanted::Sql)),
    ("encryptionProtector/revalidate/action", Concern::Cause(SignalKind::ProtectorChanged, Wanted::Sql)),
    ("databases/encryptionProtector/write", Concern::Cause(SignalKind::ProtectorChanged, Wanted::Sql)),
    ("databases/encryptionProtector/revalidate/action", Concern::Cause(SignalKind::ProtectorChanged, Wanted::Sql)),
    ("databases/encryptionProtector/revert/action", Concern::Cause(SignalKind::ProtectorChanged, Wanted::Sql)),
];

/// What concerns us below a Synapse workspace. Which events its pools' losses make has not been published; rules that watch
/// these operations are the operator's own.
const BELOW_WORKSPACES: &[(&str, Concern)] = &[
    ("sqlPools/write", Concern::Database),
    ("write", Concern::Cause(SignalKind::ServerChanged, Wanted::Sql)),
    ("delete", Concern::Cause(SignalKind::ServerChanged, Wanted::Sql)),
    ("keys/write", Concern::Cause(SignalKind::ServerKeyChanged, Wanted::Sql)),
    ("keys/delete", Concern::Cause(SignalKind::ServerKeyChanged, Wanted::Sql)),
    ("encryptionProtector/write", Concern::Cause(SignalKind::ProtectorChanged, Wanted::Sql)),
    ("encryptionProtector/revalidate/action", Concern::Cause(SignalKind::ProtectorChanged, Wanted::Sql)),
];

/// Every operation of the category Administrative that an alert rule should ring for, as Azure spells it: what may take
/// access to a key away or give it back, and the writes of databases behind which TDE events hide.
pub fn watched_operations() -> impl Iterator<Item = String> {
    let sql = SERVERS
        .iter()
        .flat_map(|server| BELOW_SERVERS.iter().map(move |(below, _)| format!("Microsoft.Sql/{server}/{below}")));
    OPERATIONS.iter().map(|(operation, _)| (*operation).to_owned()).chain(sql)
}

/// Why `operation` (in lower case) concerns us, if it does.
pub(super) fn concern(operation: &str) -> Option<Concern> {
    let (provider, rest) = operation.split_once('/')?;
    match provider {
        "microsoft.sql" => {
            let (server, below) = rest.split_once('/')?;
            let known = SERVERS.iter().any(|known| known.eq_ignore_ascii_case(server));
            if known { find(BELOW_SERVERS, below) } else { None }
        }
        "microsoft.synapse" => find(BELOW_WORKSPACES, rest.strip_prefix("workspaces/")?),
        "microsoft.resourcehealth" => Some(Concern::Health),
        _ => find(OPERATIONS, operation),
    }
}

fn find(table: &[(&str, Concern)], operation: &str) -> Option<Concern> {
    table.iter().find(|(known, _)| known.eq_ignore_ascii_case(operation)).map(|(_, concern)| *concern)
}

/// The kind of alert that an Activity Log category or an operation's provider stands for, where it is never ours.
pub(super) fn foreign(operation: &str, categories: &[String]) -> Option<&'static str> {
    let by_operation = [
        ("microsoft.servicehealth/", "a Service Health alert"),
        ("microsoft.security/", "a Security alert"),
        ("microsoft.advisor/", "an Advisor recommendation"),
        ("microsoft.insights/autoscalesettings/", "an Autoscale alert"),
        ("microsoft.authorization/policies/", "a Policy alert"),
    ];
    let by_category = [
        ("servicehealth", "a Service Health alert"),
        ("security", "a Security alert"),
        ("recommendation", "an Advisor recommendation"),
        ("autoscale", "an Autoscale alert"),
        ("policy", "a Policy alert"),
    ];
    by_operation.iter().find(|(prefix, _)| operation.starts_with(prefix)).map(|(_, reason)| *reason).or_else(|| {
        let is = |word: &str| categories.iter().any(|category| category.ends_with(word));
        by_category.iter().find(|(word, _)| is(word)).map(|(_, reason)| *reason)
    })
}
