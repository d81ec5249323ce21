//! Worlds that are broken at random, in any number of places at once.

use proptest::collection::vec;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::domain::evidence::{CallerKind, Fact, MissingRight};
use crate::domain::incident::AttemptOutcome;
use crate::domain::policy::{Mode, Preset};
use crate::domain::remedy::Remedy;
use crate::domain::test_support::{
    OLD_VERSION, World, access_policy, at, grant, key_uri, minutes, principal, server_id, vault_id, world_of,
};

type Break = fn(&mut World, usize);

/// Ways to break a world; the number chooses a server or a variant.
const BREAKS: &[Break] = &[
    |w, n| facts(w, n).identity.system_principal_id = None,
    |w, n| facts(w, n).federated_client_id = Some("app".to_owned()),
    |w, n| pick(w, n).server = Fact::Absent,
    |w, n| {
        if let Fact::Known(protector) = &mut pick(w, n).protector {
            protector.customer_managed = false;
            protector.uri = None;
        }
    },
    |w, n| pick(w, n).databases = Fact::Known(Vec::new()),
    |w, n| pick(w, n).linked_keys = Fact::Known(Vec::new()),
    |w, n| status(w, n, "Inaccessible"),
    |w, n| status(w, n, "Recovering"),
    |w, _| w.set_status("Inaccessible"),
    |w, _| w.delete_vault(),
    |w, _| {
        w.delete_vault();
        w.vault_evidence().deleted = Fact::Absent;
    },
    |w, _| with_vault(w, World::close_firewall),
    |w, _| with_vault(w, |w| w.vault().network.public_access = "SecuredByPerimeter".to_owned()),
    |w, _| {
        with_vault(w, |w| {
            w.vault().network.public_access = "Disabled".to_owned();
            w.vault().pending_private_endpoints = vec![("pe".to_owned(), "Pending".to_owned())];
        });
    },
    |w, _| with_vault(w, |w| w.vault().tenant_id = "another".to_owned()),
    |w, _| w.vault_evidence().reachable = Fact::Known(false),
    |w, _| with_vault(w, World::delete_key),
    |w, _| {
        with_vault(w, |w| {
            w.delete_key();
            w.evidence.keys[0].deleted = Fact::Absent;
        });
    },
    |w, _| {
        with_vault(w, |w| {
            w.evidence.keys[0].version = Fact::Absent;
            w.evidence.keys[0].versions = vec![(OLD_VERSION.to_owned(), Some(at("2026-11-24T01:50:00Z")))];
        });
    },
    |w, n| with_version(w, n, |version| version.enabled = false),
    |w, n| {
        with_version(w, n, |version| {
            version.enabled = false;
            version.updated = Some(at("2026-11-24T02:03:00Z"));
        });
    },
    |w, n| with_version(w, n, |version| version.expires = Some(at("2026-11-24T02:00:00Z"))),
    |w, n| with_version(w, n, |version| version.not_before = Some(at("2026-12-24T02:00:00Z"))),
    |w, n| with_version(w, n, |version| version.operations = vec!["sign".to_owned()]),
    |w, n| with_version(w, n, |version| _ = version.tags.insert("keymend-hold".to_owned(), "yes".to_owned())),
    |w, n| _ = facts(w, n).tags.insert("keymend-hold".to_owned(), "yes".to_owned()),
    |w, _| with_vault(w, |w| _ = w.vault().tags.insert("keymend-hold".to_owned(), "yes".to_owned())),
    |w, _| with_vault(w, |w| if w.vault().rbac { w.lose_roles() } else { w.vault().access_policies.clear() }),
    |w, n| {
        let name = server_name(w, n);
        with_vault(w, |w| {
            let rbac = w.vault().rbac;
            w.vault().access_policies.retain(|policy| policy.object_id != principal(&name));
            if let (true, Fact::Known(grants)) = (rbac, &mut w.vault_evidence().grants) {
                grants.retain(|grant| grant.principal_id != principal(&name));
            }
        });
    },
    |w, n| {
        let name = server_name(w, n);
        with_vault(w, |w| w.vault().access_policies.push(access_policy(&principal(&name), &["all"])));
    },
    |w, n| {
        let name = server_name(w, n);
        with_vault(w, |w| {
            if w.vault().rbac {
                w.deny(&principal(&name))
            }
        });
    },
    |w, _| with_vault(w, |w| _ = w.link_older(&key_uri("old-key", Some(OLD_VERSION)))),
    |w, _| {
        with_vault(w, |w| {
            let old = w.link_older(&key_uri("tde-key", Some(OLD_VERSION)));
            if let Fact::Known(version) = &mut old.version {
                version.enabled = false;
            }
        });
    },
    |w, _| w.lock(&vault_id()),
    |w, n| {
        let server = pick(w, n).id.clone();
        w.lock(&server);
    },
    |w, n| w.log_role_removal("eve", kind(n), "2026-11-24T02:00:00Z"),
    |w, n| w.log("microsoft.keyvault/vaults/write", vault_id().as_str(), "eve", kind(n), "2026-11-24T02:02:00Z"),
    |w, n| w.log("microsoft.keyvault/vaults/delete", vault_id().as_str(), "bob", kind(n), "2026-11-24T01:59:00Z"),
    |w, n| {
        let server = pick(w, n).id.to_string();
        w.log("microsoft.sql/servers/write", &server, "pipeline", kind(n), "2026-11-24T01:40:00Z");
    },
    |w, _| w.incident.loss_reported = true,
    |w, _| w.incident.window_said_over = true,
    |w, _| w.incident.was_broken = true,
    |w, n| w.incident.quiet_passes = u32::try_from(n % 5).unwrap_or_default(),
    |w, n| w.pass(i64::try_from(n % 7).unwrap_or_default() * 30),
];

