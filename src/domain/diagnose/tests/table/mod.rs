//! One test for each row of the decision table.

mod databases;
mod grants;
mod identities_and_vaults;
mod keys;

use crate::domain::diagnosis::{Cause, Diagnosis, Link, LinkState};
use crate::domain::evidence::{DeletedKey, Fact};
use crate::domain::remedy::{Change, Remedy};
use crate::domain::test_support::{
    OLD_VERSION, TENANT, VERSION, World, access_policy, at, grant, identity_id, key_uri, policy_world, principal,
    server_id, vault_id, world, world_of,
};

fn causes(diagnosis: &Diagnosis) -> Vec<Cause> {
    diagnosis.findings.iter().map(|finding| finding.cause).collect()
}

fn link(diagnosis: &Diagnosis, link: Link) -> LinkState {
    diagnosis.checks.iter().find(|check| check.link == link).expect("every link is checked").state
}

/// Asserts the only cause, and that the right link is shown as broken; answers the changes.
fn expect(world: &World, cause: Cause, broken: Link) -> Vec<Change> {
    let diagnosis = world.diagnosis();
    assert_eq!(causes(&diagnosis), [cause], "{diagnosis:#?}");
    assert_eq!(link(&diagnosis, broken), LinkState::Broken, "{:#?}", diagnosis.checks);
    let first = &diagnosis.findings[0];
    assert!(!first.proof.is_empty(), "a finding without proof");
    assert!(first.changes.iter().all(|change| change.remedy() == first.changes[0].remedy()));
    first.changes.clone()
}

#[test]
fn a_whole_chain_is_healthy_and_every_link_says_so() {
    for world in [world(), policy_world(), world_of(&["a-sql", "b-sql"])] {
        let diagnosis = world.diagnosis();
        assert_eq!(causes(&diagnosis), [Cause::Healthy], "{diagnosis:#?}");
        assert_eq!(diagnosis.checks.len(), 6);
        assert!(diagnosis.checks.iter().all(|check| check.state == LinkState::Ok), "{:#?}", diagnosis.checks);
        assert!(diagnosis.chain_is_whole());
    }
}
