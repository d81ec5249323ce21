//! Our credential as the official storage crates take one.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::time::OffsetDateTime;
use jiff::SignedDuration;

use crate::azure::Credential;
use crate::clock::{Clock, add};

/// For how long the crates may keep a token: ours is good for five minutes at least, and cached where it comes from.
const KEPT: SignedDuration = SignedDuration::from_mins(5);

#[derive(Debug)]
struct Adapter {
    credential: Credential,
    clock: Clock,
}

/// Wraps a credential. Tokens end by the machine's own clock, never by a scaled one.
#[must_use]
pub fn token_credential(credential: Credential) -> Arc<dyn TokenCredential> {
    Arc::new(Adapter { credential, clock: Clock::system() })
}

#[async_trait]
impl TokenCredential for Adapter {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let now = self.clock.now();
        let scope = scopes.first().copied().unwrap_or_default();
        let token = self
            .credential
            .bearer(scope, now)
            .await
            .map_err(|error| azure_core::Error::with_message(ErrorKind::Credential, error.to_string()))?;
        let end = OffsetDateTime::from_unix_timestamp(add(now, KEPT).as_second())
            .map_err(|error| azure_core::Error::with_message(ErrorKind::Credential, error.to_string()))?;
        Ok(AccessToken::new(token.expose().to_owned(), end))
    }
}
