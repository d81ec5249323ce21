//! The responder's side of a drill: store, doors, worker and channels, as `keymend serve` has them, in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio::task::JoinHandle;

use super::cloud::{FirstParty, SecureWebhook};
use super::voices::{self, Voices};
use crate::azure::entra::Tenant;
use crate::azure::{Azure, Credential, Endpoints, Secret};
use crate::clock::Clock;
use crate::domain::policy::{Policy, Preset};
use crate::ids::Ids;
use crate::notify;
use crate::notify::links::{Links, Pages};
use crate::notify::signed_link::LinkKeys;
use crate::patrol::{Patrol, PatrolSettings};
use crate::responder::{Responder, Wake};
use crate::store::{SqliteStore, Store};
use crate::web::callers::{HowTokens, TokenRules, Trusted};
use crate::web::pages::{Access, Answers, Site};
use crate::web::{self, App, Callers, Doorway, Limits};

/// A running responder.
#[derive(Debug)]
pub struct House {
    store: Arc<dyn Store>,
    webhook: String,
    address: String,
    wake: Wake,
    clock: Clock,
    tasks: Vec<JoinHandle<()>>,
}

impl House {
    /// Its memory.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Where the Action Group posts, with the secret.
    #[must_use]
    pub fn webhook(&self) -> String {
        self.webhook.clone()
    }

    /// Where people see the incidents.
    #[must_use]
    pub fn pages(&self) -> String {
        format!("{}/api/incidents", self.address)
    }

    /// Makes it look for work now, as it does by itself every two seconds of real time: on a stepped clock a story may be over
    /// before those have passed.
    pub fn look(&self) {
        self.wake.now(&self.clock);
    }

    /// Stops it.
    pub async fn stop(self) {
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
    }
}

/// Builds and starts one against the simulated cloud at `cloud`, without a patrol.
///
/// # Errors
/// As [`build_with`].
pub async fn build(policy: &Policy, cloud: &str, token: &str, folder: &Path, clock: &Clock) -> anyhow::Result<House> {
    build_with(policy, PatrolSettings::off(), cloud, token, folder, clock, Ids::random()).await
}

/// Builds and starts one against the simulated cloud at `cloud`, with that patrol. `ids` also draw the moments of the
/// patrol: seeded ones make the same story again, on a new folder.
///
/// # Errors
/// If the store cannot be made or loopback not listened on.
pub async fn build_with(
    policy: &Policy,
    patrol: PatrolSettings,
    cloud: &str,
    token: &str,
    folder: &Path,
    clock: &Clock,
    ids: Ids,
) -> anyhow::Result<House> {
    let site =
        Ground { policy, patrol, cloud, token, folder, clock, ids, voices: Voices::default(), secure_webhook: None };
    build_at(site).await
}

/// What a responder is built from.
#[derive(Debug)]
pub struct Ground<'a> {
    /// What is allowed.
    pub policy: &'a Policy,
    /// How often it looks by itself.
    pub patrol: PatrolSettings,
    /// The address of the simulated cloud.
    pub cloud: &'a str,
    /// Its token there.
    pub token: &'a str,
    /// Where its store is.
    pub folder: &'a Path,
    /// Its clock.
    pub clock: &'a Clock,
    /// Its ids.
    pub ids: Ids,
    /// Who is told.
    pub voices: Voices,
    /// The tenant and the application whose tokens callers must bring, instead of a secret in the address.
    pub secure_webhook: Option<(String, SecureWebhook)>,
}

/// Builds and starts one.
///
/// # Errors
/// If the store cannot be made or loopback not listened on.
pub async fn build_at(site: Ground<'_>) -> anyhow::Result<House> {
    let store = SqliteStore::open(&site.folder.join("keymend.db")).context("cannot make the store")?;
    let endpoints = Endpoints::simulated(site.cloud)?;
    let credential = Credential::static_token(Secret::new(site.token), &endpoints)?;
    let azure = Azure::new(endpoints, credential, site.clock.clone(), site.ids.clone())?;
    build_of(site, Arc::new(store), azure).await
}

