//! What a test lets the cloud do to single requests: fail this very one, or lie in its answer.

use serde_json::Value;

use super::faults::Fault;
use super::wire::Answer;
use super::{Inner, lock};

/// An answer that may be made a lie.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Value,
    /// Its headers, by names in lower case.
    pub headers: Vec<(&'static str, String)>,
}

pub(super) fn fault(inner: &Inner, number: u64) -> Option<Fault> {
    let chooser = lock(&inner.chooser).clone()?;
    let seen = lock(&inner.record).get_mut(number).cloned()?;
    chooser(&seen)
}

pub(super) fn twisted(inner: &Inner, number: u64, answer: Answer) -> Answer {
    let Some(liar) = lock(&inner.liar).clone() else { return answer };
    let Some(seen) = lock(&inner.record).get_mut(number).cloned() else { return answer };
    let Some(body) = answer.body.clone() else { return answer };
    let mut said = Said { status: answer.status, body, headers: answer.headers.clone() };
    liar(&seen, &mut said);
    Answer { status: said.status, body: Some(said.body), headers: said.headers, ..answer }
}
