//! Key Vault's data plane: keys and deleted keys, behind the vault's firewall and its permission model.

use serde_json::json;

use super::data_plane_keys::{deleted, list, read, recover, update, versions};
use super::rights::{NoRight, data_action};
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

pub(super) fn error(status: u16, code: &str, message: &str, inner: Option<&str>) -> Answer {
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
pub(super) fn forbidden_unless(state: &State, at: usize, key: &str, permission: &str) -> Option<Answer> {
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
