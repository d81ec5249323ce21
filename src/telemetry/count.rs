//! What the rooms tell: plain functions that do nothing while nobody reads. Labels are words of ours, never text from
//! outside.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use opentelemetry::KeyValue;

use super::catalogue::{Instruments, instruments};
use crate::domain::diagnosis::Cause;
use crate::domain::incident::Phase;
use crate::domain::remedy::Remedy;
use crate::domain::signal::SignalKind;

/// Stands where a body held several kinds of signal, or none that could be read.
const SEVERAL: &str = "several";
const NONE: &str = "none";

/// Runs `with` if somebody reads.
fn when_read(with: impl FnOnce(&Instruments)) {
    if let Some(instruments) = instruments() {
        with(instruments);
    }
}

fn label(key: &'static str, value: &'static str) -> KeyValue {
    KeyValue::new(key, value)
}

/// Signals of one body that are our business: how many were new, and how many were known. The store tells sums alone, so
/// a body with several kinds, some new and some known, counts as kind `several`.
pub fn signals_taken(kinds: impl Iterator<Item = SignalKind>, new: usize, repeated: usize) {
    when_read(|to| {
        let kinds: Vec<SignalKind> = kinds.collect();
        let verdict = |kind: &'static str, verdict: &'static str, count: usize| {
            if count > 0 {
                to.signals.add(count as u64, &[label("kind", kind), label("verdict", verdict)]);
            }
        };
        let same = kinds.iter().all(|kind| Some(kind) == kinds.first());
        match (kinds.first(), new, repeated) {
            (Some(kind), new, repeated) if same => {
                verdict(kind.name(), "new", new);
                verdict(kind.name(), "repeated", repeated);
            }
            (_, _, 0) => kinds.iter().for_each(|kind| verdict(kind.name(), "new", 1)),
            (_, 0, _) => kinds.iter().for_each(|kind| verdict(kind.name(), "repeated", 1)),
            (_, new, repeated) => {
                verdict(SEVERAL, "new", new);
                verdict(SEVERAL, "repeated", repeated);
            }
        }
    });
}

/// A signal about something outside of our scope.
pub fn signal_out_of_scope(kind: SignalKind) {
    when_read(|to| to.signals.add(1, &[label("kind", kind.name()), label("verdict", "out_of_scope")]));
}

/// A body that is well-formed and holds no signal for us.
pub fn body_ignored() {
    when_read(|to| to.signals.add(1, &[label("kind", NONE), label("verdict", "ignored")]));
}

/// A body that could not be read.
pub fn body_malformed() {
    when_read(|to| to.signals.add(1, &[label("kind", NONE), label("verdict", "malformed")]));
}

/// An incident was opened.
pub(super) fn opened() {
    when_read(|to| to.opened.add(1, &[]));
}

/// An incident came into a phase.
pub(super) fn phase(phase: Phase) {
    when_read(|to| to.phases.add(1, &[label("phase", phase_name(phase))]));
}

/// An incident ended in a phase.
pub(super) fn ended(phase: Phase) {
    when_read(|to| to.ended.add(1, &[label("phase", phase_name(phase))]));
}

/// The cause of an incident was found.
pub(super) fn diagnosed(cause: Cause, after: SignedDuration) {
    when_read(|to| {
        to.diagnosed.add(1, &[label("cause", cause_name(cause))]);
        to.to_diagnosis.record(seconds(after), &[]);
    });
}

/// The first change that mends an incident was made.
pub(super) fn repaired(after: SignedDuration) {
    when_read(|to| to.to_repair.record(seconds(after), &[]));
}

/// Every database of an incident is back.
pub(super) fn online(after: SignedDuration, by_us: bool) {
    let by = if by_us { "keymend" } else { "others" };
    when_read(|to| to.to_online.record(seconds(after), &[label("repaired_by", by)]));
}

