//! Recover vault: a soft-deleted vault comes back. Its role assignments and event subscriptions do not.

use crate::azure::{Azure, AzureError, PreparedWrite};
use crate::domain::evidence::{DeletedVault, Vault};
use crate::domain::resource_id::ResourceId;
use crate::remedy::outcome::{Outcome, Way, already, differs, when};
use crate::remedy::refusal::{refused, unread};
use crate::remedy::send::{LOOKS, try_send};
use crate::remedy::{Applied, Receipt};

pub(super) async fn apply(azure: &Azure, vault: &ResourceId, location: &str, tenant_id: &str) -> Way<Outcome> {
    let remains = precondition(azure, vault, location).await?;
    let write = PreparedWrite::recover_vault(vault, &remains.location, tenant_id);
    let sent = match try_send(azure, &write, in_words(&remains)).await {
        Ok(sent) => sent,
        // Somebody was faster.
        Err(error) if error.is("VaultAlreadyExists") => return Err(on_its_way()),
        Err(error) => return Err(refused(&error)),
    };
    if sent.goes_on() {
        return Ok(sent.not_seen());
    }
    for look in LOOKS {
        match azure.vault(vault).await {
            Ok(found) if is_up(&found) => return Ok(sent.made()),
            Ok(_) | Err(AzureError::NotFound { .. }) => azure.clock().pause(look).await,
            Err(_) => break,
        }
    }
    Ok(sent.not_seen())
}

/// The remains, if the vault is still deleted and not about to be purged.
async fn precondition(azure: &Azure, vault: &ResourceId, location: &str) -> Way<DeletedVault> {
    match azure.vault(vault).await {
        Ok(found) if is_up(&found) => return Err(already("the vault is there")),
        Ok(_) => return Err(on_its_way()),
        Err(AzureError::NotFound { .. }) => {}
        Err(error) => return Err(unread(&error)),
    }
    let deleted = azure.deleted_vaults(vault.subscription()).await.map_err(|error| unread(&error))?;
    let Some(remains) = deleted.into_iter().find(|remains| remains.vault_id == *vault) else {
        return Err(differs(
            "the vault is neither there nor among the deleted ones: it was purged, or is hidden from us",
        ));
    };
    // A recovery must not race a purge. Azure always names the date; without one it decides itself.
    if let Some(at) = remains.purge_at.filter(|at| *at <= azure.clock().now()) {
        return Err(differs(format!("the vault's purge was due {}", when(at))));
    }
    if plain(&remains.location) != plain(location) {
        return Err(differs(format!("the deleted vault lay in {} and not in {location}", remains.location)));
    }
    Ok(remains)
}

/// Somebody, or an earlier run, recovers it: Azure shows it before it can be used.
fn on_its_way() -> Outcome {
    Outcome::of(Applied::Running { receipt: Receipt::default(), operation: None })
}

fn is_up(vault: &Vault) -> bool {
    vault.provisioning_state.as_deref().is_none_or(|state| state.eq_ignore_ascii_case("Succeeded"))
}

/// A region's name without regard to how it is written: "West Europe" is `westeurope`.
fn plain(location: &str) -> String {
    location.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase()
}

fn in_words(remains: &DeletedVault) -> Vec<(String, String, String)> {
    let purge = remains.purge_at.map_or_else(String::new, |at| format!(", purge due {}", when(at)));
    let lines = [
        ("vault", format!("soft-deleted{purge}"), "recovered"),
        (
            "role assignments and event subscriptions on the vault",
            "deleted with it".to_owned(),
            "still gone: other users of the vault need theirs again",
        ),
    ];
    lines.map(|(property, before, after)| (property.to_owned(), before, after.to_owned())).to_vec()
}
