//! What the pages are given: who may see them, and where their links lead.

use std::net::SocketAddr;

use crate::cli::channels;
use crate::clock::Clock;
use crate::notify::signed_link::LinkKeys;
use crate::responder::Responder;
use crate::settings::{PageAccess, PagesSettings, Settings};
use crate::web::pages::{Access, Answers, Readers, SignIn, Signed, Site};

/// The site that the settings ask for, listening at `listen`; `None` behind the Functions host.
#[must_use]
pub fn site(settings: &Settings, listen: Option<SocketAddr>, responder: &Responder, keys: Option<&LinkKeys>) -> Site {
    let signed = keys.map_or_else(Signed::default, |keys| signed(keys.clone(), responder.clock.clone()));
    let access = access(&settings.pages, listen, signed);
    if matches!(access, Access::Open { here_only: false }) {
        tracing::warn!("the pages are open: whoever can reach this address may read every incident");
    }
    // A runbook that is no address is reported with its channel.
    let runbook = settings.channels.notify.runbook.as_deref();
    let links = channels::links(settings, runbook).or_else(|_| channels::links(settings, None));
    let site = Site::new(access, links.unwrap_or_default(), settings.pages.url.clone(), responder.channels.to_vec());
    match keys {
        Some(keys) => site.answering(Answers { keys: keys.clone(), weak: settings.pages.weak_approval }),
        None => site,
    }
}

/// A link is good for the incident that it was signed for.
fn signed(keys: LinkKeys, clock: Clock) -> Signed {
    Signed::by(move |incident, link| keys.read(link, clock.now()).is_ok_and(|claim| claim.incident.0 == incident))
}

fn access(pages: &PagesSettings, listen: Option<SocketAddr>, signed: Signed) -> Access {
    match pages.access_at(listen) {
        None => Access::Off,
        // What is open because nothing was written is open on this machine alone.
        Some(PageAccess::Open) => Access::Open { here_only: pages.access.is_none() },
        Some(PageAccess::Link) => Access::Link(signed),
        Some(PageAccess::SignIn) => {
            let readers =
                if pages.anyone_signed_in { Readers::AnyoneSignedIn } else { Readers::Of(pages.readers.clone()) };
            Access::SignIn(SignIn { trusted: pages.sign_in_is_checked, readers, approvers: pages.approvers.clone() })
        }
    }
}
