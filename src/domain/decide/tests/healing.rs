//! Waiting, re-validating and closing.

use crate::domain::diagnosis::Cause;
use crate::domain::evidence::Fact;
use crate::domain::incident::AttemptOutcome;
use crate::domain::plan::{Decision, NeedsPerson};
use crate::domain::remedy::Change;
use crate::domain::test_support::{VERSION, World, at, key_uri, server_id, world, world_of};

fn down() -> World {
    let mut world = world();
    world.set_status("Inaccessible");
    world.incident.loss_reported = true;
    world.incident.was_broken = true;
    world.incident.lost_at = Some(at("2026-11-24T01:55:00Z"));
    world.incident.whole_since = Some(world.now);
    for member in world.incident.members.values_mut() {
        member.was_down = true;
    }
    world
}

fn late() -> World {
    let mut world = down();
    world.incident.lost_at = Some(at("2026-11-24T01:00:00Z"));
    world
}

fn revalidate() -> Change {
    Change::Revalidate { server: server_id("contoso-sql") }
}

fn until(decision: &Decision) -> Option<jiff::Timestamp> {
    match decision {
        Decision::Wait { until, .. } => *until,
        other => panic!("{other:#?}"),
    }
}

#[test]
fn within_the_window_databases_heal_by_themselves_within_the_hour() {
    let mut world = down();
    assert_eq!(until(&world.decide().0), Some(at("2026-11-24T03:10:00Z")));
    world.pass(59);
    assert!(matches!(world.decide().0, Decision::Wait { .. }));
    world.pass(1);
    assert!(matches!(&world.decide().0, Decision::Repair { plan } if plan.changes == [revalidate()]));
}

#[test]
fn past_the_window_only_revalidation_helps() {
    let mut world = late();
    assert!(matches!(&world.decide().0, Decision::Repair { plan } if plan.changes == [revalidate()]));
    world.incident.lost_at = None;
    world.incident.window_said_over = true;
    assert!(matches!(world.decide().0, Decision::Repair { .. }), "Azure said so");
}

#[test]
fn only_servers_with_inaccessible_databases_are_revalidated() {
    let mut world = world_of(&["a-sql", "b-sql"]);
    let Fact::Known(databases) = &mut world.server().databases else { panic!() };
    databases[1].status = "Inaccessible".to_owned();
    world.incident.window_said_over = true;
    let Decision::Repair { plan } = world.decide().0 else { panic!() };
    assert_eq!(plan.changes, [Change::Revalidate { server: server_id("a-sql") }]);
    assert_eq!(plan.cause, Cause::StillInaccessible);
}

#[test]
fn a_revalidation_is_not_repeated_while_it_runs_or_nobody_knows() {
    let mut world = late();
    world.attempt(revalidate(), 5, None);
    assert_eq!(until(&world.decide().0), Some(world.ago(-15)), "sent or not: nobody knows for 20 minutes");
    world.incident.attempts[0].operation = Some("https://management.azure.com/op".to_owned());
    world.pass(120);
    assert!(matches!(world.decide().0, Decision::Wait { .. }), "large databases take hours");
    world.incident.attempts[0].operation = None;
    assert!(matches!(world.decide().0, Decision::Repair { .. }));
}

#[test]
fn three_successful_revalidations_that_do_not_help_call_a_person() {
    let mut world = late();
    for round in 1..=3 {
        assert!(matches!(world.decide().0, Decision::Repair { .. }), "round {round}");
        let made = world.made(0);
        world.attempt(revalidate(), 1, made);
        assert!(matches!(world.decide().0, Decision::Wait { .. }), "round {round}");
        world.pass(20);
    }
    let (decision, _) = world.decide();
    let Decision::Escalate { reason: NeedsPerson::NotVerified, why, .. } = decision else { panic!("{decision:#?}") };
    assert!(why.contains("orders") && why.contains("Inaccessible"), "{why}");
}

