//! What is wrong, how we know, who did it and what stays unknown: the words. The reasoning is in [`crate::domain::diagnose`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::database_ref::DatabaseRef;
use crate::domain::evidence::{CallerKind, MissingRight};
use crate::domain::remedy::Change;
use crate::domain::resource_id::ResourceId;

/// A cause of lost key access: the rows of the decision table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The server or all its databases are gone: nothing to mend.
    TargetGone,
    /// The protector is Microsoft's own key: not ours.
    ServiceManaged,
    /// The key is in a managed HSM: local rights, no ARM path, a person's work.
    ManagedHsm,
    /// A database has its own key (database-level encryption): not handled yet, a person's work.
    DatabaseLevelKey,
    /// The server has no managed identity.
    IdentityMissing,
    /// The primary user-assigned identity was deleted.
    IdentityDeleted,
    /// The key belongs to another tenant.
    CrossTenant,
    /// The vault is soft-deleted.
    VaultDeleted,
    /// The vault is found nowhere: purged, or in a subscription we may not read.
    VaultAbsent,
    /// A network security perimeter keeps SQL out.
    VaultPerimeter,
    /// The firewall keeps SQL out: trusted services may not bypass it.
    VaultFirewalled,
    /// A private endpoint connection of the vault is not approved while public access is off.
    PrivateEndpointPending,
    /// The vault does not answer (5xx, DNS, network).
    VaultUnreachable,
    /// The key is soft-deleted.
    KeyDeleted,
    /// The key is gone for good, or never was.
    KeyPurged,
    /// Another key with the same name stands where the protector's key was.
    KeyReplaced,
    /// A key version that SQL needs is disabled.
    KeyDisabled,
    /// A key version that SQL needs has expired.
    KeyExpired,
    /// A key version that SQL uses expires within the hours that policy names, and nothing else is wrong: its expiry is moved
    /// before anything is lost.
    KeyExpiring,
    /// A key version that SQL needs is not valid yet.
    KeyNotYetValid,
    /// The key may not be used to wrap and unwrap.
    KeyOperationsRestricted,
    /// Kind or size of the key is not supported by SQL.
    KeyUnsupported,
    /// A deny assignment hits the server's identity.
    DenyAssignment,
    /// The access policy of the server's identity is missing or incomplete.
    PolicyMissing,
    /// The role assignment of the server's identity is missing.
    RoleMissing,
    /// The vault was switched between access policies and RBAC, and the server has no grant under the new model.
    PermissionModelSwitched,
    /// The protector's key is not linked to the server any more.
    ServerKeyMissing,
    /// A server that holds geo-secondaries may not use the key of their primaries.
    GeoPartnerWithoutGrant,
    /// A geo-secondary was inaccessible for so long that Azure broke its link: nothing revives it, a person's work.
    DeadSecondary,
    /// Databases are down for another reason than their key, as Azure says, or because their instance is stopped.
    OtherReason,
    /// The chain is whole, and databases are inaccessible: they heal, or must be re-validated.
    StillInaccessible,
    /// The chain is whole and every database is in service.
    Healthy,
    /// Not enough could be read to tell.
    Undetermined,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub cause: Cause,
    /// The resource or key that is broken: a resource id, key URI or vault host.
    pub resource: String,
    /// The servers that it keeps from their key.
    pub servers: Vec<ResourceId>,
    /// Which probe said what.
    pub proof: Vec<Proof>,
    /// The changes that would mend it, all of one remedy; empty where only a person can.
    pub changes: Vec<Change>,
    /// When the key or vault is gone for good, if it is soft-deleted.
    pub purge_at: Option<Timestamp>,
    /// When the state began, as far as the resource itself tells (deleted, expired, changed at). For
    /// [`Cause::KeyExpiring`] it lies ahead: when the key expires.
    pub since: Option<Timestamp>,
}

/// What a probe said, for people and for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The probe: `server`, `protector`, `vault`, `deleted vaults`, `key`, `access policies`, `role assignments` …
    pub probe: String,
    /// What it said, in words.
    pub said: String,
}

/// A link of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The server's identity.
    Identity,
    /// The vault.
    Vault,
    /// Its firewall.
    Firewall,
    /// The key and its version.
    Key,
    /// The identity's permission on the key.
    Permission,
    /// The databases.
    Database,
}

/// How a link of the chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// Seen to be right.
    Ok,
    /// Seen to be broken.
    Broken,
    /// Could not be told.
    Unknown,
}

/// One line of the checked list: identity, vault, firewall, key, permission, database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Which link.
    pub link: Link,
    /// How it is (the worst of all servers).
    pub state: LinkState,
    /// Why, in a short sentence.
    pub said: String,
}

/// Who made the breaking change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Culprit {
    /// UPN, application or object id.
    pub who: Option<String>,
    /// All ids by which lists may name the caller.
    pub ids: Vec<String>,
    /// Person, application, unknown.
    pub kind: CallerKind,
    /// When.
    pub at: Timestamp,
    /// The operation in lower case.
    pub operation: String,
    /// What was changed.
    pub target: String,
    /// Azure's correlation id.
    pub correlation_id: Option<String>,
}

/// Everything concluded from one observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// When the evidence was taken.
    pub at: Timestamp,
    /// What is wrong, the one to be mended first at the front; one `Healthy` if nothing is.
    pub findings: Vec<Finding>,
    /// The chain, link by link.
    pub checks: Vec<Check>,
    /// Who broke the first finding's resource, if the logs tell.
    pub culprit: Option<Culprit>,
    /// Protective changes (revocation, disabling, locking …) close together: the pattern of a deliberate revocation.
    pub protective_changes: Vec<Culprit>,
    /// What stays unknown, in words.
    pub unknowns: Vec<String>,
    /// Rights that we lack for looking.
    pub missing_rights: Vec<MissingRight>,
    /// Databases that are inaccessible, by server.
    pub inaccessible: Vec<DatabaseRef>,
}

impl Diagnosis {
    /// The finding to be mended first.
    #[must_use]
    pub fn first(&self) -> Option<&Finding> {
        self.findings.first()
    }

    /// The cause of the first finding.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.first().map_or(Cause::Undetermined, |finding| finding.cause)
    }

    /// Whether every link from identity to permission was seen to be right (databases may still be down). A database
    /// with a key of its own, and a geo partner, say nothing about the server's chain.
    #[must_use]
    pub fn chain_is_whole(&self) -> bool {
        let apart =
            |finding: &&Finding| matches!(finding.cause, Cause::DatabaseLevelKey | Cause::GeoPartnerWithoutGrant);
        let mut of_the_chain = self.findings.iter().filter(|finding| !apart(finding)).peekable();
        of_the_chain.peek().is_some()
            && of_the_chain.all(|finding| {
                matches!(
                    finding.cause,
                    Cause::Healthy | Cause::StillInaccessible | Cause::DeadSecondary | Cause::OtherReason
                )
            })
    }

    /// When the loss began, as far as the resource or the log tells.
    #[must_use]
    pub fn began_at(&self) -> Option<Timestamp> {
        let since = self.first().and_then(|finding| finding.since);
        since.or_else(|| self.culprit.as_ref().map(|culprit| culprit.at))
    }
}
