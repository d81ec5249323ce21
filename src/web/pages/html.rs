//! HTML in which nothing can stand that was not written here or escaped on the way.

use crate::markup::escaped;
use crate::notify::texts::words::{Line, Style};

/// A piece of a page. Markup is only taken from literals; everything else is text and is escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Markup of ours.
    #[must_use]
    pub fn raw(mut self, markup: &'static str) -> Self {
        self.0.push_str(markup);
        self
    }

    /// Text from anywhere.
    #[must_use]
    pub fn text(mut self, text: impl AsRef<str>) -> Self {
        self.0.push_str(&escaped(text.as_ref()));
        self
    }

    /// A number or something else that shows itself without names.
    #[must_use]
    pub fn number(self, number: impl std::fmt::Display) -> Self {
        self.text(number.to_string())
    }

    /// A line of a text, with what stands out in it.
    #[must_use]
    pub fn line(mut self, line: &Line) -> Self {
        for run in line.runs() {
            let (open, close) = match run.style {
                Style::Plain => ("", ""),
                Style::Strong => ("<b>", "</b>"),
                Style::Code => ("<code>", "</code>"),
            };
            self.0.push_str(open);
            self.0.push_str(&escaped(&run.text));
            self.0.push_str(close);
        }
        self
    }

    /// An element with text in it: `tag` is a literal such as `p` or `p class="soft"`.
    #[must_use]
    pub fn element(self, tag: &'static str, inside: Self) -> Self {
        let name = tag.split(' ').next().unwrap_or(tag);
        let mut all = self.raw("<").raw(tag).raw(">").html(inside).raw("</");
        all.0.push_str(name);
        all.raw(">")
    }

    /// An attribute, its value escaped: ` name="value"`. Stands between an open `<tag` and its `>`.
    #[must_use]
    pub fn attribute(self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.raw(" ").raw(name).raw("=\"").text(value).raw("\"")
    }

    /// Another piece.
    #[must_use]
    pub fn html(mut self, other: Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    /// A piece, if there is one.
    #[must_use]
    pub fn maybe(self, other: Option<Self>) -> Self {
        match other {
            Some(other) => self.html(other),
            None => self,
        }
    }

    /// A piece for each of some things.
    #[must_use]
    pub fn each<T>(self, things: impl IntoIterator<Item = T>, piece: impl Fn(T) -> Self) -> Self {
        things.into_iter().fold(self, |all, thing| all.html(piece(thing)))
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The markup.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    /// The markup.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Text as a piece.
#[must_use]
pub fn text(text: impl AsRef<str>) -> Html {
    Html::default().text(text)
}

/// A line as a piece.
#[must_use]
pub fn line(line: &Line) -> Html {
    Html::default().line(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_literals_are_markup() {
        let name = "<script>\"'&\u{202e}";
        let page = Html::default()
            .raw("<a")
            .attribute("href", name)
            .raw(">")
            .element("b class=\"x\"", text(name))
            .line(&Line::default().code(name))
            .raw("</a>");
        let safe = "&lt;script&gt;&quot;&#39;&amp;";
        assert_eq!(
            page.into_string(),
            format!("<a href=\"{safe}\u{fffd}\"><b class=\"x\">{safe}\u{fffd}</b><code>{safe}</code></a>")
        );
    }
}
