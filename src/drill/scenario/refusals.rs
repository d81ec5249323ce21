//! Stories in which nothing may be repaired: not one write may reach Azure, and a person must be called.

use super::{Act, End, Expect, People, Scenario, Setup, Step, Writes, minutes, policy};
use crate::domain::plan::NeedsPerson;
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::drill::cloud::world::PermissionModel;
use crate::drill::cloud::{Actor, Break, KeyRef, What, World};

/// Gates hold under every preset, so these are played under the freest one.
const AUTO: &[Preset] = &[Preset::Auto];

pub(super) fn all() -> Vec<Scenario> {
    let make = |name, title, setup| Scenario { name, title, presets: AUTO, setup };
    vec![
        make("key-purged", "The key is gone for good: a person must restore it from a backup", key_purged),
        make("key-replaced", "Another key stands under the same name: re-pointing would not help", key_replaced),
        make("deliberate-revocation", "Access is revoked on purpose: Keymend does not undo it", deliberate_revocation),
        make(
            "revoked-twice",
            "Access is taken away, mended within a minute, and taken away from another side: that is on purpose",
            revoked_twice,
        ),
        make("hold-tag", "The vault carries the hold tag: hands off", hold_tag),
        make("read-only-lock", "A read-only lock says that nobody should change the vault", read_only_lock),
        make("deny-assignment", "A deny assignment keeps the server from the key", deny_assignment),
        make("fight-the-admin", "A person undoes the repair: it is not made again", fight_the_admin),
        Scenario {
            name: "observe-only",
            title: "Under the preset observe Keymend says what it would do, and does nothing",
            presets: &[Preset::Observe],
            setup: observe_only,
        },
        make("dry-run", "In a dry run Keymend shows exactly what it would send, and sends nothing", dry_run),
        make("no-rights", "Keymend lacks the right to repair, and says which one on what", no_rights),
    ]
}

fn bob() -> Actor {
    Actor::person("bob@contoso.example")
}

fn refused(world: World, script: Vec<Step>, why: NeedsPerson) -> Setup {
    let world = world.activity_log_minutes(3.0);
    Setup {
        policy: policy(Preset::Auto, &world),
        world,
        script,
        patrol: false,
        people: People::NotAsked,
        expect: Expect { end: End::WithPerson(why), writes: Writes::None, online: false, ..Expect::repaired() },
        horizon: minutes(150),
    }
}

fn key_purged(_: Preset) -> Setup {
    let what = Break::new(What::PurgeKey(KeyRef::default())).by(bob());
    let mut world = World::standard();
    for vault in &mut world.vaults {
        vault.purge_protection = false;
    }
    refused(world, vec![Step::at(2, "Bob deletes the key tde-key and purges it", what)], NeedsPerson::NoRemedy)
}

fn key_replaced(_: Preset) -> Setup {
    let what = Break::new(What::ReplaceKey { key: KeyRef::default(), new_version_only: false }).by(bob());
    let mut world = World::standard();
    for vault in &mut world.vaults {
        vault.purge_protection = false;
    }
    let say = "Bob purges tde-key and makes a new key with the same name";
    refused(world, vec![Step::at(2, say, what)], NeedsPerson::NoRemedy)
}

fn deliberate_revocation(_: Preset) -> Setup {
    let eve = || Actor::person("security-officer@contoso.example");
    let world = World::standard().model(PermissionModel::Policy);
    let revoke = Break::new(What::RevokePermission { server: None }).by(eve());
    let disable = Break::new(What::DisableKey(KeyRef::default())).by(eve());
    let script = vec![
        Step::at(2, "The security officer removes contoso-sql's access policy …", revoke),
        Step::at(4, "… and disables the key: access is being revoked on purpose", disable),
    ];
    refused(world, script, NeedsPerson::Gate)
}

