//! Two hosts on one store and one cloud, hundreds of alerts through both, and each handler killed −9 ten times.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use jiff::SignedDuration;
use keymend::clock::add;
use keymend::domain::incident::Phase;
use keymend::domain::policy::Preset;
use keymend::domain::resource_id::ResourceId;
use keymend::drill::cloud::world::{PermissionModel, Span, VaultSpec};
use keymend::drill::cloud::{Actor, Break, Cloud, What, World};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::drill::{MACHINE, WHOLE_MACHINE};
use crate::host_double::Host;
use crate::host_double::invoke::Outcome;
use crate::stage::Stage;
use crate::{progress, verdict};

const VAULTS: [&str; 4] = ["contoso-kv", "fabrikam-kv", "northwind-kv", "tailspin-kv"];
const SERVERS: usize = 12;
const DATABASES: usize = 11;
const SPEED: f64 = 20.0;
const KILLS: usize = 10;
/// As many alerts are posted at least, some of them twice.
const ALERTS: usize = 500;
/// Azure's waits before each new try, in seconds of the story.
const RETRIES: [i64; 5] = [5, 20, 5, 40, 5];
/// How long a kill waits for something to be under way.
const LONGEST_WAIT_FOR_WORK: Duration = Duration::from_secs(10);
/// Between two vaults that are deleted.
const BETWEEN_BREAKS: Duration = Duration::from_secs(9);

fn world() -> World {
    let mut world = World::shared_vault(SERVERS, DATABASES).model(PermissionModel::Rbac);
    world.vaults = VAULTS.iter().map(|name| VaultSpec { name: (*name).to_owned(), ..VaultSpec::default() }).collect();
    for (at, server) in world.servers.iter_mut().enumerate() {
        server.protector.as_mut().unwrap().vault = VAULTS[at % VAULTS.len()].to_owned();
        server.databases.iter_mut().for_each(|database| database.size_gb = 1);
    }
    let exactly = |minutes| Span { min: minutes, max: minutes };
    let timing = &mut world.timing;
    timing.window_minutes = 240;
    timing.key_check_minutes = 1;
    timing.activity_log = Span { min: 0.2, max: 2.0 };
    (timing.self_heal, timing.propagation, timing.vault_dns) = (exactly(0.2), exactly(0.2), exactly(0.2));
    world
}

