//! The teeth: a bug is planted around the responder, and what must hold says so, each in its own words.

use std::sync::Arc;

use jiff::SignedDuration;
use keymend::domain::policy::Preset;
use keymend::domain::resource_id::ResourceId;
use keymend::drill::cloud::world::SUBSCRIPTION;

use crate::between::{Between, Wrong};
use crate::budget::many_vaults;
use crate::invariants::{Invariant, breaches};
use crate::stage::{Plan, Stage};
use crate::workers::on_a_thread;

/// What is found in a story.
fn found(plan: Plan) -> Vec<(Invariant, String)> {
    on_a_thread(async {
        let played = Stage::open(plan).await.play(async |_, _| ()).await;
        breaches(&played.seen).into_iter().map(|one| (one.of, one.why)).collect()
    })
}

fn with(story: &'static str, preset: Preset, wrong: Wrong) -> Plan {
    let mut plan = Plan::of(story, preset, 7);
    plan.wrap = Some(Arc::new(move |store| Arc::new(Between::new(store, wrong.clone()))));
    plan
}

fn assert_found(found: &[(Invariant, String)], of: Invariant) {
    assert!(found.iter().any(|(one, _)| *one == of), "{of} was to be found broken: {found:?}");
}

#[test]
fn an_acknowledged_alert_that_is_dropped_is_found() {
    let found = found(with("permission-revoked-rbac", Preset::Guarded, Wrong::DropsSignals));
    assert_found(&found, Invariant::NoAlertLost);
    assert_found(&found, Invariant::TeamTold);
}

#[test]
fn a_write_that_something_on_the_way_repeats_is_found() {
    let found = on_a_thread(async {
        let stage = Stage::open(Plan::of("fight-the-admin", Preset::Auto, 7)).await;
        let play = stage.play(async |stage, _| {
            // Again and again, also when an administrator has undone it.
            let writes = stage.cloud.requests_that(|one| one.is_write() && one.effect);
            if let Some(write) = writes.first() {
                stage.repeat(write).await;
            }
        });
        breaches(&play.await.seen).into_iter().map(|one| (one.of, one.why)).collect::<Vec<_>>()
    });
    assert_found(&found, Invariant::ChangedOnce);
}

#[test]
fn a_responder_that_is_blind_to_holds_is_found() {
    let mut plan = Plan::of("hold-tag", Preset::Auto, 7);
    // So long after the hold that nothing else forbids the repair.
    plan.setup.script[1].after = SignedDuration::from_mins(45);
    plan.setup.horizon = SignedDuration::from_mins(240);
    let mut believes = plan.setup.policy.clone();
    believes.gates.hold_tag = "another-tag".to_owned();
    plan.believes = Some(believes);
    assert_found(&found(plan), Invariant::NotPastAGate);
}

#[test]
fn a_responder_that_takes_its_scope_too_wide_is_found() {
    let mut plan = Plan::of("key-disabled", Preset::Auto, 7);
    plan.believes = Some(plan.setup.policy.clone());
    let keys = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-keys");
    plan.setup.policy.scope.except = vec![ResourceId::parse(&keys).unwrap()];
    assert_found(&found(plan), Invariant::InScope);
}

#[test]
fn a_responder_that_does_not_count_its_writes_is_found() {
    let mut plan = many_vaults(4, 2, 7);
    let mut believes = plan.setup.policy.clone();
    believes.gates.writes_per_hour = 200;
    plan.believes = Some(believes);
    assert_found(&found(plan), Invariant::WithinBudget);
}

#[test]
fn an_incident_that_nobody_comes_back_to_is_found() {
    let found = found(with("vault-deleted", Preset::Auto, Wrong::LosesPasses));
    assert_found(&found, Invariant::EndsOrIsWithAPerson);
}

#[test]
fn messages_that_are_never_sent_are_found() {
    let found = found(with("vault-deleted", Preset::Auto, Wrong::LosesMessages));
    assert_found(&found, Invariant::TeamTold);
}
