//! Lines for a terminal: sections, labels, wrapped text with a hanging indent.

use console::{Style, Term, measure_text_width};

use crate::cli::output::plain;

/// Narrower than this nothing can be laid out.
const NARROWEST: usize = 50;
/// Wider than this lines are hard to read.
const WIDEST: usize = 110;
/// How far labels reach.
const LABEL: usize = 20;

/// A page that grows line by line. All text put into it is cleaned first.
#[derive(Debug)]
pub(in crate::cli) struct Layout {
    lines: Vec<String>,
    width: usize,
}

impl Layout {
    /// As wide as the terminal.
    pub fn new() -> Self {
        let width = Term::stdout().size_checked().map_or(WIDEST, |(_, columns)| usize::from(columns));
        Self::of_width(width)
    }

    pub fn of_width(width: usize) -> Self {
        Self { lines: Vec::new(), width: width.clamp(NARROWEST, WIDEST) }
    }

    /// The title.
    pub fn title(&mut self, left: &str, right: &str, style: Style) {
        let (left, right) = (plain(left), plain(right));
        let gap = self.width.saturating_sub(measure_text_width(&left) + measure_text_width(&right)).max(2);
        self.lines.push(format!("{}{}{}", Style::new().bold().apply_to(left), " ".repeat(gap), style.apply_to(right)));
    }

    /// The heading of a section.
    pub fn section(&mut self, heading: &str) {
        self.lines.push(String::new());
        self.lines.push(Style::new().bold().apply_to(plain(heading)).to_string());
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.lines.push(String::new());
    }

    /// Running text.
    pub fn text(&mut self, text: &str) {
        self.wrap("  ", "  ", text);
    }

    /// A label and a text.
    pub fn item(&mut self, label: &str, text: &str) {
        self.styled(label, &Style::new(), text);
    }

    /// A label that stands out, and a text.
    pub fn styled(&mut self, label: &str, style: &Style, text: &str) {
        let label = plain(label);
        let pad = LABEL.saturating_sub(measure_text_width(&label)).max(1);
        let first = format!("  {}{}", style.apply_to(label), " ".repeat(pad));
        self.wrap(&first, &" ".repeat(LABEL + 2), text);
    }

    /// A text one step further in.
    pub fn under(&mut self, text: &str) {
        let indent = " ".repeat(LABEL + 2);
        self.wrap(&indent, &indent, text);
    }

    /// A branch of a tree: the branch itself, a word that stands out, and a text that hangs beside `down`.
    pub fn branch(&mut self, branch: &str, word: &str, style: &Style, text: &str, down: &str) {
        let indent = measure_text_width(branch) + measure_text_width(word) + 1;
        let first = format!("{branch}{} ", style.apply_to(plain(word)));
        let next = format!("{down}{}", " ".repeat(indent.saturating_sub(measure_text_width(down))));
        self.wrap(&first, &next, text);
    }

    /// What belongs to a branch, below it.
    pub fn leaf(&mut self, down: &str, text: &str) {
        let next = format!("{down}{}", " ".repeat(LABEL + 3 - measure_text_width(down)));
        self.wrap(&next, &next, text);
    }

    /// A line that must not be broken, such as a command.
    pub fn as_is(&mut self, text: &str) {
        self.lines.push(format!("  {}", plain(text)));
    }

    fn wrap(&mut self, first: &str, next: &str, text: &str) {
        let mut line = first.to_owned();
        let mut empty = true;
        for word in plain(text).split_whitespace() {
            let long = measure_text_width(&line) + 1 + measure_text_width(word) > self.width;
            if long && !empty {
                self.lines.push(std::mem::replace(&mut line, next.to_owned()));
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        self.lines.push(line.trim_end().to_owned());
    }

    /// The whole page.
    pub fn finish(self) -> String {
        self.lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_hang_below_their_beginning() {
        let mut layout = Layout::of_width(50);
        layout.item("vault", "it was deleted by somebody whose name is not told at all");
        let page = layout.finish();
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines[0], "  vault               it was deleted by somebody");
        assert!(lines[1].starts_with("                      whose name"), "{page}");
        assert!(lines.iter().all(|line| line.len() <= 50), "{page}");
    }
}
