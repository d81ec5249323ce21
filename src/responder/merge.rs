//! What joined an incident while a pass was at work on it. Pure.
//!
//! A pass over many servers takes seconds, and in a storm alerts arrive all the time. If each of them made the pass begin
//! anew, it would read Azure over and over and never come to an end.

use crate::domain::incident::Incident;

/// Takes what joined into `ours`, which was made from `base`: `stored` is what is stored now. Answers `false`, with
/// `ours` left as it is, if somebody did more than let servers and signals join (another pass, a person's decision), or
/// if `ours` is about to end, which it must not without a look at what joined.
#[must_use]
pub fn take_joined(ours: &mut Incident, base: &Incident, stored: &Incident) -> bool {
    if ours.ended_at.is_some() || !only_joined(base, stored) {
        return false;
    }
    for (key, theirs) in &stored.members {
        let member = ours.members.entry(key.clone()).or_insert_with(|| theirs.clone());
        member.databases.extend(theirs.databases.iter().cloned());
        if member.protector.is_none() {
            member.protector.clone_from(&theirs.protector);
        }
    }
    ours.told_at = ours.told_at.into_iter().chain(stored.told_at).min();
    ours.window_minutes = ours.window_minutes.min(stored.window_minutes);
    ours.window_said_over |= stored.window_said_over;
    ours.loss_reported |= stored.loss_reported;
    ours.signals = stored.signals;
    if ours.vault.is_none() {
        ours.vault.clone_from(&stored.vault);
    }
    for entry in stored.timeline.iter().filter(|entry| !base.timeline.contains(entry)) {
        ours.note(entry.at, entry.kind, entry.text.clone());
    }
    ours.timeline.sort_by_key(|entry| entry.at);
    true
}

/// Whether `stored` differs from `base` in nothing but what servers and signals change that join.
fn only_joined(base: &Incident, stored: &Incident) -> bool {
    let mut expected = base.clone();
    expected.members.clone_from(&stored.members);
    expected.told_at = stored.told_at;
    expected.window_minutes = stored.window_minutes;
    expected.window_said_over = stored.window_said_over;
    expected.loss_reported = stored.loss_reported;
    expected.signals = stored.signals;
    expected.vault.clone_from(&stored.vault);
    expected.timeline.clone_from(&stored.timeline);
    expected == *stored
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::incident::{EntryKind, IncidentId, IncidentKey, Phase};
    use crate::domain::resource_id::ResourceId;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn server(name: &str) -> ResourceId {
        ResourceId::parse(&format!("/subscriptions/s/resourceGroups/g/providers/Microsoft.Sql/servers/{name}")).unwrap()
    }

    fn base() -> Incident {
        let mut base = Incident::open(IncidentId("km-x".into()), IncidentKey("vault:x".into()), 30, at(0));
        base.add_member(&server("a"), None);
        base.told_at = Some(at(5));
        base.note(at(0), EntryKind::Noticed, "a depends on that key");
        base
    }

    /// The base, and what it became when another server and an older event joined.
    fn joined() -> (Incident, Incident) {
        let mut stored = base();
        stored.add_member(&server("b"), None).databases.insert("orders".into());
        stored.add_member(&server("a"), None).databases.insert("web".into());
        stored.told_at = Some(at(3));
        stored.signals = 7;
        stored.loss_reported = true;
        stored.window_said_over = true;
        stored.note(at(6), EntryKind::Noticed, "b depends on that key");
        (base(), stored)
    }

    #[test]
    fn what_joined_is_kept_beside_what_the_pass_did() {
        let (base, stored) = joined();
        let mut ours = base.clone();
        ours.passes = 1;
        ours.phase = Phase::Mending;
        ours.add_member(&server("a"), None).inaccessible.insert("crm".into());
        ours.note(at(5), EntryKind::Decided, "repairing");
        ours.note(at(7), EntryKind::Changed, "made");
        assert!(take_joined(&mut ours, &base, &stored));
        assert_eq!((ours.passes, ours.phase, ours.signals, ours.told_at), (1, Phase::Mending, 7, Some(at(3))));
        assert!(ours.loss_reported && ours.window_said_over);
        let a = &ours.members[server("a").key()];
        assert!(a.databases.contains("web") && a.inaccessible.contains("crm"));
        assert!(ours.members[server("b").key()].databases.contains("orders"));
        let story: Vec<&str> = ours.timeline.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!(story, ["a depends on that key", "repairing", "b depends on that key", "made"]);
    }

    #[test]
    fn another_hand_on_the_incident_is_no_joining() {
        let (base, joined) = joined();
        let spoiled: [fn(&mut Incident); 4] = [
            |it| it.passes += 1,
            |it| it.phase = Phase::Escalated,
            |it| it.ended_at = Some(at(9)),
            |it| it.needs_person = Some((crate::domain::plan::NeedsPerson::Failed, "x".into())),
        ];
        for spoil in spoiled {
            let mut stored = joined.clone();
            spoil(&mut stored);
            let mut ours = base.clone();
            assert!(!take_joined(&mut ours, &base, &stored));
            assert_eq!(ours, base);
        }
    }

    #[test]
    fn an_incident_does_not_end_over_what_joined() {
        let (base, stored) = joined();
        let mut ours = base.clone();
        ours.finish(Phase::Closed, "nothing is wrong", at(8));
        assert!(!take_joined(&mut ours, &base, &stored));
    }
}
