//! Whether tokens are to be had, and whose they are.

use super::Patient;
use super::estate;
use super::report::{Check, Fix, Section};
use crate::azure::caller::{Audience, Claims, Heard};
use crate::azure::{AzureError, CredentialConfig};

/// Whose identity Keymend uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The Entra object id: what role assignments name.
    pub object_id: String,
    /// A signed-in person rather than an application.
    pub person: bool,
}

impl Principal {
    /// As role assignments call it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        if self.person { "User" } else { "ServicePrincipal" }
    }
}

pub(super) async fn look(patient: &Patient<'_>) -> (Option<Principal>, Section) {
    let (arm, vault) =
        futures::join!(patient.azure.caller(Audience::ResourceManager), patient.azure.caller(Audience::KeyVault));
    let claims = arm.as_ref().ok().cloned().flatten();
    let own = claims.as_ref().and_then(|claims| {
        let object_id = claims.object_id.clone()?;
        Some(Principal { object_id, person: claims.person })
    });
    let principal = own.or_else(|| patient.principal.clone());
    let mut checks = Vec::new();
    for (name, token) in [("token for ARM", arm), ("token for key vaults", vault)] {
        checks.push(match token {
            Ok(claims) => Check::ok(name, whose(claims.as_ref(), principal.as_ref())),
            Err(error) => {
                Check::missing(name, error.to_string()).fix(Fix::words(advice(&patient.settings.azure.credential)))
            }
        });
    }
    if principal.is_none() {
        let said = "the token does not tell whose it is, so its rights cannot be looked up";
        checks.push(Check::unknown("who we are", said));
    }
    (principal, Section { name: "identity", checks })
}

/// Asks the Resource Manager anything at all.
pub(super) async fn hear(patient: &Patient<'_>) -> Result<Heard, AzureError> {
    let subscription = estate::subscriptions(&patient.settings.policy.scope).into_iter().next().unwrap_or_default();
    patient.azure.hear(&subscription).await
}

/// What is wrong with the Resource Manager's answer, if anything is.
pub(super) fn accepted(heard: &Result<Heard, AzureError>) -> Option<Check> {
    match heard {
        Ok(Heard { status: 401, .. }) => {
            let fix = Fix::words("See that azure.tenant_id, azure.cloud and the credential belong together");
            Some(Check::missing("ARM", "it does not accept our token (401)").fix(fix))
        }
        Ok(_) | Err(AzureError::Credential(_)) => None,
        Err(error) => {
            let fix = Fix::words("Check azure.arm_endpoint, DNS, the proxy and the way out of this network");
            Some(Check::missing("ARM", format!("it does not answer: {error}")).fix(fix))
        }
    }
}

fn whose(claims: Option<&Claims>, principal: Option<&Principal>) -> String {
    match (claims.map(Claims::to_string).filter(|said| !said.is_empty()), principal) {
        (Some(said), _) => said,
        (None, Some(principal)) => format!("object {} (simulated)", principal.object_id),
        (None, None) => "it is there, and does not tell whose it is".to_owned(),
    }
}

const fn advice(credential: &CredentialConfig) -> &'static str {
    match credential {
        CredentialConfig::ManagedIdentity { .. } => {
            "Run this where Keymend runs: a managed identity exists only there. Give the app one (az functionapp identity \
             assign), and if it is user-assigned set azure.client_id. On a laptop set KEYMEND_CREDENTIAL=developer_tools"
        }
        CredentialConfig::WorkloadIdentity { .. } => {
            "Check AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE, and the application's federated credential"
        }
        CredentialConfig::ClientSecret { .. } => {
            "Check azure.tenant_id and azure.client_id, and whether the client secret has expired (az ad app credential list)"
        }
        CredentialConfig::DeveloperTools { .. } => "Sign in again: az login",
        CredentialConfig::Static(_) => "Correct azure.static_token",
    }
}
