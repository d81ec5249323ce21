//! Who may answer, and the ticket that a form carries: signed, of one reader, one plan and one use.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::clock::add;
use crate::domain::incident::Incident;
use crate::notify::signed_link::{Claim, LinkKeys};
use crate::web::pages::Site;
use crate::web::pages::access::{How, Reader};

/// A form that was opened now counts at least so long, and at most twice that.
const COUNTS_FOR: SignedDuration = SignedDuration::from_mins(15);

/// How answers are taken.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Sign tickets, and check links.
    pub keys: LinkKeys,
    /// People answer without signing in: by the link of a message, or on this machine. They type the server's name.
    pub weak: bool,
}

/// Whether a reader may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// Yes.
    Answer {
        /// Only with the server's name typed.
        weak: bool,
    },
    /// Not this reader.
    NotYou,
    /// Nobody, by a browser.
    Nobody,
    /// The link is for another plan than the one that waits, or for none.
    OtherLink,
    /// The link came too late.
    LateLink,
}

impl Site {
    /// Whether `reader` may answer about `plan` (its hash), or with `None` hold the incident and release it.
    #[must_use]
    pub fn may(&self, reader: &Reader, plan: Option<&str>, now: Timestamp) -> May {
        let Some(answers) = &self.answers else { return May::Nobody };
        match reader.how {
            How::SignedIn if self.access.may_answer(reader) => May::Answer { weak: false },
            How::SignedIn => May::NotYou,
            _ if !answers.weak => May::Nobody,
            How::Open => May::Answer { weak: true },
            How::Link => {
                let claim = reader.link.as_deref().and_then(|link| answers.keys.read(link, now).ok());
                match claim {
                    Some(claim) if claim.plan.is_none() => May::OtherLink,
                    Some(claim) if plan.is_some() && claim.plan.as_deref() != plan => May::OtherLink,
                    Some(claim) if claim.is_over(now) => May::LateLink,
                    Some(_) => May::Answer { weak: true },
                    None => May::OtherLink,
                }
            }
        }
    }
}

impl Answers {
    /// A ticket for a form about `plan`. The same reader gets the same one for a while, until it is used: a page that is
    /// renewed does not change by it.
    #[must_use]
    pub fn ticket(&self, incident: &Incident, plan: Option<&str>, reader: &Reader, now: Timestamp) -> (String, String) {
        let span = COUNTS_FOR.as_secs();
        let bucket = now.as_second().div_euclid(span);
        let opened = Timestamp::from_second(bucket * span).unwrap_or(now);
        let who = person(reader);
        let mut digest = Sha256::new();
        for part in [&incident.id.0, plan.unwrap_or_default(), &who, &bucket.to_string()] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        digest.update(incident.forms_used.len().to_le_bytes());
        let number = hex::encode(&digest.finalize()[..8]);
        let until = add(opened, COUNTS_FOR * 2);
        let claim = Claim::form(&incident.id, plan, until, number.clone(), who);
        (self.keys.sign(&claim), number)
    }
}

/// Whom a ticket is made for: the object id where one is known.
pub(super) fn person(reader: &Reader) -> String {
    match reader.how {
        How::SignedIn => reader.oid.clone().unwrap_or_else(|| reader.name.clone()),
        How::Link => "link".to_owned(),
        How::Open => "here".to_owned(),
    }
}
