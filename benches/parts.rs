//! What the parts of Keymend cost by themselves: reading an alert, storing it for good, asking Azure and finding the cause, writing
//! a card. Of what grows with the number of servers, the cost for 1, 10, 100 and 1,000 of them.
//!
//! `cargo bench --bench parts`; results and what they mean: docs/performance.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a program to measure by")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_main};
use keymend::azure::{Azure, Credential, Endpoints, Secret};
use keymend::clock::Clock;
use keymend::domain::diagnose::diagnose;
use keymend::domain::evidence::Evidence;
use keymend::domain::incident::{Incident, IncidentId, IncidentKey};
use keymend::domain::policy::Policy;
use keymend::domain::resource_id::ResourceId;
use keymend::domain::signal::{self, Reading, Signal};
use keymend::drill::cloud::world::TOKEN;
use keymend::drill::cloud::{Break, Cloud, What, World};
use keymend::ids::Ids;
use keymend::probe::{self, Question};
use keymend::store::{SqliteStore, Store};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const ALERT: &str = include_str!("alert.json");
const SUBSCRIPTION: &str = "/subscriptions/11111111-2222-3333-4444-555555555555";

fn alert(number: u64) -> String {
    ALERT.replace("@ID@", &format!("00000000-0000-4000-8000-{number:012x}"))
}

fn signals(number: u64) -> Vec<Signal> {
    match signal::read(alert(number).as_bytes()) {
        Reading::Signals(signals) => signals,
        other => panic!("{other:?}"),
    }
}

fn reading(c: &mut Criterion) {
    let body = alert(1);
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("an alert", |b| b.iter(|| signal::read(black_box(body.as_bytes()))));
    group.bench_function("its JSON alone", |b| {
        b.iter(|| serde_json::from_str::<serde_json::Value>(black_box(&body)).unwrap());
    });
    group.finish();
}

fn storing(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = runtime.block_on(async { SqliteStore::open(&folder.path().join("keymend.db")).unwrap() });
    let store: Arc<dyn Store> = Arc::new(store);
    let (next, clock) = (AtomicU64::new(0), Clock::system());
    let mut group = c.benchmark_group("store for good");
    group.sample_size(30);
    for together in [1, 16, 64] {
        group.throughput(Throughput::Elements(together));
        group.bench_function(BenchmarkId::new("alerts at a time", together), |b| {
            b.to_async(&runtime).iter(|| {
                let all = (0..together).map(|_| {
                    let (store, now) = (Arc::clone(&store), clock.now());
                    let signals = signals(next.fetch_add(1, Ordering::Relaxed));
                    tokio::spawn(async move { store.accept(&signals, now).await.unwrap() })
                });
                futures::future::join_all(all)
            });
        });
    }
    group.finish();
}

/// An estate of so many servers under one vault that was deleted, what is asked about it, and what the answer is.
struct Loss {
    azure: Azure,
    question: Question,
    evidence: Evidence,
    incident: Incident,
    /// Keeps the cloud there.
    _cloud: Box<dyn std::any::Any>,
}

async fn loss(servers: usize) -> Loss {
    let clock = Clock::system();
    let mut world = World::shared_vault(servers, 2);
    world.alerts.webhooks = false;
    let cloud = Cloud::new(world, clock.clone());
    let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    cloud.try_break(&Break::new(What::DeleteVault { vault: None })).unwrap();
    let endpoints = Endpoints::simulated(&running.url()).unwrap();
    let credential = Credential::static_token(Secret::new(TOKEN), &endpoints).unwrap();
    let azure = Azure::new(endpoints, credential, clock.clone(), Ids::random()).unwrap();
    let names: Vec<ResourceId> = cloud.world()["servers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let name = one["name"].as_str().unwrap();
            ResourceId::parse(&format!("{SUBSCRIPTION}/resourceGroups/rg-data/providers/Microsoft.Sql/servers/{name}"))
                .unwrap()
        })
        .collect();
    let question = Question::new(names.clone(), clock.now());
    let evidence = probe::observe(&azure, &question).await;
    let key = IncidentKey::server(&names[0]);
    let mut incident = Incident::open(IncidentId("bench".to_owned()), key, 30, clock.now());
    for name in &names {
        incident.add_member(name, None);
    }
    Loss { azure, question, evidence, incident, _cloud: Box::new((cloud, running)) }
}

fn finding(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let policy = Policy::default();
    for (name, sizes) in [("find the cause", &[1, 10, 100, 1000][..]), ("ask Azure and find the cause", &[1, 10, 100])]
    {
        let mut group = c.benchmark_group(name);
        group.sample_size(10);
        for servers in sizes {
            let loss = runtime.block_on(loss(*servers));
            group.throughput(Throughput::Elements(*servers as u64));
            group.bench_function(BenchmarkId::new("servers", servers), |b| {
                if name == "find the cause" {
                    b.iter(|| diagnose(black_box(&loss.evidence), &loss.incident, &policy));
                } else {
                    b.to_async(&runtime).iter(|| async {
                        let evidence = probe::observe(&loss.azure, &loss.question).await;
                        diagnose(&evidence, &loss.incident, &policy)
                    });
                }
            });
        }
        group.finish();
    }
}

#[allow(missing_docs, reason = "the macro makes public functions")]
mod group {
    use super::{finding, reading, storing};

    criterion::criterion_group!(parts, reading, storing, finding);
}

criterion_main!(group::parts);
