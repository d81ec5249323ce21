//! A notice as plain text, for tickets and pagers: the same words as everywhere, with addresses written out.

use std::fmt::Write as _;

use crate::notify::Parcel;
use crate::notify::links::Links;
use crate::notify::texts::{self, Message};

/// The whole text in at most `most` characters: details go first, then the end of the text, never the remark, the headline
/// or the line that tells the incident and the number of the message.
#[must_use]
pub fn text(parcel: &Parcel<'_>, links: &Links, most: usize) -> String {
    let message = texts::message(parcel.notice);
    let whole = compose(parcel, &message, links, true);
    if whole.chars().count() <= most {
        return whole;
    }
    let short = compose(parcel, &message, links, false);
    if short.chars().count() <= most {
        return short;
    }
    let end = format!("\n(shortened)\n{}", message.footer);
    let kept = most.saturating_sub(end.chars().count());
    let mut cut: String = short.chars().take(kept).collect();
    cut.push_str(&end);
    cut
}

fn compose(parcel: &Parcel<'_>, message: &Message, links: &Links, details: bool) -> String {
    let mut text = parcel.remark.map_or_else(String::new, |remark| format!("{remark}\n\n"));
    let body = message.to_text(details);
    let footer = message.footer.to_string();
    let addresses = addresses(message, links);
    match body.strip_suffix(&footer) {
        Some(body) if !addresses.is_empty() => {
            text.push_str(body);
            for (title, url) in addresses {
                let _ = writeln!(text, "{title}: {url}");
            }
            text.push_str(&footer);
        }
        _ => text.push_str(&body),
    }
    text
}

/// Where to look, with the buttons' words.
#[must_use]
pub fn addresses(message: &Message, links: &Links) -> Vec<(&'static str, String)> {
    /// A longer address is no use to anybody.
    const LONGEST: usize = 1500;
    let open = message.links.iter().filter_map(|link| Some((link.title(), links.url(link)?)));
    open.filter(|(_, url)| url.len() <= LONGEST).collect()
}
