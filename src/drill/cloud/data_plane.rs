//! Key Vault's data plane: keys and deleted keys, behind the vault's firewall and its permission model.

use serde_json::{Map, Value, json};

use super::arm::vaults::attributes_json;
use super::rights::{NoRight, data_action};
use super::state::{Event, Key, KeyVersion, State, Vault};
use super::wire::{Answer, Request};
use crate::clock::add;

/// Versions of the data plane's API that are answered.
const VERSIONS: [&str; 5] = ["2025-07-01", "7.6", "7.5", "7.4", "7.3"];

/// Answers a request to `{vault}.vault.azure.net`.
pub(crate) fn answer(state: &mut State, request: &Request) -> Answer {
    let name = request.host.split('.').next().unwrap_or_default();
    let Some(at) = state.vault_named(name).filter(|at| state.vaults[*at].resolves(state.now)) else {
        return Answer::nobody_there();
    };
    if state.vaults[at].failing_until > state.now {
        return error(503, "ServiceUnavailable", "The service is temporarily unavailable.", None);
    }
    if request.path == "/healthstatus" {
        return Answer::json(200, json!({})).with_header("x-ms-keyvault-network-info", network_info(state, at));
    }
    if !request.query.contains_key("api-version") {
        return error(400, "BadParameter", "The request URI doesn't contain an api-version parameter.", None);
    }
    if !VERSIONS.contains(&request.query["api-version"].as_str()) {
        return error(400, "BadParameter", "The api-version is not supported.", None);
    }
    if request.token.as_deref() != Some(state.world.responder.token.as_str()) {
        let challenge = format!(
            "Bearer authorization=\"https://login.microsoftonline.com/{}\", resource=\"https://vault.azure.net\"",
            state.world.tenant
        );
        let text = "AKV10000: Request is missing a Bearer or PoP token.";
        return error(401, "Unauthorized", text, None).with_header("www-authenticate", challenge);
    }
    if let Some(refusal) = refused_by_firewall(state, at) {
        return refusal;
    }
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["keys", key, "versions"]) => versions(state, at, key, request),
        ("GET", ["keys", key]) => read(state, at, key, ""),
        ("GET", ["keys", key, version]) => read(state, at, key, version),
        ("PATCH", ["keys", key, version]) => update(state, at, key, version, request),
        ("PATCH", ["keys", key]) => update(state, at, key, "", request),
        ("GET", ["deletedkeys", key]) => deleted(state, at, key),
        ("POST", ["deletedkeys", key, "recover"]) => recover(state, at, key),
        ("GET", ["keys"]) => list(state, at, false),
        ("GET", ["deletedkeys"]) => list(state, at, true),
        // Azure's, and nothing that the responder may do.
        ("DELETE", ["keys", key]) => forbidden_unless(state, at, key, "delete").unwrap_or_else(unsupported),
        ("DELETE", ["deletedkeys", key]) => forbidden_unless(state, at, key, "purge").unwrap_or_else(unsupported),
        ("POST", ["keys", key, "create" | "rotate"]) => {
            forbidden_unless(state, at, key, "create").unwrap_or_else(unsupported)
        }
        _ => {
            state.unknown_requests += 1;
            error(404, "ResourceNotFound", "Resource not found.", None)
        }
    }
}

fn unsupported() -> Answer {
    error(400, "BadParameter", "The simulated cloud does not carry out this operation.", None)
}

fn error(status: u16, code: &str, message: &str, inner: Option<&str>) -> Answer {
    let mut error = json!({ "code": code, "message": message });
    if let Some(inner) = inner {
        error["innererror"] = json!({ "code": inner });
    }
    Answer::json(status, json!({ "error": error }))
}

fn network_info(state: &State, at: usize) -> String {
    let kind = if state.vaults[at].network.public_network_access == "Enabled" { "Ipv4" } else { "PrivateLink" };
    format!("conn_type={kind};addr={};act_addr_fam=InterNetwork;", state.world.responder.address)
}

