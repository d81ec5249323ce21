//! The TDE events of a database: their names and texts of 2019 and of today, for SQL Database and Managed Instance
//! (reference: alerts and signals, 2.1). Nobody has published where in a webhook body the name stands, so it is looked
//! for in every string.

use super::SignalKind;
use super::json::{Object, each_string};
use super::outcome::Outcome;

/// What the event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TdeEvent {
    /// Its kind.
    pub(super) kind: SignalKind,
    /// The self-heal window that a text names, in minutes.
    pub(super) window_minutes: Option<u32>,
    /// The text that told it, if it was a text.
    pub(super) text: Option<String>,
}

/// Which of the two operations an event name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Inaccessible,
    Accessible,
}

/// What a description says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phrase {
    Lost,
    Waiting,
    Ended,
    Restoring(Option<Outcome>),
}

/// The shortest text that tells anything: `key vault within 1 min`.
const SHORTEST_SAID: usize = 22;

/// What the strings of an event gave away.
#[derive(Default)]
struct Clues {
    named: Option<Turn>,
    mentioned: Option<Turn>,
    said: Option<(Phrase, String)>,
    inner_outcome: Option<Outcome>,
    window_minutes: Option<u32>,
}

/// Finds a TDE event in an Activity Log event. `target_names` are the last parts of the ids it names: a database may
/// itself be called like an event.
pub(super) fn find(
    event: &Object<'_>,
    operation: &str,
    outcome: Option<Outcome>,
    target_names: &[&str],
) -> Option<TdeEvent> {
    let mut clues = Clues { named: operation.split('/').find_map(whole_name), ..Clues::default() };
    each_string(event, &mut |key, text| clues.see(key, text, target_names));
    let outcome = outcome.or(clues.inner_outcome);
    let phrase = clues.said.as_ref().map(|(phrase, _)| *phrase);
    let kind = match clues.named.or(clues.mentioned) {
        Some(turn) => by_name(turn, outcome, phrase),
        None => by_phrase(phrase?, outcome),
    };
    Some(TdeEvent { kind, window_minutes: clues.window_minutes, text: clues.said.map(|(_, text)| text) })
}

impl Clues {
    fn see(&mut self, key: &str, text: &str, target_names: &[&str]) {
        let key = key.trim();
        if key.eq_ignore_ascii_case("eventName") {
            self.named = self.named.or_else(|| whole_name(text).or_else(|| name_within(text)));
        } else if key.eq_ignore_ascii_case("status") {
            self.inner_outcome = self.inner_outcome.or_else(|| Outcome::parse(text));
        } else if self.mentioned.is_none() && !target_names.iter().any(|name| text.trim().eq_ignore_ascii_case(name)) {
            self.mentioned = name_within(text);
        }
        // Names and ids have no blank, and everything that is said has more than one.
        if text.len() < SHORTEST_SAID || !text.contains(char::is_whitespace) {
            return;
        }
        let plain = plain(text);
        if self.said.is_none()
            && let Some(phrase) = phrase(&plain)
        {
            self.said = Some((phrase, text.to_owned()));
        }
        if self.window_minutes.is_none() && plain.contains("key vault") {
            self.window_minutes = window(&plain);
        }
    }
}

/// The name and the status decide. `Inaccessible` that *succeeded* is the worst state, not a recovery.
fn by_name(turn: Turn, outcome: Option<Outcome>, phrase: Option<Phrase>) -> SignalKind {
    match (turn, outcome) {
        (Turn::Inaccessible, Some(Outcome::Begun)) => SignalKind::AccessLost,
        (Turn::Inaccessible, Some(Outcome::InProgress)) => SignalKind::WaitingForAccess,
        (Turn::Inaccessible, Some(Outcome::Succeeded)) => SignalKind::SelfHealEnded,
        (Turn::Inaccessible, Some(Outcome::Failed) | None) => match phrase {
            Some(Phrase::Waiting) => SignalKind::WaitingForAccess,
            Some(Phrase::Ended) => SignalKind::SelfHealEnded,
            _ => SignalKind::AccessLost,
        },
        (Turn::Accessible, Some(outcome)) => restoring(Some(outcome)),
        (Turn::Accessible, None) => match phrase {
            Some(Phrase::Restoring(outcome)) => restoring(outcome),
            _ => restoring(None),
        },
    }
}

