//! Microsoft.Authorization: what roles and deny assignments say in full (api-version 2022-04-01), to tell what a principal
//! may do.

use serde::Deserialize;
use serde_json::Value;

use crate::azure::authorization::{self, API};
use crate::azure::error::AzureError;
use crate::azure::json::{list, shaped};
use crate::azure::request::Request;
use crate::azure::transport::Azure;
use crate::domain::resource_id::ResourceId;
use crate::domain::rights::{Right, matches};

/// Everybody, as deny assignments name them (Microsoft, "List Azure deny assignments").
const EVERYBODY: &str = "00000000-0000-0000-0000-000000000000";

/// What a role gives, or a deny assignment takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permission {
    /// Control-plane actions; `*` is a wildcard.
    pub actions: Vec<String>,
    /// Taken out of them.
    pub not_actions: Vec<String>,
    /// Data-plane actions.
    pub data_actions: Vec<String>,
    /// Taken out of them.
    pub not_data_actions: Vec<String>,
}

impl Permission {
    /// Whether it covers a right, under its own name or all that it stands for.
    #[must_use]
    pub fn covers(&self, right: &Right) -> bool {
        let (yes, no) =
            if right.data { (&self.data_actions, &self.not_data_actions) } else { (&self.actions, &self.not_actions) };
        let any = |patterns: &[String], action: &str| patterns.iter().any(|pattern| matches(pattern, action));
        let covers = |action: &str| any(yes, action) && !any(no, action);
        let in_fact = !right.in_fact.is_empty() && right.in_fact.iter().all(|action| covers(action));
        covers(right.name) && right.in_fact.iter().all(|action| !any(no, action)) || in_fact
    }

    /// Whether it covers anything that the right stands for.
    #[must_use]
    pub fn touches(&self, right: &Right) -> bool {
        let part = |action| Right { name: action, in_fact: &[], ..*right };
        self.covers(&part(right.name)) || right.in_fact.iter().any(|action| self.covers(&part(action)))
    }
}

/// A role in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleDefinition {
    /// Its display name.
    pub name: String,
    /// What it gives: the sum of these.
    pub permissions: Vec<Permission>,
}

/// A deny assignment in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenyAssignment {
    /// Its display name.
    pub name: String,
    /// Where it was made: a resource id, a management group's, or `/`.
    pub scope: String,
    /// It does not hold below its scope.
    pub here_only: bool,
    /// What it takes.
    pub permissions: Vec<Permission>,
    /// Object ids and kinds of those it binds.
    pub principals: Vec<(String, String)>,
    /// Object ids of those it spares.
    pub spared: Vec<String>,
}

impl DenyAssignment {
    /// Whether it binds a principal by its own id or as one of everybody.
    #[must_use]
    pub fn binds(&self, principal: &str) -> bool {
        let is = |id: &String| id.eq_ignore_ascii_case(principal);
        !self.spared.iter().any(is) && self.principals.iter().any(|(id, _)| is(id) || id == EVERYBODY)
    }

    /// Whether it binds a group that the principal may be in: groups are not read.
    #[must_use]
    pub fn binds_a_group(&self) -> bool {
        self.principals.iter().any(|(_, kind)| kind.to_ascii_lowercase().contains("group"))
    }

    /// Whether it holds at a place.
    #[must_use]
    pub fn holds_at(&self, place: &ResourceId) -> bool {
        if self.here_only { self.scope.eq_ignore_ascii_case(place.as_str()) } else { reaches(&self.scope, place) }
    }
}

/// Whether what was assigned at `scope` counts at `place`. What lies above the subscriptions (a management group, the
/// root) is listed for a place only because it does.
#[must_use]
pub fn reaches(scope: &str, place: &ResourceId) -> bool {
    ResourceId::parse(scope).map_or(true, |scope| scope.contains(place))
}

impl Azure {
    /// A role in full, by its definition's GUID, as seen from `scope`.
    ///
    /// # Errors
    /// [`AzureError`].
    pub async fn role_definition(&self, scope: &ResourceId, role: &str) -> Result<RoleDefinition, AzureError> {
        let answer = self.perform(&authorization::role_definition(scope, role)).await?;
        parse_definition(&answer.body).map_err(|why| answer.bad(why))
    }

    /// The custom roles that can be assigned at `scope`.
    ///
    /// # Errors
    /// [`AzureError`]; a list is whole or an error.
    pub async fn custom_roles(&self, scope: &ResourceId) -> Result<Vec<RoleDefinition>, AzureError> {
        let path = format!("{scope}/providers/Microsoft.Authorization/roleDefinitions");
        let request = Request::get(&path, API, "Microsoft.Authorization/roleDefinitions/read")
            .with("$filter", "type eq 'CustomRole'");
        self.parsed_list(request, parse_definition).await
    }

    /// Deny assignments in full, at `scope`, above and below it.
    ///
    /// # Errors
    /// [`AzureError`]; a list is whole or an error.
    pub async fn denials_in_full(&self, scope: &ResourceId) -> Result<Vec<DenyAssignment>, AzureError> {
        self.parsed_list(authorization::deny_assignments(scope), parse_denial).await
    }
}

