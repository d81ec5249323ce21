//! Each preset with each remedy, and what overrides them.

use crate::domain::evidence::{CallerKind, Fact};
use crate::domain::plan::{Decision, NeedsPerson};
use crate::domain::policy::{Mode, Preset};
use crate::domain::remedy::Remedy;
use crate::domain::test_support::{World, at, minutes, policy_world, world};

type Broken = (Remedy, fn() -> World);

/// One world for each remedy that is called for.
fn broken() -> Vec<Broken> {
    vec![
        (Remedy::AssignIdentity, || {
            let mut world = world();
            world.server_facts().identity.system_principal_id = None;
            world
        }),
        (Remedy::AddAccessPolicy, || {
            let mut world = policy_world();
            world.vault().access_policies.clear();
            world
        }),
        (Remedy::AssignRole, || {
            let mut world = world();
            world.lose_roles();
            world
        }),
        (Remedy::RecoverVault, || {
            let mut world = world();
            world.delete_vault();
            world
        }),
        (Remedy::RecoverKey, || {
            let mut world = world();
            world.delete_key();
            world
        }),
        (Remedy::EnableKey, || {
            let mut world = world();
            world.version().enabled = false;
            world
        }),
        (Remedy::ExtendExpiry, || {
            let mut world = world();
            world.version().expires = Some(at("2026-11-24T02:00:00Z"));
            world
        }),
        (Remedy::TrustedServicesBypass, || {
            let mut world = world();
            world.close_firewall();
            world
        }),
        (Remedy::Revalidate, || {
            let mut world = world();
            world.set_status("Inaccessible");
            world.incident.window_said_over = true;
            world.incident.was_broken = true;
            world.incident.whole_since = Some(world.now);
            world
        }),
    ]
}

fn what(decision: &Decision) -> (&'static str, Option<Remedy>) {
    match decision {
        Decision::Repair { plan } => ("repair", Some(plan.remedy)),
        Decision::Ask { plan, .. } => ("ask", Some(plan.remedy)),
        Decision::Observe { plan, .. } => ("observe", Some(plan.remedy)),
        Decision::Escalate { plan, .. } => ("escalate", plan.as_ref().map(|plan| plan.remedy)),
        Decision::Wait { .. } => ("wait", None),
        Decision::Close { .. } => ("close", None),
    }
}

#[test]
fn each_preset_with_each_remedy() {
    for (remedy, build) in broken() {
        let guarded = match remedy {
            Remedy::AddAccessPolicy | Remedy::AssignRole | Remedy::Revalidate => "repair",
            _ => "ask",
        };
        for (preset, expected) in [(Preset::Observe, "observe"), (Preset::Guarded, guarded), (Preset::Auto, "repair")] {
            let (decision, hits) = build().preset(preset).decide();
            assert_eq!(what(&decision), (expected, Some(remedy)), "{preset:?} {decision:#?}");
            assert!(hits.is_empty());
        }
    }
}

#[test]
fn dry_run_sends_nothing_and_says_what_it_would() {
    for (remedy, build) in broken() {
        let mut world = build().preset(Preset::Auto);
        world.policy.dry_run = true;
        assert_eq!(what(&world.decide().0), ("observe", Some(remedy)));
    }
}

#[test]
fn a_remedys_own_mode_wins_over_the_preset_but_never_over_observe() {
    for (remedy, build) in broken() {
        for preset in [Preset::Guarded, Preset::Auto] {
            for (mode, expected) in [(Mode::Off, "escalate"), (Mode::Approve, "ask"), (Mode::Auto, "repair")] {
                let mut world = build().preset(preset);
                world.policy.remedies.insert(remedy, mode);
                assert_eq!(what(&world.decide().0), (expected, Some(remedy)), "{preset:?} {mode:?}");
            }
        }
        let mut world = build().preset(Preset::Observe);
        world.policy.remedies.insert(remedy, Mode::Auto);
        assert_eq!(what(&world.decide().0), ("observe", Some(remedy)));
    }
}

#[test]
fn a_persons_change_makes_guarded_ask_even_before_a_grant() {
    let mut world = world();
    world.lose_roles();
    world.log_role_removal("eve", CallerKind::Person, "2026-11-24T02:01:00Z");
    let (decision, hits) = world.decide();
    assert!(matches!(&decision, Decision::Ask { why, .. } if why.contains("eve")), "{decision:#?}");
    assert_eq!(hits.len(), 1);
    assert!(matches!(world.preset(Preset::Auto).decide().0, Decision::Repair { .. }));
}

#[test]
fn approval_counts_for_the_very_plan_that_was_approved() {
    for (remedy, build) in broken().into_iter().filter(|(remedy, _)| *remedy != Remedy::Revalidate) {
        let mut world = build();
        world.policy.remedies.insert(remedy, Mode::Approve);
        let plan = world.plan();
        world.answer(&plan, true);
        assert_eq!(what(&world.decide().0), ("repair", Some(remedy)));
        let mut other = plan.clone();
        other.servers.clear();
        world.answer(&other, true);
        assert_eq!(what(&world.decide().0), ("ask", Some(remedy)), "another plan was approved");
        world.answer(&plan, false);
        let (decision, _) = world.decide();
        assert!(matches!(decision, Decision::Escalate { reason: NeedsPerson::NotApproved, .. }), "{decision:#?}");
        world.policy.remedies.insert(remedy, Mode::Auto);
        let (decision, _) = world.decide();
        assert!(matches!(decision, Decision::Escalate { reason: NeedsPerson::NotApproved, .. }), "no stays no");
    }
}

#[test]
fn an_approved_plan_that_stopped_half_way_goes_on_without_a_second_question() {
    let mut world = world();
    world.link_older(&crate::domain::test_support::key_uri("old-key", Some(crate::domain::test_support::OLD_VERSION)));
    world.lose_roles();
    world.policy.remedies.insert(Remedy::AssignRole, Mode::Approve);
    let plan = world.plan();
    assert_eq!(plan.changes.len(), 2);
    world.answer(&plan, true);
    let made = world.made(1);
    world.attempt(plan.changes[0].clone(), 1, made);
    world.incident.attempts[0].plan_hash = plan.hash();
    let mut half = crate::domain::test_support::grant("principal-of-contoso-sql");
    half.scope = plan.changes[0].target();
    world.vault_evidence().grants = Fact::Known(vec![half]);
    let (decision, _) = world.decide();
    assert!(matches!(&decision, Decision::Repair { plan: left } if left.changes == plan.changes[1..]), "{decision:#?}");
}

#[test]
fn nobody_answers_in_time() {
    let mut world = world();
    world.delete_vault();
    let plan = world.plan();
    world.answer(&plan, true);
    world.incident.approval.as_mut().expect("asked").decision = None;
    assert_eq!(what(&world.decide().0), ("ask", Some(Remedy::RecoverVault)));
    world.pass(11);
    let (decision, _) = world.decide();
    let Decision::Escalate { reason: NeedsPerson::NotApproved, why, .. } = decision else { panic!("{decision:#?}") };
    assert!(why.contains("keymend incidents approve km-1"), "{why}");
    world.incident.approval.as_mut().expect("asked").answer_by = crate::clock::add(world.now, minutes(10));
    assert_eq!(what(&world.decide().0), ("ask", Some(Remedy::RecoverVault)), "asked again");
}
