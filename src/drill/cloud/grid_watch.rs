//! Which events Event Grid has: of a vault's permissions and keys, and of what the Resource Manager did.
//!
//! Documented: a vault tells of changed access policies (a switch of its permission model is one), and of keys that have a
//! new version, expire in 30 days, or have expired. It has no event for a key that is disabled or deleted, for a vault that
//! is deleted, or for its firewall. A subscription's topic tells what the Resource Manager wrote, deleted or did. A vault
//! that was recovered has lost its Event Grid subscriptions.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::grid::Seen;
use super::log_entry::Entry;
use super::resources::Vault;
use super::state::{Event, State};
use crate::clock::add;

/// How long before a key expires its vault says so.
const NEAR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How often an event is delivered twice: Event Grid promises that it is delivered, not that it is once.
const TWICE: f64 = 0.1;

impl State {
    /// Tells of what has changed in the vaults since they were last seen.
    pub(crate) fn watch_vaults(&mut self) {
        if !self.world.alerts.event_grid {
            return;
        }
        for at in 0..self.vaults.len() {
            let id = self.vaults[at].id.key().to_owned();
            let first = !self.grid.vaults.contains_key(&id);
            let mut seen = self.grid.vaults.remove(&id).unwrap_or_default();
            let deleted = self.vaults[at].deleted.is_some();
            seen.unsubscribed |= seen.deleted && !deleted;
            seen.deleted = deleted;
            let permissions = permissions(&self.vaults[at]);
            if permissions != seen.permissions && !first && !deleted && !seen.unsubscribed {
                self.publish_of_vault(at, "VaultAccessPolicyChanged", None);
            }
            seen.permissions = permissions;
            self.watch_keys(at, &mut seen, first);
            self.grid.vaults.insert(id, seen);
        }
    }

    fn watch_keys(&mut self, at: usize, seen: &mut Seen, first: bool) {
        let vault = self.vaults[at].id.key().to_owned();
        let mut events = Vec::new();
        let mut dates = Vec::new();
        for key in self.vaults[at].keys.iter().filter(|key| key.deleted.is_none()) {
            for version in &key.versions {
                if seen.versions.insert(version.id.clone()) && !first {
                    events.push((key.name.clone(), version.id.clone(), version.expires));
                }
                if let Some(expires) = version.expires
                    && seen.dates.insert((version.id.clone(), expires))
                {
                    dates.push((key.name.clone(), version.id.clone(), expires));
                }
            }
        }
        if !seen.deleted && !seen.unsubscribed {
            for (key, version, expires) in events {
                self.publish_of_vault(at, "KeyNewVersionCreated", Some((&key, &version, expires)));
            }
        }
        for (key, version, expires) in dates {
            let ends = Timestamp::from_second(expires).unwrap_or(Timestamp::MAX);
            for (when, near) in [(add(ends, -NEAR), true), (ends, false)] {
                // What was due before the story began was told before it.
                if when > self.now || !first && (!near || ends > self.now) {
                    let (vault, key, version) = (vault.clone(), key.clone(), version.clone());
                    self.schedule(when, Event::Expiry { vault, key, version, expires, near });
                }
            }
        }
    }

    /// A date of a key version has come.
    pub(crate) fn expiry(&mut self, vault: &str, key: &str, version: &str, expires: i64, near: bool) {
        let Some(at) = self.vaults.iter().position(|known| known.id.key() == vault && known.deleted.is_none()) else {
            return;
        };
        let still = self.vaults[at].keys.iter().any(|known| {
            known.name == key
                && known.deleted.is_none()
                && known.versions.iter().any(|one| one.id == version && one.expires == Some(expires))
        });
        let told = self.grid.vaults.get(vault).is_none_or(|seen| !seen.unsubscribed);
        if still && told {
            let kind = if near { "KeyNearExpiry" } else { "KeyExpired" };
            self.publish_of_vault(at, kind, Some((key, version, Some(expires))));
        }
    }

