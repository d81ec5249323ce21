//! An estate in the simulated cloud, and the real responder with its patrol and nothing to do.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::SignedDuration;
use keymend::clock::{Clock, add};
use keymend::domain::policy::{Policy, Preset};
use keymend::drill::cloud::{Actor, Break, Cloud, TOKEN, What, World};
use keymend::drill::house;
use keymend::ids::Ids;
use keymend::patrol::PatrolSettings;
use serde_json::Value;
use tokio::net::TcpListener;

/// So many vaults with so many servers each, watched for so many hours.
pub struct Estate {
    pub vaults: usize,
    pub servers: usize,
    pub hours: usize,
    pub patrol: PatrolSettings,
    /// Whether a vault loses its grants as the last hour begins. Every alert of it is lost.
    pub loss: bool,
}

/// How things stand after an hour of the story. Requests are counted from its beginning.
#[derive(Debug)]
pub struct Hour {
    pub hour: usize,
    pub rss_kib: usize,
    pub store_bytes: u64,
    /// Rows of each table.
    pub rows: BTreeMap<String, i64>,
    pub reads: usize,
    pub changes: usize,
    pub most_reads_in_a_minute: usize,
    pub most_reads_in_ten_minutes: usize,
    pub longest_unread_minutes: i64,
    /// Servers that cannot use their key, and databases out of service.
    pub broken: usize,
}

impl Estate {
    /// Lets the hours pass; `tell` is handed each.
    pub async fn watch(&self, mut tell: impl FnMut(&Hour)) -> Vec<Hour> {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::stepped("2026-11-24T02:00:00Z".parse().unwrap(), None);
        let mut held = clock.busy();
        let mut world = World::large_estate(self.vaults, self.servers);
        world.keep_reads = false;
        world.alerts.webhooks = false;
        let mut policy = Policy { preset: Preset::Auto, ..Policy::default() };
        policy.scope.subscriptions = vec![world.subscription.clone()];
        let cloud = Cloud::new(world, clock.clone());
        let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
        let ids = Ids::seeded(1);
        let house = house::build_with(&policy, self.patrol.clone(), &running.url(), TOKEN, folder.path(), &clock, ids)
            .await
            .unwrap();
        let began = clock.now();
        let mut all = Vec::new();
        for hour in 1..=self.hours {
            let until = add(began, SignedDuration::from_hours(i64::try_from(hour).unwrap()));
            if self.loss && hour == self.hours {
                let what = What::SwitchPermissionModel { vault: Some("kv-03".to_owned()) };
                let pipeline = Actor::application(PIPELINE.0, PIPELINE.1);
                cloud.try_break(&Break::new(what).by(pipeline)).unwrap();
                assert!(broken(&cloud) > 0, "it took access away");
            }
            drop(held);
            held = clock.idle_until(until).await;
            let now = measure(hour, &cloud, folder.path());
            tell(&now);
            all.push(now);
        }
        house.stop().await;
        running.stop().await;
        all
    }
}

/// A pipeline: its application, and that one's object id.
const PIPELINE: (&str, &str) = ("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008");

fn broken(cloud: &Cloud) -> usize {
    let world = cloud.world();
    let servers = world["servers"].as_array().unwrap();
    let down = |server: &&Value| server["databases"].as_array().unwrap().iter().any(|one| one["status"] != "Online");
    servers.iter().filter(|server| server["key_access"] != "ok" || down(server)).count()
}

fn measure(hour: usize, cloud: &Cloud, folder: &Path) -> Hour {
    let world = cloud.world();
    let count = |name: &str| usize::try_from(world["requests"][name].as_u64().unwrap()).unwrap();
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
    Hour {
        hour,
        rss_kib: rss_kib(),
        store_bytes: files.sum(),
        rows: rows(&folder.join("keymend.db")),
        reads: count("arm") + count("key_vault"),
        changes: count("changes"),
        most_reads_in_a_minute: count("most_reads_in_a_minute"),
        most_reads_in_ten_minutes: count("most_reads_in_ten_minutes"),
        broken: broken(cloud),
        longest_unread_minutes: world["requests"]["longest_unread_minutes"].as_i64().unwrap(),
    }
}

/// Resident memory of this process, the simulated cloud included; 0 where the system does not say.
fn rss_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn rows(file: &Path) -> BTreeMap<String, i64> {
    let store = rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut tables = store.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let count =
        |name: &String| store.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0)).unwrap();
    names.iter().map(|name| (name.clone(), count(name))).collect()
}
