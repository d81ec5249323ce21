//! Extend expiry: one key version lives on until the planned moment. Never shortened, never beyond the plan.

use jiff::Timestamp;

use crate::azure::{Azure, AzureError, PreparedWrite};
use crate::domain::key_uri::KeyUri;
use crate::remedy::outcome::{Outcome, Way, already, differs, when};
use crate::remedy::refusal::unread;
use crate::remedy::send::send;

/// The write; `None` where the plan names no version.
pub(super) fn write(key: &KeyUri, to: Timestamp) -> Option<PreparedWrite> {
    let version = key.version.as_deref()?;
    Some(PreparedWrite::update_key_attributes(&key.vault, &key.key, version, None, Some(to)))
}

pub(super) async fn apply(azure: &Azure, key: &KeyUri, from: Option<Timestamp>, to: Timestamp) -> Way<Outcome> {
    let Some(write) = write(key, to) else {
        return Err(differs("the plan names no version of the key"));
    };
    let now = precondition(azure, key, from, to).await?;
    let told = format!("expiry of key {} version {}", key.key, key.version.as_deref().unwrap_or_default());
    let sent = send(azure, &write, vec![(told, when(now), when(to))]).await?;
    match azure.key_at_vault(key).await {
        Ok(after) if after.expires.is_some_and(|expires| expires.as_second() == to.as_second()) => Ok(sent.made()),
        _ => Ok(sent.not_seen()),
    }
}

/// When it expires, if that is as planned. Key Vault counts whole seconds.
async fn precondition(azure: &Azure, key: &KeyUri, from: Option<Timestamp>, to: Timestamp) -> Way<Timestamp> {
    let found = match azure.key_at_vault(key).await {
        Ok(found) => found,
        Err(error) if error.is("KeyDisabled") => return Err(differs("the key version is disabled now")),
        Err(AzureError::NotFound { .. }) => return Err(differs("the key version is no longer there")),
        Err(error) => return Err(unread(&error)),
    };
    let Some(expires) = found.expires else {
        return Err(already("the key version does not expire"));
    };
    if expires.as_second() >= to.as_second() {
        return Err(already(format!("the key version expires {}", when(expires))));
    }
    if !found.enabled {
        return Err(differs("the key version is disabled now"));
    }
    if from.map(Timestamp::as_second) != Some(expires.as_second()) {
        return Err(differs(format!("the key version's expiry was changed since the diagnosis, to {}", when(expires))));
    }
    if to <= azure.clock().now() {
        return Err(differs(format!("the planned expiry, {}, has passed", when(to))));
    }
    Ok(expires)
}
