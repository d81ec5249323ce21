//! Azurite, Microsoft's emulator of Azure Storage, for the tests: one for each test program, in memory, on free ports.
//!
//! It is installed by `scripts/azurite` when it is missing. Where it can't be had, the tests fail and say why; with
//! `KEYMEND_SKIP_AZURITE=1` they are skipped, and say that.
#![allow(dead_code, reason = "each test program uses some of it")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

/// The account that Azurite has from the beginning.
pub const ACCOUNT: &str = "devstoreaccount1";

/// Its key: public, and the same everywhere (Microsoft, "Connect to Azurite").
pub const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// How long it may take to start: Node alone takes seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Stops Azurite when this program ends, however it ends: its end of the pipe is closed then.
const GUARD: &str = r#""$@" & pid=$!; trap 'kill $pid 2>/dev/null' EXIT; cat >/dev/null"#;

/// A running Azurite.
#[derive(Debug)]
pub struct Azurite {
    blob_port: u16,
    queue_port: u16,
    guard: Mutex<Child>,
}

impl Azurite {
    /// The Azurite of this test program, started when first asked for. `None`: the tests that need it are to be skipped.
    ///
    /// # Panics
    /// If it can't be had and nobody said that this is expected.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Azurite>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let skip = std::env::var("KEYMEND_SKIP_AZURITE").is_ok_and(|value| value == "1");
            (!skip).then(|| {
                Self::start().unwrap_or_else(|why| {
                    panic!("Azurite cannot be had: {why}. KEYMEND_SKIP_AZURITE=1 skips the tests that need it")
                })
            })
        });
        if shared.is_none() {
            eprintln!("SKIPPED: KEYMEND_SKIP_AZURITE=1, so nothing was run against Azure Storage");
        }
        shared.as_ref()
    }

    /// Starts one of its own, which ends when it is dropped.
    ///
    /// # Errors
    /// In words.
    pub fn start() -> Result<Self, String> {
        let program = program()?;
        let mut guard = Command::new("bash")
            .args(["-c", GUARD, "azurite", &program])
            .args(["--blobPort", "0", "--queuePort", "0", "--tablePort", "0"])
            .args(["--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"])
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("bash cannot be started: {error}"))?;
        let lines = lines(&mut guard);
        let (mut blob_port, mut queue_port, mut said) = (None, None, Vec::new());
        while blob_port.is_none() || queue_port.is_none() {
            let Ok(line) = lines.recv_timeout(PATIENCE) else {
                let _ = guard.kill();
                return Err(format!("it did not start; it said: {}", said.join(" | ")));
            };
            // "Azurite Blob service is successfully listening at http://127.0.0.1:10000"
            if line.contains("listening") {
                let port = line.rsplit(':').next().and_then(|port| port.trim().parse().ok());
                if line.contains("Blob") {
                    blob_port = port;
                } else if line.contains("Queue") {
                    queue_port = port;
                }
            }
            said.push(line);
        }
        // Whoever reads no more must not stop it from writing.
        std::thread::spawn(move || while lines.recv().is_ok() {});
        let (blob_port, queue_port) = (blob_port.unwrap_or_default(), queue_port.unwrap_or_default());
        Ok(Self { blob_port, queue_port, guard: Mutex::new(guard) })
    }

    /// `http://127.0.0.1:PORT/devstoreaccount1`, of the blob service.
    pub fn blob_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.blob_port)
    }

    /// The same of the queue service.
    pub fn queue_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.queue_port)
    }

    /// What `AzureWebJobsStorage` would be set to.
    pub fn connection_string(&self) -> String {
        connection_string(&self.blob_endpoint(), &self.queue_endpoint())
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        drop(guard.stdin.take());
        let _ = guard.wait();
    }
}

/// A connection string to a storage account at these addresses, with Azurite's key.
pub fn connection_string(blob: &str, queue: &str) -> String {
    format!(
        "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={blob};QueueEndpoint={queue};"
    )
}

/// A name for a container or queue that no other test uses: `prefix`, the process, and a number.
pub fn fresh_name(prefix: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn program() -> Result<String, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/azurite");
    let output = Command::new(&script)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{} cannot be run: {error}", script.display()))?;
    let program = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !program.is_empty() {
        Ok(program)
    } else {
        Err(format!("{} said no: see above", script.display()))
    }
}

/// What the process writes, line by line.
fn lines(process: &mut Child) -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel();
    let pipes: [Option<Box<dyn Read + Send>>; 2] = [
        process.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        process.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    ];
    for pipe in pipes.into_iter().flatten() {
        let send = send.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
    }
    lines
}
