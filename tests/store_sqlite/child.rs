//! Parts of tests that need a process of their own: this test binary, run again with a role.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use keymend::store::{NewJob, SqliteStore, Store, StoreError, Work};

use crate::{at, loss};

const ROLE: &str = "KEYMEND_TEST_ROLE";
const FILE: &str = "KEYMEND_TEST_FILE";

/// The arguments with which this binary does nothing but play its role.
pub const ARGUMENTS: [&str; 3] = ["child::play_the_role", "--exact", "--nocapture"];

/// A command that plays `role` on the store at `file`; `through` is a shell script that ends in `exec "$0" "$@"`.
pub fn command(role: &str, file: &Path, through: Option<&str>) -> Command {
    let binary = std::env::current_exe().unwrap();
    let mut command = through.map_or_else(
        || Command::new(&binary),
        |script| {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(script).arg(&binary);
            shell
        },
    );
    command.args(ARGUMENTS).env(ROLE, role).env(FILE, file);
    command
}

/// Says that a part of a test could not be run here, where the test runner does not hide it.
pub fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

/// Writes a line in one piece: whoever reads it may rely on it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

#[test]
fn play_the_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let file = PathBuf::from(std::env::var_os(FILE).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match role.as_str() {
            "work" => work(&file).await,
            "fill" => fill(&file).await,
            "hold" => hold(&file).await,
            "open" => match SqliteStore::open(&file) {
                Ok(_) => say("opened"),
                Err(error) => say(&format!("error {error:?}")),
            },
            other => panic!("no such role: {other}"),
        }
    });
}

/// Accepts, saves, and finishes jobs until it is killed; says each thing once it was answered.
async fn work(file: &Path) {
    let store = Arc::new(SqliteStore::open(file).unwrap());
    let run = std::process::id();
    let mut tasks = Vec::new();
    for task in 0..4 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            for n in 0.. {
                let event = format!("{run}-{task}-{n}");
                // Due later than the jobs below, so that these stay for whoever counts them.
                store.accept(&[loss(&format!("sql-{run}-{n}"), &event)], at(1000)).await.unwrap();
                say(&format!("accepted {event}"));
            }
        }));
    }
    let finishing = Arc::clone(&store);
    tasks.push(tokio::spawn(async move {
        for n in 0.. {
            let incident = keymend::domain::incident::IncidentId(format!("{run}-{n}"));
            let job = NewJob { work: Work::Pass { incident }, due: at(0) };
            finishing.enqueue(&job, at(0)).await.unwrap();
            let leased = finishing.lease(at(0), jiff::SignedDuration::from_secs(60)).await.unwrap().unwrap();
            finishing.complete(&leased, at(0)).await.unwrap();
            say(&format!("finished {}", leased.work.key()));
        }
    }));
    for task in tasks {
        task.await.unwrap();
    }
}

/// Works on the store: takes a job for an hour, and does not finish it.
async fn hold(file: &Path) {
    let store = SqliteStore::open_to_work(file, at(0), std::time::Duration::ZERO).unwrap();
    store.lease(at(0), jiff::SignedDuration::from_hours(1)).await.unwrap().unwrap();
    say("holds");
    std::future::pending::<()>().await;
}

/// Accepts until the disk is full. Then, if there is a file `ballast` beside the store, removes it and goes on.
async fn fill(file: &Path) {
    let store = SqliteStore::open(file).unwrap();
    let mut n = 0;
    let mut accept = async || {
        let event = format!("fill-{n}");
        n += 1;
        let answer = store.accept(&[loss("sql", &event)], at(0)).await;
        if answer.is_ok() {
            say(&format!("accepted {event}"));
        }
        answer
    };
    let full: StoreError = loop {
        if let Err(error) = accept().await {
            break error;
        }
    };
    say(&format!("full {full:?}"));
    store.untaken_signals(&crate::server("sql")).await.unwrap();
    say("still reads");
    let ballast = file.with_file_name("ballast");
    if ballast.exists() {
        std::fs::remove_file(ballast).unwrap();
        for _ in 0..10 {
            accept().await.unwrap();
        }
        say("went on");
    }
}
