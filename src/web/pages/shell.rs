//! The document around every page.

use jiff::Timestamp;

use super::assets::{SCRIPT, STYLE};
use super::html::{Html, text};

/// How often a page asks whether there is a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Something is going on.
    Live,
    /// Something may still come.
    Slow,
    /// Never.
    Never,
}

impl Pace {
    const fn seconds(self) -> Option<u32> {
        match self {
            Self::Live => Some(4),
            Self::Slow => Some(60),
            Self::Never => None,
        }
    }
}

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    /// For the tab.
    pub title: String,
    /// In one line, for those who hear the page instead of seeing it; said again when it changes.
    pub status: String,
    /// How often to look again.
    pub pace: Pace,
    /// A way back to the list.
    pub to_list: bool,
    /// Who reads it, where that is known.
    pub reader: String,
    /// What is in it.
    pub main: Html,
}

impl Page {
    /// What can change from one look to the next: `<main>` and what stands around it.
    pub fn body(&self) -> String {
        let mut main = Html::default().raw("<main id=\"main\" tabindex=\"-1\"").attribute("data-status", &self.status);
        if let Some(seconds) = self.pace.seconds() {
            main = main.attribute("data-every", seconds.to_string());
        }
        let main = main.attribute("data-title", &self.title).raw(">").html(self.main.clone()).raw("</main>");
        let home = if self.to_list {
            Html::default().raw("<a class=\"home\" href=\"/api/incidents\">Keymend · <span>all incidents</span></a>")
        } else {
            Html::default().raw("<span class=\"home\">Keymend</span>")
        };
        let who = (!self.reader.is_empty()).then(|| Html::default().element("span class=\"who\"", text(&self.reader)));
        let top = home.raw("<span id=\"live\" class=\"live\"></span>").maybe(who);
        Html::default()
            .raw("<a class=\"skip\" href=\"#main\">Skip to the content</a>")
            .element("header class=\"top\"", top)
            .raw("<p id=\"status\" class=\"heard\" role=\"status\" aria-live=\"polite\"></p>")
            .html(main)
            .raw("<footer>All times are UTC. Nothing on this page changes anything by being looked at.</footer>")
            .into_string()
    }

    /// The whole document around `body`, which is that of this page.
    pub fn document(&self, body: &str, now: Timestamp) -> String {
        let refresh = match self.pace {
            Pace::Live => "<noscript><meta http-equiv=\"refresh\" content=\"30\"></noscript>",
            _ => "",
        };
        let time = if now == Timestamp::UNIX_EPOCH { String::new() } else { format!(" data-now=\"{now}\"") };
        let title = text(&self.title).into_string();
        let (style, script) = (STYLE.address(), SCRIPT.address());
        format!(
            "<!doctype html>\n<html lang=\"en\"{time}><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\">\
             <title>{title}</title><link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"{style}\">{refresh}\
             <script src=\"{script}\" defer></script></head><body>{body}</body></html>\n"
        )
    }
}
