//! What people are told: the facts of one message. The words are in [`crate::notify`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::database_ref::DatabaseRef;
use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::expiry::Expiring;
use crate::domain::incident::{Approval, ApprovalDecision, Attempt, Entry, IncidentId, Phase};
use crate::domain::plan::{GateHit, NeedsPerson, Plan};
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::{LostSetting, Restoration};

pub use crate::domain::incident::Told;
pub use crate::domain::situation::Situation;

/// One message to people, complete: rendering it needs nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// `{incident}.{sequence}`: the receiver's key to recognise a repetition.
    pub id: String,
    /// Counts the incident's notices from 1.
    pub sequence: u32,
    /// The incident.
    pub incident: IncidentId,
    /// What kind of message.
    pub situation: Situation,
    /// When it was written.
    pub at: Timestamp,
    /// The incident's phase then.
    pub phase: Phase,
    /// The vault's host.
    pub vault: Option<String>,
    /// The vault's resource id.
    pub vault_id: Option<ResourceId>,
    /// The cause, as far as known then.
    pub cause: Option<Cause>,
    /// The servers.
    pub servers: Vec<ResourceId>,
    /// Databases named by signals or seen down at any time.
    pub databases: Vec<DatabaseRef>,
    /// Of those, the ones that are down now.
    pub down: Vec<DatabaseRef>,
    /// When access was lost.
    pub lost_at: Timestamp,
    /// Whether that is known (from the log or the resource) or guessed.
    pub lost_at_is_known: bool,
    /// The end of the self-heal window.
    pub restore_before: Timestamp,
    /// Its length in minutes.
    pub window_minutes: u32,
    /// Only re-validation helps.
    pub window_over: bool,
    /// The whole diagnosis.
    pub diagnosis: Option<Diagnosis>,
    /// Nobody has reported a loss and no database went down: the key is lost or about to be, and SQL has not noticed.
    #[serde(default)]
    pub at_risk: bool,
    /// The plan in question.
    pub plan: Option<Plan>,
    /// The key of the job that was set aside and that a person may let be tried again.
    #[serde(default)]
    pub retry: Option<String>,
    /// The gates that stand in the way.
    pub gates: Vec<GateHit>,
    /// The question, for [`Situation::ApprovalAsked`], [`Situation::ApprovalReminder`] and [`Situation::DeadlineNear`].
    pub approval: Option<Approval>,
    /// Who let the changes be made, where a person was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<ApprovalDecision>,
    /// Changes begun so far.
    pub attempts: Vec<Attempt>,
    /// Why a person is needed.
    pub needs_person: Option<NeedsPerson>,
    /// The reason in words: of waiting, of escalating, of ending.
    pub reason: Option<String>,
    /// Settings that are not what they were.
    pub lost_settings: Vec<LostSetting>,
    /// What became, or is to become, of settings that Azure dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restoration: Option<Restoration>,
    /// When the next message comes at the latest, if nothing happens before.
    pub next_message_at: Option<Timestamp>,
    /// For [`Situation::Resolved`] and [`Situation::RecoveredWithoutUs`]: the story.
    pub timeline: Vec<Entry>,
    /// For [`Situation::KeyExpiresSoon`]: the key and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiring: Option<Expiring>,
}

impl Notice {
    /// Whether nothing is lost yet: the key expires soon.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.cause == Some(Cause::KeyExpiring) && self.lost_at > self.at && self.down.is_empty()
    }
}

impl Told {
    /// What is remembered of `notice`.
    #[must_use]
    pub fn of(notice: &Notice) -> Self {
        // A notice is made of strings, times and lists, which always serialize.
        let text = serde_json::to_string(notice).unwrap_or_default();
        let digest = hex::encode(Sha256::digest(text.as_bytes()));
        Self {
            id: notice.id.clone(),
            sequence: notice.sequence,
            situation: notice.situation,
            at: notice.at,
            cause: notice.cause,
            needs_person: notice.needs_person,
            plan_hash: notice.approval.as_ref().map(|asked| asked.plan_hash.clone()),
            made_hash: Attempt::last_made(&notice.attempts).map(|attempt| attempt.plan_hash.clone()),
            kept: format!("{}:{}", notice.id, &digest[..16]),
        }
    }
}