/// The caller is no trusted service: only its address counts.
fn refused_by_firewall(state: &State, at: usize) -> Option<Answer> {
    let (vault, address) = (&state.vaults[at], &state.world.responder.address);
    let network = &vault.network;
    if !network.public_network_access.eq_ignore_ascii_case("Enabled") {
        let text = format!(
            "Connection is not an approved private link and caller was ignored because bypass is not set to \
             'AzureServices' and PublicNetworkAccess is set to 'Disabled'.\r\nVault: {};location={}",
            vault.name(),
            vault.location
        );
        return Some(error(403, "Forbidden", &text, Some("ForbiddenByConnection")));
    }
    let admitted = |rule: &String| rule.split('/').next() == Some(address.as_str());
    if network.default_action.eq_ignore_ascii_case("Allow") || network.ip_rules.iter().any(admitted) {
        return None;
    }
    let text = format!(
        "Client address is not authorized and caller is not a trusted service.\r\nClient address: {address}\r\nCaller: \
         appid={};oid={}\r\nVault: {};location={}",
        state.world.responder.app_id,
        state.world.responder.object_id,
        vault.name(),
        vault.location
    );
    Some(error(403, "Forbidden", &text, Some("ForbiddenByFirewall")))
}

/// The 403, if the caller lacks a permission.
fn forbidden_unless(state: &State, at: usize, key: &str, permission: &str) -> Option<Answer> {
    let (vault, responder) = (&state.vaults[at], &state.world.responder);
    let refusal = state.data_right(vault, key, &responder.object_id, permission).err()?;
    Some(match refusal {
        NoRight::Rbac => {
            let text = format!(
                "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or \
                 role definitions were changed recently, please observe propagation time.\r\nCaller: \
                 appid={};oid={}\r\nAction: '{}'\r\nResource: '{}/keys/{key}'\r\nAssignment: (not found)\r\nVault: \
                 {};location={}",
                responder.app_id,
                responder.object_id,
                data_action(permission),
                vault.id,
                vault.name(),
                vault.location
            );
            error(403, "Forbidden", &text, Some("ForbiddenByRbac"))
        }
        NoRight::Policy => {
            let text = format!(
                "The user, group or application 'appid={};oid={}' does not have keys {permission} permission on key \
                 vault '{};location={}'.",
                responder.app_id,
                responder.object_id,
                vault.name(),
                vault.location
            );
            error(403, "Forbidden", &text, Some("ForbiddenByPolicy"))
        }
    })
}

fn not_found(key: &str) -> Answer {
    let text = format!(
        "A key with (name/id) {key} was not found in this key vault. If you recently deleted this key you may be able \
         to recover it using the correct recovery command."
    );
    error(404, "KeyNotFound", &text, None)
}

fn read(state: &State, at: usize, name: &str, version: &str) -> Answer {
    if let Some(refusal) = forbidden_unless(state, at, name, "get") {
        return refusal;
    }
    let vault = &state.vaults[at];
    let Some(key) = vault.live_key(name, state.now) else { return not_found(name) };
    let found = if version.is_empty() { key.newest() } else { key.version(version) };
    match found {
        None => not_found(&format!("{name}/{version}")),
        Some(found) if !found.enabled => {
            let text = "Operation get is not allowed on a disabled key.";
            error(403, "Forbidden", text, Some("KeyDisabled"))
        }
        Some(found) => Answer::json(200, bundle(vault, key, found)),
    }
}

