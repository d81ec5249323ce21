//! `keymend handler`: the custom handler of a function app, as the Azure Functions host starts it.
//!
//! The order is the host's rule: the port is bound and answers before anything is read, since the host asks for it every 25 ms
//! and everything else may be slow or wrong. The process never ends with 0: the host takes that for an end that was meant,
//! starts nothing again and lets every later call fail (Azure/azure-functions-host, `WorkerProcess`; issue 6301).

mod open;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::environment;
use crate::cli::output::{complain, misused};
use crate::cli::serve::logs::{self, LogFormat, Sink};
use crate::clock::Clock;
use crate::ids::Ids;
use crate::telemetry;
use crate::web::functions::{self, Hosted, House, Peer};
use crate::web::{Doorway, Limits};

/// The variables by which the host tells the port; the second is the old name.
pub const PORT: [&str; 2] = ["FUNCTIONS_CUSTOMHANDLER_PORT", "FUNCTIONS_HTTPWORKER_PORT"];

/// A connection of the host is silent while a job is done, and is kept for the next: closing one must be left to the host.
const SILENCE: Duration = Duration::from_secs(20 * 60);

/// What a shell answers for a process that SIGTERM or SIGINT ended.
const TERMINATED: u8 = 143;
const INTERRUPTED: u8 = 130;

/// Answer the Azure Functions host: how a function app runs Keymend
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
The host starts it by host.json, without arguments, and tells the port in FUNCTIONS_CUSTOMHANDLER_PORT. Settings are the app's
settings (KEYMEND_…), and keymend.toml in the app's root if there is one. It runs until it is killed; see docs/functions.md.")]
pub struct HandlerArgs {
    /// The settings [default: keymend.toml in the app's root, if there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The port on 127.0.0.1 [default: what the host says]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
}

/// Whether the host started this process.
#[must_use]
pub fn is_hosted() -> bool {
    PORT.iter().any(|name| environment(name).is_some_and(|port| !port.trim().is_empty()))
}

/// Runs it.
pub fn run(args: HandlerArgs) -> ExitCode {
    let port = match port(&args) {
        Ok(port) => port,
        Err(why) => return misused(&why),
    };
    // One thread more than the smallest instance has cores: opening the rooms must not keep `GET /` waiting.
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(answer_the_host(args, port));
            runtime.shutdown_background();
            code
        }
        Err(error) => ended(&format!("the runtime could not be started: {error}")),
    }
}

fn port(args: &HandlerArgs) -> Result<u16, String> {
    if let Some(port) = args.port {
        return Ok(port);
    }
    let told = PORT.iter().find_map(|name| environment(name).filter(|port| !port.trim().is_empty()));
    let told = told.ok_or_else(|| {
        format!("no port is known: the Functions host tells it in {}; by hand, say --port. To run without the host: keymend serve", PORT[0])
    })?;
    told.trim().parse().map_err(|_| format!("{} is no port", PORT[0]))
}

async fn answer_the_host(args: HandlerArgs, port: u16) -> ExitCode {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let doorway = match Doorway::open(address).await {
        Ok(doorway) => doorway.closing_after(SILENCE),
        Err(error) => return ended(&format!("cannot listen at {address}: {error}")),
    };
    let port = doorway.address().map_or(port, |address| address.port());
    let (house, keeper) = House::new();
    let router = functions::router(Hosted { port, house, limits: Limits::default() });
    let serving = axum::serve(doorway, router.into_make_service_with_connect_info::<Peer>());
    let mut serving = tokio::spawn(serving.into_future());
    // Everything from here on may take its time.
    tokio::spawn(async move {
        let _ = tokio::task::spawn_blocking(start_log).await;
        tracing::info!(port, version = env!("CARGO_PKG_VERSION"), "answering the Functions host");
        open::keep_open(args.config, keeper).await;
    });
    let code = tokio::select! {
        code = asked_to_stop() => code,
        end = &mut serving => {
            tracing::error!(?end, "the listener ended");
            ExitCode::FAILURE
        }
    };
    // What is dropped in the middle of its work from here on has nothing to say.
    std::panic::set_hook(Box::new(|_| {}));
    code
}

/// A log that cannot be had must not keep alerts from being taken. Spans and metrics go to a collector if one is named; what
/// was not sent when the host kills this process is lost.
fn start_log() {
    let instance = Ids::random().uuid().to_string();
    let wanted = telemetry::Wanted { page: false, instance, started: Clock::system().now() };
    let telemetry = telemetry::start(&wanted, &environment);
    let layers = logs::layers(LogFormat::Json, Sink::Host);
    let layers = layers.or_else(|why| {
        complain(&why);
        logs::usual_layers(LogFormat::Json, Sink::Host)
    });
    let layers = layers.map(|mut layers| {
        layers.extend(telemetry.layer());
        layers
    });
    if let Err(why) = layers.and_then(logs::start) {
        complain(&why);
    }
    for fault in &telemetry.faults {
        tracing::warn!(fault, "telemetry is not as it was asked for; all else works");
    }
    telemetry.keep();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let said = panic.payload();
        let why =
            said.downcast_ref::<&str>().map(ToString::to_string).or_else(|| said.downcast_ref::<String>().cloned());
        let why = why.unwrap_or_default();
        tracing::error!(place, why, "a panic");
    }));
}

/// Returns on SIGTERM or SIGINT, with the code to end with. The host sends neither: it kills. Nothing is lost by either.
async fn asked_to_stop() -> ExitCode {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            return tokio::select! {
                _ = tokio::signal::ctrl_c() => ExitCode::from(INTERRUPTED),
                _ = terminate.recv() => ExitCode::from(TERMINATED),
            };
        }
    }
    let _ = tokio::signal::ctrl_c().await;
    ExitCode::from(INTERRUPTED)
}

fn ended(why: &str) -> ExitCode {
    complain(why);
    ExitCode::FAILURE
}
