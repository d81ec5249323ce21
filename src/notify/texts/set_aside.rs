//! The message that some of Keymend's own work was set aside: what it was, what that means, how it is tried again.

use crate::domain::notice::Notice;
use crate::domain::plan::NeedsPerson;
use crate::notify::texts::affected::is_about_nothing;
use crate::notify::texts::by_hand;
use crate::notify::texts::gates::person_advice;
use crate::notify::texts::message::{Part, Section};
use crate::notify::texts::opening::{by_hand_parts, cause, deadline, reason};
use crate::notify::texts::words::Line;

pub(super) fn set_aside(notice: &Notice) -> (Vec<Section>, Line) {
    let mut facts: Vec<Part> = reason("What happened", notice).into_iter().collect();
    let mut todo = Vec::new();
    if let Some(key) = &notice.retry {
        let retry = format!("keymend incidents jobs --retry {}", by_hand::quoted(key));
        todo.push(Part::Text(Line::of(person_advice(NeedsPerson::SetAside))));
        todo.push(Part::Command(Line::default().code(retry)));
    } else {
        todo.push(Part::Text(Line::of("Find out who else writes to this queue, and keep them from it.")));
    }
    if !is_about_nothing(notice) {
        facts.extend(cause(notice));
        facts.extend(deadline(notice));
        let by_hand = by_hand_parts(notice, 1);
        if !by_hand.is_empty() {
            todo.push(Part::Text(Line::of("Or go on without Keymend:")));
            todo.extend(by_hand);
        }
    }
    let sections = vec![Section::untitled(facts), Section::titled("Do this", todo)];
    let next = match notice.retry {
        Some(_) => {
            "Keymend does nothing more about this by itself until it is let try again, or Azure reports something new. "
        }
        None => "Keymend does nothing more about this. ",
    };
    let close =
        Line::of(next).say("To end this incident: ").code(format!("keymend incidents close {}", notice.incident));
    (sections, close.say("."))
}
