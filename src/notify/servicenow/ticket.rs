//! Which fields a ticket gets, and what a row of the table says.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{ServiceNowOptions, calls};
use crate::domain::incident::IncidentId;
use crate::domain::notice::Situation;
use crate::notify::api::title;
use crate::notify::route::ENDINGS;
use crate::notify::texts::words::clean;
use crate::notify::{Parcel, TrialMessage, plain, texts};

/// The fields that are read.
pub(super) const FIELDS: &str = "sys_id,number,state,active,correlation_id,correlation_display";
/// The longest short description: the field holds 160 characters.
const SHORT: usize = 150;
/// The longest description or work note, in characters.
const LONG: usize = 4000;
/// How many numbers of messages are kept in `correlation_display`, which holds 100 characters.
const NUMBERS: usize = 20;

/// A ticket, as far as we know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) sys_id: String,
    pub(super) number: String,
    #[serde(skip)]
    state: String,
    #[serde(skip)]
    pub(super) correlation_id: String,
    /// The numbers of the messages that are in it.
    #[serde(skip)]
    messages: Vec<u32>,
}

impl Ticket {
    /// Reads a row; one without a `sys_id` is none.
    pub(super) fn read(row: &Value) -> Option<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let sys_id = text("sys_id");
        // It becomes a part of an address.
        let usable = !sys_id.is_empty() && sys_id.len() <= 64 && sys_id.chars().all(|c| c.is_ascii_alphanumeric());
        let display = text("correlation_display");
        let numbers = display.strip_prefix("keymend").unwrap_or_default();
        usable.then(|| Self {
            sys_id,
            number: clean(&text("number"), 40),
            state: text("state"),
            correlation_id: text("correlation_id"),
            messages: numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect(),
        })
    }

    pub(super) fn is_of(&self, incident: &IncidentId) -> bool {
        self.correlation_id == incident.0
    }

    /// Whether a message is in it.
    pub(super) fn has(&self, sequence: u32) -> bool {
        self.messages.contains(&sequence)
    }

    /// Whether a message that was written later than this one is in it.
    fn is_past(&self, sequence: u32) -> bool {
        self.messages.iter().any(|&number| number > sequence)
    }

    /// Whether it is closed or cancelled.
    pub(super) fn is_over(&self, options: &ServiceNowOptions) -> bool {
        options.states_over.iter().any(|state| state.to_string() == self.state)
    }

    /// What is kept for the next message.
    pub(super) fn keep(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }

    /// `correlation_display` with one number more.
    fn display_with(&self, sequence: u32) -> String {
        let from = (self.messages.len() + 1).saturating_sub(NUMBERS);
        let numbers = self.messages[from..].iter().copied().chain([sequence]);
        numbers.fold("keymend".to_owned(), |text, number| format!("{text} {number}"))
    }
}

/// A field's name may be letters, digits and underscores.
///
/// # Errors
/// In words.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(format!("{:?} is no name of a table or field; write letters, digits and underscores", clean(name, 40)))
}

/// The fields of a new ticket. `priority` is never set: the instance computes it.
pub(super) fn opened(parcel: &Parcel<'_>, options: &ServiceNowOptions) -> Value {
    let notice = parcel.notice;
    let message = texts::message(notice);
    let mut fields = chosen(options);
    set(&mut fields, "short_description", harmless(&title(&message, SHORT)));
    set(&mut fields, "description", harmless(&plain::text(parcel, &options.links, LONG)));
    set(&mut fields, "impact", options.impact.to_string());
    set(&mut fields, "urgency", if calls(notice) { "1".to_owned() } else { options.urgency.to_string() });
    set(&mut fields, "correlation_id", notice.incident.0.clone());
    set(&mut fields, "correlation_display", format!("keymend {}", notice.sequence));
    escalate(&mut fields, parcel, options);
    Value::Object(fields)
}

