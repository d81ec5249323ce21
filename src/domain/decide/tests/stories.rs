//! Incidents over several passes.

use crate::domain::evidence::{CallerKind, Fact};
use crate::domain::plan::{Decision, Gate, NeedsPerson, Plan};
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::domain::test_support::{World, grant, policy_world, principal, vault_id, world};

fn repair(world: &World) -> Plan {
    match world.decide().0 {
        Decision::Repair { plan } => plan,
        other => panic!("{other:#?}"),
    }
}

/// Records that all changes of the plan were made now.
fn carry_out(world: &mut World, plan: &Plan) {
    for change in &plan.changes {
        let made = world.made(0);
        world.attempt(change.clone(), 0, made);
        if let Some(last) = world.incident.attempts.last_mut() {
            last.plan_hash = plan.hash();
        }
        for subject in change.subjects() {
            world.memory.repairs.push((subject, world.now));
        }
    }
}

#[test]
fn a_deleted_vault_is_recovered_after_one_question_and_granted_without_another() {
    let mut world = world();
    world.delete_vault();
    world.log(
        "microsoft.keyvault/vaults/delete",
        vault_id().as_str(),
        "eve",
        CallerKind::Person,
        "2026-11-24T02:00:00Z",
    );
    let Decision::Ask { plan, why } = world.decide().0 else { panic!() };
    assert!(why.contains("recover_vault") && why.contains("eve"), "{why}");
    world.answer(&plan, true);
    assert_eq!(repair(&world), plan);
    carry_out(&mut world, &plan);

    // It is back, without the roles that were assigned on it.
    let log = world.evidence.changes.clone();
    world.evidence = self::world().evidence;
    world.evidence.changes = log;
    world.lose_roles();
    world.pass(1);
    let grant_plan = repair(&world);
    assert_eq!(grant_plan.remedy, Remedy::AssignRole);
    carry_out(&mut world, &grant_plan);

    world.vault_evidence().grants = Fact::Known(vec![grant(&principal("contoso-sql"))]);
    world.incident.was_broken = true;
    world.incident.whole_since = Some(world.now);
    assert!(matches!(world.decide().0, Decision::Wait { .. }));
    world.pass(20);
    assert!(matches!(world.decide().0, Decision::Close { .. }));
}

#[test]
fn an_identity_is_assigned_and_then_granted() {
    let mut world = policy_world().preset(Preset::Auto);
    world.server_facts().identity.system_principal_id = None;
    let plan = repair(&world);
    assert_eq!(plan.remedy, Remedy::AssignIdentity);
    carry_out(&mut world, &plan);
    world.server_facts().identity.system_principal_id = Some("new-principal".to_owned());
    world.pass(1);
    assert_eq!(repair(&world).remedy, Remedy::AddAccessPolicy);
}

#[test]
fn a_made_repair_is_waited_for_and_never_made_twice_against_an_admin() {
    let mut world = world().preset(Preset::Auto);
    world.lose_roles();
    let plan = repair(&world);
    carry_out(&mut world, &plan);
    world.pass(1);
    assert!(matches!(world.decide().0, Decision::Wait { .. }), "what was read may be a minute old");
    world.log_role_removal("eve", CallerKind::Person, "2026-11-24T02:15:00Z");
    world.pass(15);
    let (decision, hits) = world.decide();
    assert!(matches!(decision, Decision::Escalate { reason: NeedsPerson::Gate, .. }), "{decision:#?}");
    assert!(hits.iter().any(|hit| hit.gate == Gate::Undone));
}

#[test]
fn a_change_that_was_begun_when_the_process_died_is_made_again() {
    let mut world = world();
    world.lose_roles();
    let plan = repair(&world);
    world.attempt(plan.changes[0].clone(), 1, None);
    world.memory.repairs.push((plan.changes[0].subjects().remove(0), world.ago(1)));
    assert_eq!(repair(&world), plan);
    world.incident.attempts[0].operation = Some("https://management.azure.com/op".to_owned());
    assert!(matches!(world.decide().0, Decision::Wait { .. }), "Azure is at it");
}

#[test]
fn the_cause_changes_under_way_and_mending_goes_on_with_the_new_one() {
    let mut world = world().preset(Preset::Auto);
    world.version().enabled = false;
    let plan = repair(&world);
    assert_eq!(plan.remedy, Remedy::EnableKey);
    carry_out(&mut world, &plan);
    world.version().enabled = true;
    world.close_firewall();
    assert_eq!(repair(&world).remedy, Remedy::TrustedServicesBypass);
}

#[test]
fn the_same_situation_gives_the_same_plan_at_any_time() {
    let mut world = world();
    world.version().expires = Some(crate::domain::test_support::at("2026-11-24T02:00:00Z"));
    let before = world.plan().hash();
    world.pass(17);
    assert_eq!(world.plan().hash(), before, "an approval must still count");
}
