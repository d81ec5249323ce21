//! One broken world for each remedy, the change that mends it, and how to see that it is mended.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keymend::azure::{Azure, Credential, Endpoints, Progress, Secret};
use keymend::clock::{self, Clock};
use keymend::domain::key_uri::KeyUri;
use keymend::domain::remedy::{CRYPTO_SERVICE_ENCRYPTION_USER, Change, GrantTo, Remedy};
use keymend::domain::resource_id::ResourceId;
use keymend::domain::restoration::Setting;
use keymend::drill::cloud::world::{IdentityKind, NetworkSpec, PermissionModel, VersionSpec, World};
use keymend::drill::cloud::{Break, Cloud, KeyRef, Running, What};
use keymend::ids::Ids;
use keymend::remedy::{Applied, apply};

use crate::gate::{Do, Gate};

/// Every remedy that changes something.
pub const REMEDIES: [Remedy; 10] = [
    Remedy::AssignIdentity,
    Remedy::AddAccessPolicy,
    Remedy::AssignRole,
    Remedy::RecoverVault,
    Remedy::RecoverKey,
    Remedy::EnableKey,
    Remedy::ExtendExpiry,
    Remedy::TrustedServicesBypass,
    Remedy::Revalidate,
    Remedy::RestoreSettings,
];

pub const TENANT: &str = "99999999-8888-7777-6666-555555555555";
pub const VERSION: &str = "0123456789abcdef0123456789abcdef";
const KEY: &str = "https://contoso-kv.vault.azure.net/keys/tde-key";

/// A simulated cloud behind a gate.
pub struct Lab {
    pub cloud: Cloud,
    pub gate: Gate,
    pub clock: Clock,
    /// Through the gate: what the remedies use.
    pub azure: Azure,
    /// Past the gate: what the test looks with.
    pub direct: Azure,
    world: World,
    _running: Running,
}

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

pub fn key() -> KeyUri {
    KeyUri::parse(KEY).unwrap()
}

pub fn version() -> KeyUri {
    KeyUri::parse(&format!("{KEY}/{VERSION}")).unwrap()
}

/// A handle that waits for an answer this long, in real time.
fn azure(address: &str, clock: &Clock, seed: u64, patience: Duration) -> Azure {
    let endpoints = Endpoints::simulated(address).unwrap();
    let credential = Credential::static_token(Secret::new("drill-token"), &endpoints).unwrap();
    Azure::with_deadlines(endpoints, credential, clock.clone(), Ids::seeded(seed), patience, patience).unwrap()
}

/// A world with what the remedy is for; what only a person can break is broken by [`Lab::broken`].
pub fn world(remedy: Remedy) -> World {
    let mut world = World::standard();
    world.vaults[0].keys[0].versions = vec![VersionSpec { id: Some(VERSION.to_owned()), ..VersionSpec::default() }];
    match remedy {
        Remedy::AssignIdentity => world.servers[0].identity = IdentityKind::None,
        Remedy::AddAccessPolicy => {
            world = world.model(PermissionModel::Policy);
            world.servers[0].granted = false;
        }
        Remedy::AssignRole => world.servers[0].granted = false,
        Remedy::EnableKey => world.vaults[0].keys[0].versions[0].enabled = false,
        Remedy::ExtendExpiry => world.vaults[0].keys[0].versions[0].expires_in_days = Some(-1.0),
        Remedy::TrustedServicesBypass => {
            world.vaults[0].network = NetworkSpec {
                public_network_access: "Enabled".to_owned(),
                bypass: "None".to_owned(),
                default_action: "Deny".to_owned(),
                ip_rules: vec!["203.0.113.7/32".to_owned(), "198.51.100.0/24".to_owned()],
                ..NetworkSpec::default()
            };
        }
        Remedy::RestoreSettings => world.servers[0].databases[0].read_scale = false,
        Remedy::RecoverVault | Remedy::RecoverKey | Remedy::Revalidate | Remedy::Wait => {}
    }
    world
}

