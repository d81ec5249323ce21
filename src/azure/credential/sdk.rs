//! Our credential as the official crates take one.

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::time::OffsetDateTime;
use jiff::{SignedDuration, Timestamp};

use super::{Credential, Token};
use crate::azure::clouds::STORAGE_SCOPE;
use crate::clock::{Clock, add};

/// What the official crates are told about a token that does not end.
const LONG: SignedDuration = SignedDuration::from_hours(1);

/// Tokens for Azure Storage, through our cache.
#[derive(Debug)]
pub(super) struct StorageCredential {
    credential: Credential,
    clock: Clock,
}

impl StorageCredential {
    pub(super) fn new(credential: Credential, clock: Clock) -> Self {
        Self { credential, clock }
    }
}

#[async_trait::async_trait]
impl TokenCredential for StorageCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let refused = |why: String| Error::with_message(ErrorKind::Credential, why);
        if scopes != [STORAGE_SCOPE] {
            return Err(refused(format!("this credential is for {STORAGE_SCOPE} alone, and was asked for {scopes:?}")));
        }
        if self.credential.loopback_only() {
            let why = "a fixed token is for a simulated cloud, and Azure Storage is none; name the storage by a connection string, or choose another azure.credential";
            return Err(refused(why.to_owned()));
        }
        let now = self.clock.now();
        let Token { secret, expires } =
            self.credential.token(STORAGE_SCOPE, now).await.map_err(|error| refused(error.to_string()))?;
        let expires = expires.unwrap_or_else(|| add(now, LONG));
        Ok(AccessToken::new(secret.expose().to_owned(), moment(expires)?))
    }
}

fn moment(at: Timestamp) -> azure_core::Result<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(at.as_second())
        .map_err(|error| Error::with_error(ErrorKind::DataConversion, error, "the token's end is no date"))
}
