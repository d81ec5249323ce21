//! The result, as Markdown.

use std::fmt::Write;

use jiff::SignedDuration;

use super::{Losses, Outcome, Told};

/// One table for each kind of losses.
#[must_use]
pub fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for losses in Losses::BOTH {
        let title = match losses {
            Losses::Announced => "Changes that Azure announces: permission, vault, firewall, identity",
            Losses::Silent => "Changes that Azure does not announce: key disabled, deleted, expired",
        };
        // Writing to a text cannot fail.
        let _ = write!(text, "### {title}\n\n{HEAD}");
        for told in Told::ALL {
            let of: Vec<&Outcome> = outcomes.iter().filter(|one| one.told == told && one.losses == losses).collect();
            if !of.is_empty() {
                let _ = writeln!(text, "{}", row(told, &of));
            }
        }
        text.push('\n');
    }
    text
}

const HEAD: &str = "\
| told by | losses | first write, p50 | p95 | repaired before a connection was denied | … of those that could be | healed |
|---|---:|---:|---:|---:|---:|---:|
";

fn row(told: Told, of: &[&Outcome]) -> String {
    let mut times: Vec<SignedDuration> = of.iter().filter_map(|one| one.first_write).collect();
    times.sort_unstable();
    let percentile = |percent: usize| match times.get((of.len() * percent).div_ceil(100).saturating_sub(1)) {
        Some(time) => in_words(*time),
        None => "never".to_owned(),
    };
    let saved = of.iter().filter(|one| !one.denied).count();
    let could: Vec<_> = of.iter().filter(|one| one.could_be_saved()).collect();
    let saved_of_those = could.iter().filter(|one| !one.denied).count();
    let healed = of.iter().filter(|one| one.healed).count();
    format!(
        "| {} | {} | {} | {} | {} | {} | {} |",
        told.words(),
        of.len(),
        percentile(50),
        percentile(95),
        share(saved, of.len()),
        share(saved_of_those, could.len()),
        share(healed, of.len()),
    )
}

fn share(part: usize, of: usize) -> String {
    (part * 100).checked_div(of).map_or_else(|| "–".to_owned(), |percent| format!("{part} of {of} ({percent} %)"))
}

fn in_words(time: SignedDuration) -> String {
    let seconds = time.as_secs();
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min {} s", seconds / 60, seconds % 60) }
}
