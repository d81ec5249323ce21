//! The handler's process: started, watched, killed and started again as the host does. There is no graceful stop.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::crashes::{Crashes, Reaction};
use super::host_json::{AppSettings, HostJson};
use super::lines::{Lines, Stream};

const BETWEEN_LOOKS: Duration = Duration::from_millis(25);
const AFTER_A_KILL: Duration = Duration::from_secs(1);

/// What is started.
#[derive(Debug, Clone)]
pub struct Launch {
    pub executable: PathBuf,
    pub arguments: Vec<String>,
    pub working_directory: PathBuf,
    pub app_root: PathBuf,
    pub settings: AppSettings,
    pub port: Option<u16>,
    pub initialization_timeout: Duration,
    /// How long a request to `/` may take at start.
    pub function_timeout: Duration,
    /// When the host has given up, the platform starts a new one.
    pub platform_restarts: bool,
}

impl Launch {
    /// As `host.json` says.
    pub fn new(app_root: &Path, json: &HostJson, settings: &AppSettings, platform_restarts: bool) -> Self {
        let in_root = app_root.join(&json.executable);
        Self {
            // What is not under the root is looked up on the PATH.
            executable: if in_root.is_file() { in_root } else { PathBuf::from(&json.executable) },
            arguments: json.arguments.clone(),
            working_directory: app_root.join(&json.working_directory),
            app_root: app_root.to_owned(),
            settings: settings.clone(),
            port: json.port,
            initialization_timeout: json.initialization_timeout,
            function_timeout: json.function_timeout,
            platform_restarts,
        }
    }

    fn spawn(&self, port: u16) -> std::io::Result<Child> {
        let mut command = Command::new(&self.executable);
        // The host's own environment: the machine's, without what a developer set for the handler, and the app settings.
        let foreign = |name: &str| {
            ["KEYMEND_", "AzureWebJobs", "AZURE_", "FUNCTIONS_", "OTEL_"].iter().any(|start| name.starts_with(start))
        };
        for (name, _) in std::env::vars().filter(|(name, _)| foreign(name)) {
            command.env_remove(name);
        }
        let id = Uuid::new_v4().to_string();
        command.envs(&self.settings).args(&self.arguments).current_dir(&self.working_directory);
        command
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .env("FUNCTIONS_HTTPWORKER_PORT", port.to_string());
        command.env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &id).env("FUNCTIONS_HTTPWORKER_ID", &id);
        command.env("FUNCTIONS_APP_ROOT_PATH", &self.app_root);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }
}

/// How the handler is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is started, or started again; invocations wait.
    Starting,
    /// It answered.
    Ready { port: u16 },
    /// It ended with 0: nobody starts it again, and every invocation fails.
    Dead,
    /// The host has stopped, and why.
    Stopped(String),
}

/// The handler's process, whichever it is at the moment.
#[derive(Clone)]
pub struct Worker(Arc<Shared>);

struct Shared {
    launch: Launch,
    state: watch::Sender<State>,
    child: Mutex<Option<Child>>,
    lines: Lines,
    /// The next end is the host's own doing, and no crash.
    disposed: AtomicBool,
    starts: AtomicUsize,
    hosts: AtomicUsize,
    ready_within: Mutex<Vec<Duration>>,
    living: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// Starts it, in the background.
    pub fn start(launch: Launch, lines: Lines) -> Self {
        let shared = Arc::new(Shared {
            launch,
            state: watch::Sender::new(State::Starting),
            child: Mutex::default(),
            lines,
            disposed: AtomicBool::new(false),
            starts: AtomicUsize::new(0),
            hosts: AtomicUsize::new(1),
            ready_within: Mutex::default(),
            living: Mutex::default(),
        });
        let living = tokio::spawn(live(shared.clone()));
        *shared.living.lock().unwrap() = Some(living);
        Self(shared)
    }

    pub fn state(&self) -> State {
        self.0.state.borrow().clone()
    }

    /// How often the process was started.
    pub fn starts(&self) -> usize {
        self.0.starts.load(Ordering::Acquire)
    }

    /// How many hosts there have been: more than one where the platform had to start another.
    pub fn hosts(&self) -> usize {
        self.0.hosts.load(Ordering::Acquire)
    }

    /// How long each start took until the first answer.
    pub fn ready_within(&self) -> Vec<Duration> {
        self.0.ready_within.lock().unwrap().clone()
    }

