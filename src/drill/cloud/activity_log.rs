//! The Activity Log: what was done to resources, by whom, readable only after its delay.

use serde_json::{Map, Value, json};

use super::actor::Actor;
use super::alert_body::{INSTANCE_LOSS, LOSS};
use super::log_entry::{Entry, HttpRequest};
use super::log_filter::Filter;
use super::state::{Change, Event, State, after_minutes};
use super::world::EventNameIn;
use crate::clock::add;
use crate::domain::resource_id::ResourceId;

/// A write, as it is put down in the log.
#[derive(Debug, Clone)]
pub(crate) struct Write<'a> {
    pub(crate) actor: Option<&'a Actor>,
    pub(crate) operation: &'a str,
    pub(crate) resource: &'a ResourceId,
    pub(crate) method: &'a str,
    pub(crate) client_request_id: Option<&'a str>,
    pub(crate) correlation: Option<&'a str>,
}

impl State {
    fn blank_entry(&mut self, operation: &str, resource: &ResourceId, status: &str) -> Entry {
        let id = self.new_guid(&format!("entry|{operation}|{}|{status}", resource.key()));
        // Most entries come near the lower end, few near the upper one.
        let span = self.world.timing.activity_log;
        let delay = span.min + (span.max - span.min).max(0.0) * self.draw(&format!("delay|{id}")).powi(3);
        Entry {
            at: self.now,
            visible_at: after_minutes(self.now, delay),
            category: "Administrative",
            operation: operation.to_owned(),
            resource: resource.clone(),
            status: status.to_owned(),
            sub_status: String::new(),
            actor: None,
            http: None,
            correlation: String::new(),
            operation_id: String::new(),
            description: String::new(),
            properties: Map::new(),
            id,
        }
    }

    /// Puts an entry into the log; alert rules see it after its delay.
    pub(crate) fn put_in_log(&mut self, entry: Entry) {
        if self.is_alerted_on(&entry) {
            let lag = after_minutes(entry.visible_at, 0.5 + self.draw(&format!("lag|{}", entry.id)));
            self.schedule(lag, Event::Alert { entry: self.log.len() });
        }
        self.log.push(entry);
    }

    /// Records a TDE event of a database. The service records it, so nobody is named.
    pub(crate) fn log_database(&mut self, server: usize, database: usize, event: &str, status: &str, why: &str) {
        let target = self.servers[server].databases[database].clone();
        let server_name = self.servers[server].id.name().to_owned();
        let description = describe(event, status, target.id.name(), &server_name, why, self.world.alerts.old_events);
        // An instance's events have names of their own, and say that it is a managed server.
        let instance = self.servers[server].is_instance();
        // What a workspace's pools tell has not been published: the write alone, under no known name.
        let workspace = self.servers[server].is_workspace();
        let (operation, event, description) = match event {
            _ if workspace => ("Microsoft.Synapse/workspaces/sqlPools/write", event, description),
            "MakeDatabaseInaccessible" if instance => (INSTANCE_LOSS, "MakeManagedDbInaccessible", String::new()),
            "MakeDatabaseAccessible" if instance => (INSTANCE_LOSS, "MakeManagedDatabaseAccessible", String::new()),
            _ => (LOSS, event, description),
        };
        let mut entry = self.blank_entry(operation, &target.id, status);
        entry.correlation = target.correlation;
        if let Some(span) = self.world.timing.tde_events {
            entry.visible_at = add(self.now, self.draw_minutes(span, &format!("delay|{}", entry.id)));
        }
        entry.properties.insert("eventCategory".to_owned(), json!("Administrative"));
        entry.properties.insert("entity".to_owned(), json!(target.id.as_str()));
        match self.world.alerts.event_name_in {
            EventNameIn::Properties => {
                entry.properties.insert("eventName".to_owned(), json!(event));
                entry.properties.insert("message".to_owned(), json!(description));
                entry.description = description;
            }
            EventNameIn::Message => {
                entry.properties.insert("message".to_owned(), json!(format!("{event}: {description}")));
            }
            EventNameIn::Nowhere => {}
        }
        self.put_in_log(entry);
    }

    /// Records that a database is or is not available, as Resource Health sees it.
    pub(crate) fn log_health(&mut self, server: usize, database: usize, available: bool) {
        let target = self.servers[server].databases[database].clone();
        let kind = if available { "Resolved" } else { "Activated" };
        let operation = format!("Microsoft.Resourcehealth/healthevent/{kind}/action");
        let status = if available { "Resolved" } else { "Active" };
        let mut entry = self.blank_entry(&operation, &target.id, status);
        entry.category = "ResourceHealth";
        entry.correlation = target.correlation;
        let (now, before) = if available { ("Available", "Unavailable") } else { ("Unavailable", "Available") };
        for (name, value) in [
            ("title", json!(now)),
            ("details", Value::Null),
            ("currentHealthStatus", json!(now)),
            ("previousHealthStatus", json!(before)),
            ("type", json!("Downtime")),
            ("cause", json!("UserInitiated")),
        ] {
            entry.properties.insert(name.to_owned(), value);
        }
        self.put_in_log(entry);
    }

