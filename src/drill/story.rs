//! The story of a scenario as it happens: what broke, what was noticed, checked, decided, changed, verified, told.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::domain::incident::{EntryKind, Incident};

/// Who a line of the story is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Somebody in the story does something: breaks, repairs, approves.
    People,
    /// Azure does something by itself.
    Azure,
    /// Keymend notices, looks, decides.
    Keymend,
    /// Keymend changes something in Azure.
    Change,
    /// The team is told.
    Told,
}

/// One line of the story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Who,
    /// What.
    pub text: String,
}

/// Collects the story from what can be seen of the cloud and the store.
#[derive(Debug, Default)]
pub struct Story {
    lines: Vec<Line>,
    told: HashSet<String>,
    statuses: BTreeMap<String, String>,
    alerts: usize,
}

impl Story {
    /// Everything so far, in order.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Adds a line.
    pub fn add(&mut self, at: Timestamp, who: Who, text: impl Into<String>) {
        self.lines.push(Line { at, who, text: text.into() });
    }

    /// Adds what is new in an incident's timeline.
    pub fn follow_incident(&mut self, incident: &Incident) {
        for entry in &incident.timeline {
            let key = format!("{}|{}|{:?}|{}", incident.id, entry.at, entry.kind, entry.text);
            if !self.told.insert(key) {
                continue;
            }
            let who = match entry.kind {
                EntryKind::Changed => Who::Change,
                EntryKind::Told => Who::Told,
                _ => Who::Keymend,
            };
            self.add(entry.at, who, entry.text.clone());
        }
    }

    /// Adds changes of the databases' status, many at once in one line. `statuses`: database → status.
    pub fn follow_databases(&mut self, now: Timestamp, statuses: BTreeMap<String, String>) {
        let mut changed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (database, status) in &statuses {
            let before = self.statuses.get(database);
            if before.is_some_and(|before| before != status) {
                changed.entry(status.clone()).or_default().push(database.clone());
            }
        }
        for (status, databases) in changed {
            let what = few(&databases);
            self.add(now, Who::Azure, format!("{what}: now {status}"));
        }
        self.statuses = statuses;
    }

    /// Adds alerts that were posted since the last call, the last of them at `last`; late ones about something that is
    /// over (`open` is false) are passed over.
    pub fn follow_alerts(&mut self, last: Timestamp, posted: usize, open: bool) {
        if posted > self.alerts {
            let new = posted - self.alerts;
            let s = if new == 1 { "" } else { "s" };
            if open {
                self.add(last, Who::Azure, format!("Azure Monitor's Action Group posts {new} alert{s} to Keymend"));
            }
            self.alerts = posted;
        }
    }
}

/// Up to three names, or a count.
fn few(names: &[String]) -> String {
    if names.len() <= 3 { names.join(", ") } else { format!("{} databases", names.len()) }
}

/// Database → status out of the cloud's snapshot.
#[must_use]
pub fn statuses(world: &Value) -> BTreeMap<String, String> {
    let mut statuses = BTreeMap::new();
    for server in world["servers"].as_array().into_iter().flatten() {
        let name = server["name"].as_str().unwrap_or_default();
        for database in server["databases"].as_array().into_iter().flatten() {
            let status = database["status"].as_str().unwrap_or_default();
            statuses.insert(format!("{name}/{}", database["name"].as_str().unwrap_or_default()), status.to_owned());
        }
    }
    statuses
}
