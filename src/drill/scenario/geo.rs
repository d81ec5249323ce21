//! Geo-replication: the partner that lacks the grant, and the secondary that nothing revives.

use super::{BOTH, End, Expect, Fact, People, Scenario, Setup, Step, Writes, minutes, policy, then};
use crate::domain::plan::NeedsPerson;
use crate::domain::policy::Preset;
use crate::domain::remedy::Remedy;
use crate::domain::resource_id::ResourceId;
use crate::drill::cloud::world::{DatabaseSpec, ProtectorSpec, ServerSpec, VaultSpec};
use crate::drill::cloud::{Actor, Break, KeyRef, What, World};

/// The partner server of the standard one.
const PARTNER: &str = "contoso-sql-dr";

pub(super) fn all() -> Vec<Scenario> {
    let make = |name, title, presets, setup| Scenario { name, title, presets, setup };
    vec![
        make(
            "geo-partner-without-grant",
            "The geo partner, under its own key, loses its grant on the primary's: it is granted again, or told of",
            &[Preset::Observe, Preset::Guarded, Preset::Auto],
            partner_without_grant as fn(Preset) -> Setup,
        ),
        make(
            "geo-pair-without-grant",
            "Primary and geo partner lose their grants together: the primary is granted first, and the partner too",
            BOTH,
            pair_without_grant,
        ),
        make(
            "geo-partner-found-by-patrol",
            "The same with every alert lost: the patrol knows who holds the geo-secondary",
            &[Preset::Auto],
            partner_found_by_patrol,
        ),
        make(
            "geo-replication-ended",
            "Geo-replication ends as planned, and the former partner's grant goes with it: nobody brings it back",
            &[Preset::Auto],
            replication_ended,
        ),
        make(
            "geo-partner-out-of-scope",
            "The geo partner is not Keymend's to grant: a person is told, and nothing is changed",
            &[Preset::Auto],
            partner_out_of_scope,
        ),
        make(
            "geo-partner-shares-key",
            "The geo partner, under the same key as the primary, loses its grant; the primary is fine",
            BOTH,
            partner_shares_key,
        ),
        make(
            "dead-secondary",
            "Approval comes late: the primary is brought back, its geo-secondary cannot be",
            &[Preset::Guarded],
            dead_secondary,
        ),
    ]
}

fn bob() -> Actor {
    Actor::person("bob@contoso.example")
}

/// The standard world, with a geo-secondary of `orders` on a server in another region, under the same key.
fn pair() -> World {
    let mut world = World::standard().activity_log_minutes(3.0);
    let orders = DatabaseSpec {
        size_gb: 40,
        failover_group: Some("fg-orders".to_owned()),
        geo_secondary_of: Some("contoso-sql".to_owned()),
        ..DatabaseSpec::default()
    };
    world.servers.push(ServerSpec {
        name: PARTNER.to_owned(),
        location: "northeurope".to_owned(),
        databases: vec![orders],
        ..ServerSpec::default()
    });
    world
}

/// The same with a partner that has a vault and a key of its own. Every Action Group alert is lost: what is heard comes
/// from Event Grid, or from the patrol.
fn far_pair() -> World {
    let mut world = pair();
    let vault = "contoso-kv-ne".to_owned();
    world.vaults.push(VaultSpec { name: vault.clone(), location: "northeurope".to_owned(), ..VaultSpec::default() });
    world.servers[1].protector = Some(ProtectorSpec { vault, ..ProtectorSpec::default() });
    world.servers[1].databases.push(DatabaseSpec { name: "archive".to_owned(), ..DatabaseSpec::default() });
    world.alerts.event_grid = true;
    world.alerts.webhooks = false;
    world
}

fn revoked() -> Vec<Step> {
    let what = Break::new(What::RevokeGeoPermission { server: Some(PARTNER.to_owned()), vault: None }).by(bob());
    vec![Step::at(2, "Bob removes contoso-sql-dr's role on contoso-kv: \"it has a vault of its own\"", what)]
}

fn secondary_is_granted() -> Fact {
    Fact {
        says: "the geo-secondary can use the key of its primary",
        holds: |world| world["servers"][1]["databases"][0]["key_access"] == "ok",
    }
}

fn partner_without_grant(preset: Preset) -> Setup {
    let world = far_pair();
    let repaired = Expect {
        writes: Writes::Just(vec![(Remedy::AssignRole, 1)]),
        world: vec![then::granted(), secondary_is_granted(), then::never_down()],
        ..Expect::repaired()
    };
    let observed = Expect {
        end: End::WithPerson(NeedsPerson::NoRemedy),
        writes: Writes::None,
        online: false,
        world: vec![
            then::granted(),
            Fact {
                says: "the geo-secondary is lost, and left as it is",
                holds: |world| world["servers"][1]["databases"][0]["access"] == "lost",
            },
        ],
        ..Expect::repaired()
    };
    Setup {
        policy: policy(preset, &world),
        world,
        script: revoked(),
        patrol: false,
        people: People::NotAsked,
        expect: if preset == Preset::Observe { observed } else { repaired },
        horizon: minutes(180),
    }
}

