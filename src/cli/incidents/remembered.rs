//! The store as another process uses it at the same time.

use std::sync::Arc;

use crate::cli::serve::house::storage_credential;
use crate::cli::serve::remembered as remembered_clock;
use crate::clock::Clock;
use crate::domain::incident::{Incident, IncidentId};
use crate::ids::Ids;
use crate::responder::answer::{self, Answer, By, NotKept, Said};
use crate::settings::StoreLocation;
use crate::store::{AzureStore, SqliteStore, Store, StoreError, Version};

/// The most incidents that are looked through for an abbreviated id.
const MOST: usize = 10_000;

/// The store, and the clock by which `serve` runs on it.
#[derive(Debug)]
pub(super) struct Remembered {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("there is no store at {0}. Name the one that Keymend uses: --store sqlite:PATH or azure, or --config FILE")]
    NoStore(StoreLocation),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("there is no incident {0}. See them with: keymend incidents list")]
    NotFound(String),
    #[error("{given} could be any of {}", .ids.join(", "))]
    Ambiguous { given: String, ids: Vec<String> },
    #[error(transparent)]
    NotKept(#[from] NotKept),
    #[error("no job {0} was set aside. See those that were with: keymend incidents jobs")]
    NoJob(String),
    #[error("nobody knows who you are; say it with --by NAME")]
    Nobody,
}

impl Remembered {
    /// Opens the store if it is there. It is never made here: an empty one in the wrong place would only mislead.
    pub async fn open(location: &StoreLocation) -> Result<Self, Failure> {
        match location {
            StoreLocation::Sqlite(path) if path.exists() => {
                let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path)?);
                let clock = remembered_clock(&*store).await?;
                Ok(Self { store, clock })
            }
            StoreLocation::Sqlite(_) => Err(Failure::NoStore(location.clone())),
            StoreLocation::Azure(settings) => {
                let credential = storage_credential(&settings.account).map_err(StoreError::Unavailable)?;
                let open = async |clock: &Clock| {
                    let opened = AzureStore::open_beside(settings, credential.clone(), clock.clone(), Ids::random());
                    opened.await?.ok_or_else(|| Failure::NoStore(location.clone()))
                };
                // Its messages are delayed by the clock that is kept in it.
                let clock = remembered_clock(&open(&Clock::system()).await?).await?;
                Ok(Self { store: Arc::new(open(&clock).await?), clock })
            }
        }
    }

    /// The incident of that id, or the only one whose id begins or ends with it.
    pub async fn find(&self, id: &str) -> Result<(Incident, Version), Failure> {
        let id = id.trim().to_lowercase();
        if let Some(found) = self.store.incident(&IncidentId(id.clone())).await? {
            return Ok(found);
        }
        let all = self.store.incidents(false, MOST).await?;
        let fits = |incident: &&Incident| incident.id.0.starts_with(&id) || incident.id.0.ends_with(&id);
        let ids: Vec<String> = all.iter().filter(fits).map(|incident| incident.id.0.clone()).collect();
        match ids.as_slice() {
            [only] if !id.is_empty() => {
                let found = self.store.incident(&IncidentId(only.clone())).await?;
                found.ok_or(Failure::NotFound(id))
            }
            [_, _, ..] if !id.is_empty() => {
                Err(Failure::Ambiguous { given: id, ids: ids.into_iter().take(8).collect() })
            }
            _ => Err(Failure::NotFound(id)),
        }
    }

    /// Records an answer, and has the responder look at it at once.
    pub async fn answer(&self, id: &str, answer: &Answer, by: &str) -> Result<Said, Failure> {
        let (first, _) = self.find(id).await?;
        let seen = first.approval.as_ref().map(|approval| approval.plan_hash.clone());
        let by = By { name: by.to_owned(), way: "on the command line" };
        Ok(answer::keep(&*self.store, &self.clock, &first.id, answer, &by, seen.as_deref(), None).await?)
    }
}
