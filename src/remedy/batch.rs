//! Many changes of one kind: the first alone, the rest a few at a time, and no more once the rest would fare the same.

use crate::remedy::Applied;
use crate::remedy::outcome::{Outcome, Sent};

/// How many are under way together. ARM refills ten writes a second (Microsoft, "Resource Manager throttling").
const TOGETHER: usize = 4;

/// Something that may mean that the rest of a batch need not be tried.
pub(super) trait Halts {
    /// What it was, if so.
    fn halt(&self) -> Option<Applied>;
}

impl Halts for Outcome {
    fn halt(&self) -> Option<Applied> {
        self.stops.then(|| self.applied.clone())
    }
}

impl Halts for Result<Sent, Outcome> {
    fn halt(&self) -> Option<Applied> {
        match self {
            Ok(sent) => sent.lost().map(|why| Applied::Unknown { why: why.to_owned() }),
            Err(outcome) => outcome.halt(),
        }
    }
}

/// Works through the items. Answers one result for each that was begun, in order, and why the rest was not.
pub(super) async fn run<T, R: Halts, F: Future<Output = R>>(
    items: Vec<T>,
    work: impl Fn(T) -> F,
) -> (Vec<R>, Option<Applied>) {
    let mut results = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    let mut width = 1;
    loop {
        let wave: Vec<F> = items.by_ref().take(width).map(&work).collect();
        if wave.is_empty() {
            return (results, None);
        }
        let from = results.len();
        results.extend(futures::future::join_all(wave).await);
        if let Some(halt) = results[from..].iter().find_map(Halts::halt) {
            return (results, Some(halt));
        }
        width = TOGETHER;
    }
}

/// The same for changes that are complete with their outcome: one answer each, also for those that were not begun.
pub(super) async fn each<T, F: Future<Output = Outcome>>(items: Vec<T>, work: impl Fn(T) -> F) -> Vec<Applied> {
    let wanted = items.len();
    let (outcomes, halt) = run(items, work).await;
    let mut results: Vec<Applied> = outcomes.into_iter().map(|outcome| outcome.applied).collect();
    results.resize_with(wanted, || not_sent(halt.as_ref()));
    results
}

/// What becomes of a change that was not tried because of what another met.
pub(super) fn not_sent(halt: Option<&Applied>) -> Applied {
    match halt {
        Some(Applied::Failed { code, why, missing }) => Applied::Failed {
            code: code.clone(),
            why: format!("not sent, because another change of this plan was refused: {why}"),
            missing: missing.clone(),
        },
        Some(Applied::Later { after, why }) => Applied::Later {
            after: *after,
            why: format!("not sent, because another change of this plan has to wait: {why}"),
        },
        Some(Applied::Unknown { why }) => Applied::Later {
            after: None,
            why: format!("not sent, because the answer to another change of this plan was lost: {why}"),
        },
        _ => Applied::Later { after: None, why: "not sent yet".to_owned() },
    }
}
