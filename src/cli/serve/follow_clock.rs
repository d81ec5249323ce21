//! Which clock we run by: the machine's, or that of a simulated cloud on this machine; and how other commands learn of it.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, add};
use crate::settings::Settings;
use crate::store::{self, Store};

/// How long a simulated cloud that is just being started is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
const BETWEEN: Duration = Duration::from_millis(250);

/// The kind under which the clock in use is kept as a fact.
const FACT: (&str, &str) = ("clock", "serve");

/// What the simulated cloud says of its time.
#[derive(Debug, Deserialize)]
struct SimulatedTime {
    now: Timestamp,
    speed: f64,
}

/// A clock, by two readings taken at one moment.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    machine: Timestamp,
    shown: Timestamp,
    /// `None` for the machine's own clock.
    speed: Option<f64>,
}

/// The clock that the settings ask for.
pub(crate) async fn clock(settings: &Settings) -> anyhow::Result<Clock> {
    if !settings.azure.follow_clock {
        return Ok(Clock::system());
    }
    let address = settings.azure.endpoints.arm().join("sim/clock").context("the address of the simulated clock")?;
    let http = crate::tls::client().no_proxy().timeout(Duration::from_secs(3)).build()?;
    let mut last = anyhow!("it was not asked");
    let began = tokio::time::Instant::now();
    while began.elapsed() < PATIENCE {
        let asked = tokio::time::Instant::now();
        let answer =
            async { http.get(address.clone()).send().await?.error_for_status()?.json::<SimulatedTime>().await };
        match answer.await {
            Ok(SimulatedTime { speed, .. }) if !(speed.is_finite() && speed > 0.0) => {
                bail!("the simulated cloud at {address} says that its time runs at {speed}");
            }
            Ok(SimulatedTime { now, speed }) => {
                let way_back = asked.elapsed().as_secs_f64() / 2.0 * speed;
                return Ok(Clock::scaled(add(now, SignedDuration::from_secs_f64(way_back)), speed));
            }
            Err(error) => last = error.into(),
        }
        tokio::time::sleep(BETWEEN).await;
    }
    Err(last).with_context(|| format!("simulated.follow_clock is on, and {address} does not tell the time"))
}

/// Keeps the clock in use, for commands that work on the same store. The machine's own
/// needs no word, and a start that waits for no disk.
pub(super) async fn remember(store: &dyn Store, clock: &Clock, followed: bool) -> store::Result<()> {
    if !followed && kept(store).await?.is_none_or(|kept| kept.speed.is_none()) {
        return Ok(());
    }
    let (machine, shown) = (Clock::system().now(), clock.now());
    let kept = Kept { machine, shown, speed: clock.factor().filter(|_| followed) };
    // Three plain values always serialize.
    let value = serde_json::to_value(kept).unwrap_or_default();
    store.keep_fact(FACT.0, FACT.1, &value, shown).await
}

/// The clock by which `serve` last ran on this store.
pub(crate) async fn remembered(store: &dyn Store) -> store::Result<Clock> {
    let kept = kept(store).await?;
    let system = Clock::system();
    Ok(match kept {
        Some(Kept { machine, shown, speed: Some(speed) }) if speed > 0.0 => {
            let since = system.now().duration_since(machine).as_secs_f64();
            Clock::scaled(add(shown, SignedDuration::from_secs_f64(since * speed)), speed)
        }
        _ => system,
    })
}

async fn kept(store: &dyn Store) -> store::Result<Option<Kept>> {
    let fact = store.fact(FACT.0, FACT.1).await?;
    Ok(fact.and_then(|(value, _)| serde_json::from_value(value).ok()))
}
