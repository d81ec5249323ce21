//! Which request of the responder: its kind, and how many of that kind came before. The order of requests that run side by
//! side is nobody's promise; this is.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};

use keymend::drill::cloud::world::SUBSCRIPTION;
use keymend::drill::cloud::{Cloud, Exchange, Moment, Plane, Verdict};
use tokio::sync::oneshot;
use uuid::Uuid;

/// A method and a path, without what differs from run to run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(String);

/// One request of a story.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    pub kind: Kind,
    /// From 1.
    pub nth: usize,
    /// Whether it is sent to Azure to change something.
    pub write: bool,
}

impl Kind {
    pub fn of(exchange: &Exchange) -> Self {
        let url = exchange.url.split('?').next().unwrap_or_default();
        let url =
            if exchange.plane == Plane::Other { url.replace("management.azure.com", "sinks") } else { url.to_owned() };
        let operation = url.to_ascii_lowercase().contains("operationresults");
        let segment = |segment: &str| match Uuid::parse_str(segment) {
            Ok(_) if operation && segment != SUBSCRIPTION => "{operation}".to_owned(),
            _ => segment.to_owned(),
        };
        let path: Vec<String> = url.trim_start_matches("https://").split('/').map(segment).collect();
        Self(format!("{} {}", exchange.method, path.join("/")))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subscription = format!("management.azure.com/subscriptions/{SUBSCRIPTION}");
        f.write_str(&self.0.replace(&subscription, "").replace("/providers/", "/"))
    }
}

impl Request {
    /// A write, or a message to the team: these come in every run.
    pub fn is_essential(&self) -> bool {
        self.write || self.kind.0.contains("/sink/")
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}.)", self.kind, self.nth)
    }
}

/// All requests, in the order in which they came.
pub fn named(exchanges: &[Exchange]) -> Vec<Request> {
    let mut seen: HashMap<Kind, usize> = HashMap::new();
    let name = |exchange: &Exchange| {
        let kind = Kind::of(exchange);
        let nth = seen.entry(kind.clone()).or_default();
        *nth += 1;
        Request { kind, nth: *nth, write: keymend::drill::judge::is_write(exchange) }
    };
    exchanges.iter().map(name).collect()
}

/// The requests that are in all of these runs, in the order of the first.
pub fn common(runs: &[Vec<Request>]) -> Vec<Request> {
    let sets: Vec<BTreeSet<&Request>> = runs.iter().map(|run| run.iter().collect()).collect();
    let in_all = |request: &&Request| sets.iter().all(|set| set.contains(request));
    runs.first().into_iter().flatten().filter(in_all).cloned().collect()
}

/// Stalls one request, once.
pub struct Trap(oneshot::Receiver<u64>);

impl Trap {
    /// Sets it: the request is stalled before it is carried out, or before it is answered.
    pub fn set(cloud: &Cloud, request: &Request, moment: Moment) -> Self {
        let (spring, sprung) = oneshot::channel();
        let wanted = request.clone();
        let state = Arc::new(Mutex::new((0, 0, Some(spring))));
        cloud.on_request(move |now, exchange| {
            let (count, number, spring) = &mut *state.lock().unwrap();
            if spring.is_none() || Kind::of(exchange) != wanted.kind {
                return Verdict::Go;
            }
            if now == Moment::Before {
                *count += 1;
                if *count == wanted.nth {
                    *number = exchange.number;
                }
            }
            if now != moment || *number != exchange.number {
                return Verdict::Go;
            }
            if let Some(spring) = spring.take() {
                let _ = spring.send(exchange.number);
            }
            Verdict::Stall
        });
        Self(sprung)
    }

    /// Waits until the request is stalled. Answers its number in the recording.
    pub async fn sprung(self) -> u64 {
        match self.0.await {
            Ok(number) => number,
            Err(_) => std::future::pending().await,
        }
    }
}
