//! Microsoft.Authorization: role assignments, role definitions, deny assignments (api-version 2022-04-01).

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::azure::error::AzureError;
use crate::azure::json::{filled, list, shaped};
use crate::azure::request::Request;
use crate::azure::transport::Azure;
use crate::azure::write::PreparedWrite;
use crate::domain::evidence::{Denial, KeyRights};
use crate::domain::resource_id::ResourceId;
use crate::domain::rights::matches;

pub(super) const API: &str = "2022-04-01";

/// A role assignment as listed: what it gives is told by its role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleAssignment {
    /// Its id.
    pub id: String,
    /// Where it was made.
    pub scope: String,
    /// To whom.
    pub principal_id: String,
    /// `ServicePrincipal`, `Group`, `User` …
    pub principal_type: String,
    /// The role definition's id, as written.
    pub role_definition_id: String,
    /// It has a condition.
    pub conditional: bool,
    /// Its condition, as written.
    pub condition: Option<String>,
}

impl RoleAssignment {
    /// The role's GUID in lower case.
    #[must_use]
    pub fn role(&self) -> String {
        self.role_definition_id.rsplit('/').next().unwrap_or_default().to_ascii_lowercase()
    }
}

/// A role: its name and what it gives on keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its display name.
    pub name: String,
    /// What it gives on keys.
    pub rights: KeyRights,
}

impl Azure {
    /// Role assignments at `scope`, above and below it. With a principal: only those that count for it, also through its
    /// groups.
    ///
    /// # Errors
    /// [`AzureError`]; a list is whole or an error.
    pub async fn role_assignments(
        &self,
        scope: &ResourceId,
        principal: Option<&str>,
    ) -> Result<Vec<RoleAssignment>, AzureError> {
        let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments");
        let mut request = Request::get(&path, API, "Microsoft.Authorization/roleAssignments/read");
        if let Some(principal) = principal {
            request = request.with("$filter", &format!("assignedTo('{}')", principal.replace('\'', "")));
        }
        self.parsed_list(request, parse_assignment).await
    }

    /// A role by its definition's GUID, as seen from `scope`.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn role(&self, scope: &ResourceId, role: &str) -> Result<Role, AzureError> {
        let answer = self.perform(&role_definition(scope, role)).await?;
        parse_role(&answer.body).map_err(|why| answer.bad(why))
    }

    /// Deny assignments at `scope`, above and below it.
    ///
    /// # Errors
    /// [`AzureError`]; a list is whole or an error.
    pub async fn deny_assignments(&self, scope: &ResourceId) -> Result<Vec<Denial>, AzureError> {
        self.parsed_list(deny_assignments(scope), parse_denial).await
    }
}

/// Asks for a role by its definition's GUID, as seen from `scope`.
pub(super) fn role_definition(scope: &ResourceId, role: &str) -> Request {
    let path = format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/{role}");
    Request::get(&path, API, "Microsoft.Authorization/roleDefinitions/read")
}

/// Asks for the deny assignments at `scope`, above and below it.
pub(super) fn deny_assignments(scope: &ResourceId) -> Request {
    let path = format!("{scope}/providers/Microsoft.Authorization/denyAssignments");
    Request::get(&path, API, "Microsoft.Authorization/denyAssignments/read")
}

impl PreparedWrite {
    /// Gives a role on `scope` (any resource id, also a vault's key) to a service principal. `name` must be derived from
    /// scope, principal and role, so that the same grant is the same resource.
    #[must_use]
    pub fn put_role_assignment(
        scope: &ResourceId,
        name: Uuid,
        role_definition_id: &str,
        principal_id: &str,
        description: &str,
    ) -> Self {
        let body = json!({"properties": {
            "roleDefinitionId": role_definition_id,
            "principalId": principal_id,
            "principalType": "ServicePrincipal",
            "description": description,
        }});
        let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
        Self::arm(Method::PUT, &path, API, Some(body), "Microsoft.Authorization/roleAssignments/write")
    }
}

/// The full id of a role definition in a subscription.
#[must_use]
pub fn role_definition_id(subscription: &str, role: &str) -> String {
    format!("/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}")
}

