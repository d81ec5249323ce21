//! Puts together what is examined.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::azure::{Azure, Credential};
use crate::cli::serve::clock_of;
use crate::cli::serve::house::storage_credential;
use crate::clock::Clock;
use crate::doctor::{Patient, Principal};
use crate::ids::Ids;
use crate::settings::{Settings, StoreLocation};
use crate::store::{AzureStore, SqliteStore, Store};

/// How long connecting to Azure may take, and one try of a request.
const DEADLINES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(8));

/// How long the storage account may take to let us in.
const STORE: Duration = Duration::from_secs(8);

/// Everything that the settings name, opened.
///
/// # Errors
/// Where not even a request could be made.
pub(super) async fn admit(settings: &Settings) -> anyhow::Result<Patient<'_>> {
    // A simulated cloud that does not answer shows in every check that asks it.
    let clock = clock_of(settings).await.unwrap_or_else(|_| Clock::system());
    let endpoints = settings.azure.endpoints.clone();
    let credential = Credential::new(&settings.azure.credential, &endpoints)?;
    let azure = Azure::with_deadlines(endpoints, credential, clock.clone(), Ids::random(), DEADLINES.0, DEADLINES.1)?;
    let (principal, store) = futures::join!(simulated_principal(settings), open(&settings.store, &clock));
    Ok(Patient { settings, azure, principal, store })
}

/// Opens the store beside whoever works on it.
async fn open(location: &StoreLocation, clock: &Clock) -> Result<Arc<dyn Store>, String> {
    match location {
        StoreLocation::Sqlite(path) => {
            let folder =
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            if !folder.is_dir() {
                return Err(format!("the folder {} of the store does not exist", folder.display()));
            }
            let store = SqliteStore::open(path).map_err(|error| format!("{location}: {error}"))?;
            Ok(Arc::new(store))
        }
        StoreLocation::Azure(settings) => {
            let credential = storage_credential(&settings.account)?;
            let store = AzureStore::open_beside(settings, credential, clock.clone(), Ids::random());
            let store = tokio::time::timeout(STORE, store).await;
            let store = store.map_err(|_| format!("{location}: no answer within {} s", STORE.as_secs()))?;
            let store = store.map_err(|error| format!("{location}: {error}"))?;
            let store =
                store.ok_or_else(|| format!("{location} is not there; Keymend makes it when it first starts"))?;
            Ok(Arc::new(store))
        }
    }
}

/// Whom the simulated cloud takes us for: its token is a word that tells nothing.
pub(in crate::cli) async fn simulated_principal(settings: &Settings) -> Option<Principal> {
    #[derive(Deserialize)]
    struct Responder {
        object_id: String,
    }
    if !settings.azure.endpoints.on_this_machine() {
        return None;
    }
    let address = settings.azure.endpoints.arm().join("sim/responder").ok()?;
    let http = crate::tls::client().no_proxy().timeout(Duration::from_secs(3)).build().ok()?;
    let responder = http.get(address).send().await.ok()?.error_for_status().ok()?.json::<Responder>().await.ok()?;
    Some(Principal { object_id: responder.object_id, person: false })
}
