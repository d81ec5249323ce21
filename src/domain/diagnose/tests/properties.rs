//! What holds for any broken world.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::evidence::Fact;
use crate::domain::plan::{Decision, Plan};
use crate::domain::remedy::Change;
use crate::domain::test_support::World;
use crate::domain::test_support::random::{any_world, hide, hidings, shuffle};

fn all_changes(diagnosis: &Diagnosis) -> Vec<Change> {
    diagnosis.findings.iter().flat_map(|finding| split(&finding.changes)).collect()
}

/// A grant of access policies is as many changes as it has principals.
fn split(changes: &[Change]) -> Vec<Change> {
    let mut all = Vec::new();
    for change in changes {
        if let Change::AddAccessPolicy { vault, tenant_id, grants } = change {
            all.extend(grants.iter().map(|grant| Change::AddAccessPolicy {
                vault: vault.clone(),
                tenant_id: tenant_id.clone(),
                grants: vec![grant.clone()],
            }));
        } else {
            all.push(change.clone());
        }
    }
    all
}

fn plan_hashes(diagnosis: &Diagnosis) -> Vec<String> {
    let plan = |finding: &crate::domain::diagnosis::Finding| {
        let remedy = finding.changes.first()?.remedy();
        Some(
            Plan { cause: finding.cause, remedy, changes: finding.changes.clone(), servers: finding.servers.clone() }
                .hash(),
        )
    };
    diagnosis.findings.iter().filter_map(plan).collect()
}

proptest! {
    #[test]
    fn the_order_of_answers_changes_nothing(world in any_world(), seed in any::<u64>()) {
        let mut other = world.clone();
        shuffle(&mut other, seed);
        let (one, two) = (world.diagnosis(), other.diagnosis());
        prop_assert_eq!(&one, &two);
        prop_assert_eq!(plan_hashes(&one), plan_hashes(&two));
    }

    #[test]
    fn knowing_less_never_calls_for_more(world in any_world(), which in any::<Index>(), denied in any::<bool>()) {
        let mut blind = world.clone();
        let hidden = hide(&mut blind, which.index(hidings()), denied);
        let (before, after) = (world.diagnosis(), blind.diagnosis());
        let called_for = all_changes(&before);
        let uncalled_for: Vec<Change> = all_changes(&after).into_iter().filter(|change| !called_for.contains(change)).collect();
        // What would have stood in the way may be among what is not seen (a vault of another tenant, a server that is
        // out of the question): the diagnosis may then name a change, and the gates stop it.
        let would_be_made = match blind.decide().0 {
            Decision::Repair { plan } | Decision::Ask { plan, .. } => split(&plan.changes),
            _ => Vec::new(),
        };
        for change in uncalled_for {
            prop_assert!(!would_be_made.contains(&change), "without {hidden}: {change:?}\nbefore {before:#?}\nafter {after:#?}");
        }
        if ["a server", "a protector", "databases"].contains(&hidden) && !is_in_question(&world) {
            return Ok(());
        }
        if before.cause() != Cause::Healthy {
            prop_assert_ne!(after.cause(), Cause::Healthy, "without {}\nbefore {:#?}", hidden, before);
        }
    }

    #[test]
    fn every_finding_has_proof_servers_in_question_and_one_remedy(world in any_world()) {
        let diagnosis = world.diagnosis();
        prop_assert!(!diagnosis.findings.is_empty());
        prop_assert_eq!(diagnosis.checks.len(), 6);
        for finding in &diagnosis.findings {
            prop_assert!(!finding.proof.is_empty());
            prop_assert!(finding.servers.iter().all(|server| world.evidence.servers.iter().any(|seen| seen.id == *server)));
            prop_assert!(finding.changes.iter().all(|change| change.remedy() == finding.changes[0].remedy()));
        }
        let alone = [Cause::Healthy, Cause::TargetGone, Cause::ServiceManaged];
        prop_assert!(diagnosis.findings.len() == 1 || !diagnosis.findings.iter().any(|finding| alone.contains(&finding.cause)));
    }

    #[test]
    fn only_what_is_broken_is_mended(world in any_world()) {
        for change in all_changes(&world.diagnosis()) {
            prop_assert!(is_called_for(&change, &world), "{change:?}");
        }
    }
}

fn is_in_question(world: &World) -> bool {
    let server = &world.evidence.servers[0];
    !server.server.is_absent()
        && server.databases.known().is_some_and(|all| !all.is_empty())
        && server.protector.known().is_some_and(|protector| protector.customer_managed)
}

/// An independent look at the evidence: the change would alter something.
fn is_called_for(change: &Change, world: &World) -> bool {
    let vault = world.evidence.vault.as_ref().expect("a vault");
    let key = |uri: &crate::domain::key_uri::KeyUri| {
        world.evidence.keys.iter().filter(move |seen| seen.uri.same_key(uri)).collect::<Vec<_>>()
    };
    match change {
        Change::AssignIdentity { server, .. } => world.evidence.servers.iter().any(|seen| {
            seen.id == *server && seen.server.known().is_some_and(|known| known.identity.effective().is_none())
        }),
        Change::AddAccessPolicy { .. } => vault.vault.known().is_some_and(|vault| !vault.rbac),
        Change::AssignRole { .. } => vault.vault.known().is_some_and(|vault| vault.rbac),
        Change::RecoverVault { .. } => vault.vault.is_absent() && vault.deleted.known().is_some(),
        Change::TrustedServicesBypass { .. } => {
            vault.vault.known().is_some_and(|vault| !vault.network.trusted_services_bypass)
        }
        Change::RecoverKey { key: uri } => key(uri).iter().any(|seen| seen.deleted.known().is_some()),
        Change::EnableKey { key: uri } => {
            key(uri).iter().any(|seen| matches!(&seen.version, Fact::Known(v) if !v.enabled))
        }
        Change::ExtendExpiry { key: uri, to, .. } => {
            key(uri).iter().any(|seen| matches!(&seen.version, Fact::Known(v) if v.expires.is_some_and(|at| at < *to)))
        }
        Change::Revalidate { .. } | Change::RestoreSetting { .. } => false,
    }
}
