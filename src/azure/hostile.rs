//! Hosts that want a token and must not get one. Every door through which a host can come in is tried: key URIs and vault
//! hosts (also stored ones), following pages, the addresses of operations, redirects.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use serde_json::json;
use url::Url;

use super::credential::{Token, TokenSource};
use super::stand_in::{Reply, StandIn};
use super::{Azure, AzureError, Cloud, Credential, Endpoints, PreparedWrite, Secret};
use crate::clock::Clock;
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::resource_id::ResourceId;
use crate::ids::Ids;

const CLOUDS: [Cloud; 3] = [Cloud::Public, Cloud::UsGovernment, Cloud::China];

/// Each looks like `contoso.vault.azure.net` to somebody.
const HOSTS: [&str; 35] = [
    "contoso.vault.azure.net.evil.example",
    "contoso.vault.azure.net.",
    "contoso.vault.azure.net..",
    "contoso.vault.azure.net:444",
    "contoso.vault.azure.net:443:443",
    "contoso.vault.azure.net:",
    "contoso.vault.azure.net@evil.example",
    "contoso.vault.azure.net:443@evil.example",
    "user@contoso.vault.azure.net",
    "evil.example@contoso.vault.azure.net",
    "evil.example#.vault.azure.net",
    "evil.example?.vault.azure.net",
    "evil.example\\.vault.azure.net",
    "evil.example%2f.vault.azure.net",
    "evil.example%00.vault.azure.net",
    "evil.example\0.vault.azure.net",
    "evil.example\t.vault.azure.net",
    "evil.example\r\nHost: x.vault.azure.net",
    "evil.example;.vault.azure.net",
    "evil.example,contoso.vault.azure.net",
    "evil.contoso.vault.azure.net",
    "contoso.privatelink.vaultcore.azure.net",
    "contoso.vaultcore.azure.net",
    "contosovault.azure.net",
    "contoso-vault.azure.net",
    ".vault.azure.net",
    "vault.azure.net",
    "contoso。vault。azure。net",
    "contoso.vault.azure.nеt",
    "cοntoso.vault.azure.net",
    "xn--contoso.vault.azure.net",
    "contoso.xn--vult-5na.azure.net",
    "[::1].vault.azure.net",
    "[::ffff:127.0.0.1]",
    "127.0.0.1",
];

/// Counts how often anybody asked for a token.
#[derive(Debug, Default)]
struct Guarded(AtomicUsize);

#[async_trait]
impl TokenSource for Guarded {
    async fn token(&self, _scope: &str) -> Result<Token, AzureError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Token { secret: Secret::new("real-token"), expires: None })
    }
}

fn azure_of(cloud: Cloud) -> (Azure, Arc<Guarded>) {
    let source = Arc::new(Guarded::default());
    let endpoints = Endpoints::of(cloud).unwrap();
    let credential = Credential::from_source(source.clone());
    let second = Duration::from_secs(1);
    let azure = Azure::with_deadlines(endpoints, credential, Clock::system(), Ids::seeded(7), second, second).unwrap();
    (azure, source)
}

#[test]
fn a_hostile_host_is_no_vault() {
    for host in HOSTS {
        assert_eq!(VaultHost::parse(host), None, "{host:?}");
        assert_eq!(serde_json::from_value::<VaultHost>(json!(host)).ok(), None, "{host:?}");
        for uri in
            [format!("https://{host}/keys/k"), format!("https://{host}:443/keys/k"), format!("HTTPS://{host}/keys/k")]
        {
            // ARM writes `:443` itself; with it a bare name is the vault, and nothing else is.
            assert_eq!(KeyUri::parse(&uri), None, "{uri:?}");
            assert_eq!(serde_json::from_value::<KeyUri>(json!(uri)).ok(), None, "{uri:?}");
        }
    }
    let upper = KeyUri::parse("https://CONTOSO.Vault.Azure.NET:443/keys/k").unwrap();
    assert_eq!(upper.vault.as_str(), "contoso.vault.azure.net", "case is no trick: it is the same host");
}

#[tokio::test]
async fn a_vault_of_another_cloud_makes_nobody_ask_for_a_token() {
    let hosts = ["contoso.vault.azure.net", "contoso.vault.usgovcloudapi.net", "contoso.vault.azure.cn"];
    for (own, cloud) in CLOUDS.into_iter().enumerate() {
        let (azure, source) = azure_of(cloud);
        for host in hosts.iter().enumerate().filter(|(other, _)| *other != own).map(|(_, host)| host) {
            let key = KeyUri::parse(&format!("https://{host}/keys/k")).unwrap();
            let refusals = [
                azure.deleted_key(&key).await.err(),
                azure.key_at_vault(&key).await.err(),
                azure.vault_answers(&key.vault).await.err(),
                azure.send(&PreparedWrite::recover_key(&key)).await.err(),
            ];
            for refusal in refusals {
                assert!(matches!(refusal, Some(AzureError::NotThisCloud(_))), "{cloud:?} {host}: {refusal:?}");
            }
        }
        assert_eq!(source.0.load(Ordering::SeqCst), 0, "{cloud:?}");
    }
}

