//! No secret of any setting comes out anywhere: every one is planted, everything that is written is searched.

mod finder;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use finder::Finder;
use keymend::clock::Clock;
use keymend::domain::policy::Preset;
use keymend::drill::cloud::{Cloud, Fault, FaultKind, Running};
use keymend::drill::scenario::{self, Act};
use serde_json::{Value, json};

use crate::Serve;
use crate::doors::{alert, database};

/// In base64, as Standard Webhooks has it.
const WEBHOOK: &str = "cGxhbnRlZC1ldmVudHMtMGExYjJjM2Q0ZTVmNjA3MTgyOTMwMDAw";

/// Every setting that holds a secret. Each value is found nowhere else.
fn planted() -> Vec<(&'static str, String)> {
    let word = |name: &str| format!("planted-{name}-0a1b2c3d4e5f60718293");
    vec![
        ("server.webhook_secret (variable)", word("hook")),
        ("server.webhook_secret (file)", word("hookfile")),
        ("azure.static_token", word("token")),
        ("azure.client_secret", word("clientsecret")),
        ("pages.link_secret", word("linksecretlinksecret")),
        ("teams.url", word("teams")),
        ("slack.url", word("slack")),
        ("webhook.url", word("eventsurl")),
        ("webhook.secret", WEBHOOK.to_owned()),
        ("servicenow.secret", word("servicenow")),
        ("pagerduty.key", "f00dfeed0a1b2c3d4e5f60718293a4b5".to_owned()),
        ("jsm.key", word("jsm")),
        ("jira.token", word("jira")),
        ("AzureWebJobsStorage", "cGxhbnRlZC1zdG9yYWdlLTBhMWIyYzNkNGU1ZjYwNzE4".to_owned()),
        ("IDENTITY_HEADER", word("identity")),
        ("OTEL_EXPORTER_OTLP_HEADERS", word("otel")),
    ]
}

struct Stage {
    cloud: Cloud,
    running: Running,
    folder: tempfile::TempDir,
    /// What is kept out of the folder that is searched: the files with secrets.
    outside: tempfile::TempDir,
    secrets: Vec<(&'static str, String)>,
    written: Vec<(String, Vec<u8>)>,
}

impl Stage {
    async fn open() -> Self {
        let secrets = planted();
        let mut world = (scenario::named("vault-deleted").unwrap().setup)(Preset::Guarded).world;
        world.responder.token = secrets[2].1.clone();
        let cloud = Cloud::new(world, Clock::scaled(Clock::system().now(), 30.0));
        let running = cloud.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Self { cloud, running, folder, outside, secrets, written: Vec::new() }
    }

    fn secret(&self, name: &str) -> &str {
        &self.secrets.iter().find(|(setting, _)| *setting == name).unwrap().1
    }

