//! Decisions: the words. The reasoning is in [`crate::domain::decide`] and [`crate::domain::gates`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::remedy::{Change, Remedy};
use crate::domain::resource_id::ResourceId;

/// What is to be done, specific enough that nothing is left to choose when it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Why.
    pub cause: Cause,
    /// What kind.
    pub remedy: Remedy,
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// The servers it helps.
    pub servers: Vec<ResourceId>,
}

impl Plan {
    /// The plan that a diagnosis calls for, if its first finding can be mended.
    #[must_use]
    pub fn of(diagnosis: Option<&Diagnosis>) -> Option<Self> {
        let finding = diagnosis?.first()?;
        let remedy = finding.changes.first()?.remedy();
        Some(Self { cause: finding.cause, remedy, changes: finding.changes.clone(), servers: finding.servers.clone() })
    }

    /// SHA-256 over the plan's content, in hex: what an approval names. Two plans with the same hash send the same.
    #[must_use]
    pub fn hash(&self) -> String {
        // A struct of strings, ids and JSON always serializes.
        let text = serde_json::to_string(self).unwrap_or_default();
        hex::encode(Sha256::digest(text.as_bytes()))
    }

    /// The first eight digits of the hash: what people compare.
    #[must_use]
    pub fn code(&self) -> String {
        self.hash().chars().take(8).collect()
    }
}

/// A reason not to repair, from the list of gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// The hold tag is set.
    HoldTag,
    /// A custodian made the breaking change.
    Custodian,
    /// Several protective changes close together.
    DeliberateRevocation,
    /// A read-only lock would refuse the change (and says that nobody should).
    Lock,
    /// A deny assignment.
    DenyAssignment,
    /// The key was replaced.
    KeyReplaced,
    /// The purge is near or under way.
    PurgeNear,
    /// Another tenant's key.
    CrossTenant,
    /// A managed HSM.
    ManagedHsm,
    /// The resource is outside the configured scope.
    OutOfScope,
    /// Too many servers.
    BlastRadius,
    /// The same repair was made before and somebody undid it.
    Undone,
    /// A key version newer than the disabled or deleted one was made within 24 h: rotation or compromise.
    NewerKeyVersion,
    /// The extension is longer than policy allows.
    ExpiryLimit,
    /// Soft: the expiry of the key was extended before, and it was not rotated since.
    ExtendedBefore,
    /// The write budget of this hour is spent.
    WriteBudget,
    /// Too many changes of this incident failed.
    CircuitBreaker,
    /// Soft: a person (not a known pipeline) made the breaking change; asks first under `guarded`.
    MadeByPerson,
    /// A person holds the incident, or has taken it over.
    Held,
    /// Something that a hard gate looks at could not be read, so it cannot be ruled out (for instance locks, tags).
    CannotTell,
}

/// A gate that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateHit {
    /// Which.
    pub gate: Gate,
    /// Why, naming the tag, lock, person or limit.
    pub why: String,
    /// Hard: no write at all. Soft: a person must approve.
    pub hard: bool,
}

/// Why a person is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeedsPerson {
    /// A hard gate.
    Gate,
    /// No remedy for this cause is automatic.
    NoRemedy,
    /// Policy switched the remedy off.
    Off,
    /// We lack a right.
    MissingRight,
    /// It was tried and failed.
    Failed,
    /// The cause cannot be told.
    Undetermined,
    /// A person rejected the plan, or nobody answered in time.
    NotApproved,
    /// Everything looks right and the database stays down.
    NotVerified,
    /// Work on it failed too often and was set aside.
    SetAside,
    /// A person holds it, or has taken it over.
    Held,
}

/// What one pass decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// Nothing is wrong any more.
    Close {
        /// In words.
        why: String,
    },
    /// Azure heals by itself, or a change must take effect; look again by `until`.
    Wait {
        /// In words.
        why: String,
        /// Until when waiting makes sense, if that is known.
        until: Option<Timestamp>,
    },
    /// The plan may run now.
    Repair {
        /// What.
        plan: Plan,
    },
    /// A person must approve the plan first.
    Ask {
        /// What.
        plan: Plan,
        /// The soft gates or the mode that make us ask, in words.
        why: String,
    },
    /// Policy forbids changes (`observe`, dry run): say what would be done.
    Observe {
        /// What would be done.
        plan: Plan,
        /// Why it is not.
        why: String,
    },
    /// A person is needed; keep watching.
    Escalate {
        /// The kind of reason.
        reason: NeedsPerson,
        /// In words, with what to do now.
        why: String,
        /// The plan that was stopped, if there was one.
        plan: Option<Plan>,
    },
}

/// Everything the responder remembers that a decision may depend on, besides the diagnosis and the policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Repairs made within the last days over all incidents: subject (see [`Change::subjects`]) and when.
    pub repairs: Vec<(String, Timestamp)>,
    /// The same of extended expiries, however long ago.
    pub extensions: Vec<(String, Timestamp)>,
    /// Writes sent to Azure within the last hour, over all incidents.
    pub writes_last_hour: u32,
}
