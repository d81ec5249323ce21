//! Links from messages to an incident's page, signed so that nobody can make one: which incident, which plan, until when.
//!
//! A link is no person. It shows the page, and names the plan that a decision is for; who decides signs in.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::clock::add;
use crate::domain::incident::IncidentId;
use crate::notify::secret::Secret;

/// The shortest secret that links are signed with, in bytes.
pub const SHORTEST_SECRET: usize = 32;
/// A page is shown by its link for so long after the link stopped to count for a decision.
const SHOWN_FOR: SignedDuration = SignedDuration::from_hours(14 * 24);
/// The longest token that is read.
const LONGEST: usize = 1024;
const VERSION: &str = "v1";

/// What a link or a form says, under the signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The incident.
    #[serde(rename = "i")]
    pub incident: IncidentId,
    /// The hash of the plan that is to be decided; none in a link that only shows.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Until when it counts for a decision, in Unix seconds.
    #[serde(rename = "e")]
    until: i64,
    /// For a form: its own number.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// For a form: whom it was made for.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
}

/// Why a link is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    /// Cut off, altered, made by somebody else, or for something else.
    #[error("it was changed, or cut off")]
    Forged,
    /// Too old.
    #[error("it is too old")]
    Expired,
}

impl Claim {
    /// Of a link that shows `incident`, and for a while counts for a decision about `plan`.
    #[must_use]
    pub fn link(incident: &IncidentId, plan: Option<&str>, until: Timestamp) -> Self {
        let plan = plan.map(str::to_owned);
        Self { incident: incident.clone(), plan, until: until.as_second(), form: None, reader: None }
    }

    /// Of a form, with a number of its own, made for `reader`.
    #[must_use]
    pub fn form(incident: &IncidentId, plan: Option<&str>, until: Timestamp, number: String, reader: String) -> Self {
        Self { form: Some(number), reader: Some(reader), ..Self::link(incident, plan, until) }
    }

    /// Until when it counts for a decision.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        Timestamp::from_second(self.until).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Whether a decision by it comes too late.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now > self.until()
    }
}

/// What signs and checks links. The first secret signs; each of them is accepted, so that one can be replaced.
#[derive(Clone)]
pub struct LinkKeys(Arc<[Key]>);

#[derive(Clone)]
struct Key {
    /// Names the key in a token without telling it.
    id: String,
    bytes: [u8; 32],
}

impl fmt::Debug for LinkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkKeys({})", self.0.len())
    }
}

impl LinkKeys {
    /// Keys from secrets of at least [`SHORTEST_SECRET`] bytes; shorter ones are left out. `None` if none is left.
    #[must_use]
    pub fn new(secrets: &[Secret]) -> Option<Self> {
        let long = secrets.iter().filter(|secret| secret.expose().len() >= SHORTEST_SECRET);
        let keys: Vec<Key> = long.filter_map(Key::of).collect();
        (!keys.is_empty()).then(|| Self(keys.into()))
    }

    /// A token: `v1.`, the key's name, the claim and its signature.
    #[must_use]
    pub fn sign(&self, claim: &Claim) -> String {
        // There is at least one key, and a claim of strings and a number always serializes.
        let (Some(key), Ok(claim)) = (self.0.first(), serde_json::to_vec(claim)) else { return String::new() };
        let signed = format!("{VERSION}.{}.{}", key.id, URL_SAFE_NO_PAD.encode(claim));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(&signed));
        format!("{signed}.{signature}")
    }

    /// What a token says, if we signed it and its page may still be shown.
    ///
    /// # Errors
    /// [`BadLink`].
    pub fn read(&self, token: &str, now: Timestamp) -> Result<Claim, BadLink> {
        if token.len() > LONGEST {
            return Err(BadLink::Forged);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(BadLink::Forged)?;
        let mut parts = signed.split('.');
        let (Some(VERSION), Some(id), Some(claim), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(BadLink::Forged);
        };
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| BadLink::Forged)?;
        let key = self.0.iter().find(|key| key.id == id).ok_or(BadLink::Forged)?;
        if !bool::from(key.sign(signed).ct_eq(&signature)) {
            return Err(BadLink::Forged);
        }
        let claim = URL_SAFE_NO_PAD.decode(claim).map_err(|_| BadLink::Forged)?;
        let claim: Claim = serde_json::from_slice(&claim).map_err(|_| BadLink::Forged)?;
        if now > add(claim.until(), SHOWN_FOR) { Err(BadLink::Expired) } else { Ok(claim) }
    }
}

impl Key {
    fn of(secret: &Secret) -> Option<Self> {
        let mut bytes = [0; 32];
        let expanded = Hkdf::<Sha256>::new(None, secret.expose().as_bytes());
        expanded.expand(b"keymend-link-v1", &mut bytes).ok()?;
        let id = hex::encode(&Sha256::digest(bytes)[..4]);
        Some(Self { id, bytes })
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        // Any length is a key of HMAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.bytes) else { return Vec::new() };
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(secrets: &[&str]) -> LinkKeys {
        let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new((*text).to_owned())).collect();
        LinkKeys::new(&secrets).unwrap()
    }

    const OLD: &str = "an old secret of thirty-two bytes or more";
    const NEW: &str = "a new secret that has thirty-two bytes too";

    fn now() -> Timestamp {
        "2026-11-24T02:10:00Z".parse().unwrap()
    }

    fn claim() -> Claim {
        let id = IncidentId("km-20261124-0207-7f3k".to_owned());
        Claim::link(&id, Some("00ff"), add(now(), SignedDuration::from_mins(20)))
    }

    #[test]
    fn what_was_signed_is_read_and_a_secret_can_be_replaced() {
        let token = keys(&[OLD]).sign(&claim());
        assert_eq!(keys(&[OLD]).read(&token, now()), Ok(claim()));
        assert_eq!(keys(&[NEW, OLD]).read(&token, now()), Ok(claim()));
        assert_eq!(keys(&[NEW]).read(&token, now()), Err(BadLink::Forged));
        assert!(token.len() < 300, "{}", token.len());
    }

    #[test]
    fn a_link_shows_longer_than_it_decides() {
        let keys = keys(&[OLD]);
        let token = keys.sign(&claim());
        let later = add(now(), SignedDuration::from_hours(1));
        assert!(keys.read(&token, later).unwrap().is_over(later));
        assert_eq!(keys.read(&token, add(now(), SignedDuration::from_hours(24 * 15))), Err(BadLink::Expired));
    }

    #[test]
    fn weak_secrets_sign_nothing() {
        assert!(LinkKeys::new(&[Secret::new("short".to_owned())]).is_none());
        assert!(LinkKeys::new(&[]).is_none());
        assert!(!format!("{:?}", keys(&[OLD])).contains("secret"));
    }

    proptest! {
        #[test]
        fn nothing_that_was_altered_is_believed(at in 0_usize..300, to in "[A-Za-z0-9._-]") {
            let keys = keys(&[OLD]);
            let token = keys.sign(&claim());
            let at = at % token.len();
            let mut altered = token.clone();
            altered.replace_range(at..=at, &to);
            prop_assume!(altered != token);
            // The last character of base64 may hold bits that mean nothing.
            if let Ok(read) = keys.read(&altered, now()) {
                prop_assert_eq!(read, claim());
                prop_assert_eq!(at, token.len() - 1);
            }
        }

        #[test]
        fn nothing_foreign_is_believed(token in "\\PC{0,200}") {
            prop_assert_eq!(keys(&[OLD]).read(&token, now()), Err(BadLink::Forged));
        }
    }
}
