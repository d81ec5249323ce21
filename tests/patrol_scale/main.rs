//! The patrol over many servers for hours and days: it must not grow, and it must stay within its share of Azure's reads.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]
#![cfg(feature = "drill")]

mod stage;

use stage::{Estate, Hour};

/// The share of the reads that a patrol may use in ten minutes (20 % of 25 a second), and one round more: the time between
/// rounds varies.
const TEN_MINUTES: usize = 3_000 + 300;

#[tokio::test(flavor = "multi_thread")]
async fn hours_of_patrol_leave_nothing_behind() {
    let hours = Estate { vaults: 2, servers: 4, hours: 4 }.watch(|_| {}).await;
    let (second, last) = (&hours[1], &hours[3]);
    assert!(second.rows.values().sum::<i64>() > 0, "the patrol remembers what it saw: {:?}", second.rows);
    assert_eq!(second.rows, last.rows, "the store holds as many rows after four hours as after two");
    assert!(last.reads > second.reads, "it went on reading: {second:?}, {last:?}");
    assert!(last.most_reads_in_ten_minutes <= TEN_MINUTES, "{last:?}");
    assert!(last.longest_unread_minutes <= 66, "every server is read anew within the hour: {last:?}");
    assert_eq!(last.changes, 0, "nothing was changed");
}

/// The long measurement: `scripts/bench-patrol`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; scripts/bench-patrol runs it"]
async fn a_day_over_two_thousand_servers() {
    println!("hour  RSS MiB  store MiB  rows  requests  most reads/min  in 10 min  longest unread min");
    let hours = Estate { vaults: 40, servers: 50, hours: 24 }.watch(show).await;
    let warm = &hours[2];
    let last = hours.last().unwrap();
    let growth = last.rss_kib.saturating_sub(warm.rss_kib);
    assert_eq!(warm.rows, last.rows, "the store grew");
    assert!(growth < warm.rss_kib / 10, "memory grew by {growth} KiB from hour 3 to hour {}", last.hour);
    assert!(last.most_reads_in_ten_minutes <= TEN_MINUTES, "{last:?}");
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
