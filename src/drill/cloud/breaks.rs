//! Things that people, pipelines and accidents do to the world: what breaks it, and what mends it by hand.

use serde::{Deserialize, Serialize};

use super::actor::Actor;

/// Something done in the cloud, and by whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Break {
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// By whom; if nobody, the Activity Log names nobody.
    #[serde(default)]
    pub by: Option<Actor>,
}

impl Break {
    /// Something that nobody can be named for.
    #[must_use]
    pub const fn new(what: What) -> Self {
        Self { what, by: None }
    }

    /// By somebody.
    #[must_use]
    pub fn by(mut self, actor: Actor) -> Self {
        self.by = Some(actor);
        self
    }
}

/// What is done. Names of servers, vaults and keys may be left out, which means the first one; `*` means every one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A server's identities are removed.
    RemoveIdentity {
        /// The server's name.
        #[serde(default)]
        server: Option<String>,
    },
    /// A vault is deleted; it can be recovered until its purge date.
    DeleteVault {
        /// The vault's name.
        #[serde(default)]
        vault: Option<String>,
    },
    /// A vault is deleted for good.
    PurgeVault {
        /// The vault's name.
        #[serde(default)]
        vault: Option<String>,
    },
    /// A vault's firewall denies by default, lets some addresses in, and shuts trusted services out.
    FirewallVault {
        /// The vault's name.
        #[serde(default)]
        vault: Option<String>,
        /// Addresses let in; `203.0.113.0/24` if left out.
        #[serde(default)]
        ip_rules: Option<Vec<String>>,
    },
    /// A vault is put in a network security perimeter.
    PerimeterVault {
        /// The vault's name.
        #[serde(default)]
        vault: Option<String>,
    },
    /// A vault's data plane answers 503.
    VaultOutage {
        /// The vault's name.
        #[serde(default)]
        vault: Option<String>,
        /// For how long; an hour if left out.
        #[serde(default)]
        minutes: Option<f64>,
    },
    /// A key is deleted; it can be recovered until its purge date.
    DeleteKey(KeyRef),
    /// A key is deleted for good.
    PurgeKey(KeyRef),
    /// A key's newest version (or the named one) is disabled.
    DisableKey(KeyRef),
    /// A key's newest version (or the named one) has expired.
    ExpireKey(KeyRef),
    /// A key's newest version (or the named one) is given an expiry that lies ahead.
    DateKey {
        /// Which.
        #[serde(flatten)]
        key: KeyRef,
        /// In how many hours it expires.
        hours: f64,
    },
    /// A key is replaced by another of the same name.
    ReplaceKey {
        /// Which key.
        #[serde(flatten)]
        key: KeyRef,
        /// Whether only a new version is made, as a rotation does; the old ones stay.
        #[serde(default)]
        new_version_only: bool,
    },
    /// What a server's identity may do on its key is taken away, by the vault's own model.
    RevokePermission {
        /// The server's name.
        #[serde(default)]
        server: Option<String>,
    },
    /// What the identity of a server that holds geo-secondaries may do on the keys of their primaries is taken away.
    RevokeGeoPermission {
        /// The name of the server that holds the secondaries.
        #[serde(default)]
        server: Option<String>,
        /// The vault of the primary; if left out, all those of which the server holds secondaries now.
        #[serde(default)]
        vault: Option<String>,
    },
    /// The geo-replication of a server that holds geo-secondaries ends, as planned: they become databases of their own.
    EndReplication {
        /// The name of the server that holds the secondaries.
        #[serde(default)]
        server: Option<String>,
    },
    /// Every role and access policy of a user-assigned identity on vaults and keys is taken away.
    RevokeIdentity {
        /// The identity's name.
        #[serde(default)]
        identity: Option<String>,
    },
    /// A vault is switched between access policies and Azure RBAC.
    SwitchPermissionModel {
        /// The vault's name.
        #[serde(default)]
        vault: Option<String>,
    },
    /// A management lock is set.
    AddLock {
        /// What it is on; the first vault if left out.
        #[serde(default)]
        scope: Option<String>,
        /// `ReadOnly` if left out, or `CanNotDelete`.
        #[serde(default)]
        level: Option<String>,
    },
    /// A deny assignment keeps a server's identity from the keys of its vault.
    AddDeny {
        /// The server's name.
        #[serde(default)]
        server: Option<String>,
    },
    /// A tag is set (or, without a value, removed) on a server, a database, a vault or a key (`{vault id}/keys/{key}`).
    SetTag {
        /// The resource's id; the first vault if left out.
        #[serde(default)]
        target: Option<String>,
        /// The tag's name.
        name: String,
        /// Its value.
        #[serde(default)]
        value: Option<String>,
    },
    /// A server's user-assigned identity is deleted.
    DeleteUami {
        /// The identity's name.
        #[serde(default)]
        identity: Option<String>,
    },
    /// The responder loses an action or data action.
    RevokeResponderRight {
        /// Its exact name.
        action: String,
    },
    /// The responder is given an action (or, on keys, a data action) at the subscription.
    GrantResponderRight {
        /// Its exact name.
        action: String,
    },
    /// A server gets a system-assigned identity.
    AssignIdentity {
        /// The server's name.
        #[serde(default)]
        server: Option<String>,
    },
    /// A deleted vault is recovered.
    RecoverVault {
        /// The vault's name.
        #[serde(default)]
        vault: Option<String>,
    },
    /// A vault lets trusted services in again.
    OpenFirewall {
        /// The vault's name.
        #[serde(default)]
        vault: Option<String>,
    },
    /// An outage of a vault ends.
    EndOutage {
        /// The vault's name.
        #[serde(default)]
        vault: Option<String>,
    },
    /// A deleted key is recovered.
    RecoverKey(KeyRef),
    /// A key's newest version (or the named one) is enabled.
    EnableKey(KeyRef),
    /// A key's newest version (or the named one) expires a year from now.
    ExtendKey(KeyRef),
    /// A server's identity is given what it needs on its key; it takes effect after the usual time.
    GrantPermission {
        /// The server's name.
        #[serde(default)]
        server: Option<String>,
    },
    /// Every lock at exactly this scope is removed.
    RemoveLock {
        /// The scope; the first vault if left out.
        #[serde(default)]
        scope: Option<String>,
    },
    /// Every deny assignment on a server's identity is removed.
    RemoveDeny {
        /// The server's name.
        #[serde(default)]
        server: Option<String>,
    },
    /// Replicating a database of a managed instance fails, so that it is inaccessible although its key is in order.
    FailReplication {
        /// The instance's name.
        #[serde(default)]
        server: Option<String>,
        /// The database's name; the first if left out.
        #[serde(default)]
        database: Option<String>,
    },
    /// An alert is posted that tells of a loss where nothing is broken.
    PostAlert {
        /// The server's name.
        #[serde(default)]
        server: Option<String>,
        /// The database's name; the first if left out.
        #[serde(default)]
        database: Option<String>,
    },
}

/// A key, or one of its versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRef {
    /// The vault's name.
    #[serde(default)]
    pub vault: Option<String>,
    /// The key's name.
    #[serde(default)]
    pub key: Option<String>,
    /// The version; the newest if left out, `*` for all.
    #[serde(default)]
    pub version: Option<String>,
}
