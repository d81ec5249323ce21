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

/// What people call the thing that an id names: `server contoso-sql`, `managed instance contoso-mi`.
#[must_use]
pub fn called(id: &ResourceId) -> String {
    format!("{} {}", Kind::of(id).map_or("resource", Kind::noun), id.name())
}
