//! Keys that expire soon, and which warning is due. Pure.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::add;
use crate::domain::database_ref::DatabaseRef;
use crate::domain::evidence::{Evidence, Fact, KeyEvidence, ServerEvidence};
use crate::domain::incident::{IncidentId, IncidentKey};
use crate::domain::key_uri::KeyUri;
use crate::domain::resource_id::ResourceId;

/// Days ahead at which an expiry is told, the furthest first. Event Grid tells of it 30 days ahead, once (Microsoft, "Key
/// Vault as Event Grid source").
pub const AHEAD: [u32; 5] = [30, 14, 7, 3, 1];

const DAY: i64 = 24 * 3600;

/// The nearest of [`AHEAD`] that an expiry is within; `None` if it is further away, or over.
#[must_use]
pub fn due(expires: Timestamp, now: Timestamp) -> Option<u32> {
    let left = expires.duration_since(now);
    if left <= SignedDuration::ZERO {
        return None;
    }
    AHEAD.into_iter().rev().find(|days| left <= SignedDuration::from_secs(i64::from(*days) * DAY))
}

/// Whether an expiry lies ahead, and no further than that.
#[must_use]
pub fn is_within(expires: Timestamp, now: Timestamp, ahead: SignedDuration) -> bool {
    expires > now && expires.duration_since(now) <= ahead
}

/// A key that expires, and which of the warnings it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiring {
    /// The key with its version.
    pub key: KeyUri,
    /// When it expires.
    pub expires: Timestamp,
    /// Which warning: days ahead, one of [`AHEAD`].
    pub ahead: u32,
}

impl Expiring {
    /// What all warnings of one key are kept under.
    #[must_use]
    pub fn incident_key(&self) -> IncidentKey {
        IncidentKey(format!("expiry:{}", self.key))
    }

    /// What this one warning is called: the same one for whoever gives it, however often, so that it is given once. A key
    /// whose date was moved has new warnings.
    #[must_use]
    pub fn incident_id(&self) -> IncidentId {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let about = format!("{}|{}|{}", self.key.to_string().to_lowercase(), self.expires, self.ahead);
        let digest = Sha256::digest(about.as_bytes());
        let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
        let code: String = digest.iter().take(8).map(letter).collect();
        IncidentId(format!("km-{}-{code}", self.expires.strftime("%Y%m%d-%H%M")))
    }
}

/// A warning with all that depends on the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Which key, when, which warning.
    pub expiring: Expiring,
    /// The vault's resource id, if known.
    pub vault_id: Option<ResourceId>,
    /// What is protected by it, or may still need it.
    pub servers: Vec<ResourceId>,
    /// Their databases.
    pub databases: Vec<DatabaseRef>,
}

/// The warnings that are due: one a key, however many servers depend on it. A key that nobody uses or that is disabled is
/// nobody's warning.
#[must_use]
pub fn warnings(evidence: &Evidence, now: Timestamp) -> Vec<Warning> {
    let vault_id = evidence.vault.as_ref().and_then(|vault| vault.id.clone());
    let one = |key: &KeyEvidence| {
        let Fact::Known(version) = &key.version else { return None };
        let (expires, true) = (version.expires?, version.enabled) else { return None };
        let ahead = due(expires, now)?;
        let users: Vec<&ServerEvidence> = evidence.servers.iter().filter(|seen| needs(seen, &key.uri)).collect();
        if users.is_empty() {
            return None;
        }
        let uri = KeyUri { version: Some(version.version.clone()), ..key.uri.clone() };
        let databases = users.iter().flat_map(|seen| {
            let names = seen.databases.known().map(Vec::as_slice).unwrap_or_default();
            names.iter().map(|database| DatabaseRef { server: seen.id.clone(), name: database.name.clone() })
        });
        Some(Warning {
            expiring: Expiring { key: uri, expires, ahead },
            vault_id: vault_id.clone(),
            databases: databases.collect(),
            servers: users.into_iter().map(|seen| seen.id.clone()).collect(),
        })
    };
    let mut found: Vec<Warning> = Vec::new();
    for warning in evidence.keys.iter().filter_map(one) {
        // A version may be named by one protector and meant by another that names none.
        match found.iter_mut().find(|known| known.expiring == warning.expiring) {
            Some(known) => {
                known.servers.extend(warning.servers);
                known.databases.extend(warning.databases);
            }
            None => found.push(warning),
        }
    }
    for warning in &mut found {
        warning.servers.sort();
        warning.servers.dedup();
        warning.databases.sort();
        warning.databases.dedup();
    }
    found
}

/// When somebody has to look at these keys again: the next warning, or the moment from which one is extended.
#[must_use]
pub fn next_look(warnings: &[Warning], ahead: Option<SignedDuration>, now: Timestamp) -> Option<Timestamp> {
    let days = AHEAD.into_iter().map(|days| SignedDuration::from_secs(i64::from(days) * DAY));
    let before: Vec<SignedDuration> = days.chain(ahead).collect();
    let moments = warnings
        .iter()
        .flat_map(|warning| before.iter().map(|before| add(warning.expiring.expires, -*before)).collect::<Vec<_>>());
    moments.filter(|moment| *moment > now).min()
}

fn needs(seen: &ServerEvidence, key: &KeyUri) -> bool {
    let protector = seen.protector.known().and_then(|protector| protector.uri.as_ref());
    let linked = seen.linked_keys.known().map(Vec::as_slice).unwrap_or_default();
    let mut uris = protector.into_iter().chain(linked.iter().filter_map(|link| link.uri.as_ref()));
    uris.any(|uri| uri.same_key(key) && uri.version == key.version)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::test_support::{at, server_id, world_of};

    proptest! {
        /// Over any days, looking at any hours, each warning is due in its turn, and none after the end.
        #[test]
        fn warnings_come_nearer_and_end(start in 0_i64..2_000, steps in proptest::collection::vec(1_i64..40, 1..200)) {
            let now = at("2026-11-24T02:07:31Z");
            let expires = now + SignedDuration::from_hours(start);
            let (mut time, mut last) = (now, u32::MAX);
            for step in steps {
                let due = due(expires, time);
                prop_assert_eq!(due.is_none(), time >= expires || expires.duration_since(time) > SignedDuration::from_hours(720));
                if let Some(days) = due {
                    prop_assert!(days <= last && AHEAD.contains(&days));
                    last = days;
                }
                time += SignedDuration::from_hours(step);
            }
        }
    }

    #[test]
    fn one_warning_a_key_with_everything_that_depends_on_it() {
        let mut world = world_of(&["a-sql", "b-sql"]);
        assert_eq!(warnings(&world.evidence, world.now), []);
        world.version().expires = Some(world.now + SignedDuration::from_hours(60));
        let due = warnings(&world.evidence, world.now);
        assert_eq!(due.len(), 1);
        assert_eq!((due[0].expiring.ahead, &due[0].servers), (3, &vec![server_id("a-sql"), server_id("b-sql")]));
        assert!(!due[0].databases.is_empty());
        world.version().enabled = false;
        assert_eq!(warnings(&world.evidence, world.now), [], "a disabled key is no warning of expiry");
    }

    #[test]
    fn a_moved_date_is_another_warning() {
        let mut world = world_of(&["a-sql"]);
        let mut id = |hours: i64| {
            world.version().expires = Some(world.now + SignedDuration::from_hours(hours));
            warnings(&world.evidence, world.now)[0].expiring.incident_id()
        };
        assert_eq!(id(60), id(60));
        assert_ne!(id(60), id(61));
        assert_ne!(id(60), id(12));
    }
}