impl Lab {
    /// The cloud of a world, nothing broken beyond what the world says.
    pub async fn of(world: World) -> Self {
        let clock = Clock::stepped("2026-11-24T02:07:31Z".parse().unwrap(), None);
        let held = clock.busy();
        let cloud = Cloud::new(world.clone(), clock.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let running = cloud.serve(listener).await.unwrap();
        let gate = Gate::before(&address).await;
        let patience = Duration::from_secs(30);
        let (through, direct) = (azure(&gate.address, &clock, 1, patience), azure(&address, &clock, 2, patience));
        drop(held);
        Self { cloud, gate, clock, azure: through, direct, world, _running: running }
    }

    /// The world that a remedy is for.
    pub async fn broken(remedy: Remedy) -> Self {
        let lab = Self::of(world(remedy)).await;
        lab.break_for(remedy);
        lab
    }

    /// With little patience for answers that do not come.
    pub fn impatient(mut self) -> Self {
        self.azure = azure(&self.gate.address, &self.clock, 3, Duration::from_secs(3));
        self
    }

    /// What only somebody's act can break.
    pub fn break_for(&self, remedy: Remedy) {
        let what = match remedy {
            Remedy::RecoverVault => What::DeleteVault { vault: None },
            Remedy::RecoverKey => What::DeleteKey(KeyRef::default()),
            _ => return,
        };
        self.cloud.try_break(&Break::new(what)).unwrap();
    }

    pub fn server(&self) -> ResourceId {
        id(&self.world.server_id(&self.world.servers[0].name))
    }

    pub fn vault(&self) -> ResourceId {
        id(&self.world.vault_id("contoso-kv"))
    }

    /// A grant for a server of the world by its number.
    pub async fn grant(&self, server: usize) -> GrantTo {
        let server = id(&self.world.server_id(&self.world.servers[server].name));
        let identity = self.direct.server(&server).await.unwrap().identity;
        let principal_id = identity.effective().unwrap().principal_id;
        GrantTo { principal_id, server, missing: ["get", "wrapKey", "unwrapKey"].map(str::to_owned).to_vec() }
    }

    /// The change that mends it, as a plan would name it now.
    pub async fn change(&self, remedy: Remedy) -> Change {
        let (server, vault) = (self.server(), self.vault());
        match remedy {
            Remedy::AssignIdentity => Change::AssignIdentity { server, keep: vec![] },
            Remedy::AddAccessPolicy => {
                Change::AddAccessPolicy { vault, tenant_id: TENANT.to_owned(), grants: vec![self.grant(0).await] }
            }
            Remedy::AssignRole => self.role_for(0).await,
            Remedy::RecoverVault => {
                Change::RecoverVault { vault, location: "westeurope".to_owned(), tenant_id: TENANT.to_owned() }
            }
            Remedy::RecoverKey => Change::RecoverKey { key: key() },
            Remedy::EnableKey => Change::EnableKey { key: version() },
            Remedy::ExtendExpiry => {
                let from = self.direct.key_version(&vault, "tde-key", Some(VERSION)).await.unwrap().expires;
                let to = clock::add(self.clock.now(), SignedDuration::from_hours(7 * 24));
                Change::ExtendExpiry { key: version(), from, to: Timestamp::from_second(to.as_second()).unwrap() }
            }
            Remedy::TrustedServicesBypass => {
                let acls = self.direct.vault(&vault).await.unwrap().network.acls;
                Change::TrustedServicesBypass { vault, acls }
            }
            Remedy::RestoreSettings => {
                Change::RestoreSetting { database: self.database("orders"), setting: Setting::ReadScale }
            }
            Remedy::Revalidate | Remedy::Wait => Change::Revalidate { server },
        }
    }

    /// A database of the first server.
    pub fn database(&self, name: &str) -> ResourceId {
        self.server().child("databases", name).unwrap()
    }

    /// What a database is like, as the cloud itself knows it.
    pub fn settings(&self, name: &str) -> serde_json::Value {
        let world = self.cloud.world();
        let all = world["servers"][0]["databases"].as_array().unwrap();
        all.iter().find(|database| database["name"] == name).unwrap()["settings"].clone()
    }

    pub async fn role_for(&self, server: usize) -> Change {
        Change::AssignRole {
            vault: self.vault(),
            key: "tde-key".to_owned(),
            grant: self.grant(server).await,
            role: CRYPTO_SERVICE_ENCRYPTION_USER.to_owned(),
        }
    }

    /// Applies changes while the cloud's time stands still but for the remedy's own waits.
    pub async fn apply(&self, changes: &[Change]) -> Vec<Applied> {
        let _held = self.clock.busy();
        let applied = apply(&self.azure, changes).await;
        assert_eq!(applied.len(), changes.len());
        applied
    }

    pub async fn apply_one(&self, change: &Change) -> Applied {
        self.apply(std::slice::from_ref(change)).await.remove(0)
    }

    /// Lets time pass for the cloud.
    pub async fn wait(&self, seconds: i64) {
        drop(self.clock.idle_until(clock::add(self.clock.now(), SignedDuration::from_secs(seconds))).await);
    }

    /// Applies a change as a responder would, pass after pass, until it is made or there: operations are followed, and
    /// what is not followed is looked at again. Answers what became of each pass.
    pub async fn settle(&self, change: &Change) -> Vec<Applied> {
        let mut all = Vec::new();
        for _ in 0..20 {
            let applied = self.apply_one(change).await;
            all.push(applied.clone());
            match applied {
                Applied::Made(_) | Applied::AlreadyThere { .. } => return all,
                Applied::Running { operation: Some(operation), .. } => {
                    self.follow(&operation).await;
                    // The answer of a re-validation is the operation's own.
                    if matches!(change, Change::Revalidate { .. }) {
                        return all;
                    }
                }
                _ => self.wait(60).await,
            }
        }
        panic!("{change:?} does not come to an end: {all:#?}");
    }

    async fn follow(&self, operation: &str) {
        let operation = operation.parse().unwrap();
        for _ in 0..60 {
            match self.direct.poll(&operation).await.unwrap() {
                Progress::Running { .. } => self.wait(10).await,
                Progress::Succeeded => return,
                Progress::Failed { code, message } => panic!("{code}: {message}"),
            }
        }
        panic!("{operation} goes on for ever");
    }

    /// Whether Azure shows what the change was for.
    pub async fn is_mended(&self, change: &Change) -> bool {
        let azure = &self.direct;
        match change {
            Change::AssignIdentity { server, .. } => {
                azure.server(server).await.unwrap().identity.system_principal_id.is_some()
            }
            Change::AddAccessPolicy { vault, grants, .. } => {
                let policies = azure.vault(vault).await.unwrap().access_policies;
                grants.iter().all(|grant| {
                    policies.iter().any(|policy| {
                        let mut keys = policy.keys.clone();
                        keys.sort();
                        policy.object_id == grant.principal_id && keys == ["get", "unwrapkey", "wrapkey"]
                    })
                })
            }
            Change::AssignRole { vault, key, grant, role } => {
                let scope = vault.child("keys", key).unwrap();
                let listed = azure.role_assignments(&scope, Some(&grant.principal_id)).await.unwrap();
                listed.iter().filter(|one| one.role() == *role && id(&one.scope) == scope).count() == 1
            }
            Change::RecoverVault { vault, .. } => {
                azure.vault(vault).await.is_ok_and(|vault| vault.provisioning_state.as_deref() == Some("Succeeded"))
            }
            Change::RecoverKey { key } => azure.key_at_vault(key).await.is_ok(),
            Change::EnableKey { key } => azure.key_at_vault(key).await.is_ok_and(|found| found.enabled),
            Change::ExtendExpiry { key, to, .. } => {
                azure.key_at_vault(key).await.is_ok_and(|found| found.expires == Some(*to) && found.enabled)
            }
            Change::TrustedServicesBypass { vault, acls } => {
                let mut wanted = acls.clone();
                wanted["bypass"] = "AzureServices".into();
                azure.vault(vault).await.unwrap().network.acls == wanted
            }
            Change::Revalidate { .. } => true,
            Change::RestoreSetting { database, setting } => {
                let is = self.settings(database.name());
                match setting {
                    Setting::ReadScale => is["read_scale"] == true,
                    Setting::AutoPause { minutes } => is["auto_pause_minutes"] == *minutes,
                    Setting::ElasticPool { pool } => is["elastic_pool"] == pool.name(),
                    Setting::FailoverGroup { group } => is["failover_group"] == group.name(),
                    Setting::Tags { tags } => tags.iter().all(|(tag, value)| is["tags"][tag] == value.as_str()),
                    Setting::ShortTerm(policy) => is["pitr_days"] == policy.days,
                    Setting::LongTerm(policy) => is["ltr_weekly"] == policy.weekly.as_str(),
                }
            }
        }
    }

    /// Runs a change and kills it at its `n`th request. False: it ended before.
    pub async fn kill_at(&self, change: &Change, n: usize, how: Do) -> bool {
        let held = self.clock.busy();
        self.gate.rule(move |_, index| if index == n { how.clone() } else { Do::Pass });
        let (azure, changes) = (self.azure.clone(), vec![change.clone()]);
        let mut running = tokio::spawn(async move { apply(&azure, &changes).await });
        let killed = tokio::select! {
            () = self.gate.stopped() => true,
            _ = &mut running => false,
        };
        running.abort();
        drop(held);
        killed
    }
}
