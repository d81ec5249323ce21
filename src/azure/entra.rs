//! The keys by which a tenant of Entra signs its tokens: found by the tenant's metadata, read without a token of our own.
//!
//! `{login}/{tenant}[/v2.0]/.well-known/openid-configuration` names the issuer and where the keys are (Microsoft, "OpenID Connect
//! on the Microsoft identity platform"). Keys are read at the address that was asked, and nowhere else, whatever that
//! document names; redirects are not followed.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;
use uuid::Uuid;

use super::clouds::{Cloud, ConfigError, address, is_loopback};

/// One answer is waited for this long. There are two, and whoever waits for them has eight seconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest document that is read. Entra's has about 20 KiB.
const LONGEST: usize = 512 * 1024;
/// The most keys that are kept. Entra publishes about ten.
const MOST_KEYS: usize = 100;

/// The two forms of a token. Each has metadata of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenVersion {
    /// `ver` 1.0.
    V1,
    /// `ver` 2.0.
    V2,
}

/// One tenant, as the place that issues tokens.
#[derive(Debug, Clone)]
pub struct Tenant {
    id: Uuid,
    cloud: Cloud,
    login: Url,
    http: reqwest::Client,
}

impl PartialEq for Tenant {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.cloud, &self.login) == (other.id, other.cloud, &other.login)
    }
}

impl Eq for Tenant {}

/// A public RSA key, as it is published: numbers in base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name, by which a token tells which key signed it.
    pub kid: String,
    /// The modulus.
    pub n: String,
    /// The exponent.
    pub e: String,
}

/// Why the keys could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKeys {
    /// Nobody answered, or not as it must be.
    #[error("{url} was not answered as it should be: {why}")]
    Answer {
        /// What was asked.
        url: String,
        /// Why it is no use.
        why: String,
    },
    /// The metadata are another issuer's.
    #[error("the metadata at {url} are of the issuer {issuer:?}, which is not the tenant's")]
    OtherIssuer {
        /// What was asked.
        url: String,
        /// Whom it names.
        issuer: String,
    },
    /// The metadata name another host for the keys.
    #[error("the metadata at {url} say that the keys are at {keys:?}, which is another host and was not asked")]
    Elsewhere {
        /// What was asked.
        url: String,
        /// What it names.
        keys: String,
    },
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    kty: String,
    #[serde(rename = "use")]
    used_for: Option<String>,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
    issuer: Option<String>,
}

