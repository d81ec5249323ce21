//! A cloud, a container and a queue of its own, and the app with its settings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keymend::clock::Clock;
use keymend::domain::incident::Incident;
use keymend::domain::policy::Policy;
use keymend::drill::cloud::world::TOKEN;
use keymend::drill::cloud::{Cloud, Running, World};
use keymend::drill::story::statuses;
use keymend::ids::Ids;
use keymend::store::azure::parse_connection_string;
use keymend::store::{AzureStorageSettings, AzureStore, Store};
use tokio::net::TcpListener;

use crate::azurite::{Azurite, fresh_name};
use crate::host_double::app_root::AppRoot;
use crate::host_double::host_json::AppSettings;
use crate::host_double::storage::Queues;
use crate::host_double::{Host, Options};

const BEGINNING: &str = "2026-11-24T02:00:00Z";
/// How long anything may take, in real time, on a machine that does a lot besides.
pub const PATIENCE: Duration = Duration::from_secs(240);
/// How long a read is tried again.
const READS: Duration = Duration::from_secs(180);
/// Signs what the webhook is told.
pub const EVENTS_SECRET: &str = "whsec_ZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGw=";

/// Everything but the host.
pub struct Stage {
    pub cloud: Cloud,
    pub store: Arc<dyn Store>,
    pub queues: Queues,
    pub queue: String,
    pub options: Options,
    root: AppRoot,
    running: Running,
}

impl Stage {
    /// A whole world at `speed` virtual seconds a second. `None`: Azurite is to be done without.
    pub async fn open(world: &World, policy: &Policy, speed: f64) -> Option<Self> {
        std::sync::LazyLock::force(&crate::BEGAN);
        let azurite = tokio::task::spawn_blocking(Azurite::shared).await.unwrap()?;
        let cloud = Cloud::new(world.clone(), Clock::scaled(BEGINNING.parse().unwrap(), speed));
        let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
        let root = AppRoot::of_repository(env!("CARGO_BIN_EXE_keymend").as_ref());
        std::fs::write(root.path().join("keymend.toml"), settings_file(world, policy, &running.url())).unwrap();
        let (queue, container) = (fresh_name("jobs"), fresh_name("state"));
        let connection = azurite.connection_string();
        let settings = [
            ("AzureWebJobsStorage", connection.as_str()),
            ("KEYMEND_JOBS_QUEUE", &queue),
            ("KEYMEND_CONTAINER", &container),
            ("KEYMEND_STORE", "azure"),
            ("KEYMEND_EVENTS_SECRET", EVENTS_SECRET),
            // A story runs fast, and the host's own waits are real.
            ("AzureFunctionsJobHost__extensions__queues__maxPollingInterval", "00:00:00.4"),
            ("AzureFunctionsJobHost__extensions__queues__visibilityTimeout", "00:00:01"),
        ];
        let settings: AppSettings =
            settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let store = store(&settings, cloud.clock()).await;
        let mut options = Options::new(settings);
        options.timers_every = Some(Duration::from_secs_f64((60.0 / speed).max(1.0)));
        let queues = Queues::of(&connection).unwrap();
        Some(Self { cloud, store, queues, queue, options, root, running })
    }

    /// A host of its own for the app. The Action Group posts to the one that was started last.
    pub async fn host(&self) -> Host {
        self.host_with(|_| {}).await
    }

    /// The same with other options.
    pub async fn host_with(&self, change: impl FnOnce(&mut Options)) -> Host {
        let mut options = self.options.clone();
        change(&mut options);
        let host = Host::start(self.root.path(), options).await.unwrap_or_else(|why| panic!("{why}"));
        host.worker().ready().await.unwrap_or_else(|why| panic!("{why}\n{}", host.tail(20)));
        self.cloud.deliver_to(host.url_with_key("/api/alerts"));
        host
    }

    pub fn poison_queue(&self) -> String {
        format!("{}-poison", self.queue)
    }

    /// All incidents.
    pub async fn incidents(&self) -> Vec<Incident> {
        patiently(async || self.store.incidents(false, 100).await).await
    }

