//! Puts the rooms together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use azure_core::credentials::TokenCredential;

use super::follow_clock;
use super::link_keys::link_keys;
use crate::azure::{Azure, Cloud, Credential, Endpoints};
use crate::cli::channels;
use crate::clock::Clock;
use crate::ids::Ids;
use crate::notify::links::Pages;
use crate::notify::signed_link::LinkKeys;
use crate::responder::heartbeat::Heartbeat;
use crate::responder::{Responder, Wake};
use crate::settings::{Settings, StoreLocation};
use crate::store::azure::{StorageAccess, StorageAccount};
use crate::store::{AzureStore, Measured, SqliteStore, Store};
use crate::tls;

/// How long a process before this one, which was asked to stop, may take to end.
const PREDECESSOR_ENDS: Duration = Duration::from_secs(7);

/// What runs.
pub struct House {
    /// The responder, with its memory, its clock and its bell.
    pub responder: Responder,
    /// What links to the pages are signed with.
    pub link_keys: Option<LinkKeys>,
    /// Channels that are set up and cannot be used, for the health page.
    pub faults: Vec<String>,
}

/// Builds everything that the settings ask for.
///
/// # Errors
/// In words for the person who started it.
pub async fn build(settings: &Settings, called: Called) -> anyhow::Result<House> {
    let clock = follow_clock::clock(settings).await?;
    let store = Measured::over(open_store(&settings.store, called, &clock).await?);
    follow_clock::remember(&*store, &clock, settings.azure.follow_clock)
        .await
        .context("the store cannot be written")?;
    let (ids, wake) = (Ids::random(), Wake::default());
    let link_keys =
        link_keys(&settings.pages.link_secrets, &*store, &clock, &ids).await.context("the store cannot be written")?;
    let pages = settings.pages.url.clone().zip(link_keys.clone()).map(|(url, keys)| Pages { url, keys });
    let (channels, faults) = channels::build(settings, pages.as_ref(), &clock);
    let responder = Responder {
        store,
        azure: azure(settings, clock.clone(), ids.clone())?,
        channels: channels.into(),
        policy: Arc::new(settings.policy.clone()),
        clock,
        ids,
        wake,
        keep_incidents: settings.keep_incidents,
        heartbeat: settings.channels.notify.heartbeat.map(|every| Heartbeat { every, sender: channels::sender() }),
    };
    tokio::task::spawn_blocking(read_trusted);
    Ok(House { responder, link_keys, faults })
}

/// Reads the certificates of this machine beside the start, so that the first repair need not wait for them.
fn read_trusted() {
    if let Err(error) = tls::read_trusted() {
        tracing::error!(%error, "no server can be trusted: install this machine's certificates (the package ca-certificates)");
    }
}

/// Whether somebody else calls us for each job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// The Functions host does, by queue messages: whatever becomes due must ring.
    ByQueue,
    /// Nobody: we look for jobs ourselves.
    ByNobody,
}

async fn open_store(location: &StoreLocation, called: Called, clock: &Clock) -> anyhow::Result<Arc<dyn Store>> {
    let store: Arc<dyn Store> = match location {
        StoreLocation::Sqlite(path) => open_file(path, location, clock)?,
        StoreLocation::Azure(settings) => {
            let credential = storage_credential(&settings.account).map_err(anyhow::Error::msg)?;
            Arc::new(match called {
                Called::ByQueue => {
                    AzureStore::open_with_doorbell(settings, credential, clock.clone(), Ids::random()).await?
                }
                Called::ByNobody => AzureStore::open(settings, credential, Ids::random()).await?,
            })
        }
    };
    Ok(store)
}

fn open_file(path: &Path, location: &StoreLocation, clock: &Clock) -> anyhow::Result<Arc<dyn Store>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        anyhow::bail!(
            "the folder {} of the store does not exist; make it, or name another with --store sqlite:PATH",
            folder.display()
        );
    }
    let store = SqliteStore::open_to_work(path, clock.now(), PREDECESSOR_ENDS)
        .with_context(|| format!("the store {location} cannot be used"))?;
    Ok(Arc::new(store))
}

/// The identity by which a storage account is signed in to, in the cloud that the account is in; `None` for one with a key
/// or a signature.
///
/// # Errors
/// In words.
pub(crate) fn storage_credential(account: &StorageAccount) -> Result<Option<Arc<dyn TokenCredential>>, String> {
    let StorageAccess::Identity(config) = &account.access else { return Ok(None) };
    let host = account.blob.host_str().unwrap_or_default();
    let cloud = match host {
        host if host.ends_with(".usgovcloudapi.net") => Cloud::UsGovernment,
        host if host.ends_with(".chinacloudapi.cn") => Cloud::China,
        _ => Cloud::Public,
    };
    let endpoints = Endpoints::of(cloud).map_err(|error| error.to_string())?;
    let credential = Credential::new(config, &endpoints).map_err(|error| error.to_string())?;
    Ok(Some(credential.token_credential(Clock::system())))
}

fn azure(settings: &Settings, clock: Clock, ids: Ids) -> anyhow::Result<Azure> {
    let endpoints = settings.azure.endpoints.clone();
    let credential = Credential::new(&settings.azure.credential, &endpoints)?;
    Ok(Azure::new(endpoints, credential, clock, ids)?)
}
