//! Which operations concern access to a key, by their Azure names in lower case (reference: alerts and signals, 5.1).

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

/// Why `operation` (in lower case) concerns us, if it does.
pub(super) fn concern(operation: &str) -> Option<Concern> {
    use SignalKind as Kind;
    let cause = |kind, wanted| Some(Concern::Cause(kind, wanted));
    let (provider, rest) = operation.split_once('/')?;
    match (provider, rest) {
        ("microsoft.sql", rest) => sql(rest),
        ("microsoft.resourcehealth", _) => Some(Concern::Health),
        (
            "microsoft.keyvault",
            "vaults/delete"
            | "managedhsms/delete"
            | "deletedvaults/purge/action"
            | "locations/deletedvaults/purge/action"
            | "locations/deletedmanagedhsms/purge/action",
        ) => cause(Kind::VaultDeleted, Wanted::Vault),
        ("microsoft.keyvault", "vaults/write" | "managedhsms/write") => cause(Kind::VaultChanged, Wanted::Vault),
        ("microsoft.keyvault", "vaults/accesspolicies/write" | "vaults/accesspolicies/delete") => {
            cause(Kind::AccessPolicyChanged, Wanted::Vault)
        }
        ("microsoft.authorization", "roleassignments/write" | "roleassignments/delete") => {
            cause(Kind::RoleAssignmentChanged, Wanted::Scope)
        }
        ("microsoft.authorization", "locks/write" | "locks/delete") => cause(Kind::LockChanged, Wanted::Scope),
        ("microsoft.managedidentity", "userassignedidentities/delete") => {
            cause(Kind::IdentityDeleted, Wanted::Identity)
        }
        _ => None,
    }
}

fn sql(rest: &str) -> Option<Concern> {
    // The one captured event of a managed instance calls it a managed server.
    let below =
        ["servers/", "managedservers/", "managedinstances/"].iter().find_map(|server| rest.strip_prefix(server))?;
    let kind = match below {
        "databases/write" => return Some(Concern::Database),
        "write" | "delete" => SignalKind::ServerChanged,
        "keys/write" | "keys/delete" => SignalKind::ServerKeyChanged,
        "encryptionprotector/write"
        | "encryptionprotector/revalidate/action"
        | "databases/encryptionprotector/write"
        | "databases/encryptionprotector/revalidate/action"
        | "databases/encryptionprotector/revert/action" => SignalKind::ProtectorChanged,
        _ => return None,
    };
    Some(Concern::Cause(kind, Wanted::Sql))
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