/// A key with its public part.
fn bundle(vault: &Vault, key: &Key, version: &KeyVersion) -> Value {
    let kid = format!("https://{}.vault.azure.net/keys/{}/{}", vault.name(), key.name, version.id);
    let mut attributes = attributes_json(vault, version);
    attributes["recoverableDays"] = json!(vault.soft_delete_days);
    let mut out = json!({
        "key": {
            "kid": kid,
            "kty": version.kty,
            "key_ops": version.operations,
            // No key: a stand-in made of the thumbprint.
            "n": version.thumbprint.repeat(8),
            "e": "AQAB",
        },
        "attributes": attributes,
    });
    if let Some(tags) = &version.tags {
        out["tags"] = tags.clone();
    }
    out
}

fn versions(state: &State, at: usize, name: &str, request: &Request) -> Answer {
    if let Some(refusal) = forbidden_unless(state, at, name, "list") {
        return refusal;
    }
    let vault = &state.vaults[at];
    let Some(key) = vault.live_key(name, state.now) else { return not_found(name) };
    let size = request.query.get("maxresults").and_then(|text| text.parse().ok()).unwrap_or(25_usize).clamp(1, 25);
    let (from, end) = (request.skip().min(key.versions.len()), (request.skip() + size).min(key.versions.len()));
    let items = key.versions[from..end].iter().map(|version| {
        let kid = format!("https://{}.vault.azure.net/keys/{}/{}", vault.name(), key.name, version.id);
        json!({ "kid": kid, "attributes": attributes_json(vault, version) })
    });
    let mut out = json!({ "value": items.collect::<Vec<_>>() });
    if end < key.versions.len() {
        let version = &request.query["api-version"];
        out["nextLink"] = json!(format!(
            "https://{}.vault.azure.net/keys/{}/versions?api-version={version}&$skiptoken={end}&maxresults={size}",
            vault.name(),
            key.name
        ));
    }
    Answer::json(200, out)
}

fn list(state: &State, at: usize, deleted: bool) -> Answer {
    if let Some(refusal) = forbidden_unless(state, at, "", "list") {
        return refusal;
    }
    let vault = &state.vaults[at];
    let keys = vault.keys.iter().filter(|key| key.deleted.is_some() == deleted && key.usable_at <= state.now);
    let items = keys.filter_map(|key| {
        let newest = key.newest()?;
        let host = format!("https://{}.vault.azure.net", vault.name());
        let mut item = json!({
            "kid": format!("{host}/keys/{}", key.name),
            "attributes": attributes_json(vault, newest),
        });
        if let Some(gone) = key.deleted {
            item["recoveryId"] = json!(format!("{host}/deletedkeys/{}", key.name));
            item["deletedDate"] = json!(gone.at.as_second());
            item["scheduledPurgeDate"] = json!(gone.purge_at.as_second());
        }
        Some(item)
    });
    Answer::json(200, json!({ "value": items.collect::<Vec<_>>() }))
}

/// PATCH: changes the attributes, operations and tags that are named, and no others.
fn update(state: &mut State, at: usize, name: &str, version: &str, request: &Request) -> Answer {
    if let Some(refusal) = forbidden_unless(state, at, name, "update") {
        return refusal;
    }
    let body = match request.object() {
        Ok(body) => body.clone(),
        Err(_) => return error(400, "BadParameter", "The request body is not valid.", None),
    };
    let now = state.now;
    if state.vaults[at].live_key(name, now).is_none() {
        return not_found(name);
    }
    let key = state.vaults[at].keys.iter_mut().find(|key| key.name.eq_ignore_ascii_case(name));
    let found = key.and_then(|key| {
        key.versions.iter_mut().rev().find(|one| version.is_empty() || one.id.eq_ignore_ascii_case(version))
    });
    let Some(found) = found else { return not_found(&format!("{name}/{version}")) };
    let before = found.clone();
    if let Err(why) = change(found, &body) {
        return error(400, "BadParameter", &why, None);
    }
    found.updated = now;
    let changed = before.enabled != found.enabled
        || (before.not_before, before.expires) != (found.not_before, found.expires)
        || (&before.operations, &before.tags) != (&found.operations, &found.tags);
    let version = found.id.clone();
    if changed {
        state.changed += 1;
        state.queue_key_dates();
        state.touch();
    }
    let vault = &state.vaults[at];
    let shown = vault.live_key(name, now).and_then(|key| Some(bundle(vault, key, key.version(&version)?)));
    shown.map_or_else(|| not_found(name), |shown| Answer::json(200, shown))
}

