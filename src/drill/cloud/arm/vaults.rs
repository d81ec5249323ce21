//! Microsoft.KeyVault: vaults, deleted vaults, access policies, and keys as the control plane shows them.

use serde_json::{Map, Value, json};

use super::super::resources::{Deleted, Policy, Vault};
use super::super::state::{State, after_minutes};
use super::super::wire::Answer;
use super::super::world::{NetworkSpec, PermissionModel};
use super::{Call, not_found, page, unsupported};
use crate::clock::add;

pub(super) fn vault_of(state: &State, call: &Call<'_>) -> Result<usize, Answer> {
    let id = call.ancestor(1);
    id.as_ref().and_then(|id| state.vault_at(id)).ok_or_else(|| not_found(id.as_ref()))
}

pub(super) fn vaults(state: &mut State, call: &Call<'_>) -> Answer {
    if !call.names.is_empty() {
        return match vault_of(state, call) {
            Ok(vault) => Answer::json(200, vault_json(state, &state.vaults[vault])),
            Err(answer) => answer,
        };
    }
    let all = state
        .vaults
        .iter()
        .filter(|vault| vault.deleted.is_none() && call.scope.as_ref().is_none_or(|scope| scope.contains(&vault.id)));
    let all = all.map(|vault| vault_json(state, vault)).collect();
    page(state, call, all)
}

/// An access policy as ARM shows it.
pub(crate) fn policy_json(policy: &Policy) -> Value {
    let mut permissions = policy.others.clone();
    permissions.insert("keys".to_owned(), policy.keys.iter().map(|(permission, _)| json!(permission)).collect());
    json!({ "tenantId": policy.tenant, "objectId": policy.object_id, "permissions": permissions })
}

/// A vault as ARM shows it.
pub(crate) fn vault_json(state: &State, vault: &Vault) -> Value {
    let provisioning = if vault.resolves_at > state.now { "RegisteringDns" } else { "Succeeded" };
    let mut properties = json!({
        "sku": { "family": "A", "name": "standard" },
        "tenantId": state.world.tenant,
        "networkAcls": network_json(&vault.network),
        "accessPolicies": vault.policies.iter().map(policy_json).collect::<Vec<_>>(),
        "enabledForDeployment": false,
        "enabledForDiskEncryption": false,
        "enabledForTemplateDeployment": false,
        "enableSoftDelete": true,
        "softDeleteRetentionInDays": vault.soft_delete_days,
        "enableRbacAuthorization": vault.model == PermissionModel::Rbac,
        "vaultUri": format!("https://{}.vault.azure.net/", vault.name()),
        "provisioningState": provisioning,
        "publicNetworkAccess": vault.network.public_network_access,
    });
    if vault.purge_protection {
        properties["enablePurgeProtection"] = json!(true);
    }
    json!({
        "id": vault.id,
        "name": vault.name(),
        "type": "Microsoft.KeyVault/vaults",
        "location": vault.location,
        "tags": vault.tags,
        "systemData": { "createdBy": "platform@contoso.com", "createdByType": "User", "createdAt": vault.created },
        "properties": properties,
    })
}

/// A vault's firewall as ARM shows it.
pub(crate) fn network_json(network: &NetworkSpec) -> Value {
    let rules: Vec<Value> = network.ip_rules.iter().map(|rule| json!({ "value": rule })).collect();
    let subnets: Vec<Value> = network
        .virtual_network_rules
        .iter()
        .map(|id| json!({ "id": id, "ignoreMissingVnetServiceEndpoint": false }))
        .collect();
    json!({
        "bypass": network.bypass,
        "defaultAction": network.default_action,
        "ipRules": rules,
        "virtualNetworkRules": subnets,
    })
}

pub(super) fn deleted(state: &mut State, call: &Call<'_>) -> Answer {
    let gone = state.vaults.iter().filter_map(|vault| Some((vault, vault.deleted?)));
    let shown = gone.map(|(vault, deleted)| {
        json!({
            "id": format!("/subscriptions/{}/providers/Microsoft.KeyVault/locations/{}/deletedVaults/{}",
                state.world.subscription, vault.location, vault.name()),
            "name": vault.name(),
            "type": "Microsoft.KeyVault/deletedVaults",
            "properties": {
                "vaultId": vault.id,
                "location": vault.location,
                "tags": vault.tags,
                "deletionDate": deleted.at,
                "scheduledPurgeDate": deleted.purge_at,
                "purgeProtectionEnabled": vault.purge_protection,
            },
        })
    });
    if call.types == "deletedvaults" {
        let all = shown.collect();
        return page(state, call, all);
    }
    let same = |value: &Value, wanted: &str| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(wanted));
    let mut shown = shown.filter(|vault| same(&vault["properties"]["location"], call.name(0)));
    let found = shown.find(|vault| same(&vault["name"], call.name(1)));
    let missing = || {
        let text = format!("The specified deleted vault '{}' does not exist.", call.name(1));
        Answer::error(404, "DeletedVaultNotFound", text)
    };
    found.map_or_else(missing, |vault| Answer::json(200, vault))
}