    /// `keymend` with every secret, some in variables and some in files.
    fn keymend(&self, arguments: &[&str]) -> Command {
        let at = self.outside.path();
        std::fs::write(at.join("hook.txt"), self.secret("server.webhook_secret (file)")).unwrap();
        std::fs::write(at.join("jira.txt"), self.secret("jira.token")).unwrap();
        std::fs::write(
            at.join("teams.txt"),
            format!("{}/sink/teams?sig={}", self.running.url(), self.secret("teams.url")),
        )
        .unwrap();
        let url = self.running.url();
        let file = |name: &str| at.join(name).display().to_string();
        let text = format!(
            "[scope]\nsubscriptions = [\"11111111-2222-3333-4444-555555555555\"]\n[policy]\npreset = \"guarded\"\n\
             [azure]\narm_endpoint = \"{url}\"\n[simulated]\nfollow_clock = true\n[server]\nlisten = \"127.0.0.1:0\"\nwebhook_secret_file = \"{}\"\n\
             [teams]\nurl_file = \"{}\"\n[webhook]\nallow_private = true\n[jira]\nbase_url = \"{url}/sink/jira\"\n\
             user = \"keymend@contoso.example\"\ntoken_file = \"{}\"\nproject = \"OPS\"\n",
            file("hook.txt"),
            file("teams.txt"),
            file("jira.txt"),
        );
        std::fs::write(at.join("keymend.toml"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_keymend"));
        command.env_clear().args(arguments).current_dir(self.folder.path());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.env("KEYMEND_CONFIG", at.join("keymend.toml")).env("KEYMEND_LOG", "trace");
        for (name, value) in [
            ("KEYMEND_STATIC_TOKEN", self.secret("azure.static_token").to_owned()),
            ("KEYMEND_WEBHOOK_SECRET", self.secret("server.webhook_secret (variable)").to_owned()),
            ("KEYMEND_CLIENT_SECRET", self.secret("azure.client_secret").to_owned()),
            ("KEYMEND_LINK_SECRET", self.secret("pages.link_secret").to_owned()),
            ("KEYMEND_SLACK_URL", format!("{url}/sink/slack/T0/B0/{}", self.secret("slack.url"))),
            ("KEYMEND_EVENTS_URL", format!("{url}/sink/webhook?token={}", self.secret("webhook.url"))),
            ("KEYMEND_EVENTS_SECRET", format!("whsec_{}", self.secret("webhook.secret"))),
            ("KEYMEND_SERVICENOW_URL", format!("{url}/sink/servicenow")),
            ("KEYMEND_SERVICENOW_AUTH", "api_key".to_owned()),
            ("KEYMEND_SERVICENOW_SECRET", self.secret("servicenow.secret").to_owned()),
            ("KEYMEND_PAGERDUTY_URL", format!("{url}/sink/pagerduty/v2")),
            ("KEYMEND_PAGERDUTY_KEY", self.secret("pagerduty.key").to_owned()),
            ("KEYMEND_JSM_URL", format!("{url}/sink/jsm")),
            ("KEYMEND_JSM_KEY", self.secret("jsm.key").to_owned()),
            ("IDENTITY_HEADER", self.secret("IDENTITY_HEADER").to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9".to_owned()),
            ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization={}", self.secret("OTEL_EXPORTER_OTLP_HEADERS"))),
            (
                "AzureWebJobsStorage",
                format!(
                    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={}=",
                    self.secret("AzureWebJobsStorage")
                ),
            ),
        ] {
            command.env(name, value);
        }
        command
    }

    async fn run(&mut self, arguments: &[&str]) {
        let mut command = self.keymend(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let all = [output.stdout, output.stderr].concat();
        assert!(!all.is_empty(), "{arguments:?} says something");
        self.written.push((format!("keymend {}", arguments.join(" ")), all));
    }

    async fn ask(&mut self, address: &str, path: &str, headers: &[(&str, String)], body: Option<&Value>) {
        let client = Serve::client();
        let url = format!("http://{address}{path}");
        let mut request = match body {
            Some(body) => client.post(url).header("content-type", "application/json").body(body.to_string()),
            None => client.get(url),
        };
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await.unwrap();
        let head = format!("{} {:?}", answer.status(), answer.headers());
        let text = answer.text().await.unwrap();
        self.written.push((
            format!("the answer to {path}").split('?').next().unwrap().to_owned(),
            format!("{head}\n{text}").into_bytes(),
        ));
    }

    /// Services that say in their errors what they were sent.
    fn let_services_tell(&self) {
        for (path, name) in [
            ("/sink/teams", "teams.url"),
            ("/sink/slack", "slack.url"),
            ("/sink/webhook", "webhook.url"),
            ("/sink/jira", "jira.token"),
            ("/sink/jsm", "jsm.key"),
            ("/sink/servicenow", "servicenow.secret"),
            ("/sink/pagerduty", "pagerduty.key"),
        ] {
            let text = format!("{{\"error\": \"{0} is not taken\", \"message\": \"{0}\"}}", self.secret(name));
            let kind = FaultKind::Say { status: 400, content_type: "application/json".into(), text, location: None };
            self.cloud.fault(Fault {
                method: None,
                path: path.into(),
                kind,
                times: Some(2),
                for_seconds: None,
                after_effect: false,
            });
        }
    }

    /// What is in the folder of the store, and what the team was sent; PagerDuty wants its key in the body.
    fn collect(&mut self) {
        for file in files(self.folder.path()) {
            self.written.push((format!("the file {}", file.display()), std::fs::read(&file).unwrap()));
        }
        for posted in self.cloud.inbox() {
            let mut body = posted.body.clone();
            if posted.sink == "pagerduty" {
                body["routing_key"] = Value::Null;
            }
            self.written.push((format!("what {} was sent", posted.sink), body.to_string().into_bytes()));
        }
    }

    fn leaks(&self) -> Vec<String> {
        let finder = Finder::of(&self.secrets);
        let of = |(place, bytes): &(String, Vec<u8>)| {
            let found = finder.found_in(bytes);
            (!found.is_empty()).then(|| format!("{} in {place}", found.join(", ")))
        };
        self.written.iter().filter_map(of).collect()
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Waits until nothing is missing any more.
async fn until(missing: impl Fn() -> Vec<String>, serve: &Serve) {
    let began = Instant::now();
    while !missing().is_empty() {
        let log = || serve.log.lock().unwrap().lines().rev().take(40).collect::<Vec<_>>().join("\n");
        assert!(began.elapsed() < Duration::from_secs(90), "not tried: {:?}\n{}", missing(), log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_of_any_setting_comes_out_anywhere() {
    let mut stage = Stage::open().await;
    stage.let_services_tell();
    let serve = Serve::start(&mut stage.keymend(&["serve"]));
    let address = serve.address.clone();
    let (variable, file) = (
        stage.secret("server.webhook_secret (variable)").to_owned(),
        stage.secret("server.webhook_secret (file)").to_owned(),
    );
    for step in &(scenario::named("vault-deleted").unwrap().setup)(Preset::Guarded).script {
        if let Act::Break(what) = &step.act {
            stage.cloud.try_break(what).unwrap();
        }
    }
    let told = alert(&database("orders"), "e-1");
    stage.ask(&address, &format!("/api/alerts?code={file}"), &[], Some(&told)).await;
    let accepted = String::from_utf8_lossy(&stage.written.last().unwrap().1).into_owned();
    assert!(accepted.starts_with("202"), "the secret of the file opens: {accepted}");
    stage
        .ask(
            &address,
            &format!("/api/alerts?code=x&not={variable}"),
            &[("x-functions-key", format!("not-{variable}"))],
            Some(&json!({})),
        )
        .await;
    stage
        .ask(&address, &format!("/api/nothing/{variable}"), &[("authorization", format!("Bearer {variable}"))], None)
        .await;
    // Every channel is tried: the ones whose services told what they were sent, and again.
    let sinks = ["teams", "slack", "webhook", "jira", "jsm", "servicenow", "pagerduty"];
    let cloud = stage.cloud.clone();
    let tried = |sink: &str| cloud.requests_that(|one| one.url.contains(&format!("/sink/{sink}"))).len();
    until(|| sinks.iter().filter(|sink| tried(sink) == 0).map(ToString::to_string).collect(), &serve).await;
    for path in ["/", "/api/health", "/metrics", "/api/incidents", "/api/incidents?t=x.y"] {
        stage.ask(&address, path, &[], None).await;
    }
    for arguments in [
        &["incidents", "list", "--open"][..],
        &["incidents", "list"],
        &["incidents", "--json", "list"],
        &["doctor"],
        &["doctor", "--json"],
        &["audit"],
    ] {
        stage.run(arguments).await;
    }
    let sent = json!({ "url": format!("https://x.example/?code={variable}"), "odd": 1 });
    std::fs::write(stage.outside.path().join("alert.json"), sent.to_string()).unwrap();
    let saved = stage.outside.path().join("alert.json").display().to_string();
    stage.run(&["replay", &saved]).await;
    let (_, log) = serve.stop("-TERM");
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log tells everything");
    stage.written.push(("the log of serve".to_owned(), log.into_bytes()));
    // A setting misspelt, and a channel that cannot be.
    let misspelt = format!(
        "[teams]\nulr = \"{0}\"\n[jira]\ntokn = \"{0}\"\n[server]\nwebhook_secret = \"{0}\"\n",
        stage.secret("teams.url")
    );
    let config = stage.outside.path().join("wrong.toml");
    std::fs::write(&config, misspelt).unwrap();
    stage.run(&["serve", "--config", &config.display().to_string()]).await;
    stage.collect();
    // What was searched is what it should be, and not a page of errors.
    for (place, word) in [
        ("keymend incidents list", "km-"),
        ("keymend incidents --json list", "km-"),
        ("the answer to /metrics", "keymend_"),
        ("the answer to /api/incidents", "km-"),
        ("keymend doctor --json", "guarded"),
        ("keymend audit", "contoso"),
        ("keymend serve --config", "teams.ulr"),
        ("the file", "SQLite format 3"),
        ("what teams was sent", "contoso"),
        ("what jira was sent", "km-"),
        ("the log of serve", "an alert was stored"),
    ] {
        let places = stage.written.iter().filter(|(name, _)| name.starts_with(place));
        let found = places.clone().any(|(_, bytes)| String::from_utf8_lossy(bytes).contains(word));
        let all: Vec<_> = places.map(|(_, bytes)| String::from_utf8_lossy(&bytes[..bytes.len().min(2000)])).collect();
        assert!(found, "no {word} in {place}: {all:#?}");
    }
    assert_eq!(stage.leaks(), Vec::<String>::new());
    // The same search finds what is planted.
    std::fs::write(stage.folder.path().join("leak.txt"), format!("x {} x", stage.secret("jsm.key"))).unwrap();
    stage.collect();
    let leaks = stage.leaks();
    assert!(
        leaks.len() == 1 && leaks[0].starts_with("jsm.key in the file") && leaks[0].ends_with("leak.txt"),
        "{leaks:?}"
    );
}

/// Secrets are found in every form in which they could be written.
#[test]
fn the_search_has_teeth() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    let secrets = planted();
    let finder = Finder::of(&secrets);
    for (name, secret) in &secrets {
        for hidden in [
            secret.clone(),
            secret.to_uppercase(),
            format!("{{\"x\":\"{secret}\"}}"),
            percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string(),
            hex::encode(secret),
            STANDARD.encode(secret),
            URL_SAFE.encode(format!("a{secret}b")),
            STANDARD.encode(format!("keymend@contoso.example:{secret}")),
            STANDARD.encode(format!("ab{secret}cde")),
        ] {
            let found = finder.found_in(format!("before {hidden} after").as_bytes());
            assert_eq!(found, [*name], "{hidden}");
        }
    }
    assert!(finder.found_in(b"planted- is no secret, and f00dfeed is half a key").is_empty());
}
