//! When a person is called, and what they are told.

use crate::domain::diagnosis::Cause;
use crate::domain::evidence::{CallerKind, Fact, MissingRight};
use crate::domain::plan::{Decision, Gate, NeedsPerson};
use crate::domain::policy::Preset;
use crate::domain::test_support::{
    OLD_VERSION, World, at, minutes, policy_world, principal, server_id, vault_id, world, world_of,
};

fn escalation(world: &World) -> (NeedsPerson, String) {
    match world.decide().0 {
        Decision::Escalate { reason, why, .. } => (reason, why),
        other => panic!("{other:#?}"),
    }
}

#[test]
fn causes_without_remedy_say_what_to_do() {
    type Broken = (Cause, fn(&mut World), &'static str);
    let broken: Vec<Broken> = vec![
        (
            Cause::IdentityDeleted,
            |w| {
                w.use_identity("umi");
                w.server_facts().identity.user_assigned[0].resource = Fact::Absent;
            },
            "primary identity",
        ),
        (
            Cause::CrossTenant,
            |w| {
                w.server_facts().federated_client_id = Some("app".into());
                w.set_status("Inaccessible");
            },
            "owner of the key",
        ),
        (
            Cause::VaultAbsent,
            |w| {
                w.delete_vault();
                w.vault_evidence().deleted = Fact::Absent;
            },
            "backup",
        ),
        (
            Cause::VaultPerimeter,
            |w| {
                w.vault().network.public_access = "SecuredByPerimeter".into();
                w.set_status("Inaccessible");
            },
            "inbound rule",
        ),
        (
            Cause::KeyPurged,
            |w| {
                w.delete_key();
                w.evidence.keys[0].deleted = Fact::Absent;
            },
            "az keyvault key restore",
        ),
        (
            Cause::KeyReplaced,
            |w| {
                w.evidence.keys[0].version = Fact::Absent;
                w.evidence.keys[0].versions = vec![(OLD_VERSION.into(), Some(at("2026-11-24T01:50:00Z")))];
            },
            "must not be made the protector",
        ),
        (Cause::KeyNotYetValid, |w| w.version().not_before = Some(at("2026-12-01T00:00:00Z")), "activation date"),
        (Cause::KeyOperationsRestricted, |w| w.version().operations = vec!["sign".into()], "wrapKey"),
        (Cause::KeyUnsupported, |w| w.version().size = Some(4096), "3072"),
        (Cause::DenyAssignment, |w| w.deny("principal-of-contoso-sql"), "no-keys"),
        (Cause::ServerKeyMissing, |w| w.server().linked_keys = Fact::Known(Vec::new()), "very same key"),
    ];
    for (cause, break_it, says) in broken {
        let mut world = world();
        break_it(&mut world);
        assert_eq!(world.diagnosis().cause(), cause);
        let (reason, why) = escalation(&world.clone().preset(Preset::Auto));
        assert_eq!(reason, NeedsPerson::NoRemedy, "{cause:?}");
        assert!(why.contains(says), "{cause:?}: {why}");
    }
}

#[test]
fn causes_that_are_gates_show_as_gates() {
    let mut world = world();
    world.deny(&principal("contoso-sql"));
    assert_eq!(world.decide().1[0].gate, Gate::DenyAssignment);
}

#[test]
fn expiry_that_policy_does_not_extend() {
    let mut world = world();
    world.version().expires = Some(at("2026-11-24T02:00:00Z"));
    world.policy.gates.max_expiry_extension_days = 0;
    let (reason, why) = escalation(&world);
    assert_eq!(reason, NeedsPerson::NoRemedy);
    assert!(why.contains("az keyvault key set-attributes") && why.contains("2026-12-01T02:07:00Z"), "{why}");
}

#[test]
fn a_gate_is_explained_with_who_what_and_how_by_hand() {
    let mut world = policy_world();
    world.vault().access_policies.clear();
    world.log(
        "microsoft.keyvault/vaults/accesspolicies/write",
        vault_id().as_str(),
        "eve",
        CallerKind::Person,
        "2026-11-24T02:01:00Z",
    );
    world.policy.gates.custodians = vec!["eve".to_owned()];
    let (reason, why) = escalation(&world.preset(Preset::Auto));
    assert_eq!(reason, NeedsPerson::Gate);
    for part in
        ["eve", "custodians", "az keyvault set-policy --name contoso-kv", "principal-of-contoso-sql", "lacks get"]
    {
        assert!(why.contains(part), "{part}: {why}");
    }
}

#[test]
fn a_missing_right_names_the_role_and_where() {
    let mut world = world();
    let right =
        MissingRight { action: "Microsoft.Sql/servers/read".to_owned(), scope: server_id("contoso-sql").to_string() };
    world.server().server = Fact::Denied(right);
    let (reason, why) = escalation(&world);
    assert_eq!(reason, NeedsPerson::MissingRight);
    for part in ["Microsoft.Sql/servers/read", "contoso-sql", "KV-SQL Responder Probe"] {
        assert!(why.contains(part), "{part}: {why}");
    }
}

#[test]
fn a_missing_right_to_the_log_alone_stops_nothing() {
    let mut world = world();
    world.lose_roles();
    let right = MissingRight {
        action: "Microsoft.Insights/eventtypes/values/read".to_owned(),
        scope: "/subscriptions/s".to_owned(),
    };
    world.evidence.changes_read = Fact::Denied(right.clone());
    assert!(matches!(world.decide().0, Decision::Repair { .. }));
    assert_eq!(world.diagnosis().missing_rights, [right]);
}

#[test]
fn locks_that_may_not_be_read_are_a_missing_right() {
    let mut world = world();
    world.lose_roles();
    world.evidence.locks = Fact::Denied(MissingRight {
        action: "Microsoft.Authorization/locks/read".to_owned(),
        scope: "/subscriptions/s".to_owned(),
    });
    let (reason, why) = escalation(&world);
    assert_eq!(reason, NeedsPerson::MissingRight);
    assert!(why.contains("locks/read"), "{why}");
}

#[test]
fn a_refused_write_is_not_repeated_and_names_the_role() {
    let mut world = world();
    world.lose_roles();
    let plan = world.plan();
    let failed = world.failed("AuthorizationFailed", 1);
    world.attempt(plan.changes[0].clone(), 1, failed);
    let (reason, why) = escalation(&world);
    assert_eq!(reason, NeedsPerson::MissingRight);
    for part in ["Microsoft.Authorization/roleAssignments/write", "contoso-kv", "KV-SQL Responder RBAC Grant"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    world.pass(58);
    assert_eq!(escalation(&world).0, NeedsPerson::MissingRight);
    world.pass(2);
    assert!(matches!(world.decide().0, Decision::Repair { .. }), "somebody may have given the right by now");
}

#[test]
fn a_lock_that_only_the_refusal_told_of() {
    let mut world = world();
    world.lose_roles();
    let plan = world.plan();
    let failed = world.failed("ScopeLocked", 1);
    world.attempt(plan.changes[0].clone(), 1, failed);
    assert_eq!(escalation(&world).0, NeedsPerson::Gate);
}

#[test]
fn other_failures_are_tried_again_until_the_breaker_opens() {
    let mut world = world();
    world.lose_roles();
    for round in 1..=3 {
        let Decision::Repair { plan } = world.decide().0 else { panic!("round {round}") };
        let failed = world.failed("InternalServerError", 0);
        world.attempt(plan.changes[0].clone(), 0, failed);
        if round < 3 {
            assert!(matches!(world.decide().0, Decision::Wait { .. }));
            world.pass(15);
        }
    }
    let (reason, why) = escalation(&world);
    assert_eq!(reason, NeedsPerson::Failed);
    assert!(why.contains("InternalServerError"), "{why}");
}

#[test]
fn what_passes_is_waited_for_and_then_said() {
    let mut world = world();
    world.incident.loss_reported = true;
    world.incident.told_at = Some(world.now);
    world.server().server = Fact::Unknown("timeout".to_owned());
    assert!(matches!(world.decide().0, Decision::Wait { .. }));
    world.incident.passes = 4;
    world.incident.quiet_passes = 3;
    let (reason, why) = escalation(&world);
    assert_eq!(reason, NeedsPerson::Undetermined);
    assert!(why.contains("timeout"), "{why}");
    world.incident.quiet_passes = 0;
    world.incident.lost_at = Some(crate::clock::add(world.now, minutes(-21)));
    assert_eq!(escalation(&world).0, NeedsPerson::Undetermined, "the window ends in nine minutes");
}

#[test]
fn an_unclear_case_without_any_loss_closes_by_itself() {
    for break_it in [(|w: &mut World| w.server().server = Fact::Unknown("timeout".to_owned())) as fn(&mut World), |w| {
        w.server_facts().federated_client_id = Some("app".to_owned())
    }] {
        let mut world = world();
        break_it(&mut world);
        assert!(matches!(world.decide().0, Decision::Wait { .. }));
        world.pass(60);
        assert!(matches!(world.decide().0, Decision::Close { .. }));
        world.incident.loss_reported = true;
        world.incident.quiet_passes = 3;
        assert!(matches!(world.decide().0, Decision::Escalate { .. }));
    }
}

#[test]
fn an_unread_gate_is_waited_for_before_a_person_is_called() {
    let mut world = world();
    world.lose_roles();
    world.evidence.locks = Fact::Unknown("throttled".to_owned());
    assert!(matches!(world.decide().0, Decision::Wait { .. }));
    world.incident.quiet_passes = 3;
    assert_eq!(escalation(&world).0, NeedsPerson::Gate);
}

#[test]
fn one_server_that_is_held_back_does_not_hold_back_the_others() {
    let mut world = world_of(&["a-sql", "b-sql", "c-sql"]);
    world.lose_roles();
    world.server_facts().tags.insert("keymend-hold".to_owned(), "yes".to_owned());
    let (decision, hits) = world.decide();
    let Decision::Repair { plan } = decision else { panic!("{decision:#?}") };
    assert_eq!(plan.servers, [server_id("b-sql"), server_id("c-sql")]);
    assert!(hits.is_empty());
    // Once they are mended, the held one is told.
    world.vault_evidence().grants = Fact::Known(vec![
        crate::domain::test_support::grant(&principal("b-sql")),
        crate::domain::test_support::grant(&principal("c-sql")),
    ]);
    assert_eq!(escalation(&world).0, NeedsPerson::Gate);

    let mut policies = world_of(&["a-sql", "b-sql"]);
    policies.use_policies();
    policies.vault().access_policies.clear();
    policies.policy.scope.except = vec![server_id("a-sql")];
    let Decision::Repair { plan } = policies.decide().0 else { panic!() };
    assert_eq!(plan.servers, [server_id("b-sql")]);

    let mut shared = world_of(&["a-sql", "b-sql"]);
    shared.delete_key();
    shared.server_facts().tags.insert("keymend-hold".to_owned(), "yes".to_owned());
    assert_eq!(escalation(&shared).0, NeedsPerson::Gate, "recovering the key would give the held server access too");
}

#[test]
fn a_server_that_needs_a_person_does_not_hold_back_the_others() {
    let mut world = world_of(&["a-sql", "b-sql"]);
    world.server_facts().identity.system_principal_id = None;
    world.lose_roles();
    let Decision::Repair { plan } = world.decide().0 else { panic!() };
    assert_eq!((plan.cause, plan.servers), (Cause::RoleMissing, vec![server_id("b-sql")]));
    world.vault_evidence().grants = Fact::Known(vec![crate::domain::test_support::grant(&principal("b-sql"))]);
    assert!(matches!(world.decide().0, Decision::Ask { plan, .. } if plan.cause == Cause::IdentityMissing));
}

#[test]
fn a_later_finding_of_the_same_servers_waits_for_the_first() {
    let mut world = world();
    world.close_firewall();
    world.lose_roles();
    assert!(matches!(world.decide().0, Decision::Ask { plan, .. } if plan.cause == Cause::VaultFirewalled));
    world.delete_key();
    world.evidence.keys[0].deleted = Fact::Absent;
    world.vault().network.trusted_services_bypass = true;
    assert_eq!(escalation(&world).0, NeedsPerson::NoRemedy, "a grant on a purged key helps nobody");
}
