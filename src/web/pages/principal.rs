//! Who is signed in, as App Service Authentication ("Easy Auth") says it in `X-MS-CLIENT-PRINCIPAL`.
//!
//! The header is base64 of `{"auth_typ", "name_typ", "role_typ", "claims": [{"typ", "val"}]}` (Microsoft, "Work with user
//! identities in Azure App Service authentication"; not tried in a tenant). Whether it may be believed is not seen here.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

/// The header.
pub const HEADER: &str = "x-ms-client-principal";

/// The longest header that is read: a person in 200 groups, the most that Entra puts into a token, has about 16 KiB.
const LONGEST: usize = 64 * 1024;
/// The most claims that are looked at.
const MOST_CLAIMS: usize = 1000;

const GROUPS: [&str; 4] = [
    "groups",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
    "roles",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
];
const NAMES: [&str; 5] = [
    "preferred_username",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
    "name",
];
const OBJECT_IDS: [&str; 2] = ["http://schemas.microsoft.com/identity/claims/objectidentifier", "oid"];
/// Claims that stand where there are too many groups for a token.
const OVERAGE: [&str; 3] = ["_claim_names", "hasgroups", "_claim_sources"];

/// A signed-in person or application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The name that people know, cut to 200 characters; the object id where there is none.
    pub name: String,
    /// The object id in Entra.
    pub oid: Option<String>,
    /// Object ids of groups, and app roles.
    pub groups: Vec<String>,
    /// Entra left the groups out, because there were too many.
    pub too_many_groups: bool,
}

/// Why a principal cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Longer than [`LONGEST`].
    #[error("it is too long")]
    TooLong,
    /// Not base64.
    #[error("it is no base64")]
    NotBase64,
    /// Not the JSON that it has to be.
    #[error("it is not the JSON that it has to be")]
    NotJson,
    /// Nobody is named in it.
    #[error("it names nobody")]
    Nobody,
}

/// What the platform says of who signed in.
#[derive(Deserialize)]
pub(in crate::web) struct Wire {
    #[serde(default)]
    pub auth_typ: String,
    #[serde(default)]
    name_typ: Option<String>,
    #[serde(default)]
    role_typ: Option<String>,
    pub claims: Vec<Claim>,
}

/// One claim.
#[derive(Deserialize)]
pub(in crate::web) struct Claim {
    pub typ: String,
    pub val: String,
}

impl Wire {
    /// Reads the header's value.
    pub fn read(header: &[u8]) -> Result<Self, Unreadable> {
        if header.len() > LONGEST {
            return Err(Unreadable::TooLong);
        }
        let text = header.trim_ascii();
        let decoded = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text));
        let decoded = decoded.map_err(|_| Unreadable::NotBase64)?;
        let mut wire: Self = serde_json::from_slice(&decoded).map_err(|_| Unreadable::NotJson)?;
        wire.claims.truncate(MOST_CLAIMS);
        Ok(wire)
    }
}

impl Principal {
    /// Reads the header's value.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(header: &[u8]) -> Result<Self, Unreadable> {
        Self::of(Wire::read(header)?)
    }

    fn of(wire: Wire) -> Result<Self, Unreadable> {
        let claims = wire.claims;
        let is = |claim: &Claim, names: &[&str]| names.iter().any(|name| claim.typ.eq_ignore_ascii_case(name));
        let first = |name: &str| {
            let found = claims.iter().find(|claim| claim.typ.eq_ignore_ascii_case(name));
            found.map(|claim| claim.val.trim()).filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let oid = OBJECT_IDS.iter().find_map(|name| first(name));
        let named = NAMES.iter().find_map(|name| first(name)).or_else(|| wire.name_typ.as_deref().and_then(first));
        let Some(name) = named.or_else(|| oid.clone()) else { return Err(Unreadable::Nobody) };
        let role = wire.role_typ.unwrap_or_default();
        let mut groups: Vec<String> = claims
            .iter()
            .filter(|claim| is(claim, &GROUPS) || (!role.is_empty() && claim.typ.eq_ignore_ascii_case(&role)))
            .map(|claim| claim.val.trim().to_owned())
            .filter(|value| !value.is_empty())
            .collect();
        groups.sort();
        groups.dedup();
        let too_many_groups = claims.iter().any(|claim| is(claim, &OVERAGE));
        Ok(Self { name: name.chars().take(200).collect(), oid, groups, too_many_groups })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn header(principal: &Value) -> String {
        STANDARD.encode(principal.to_string())
    }

    #[test]
    fn reads_what_easy_auth_sends() {
        let sent = json!({
            "auth_typ": "aad",
            "name_typ": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
            "role_typ": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
            "claims": [
                { "typ": "aud", "val": "e2b7d3f0" },
                { "typ": "name", "val": "Ada Lovelace" },
                { "typ": "preferred_username", "val": "ada@contoso.example" },
                { "typ": "http://schemas.microsoft.com/identity/claims/objectidentifier", "val": "0b2f" },
                { "typ": "groups", "val": "7d1a" },
                { "typ": "groups", "val": "7d1a" },
                { "typ": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role", "val": "Keymend.Approver" },
            ],
        });
        let read = Principal::read(header(&sent).as_bytes()).unwrap();
        assert_eq!(read.name, "ada@contoso.example");
        assert_eq!(read.oid.as_deref(), Some("0b2f"));
        assert_eq!(read.groups, ["7d1a", "Keymend.Approver"]);
        assert!(!read.too_many_groups);
    }

    #[test]
    fn says_why_it_cannot_be_read() {
        let read = |header: &str| Principal::read(header.as_bytes());
        assert_eq!(read("{}"), Err(Unreadable::NotBase64));
        assert_eq!(read(&"A".repeat(LONGEST + 1)), Err(Unreadable::TooLong));
        for wrong in [json!([]), json!({}), json!({ "claims": "x" }), json!({ "claims": [{ "typ": 1, "val": "x" }] })] {
            assert_eq!(read(&header(&wrong)), Err(Unreadable::NotJson), "{wrong}");
        }
        let nobody = json!({ "claims": [{ "typ": "groups", "val": "7d1a" }, { "typ": "name", "val": "  " }] });
        assert_eq!(read(&header(&nobody)), Err(Unreadable::Nobody));
        let crowded = json!({ "claims": [{ "typ": "name", "val": "ada" }, { "typ": "_claim_names", "val": "{}" }] });
        assert!(read(&header(&crowded)).unwrap().too_many_groups);
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_makes_it_fall(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Principal::read(&bytes);
            let _ = Principal::read(STANDARD.encode(&bytes).as_bytes());
        }

        #[test]
        fn groups_come_from_group_claims_alone(typ in "[a-zA-Z_:/.]{1,40}", val in "[ -~]{1,40}") {
            prop_assume!(!GROUPS.iter().any(|name| name.eq_ignore_ascii_case(&typ)));
            let sent = json!({ "claims": [{ "typ": "oid", "val": "0b2f" }, { "typ": typ, "val": val }] });
            let read = Principal::read(header(&sent).as_bytes()).unwrap();
            prop_assert!(read.groups.is_empty());
        }
    }
}