#[derive(Deserialize)]
struct Wire<T> {
    name: Option<String>,
    properties: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDefinition {
    role_name: Option<String>,
    // Not defaulted: a role that seems to give nothing would be taken for one that does.
    permissions: Vec<serde_json::Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDenial {
    deny_assignment_name: Option<String>,
    scope: String,
    #[serde(default)]
    do_not_apply_to_child_scopes: Option<bool>,
    permissions: Vec<serde_json::Map<String, Value>>,
    #[serde(default, deserialize_with = "list")]
    principals: Vec<WirePrincipal>,
    #[serde(default, deserialize_with = "list")]
    exclude_principals: Vec<WirePrincipal>,
}

#[derive(Deserialize)]
struct WirePrincipal {
    id: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

fn parse_permission(wire: &serde_json::Map<String, Value>) -> Result<Permission, String> {
    let texts = |name: &str| -> Result<Vec<String>, String> {
        wire.get(name)
            .map_or_else(|| Ok(Vec::new()), |value| shaped::<Option<Vec<String>>>(value).map(Option::unwrap_or_default))
    };
    Ok(Permission {
        actions: texts("actions")?,
        not_actions: texts("notActions")?,
        data_actions: texts("dataActions")?,
        not_data_actions: texts("notDataActions")?,
    })
}

pub(super) fn parse_definition(item: &Value) -> Result<RoleDefinition, String> {
    let wire: Wire<WireDefinition> = shaped(item)?;
    let permissions = wire.properties.permissions.iter().map(parse_permission).collect::<Result<_, _>>()?;
    Ok(RoleDefinition { name: wire.properties.role_name.or(wire.name).unwrap_or_default(), permissions })
}

pub(super) fn parse_denial(item: &Value) -> Result<DenyAssignment, String> {
    let wire: Wire<WireDenial> = shaped(item)?;
    let denial = wire.properties;
    Ok(DenyAssignment {
        name: denial.deny_assignment_name.or(wire.name).unwrap_or_default(),
        scope: denial.scope,
        here_only: denial.do_not_apply_to_child_scopes.unwrap_or_default(),
        permissions: denial.permissions.iter().map(parse_permission).collect::<Result<_, _>>()?,
        principals: denial.principals.into_iter().map(|one| (one.id, one.kind.unwrap_or_default())).collect(),
        spared: denial.exclude_principals.into_iter().map(|one| one.id).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rights::{CustomRole, Place};
    use proptest::prelude::*;
    use serde_json::json;

    fn right(name: &'static str, in_fact: &'static [&'static str], data: bool) -> Right {
        Right { name, in_fact, data, place: Place::Vault, role: CustomRole::Probe }
    }

    fn definition(permission: Value) -> RoleDefinition {
        parse_definition(&json!({"name": "r", "properties": {"roleName": "R", "permissions": [permission]}})).unwrap()
    }

    #[test]
    fn exceptions_and_wildcards_count_and_the_planes_are_apart() {
        let write = right("Microsoft.KeyVault/vaults/write", &[], false);
        let held = |permission| definition(permission).permissions[0].covers(&write);
        assert!(held(json!({"actions": ["*"]})));
        assert!(held(json!({"actions": ["microsoft.keyvault/VAULTS/*"], "notActions": null})));
        assert!(!held(json!({"actions": ["*"], "notActions": ["Microsoft.KeyVault/vaults/*"]})));
        assert!(!held(json!({"dataActions": ["*"]})));
        assert!(!held(json!({})));
    }

    #[test]
    fn a_right_with_a_wildcard_is_held_by_all_that_it_stands_for() {
        let follow = right(
            "Microsoft.Sql/locations/*/read",
            &["Microsoft.Sql/locations/a/read", "Microsoft.Sql/locations/b/read"],
            false,
        );
        let held = |permission| definition(permission).permissions[0].covers(&follow);
        assert!(held(json!({"actions": ["*/read"]})));
        assert!(held(json!({"actions": ["Microsoft.Sql/locations/a/read", "Microsoft.Sql/locations/b/read"]})));
        assert!(!held(json!({"actions": ["Microsoft.Sql/locations/a/read"]})));
        assert!(!held(json!({"actions": ["*"], "notActions": ["Microsoft.Sql/locations/b/*"]})));
    }

    #[test]
    fn a_deny_assignment_binds_whom_it_names_where_it_holds() {
        let vault =
            ResourceId::parse("/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv").unwrap();
        let deny = |principals: Value, spared: Value, here_only: bool| {
            parse_denial(&json!({"properties": {"scope": "/subscriptions/s", "doNotApplyToChildScopes": here_only,
                "permissions": [], "principals": principals, "excludePrincipals": spared}}))
            .unwrap()
        };
        let everybody = json!([{"id": EVERYBODY, "type": "SystemDefined"}]);
        assert!(deny(json!([{"id": "ME"}]), json!([]), false).binds("me"));
        assert!(deny(everybody.clone(), json!([]), false).binds("me"));
        assert!(!deny(everybody, json!([{"id": "me"}]), false).binds("me"));
        assert!(deny(json!([]), json!([]), false).holds_at(&vault));
        assert!(!deny(json!([]), json!([]), true).holds_at(&vault));
        assert!(reaches("/", &vault) && reaches("/providers/Microsoft.Management/managementGroups/m", &vault));
        assert!(!reaches("/subscriptions/s/resourceGroups/other", &vault));
    }

    proptest! {
        #[test]
        fn what_has_the_wrong_shape_is_an_error_and_no_panic(garbage in "\\PC{0,20}", number in any::<i64>()) {
            for value in [json!(garbage), json!(number), json!([garbage]), json!({"properties": garbage}),
                json!({"properties": {"permissions": [{"actions": garbage}]}}),
                json!({"properties": {"scope": number, "principals": [garbage]}})] {
                prop_assert!(parse_definition(&value).is_err() && parse_denial(&value).is_err());
            }
        }
    }
}
