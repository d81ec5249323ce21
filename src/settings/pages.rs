//! `[pages]`: who may see the incidents' pages, and where they are.

use std::net::SocketAddr;

use toml::Table;
use url::{Host, Url};

use super::problem::Problem;
use super::secrets::{Places, secrets};
use super::section::{Named, Section, Sources};
use crate::notify::secret::Secret;
use crate::notify::signed_link::SHORTEST_SECRET;

/// The entry of `readers` by which everybody who can sign in may read.
const ANYONE: &str = "anyone-signed-in";
/// The variable by which the platform says that it checks sign-ins (App Service Authentication; from memory, not tried in a
/// tenant: `easy_auth` says otherwise).
const PLATFORM: &str = "WEBSITE_AUTH_ENABLED";
/// The variable by which the platform says the host name of the app.
const HOSTNAME: &str = "WEBSITE_HOSTNAME";

/// How readers are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageAccess {
    /// By the platform's sign-in, in a group.
    SignIn,
    /// By the signed link of a message.
    Link,
    /// Not at all: whoever reaches the pages may read them.
    Open,
}

/// Who may see the pages, and where they are.
#[derive(Debug, Clone, Default)]
pub struct PagesSettings {
    /// How readers are known; `None` where nothing is written: then whoever is on this machine may read if we listen on
    /// this machine alone, and nobody otherwise.
    pub access: Option<PageAccess>,
    /// Where the house is for people outside of it.
    pub url: Option<Url>,
    /// Object ids of groups, or app roles, whose members may read.
    pub readers: Vec<String>,
    /// Everybody who can sign in may read.
    pub anyone_signed_in: bool,
    /// Object ids of groups, or app roles, whose members may answer. They may read, too.
    pub approvers: Vec<String>,
    /// The platform is known to check sign-ins.
    pub sign_in_is_checked: bool,
    /// People who did not sign in may answer, by the link of a message or on this machine, and type the server's name.
    pub weak_approval: bool,
    /// What links are signed with: the first signs, each is accepted. None: Keymend makes one and keeps it in its store.
    pub link_secrets: Vec<Secret>,
}

impl PagesSettings {
    /// How readers are known when we listen at `listen` (`None`: behind the Functions host).
    #[must_use]
    pub fn access_at(&self, listen: Option<SocketAddr>) -> Option<PageAccess> {
        let here = listen.is_some_and(|address| address.ip().to_canonical().is_loopback());
        self.access.or_else(|| here.then_some(PageAccess::Open))
    }
}

/// Reads `[pages]`. Faults are what keeps people from the pages though all else works.
pub(super) fn pages(
    file: &mut Table,
    sources: Sources<'_>,
    problems: &mut Vec<Problem>,
    faults: &mut Vec<Problem>,
) -> PagesSettings {
    let mut section = Section::open(file, "pages", sources, problems);
    let choices = [("sign-in", PageAccess::SignIn), ("link", PageAccess::Link), ("open", PageAccess::Open)];
    let access = section.choice("access", Some("KEYMEND_PAGES_ACCESS"), &choices);
    let url = address(&mut section);
    let groups = "Write object ids of Entra groups, or app roles";
    let mut readers = members(&mut section, "readers", "KEYMEND_PAGES_READERS", groups);
    let approvers = members(&mut section, "approvers", "KEYMEND_PAGES_APPROVERS", groups);
    if approvers.iter().any(|one| one.eq_ignore_ascii_case(ANYONE)) {
        let problem = Problem::new("pages.approvers", "answering is not for everybody who can sign in", groups);
        section.report(problem.with(ANYONE));
    }
    let anyone_signed_in = readers.iter().any(|one| one.eq_ignore_ascii_case(ANYONE));
    readers.retain(|one| !one.eq_ignore_ascii_case(ANYONE));
    let easy_auth = section.choice("easy_auth", Some("KEYMEND_PAGES_EASY_AUTH"), &[("detect", false), ("on", true)]);
    let weak_approval = section.flag("weak_approval", Some("KEYMEND_PAGES_WEAK_APPROVAL")).unwrap_or(false);
    let places = Places { literal: None, name: "link_secret", variable: Some("KEYMEND_LINK_SECRET") };
    let found = secrets(&mut section, places);
    if let Some(short) = found.secrets.iter().find(|secret| secret.expose().len() < SHORTEST_SECRET) {
        let why = format!("a secret that links are signed with is shorter than {SHORTEST_SECRET} characters");
        section.report(Problem::new("pages.link_secret", why, "Make one with: openssl rand -hex 32").with(short));
    }
    section.close();
    faults.extend(found.faults);
    let platform = (sources.env)(PLATFORM).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    let settings = PagesSettings {
        access,
        url,
        readers,
        anyone_signed_in,
        approvers,
        sign_in_is_checked: easy_auth.unwrap_or(false) || platform,
        weak_approval,
        link_secrets: found.secrets,
    };
    faults.extend(shut(&settings));
    settings
}

