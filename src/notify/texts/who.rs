//! Who made the breaking change, as far as the logs tell.

use jiff::SignedDuration;

use crate::domain::diagnosis::{Cause, Culprit};
use crate::domain::evidence::CallerKind;
use crate::domain::notice::Notice;
pub use crate::domain::words::operation_words;
use crate::notify::texts::causes::resource_words;
use crate::notify::texts::clocks::clock;
use crate::notify::texts::words::Line;

/// After so long the Activity Log shows what happened (Microsoft, "Azure Monitor activity log": 3 to 20 minutes).
const LOG_LAG: SignedDuration = SignedDuration::from_mins(30);

/// What was changed: the vault or server that a child such as a role assignment hangs on.
fn target_words(target: &str) -> Line {
    let cut = target.to_ascii_lowercase().find("/providers/microsoft.authorization/").filter(|at| *at > 0);
    resource_words(cut.and_then(|at| target.get(..at)).unwrap_or(target))
}

/// `alice@contoso.example deleted key vault contoso-kv at 02:03 UTC`.
#[must_use]
pub fn culprit_sentence(culprit: &Culprit, notice: &Notice) -> Line {
    let line = match (&culprit.who, culprit.kind) {
        (Some(who), CallerKind::Application) => Line::default().name(who).say(" (an application)"),
        (Some(who), _) => Line::default().name(who),
        (None, _) => Line::of("somebody whom the log does not name"),
    };
    let line = match operation_words(&culprit.operation) {
        Some(verb) => line.say(" ").say(verb).say(" "),
        None => line.say(" did ").code(&culprit.operation).say(" on "),
    };
    line.join(target_words(&culprit.target)).say(format!(" at {}", clock(culprit.at, notice.at)))
}

/// Who made the breaking change, or why nobody can be named; nothing where nobody needs to have done anything.
#[must_use]
pub fn changed_by(notice: &Notice) -> Option<Line> {
    let diagnosis = notice.diagnosis.as_ref()?;
    if let Some(culprit) = &diagnosis.culprit {
        return Some(culprit_sentence(culprit, notice));
    }
    // What was found last may be another cause than the one told: then it says nothing of who made that.
    if diagnosis.cause() != notice.cause? {
        return None;
    }
    Some(Line::of(match notice.cause? {
        Cause::KeyDeleted | Cause::KeyDisabled | Cause::KeyPurged | Cause::KeyOperationsRestricted => {
            "not known: the Activity Log does not record changes of keys, the vault's own audit log does"
        }
        Cause::VaultDeleted
        | Cause::VaultFirewalled
        | Cause::IdentityMissing
        | Cause::IdentityDeleted
        | Cause::PolicyMissing
        | Cause::RoleMissing
        | Cause::PermissionModelSwitched
        | Cause::GeoPartnerWithoutGrant => {
            if notice.at.duration_since(notice.lost_at) < LOG_LAG {
                "nobody could be named: the Activity Log shows no such change yet (it lags up to 20 minutes)"
            } else {
                "nobody could be named: the Activity Log shows no such change"
            }
        }
        _ => return None,
    }))
}
