//! Who may see the pages.

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, Uri};

use super::principal::{HEADER, Principal, Unreadable};
use crate::web::local::speaks_for_itself;

/// Who may see the pages, as the settings say.
#[derive(Debug, Clone)]
pub enum Access {
    /// Nobody: it was not said who may.
    Off,
    /// Whoever reaches them.
    Open {
        /// Only a browser on this machine that asks for it by name, with no proxy between.
        here_only: bool,
    },
    /// Whoever has a signed link from a message, and of one incident alone.
    Link(Signed),
    /// Whoever signed in to the platform and is in one of the groups.
    SignIn(SignIn),
}

/// Whether a link's signature (`?t=`) is good for an incident.
#[derive(Clone)]
pub struct Signed(Arc<Check>);

/// Whether what stands behind `t=` (second) is good for an incident (first).
type Check = dyn Fn(&str, &str) -> bool + Send + Sync;

/// Sign-in by the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// The platform is known to check every request: only then may its header be believed, since otherwise anybody can
    /// send it.
    pub trusted: bool,
    /// Who may read.
    pub readers: Readers,
    /// Object ids of groups, and app roles, whose members may answer. They may read, too.
    pub approvers: Vec<String>,
}

/// Who may read under sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readers {
    /// Members of these groups, and those with these app roles. None: only approvers.
    Of(Vec<String>),
    /// Everybody who can sign in.
    AnyoneSignedIn,
}

/// How a reader is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By the platform's sign-in.
    SignedIn,
    /// By a signed link alone: whoever has the link.
    Link,
    /// Not at all.
    Open,
}

/// Somebody who may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The name, where one is known.
    pub name: String,
    /// The object id in Entra, where it is known.
    pub oid: Option<String>,
    /// Object ids of groups, and app roles.
    pub groups: Vec<String>,
    /// How we know.
    pub how: How,
    /// The signature of the link by which the page was opened (`?t=`).
    pub link: Option<String>,
}

/// Why somebody may not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It was not said who may.
    Off,
    /// Only from this machine.
    NotHere,
    /// Sign-in is wanted, and the platform is not known to check it.
    Unchecked,
    /// Nobody signed in.
    NotSignedIn,
    /// The platform's header cannot be read.
    Principal(Unreadable),
    /// Signed in, and in none of the groups.
    NotAllowed {
        /// Who.
        name: String,
        /// Entra left the groups out of the sign-in.
        too_many_groups: bool,
    },
    /// A link is wanted.
    NoLink,
    /// The link is not good, or no longer.
    BadLink,
}

impl Signed {
    /// Links are good if `check` says so of the incident and of what stands behind `t=`.
    pub fn by(check: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }
}

impl Default for Signed {
    /// No link is good.
    fn default() -> Self {
        Self::by(|_, _| false)
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signed")
    }
}

impl Access {
    /// Who asks, if they may see `incident`, or with `None` the list.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn admit(&self, headers: &HeaderMap, uri: &Uri, incident: Option<&str>) -> Result<Reader, Refusal> {
        match self {
            Self::Off => Err(Refusal::Off),
            Self::Open { here_only: true } if !speaks_for_itself(headers) => Err(Refusal::NotHere),
            Self::Open { .. } => Ok(Reader::unknown(How::Open, None)),
            Self::Link(signed) => by_link(signed, uri, incident),
            Self::SignIn(sign_in) => sign_in.admit(headers),
        }
    }

    /// Whether the reader may answer what Keymend asks: a member of an approvers' group who signed in.
    #[must_use]
    pub fn may_answer(&self, reader: &Reader) -> bool {
        let Self::SignIn(sign_in) = self else { return false };
        reader.how == How::SignedIn && belongs(&sign_in.approvers, &reader.groups)
    }
}

fn by_link(signed: &Signed, uri: &Uri, incident: Option<&str>) -> Result<Reader, Refusal> {
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let given = pairs.into_iter().find(|(name, _)| name == "t").map(|(_, value)| value.into_owned());
    match (incident, given) {
        (Some(incident), Some(t)) if (signed.0)(incident, &t) => Ok(Reader::unknown(How::Link, Some(t))),
        (Some(_), Some(_)) => Err(Refusal::BadLink),
        _ => Err(Refusal::NoLink),
    }
}

impl SignIn {
    fn admit(&self, headers: &HeaderMap) -> Result<Reader, Refusal> {
        if !self.trusted {
            return Err(Refusal::Unchecked);
        }
        let mut sent = headers.get_all(HEADER).iter();
        let (Some(header), None) = (sent.next(), sent.next()) else { return Err(Refusal::NotSignedIn) };
        let principal = Principal::read(header.as_bytes()).map_err(Refusal::Principal)?;
        let allowed = match &self.readers {
            Readers::AnyoneSignedIn => true,
            Readers::Of(groups) => belongs(groups, &principal.groups) || belongs(&self.approvers, &principal.groups),
        };
        let Principal { name, oid, groups, too_many_groups } = principal;
        if !allowed {
            return Err(Refusal::NotAllowed { name, too_many_groups });
        }
        Ok(Reader { name, oid, groups, how: How::SignedIn, link: None })
    }
}

/// Whether one of `groups` is among those that are let in. Nobody is let in by an empty list.
fn belongs(let_in: &[String], groups: &[String]) -> bool {
    groups.iter().any(|group| let_in.iter().any(|one| one.eq_ignore_ascii_case(group)))
}

impl Reader {
    const fn unknown(how: How, link: Option<String>) -> Self {
        Self { name: String::new(), oid: None, groups: Vec::new(), how, link }
    }
}
