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

use super::account::{AzureStorageSettings, StorageAccount};
use super::blobs::SERVICE_VERSION;
use super::document::micros;
use super::fault::{Place, code};
use super::wire;
use crate::clock::Clock;
use crate::store::Result;

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
        let doorbell = Self::connect(settings, credential, clock)?;
        doorbell.jobs.make().await?;
        doorbell.poison.make().await?;
        Ok(doorbell)
    }

    /// `None` if there is no such queue: nobody listens.
    pub async fn open_existing(
        settings: &AzureStorageSettings,
        credential: Option<Arc<dyn TokenCredential>>,
        clock: Clock,
    ) -> Result<Option<Self>> {
        let doorbell = Self::connect(settings, credential, clock)?;
        Ok(if doorbell.jobs.exists().await? { Some(doorbell) } else { None })
    }

    fn connect(
        settings: &AzureStorageSettings,
        credential: Option<Arc<dyn TokenCredential>>,
        clock: Clock,
    ) -> Result<Self> {
        let jobs = Queue::connect(&settings.account, &settings.queue, credential.clone())?;
        let poison = Queue::connect(&settings.account, &settings.poison_queue(), credential)?;
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
    fn connect(account: &StorageAccount, name: &str, credential: Option<Arc<dyn TokenCredential>>) -> Result<Self> {
        let place = Place::queue(account, name);
        let options =
            QueueClientOptions { client_options: wire::client_options(account)?, version: SERVICE_VERSION.to_owned() };
        let address = wire::address(account, &account.queue, name);
        let client = QueueClient::new(address, credential, Some(options)).map_err(|_| place.no_address())?;
        Ok(Self { client, place })
    }

    async fn make(&self) -> Result<()> {
        match self.client.create(None).await {
            Ok(_) => Ok(()),
            // 204: it is there already.
            Err(error) if matches!(code(&error), (204, _) | (_, "QueueAlreadyExists")) => Ok(()),
            Err(error) if code(&error).0 == 403 && self.client.get_properties(None).await.is_ok() => Ok(()),
            Err(error) => Err(self.place.explain(&error)),
        }
    }

    async fn exists(&self) -> Result<bool> {
        match self.client.get_properties(None).await {
            Ok(_) => Ok(true),
            Err(error) if code(&error).0 == 404 => Ok(false),
            Err(error) => Err(self.place.explain(&error)),
        }
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
