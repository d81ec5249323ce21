//! The patrol over many servers for hours and days: it must not grow, and it must stay within its share of Azure's reads.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]
#![cfg(feature = "drill")]

mod stage;

use keymend::patrol::PatrolSettings;
use stage::{Estate, Hour};

#[tokio::test]
async fn hours_of_patrol_leave_nothing_behind_and_a_loss_among_them_is_repaired() {
    // About as many servers for each request that may be sent as in the long measurement.
    let patrol = PatrolSettings { read_share_percent: 5, ..PatrolSettings::default() };
    let hours = Estate { vaults: 5, servers: 50, hours: 3, patrol: patrol.clone(), loss: true }.watch(|_| {}).await;
    let [first, second, last] = &hours[..] else { panic!("{hours:?}") };
    assert!(first.rows.values().sum::<i64>() > 0, "the patrol remembers what it saw: {:?}", first.rows);
    assert_eq!(first.rows, second.rows, "the store holds as many rows after two hours as after one");
    assert!(second.reads > first.reads, "it went on reading: {first:?}, {second:?}");
    assert_eq!(second.changes, 0, "nothing was changed");
    assert_eq!((last.changes, last.broken), (1, 0), "the vault's 50 servers were granted again, by one write");
    assert!(last.most_reads_in_ten_minutes <= in_ten_minutes(&patrol) + OF_THE_INCIDENT, "{last:?}");
    assert!(last.longest_unread_minutes <= 66, "every server is read anew within the hour: {last:?}");
}

/// What an incident of 50 servers reads at its worst: see `tests/storm`.
const OF_THE_INCIDENT: usize = 6 + 5 * 50;

/// What a patrol may read in ten minutes, and one round more: the time between rounds varies.
fn in_ten_minutes(patrol: &PatrolSettings) -> usize {
    11 * patrol.requests_a_round()
}

/// The long measurement: `scripts/bench-patrol`.
#[tokio::test]
#[ignore = "takes minutes; scripts/bench-patrol runs it"]
async fn a_day_over_two_thousand_servers() {
    println!("hour  RSS MiB  store MiB  rows  requests  most reads/min  in 10 min  longest unread min");
    let hours =
        Estate { vaults: 40, servers: 50, hours: 24, patrol: PatrolSettings::default(), loss: false }.watch(show).await;
    let warm = &hours[2];
    let last = hours.last().unwrap();
    let growth = last.rss_kib.saturating_sub(warm.rss_kib);
    assert_eq!(warm.rows, last.rows, "the store grew");
    assert!(growth < warm.rss_kib / 10, "memory grew by {growth} KiB from hour 3 to hour {}", last.hour);
    assert!(last.most_reads_in_ten_minutes <= in_ten_minutes(&PatrolSettings::default()), "{last:?}");
    assert!(last.longest_unread_minutes <= 66, "{last:?}");
    println!("flat: {growth} KiB more after hour {} than after hour {}", last.hour, warm.hour);
}

fn show(at: &Hour) {
    println!(
        "{:>4}  {:>7}  {:>9}  {:>4}  {:>8}  {:>14}  {:>9}  {:>18}",
        at.hour,
        at.rss_kib / 1024,
        at.store_bytes >> 20,
        at.rows.values().sum::<i64>(),
        at.reads,
        at.most_reads_in_a_minute,
        at.most_reads_in_ten_minutes,
        at.longest_unread_minutes
    );
}
