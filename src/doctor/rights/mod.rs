//! What our identity may do, held against what looking and each remedy need.
//!
//! | file | job |
//! |---|---|
//! | `own` | what it holds, read from Azure |
//! | `places` | where each right must be held |
//! | `judge` | one right, at all its places |
//! | `keys` | key permissions, in vaults with access policies |
//! | `commands` | what to run to give a right |

mod commands;
mod judge;
mod keys;
mod own;
mod places;

use super::estate::Estate;
use super::report::{Check, Section, State};
use super::{Patient, Principal};
use crate::domain::policy::Mode;
use crate::domain::remedy::Remedy;
use crate::domain::rights::{DIAGNOSIS, Right, needed};
pub(super) use commands::{Known, grant};
use judge::Judge;
use own::Own;

pub(super) async fn check(patient: &Patient<'_>, estate: &Estate, principal: Option<&Principal>) -> Section {
    let Some(principal) = principal else {
        let check = Check::unknown("rights", "whose rights to look up is not known: see identity");
        return Section { name: "rights", checks: vec![check] };
    };
    let own = Own::read(&patient.azure, &estate.roots, &principal.object_id).await;
    let judge = Judge::new(&patient.azure, estate, &own, principal);
    let mut checks = Vec::new();
    checks.extend(judge.lists().await);
    checks.extend(judge.job("look and diagnose", DIAGNOSIS).await);
    let policy = &patient.settings.policy;
    let mut off = Vec::new();
    for remedy in Remedy::ALL.into_iter().filter(|remedy| *remedy != Remedy::Wait) {
        match policy.mode(remedy) {
            Mode::Off => off.push(remedy.name()),
            mode => checks.extend(self::remedy(&judge, estate, remedy, mode).await),
        }
    }
    if !off.is_empty() {
        checks.push(Check::ok("off", format!("{}: nothing is needed", off.join(", "))));
    }
    Section { name: "rights", checks }
}

async fn remedy(judge: &Judge<'_>, estate: &Estate, remedy: Remedy, mode: Mode) -> Vec<Check> {
    let name = remedy.name();
    let word = if mode == Mode::Auto { "by itself" } else { "asks first" };
    if let Some(why) = needless(estate, remedy) {
        return vec![Check::ok(name, format!("{word}: {why}"))];
    }
    let (rbac, policies) = models(estate);
    let by_roles = needed(remedy).iter().filter(|right| !right.data || rbac || !policies);
    let by_roles: Vec<Right> = by_roles.copied().collect();
    let mut checks = if by_roles.is_empty() { Vec::new() } else { judge.job(name, &by_roles).await };
    checks.extend(keys::check(judge, estate, remedy, name));
    // One line says that all is well.
    if checks.len() > 1 && checks.iter().any(|check| check.state != State::Ok) {
        checks.retain(|check| check.state != State::Ok);
    }
    for check in checks.iter_mut().filter(|check| check.state == State::Ok) {
        check.said = format!("{word}: {}", check.said);
    }
    checks
}

/// Why no right is needed for a remedy that is on.
fn needless(estate: &Estate, remedy: Remedy) -> Option<&'static str> {
    let (rbac, policies) = models(estate);
    match remedy {
        Remedy::AddAccessPolicy if rbac && !policies => Some("nothing is needed: no vault here uses access policies"),
        Remedy::AssignRole if policies && !rbac => Some("nothing is needed: no vault here uses Azure RBAC"),
        _ => None,
    }
}

/// Whether there are vaults in scope with Azure RBAC, and with access policies. Neither, where that is not known of all.
fn models(estate: &Estate) -> (bool, bool) {
    if estate.vaults.iter().any(|vault| vault.known().is_none()) {
        return (false, false);
    }
    let has = |rbac: bool| {
        estate
            .vaults
            .iter()
            .filter(|vault| vault.in_scope)
            .filter_map(|vault| vault.known())
            .any(|vault| vault.rbac == rbac)
    };
    (has(true), has(false))
}