/// Builds and starts one that has this memory and this way to Azure.
///
/// # Errors
/// If loopback cannot be listened on.
pub async fn build_of(site: Ground<'_>, store: Arc<dyn Store>, azure: Azure) -> anyhow::Result<House> {
    let Ground { policy, patrol, cloud, clock, ids, voices, secure_webhook, .. } = site;
    let wake = Wake::default();
    let secret = || format!("{}{}", ids.uuid().simple(), ids.uuid().simple());
    let doorway = Doorway::open(([127, 0, 0, 1], 0).into()).await.context("cannot listen on 127.0.0.1")?;
    let address = format!("http://{}", doorway.address()?);
    let keys = LinkKeys::new(&[notify::secret::Secret::new(secret())]).context("no links can be signed")?;
    let pages = Pages { url: address.parse()?, keys: keys.clone() };
    let responder = Responder {
        store: store.clone(),
        azure,
        channels: voices::channels(voices, cloud, pages.clone(), clock)?.into(),
        policy: Arc::new(policy.clone()),
        clock: clock.clone(),
        ids: ids.clone(),
        wake: wake.clone(),
        heartbeat: None,
        keep_incidents: None,
    };
    let secret = secret();
    let callers = match &secure_webhook {
        Some((tenant, hook)) => Callers::knowing_or_by_token([], rules(tenant, hook, cloud)?, HowTokens::default()),
        None => Callers::knowing([secret.as_str()]),
    };
    let webhook = match secure_webhook {
        Some(_) => format!("{address}/api/alerts"),
        None => format!("{address}/api/alerts?code={secret}"),
    };
    let channels = responder.channels.to_vec();
    let app = App {
        store: store.clone(),
        scope: Arc::new(policy.scope.clone()),
        callers,
        clock: clock.clone(),
        wake: wake.clone(),
        limits: Limits::default(),
        faults: Arc::new([]),
        pages: Site::new(Access::Open { here_only: true }, Links::default(), Some(pages.url), channels)
            .answering(Answers { keys, weak: true }),
    };
    let serving = tokio::spawn(async move {
        if let Err(error) = axum::serve(doorway, web::router(app)).await {
            tracing::error!(%error, "the doors closed");
        }
    });
    let patrol = Patrol::new(responder.clone(), patrol);
    let walking = tokio::spawn(async move { patrol.run().await });
    let working = tokio::spawn(async move { responder.run().await });
    Ok(House { store, webhook, address, wake, clock: clock.clone(), tasks: vec![serving, walking, working] })
}

/// What a token for `hook` must be, by the simulated tenant at `cloud`.
///
/// # Errors
/// If the tenant is no id or the address none.
pub fn rules(tenant: &str, hook: &SecureWebhook, cloud: &str) -> anyhow::Result<TokenRules> {
    let trusted =
        |name, who: FirstParty, role: &str| Trusted { name, app: who.app().to_owned(), role: role.to_owned() };
    Ok(TokenRules {
        tenant: Tenant::new(tenant.parse()?, crate::azure::Cloud::Public, Some(cloud))?,
        audiences: vec![hook.client_id.clone(), hook.identifier_uri.clone()],
        callers: vec![
            trusted("Action Groups", FirstParty::ActionGroups, "ActionGroupsSecureWebhook"),
            trusted("Event Grid", FirstParty::EventGrid, "AzureEventGridSecureWebhookSubscriber"),
        ],
    })
}

/// The folder of one story's store; a temporary one goes away with this value.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    /// `base/SCENARIO-PRESET`, or a new temporary folder.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(base: Option<&Path>, scenario: &str, preset: Preset) -> anyhow::Result<Self> {
        let (path, temporary) = match base {
            Some(base) => (base.join(format!("{scenario}-{}", preset.name())), false),
            None => (std::env::temp_dir().join(format!("keymend-drill-{}", Ids::random().uuid().simple())), true),
        };
        if !temporary && path.join("keymend.db").exists() {
            anyhow::bail!("{} holds the store of an earlier drill; remove it or keep it elsewhere", path.display());
        }
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self { path, temporary })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
