//! A stage on which time passes only where a test says so.

#![allow(dead_code)]

use jiff::{SignedDuration, Timestamp};
use keymend::azure::{Azure, Credential, Endpoints, Secret};
use keymend::clock::{Busy, Clock, add};
use keymend::domain::incident::Incident;
use keymend::domain::policy::{Policy, Preset};
use keymend::drill::cloud::world::TOKEN;
use keymend::drill::cloud::{Break, Cloud, Exchange, Plane, Running, World};
use keymend::drill::{house, judge};
use keymend::ids::Ids;
use keymend::patrol::PatrolSettings;
use tokio::net::TcpListener;

/// A responder and its cloud; no time passes but within [`Stage::happen`].
pub struct Stage {
    pub clock: Clock,
    pub cloud: Cloud,
    pub house: house::House,
    /// No time passes but within [`Stage::happen`].
    held: Option<Busy>,
    policy: Policy,
    patrol: PatrolSettings,
    running: Running,
    folder: house::Folder,
}

impl Stage {
    /// Opens one; alerts of Azure Monitor are all lost.
    pub async fn open(world: World, preset: Preset, patrol: PatrolSettings) -> Self {
        Self::open_under(world, Policy { preset, ..Policy::default() }, patrol).await
    }

    /// The same under a policy, which gets the world's subscription as its scope.
    pub async fn open_under(mut world: World, mut policy: Policy, patrol: PatrolSettings) -> Self {
        world.alerts.webhooks = false;
        let folder = house::Folder::new(None, "stepped", policy.preset).unwrap();
        let clock = Clock::stepped("2026-11-24T02:00:00Z".parse().unwrap(), None);
        let held = clock.busy();
        policy.scope.subscriptions = vec![world.subscription.clone()];
        let cloud = Cloud::new(world, clock.clone());
        let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
        let house =
            house::build_with(&policy, patrol.clone(), &running.url(), TOKEN, folder.path(), &clock, Ids::random())
                .await
                .unwrap();
        cloud.deliver_to(house.webhook());
        Self { clock, cloud, house, held: Some(held), policy, patrol, running, folder }
    }

    /// Keymend is stopped wherever it is, and another one takes over its store.
    pub async fn replace(&mut self) {
        let (url, path) = (self.running.url(), self.folder.path());
        let next = house::build_with(&self.policy, self.patrol.clone(), &url, TOKEN, path, &self.clock, Ids::random())
            .await
            .unwrap();
        std::mem::replace(&mut self.house, next).stop().await;
        self.cloud.deliver_to(self.house.webhook());
    }

    /// The same with another patrol.
    pub async fn watch_by_itself(&mut self, patrol: PatrolSettings) {
        self.patrol = patrol;
        self.replace().await;
    }

    /// Lets it happen, and some minutes pass. Answers the requests of those minutes to Azure.
    pub async fn happen(&mut self, what: &[Break], minutes: i64) -> Vec<Exchange> {
        self.pass(what, SignedDuration::from_mins(minutes)).await
    }

    /// The same, for any length.
    pub async fn pass(&mut self, what: &[Break], length: SignedDuration) -> Vec<Exchange> {
        let before = self.asked().len();
        what.iter().for_each(|what| self.cloud.try_break(what).unwrap());
        if length.is_zero() {
            return Vec::new();
        }
        let until = add(self.clock.now(), length);
        let waiting = self.clock.idle_until(until);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        self.held = None;
        self.held = Some(waiting.await);
        self.asked().split_off(before)
    }

    /// Another caller with the same rights.
    pub fn azure(&self) -> Azure {
        let endpoints = Endpoints::simulated(&self.running.url()).unwrap();
        let credential = Credential::static_token(Secret::new(TOKEN), &endpoints).unwrap();
        Azure::new(endpoints, credential, self.clock.clone(), Ids::random()).unwrap()
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub fn asked(&self) -> Vec<Exchange> {
        let azure = |one: &Exchange| matches!(one.plane, Plane::Arm | Plane::KeyVault);
        self.cloud.requests().into_iter().filter(azure).collect()
    }

    /// The requests to Azure so far.
    pub fn asked_so_far(&self) -> usize {
        self.asked().len()
    }

    /// `keymend incidents …` on this store, as a person types it.
    pub fn incidents_command(&self, args: &[&str]) -> std::process::Output {
        let store = format!("sqlite:{}", self.folder.path().join("keymend.db").display());
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_keymend"));
        command.arg("incidents").args(args).args(["--store", &store]).output().unwrap()
    }

    pub async fn incidents(&self) -> Vec<Incident> {
        self.house.store().incidents(false, 10).await.unwrap()
    }

    pub fn delivered(&self) -> usize {
        self.cloud.deliveries().iter().filter(|one| one.status == Some(202)).count()
    }

    pub fn first_write(&self) -> Option<Timestamp> {
        self.asked().into_iter().find(|one| one.effect && judge::is_write(one)).map(|one| one.at)
    }
}
