//! A key whose expiry lies ahead.

use jiff::SignedDuration;

use crate::domain::diagnosis::Cause;
use crate::domain::incident::AttemptOutcome;
use crate::domain::plan::{Decision, Gate};
use crate::domain::policy::{Mode, Preset};
use crate::domain::remedy::{Change, Remedy};
use crate::domain::test_support::{OLD_VERSION, VERSION, World, at, minutes, world, world_of};

fn expiring_in(hours: i64) -> World {
    expiring(world(), hours)
}

fn expiring(mut world: World, hours: i64) -> World {
    world.incident.loss_reported = false;
    let expires = world.now + SignedDuration::from_hours(hours);
    let created = at("2026-01-01T00:00:00Z");
    let version = world.version();
    (version.expires, version.created, version.updated) = (Some(expires), Some(created), Some(created));
    world.evidence.keys[0].versions = vec![(VERSION.to_owned(), Some(created))];
    world
}

fn cause(world: &World) -> Cause {
    world.diagnosis().cause()
}

#[test]
fn it_is_found_within_the_hours_and_extended_by_as_many_days_as_policy_says() {
    assert_eq!(cause(&expiring_in(25)), Cause::Healthy);
    let world = expiring_in(24).preset(Preset::Auto);
    let diagnosis = world.diagnosis();
    assert_eq!((diagnosis.cause(), diagnosis.findings.len()), (Cause::KeyExpiring, 1));
    assert!(!diagnosis.chain_is_whole());
    let (Decision::Repair { plan }, hits) = world.decide() else { panic!("{:?}", world.decide()) };
    assert!(hits.is_empty(), "{hits:?}");
    let [Change::ExtendExpiry { from, to, .. }] = &plan.changes[..] else { panic!("{plan:?}") };
    assert_eq!(*from, world.evidence.keys[0].version.known().and_then(|version| version.expires));
    assert_eq!(*to, world.incident.opened_at + SignedDuration::from_hours(7 * 24));
}

#[test]
fn one_change_for_all_servers_of_the_key() {
    let world = expiring(world_of(&["a-sql", "b-sql"]), 3).preset(Preset::Auto);
    let diagnosis = world.diagnosis();
    assert_eq!((diagnosis.findings.len(), diagnosis.findings[0].servers.len()), (1, 2));
    assert_eq!(diagnosis.findings[0].changes.len(), 1);
}

#[test]
fn policy_asks_or_leaves_it_to_the_warnings() {
    let asked = expiring_in(3);
    assert!(matches!(asked.decide().0, Decision::Ask { .. }), "guarded asks");
    assert_eq!(cause(&expiring_in(3).preset(Preset::Observe)), Cause::Healthy);
    let spoiled: [fn(&mut World); 3] = [
        |w| w.policy.extend_before_hours = 0,
        |w| w.policy.gates.max_expiry_extension_days = 0,
        |w| w.policy.remedies.extend([(Remedy::ExtendExpiry, Mode::Off)]),
    ];
    for spoil in spoiled {
        let mut world = expiring_in(3).preset(Preset::Auto);
        spoil(&mut world);
        assert_eq!(cause(&world), Cause::Healthy, "told only");
    }
}

#[test]
fn an_extension_that_gains_little_begins_late_enough_not_to_be_made_again_at_once() {
    let mut world = expiring_in(13).preset(Preset::Auto);
    world.policy.gates.max_expiry_extension_days = 1;
    assert_eq!(cause(&world), Cause::Healthy);
    let mut world = expiring_in(12).preset(Preset::Auto);
    world.policy.gates.max_expiry_extension_days = 1;
    let Decision::Repair { plan } = world.decide().0 else { panic!("{:?}", world.decide()) };
    let Change::ExtendExpiry { to, .. } = &plan.changes[0] else { panic!("{plan:?}") };
    world.version().expires = Some(*to);
    assert_eq!(cause(&world), Cause::Healthy);
}

