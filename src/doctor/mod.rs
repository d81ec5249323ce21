//! The doctor: before the night comes, whether everything is there that Keymend needs. Reads Azure, and changes nothing
//! there; keeps one fact in the store.
//!
//! | file | job |
//! |---|---|
//! | [`report`] | what was found, and what to do about it |
//! | `settings`, `callers`, `identity`, `clock`, `store`, `channels` | what Keymend itself stands on |
//! | [`estate`] | which servers and vaults there are to look after |
//! | `rights/` | what our identity may do, held against what each remedy needs |
//! | `vaults` | whether each vault answers and lets us in |
//! | `alerts/` | whether anybody rings |
//! | [`findings`] | rights and alerts, as the audit tells of them |

mod alerts;
mod callers;
mod channels;
mod clock;
pub mod estate;
pub mod findings;
mod identity;
pub mod report;
mod rights;
mod settings;
mod store;
mod vaults;

use std::sync::Arc;
use std::time::Duration;

use crate::azure::caller::Heard;
use crate::azure::{Azure, AzureError};
use crate::settings::Settings;
use crate::store::Store;
pub use identity::Principal;
use report::{Check, Report, Section};

/// How long a stage may take, in real time. There are three, one after the other.
const STAGE: Duration = Duration::from_secs(17);
/// Requests that are under way at the same time.
const SIDE_BY_SIDE: usize = 12;

/// What is examined.
#[derive(Debug)]
pub struct Patient<'a> {
    /// The settings, already understood.
    pub settings: &'a Settings,
    /// The cloud. Its deadlines should be short: a doctor does not wait.
    pub azure: Azure,
    /// Whose token it is, where the token does not tell.
    pub principal: Option<Principal>,
    /// The store, or why it could not be opened.
    pub store: Result<Arc<dyn Store>, String>,
}

/// Looks at everything. Never fails: what cannot be found out is a check that says so. `progress` is told what is being
/// looked at.
pub async fn examine(patient: &Patient<'_>, progress: &(dyn Fn(&str) + Sync)) -> Report {
    progress("identity, clock, store, channels");
    let (heard, identity, store, channels, callers) = futures::join!(
        in_time(identity::hear(patient)),
        in_time(identity::look(patient)),
        in_time(store::check(patient)),
        in_time(channels::check(patient)),
        in_time(callers::check(patient.settings)),
    );
    let heard = heard.unwrap_or_else(|| Err(AzureError::Unreachable { what: "Azure".to_owned(), why: late_words() }));
    let (principal, mut identity) = match identity {
        Some((principal, section)) => (principal, section),
        None => (patient.principal.clone(), late("identity", "tokens")),
    };
    identity.checks.extend(identity::accepted(&heard));
    let mut settings = settings::check(patient.settings);
    settings.checks.extend(callers.unwrap_or_else(|| vec![Check::unknown("callers", late_words())]));
    let mut sections = vec![
        settings,
        identity,
        clock::check(&heard),
        store.unwrap_or_else(|| late("store", "store")),
        channels.unwrap_or_else(|| late("channels", "channels")),
    ];
    match heard {
        Ok(Heard { status, .. }) if status != 401 => sections.extend(in_azure(patient, principal, progress).await),
        _ => {
            let check = Check::unknown("everything in Azure", "not looked at: see identity");
            sections.push(Section { name: "what is looked after", checks: vec![check] });
        }
    }
    Report { sections }
}

/// Rights, vaults and alert rules alone, for an audit: nothing is asked of the store or of the channels.
pub async fn look_ahead(patient: &Patient<'_>, progress: &(dyn Fn(&str) + Sync)) -> Vec<Section> {
    let looked = futures::join!(in_time(identity::hear(patient)), in_time(identity::look(patient)));
    let (Some(Ok(Heard { status, .. })), Some((principal, _))) = looked else { return Vec::new() };
    if status == 401 { Vec::new() } else { in_azure(patient, principal, progress).await }
}

/// What takes an Azure that answers.
async fn in_azure(
    patient: &Patient<'_>,
    principal: Option<Principal>,
    progress: &(dyn Fn(&str) + Sync),
) -> Vec<Section> {
    progress("servers, protectors, vaults");
    let (estate, inventory) = match in_time(estate::look(patient)).await {
        Some(estate) => {
            let section = estate.section();
            (estate, section)
        }
        None => {
            (estate::Estate::unread(&patient.settings.policy.scope), late("what is looked after", "servers and vaults"))
        }
    };
    progress("rights, vaults, alert rules");
    let (rights, vaults, alerts) = futures::join!(
        in_time(rights::check(patient, &estate, principal.as_ref())),
        in_time(vaults::check(patient, &estate)),
        in_time(alerts::check(patient, &estate, principal.as_ref())),
    );
    vec![
        inventory,
        rights.unwrap_or_else(|| late("rights", "rights")),
        vaults.unwrap_or_else(|| late("vaults", "vaults")),
        alerts.unwrap_or_else(|| late("alert rules", "alert rules")),
    ]
}

async fn in_time<T>(look: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(STAGE, look).await.ok()
}

fn late(section: &'static str, what: &str) -> Section {
    Section { name: section, checks: vec![Check::unknown(what, late_words())] }
}

fn late_words() -> String {
    format!("no answer within {} s", STAGE.as_secs())
}