impl Tenant {
    /// The tenant `id` of a cloud. `login` is another address for its metadata, for a simulated cloud: plain http on a loopback
    /// address alone.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(id: Uuid, cloud: Cloud, login: Option<&str>) -> Result<Self, ConfigError> {
        let usual = match cloud {
            Cloud::Public => "https://login.microsoftonline.com",
            Cloud::UsGovernment => "https://login.microsoftonline.us",
            Cloud::China => "https://login.partner.microsoftonline.cn",
        };
        let login = address("metadata_endpoint", login.unwrap_or(usual))?;
        let mut http = crate::tls::client()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .user_agent(concat!("keymend/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&login) {
            http = http.no_proxy();
        } else {
            http = http.https_only(true);
        }
        let http = http.build().map_err(|error| ConfigError::Client(error.to_string()))?;
        Ok(Self { id, cloud, login, http })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Where its metadata are.
    #[must_use]
    pub const fn login(&self) -> &Url {
        &self.login
    }

    /// The names by which it issues tokens of a version (Microsoft, "access token claims reference"; those of the other clouds'
    /// version 1 from memory, so that both that are seen are taken).
    #[must_use]
    pub fn issuers(&self, version: TokenVersion) -> Vec<String> {
        let id = self.id;
        let (login, sts) = match self.cloud {
            Cloud::Public => ("login.microsoftonline.com", vec!["sts.windows.net"]),
            Cloud::UsGovernment => ("login.microsoftonline.us", vec!["sts.windows.net", "login.microsoftonline.us"]),
            Cloud::China => ("login.partner.microsoftonline.cn", vec!["sts.chinacloudapi.cn"]),
        };
        match version {
            TokenVersion::V1 => sts.into_iter().map(|host| format!("https://{host}/{id}/")).collect(),
            TokenVersion::V2 => vec![format!("https://{login}/{id}/v2.0")],
        }
    }

    /// Reads the keys that sign tokens of a version. Never none of them.
    ///
    /// # Errors
    /// [`NoKeys`].
    pub async fn signing_keys(&self, version: TokenVersion) -> Result<Vec<SigningKey>, NoKeys> {
        let between = match version {
            TokenVersion::V1 => "",
            TokenVersion::V2 => "/v2.0",
        };
        let mut url = self.login.clone();
        url.set_path(&format!("{}{between}/.well-known/openid-configuration", self.id));
        let metadata: Metadata = self.read(&url).await?;
        if !self.issuers(version).contains(&metadata.issuer) {
            return Err(NoKeys::OtherIssuer { url: url.into(), issuer: short(&metadata.issuer) });
        }
        let keys = Url::parse(&metadata.jwks_uri).ok().filter(|keys| keys.origin() == self.login.origin());
        let Some(at) = keys else {
            return Err(NoKeys::Elsewhere { url: url.into(), keys: short(&metadata.jwks_uri) });
        };
        let published: Published = self.read(&at).await?;
        let keys: Vec<SigningKey> =
            published.keys.into_iter().filter_map(|key| self.fit(key)).take(MOST_KEYS).collect();
        if keys.is_empty() {
            return Err(NoKeys::Answer { url: at.into(), why: "it holds no key that signs tokens".to_owned() });
        }
        Ok(keys)
    }

    /// An RSA key that signs for this tenant. The key's own `issuer`, of either version, may stand for every tenant: `{tenantid}`.
    fn fit(&self, key: PublishedKey) -> Option<SigningKey> {
        let known = [self.issuers(TokenVersion::V1), self.issuers(TokenVersion::V2)].concat();
        let ours = |named: &str| known.contains(&named.replace("{tenantid}", &self.id.to_string()));
        let fits = key.kty == "RSA"
            && key.used_for.as_deref().is_none_or(|used_for| used_for == "sig")
            && key.issuer.as_deref().is_none_or(ours);
        let kid = key.kid.filter(|kid| !kid.is_empty() && kid.len() <= 200);
        fits.then_some(SigningKey { kid: kid?, n: key.n?, e: key.e? })
    }

    async fn read<T: DeserializeOwned>(&self, url: &Url) -> Result<T, NoKeys> {
        self.fetch(url).await.map_err(|why| {
            // What stands behind a question mark is not ours to show.
            let mut url = url.clone();
            url.set_query(None);
            NoKeys::Answer { url: url.into(), why }
        })
    }

    async fn fetch<T: DeserializeOwned>(&self, url: &Url) -> Result<T, String> {
        let in_words = |error: reqwest::Error| super::retry::reason(&error);
        let mut response = self.http.get(url.clone()).send().await.map_err(in_words)?;
        if response.status().as_u16() != 200 {
            return Err(format!("status {}", response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(in_words)? {
            if bytes.len() + chunk.len() > LONGEST {
                return Err(format!("it is longer than {} KiB", LONGEST / 1024));
            }
            bytes.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&bytes).map_err(|error| format!("it is not the JSON that it should be ({error})"))
    }
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(0x9999_9999_8888_7777_6666_5555_5555_5555);

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for ok in [None, Some("http://127.0.0.1:9090"), Some("https://login.example")] {
            assert!(Tenant::new(ID, Cloud::Public, ok).is_ok(), "{ok:?}");
        }
        for bad in ["http://login.example", "http://localhost:1", "https://login.example/path", "ftp://127.0.0.1", "x"]
        {
            assert!(Tenant::new(ID, Cloud::Public, Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_cloud_issues_by_its_own_names() {
        let names = |cloud, version| Tenant::new(ID, cloud, None).unwrap().issuers(version);
        assert_eq!(names(Cloud::Public, TokenVersion::V1), [format!("https://sts.windows.net/{ID}/")]);
        assert_eq!(names(Cloud::Public, TokenVersion::V2), [format!("https://login.microsoftonline.com/{ID}/v2.0")]);
        let us = names(Cloud::UsGovernment, TokenVersion::V2);
        assert_eq!(us, [format!("https://login.microsoftonline.us/{ID}/v2.0")]);
        for version in [TokenVersion::V1, TokenVersion::V2] {
            let china = names(Cloud::China, version);
            assert!(china.iter().all(|name| name.contains(".cn/")), "{china:?}");
        }
    }
}
