//! SQL's own look at its key: the whole chain from the server's identity to the key's versions.
//!
//! Codes and texts are those of the published error catalogue of Azure SQL; which code a real server gives for which
//! cause is known only roughly.

use super::resources::{Key, KeyVersion, Protector, Vault};
use super::state::State;
use super::world::PermissionModel;
use crate::domain::resource_id::ResourceId;

/// Why a server cannot use its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoAccess {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Whether the vault fails or cannot be reached, rather than refuses: the class with the 24-hour buffer.
    pub(crate) unreachable: bool,
}

fn refused(code: &'static str, message: impl Into<String>) -> NoAccess {
    NoAccess { code, message: message.into(), unreachable: false }
}

impl State {
    /// Whether the server can use its protector and every older key version that its databases still need.
    pub(crate) fn key_access(&self, server: usize) -> Result<(), NoAccess> {
        let server = &self.servers[server];
        let Some(protector) = &server.protector else { return Ok(()) };
        self.access_by(server.id.name(), protector, server.effective_principal())
    }

    /// Whether a database can use the key that it is encrypted with: its own, or the server's.
    pub(crate) fn database_access(&self, server: usize, database: usize) -> Result<(), NoAccess> {
        match &self.servers[server].databases[database].own {
            Some((protector, (id, principal, _))) => {
                let identity = Some((principal.clone(), Some(id.clone())));
                self.access_by(self.servers[server].id.name(), protector, identity)
            }
            None => self.key_access(server),
        }
    }

    fn access_by(
        &self,
        name: &str,
        protector: &Protector,
        identity: Option<(String, Option<ResourceId>)>,
    ) -> Result<(), NoAccess> {
        let Some((principal, user_assigned)) = identity else {
            return Err(refused("AzureKeyVaultNoServerIdentity", "The server identity is not correctly configured."));
        };
        if user_assigned.as_ref().is_some_and(|id| self.identities.iter().all(|identity| identity.id != *id)) {
            return Err(refused(
                "AdalServicePrincipalNotFound",
                "The operation could not be completed because an Azure Active Directory library Service Principal not \
                 found error was encountered.",
            ));
        }
        let host = protector.host();
        let not_resolving = || {
            let text = format!("AKV host '{host}' is not resolvable from SQL, on server '{name}'.");
            refused("AkvHostNotResolvingFromNode", text)
        };
        let vault = self.vault_named(&protector.vault).map(|at| &self.vaults[at]).ok_or_else(not_resolving)?;
        if !vault.resolves(self.now) {
            return Err(not_resolving());
        }
        if vault.failing_until > self.now {
            return Err(NoAccess {
                code: "AzureKeyVaultConnectionFailed",
                message: "The operation could not be completed on the server because attempts to connect to Azure Key \
                          Vault have failed"
                    .to_owned(),
                unreachable: true,
            });
        }
        admits_trusted_services(vault)?;
        self.may_use(vault, &principal, protector, user_assigned.is_some())?;
        self.keys_usable(vault, protector)
    }

    fn may_use(
        &self,
        vault: &Vault,
        principal: &str,
        protector: &Protector,
        user_assigned: bool,
    ) -> Result<(), NoAccess> {
        let wanted = ["get", "wrapKey", "unwrapKey"];
        if wanted.iter().all(|permission| self.data_right(vault, &protector.key, principal, permission).is_ok()) {
            return Ok(());
        }
        Err(match (vault.model, user_assigned) {
            (PermissionModel::Rbac, _) => refused(
                "AkvKeyOperationNotAllowedByRBAC",
                "One of required operations on customer managed key is not allowed for currently chosen RBAC role of \
                 the server identity on Azure Key Vault.",
            ),
            (PermissionModel::Policy, true) => refused(
                "UmiMissingAkvPermissions",
                "PrimaryUserAssignedIdentityId provided by user does not have access to KeyId provided",
            ),
            (PermissionModel::Policy, false) => refused(
                "AzureKeyVaultMissingPermissions",
                "The server is missing required permissions on the Azure Key Vault.",
            ),
        })
    }

    fn keys_usable(&self, vault: &Vault, protector: &Protector) -> Result<(), NoAccess> {
        let gone = || {
            refused(
                "AzureKeyVaultKeyNameNotFound",
                "The operation could not be completed because the Azure Key Vault Key name does not exist.",
            )
        };
        let key = vault.live_key(&protector.key, self.now).ok_or_else(gone)?;
        let newest = protector.version.is_none().then(|| newest_enabled(key)).flatten();
        for linked in &protector.linked {
            let Some(version) = key.version(&linked.version).filter(|v| v.thumbprint == linked.thumbprint) else {
                return Err(refused(
                    "AzureKeyVaultKeyThumbprintIsDifferent",
                    "The operation could not be completed because the Azure Key Vault Key material is different than \
                     the current encryption protector key.",
                ));
            };
            self.version_usable(version)?;
        }
        newest.map_or(Ok(()), |version| self.version_usable(version))
    }

    fn version_usable(&self, version: &KeyVersion) -> Result<(), NoAccess> {
        let now = self.now.as_second();
        if !version.enabled {
            return Err(refused(
                "AzureKeyVaultKeyDisabled",
                "The operation could not be completed on the server because the Azure Key Vault key is disabled.",
            ));
        }
        if version.expires.is_some_and(|at| at <= now) || version.not_before.is_some_and(|at| at > now) {
            return Err(refused(
                "AzureKeyVaultInvalidExpirationDate",
                "The operation could not be completed because the Azure Key Vault key expiration date is invalid.",
            ));
        }
        let may = |operation: &str| version.operations.iter().any(|held| held.eq_ignore_ascii_case(operation));
        if !may("wrapKey") || !may("unwrapKey") {
            return Err(refused(
                "AkvKeyOperationNotAllowed",
                "Operations on customer managed key are not allowed in Azure Key Vault. Please allow the following \
                 operations on the key: \"get\", \"wrapKey\", \"unwrapKey\"",
            ));
        }
        Ok(())
    }
}

fn newest_enabled(key: &Key) -> Option<&KeyVersion> {
    key.versions.iter().rev().find(|version| version.enabled)
}

/// Azure SQL is a trusted service: `bypass` lets it in, except through a network security perimeter.
fn admits_trusted_services(vault: &Vault) -> Result<(), NoAccess> {
    let network = &vault.network;
    let perimeter = network.public_network_access.eq_ignore_ascii_case("SecuredByPerimeter");
    let open = network.public_network_access.eq_ignore_ascii_case("Enabled")
        && network.default_action.eq_ignore_ascii_case("Allow");
    if !perimeter && (open || network.bypass.eq_ignore_ascii_case("AzureServices")) {
        return Ok(());
    }
    Err(refused(
        "AkvKeyOperationNotAllowedByFirewall",
        "Connection to Azure Key Vault was forbidden by Azure Key Vault firewall policy. Please review the Azure Key \
         Vault firewall policy to enable connection.",
    ))
}
