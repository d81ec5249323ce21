//! Which operation of Microsoft.KeyVault a request is.

use super::access_policies::policies;
use super::vault_keys::{keys, versions};
use super::vaults::{deleted, endpoints, patch, put, vaults};
use super::{Operation, unsupported};

pub(super) fn find(method: &str, types: &str) -> Option<Operation> {
    Some(match (method, types) {
        ("GET", "vaults") => vaults,
        ("PUT", "vaults") => put,
        ("PATCH", "vaults") => patch,
        ("PUT", "vaults/accesspolicies") => policies,
        ("GET", "vaults/keys") => keys,
        ("GET", "vaults/keys/versions") => versions,
        ("GET", "deletedvaults" | "locations/deletedvaults") => deleted,
        ("GET", "vaults/privateendpointconnections") => endpoints,
        ("DELETE", "vaults") | ("PUT", "vaults/keys") | ("POST", "locations/deletedvaults/purge") => unsupported,
        _ => return None,
    })
}
