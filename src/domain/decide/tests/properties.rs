//! What holds for any decision about any broken world, under any policy, with any past.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::domain::diagnosis::Cause;
use crate::domain::incident::Hold;
use crate::domain::plan::{Decision, NeedsPerson, Plan};
use crate::domain::policy::{Mode, Preset, Scope};
use crate::domain::remedy::{Change, GrantTo, Remedy};
use crate::domain::test_support::World;
use crate::domain::test_support::random::{any_world, hide, hidings, later, shuffle};

fn repair(world: &World) -> Option<Plan> {
    match world.decide().0 {
        Decision::Repair { plan } => Some(plan),
        _ => None,
    }
}

/// Everything that any finding calls for, re-validation included.
fn called_for(world: &World) -> Vec<Change> {
    let mut all = Vec::new();
    for finding in world.diagnosis().findings {
        all.extend(finding.changes.iter().flat_map(one_by_one));
        if finding.cause == Cause::StillInaccessible {
            all.extend(finding.servers.into_iter().map(|server| Change::Revalidate { server }));
        }
    }
    all
}

/// A grant of access policies is as many changes as it has principals.
fn one_by_one(change: &Change) -> Vec<Change> {
    let Change::AddAccessPolicy { vault, tenant_id, grants } = change else { return vec![change.clone()] };
    let alone = |grant: &GrantTo| Change::AddAccessPolicy {
        vault: vault.clone(),
        tenant_id: tenant_id.clone(),
        grants: vec![grant.clone()],
    };
    grants.iter().map(alone).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_repair_has_no_hard_gate_in_its_way_and_is_allowed(world in any_world()) {
        let Some(plan) = repair(&world) else { return Ok(()) };
        let hits = world.hits_of(&plan);
        prop_assert!(hits.iter().all(|hit| !hit.hard), "{hits:?}");
        prop_assert!(!plan.changes.is_empty());
        prop_assert!(plan.changes.iter().all(|change| change.remedy() == plan.remedy));
        prop_assert!(world.policy.preset != Preset::Observe && !world.policy.dry_run);
        let approved = world.incident.approval.as_ref().is_some_and(|approval| {
            approval.decision.as_ref().is_some_and(|decision| decision.approved)
                && (approval.plan_hash == plan.hash()
                    || plan.changes.iter().all(|change| approval.plan.changes.contains(change)))
        });
        let automatic = world.policy.mode(plan.remedy) == Mode::Auto && hits.is_empty();
        prop_assert!(automatic || approved);
    }

    #[test]
    fn while_a_person_holds_it_nothing_is_repaired_or_asked(mut world in any_world(), taken_over in any::<bool>()) {
        world.incident.hold = Some(Hold { by: "ada".to_owned(), at: world.now, why: None, taken_over });
        let (decision, _) = world.decide();
        prop_assert!(!matches!(decision, Decision::Repair { .. } | Decision::Ask { .. }), "{decision:?}");
        if let Decision::Escalate { reason, why, .. } = decision {
            prop_assert_eq!(reason, NeedsPerson::Held);
            prop_assert!(why.contains("ada"), "{why}");
        }
    }

    #[test]
    fn an_empty_scope_repairs_nothing(mut world in any_world()) {
        world.policy.scope = Scope::default();
        prop_assert_eq!(repair(&world), None);
    }

    #[test]
    fn observing_and_dry_runs_repair_nothing(mut world in any_world(), dry in any::<bool>()) {
        if dry { world.policy.dry_run = true } else { world.policy.preset = Preset::Observe }
        prop_assert_eq!(repair(&world), None);
    }

    #[test]
    fn the_order_of_answers_changes_no_decision(world in any_world(), seed in any::<u64>()) {
        let mut other = world.clone();
        shuffle(&mut other, seed);
        prop_assert_eq!(world.decide().0, other.decide().0);
    }

    /// Re-validation gives nobody access, and a lock that could not be read still stops it at Azure. A side that looks
    /// revoked on one server, without any log of it, warns for the others only as long as that server is seen.
    #[test]
    fn knowing_less_never_writes_more(world in any_world(), which in any::<Index>(), denied in any::<bool>()) {
        let mut blind = world.clone();
        let hidden = hide(&mut blind, which.index(hidings()), denied);
        let Some(plan) = repair(&blind) else { return Ok(()) };
        if hidden == "locks" && plan.remedy == Remedy::Revalidate {
            return Ok(());
        }
        if world.diagnosis().protective_changes.iter().any(|change| change.operation.ends_with("not in the log yet")) {
            return Ok(());
        }
        prop_assert!(repair(&world).is_some(), "without {hidden}: {plan:#?}\nbefore {:#?}", world.decide());
        let called_for = called_for(&world);
        for change in plan.changes.iter().flat_map(one_by_one) {
            prop_assert!(called_for.contains(&change), "without {hidden}: {change:#?}\nof {called_for:#?}");
        }
    }

    #[test]
    fn a_rejected_plan_is_never_carried_out(mut world in any_world(), by in any::<u8>()) {
        let Some(plan) = repair(&world) else { return Ok(()) };
        world.answer(&plan, false);
        let later = later(&world, by);
        if let Some(again) = repair(&later) {
            let rejected = |change| plan.changes.contains(change);
            prop_assert!(!again.changes.iter().all(rejected), "{again:?}");
        }
    }

    #[test]
    fn every_word_to_people_says_something(world in any_world()) {
        let (decision, hits) = world.decide();
        let why = match &decision {
            Decision::Close { why } | Decision::Wait { why, .. } | Decision::Ask { why, .. } => why.as_str(),
            Decision::Observe { why, .. } | Decision::Escalate { why, .. } => why.as_str(),
            Decision::Repair { .. } => "no words needed",
        };
        prop_assert!(why.len() > 10, "{decision:?}");
        prop_assert!(!why.contains(": .") && !why.contains("  "), "{why}");
        prop_assert!(hits.iter().all(|hit| !hit.why.is_empty()));
    }
}
