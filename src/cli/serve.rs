//! `keymend serve`: takes alerts, mends, and tells, until it is stopped.

pub(crate) mod callers;
mod follow_clock;
pub(crate) mod house;
mod link_keys;
pub(crate) mod logs;
pub(crate) mod site;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::environment;
use crate::cli::output::{fail, misused, say};
use crate::clock::Clock;
use crate::ids::Ids;
use crate::patrol::Patrol;
use crate::settings::{Settings, StoreChoice, listen_address};
use crate::store::Store;
use crate::telemetry::{self, Telemetry};
use crate::web::{self, App, Callers, Doorway, Limits, Peer};
pub(crate) use follow_clock::{clock as clock_of, remembered};
use house::{Called, House};
pub use logs::LogFormat;

/// How long requests that are being answered may take when we are asked to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// How often the store is read for a collector, in real time: as often as metrics are sent.
const READ_STORE_EVERY: Duration = Duration::from_secs(10);

/// Take alerts and mend: runs until it is stopped
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ready when it prints `listening on http://…`. Logs go to standard error; KEYMEND_LOG chooses how much (info, debug, keymend::web=debug …).
Alerts are taken at POST /api/alerts?code=SECRET. Stopping it at any moment is safe, also with kill -9.")]
pub struct ServeArgs {
    /// The settings [default: keymend.toml in this folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to listen, over the settings; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where to remember, over the settings: such as sqlite:keymend.db, or azure (the account that AzureWebJobsStorage names)
    #[arg(long, value_name = "sqlite:PATH|azure")]
    pub store: Option<StoreChoice>,
    /// Take alerts from anybody: only on a closed network, or to try things out
    #[arg(long)]
    pub insecure_no_secret: bool,
    /// The form of the log
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log: LogFormat,
}

/// Runs it.
pub async fn run(args: ServeArgs) -> ExitCode {
    let telemetry = telemetry();
    let layers = logs::layers(args.log, logs::Sink::Stderr).map(|mut layers| {
        layers.extend(telemetry.layer());
        layers
    });
    if let Err(why) = layers.and_then(logs::start) {
        return misused(&why);
    }
    for fault in &telemetry.faults {
        tracing::warn!(fault, "telemetry is not as it was asked for; all else works");
    }
    let settings = match settings(&args) {
        Ok(settings) => settings,
        Err(why) => return misused(&why),
    };
    for fault in &settings.faults {
        tracing::error!(%fault, "a secret cannot be had; what needs it is off");
    }
    let callers = match callers::of(&settings, args.insecure_no_secret) {
        Ok(callers) => callers,
        Err(why) => return misused(&why),
    };
    let house = match house::build(&settings, Called::ByNobody).await {
        Ok(house) => house,
        Err(error) => return fail(&format!("{error:#}")),
    };
    let doorway = match Doorway::open(settings.server.listen).await {
        Ok(doorway) => doorway,
        Err(error) => return fail(&format!("cannot listen at {}: {error}", settings.server.listen)),
    };
    live(&settings, callers, house, doorway, telemetry).await
}

/// Who reads what this process does.
fn telemetry() -> Telemetry {
    let instance = Ids::random().uuid().to_string();
    let wanted = telemetry::Wanted { page: true, instance, started: Clock::system().now() };
    telemetry::start(&wanted, &environment)
}

/// The settings with what the command line changes.
fn settings(args: &ServeArgs) -> Result<Settings, String> {
    let mut settings = Settings::load(args.config.as_deref(), &environment).map_err(|problems| problems.to_string())?;
    if let Some(listen) = &args.listen {
        settings.server.listen = listen_address(listen).map_err(|why| format!("--listen {listen:?}: {why}"))?;
    }
    if let Some(store) = &args.store {
        settings.store = store.locate(&environment).map_err(|problems| problems.to_string())?;
    }
    Ok(settings)
}

async fn live(settings: &Settings, callers: Callers, house: House, doorway: Doorway, telemetry: Telemetry) -> ExitCode {
    let limits = Limits { max_body_bytes: settings.server.max_body_bytes, ..Limits::default() };
    let House { responder, link_keys, faults: off } = house;
    let pages = site::site(settings, Some(settings.server.listen), &responder, link_keys.as_ref());
    let (store, clock, wake) = (responder.store.clone(), responder.clock.clone(), responder.wake.clone());
    let settings_faults = settings.faults.iter().map(|fault| format!("{}: {}", fault.setting, fault.why));
    let faults = settings_faults.chain(off).collect();
    let scope = settings.policy.scope.clone().into();
    let readings = telemetry.sends_metrics.then(|| tokio::spawn(read_store(store.clone(), clock.clone())));
    let (warming, now) = (callers.clone(), clock.now());
    tokio::spawn(async move { warming.warm(now).await });
    let app = App { store, scope, callers, clock, wake, limits, faults, pages };
    let router = match telemetry.page() {
        Some(page) => web::router_with_metrics(app, page),
        None => web::router(app),
    };
    let router = router.into_make_service_with_connect_info::<Peer>();
    let address = match doorway.address() {
        Ok(address) => address,
        Err(error) => return fail(&format!("the address in use is not known: {error}")),
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(doorway, router).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let mut serving = tokio::spawn(serving.into_future());
    let patrol = Patrol::new(responder.clone(), settings.patrol.clone());
    let walking = tokio::spawn(async move { patrol.run().await });
    let mut worker = tokio::spawn(async move { responder.run().await });
    let asked_to_stop = asked_to_stop();
    say(&format!("listening on http://{address}"));
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "ready");
    tokio::select! {
        () = asked_to_stop => {
            tracing::info!("stopping");
            drop(stop);
            walking.abort();
            worker.abort();
            readings.inspect(tokio::task::JoinHandle::abort);
            let _ = tokio::time::timeout(LAST_ANSWERS, serving).await;
            telemetry.stop().await;
            ExitCode::SUCCESS
        }
        // Neither ends by itself. Whoever started us starts us again, and nothing is lost.
        end = &mut worker => fail(&format!("the responder ended: {end:?}")),
        end = &mut serving => fail(&format!("the listener ended: {end:?}")),
    }
}

/// Keeps the readings of the store fresh for a collector.
async fn read_store(store: Arc<dyn Store>, clock: Clock) {
    loop {
        web::metrics::read_store(&*store, &clock).await;
        tokio::time::sleep(READ_STORE_EVERY).await;
    }
}

/// Ends on SIGINT or SIGTERM, from the call on: whoever was told that we are ready may stop us at once.
fn asked_to_stop() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    };
    async move {
        #[cfg(unix)]
        if let (Ok(mut interrupt), Ok(mut terminate)) = signals {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        let _ = tokio::signal::ctrl_c().await;
    }
}
