//! The signals of one alert that wait to be written, and for their answer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::fault::Outcome;
use super::jobs;
use super::known::Known;
use super::signals::{self, Row};
use crate::domain::resource_id::ResourceId;
use crate::store::{Accepted, Result, StoreError};

/// An alert whose sender waits.
pub(super) struct Alert {
    rows: Vec<Row>,
    received_at: Timestamp,
    outcome: Result<Accepted>,
    reply: oneshot::Sender<Result<Accepted>>,
}

const NOTHING: Accepted = Accepted { new: 0, repeated: 0 };

impl Alert {
    /// An alert, and where its answer will come.
    pub(super) fn new(rows: Vec<Row>, received_at: Timestamp) -> (Self, oneshot::Receiver<Result<Accepted>>) {
        let (reply, answer) = oneshot::channel();
        (Self { rows, received_at, outcome: Ok(NOTHING), reply }, answer)
    }

    /// It alone could not be written.
    pub(super) fn failed(&mut self, why: StoreError) {
        self.outcome = Err(why);
    }

    /// Tells its sender: `Err` if the transaction as a whole did not happen.
    pub(super) fn answer(self, fate: Result<()>) {
        // The sender may have given up; what was written stands all the same.
        let _ = self.reply.send(fate.and(self.outcome));
    }
}

/// Writes what is new of `alerts`, and calls once for a look at each of their subjects.
pub(super) fn write(connection: &Connection, known: &mut Known, alerts: &mut [Alert]) -> Outcome<()> {
    known.catch_up(connection)?;
    let mut called: BTreeMap<&ResourceId, Timestamp> = BTreeMap::new();
    for Alert { rows, received_at, outcome, .. } in alerts {
        let mut accepted = NOTHING;
        for row in &*rows {
            if signals::add(connection, known, row, *received_at)? {
                accepted.new += 1;
                called.entry(&row.subject).or_insert(*received_at);
            } else {
                accepted.repeated += 1;
            }
        }
        *outcome = Ok(accepted);
    }
    for (target, now) in called {
        jobs::call_to(connection, target, now)?;
    }
    Ok(())
}
