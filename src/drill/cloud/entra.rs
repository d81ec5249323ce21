//! Entra, as far as it signs tokens for callers: a tenant's metadata, its keys, and the tokens of Action Groups and Event Grid.
//!
//! What a token holds: Microsoft, "access token claims reference". The keys are made when they are first asked for.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::{Answer, Request};
use super::{Cloud, Inner, lock};

/// How long a token is good, in seconds: Entra's are good for 60 to 90 minutes.
const GOOD_FOR: i64 = 75 * 60;

/// An application of the tenant by which callers are protected: the Action Group and Event Grid then send tokens for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecureWebhook {
    /// Its client id.
    pub client_id: String,
    /// Its identifier URI: whom a token of version 1 is for.
    pub identifier_uri: String,
    /// Which tokens it takes (`accessTokenAcceptedVersion`): 1 or 2.
    pub version: u8,
    /// The roles that were assigned to Azure Monitor's service principal.
    pub roles: Vec<String>,
    /// The roles that were assigned to Event Grid's.
    pub event_grid_roles: Vec<String>,
}

impl Default for SecureWebhook {
    fn default() -> Self {
        Self {
            client_id: "cccccccc-0000-0000-0000-000000000001".to_owned(),
            identifier_uri: "api://keymend".to_owned(),
            version: 2,
            roles: vec!["ActionGroupsSecureWebhook".to_owned()],
            event_grid_roles: vec!["AzureEventGridSecureWebhookSubscriber".to_owned()],
        }
    }
}

/// A first-party application that calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstParty {
    /// Azure Monitor, for secure webhooks of Action Groups.
    ActionGroups,
    /// Event Grid.
    EventGrid,
}

impl FirstParty {
    /// Its application id.
    #[must_use]
    pub const fn app(self) -> &'static str {
        match self {
            Self::ActionGroups => "461e8683-5575-4561-ac7f-899cc907d62a",
            Self::EventGrid => "4962773b-9cdb-44cf-a8bf-237846a00ab7",
        }
    }
}

/// The keys of the tenant; the last one signs.
#[derive(Default)]
pub(super) struct Entra(Vec<Arc<Key>>);

struct Key {
    kid: String,
    pair: RsaKeyPair,
}

impl Key {
    fn new(number: usize) -> Option<Self> {
        Some(Self { kid: format!("simulated-key-{number}"), pair: RsaKeyPair::generate(KeySize::Rsa2048).ok()? })
    }

    fn published(&self, issuer: &str) -> Value {
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.pair.public_key());
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "RSA", "use": "sig", "kid": self.kid, "x5t": self.kid, "n": text(&public.n), "e": text(&public.e),
            "x5c": [], "issuer": issuer,
        })
    }

    fn sign(&self, message: &str) -> Option<String> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).ok()?;
        Some(URL_SAFE_NO_PAD.encode(signature))
    }
}

impl Entra {
    fn newest(&mut self) -> Option<Arc<Key>> {
        if self.0.is_empty() {
            self.roll();
        }
        self.0.last().cloned()
    }

    fn roll(&mut self) {
        let number = self.0.last().and_then(|key| key.kid.rsplit('-').next()?.parse::<usize>().ok()).unwrap_or(0) + 1;
        self.0.extend(Key::new(number).map(Arc::new));
    }
}

/// Whether a path is one of those that are answered here.
pub(super) fn is_public(path: &str) -> bool {
    path.ends_with("/.well-known/openid-configuration")
        || path.ends_with("/discovery/keys")
        || path.ends_with("/discovery/v2.0/keys")
}

/// What anybody may read.
pub(super) fn answer(entra: &mut Entra, tenant: &str, request: &Request) -> Answer {
    let path = request.path.as_str();
    if !path.starts_with(&format!("/{tenant}/")) {
        let why = "AADSTS90002: Tenant not found. Check to make sure you have the correct tenant ID.";
        return Answer::json(400, json!({ "error": "invalid_tenant", "error_description": why }));
    }
    let (issuer, base) = (issuer(tenant, if path.contains("/v2.0") { 2 } else { 1 }), &request.base);
    if path.ends_with("keys") {
        entra.newest();
        let keys: Vec<Value> = entra.0.iter().map(|key| key.published(&issuer)).collect();
        return Answer::json(200, json!({ "keys": keys }));
    }
    let between = if path.contains("/v2.0") { "/v2.0" } else { "" };
    Answer::json(
        200,
        json!({
            "issuer": issuer, "jwks_uri": format!("{base}/{tenant}/discovery{between}/keys"),
            "token_endpoint": format!("{base}/{tenant}/oauth2{between}/token"),
            "id_token_signing_alg_values_supported": ["RS256"], "subject_types_supported": ["pairwise"],
        }),
    )
}

