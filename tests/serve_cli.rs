//! `keymend serve`, as it is started: what it needs, what it prints, and how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod doors;
#[cfg(feature = "drill")]
mod leaks;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use doors::{SECRET, SUBSCRIPTION, alert, database};
use keymend::store::{SqliteStore, Store};
use serde_json::{Value, json};

/// A running `keymend serve`.
struct Serve {
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keymend"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KEYMEND_")) {
        command.env_remove(name);
    }
    command.arg("serve").args(args).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Settings with a cloud that refuses every connection, unless `more` names another: nothing leaves this machine.
fn settings(folder: &Path, more: &str) {
    let cloud = if more.contains("[azure]") { "" } else { "[azure]\narm_endpoint = \"http://127.0.0.1:9\"\n" };
    let scope = format!("[scope]\nsubscriptions = [\"{SUBSCRIPTION}\"]\n");
    let text = format!("{scope}{cloud}[server]\nlisten = \"127.0.0.1:0\"\n{more}");
    std::fs::write(folder.join("keymend.toml"), text).unwrap();
}

impl Serve {
    /// Starts it and waits until it says that it is ready.
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (into, mut piece) = (log.clone(), [0; 4096]);
        let reader = std::thread::spawn(move || {
            while let Ok(length @ 1..) = stderr.read(&mut piece) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("listening on http://") else {
            let _ = child.wait();
            reader.join().unwrap();
            panic!("not ready: {line:?}\n{}", log.lock().unwrap());
        };
        Self { address: address.to_owned(), child, log, reader: Some(reader) }
    }

    fn client() -> reqwest::Client {
        keymend::tls::client().no_proxy().build().unwrap()
    }

    async fn tell(&self, query: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://{}/api/alerts{query}", self.address);
        let sent = Self::client().post(url).header("content-type", "application/json").body(body.to_string()).send();
        let answer = sent.await.unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    async fn health(&self) -> Value {
        let answer = Self::client().get(format!("http://{}/api/health", self.address)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// Ends it with a signal; its exit code and its whole log.
    fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        let log = self.log.lock().unwrap().clone();
        (status.code(), log)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs it to its end, where it must not start.
fn refused(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn alerts_are_kept_over_a_kill_and_repeated_ones_are_known_again() {
    let folder = tempfile::tempdir().unwrap();
    settings(folder.path(), "[store]\nlocation = \"sqlite:keymend.db\"\n");
    let start = || Serve::start(command(folder.path(), &[]).env("KEYMEND_WEBHOOK_SECRET", SECRET));
    let body = alert(&database("orders"), "e-1");
    let query = format!("?code={SECRET}");

    let serve = start();
    assert_eq!(serve.tell(&query, &body).await, (202, json!({ "accepted": 1, "repeated": 0 })));
    let (code, _) = serve.stop("-KILL");
    assert_eq!(code, None, "killed");
    let store = SqliteStore::open(&folder.path().join("keymend.db")).unwrap();
    let told = store.next_due().await.unwrap();
    assert!(told.is_some(), "there is work to do, now that it was acknowledged");
    drop(store);

    let serve = start();
    assert_eq!(serve.tell(&query, &body).await, (202, json!({ "accepted": 0, "repeated": 1 })));
    let (code, log) = serve.stop("-TERM");
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn no_secret_is_ever_logged() {
    let folder = tempfile::tempdir().unwrap();
    settings(folder.path(), "[azure]\narm_endpoint = \"http://127.0.0.1:9\"\nstatic_token = \"token-topsecret\"\n");
    let mut command = command(folder.path(), &["--log", "json"]);
    command
        .env("KEYMEND_WEBHOOK_SECRET", "topsecret-new topsecret-old")
        .env("KEYMEND_TEAMS_URL", "https://flow.example/?sig=topsecret")
        .env("KEYMEND_EVENTS_URL", "https://topsecret@hooks.example/topsecret")
        .env("KEYMEND_EVENTS_SECRET", "topsecret-key")
        .env("KEYMEND_LOG", "trace");
    let serve = Serve::start(&mut command);
    let body = alert(&database("orders"), "e-1");
    assert_eq!(serve.tell("?code=topsecret-old", &body).await.0, 202);
    assert_eq!(serve.tell("?code=wrong-topsecret", &body).await.0, 403);
    assert_eq!(serve.tell("", &body).await.0, 401);
    let health = serve.health().await;
    assert!(!health.to_string().contains("topsecret"), "{health}");
    let (_, log) = serve.stop("-TERM");
    assert!(!log.contains("topsecret"), "{log}");
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "one JSON object a line: {line}");
    }
}

#[test]
fn without_a_secret_it_does_not_start_and_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    settings(folder.path(), "");
    let (code, words) = refused(command(folder.path(), &[]));
    assert_eq!(code, Some(2), "{words}");
    for part in ["no webhook secret", "KEYMEND_WEBHOOK_SECRET", "openssl rand", "--insecure-no-secret"] {
        assert!(words.contains(part), "{words}");
    }
    let mut unresolved = command(folder.path(), &[]);
    unresolved.env("KEYMEND_WEBHOOK_SECRET", "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/hook)");
    let (code, words) = refused(unresolved);
    assert_eq!(code, Some(2));
    assert!(words.contains("unresolved Key Vault reference") && words.contains("KEYMEND_WEBHOOK_SECRET"), "{words}");
    assert!(!words.contains("secrets/hook"), "{words}");
}

#[tokio::test]
async fn it_takes_alerts_from_anybody_only_when_told_so() {
    let folder = tempfile::tempdir().unwrap();
    settings(folder.path(), "");
    let serve = Serve::start(&mut command(folder.path(), &["--insecure-no-secret"]));
    assert_eq!(serve.tell("", &alert(&database("orders"), "e-1")).await.0, 202);
    let (_, log) = serve.stop("-INT");
    assert!(log.contains("anybody"), "the log warns: {log}");
}

#[tokio::test]
async fn the_command_line_wins() {
    let folder = tempfile::tempdir().unwrap();
    settings(folder.path(), "[store]\nlocation = \"sqlite:not-here/k.db\"\n");
    let args = ["--listen", "localhost:0", "--store", "sqlite:other.db", "--config", "keymend.toml"];
    let serve = Serve::start(command(folder.path(), &args).env("KEYMEND_WEBHOOK_SECRET", SECRET));
    assert!(folder.path().join("other.db").exists());
    assert_eq!(serve.health().await["status"], "ok");
}

#[test]
fn what_keeps_it_from_starting_is_said() {
    let folder = tempfile::tempdir().unwrap();
    settings(folder.path(), "[policy]\npreset = \"bold\"\n");
    let (code, words) = refused(command(folder.path(), &[]));
    assert_eq!(code, Some(2));
    assert!(words.contains("policy.preset = \"bold\"") && words.contains("keymend.toml"), "{words}");

    settings(folder.path(), "");
    let with_secret = |args: &[&str]| {
        let mut command = command(folder.path(), args);
        command.env("KEYMEND_WEBHOOK_SECRET", SECRET);
        command
    };
    let (code, words) = refused(with_secret(&["--store", "sqlite:nowhere/k.db"]));
    assert_eq!(code, Some(1));
    assert!(words.contains("nowhere") && words.contains("does not exist"), "{words}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, words) = refused(with_secret(&["--listen", &address]));
    assert_eq!(code, Some(1));
    assert!(words.contains(&address), "{words}");

    let mut misspelled = with_secret(&[]);
    misspelled.env("KEYMEND_LOG", "keymend=loud");
    assert_eq!(refused(misspelled).0, Some(2));
}

#[tokio::test]
async fn a_broken_channel_is_reported_and_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    settings(folder.path(), "[webhook]\nurl = \"https://hooks.example/x\"\nsecret_env = \"SIGNING\"\n");
    let mut command = command(folder.path(), &[]);
    command.env("KEYMEND_WEBHOOK_SECRET", SECRET).env("SIGNING", "not-in-the-right-form");
    command.env("KEYMEND_TEAMS_URL", "@Microsoft.KeyVault(VaultName=v;SecretName=teams)");
    let serve = Serve::start(&mut command);
    let health = serve.health().await;
    assert_eq!(health["status"], "degraded");
    let faults = health["faults"].to_string();
    assert!(faults.contains("KEYMEND_TEAMS_URL") && faults.contains("whsec_"), "{faults}");
    assert!(!faults.contains("not-in-the-right-form"), "{faults}");
    assert_eq!(serve.tell(&format!("?code={SECRET}"), &alert(&database("orders"), "e-1")).await.0, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_on_the_clock_of_a_simulated_cloud_and_the_other_commands_know() {
    let clock = axum::Router::new().route(
        "/sim/clock",
        axum::routing::get(|| async { axum::Json(json!({ "now": "2031-01-01T00:00:00Z", "speed": 60.0 })) }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, clock).into_future());
    let folder = tempfile::tempdir().unwrap();
    settings(
        folder.path(),
        &format!(
            "[azure]\narm_endpoint = \"http://{address}\"\n[simulated]\nfollow_clock = true\n[patrol]\nenabled = false\n"
        ),
    );
    let serve = Serve::start(command(folder.path(), &[]).env("KEYMEND_WEBHOOK_SECRET", SECRET));
    let time = serve.health().await["time"].as_str().unwrap().to_owned();
    assert!(time.starts_with("2031-01-01T00:"), "{time}");
    let store = SqliteStore::open(&folder.path().join("keymend.db")).unwrap();
    let (kept, _) = store.fact("clock", "serve").await.unwrap().unwrap();
    assert_eq!(kept["speed"], 60.0);
}
