//! Sections of a message as HTML.

use crate::notify::texts::message::{Mark, Part, Section};
use crate::web::pages::html::{Html, line, text};

/// A command to be copied: whole, and selectable without a script.
#[must_use]
pub fn command(command: &str) -> Html {
    Html::default().raw("<div class=\"command\"><code>").text(command).raw("</code></div>")
}

/// Sections, each under its heading.
#[must_use]
pub fn sections(all: &[Section]) -> Html {
    Html::default().each(all, |section| {
        let title = section.title.filter(|title| !title.is_empty());
        title.map_or_else(Html::default, |title| Html::default().element("h3", text(title))).html(parts(&section.parts))
    })
}

/// Parts in a row; those of a kind that belong together are put together.
#[must_use]
pub fn parts(all: &[Part]) -> Html {
    let mut out = Html::default();
    let mut rest = all;
    while let Some(first) = rest.first() {
        let kind = std::mem::discriminant(first);
        let many = rest.iter().take_while(|part| std::mem::discriminant(*part) == kind).count();
        let (same, others) = rest.split_at(many);
        out = out.html(run(same));
        rest = others;
    }
    out
}

fn run(same: &[Part]) -> Html {
    match same.first() {
        Some(Part::Fact(..)) => Html::default().element("dl", Html::default().each(same, one)),
        Some(Part::Marked(..)) => Html::default().element("ul class=\"marks\"", Html::default().each(same, one)),
        _ => Html::default().each(same, one),
    }
}

fn one(part: &Part) -> Html {
    match part {
        Part::Fact(label, said) => Html::default().element("dt", text(label)).element("dd", line(said)),
        Part::Marked(mark, said) => marked(*mark, mark.word(), line(said)),
        Part::Step(number, said) => Html::default()
            .raw("<p class=\"step\"><span class=\"number\">")
            .number(number)
            .raw(".</span> <span>")
            .line(said)
            .raw("</span></p>"),
        Part::Text(said) => Html::default().element("p", line(said)),
        Part::Command(said) => command(&said.to_string()),
    }
}

/// A line with its mark: a shape and a word.
#[must_use]
pub fn marked(mark: Mark, word: &str, said: Html) -> Html {
    let item = match mark {
        Mark::Ok => "li class=\"mark ok\"",
        Mark::Fail => "li class=\"mark bad\"",
        Mark::Unknown => "li class=\"mark unk\"",
        Mark::Skip => "li class=\"mark skip\"",
    };
    Html::default()
        .element(item, Html::default().element("b class=\"word\"", text(word)).raw(" <span>").html(said).raw("</span>"))
}
