//! What was done before: repairs that were undone, budgets, approvals.

use super::*;

#[test]
fn a_repair_that_somebody_undid_is_not_made_again() {
    let mut world = roles_lost();
    let subject = world.plan().changes[0].subjects().remove(0);
    world.memory.repairs = vec![("something|else".to_owned(), world.ago(60))];
    assert!(gates(&world).is_empty());
    world.memory.repairs.push((subject.clone(), world.ago(60)));
    assert_eq!(gates(&world), [Gate::Undone]);
    world.memory.repairs = vec![(subject, world.ago(25 * 60))];
    assert!(gates(&world).is_empty(), "a day is over");
    world.memory.repairs.clear();
    let (change, made) = (world.plan().changes.remove(0), world.made(60));
    world.attempt(change, 60, made);
    assert_eq!(gates(&world), [Gate::Undone], "made in this incident");
    world.incident.attempts.clear();
    let (change, made) = (world.plan().changes.remove(0), world.made(72 * 60));
    world.attempt(change, 72 * 60, made);
    assert_eq!(
        gates(&world),
        [Gate::Undone],
        "made in this incident three days ago, or so a clock says that was put right"
    );
}

#[test]
fn what_never_took_effect_was_not_undone() {
    let mut world = roles_lost();
    let change = world.plan().changes.remove(0);
    let subject = change.subjects().remove(0);
    let failed = world.failed("InternalError", 30);
    world.attempt(change.clone(), 30, failed);
    world.attempt(change, 5, None);
    world.memory.repairs = vec![(subject.clone(), world.ago(30)), (subject.clone(), world.ago(5))];
    assert!(gates(&world).is_empty());
    world.memory.repairs.push((subject, world.ago(600)));
    assert_eq!(gates(&world), [Gate::Undone], "an earlier incident's repair");
}

#[test]
fn write_budget_and_circuit_breaker_hold_for_every_remedy() {
    let mut world = roles_lost();
    world.memory.writes_last_hour = 199;
    assert!(gates(&world).is_empty());
    world.memory.writes_last_hour = 200;
    assert_eq!(gates(&world), [Gate::WriteBudget]);
    assert_eq!(revalidation_gates(&world), [Gate::WriteBudget]);
    world.memory.writes_last_hour = 0;
    for _ in 0..3 {
        assert!(gates(&world).is_empty());
        let failed = world.failed("InternalError", 90);
        world.attempt(Change::Revalidate { server: server_id("contoso-sql") }, 90, failed);
    }
    assert_eq!(gates(&world), [Gate::CircuitBreaker]);
    assert_eq!(revalidation_gates(&world), [Gate::CircuitBreaker]);
}

#[test]
fn what_an_approved_recovery_lost_is_not_asked_about_again() {
    let mut world = world();
    world.delete_vault();
    world.log("microsoft.keyvault/vaults/delete", vault_id().as_str(), "eve", PERSON, "2026-11-24T02:00:00Z");
    assert_eq!(gates(&world), [Gate::MadeByPerson]);
    let plan = world.plan();
    world.answer(&plan, true);
    let approval = world.incident.approval.take();

    let mut recovered = roles_lost();
    recovered.evidence.changes.clone_from(&world.evidence.changes);
    recovered.incident.approval = approval;
    assert_eq!(gates(&recovered), [Gate::MadeByPerson], "the approved plan has not run yet");
    let made = recovered.made(2);
    recovered.attempt(plan.changes[0].clone(), 3, made);
    recovered.incident.attempts[0].plan_hash = plan.hash();
    assert!(gates(&recovered).is_empty());
    // What somebody did since is a new reason.
    recovered.log_role_removal("mallory", PERSON, "2026-11-24T02:09:30Z");
    assert_eq!(gates(&recovered), [Gate::MadeByPerson]);
}