/// A change of Azure came to an outcome: `intended`, `made`, `already_there`, `not_applicable` or `failed`.
pub(super) fn write(remedy: Remedy, outcome: &'static str) {
    when_read(|to| to.writes.add(1, &[label("remedy", remedy.name()), label("outcome", outcome)]));
}

/// Sending a notice once: `delivered`, `retry`, `permanent` or `dropped`. `channel` is a channel's name in the settings.
pub fn notice(channel: &str, outcome: &'static str) {
    when_read(|to| {
        to.notices.add(1, &[KeyValue::new("channel", channel.to_owned()), label("outcome", outcome)]);
    });
}

/// The first notice of an incident was delivered through a channel.
pub fn first_notice(channel: &str, lost_at: Timestamp, now: Timestamp) {
    let after = now.duration_since(lost_at);
    when_read(|to| to.to_notice.record(seconds(after), &[KeyValue::new("channel", channel.to_owned())]));
}

/// A job ended: `done`, `again` (somebody else saved), `failed` (it is tried again) or `set_aside`.
pub fn job(kind: &'static str, result: &'static str, took: Duration) {
    when_read(|to| {
        to.jobs.add(1, &[label("kind", kind), label("result", result)]);
        to.job.record(took.as_secs_f64(), &[label("kind", kind)]);
    });
}

/// A round of the patrol ended: `done`, or `throttled` (cut short because Azure asked for patience).
pub fn patrol(ended: &'static str, requests: usize, found: usize) {
    when_read(|to| {
        to.patrols.add(1, &[label("result", ended)]);
        to.patrol_requests.add(requests as u64, &[]);
        to.patrol_found.add(found as u64, &[]);
    });
}

/// One try of a request to Azure. `status` is `None` where there was no answer.
pub fn azure(service: &'static str, operation: &'static str, status: Option<u16>, took: Duration) {
    when_read(|to| {
        let status = label("status", status_class(status));
        to.azure.add(1, &[label("service", service), label("operation", operation), status]);
        to.azure_request.record(took.as_secs_f64(), &[label("service", service)]);
    });
}

/// Azure asked us to slow down.
pub fn throttled(service: &'static str) {
    when_read(|to| to.throttles.add(1, &[label("service", service)]));
}

/// We waited because of that.
pub fn throttle_waited(service: &'static str, waited: SignedDuration) {
    when_read(|to| to.throttle_wait.add(seconds(waited), &[label("service", service)]));
}

/// A call of the store, and why it failed, if it did: `conflict`, `unavailable` or `unreadable`.
pub fn store(call: &'static str, took: Duration, error: Option<&'static str>) {
    when_read(|to| {
        to.store_call.record(took.as_secs_f64(), &[label("call", call)]);
        if let Some(error) = error {
            to.store_errors.add(1, &[label("error", error)]);
        }
    });
}

/// A request at our door was answered. `route` is a route of ours, `method` one that a route takes.
pub fn http(method: &'static str, route: &'static str, status: u16, took: Duration) {
    when_read(|to| {
        let status = KeyValue::new("http.response.status_code", i64::from(status));
        let labels = [label("http.request.method", method), label("http.route", route), status];
        to.http.record(took.as_secs_f64(), &labels);
    });
}

/// A delivery to the collector failed: `traces` or `metrics`.
pub(super) fn export_failed(what: &'static str) {
    when_read(|to| to.export_failures.add(1, &[label("signal", what)]));
}

/// Whether the store's calls are worth timing.
#[must_use]
pub fn is_read() -> bool {
    instruments().is_some()
}

