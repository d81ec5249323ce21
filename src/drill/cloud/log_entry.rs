//! An entry of the Activity Log, and how the REST API shows it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::actor::Actor;
use crate::clock::add;
use crate::domain::resource_id::ResourceId;

/// The HTTP request behind an entry.
#[derive(Debug, Clone)]
pub(crate) struct HttpRequest {
    pub(crate) client_request_id: String,
    pub(crate) method: String,
}

/// One entry.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    pub(crate) visible_at: Timestamp,
    /// `Administrative` or `ResourceHealth`.
    pub(crate) category: &'static str,
    pub(crate) operation: String,
    pub(crate) resource: ResourceId,
    pub(crate) status: String,
    pub(crate) sub_status: String,
    pub(crate) actor: Option<Actor>,
    pub(crate) http: Option<HttpRequest>,
    pub(crate) correlation: String,
    pub(crate) operation_id: String,
    pub(crate) description: String,
    pub(crate) properties: Map<String, Value>,
}

impl Entry {
    /// The entry as the Activity Log's REST API shows it.
    pub(crate) fn to_json(&self, tenant: &str) -> Value {
        let pair = |value: &str| json!({ "value": value, "localizedValue": value });
        let id = self.resource.as_str();
        let mut out = json!({
            "correlationId": self.correlation,
            "description": self.description,
            "eventDataId": self.id,
            "eventName": pair(if self.actor.is_some() { "EndRequest" } else { "" }),
            "category": pair(self.category),
            "eventTimestamp": sevenths(self.at, "Z"),
            "id": format!("{id}/events/{}/ticks/{}", self.id, ticks(self.at)),
            "level": if self.status == "Failed" { "Error" } else { "Informational" },
            "operationId": self.operation_id,
            "operationName": pair(&self.operation),
            "resourceGroupName": self.resource.resource_group().unwrap_or_default(),
            "resourceProviderName": pair(&self.provider()),
            "resourceType": pair(&self.resource.resource_type()),
            "resourceId": id,
            "status": pair(&self.status),
            "subStatus": pair(&self.sub_status),
            "submissionTimestamp": sevenths(add(self.at, jiff::SignedDuration::from_secs(97)), "Z"),
            "subscriptionId": self.resource.subscription(),
            "tenantId": tenant,
            "properties": strings_only(&self.properties),
        });
        if let (Some(actor), Value::Object(out)) = (&self.actor, &mut out) {
            out.insert("caller".to_owned(), json!(actor.caller()));
            out.insert("claims".to_owned(), Value::Object(actor.claims(tenant)));
            out.insert("authorization".to_owned(), json!({ "action": self.operation, "scope": id }));
            if let Some(http) = &self.http {
                let request = json!({
                    "clientRequestId": http.client_request_id,
                    "clientIpAddress": actor.address,
                    "method": http.method,
                });
                out.insert("httpRequest".to_owned(), request);
            }
        }
        out
    }

    pub(crate) fn provider(&self) -> String {
        self.operation.split('/').next().unwrap_or_default().to_owned()
    }
}

/// A time with seven digits of fraction, as Azure writes it.
pub(crate) fn sevenths(at: Timestamp, zone: &str) -> String {
    format!("{}.{:07}{zone}", at.strftime("%Y-%m-%dT%H:%M:%S"), at.subsec_nanosecond().max(0) / 100)
}

/// .NET ticks: 100 ns since the year 1.
fn ticks(at: Timestamp) -> i128 {
    at.as_nanosecond() / 100 + 621_355_968_000_000_000
}

fn strings_only(properties: &Map<String, Value>) -> Value {
    let text = |value: &Value| value.as_str().map_or(Value::Null, |text| json!(text));
    properties.iter().map(|(name, value)| (name.clone(), text(value))).collect::<Map<_, _>>().into()
}
