//! The Activity Log: who changed what the key's access depends on (api-version 2015-04-01).
//!
//! It lags 3–20 minutes, and edits of keys (enable, disable, delete, expiry) are never in it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::azure::error::AzureError;
use crate::azure::json::shaped;
use crate::azure::request::Request;
use crate::azure::transport::Azure;
use crate::domain::dependent::as_of_a_server;
use crate::domain::evidence::{CallerKind, Change};

const API: &str = "2015-04-01";
/// Pages of one resource group's log that are read: newest first, so a busy group loses its oldest events.
const MOST_PAGES: usize = 5;

/// Operations that can take a key away from SQL or say why, in lower case; those of whatever holds databases by their names on
/// a logical server.
const OPERATIONS: [&str; 16] = [
    "microsoft.keyvault/vaults/write",
    "microsoft.keyvault/vaults/delete",
    "microsoft.keyvault/vaults/accesspolicies/write",
    "microsoft.keyvault/locations/deletedvaults/purge/action",
    "microsoft.authorization/roleassignments/write",
    "microsoft.authorization/roleassignments/delete",
    "microsoft.authorization/denyassignments/write",
    "microsoft.authorization/denyassignments/delete",
    "microsoft.authorization/locks/write",
    "microsoft.authorization/locks/delete",
    "microsoft.managedidentity/userassignedidentities/write",
    "microsoft.managedidentity/userassignedidentities/delete",
    "microsoft.sql/servers/write",
    "microsoft.sql/servers/encryptionprotector/write",
    "microsoft.sql/servers/keys/write",
    "microsoft.sql/servers/keys/delete",
];

impl Azure {
    /// The changes of one resource group between two moments that bear on key access, newest first.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn changes(
        &self,
        subscription: &str,
        resource_group: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Change>, AzureError> {
        let path = format!("/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values");
        let filter = format!(
            "eventTimestamp ge '{from}' and eventTimestamp le '{to}' and resourceGroupName eq '{}'",
            resource_group.replace('\'', "")
        );
        let request = Request::get(&path, API, "Microsoft.Insights/eventtypes/values/read").with("$filter", &filter);
        let (items, _) = self.some_pages(request, MOST_PAGES).await?;
        // One event in an unknown shape must not hide the others: this list only adds to what is known.
        let mut changes: Vec<Change> = items.iter().filter_map(parse).collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.at));
        Ok(changes)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    event_timestamp: Timestamp,
    operation_name: Localizable,
    status: Localizable,
    caller: Option<String>,
    #[serde(default)]
    claims: Value,
    resource_id: Option<String>,
    authorization: Option<Authorization>,
    correlation_id: Option<String>,
}

#[derive(Deserialize)]
struct Localizable {
    value: String,
}

#[derive(Deserialize)]
struct Authorization {
    scope: Option<String>,
}

pub(super) fn parse(item: &Value) -> Option<Change> {
    let wire: Wire = shaped(item).ok()?;
    let operation = wire.operation_name.value.to_ascii_lowercase();
    if !OPERATIONS.contains(&as_of_a_server(&operation).as_str())
        || !wire.status.value.eq_ignore_ascii_case("Succeeded")
    {
        return None;
    }
    let caller_kind = caller_kind(wire.caller.as_deref(), &wire.claims);
    let caller = wire.caller.filter(|caller| !caller.trim().is_empty());
    let mut caller_ids: Vec<String> = ID_CLAIMS.iter().filter_map(|claim| claim_of(&wire.claims, claim)).collect();
    caller_ids.retain(|id| Some(id) != caller.as_ref());
    caller_ids.dedup();
    Some(Change {
        at: wire.event_timestamp,
        caller,
        caller_ids,
        caller_kind,
        operation,
        target: wire
            .resource_id
            .or(wire.authorization.and_then(|authorization| authorization.scope))
            .unwrap_or_default(),
        correlation_id: wire.correlation_id,
    })
}

const UPN: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn";
/// Claims that name the caller: object id, UPN, application id.
const ID_CLAIMS: [&str; 5] = [
    "http://schemas.microsoft.com/identity/claims/objectidentifier",
    UPN,
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
    "appid",
    "unique_name",
];

fn claim_of(claims: &Value, name: &str) -> Option<String> {
    claims[name].as_str().filter(|claim| !claim.trim().is_empty()).map(str::to_owned)
}

/// A person has a UPN, as the caller or in the claims; an application has an app id and an `idtyp` of `app`, or is named
/// by a GUID.
fn caller_kind(caller: Option<&str>, claims: &Value) -> CallerKind {
    let person = caller.is_some_and(|caller| caller.contains('@')) || claim_of(claims, UPN).is_some();
    let scoped = claim_of(claims, "http://schemas.microsoft.com/identity/claims/scope").is_some();
    if person || scoped {
        return CallerKind::Person;
    }
    let application = claim_of(claims, "idtyp").is_some_and(|kind| kind.eq_ignore_ascii_case("app"))
        || claim_of(claims, "appid").is_some()
        || caller.is_some_and(|caller| uuid::Uuid::try_parse(caller.trim()).is_ok());
    if application { CallerKind::Application } else { CallerKind::Unknown }
}
