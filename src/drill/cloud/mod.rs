//! The simulated cloud: Azure Resource Manager, Key Vault and SQL's own watch over its key, on one loopback address.
//!
//! It answers what Azure's published APIs answer, refuses what Azure refuses, and lets time do what it does there. It
//! knows nothing of the responder but its token and its roles.
//!
//! | file | job |
//! |---|---|
//! | [`world`], `world_defaults`, `builder`, `roles` | what exists when the story begins |
//! | `state`, `resources`, `populate`, `snapshot` | what exists now |
//! | `chain`, `time_line` | SQL's look at its key, and what follows by itself |
//! | `rights`, `assignments`, `throttle` | who may do what, and how often |
//! | `arm/`, `data_plane`, `data_plane_keys`, `data_plane_refusals` | the two services that are called |
//! | `actor`, `activity_log`, `log_filter`, `alert_body`, `action_group` | what is written down, and who is told |
//! | `grid_watch`, `event_grid` | which events Event Grid has, and how it delivers them |
//! | `entra` | the tenant's keys, and the tokens of those who call |
//! | `breaks`, `break_it`, `break_access`, `break_vault` | what people and accidents do |
//! | `sinks/` | stand-ins for the services that tell people |
//! | `server`, `line`, `incoming`, `exchange`, `wire`, `control`, `record`, `recording`, `faults`, `mischief` | the wire |

mod action_group;
mod activity_log;
mod actor;
mod alert_body;
mod arm;
mod assignments;
mod break_access;
mod break_it;
mod break_vault;
mod breaks;
mod builder;
mod chain;
mod control;
mod data_plane;
mod data_plane_keys;
mod data_plane_refusals;
mod entra;
mod event_grid;
mod exchange;
mod faults;
mod geo;
mod grid;
mod grid_watch;
mod incoming;
mod line;
mod log_entry;
mod log_filter;
mod mischief;
mod populate;
mod record;
mod recording;
mod resources;
mod rights;
mod roles;
pub(crate) mod rotation;
mod server;
mod sinks;
mod snapshot;
mod state;
mod throttle;
mod time_line;
mod wire;
pub mod world;
mod world_defaults;
mod world_sql;
mod world_vaults;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub use self::action_group::Delivery;
pub use self::actor::Actor;
pub use self::breaks::{Break, KeyRef, What};
pub use self::entra::{FirstParty, SecureWebhook};
pub use self::faults::{Fault, FaultKind};
pub use self::mischief::Said;
pub use self::record::{Reads, Tally};
pub use self::recording::{Exchange, Plane};
pub use self::roles::CRYPTO_SERVICE_ENCRYPTION_USER;
pub use self::server::Running;
pub use self::world::{TOKEN, World};
use crate::clock::{Busy, Clock};

/// A simulated cloud. Clones are handles to the same one.
#[derive(Clone)]
pub struct Cloud(Arc<Inner>);

/// When a hook is called in the life of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// It has come; nothing has happened yet.
    Before,
    /// It has been carried out; its answer has not been sent.
    After,
}

/// What a hook wants done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Go,
    /// Never answer it.
    Stall,
}

/// Something that a sink for notices received.
#[derive(Debug, Clone, Serialize)]
pub struct Posted {
    /// When.
    pub at: Timestamp,
    /// Which sink: `teams`, `webhook`, or one of the stand-ins.
    pub sink: String,
    /// The request's headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body; no JSON is kept as a text.
    pub body: Value,
    /// The body as it came.
    #[serde(skip)]
    pub raw: String,
    /// What was answered.
    pub status: u16,
}

type Hook = Arc<dyn Fn(Moment, &Exchange) -> Verdict + Send + Sync>;
type Chooser = Arc<dyn Fn(&Exchange) -> Option<Fault> + Send + Sync>;
type Liar = Arc<dyn Fn(&Exchange, &mut Said) + Send + Sync>;

