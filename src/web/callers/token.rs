//! A token of Entra, as Action Groups and Event Grid send it: who signed it, for whom, for how long, and to whom.
//!
//! Facts: Microsoft, "access tokens in the Microsoft identity platform" and "access token claims reference"; "Action groups"
//! (secure webhook); "Deliver events to Microsoft Entra protected endpoints". No such token was seen.

use std::sync::Arc;

use jiff::Timestamp;
use jsonwebtoken::dangerous::insecure_decode;
use jsonwebtoken::{Algorithm, Validation, decode};
use serde::Deserialize;

use super::keys::{Keys, NoKey};
use crate::azure::entra::{Tenant, TokenVersion};

/// The longest token that is looked at. One for an application has about 1.5 KiB.
const LONGEST: usize = 16 * 1024;
/// By how much the clocks of Entra and of this machine may differ.
const SKEW: i64 = 300;

/// An application that may call, if it has the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// What it is, for people.
    pub name: &'static str,
    /// Its application id.
    pub app: String,
    /// The role of our application that must have been assigned to it.
    pub role: String,
}

/// What a token must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules {
    /// Who must have issued it.
    pub tenant: Tenant,
    /// Whom it must be for: the client id of our application, and its identifier URIs.
    pub audiences: Vec<String>,
    /// Who may have got it.
    pub callers: Vec<Trusted>,
}

/// Why a token does not open the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It cannot be read as a token.
    #[error("it is no token that can be read")]
    Malformed,
    /// Not RS256.
    #[error("it is not signed by RS256")]
    Algorithm,
    /// It brings a key of its own, or names one elsewhere.
    #[error("it brings its own key")]
    OwnKey,
    /// Another issuer.
    #[error("it was issued by another tenant or cloud than callers.tenant_id says")]
    Issuer,
    /// For somebody else.
    #[error("it is for another application than callers.client_id says")]
    Audience,
    /// Too old.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    TooEarly,
    /// For a person.
    #[error("it is a person's and not an application's")]
    Delegated,
    /// Somebody else's.
    #[error("it belongs to an application that may not call")]
    Application,
    /// The role is missing.
    #[error("its application was not assigned the role that it needs")]
    Role,
    /// The tenant has no such key.
    #[error("it is signed by a key that the tenant does not have")]
    UnknownKey,
    /// Wrong signature.
    #[error("its signature is wrong")]
    Signature,
    /// The keys cannot be had now.
    #[error("the tenant's signing keys cannot be read now")]
    CannotTell,
}

/// The claims that count. One that is there twice makes it unreadable.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub aud: String,
    pub exp: i64,
    pub nbf: Option<i64>,
    pub iat: Option<i64>,
    pub tid: Option<String>,
    pub appid: Option<String>,
    pub azp: Option<String>,
    #[serde(default)]
    pub roles: Vec<String>,
    pub scp: Option<serde_json::Value>,
}

/// Checks tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    rules: TokenRules,
    v1: Arc<Keys>,
    v2: Arc<Keys>,
}

impl Tokens {
    pub fn new(rules: TokenRules) -> Self {
        let keys = |version| Arc::new(Keys::new(rules.tenant.clone(), version));
        Self { v1: keys(TokenVersion::V1), v2: keys(TokenVersion::V2), rules }
    }

    pub fn rules(&self) -> &TokenRules {
        &self.rules
    }

    /// Reads the keys ahead.
    pub async fn warm(&self, now: Timestamp) {
        futures::join!(self.v1.warm(now), self.v2.warm(now));
    }

