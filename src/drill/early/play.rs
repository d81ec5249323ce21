//! One loss, from its moment until every database is in service.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{Losses, Outcome, Told, losses};
use crate::clock::{Clock, add};
use crate::domain::policy::{Policy, Preset};
use crate::drill::cloud::world::TOKEN;
use crate::drill::cloud::{Cloud, World};
use crate::drill::{house, judge, story};
use crate::ids::Ids;
use crate::patrol::PatrolSettings;

const BEGINNING: &str = "2026-11-24T02:00:00Z";
/// How exactly moments are told, until access is back …
const FINE: SignedDuration = SignedDuration::from_secs(5);
/// … and after.
const COARSE: SignedDuration = SignedDuration::from_mins(1);
/// When a loss is given up.
const HORIZON: SignedDuration = SignedDuration::from_hours(6);

/// Plays the loss of that seed.
pub(super) async fn one(told: Told, losses: Losses, seed: u64) -> anyhow::Result<Outcome> {
    let losses::Loss { words, mut world, what, after } = losses::draw(losses, seed);
    let patrol = tell_by(told, &mut world);
    let folder = house::Folder::new(None, "early", Preset::Auto)?;
    let clock = Clock::stepped(BEGINNING.parse()?, None);
    let stage = clock.busy();
    let mut policy = Policy { preset: Preset::Auto, ..Policy::default() };
    policy.scope.subscriptions = vec![world.subscription.clone()];
    let cloud = Cloud::new(world, clock.clone());
    let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await?).await?;
    let (url, ids) = (running.url(), Ids::seeded(seed));
    let house = house::build_with(&policy, patrol, &url, TOKEN, folder.path(), &clock, ids).await?;
    cloud.deliver_to(house.webhook());
    drop(stage);
    let lost_at = add(clock.now(), after);
    let held = clock.idle_until(lost_at).await;
    cloud.try_break(&what).map_err(anyhow::Error::msg)?;
    let next_look = looks_next(&cloud.world()).unwrap_or(lost_at).duration_since(lost_at);
    drop(held);
    let mut outcome = Outcome {
        told,
        losses,
        loss: words,
        first_write: None,
        access_back: None,
        next_look,
        denied: false,
        healed: false,
    };
    let held = watch(&clock, &cloud, lost_at, &mut outcome).await;
    house.stop().await;
    drop(held);
    running.stop().await;
    Ok(outcome)
}

/// Sets up what tells Keymend. Answers its patrol.
fn tell_by(told: Told, world: &mut World) -> PatrolSettings {
    world.alerts.webhooks = told != Told::Patrol;
    world.alerts.cause_alerts = matches!(told, Told::CauseAlerts | Told::EventGrid | Told::All);
    world.alerts.event_grid = matches!(told, Told::EventGrid | Told::All);
    if matches!(told, Told::Patrol | Told::All) { PatrolSettings::default() } else { PatrolSettings::off() }
}

async fn watch(clock: &Clock, cloud: &Cloud, lost_at: Timestamp, outcome: &mut Outcome) -> crate::clock::Busy {
    loop {
        let step = if outcome.access_back.is_some() { COARSE } else { FINE };
        let now = clock.now();
        let held = clock.idle_until(add(now, step)).await;
        let (now, world) = (clock.now(), cloud.world());
        let online = story::statuses(&world).values().all(|status| status == "Online");
        outcome.denied |= !online;
        if outcome.first_write.is_none() {
            let writes = cloud.requests_that(|exchange| exchange.effect && judge::is_write(exchange));
            outcome.first_write = writes.first().map(|exchange| exchange.at.duration_since(lost_at));
        }
        let usable = world["servers"][0]["key_access"] == "ok";
        if outcome.access_back.is_none() && usable && outcome.first_write.is_some() {
            outcome.access_back = Some(now.duration_since(lost_at));
        }
        outcome.healed = usable && online;
        let looked = now >= add(lost_at, SignedDuration::from_mins(12));
        if outcome.healed && looked || now >= add(lost_at, HORIZON) {
            return held;
        }
        drop(held);
    }
}

fn looks_next(world: &Value) -> Option<Timestamp> {
    world["servers"][0]["looks_next"].as_str()?.parse().ok()
}
