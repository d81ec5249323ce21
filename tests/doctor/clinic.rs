//! A simulated cloud, a folder with settings, and the doctor at work.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use keymend::clock::Clock;
use keymend::drill::cloud::{Cloud, Running, World};
use serde_json::Value;

pub const SUB: &str = "/subscriptions/11111111-2222-3333-4444-555555555555";
pub const OBJECT: &str = "c0ffee00-0000-4000-8000-00000000000a";

/// Texts that nobody may ever see printed.
const NEVER_SHOWN: [&str; 4] = ["drill-token", "a-key-that-nobody-is-shown", "hunter2", "signature-of-the-token"];

pub struct Clinic {
    pub cloud: Cloud,
    pub running: Running,
    pub folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// What the doctor said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Clinic {
    pub async fn open(world: World) -> Self {
        Self::at(world, Clock::system()).await
    }

    /// With the cloud on a clock of its own.
    pub async fn at(world: World, clock: Clock) -> Self {
        let cloud = Cloud::new(world, clock);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running = cloud.serve(listener).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clinic = Self { cloud, running, folder, variables: Vec::new() };
        clinic.settings("");
        clinic
    }

    /// With every alert rule that there could be, so that all is well.
    pub async fn well() -> Self {
        Self::open(well(World::standard())).await
    }

    /// Settings besides where the cloud is; the whole subscription is in scope unless they name another scope.
    pub fn settings(&self, more: &str) {
        let scope = if more.contains("[scope]") {
            String::new()
        } else {
            format!("[scope]\nsubscriptions = [\"{}\"]\n", SUB.rsplit('/').next().unwrap())
        };
        let text = format!("{scope}[azure]\narm_endpoint = \"{}\"\n{more}\n", self.running.url());
        std::fs::write(self.folder.path().join("keymend.toml"), text).unwrap();
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub async fn doctor(&self, arguments: &[&str]) -> Said {
        let mut variables = self.variables.clone();
        // A channel that answers, so that all can be well.
        if !variables.iter().any(|(name, _)| name == "KEYMEND_TEAMS_URL") {
            variables.push(("KEYMEND_TEAMS_URL".to_owned(), answering().await));
            variables.push(("KEYMEND_SLACK_URL".to_owned(), answering().await));
        }
        run(self.folder.path(), arguments, &variables).await
    }

    /// The report, as JSON.
    pub async fn report(&self) -> (i32, Value) {
        let said = self.doctor(&["--json"]).await;
        let report = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        (said.code, report)
    }
}

pub async fn run(folder: &Path, arguments: &[&str], variables: &[(String, String)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keymend"));
    command.arg("doctor").args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_clear().envs(variables.iter().cloned());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    for secret in NEVER_SHOWN {
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "{secret} was shown: {said:?}");
    }
    said
}

/// The address of a place that answers whatever it is asked, with a key in its path.
pub async fn answering() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(async || axum::http::StatusCode::NOT_FOUND);
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}/workflows/hunter2")
}

/// A world whose alert rules leave nothing to be desired.
pub fn well(mut world: World) -> World {
    world.alerts.cause_alerts = true;
    world
}

pub fn checks(report: &Value) -> Vec<&Value> {
    let sections = report["sections"].as_array().unwrap();
    sections.iter().flat_map(|section| section["checks"].as_array().unwrap()).collect()
}

/// The one check of that name.
pub fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let found: Vec<_> = checks(report).into_iter().filter(|check| check["name"] == name).collect();
    assert_eq!(found.len(), 1, "{name} in {report:#}");
    found[0]
}

pub fn in_state<'a>(report: &'a Value, state: &str) -> Vec<&'a Value> {
    checks(report).into_iter().filter(|check| check["state"] == state).collect()
}

/// Every right that is said to be lacking, with its scope.
pub fn lacking(report: &Value) -> BTreeSet<(String, String)> {
    let found = checks(report).into_iter().map(|check| &check["lacking"]).filter(|lacking| lacking.is_object());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    found.map(|lacking| (text(&lacking["right"]), text(&lacking["scope"]))).collect()
}

/// Every command that is offered.
pub fn commands(report: &Value) -> String {
    let fixes = checks(report).into_iter().filter_map(|check| check["fix"]["run"].as_array());
    fixes.flatten().map(|command| command.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}
