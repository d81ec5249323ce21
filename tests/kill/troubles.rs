//! The store in trouble while `serve` works: full, locked by another process, its log damaged while it was down.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;

use crate::campaign::number;
use crate::invariants::breaches;
use crate::progress;
use crate::serve::{Serve, keymend};
use crate::stage::Stage;
use crate::story::{ACTION_GROUP_TRIES_FOR, Story};

const TROUBLES: [&str; 3] = ["full", "locked", "damaged log"];
/// How long a write that fails is waited for at most, in real time.
const ROOM_IS_SOUGHT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long; scripts/chaos runs it"]
async fn a_store_in_trouble() {
    let first = number("KEYMEND_TEST_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let rounds = number("KEYMEND_TEST_ROUNDS").unwrap_or(8);
    progress(&format!("seeds from {first}"));
    let runs = (0..rounds).flat_map(|round| TROUBLES.map(|trouble| (trouble, first.wrapping_add(round))));
    let runs = runs.map(|(trouble, seed)| async move { (trouble, seed, play(trouble, seed).await) });
    let mut found = Vec::new();
    let mut proven: BTreeMap<&str, usize> = TROUBLES.map(|trouble| (trouble, 0)).into();
    for (trouble, seed, played) in futures::future::join_all(runs).await {
        let faults = match played {
            Played::ProvesNothing(why) => {
                progress(&format!("{trouble}, seed {seed}: {why}, which proves nothing"));
                continue;
            }
            Played::ToItsEnd(faults) => faults,
        };
        *proven.entry(trouble).or_default() += 1;
        progress(&format!("{trouble}, seed {seed}: {}", if faults.is_empty() { "ok" } else { "FAILED" }));
        found.extend(faults.into_iter().map(|fault| format!("{trouble}, seed {seed}: {fault}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(proven.values().all(|count| *count > 0), "a trouble was never met: {proven:?}");
}

/// What came of a story.
enum Played {
    /// What does not hold in its end.
    ToItsEnd(Vec<String>),
    /// Why it tells nothing.
    ProvesNothing(String),
}

async fn play(trouble: &str, seed: u64) -> Played {
    let mut random = StdRng::seed_from_u64(seed);
    // So slow that the trouble is over before Azure gives alerts up.
    let story = Story::vault_deleted().slower().slower().slower();
    let mut stage = Stage::open(&story).await;
    // In half of those on a full disk the alerts themselves find no room.
    let before = trouble == "full" && random.random_bool(0.5);
    if !before {
        stage.break_it();
        tokio::time::sleep(Duration::from_millis(random.random_range(100..20_000))).await;
    }
    let troubled = Duration::from_millis(random.random_range(300..7000));
    match trouble {
        "full" => fill_up(&mut stage, before, random.random_range(0..5), troubled).await,
        "locked" => {
            let other = Connection::open(stage.folder().join("keymend.db")).unwrap();
            other.busy_timeout(Duration::from_secs(5)).unwrap();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            tokio::time::sleep(troubled).await;
            other.execute_batch("ROLLBACK").unwrap();
        }
        _ => {
            let killed_at = stage.kill();
            damage(&stage, random.random_range(1..3000), random.random_bool(0.5));
            stage.restart(killed_at).await;
        }
    }
    stage.until_over().await;
    let ended = stage.conclude().await;
    if ended.away > ACTION_GROUP_TRIES_FOR {
        return Played::ProvesNothing(format!("serve was away for {:?} of the story", ended.away));
    }
    let mut faults: Vec<String> = breaches(&ended.seen()).iter().map(ToString::to_string).collect();
    let down = ended.cloud.statuses().into_iter().filter(|(_, status)| status != "Online");
    faults.extend(down.map(|(name, status)| format!("{name} is {status}")));
    if !faults.is_empty() {
        faults.extend(ended.logs);
    } else if trouble == "full" && !ended.logs.iter().any(|log| found_no_room(log)) {
        return Played::ProvesNothing("nothing was written while it was full".to_owned());
    }
    Played::ToItsEnd(faults)
}

/// Goes on with room for so many more pages until a write has failed and for a while more, then with all the room there is. A
/// limit on the size of files stands for a full disk.
async fn fill_up(stage: &mut Stage, before: bool, pages: u64, troubled: Duration) {
    let killed_at = stage.kill();
    let size = |name: &str| std::fs::metadata(stage.folder().join(name)).map_or(0, |data| data.len());
    let blocks = size("keymend.db").max(size("keymend.db-wal")) / 512 + pages * 8;
    let binary = keymend(stage.folder());
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" serve")).arg(binary.get_program());
    command.current_dir(stage.folder()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in binary.get_envs() {
        command.env_remove(name);
    }
    let mut limited = Serve::start_as(command);
    let began = Instant::now();
    while !limited.is_ready() && !limited.has_ended() && began.elapsed() < ROOM_IS_SOUGHT {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // With no room at all it does not start, and says so.
    let mut deaf = killed_at;
    if limited.is_ready() {
        stage.was_away_since(killed_at);
        if before {
            stage.break_it();
        }
        while !found_no_room(&limited.log()) && began.elapsed() < ROOM_IS_SOUGHT {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        deaf = stage.cloud.clock().now();
    } else if before {
        stage.break_it();
    }
    tokio::time::sleep(troubled).await;
    stage.add_log(limited.log());
    drop(limited);
    stage.restart(deaf).await;
}

/// Whether a write to the store failed for want of room.
fn found_no_room(log: &str) -> bool {
    log.contains("disk I/O error") || log.contains("disk is full")
}

/// Bytes at the end of the log are torn off, or turned into something else.
fn damage(stage: &Stage, bytes: u64, torn: bool) {
    let Ok(mut log) = std::fs::OpenOptions::new().write(true).open(stage.folder().join("keymend.db-wal")) else {
        return;
    };
    let length = log.metadata().unwrap().len();
    let from = length.saturating_sub(bytes);
    if torn {
        log.set_len(from).unwrap();
    } else {
        log.seek(SeekFrom::Start(from)).unwrap();
        log.write_all(&vec![0xA5; usize::try_from(length - from).unwrap()]).unwrap();
    }
}
