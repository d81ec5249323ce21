//! Whether each vault answers from here, and whether its firewall lets us in. What our rights are is another matter.

use futures::StreamExt;

use super::estate::{Estate, FoundVault};
use super::report::{Check, Fix, Section};
use super::{Patient, SIDE_BY_SIDE};
use crate::azure::AzureError;
use crate::domain::evidence::Fact;
use crate::domain::policy::{Mode, Policy};
use crate::domain::remedy::Remedy;
use crate::domain::rights::key_permissions;

pub(super) async fn check(patient: &Patient<'_>, estate: &Estate) -> Section {
    let looks = estate.vaults.iter().map(|vault| look(patient, vault));
    let mut checks: Vec<Check> =
        futures::stream::iter(looks.collect::<Vec<_>>()).buffered(SIDE_BY_SIDE).collect::<Vec<_>>().await;
    if checks.is_empty() {
        checks.push(Check::warning("vaults", "no vault is known, so none was looked at"));
    }
    Section { name: "vaults", checks }
}

async fn look(patient: &Patient<'_>, found: &FoundVault) -> Check {
    let host = &found.host;
    let name = host.vault_name().to_owned();
    if host.is_managed_hsm() {
        return Check::warning(name, "it is a managed HSM, which Keymend does not read: a person repairs it");
    }
    if !patient.azure.endpoints().owns(host) {
        return Check::missing(name, format!("{host} is not of the configured cloud, and never gets a request"))
            .fix(Fix::words("Correct azure.cloud"));
    }
    let servers = if found.servers == 1 { "1 server".to_owned() } else { format!("{} servers", found.servers) };
    match patient.azure.vault_answers(host).await {
        Ok(true) => {}
        Ok(false) | Err(AzureError::Unreachable { .. }) => return silent(found, name, &servers),
        Err(error) => return Check::unknown(name, error.to_string()),
    }
    let network = network(found);
    let network = network.as_str();
    match patient.azure.key_at_vault(&found.key).await {
        Ok(_) => Check::ok(name, format!("answers and lets us in{network} ({servers})")),
        Err(error) if error.is_vault_firewall() => kept_out(patient, found, name),
        Err(AzureError::NotFound { .. }) => {
            Check::warning(name, format!("answers and lets us in{network}; the key {} is not there", found.key.key))
        }
        Err(error) if error.is("KeyDisabled") => {
            Check::warning(name, format!("answers and lets us in{network}; the key {} is disabled", found.key.key))
        }
        Err(AzureError::Forbidden { .. }) => {
            Check::ok(name, format!("answers and lets us in{network} ({servers}); what we may do there: see rights"))
        }
        Err(error) => Check::unknown(name, format!("answers{network}; but {error}")),
    }
}

/// The vault's rules in a word, where it has any.
fn network(found: &FoundVault) -> String {
    let Some(vault) = found.known() else { return String::new() };
    let network = &vault.network;
    if network.in_perimeter() {
        ", in a network security perimeter".to_owned()
    } else if network.public_access.eq_ignore_ascii_case("Disabled") {
        ", with public access off".to_owned()
    } else if network.default_deny {
        ", behind a firewall".to_owned()
    } else {
        String::new()
    }
}

fn silent(found: &FoundVault, name: String, servers: &str) -> Check {
    let host = &found.host;
    let why = if matches!(found.vault, Fact::Absent) {
        "it is deleted, or we may not see it"
    } else {
        "its name does not resolve here, or no way leads there"
    };
    let fix = Fix::command("Look from where Keymend runs", format!("curl -sS -i https://{host}/healthstatus"));
    Check::missing(name, format!("{host} does not answer: {why} ({servers})")).fix(fix)
}

/// Its firewall stops us: a diagnosis still sees most by the Resource Manager, but keys cannot be repaired.
fn kept_out(patient: &Patient<'_>, found: &FoundVault, name: String) -> Check {
    let stopped = key_remedies(&patient.settings.policy);
    let effect = if stopped.is_empty() { String::new() } else { format!("; it stops {}", stopped.join(", ")) };
    let how = match network(found).as_str() {
        "" | ", behind a firewall" => String::new(),
        other => format!(" ({})", other.trim_start_matches(", ")),
    };
    let said = format!("answers, and its firewall keeps us out{how}{effect}");
    let public = found.known().is_none_or(|vault| vault.network.public_access.eq_ignore_ascii_case("Enabled"));
    let fix = if public {
        let run = format!("az keyvault network-rule add --name {name} --ip-address <address Keymend calls from>");
        Fix::command("Let Keymend's address in (az functionapp show --query outboundIpAddresses tells it)", run)
    } else {
        Fix::words(format!(
            "Give Keymend a way into {name}: a private endpoint in its network, or a place in the perimeter"
        ))
    };
    Check::warning(name, said).fix(fix)
}

fn key_remedies(policy: &Policy) -> Vec<&'static str> {
    let used = |remedy: &Remedy| policy.mode(*remedy) != Mode::Off && !key_permissions(*remedy).is_empty();
    Remedy::ALL.into_iter().filter(used).map(Remedy::name).collect()
}
