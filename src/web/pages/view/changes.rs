//! What was changed, from what to what, and how that went; before anything was, what would be.

use super::parts;
use crate::domain::incident::{Attempt, AttemptOutcome, Incident};
use crate::domain::notice::{Notice, Situation};
use crate::notify::texts::message::Part;
use crate::notify::texts::words::{Line, count};
use crate::notify::texts::{attempt_parts, exactly};
use crate::web::pages::html::{Html, text};

/// So many changes are shown at once; the rest is folded …
const SHOWN: usize = 8;
/// … and of more than so many it is said where they are.
const MOST: usize = 150;

/// The card, if anything was changed or would be.
#[must_use]
pub fn card(incident: &Incident, notice: &Notice) -> Option<Html> {
    let inside = if incident.attempts.is_empty() { planned(notice)? } else { attempts(incident, notice) };
    Some(Html::default().element("section class=\"card\" aria-label=\"Changes\"", inside))
}

/// The plan; where a person is asked or told about it, it is shown with that.
fn planned(notice: &Notice) -> Option<Html> {
    let plan = notice.plan.as_ref().filter(|plan| !plan.changes.is_empty())?;
    if matches!(notice.situation, Situation::ApprovalAsked | Situation::ObservedOnly) {
        return None;
    }
    let parts = parts::parts(&exactly(plan));
    Some(Html::default().element("h2", text("Exactly this would change")).html(parts))
}

fn attempts(incident: &Incident, notice: &Notice) -> Html {
    let all = &incident.attempts;
    let failed = |attempt: &&Attempt| matches!(attempt.outcome, Some(AttemptOutcome::Failed { .. }));
    // What failed is what people look for.
    let ordered: Vec<&Attempt> =
        all.iter().filter(failed).chain(all.iter().filter(|attempt| !failed(attempt))).take(MOST).collect();
    let (shown, folded) = ordered.split_at(ordered.len().min(if all.len() <= SHOWN + 2 { SHOWN + 2 } else { SHOWN }));
    let one = |attempt: &&Attempt| change(attempt, notice);
    let more = (!folded.is_empty()).then(|| {
        Html::default()
            .raw("<details data-fold=\"changes\"><summary>")
            .text(format!("{} more", all.len() - shown.len()))
            .raw("</summary>")
            .each(folded, one)
            .maybe((all.len() > MOST).then(|| {
                let left = format!("{} are left out here; they are in the JSON of this page.", all.len() - MOST);
                Html::default().element("p class=\"soft\"", text(left))
            }))
            .raw("</details>")
    });
    let made = incident.made().count();
    let heading = format!("{} made", count(made, "change", "changes"));
    Html::default().element("h2", text(heading)).each(shown, one).maybe(more)
}

fn change(attempt: &Attempt, notice: &Notice) -> Html {
    let became = |(property, before, after): &(String, String, String)| {
        Part::Text(Line::default().name(property).say(": ").code(before).say(" → ").code(after))
    };
    let all: Vec<Part> = attempt.before_after.iter().take(MOST).map(became).collect();
    let (first, rest) = all.split_at(all.len().min(SHOWN));
    let mut said: Vec<Part> = attempt_parts(attempt, notice).into_iter().take(1).collect();
    said.extend_from_slice(first);
    let id = attempt.correlation_id.iter();
    said.extend(id.map(|id| Part::Text(Line::of("Azure's correlation id ").code(id))));
    let more = (!rest.is_empty()).then(|| {
        Html::default()
            .raw("<details")
            .attribute("data-fold", format!("change-{}", attempt.number))
            .raw("><summary>")
            .text(format!("{} more of these", attempt.before_after.len() - first.len()))
            .raw("</summary>")
            .html(parts::parts(rest))
            .raw("</details>")
    });
    Html::default().element("div class=\"change\"", parts::parts(&said).maybe(more))
}
