//! What our blobs are called. Keys may hold any character, so most names are hashes of them.

use sha2::{Digest, Sha256};

use crate::domain::incident::{IncidentId, IncidentKey};
use crate::domain::resource_id::ResourceId;

/// 40 hex digits: no two keys meet, and listings stay short.
fn hash(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..20])
}

/// Records of jobs.
pub(super) const JOBS: &str = "jobs/";
/// Signals that nobody has taken yet, by subject.
pub(super) const UNTAKEN: &str = "untaken/";
/// Signals that are known.
pub(super) const KNOWN: &str = "known/";
/// Documents of incidents.
pub(super) const INCIDENTS: &str = "incidents/";
/// Which incident is the open one of a key.
pub(super) const OPEN: &str = "open/";
/// Saves whose effects may not all have happened.
pub(super) const UNSETTLED: &str = "unsettled/";
/// Facts.
pub(super) const FACTS: &str = "facts/";
/// Copies of records that were damaged and stood in the way.
pub(super) const DAMAGED: &str = "damaged/";

pub(super) fn job(key: &str) -> String {
    format!("{JOBS}{}", hash(key))
}

pub(super) fn untaken_of(subject: &ResourceId) -> String {
    format!("{UNTAKEN}{}/", subject_hash(subject))
}

/// By which a signal's subject is known in names.
pub(super) fn subject_hash(subject: &ResourceId) -> String {
    hash(subject.key())
}

pub(super) fn known(fingerprint: &str) -> String {
    format!("{KNOWN}{fingerprint}")
}

/// An incident's id is a readable name already, unless somebody made it otherwise.
fn id(id: &IncidentId) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !id.0.is_empty() && id.0.len() <= 80 && id.0.bytes().all(plain) {
        id.0.clone()
    } else {
        format!("_{}", hash(&id.0))
    }
}

pub(super) fn incident(incident: &IncidentId) -> String {
    format!("{INCIDENTS}{}", id(incident))
}

pub(super) fn open(key: &IncidentKey) -> String {
    format!("{OPEN}{}", key_hash(key))
}

/// By which a document tells its key without being read.
pub(super) fn key_hash(key: &IncidentKey) -> String {
    hash(&key.0)
}

pub(super) fn marker(incident: &IncidentId, nonce: &str) -> String {
    format!("{UNSETTLED}{}/{nonce}", id(incident))
}

pub(super) fn facts_of(kind: &str) -> String {
    format!("{FACTS}{}/", hash(kind))
}

pub(super) fn fact(kind: &str, key: &str) -> String {
    format!("{}{}", facts_of(kind), hash(key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_key_makes_a_name_that_storage_takes(key in ".{0,200}") {
            for name in [job(&key), incident(&IncidentId(key.clone())), open(&IncidentKey(key.clone())), fact(&key, &key)] {
                prop_assert!(name.len() < 200);
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte)), "{}", name);
            }
        }
    }

    #[test]
    fn an_incident_is_found_by_its_own_name() {
        assert_eq!(incident(&IncidentId("km-20261124-0207-7f3k".to_owned())), "incidents/km-20261124-0207-7f3k");
        assert_ne!(incident(&IncidentId("A".to_owned())), incident(&IncidentId("a".to_owned())));
    }
}