fn revoked_twice(_: Preset) -> Setup {
    let eve = || Actor::person("security-officer@contoso.example");
    let mut world = World::standard().model(PermissionModel::Policy);
    world.alerts.webhooks = false;
    let revoke = Break::new(What::RevokePermission { server: None }).by(eve());
    let disable = Break::new(What::DisableKey(KeyRef::default())).by(eve());
    let script = vec![
        Step::at(2, "The security officer removes contoso-sql's access policy", revoke),
        Step::at(6, "The access policy is back, so the security officer disables the key", disable),
    ];
    let mut setup = refused(world, script, NeedsPerson::Gate);
    setup.patrol = true;
    setup.expect.writes = Writes::Just(vec![(Remedy::AddAccessPolicy, 1)]);
    setup
}

fn hold_tag(_: Preset) -> Setup {
    let tag =
        What::SetTag { target: None, name: "keymend-hold".to_owned(), value: Some("audit until Friday".to_owned()) };
    let revoke = Break::new(What::RevokePermission { server: None }).by(bob());
    let script = vec![
        Step::at(1, "The key custodians tag the vault keymend-hold", Break::new(tag).by(bob())),
        Step::at(2, "Bob removes contoso-sql's role assignment on the vault", revoke),
    ];
    refused(World::standard(), script, NeedsPerson::Gate)
}

fn read_only_lock(_: Preset) -> Setup {
    let revoke = Break::new(What::RevokePermission { server: None }).by(bob());
    let lock = Break::new(What::AddLock { scope: None, level: None }).by(bob());
    let script = vec![
        Step::at(1, "Bob removes contoso-sql's role assignment on the vault", revoke),
        Step::at(50, "Somebody sets a read-only lock on the vault", lock),
    ];
    let mut setup = refused(World::standard(), script, NeedsPerson::Gate);
    // The lock is old news by the time the alert comes: it is the lock that stops the repair, not the pattern of both.
    setup.world = setup.world.activity_log_minutes(60.0);
    setup.horizon = minutes(240);
    setup
}

fn deny_assignment(_: Preset) -> Setup {
    let deny = Break::new(What::AddDeny { server: None }).by(bob());
    let say = "A deny assignment is put on the vault that hits the server's identity";
    refused(World::standard(), vec![Step::at(2, say, deny)], NeedsPerson::NoRemedy)
}

fn fight_the_admin(preset: Preset) -> Setup {
    let revoke = || Break::new(What::RevokePermission { server: None }).by(bob());
    let script = vec![
        Step::at(2, "Bob removes contoso-sql's role assignment on the vault", revoke()),
        Step {
            after: minutes(1),
            say: "Bob sees the role assignment come back and removes it again".to_owned(),
            act: Act::AfterRepair(revoke()),
        },
    ];
    let mut setup = refused(World::standard(), script, NeedsPerson::Gate);
    setup.policy = policy(preset, &setup.world);
    setup.expect.writes = Writes::Just(vec![(Remedy::AssignRole, 1)]);
    setup
}

fn no_rights(_: Preset) -> Setup {
    let world = World::standard().without_right("Microsoft.Authorization/roleAssignments/write");
    let revoke = Break::new(What::RevokePermission { server: None }).by(bob());
    let script = vec![Step::at(2, "Bob removes contoso-sql's role assignment on the vault", revoke)];
    let mut setup = refused(world, script, NeedsPerson::MissingRight);
    setup.expect.writes = Writes::RefusedOnly;
    setup
}

/// Told what would be done, a person does it by hand.
fn mended_by_hand(preset: Preset) -> Setup {
    let revoke = Break::new(What::RevokePermission { server: None }).by(bob());
    let grant = Break::new(What::GrantPermission { server: None }).by(Actor::person("ada@contoso.example"));
    let script = vec![
        Step::at(2, "Bob removes contoso-sql's role assignment on the vault", revoke),
        Step::at(22, "Ada, on call, reads what Keymend would do and assigns the role by hand", grant),
    ];
    let mut setup = refused(World::standard(), script, NeedsPerson::Off);
    setup.policy = policy(preset, &setup.world);
    setup.expect.end = End::CameBack;
    setup.expect.online = true;
    setup
}

fn observe_only(preset: Preset) -> Setup {
    mended_by_hand(preset)
}

fn dry_run(preset: Preset) -> Setup {
    let mut setup = mended_by_hand(preset);
    setup.policy.dry_run = true;
    setup
}
