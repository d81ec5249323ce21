//! What an Action Group posts. The envelopes are documented; what a TDE event carries inside has never been published.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::log_entry::{Entry, sevenths};
use super::state::{Event, State, after_minutes};
use super::world::Alerting;
use crate::clock::add;

/// The operation behind which TDE events hide.
pub(crate) const LOSS: &str = "Microsoft.Sql/servers/databases/write";

/// The same for managed instances, as in the one event of them that was published.
pub(crate) const INSTANCE_LOSS: &str = "Microsoft.Sql/managedServers/databases/write";

/// Operations that may take a key away, and that rules for causes watch.
pub(crate) const CAUSES: [&str; 13] = [
    "Microsoft.KeyVault/vaults/delete",
    "Microsoft.KeyVault/vaults/write",
    "Microsoft.KeyVault/vaults/accessPolicies/write",
    "Microsoft.KeyVault/locations/deletedVaults/purge/action",
    "Microsoft.Authorization/roleAssignments/delete",
    "Microsoft.Authorization/roleAssignments/write",
    "Microsoft.Authorization/locks/write",
    "Microsoft.Authorization/locks/delete",
    "Microsoft.ManagedIdentity/userAssignedIdentities/delete",
    "Microsoft.Sql/servers/write",
    "Microsoft.Sql/servers/encryptionProtector/write",
    "Microsoft.Sql/servers/keys/write",
    "Microsoft.Sql/servers/keys/delete",
];

impl Alerting {
    /// Whether a rule for this operation is not left out.
    pub(crate) fn rings_for(&self, operation: &str) -> bool {
        !self.without.iter().any(|left_out| left_out.eq_ignore_ascii_case(operation))
    }
}

impl State {
    /// Whether a rule of this world fires on an entry.
    pub(crate) fn is_alerted_on(&self, entry: &Entry) -> bool {
        let alerts = &self.world.alerts;
        if entry.category == "ResourceHealth" {
            return alerts.resource_health;
        }
        let operation = &entry.operation;
        if !alerts.rings_for(operation) {
            return false;
        }
        let is = |known: &str| known.eq_ignore_ascii_case(operation);
        is(LOSS)
            || is(INSTANCE_LOSS)
            || alerts.cause_alerts && entry.status == "Succeeded" && CAUSES.into_iter().any(is)
    }

    /// An entry has reached the alert rules: the Action Group posts it.
    pub(crate) fn alert_on(&mut self, index: usize) {
        let entry = &self.log[index];
        let body = if self.world.alerts.common_schema { self.common(entry) } else { self.legacy(entry) };
        for copy in 0..self.world.alerts.copies {
            let wait = if copy == 0 { 0.0 } else { self.draw(&format!("copy|{copy}|{}", self.log[index].id)) };
            self.schedule(after_minutes(self.now, wait), Event::Post { body: body.clone() });
        }
    }

    fn common(&self, entry: &Entry) -> Value {
        let subscription = &self.world.subscription;
        let rule = &self.world.alerts.rule;
        let target = entry.resource.key();
        let service =
            if entry.category == "ResourceHealth" { "Resource Health" } else { "Activity Log - Administrative" };
        let origin = format!("{}_{}", entry.id, self.guid(&format!("rule|{rule}")).replace('-', ""));
        json!({
            "schemaId": "azureMonitorCommonAlertSchema",
            "data": {
                "essentials": {
                    "alertId": format!("/subscriptions/{subscription}/providers/Microsoft.AlertsManagement/alerts/{}",
                        self.guid(&format!("alert|{}", entry.id))),
                    "alertRule": rule,
                    "targetResourceType": entry.resource.resource_type(),
                    "alertRuleID": format!("/subscriptions/{subscription}/resourceGroups/rg-monitor/providers/\
                        microsoft.insights/activityLogAlerts/{rule}"),
                    "severity": "Sev4",
                    "signalType": "Activity Log",
                    "monitorCondition": "Fired",
                    "targetResourceGroup": entry.resource.resource_group().unwrap_or_default().to_lowercase(),
                    "monitoringService": service,
                    "alertTargetIDs": [target],
                    "configurationItems": [target.rsplit('/').next().unwrap_or_default()],
                    "originAlertId": origin,
                    "firedDateTime": sevenths(self.now, "Z"),
                    "description": "Access of Azure SQL to its TDE key",
                    "essentialsVersion": "1.0",
                    "alertContextVersion": "1.0",
                },
                "alertContext": self.context(entry),
                "customProperties": {},
            },
        })
    }

