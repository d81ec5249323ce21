//! Many changes of one kind: the first alone, the rest a few at a time, and no more once the rest would fare the same.

use crate::remedy::Applied;
use crate::remedy::outcome::Outcome;
use crate::remedy::send::Sent;

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
    run_by(TOGETHER, items, work).await
}

async fn run_by<T, R: Halts, F: Future<Output = R>>(
    together: usize,
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
        width = together;
    }
}

/// The same for changes that are complete with their outcome: one answer each, also for those that were not begun.
pub(super) async fn each<T, F: Future<Output = Outcome>>(items: Vec<T>, work: impl Fn(T) -> F) -> Vec<Applied> {
    let wanted = items.len();
    complete(wanted, run(items, work).await)
}

/// The same, one after the other: for changes of which no two may be under way at once.
pub(super) async fn each_alone<T, F: Future<Output = Outcome>>(items: Vec<T>, work: impl Fn(T) -> F) -> Vec<Applied> {
    let wanted = items.len();
    complete(wanted, run_by(1, items, work).await)
}

fn complete(wanted: usize, (outcomes, halt): (Vec<Outcome>, Option<Applied>)) -> Vec<Applied> {
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::remedy::outcome::already;

    async fn tried(count: usize, halts_at: Option<usize>) -> (Vec<usize>, Vec<Applied>) {
        let begun = Mutex::new(Vec::new());
        let applied = each((0..count).collect(), |n| {
            begun.lock().unwrap().push(n);
            async move {
                match halts_at {
                    Some(at) if at == n => Outcome::stopping(Applied::Failed {
                        code: "ScopeLocked".into(),
                        why: "w".into(),
                        missing: None,
                    }),
                    _ => already(n.to_string()),
                }
            }
        })
        .await;
        (begun.into_inner().unwrap(), applied)
    }

    #[tokio::test]
    async fn every_change_has_its_answer_in_order() {
        let (begun, applied) = tried(11, None).await;
        assert_eq!(begun.len(), 11);
        let wanted: Vec<Applied> = (0..11).map(|n| Applied::AlreadyThere { said: n.to_string() }).collect();
        assert_eq!(applied, wanted);
        assert_eq!(tried(0, None).await, (vec![], vec![]));
    }

    #[tokio::test]
    async fn a_door_that_is_closed_for_all_is_knocked_at_once() {
        let (begun, applied) = tried(40, Some(0)).await;
        assert_eq!(begun, [0]);
        assert_eq!(applied.len(), 40);
        assert!(applied.iter().all(|one| matches!(one, Applied::Failed { code, .. } if code == "ScopeLocked")));
    }

    #[tokio::test]
    async fn later_doors_stop_what_has_not_begun() {
        let (begun, applied) = tried(40, Some(2)).await;
        assert_eq!(begun, [0, 1, 2, 3, 4]);
        assert_eq!(applied[3], Applied::AlreadyThere { said: "3".to_owned() });
        assert!(matches!(&applied[5], Applied::Failed { why, .. } if why.starts_with("not sent")));
    }
}
