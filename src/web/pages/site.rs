//! What the pages know of the house.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use url::Url;

use super::access::Access;
use super::answers::Answers;
use crate::domain::incident::Incident;
use crate::domain::notice::Told;
use crate::notify::Channel;
use crate::notify::links::Links;
use crate::responder::deliver::TOLD;
use crate::store::Store;

/// Of so many last messages it is asked whether they were delivered.
const ASKED: usize = 12;
/// So many deliveries are remembered: what was delivered stays delivered.
const REMEMBERED: usize = 4096;

/// What the pages know of the house.
#[derive(Debug, Clone)]
pub struct Site {
    /// Who may see them.
    pub access: Access,
    /// Where links to Azure lead.
    pub links: Links,
    /// The address of this house for people outside of it, such as `https://app.azurewebsites.net`.
    pub url: Option<Url>,
    /// The channels that messages go through.
    pub channels: Arc<[Arc<dyn Channel>]>,
    /// How answers are taken; `None`: not by a browser.
    pub answers: Option<Answers>,
    delivered: Arc<Mutex<HashSet<String>>>,
}

/// Whether a message got through a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// It was taken.
    Delivered,
    /// It was refused for good.
    Refused(String),
    /// Neither yet.
    Underway,
}

/// By message, in the incident's order: each channel and how it went. Empty for messages that were not asked about.
pub type Deliveries = Vec<Vec<(String, Delivery)>>;

impl Default for Site {
    /// One that nobody may see.
    fn default() -> Self {
        Self::new(Access::Off, Links::default(), None, Vec::new())
    }
}

impl Site {
    /// A site.
    #[must_use]
    pub fn new(access: Access, links: Links, url: Option<Url>, channels: Vec<Arc<dyn Channel>>) -> Self {
        Self { access, links, url, channels: channels.into(), answers: None, delivered: Arc::default() }
    }

    /// The same, taking answers.
    #[must_use]
    pub fn answering(self, answers: Answers) -> Self {
        Self { answers: Some(answers), ..self }
    }

    /// How the incident's last messages were delivered. A store that does not answer leaves it open.
    pub async fn deliveries(&self, store: &dyn Store, incident: &Incident) -> Deliveries {
        let first = incident.notices.len().saturating_sub(ASKED);
        let (old, recent) = incident.notices.split_at(first);
        let asked = join_all(recent.iter().map(|told| self.of(store, told))).await;
        old.iter().map(|_| Vec::new()).chain(asked).collect()
    }

    async fn of(&self, store: &dyn Store, told: &Told) -> Vec<(String, Delivery)> {
        let each = self.channels.iter().map(async |channel| {
            let key = format!("{}:{}", told.kept, channel.name());
            let delivery = self.delivery(store, key).await;
            // One that is not told of this may still have had it in the place of another; it is not behind with it.
            let concerned = channel.takes(told.situation) || delivery != Delivery::Underway;
            concerned.then(|| (channel.name().to_owned(), delivery))
        });
        join_all(each).await.into_iter().flatten().collect()
    }

    async fn delivery(&self, store: &dyn Store, key: String) -> Delivery {
        if self.delivered.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
            return Delivery::Delivered;
        }
        let Ok(Some((fact, _))) = store.fact(TOLD, &key).await else { return Delivery::Underway };
        if fact["delivered"].as_bool() == Some(true) {
            let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
            if delivered.len() >= REMEMBERED {
                delivered.clear();
            }
            delivered.insert(key);
            return Delivery::Delivered;
        }
        Delivery::Refused(fact["why"].as_str().unwrap_or_default().to_owned())
    }
}