    fn publish_of_vault(&mut self, at: usize, kind: &str, of: Option<(&str, &str, Option<i64>)>) {
        let vault = &self.vaults[at];
        let name = vault.id.name().to_owned();
        let host = format!("https://{name}.vault.azure.net");
        let (object, version, expires) = of.map_or((name.as_str(), "", None), |of| of);
        let (id, class) = match of {
            Some((key, version, _)) => (format!("{host}/keys/{key}/{version}"), "Key"),
            None => (host, "Vault"),
        };
        let fields = [
            ("Id", json!(id)),
            ("VaultName", json!(name)),
            ("ObjectType", json!(class)),
            ("ObjectName", json!(object)),
            ("Version", json!(version)),
            ("NBF", Value::Null),
            ("EXP", json!(expires)),
        ];
        let pascal = self.world.alerts.pascal_case;
        let data: serde_json::Map<String, Value> =
            fields.into_iter().map(|(name, value)| (spelled(name, pascal), value)).collect();
        let topic = vault.id.as_str().to_owned();
        let subject = object.to_owned();
        self.publish(&format!("Microsoft.KeyVault.{kind}"), &topic, &subject, "1", Value::Object(data));
    }

    /// Tells a subscription's topic of what the Resource Manager has done.
    pub(crate) fn tell_grid_of(&mut self, entry: &Entry) {
        if !self.world.alerts.event_grid || entry.status != "Succeeded" {
            return;
        }
        let verb = match entry.operation.rsplit('/').next() {
            Some(verb) if verb.eq_ignore_ascii_case("write") => "Write",
            Some(verb) if verb.eq_ignore_ascii_case("delete") => "Delete",
            _ => "Action",
        };
        let tenant = &self.world.tenant;
        let mut data = json!({
            "authorization": { "scope": entry.resource, "action": entry.operation, "evidence": {} },
            "claims": entry.actor.as_ref().map(|actor| Value::Object(actor.claims(tenant))).unwrap_or_else(|| json!({})),
            "correlationId": entry.correlation,
            "resourceProvider": entry.provider(),
            "resourceUri": entry.resource,
            "operationName": entry.operation,
            "status": entry.status,
            "subscriptionId": self.world.subscription,
            "tenantId": tenant,
        });
        if let (Some(http), Some(actor)) = (&entry.http, &entry.actor) {
            data["httpRequest"] = json!({
                "clientRequestId": http.client_request_id,
                "clientIpAddress": actor.address,
                "method": http.method,
                "url": format!("https://management.azure.com{}", entry.resource.as_str()),
            });
        }
        let topic = format!("/subscriptions/{}", self.world.subscription);
        let subject = entry.resource.as_str().to_owned();
        self.publish(&format!("Microsoft.Resources.Resource{verb}Success"), &topic, &subject, "2", data);
    }

    fn publish(&mut self, kind: &str, topic: &str, subject: &str, version: &str, data: Value) {
        let id = self.new_guid(&format!("event|{kind}|{subject}"));
        let event = if self.world.alerts.cloud_events {
            json!({
                "id": id, "source": topic, "subject": subject, "type": kind, "time": self.now, "data": data,
                "specversion": "1.0",
            })
        } else {
            json!([{
                "id": id, "topic": topic, "subject": subject, "eventType": kind, "eventTime": self.now, "data": data,
                "dataVersion": version, "metadataVersion": "1",
            }])
        };
        let copies = if self.draw(&format!("twice|{id}")) < TWICE { 2 } else { 1 };
        for copy in 0..copies {
            let span = self.world.alerts.event_seconds;
            let seconds = span.min + (span.max - span.min).max(0.0) * self.draw(&format!("lag|{copy}|{id}"));
            let lag = SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::ZERO);
            self.schedule(add(self.now, lag), Event::Publish { event: event.clone() });
        }
    }
}

/// The vault's permissions, without when they take effect.
fn permissions(vault: &Vault) -> String {
    let policies = vault.policies.iter().map(|policy| {
        let keys: Vec<&str> = policy.keys.iter().map(|(name, _)| name.as_str()).collect();
        format!("{}|{}|{}", policy.object_id, keys.join(","), Value::Object(policy.others.clone()))
    });
    format!("{:?}|{}", vault.model, policies.collect::<Vec<_>>().join(";"))
}

fn spelled(name: &str, pascal: bool) -> String {
    if pascal {
        return name.to_owned();
    }
    if name.chars().all(char::is_uppercase) {
        return name.to_lowercase();
    }
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