/// Addresses that are not the Resource Manager's, `ARM` standing for its host and port.
const ADDRESSES: [&str; 20] = [
    "https://evil.example/x",
    "https://ARM/x",
    "http://ARM@evil.example/x",
    "http://user@ARM/x",
    "http://user:pw@ARM/x",
    "http://ARM.evil.example/x",
    "http://ARM./x",
    "http://127.0.0.1/x",
    "http://127.0.0.1:1/x",
    "http://[::1]/x",
    "http://[::ffff:127.0.0.1]/x",
    "http://localhost/x",
    "//evil.example/x",
    "///evil.example/x",
    "\\\\evil.example\\x",
    "/\\evil.example/x",
    "\t//evil.example/x",
    "http:\\\\evil.example/x",
    "ftp://ARM/x",
    "file:///etc/passwd",
];

#[tokio::test]
async fn pages_operations_and_redirects_stay_at_the_resource_manager() {
    let server = ResourceId::parse("/subscriptions/s1/resourceGroups/rg/providers/Microsoft.Sql/servers/sql").unwrap();
    for address in ADDRESSES {
        let said = Arc::new(std::sync::Mutex::new(String::new()));
        let told = said.clone();
        let cloud = StandIn::start(move |asked, _| {
            let said = told.lock().unwrap().clone();
            match asked.path.as_str() {
                path if path.ends_with("/locks") => Reply::json(json!({"value": [], "nextLink": said})),
                path if path.ends_with("/revalidate") => {
                    // A header cannot hold a tab; a page can.
                    let header = said.trim().to_owned();
                    Reply(202, vec![], String::new())
                        .with("location", header.clone())
                        .with("azure-asyncoperation", header)
                }
                _ => Reply(307, vec![], String::new()).with("location", said.trim()),
            }
        })
        .await;
        *said.lock().unwrap() = address.replace("ARM", cloud.address.trim_start_matches("http://"));
        let azure = cloud.azure();
        assert!(matches!(azure.locks("s1").await, Err(AzureError::BadAnswer { .. })), "{address}");
        let receipt = azure.send(&PreparedWrite::revalidate(&server).unwrap()).await.unwrap();
        assert_eq!(receipt.operation, None, "{address}");
        assert!(matches!(azure.server(&server).await, Err(AzureError::BadAnswer { .. })), "{address}");
        assert_eq!(cloud.asked().len(), 3, "{address}: {:?}", cloud.lines());
    }
}

/// Texts near a vault's host: its parts, shuffled with what has a meaning in URLs.
fn near_hosts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("contoso".to_owned()),
        Just(".vault.azure.net".to_owned()),
        Just(".vault.azure.cn".to_owned()),
        Just(".managedhsm.usgovcloudapi.net".to_owned()),
        Just(".VAULT.azure.Net".to_owned()),
        Just("evil.example".to_owned()),
        Just("xn--".to_owned()),
        Just("[::1]".to_owned()),
        "[@:/\\\\?#%.;, \\t\\n\\x00-]",
        ":[0-9]{1,5}",
        "%[0-9a-f]{2}",
        "\\PC",
    ];
    proptest::collection::vec(part, 1..6).prop_map(|parts| parts.concat())
}

proptest! {
    /// Whatever a vault's host was read from: the address made of it leads to that host and no other, without a user or a
    /// port, directly below one of the three clouds' domains; and one cloud alone owns it.
    #[test]
    fn a_vault_host_leads_where_it_says(text in near_hosts()) {
        let by_uri = KeyUri::parse(&format!("https://{text}/keys/k")).map(|key| key.vault);
        for host in VaultHost::parse(&text).into_iter().chain(by_uri) {
            let url = Url::parse(&format!("https://{host}/")).unwrap();
            prop_assert_eq!(url.host_str(), Some(host.as_str()));
            prop_assert!(url.port().is_none() && url.username().is_empty() && url.password().is_none());
            let (name, domain) = host.as_str().split_once('.').unwrap();
            prop_assert!(!name.is_empty());
            let known = ["vault", "managedhsm"].into_iter().flat_map(|kind| {
                ["azure.net", "usgovcloudapi.net", "azure.cn"].map(|root| format!("{kind}.{root}"))
            });
            prop_assert!(known.into_iter().any(|known| known == domain), "{}", domain);
            let owners = CLOUDS.iter().filter(|cloud| Endpoints::of(**cloud).unwrap().owns(&host)).count();
            prop_assert_eq!(owners, 1);
        }
    }

    /// An address that Azure gave is followed only to the Resource Manager's own scheme, host and port, with no user.
    #[test]
    fn an_address_that_is_followed_is_the_resource_managers(
        start in "(https?:)?[/\\\\]{0,3}", text in near_hosts(), end in "(/x)?",
    ) {
        let endpoints = Endpoints::simulated("http://127.0.0.1:8080").unwrap();
        let credential = Credential::static_token(Secret::new("drill-token"), &endpoints).unwrap();
        let azure = Azure::new(endpoints, credential, Clock::system(), Ids::seeded(7)).unwrap();
        if let Some(url) = azure.same_arm(&format!("{start}{text}{end}")) {
            prop_assert_eq!(url.origin(), azure.endpoints().arm().origin());
            prop_assert!(url.username().is_empty() && url.password().is_none());
        }
    }
}