    /// Waits for a condition, and says what the matter is when it does not come about.
    pub async fn until(&self, what: &str, hosts: &[&Host], mut holds: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !holds().await {
            if began.elapsed() > PATIENCE {
                panic!("not within {PATIENCE:?}: {what}\n{}", self.account(hosts).await);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Every database is back and every incident has ended.
    pub async fn is_healed(&self) -> bool {
        let online = statuses(&self.cloud.world()).values().all(|status| status == "Online");
        let incidents = if online { self.incidents().await } else { Vec::new() };
        !incidents.is_empty() && incidents.iter().all(|incident| incident.ended_at.is_some())
    }

    /// Both queues hold nothing, visible or not.
    pub async fn queues_are_empty(&self) -> bool {
        self.queues.count(&self.queue).await.unwrap() == 0
            && self.queues.count(&self.poison_queue()).await.unwrap() == 0
    }

    /// Everything that helps to see what went wrong.
    pub async fn account(&self, hosts: &[&Host]) -> String {
        let mut lines =
            vec![format!("now: {}, databases: {:?}", self.cloud.clock().now(), statuses(&self.cloud.world()))];
        for incident in self.incidents().await {
            lines.push(format!("incident {} {} {:?} {:?}", incident.id, incident.key.0, incident.phase, incident.end));
            let timeline = incident.timeline.iter();
            lines.extend(timeline.map(|entry| format!("  {} {:?} {}", entry.at, entry.kind, entry.text)));
        }
        for one in self.cloud.deliveries() {
            lines.push(format!("delivery {} try {}: {:?} {}", one.event, one.attempt, one.status, one.answer));
        }
        for queue in [&self.queue, &self.poison_queue()] {
            lines.push(format!("{queue}: {:?} messages", self.queues.count(queue).await));
        }
        lines.push(format!("next job: {:?}, set aside: {:?}", self.store.next_due().await, self.store.poison().await));
        for host in hosts {
            lines.push(format!(
                "-- a host: {:?}, {} starts, {:?}",
                host.worker().state(),
                host.worker().starts(),
                host.notes()
            ));
            for call in host.calls().iter().filter(|call| !call.outcome.as_ref().is_some_and(|one| one.is_success())) {
                lines.push(format!("  {} {:?} {:?}", call.function, call.message, call.outcome));
            }
            let said = host.lines().into_iter().filter(|line| !line.text.contains("\"done\"")).map(|line| line.text);
            lines.extend(said);
        }
        lines.join("\n")
    }

    pub async fn close(self) {
        self.running.stop().await;
    }
}

/// The store as the app sees it, for the test's own eyes.
async fn store(settings: &AppSettings, clock: &Clock) -> Arc<dyn Store> {
    let account = parse_connection_string(&settings["AzureWebJobsStorage"]).unwrap();
    let (container, queue) = (settings["KEYMEND_CONTAINER"].clone(), settings["KEYMEND_JOBS_QUEUE"].clone());
    let settings = AzureStorageSettings { account, container, queue };
    let open = async || AzureStore::open_with_doorbell(&settings, None, clock.clone(), Ids::random()).await;
    Arc::new(patiently(open).await)
}

/// Asks the store again where a busy machine kept us waiting for too long.
async fn patiently<T>(ask: impl AsyncFn() -> keymend::store::Result<T>) -> T {
    let began = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(why) if began.elapsed() > READS => panic!("{why}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

fn settings_file(world: &World, policy: &Policy, cloud: &str) -> String {
    format!(
        r#"
[scope]
subscriptions = ["{}"]
[policy]
preset = "{}"
window_minutes = {}
dry_run = {}
[azure]
arm_endpoint = "{cloud}"
static_token = "{TOKEN}"
[simulated]
follow_clock = true

[patrol]
enabled = false
[teams]
url = "{cloud}/sink/teams"
[webhook]
url = "{cloud}/sink/webhook"
allow_private = true
"#,
        world.subscription,
        policy.preset.name(),
        policy.window_minutes,
        policy.dry_run,
    )
}
