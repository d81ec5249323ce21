//! Who we are to a ServiceNow instance.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::clock::add;
use crate::notify::ChannelError;
use crate::notify::api::{Api, credential};
use crate::notify::http::InvalidChannel;
use crate::notify::secret::Secret;

/// A token is renewed so long before it ends.
const EARLY: SignedDuration = SignedDuration::from_secs(60);
/// What a token lives that does not say.
const USUAL_LIFE: i64 = 300;

/// How we sign in.
#[derive(Debug, Clone)]
pub enum Login {
    /// OAuth 2.0 client credentials. The instance must allow that grant
    /// (`glide.oauth.inbound.client.credential.grant_type.enabled`).
    OAuth {
        /// The application's client id.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
    },
    /// A user's name and password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A REST API key.
    ApiKey {
        /// The key.
        key: Secret,
    },
}

impl Login {
    /// What must not be shown.
    #[must_use]
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::OAuth { client_secret: secret, .. }
            | Self::Basic { password: secret, .. }
            | Self::ApiKey { key: secret } => {
                vec![secret]
            }
        }
    }
}

/// The means to sign requests in.
pub(super) struct Auth {
    way: Way,
    token: Mutex<Option<Token>>,
}

enum Way {
    Header(HeaderName, HeaderValue),
    OAuth { client_id: String, client_secret: Secret },
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    until: Timestamp,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.way {
            Way::Header(..) => "Auth(header)",
            Way::OAuth { .. } => "Auth(oauth)",
        })
    }
}

impl Auth {
    pub(super) fn new(channel: &str, login: Login) -> Result<Self, InvalidChannel> {
        let of = |what: &str, secret: &Secret| {
            Secret::from_setting(&format!("{what} of channel {channel}"), secret.expose())
        };
        let way = match login {
            Login::OAuth { client_id, client_secret } => {
                Way::OAuth { client_id, client_secret: of("client secret", &client_secret)? }
            }
            Login::Basic { user, password } => {
                use base64::Engine as _;
                let pair = format!("{user}:{}", of("password", &password)?.expose());
                let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
                Way::Header(AUTHORIZATION, credential(channel, &format!("Basic {encoded}"))?)
            }
            Login::ApiKey { key } => {
                Way::Header(HeaderName::from_static("x-sn-apikey"), credential(channel, of("API key", &key)?.expose())?)
            }
        };
        Ok(Self { way, token: Mutex::new(None) })
    }

    /// The request with our credential.
    pub(super) async fn sign(&self, api: &Api, request: RequestBuilder) -> Result<RequestBuilder, ChannelError> {
        let (client_id, client_secret) = match &self.way {
            Way::Header(name, value) => return Ok(request.header(name, value)),
            Way::OAuth { client_id, client_secret } => (client_id, client_secret),
        };
        // Held while it is fetched: side by side, one asks and the others wait.
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| api.now() < token.until) {
            return Ok(request.header(AUTHORIZATION, &token.header));
        }
        let token = fetch(api, client_id, client_secret).await?;
        let header = token.header.clone();
        *kept = Some(token);
        Ok(request.header(AUTHORIZATION, header))
    }

    /// Forgets a token that was not accepted. Answers whether another one can be had.
    pub(super) async fn forget(&self) -> bool {
        self.token.lock().await.take().is_some()
    }

    /// Signs in anew, to see whether that works.
    pub(super) async fn renew(&self, api: &Api) -> Result<(), ChannelError> {
        self.forget().await;
        self.sign(api, api.request(Method::GET, &[], &[])).await.map(drop)
    }
}

async fn fetch(api: &Api, client_id: &str, client_secret: &Secret) -> Result<Token, ChannelError> {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", client_id)
        .append_pair("client_secret", client_secret.expose())
        .finish();
    let request = api
        .request(Method::POST, &["oauth_token.do"], &[])
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form);
    let asked = api.now();
    let heard = api.ask(request).await?;
    if heard.status.is_redirection() {
        let hint =
            "the address redirects, and redirects are not followed. Set servicenow.instance_url to where it leads";
        return Err(api.refused(&heard, "", hint));
    }
    if !heard.status.is_success() {
        let said = heard.json.as_ref().and_then(|json| json.get("error")).and_then(Value::as_str).unwrap_or_default();
        let hint = "no token was given. Check servicenow.client_id and its secret, that the system property \
                    glide.oauth.inbound.client.credential.grant_type.enabled is true, and that the OAuth entity has an \
                    application user";
        return Err(api.refused(&heard, said, hint));
    }
    let json = heard.json.as_ref();
    let Some(token) =
        json.and_then(|json| json.get("access_token")).and_then(Value::as_str).filter(|it| !it.is_empty())
    else {
        return Err(api.odd(&heard, "there is no token in the answer; the instance may be asleep"));
    };
    let life = json.and_then(|json| json.get("expires_in"));
    let life = life.and_then(|life| life.as_i64().or_else(|| life.as_str()?.parse().ok())).unwrap_or(USUAL_LIFE);
    let header = credential(api.name(), &format!("Bearer {token}"))
        .map_err(|_| api.odd(&heard, "the token in it cannot be sent"))?;
    let until = add(asked, SignedDuration::from_secs(life.clamp(0, 86_400)).saturating_sub(EARLY));
    Ok(Token { header, until })
}
