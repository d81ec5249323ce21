//! Lines of text that may hold names and quotations from outside: cleaned and cut when they are put in.

use std::fmt;

/// How a piece of a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Running text.
    Plain,
    /// Names and labels.
    Strong,
    /// Values and commands, in a fixed-width font.
    Code,
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The text, free of control characters.
    pub text: String,
    /// How it looks.
    pub style: Style,
}

/// One line for people. Whatever is put into it is cleaned: no control character, no invisible or direction-changing
/// one, blanks in a row become one. It is still untrusted text and must never be read as markup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    runs: Vec<Run>,
}

/// The longest name that is shown whole, in characters (SQL's own limit is 128).
const NAME: usize = 80;
/// The longest quotation.
const QUOTE: usize = 400;
/// The longest command or value.
const CODE: usize = 700;

impl Line {
    /// A line that begins with our own words.
    #[must_use]
    pub fn of(words: impl AsRef<str>) -> Self {
        Self::default().say(words)
    }

    /// Adds our own words.
    #[must_use]
    pub fn say(self, words: impl AsRef<str>) -> Self {
        self.push(words.as_ref(), Style::Plain, usize::MAX)
    }

    /// Adds the name of a resource or person.
    #[must_use]
    pub fn name(self, name: impl AsRef<str>) -> Self {
        self.push(name.as_ref(), Style::Plain, NAME)
    }

    /// Adds somebody else's words.
    #[must_use]
    pub fn quote(self, text: impl AsRef<str>) -> Self {
        self.push(text.as_ref(), Style::Plain, QUOTE)
    }

    /// Adds words that stand out.
    #[must_use]
    pub fn strong(self, words: impl AsRef<str>) -> Self {
        self.push(words.as_ref(), Style::Strong, QUOTE)
    }

    /// Adds a value, an id or a command.
    #[must_use]
    pub fn code(self, text: impl AsRef<str>) -> Self {
        self.push(text.as_ref(), Style::Code, CODE)
    }

    /// Adds another line.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        for run in other.runs {
            self = self.push(&run.text, run.style, usize::MAX);
        }
        self
    }

    /// The pieces.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The line with a capital letter at its beginning, if that is plain text.
    #[must_use]
    pub fn capital(mut self) -> Self {
        if let Some(first) = self.runs.first_mut()
            && first.style == Style::Plain
            && let Some(letter) = first.text.chars().next()
        {
            first.text = letter.to_uppercase().chain(first.text.chars().skip(1)).collect();
        }
        self
    }

    /// The line cut to about `most` characters.
    #[must_use]
    pub fn cut(self, most: usize) -> Self {
        let mut left = most;
        let mut short = Self::default();
        for run in self.runs {
            let length = run.text.chars().count();
            short = short.push(&run.text, run.style, left.max(1));
            if length >= left {
                break;
            }
            left -= length;
        }
        short
    }

    fn push(mut self, text: &str, style: Style, most: usize) -> Self {
        let text = clean(text, most);
        if text.is_empty() {
            return self;
        }
        match self.runs.last_mut() {
            Some(last) if last.style == style => last.text.push_str(&text),
            _ => self.runs.push(Run { text, style }),
        }
        self
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.runs.iter().try_for_each(|run| f.write_str(&run.text))
    }
}

/// `text` without what can't be seen or could change how its neighbours are shown, cut to `most` characters.
#[must_use]
pub fn clean(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(1024));
    let mut count = 0;
    let mut blank = false;
    for c in text.chars() {
        let is_blank = c.is_whitespace() || c.is_control();
        if invisible(c) || (is_blank && blank) {
            continue;
        }
        if count == most {
            out.pop();
            out.push('…');
            break;
        }
        out.push(if is_blank { ' ' } else { c });
        blank = is_blank;
        count += 1;
    }
    out
}

/// Zero-width characters, direction marks and overrides, tags and variation selectors: they let a name look like
/// another one or turn the text around it.
const fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Names in a row: `a`, `a and b`, `a, b and c`; of more than `most`, the first ones and how many more.
#[must_use]
pub fn list<T: AsRef<str>>(names: &[T], most: usize) -> Line {
    let shown = &names[..names.len().min(most)];
    let more = names.len() - shown.len();
    let mut line = Line::default();
    for (place, name) in shown.iter().enumerate() {
        if place > 0 {
            line = line.say(if more == 0 && place + 1 == shown.len() { " and " } else { ", " });
        }
        line = line.name(name);
    }
    match (more, shown.is_empty()) {
        (0, _) => line,
        (_, true) => line.say(more.to_string()),
        (_, false) => line.say(format!(" and {more} more")),
    }
}

/// `1 server`, `40 servers`.
#[must_use]
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_one_visible_line() {
        let name = "a\u{202e}b\u{200b}\r\n\t\u{1b}[31mc\u{feff}";
        assert_eq!(Line::default().name(name).to_string(), "ab [31mc");
        let long = Line::default().name("x".repeat(1000)).to_string();
        assert_eq!(long.chars().count(), NAME);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn lists_say_how_many_are_left_out() {
        let list = |most| list(&["orders", "billing", "web"], most).to_string();
        assert_eq!(list(3), "orders, billing and web");
        assert_eq!(list(2), "orders, billing and 1 more");
        assert_eq!(list(0), "3");
    }

    #[test]
    fn cutting_keeps_the_style_of_what_is_left() {
        let line = Line::of("See ").code("abcdef").say(" now");
        assert_eq!(line.clone().cut(7).to_string(), "See ab…");
        assert_eq!(line.clone().cut(100), line);
        assert_eq!(Line::of("vault is gone").capital().to_string(), "Vault is gone");
    }
}
