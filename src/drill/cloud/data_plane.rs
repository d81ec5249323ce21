//! Key Vault's data plane: keys and deleted keys, behind the vault's firewall and its permission model.

use serde_json::json;

use super::data_plane_keys::{deleted, list, read, recover, update, versions};
use super::data_plane_refusals::{error, forbidden_unless, network_info, refused_by_firewall};
use super::state::State;
use super::wire::{Answer, Request};

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