struct Inner {
    clock: Clock,
    state: Mutex<state::State>,
    record: Mutex<record::Record>,
    began: Timestamp,
    faults: Mutex<faults::Faults>,
    hook: Mutex<Option<Hook>>,
    chooser: Mutex<Option<Chooser>>,
    liar: Mutex<Option<Liar>>,
    webhook: Mutex<Option<String>>,
    events: Mutex<event_grid::Subscription>,
    entra: Mutex<entra::Entra>,
    deliveries: Mutex<Vec<Delivery>>,
    inbox: Mutex<Vec<Posted>>,
    sinks: Mutex<sinks::Sinks>,
    quiet_until: Mutex<Timestamp>,
    client: Option<reqwest::Client>,
    wake: UnboundedSender<Busy>,
    woken: Mutex<Option<UnboundedReceiver<Busy>>>,
    running: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn webhook(&self) -> Option<String> {
        lock(&self.webhook).clone()
    }

    fn delivered(&self, delivery: Delivery) {
        lock(&self.deliveries).push(delivery);
    }

    fn is_quiet(&self, now: Timestamp) -> bool {
        now < *lock(&self.quiet_until)
    }

    fn be_quiet_until(&self, until: Timestamp) {
        let mut quiet = lock(&self.quiet_until);
        *quiet = (*quiet).max(until);
    }

    /// Tells the scheduler that what is to come may have changed. The clock stands still until it has looked.
    fn wake(&self) {
        if self.running.load(Ordering::Acquire) {
            // Nobody listens once the cloud is stopped; the guard is then dropped here.
            let _ = self.wake.send(self.clock.busy());
        }
    }
}

impl Cloud {
    /// A cloud with this world in it, whose story begins now by this clock.
    #[must_use]
    pub fn new(world: World, clock: Clock) -> Self {
        let (wake, woken) = unbounded_channel();
        let now = clock.now();
        Self(Arc::new(Inner {
            record: Mutex::new(record::Record::new(world.keep_reads)),
            state: Mutex::new(state::State::new(world, now)),
            clock,
            began: now,
            faults: Mutex::default(),
            hook: Mutex::default(),
            chooser: Mutex::default(),
            liar: Mutex::default(),
            webhook: Mutex::default(),
            events: Mutex::default(),
            entra: Mutex::default(),
            deliveries: Mutex::default(),
            inbox: Mutex::default(),
            sinks: Mutex::default(),
            quiet_until: Mutex::new(Timestamp::MIN),
            client: crate::tls::client().no_proxy().build().ok(),
            wake,
            woken: Mutex::new(Some(woken)),
            running: AtomicBool::new(false),
        }))
    }

    /// Answers on `listener`, in the background, until what comes back is stopped or dropped.
    ///
    /// # Errors
    /// Where the listener has no address.
    #[allow(clippy::unused_async)]
    pub async fn serve(&self, listener: tokio::net::TcpListener) -> std::io::Result<Running> {
        server::serve(&self.0, listener)
    }

    /// Lets something happen in the cloud. What names something that is not there changes nothing; see
    /// [`Self::try_break`] for why.
    pub fn break_it(&self, what: &Break) {
        if let Err(missing) = self.try_break(what) {
            tracing::warn!(%missing, "nothing was broken");
        }
    }

    /// Lets something happen in the cloud.
    ///
    /// # Errors
    /// In words, if it names something that is not there.
    pub fn try_break(&self, what: &Break) -> Result<(), String> {
        let _busy = self.0.clock.busy();
        let now = self.0.clock.now();
        let result = {
            let mut state = lock(&self.0.state);
            state.advance(now);
            state.break_it(what)
        };
        self.0.wake();
        result
    }

    /// What exists now: servers with their databases (Azure's `status`, and `access` on the time line), vaults, keys,
    /// grants, locks, denies.
    #[must_use]
    pub fn world(&self) -> Value {
        let now = self.0.clock.now();
        let mut state = lock(&self.0.state);
        state.advance(now);
        let mut snapshot = state.snapshot();
        let keyed = state.servers.iter().filter(|server| server.protector.is_some());
        let read: Vec<String> = keyed.map(|one| format!("{}/encryptionprotector/current", one.id.key())).collect();
        drop(state);
        snapshot["requests"] = lock(&self.0.record).tally().shown(read.into_iter(), self.0.began, now);
        self.0.wake();
        snapshot
    }

