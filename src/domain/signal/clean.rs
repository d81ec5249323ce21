//! Untrusted words and times made fit to keep: no control characters, bounded length, one kind of timestamp.

use super::json::{Value, text};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The longest description that is kept, in characters.
pub(super) const LONGEST_TEXT: usize = 1000;
/// The longest name of a caller, operation or event type that is kept or repeated, in characters.
pub(super) const LONGEST_NAME: usize = 200;

/// Characters that change how the text around them is shown: direction marks, zero-width signs.
const INVISIBLE: [std::ops::RangeInclusive<char>; 4] =
    ['\u{200b}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2060}'..='\u{2069}', '\u{feff}'..='\u{feff}'];

/// The text without control characters (line breaks become blanks), cut to `longest` characters; blank is absent.
#[must_use]
pub fn words(text: &str, longest: usize) -> Option<String> {
    if is_clean(text, longest) {
        return Some(text.to_owned());
    }
    let shown = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !INVISIBLE.iter().any(|range| range.contains(c)));
    let mut kept = String::new();
    let mut count = 0;
    for c in shown {
        if count == longest {
            break;
        }
        if c == ' ' && (kept.is_empty() || kept.ends_with(' ')) {
            continue;
        }
        kept.push(c);
        count += 1;
    }
    kept.truncate(kept.trim_end().len());
    Some(kept).filter(|kept| !kept.is_empty())
}

/// Whether [`words`] would change nothing, as is so for nearly every name that Azure writes.
fn is_clean(text: &str, longest: usize) -> bool {
    let visible = text.bytes().all(|c| (b' '..=b'~').contains(&c));
    visible && !text.is_empty() && text.len() <= longest && text.trim().len() == text.len() && !text.contains("  ")
}

/// A point in time in any of the forms that were seen: `Z` or an offset, no zone at all (then UTC), any number of
/// fraction digits, or seconds or milliseconds since 1970.
pub(super) fn moment(value: &Value<'_>) -> Option<Timestamp> {
    if let Value::Number(number) = value {
        return number.as_i64().and_then(since_1970);
    }
    let written = shorter_fraction(&text(value)?);
    written.parse::<Timestamp>().ok().or_else(|| {
        let local: DateTime = written.parse().ok()?;
        Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

fn since_1970(number: i64) -> Option<Timestamp> {
    // Seconds reach this number in the year 5138, milliseconds reached it in March 1973.
    const MILLISECONDS_FROM: i64 = 100_000_000_000;
    if number < MILLISECONDS_FROM { Timestamp::from_second(number) } else { Timestamp::from_millisecond(number) }.ok()
}

/// Nanoseconds are the finest there is: digits beyond the ninth are dropped.
fn shorter_fraction(text: &str) -> String {
    let Some((whole, rest)) = text.split_once('.') else { return text.to_owned() };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    format!("{whole}.{}{}", &rest[..digits.min(9)], &rest[digits..])
}

/// An event's own id, unless it is a placeholder that many events share.
pub(super) fn event_id(text: &str) -> Option<String> {
    let placeholder = text.contains(['<', '>', '{', '}'])
        || text.chars().any(char::is_control)
        || text.chars().all(|c| c == '0' || c == '-');
    (!placeholder && text.len() <= 256).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_of_time_is_read() {
        for (written, expected) in [
            (json!("2019-03-22T13:56:31.2917159+00:00"), "2019-03-22T13:56:31.2917159Z"),
            (json!("2019-06-24T15:42:54.074+00:00"), "2019-06-24T15:42:54.074Z"),
            (json!("2018-01-29T20:42:31.3810679Z"), "2018-01-29T20:42:31.3810679Z"),
            (json!("2019-08-26T08:34:14+00:00"), "2019-08-26T08:34:14Z"),
            (json!("2021-10-12T00:32:38.1239171"), "2021-10-12T00:32:38.1239171Z"),
            (json!("2021-10-12T02:32:38+02:00"), "2021-10-12T00:32:38Z"),
            (json!(" 2021-10-12 00:32:38Z "), "2021-10-12T00:32:38Z"),
            (json!("2021-10-12T00:32:38.123456789012Z"), "2021-10-12T00:32:38.123456789Z"),
            (json!(1_559_082_102), "2019-05-28T22:21:42Z"),
            (json!(1_559_082_102_000_i64), "2019-05-28T22:21:42Z"),
        ] {
            assert_eq!(moment(&Value::from(&written)).map(|at| at.to_string()).as_deref(), Some(expected), "{written}");
        }
        for nonsense in [json!("yesterday"), json!(""), json!(true), json!(1e300), json!(i64::MAX), json!("1.é")] {
            assert_eq!(moment(&Value::from(&nonsense)), None, "{nonsense}");
        }
    }

    #[test]
    fn words_are_cut_between_characters_and_cleaned() {
        assert_eq!(words(" a\u{0}\r\nb\u{202e}\tc ", 10).as_deref(), Some("a b c"));
        assert_eq!(words(&"ü".repeat(2000), LONGEST_TEXT).map(|text| text.chars().count()), Some(1000));
        assert_eq!(words("\n \u{feff}", 10), None);
        for (written, kept) in [
            ("a b", "a b"),
            ("a  b", "a b"),
            (" a", "a"),
            ("a ", "a"),
            ("0123456789", "0123456789"),
            ("0123456789a", "0123456789"),
            ("012345678 9", "012345678"),
            ("a\tb\u{7f}", "a b"),
        ] {
            assert_eq!(words(written, 10).as_deref(), Some(kept), "{written:?}");
        }
        assert_eq!(words("", 10), None);
    }
}
