//! Whom signals concern, and what their kinds say: a loss, a change that may be its cause, an echo of our own.

use crate::domain::incident::Incident;
use crate::domain::key_uri::KeyUri;
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::{Signal, SignalKind};

/// A server that signals concern, with its key if that could be told.
pub(super) struct Concerned {
    /// Which.
    pub server: ResourceId,
    /// Its protector's key.
    pub key: Option<KeyUri>,
}

/// Whether a signal says that a database has lost its key.
pub(super) const fn tells_loss(kind: SignalKind) -> bool {
    matches!(
        kind,
        SignalKind::AccessLost
            | SignalKind::WaitingForAccess
            | SignalKind::SelfHealEnded
            | SignalKind::RestoreFailed
            | SignalKind::FoundInaccessible
    )
}

/// Whether a signal tells of a change that may take access away.
pub(super) const fn is_cause(kind: SignalKind) -> bool {
    matches!(
        kind,
        SignalKind::VaultDeleted
            | SignalKind::VaultChanged
            | SignalKind::AccessPolicyChanged
            | SignalKind::RoleAssignmentChanged
            | SignalKind::ServerChanged
            | SignalKind::ProtectorChanged
            | SignalKind::ServerKeyChanged
            | SignalKind::IdentityDeleted
            | SignalKind::KeyExpired
            | SignalKind::FoundBroken
    )
}

/// Whether a signal tells of a change that this incident made: Azure's logs carry the correlation id that answered it.
/// Such an echo is no news, while a change by anybody else always is.
pub(super) fn is_our_own(incident: &Incident, signal: &Signal) -> bool {
    signal.correlation_id.as_ref().is_some_and(|told| {
        let ours = incident.attempts.iter().filter_map(|attempt| attempt.correlation_id.as_ref());
        ours.into_iter().any(|id| id.eq_ignore_ascii_case(told))
    })
}
