//! The tenant's signing keys, kept. Read again when they are a day old and when a token names one that is not known, though not
//! as often as anybody likes: whoever sends tokens chooses the names of their keys.
//!
//! Keys that cannot be read anew are not forgotten: Entra publishes a key long before it signs by it, so those at hand nearly
//! always do, and an alert that is refused is lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::DecodingKey;

use crate::azure::entra::{NoKeys, Tenant, TokenVersion};

/// Older keys are read anew (Microsoft: "check for updates every 24 hours").
const OLD: SignedDuration = SignedDuration::from_hours(24);
/// After a reading, the next one waits so long. An Action Group tries again for 75 seconds, so it sees at least two.
const PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// The same after one that failed.
const PAUSE_FAILED: SignedDuration = SignedDuration::from_secs(10);

/// The keys of one version of tokens.
#[derive(Debug)]
pub(super) struct Keys {
    tenant: Tenant,
    version: TokenVersion,
    held: Mutex<Held>,
    /// One reading at a time; the others wait for what it finds.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Held {
    keys: Arc<HashMap<String, DecodingKey>>,
    read_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
    /// Grows with every try.
    tries: u64,
    why_not: Option<NoKeys>,
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The tenant has none of that name: it was asked after the token came.
    Unknown,
    /// The tenant may have one of that name, and cannot be asked now.
    CannotTell,
}

impl Keys {
    pub fn new(tenant: Tenant, version: TokenVersion) -> Self {
        Self { tenant, version, held: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    /// The key of that name.
    pub async fn find(self: &Arc<Self>, kid: &str, now: Timestamp) -> Result<DecodingKey, NoKey> {
        let (tries, found, old) = {
            let held = self.held();
            (held.tries, held.keys.get(kid).cloned(), held.read_at.is_none_or(|at| now.duration_since(at) >= OLD))
        };
        if let Some(key) = found {
            if old {
                self.refresh_aside(now);
            }
            return Ok(key);
        }
        let _one = self.reading.lock().await;
        // Whoever read while we waited read for us, too.
        if self.held().tries == tries {
            self.read(now).await?;
        }
        let held = self.held();
        match held.keys.get(kid) {
            Some(key) => Ok(key.clone()),
            // What was asked for before the token came says nothing of a key that is newer.
            None if held.why_not.is_some() || held.tried_at.is_none_or(|at| at < now) => Err(NoKey::CannotTell),
            None => Err(NoKey::Unknown),
        }
    }

    /// Reads them, so that the first alert need not wait.
    pub async fn warm(&self, now: Timestamp) {
        let _one = self.reading.lock().await;
        let _ = self.read(now).await;
    }

    /// Reads them in the background; the keys at hand are good meanwhile.
    fn refresh_aside(self: &Arc<Self>, now: Timestamp) {
        let keys = Arc::clone(self);
        tokio::spawn(async move {
            if let Ok(_one) = keys.reading.try_lock() {
                let _ = keys.read(now).await;
            }
        });
    }

    async fn read(&self, now: Timestamp) -> Result<(), NoKey> {
        {
            let mut held = self.held();
            let pause = if held.why_not.is_some() { PAUSE_FAILED } else { PAUSE };
            let since = held.tried_at.map(|at| now.duration_since(at));
            // A clock that was set back is no reason to wait for what it showed before.
            if since.is_some_and(|since| !since.is_negative() && since < pause) {
                return Err(NoKey::CannotTell);
            }
            held.tried_at = Some(now);
        }
        let read = self.tenant.signing_keys(self.version).await;
        let mut held = self.held();
        held.tries += 1;
        match read {
            Ok(keys) => {
                let usable = |key: &crate::azure::entra::SigningKey| {
                    Some((key.kid.clone(), DecodingKey::from_rsa_components(&key.n, &key.e).ok()?))
                };
                held.keys = Arc::new(keys.iter().filter_map(usable).collect());
                held.read_at = Some(now);
                held.why_not = None;
                tracing::debug!(keys = held.keys.len(), version = ?self.version, "the tenant's signing keys were read");
            }
            Err(why) => {
                let kept = held.keys.len();
                tracing::warn!(%why, kept, version = ?self.version, "the tenant's signing keys cannot be read");
                held.why_not = Some(why);
            }
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
