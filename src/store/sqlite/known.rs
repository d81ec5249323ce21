//! Which signals are known already, so that an event that is delivered again changes nothing.
//!
//! An index by fingerprint would be the one part of an alert that is written to a random place of the file: in a storm that was
//! half of all that was written. So fingerprints are held in memory: read from the file with the first signal, and followed as
//! other processes add to it. What memory says is only where to look; known is what a row in the file says. A fault of
//! memory can make a signal be looked into twice, and never lose one.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::{Connection, Row, params};

use super::fault::Outcome;

/// How many of the latest signals are remembered, in 4 MB. Of a signal before those a repetition is looked into again.
const REMEMBERED: usize = 100_000;

/// What the thread that writes remembers: the rows by a hash of their fingerprints.
#[derive(Debug, Default)]
pub(super) struct Known {
    rows: HashMap<u64, i64>,
    /// Hashes and rows, the oldest first.
    order: VecDeque<(u64, i64)>,
    /// Up to which row the file was read; `None` before the first time.
    read_to: Option<i64>,
}

impl Known {
    /// Reads what others have written since. Inside a transaction that writes, once is enough.
    pub(super) fn catch_up(&mut self, connection: &Connection) -> Outcome<()> {
        let Some(read_to) = self.read_to else { return self.read_latest(connection) };
        let mut select = connection.prepare_cached("SELECT id, fingerprint FROM signal WHERE id > ?1 ORDER BY id")?;
        let mut rows = select.query([read_to])?;
        while let Some(row) = rows.next()? {
            let (id, fingerprint) = signal_of(row)?;
            self.put(&fingerprint, id);
        }
        Ok(())
    }

    fn read_latest(&mut self, connection: &Connection) -> Outcome<()> {
        let mut select = connection
            .prepare("SELECT id, fingerprint FROM signal ORDER BY received_at DESC, fingerprint DESC LIMIT ?1")?;
        let limit = i64::try_from(REMEMBERED).unwrap_or(i64::MAX);
        let latest = select.query_map([limit], signal_of)?.collect::<Result<Vec<_>, _>>()?;
        for (id, fingerprint) in latest.into_iter().rev() {
            self.put(&fingerprint, id);
        }
        self.read_to = Some(connection.query_row("SELECT coalesce(max(id), 0) FROM signal", [], |row| row.get(0))?);
        Ok(())
    }

    /// Whether a row of that fingerprint that was received `since` then is in the file.
    pub(super) fn has(&self, connection: &Connection, fingerprint: &str, since: i64) -> Outcome<bool> {
        let Some(id) = self.rows.get(&hash(fingerprint)) else { return Ok(false) };
        let mut row = connection
            .prepare_cached("SELECT 1 FROM signal WHERE id = ?1 AND fingerprint = ?2 AND received_at >= ?3")?;
        Ok(row.exists(params![id, fingerprint, since])?)
    }

    /// Remembers a row that was read or has just been written.
    pub(super) fn put(&mut self, fingerprint: &str, id: i64) {
        let hash = hash(fingerprint);
        self.rows.insert(hash, id);
        self.order.push_back((hash, id));
        self.read_to = Some(id);
        if self.order.len() > REMEMBERED
            && let Some((hash, id)) = self.order.pop_front()
            && self.rows.get(&hash) == Some(&id)
        {
            self.rows.remove(&hash);
        }
    }
}

fn signal_of(row: &Row<'_>) -> rusqlite::Result<(i64, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn hash(fingerprint: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    fingerprint.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE signal (id INTEGER PRIMARY KEY AUTOINCREMENT, received_at INTEGER, fingerprint TEXT)",
            )
            .unwrap();
        connection
    }

    fn write(connection: &Connection, fingerprint: &str, received: i64) -> i64 {
        let mut insert = connection.prepare("INSERT INTO signal (received_at, fingerprint) VALUES (?1, ?2)").unwrap();
        insert.insert(params![received, fingerprint]).unwrap()
    }

    #[test]
    fn what_others_wrote_is_known_before_and_after_the_first_time() {
        let (connection, mut known) = (file(), Known::default());
        write(&connection, "a", 10);
        write(&connection, "b", 5);
        known.catch_up(&connection).unwrap();
        assert!(known.has(&connection, "a", 6).unwrap());
        assert!(!known.has(&connection, "b", 6).unwrap(), "received before");
        write(&connection, "c", 11);
        known.catch_up(&connection).unwrap();
        assert!(known.has(&connection, "c", 6).unwrap());
        assert!(!known.has(&connection, "a", 11).unwrap(), "too long ago by now");
        assert!(known.has(&connection, "a", 6).unwrap(), "a clock that was ahead makes nothing forgotten");
    }

    #[test]
    fn what_was_undone_is_not_known() {
        let (connection, mut known) = (file(), Known::default());
        known.catch_up(&connection).unwrap();
        connection.execute_batch("BEGIN").unwrap();
        let id = write(&connection, "a", 10);
        known.put("a", id);
        assert!(known.has(&connection, "a", 0).unwrap());
        connection.execute_batch("ROLLBACK").unwrap();
        assert!(
            !known.has(&connection, "a", 0).unwrap(),
            "its alert was refused and must be taken when it comes again"
        );
        // Its place is taken by another one.
        assert_eq!(write(&connection, "b", 11), id);
        assert!(!known.has(&connection, "a", 0).unwrap());
    }

    #[test]
    fn of_very_many_the_latest_are_remembered() {
        let mut known = Known::default();
        for id in 0..=REMEMBERED {
            known.put(&id.to_string(), i64::try_from(id).unwrap());
        }
        assert_eq!((known.rows.len(), known.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!known.rows.contains_key(&hash("0")));
    }
}
