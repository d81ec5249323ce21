//! What links to the pages are signed with: the secret of the settings, else one that is made once and kept in the store, so
//! that every process on it signs and accepts the same links.

use serde_json::json;

use crate::clock::Clock;
use crate::ids::Ids;
use crate::notify::secret::Secret;
use crate::notify::signed_link::LinkKeys;
use crate::store::{Store, StoreError};

/// The kind of fact that keeps it.
const KIND: &str = "link_secret";

/// The keys.
///
/// # Errors
/// If the store fails.
pub async fn link_keys(
    configured: &[Secret],
    store: &dyn Store,
    clock: &Clock,
    ids: &Ids,
) -> Result<Option<LinkKeys>, StoreError> {
    if let Some(keys) = LinkKeys::new(configured) {
        return Ok(Some(keys));
    }
    if store.facts(KIND).await?.is_empty() {
        let secret = format!("{}{}", ids.uuid().simple(), ids.uuid().simple());
        // Under a name of its own: two processes that start at once keep two, and both accept either.
        store.keep_fact(KIND, &ids.uuid().simple().to_string(), &json!(secret), clock.now()).await?;
    }
    let kept = store.facts(KIND).await?;
    let secrets: Vec<Secret> =
        kept.iter().filter_map(|(_, value, _)| value.as_str()).map(|secret| Secret::new(secret.to_owned())).collect();
    Ok(LinkKeys::new(&secrets))
}
