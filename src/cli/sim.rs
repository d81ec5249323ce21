//! `keymend sim`: the simulated cloud alone, for trying a responder in another process against it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::clock::Clock;
use crate::drill::cloud::{Cloud, World};

/// Options of `keymend sim`.
#[derive(Debug, clap::Args)]
pub struct SimArgs {
    /// Where to listen; a loopback address.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// A world to begin with, as TOML or JSON; without it, one server, three databases, one vault.
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
    /// A right that the responder lacks, by its exact name; may be given more than once.
    #[arg(long, value_name = "ACTION")]
    pub without_right: Vec<String>,
    /// How many times faster than real time the cloud's clock runs.
    #[arg(long, value_name = "N", default_value_t = 60.0)]
    pub speed: f64,
    /// Where alerts are posted: the responder's intake, with its `?code=`. Can be set later with POST /sim/webhook.
    #[arg(long, value_name = "URL")]
    pub webhook: Option<String>,
}

/// Runs the simulated cloud until it is interrupted. Ends with 2 if it cannot begin.
pub async fn run(args: SimArgs) -> ExitCode {
    match serve(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("keymend sim: {why}");
            ExitCode::from(2)
        }
    }
}

async fn serve(args: SimArgs) -> Result<(), String> {
    if !args.listen.ip().is_loopback() {
        return Err(format!("{} is no loopback address; the simulated cloud has no business elsewhere", args.listen));
    }
    if !(args.speed.is_finite() && args.speed > 0.0) {
        return Err(format!("--speed {} is no positive number", args.speed));
    }
    let mut world = match &args.world {
        Some(file) => read_world(file)?,
        None => World::standard(),
    };
    for action in &args.without_right {
        let without = world.clone().without_right(action);
        if without == world {
            return Err(format!("--without-right {action}: the responder of this world has no such right"));
        }
        world = without;
    }
    let origin = world.origin.unwrap_or_else(|| Clock::system().now());
    let cloud = Cloud::new(world, Clock::scaled(origin, args.speed));
    if let Some(webhook) = args.webhook {
        cloud.deliver_to(webhook);
    }
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let running = cloud.serve(listener).await.map_err(|error| error.to_string())?;
    println!("listening on {}", running.url());
    tokio::signal::ctrl_c().await.map_err(|error| format!("cannot wait for an interrupt: {error}"))
}

fn read_world(file: &Path) -> Result<World, String> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read the world {name}: {error}"))?;
    let json = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    if json {
        serde_json::from_str(&text).map_err(|error| format!("the world {name} is not understood: {error}"))
    } else {
        toml::from_str(&text).map_err(|error| format!("the world {name} is not understood: {error}"))
    }
}