fn change(version: &mut KeyVersion, body: &Value) -> Result<(), String> {
    let attributes = body.get("attributes").and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    for (name, value) in attributes {
        match (name.as_str(), value) {
            ("enabled", Value::Bool(enabled)) => version.enabled = enabled,
            ("nbf", Value::Number(at)) => version.not_before = at.as_i64(),
            ("exp", Value::Number(at)) => version.expires = at.as_i64(),
            (name, _) => return Err(format!("Property '{name}' has an invalid value, or cannot be set.")),
        }
    }
    if let (Some(from), Some(to)) = (version.not_before, version.expires)
        && from >= to
    {
        return Err("The key's expiration must be later than its activation.".to_owned());
    }
    if let Some(operations) = body.get("key_ops").and_then(Value::as_array) {
        version.operations = operations.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect();
    }
    if let Some(tags) = body.get("tags").filter(|tags| tags.is_object()) {
        version.tags = Some(tags.clone());
    }
    Ok(())
}

fn deleted(state: &State, at: usize, name: &str) -> Answer {
    if let Some(refusal) = forbidden_unless(state, at, name, "get") {
        return refusal;
    }
    let vault = &state.vaults[at];
    let found = vault.keys.iter().find(|key| key.name.eq_ignore_ascii_case(name));
    let shown = found.and_then(|key| {
        let gone = key.deleted?;
        let mut out = bundle(vault, key, key.newest()?);
        out["recoveryId"] = json!(format!("https://{}.vault.azure.net/deletedkeys/{}", vault.name(), key.name));
        out["deletedDate"] = json!(gone.at.as_second());
        out["scheduledPurgeDate"] = json!(gone.purge_at.as_second());
        Some(out)
    });
    let missing = || {
        let text = format!("Deleted Key not found: {name}");
        error(404, "KeyNotFound", &text, None)
    };
    shown.map_or_else(missing, |shown| Answer::json(200, shown))
}

/// Brings a deleted key back: answered at once, usable only later.
fn recover(state: &mut State, at: usize, name: &str) -> Answer {
    if let Some(refusal) = forbidden_unless(state, at, name, "recover") {
        return refusal;
    }
    let now = state.now;
    let found = state.vaults[at].keys.iter().position(|key| key.name.eq_ignore_ascii_case(name));
    let Some(index) = found else { return error(404, "KeyNotFound", &format!("Deleted Key not found: {name}"), None) };
    if state.vaults[at].keys[index].usable_at > now {
        let text = format!("Key {name} is currently being recovered.");
        return error(409, "Conflict", &text, Some("ObjectIsBeingRecovered"));
    }
    if state.vaults[at].keys[index].deleted.is_none() {
        return error(404, "KeyNotFound", &format!("Deleted Key not found: {name}"), None);
    }
    state.recover_key(at, index);
    let vault = &state.vaults[at];
    let key = &vault.keys[index];
    key.newest().map_or_else(|| not_found(name), |version| Answer::json(200, bundle(vault, key, version)))
}

impl State {
    /// Brings a soft-deleted key back, to be usable a little later.
    pub(crate) fn recover_key(&mut self, vault: usize, key: usize) {
        let label = format!("recover|{}|{}", self.vaults[vault].keys[key].name, self.now);
        let usable_at = add(self.now, self.draw_minutes(self.world.timing.key_recovery, &label));
        self.vaults[vault].keys[key].deleted = None;
        self.vaults[vault].keys[key].usable_at = usable_at;
        self.changed += 1;
        self.schedule(usable_at, Event::Touch);
        self.touch();
    }
}