    /// Each database, as `server/database`, with Azure's `status`.
    #[must_use]
    pub fn statuses(&self) -> BTreeMap<String, String> {
        let now = self.0.clock.now();
        let mut state = lock(&self.0.state);
        state.advance(now);
        let all = state.servers.iter().flat_map(|server| {
            let name = move |database: &resources::Database| format!("{}/{}", server.id.name(), database.id.name());
            server.databases.iter().map(move |one| (name(one), one))
        });
        let statuses = all.map(|(name, database)| (name, state.status(database).to_owned())).collect();
        drop(state);
        self.0.wake();
        statuses
    }

    /// Every request so far, with its answer, in the order they came; without those that only read, if the world says so.
    #[must_use]
    pub fn requests(&self) -> Vec<Exchange> {
        self.requests_that(|_| true)
    }

    /// The requests so far that `wanted` wants, as [`Self::requests`].
    #[must_use]
    pub fn requests_that(&self, wanted: impl Fn(&Exchange) -> bool) -> Vec<Exchange> {
        lock(&self.0.record).kept().filter(|one| wanted(one)).cloned().collect()
    }

    /// Counts of every request so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        lock(&self.0.record).tally().clone()
    }

    /// Every request that was sent to Azure, as HAR 1.2, under the hosts that Azure has.
    #[must_use]
    pub fn har(&self) -> Value {
        recording::har(lock(&self.0.record).kept())
    }

    /// Makes requests fail.
    pub fn fault(&self, fault: Fault) {
        lock(&self.0.faults).arm(fault, self.0.clock.now());
    }

    /// Calls `hook` for every request, before it is carried out and after, before the answer is sent. Control routes are
    /// no requests. It must not call the cloud.
    pub fn on_request(&self, hook: impl Fn(Moment, &Exchange) -> Verdict + Send + Sync + 'static) {
        *lock(&self.0.hook) = Some(Arc::new(hook));
    }

    /// Asks `choose` for every request whether it fails, and how, before what [`Self::fault`] armed. It must not call the cloud.
    pub fn fault_when(&self, choose: impl Fn(&Exchange) -> Option<Fault> + Send + Sync + 'static) {
        *lock(&self.0.chooser) = Some(Arc::new(choose));
    }

    /// Hands every answer that has a JSON body to `lie` before it is sent. What was carried out stays; what is recorded is
    /// what was said. It must not call the cloud.
    pub fn lie_with(&self, lie: impl Fn(&Exchange, &mut Said) + Send + Sync + 'static) {
        *lock(&self.0.liar) = Some(Arc::new(lie));
    }

    /// Where the Action Group posts alerts: a URL, with its `?code=` if it needs one.
    pub fn deliver_to(&self, webhook: String) {
        *lock(&self.0.webhook) = Some(webhook);
    }

    /// Where Event Grid delivers: a URL, with its `?code=` if it needs one. Without it, where the Action Group posts.
    pub fn deliver_events_to(&self, url: String) {
        lock(&self.0.events).url = Some(url);
    }

    /// Every attempt to deliver an alert or an event so far.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.0.deliveries).clone()
    }

    /// What the stand-in for a service holds: `servicenow`, `pagerduty`, `slack`, `jsm`, `jira` or `flow`; null for others.
    #[must_use]
    pub fn sink(&self, name: &str) -> Value {
        lock(&self.0.sinks).holds(name).unwrap_or_default()
    }

    /// What the sinks received: every request to one, in the order in which they came.
    #[must_use]
    pub fn inbox(&self) -> Vec<Posted> {
        lock(&self.0.inbox).clone()
    }

    /// The cloud's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }
}
