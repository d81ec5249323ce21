//! The word of the platform: App Service Authentication has checked a caller's token and says what was in it.
//!
//! Only where the platform is known to check every request may its header be believed: elsewhere anybody can send it. Claims
//! come under their own names or under those of WS-Federation (Microsoft, "Work with user identities"; not tried in a tenant).

use super::token::{BadToken, TokenRules, Trusted};
use crate::web::pages::principal::Wire;

const TENANT: [&str; 2] = ["tid", "http://schemas.microsoft.com/identity/claims/tenantid"];
const APP: [&str; 3] = ["azp", "appid", "http://schemas.microsoft.com/identity/claims/applicationid"];
const ROLES: [&str; 2] = ["roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"];
const SCOPE: [&str; 2] = ["scp", "http://schemas.microsoft.com/identity/claims/scope"];

/// Whose token the platform says it was.
///
/// # Errors
/// [`BadToken`].
pub(super) fn check<'a>(rules: &'a TokenRules, header: &[u8]) -> Result<&'a Trusted, BadToken> {
    let wire = Wire::read(header).map_err(|_| BadToken::Malformed)?;
    if !["aad", "azureactivedirectory"].iter().any(|known| wire.auth_typ.eq_ignore_ascii_case(known)) {
        return Err(BadToken::Issuer);
    }
    let all = |names: &[&str]| -> Vec<String> {
        let named = wire.claims.iter().filter(|claim| names.contains(&claim.typ.as_str()));
        named.map(|claim| claim.val.clone()).collect()
    };
    // Two that differ are no answer.
    let one = |names: &[&str]| -> Result<Option<String>, BadToken> {
        let mut values = all(names);
        values.dedup();
        if values.len() > 1 { Err(BadToken::Malformed) } else { Ok(values.pop()) }
    };
    let (audience, tenant, app) = (one(&["aud"])?.unwrap_or_default(), one(&TENANT)?, one(&APP)?);
    rules.admit(&audience, tenant.as_deref(), app.as_deref(), &all(&ROLES), !all(&SCOPE).is_empty())
}
