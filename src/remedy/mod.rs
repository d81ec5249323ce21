//! Changes Azure: precondition, apply, read back; one file a remedy.
//!
//! Every remedy reads what it is to change again before it writes (already right, or no longer as planned: nothing is
//! sent), sends writes that may be sent twice, and calls a change *made* only when Azure shows it. Nothing is kept between
//! two calls: kill the process anywhere, call [`apply`] again, and it ends the same.
//!
//! A plan's changes are one batch. The first goes alone and the rest a few at a time; an answer that the others would get
//! too (a right that is missing, a lock, throttling, no answer) stops the batch, so that one closed door is knocked at
//! once and not forty times.
//!
//! | file | job |
//! |---|---|
//! | `outcome` | what became of a change |
//! | `send` | a change on its way: sent, seen, or not |
//! | `refusal` | what an error of Azure's means for a change, in words that say what to do |
//! | `batch` | many changes, stopped where the rest would fare the same |
//! | `grant` | one role assignment to be made: its name, its write, whether it is given |
//! | `assign_identity`, `access_policy`, `role`, `recover_vault`, `recover_key`, `enable_key`, `extend_expiry`, `firewall`, `revalidate`, `restore_setting` | one remedy each |

mod access_policy;
mod assign_identity;
mod batch;
mod enable_key;
mod extend_expiry;
mod firewall;
mod grant;
mod outcome;
mod recover_key;
mod recover_vault;
mod refusal;
mod restore_setting;
mod revalidate;
mod role;
mod send;

use jiff::SignedDuration;

use crate::azure::{Azure, PreparedWrite};
use crate::domain::evidence::MissingRight;
use crate::domain::remedy::{Change, Remedy};
use outcome::Outcome;

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// Sent, and read back from Azure as done.
    Made(Receipt),
    /// Sent and accepted; Azure works on it. Follow `operation` (or look again, where there is none).
    Running {
        /// What was sent.
        receipt: Receipt,
        /// The validated URL to poll.
        operation: Option<String>,
    },
    /// It was there already; nothing was sent.
    AlreadyThere {
        /// What was seen.
        said: String,
    },
    /// The situation is not the one planned for; nothing was sent.
    NotApplicable {
        /// What is different.
        why: String,
    },
    /// Azure refused it.
    Failed {
        /// Azure's error code.
        code: String,
        /// In words, with what to do.
        why: String,
        /// The right we lack, if that is why.
        missing: Option<MissingRight>,
    },
    /// Nothing was changed; trying again later may work (throttled, busy, not reachable).
    Later {
        /// Not before.
        after: Option<SignedDuration>,
        /// Why.
        why: String,
    },
    /// Sent, and nobody knows whether it was done: look before doing anything again.
    Unknown {
        /// Why.
        why: String,
    },
}

/// The traces of a write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Azure's correlation or request id.
    pub correlation_id: Option<String>,
    /// `(property, before, after)`, in words.
    pub before_after: Vec<(String, String, String)>,
}

/// Exactly what would be sent for a change, as far as that is known without reading: what a dry run shows. Empty where
/// nothing would be sent. [`apply`] may send less, where it finds some of it done.
#[must_use]
pub fn prepare(azure: &Azure, change: &Change) -> Vec<PreparedWrite> {
    let write = match change {
        Change::AssignIdentity { server, keep } => assign_identity::write(server, keep),
        Change::AddAccessPolicy { vault, tenant_id, grants } => {
            access_policy::write(vault, tenant_id, grants.iter().map(|grant| grant.principal_id.as_str()))
        }
        Change::AssignRole { vault, key, grant, role } => role::write(vault, key, grant, role),
        Change::RecoverVault { vault, location, tenant_id } => {
            Some(PreparedWrite::recover_vault(vault, location, tenant_id))
        }
        Change::RecoverKey { key } | Change::EnableKey { key } | Change::ExtendExpiry { key, .. }
            if !azure.endpoints().owns(&key.vault) =>
        {
            None
        }
        Change::RecoverKey { key } => Some(PreparedWrite::recover_key(key)),
        Change::EnableKey { key } => enable_key::write(key),
        Change::ExtendExpiry { key, to, .. } => extend_expiry::write(key, *to),
        Change::TrustedServicesBypass { vault, acls } => firewall::write(vault, acls),
        Change::Revalidate { server } => PreparedWrite::revalidate(server),
        Change::RestoreSetting { database, setting } => restore_setting::write(database, setting),
    };
    write.into_iter().collect()
}

/// Makes the changes of one plan, in order, and says what became of each: as many answers as changes, in their order.
///
/// Waits by the clock of `azure` for what is usually done within a minute (a recovered vault or key, an identity that
/// Entra is yet to hear of) and never longer.
pub async fn apply(azure: &Azure, changes: &[Change]) -> Vec<Applied> {
    let mut results = Vec::with_capacity(changes.len());
    for same in changes.chunk_by(|one, next| one.remedy() == next.remedy()) {
        results.extend(match same.first().map(Change::remedy) {
            Some(Remedy::AssignRole) => role::apply(azure, same).await,
            Some(Remedy::AssignIdentity) => assign_identity::apply(azure, same).await,
            Some(Remedy::RestoreSettings) => {
                batch::each_alone(same.iter().collect(), |change| one(azure, change)).await
            }
            _ => batch::each(same.iter().collect(), |change| one(azure, change)).await,
        });
    }
    results
}

/// The remedies whose changes have nothing to share with each other.
async fn one(azure: &Azure, change: &Change) -> Outcome {
    let done = match change {
        Change::AddAccessPolicy { vault, tenant_id, grants } => {
            access_policy::apply(azure, vault, tenant_id, grants).await
        }
        Change::RecoverVault { vault, location, tenant_id } => {
            recover_vault::apply(azure, vault, location, tenant_id).await
        }
        Change::RecoverKey { key } => recover_key::apply(azure, key).await,
        Change::EnableKey { key } => enable_key::apply(azure, key).await,
        Change::ExtendExpiry { key, from, to } => extend_expiry::apply(azure, key, *from, *to).await,
        Change::TrustedServicesBypass { vault, acls } => firewall::apply(azure, vault, acls).await,
        Change::Revalidate { server } => revalidate::apply(azure, server).await,
        Change::RestoreSetting { database, setting } => restore_setting::apply(azure, database, setting).await,
        Change::AssignRole { .. } | Change::AssignIdentity { .. } => {
            Err(Outcome::of(Applied::NotApplicable { why: "it is made together with others of its kind".to_owned() }))
        }
    };
    done.unwrap_or_else(|outcome| outcome)
}
