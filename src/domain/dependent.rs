//! The kinds of things that depend on a key in a vault: whatever has a TDE protector of its own.

use serde::{Deserialize, Serialize};

use crate::domain::resource_id::ResourceId;

/// A kind of thing with a TDE protector (reference: TDE domain, 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A logical SQL server: `Microsoft.Sql/servers`.
    SqlServer,
    /// A SQL managed instance: `Microsoft.Sql/managedInstances`.
    ManagedInstance,
    /// A database with its own key (database-level encryption): `Microsoft.Sql/servers/databases`.
    Database,
    /// A Synapse workspace: `Microsoft.Synapse/workspaces`.
    SynapseWorkspace,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::SqlServer, Self::ManagedInstance, Self::Database, Self::SynapseWorkspace];

    /// The resource type, in lower case.
    #[must_use]
    pub const fn resource_type(self) -> &'static str {
        match self {
            Self::SqlServer => "microsoft.sql/servers",
            Self::ManagedInstance => "microsoft.sql/managedinstances",
            Self::Database => "microsoft.sql/servers/databases",
            Self::SynapseWorkspace => "microsoft.synapse/workspaces",
        }
    }

    /// The kind of thing that the id itself names.
    #[must_use]
    pub fn of(id: &ResourceId) -> Option<Self> {
        let named = id.resource_type();
        Self::ALL.into_iter().find(|kind| kind.resource_type() == named)
    }

    /// The version of its REST API that Keymend speaks.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::SqlServer | Self::ManagedInstance | Self::Database => "2025-01-01",
            Self::SynapseWorkspace => "2021-06-01",
        }
    }

    /// What people call one.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::SqlServer => "server",
            Self::ManagedInstance => "managed instance",
            Self::Database => "database",
            Self::SynapseWorkspace => "Synapse workspace",
        }
    }
}

/// The action that asks SQL to check a protector of this kind again, as roles hold it (reference: TDE domain, 5; the
/// operation list of Microsoft.Sql; that of Synapse by the path of its operation: whether roles know it has not been seen).
#[must_use]
pub const fn revalidation(kind: Kind) -> &'static str {
    match kind {
        Kind::SqlServer => "Microsoft.Sql/servers/encryptionProtector/revalidate/action",
        Kind::ManagedInstance => "Microsoft.Sql/managedInstances/encryptionProtector/revalidate/action",
        Kind::Database => "Microsoft.Sql/servers/databases/encryptionProtector/revalidate/action",
        Kind::SynapseWorkspace => "Microsoft.Synapse/workspaces/encryptionProtector/revalidate/action",
    }
}

/// What people call the thing that an id names: `server contoso-sql`, `managed instance contoso-mi`.
#[must_use]
pub fn called(id: &ResourceId) -> String {
    format!("{} {}", Kind::of(id).map_or("resource", Kind::noun), id.name())
}

/// An operation by its name on a logical server, whatever holds the databases: a managed instance (which the log also calls
/// a managed server) or a Synapse workspace. In lower case.
#[must_use]
pub fn as_of_a_server(operation: &str) -> String {
    const OTHERS: [&str; 3] =
        ["microsoft.sql/managedinstances/", "microsoft.sql/managedservers/", "microsoft.synapse/workspaces/"];
    let operation = operation.to_ascii_lowercase();
    match OTHERS.iter().find_map(|other| operation.strip_prefix(other)) {
        Some(rest) => format!("microsoft.sql/servers/{rest}"),
        None => operation,
    }
}
