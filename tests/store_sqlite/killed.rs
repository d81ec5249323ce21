//! Kill −9 at any moment: what was answered is there, and nothing is there by half.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use keymend::store::{SqliteStore, Store};
use rand::Rng;
use rusqlite::Connection;

use crate::child;
use crate::{at, loss, server};

const ROUNDS: u32 = 20;

/// Lets a child work for a while, kills it, and answers what it said before that.
fn work_and_kill(file: &Path) -> Vec<String> {
    let mut child = child::command("work", file, None).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    while said.is_empty() {
        let line = lines.next().expect("the child ended by itself").unwrap();
        said.extend(line.starts_with("accepted").then_some(line));
    }
    let reading = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    std::thread::sleep(Duration::from_micros(rand::rng().random_range(0..60_000)));
    child.kill().unwrap();
    child.wait().unwrap();
    said.extend(reading.join().unwrap());
    said
}

fn column(connection: &Connection, select: &str) -> BTreeSet<String> {
    connection.prepare(select).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn nothing_answered_is_lost_by_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    let (mut accepted, mut finished) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..ROUNDS {
        for line in work_and_kill(&file) {
            match line.split_once(' ') {
                Some(("accepted", event)) => accepted.insert(event.to_owned()),
                Some(("finished", key)) => finished.insert(key.to_owned()),
                _ => false,
            };
        }
        let store = SqliteStore::open(&file).unwrap();
        let again = store.accept(&[loss("after", &format!("after-{round}"))], at(2000)).await.unwrap();
        assert_eq!(again.new, 1, "the file can be used at once");

        let beside = Connection::open(&file).unwrap();
        assert_eq!(column(&beside, "PRAGMA integrity_check"), BTreeSet::from(["ok".to_owned()]));
        let stored = column(&beside, "SELECT document ->> 'event_id' FROM signal");
        let lost: Vec<_> = accepted.difference(&stored).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} were accepted and are gone");
        let jobs = column(&beside, "SELECT key FROM job");
        let undone: Vec<_> = finished.intersection(&jobs).collect();
        assert!(undone.is_empty(), "round {round}: {undone:?} were finished and are back");
        for subject in column(&beside, "SELECT subject FROM signal") {
            assert!(jobs.contains(&format!("locate:{subject}")), "a signal of {subject} was stored without its job");
        }
    }
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(store.untaken_signals(&server("after")).await.unwrap().len(), usize::try_from(ROUNDS).unwrap());
}