    /// Records one stage of a write (`Started`, `Accepted`, `Succeeded`, `Failed`) and answers the entry.
    pub(crate) fn log_write(&mut self, write: &Write<'_>, status: &str, outcome: &str) -> Entry {
        let mut entry = self.blank_entry(write.operation, write.resource, status);
        let label = format!("correlation|{}|{}", write.operation, write.resource.key());
        entry.correlation = write.correlation.map_or_else(|| self.new_guid(&label), str::to_owned);
        entry.operation_id = entry.correlation.clone();
        entry.sub_status = outcome.to_owned();
        entry.actor = write.actor.cloned();
        if let Some(actor) = &entry.actor {
            let client_request_id = write
                .client_request_id
                .map_or_else(|| self.guid(&format!("request|{}", actor.object_id)), str::to_owned);
            entry.http = Some(HttpRequest { client_request_id, method: write.method.to_owned() });
        }
        for (name, value) in [
            ("eventCategory", json!("Administrative")),
            ("entity", json!(write.resource.as_str())),
            ("message", json!(write.operation)),
            ("hierarchy", json!(format!("{}/{}", self.world.tenant, self.world.subscription))),
        ] {
            entry.properties.insert(name.to_owned(), value);
        }
        if !outcome.is_empty() {
            entry.properties.insert("statusCode".to_owned(), json!(outcome));
        }
        self.put_in_log(entry.clone());
        self.tell_grid_of(&entry);
        entry
    }

    /// Records a write that was done at once, in the log and for Resource Graph.
    pub(crate) fn record(&mut self, write: &Write<'_>, what: Value) {
        let correlation = self.new_guid(&format!("correlation|{}|{}", write.operation, write.resource.key()));
        let write = Write { correlation: Some(write.correlation.unwrap_or(&correlation)), ..write.clone() };
        self.log_write(&write, "Started", "");
        self.log_write(&write, "Succeeded", "OK");
        self.record_change(&write, what);
    }

    /// Records a change for Resource Graph's `resourcechanges`.
    pub(crate) fn record_change(&mut self, write: &Write<'_>, what: Value) {
        self.changes.push(Change {
            at: self.now,
            target: write.resource.as_str().to_owned(),
            kind: if write.method.eq_ignore_ascii_case("DELETE") { "Delete" } else { "Update" },
            by: write.actor.map(|actor| actor.caller().to_owned()),
            client: write
                .actor
                .map_or("Unspecified", |actor| if actor.upn.is_some() { "Azure CLI" } else { "Unspecified" })
                .to_owned(),
            operation: write.operation.to_owned(),
            correlation: write.correlation.unwrap_or_default().to_owned(),
            what,
        });
    }

    /// The entries that can be read by now and that `filter` selects, newest first.
    pub(crate) fn read_log(&self, filter: &Filter) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> =
            self.log.iter().rev().filter(|entry| entry.visible_at <= self.now && filter.selects(entry)).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
        entries
    }
}

fn describe(event: &str, status: &str, database: &str, server: &str, why: &str, old: bool) -> String {
    match (event, status) {
        ("MakeDatabaseInaccessible", "Started") if old => {
            format!("Database has lost access to Azure key vault key and is now inaccessible: {why}")
        }
        ("MakeDatabaseInaccessible", "Started") => format!(
            "Database {database} on Server {server} has lost access to Azure Key Vault Key and is now transitioning to \
             inaccessible state."
        ),
        ("MakeDatabaseInaccessible", "InProgress") => {
            "Database is waiting for Azure key vault key access to be reestablished by user within 8 hours.".to_owned()
        }
        ("MakeDatabaseInaccessible", _) => "Database is inaccessible and requires user to resolve Azure key vault \
                                            errors and reestablish access to Azure key vault key using Re-validate key."
            .to_owned(),
        (_, "Started") => format!(
            "Access to Azure Key Vault Key has been re-established, operation to make database {database} on server \
             {server} accessible started."
        ),
        (_, "Failed") => format!(
            "Access to Azure Key Vault Key has been re-established, operation to make database {database} accessible \
             on server {server} failed"
        ),
        _ => format!(
            "Access to Azure Key Vault Key has been re-established and database {database} on server {server} is now \
             online."
        ),
    }
}
