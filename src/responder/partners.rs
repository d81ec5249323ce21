//! Which servers are asked for their geo partners, so that a storm never costs a request more for each server.
//!
//! Azure tells the partners of one server by one list. An audit and a diagnosis on request ask every server for it, and the
//! patrol asks each once a day while no incident is open: their pace is their own. Whoever works on a signal asks a server only where
//!
//! - it is alone: a vault with a single server costs one list more; or
//! - it is remembered to have partners, and it is one of the first [`probe::MOST_PARTNERS`] of these: so many lists more an
//!   incident at most, however many servers it has.
//!
//! What is remembered decides who is asked, never what is granted: a link that was ended must not bring a grant back that
//! somebody took away for that reason.

use std::collections::BTreeSet;

use serde_json::json;

use super::Responder;
use crate::domain::dependent::Kind;
use crate::domain::evidence::ServerEvidence;
use crate::domain::resource_id::ResourceId;
use crate::probe;
use crate::store::StoreError;

/// The kind of fact that remembers which servers hold geo-secondaries of a server's databases.
const GEO_PARTNERS: &str = "geo_partners";

impl Responder {
    /// The servers among these that are asked for their geo partners; see the module.
    pub(super) async fn partners_of(&self, servers: &[ResourceId]) -> Result<Vec<ResourceId>, StoreError> {
        if let [only] = servers {
            return Ok(vec![only.clone()].into_iter().filter(|only| Kind::of(only) == Some(Kind::SqlServer)).collect());
        }
        let facts = self.store.facts(GEO_PARTNERS).await?;
        let with_partners: BTreeSet<String> =
            facts.into_iter().filter(|(_, partners, _)| *partners != json!([])).map(|(server, ..)| server).collect();
        let known = servers.iter().filter(|server| with_partners.contains(server.key()));
        Ok(known.take(probe::MOST_PARTNERS).cloned().collect())
    }

    /// Remembers the partners of those servers that were asked for them. That a server has none is not worth a line, unless
    /// it had some.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_partners<'a>(
        &self,
        servers: impl IntoIterator<Item = &'a ServerEvidence>,
    ) -> Result<(), StoreError> {
        for seen in servers.into_iter().filter(|seen| seen.links.known().is_some()) {
            let partners = json!(seen.partners().into_keys().collect::<Vec<_>>());
            let before = self.store.fact(GEO_PARTNERS, seen.id.key()).await?.map(|(before, _)| before);
            if before.unwrap_or(json!([])) != partners {
                self.store.keep_fact(GEO_PARTNERS, seen.id.key(), &partners, self.clock.now()).await?;
            }
        }
        Ok(())
    }
}
