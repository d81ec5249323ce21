//! The texts, word for word.

use insta::{assert_json_snapshot, assert_snapshot};
use keymend::notify::event::data;
use keymend::notify::terminal::{human, one_line};
use keymend::notify::texts::message;

use crate::samples;

#[test]
fn every_situation_in_words() {
    for (name, notice) in samples::all() {
        assert_snapshot!(format!("text_{name}"), message(&notice).to_text(true));
    }
}

/// The public form that receivers build on: fields may be added here, never renamed or taken away.
#[test]
fn the_public_form_stays() {
    for wanted in ["approval_firewalled", "escalated_missing_right", "resolved_after_window"] {
        let (name, notice) = samples::all().into_iter().find(|(name, _)| *name == wanted).unwrap();
        assert_json_snapshot!(format!("event_{name}"), data(&notice, usize::MAX));
    }
}

#[test]
fn a_line_of_the_log_says_it_all() {
    let (_, notice) = samples::all().into_iter().find(|(name, _)| *name == "escalated_gate").unwrap();
    assert_eq!(
        one_line(&notice),
        "A PERSON IS NEEDED: billing, orders and web on contoso-sql: the repair is on hold (looks like a deliberate \
         revocation). this looks like a deliberate revocation"
    );
}

#[test]
fn nothing_told_can_move_the_cursor_of_a_terminal() {
    for (name, mut notice) in samples::all() {
        notice.reason = Some("\u{1b}[2J\u{1b}]0;title\u{7}\r\nA LIE".to_owned());
        notice.databases.iter_mut().for_each(|database| database.name = "\u{1b}[31mred".to_owned());
        let text = human(&notice) + &one_line(&notice);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{name}: {text:?}");
        assert!(text.lines().all(|line| !line.starts_with("A LIE")), "{name}: {text}");
    }
}