/// PUT: only to recover a deleted vault.
pub(super) fn put(state: &mut State, call: &Call<'_>) -> Answer {
    let body = match call.request.object() {
        Ok(body) => body.clone(),
        Err(answer) => return answer,
    };
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    if !text("/properties/createMode").eq_ignore_ascii_case("recover") {
        return unsupported(state, call);
    }
    if body.pointer("/properties/sku/name").is_none() || text("/properties/tenantId").is_empty() {
        let text = "The properties 'tenantId' and 'sku' are required.";
        return Answer::error(400, "BadRequest", text);
    }
    let Some(id) = call.ancestor(1) else { return not_found(None) };
    let Some(at) = state.vaults.iter().position(|vault| vault.id == id) else {
        let text = format!("A deleted vault with the name '{}' was not found to recover.", call.name(0));
        return Answer::error(404, "DeletedVaultNotFound", text);
    };
    if state.vaults[at].deleted.is_none() {
        let text = format!("The vault '{}' already exists.", call.name(0));
        return Answer::error(409, "VaultAlreadyExists", text);
    }
    if !text("/location").eq_ignore_ascii_case(&state.vaults[at].location) {
        let text = format!("The vault was in location '{}'.", state.vaults[at].location);
        return Answer::error(400, "InvalidLocation", text);
    }
    state.recover_vault(at);
    state.record(&call.write(&id), json!({ "properties.createMode": "recover" }));
    Answer::json(200, vault_json(state, &state.vaults[at]))
}

/// PATCH: what is named in `properties` replaces what was there, `networkAcls` as a whole.
pub(super) fn patch(state: &mut State, call: &Call<'_>) -> Answer {
    let at = match vault_of(state, call) {
        Ok(at) => at,
        Err(answer) => return answer,
    };
    let body = match call.request.object() {
        Ok(body) => body.clone(),
        Err(answer) => return answer,
    };
    let before = vault_json(state, &state.vaults[at]);
    let vault = &mut state.vaults[at];
    if let Some(tags) = body.get("tags").and_then(Value::as_object) {
        vault.tags = tags.iter().filter_map(|(name, tag)| Some((name.clone(), tag.as_str()?.to_owned()))).collect();
    }
    if let Some(acls) = body.pointer("/properties/networkAcls") {
        let list = |name: &str, field: &str| {
            let items = acls.get(name).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(|item| Some(item.get(field)?.as_str()?.to_owned())).collect()
        };
        let word = |name: &str, default: &str| acls.get(name).and_then(Value::as_str).unwrap_or(default).to_owned();
        vault.network.bypass = word("bypass", "AzureServices");
        vault.network.default_action = word("defaultAction", "Allow");
        vault.network.ip_rules = list("ipRules", "value");
        vault.network.virtual_network_rules = list("virtualNetworkRules", "id");
    }
    if let Some(access) = body.pointer("/properties/publicNetworkAccess").and_then(Value::as_str) {
        access.clone_into(&mut vault.network.public_network_access);
    }
    if let Some(rbac) = body.pointer("/properties/enableRbacAuthorization").and_then(Value::as_bool) {
        vault.model = if rbac { PermissionModel::Rbac } else { PermissionModel::Policy };
    }
    let id = vault.id.clone();
    let after = vault_json(state, &state.vaults[at]);
    if before != after {
        state.changed += 1;
        state.touch();
    }
    state.record(&call.write(&id), changed_properties(&before, &after));
    Answer::json(200, after)
}

/// The differences of two descriptions, as `resourcechanges` shows them.
pub(crate) fn changed_properties(before: &Value, after: &Value) -> Value {
    let mut out = Map::new();
    let (Some(old), Some(new)) = (before["properties"].as_object(), after["properties"].as_object()) else {
        return Value::Object(out);
    };
    for (name, value) in new {
        let was = old.get(name).unwrap_or(&Value::Null);
        if was != value {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let entry = json!({ "previousValue": text(was), "newValue": text(value), "changeCategory": "User" });
            out.insert(format!("properties.{name}"), entry);
        }
    }
    Value::Object(out)
}

pub(super) fn endpoints(state: &mut State, call: &Call<'_>) -> Answer {
    match vault_of(state, call) {
        Ok(_) => Answer::json(200, json!({ "value": [] })),
        Err(answer) => answer,
    }
}

impl State {
    /// Brings a soft-deleted vault back. Its role assignments and Event Grid subscriptions are gone for good; its host
    /// resolves only later.
    pub(crate) fn recover_vault(&mut self, at: usize) {
        let label = format!("dns|{}|{}", self.vaults[at].id.key(), self.now);
        let wait = self.draw_minutes(self.world.timing.vault_dns, &label);
        let resolves_at = add(self.now, wait);
        self.vaults[at].deleted = None;
        self.vaults[at].resolves_at = resolves_at;
        self.changed += 1;
        self.schedule(resolves_at, super::super::state::Event::Touch);
        self.touch();
    }

    /// Soft-deletes a vault; what was assigned at or below it goes with it.
    pub(crate) fn delete_vault(&mut self, at: usize) {
        let vault = &mut self.vaults[at];
        let purge_at = after_minutes(self.now, f64::from(vault.soft_delete_days) * 1440.0);
        vault.deleted = Some(Deleted { at: self.now, purge_at });
        let id = vault.id.clone();
        self.assignments.retain(|assignment| !id.contains(&assignment.scope));
        self.changed += 1;
        self.touch();
    }
}
