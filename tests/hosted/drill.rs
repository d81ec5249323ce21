//! Scenarios of the drill end under the host as they declare: as on SQLite. One of each kind is told; all of them take a
//! quarter of an hour. `KEYMEND_TEST_STORY=all` tells every one under each of its presets, `KEYMEND_TEST_STORY=lost-webhooks`
//! those whose name and preset hold the text.

use std::time::Instant;

use futures::StreamExt;
use jiff::SignedDuration;
use keymend::domain::policy::Preset;
use keymend::drill::scenario::{self, Scenario};
use tokio::sync::Semaphore;

use crate::play::play;
use crate::progress;
use crate::stage::Stage;
use crate::verdict;

/// Virtual seconds in a second.
const SPEED: f64 = 90.0;
/// What two cores carry at a time: a story of one server weighs 1, and waits most of the time.
pub const WHOLE_MACHINE: u32 = 6;
/// Who waits first is served first: the storm comes when every story is told, or is told for the first time.
pub static MACHINE: Semaphore = Semaphore::const_new(WHOLE_MACHINE as usize);
/// No server has more databases: with the ten of `shared-vault`, what is measured is how fast Azurite takes 1,200 alerts.
const DATABASES: usize = 3;
/// A story of many servers has fewer still.
const DATABASES_OF_MANY: usize = 1;
/// A patrol of more hours takes too long here.
const LONGEST_PATROL: SignedDuration = SignedDuration::from_hours(4);
/// More servers measure Azurite, not Keymend.
const MOST_SERVERS: usize = 50;
/// So many of them take part.
const SERVERS_AT_ONCE: usize = 12;
/// One story in so many comes from a host that does not know how to proxy.
const BY_PAYLOAD_ONE_IN: usize = 3;
/// What is told where nobody asks for more: the ways in which a story can go that differ for the host.
const OF_EACH_KIND: [&str; 14] = [
    "vault-deleted:auto",
    "permission-revoked-rbac:guarded",
    "vault-outage:auto",
    "key-purged:auto",
    "deliberate-revocation:auto",
    "late-alert:auto",
    "old-eight-hour-window:guarded",
    "fight-the-admin:auto",
    "dry-run:auto",
    "throttled:auto",
    "shared-vault:auto",
    "lost-webhooks:auto",
    "managed-instance-permission:auto",
    "database-level-key:auto",
];

/// A story of long waits runs faster; the machine's slowness matters less in it.
fn speed(scenario: &Scenario) -> f64 {
    match scenario.name {
        "old-eight-hour-window" => 4.0 * SPEED,
        "read-only-lock" | "late-alert" => 1.5 * SPEED,
        // A person is faster than Keymend by seconds.
        "already-fixed" => 0.3 * SPEED,
        _ => SPEED,
    }
}

/// What it asks of the machine, of [`WHOLE_MACHINE`].
fn weight(scenario: &Scenario) -> u32 {
    if scenario.name == "shared-vault" { WHOLE_MACHINE / 2 } else { 1 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenarios_end_under_the_host_as_they_declare() {
    let all = scenario::all().into_iter();
    let mut all: Vec<(usize, Scenario, Preset)> = all
        .flat_map(|scenario| scenario.presets.iter().map(move |preset| (scenario, *preset)))
        .filter(|(scenario, preset)| is_wanted(&format!("{}:{}", scenario.name, preset.name())))
        .filter(|(scenario, preset)| can_be_told(scenario, *preset))
        .enumerate()
        .map(|(at, (scenario, preset))| (at, scenario, preset))
        .collect();
    let asked_for = wanted();
    assert!(!all.is_empty(), "no story of this name can be told here: {asked_for:?}");
    assert!(!asked_for.is_empty() || all.len() == OF_EACH_KIND.len(), "a story of the list is not there: {all:?}");
    // The heaviest first: the light ones fill the gaps.
    all.sort_by_key(|(_, scenario, _)| std::cmp::Reverse(weight(scenario)));
    let count = all.len();
    let results: Vec<Option<Vec<String>>> = futures::stream::iter(all)
        .map(|(at, scenario, preset)| tell(scenario, preset, at % BY_PAYLOAD_ONE_IN == 1))
        .buffer_unordered(count)
        .collect()
        .await;
    let faults: Vec<String> = results.into_iter().flatten().flatten().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether an Action Group's webhook tells of it, or the patrol finds it within hours: Event Grid is not part of this stage.
fn can_be_told(scenario: &Scenario, preset: Preset) -> bool {
    let setup = (scenario.setup)(preset);
    let found = setup.patrol && setup.horizon <= LONGEST_PATROL;
    !setup.world.alerts.event_grid
        && (setup.world.alerts.webhooks || found)
        && setup.world.servers.len() <= MOST_SERVERS
}

/// Whether a story is to be told, see above.
fn is_wanted(story: &str) -> bool {
    match wanted().as_str() {
        "" => OF_EACH_KIND.contains(&story),
        "all" => true,
        part => story.contains(part),
    }
}

fn wanted() -> String {
    std::env::var("KEYMEND_TEST_STORY").unwrap_or_default()
}

/// Plays one; where it does not end as it should, once more at half the speed, and then alone at a quarter of it: a machine
/// that is too slow for the story tells nothing, and a defect shows at any speed. `None`: Azurite is to be done without.
async fn tell(scenario: Scenario, preset: Preset, by_payload: bool) -> Option<Vec<String>> {
    let label = format!("{} ({}{})", scenario.name, preset.name(), if by_payload { ", by payload" } else { "" });
    let mut faults = Vec::new();
    for (slower, share) in [(1.0, weight(&scenario)), (2.0, weight(&scenario)), (4.0, WHOLE_MACHINE)] {
        let _share = MACHINE.acquire_many(share).await.unwrap();
        let mut setup = (scenario.setup)(preset);
        setup.world.servers.truncate(SERVERS_AT_ONCE);
        let most = if setup.world.servers.len() > DATABASES { DATABASES_OF_MANY } else { DATABASES };
        for server in &mut setup.world.servers {
            server.databases.truncate(most);
        }
        let stage = Stage::open(&setup.world, &setup.policy, speed(&scenario) / slower).await?;
        let began = Instant::now();
        let host = stage
            .host_with(|options| {
                let switch = "AzureFunctionsJobHost__customHandler__enableProxyingHttpRequest";
                options.settings.insert(switch.to_owned(), (!by_payload).to_string());
                options.settings.insert("KEYMEND_PATROL_ENABLED".to_owned(), setup.patrol.to_string());
            })
            .await;
        faults = play(&stage, &host, &setup).await;
        let account = if faults.is_empty() { String::new() } else { stage.account(&[&host]).await };
        verdict::stop(host).await;
        stage.close().await;
        progress(&format!("{label}: {} after {:?}", if faults.is_empty() { "ok" } else { "NOT ok" }, began.elapsed()));
        if faults.is_empty() {
            return Some(faults);
        }
        progress(&format!("{label}:\n  {}", faults.join("\n  ")));
        if slower == 4.0 || !wanted().is_empty() {
            progress(&account);
        }
        faults.push(account);
    }
    Some(faults.into_iter().map(|fault| format!("{label}: {fault}")).collect())
}
