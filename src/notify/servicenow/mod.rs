//! ServiceNow: one incident a loss (Table API), or events for Event Management.
//!
//! | file | job |
//! |---|---|
//! | [`auth`] | who we are: OAuth client credentials, a user, an API key |
//! | `table` | the calls, and what their answers mean |
//! | `ticket` | which fields a ticket gets, and what a row of the table says |
//! | `events` | Event Management instead of incidents |
//!
//! The Table API has no idempotency of its own, and it ignores the part of a query that it does not understand: what it finds
//! may be somebody else's ticket. So every row's `correlation_id` is compared, nothing is created before a lookup, and
//! `correlation_display` holds the numbers of the messages that are in the ticket already: a work note and its number are
//! written in one request.

pub mod auth;
mod events;
mod table;
mod ticket;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::domain::incident::IncidentId;
use crate::domain::notice::Notice;
use crate::notify::api::Api;
use crate::notify::doubts::Doubts;
use crate::notify::http::{InvalidChannel, SLOW_TIMEOUT};
use crate::notify::links::Links;
use crate::notify::route::{ENDINGS, NEEDS_PERSON};
use crate::notify::{Channel, ChannelError, Parcel, Trial, TrialMessage, texts};
use auth::{Auth, Login};
use ticket::Ticket;

/// What is done in ServiceNow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// An incident is opened, written to and resolved.
    Incident,
    /// Events are sent to Event Management, which makes alerts of them.
    EventManagement,
}

/// What may be set of a ServiceNow channel. Every value of a ticket is the customer's own to choose.
#[derive(Debug, Clone)]
pub struct ServiceNowOptions {
    /// What is done there.
    pub mode: Mode,
    /// The table that tickets are in.
    pub table: String,
    /// Fields that every new ticket gets, by name: `assignment_group`, `caller_id`, `cmdb_ci`, `category` and others.
    pub fields: BTreeMap<String, String>,
    /// The group that has the ticket once a person is needed.
    pub escalation_group: Option<String>,
    /// How much a loss matters, 1 (high) to 3 (low).
    pub impact: u32,
    /// How urgent a new ticket is, 1 (high) to 3 (low); 1 once a person is needed.
    pub urgency: u32,
    /// The number of "In Progress".
    pub state_in_progress: u32,
    /// The number of "Resolved".
    pub state_resolved: u32,
    /// The numbers of states in which a ticket is written to no more: "Closed" and "Canceled".
    pub states_over: Vec<u32>,
    /// The resolution code.
    pub close_code: String,
    /// Where links lead.
    pub links: Links,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl Default for ServiceNowOptions {
    fn default() -> Self {
        Self {
            mode: Mode::Incident,
            table: "incident".to_owned(),
            fields: BTreeMap::new(),
            escalation_group: None,
            impact: 1,
            urgency: 2,
            state_in_progress: 2,
            state_resolved: 6,
            states_over: vec![7, 8],
            close_code: "Solution provided".to_owned(),
            links: Links::default(),
            timeout: SLOW_TIMEOUT,
        }
    }
}

/// An instance of ServiceNow.
#[derive(Debug)]
pub struct ServiceNow {
    api: Api,
    auth: Auth,
    options: ServiceNowOptions,
    doubts: Doubts,
}

impl ServiceNow {
    /// A channel called `name` to the instance at `base` (`https://….service-now.com`).
    ///
    /// # Errors
    /// [`InvalidChannel`] where the address, the credential or a field's name cannot be used.
    pub fn new(
        name: impl Into<String>,
        base: &str,
        login: Login,
        options: ServiceNowOptions,
        clock: Clock,
    ) -> Result<Self, InvalidChannel> {
        let api = Api::new(name, base, &login.secrets(), options.timeout, clock)?;
        let auth = Auth::new(api.name(), login)?;
        for name in options.fields.keys().chain([&options.table]) {
            if let Err(why) = ticket::check_name(name) {
                return Err(InvalidChannel::Setting { channel: api.name().to_owned(), why });
            }
        }
        Ok(Self { api, auth, options, doubts: Doubts::default() })
    }

