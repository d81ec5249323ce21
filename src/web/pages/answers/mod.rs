//! Answers to what Keymend asks: forms on the incident's page, and the only door that changes anything by a browser.
//!
//! | file | job |
//! |---|---|
//! | [`ticket`] | who may answer, and the signed ticket that a form carries |
//! | [`form`] | the forms |
//! | `origin` | whether a form was sent from a page of ours |
//! | `door` | `POST /api/incidents/{id}/answer` |
//! | `outcome` | the page that says what came of it |
//!
//! Links in messages are followed by scanners, which also run scripts and press buttons. So looking changes nothing; an answer
//! is a form that only a person who signed in and is in a group of approvers is given, it is bound to that person and to the
//! plan they saw, it must come from our own page, and it counts once. What was decided is decided once, whoever comes second.

mod door;
pub mod form;
mod origin;
mod outcome;
pub mod ticket;

pub(super) use door::{ANSWER, take};
pub use ticket::Answers;