fn pick(world: &mut World, n: usize) -> &mut crate::domain::evidence::ServerEvidence {
    let count = world.evidence.servers.len();
    &mut world.evidence.servers[n % count]
}

fn server_name(world: &mut World, n: usize) -> String {
    pick(world, n).id.name().to_owned()
}

fn facts(world: &mut World, n: usize) -> &mut crate::domain::evidence::Server {
    let server = pick(world, n);
    if !matches!(server.server, Fact::Known(_)) {
        server.server = world_of(&[server.id.name().to_owned().as_str()]).evidence.servers.remove(0).server;
    }
    match &mut server.server {
        Fact::Known(facts) => facts,
        _ => unreachable!(),
    }
}

fn status(world: &mut World, n: usize, status: &str) {
    if let Fact::Known(databases) = &mut pick(world, n).databases
        && let Some(first) = databases.first_mut()
    {
        status.clone_into(&mut first.status);
    }
}

fn with_vault(world: &mut World, then: impl FnOnce(&mut World)) {
    if world.vault_evidence().vault.known().is_some() {
        then(world);
    }
}

fn with_version(world: &mut World, n: usize, then: impl FnOnce(&mut crate::domain::evidence::KeyVersion)) {
    let count = world.evidence.keys.len();
    if let Fact::Known(version) = &mut world.evidence.keys[n % count].version {
        then(version);
    }
}

const fn kind(n: usize) -> CallerKind {
    match n % 3 {
        0 => CallerKind::Person,
        1 => CallerKind::Application,
        _ => CallerKind::Unknown,
    }
}

/// A world of one to four servers with up to five things broken, under any policy, with any past.
pub fn any_world() -> impl Strategy<Value = World> {
    let breaks = vec((0..BREAKS.len(), 0_usize..12), 0..6);
    (1_usize..5, any::<bool>(), any::<bool>(), breaks, any::<[u8; 4]>()).prop_map(
        |(count, policies, umi, breaks, dice)| {
            let names = ["d-sql", "a-sql", "c-sql", "b-sql"];
            let mut world = world_of(&names[..count]);
            if policies {
                world.use_policies();
            } else if umi {
                world.use_identity("umi");
                let mut grants: Vec<_> = names[1..count].iter().map(|name| grant(&principal(name))).collect();
                grants.push(grant(&principal("umi")));
                world.vault_evidence().grants = Fact::Known(grants);
            }
            for (which, n) in breaks {
                BREAKS[which](&mut world, n);
            }
            roll(&mut world, dice);
            world
        },
    )
}

