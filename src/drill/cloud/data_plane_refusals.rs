//! How the data plane refuses: its errors, the firewall, a permission that is missing.

use serde_json::json;

use super::rights::{NoRight, data_action};
use super::state::State;
use super::wire::Answer;

/// An error in the data plane's shape.
pub(super) fn error(status: u16, code: &str, message: &str, inner: Option<&str>) -> Answer {
    let mut error = json!({ "code": code, "message": message });
    if let Some(inner) = inner {
        error["innererror"] = json!({ "code": inner });
    }
    Answer::json(status, json!({ "error": error }))
}

pub(super) fn network_info(state: &State, at: usize) -> String {
    let kind = if state.vaults[at].network.public_network_access == "Enabled" { "Ipv4" } else { "PrivateLink" };
    format!("conn_type={kind};addr={};act_addr_fam=InterNetwork;", state.world.responder.address)
}

/// The caller is no trusted service: only its address counts.
pub(super) fn refused_by_firewall(state: &State, at: usize) -> Option<Answer> {
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
