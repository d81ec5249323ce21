//! A change on its way: sent, seen, or not.

use jiff::SignedDuration;

use crate::azure::{Azure, AzureError, PreparedWrite};
use crate::remedy::outcome::{Outcome, Way};
use crate::remedy::refusal::refused;
use crate::remedy::{Applied, Receipt};

/// Waits between looks at something that is usually done within a minute.
pub(super) const LOOKS: [SignedDuration; 6] = [
    SignedDuration::from_secs(2),
    SignedDuration::from_secs(3),
    SignedDuration::from_secs(5),
    SignedDuration::from_secs(10),
    SignedDuration::from_secs(20),
    SignedDuration::from_secs(20),
];

/// A write that left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    receipt: Receipt,
    operation: Option<String>,
    /// Azure took it on and works on it (202).
    goes_on: bool,
    lost: Option<String>,
}

/// Sends a change. A lost answer is no end: what was to be changed is read either way, and tells.
pub(super) async fn send(
    azure: &Azure,
    write: &PreparedWrite,
    before_after: Vec<(String, String, String)>,
) -> Way<Sent> {
    try_send(azure, write, before_after).await.map_err(|error| refused(&error))
}

/// The same, with the refusal as Azure put it.
pub(super) async fn try_send(
    azure: &Azure,
    write: &PreparedWrite,
    before_after: Vec<(String, String, String)>,
) -> Result<Sent, AzureError> {
    match azure.send(write).await {
        Ok(receipt) => {
            let ours = receipt.client_request_id;
            let correlation_id = receipt.correlation_id.or(receipt.request_id).or(Some(ours));
            let operation = receipt.operation.map(|operation| operation.as_str().to_owned());
            let goes_on = receipt.status == 202 || operation.is_some();
            Ok(Sent { receipt: Receipt { correlation_id, before_after }, operation, goes_on, lost: None })
        }
        Err(AzureError::OutcomeUnknown { what, why, client_request_id }) => {
            let lost = format!(
                "{what} was sent as request {client_request_id} and its answer was lost ({why}); look again before \
                 anything else is done"
            );
            let receipt = Receipt { correlation_id: Some(client_request_id), before_after };
            Ok(Sent { receipt, operation: None, goes_on: false, lost: Some(lost) })
        }
        Err(error) => Err(error),
    }
}

impl Sent {
    /// Why nobody knows whether it was done, if so.
    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// Whether Azure works on it, so that there is nothing to read back yet.
    pub(super) const fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Azure shows it.
    pub(super) fn made(self) -> Outcome {
        Outcome::of(Applied::Made(self.receipt))
    }

    /// The answer alone says that it was done, and there is nothing to read.
    pub(super) fn answered(self) -> Outcome {
        if self.goes_on || self.lost.is_some() { self.not_seen() } else { self.made() }
    }

    /// Azure does not show it yet, or it could not be read.
    pub(super) fn not_seen(self) -> Outcome {
        match self.lost {
            Some(why) => Outcome::stopping(Applied::Unknown { why }),
            None => Outcome::of(Applied::Running { receipt: self.receipt, operation: self.operation }),
        }
    }

    /// Adds to what is told of it.
    pub(super) fn telling(mut self, property: &str, before: &str, after: &str) -> Self {
        self.receipt.before_after.push((property.to_owned(), before.to_owned(), after.to_owned()));
        self
    }
}
