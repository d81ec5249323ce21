//! A simulated cloud with its stand-ins, and channels to them that do not wait long.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use keymend::clock::Clock;
use keymend::domain::notice::{Notice, Situation};
use keymend::drill::cloud::{Cloud, Exchange, Fault, FaultKind, Running, World};
use keymend::drill::voices::{Voices, channels};
use keymend::notify::links::Pages;
use keymend::notify::secret::Secret;
use keymend::notify::signed_link::LinkKeys;
use keymend::notify::{Channel, ChannelError, Parcel};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::samples;

/// How long a channel waits here.
pub const PATIENCE: Duration = Duration::from_millis(1500);

/// Secrets of the drill's channels, and pieces of their addresses, that no error may show.
const SECRETS: [&str; 7] = [
    "drill-client-secret",
    "drill-genie-key",
    "drill-jira-token",
    "d0000000000000000000000000000001",
    "T0/B0/drill",
    "whsec_",
    "sn-",
];

pub struct Sky {
    pub cloud: Cloud,
    pub running: Running,
    pub clock: Clock,
}

pub async fn sky() -> Sky {
    let clock = Clock::scaled(samples::at("02:30:00"), 1.0);
    let cloud = Cloud::new(World::standard(), clock.clone());
    let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    Sky { cloud, running, clock }
}

/// Where links in messages lead.
pub fn pages() -> Pages {
    let keys = LinkKeys::new(&[Secret::new("k".repeat(64))]).unwrap();
    Pages { url: "https://keymend.contoso.example".parse().unwrap(), keys }
}

impl Sky {
    /// One of the drill's channels.
    pub fn channel(&self, name: &str) -> Arc<dyn Channel> {
        let all = channels(Voices::AllWithin(PATIENCE), &self.running.url(), pages(), &self.clock).unwrap();
        all.into_iter().find(|channel| channel.name() == name).unwrap()
    }

    /// Requests to one of the stand-ins, in order.
    pub fn asked(&self, sink: &str) -> Vec<Exchange> {
        self.cloud.requests_that(|one| one.url.contains(&format!("/sink/{sink}")))
    }

    /// How often a stand-in was asked so.
    pub fn count(&self, method: &str, part: &str) -> usize {
        self.cloud.requests_that(|one| one.method == method && one.url.contains(part)).len()
    }

    pub fn fault(&self, path: &str, method: &str, kind: FaultKind, times: u32) {
        self.cloud.fault(Fault::new(kind, path, times).method(method));
    }

    /// Tickets of ours.
    pub fn tickets(&self) -> Vec<Value> {
        let all = self.cloud.sink("servicenow")["incidents"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|one| one["correlation_id"].as_str().unwrap_or_default().starts_with("km-")).collect()
    }

    pub fn list(&self, sink: &str, of: &str) -> Vec<Value> {
        self.cloud.sink(sink)[of].as_array().cloned().unwrap_or_default()
    }
}

/// A notice of the sample incident with that number.
pub fn notice(situation: Situation, sequence: u32) -> Notice {
    let incident = samples::asked(samples::vault_deleted(), "policy asks");
    let mut notice = samples::tell(&incident, situation, None, "02:10:00");
    notice.sequence = sequence;
    notice.id = format!("{}.{sequence}", notice.incident);
    notice
}

/// Sends notices one after the other, each with what the one before let keep.
pub async fn tell(channel: &dyn Channel, notices: &[Notice]) -> Result<Option<Value>, ChannelError> {
    let mut kept = None;
    for notice in notices {
        let parcel = Parcel { notice, kept: kept.as_ref(), remark: None };
        kept = channel.send(&parcel).await?.or(kept);
    }
    Ok(kept)
}

/// A short story: lost, found, asked, made, over.
pub fn story() -> Vec<Notice> {
    let situations = [
        Situation::FirstNotice,
        Situation::Diagnosed,
        Situation::ApprovalAsked,
        Situation::ChangeMade,
        Situation::Resolved,
    ];
    (1..).zip(situations).map(|(sequence, situation)| notice(situation, sequence)).collect()
}

pub fn keeps_secrets(error: &ChannelError) {
    let text = format!("{error} {error:?}");
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[track_caller]
pub fn retry<T: std::fmt::Debug>(outcome: Result<T, ChannelError>) -> (Option<SignedDuration>, String) {
    match outcome {
        Err(error @ ChannelError::Retry { .. }) => {
            keeps_secrets(&error);
            let ChannelError::Retry { after, why } = error else { unreachable!() };
            (after, why)
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub fn permanent<T: std::fmt::Debug>(outcome: Result<T, ChannelError>) -> String {
    match outcome {
        Err(error @ ChannelError::Permanent { .. }) => {
            keeps_secrets(&error);
            error.to_string()
        }
        other => panic!("{other:?}"),
    }
}

pub fn status(status: u16) -> FaultKind {
    FaultKind::Status { status, code: "trouble".to_owned() }
}

pub fn say(status: u16, content_type: &str, text: &str) -> FaultKind {
    FaultKind::Say { status, content_type: content_type.to_owned(), text: text.to_owned(), location: None }
}
