//! Keys and deleted keys in the data plane.

use serde_json::{Map, Value, json};

use super::arm::vault_keys::attributes_json;
use super::data_plane_refusals::{error, forbidden_unless};
use super::resources::{Key, KeyVersion, Vault};
use super::state::{Event, State};
use super::wire::{Answer, Request};
use crate::clock::add;

pub(super) fn not_found(key: &str) -> Answer {
    let text = format!(
        "A key with (name/id) {key} was not found in this key vault. If you recently deleted this key you may be able \
         to recover it using the correct recovery command."
    );
    error(404, "KeyNotFound", &text, None)
}

pub(super) fn read(state: &State, at: usize, name: &str, version: &str) -> Answer {
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
pub(super) fn bundle(vault: &Vault, key: &Key, version: &KeyVersion) -> Value {
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

pub(super) fn versions(state: &State, at: usize, name: &str, request: &Request) -> Answer {
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

pub(super) fn list(state: &State, at: usize, deleted: bool) -> Answer {
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
pub(super) fn update(state: &mut State, at: usize, name: &str, version: &str, request: &Request) -> Answer {
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

pub(super) fn change(version: &mut KeyVersion, body: &Value) -> Result<(), String> {
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

pub(super) fn deleted(state: &State, at: usize, name: &str) -> Answer {
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
pub(super) fn recover(state: &mut State, at: usize, name: &str) -> Answer {
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
