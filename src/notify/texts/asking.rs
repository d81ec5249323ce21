//! The messages that want a decision: approval, and the window that ends soon.

use crate::domain::notice::Notice;
use crate::domain::plan::Plan;
use crate::notify::texts::changes::{others, plan_sentence, undo, untouched};
use crate::notify::texts::clocks::{clock, next_message};
use crate::notify::texts::message::{Part, Section};
use crate::notify::texts::opening::{by_hand_parts, cause, deadline, exactly, gates, reason};
use crate::notify::texts::words::Line;

fn plan(notice: &Notice) -> Option<&Plan> {
    notice.approval.as_ref().map(|approval| &approval.plan).or(notice.plan.as_ref())
}

/// Some channels and settings have no button: the message is the same in all of them.
const BUTTON: &str = "Where this message has a button “Review and decide”, press it: you decide on the page behind it.";

/// How to answer. The first part is for messages alone: the page that it leads to leaves it out.
pub(super) fn decide(notice: &Notice, plan: &Plan) -> Vec<Part> {
    let command =
        |verb: &str| Part::Command(Line::default().code(format!("keymend incidents {verb} {}", notice.incident)));
    vec![
        Part::Text(Line::of(BUTTON)),
        Part::Text(Line::of("To let Keymend do it from where it runs:")),
        command("approve"),
        Part::Text(Line::of("To keep it from doing it:")),
        command("reject"),
        Part::Text(
            Line::of("The answer counts for the plan with the code ")
                .code(plan.code())
                .say(" alone. Before it runs, Keymend looks again; if anything has changed, it asks anew."),
        ),
    ]
}

pub(super) fn approval(notice: &Notice) -> (Vec<Section>, Line) {
    let mut facts = cause(notice);
    let why = notice.approval.as_ref().map(|approval| Line::default().quote(&approval.why));
    match why {
        Some(why) => facts.push(Part::Fact("Why you are asked", why)),
        None => facts.extend(reason("Why you are asked", notice)),
    }
    facts.extend(deadline(notice));
    let mut sections = vec![Section::untitled(facts)];
    if let Some(plan) = plan(notice) {
        let mut change = exactly(plan);
        change.extend(plan.changes.first().and_then(untouched).map(|line| Part::Fact("Not touched", line)));
        change.push(Part::Fact("Who else feels it", Line::of(others(plan.remedy))));
        change.push(Part::Fact("To undo", Line::of(undo(plan.remedy))));
        sections.push(Section::titled("Exactly this will change", change));
        sections.extend((!notice.gates.is_empty()).then(|| gates("Before you approve", notice)));
        sections.push(Section::titled("Your decision", decide(notice, plan)));
    }
    (sections, unanswered(notice).join(next_message(notice)))
}

fn unanswered(notice: &Notice) -> Line {
    let line = Line::of("As long as nobody answers, nothing is changed. ");
    match &notice.approval {
        Some(approval) if notice.is_ahead() => {
            line.say(format!("At {} the key expires. ", clock(approval.answer_by, notice.at)))
        }
        Some(approval) if approval.answer_by > notice.at && !notice.window_over => line.say(format!(
            "After {} an approval comes too late for the databases to heal by themselves. ",
            clock(approval.answer_by, notice.at)
        )),
        _ => line,
    }
}

pub(super) fn window_ends(notice: &Notice) -> (Vec<Section>, Line) {
    let mut facts: Vec<Part> = deadline(notice).into_iter().collect();
    facts.extend(cause(notice));
    let asked = notice.approval.as_ref().filter(|approval| approval.decision.is_none());
    facts.extend(asked.map(|approval| {
        let at = clock(approval.asked_at, notice.at);
        Part::Fact("What blocks it", Line::of(format!("approval was asked for at {at} and nobody has answered")))
    }));
    facts.extend(reason("What blocks it", notice).filter(|_| asked.is_none()));
    let mut sections = vec![Section::untitled(facts)];
    sections.extend((!notice.gates.is_empty()).then(|| gates("In the way", notice)));
    match (asked, plan(notice)) {
        (Some(_), Some(plan)) => {
            let mut parts = vec![Part::Step(1, Line::of("Approve it: ").join(plan_sentence(plan)))];
            parts.extend(decide(notice, plan).into_iter().skip(2).take(1));
            parts.push(Part::Step(2, Line::of("Or do it by hand:")));
            parts.extend(by_hand_parts(notice, 1).into_iter().filter(|part| matches!(part, Part::Command(_))));
            sections.push(Section::titled("Two ways out", parts));
        }
        _ => sections.push(Section::titled("To repair it by hand", by_hand_parts(notice, 1))),
    }
    if notice.is_ahead() {
        let next = "Once the key has expired, Keymend tells what is lost and asks anew. ";
        return (sections, Line::of(next).join(next_message(notice)));
    }
    let next = "After the window Keymend re-validates as soon as the key can be used, and reports what was lost. ";
    (sections, Line::of(next).join(next_message(notice)))
}
