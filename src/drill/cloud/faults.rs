//! Failures of the wire, on demand: throttling, errors, silence, broken connections, slowness.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::add;

/// A failure to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Only requests with this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only requests whose host and path hold this text, without regard to case; `/` is in all of them. Never empty.
    pub path: String,
    /// What happens to them.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// How many times; if both this and `for_seconds` are absent, once.
    #[serde(default)]
    pub times: Option<u32>,
    /// For how long, by the cloud's clock.
    #[serde(default)]
    pub for_seconds: Option<u32>,
    /// Whether the request is carried out first, so that only its answer is lost.
    #[serde(default)]
    pub after_effect: bool,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum FaultKind {
    /// 429 with `Retry-After`.
    Throttle {
        /// Seconds to wait.
        #[serde(default = "five")]
        retry_after: u32,
    },
    /// Another status with an error body.
    Status {
        /// Such as 503.
        status: u16,
        /// The error's code.
        #[serde(default = "server_error")]
        code: String,
    },
    /// This is answered, whatever was asked: a page of a proxy, a redirect, another shape.
    Say {
        /// Such as 200.
        status: u16,
        /// The content type.
        #[serde(default = "html")]
        content_type: String,
        /// The body.
        text: String,
        /// The `Location` header.
        #[serde(default)]
        location: Option<String>,
    },
    /// The answer's body is cut short, and the connection breaks.
    Truncated,
    /// It is taken and never answered.
    Timeout,
    /// The connection is dropped.
    Reset,
    /// It is answered late.
    Slow {
        /// Milliseconds of the cloud's clock.
        milliseconds: u32,
    },
}

const fn five() -> u32 {
    5
}

fn html() -> String {
    "text/html".to_owned()
}

fn server_error() -> String {
    "InternalServerError".to_owned()
}

impl Fault {
    /// A fault that hits the next `times` requests whose host and path hold `path`.
    #[must_use]
    pub fn new(kind: FaultKind, path: &str, times: u32) -> Self {
        Self { method: None, path: path.to_owned(), kind, times: Some(times), for_seconds: None, after_effect: false }
    }

    /// Only for requests with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// After the request was carried out.
    #[must_use]
    pub const fn after_effect(mut self) -> Self {
        self.after_effect = true;
        self
    }
}

/// The faults that are still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Armed>);

#[derive(Debug)]
struct Armed {
    fault: Fault,
    left: u32,
    until: Timestamp,
}

impl Faults {
    /// Adds one. An empty path would mean every request, so it means none.
    pub(crate) fn arm(&mut self, fault: Fault, now: Timestamp) {
        if fault.path.is_empty() {
            return;
        }
        let until = fault.for_seconds.map_or(Timestamp::MAX, |s| add(now, SignedDuration::from_secs(i64::from(s))));
        let left = fault.times.unwrap_or(if fault.for_seconds.is_some() { u32::MAX } else { 1 });
        self.0.push(Armed { fault, left, until });
    }

    /// The fault that hits this request, if any.
    pub(crate) fn hit(&mut self, method: &str, place: &str, now: Timestamp) -> Option<Fault> {
        self.0.retain(|armed| armed.left > 0 && armed.until > now);
        let place = place.to_ascii_lowercase();
        let armed = self.0.iter_mut().find(|armed| {
            let wanted = armed.fault.method.as_ref();
            wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && place.contains(&armed.fault.path.to_ascii_lowercase())
        })?;
        armed.left = armed.left.saturating_sub(1);
        Some(armed.fault.clone())
    }
}
