//! A full disk, a read-only file, and a file that does not grow for ever.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use keymend::store::{SqliteStore, Store};

use crate::child;
use crate::{at, loss, server};

/// What the child said, line by line, and whether it ended well.
fn run(role: &str, file: &Path, through: Option<&str>) -> (Vec<String>, bool) {
    let output = child::command(role, file, through).stderr(Stdio::inherit()).output().unwrap();
    (String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect(), output.status.success())
}

fn accepted(lines: &[String]) -> BTreeSet<String> {
    lines.iter().filter_map(|line| line.strip_prefix("accepted ")).map(str::to_owned).collect()
}

/// A limit on the size of files stands for a full disk wherever there is a shell.
#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    let (lines, ended_well) = run("fill", &file, Some("trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\""));
    assert!(ended_well, "{lines:?}");
    let full = lines.iter().find(|line| line.starts_with("full ")).unwrap();
    assert!(full.contains("Unavailable"), "{full}");
    assert!(lines.contains(&"still reads".to_owned()));

    let store = SqliteStore::open(&file).unwrap();
    let stored = store.untaken_signals(&server("sql")).await.unwrap();
    let stored: BTreeSet<String> = stored.into_iter().filter_map(|(_, signal)| signal.event_id).collect();
    assert_eq!(stored, accepted(&lines), "exactly what was answered is there");
    assert!(stored.len() > 20);
    assert_eq!(store.accept(&[loss("sql", "later")], at(5)).await.unwrap().new, 1);
}

/// A file system of one megabyte of its own, where the machine lets us make one.
#[test]
fn a_full_disk_is_told_and_used_again_once_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    let script = "dir=$(dirname \"$KEYMEND_TEST_FILE\")
        mount -t tmpfs -o size=1m none \"$dir\" 2>/dev/null || { echo 'no mount'; exit 0; }
        head -c 300000 /dev/zero >\"$dir/ballast\" && exec \"$0\" \"$@\"";
    let quoted =
        format!("exec unshare --user --map-root-user --mount sh -c '{}' \"$0\" \"$@\"", script.replace('\'', "'\\''"));
    let (lines, ended_well) = run("fill", &file, Some(&quoted));
    if !ended_well && lines.is_empty() || lines.contains(&"no mount".to_owned()) {
        child::skipped("a really full file system: this machine lets nobody make one (unshare, mount)");
        return;
    }
    assert!(ended_well, "{lines:?}");
    let full = lines.iter().find(|line| line.starts_with("full ")).unwrap();
    assert!(full.contains("Unavailable") && full.contains("disk is full"), "{full}");
    assert!(lines.contains(&"went on".to_owned()), "{lines:?}");
}

#[test]
fn a_read_only_file_is_refused_at_once() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    drop(SqliteStore::open(&file).unwrap());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = child::command("open", &file, None);
    if std::fs::OpenOptions::new().append(true).open(&file).is_ok() {
        // Root may write everything; somebody else may not.
        command.uid(65534).gid(65534);
    }
    let output = command.output();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if !said.contains("running 1 test") {
        child::skipped("a read-only file: run as root, and nobody else may run this test");
        return;
    }
    assert!(said.contains("error Unavailable"), "{said}");
    assert!(said.contains("keymend.db"), "the error names the file: {said}");
}

#[tokio::test]
async fn the_file_does_not_grow_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.db");
    let store = SqliteStore::open(&file).unwrap();
    let mut sizes = Vec::new();
    for month in 0..6 {
        let now = at(month * 40 * 86_400);
        let signals: Vec<_> = (0..1500).map(|n| loss("sql", &format!("{month}-{n}"))).collect();
        store.accept(&signals, now).await.unwrap();
        let untaken = store.untaken_signals(&server("sql")).await.unwrap();
        let ids: Vec<_> = untaken.into_iter().map(|(id, _)| id).collect();
        store.dismiss(&ids, now).await.unwrap();
        store.prune(None, now).await.unwrap();
        let size = |name: &str| std::fs::metadata(folder.path().join(name)).map_or(0, |data| data.len());
        sizes.push((size("keymend.db"), size("keymend.db-wal")));
    }
    // Until the log is written back for the first time there is hardly anything in the database.
    assert!(sizes[2].0 > 1 << 20, "the log was not written back: {sizes:?}");
    assert!(sizes[5].0 <= sizes[2].0 * 5 / 4, "the database grows: {sizes:?}");
    assert!(sizes[5].1 <= 20 << 20, "the log grows: {sizes:?}");
}
