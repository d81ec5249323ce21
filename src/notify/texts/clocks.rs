//! Times for people: absolute and in UTC, since a card does not tick.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::clock::add;
use crate::domain::notice::Notice;
use crate::notify::texts::words::Line;

fn date(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// `02:37 UTC`; with the date where it is not the day of `seen_at`.
#[must_use]
pub fn clock(time: Timestamp, seen_at: Timestamp) -> String {
    let form = if date(time) == date(seen_at) { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
    time.to_zoned(TimeZone::UTC).strftime(form).to_string()
}

/// `2026-11-24 02:07 UTC`.
#[must_use]
pub fn date_and_clock(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `45 s`, `24 min`, `7 h 36 min`, `3 days`, never negative. Minutes are rounded down: nobody is told of a minute more
/// than there is.
#[must_use]
pub fn length(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..172_800 if minutes % 60 == 0 => format!("{hours} h"),
        3600..172_800 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} days"),
    }
}

/// The length of the self-heal window: `30-minute`, `8-hour`.
#[must_use]
pub fn window(minutes: u32) -> String {
    if minutes >= 60 && minutes.is_multiple_of(60) {
        format!("{}-hour", minutes / 60)
    } else {
        format!("{minutes}-minute")
    }
}

/// What is left of the self-heal window when the notice was written; `None` when it is over.
#[must_use]
pub fn left(notice: &Notice) -> Option<SignedDuration> {
    let left = notice.restore_before.duration_since(notice.at);
    (!notice.window_over && left.is_positive()).then_some(left)
}

/// When access was lost.
#[must_use]
pub fn since(notice: &Notice) -> Line {
    let time = date_and_clock(notice.lost_at);
    if notice.lost_at_is_known {
        Line::of(time)
    } else {
        Line::of("about ").say(time).say(" (estimated: Azure's own event comes 15 minutes late or more)")
    }
}

/// Until when a repair lets the databases heal by themselves: `02:37 UTC (24 min left when this was sent)`.
#[must_use]
pub fn restore_before(notice: &Notice) -> Line {
    let end = clock(notice.restore_before, notice.at);
    let rule = window(notice.window_minutes);
    match left(notice) {
        Some(left) => {
            Line::of(end).say(format!(" ({} left when this was sent; {rule} rule of Azure SQL)", length(left)))
        }
        None if notice.restore_before > notice.at => Line::of("over: Azure says so"),
        None => Line::of(format!("over since {end} ({rule} rule of Azure SQL)")),
    }
}

/// Until when Azure SQL bears a vault that cannot be reached, as opposed to one that refuses: 24 hours (Microsoft,
/// "Transparent data encryption with customer-managed key", inaccessible protector).
#[must_use]
pub fn outage_buffer(notice: &Notice) -> Line {
    let end = add(notice.lost_at, SignedDuration::from_hours(24));
    Line::of(clock(end, notice.at)).say(" (24 hours for an outage or a network fault)")
}

/// When the next message comes, as a sentence; nothing once the incident has ended.
#[must_use]
pub fn next_message(notice: &Notice) -> Line {
    if notice.phase.is_end() {
        return Line::default();
    }
    match notice.next_message_at {
        Some(time) => Line::of(format!("Next message by {}.", clock(time, notice.at))),
        None => Line::of("Next message when something changes."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap_or_default()
    }

    #[test]
    fn another_day_shows_its_date() {
        let now = at("2026-11-24T23:50:00Z");
        assert_eq!(clock(at("2026-11-24T02:37:59Z"), now), "02:37 UTC");
        assert_eq!(clock(at("2026-11-25T00:10:00Z"), now), "2026-11-25 00:10 UTC");
    }

    #[test]
    fn lengths_are_never_longer_than_they_are() {
        let words = |seconds| length(SignedDuration::from_secs(seconds));
        assert_eq!(words(-5), "0 s");
        assert_eq!(words(59), "59 s");
        assert_eq!(words(119), "1 min");
        assert_eq!(words(27_400), "7 h 36 min");
        assert_eq!(words(8 * 3600), "8 h");
        assert_eq!(words(86_400 * 90 + 5), "90 days");
        assert_eq!((window(30), window(480)), ("30-minute".to_owned(), "8-hour".to_owned()));
    }
}
