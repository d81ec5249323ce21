//! Killed anywhere, cut off anywhere, answered with nonsense: run again, and it ends the same.

use keymend::domain::remedy::Remedy;
use keymend::remedy::Applied;

use crate::gate::{Do, Passed};
use crate::lab::{Lab, REMEDIES};

async fn same_end_wherever_killed(remedy: Remedy, how: Do) {
    for n in 0.. {
        let lab = Lab::broken(remedy).await;
        let change = lab.change(remedy).await;
        let killed = lab.kill_at(&change, n, how.clone()).await;
        let before: Vec<Passed> = lab.gate.writes();
        if !killed {
            assert!(n > 0, "{remedy} sends nothing");
            return;
        }
        lab.gate.open();
        lab.settle(&change).await;
        assert!(lab.is_mended(&change).await, "{remedy} killed at request {n}");
        let effects = before.iter().chain(&lab.gate.writes()).filter(|write| write.took()).count();
        let wanted = if remedy == Remedy::Revalidate { 1..=2 } else { 1..=1 };
        assert!(wanted.contains(&effects), "{remedy} killed at request {n}: {before:#?} and {:#?}", lab.gate.writes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_request_it_ends_the_same() {
    for remedy in REMEDIES {
        same_end_wherever_killed(remedy, Do::StopBefore).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_request_it_ends_the_same() {
    for remedy in REMEDIES {
        same_end_wherever_killed(remedy, Do::StopAfter).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_up_and_not_sent_again() {
    for remedy in REMEDIES {
        let lab = Lab::broken(remedy).await;
        let change = lab.change(remedy).await;
        lab.gate.rule(|request, _| if request.is_write() { Do::Lose } else { Do::Pass });
        let first = lab.apply_one(&change).await;
        assert!(matches!(first, Applied::Made(_) | Applied::Unknown { .. }), "{remedy}: {first:?}");
        assert_eq!(lab.gate.writes().len(), 1, "{remedy}");
        lab.gate.open();
        lab.settle(&change).await;
        assert!(lab.is_mended(&change).await, "{remedy}");
        let again = if remedy == Remedy::Revalidate { 1 } else { 0 };
        assert_eq!(lab.gate.writes().iter().filter(|write| write.took()).count(), again, "{remedy}");
    }
}

/// The request leaves, and nothing ever happens.
async fn never_answered(remedy: Remedy) {
    let lab = Lab::broken(remedy).await.impatient();
    let change = lab.change(remedy).await;
    lab.gate.rule(|request, _| if request.is_write() { Do::StopBefore } else { Do::Pass });
    let applied = lab.apply_one(&change).await;
    assert!(matches!(applied, Applied::Unknown { .. }), "{remedy}: {applied:?}");
    assert!(remedy == Remedy::Revalidate || !lab.is_mended(&change).await, "{remedy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_in_time_and_nothing_seen_is_unknown() {
    futures::future::join_all(REMEDIES.map(never_answered)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_for_an_answer_never_passes_for_success() {
    let answers = [
        (200, ""),
        (200, "{}"),
        (200, "[]"),
        (200, "null"),
        (200, "{\"properties\": 7, \"value\": {}, \"key\": [], \"attributes\": null}"),
        (200, "not json"),
        (204, ""),
        (302, ""),
        (400, "<html>"),
        (404, ""),
        (404, "{\"error\": {}}"),
        (418, "{\"error\": {\"code\": \"Teapot\", \"message\": [1]}}"),
    ];
    for remedy in REMEDIES {
        for (status, body) in answers {
            // A read that is answered with nonsense.
            let lab = Lab::broken(remedy).await;
            let change = lab.change(remedy).await;
            lab.gate.rule(move |request, _| match request.is_write() {
                true => Do::Pass,
                false => Do::Answer(status, vec![], body.to_owned()),
            });
            let applied = lab.apply_one(&change).await;
            if remedy != Remedy::Revalidate {
                assert!(
                    matches!(applied, Applied::Later { .. } | Applied::Failed { .. } | Applied::NotApplicable { .. }),
                    "{remedy}, {status} {body}: {applied:?}"
                );
                assert!(lab.gate.writes().is_empty(), "{remedy}, {status} {body}");
            }
            // A write that never arrives and is answered with nonsense.
            lab.gate.rule(move |request, _| match request.is_write() {
                true => Do::Answer(status, vec![], body.to_owned()),
                false => Do::Pass,
            });
            let applied = lab.apply_one(&change).await;
            let made = matches!(applied, Applied::Made(_) | Applied::AlreadyThere { .. });
            assert!(!made || remedy == Remedy::Revalidate && status < 300, "{remedy}, {status} {body}: {applied:?}");
        }
    }
}

/// What a bad day does to one request; the same for the same seed.
fn bad_day(seed: u64) -> impl FnMut(&Passed, usize) -> Do + Send {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |_, _| {
        // xorshift64: nothing here has to be unpredictable.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match state % 10 {
            0 => Do::error(429, "TooManyRequests").with("retry-after", "2"),
            1 => Do::error(500, "InternalServerError"),
            2 => Do::error(503, "ServiceUnavailable"),
            3 => Do::Lose,
            4 => Do::Answer(502, vec![], "<html>".to_owned()),
            _ => Do::Pass,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_day_ends_as_a_good_one() {
    for remedy in REMEDIES {
        for seed in 1..=12 {
            let lab = Lab::broken(remedy).await;
            let change = lab.change(remedy).await;
            lab.gate.rule(bad_day(seed));
            for _ in 0..4 {
                lab.apply_one(&change).await;
                lab.wait(30).await;
            }
            let bad: Vec<Passed> = lab.gate.writes();
            lab.gate.open();
            lab.settle(&change).await;
            assert!(lab.is_mended(&change).await, "{remedy}, day {seed}");
            let effects = bad.iter().chain(&lab.gate.writes()).filter(|write| write.took()).count();
            assert!(remedy == Remedy::Revalidate || effects == 1, "{remedy}, day {seed}: {effects} effects");
        }
    }
}
