//! Who we are to Azure, and what time it is there: read from our own tokens and from the headers of its answers.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::azure::error::AzureError;
use crate::azure::request::Request;
use crate::azure::retry::Lost;
use crate::azure::transport::Azure;

/// Whom a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The Resource Manager.
    ResourceManager,
    /// Every key vault of the cloud.
    KeyVault,
}

/// What a token says of whoever holds it. Nothing here is proof: the token is our own, and nobody has checked it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The Entra object id of the principal: what role assignments and access policies name.
    pub object_id: Option<String>,
    /// The application (client) id.
    pub application_id: Option<String>,
    /// The tenant's id.
    pub tenant_id: Option<String>,
    /// Whether a person is signed in, and no application.
    pub person: bool,
}

impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("object", &self.object_id), ("application", &self.application_id), ("tenant", &self.tenant_id)];
        let mut told = parts.into_iter().filter_map(|(name, id)| Some((name, id.as_ref()?)));
        if let Some((name, id)) = told.next() {
            write!(f, "{name} {id}")?;
        }
        told.try_for_each(|(name, id)| write!(f, ", {name} {id}"))
    }
}

/// Names of claims in version 1 and version 2 tokens (Microsoft, "Access token claims reference").
#[derive(Deserialize)]
struct Payload {
    oid: Option<Value>,
    appid: Option<Value>,
    azp: Option<Value>,
    tid: Option<Value>,
    idtyp: Option<Value>,
    upn: Option<Value>,
    unique_name: Option<Value>,
    scp: Option<Value>,
}

/// The claims of a JSON Web Token, unverified; `None` where it is none.
#[must_use]
pub fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let payload: Payload = serde_json::from_slice(&payload).ok()?;
    // Only what looks like an id is taken over: claims end up in what people read and paste.
    let id = |claim: &Option<Value>| {
        let text = claim.as_ref()?.as_str()?;
        uuid::Uuid::try_parse(text).ok().map(|_| text.to_owned())
    };
    let is_app = payload.idtyp.as_ref().and_then(Value::as_str) == Some("app");
    let names_person = payload.upn.is_some() || payload.unique_name.is_some() || payload.scp.is_some();
    Some(Claims {
        object_id: id(&payload.oid),
        application_id: id(&payload.appid).or_else(|| id(&payload.azp)),
        tenant_id: id(&payload.tid),
        person: !is_app && names_person,
    })
}

impl Azure {
    /// Gets a token and tells whose it is; `None` where the token does not tell.
    ///
    /// # Errors
    /// [`AzureError::Credential`] if there is no token to be had.
    pub async fn caller(&self, audience: Audience) -> Result<Option<Claims>, AzureError> {
        let scope = match audience {
            Audience::ResourceManager => &self.endpoints().arm_scope,
            Audience::KeyVault => &self.endpoints().vault_scope,
        };
        let token = self.credential().bearer(scope, self.clock().now()).await?;
        Ok(claims(token.expose()))
    }

    /// Asks about a subscription and tells what is heard, whatever the answer is; one more try where there is none.
    ///
    /// # Errors
    /// [`AzureError`] if there was no answer, or no token to ask with.
    pub async fn hear(&self, subscription: &str) -> Result<Heard, AzureError> {
        let path = format!("/subscriptions/{subscription}");
        let request = Request::get(&path, "2022-12-01", "Microsoft.Resources/subscriptions/read");
        let mut last = self.once(&request, self.ids().uuid()).await;
        if matches!(last, Err(Lost::NotSent(_) | Lost::Sent(_))) {
            last = self.once(&request, self.ids().uuid()).await;
        }
        match last {
            Ok(answer) => Ok(Heard { status: answer.status, there: answer.headers.date, here: self.clock().now() }),
            // There is an answer, only none of use.
            Err(Lost::Final(AzureError::BadAnswer { .. })) => {
                Ok(Heard { status: 200, there: None, here: self.clock().now() })
            }
            Err(Lost::Final(error)) => Err(error),
            Err(Lost::NotSent(why) | Lost::Sent(why)) => Err(AzureError::Unreachable { what: request.what(), why }),
        }
    }
}

/// What an answer of the Resource Manager tells besides its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// HTTP status.
    pub status: u16,
    /// What the clock there showed, if the answer says so.
    pub there: Option<Timestamp>,
    /// What ours showed when the answer came.
    pub here: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn token(payload: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.signature", part(&json!({"alg": "RS256"})), part(payload))
    }

    const ID: &str = "c0ffee00-0000-4000-8000-00000000000a";

    #[test]
    fn both_versions_of_tokens_are_read() {
        let app = claims(&token(&json!({"oid": ID, "appid": ID, "tid": ID, "idtyp": "app"}))).unwrap();
        assert_eq!((app.object_id.as_deref(), app.application_id.as_deref(), app.person), (Some(ID), Some(ID), false));
        let person = claims(&token(&json!({"oid": ID, "azp": ID, "upn": "ann@contoso.example"}))).unwrap();
        assert!(person.person && person.application_id.is_some());
        assert_eq!(person.to_string(), format!("object {ID}, application {ID}"));
    }

    #[test]
    fn a_text_that_is_no_id_is_not_taken_over() {
        let read = claims(&token(&json!({"oid": "'; rm -rf /", "tid": 7}))).unwrap();
        assert_eq!(read, Claims::default());
        assert_eq!(claims("drill-token"), None);
    }

    proptest! {
        #[test]
        fn no_token_panics(token in "\\PC{0,80}", payload in "\\PC{0,80}") {
            let _ = claims(&token);
            let _ = claims(&format!("a.{}.b", URL_SAFE_NO_PAD.encode(payload)));
        }
    }
}
