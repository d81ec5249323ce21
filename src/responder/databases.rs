//! Watching databases: which are down, which came back, and which of their settings are not what they were.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Responder;
use super::schedule::FEW_SERVERS;
use crate::domain::database_ref::DatabaseRef;
use crate::domain::evidence::{Database, Fact};
use crate::domain::incident::{EntryKind, Incident, Member};
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::LostSetting;
use crate::probe;

impl Responder {
    /// Looks at the databases alone. Answers whether every server could be read.
    pub(super) async fn look_at_databases(&self, incident: &mut Incident) -> bool {
        // A server whose databases were down and are back has shown that it can use its key.
        let open = |member: &&Member| !(member.was_down && member.inaccessible.is_empty());
        let servers: Vec<_> = incident.members.values().filter(open).map(|member| member.server.clone()).collect();
        let seen = probe::databases(&self.azure, &servers).await;
        let mut all = true;
        let mut changes = Changes::default();
        for (server, databases) in seen {
            match databases {
                Fact::Known(databases) => changes.see(incident, &server, &databases),
                Fact::Absent => {}
                Fact::Denied(_) | Fact::Unknown(_) => all = false,
            }
        }
        changes.note(incident, self.clock.now());
        incident.mark_past_window(self.clock.now());
        let down = incident.inaccessible();
        if let Some(diagnosis) = &mut incident.diagnosis {
            diagnosis.inaccessible = down;
        }
        all
    }
}

/// What changed between two looks, by server: how many databases went down, and how many came back.
#[derive(Debug, Default)]
pub(super) struct Changes {
    down: BTreeMap<String, usize>,
    back: BTreeMap<String, usize>,
}

impl Changes {
    /// Takes one server's databases into the incident.
    pub fn see(&mut self, incident: &mut Incident, server: &ResourceId, databases: &[Database]) {
        let Some(member) = incident.members.get_mut(server.key()) else { return };
        let down = databases.iter().filter(|database| database.is_inaccessible() || coming_back(database));
        let down: BTreeSet<String> = down.map(|database| database.name.clone()).collect();
        let back = member.inaccessible.difference(&down).count();
        let lost = down.difference(&member.inaccessible).count();
        member.was_down |= !down.is_empty();
        member.databases.extend(down.iter().cloned());
        for database in databases {
            member.settings.entry(database.name.clone()).or_insert_with(|| database.settings.clone());
        }
        member.inaccessible = down;
        member.lost_settings = differences(server, &member.settings, databases);
        for (counts, count) in [(&mut self.down, lost), (&mut self.back, back)] {
            if count > 0 {
                counts.insert(member.server.name().to_owned(), count);
            }
        }
    }

    /// Tells it in the incident's story: a line a server, or one line where there are many.
    pub fn note(&self, incident: &mut Incident, now: Timestamp) {
        for (counts, kind, what) in
            [(&self.down, EntryKind::Checked, "inaccessible"), (&self.back, EntryKind::Verified, "back online")]
        {
            if counts.len() > FEW_SERVERS {
                let all = in_words(counts.values().sum());
                incident.note(now, kind, format!("{all} on {} servers {what}", counts.len()));
            } else {
                for (server, count) in counts {
                    incident.note(now, kind, format!("{} on {server} {what}", in_words(*count)));
                }
            }
        }
    }
}

/// A database on its way back is not back yet.
fn coming_back(database: &Database) -> bool {
    ["recovering", "recoverypending", "restoring", "suspect"].contains(&database.status.to_ascii_lowercase().as_str())
}

fn in_words(count: usize) -> String {
    if count == 1 { "1 database".to_owned() } else { format!("{count} databases") }
}

/// The settings that are not what they were when the incident first saw them.
#[must_use]
pub fn lost_settings(incident: &Incident) -> Vec<LostSetting> {
    incident.members.values().flat_map(|member| member.lost_settings.iter().cloned()).collect()
}

fn differences(
    server: &ResourceId,
    before: &BTreeMap<String, BTreeMap<String, String>>,
    databases: &[Database],
) -> Vec<LostSetting> {
    let mut lost = Vec::new();
    for database in databases {
        for (setting, was) in before.get(&database.name).into_iter().flatten() {
            let is = database.settings.get(setting).map_or("none", String::as_str);
            if is != was {
                lost.push(LostSetting {
                    database: DatabaseRef { server: server.clone(), name: database.name.clone() },
                    setting: setting.clone(),
                    before: was.clone(),
                    now: is.to_owned(),
                });
            }
        }
    }
    lost
}