/// Why nobody can see the pages that the settings ask for.
fn shut(settings: &PagesSettings) -> Vec<Problem> {
    let mut faults = Vec::new();
    if settings.access != Some(PageAccess::SignIn) {
        return faults;
    }
    if !settings.sign_in_is_checked {
        let why = "the platform is not known to check sign-ins, so nobody may see the pages";
        let instead = format!(
            "Switch App Service Authentication on ({PLATFORM} is True then), or, if it is on, write easy_auth = \"on\"; see \
             docs/pages.md"
        );
        faults.push(Problem::new("pages.access", why, instead));
    }
    if settings.readers.is_empty() && settings.approvers.is_empty() && !settings.anyone_signed_in {
        let why = "nobody is named, so nobody may see the pages";
        let instead = format!("Name groups or app roles under readers or approvers, or write readers = [\"{ANYONE}\"]");
        faults.push(Problem::new("pages.readers", why, instead));
    }
    faults
}

fn members(section: &mut Section<'_>, key: &str, variable: &str, instead: &str) -> Vec<String> {
    let mut names = Vec::new();
    for Named { setting, value } in section.list(key, Some(variable), instead) {
        if value.chars().any(char::is_control) || value.chars().count() > 200 {
            section.report(Problem::new(setting, "an entry is no id of a group and no role", instead).with(value));
        } else {
            names.push(value);
        }
    }
    names
}

/// The public address: what is written, else what the platform says.
fn address(section: &mut Section<'_>) -> Option<Url> {
    let instead = "Write the address that people reach it by, such as https://app.azurewebsites.net";
    match section.text("url", Some("KEYMEND_PAGES_URL"), instead) {
        Some(Named { setting, value }) => {
            let url = public(&value);
            if url.is_none() {
                section.report(Problem::new(setting, "this is no https:// address of a host", instead).with(value));
            }
            url
        }
        None => {
            let host = (section.sources().env)(HOSTNAME)?;
            public(&format!("https://{}", host.trim()))
        }
    }
}

/// https, or http on this machine; a host, and nothing behind it.
fn public(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let here = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let fits = url.scheme() == "https" || (url.scheme() == "http" && here);
    (fits && bare && url.password().is_none()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_a_host_alone() {
        for good in ["https://app.azurewebsites.net", "https://keymend.contoso.example:8443/", "http://127.0.0.1:8080"]
        {
            assert!(public(good).is_some(), "{good}");
        }
        for bad in [
            "app.azurewebsites.net",
            "http://app.azurewebsites.net",
            "https://app/x",
            "https://u:p@app",
            "https://app?x",
            "data:,",
        ] {
            assert!(public(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn only_a_listener_on_this_machine_is_open_unasked() {
        let settings = PagesSettings::default();
        assert_eq!(settings.access_at(Some(([127, 0, 0, 1], 80).into())), Some(PageAccess::Open));
        assert_eq!(settings.access_at(Some(([0, 0, 0, 0], 80).into())), None);
        assert_eq!(settings.access_at(None), None, "behind the Functions host everybody is near");
    }
}