#[test]
fn a_refused_revalidation_is_tried_again_later_until_the_breaker_opens() {
    let mut world = late();
    for round in 1..=3 {
        assert!(matches!(world.decide().0, Decision::Repair { .. }), "round {round}");
        let failed = world.failed("CMKOperationNotAllowed", 0);
        world.attempt(revalidate(), 0, failed);
        if round < 3 {
            assert!(matches!(world.decide().0, Decision::Wait { .. }), "round {round}");
        }
        world.pass(15);
    }
    let (decision, _) = world.decide();
    let Decision::Escalate { reason: NeedsPerson::Failed, why, .. } = decision else { panic!("{decision:#?}") };
    assert!(why.contains("CMKOperationNotAllowed"), "{why}");
}

#[test]
fn a_grant_takes_effect_before_revalidation_is_tried() {
    let mut world = late();
    let made = world.made(3);
    world.attempt(
        Change::TrustedServicesBypass { vault: crate::domain::test_support::vault_id(), acls: serde_json::Value::Null },
        4,
        made,
    );
    assert_eq!(until(&world.decide().0), Some(world.ago(-7)));
    world.pass(7);
    assert!(matches!(world.decide().0, Decision::Repair { .. }));

    let mut key = late();
    let made = key.made(3);
    key.attempt(Change::EnableKey { key: key_uri("tde-key", Some(VERSION)) }, 4, made);
    assert!(matches!(key.decide().0, Decision::Repair { .. }), "a key works at once");
}

#[test]
fn databases_on_their_way_back_are_waited_for() {
    let mut world = late();
    world.set_status("Recovering");
    assert!(matches!(world.decide().0, Decision::Wait { .. }));
    world.pass(61);
    assert!(matches!(world.decide().0, Decision::Escalate { reason: NeedsPerson::NotVerified, .. }));
}

#[test]
fn a_false_alarm_is_closed_at_once() {
    assert!(matches!(world().decide().0, Decision::Close { .. }));
}

#[test]
fn databases_that_were_down_and_are_back_end_it() {
    let mut world = down();
    world.set_status("Online");
    assert!(matches!(world.decide().0, Decision::Close { .. }));
}

#[test]
fn a_reported_loss_that_never_showed_is_watched_until_sql_has_looked() {
    let mut world = world();
    world.incident.loss_reported = true;
    world.incident.whole_since = Some(world.now);
    assert_eq!(until(&world.decide().0), Some(world.ago(-10)));
    world.pass(10);
    assert!(matches!(world.decide().0, Decision::Close { .. }));
    // A grant may take another ten minutes to work.
    let made = world.made(2);
    world.attempt(
        Change::TrustedServicesBypass { vault: crate::domain::test_support::vault_id(), acls: serde_json::Value::Null },
        3,
        made,
    );
    assert!(matches!(world.decide().0, Decision::Wait { .. }));
}

#[test]
fn an_outage_is_waited_out_for_a_day() {
    let mut world = world();
    world.vault_evidence().reachable = Fact::Known(false);
    world.incident.loss_reported = true;
    world.incident.lost_at = Some(at("2026-11-24T02:00:00Z"));
    assert_eq!(until(&world.decide().0), Some(at("2026-11-25T02:00:00Z")));
    world.pass(24 * 60);
    assert!(matches!(world.decide().0, Decision::Escalate { reason: NeedsPerson::NoRemedy, .. }));
}

#[test]
fn what_is_gone_is_closed() {
    let mut gone = world();
    gone.server().server = Fact::Absent;
    assert!(matches!(gone.decide().0, Decision::Close { .. }));
    let mut managed = world();
    let Fact::Known(protector) = &mut managed.server().protector else { panic!() };
    protector.customer_managed = false;
    assert!(matches!(managed.decide().0, Decision::Close { .. }));
}

#[test]
fn outcome_unknown_is_not_success() {
    let mut world = late();
    let not_applicable = AttemptOutcome::NotApplicable { at: world.now, why: "was being read".to_owned() };
    world.attempt(revalidate(), 1, Some(not_applicable));
    assert!(matches!(world.decide().0, Decision::Wait { .. }));
    world.pass(3);
    assert!(matches!(world.decide().0, Decision::Repair { .. }));
}
