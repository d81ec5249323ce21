//! Links into the Azure portal, and to the team's own instructions.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::domain::resource_id::ResourceId;
use crate::notify::signed_link::{Claim, LinkKeys};
use crate::notify::texts::message::Link;

/// What stays as it is in a resource id within a portal link.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where links lead.
#[derive(Debug, Clone)]
pub struct Links {
    portal: String,
    tenant: Option<String>,
    runbook: Option<String>,
    pages: Option<Pages>,
}

/// Where the incidents' pages are, and what signs the links to them.
#[derive(Debug, Clone)]
pub struct Pages {
    /// Such as `https://app.azurewebsites.net`.
    pub url: Url,
    /// Signs.
    pub keys: LinkKeys,
}

/// Why a link setting is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLink {
    /// Not a host name.
    #[error("{0:?} is not the host name of an Azure portal, such as portal.azure.com")]
    Portal(String),
    /// Not https.
    #[error("the runbook's address must be an https:// URL without a user name or password")]
    Runbook,
}

impl Default for Links {
    fn default() -> Self {
        Self { portal: "portal.azure.com".to_owned(), tenant: None, runbook: None, pages: None }
    }
}

impl Links {
    /// `portal` is the cloud's portal host (`portal.azure.com`, `portal.azure.us`, `portal.azure.cn`), `tenant` the
    /// directory that the portal should open, by id or domain; `runbook` an address of the team's own.
    ///
    /// # Errors
    /// [`InvalidLink`].
    pub fn new(portal: &str, tenant: Option<&str>, runbook: Option<&str>) -> Result<Self, InvalidLink> {
        let portal = portal.trim().to_ascii_lowercase();
        let is_host = portal.contains('.') && portal.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
        if !is_host {
            return Err(InvalidLink::Portal(portal));
        }
        let runbook = match runbook {
            Some(text) => Some(https(text).ok_or(InvalidLink::Runbook)?),
            None => None,
        };
        Ok(Self { portal, tenant: tenant.map(str::to_owned), runbook, pages: None })
    }

    /// The same, with links to the incidents' pages.
    #[must_use]
    pub fn with_pages(self, pages: Option<Pages>) -> Self {
        Self { pages, ..self }
    }

    /// The page of an incident, by a signed link; `None` where pages are not to be reached from outside.
    fn incident(&self, claim: &Claim, part: &str) -> Option<String> {
        let pages = self.pages.as_ref()?;
        let mut url = pages.url.join("/api/incidents/").ok()?.join(&claim.incident.0).ok()?;
        url.query_pairs_mut().append_pair("t", &pages.keys.sign(claim));
        url.set_fragment((!part.is_empty()).then_some(part));
        Some(url.into())
    }

    /// The address of a link; `None` where there is none.
    #[must_use]
    pub fn url(&self, link: &Link) -> Option<String> {
        match link {
            Link::Database(id) | Link::Server(id) | Link::Vault(id) => Some(self.resource(id)),
            Link::Runbook => self.runbook.clone(),
            Link::Incident { id, at } => self.incident(&Claim::link(id, None, *at), ""),
            Link::Decide { id, plan_hash, until } => self.incident(&Claim::link(id, Some(plan_hash), *until), "answer"),
        }
    }

    /// The portal's page of a resource.
    #[must_use]
    pub fn resource(&self, id: &ResourceId) -> String {
        let path = utf8_percent_encode(id.as_str(), KEPT);
        let tenant = self.tenant.as_ref().map(|tenant| format!("@{}/", utf8_percent_encode(tenant, KEPT)));
        format!("https://{}/#{}resource{path}", self.portal, tenant.unwrap_or_default())
    }
}

fn https(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok()?;
    let plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    (plain && url.has_host()).then(|| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_into_the_right_directory() {
        let id = "/subscriptions/s/resourceGroups/rg-ü(1)/providers/Microsoft.KeyVault/vaults/kv";
        let links = Links::new("portal.azure.com", Some("contoso.com"), None).unwrap();
        assert_eq!(
            links.resource(&ResourceId::parse(id).unwrap()),
            "https://portal.azure.com/#@contoso.com/resource/subscriptions/s/resourceGroups/rg-%C3%BC%281%29/providers/\
             Microsoft.KeyVault/vaults/kv"
        );
    }

    #[test]
    fn refuses_addresses_that_are_not_https() {
        for runbook in ["http://wiki.example/tde", "javascript:alert(1)", "https://user:pw@wiki.example", "wiki"] {
            assert_eq!(
                Links::new("portal.azure.com", None, Some(runbook)).err(),
                Some(InvalidLink::Runbook),
                "{runbook}"
            );
        }
        assert!(Links::new("portal.azure.com/x", None, None).is_err());
        assert!(Links::new("portal.azure.us", None, Some("https://wiki.example/tde")).is_ok());
    }
}