/// What a built-in role gives on keys, known without asking (Azure built-in roles for security and for general use, data
/// actions). `None`: ask.
#[must_use]
pub fn built_in_role(role: &str) -> Option<Role> {
    const ALL: KeyRights = KeyRights { get: true, wrap: true, unwrap: true };
    const GET: KeyRights = KeyRights { get: true, wrap: false, unwrap: false };
    const NONE: KeyRights = KeyRights { get: false, wrap: false, unwrap: false };
    const TABLE: [(&str, &str, KeyRights); 19] = [
        ("e147488a-f6f5-4113-8e2d-b22465e65bf6", "Key Vault Crypto Service Encryption User", ALL),
        ("00482a5a-887f-4fb3-b363-3b7fe8e74483", "Key Vault Administrator", ALL),
        ("14b46e9e-c2b7-41b4-b07b-48a6ebf60603", "Key Vault Crypto Officer", ALL),
        ("12338af0-0e69-4776-bea7-57ae8d297424", "Key Vault Crypto User", ALL),
        ("21090545-7ca7-4776-b22c-e363652d74d2", "Key Vault Reader", GET),
        ("08bbd89e-9f13-488c-ac41-acfcb10c90ab", "Key Vault Crypto Service Release User", NONE),
        ("4633458b-17de-408a-b874-0445c86b69e6", "Key Vault Secrets User", NONE),
        ("b86a8fe4-44ce-4948-aee5-eccb2c155cd7", "Key Vault Secrets Officer", NONE),
        ("a4417e6f-fecd-4de8-b567-7b0420769985", "Key Vault Certificates Officer", NONE),
        ("db79e9a7-68ee-4b58-9aeb-b90e7c24fcba", "Key Vault Certificate User", NONE),
        ("f25e0fa2-a7c8-4377-a976-54943a77a395", "Key Vault Contributor", NONE),
        ("8b54135c-b56d-4d72-a534-26097cfdc8d8", "Key Vault Data Access Administrator", NONE),
        ("a68e7c17-0ab2-4c09-9a58-125dae29748c", "Key Vault Purge Operator", NONE),
        ("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "Owner", NONE),
        ("b24988ac-6180-42a0-ab88-20f7382dd24c", "Contributor", NONE),
        ("acdd72a7-3385-48ef-bd42-f606fba81ae7", "Reader", NONE),
        ("18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "User Access Administrator", NONE),
        ("f58310d9-a9f6-439a-9e8d-f62e7b41a168", "Role Based Access Control Administrator", NONE),
        ("43d0d8ad-25c7-4714-9337-8ba259a9fe05", "Monitoring Reader", NONE),
    ];
    let known = TABLE.iter().find(|(id, _, _)| role.eq_ignore_ascii_case(id))?;
    Some(Role { name: known.1.to_owned(), rights: known.2 })
}

#[derive(Deserialize)]
struct Wire<T> {
    id: Option<String>,
    name: Option<String>,
    properties: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAssignment {
    role_definition_id: String,
    principal_id: String,
    principal_type: Option<String>,
    scope: String,
    #[serde(default, deserialize_with = "filled")]
    condition: Option<String>,
}

pub(super) fn parse_assignment(item: &Value) -> Result<RoleAssignment, String> {
    let wire: Wire<WireAssignment> = shaped(item)?;
    Ok(RoleAssignment {
        id: wire.id.ok_or("a role assignment has no id")?,
        scope: wire.properties.scope,
        principal_id: wire.properties.principal_id,
        principal_type: wire.properties.principal_type.unwrap_or_default(),
        role_definition_id: wire.properties.role_definition_id,
        conditional: wire.properties.condition.is_some(),
        condition: wire.properties.condition,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRole {
    role_name: Option<String>,
    #[serde(default, deserialize_with = "list")]
    permissions: Vec<WirePermission>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePermission {
    // Not defaulted by serde: then an empty array would pass for this object.
    data_actions: Option<Vec<String>>,
    not_data_actions: Option<Vec<String>>,
}

pub(super) fn parse_role(body: &Value) -> Result<Role, String> {
    let wire: Wire<WireRole> = shaped(body)?;
    let name = wire.properties.role_name.or(wire.name).unwrap_or_default();
    let rights = wire.properties.permissions.iter().map(key_rights);
    Ok(Role { name, rights: rights.fold(KeyRights::default(), KeyRights::and) })
}

/// What one permission gives on keys: data actions minus "not" data actions, with wildcards.
fn key_rights(permission: &WirePermission) -> KeyRights {
    let covers = |patterns: &Option<Vec<String>>, action: &str| {
        patterns.iter().flatten().any(|pattern| matches(pattern, action))
    };
    let gives =
        |action: &str| covers(&permission.data_actions, action) && !covers(&permission.not_data_actions, action);
    KeyRights {
        get: gives("microsoft.keyvault/vaults/keys/read"),
        wrap: gives("microsoft.keyvault/vaults/keys/wrap/action"),
        unwrap: gives("microsoft.keyvault/vaults/keys/unwrap/action"),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDenial {
    deny_assignment_name: Option<String>,
    #[serde(default, deserialize_with = "list")]
    permissions: Vec<WirePermission>,
    #[serde(default, deserialize_with = "list")]
    principals: Vec<WirePrincipal>,
    #[serde(default, deserialize_with = "list")]
    exclude_principals: Vec<WirePrincipal>,
}

#[derive(Deserialize)]
struct WirePrincipal {
    id: String,
}

pub(super) fn parse_denial(item: &Value) -> Result<Denial, String> {
    let wire: Wire<WireDenial> = shaped(item)?;
    let ids = |principals: Vec<WirePrincipal>| principals.into_iter().map(|principal| principal.id).collect();
    let denied = wire.properties.permissions.iter().map(key_rights).fold(KeyRights::default(), KeyRights::and);
    Ok(Denial {
        name: wire.properties.deny_assignment_name.or(wire.name).or(wire.id).unwrap_or_default(),
        principals: ids(wire.properties.principals),
        excluded: ids(wire.properties.exclude_principals),
        denies_keys: denied != KeyRights::default(),
    })
}
