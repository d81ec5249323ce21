//! What a job was, told from its key alone: its record may be unreadable, or gone.

use crate::domain::incident::IncidentId;
use crate::domain::resource_id::ResourceId;

/// A job by its key, as [`crate::store::Work::key`] writes it.
#[derive(Debug)]
pub(super) enum Job {
    Locate(ResourceId),
    Pass(IncidentId),
    Tell { incident: IncidentId, notice: String, channel: String },
    Heartbeat { channel: String },
    Other,
}

impl Job {
    pub fn of(key: &str) -> Self {
        match key.split_once(':') {
            Some(("locate", target)) => ResourceId::parse(target).map_or(Self::Other, Self::Locate),
            Some(("pass", incident)) => Self::Pass(IncidentId(incident.to_owned())),
            Some(("heartbeat", channel)) => Self::Heartbeat { channel: channel.to_owned() },
            Some(("tell", rest)) => match (rest.split_once(':'), rest.rsplit_once(':')) {
                (Some((incident, _)), Some((before, channel))) if before.len() > incident.len() => Self::Tell {
                    incident: IncidentId(incident.to_owned()),
                    notice: before[incident.len() + 1..].to_owned(),
                    channel: channel.to_owned(),
                },
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }

    pub fn words(&self) -> String {
        match self {
            Self::Locate(target) => format!("Looking into what was reported about {}", shown(target.name())),
            Self::Pass(incident) => format!("Keymend's work on incident {}", shown(&incident.0)),
            Self::Tell { channel, .. } => format!("Sending a message through the channel {}", shown(channel)),
            Self::Heartbeat { channel } => format!("Sending a sign of life through the channel {}", shown(channel)),
            Self::Other => "A job that this version of Keymend does not know".to_owned(),
        }
    }
}

/// The most characters of a foreign text that are kept or shown.
const LONGEST_TEXT: usize = 300;

/// Foreign text, fit to be kept and shown: on one line, without control characters, and cut.
pub(super) fn shown(text: &str) -> String {
    let cleaned = crate::domain::signal::words(text, LONGEST_TEXT).unwrap_or_default();
    let cut = cleaned.chars().count() >= LONGEST_TEXT;
    if cut { format!("{cleaned}\u{2026}") } else { cleaned }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Work;

    #[test]
    fn every_key_that_is_written_is_read() {
        let server = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Sql/servers/contoso-sql";
        let incident = IncidentId("km-20261124-0207-7f3k".to_owned());
        let notice = format!("{incident}.3:00ff00ff00ff00ff");
        let locate = Work::Locate { target: ResourceId::parse(server).unwrap() };
        let tell = Work::Tell { incident: incident.clone(), notice: notice.clone(), channel: "teams".to_owned() };
        assert!(matches!(Job::of(&locate.key()), Job::Locate(target) if target.name() == "contoso-sql"));
        assert!(matches!(Job::of(&Work::Pass { incident: incident.clone() }.key()), Job::Pass(id) if id == incident));
        match Job::of(&tell.key()) {
            Job::Tell { incident: id, notice: kept, channel } => {
                assert_eq!((id, kept, channel.as_str()), (incident, notice, "teams"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_else_is_taken_for_one() {
        for key in ["", ":", "pass", "tell:", "tell:a:b", "locate:", "locate:nowhere", "dance:x"] {
            assert!(matches!(Job::of(key), Job::Other), "{key:?}: {:?}", Job::of(key));
        }
    }
}