#[test]
fn a_rotated_key_is_left_to_expire() {
    let mut world = expiring_in(3).preset(Preset::Auto);
    world.evidence.keys[0].versions.push((OLD_VERSION.to_owned(), Some(at("2025-01-01T00:00:00Z"))));
    assert_eq!(cause(&world), Cause::KeyExpiring, "an older version is no rotation");
    world.evidence.keys[0].versions.push(("f".repeat(32), Some(world.now - minutes(90 * 24 * 60))));
    assert_eq!(cause(&world), Cause::Healthy);
    world.evidence.keys[0].versions.clear();
    let (decision, hits) = world.decide();
    assert!(!matches!(decision, Decision::Repair { .. }), "it could not be seen: {decision:?}");
    assert!(hits.iter().any(|hit| hit.hard && hit.gate == Gate::CannotTell), "{hits:?}");
}

#[test]
fn a_key_that_was_extended_before_is_asked_about() {
    let mut world = expiring_in(3).preset(Preset::Auto);
    let (Decision::Repair { plan }, _) = world.decide() else { panic!("{:?}", world.decide()) };
    let subject = plan.changes[0].subjects().remove(0);
    // What the same incident made is no second time.
    world.memory.extensions = vec![(subject.clone(), world.incident.opened_at)];
    assert!(matches!(world.decide().0, Decision::Repair { .. }), "{:?}", world.decide());
    world.memory.extensions = vec![(subject, world.incident.opened_at - minutes(6 * 24 * 60))];
    let (decision, hits) = world.decide();
    assert!(matches!(decision, Decision::Ask { .. }), "{decision:?}");
    assert!(hits.iter().any(|hit| !hit.hard && hit.gate == Gate::ExtendedBefore), "{hits:?}");
}

#[test]
fn a_date_that_was_just_given_is_asked_about() {
    let mut world = expiring_in(3).preset(Preset::Auto);
    world.version().updated = Some(world.incident.opened_at - minutes(29));
    let (decision, hits) = world.decide();
    assert!(matches!(decision, Decision::Ask { .. }), "{decision:?}");
    assert!(hits.iter().any(|hit| !hit.hard && hit.gate == Gate::DeliberateRevocation), "{hits:?}");
    // It does not pass with time.
    world.now += minutes(120);
    world.evidence.taken_at = world.now;
    assert!(matches!(world.decide().0, Decision::Ask { .. }));
    world.version().updated = Some(world.incident.opened_at - minutes(31));
    assert!(matches!(world.decide().0, Decision::Repair { .. }));
}

#[test]
fn what_is_broken_comes_first_and_a_loss_is_seen_through_to_its_end() {
    let mut world = expiring_in(3).preset(Preset::Auto);
    world.version().enabled = false;
    assert_eq!(cause(&world), Cause::KeyDisabled);
    assert!(!world.diagnosis().findings.iter().any(|finding| finding.cause == Cause::KeyExpiring));
    world.incident.broken = Some(world.diagnosis());
    world.version().enabled = true;
    assert_eq!(cause(&world), Cause::Healthy, "that incident is about another loss");
    let mut told = expiring_in(3).preset(Preset::Auto);
    told.incident.loss_reported = true;
    assert_eq!(cause(&told), Cause::Healthy);
    let mut down = expiring_in(3).preset(Preset::Auto);
    down.incident.members.values_mut().for_each(|member| member.was_down = true);
    assert_eq!(cause(&down), Cause::Healthy);
}

#[test]
fn once_extended_it_is_over() {
    let mut world = expiring_in(3).preset(Preset::Auto);
    world.incident.broken = Some(world.diagnosis());
    let Decision::Repair { plan } = world.decide().0 else { panic!("{:?}", world.decide()) };
    world.attempt(plan.changes[0].clone(), 1, Some(AttemptOutcome::Made { at: world.now }));
    assert!(matches!(world.decide().0, Decision::Wait { .. }), "not made twice while it may not be seen yet");
    let Change::ExtendExpiry { to, .. } = &plan.changes[0] else { panic!("{plan:?}") };
    world.version().expires = Some(*to);
    assert_eq!(cause(&world), Cause::Healthy);
}
