//! `keymend sim`, as it is started.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use keymend::drill::cloud::{Break, Fault, World};
use serde_json::{Value, json};

/// The process, ended when the test is.
struct Sim(Child, String);

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> Sim {
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_keymend")).arg("sim").args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("it printed {line:?}")).to_owned();
    Sim(child, url)
}

async fn get(url: &str) -> Value {
    reqwest::get(url).await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_listens_and_its_clock_runs_faster() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("world.toml");
    let world = "origin = '2026-11-20T10:00:00Z'\n[[vaults]]\nname = 'my-kv'\n[[servers]]\nname = 'my-sql'\nprotector = { vault = 'my-kv' }\n\
                 [[servers.databases]]\nname = 'shop'\n";
    std::fs::write(&file, world).unwrap();
    let sim = start(&["--listen", "127.0.0.1:0", "--speed", "3600", "--world", file.to_str().unwrap()]);
    let clock = get(&format!("{}/sim/clock", sim.1)).await;
    assert_eq!(clock["speed"], 3600.0);
    let body = json!({ "kind": "disable-key" });
    let http = keymend::tls::client().build().unwrap();
    let broken = http.post(format!("{}/sim/break", sim.1)).json(&body).send().await.unwrap();
    assert_eq!(broken.status().as_u16(), 200);
    // An hour of the cloud's is a second of ours.
    for _ in 0..200 {
        let world = get(&format!("{}/sim/world", sim.1)).await;
        assert_eq!(world["servers"][0]["databases"][0]["name"], "shop");
        if world["servers"][0]["databases"][0]["access"] == "lost" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the window never ended");
}

#[test]
fn it_refuses_what_it_does_not_understand() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("world.json");
    std::fs::write(&file, r#"{"severs": []}"#).unwrap();
    for (arguments, word) in [
        (vec!["--world", file.to_str().unwrap()], "severs"),
        (vec!["--world", "/does/not/exist.toml"], "exist.toml"),
        (vec!["--listen", "0.0.0.0:0"], "loopback"),
        (vec!["--speed", "0"], "--speed"),
    ] {
        let out = Command::new(env!("CARGO_BIN_EXE_keymend")).arg("sim").args(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}");
        assert!(said.contains(word), "{arguments:?}: {said}");
    }
}

#[test]
fn the_examples_of_its_page_are_understood() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/simulated-cloud.md")).unwrap();
    let toml = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let world: World = toml::from_str(toml).unwrap();
    assert_eq!((world.servers.len(), world.timing.window_minutes), (1, 480));
    let json = page.lines().filter_map(|line| Some((line, line.split_once("--json '")?.1.trim_end_matches('\''))));
    let mut read = 0;
    for (line, json) in json {
        if line.contains("/sim/break") {
            serde_json::from_str::<Break>(json).unwrap_or_else(|error| panic!("{line}: {error}"));
        } else {
            serde_json::from_str::<Fault>(json).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        read += 1;
    }
    assert_eq!(read, 6);
    let section = page.split("### Breaking things").nth(1).unwrap().split("###").next().unwrap();
    let table = section.lines().filter(|line| line.starts_with("| `")).filter_map(|row| row.split('|').nth(1));
    let also = section.split("What mends by hand:").nth(1).unwrap().trim().trim_end_matches('.');
    for kind in table.chain([also]).flat_map(|kinds| kinds.split(',')).map(|kind| kind.trim().trim_matches('`')) {
        let documented = json!({ "kind": kind, "name": "hold", "action": "x", "hours": 2.0 });
        assert!(serde_json::from_value::<Break>(documented).is_ok(), "{kind}");
    }
}