/// Policy, approvals and past attempts by the dice.
fn roll(world: &mut World, dice: [u8; 4]) {
    let [policy, scope, approval, past] = dice;
    world.policy.preset = [Preset::Observe, Preset::Guarded, Preset::Auto, Preset::Auto][usize::from(policy % 4)];
    world.policy.dry_run = policy / 4 % 8 == 0;
    if policy / 32 % 2 == 0 {
        world.policy.remedies.insert(Remedy::AssignRole, [Mode::Off, Mode::Approve][usize::from(policy / 64 % 2)]);
    }
    match scope % 8 {
        0 => world.policy.scope = crate::domain::policy::Scope::default(),
        1 => world.policy.scope.except = vec![server_id("a-sql")],
        2 => world.policy.gates.max_servers = 2,
        3 => world.policy.gates.custodians = vec!["eve".to_owned()],
        _ => {}
    }
    let first = world.diagnosis().findings.remove(0);
    if let Some(change) = first.changes.first() {
        let plan = crate::domain::plan::Plan {
            cause: first.cause,
            remedy: change.remedy(),
            changes: first.changes.clone(),
            servers: first.servers.clone(),
        };
        match approval % 4 {
            0 => world.answer(&plan, true),
            1 => world.answer(&plan, false),
            _ => {}
        }
        let ago = i64::from(past / 8) * 3;
        let outcome = match past % 8 {
            0 => world.made(ago),
            1 => world.failed("AuthorizationFailed", ago),
            2 => world.failed("Conflict", ago),
            3 => Some(AttemptOutcome::AlreadyThere { at: world.ago(ago) }),
            4 => None,
            _ => return,
        };
        world.attempt(change.clone(), ago + 1, outcome);
    }
}

/// Answers in another order.
pub fn shuffle(world: &mut World, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let evidence = &mut world.evidence;
    evidence.servers.shuffle(&mut rng);
    evidence.keys.shuffle(&mut rng);
    evidence.changes.shuffle(&mut rng);
    for server in &mut evidence.servers {
        if let Fact::Known(keys) = &mut server.linked_keys {
            keys.shuffle(&mut rng);
        }
        if let Fact::Known(databases) = &mut server.databases {
            databases.shuffle(&mut rng);
        }
    }
    if let Fact::Known(locks) = &mut evidence.locks {
        locks.shuffle(&mut rng);
    }
    if let Some(vault) = &mut evidence.vault {
        if let Fact::Known(grants) = &mut vault.grants {
            grants.shuffle(&mut rng);
        }
        if let Fact::Known(vault) = &mut vault.vault {
            vault.access_policies.shuffle(&mut rng);
        }
    }
}

type Hide = (&'static str, fn(&mut World, bool));

fn blind<T>(fact: &mut Fact<T>, denied: bool) {
    *fact = if denied {
        Fact::Denied(MissingRight { action: "read".to_owned(), scope: "somewhere".to_owned() })
    } else {
        Fact::Unknown("timeout".to_owned())
    };
}

const HIDINGS: &[Hide] = &[
    ("a server", |w, d| blind(&mut w.server().server, d)),
    ("a protector", |w, d| blind(&mut w.server().protector, d)),
    ("linked keys", |w, d| blind(&mut w.server().linked_keys, d)),
    ("databases", |w, d| blind(&mut w.server().databases, d)),
    ("an identity", |w, d| {
        if let Fact::Known(server) = &mut w.server().server
            && let Some(assigned) = server.identity.user_assigned.first_mut()
        {
            blind(&mut assigned.resource, d);
        }
    }),
    ("the vault", |w, d| blind(&mut w.vault_evidence().vault, d)),
    ("deleted vaults", |w, d| blind(&mut w.vault_evidence().deleted, d)),
    ("role assignments", |w, d| blind(&mut w.vault_evidence().grants, d)),
    ("deny assignments", |w, d| blind(&mut w.vault_evidence().denials, d)),
    ("the vault's answer", |w, d| blind(&mut w.vault_evidence().reachable, d)),
    ("a key version", |w, d| blind(&mut w.evidence.keys[0].version, d)),
    ("whether a key exists", |w, d| blind(&mut w.evidence.keys[0].exists, d)),
    ("deleted keys", |w, d| blind(&mut w.evidence.keys[0].deleted, d)),
    ("locks", |w, d| blind(&mut w.evidence.locks, d)),
    ("the log", |w, d| blind(&mut w.evidence.changes_read, d)),
];

/// How many facts can be hidden.
pub const fn hidings() -> usize {
    HIDINGS.len()
}

/// Hides one fact; answers which.
pub fn hide(world: &mut World, which: usize, denied: bool) -> &'static str {
    let (what, hide) = HIDINGS[which];
    hide(world, denied);
    what
}

/// The time moves on by up to an hour.
pub fn later(world: &World, by: u8) -> World {
    let mut later = world.clone();
    later.now = crate::clock::add(world.now, minutes(i64::from(by % 60)));
    later
}
