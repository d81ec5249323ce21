//! The only source of ids: random in service, from a seed in the drill and the tests.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{Timestamp, tz::TimeZone};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use crate::domain::incident::IncidentId;

/// Letters and digits that cannot be taken for one another.
const ALPHABET: &[u8; 31] = b"23456789abcdefghjkmnpqrstuvwxyz";

/// A cloneable handle to one source of ids.
#[derive(Clone, Debug)]
pub struct Ids(Arc<Mutex<StdRng>>);

impl Ids {
    /// From the operating system's randomness.
    #[must_use]
    pub fn random() -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_os_rng())))
    }

    /// The same ids for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// A new UUID (version 4).
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.0.lock().unwrap_or_else(PoisonError::into_inner).random()).into_uuid()
    }

    /// A number from 0 up to 1, for jitter.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// A new incident's id, such as `km-20261124-0207-7f3k`.
    #[must_use]
    pub fn incident(&self, now: Timestamp) -> IncidentId {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let code: String = (0..4).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect();
        IncidentId(format!("km-{}-{code}", now.to_zoned(TimeZone::UTC).strftime("%Y%m%d-%H%M")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incident_ids_tell_when_and_fit_a_query() {
        let now = "2026-11-24T02:07:31Z".parse().unwrap_or_default();
        let id = Ids::seeded(1).incident(now).0;
        assert!(id.starts_with("km-20261124-0207-"), "{id}");
        assert!(id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{id}");
        assert_ne!(Ids::random().uuid(), Ids::random().uuid());
    }
}