fn by_phrase(phrase: Phrase, outcome: Option<Outcome>) -> SignalKind {
    match phrase {
        Phrase::Lost => SignalKind::AccessLost,
        Phrase::Waiting => SignalKind::WaitingForAccess,
        Phrase::Ended => SignalKind::SelfHealEnded,
        Phrase::Restoring(said) => restoring(said.or(outcome)),
    }
}

/// Without an outcome the least is assumed: that it has begun.
fn restoring(outcome: Option<Outcome>) -> SignalKind {
    match outcome {
        Some(Outcome::Succeeded) => SignalKind::RestoreSucceeded,
        Some(Outcome::Failed) => SignalKind::RestoreFailed,
        Some(Outcome::Begun | Outcome::InProgress) | None => SignalKind::RestoreStarted,
    }
}

/// The event name that a whole string is, blanks inside it apart.
fn whole_name(text: &str) -> Option<Turn> {
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).take(64).map(|c| c.to_ascii_lowercase()).collect();
    let (turn, rest) = name_at(&bare)?;
    rest.is_empty().then_some(turn)
}

/// The event name that stands in a string as a word of its own: not inside a path or a longer name.
fn name_within(text: &str) -> Option<Turn> {
    // Of the many strings of an event hardly any holds it.
    let bytes = text.as_bytes();
    let begins = |at: usize| bytes.get(at..at + 4).is_some_and(|four| four.eq_ignore_ascii_case(b"make"));
    if !memchr::memchr2_iter(b'm', b'M', bytes).any(begins) {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) = text[from..].find("make").map(|n| from + n) {
        let before = text[..at].chars().next_back();
        if let Some((turn, rest)) = name_at(&text[at..]) {
            let joined = |c: char| c.is_alphanumeric() || c == '-';
            let inside = before.is_some_and(|c| joined(c) || "/_\\".contains(c)) || rest.starts_with(joined);
            if !inside {
                return Some(turn);
            }
        }
        from = at + "make".len();
    }
    None
}

/// `Make(Managed)?(Database|Db)(In)?accessible` at the start of a text in lower case, and what follows it.
fn name_at(text: &str) -> Option<(Turn, &str)> {
    let rest = text.strip_prefix("make")?;
    let rest = rest.strip_prefix("managed").unwrap_or(rest);
    let rest = rest.strip_prefix("database").or_else(|| rest.strip_prefix("db"))?;
    rest.strip_prefix("inaccessible")
        .map(|rest| (Turn::Inaccessible, rest))
        .or_else(|| rest.strip_prefix("accessible").map(|rest| (Turn::Accessible, rest)))
}

/// Lower case, single blanks, and `reestablish` for `re-establish`: the texts differ in nothing else that matters.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.push_str(word);
    }
    plain.make_ascii_lowercase();
    if plain.contains("re-") { plain.replace("re-", "re") } else { plain }
}

fn phrase(plain: &str) -> Option<Phrase> {
    if plain.contains("waiting for azure key vault key access") {
        Some(Phrase::Waiting)
    } else if plain.contains("inaccessible and requires user to re") {
        Some(Phrase::Ended)
    } else if plain.contains("lost access to azure key vault") {
        Some(Phrase::Lost)
    } else if plain.contains("key vault key has been reestablished")
        || plain.contains("restoring database access to azure key vault key")
    {
        let end = plain.trim_end_matches(['.', ' ']);
        let said = if end.ends_with("now online") {
            Some(Outcome::Succeeded)
        } else if end.ends_with("failed") {
            Some(Outcome::Failed)
        } else if end.ends_with("started") {
            Some(Outcome::Begun)
        } else {
            None
        };
        Some(Phrase::Restoring(said))
    } else {
        None
    }
}

/// The length in `within 8 hours` or `within 30 minutes`, in minutes.
fn window(plain: &str) -> Option<u32> {
    const LONGEST_MINUTES: u32 = 7 * 24 * 60;
    plain.split("within ").skip(1).find_map(|after| {
        let mut parts = after.split(' ');
        let number: u32 = parts.next()?.parse().ok()?;
        let unit = parts.next()?;
        let minutes = match unit.trim_end_matches(['.', ',', ';', 's']) {
            "hour" => number.checked_mul(60)?,
            "minute" | "min" => number,
            _ => return None,
        };
        (1..=LONGEST_MINUTES).contains(&minutes).then_some(minutes)
    })
}