    /// Its port, once it is ready. Invocations wait for as long as the host lets them.
    pub async fn ready(&self) -> Result<u16, String> {
        let patience = self.0.launch.initialization_timeout * 4;
        let mut state = self.0.state.subscribe();
        let settled = state.wait_for(|state| *state != State::Starting);
        let settled = tokio::time::timeout(patience, settled).await.map(|state| state.map(|state| state.clone()));
        match settled {
            Ok(Ok(State::Ready { port })) => Ok(port),
            Ok(Ok(State::Dead)) => Err("the handler ended with 0 and is not started again".to_owned()),
            Ok(Ok(State::Stopped(why))) => Err(format!("the host has stopped: {why}")),
            _ => Err("Initialization timed out and host is shutting down".to_owned()),
        }
    }

    /// Kill −9, by somebody else than the host: a crash. Answers whether there was a process to kill.
    pub fn kill(&self) -> bool {
        self.0.child.lock().unwrap().as_mut().is_some_and(|child| child.kill().is_ok())
    }

    /// The id of the process.
    pub fn pid(&self) -> Option<u32> {
        self.0.child.lock().unwrap().as_ref().map(Child::id)
    }

    /// Kill −9 and a new start, by the host itself: no crash is counted.
    pub async fn restart(&self) {
        let before = self.starts();
        self.0.disposed.store(true, Ordering::Release);
        self.kill();
        let began = Instant::now();
        while self.starts() == before && began.elapsed() < AFTER_A_KILL {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The end: kill −9, and a second at most to wait for it.
    pub fn stop(&self, why: &str) {
        if let Some(living) = self.0.living.lock().unwrap().take() {
            living.abort();
        }
        if let Some(mut child) = self.0.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.0.state.send_replace(State::Stopped(why.to_owned()));
    }
}

/// From the first start to the last end.
async fn live(shared: Arc<Shared>) {
    let began = Instant::now();
    let mut crashes = Crashes::default();
    loop {
        shared.state.send_replace(State::Starting);
        let start = shared.starts.load(Ordering::Acquire) + 1;
        let port = shared.launch.port.unwrap_or_else(free_port);
        let mut child = match shared.launch.spawn(port) {
            Ok(child) => child,
            Err(error) => {
                let why = format!("{} cannot be started: {error}", shared.launch.executable.display());
                shared.state.send_replace(State::Stopped(why));
                return;
            }
        };
        shared.lines.follow(Stream::Out, child.stdout.take().unwrap(), start);
        shared.lines.follow(Stream::Err, child.stderr.take().unwrap(), start);
        *shared.child.lock().unwrap() = Some(child);
        shared.starts.store(start, Ordering::Release);
        let ended = tokio::select! {
            status = until_exit(&shared) => Some(status),
            () = until_ready(&shared, port) => None,
        };
        let status = match ended {
            Some(status) => status,
            None if *shared.state.borrow() == (State::Ready { port }) => Some(until_exit(&shared).await).flatten(),
            // Not ready in time.
            None => None,
        };
        let disposed = shared.disposed.swap(false, Ordering::AcqRel);
        let reaction = match status {
            _ if disposed => Reaction::Restart,
            Some(status) => crashes.ended(status.code(), began.elapsed()),
            None => crashes.failed(began.elapsed()),
        };
        if let Some(mut child) = shared.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        match reaction {
            Reaction::Restart => {}
            Reaction::Nothing => {
                shared.state.send_replace(State::Dead);
                return;
            }
            Reaction::StopHost if shared.launch.platform_restarts => {
                crashes = Crashes::default();
                shared.hosts.fetch_add(1, Ordering::AcqRel);
            }
            Reaction::StopHost => {
                let why = "Exceeded http worker restart retry count. Shutting down Functions Host".to_owned();
                shared.state.send_replace(State::Stopped(why));
                return;
            }
        }
    }
}

async fn until_exit(shared: &Shared) -> Option<ExitStatus> {
    loop {
        match shared.child.lock().unwrap().as_mut().map(Child::try_wait) {
            Some(Ok(None)) => {}
            Some(Ok(status)) => return status,
            Some(Err(_)) | None => return None,
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// Asks for `/` every 25 ms; any answer will do. Comes back without it when so many intervals have gone by.
async fn until_ready(shared: &Shared, port: u16) {
    let began = Instant::now();
    let timeout = shared.launch.function_timeout + Duration::from_secs(60);
    let client = keymend::tls::client().no_proxy().timeout(timeout).build().unwrap();
    let looks = shared.launch.initialization_timeout.as_millis() / BETWEEN_LOOKS.as_millis();
    for _ in 0..=looks {
        match client.get(format!("http://127.0.0.1:{port}/")).send().await {
            Err(error) if error.is_connect() => tokio::time::sleep(BETWEEN_LOOKS).await,
            _ => {
                shared.ready_within.lock().unwrap().push(began.elapsed());
                shared.state.send_replace(State::Ready { port });
                return;
            }
        }
    }
}

/// A port below the range from which systems take those of outgoing connections.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 149).unwrap() * 100;
    loop {
        let port = 13_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 16_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
