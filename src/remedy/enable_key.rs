//! Enable key: one version may be used again; its dates stay as they are.

use crate::azure::{Azure, AzureError, PreparedWrite};
use crate::domain::key_uri::KeyUri;
use crate::remedy::outcome::{Outcome, Way, already, differs};
use crate::remedy::refusal::unread;
use crate::remedy::send::send;

/// The write; `None` where the plan names no version.
pub(super) fn write(key: &KeyUri) -> Option<PreparedWrite> {
    let version = key.version.as_deref()?;
    Some(PreparedWrite::update_key_attributes(&key.vault, &key.key, version, Some(true), None))
}

pub(super) async fn apply(azure: &Azure, key: &KeyUri) -> Way<Outcome> {
    let Some(write) = write(key) else {
        return Err(differs("the plan names no version of the key"));
    };
    match is_enabled(azure, key).await {
        Ok(true) => return Err(already("the key version is enabled")),
        Ok(false) => {}
        Err(AzureError::NotFound { .. }) => return Err(differs("the key version is no longer there")),
        Err(error) => return Err(unread(&error)),
    }
    let told =
        (format!("key {} version {}", key.key, key.version.as_deref().unwrap_or_default()), "disabled", "enabled");
    let sent = send(azure, &write, vec![(told.0, told.1.to_owned(), told.2.to_owned())]).await?;
    match is_enabled(azure, key).await {
        Ok(true) => Ok(sent.made()),
        _ => Ok(sent.not_seen()),
    }
}

/// The vault may refuse to show a disabled key at all, and says by that that it is one.
async fn is_enabled(azure: &Azure, key: &KeyUri) -> Result<bool, AzureError> {
    match azure.key_at_vault(key).await {
        Ok(found) => Ok(found.enabled),
        Err(error) if error.is("KeyDisabled") => Ok(false),
        Err(error) => Err(error),
    }
}
