//! A simulated cloud, a folder with settings, and Keymend called in it.

use std::process::{Command, Stdio};

use keymend::clock::Clock;
use keymend::drill::cloud::{Break, Cloud, Running, What, World};
use serde_json::Value;

pub const SUB: &str = "/subscriptions/11111111-2222-3333-4444-555555555555";

pub struct Stage {
    pub cloud: Cloud,
    pub running: Running,
    pub folder: tempfile::TempDir,
}

/// What it said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Stage {
    pub async fn open(world: World) -> Self {
        let cloud = Cloud::new(world, Clock::system());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running = cloud.serve(listener).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let stage = Self { cloud, running, folder };
        stage.settings("");
        stage
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

    pub fn breaks(&self, what: What) {
        self.cloud.try_break(&Break { what, by: None }).unwrap();
    }

    pub async fn keymend(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keymend"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).env_clear();
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!said.out.contains("drill-token") && !said.err.contains("drill-token"), "{said:?}");
        said
    }

    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}
