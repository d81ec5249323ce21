//! The doorbell: a queue message that calls for a job when it is due. The job itself is a record in the container.
//!
//! A message that is lost costs time, not the job: [`super::AzureStore`]'s sweep rings again. One too many costs a look.

use std::fmt;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::RequestContent;
use azure_storage_queue::models::{QueueClientSendMessageOptions, QueueMessage};
use azure_storage_queue::{QueueClient, QueueClientOptions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::account::{AzureStorageSettings, StorageAccess, StorageAccount};
use super::blobs::SERVICE_VERSION;
use super::document::micros;
use super::fault::{Place, code};
use super::wire;
use crate::clock::Clock;
use crate::store::{Result, StoreError};

/// The longest that a message may be invisible, in seconds (Microsoft, "Put Message"); whoever comes too early is told so.
const LONGEST_DELAY: i32 = 7 * 24 * 3600;

/// Messages do not end by themselves.
const FOREVER: i32 = -1;

/// The queue that calls for jobs, and the one that tells of those that were set aside.
#[derive(Debug)]
pub(super) struct Doorbell {
    jobs: Queue,
    poison: Queue,
    clock: Clock,
}

impl Doorbell {
    /// Makes the queues if they are missing.
    pub async fn open(
        settings: &AzureStorageSettings,
        credential: Option<Arc<dyn TokenCredential>>,
        clock: Clock,
    ) -> Result<Self> {
        let jobs = Queue::open(&settings.account, &settings.queue, credential.clone()).await?;
        let poison = Queue::open(&settings.account, &settings.poison_queue(), credential).await?;
        Ok(Self { jobs, poison, clock })
    }

    /// Calls for the job of that key at `ready_at` (microseconds since 1970).
    pub async fn ring(&self, key: &str, ready_at: i64) -> Result<()> {
        self.jobs.send(key, self.delay(ready_at)).await
    }

    /// Tells the poison queue that the job was set aside.
    pub async fn tell_of_poison(&self, key: &str) -> Result<()> {
        self.poison.send(key, 0).await
    }

    /// Real seconds until then, rounded up: nobody is called before it is time.
    fn delay(&self, ready_at: i64) -> i32 {
        let left = ready_at.saturating_sub(micros(self.clock.now()));
        let seconds = left as f64 / 1e6 / self.clock.factor().unwrap_or(1.0).max(f64::MIN_POSITIVE);
        // `as` holds what is too large or negative at the ends.
        (seconds.ceil().max(0.0) as i32).min(LONGEST_DELAY)
    }
}

struct Queue {
    client: QueueClient,
    place: Place,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl Queue {
    async fn open(account: &StorageAccount, name: &str, credential: Option<Arc<dyn TokenCredential>>) -> Result<Self> {
        let place = Place::queue(account, name);
        let mut url = account.queue.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(name);
        }
        if let StorageAccess::Sas(signature) = &account.access {
            url.set_query(Some(signature.expose()));
        }
        let options =
            QueueClientOptions { client_options: wire::client_options(account)?, version: SERVICE_VERSION.to_owned() };
        let client = QueueClient::new(url, credential, Some(options)).map_err(|_| {
            StoreError::Unavailable(format!("the address of the storage account {} cannot be used", account.name()))
        })?;
        // 204 where it is there already, which the SDK takes for success as well.
        match client.create(None).await {
            Ok(_) => {}
            Err(error) if matches!(code(&error), (_, "QueueAlreadyExists") | (204, _)) => {}
            Err(error) if code(&error).0 == 403 && client.get_properties(None).await.is_ok() => {}
            Err(error) => return Err(place.explain(&error)),
        }
        Ok(Self { client, place })
    }

    /// Base64, as `messageEncoding` in host.json says.
    async fn send(&self, key: &str, delay: i32) -> Result<()> {
        let text = STANDARD.encode(json!({"v": 1, "job": key}).to_string());
        let message = QueueMessage { message_text: Some(text) };
        let content = RequestContent::try_from(message).map_err(|error| self.place.explain(&error))?;
        let options = QueueClientSendMessageOptions {
            message_time_to_live: Some(FOREVER),
            visibility_timeout: Some(delay),
            ..Default::default()
        };
        self.client.send_message(content, Some(options)).await.map_err(|error| self.place.explain(&error))?;
        Ok(())
    }
}