/// What a message changes of a ticket: a work note, and what belongs to its situation. A message that comes late changes
/// nothing else.
pub(super) fn updated(ticket: &Ticket, parcel: &Parcel<'_>, options: &ServiceNowOptions) -> Value {
    let notice = parcel.notice;
    let mut note = note_alone(ticket, parcel, options);
    let Some(fields) = note.as_object_mut().filter(|_| !ticket.is_past(notice.sequence)) else { return note };
    if notice.situation == Situation::SettingsRestored {
        return note;
    }
    if ENDINGS.contains(&notice.situation) {
        let message = texts::message(notice);
        set(fields, "state", options.state_resolved.to_string());
        set(fields, "close_code", options.close_code.clone());
        set(fields, "close_notes", harmless(&format!("{}: {}. {}", message.banner, message.headline, message.meaning)));
        return note;
    }
    set(fields, "state", options.state_in_progress.to_string());
    if calls(notice) {
        set(fields, "urgency", "1".to_owned());
    }
    escalate(fields, parcel, options);
    note
}

/// The message as a work note, and its number.
pub(super) fn note_alone(ticket: &Ticket, parcel: &Parcel<'_>, options: &ServiceNowOptions) -> Value {
    json!({
        "work_notes": harmless(&plain::text(parcel, &options.links, LONG)),
        "correlation_display": ticket.display_with(parcel.notice.sequence),
    })
}

/// A ticket that tells that it may be ignored.
pub(super) fn trial(trial: &TrialMessage, id: &IncidentId, options: &ServiceNowOptions) -> Value {
    let mut fields = chosen(options);
    let (headline, footer) = (texts::trial::headline(trial), texts::trial::footer(trial));
    set(&mut fields, "short_description", harmless(&clean(&format!("[TEST] {headline}"), SHORT)));
    set(&mut fields, "description", harmless(&format!("{headline} {}\n{footer}", texts::trial::why(trial.trial))));
    set(&mut fields, "impact", "3".to_owned());
    set(&mut fields, "urgency", "3".to_owned());
    set(&mut fields, "correlation_id", id.0.clone());
    set(&mut fields, "correlation_display", "keymend".to_owned());
    Value::Object(fields)
}

fn chosen(options: &ServiceNowOptions) -> Map<String, Value> {
    options.fields.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
}

fn escalate(fields: &mut Map<String, Value>, parcel: &Parcel<'_>, options: &ServiceNowOptions) {
    if parcel.notice.situation == Situation::Escalated
        && let Some(group) = &options.escalation_group
    {
        set(fields, "assignment_group", group.clone());
    }
}

fn set(fields: &mut Map<String, Value>, name: &str, value: String) {
    fields.insert(name.to_owned(), Value::String(value));
}

/// Text that may hold names from outside: ServiceNow shows what stands between `[code]` and `[/code]` as HTML.
pub(super) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let lower = text.to_ascii_lowercase();
    for (at, letter) in text.char_indices() {
        let rest = &lower[at..];
        out.push(if rest.starts_with("[code") || rest.starts_with("[/code") { '(' } else { letter });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(display: &str) -> Ticket {
        let row = json!({"sys_id": "a1", "number": "INC1", "state": "2", "correlation_id": "km-1", "correlation_display": display});
        Ticket::read(&row).unwrap()
    }

    #[test]
    fn names_in_tickets_never_become_html() {
        assert_eq!(harmless("a [code]<b>x</b>[/CODE] ü [codes"), "a (code]<b>x</b>(/CODE] ü (codes");
    }

    #[test]
    fn a_ticket_knows_which_messages_are_in_it() {
        let ticket = row("keymend 1 3 4");
        assert!(ticket.has(3) && !ticket.has(2) && ticket.is_past(2) && !ticket.is_past(4));
        assert_eq!(ticket.display_with(5), "keymend 1 3 4 5");
        assert!(!row("somebody else 1").has(1));
        let many = (1..=500).fold("keymend".to_owned(), |text, number| format!("{text} {number}"));
        assert!(row(&many).display_with(501).len() <= 100);
    }

    #[test]
    fn a_row_without_a_plain_sys_id_is_no_ticket() {
        for id in [json!(null), json!(""), json!("../x"), json!(["a"]), json!("a".repeat(65))] {
            assert_eq!(Ticket::read(&json!({"sys_id": id, "number": "INC1"})), None);
        }
    }
}