fn issuer(tenant: &str, version: u8) -> String {
    match version {
        1 => format!("https://sts.windows.net/{tenant}/"),
        _ => format!("https://login.microsoftonline.com/{tenant}/v2.0"),
    }
}

/// What is in a token that a first-party application gets for the protected one.
fn claims(tenant: &str, hook: &SecureWebhook, who: FirstParty, now: Timestamp) -> Value {
    let issued = now.as_second();
    let roles = match who {
        FirstParty::ActionGroups => &hook.roles,
        FirstParty::EventGrid => &hook.event_grid_roles,
    };
    let mut claims = json!({
        "iss": issuer(tenant, hook.version), "iat": issued, "nbf": issued, "exp": issued + GOOD_FOR,
        "oid": "dddddddd-0000-0000-0000-000000000001", "sub": "dddddddd-0000-0000-0000-000000000001",
        "tid": tenant, "uti": "simulated", "roles": roles,
    });
    let (app, acr, aud, ver) = match hook.version {
        1 => ("appid", "appidacr", &hook.identifier_uri, "1.0"),
        _ => ("azp", "azpacr", &hook.client_id, "2.0"),
    };
    claims[app] = who.app().into();
    claims[acr] = "2".into();
    claims["aud"] = aud.as_str().into();
    claims["ver"] = ver.into();
    claims
}

impl Inner {
    /// The token that a first-party application sends, if the world has a protected application.
    pub(super) fn token_of(&self, who: FirstParty) -> Option<String> {
        let cloud = self.clock.now();
        let (tenant, hook) = {
            let state = lock(&self.state);
            (state.world.tenant.clone(), state.world.alerts.secure_webhook.clone()?)
        };
        Some(self.sign(&claims(&tenant, &hook, who, cloud)))
    }

    fn sign(&self, claims: &Value) -> String {
        let key = lock(&self.entra).newest();
        let header =
            key.as_ref().map(|key| json!({ "typ": "JWT", "alg": "RS256", "kid": key.kid })).unwrap_or_default();
        self.sign_as(&header.to_string(), &claims.to_string())
    }

    fn sign_as(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let key = lock(&self.entra).newest();
        let signature = key.and_then(|key| key.sign(&message)).unwrap_or_default();
        format!("{message}.{signature}")
    }
}

impl Cloud {
    /// What is in the token that a first-party application gets now for the protected application; null without one.
    #[must_use]
    pub fn claims_of(&self, who: FirstParty) -> Value {
        let state = lock(&self.0.state);
        let hook = state.world.alerts.secure_webhook.as_ref();
        hook.map(|hook| claims(&state.world.tenant, hook, who, self.0.clock.now())).unwrap_or_default()
    }

    /// A token with these claims, signed by the tenant's newest key.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.0.sign(claims)
    }

    /// The same under a header of one's own, both as texts: what Entra never issues.
    #[must_use]
    pub fn sign_as(&self, header: &str, claims: &str) -> String {
        self.0.sign_as(header, claims)
    }

    /// The tenant's newest key, as it is published.
    #[must_use]
    pub fn signing_key(&self) -> Value {
        let key = lock(&self.0.entra).newest();
        key.map(|key| key.published("")).unwrap_or_default()
    }

    /// From now on another key signs; the older ones stay published.
    pub fn roll_signing_key(&self) {
        let mut entra = lock(&self.0.entra);
        entra.newest();
        entra.roll();
    }

    /// Publishes the newest key alone.
    pub fn withdraw_older_signing_keys(&self) {
        let mut entra = lock(&self.0.entra);
        let older = entra.0.len().saturating_sub(1);
        entra.0.drain(..older);
    }
}