    /// The ticket of an incident: the one that was kept, else the oldest that is found.
    async fn ticket(&self, parcel: &Parcel<'_>) -> Result<Option<Ticket>, ChannelError> {
        let incident = &parcel.notice.incident;
        if let Some(kept) = parcel.kept.and_then(|kept| Ticket::deserialize(kept).ok())
            && let Some(ticket) = self.read(&kept.sys_id, incident).await?
        {
            return Ok(Some(ticket));
        }
        self.look_up(incident).await
    }

    async fn open(&self, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError> {
        let incident = &parcel.notice.incident;
        if let Some(wait) = self.doubts.wait(incident, self.api.now()) {
            let why = format!(
                "channel `{}` was asked to open a ticket and did not answer; it is not asked again yet, since the ticket \
                 may still show up",
                self.api.name()
            );
            return Err(ChannelError::Retry { after: Some(wait), why });
        }
        let fields = ticket::opened(parcel, &self.options);
        let created = self.create(&fields, &incident.0).await;
        if matches!(created, Err(ChannelError::Retry { .. })) {
            self.doubts.about(incident, self.api.now());
        }
        Ok(created?.keep())
    }

    /// Writes a message into a ticket, unless it is there already.
    async fn write(&self, ticket: &Ticket, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError> {
        if ticket.has(parcel.notice.sequence) {
            return Ok(ticket.keep());
        }
        let fields = ticket::updated(ticket, parcel, &self.options);
        match self.update(&ticket.sys_id, &fields).await {
            Ok(written) => Ok(written.keep()),
            // The message must get there even where the ticket cannot be resolved.
            Err(ChannelError::Permanent { why }) if fields.get("state").is_some() => {
                let note = ticket::note_alone(ticket, parcel, &self.options);
                self.update(&ticket.sys_id, &note).await?;
                Err(ChannelError::Permanent {
                    why: format!("{why} (the message is in {} as a work note, the state is as it was)", ticket.number),
                })
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Channel for ServiceNow {
    fn name(&self) -> &str {
        self.api.name()
    }

    fn wants_heartbeat(&self) -> bool {
        true
    }

    async fn send(&self, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError> {
        let notice = parcel.notice;
        check_id(&notice.incident).map_err(|why| self.api.permanent(why))?;
        if self.options.mode == Mode::EventManagement {
            return self.send_event(parcel).await.map(|()| None);
        }
        match self.ticket(parcel).await? {
            Some(ticket) if !ticket.is_over(&self.options) => self.write(&ticket, parcel).await,
            // Somebody closed or cancelled it: only what needs a person opens another one.
            Some(ticket) if !calls(notice) || ticket.has(notice.sequence) => Ok(ticket.keep()),
            None if ENDINGS.contains(&notice.situation) => Ok(None),
            _ => self.open(parcel).await,
        }
    }

    async fn try_out(&self, trial: &TrialMessage) -> Result<String, ChannelError> {
        let id = IncidentId(trial.id.to_ascii_lowercase());
        check_id(&id).map_err(|why| self.api.permanent(why))?;
        if trial.trial == Trial::Heartbeat {
            if self.options.mode == Mode::Incident {
                self.look_up(&id).await?;
            } else {
                self.auth.renew(&self.api).await?;
            }
            return Ok("signed in and looked up; nothing was written".to_owned());
        }
        if self.options.mode == Mode::EventManagement {
            return self.try_event(trial).await;
        }
        let created = self.create(&ticket::trial(trial, &id, &self.options), &id.0).await?;
        let close = json!({
            "state": self.options.state_resolved.to_string(),
            "close_code": self.options.close_code,
            "close_notes": ticket::harmless(&texts::trial::headline(trial)),
        });
        self.update(&created.sys_id, &close).await?;
        Ok(format!("201: {} was opened with the lowest urgency, and resolved", created.number))
    }
}

/// Whether a message needs a person.
fn calls(notice: &Notice) -> bool {
    NEEDS_PERSON.contains(&notice.situation)
}

/// `^` and others end a condition of a query: only what no query can misread may be an id.
fn check_id(id: &IncidentId) -> Result<(), String> {
    let harmless = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !id.0.is_empty() && id.0.chars().all(harmless) {
        Ok(())
    } else {
        Err("the incident's id holds characters that would change the query; it was not sent".to_owned())
    }
}