    fn context(&self, entry: &Entry) -> Value {
        let mut out = self.shared(entry);
        let received = add(entry.visible_at, SignedDuration::from_secs(3));
        out.insert("tenantId".to_owned(), json!(self.world.tenant));
        out.insert("ReceivedTime".to_owned(), json!(received.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()));
        out.insert("ingestionTime".to_owned(), json!(sevenths(add(received, SignedDuration::from_secs(3)), "+00:00")));
        let description = if entry.category == "ResourceHealth" { Value::Null } else { json!(entry.description) };
        out.insert("Activity Log Event Description".to_owned(), description);
        Value::Object(out)
    }

    /// What both schemas hold.
    fn shared(&self, entry: &Entry) -> Map<String, Value> {
        let mut out = Map::new();
        let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
        let health = entry.category == "ResourceHealth";
        if let Some(actor) = &entry.actor {
            put("authorization", json!({ "action": entry.operation, "scope": entry.resource }));
            put("claims", json!(Value::Object(actor.claims(&self.world.tenant)).to_string()));
            put("caller", json!(actor.caller()));
            if let Some(http) = &entry.http {
                let request = json!({
                    "clientRequestId": http.client_request_id,
                    "clientIpAddress": actor.address,
                    "method": http.method,
                });
                put("httpRequest", json!(request.to_string()));
            }
        }
        put("channels", json!(if health { "Admin, Operation" } else { "Operation" }));
        put("correlationId", json!(entry.correlation));
        put("eventSource", json!(entry.category));
        put("eventTimestamp", json!(sevenths(entry.at, "+00:00")));
        put("eventDataId", json!(entry.id));
        put("level", json!(if entry.status == "Failed" { "Error" } else { "Informational" }));
        put("operationName", json!(entry.operation));
        put("operationId", json!(entry.operation_id));
        put("properties", Value::Object(entry.properties.clone()));
        put("status", json!(entry.status));
        put("subStatus", json!(entry.sub_status));
        put("submissionTimestamp", json!(sevenths(add(entry.at, SignedDuration::from_secs(97)), "+00:00")));
        out
    }

    fn legacy(&self, entry: &Entry) -> Value {
        let mut log = self.shared(entry);
        let kind = entry.resource.resource_type();
        let (provider, rest) = kind.split_once('/').unwrap_or((&kind, ""));
        let provider = provider.to_uppercase();
        for (name, value) in [
            ("description", json!(entry.description)),
            ("resourceId", json!(entry.resource)),
            ("resourceGroupName", json!(entry.resource.resource_group())),
            ("resourceProviderName", json!(provider)),
            ("resourceType", json!(format!("{provider}/{rest}"))),
            ("subscriptionId", json!(self.world.subscription)),
        ] {
            log.insert(name.to_owned(), value);
        }
        json!({
            "schemaId": "Microsoft.Insights/activityLogs",
            "data": { "status": "Activated", "context": { "activityLog": log }, "properties": {} },
        })
    }

    /// The body of an alert that tells of a loss where none is.
    pub(crate) fn false_alarm(&mut self, server: usize, database: usize) -> Value {
        let mut target = self.servers[server].databases[database].clone();
        target.correlation = self.new_guid(&format!("false|{}", target.id.key()));
        let name = target.id.name().to_owned();
        let text = format!(
            "Database {name} on Server {} has lost access to Azure Key Vault Key and is now transitioning to inaccessible \
             state.",
            self.servers[server].id.name()
        );
        let id = self.new_guid(&format!("false-entry|{}", target.id.key()));
        let mut properties = Map::new();
        properties.insert("eventName".to_owned(), json!("MakeDatabaseInaccessible"));
        properties.insert("message".to_owned(), json!(text));
        let entry = Entry {
            id,
            at: self.now,
            visible_at: self.now,
            category: "Administrative",
            operation: "Microsoft.Sql/servers/databases/write".to_owned(),
            resource: target.id,
            status: "Started".to_owned(),
            sub_status: String::new(),
            actor: None,
            http: None,
            correlation: target.correlation,
            operation_id: String::new(),
            description: text,
            properties,
        };
        if self.world.alerts.common_schema { self.common(&entry) } else { self.legacy(&entry) }
    }
}
