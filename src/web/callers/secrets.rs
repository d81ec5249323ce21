//! The webhook secret, in `?code=` or in the header `x-functions-key`, as with a function key.

use std::fmt;

use axum::http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The header that Azure Functions uses for keys. It wins over the query, as it does there.
const HEADER: &str = "x-functions-key";

/// What callers must know. Only digests are kept.
pub(super) enum Secrets {
    /// Nothing.
    Anyone,
    /// One of these.
    Knowing(Vec<[u8; 32]>),
}

/// Why a secret does not open the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadSecret {
    /// No secret was given.
    Missing,
    /// It is none of ours.
    Wrong,
}

impl Secrets {
    pub fn knowing<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Knowing(secrets.into_iter().map(digest).collect())
    }

    /// Checks a request's secret. Takes as long whichever secret it is, and whether it is one.
    ///
    /// # Errors
    /// [`BadSecret`].
    pub fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), BadSecret> {
        if matches!(self, Self::Anyone) {
            return Ok(());
        }
        self.compare(&given(headers, uri).ok_or(BadSecret::Missing)?)
    }

    /// Checks a secret that was given elsewhere, as in `Authorization: Bearer`.
    ///
    /// # Errors
    /// [`BadSecret`].
    pub fn knows(&self, secret: &str) -> Result<(), BadSecret> {
        if secret.is_empty() { Err(BadSecret::Missing) } else { self.compare(secret.as_bytes()) }
    }

    fn compare(&self, given: &[u8]) -> Result<(), BadSecret> {
        let Self::Knowing(known) = self else { return Ok(()) };
        let given: [u8; 32] = Sha256::digest(given).into();
        let any = known.iter().fold(Choice::from(0), |any, one| any | one.ct_eq(&given));
        if bool::from(any) { Ok(()) } else { Err(BadSecret::Wrong) }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Knowing(known) => write!(f, "knowing one of {} secrets", known.len()),
        }
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// The secret of a request, not empty. A `+` in the query stays one: secrets hold no blanks, and base64 holds plus signs.
fn given(headers: &HeaderMap, uri: &Uri) -> Option<Vec<u8>> {
    let header = headers.get(HEADER).map(|value| value.as_bytes().to_vec());
    let query = || {
        let code = uri.query()?.split('&').find_map(|pair| pair.strip_prefix("code="))?;
        Some(percent_decode_str(code).collect::<Vec<u8>>())
    };
    header.or_else(query).filter(|secret| !secret.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(callers: &Secrets, header: Option<&str>, uri: &str) -> Result<(), BadSecret> {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(HEADER, value.parse().unwrap());
        }
        callers.check(&headers, &uri.parse().unwrap())
    }

    #[test]
    fn either_place_and_every_secret_counts() {
        let callers = Secrets::knowing(["new+secret/==", "old-secret"]);
        assert_eq!(check(&callers, Some("new+secret/=="), "/api/alerts"), Ok(()));
        assert_eq!(check(&callers, None, "/api/alerts?code=old-secret"), Ok(()));
        assert_eq!(check(&callers, None, "/api/alerts?x=1&code=new+secret/=="), Ok(()));
        assert_eq!(check(&callers, None, "/api/alerts?code=new%2Bsecret%2F%3D%3D&y"), Ok(()));
    }

    #[test]
    fn others_are_turned_away() {
        let callers = Secrets::knowing(["right"]);
        assert_eq!(check(&callers, None, "/api/alerts"), Err(BadSecret::Missing));
        assert_eq!(check(&callers, None, "/api/alerts?code="), Err(BadSecret::Missing));
        assert_eq!(check(&callers, None, "/api/alerts?decode=right"), Err(BadSecret::Missing));
        for wrong in ["righ", "right2", "RIGHT", "wrong"] {
            assert_eq!(check(&callers, Some(wrong), "/api/alerts"), Err(BadSecret::Wrong), "{wrong}");
        }
        assert_eq!(check(&callers, Some("wrong"), "/api/alerts?code=right"), Err(BadSecret::Wrong), "the header wins");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_sent_only_a_secret_opens(code in "[!-~]{0,40}", header in proptest::option::of("[ -~]{0,40}")) {
            let callers = Secrets::knowing(["right-secret"]);
            let Ok(uri) = format!("/api/alerts?{code}").parse::<Uri>() else { return Ok(()) };
            let mut headers = HeaderMap::new();
            if let Some(value) = header.as_deref().and_then(|text| text.parse().ok()) {
                headers.insert(HEADER, value);
            }
            proptest::prop_assert!(callers.check(&headers, &uri).is_err());
        }

        #[test]
        fn a_secret_opens_however_it_is_escaped(secret in "[!-~]{1,60}") {
            let escaped = percent_encoding::utf8_percent_encode(&secret, percent_encoding::NON_ALPHANUMERIC).to_string();
            proptest::prop_assert_eq!(check(&Secrets::knowing([secret.as_str()]), None, &format!("/x?code={escaped}")), Ok(()));
            proptest::prop_assert_eq!(check(&Secrets::knowing([secret.as_str()]), Some(&secret), "/x"), Ok(()));
        }
    }

    #[test]
    fn no_secret_means_nobody() {
        assert_eq!(check(&Secrets::knowing([]), Some("x"), "/"), Err(BadSecret::Wrong));
        assert_eq!(check(&Secrets::Anyone, None, "/"), Ok(()));
    }
}
