//! Puts the rooms together.

use std::pin::Pin;
use std::sync::Arc;

use anyhow::Context;

use super::follow_clock;
use crate::clock::Clock;
use crate::responder::Wake;
use crate::settings::{Settings, StoreLocation};
use crate::store::SqliteStore;
use crate::store::Store;

/// What runs.
pub struct House {
    /// The memory.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Clock,
    /// The bell between the doors and the worker.
    pub wake: Wake,
    /// The responder's worker: runs until it is dropped.
    pub worker: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Builds everything that the settings ask for.
///
/// # Errors
/// In words for the person who started it.
pub async fn build(settings: &Settings) -> anyhow::Result<House> {
    let StoreLocation::Sqlite(path) = &settings.store;
    let store = SqliteStore::open(path).with_context(|| format!("the store {} cannot be opened", settings.store))?;
    let store: Arc<dyn Store> = Arc::new(store);
    let clock = follow_clock::clock(settings).await?;
    follow_clock::remember(&*store, &clock, settings.azure.follow_clock)
        .await
        .context("the store cannot be written")?;
    let wake = Wake::default();
    // The responder is put together here: Azure from `settings.azure`, channels from `settings.teams` and
    // `settings.webhook`, `settings.policy`; its worker takes the place of this future.
    let worker = Box::pin(std::future::pending());
    Ok(House { store, clock, wake, worker })
}
