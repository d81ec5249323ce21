//! Opens the rooms behind the doors, and tries again while that fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::environment;
use crate::cli::serve::callers::behind_the_host;
use crate::cli::serve::house::{self, Called};
use crate::cli::serve::site::site;
use crate::patrol::Patrol;
use crate::settings::{Settings, StoreLocation};
use crate::web::functions::{Keeper, Rooms, Standing};
use crate::web::{App, Limits};

/// The variable by which the host tells the folder of the app.
const APP_ROOT: &str = "FUNCTIONS_APP_ROOT_PATH";
/// The pauses between tries grow up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why the rooms could not be opened.
struct Shut {
    /// For everybody: names settings, shows no values.
    public: String,
    /// For the log.
    full: String,
}

/// Opens the rooms, again and again until it works, and does what a store without a queue needs.
pub(super) async fn keep_open(config: Option<PathBuf>, keeper: Keeper) {
    let mut tries = 0;
    let (rooms, works_alone) = loop {
        match open_aside(config.clone()).await {
            Ok(opened) => break opened,
            Err(Shut { public, full }) => {
                tries += 1;
                tracing::error!(tries, why = full, "Keymend cannot work; it is tried again");
                keeper.says(Standing::Shut { why: public.into(), tries });
                keeper.rests(pause(tries)).await;
            }
        }
    };
    tracing::info!(tries = tries + 1, "ready");
    let responder = rooms.responder.clone();
    keeper.says(Standing::Open(Arc::new(rooms)));
    if works_alone {
        tracing::info!("the store has no queue that the host could watch, so jobs are done in this process");
        responder.run().await;
    }
}

/// 1, 2, 4 … 60 seconds.
fn pause(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.saturating_sub(1).min(6)).min(LONGEST_PAUSE)
}

/// Opens them on a thread of its own: expressions are compiled, certificates read and files locked there, and the port must be
/// answered meanwhile.
async fn open_aside(config: Option<PathBuf>) -> Result<(Rooms, bool), Shut> {
    let runtime = tokio::runtime::Handle::current();
    let opening = tokio::task::spawn_blocking(move || runtime.block_on(open(config.as_deref())));
    opening.await.unwrap_or_else(|error| {
        let public = "something failed inside; the log says what".to_owned();
        Err(Shut { public, full: error.to_string() })
    })
}

/// Opens them once. Answers also whether jobs must be taken up in this process.
async fn open(config: Option<&Path>) -> Result<(Rooms, bool), Shut> {
    let settings = settings(config)?;
    for fault in &settings.faults {
        tracing::error!(%fault, "a secret cannot be had; what needs it is off");
    }
    let house = house::build(&settings, Called::ByQueue).await.map_err(|error| Shut {
        public: "the store or the cloud's credential cannot be used; the log says why".to_owned(),
        full: format!("{error:#}"),
    })?;
    let faults = settings.faults.iter().map(|fault| format!("{}: {}", fault.setting, fault.why));
    let responder = house.responder;
    let pages = site(&settings, None, &responder, house.link_keys.as_ref());
    let app = App {
        store: responder.store.clone(),
        scope: settings.policy.scope.clone().into(),
        // The host checks the key of the function; see `web::functions::http`.
        callers: behind_the_host(&settings),
        clock: responder.clock.clone(),
        wake: responder.wake.clone(),
        limits: Limits { max_body_bytes: settings.server.max_body_bytes, ..Limits::default() },
        faults: faults.chain(house.faults).collect(),
        pages,
    };
    let (callers, now) = (app.callers.clone(), responder.clock.now());
    tokio::spawn(async move { callers.warm(now).await });
    let works_alone = matches!(settings.store, StoreLocation::Sqlite(_));
    let patrol = Patrol::new(responder.clone(), settings.patrol.clone());
    Ok((Rooms { responder, patrol, app: Arc::new(app), opening: Arc::default() }, works_alone))
}

fn settings(config: Option<&Path>) -> Result<Settings, Shut> {
    let beside = || {
        let file = PathBuf::from(environment(APP_ROOT)?).join("keymend.toml");
        (environment("KEYMEND_CONFIG").is_none() && file.is_file()).then_some(file)
    };
    let file = config.map(Path::to_path_buf).or_else(beside);
    Settings::load(file.as_deref(), &environment).map_err(|problems| {
        let mut names: Vec<&str> = problems.list.iter().map(|problem| problem.setting.as_str()).collect();
        names.dedup();
        Shut {
            public: format!("these settings cannot be used: {}; the log says why", names.join(", ")),
            full: problems.to_string(),
        }
    })
}
