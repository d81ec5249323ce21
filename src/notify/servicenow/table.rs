//! Calls of the Table API (ServiceNow, "Table API"), and what their answers mean.

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value};

use super::ServiceNow;
use super::ticket::{self, Ticket};
use crate::domain::incident::IncidentId;
use crate::notify::ChannelError;
use crate::notify::api::Heard;

impl ServiceNow {
    /// The oldest open ticket of an incident. Rows of others, which a query that is not understood brings, are no tickets of
    /// ours.
    pub(super) async fn look_up(&self, incident: &IncidentId) -> Result<Option<Ticket>, ChannelError> {
        let query = format!("correlation_id={incident}^active=true^ORDERBYsys_created_on");
        let asked = [
            ("sysparm_query", query.as_str()),
            ("sysparm_fields", ticket::FIELDS),
            ("sysparm_limit", "2"),
            ("sysparm_exclude_reference_link", "true"),
        ];
        let heard = self.call(Method::GET, &[], &asked, None).await?;
        if heard.status == StatusCode::NOT_FOUND && said(&heard).contains("No Record found") {
            return Ok(None);
        }
        if heard.status != StatusCode::OK {
            return Err(self.refused(&heard, None));
        }
        let Some(rows) = result(&heard).and_then(Value::as_array) else {
            return Err(self.not_json(&heard));
        };
        let mut ours: Vec<Ticket> = rows.iter().filter_map(Ticket::read).filter(|it| it.is_of(incident)).collect();
        if ours.is_empty() && !rows.is_empty() {
            tracing::warn!(
                channel = self.api.name(),
                "the instance answered with tickets that were not asked for: a field of the query is not known there"
            );
        }
        if let [first, second, ..] = ours.as_slice() {
            tracing::warn!(first = first.number, second = second.number, %incident, "there are two tickets; the older one is used");
        }
        Ok(if ours.is_empty() { None } else { Some(ours.remove(0)) })
    }

    /// One ticket, if it is there and ours.
    pub(super) async fn read(&self, sys_id: &str, incident: &IncidentId) -> Result<Option<Ticket>, ChannelError> {
        let asked = [("sysparm_fields", ticket::FIELDS), ("sysparm_exclude_reference_link", "true")];
        let heard = self.call(Method::GET, &[sys_id], &asked, None).await?;
        match heard.status {
            StatusCode::OK => match result(&heard).and_then(Ticket::read) {
                Some(ticket) => Ok(Some(ticket).filter(|ticket| ticket.is_of(incident))),
                None => Err(self.not_json(&heard)),
            },
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.refused(&heard, None)),
        }
    }

    /// Creates a ticket: 201, JSON, a `sys_id` and our `correlation_id`, or it is none.
    pub(super) async fn create(&self, fields: &Value, correlation: &str) -> Result<Ticket, ChannelError> {
        let asked = [("sysparm_fields", ticket::FIELDS), ("sysparm_exclude_reference_link", "true")];
        let heard = self.call(Method::POST, &[], &asked, Some(fields)).await?;
        if heard.status.is_success() && heard.status != StatusCode::CREATED {
            // A sleeping instance answers 200 and a page to everything.
            return Err(self.api.odd(&heard, "no ticket was opened; the instance may be asleep"));
        }
        if heard.status != StatusCode::CREATED {
            return Err(self.refused(&heard, fields.as_object()));
        }
        let Some(ticket) = result(&heard).and_then(Ticket::read) else { return Err(self.not_json(&heard)) };
        if ticket.correlation_id != correlation {
            let why = format!(
                "{} was opened, but does not keep our correlation_id, so that it could not be found again. Let the user of \
                 this channel write correlation_id",
                ticket.number
            );
            return Err(self.api.permanent(why));
        }
        Ok(ticket)
    }

    pub(super) async fn update(&self, sys_id: &str, fields: &Value) -> Result<Ticket, ChannelError> {
        let asked = [("sysparm_fields", ticket::FIELDS), ("sysparm_exclude_reference_link", "true")];
        let heard = self.call(Method::PATCH, &[sys_id], &asked, Some(fields)).await?;
        if heard.status != StatusCode::OK {
            return Err(self.refused(&heard, fields.as_object()));
        }
        result(&heard).and_then(Ticket::read).ok_or_else(|| self.not_json(&heard))
    }

    /// One call; a token that is not accepted is replaced once.
    async fn call(
        &self,
        method: Method,
        rest: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Heard, ChannelError> {
        let mut path = vec!["api", "now", "table", self.options.table.as_str()];
        path.extend(rest);
        self.signed(method, &path, query, body).await
    }

    /// One call of any path; a token that is not accepted is replaced once.
    pub(super) async fn signed(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Heard, ChannelError> {
        let request = || {
            let request = match body {
                Some(body) => self.api.json(method.clone(), path, query, body),
                None => self.api.request(method.clone(), path, query),
            };
            request.header("accept", "application/json")
        };
        let heard = self.api.ask(self.auth.sign(&self.api, request()).await?).await?;
        if heard.status == StatusCode::UNAUTHORIZED && self.auth.forget().await {
            return self.api.ask(self.auth.sign(&self.api, request()).await?).await;
        }
        Ok(heard)
    }

    pub(super) fn not_json(&self, heard: &Heard) -> ChannelError {
        self.api.odd(heard, "not with the record in JSON; the instance may be asleep, or this is not ServiceNow")
    }

    /// What a refusal means. `set` are the fields that were written.
    pub(super) fn refused(&self, heard: &Heard, set: Option<&Map<String, Value>>) -> ChannelError {
        let names: Vec<&str> = set.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let names = names.join(", ");
        let hint = match heard.status.as_u16() {
            300..=399 => "the address redirects, and redirects are not followed. Set servicenow.instance_url to where it leads".to_owned(),
            400 => "the instance does not understand the request. Check servicenow.table and the names in servicenow.fields".to_owned(),
            401 => "the instance does not know us. Check servicenow.auth and its secret".to_owned(),
            403 if !names.is_empty() => format!(
                "a rule of the instance (access control, data policy or business rule) forbids this. The fields set were: \
                 {names}. Give the user of this channel the role itil or sn_incident_write, and check servicenow.close_code"
            ),
            403 => "an access rule forbids this. Give the user of this channel the role itil or sn_incident_write".to_owned(),
            404 => "the table is not there, or an access rule hides it. Check servicenow.table and the user's roles".to_owned(),
            413 => "the ticket's text is too large for the instance".to_owned(),
            _ => "the instance refused it. See its system log".to_owned(),
        };
        self.api.refused(heard, &said(heard), &hint)
    }
}

fn result(heard: &Heard) -> Option<&Value> {
    heard.json.as_ref()?.get("result")
}

/// The instance's own words for an error.
fn said(heard: &Heard) -> String {
    let part = |name: &str| {
        let text = heard.json.as_ref().and_then(|json| json.get("error")).and_then(|error| error.get(name));
        text.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let (message, detail) = (part("message"), part("detail"));
    if detail.is_empty() { message } else { format!("{message}: {detail}") }
}