/// One alert as its sender saw it.
struct Sent {
    body: Value,
    acknowledged: bool,
    tries: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_handlers_killed_again_and_again_lose_nothing_and_do_nothing_twice() {
    let seed: u64 =
        std::env::var("KEYMEND_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    progress(&format!("storm: seed {seed} (KEYMEND_TEST_SEED={seed} draws the same)"));
    let world = world();
    let mut policy =
        keymend::domain::policy::Policy { preset: Preset::Auto, window_minutes: 240, ..Default::default() };
    policy.scope.subscriptions = vec![world.subscription.clone()];
    let _share = MACHINE.acquire_many(WHOLE_MACHINE / 2).await.unwrap();
    let Some(stage) = Stage::open(&world, &policy, SPEED).await else { return };
    let start = async || {
        let change = |options: &mut crate::host_double::Options| {
            options.platform_restarts = true;
            options.lease = Duration::from_secs(20);
            options.duplicates = Some(0.1);
        };
        Arc::new(stage.host_with(change).await)
    };
    let hosts = [start().await, start().await];
    let alerts = collect(&stage.cloud).await;
    let fronts: Vec<String> = hosts.iter().map(|host| host.url_with_key("/api/alerts")).collect();
    let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
    let sending = tokio::spawn(send_all(alerts, stage.cloud.clone(), fronts.clone(), seed, sent.clone()));
    let breaking = async {
        for vault in VAULTS {
            let by = Actor::application("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008");
            stage.cloud.try_break(&Break::new(What::DeleteVault { vault: Some(vault.to_owned()) }).by(by)).unwrap();
            tokio::time::sleep(BETWEEN_BREAKS).await;
        }
    };
    let ((), one, other) = tokio::join!(breaking, kill(&hosts[0], seed ^ 1), kill(&hosts[1], seed ^ 2));
    progress(&format!("storm: killed in the midst of {one:?} and {other:?}"));
    let all: Vec<&Host> = hosts.iter().map(Arc::as_ref).collect();
    stage
        .until("all is healed", &all, async || stage.is_healed().await && stage.incidents().await.len() == VAULTS.len())
        .await;
    stage.until("nothing is left to do", &all, async || stage.queues_are_empty().await).await;
    // What is still on its way was told of the end.
    stage
        .until("every alert has come", &all, async || {
            let sent = sent.lock().unwrap();
            sent.iter().map(|one| target(&one.body)).collect::<BTreeSet<_>>().len() == SERVERS * DATABASES
        })
        .await;
    sending.abort();
    let _ = sending.await;
    // The last of them may have come after everything was healed: each costs a look of its own.
    stage
        .until("every signal is taken", &all, async || stage.queues_are_empty().await && nothing_waits(&stage).await)
        .await;

    let broken = all
        .iter()
        .flat_map(|host| host.calls())
        .filter(|call| matches!(&call.outcome, Some(Outcome::Failed(why)) if !why.contains("status code")))
        .count();
    let all_kills = || one.iter().chain(&other);
    let midst = all_kills().filter(|working| !working.is_empty()).count();
    let jobs = all_kills().filter(|working| working.iter().any(|function| function == "jobs")).count();
    progress(&format!(
        "storm: {midst} of {} kills in the midst of work, {jobs} of jobs, {broken} invocations broken",
        2 * KILLS
    ));
    assert!(midst > KILLS && jobs >= KILLS / 2 && broken >= KILLS, "{midst}, {jobs}, {broken}: {one:?} {other:?}");
    for host in &all {
        assert!(host.worker().starts() > KILLS, "{} starts", host.worker().starts());
    }
    let sent = std::mem::take(&mut *sent.lock().unwrap());
    assert_nothing_lost(&stage, &fronts, &sent).await;
    assert_nothing_twice(&stage);
    assert_eq!(stage.store.poison().await.unwrap(), []);
    for incident in stage.incidents().await {
        assert_eq!(incident.phase, Phase::Healed, "{:?}", incident.end);
    }
    drop(all);
    for host in hosts {
        verdict::stop(Arc::into_inner(host).unwrap()).await;
    }
    stage.close().await;
}

/// Kills at moments drawn from `seed` at which something is under way: every other time a job. Answers what was, each time.
async fn kill(host: &Host, seed: u64) -> Vec<Vec<String>> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut killed_at = Vec::new();
    for at in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(random.random_range(500..4_500))).await;
        host.worker().ready().await.unwrap();
        let before = host.worker().starts();
        killed_at.push(under_way(host, at % 2 == 0, &mut random).await);
        assert!(host.kill_handler());
        while host.worker().starts() == before {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    killed_at
}

/// Waits a little into some invocation, or into a job, at most so long. Answers which functions are at work.
async fn under_way(host: &Host, job: bool, random: &mut StdRng) -> Vec<String> {
    let began = Instant::now();
    let is_it =
        |working: &[String]| if job { working.iter().any(|function| function == "jobs") } else { !working.is_empty() };
    loop {
        let working = host.working();
        if is_it(&working) {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..30))).await;
            let still = host.working();
            if is_it(&still) {
                return still;
            }
        }
        if began.elapsed() > LONGEST_WAIT_FOR_WORK {
            return working;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Takes what the Action Group posts; the senders post it on.
async fn collect(cloud: &Cloud) -> UnboundedReceiver<Value> {
    let (send, alerts) = unbounded_channel();
    let take = |State(send): State<tokio::sync::mpsc::UnboundedSender<Value>>, Json(body): Json<Value>| async move {
        send.send(body).unwrap();
    };
    let router = axum::Router::new().fallback(take).with_state(send);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    cloud.deliver_to(format!("http://{}/", listener.local_addr().unwrap()));
    tokio::spawn(axum::serve(listener, router).into_future());
    alerts
}

async fn send_all(
    mut alerts: UnboundedReceiver<Value>,
    cloud: Cloud,
    fronts: Vec<String>,
    seed: u64,
    sent: Arc<Mutex<Vec<Sent>>>,
) {
    let mut random = StdRng::seed_from_u64(seed);
    let client = keymend::tls::client().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let mut sending = JoinSet::new();
    while let Some(body) = alerts.recv().await {
        let copies = if random.random_bool(0.35) { 2 } else { 1 };
        for _ in 0..copies {
            let (client, cloud, body, sent) = (client.clone(), cloud.clone(), body.clone(), sent.clone());
            let front = fronts[random.random_range(0..fronts.len())].clone();
            sending.spawn(async move {
                let one = send(&client, &cloud, &front, body).await;
                sent.lock().unwrap().push(one);
            });
        }
    }
}

/// As Azure does: five more tries after 408, 429, 503, 504 and broken connections, and none after anything else.
async fn send(client: &reqwest::Client, cloud: &Cloud, front: &str, body: Value) -> Sent {
    let mut tries = 0;
    loop {
        tries += 1;
        let answer = client.post(front).json(&body).send().await;
        let status = answer.ok().map(|answer| answer.status().as_u16());
        let again = status.is_none_or(|status| matches!(status, 408 | 429 | 503 | 504));
        let Some(wait) = RETRIES.get(tries - 1).filter(|_| again) else {
            return Sent { body, acknowledged: matches!(status, Some(200 | 202)), tries };
        };
        cloud.clock().idle_until(add(cloud.clock().now(), SignedDuration::from_secs(*wait))).await;
    }
}

/// The database that an alert is about.
fn target(body: &Value) -> String {
    body.pointer("/data/essentials/alertTargetIDs/0").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Every alert that was acknowledged is stored: posted once more, it is known. Every database is in an incident.
async fn assert_nothing_lost(stage: &Stage, fronts: &[String], sent: &[Sent]) {
    let acknowledged: Vec<&Sent> = sent.iter().filter(|one| one.acknowledged).collect();
    let again = sent.iter().filter(|one| one.tries > 1).count();
    progress(&format!(
        "storm: {} alerts posted, {} acknowledged, {again} of them not at once",
        sent.len(),
        acknowledged.len()
    ));
    assert!(sent.len() >= ALERTS, "{} alerts", sent.len());
    let client = keymend::tls::client().no_proxy().build().unwrap();
    for one in &acknowledged {
        let answer = client.post(&fronts[0]).json(&one.body).send().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(
            (&answer["accepted"], &answer["repeated"]),
            (&0.into(), &1.into()),
            "was lost: {}",
            target(&one.body)
        );
    }
    let incidents = stage.incidents().await;
    let members = incidents.iter().flat_map(|incident| &incident.members);
    let known: BTreeSet<String> = members
        .flat_map(|(server, member)| member.databases.iter().map(move |name| format!("{server}/databases/{name}")))
        .map(|name| name.to_lowercase())
        .collect();
    // What nobody acknowledged was looked into as well: its server told of it.
    let told: BTreeSet<String> = sent.iter().map(|one| target(&one.body)).collect();
    let missing: Vec<_> = told.difference(&known).collect();
    assert!(missing.is_empty(), "{} databases are in no incident: {missing:?}", missing.len());
}

/// No server has a signal that nobody took.
async fn nothing_waits(stage: &Stage) -> bool {
    let world = world();
    for server in &world.servers {
        let id = ResourceId::parse(&world.server_id(&server.name)).unwrap();
        if !stage.store.untaken_signals(&id).await.unwrap().is_empty() {
            return false;
        }
    }
    true
}

/// Each vault was recovered once, each server granted once, and each message says one thing.
fn assert_nothing_twice(stage: &Stage) {
    let effects = verdict::effects(&stage.cloud);
    let twice: BTreeMap<_, _> = effects.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "took effect more than once: {twice:?}");
    let grants = effects.keys().filter(|write| write.contains("/roleassignments/")).count();
    assert_eq!((grants, effects.len()), (SERVERS, SERVERS + VAULTS.len()), "{effects:?}");
    let mut messages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for body in verdict::told(&stage.cloud, "webhook") {
        let json: Value = serde_json::from_str(&body).unwrap();
        messages.entry(json["id"].as_str().unwrap().to_owned()).or_default().insert(body);
    }
    let differing: Vec<_> = messages.iter().filter(|(_, bodies)| bodies.len() > 1).collect();
    assert!(differing.is_empty(), "one message, several texts: {differing:?}");
}