/// Counters of which a rise is an alarm begin at nought: a series that appears with its first event hides it from
/// `increase()`.
pub(super) fn begin_at_nought(to: &Instruments) {
    to.opened.add(0, &[]);
    for phase in [Phase::Healed, Phase::Closed] {
        to.ended.add(0, &[label("phase", phase_name(phase))]);
    }
    to.phases.add(0, &[label("phase", phase_name(Phase::Escalated))]);
    for remedy in Remedy::ALL.into_iter().filter(|remedy| *remedy != Remedy::Wait) {
        for outcome in ["intended", "made", "failed"] {
            to.writes.add(0, &[label("remedy", remedy.name()), label("outcome", outcome)]);
        }
    }
    for kind in ["locate", "pass", "tell", "heartbeat"] {
        for result in ["done", "failed", "set_aside"] {
            to.jobs.add(0, &[label("kind", kind), label("result", result)]);
        }
    }
    for service in ["sql", "key_vault", "vault", "authorization"] {
        to.throttles.add(0, &[label("service", service)]);
        to.throttle_wait.add(0.0, &[label("service", service)]);
    }
    for error in ["conflict", "unavailable", "unreadable"] {
        to.store_errors.add(0, &[label("error", error)]);
    }
    for verdict in ["ignored", "malformed"] {
        to.signals.add(0, &[label("kind", NONE), label("verdict", verdict)]);
    }
    for signal in ["traces", "metrics"] {
        to.export_failures.add(0, &[label("signal", signal)]);
    }
}

/// A clock that was set back must not make a sum fall.
fn seconds(duration: SignedDuration) -> f64 {
    duration.as_secs_f64().max(0.0)
}

fn status_class(status: Option<u16>) -> &'static str {
    match status {
        None => "none",
        Some(429) => "429",
        Some(status) => match status / 100 {
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            5 => "5xx",
            _ => "other",
        },
    }
}

/// A phase as a label.
#[must_use]
pub const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::AtRisk => "at_risk",
        Phase::Opened => "opened",
        Phase::Diagnosed => "diagnosed",
        Phase::AwaitingApproval => "awaiting_approval",
        Phase::Mending => "mending",
        Phase::Propagating => "propagating",
        Phase::Revalidating => "revalidating",
        Phase::Verifying => "verifying",
        Phase::Escalated => "escalated",
        Phase::Healed => "healed",
        Phase::Closed => "closed",
    }
}

/// A cause as a label.
#[must_use]
pub const fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::TargetGone => "target_gone",
        Cause::ServiceManaged => "service_managed",
        Cause::ManagedHsm => "managed_hsm",
        Cause::DatabaseLevelKey => "database_level_key",
        Cause::IdentityMissing => "identity_missing",
        Cause::IdentityDeleted => "identity_deleted",
        Cause::CrossTenant => "cross_tenant",
        Cause::VaultDeleted => "vault_deleted",
        Cause::VaultAbsent => "vault_absent",
        Cause::VaultPerimeter => "vault_perimeter",
        Cause::VaultFirewalled => "vault_firewalled",
        Cause::PrivateEndpointPending => "private_endpoint_pending",
        Cause::VaultUnreachable => "vault_unreachable",
        Cause::KeyDeleted => "key_deleted",
        Cause::KeyPurged => "key_purged",
        Cause::KeyReplaced => "key_replaced",
        Cause::KeyDisabled => "key_disabled",
        Cause::KeyExpired => "key_expired",
        Cause::KeyExpiring => "key_expiring",
        Cause::KeyNotYetValid => "key_not_yet_valid",
        Cause::KeyOperationsRestricted => "key_operations_restricted",
        Cause::KeyUnsupported => "key_unsupported",
        Cause::DenyAssignment => "deny_assignment",
        Cause::PolicyMissing => "policy_missing",
        Cause::RoleMissing => "role_missing",
        Cause::PermissionModelSwitched => "permission_model_switched",
        Cause::ServerKeyMissing => "server_key_missing",
        Cause::GeoPartnerWithoutGrant => "geo_partner_without_grant",
        Cause::DeadSecondary => "dead_secondary",
        Cause::OtherReason => "other_reason",
        Cause::StillInaccessible => "still_inaccessible",
        Cause::Healthy => "healthy",
        Cause::Undetermined => "undetermined",
    }
}
