//! A real Chromium by WebDriver, and what a person does with it.
//!
//! Where `chromedriver` or Chromium is missing, a test that needs them says SKIPPED and passes; `scripts/test` installs both.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thirtyfour::cdp::Cdp;
use thirtyfour::prelude::*;

/// How long anything on a page may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A browser with one page.
pub struct Browser {
    pub driver: WebDriver,
    process: Child,
    _profile: tempfile::TempDir,
}

/// The program, if it is installed.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

/// Also where a test fails.
impl Drop for Browser {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Browser {
    /// Starts one; `None` where there is none, which is said.
    pub async fn start() -> Option<Self> {
        let driver = program(&["chromedriver"]);
        let chromium = program(&["chromium", "chromium-browser", "google-chrome"]);
        let (Some(driver), Some(chromium)) = (driver, chromium) else {
            let why = "Chromium and chromedriver are not installed (Debian: apt-get install chromium chromium-driver)";
            assert!(std::env::var_os("KEYMEND_NEED_BROWSER").is_none(), "{why}");
            eprintln!("SKIPPED in a browser: {why}");
            return None;
        };
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let profile = tempfile::tempdir().unwrap();
        let process = Command::new(driver)
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut caps = DesiredCapabilities::chrome();
        caps.set_binary(chromium.to_str().unwrap()).unwrap();
        for arg in [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--disable-breakpad",
            "--disable-crash-reporter",
        ] {
            caps.add_arg(arg).unwrap();
        }
        caps.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
        caps.set("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" })).unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let began = Instant::now();
        let driver = loop {
            match WebDriver::new(&url, caps.clone()).await {
                Ok(driver) => break driver,
                Err(error) => assert!(began.elapsed() < PATIENCE, "chromedriver does not answer: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        Some(Self { driver, process, _profile: profile })
    }

    pub async fn quit(mut self) {
        let _ = self.driver.clone().quit().await;
        self.kill();
    }

    /// The driver, and the browser that it started: both are of one process group.
    fn kill(&mut self) {
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.process.wait();
    }

    async fn cdp(&self, method: &str, parameters: Value) -> Value {
        Cdp::new(self.driver.handle().clone()).send_raw(method, parameters).await.unwrap()
    }

    /// A window of that size, in CSS pixels, as a phone or a desk has it.
    pub async fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.cdp("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// What the reader prefers.
    pub async fn prefer(&self, scheme: &str) {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.cdp("Emulation.setEmulatedMedia", media).await;
    }

    pub async fn go(&self, address: &str) {
        self.driver.goto(address).await.unwrap();
    }

    /// What a script in the page answers.
    pub async fn script(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    /// The text of the page as it is shown.
    pub async fn words(&self) -> String {
        self.script("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page shows the words.
    pub async fn shows(&self, wanted: &str) {
        let began = Instant::now();
        loop {
            let words = self.words().await;
            if words.to_lowercase().contains(&wanted.to_lowercase()) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "the page never shows {wanted:?}:\n{words}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Presses a key where the focus is.
    pub async fn press(&self, key: Key) {
        self.driver.action_chain().send_keys(key).perform().await.unwrap();
    }

    /// Types where the focus is.
    pub async fn write(&self, text: &str) {
        self.driver.action_chain().send_keys(text).perform().await.unwrap();
    }

    /// Waits until the page has looked for a newer one and has it.
    pub async fn renewed(&self) {
        self.script("window.before = document.getElementById('main')").await;
        let began = Instant::now();
        while self.script("return document.getElementById('main') !== window.before").await != true {
            assert!(began.elapsed() < PATIENCE, "the page is not renewed");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What has the focus, in the words of its text or label, and whether that can be seen.
    pub async fn focus(&self) -> (String, bool) {
        let at = self
            .script(
                "const e = document.activeElement; const s = getComputedStyle(e); const b = e.getBoundingClientRect();
                 return [e.innerText || e.name || e.tagName, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 && b.top >= 0];",
            )
            .await;
        (at[0].as_str().unwrap_or_default().trim().to_owned(), at[1] == true)
    }

    /// By how many pixels the page is wider than its window.
    pub async fn overflow(&self) -> i64 {
        let wider = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.script(wider).await.as_i64().unwrap()
    }

    /// What axe-core finds that is serious or critical, as `rule: element`.
    pub async fn axe(&self, source: &str) -> Vec<String> {
        self.driver.execute(source, Vec::new()).await.unwrap();
        let found = self
            .driver
            .execute_async("axe.run(document).then(arguments[arguments.length - 1])", Vec::new())
            .await
            .unwrap()
            .json()
            .clone();
        let violations = found["violations"].as_array().unwrap_or_else(|| panic!("axe says nothing: {found}")).clone();
        let bad = violations
            .iter()
            .filter(|one| ["serious", "critical"].contains(&one["impact"].as_str().unwrap_or_default()));
        bad.flat_map(|one| {
            let nodes = one["nodes"].as_array().unwrap().iter();
            nodes.map(move |node| format!("{}: {} {}", one["id"], node["html"], node["failureSummary"]))
        })
        .collect()
    }

    /// What the console says that is not mere information: violations of the policy, errors, files that are missing.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.driver.browser_log().await.unwrap();
        log.into_iter()
            .map(|entry| format!("{:?}: {}", entry.level, entry.message))
            .filter(|line| !line.to_lowercase().starts_with("info") && !line.to_lowercase().starts_with("debug"))
            .collect()
    }

    /// The whole page, as high as it is but at most `most`, as a picture.
    pub async fn picture(&self, file: &Path, width: u32, most: u32) {
        let high = self.script("return document.documentElement.scrollHeight").await.as_u64().unwrap();
        self.resize(width, u32::try_from(high).unwrap().min(most)).await;
        self.driver.screenshot(file).await.unwrap();
    }
}