    /// Whose token it is. What costs nothing comes first: only a token that is right but for its signature makes us ask for keys.
    ///
    /// # Errors
    /// [`BadToken`].
    pub async fn check(&self, token: &[u8], now: Timestamp) -> Result<&Trusted, BadToken> {
        if token.len() > LONGEST {
            return Err(BadToken::Malformed);
        }
        let unproved = insecure_decode::<Claims>(token).map_err(|_| shape(token))?;
        let header = unproved.header;
        if header.alg != Algorithm::RS256 {
            return Err(BadToken::Algorithm);
        }
        if header.jwk.is_some() || header.jku.is_some() || header.x5u.is_some() || header.x5c.is_some() {
            return Err(BadToken::OwnKey);
        }
        let kid = header.kid.filter(|kid| !kid.is_empty()).ok_or(BadToken::Malformed)?;
        let version = self.rules.version(&unproved.claims.iss)?;
        self.rules.judge(&unproved.claims, version, now)?;
        let keys = match version {
            TokenVersion::V1 => &self.v1,
            TokenVersion::V2 => &self.v2,
        };
        let key = keys.find(&kid, now).await.map_err(|why| match why {
            NoKey::Unknown => BadToken::UnknownKey,
            NoKey::CannotTell => BadToken::CannotTell,
        })?;
        let proved = decode::<Claims>(token, &key, &signature_alone()).map_err(|_| BadToken::Signature)?;
        self.rules.judge(&proved.claims, version, now)
    }
}

/// The signature, by RS256 and nothing else. The claims are judged by us: the library knows no clock but the machine's.
fn signature_alone() -> Validation {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
}

/// What is wrong with a token that cannot be read: most often its algorithm, which is worth to be said.
fn shape(token: &[u8]) -> BadToken {
    match jsonwebtoken::decode_header(token) {
        Ok(header) if header.alg == Algorithm::RS256 => BadToken::Malformed,
        Ok(_) => BadToken::Algorithm,
        Err(_) => BadToken::Malformed,
    }
}

impl TokenRules {
    fn version(&self, issuer: &str) -> Result<TokenVersion, BadToken> {
        let is = |version: &TokenVersion| self.tenant.issuers(*version).iter().any(|known| known == issuer);
        [TokenVersion::V1, TokenVersion::V2].into_iter().find(is).ok_or(BadToken::Issuer)
    }

    /// Who the claims say has got the token, if it may call.
    fn judge(&self, claims: &Claims, version: TokenVersion, now: Timestamp) -> Result<&Trusted, BadToken> {
        if self.version(&claims.iss)? != version {
            return Err(BadToken::Issuer);
        }
        let now = now.as_second();
        if claims.exp.saturating_add(SKEW) <= now {
            return Err(BadToken::Expired);
        }
        if [claims.nbf, claims.iat].into_iter().flatten().any(|from| from.saturating_sub(SKEW) > now) {
            return Err(BadToken::TooEarly);
        }
        let (app, other) = match version {
            TokenVersion::V1 => (&claims.appid, &claims.azp),
            TokenVersion::V2 => (&claims.azp, &claims.appid),
        };
        if other.is_some() && other != app {
            return Err(BadToken::Application);
        }
        self.admit(&claims.aud, claims.tid.as_deref(), app.as_deref(), &claims.roles, claims.scp.is_some())
    }

    /// The same of claims whose signature and time somebody else has checked.
    pub(super) fn admit(
        &self,
        audience: &str,
        tenant: Option<&str>,
        app: Option<&str>,
        roles: &[String],
        of_a_person: bool,
    ) -> Result<&Trusted, BadToken> {
        if tenant.is_none_or(|tenant| !tenant.eq_ignore_ascii_case(&self.tenant.id().to_string())) {
            return Err(BadToken::Issuer);
        }
        if !self.audiences.iter().any(|known| known.eq_ignore_ascii_case(audience)) {
            return Err(BadToken::Audience);
        }
        if of_a_person {
            return Err(BadToken::Delegated);
        }
        let known = |caller: &&Trusted| app.is_some_and(|app| app.eq_ignore_ascii_case(&caller.app));
        let caller = self.callers.iter().find(known).ok_or(BadToken::Application)?;
        if roles.contains(&caller.role) { Ok(caller) } else { Err(BadToken::Role) }
    }
}
