//! What a person does without Keymend: sentences, and commands to be copied.

use super::parts;
use crate::domain::incident::Incident;
use crate::domain::notice::{Notice, Situation};
use crate::notify::texts::by_hand::{Step, steps};
use crate::web::pages::html::{Html, text};

/// The card while it may be needed; where the message of the situation has the same, it is there.
#[must_use]
pub fn card(incident: &Incident, notice: &Notice) -> Option<Html> {
    let said = matches!(notice.situation, Situation::Escalated | Situation::ObservedOnly);
    if said || incident.ended_at.is_some() || incident.whole_since.is_some() {
        return None;
    }
    let steps = steps(notice);
    let inside = Html::default()
        .raw("<details data-fold=\"by-hand\"><summary><h2>To repair it by hand</h2></summary>")
        .element(
            "p class=\"soft\"",
            text("Keymend looks again before it changes anything, so a repair by hand does no harm."),
        )
        .each(steps.iter().enumerate(), |(place, step)| one(place + 1, step))
        .raw("</details>");
    Some(Html::default().element("section class=\"card\" aria-label=\"By hand\"", inside))
}

fn one(number: usize, step: &Step) -> Html {
    Html::default()
        .raw("<p class=\"step\"><span class=\"number\">")
        .number(number)
        .raw(".</span> <span>")
        .line(&step.words)
        .raw("</span></p>")
        .maybe(step.command.as_ref().map(|command| parts::command(command)))
}
