//! What the patrol has told of already. What a person has closed stays closed as long as nothing has changed, and what was
//! told a minute ago is not told again; but nothing that came to nothing is left untold.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::clock::add;
use crate::domain::incident::{IncidentKey, Phase};
use crate::responder::Responder;
use crate::store::StoreError;

/// The kind of fact that remembers what was told of a vault or a server.
const TOLD: &str = "patrol_told";
/// How long a telling may take to become an incident.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// Ended incidents that are looked through for the one of a telling.
const MOST: usize = 500;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Told {
    kept: BTreeMap<String, (Value, Timestamp)>,
    new: BTreeMap<String, Value>,
}

impl Told {
    pub async fn load(responder: &Responder) -> Result<Self, StoreError> {
        let facts = responder.store.facts(TOLD).await?;
        Ok(Self {
            kept: facts.into_iter().map(|(about, what, at)| (about, (what, at))).collect(),
            new: BTreeMap::new(),
        })
    }

    /// Whether `what` about this vault or server is to be told; if so it counts as told once [`Self::keep`] was called.
    pub async fn is_news(
        &mut self,
        responder: &Responder,
        about: &str,
        incident: &IncidentKey,
        what: &Value,
    ) -> Result<bool, StoreError> {
        let news = match self.kept.get(about) {
            Some((told, at)) if told == what => match ended_since(responder, incident, *at).await? {
                Some(Phase::Closed) => false,
                Some(_) => true,
                None => responder.clock.now() >= add(*at, PATIENCE),
            },
            _ => true,
        };
        if news {
            self.new.insert(about.to_owned(), what.clone());
        }
        Ok(news)
    }

    /// Nothing is wrong with it: what was told is over.
    pub fn is_well(&mut self, about: &str) {
        if self.kept.get(about).is_some_and(|(told, _)| !told.is_null()) {
            self.new.insert(about.to_owned(), Value::Null);
        }
    }

    /// To be called once the signals are stored: a crash in between tells once more, and loses nothing.
    pub async fn keep(self, responder: &Responder) -> Result<(), StoreError> {
        let now = responder.clock.now();
        for (about, what) in self.new {
            responder.store.keep_fact(TOLD, &about, &what, now).await?;
        }
        Ok(())
    }
}

/// How the last incident of that key ended, if one did since then.
async fn ended_since(responder: &Responder, key: &IncidentKey, since: Timestamp) -> Result<Option<Phase>, StoreError> {
    let all = responder.store.incidents(false, MOST).await?;
    let ended = all.into_iter().filter(|past| past.key == *key && past.ended_at.is_some_and(|at| at >= since));
    Ok(ended.max_by_key(|past| past.ended_at).map(|past| past.phase))
}