fn pair_without_grant(preset: Preset) -> Setup {
    let mut setup = partner_without_grant(preset);
    let pipeline =
        || Actor::application("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008");
    let own = Break::new(What::RevokePermission { server: Some("contoso-sql".to_owned()) }).by(pipeline());
    let geo = What::RevokeGeoPermission { server: Some(PARTNER.to_owned()), vault: None };
    setup.script = vec![
        Step::at(2, "A pipeline removes contoso-sql's role on contoso-kv", own),
        Step::at(2, "It removes contoso-sql-dr's role there too", Break::new(geo).by(pipeline())),
    ];
    setup.expect.writes = Writes::Just(vec![(Remedy::AssignRole, 2)]);
    setup
}

fn partner_found_by_patrol(preset: Preset) -> Setup {
    let mut setup = partner_without_grant(preset);
    setup.world.alerts.event_grid = false;
    setup.patrol = true;
    setup
}

fn replication_ended(preset: Preset) -> Setup {
    let mut setup = partner_without_grant(preset);
    let end = Break::new(What::EndReplication { server: Some(PARTNER.to_owned()) }).by(bob());
    let vault = Some("contoso-kv".to_owned());
    let revoke = Break::new(What::RevokeGeoPermission { server: Some(PARTNER.to_owned()), vault }).by(bob());
    setup.script = vec![
        Step::at(20, "Bob ends the geo-replication of orders", end),
        Step::at(25, "Bob removes contoso-sql-dr's role on contoso-kv, which it needs no more", revoke),
    ];
    // What the walk has seen of the link counts for a day.
    setup.patrol = true;
    setup.expect = Expect { end: End::FalseAlarm, writes: Writes::None, silent: true, ..Expect::repaired() };
    setup
}

fn partner_out_of_scope(preset: Preset) -> Setup {
    let mut world = far_pair();
    "rg-data-north".clone_into(&mut world.servers[1].resource_group);
    let mut policy = policy(preset, &world);
    policy.scope.subscriptions.clear();
    let group = |name: &str| format!("/subscriptions/{}/resourceGroups/{name}", world.subscription);
    let groups = ["rg-data", "rg-keys"].map(|name| ResourceId::parse(&group(name)));
    policy.scope.resources = groups.into_iter().flatten().collect();
    Setup {
        policy,
        world,
        script: revoked(),
        patrol: false,
        people: People::NotAsked,
        expect: Expect {
            end: End::WithPerson(NeedsPerson::Gate),
            writes: Writes::None,
            online: false,
            world: vec![then::granted()],
            ..Expect::repaired()
        },
        horizon: minutes(90),
    }
}

fn partner_shares_key(preset: Preset) -> Setup {
    let world = pair();
    let what = Break::new(What::RevokePermission { server: Some(PARTNER.to_owned()) }).by(bob());
    let say = "Bob removes contoso-sql-dr's role on the vault: \"that server is in another region\"";
    Setup {
        policy: policy(preset, &world),
        world,
        script: vec![Step::at(2, say, what)],
        patrol: false,
        people: People::Approve(minutes(3)),
        expect: Expect {
            writes: Writes::Just(vec![(Remedy::AssignRole, 1)]),
            world: vec![
                then::granted(),
                Fact {
                    says: "the geo partner can use the key again",
                    holds: |world| world["servers"][1]["key_access"] == "ok",
                },
            ],
            ..Expect::repaired()
        },
        horizon: minutes(180),
    }
}

fn dead_secondary(preset: Preset) -> Setup {
    let world = pair();
    let what = Break::new(What::DisableKey(KeyRef { version: Some("*".to_owned()), ..KeyRef::default() })).by(bob());
    Setup {
        policy: policy(preset, &world),
        world,
        script: vec![Step::at(2, "Bob disables the key that primary and geo-secondary share", what)],
        patrol: false,
        people: People::Approve(minutes(45)),
        expect: Expect {
            end: End::WithPerson(NeedsPerson::NoRemedy),
            writes: Writes::Just(vec![(Remedy::EnableKey, 1), (Remedy::Revalidate, 1)]),
            online: false,
            world: vec![
                then::granted(),
                Fact {
                    says: "every database of the primary is online",
                    holds: |world| {
                        let all = world["servers"][0]["databases"].as_array();
                        all.is_some_and(|all| all.iter().all(|one| one["status"] == "Online"))
                    },
                },
                Fact {
                    says: "the dead secondary is still there: nobody but a person drops it",
                    holds: |world| world["servers"][1]["databases"][0]["access"] == "lost",
                },
            ],
            ..Expect::repaired()
        },
        horizon: minutes(240),
    }
}
