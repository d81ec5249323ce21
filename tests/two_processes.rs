//! `keymend sim` and `keymend serve` as two processes on one clock, and a person at the command line beside them: with
//! either store.
#![cfg(all(feature = "drill", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod azurite;
#[allow(dead_code, reason = "shared with tests/kill")]
#[path = "kill/serve.rs"]
mod serve;
#[allow(dead_code, reason = "shared with tests/kill")]
#[path = "kill/story.rs"]
mod story;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use keymend::drill::story::statuses;
use serde_json::{Value, json};

use azurite::{Azurite, fresh_name};
use serve::{SECRET, Serve, keymend};
use story::Story;

const PATIENCE: Duration = Duration::from_secs(90);

/// Where they remember.
#[derive(Debug)]
enum Memory {
    /// A file in their folder.
    File,
    /// A container in the shared Azurite.
    Storage { connection: String, container: String },
}

impl Memory {
    /// `None`: Azurite can't be had, and that was expected and said.
    fn storage() -> Option<Self> {
        let connection = Azurite::shared()?.connection_string();
        Some(Self::Storage { connection, container: fresh_name("two") })
    }

    /// `keymend`, told where to remember.
    fn keymend(&self, folder: &Path) -> Command {
        let mut command = keymend(folder);
        if let Self::Storage { connection, container } = self {
            command.env("KEYMEND_STORE", "azure").env("AzureWebJobsStorage", connection);
            command.env("KEYMEND_CONTAINER", container);
        }
        command
    }
}

/// Both processes, and the folder that holds the settings and perhaps the store.
struct Two {
    folder: tempfile::TempDir,
    memory: Memory,
    sim: Serve,
    serve: Serve,
    cloud: String,
    client: reqwest::Client,
}

impl Two {
    async fn start(story: &Story, memory: Memory) -> Self {
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
             [simulated]\nfollow_clock = true\n[patrol]\nenabled = false\n[server]\nlisten = \"127.0.0.1:0\"\n\
             [teams]\nurl = \"{cloud}/sink/teams\"\n[webhook]\nurl = \"{cloud}/sink/webhook\"\nallow_private = true\n",
            story.setup.world.subscription,
            story.preset.name(),
        );
        std::fs::write(folder.path().join("keymend.toml"), settings).unwrap();
        let mut command = memory.keymend(folder.path());
        command.arg("serve");
        let mut serve = Serve::start_as(command);
        serve.ready().await;
        let client = keymend::tls::client().no_proxy().build().unwrap();
        let two = Self { folder, memory, sim, serve, cloud, client };
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
            let (code, said) = self.incidents(&["list", "--json"]);
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

    /// What `keymend incidents` says to a person at the command line.
    fn incidents(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.memory.keymend(self.folder.path()).arg("incidents").args(args).output().unwrap();
        let text = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.code(), String::from_utf8(text).unwrap())
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_in_one_process_is_healed_by_the_other() {
    heal(Memory::File).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_in_one_process_is_healed_by_the_other_on_azure_storage() {
    let Some(memory) = Memory::storage() else { return };
    heal(memory).await;
}

async fn heal(memory: Memory) {
    let story = Story::vault_deleted();
    let two = Two::start(&story, memory).await;
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
    approve(Memory::File).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_approves_at_the_command_line_while_serve_runs_on_azure_storage() {
    let Some(memory) = Memory::storage() else { return };
    approve(memory).await;
}

async fn approve(memory: Memory) {
    let story = Story::vault_deleted_and_asked();
    let two = Two::start(&story, memory).await;
    assert_eq!(two.incidents(&["list"]), (Some(0), "There are no incidents.\n".to_owned()));
    two.post("/sim/break", &json!({ "kind": "delete-vault", "by": { "upn": "bob@contoso.example" } })).await;
    let incident = two.until_incident(|one| one["phase"] == "awaiting_approval").await;
    let id = incident["id"].as_str().unwrap();
    let code = incident["approval"]["code"].as_str().unwrap();
    assert!(two.writes().await.is_empty(), "nothing is changed before the answer");

    let (_, page) = two.incidents(&["show", id]);
    for part in [code, "contoso-kv", "bob@contoso.example", "AWAITING APPROVAL"] {
        assert!(page.contains(part), "{part:?} is missing in:\n{page}");
    }
    let (refused, why) = two.incidents(&["approve", id, "--code", "00000000", "--by", "ada"]);
    assert_eq!(refused, Some(1), "{why}");
    assert!(why.contains(code), "{why}");
    let (done, said) = two.incidents(&["approve", id, "--code", code, "--by", "ada"]);
    assert_eq!(done, Some(0), "{said}");

    let incident = two.until_incident(|one| one["ended_at"] != Value::Null).await;
    assert_eq!(incident["phase"], "healed", "{incident}");
    two.until_databases(|status| status == "Online").await;
    assert_eq!(two.writes().await, ["PUT vaults", "PUT roleAssignments"]);
    let (_, page) = two.incidents(&["show", id]);
    assert!(page.contains("ada") && page.contains("HEALED"), "{page}");
    let told = two.told().await;
    assert!(told.iter().any(|one| one == "approval_asked"), "{told:?}");
    two.serve.stop();
}
