//! `keymend serve` as a child process.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A start takes much less; this is for a machine that does a lot besides.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the Action Group must know.
pub const SECRET: &str = "a-secret-that-only-this-test-knows";

/// A running `keymend serve`. Dropping it kills it.
pub struct Serve {
    child: Child,
    said: Arc<Mutex<String>>,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// `keymend`, with nothing of this machine's own settings.
pub fn keymend(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keymend"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KEYMEND_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Serve {
    /// Starts one with the settings in `folder`; it is not ready yet.
    pub fn start(folder: &Path) -> Self {
        let mut command = keymend(folder);
        command.arg("serve");
        Self::start_as(command)
    }

    /// Starts one by this command.
    pub fn start_as(mut command: Command) -> Self {
        command.env("KEYMEND_WEBHOOK_SECRET", SECRET);
        command.env("KEYMEND_EVENTS_SECRET", "whsec_ZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGwtZHJpbGw=");
        let mut child = command.spawn().unwrap();
        let (said, log) = (Arc::default(), Arc::default());
        let readers = vec![listen(child.stdout.take().unwrap(), &said), follow(child.stderr.take().unwrap(), &log)];
        Self { child, said, log, readers }
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&mut self) {
        let began = Instant::now();
        while !self.is_ready() {
            assert!(began.elapsed() < PATIENCE, "serve does not get ready:\n{}", self.log());
            assert!(self.child.try_wait().unwrap().is_none(), "serve ended by itself:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub fn is_ready(&self) -> bool {
        self.said.lock().unwrap().contains("listening on http://")
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Where it listens: `http://…`.
    pub fn address(&self) -> String {
        let said = self.said.lock().unwrap();
        let line = said.lines().find_map(|line| line.strip_prefix("listening on "));
        line.expect("it is ready").to_owned()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it ends by itself. Answers its exit code, what it said, and its log.
    pub async fn ended(mut self) -> (Option<i32>, String, String) {
        let began = Instant::now();
        let status = loop {
            assert!(began.elapsed() < PATIENCE, "serve does not end:\n{}", self.log());
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let log = self.whole_log();
        (status.code(), self.said.lock().unwrap().clone(), log)
    }

    /// Kill −9. Answers its log.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "it was killed, and did not end by itself: {status}\n{}", self.log());
        self.whole_log()
    }

    /// Asks it to stop. Answers its log.
    pub fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}\n{}", self.log());
        self.whole_log()
    }

    fn whole_log(&mut self) -> String {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.log()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(stdout: ChildStdout, into: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            into.lock().unwrap().push_str(&(line + "\n"));
        }
    })
}

fn follow(mut stderr: ChildStderr, into: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let (into, mut piece) = (Arc::clone(into), [0; 4096]);
    std::thread::spawn(move || {
        while let Ok(length @ 1..) = stderr.read(&mut piece) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
        }
    })
}
