//! Keys as the control plane shows them.

use serde_json::{Value, json};

use super::super::resources::{Key, KeyVersion, Vault};
use super::super::state::State;
use super::super::wire::Answer;
use super::vaults::vault_of;
use super::{Call, not_found, page};

pub(super) fn live_key<'a>(state: &'a State, call: &Call<'_>) -> Result<(&'a Vault, &'a Key), Answer> {
    let vault = &state.vaults[vault_of(state, call)?];
    let missing = || {
        let text = format!("The key '{}' was not found in vault '{}'.", call.name(1), vault.name());
        Answer::error(404, "KeyNotFound", text)
    };
    vault.live_key(call.name(1), state.now).map(|key| (vault, key)).ok_or_else(missing)
}

pub(super) fn keys(state: &mut State, call: &Call<'_>) -> Answer {
    if call.names.len() > 1 {
        return match live_key(state, call) {
            Ok((vault, key)) => key.newest().map_or_else(
                || not_found(call.id.as_ref()),
                |version| Answer::json(200, key_json(vault, key, version, false)),
            ),
            Err(answer) => answer,
        };
    }
    let vault = match vault_of(state, call) {
        Ok(vault) => &state.vaults[vault],
        Err(answer) => return answer,
    };
    let live = vault.keys.iter().filter(|key| vault.live_key(&key.name, state.now).is_some());
    let all = live.filter_map(|key| Some(key_json(vault, key, key.newest()?, false))).collect();
    page(state, call, all)
}

pub(super) fn versions(state: &mut State, call: &Call<'_>) -> Answer {
    let (vault, key) = match live_key(state, call) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    if call.names.len() < 3 {
        let all = key.versions.iter().map(|version| key_json(vault, key, version, true)).collect();
        return page(state, call, all);
    }
    let missing = || {
        let text = format!("The key version '{}' was not found in vault '{}'.", call.name(2), vault.name());
        Answer::error(404, "KeyNotFound", text)
    };
    key.version(call.name(2)).map_or_else(missing, |version| Answer::json(200, key_json(vault, key, version, true)))
}

pub(super) fn key_json(vault: &Vault, key: &Key, version: &KeyVersion, as_version: bool) -> Value {
    let uri = format!("https://{}.vault.azure.net:443/keys/{}", vault.name(), key.name);
    let mut attributes = attributes_json(vault, version);
    attributes["exportable"] = json!(false);
    let id = format!("{}/keys/{}", vault.id, key.name);
    let (id, name, kind) = if as_version {
        (format!("{id}/versions/{}", version.id), version.id.as_str(), "Microsoft.KeyVault/vaults/keys/versions")
    } else {
        (id, key.name.as_str(), "Microsoft.KeyVault/vaults/keys")
    };
    json!({
        "id": id,
        "name": name,
        "type": kind,
        "location": vault.location,
        "tags": version.tags.clone().unwrap_or_else(|| json!({})),
        "properties": {
            "attributes": attributes,
            "kty": version.kty,
            "keySize": version.size,
            "keyOps": version.operations,
            "keyUri": uri,
            "keyUriWithVersion": format!("{uri}/{}", version.id),
        },
    })
}

/// A key version's attributes, the same in both planes.
pub(crate) fn attributes_json(vault: &Vault, version: &KeyVersion) -> Value {
    let mut out = json!({
        "enabled": version.enabled,
        "created": version.created.as_second(),
        "updated": version.updated.as_second(),
        "recoveryLevel": if vault.purge_protection { "Recoverable" } else { "Recoverable+Purgeable" },
    });
    if let Some(at) = version.not_before {
        out["nbf"] = json!(at);
    }
    if let Some(at) = version.expires {
        out["exp"] = json!(at);
    }
    out
}
