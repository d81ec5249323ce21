//! What the pages are given: who may see them, and where their links lead.

use std::net::SocketAddr;

use crate::azure::Cloud;
use crate::notify::links::Links;
use crate::responder::Responder;
use crate::settings::{PageAccess, PagesSettings, Settings};
use crate::web::pages::{Access, Readers, SignIn, Signed, Site};

/// The site that the settings ask for, listening at `listen`; `None` behind the Functions host.
#[must_use]
pub fn site(settings: &Settings, listen: Option<SocketAddr>, responder: &Responder) -> Site {
    let channels = responder.channels.iter().map(|channel| channel.name().to_owned()).collect();
    let access = access(&settings.pages, listen);
    if matches!(access, Access::Open { here_only: false }) {
        tracing::warn!("the pages are open: whoever can reach this address may read every incident");
    }
    Site::new(access, links(settings), settings.pages.url.clone(), channels)
}

fn access(pages: &PagesSettings, listen: Option<SocketAddr>) -> Access {
    match pages.access_at(listen) {
        None => Access::Off,
        // What is open because nothing was written is open on this machine alone.
        Some(PageAccess::Open) => Access::Open { here_only: pages.access.is_none() },
        Some(PageAccess::Link) => Access::Link(Signed::default()),
        Some(PageAccess::SignIn) => {
            let readers =
                if pages.anyone_signed_in { Readers::AnyoneSignedIn } else { Readers::Of(pages.readers.clone()) };
            Access::SignIn(SignIn { trusted: pages.sign_in_is_checked, readers, approvers: pages.approvers.clone() })
        }
    }
}

fn links(settings: &Settings) -> Links {
    let portal = match settings.azure.endpoints.cloud() {
        Cloud::Public => "portal.azure.com",
        Cloud::UsGovernment => "portal.azure.us",
        Cloud::China => "portal.azure.cn",
    };
    let channels = &settings.channels;
    let of_teams = channels.teams.as_ref().and_then(|teams| teams.runbook.as_deref());
    let runbook = channels.notify.runbook.as_deref().or(of_teams);
    // A runbook that is no address is reported with its channel.
    let tenant = settings.azure.tenant_id.as_deref();
    Links::new(portal, tenant, runbook).or_else(|_| Links::new(portal, tenant, None)).unwrap_or_default()
}
