//! The same app under the real Functions host, where `func` is installed.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::azurite::{Azurite, fresh_name};
use crate::host_double::app_root::AppRoot;

const PATIENCE: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_host_starts_the_app_and_takes_an_alert() {
    if Command::new("func").arg("--version").output().is_err() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: func (Azure Functions Core Tools) is not on the PATH");
        return;
    }
    let Some(azurite) = tokio::task::spawn_blocking(Azurite::shared).await.unwrap() else { return };
    let root = AppRoot::of_repository(env!("CARGO_BIN_EXE_keymend").as_ref());
    let settings = json!({ "IsEncrypted": false, "Values": {
        "FUNCTIONS_WORKER_RUNTIME": "custom",
        "AzureWebJobsStorage": azurite.connection_string(),
        "KEYMEND_STORE": "azure",
        "KEYMEND_JOBS_QUEUE": fresh_name("jobs"),
        "KEYMEND_CONTAINER": fresh_name("state"),
        "KEYMEND_SUBSCRIPTIONS": "11111111-2222-3333-4444-555555555555",
        "KEYMEND_ARM_ENDPOINT": "http://127.0.0.1:9",
        "KEYMEND_STATIC_TOKEN": "drill-token",
    } });
    std::fs::write(root.path().join("local.settings.json"), settings.to_string()).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut host = Command::new("func")
        .args(["start", "--port", &port.to_string()])
        .current_dir(root.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let client = keymend::tls::client().no_proxy().build().unwrap();
    let began = Instant::now();
    let healthy = loop {
        let answer = client.get(format!("http://127.0.0.1:{port}/api/health")).send().await;
        match answer {
            Ok(answer) if answer.status().is_success() => break true,
            _ if began.elapsed() > PATIENCE => break false,
            _ => tokio::time::sleep(Duration::from_millis(250)).await,
        }
    };
    let alert = client.post(format!("http://127.0.0.1:{port}/api/alerts")).body("no alert at all").send().await;
    let _ = host.kill();
    let _ = host.wait();
    assert!(healthy, "the app is not healthy within {PATIENCE:?}");
    assert_eq!(alert.unwrap().status().as_u16(), 400, "the handler's own answer comes through");
}
