//! Who may call: whoever knows the webhook secret, and whoever brings a token of Entra that was issued to an application that may.
//!
//! | file | job |
//! |---|---|
//! | `secrets` | the webhook secret |
//! | [`token`] | a token: what is in it, and who signed it |
//! | `keys` | the tenant's signing keys, kept |
//! | `platform` | what App Service Authentication says of a token that it has checked |

mod keys;
mod platform;
mod secrets;
pub mod token;

use std::sync::Arc;

use axum::http::{HeaderMap, Uri, header};
use jiff::Timestamp;

pub use secrets::BadSecret;
use secrets::Secrets;
use token::Tokens;
pub use token::{BadToken, TokenRules, Trusted};

use super::pages::principal;

/// Those who may call.
#[derive(Debug, Clone)]
pub struct Callers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    secrets: Secrets,
    tokens: Option<ByToken>,
}

#[derive(Debug)]
struct ByToken {
    tokens: Tokens,
    how: HowTokens,
}

/// How tokens count beside secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HowTokens {
    /// Who knows a secret needs no token.
    pub secret_is_enough: bool,
    /// The platform is known to check sign-ins, so its header may be believed.
    pub platform_checks: bool,
}

/// By what somebody was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// By a secret, or because nothing is asked for.
    BySecret,
    /// By a token of this application.
    As(&'static str),
}

/// Why a caller is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Only a secret opens.
    Secret(BadSecret),
    /// A token is wanted, and there is none.
    NoToken,
    /// The token does not open.
    Token(BadToken),
}

impl Callers {
    /// Whoever knows one of these secrets (several, so that one can be replaced without a gap). None means nobody.
    #[must_use]
    pub fn knowing<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Self(Arc::new(Inner { secrets: Secrets::knowing(secrets), tokens: None }))
    }

    /// Anybody at all. For a closed network or a trial; has to be asked for by name.
    #[must_use]
    pub fn anyone() -> Self {
        Self(Arc::new(Inner { secrets: Secrets::Anyone, tokens: None }))
    }

    /// The same who know one of these secrets, and those who bring a token by these rules.
    #[must_use]
    pub fn knowing_or_by_token<'a>(
        secrets: impl IntoIterator<Item = &'a str>,
        rules: TokenRules,
        how: HowTokens,
    ) -> Self {
        Self(Arc::new(Inner { secrets: Secrets::knowing(secrets), tokens: Some(ByToken::new(rules, how)) }))
    }

    /// Those who bring a token by these rules, where somebody else has checked a key before, as the Functions host has.
    #[must_use]
    pub fn checked_or_by_token(rules: TokenRules, how: HowTokens) -> Self {
        Self(Arc::new(Inner { secrets: Secrets::Anyone, tokens: Some(ByToken::new(rules, how)) }))
    }

    /// Reads ahead what is needed to check tokens, so that the first alert need not wait for it.
    pub async fn warm(&self, now: Timestamp) {
        if let Some(by_token) = &self.0.tokens {
            by_token.tokens.warm(now).await;
        }
    }

    /// Whether a request may be taken, by its head alone.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn admit(&self, headers: &HeaderMap, uri: &Uri, now: Timestamp) -> Result<Admitted, Refusal> {
        let Some(by_token) = &self.0.tokens else {
            return self.check(headers, uri).map(|()| Admitted::BySecret).map_err(Refusal::Secret);
        };
        if by_token.how.secret_is_enough && self.check(headers, uri).is_ok() {
            return Ok(Admitted::BySecret);
        }
        let caller = match bearer(headers).map_err(Refusal::Token)? {
            Some(token) => by_token.tokens.check(token, now).await,
            None => by_token.ask_the_platform(headers).ok_or(Refusal::NoToken)?,
        };
        caller.map(|caller| Admitted::As(caller.name)).map_err(Refusal::Token)
    }

    /// Checks a request's secret. Takes as long whichever secret it is, and whether it is one.
    ///
    /// # Errors
    /// [`BadSecret`].
    pub fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), BadSecret> {
        self.0.secrets.check(headers, uri)
    }

    /// Checks a secret that was given elsewhere, as in `Authorization: Bearer`.
    ///
    /// # Errors
    /// [`BadSecret`].
    pub fn knows(&self, secret: &str) -> Result<(), BadSecret> {
        self.0.secrets.knows(secret)
    }
}

impl ByToken {
    fn new(rules: TokenRules, how: HowTokens) -> Self {
        Self { tokens: Tokens::new(rules), how }
    }

    /// `None`: it says nothing, or is not to be believed.
    fn ask_the_platform(&self, headers: &HeaderMap) -> Option<Result<&Trusted, BadToken>> {
        if !self.how.platform_checks {
            return None;
        }
        let mut said = headers.get_all(principal::HEADER).iter();
        let first = said.next()?;
        if said.next().is_some() {
            return Some(Err(BadToken::Malformed));
        }
        Some(platform::check(self.tokens.rules(), first.as_bytes()))
    }
}

/// The token of a request. Two of them are none that can be read; another scheme is no token.
fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, BadToken> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(BadToken::Malformed);
    }
    let value = first.as_bytes();
    match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => Ok(Some(token.trim_ascii())),
        _ => Ok(None),
    }
}
