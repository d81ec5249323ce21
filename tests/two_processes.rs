//! `keymend sim` and `keymend serve` as two processes on one clock, and a person at the command line beside them.
#![cfg(all(feature = "drill", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "shared with tests/kill")]
#[path = "kill/serve.rs"]
mod serve;
#[allow(dead_code, reason = "shared with tests/kill")]
#[path = "kill/story.rs"]
mod story;

use std::path::Path;
use std::time::{Duration, Instant};

use keymend::drill::run::preset_name;
use keymend::drill::story::statuses;
use serde_json::{Value, json};

use serve::{SECRET, Serve, keymend};
use story::Story;

const PATIENCE: Duration = Duration::from_secs(90);

/// Both processes, and the folder that holds the settings and the store.
struct Two {
    folder: tempfile::TempDir,
    sim: Serve,
    serve: Serve,
    cloud: String,
    client: reqwest::Client,
}

impl Two {
    async fn start(story: &Story) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = serde_json::to_string(&story.setup.world).unwrap();
        std::fs::write(folder.path().join("world.json"), world).unwrap();
        let mut command = keymend(folder.path());
        command.args(["sim", "--listen", "127.0.0.1:0", "--world", "world.json", "--speed", &story.speed.to_string()]);
        let mut sim = Serve::start_as(command);
        sim.ready().await;
        let cloud = sim.address();
        let settings = format!(
            "[scope]\nsubscriptions = [\"{}\"]\n[policy]\npreset = \"{}\"\n[azure]\narm_endpoint = \"{cloud}\"\n\
             [simulated]\nfollow_clock = true\n[server]\nlisten = \"127.0.0.1:0\"\n\
             [teams]\nurl = \"{cloud}/sink/teams\"\n[webhook]\nurl = \"{cloud}/sink/webhook\"\nallow_private = true\n",
            story.setup.world.subscription,
            preset_name(story.preset),
        );
        std::fs::write(folder.path().join("keymend.toml"), settings).unwrap();
        let mut serve = Serve::start(folder.path());
        serve.ready().await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let two = Self { folder, sim, serve, cloud, client };
        let webhook = format!("{}/api/alerts?code={SECRET}", two.serve.address());
        two.post("/sim/webhook", &json!({ "url": webhook })).await;
        two
    }

    async fn post(&self, path: &str, body: &Value) {
        let sent = self.client.post(format!("{}{path}", self.cloud)).body(body.to_string()).send().await.unwrap();
        assert!(sent.status().is_success(), "{path}: {}", sent.text().await.unwrap());
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.cloud)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// Waits until the databases are as wanted.
    async fn until_databases(&self, wanted: impl Fn(&str) -> bool) {
        let began = Instant::now();
        loop {
            let databases = statuses(&self.get("/sim/world").await);
            if databases.len() == 3 && databases.values().all(|status| wanted(status)) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{databases:?}\n{}", self.serve.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the list of incidents shows one that is as wanted.
    async fn until_incident(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let (code, said) = incidents(self.folder.path(), &["list", "--json"]);
            assert_eq!(code, Some(0), "{said}");
            let list: Vec<Value> = serde_json::from_str(&said).unwrap();
            assert!(list.len() <= 1, "{said}");
            if let Some(incident) = list.into_iter().find(|one| wanted(one)) {
                return incident;
            }
            assert!(began.elapsed() < PATIENCE, "{said}\n{}", self.serve.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The writes that reached the cloud, as `METHOD last-but-one/last segment`.
    async fn writes(&self) -> Vec<String> {
        let har = self.get("/sim/requests").await;
        let entries = har["log"]["entries"].as_array().unwrap().clone();
        let written = entries.iter().filter(|entry| entry["_effect"] == true);
        written
            .map(|entry| {
                let url = entry["request"]["url"].as_str().unwrap().split('?').next().unwrap().to_owned();
                let kind = url.rsplit('/').nth(1).unwrap().to_owned();
                format!("{} {kind}", entry["request"]["method"].as_str().unwrap())
            })
            .collect()
    }

    /// The headlines' situations that the webhook got, in order.
    async fn told(&self) -> Vec<String> {
        let inbox = self.get("/sim/inbox").await;
        let posted = inbox.as_array().unwrap().iter().filter(|one| one["sink"] == "webhook");
        posted.map(|one| one["body"]["data"]["situation"].as_str().unwrap().to_owned()).collect()
    }
}

fn incidents(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = keymend(folder).arg("incidents").args(args).output().unwrap();
    let text = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_in_one_process_is_healed_by_the_other() {
    let story = Story::vault_deleted();
    let two = Two::start(&story).await;
    for ready in [two.sim.address(), two.serve.address()] {
        assert!(ready.starts_with("http://127.0.0.1:") && !ready.ends_with(":0"), "{ready}");
    }
    let theirs = two.get("/sim/clock").await;
    let health = two.client.get(format!("{}/api/health", two.serve.address())).send().await.unwrap();
    let ours: Value = serde_json::from_str(&health.text().await.unwrap()).unwrap();
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let apart = time(&ours["time"]).duration_since(time(&theirs["now"])).abs();
    assert!(apart < jiff::SignedDuration::from_mins(1), "one clock: {theirs} and {ours}");

    two.until_databases(|status| status == "Online").await;
    two.post("/sim/break", &json!({ "kind": "delete-vault", "by": { "upn": "bob@contoso.example" } })).await;
    two.until_databases(|status| status != "Online").await;
    two.until_databases(|status| status == "Online").await;
    let incident = two.until_incident(|one| one["phase"] == "healed").await;
    assert_eq!(incident["cause"], "vault_deleted", "{incident}");
    assert_eq!(two.writes().await, ["PUT vaults", "PUT roleAssignments"]);

    let log = two.serve.stop();
    assert!(log.contains("incident opened") && log.contains("incident ended"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_approves_at_the_command_line_while_serve_runs() {
    let story = Story::vault_deleted_and_asked();
    let two = Two::start(&story).await;
    let here = two.folder.path();
    assert_eq!(incidents(here, &["list"]), (Some(0), "There are no incidents.\n".to_owned()));
    two.post("/sim/break", &json!({ "kind": "delete-vault", "by": { "upn": "bob@contoso.example" } })).await;
    let incident = two.until_incident(|one| one["phase"] == "awaiting_approval").await;
    let id = incident["id"].as_str().unwrap();
    let code = incident["approval"]["code"].as_str().unwrap();
    assert!(two.writes().await.is_empty(), "nothing is changed before the answer");

    let (_, page) = incidents(here, &["show", id]);
    for part in [code, "contoso-kv", "bob@contoso.example", "AWAITING APPROVAL"] {
        assert!(page.contains(part), "{part:?} is missing in:\n{page}");
    }
    let (refused, why) = incidents(here, &["approve", id, "--code", "00000000", "--by", "ada"]);
    assert_eq!(refused, Some(1), "{why}");
    assert!(why.contains(code), "{why}");
    let (done, said) = incidents(here, &["approve", id, "--code", code, "--by", "ada"]);
    assert_eq!(done, Some(0), "{said}");

    let incident = two.until_incident(|one| one["ended_at"] != Value::Null).await;
    assert_eq!(incident["phase"], "healed", "{incident}");
    two.until_databases(|status| status == "Online").await;
    assert_eq!(two.writes().await, ["PUT vaults", "PUT roleAssignments"]);
    let (_, page) = incidents(here, &["show", id]);
    assert!(page.contains("ada") && page.contains("HEALED"), "{page}");
    let told = two.told().await;
    assert!(told.iter().any(|one| one == "approval_asked"), "{told:?}");
    two.serve.stop();
}
