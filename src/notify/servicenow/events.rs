//! Event Management: events by `em/jsonv2`, which ServiceNow joins by `message_key` into one alert (ServiceNow, "Push events
//! with a web service").

use reqwest::Method;
use serde_json::{Value, json};

use super::ServiceNow;
use super::ticket::harmless;
use crate::domain::notice::Notice;
use crate::notify::route::{ENDINGS, Urgency};
use crate::notify::texts::words::clean;
use crate::notify::{ChannelError, Parcel, TrialMessage, plain, texts};

/// The longest description, in characters.
const LONG: usize = 4000;

impl ServiceNow {
    /// Sends one event. The same event twice is one: its key is the incident's id.
    pub(super) async fn send_event(&self, parcel: &Parcel<'_>) -> Result<(), ChannelError> {
        let notice = parcel.notice;
        let over = ENDINGS.contains(&notice.situation);
        let severity = match Urgency::of(notice.situation) {
            _ if over => "0",
            Urgency::Critical => "1",
            Urgency::Warning => "2",
            Urgency::Info => "4",
        };
        let (node, resource) = place(notice);
        let about = json!({"incident": notice.incident, "message": notice.sequence, "notice": notice.id});
        self.push(&json!({
            "source": "keymend",
            "event_class": "keymend",
            "node": node,
            "resource": resource,
            "metric_name": "tde-key-access",
            "type": "TDE key access",
            "message_key": notice.incident,
            "severity": severity,
            "resolution_state": if over { "Closing" } else { "New" },
            "time_of_event": notice.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            "description": harmless(&plain::text(parcel, &self.options.links, LONG)),
            // A text that holds JSON, as the interface wants it.
            "additional_info": about.to_string(),
        }))
        .await
    }

    /// An event of the kind that opens no alert, and its end.
    pub(super) async fn try_event(&self, trial: &TrialMessage) -> Result<String, ChannelError> {
        for (severity, state) in [("5", "New"), ("0", "Closing")] {
            self.push(&json!({
                "source": "keymend",
                "event_class": "keymend",
                "node": "keymend",
                "metric_name": "test",
                "type": "Test",
                "message_key": trial.id,
                "severity": severity,
                "resolution_state": state,
                "time_of_event": trial.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
                "description": harmless(&format!("[TEST] {}", texts::trial::headline(trial))),
            }))
            .await?;
        }
        Ok("an event of severity OK was sent and closed".to_owned())
    }

    async fn push(&self, event: &Value) -> Result<(), ChannelError> {
        let body = json!({"records": [event]});
        let heard = self.signed(Method::POST, &["api", "global", "em", "jsonv2"], &[], Some(&body)).await?;
        if !heard.status.is_success() {
            return Err(self.refused(&heard, None));
        }
        // What a success says is not documented; a sleeping instance answers with a page.
        if heard.json.is_none() && !heard.text.trim().is_empty() {
            return Err(self.not_json(&heard));
        }
        Ok(())
    }
}

/// The server or vault, and the database if there is only one.
fn place(notice: &Notice) -> (String, String) {
    let node = match notice.servers.as_slice() {
        [server] => server.name().to_owned(),
        _ => notice.vault.clone().unwrap_or_else(|| "keymend".to_owned()),
    };
    let resource = match notice.databases.as_slice() {
        [one] => one.name.clone(),
        _ => texts::words::count(notice.databases.len(), "database", "databases"),
    };
    (clean(&node, 100), clean(&resource, 100))
}
