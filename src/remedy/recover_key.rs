//! Recover key: a soft-deleted key comes back, with all its versions.

use crate::azure::{Azure, AzureError, PreparedWrite};
use crate::domain::evidence::DeletedKey;
use crate::domain::key_uri::KeyUri;
use crate::remedy::outcome::{Outcome, Way, already, differs, when};
use crate::remedy::refusal::{refused, unread};
use crate::remedy::send::{LOOKS, try_send};
use crate::remedy::{Applied, Receipt};

/// How a key shows itself at its vault.
enum Seen {
    There,
    NotThere,
    OnItsWay,
}

pub(super) async fn apply(azure: &Azure, key: &KeyUri) -> Way<Outcome> {
    let key = key.versionless();
    let remains = precondition(azure, &key).await?;
    let sent = match try_send(azure, &PreparedWrite::recover_key(&key), in_words(&key, &remains)).await {
        Ok(sent) => sent,
        Err(error) if error.is("ObjectIsBeingRecovered") => return Err(on_its_way()),
        Err(AzureError::NotFound { .. }) => {
            return Err(differs(
                "the key is no longer among the vault's deleted ones: recovered or purged by somebody",
            ));
        }
        Err(error) => return Err(refused(&error)),
    };
    for look in LOOKS {
        match seen(azure, &key).await {
            Ok(Seen::There) => return Ok(sent.made()),
            Ok(Seen::NotThere | Seen::OnItsWay) => azure.clock().pause(look).await,
            Err(_) => break,
        }
    }
    Ok(sent.not_seen())
}

/// The remains, if the key is still deleted and its purge lies ahead.
async fn precondition(azure: &Azure, key: &KeyUri) -> Way<DeletedKey> {
    match seen(azure, key).await.map_err(|error| unread(&error))? {
        Seen::There => return Err(already("the key is there")),
        Seen::OnItsWay => return Err(on_its_way()),
        Seen::NotThere => {}
    }
    let remains = match azure.deleted_key(key).await {
        Ok(remains) => remains,
        Err(error) if error.is("ObjectIsBeingRecovered") => return Err(on_its_way()),
        Err(AzureError::NotFound { .. }) => return Err(neither_nor(azure, key).await),
        Err(error) => return Err(unread(&error)),
    };
    match remains.purge_at.filter(|at| *at <= azure.clock().now()) {
        Some(at) => Err(differs(format!("the key's purge was due {}", when(at)))),
        None => Ok(remains),
    }
}

/// A key that is being recovered may show itself nowhere for a while; so may one that was purged, for ever.
async fn neither_nor(azure: &Azure, key: &KeyUri) -> Outcome {
    for look in LOOKS {
        azure.clock().pause(look).await;
        match seen(azure, key).await {
            Ok(Seen::There) => return already("the key is there"),
            Ok(Seen::OnItsWay) => return on_its_way(),
            Ok(Seen::NotThere) => {}
            Err(error) => return unread(&error),
        }
    }
    differs("the key is neither there nor among the vault's deleted ones: it was purged, or its recovery takes long")
}

async fn seen(azure: &Azure, key: &KeyUri) -> Result<Seen, AzureError> {
    match azure.key_at_vault(key).await {
        Ok(_) => Ok(Seen::There),
        // It takes a key to be disabled.
        Err(error) if error.is("KeyDisabled") => Ok(Seen::There),
        Err(error) if error.is("ObjectIsBeingRecovered") => Ok(Seen::OnItsWay),
        Err(AzureError::NotFound { .. }) => Ok(Seen::NotThere),
        Err(error) => Err(error),
    }
}

/// Somebody, or an earlier run, recovers it.
fn on_its_way() -> Outcome {
    Outcome::of(Applied::Running { receipt: Receipt::default(), operation: None })
}

fn in_words(key: &KeyUri, remains: &DeletedKey) -> Vec<(String, String, String)> {
    let purge = remains.purge_at.map_or_else(String::new, |at| format!(", purge due {}", when(at)));
    vec![(format!("key {}", key.key), format!("soft-deleted{purge}"), "recovered".to_owned())]
}
