//! Many changes of one plan: what they cost, and when they stop.

use jiff::SignedDuration;
use keymend::domain::remedy::{Change, Remedy};
use keymend::drill::cloud::world::{IdentityKind, PermissionModel, World};
use keymend::remedy::{Applied, apply};

use crate::gate::Do;
use crate::lab::{Lab, TENANT, world};

const MANY: usize = 40;

fn many(change: impl FnOnce(&mut World)) -> World {
    let mut world = World::shared_vault(MANY, 1);
    change(&mut world);
    world
}

async fn roles(lab: &Lab) -> Vec<Change> {
    let mut changes = Vec::new();
    for server in 0..MANY {
        changes.push(lab.role_for(server).await);
    }
    changes
}

fn all_made(applied: &[Applied]) -> bool {
    applied.iter().all(|one| matches!(one, Applied::Made(_)))
}

fn servers(lab: &Lab, make: impl Fn(keymend::domain::resource_id::ResourceId) -> Change) -> Vec<Change> {
    let first = lab.server().to_string();
    let id = |n: usize| first.replace("sql-01", &format!("sql-{n:02}"));
    (1..=MANY).map(|n| make(keymend::domain::resource_id::ResourceId::parse(&id(n)).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_roles_cost_one_write_each_and_two_lists() {
    let lab = Lab::of(many(|world| world.servers.iter_mut().for_each(|server| server.granted = false))).await;
    let changes = roles(&lab).await;
    let applied = lab.apply(&changes).await;
    assert!(all_made(&applied), "{applied:#?}");
    for change in &changes {
        assert!(lab.is_mended(change).await);
    }
    assert_eq!(lab.gate.writes().len(), MANY);
    assert!(lab.gate.passed().len() <= MANY + 3, "the vault, its assignments before and after, and the writes");
    lab.gate.open();
    let again = lab.apply(&changes).await;
    assert!(again.iter().all(|one| matches!(one, Applied::AlreadyThere { .. })), "{again:#?}");
    assert_eq!(lab.gate.passed().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_that_lack_a_role_get_one() {
    let lab = Lab::of(many(|world| world.servers[3].granted = false)).await;
    let applied = lab.apply(&roles(&lab).await).await;
    let made: Vec<usize> = (0..MANY).filter(|n| matches!(applied[*n], Applied::Made(_))).collect();
    assert_eq!(made, [3]);
    assert_eq!(lab.gate.writes().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_share_an_identity_share_a_role() {
    let lab = Lab::of(many(|world| world.servers.iter_mut().for_each(|server| server.granted = false))).await;
    let one = lab.role_for(0).await;
    let mut other = one.clone();
    if let Change::AssignRole { grant, .. } = &mut other {
        grant.server = lab.grant(1).await.server;
    }
    let applied = lab.apply(&[one, other]).await;
    assert!(all_made(&applied), "{applied:?}");
    assert_eq!(lab.gate.writes().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_met_once() {
    let world = many(|world| world.servers.iter_mut().for_each(|server| server.granted = false));
    let lab = Lab::of(world.without_right("Microsoft.Authorization/roleAssignments/write")).await;
    let applied = lab.apply(&roles(&lab).await).await;
    assert_eq!(lab.gate.writes().len(), 1);
    for one in applied {
        assert!(
            matches!(&one, Applied::Failed { missing: Some(_), code, .. } if code == "AuthorizationFailed"),
            "{one:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_in_the_middle_leaves_the_rest_for_later() {
    let lab = Lab::of(many(|world| world.servers.iter_mut().for_each(|server| server.granted = false))).await;
    let changes = roles(&lab).await;
    let mut writes = 0;
    lab.gate.rule(move |request, _| {
        writes += usize::from(request.is_write());
        match request.is_write() && writes > 20 {
            true => Do::error(429, "TooManyRequests").with("retry-after", "120"),
            false => Do::Pass,
        }
    });
    let applied = lab.apply(&changes).await;
    let made = applied.iter().filter(|one| matches!(one, Applied::Made(_))).count();
    assert_eq!(made, 20);
    let later = Some(SignedDuration::from_secs(120));
    assert!(
        applied.iter().all(
            |one| matches!(one, Applied::Made(_)) || matches!(one, Applied::Later { after, .. } if *after == later)
        )
    );
    assert!(lab.gate.writes().len() <= 24, "{} knocks at a closed door", lab.gate.writes().len() - 20);
    lab.gate.open();
    let applied = lab.apply(&changes).await;
    assert_eq!(applied.iter().filter(|one| matches!(one, Applied::Made(_))).count(), MANY - 20);
    assert_eq!(lab.gate.writes().len(), MANY - 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_entra_is_yet_to_hear_of_is_waited_for() {
    let lab = Lab::broken(Remedy::AssignRole).await;
    let change = lab.change(Remedy::AssignRole).await;
    let mut tries = 0;
    lab.gate.rule(move |request, _| {
        tries += usize::from(request.is_write());
        if request.is_write() && tries <= 3 { Do::error(400, "PrincipalNotFound") } else { Do::Pass }
    });
    let began = lab.clock.now();
    let applied = lab.apply_one(&change).await;
    assert!(matches!(applied, Applied::Made(_)), "{applied:?}");
    assert_eq!(lab.clock.now().duration_since(began), SignedDuration::from_secs(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_for_entra_ends_for_all_together() {
    let lab = Lab::of(many(|world| world.servers.iter_mut().for_each(|server| server.granted = false))).await;
    let changes = roles(&lab).await;
    lab.gate.rule(|request, _| if request.is_write() { Do::error(404, "PrincipalNotFound") } else { Do::Pass });
    let began = lab.clock.now();
    let applied = lab.apply(&changes).await;
    let after = Some(SignedDuration::from_secs(30));
    for one in applied {
        assert!(
            matches!(&one, Applied::Later { after: told, why } if *told == after && why.contains("Entra")),
            "{one:?}"
        );
    }
    assert!(lab.clock.now().duration_since(began) <= SignedDuration::from_secs(40));
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_policies_are_one_write() {
    let lab = Lab::of(many(|world| {
        world.servers.iter_mut().skip(2).for_each(|server| server.granted = false);
        world.vaults[0].model = PermissionModel::Policy;
    }))
    .await;
    let mut grants = Vec::new();
    for server in 0..MANY {
        grants.push(lab.grant(server).await);
    }
    let change = Change::AddAccessPolicy { vault: lab.vault(), tenant_id: TENANT.to_owned(), grants };
    let applied = lab.apply_one(&change).await;
    let Applied::Made(receipt) = &applied else { panic!("{applied:?}") };
    assert_eq!(receipt.before_after.len(), MANY - 2, "two of them held everything");
    assert!(lab.is_mended(&change).await);
    assert_eq!(lab.gate.passed().len(), 3);
    let entries = &lab.gate.writes()[0].body["properties"]["accessPolicies"];
    assert_eq!(entries.as_array().map(Vec::len), Some(MANY - 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_gives_a_part_gets_the_rest_and_keeps_what_it_had() {
    let lab = Lab::broken(Remedy::AddAccessPolicy).await;
    let change = lab.change(Remedy::AddAccessPolicy).await;
    let others = lab.direct.vault(&lab.vault()).await.unwrap().access_policies;
    lab.settle(&change).await;
    let after = lab.direct.vault(&lab.vault()).await.unwrap().access_policies;
    assert!(others.iter().all(|policy| after.contains(policy)), "everybody else has what they had");
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_identities_are_read_with_their_subscription() {
    let lab = Lab::of(many(|world| {
        world.servers.iter_mut().for_each(|server| server.identity = IdentityKind::None);
        world.timing.server_change_seconds = 0;
    }))
    .await;
    let changes = servers(&lab, |server| Change::AssignIdentity { server, keep: vec![] });
    let applied = lab.apply(&changes).await;
    assert!(all_made(&applied), "{applied:#?}");
    assert_eq!(lab.gate.writes().len(), MANY);
    assert_eq!(lab.gate.passed().len(), MANY + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_does_not_hold_up_the_others() {
    let lab = Lab::of(many(|_| ())).await;
    let changes = servers(&lab, |server| Change::Revalidate { server });
    lab.gate.rule(|request, _| match request.url.contains("sql-05") {
        true => Do::error(409, "EncryptionProtectorChangeInProgress"),
        false => Do::Pass,
    });
    let applied = lab.apply(&changes).await;
    let later: Vec<usize> = (0..MANY).filter(|n| matches!(applied[*n], Applied::Later { .. })).collect();
    assert_eq!(later, [4]);
    assert!(
        applied.iter().enumerate().all(|(n, one)| {
            n == 4 || matches!(one, Applied::Made(_) | Applied::Running { operation: Some(_), .. })
        })
    );
    assert_eq!(lab.gate.passed().len(), MANY, "one request a server and no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_stand_in_the_order_of_the_changes() {
    let lab = Lab::broken(Remedy::EnableKey).await;
    assert!(lab.apply(&[]).await.is_empty());
    let changes = [
        lab.change(Remedy::Revalidate).await,
        lab.change(Remedy::EnableKey).await,
        lab.change(Remedy::RecoverKey).await,
        lab.change(Remedy::EnableKey).await,
    ];
    let applied = lab.apply(&changes).await;
    assert!(
        matches!(applied.as_slice(), [_, Applied::Made(_), Applied::AlreadyThere { .. }, Applied::AlreadyThere { .. }]),
        "{applied:?}"
    );
}

/// A responder moves its work between threads.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_can_be_spawned() {
    let lab = Lab::of(world(Remedy::Wait)).await;
    let azure = lab.azure.clone();
    assert!(tokio::spawn(async move { apply(&azure, &[]).await }).await.unwrap().is_empty());
}
