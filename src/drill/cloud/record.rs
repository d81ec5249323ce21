//! What is remembered of the requests: every one, or only those that may change something, and counts of all.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::recording::{Exchange, Plane};

/// The requests that are kept, those in flight, and the counts of all.
#[derive(Debug)]
pub(super) struct Record {
    begun: u64,
    keep_reads: bool,
    held: BTreeMap<u64, Exchange>,
    tally: Tally,
}

/// Counts of requests. They grow with the minutes of a story and with what is read, not with the requests.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests to Resource Manager.
    pub arm: usize,
    /// Requests to the Key Vault data plane.
    pub key_vault: usize,
    /// Requests that changed something.
    pub changes: usize,
    /// Reads of Resource Manager in each minute since the epoch, refused ones too.
    pub reads: BTreeMap<i64, usize>,
    /// When each path of Resource Manager, in lower case, was read.
    pub paths: BTreeMap<String, Reads>,
}

/// When something was read.
#[derive(Debug, Clone, Copy)]
pub struct Reads {
    /// For the first time.
    pub first: Timestamp,
    /// For the last time.
    pub last: Timestamp,
    /// The longest time between two reads.
    pub longest: SignedDuration,
}

impl Record {
    pub(super) fn new(keep_reads: bool) -> Self {
        Self { begun: 0, keep_reads, held: BTreeMap::new(), tally: Tally::default() }
    }

    /// Puts a request down, and answers its number.
    pub(super) fn begin(&mut self, mut exchange: Exchange) -> u64 {
        self.begun += 1;
        exchange.number = self.begun;
        self.tally.count(&exchange);
        self.held.insert(self.begun, exchange);
        self.begun
    }

    /// One that is in flight or kept.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Exchange> {
        self.held.get_mut(&number)
    }

    /// A request has been answered.
    pub(super) fn finish(&mut self, number: u64) {
        let Some(exchange) = self.held.get(&number) else { return };
        self.tally.answered(exchange);
        if !self.keep_reads && !exchange.is_write() {
            self.held.remove(&number);
        }
    }

    /// Those that are kept or in flight, in the order they came.
    pub(super) fn kept(&self) -> impl Iterator<Item = &Exchange> {
        self.held.values()
    }

    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Tally {
    fn count(&mut self, exchange: &Exchange) {
        match exchange.plane {
            Plane::Arm => self.arm += 1,
            Plane::KeyVault => self.key_vault += 1,
            Plane::Token | Plane::Other => {}
        }
        if exchange.plane == Plane::Arm && exchange.method == "GET" {
            *self.reads.entry(exchange.at.as_second() / 60).or_default() += 1;
        }
    }

    fn answered(&mut self, exchange: &Exchange) {
        self.changes += usize::from(exchange.effect && exchange.is_write());
        if exchange.plane != Plane::Arm || exchange.method != "GET" || exchange.status != 200 {
            return;
        }
        let path = exchange.url.split('?').next().unwrap_or_default();
        let path = path.strip_prefix("https://management.azure.com").unwrap_or(path).to_lowercase();
        let at = exchange.at;
        let reads = self.paths.entry(path).or_insert(Reads { first: at, last: at, longest: SignedDuration::ZERO });
        reads.longest = reads.longest.max(at.duration_since(reads.last));
        reads.last = at;
    }

    /// The most reads of Resource Manager in so many minutes on end.
    #[must_use]
    pub fn most_reads_in(&self, minutes: i64) -> usize {
        let from = |minute: &i64| self.reads.range(minute..&(minute + minutes)).map(|(_, reads)| reads).sum();
        self.reads.keys().map(from).max().unwrap_or_default()
    }

    /// The longest time that a path was not read between `began` and `now`; all of it, if it never was.
    #[must_use]
    pub fn longest_unread(&self, path: &str, began: Timestamp, now: Timestamp) -> SignedDuration {
        self.paths.get(path).map_or_else(
            || now.duration_since(began),
            |reads| reads.longest.max(reads.first.duration_since(began)).max(now.duration_since(reads.last)),
        )
    }

    /// For people and scenarios. `read`: what is to be read again and again.
    pub(super) fn shown(&self, read: impl Iterator<Item = String>, began: Timestamp, now: Timestamp) -> Value {
        let unread = read.map(|path| self.longest_unread(&path, began, now).as_mins()).max();
        json!({
            "arm": self.arm,
            "key_vault": self.key_vault,
            "changes": self.changes,
            "most_reads_in_a_minute": self.most_reads_in(1),
            "most_reads_in_ten_minutes": self.most_reads_in(10),
            "longest_unread_minutes": unread,
        })
    }
}
