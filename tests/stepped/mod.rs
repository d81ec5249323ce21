//! A stage on which time passes only where a test says so.

#![allow(dead_code)]

use jiff::{SignedDuration, Timestamp};
use keymend::clock::{Busy, Clock, add};
use keymend::domain::incident::Incident;
use keymend::domain::policy::{Policy, Preset};
use keymend::drill::cloud::world::TOKEN;
use keymend::drill::cloud::{Break, Cloud, Exchange, Plane, Running, World};
use keymend::drill::{house, judge};
use tokio::net::TcpListener;

/// A responder and its cloud; no time passes but within [`Stage::happen`].
pub struct Stage {
    pub clock: Clock,
    pub cloud: Cloud,
    pub house: house::House,
    /// No time passes but within [`Stage::happen`].
    held: Option<Busy>,
    _running: Running,
    folder: house::Folder,
}

impl Stage {
    /// Opens one; alerts of Azure Monitor are all lost.
    pub async fn open(mut world: World, preset: Preset, patrol: bool) -> Self {
        world.alerts.webhooks = false;
        let folder = house::Folder::new(None, "stepped", preset).unwrap();
        let clock = Clock::stepped("2026-11-24T02:00:00Z".parse().unwrap(), None);
        let held = clock.busy();
        let mut policy = Policy { preset, ..Policy::default() };
        policy.scope.subscriptions = vec![world.subscription.clone()];
        let cloud = Cloud::new(world, clock.clone());
        let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
        let house = house::build_with(&policy, patrol, &running.url(), TOKEN, folder.path(), &clock).await.unwrap();
        cloud.deliver_to(house.webhook());
        Self { clock, cloud, house, held: Some(held), _running: running, folder }
    }

    /// Lets it happen, and some minutes pass. Answers the requests of those minutes to Azure.
    pub async fn happen(&mut self, what: &[Break], minutes: i64) -> Vec<Exchange> {
        let before = self.asked().len();
        what.iter().for_each(|what| self.cloud.try_break(what).unwrap());
        if minutes == 0 {
            return Vec::new();
        }
        let until = add(self.clock.now(), SignedDuration::from_mins(minutes));
        let waiting = self.clock.idle_until(until);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        self.held = None;
        self.held = Some(waiting.await);
        self.asked().split_off(before)
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
