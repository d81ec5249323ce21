//! The wire against a real HTTP server that behaves badly.

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::key_vault::PolicyEntry;
use super::stand_in::{Reply, StandIn, azure_at};
use super::{AzureError, Cloud, CloudConfig, Credential, Endpoints, PreparedWrite, Progress, Secret};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::resource_id::ResourceId;

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

fn server() -> ResourceId {
    id("/subscriptions/s1/resourceGroups/rg-data/providers/Microsoft.Sql/servers/contoso-sql")
}

fn vault() -> ResourceId {
    id("/subscriptions/s1/resourceGroups/rg-keys(1)é/providers/Microsoft.KeyVault/vaults/contoso-kv")
}

fn identity_body() -> Value {
    json!({"properties": {"principalId": "p1"}})
}

fn identity() -> ResourceId {
    id("/subscriptions/s1/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/mi")
}

fn revalidate() -> PreparedWrite {
    PreparedWrite::revalidate(&server()).unwrap()
}

#[tokio::test]
async fn a_read_waits_as_long_as_azure_asks_and_tries_again() {
    let cloud = StandIn::start(|_, n| match n {
        0 => Reply::error(429, "TooManyRequests").with("retry-after", "17"),
        1 => Reply::error(503, "ServerBusy"),
        _ => Reply::json(identity_body()),
    })
    .await;
    let azure = cloud.azure();
    let began = azure.clock().now();
    assert_eq!(azure.user_assigned_identity(&identity()).await, Ok("p1".to_owned()));
    let waited = azure.clock().now().duration_since(began);
    assert_eq!(cloud.asked().len(), 3);
    assert!((18..=19).contains(&waited.as_secs()), "17 s as asked and 1 to 2 s of its own, not {waited}");
}

#[tokio::test]
async fn a_retry_date_is_understood() {
    let cloud = StandIn::start(|_, n| match n {
        0 => Reply::error(503, "ServerBusy").with("retry-after", "Tue, 24 Nov 2026 02:08:01 GMT"),
        _ => Reply::json(identity_body()),
    })
    .await;
    let azure = cloud.azure();
    let began = azure.clock().now();
    azure.user_assigned_identity(&identity()).await.unwrap();
    assert_eq!(azure.clock().now().duration_since(began), SignedDuration::from_secs(30));
}

#[tokio::test]
async fn patience_ends_and_says_when_to_come_back() {
    let cloud = StandIn::start(|_, _| Reply::error(429, "TooManyRequests").with("retry-after", "300")).await;
    let error = cloud.azure().user_assigned_identity(&identity()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(SignedDuration::from_secs(300)));
    assert_eq!(cloud.asked().len(), 1);
    let error = cloud.azure().send(&revalidate()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(SignedDuration::from_secs(300)));

    let cloud = StandIn::start(|_, _| Reply(502, vec![], "<html>bad gateway</html>".to_owned())).await;
    let error = cloud.azure().user_assigned_identity(&identity()).await.unwrap_err();
    assert!(matches!(error, AzureError::Unreachable { .. }), "{error}");
    assert_eq!(cloud.asked().len(), 4);
}

#[tokio::test]
async fn a_write_is_sent_again_only_where_it_cannot_have_been_done() {
    for (first, sent) in [
        (Reply::error(429, "TooManyRequests").with("retry-after", "2"), 2),
        (Reply::error(503, "ServerBusy").with("retry-after", "2"), 2),
        (Reply::error(503, "TooManyRequests"), 2),
        (Reply::error(503, "ServerBusy"), 1),
        (Reply::error(500, "InternalServerError"), 1),
        (Reply(504, vec![], String::new()), 1),
        (Reply(200, vec![], "not json".to_owned()), 1),
    ] {
        let given = first.clone();
        let cloud =
            StandIn::start(move |_, n| if n == 0 { given.clone() } else { Reply(200, vec![], String::new()) }).await;
        let result = cloud.azure().send(&revalidate()).await;
        assert_eq!(cloud.asked().len(), sent, "{first:?}");
        match result {
            Ok(receipt) => assert_eq!((sent, receipt.status), (2, 200)),
            Err(AzureError::OutcomeUnknown { .. }) => assert_eq!(sent, 1),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_refused_write_is_told_from_an_unknown_one_by_its_code() {
    let cloud = StandIn::start(|_, _| Reply::error(500, "AzureKeyVaultMissingPermissions")).await;
    let error = cloud.azure().send(&revalidate()).await.unwrap_err();
    assert!(error.is("azurekeyvaultmissingpermissions"), "{error}");
    let cloud = StandIn::start(|_, _| Reply::error(409, "ScopeLocked")).await;
    let error = cloud.azure().send(&revalidate()).await.unwrap_err();
    assert!(matches!(error, AzureError::Refused { ref code, .. } if code == "ScopeLocked"));
}

/// A server that reads a request, sends `answer` and closes; with `None` it never answers.
async fn rude(answer: Option<&'static [u8]>) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                match answer {
                    Some(answer) => drop(stream.write_all(answer).await),
                    None => std::future::pending().await,
                }
            });
        }
    });
    (address, count)
}

#[tokio::test]
async fn a_lost_connection_leaves_a_write_unknown_and_a_read_tried_again() {
    for answer in [Some(&b""[..]), Some(&b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"a\":"[..]), None] {
        let (address, count) = rude(answer).await;
        let azure = azure_at(&address);
        let error = azure.send(&revalidate()).await.unwrap_err();
        assert!(matches!(error, AzureError::OutcomeUnknown { .. }), "{error}");
        assert_eq!(
            count.load(std::sync::atomic::Ordering::SeqCst),
            1,
            "a write that may have been done is not repeated"
        );
        if answer.is_some() {
            let error = azure.user_assigned_identity(&identity()).await.unwrap_err();
            assert!(matches!(error, AzureError::Unreachable { .. }), "{error}");
            assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), 5);
        }
    }
}

#[tokio::test]
async fn nothing_listening_is_unreachable_for_writes_too() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let azure = azure_at(&address);
    let error = azure.send(&revalidate()).await.unwrap_err();
    assert!(matches!(error, AzureError::Unreachable { .. }), "{error}");
    assert_eq!(azure.vault_answers(&VaultHost::parse("contoso-kv.vault.azure.net").unwrap()).await, Ok(false));
}

#[tokio::test]
async fn nonsense_is_a_bad_answer() {
    for body in ["<html>", "[]", "{}", "null", "", "\"x\"", "{\"properties\":{\"principalId\":7}}"] {
        let cloud = StandIn::start(move |_, _| Reply(200, vec![], body.to_owned())).await;
        let error = cloud.azure().user_assigned_identity(&identity()).await.unwrap_err();
        assert!(matches!(error, AzureError::BadAnswer { .. }), "{body}: {error}");
    }
}

#[tokio::test]
async fn a_huge_answer_is_not_swallowed() {
    let cloud = StandIn::start(|_, _| Reply(200, vec![], format!("\"{}\"", "x".repeat(9 * 1024 * 1024)))).await;
    let error = cloud.azure().user_assigned_identity(&identity()).await.unwrap_err();
    assert!(error.to_string().contains("8 MiB"), "{error}");
}

#[tokio::test]
async fn redirects_and_foreign_addresses_are_never_followed() {
    let elsewhere = StandIn::start(|_, _| Reply::json(json!({"status": "Succeeded", "value": []}))).await;
    let foreign = elsewhere.address.clone();
    let cloud = StandIn::start(move |asked, _| match asked.path.as_str() {
        path if path.ends_with("/locks") => {
            Reply::json(json!({"value": [], "nextLink": format!("{foreign}/locks?page=2")}))
        }
        path if path.ends_with("/revalidate") => {
            Reply(202, vec![], String::new()).with("location", format!("{foreign}/op")).with("retry-after", "5")
        }
        _ => Reply(302, vec![], String::new()).with("location", format!("{foreign}/x")),
    })
    .await;
    let azure = cloud.azure();
    assert!(matches!(azure.user_assigned_identity(&identity()).await, Err(AzureError::BadAnswer { .. })));
    assert!(matches!(azure.locks("s1").await, Err(AzureError::BadAnswer { .. })), "part of a list is no list");
    let receipt = azure.send(&revalidate()).await.unwrap();
    assert_eq!(receipt.operation, None, "accepted, and nowhere to ask but the resource itself");
    assert!(elsewhere.asked().is_empty(), "{:?}", elsewhere.lines());
}

#[tokio::test]
async fn lists_are_read_to_the_end() {
    let cloud = StandIn::start(|asked, _| {
        let page: usize = asked.query.split("page=").nth(1).map_or(0, |n| n.parse().unwrap());
        let lock = json!({"id": format!("/subscriptions/s1/providers/Microsoft.Authorization/locks/l{page}"), "name": format!("l{page}"), "properties": {"level": "ReadOnly"}});
        let next = (page < 3).then(|| format!("{}?api-version=2020-05-01&page={}", asked.path, page + 1));
        Reply::json(json!({"value": [lock], "nextLink": next}))
    })
    .await;
    let locks = cloud.azure().locks("s1").await.unwrap();
    assert_eq!(locks.iter().map(|lock| lock.name.as_str()).collect::<Vec<_>>(), ["l0", "l1", "l2", "l3"]);
    assert!(locks.iter().all(|lock| lock.read_only && lock.scope == id("/subscriptions/s1")));
}

#[tokio::test]
async fn an_endless_list_is_an_error() {
    let cloud = StandIn::start(|asked, _| Reply::json(json!({"value": [], "nextLink": asked.path}))).await;
    assert!(matches!(cloud.azure().locks("s1").await, Err(AzureError::BadAnswer { .. })));
}

#[tokio::test]
async fn a_vault_of_another_cloud_gets_neither_request_nor_token() {
    let cloud = StandIn::start(|_, _| Reply::json(json!({}))).await;
    let azure = cloud.azure();
    for host in ["contoso-kv.vault.azure.cn", "contoso-kv.vault.usgovcloudapi.net"] {
        let key = KeyUri::parse(&format!("https://{host}/keys/k")).unwrap();
        assert!(matches!(azure.deleted_key(&key).await, Err(AzureError::NotThisCloud(_))));
        assert!(matches!(azure.send(&PreparedWrite::recover_key(&key)).await, Err(AzureError::NotThisCloud(_))));
        assert!(matches!(azure.vault_answers(&key.vault).await, Err(AzureError::NotThisCloud(_))));
    }
    assert!(cloud.asked().is_empty());
}

#[tokio::test]
async fn a_static_token_is_refused_where_it_could_leave_the_machine() {
    let local = Endpoints::simulated("http://127.0.0.1:1").unwrap();
    let credential = Credential::static_token(Secret::new("drill-token"), &local).unwrap();
    let public = Endpoints::of(Cloud::Public).unwrap();
    let only_vault_is_local = CloudConfig { vault: Some("http://127.0.0.1:1".to_owned()), ..CloudConfig::default() };
    for endpoints in [public, Endpoints::from_config(&only_vault_is_local).unwrap()] {
        let clock = crate::clock::Clock::system();
        assert!(super::Azure::new(endpoints, credential.clone(), clock, crate::ids::Ids::seeded(1)).is_err());
    }
}

#[tokio::test]
async fn a_rejected_token_is_renewed_once() {
    let cloud = StandIn::start(|_, n| {
        if n == 0 { Reply::error(401, "ExpiredAuthenticationToken") } else { Reply::json(identity_body()) }
    })
    .await;
    assert!(cloud.azure().user_assigned_identity(&identity()).await.is_ok());
    let cloud = StandIn::start(|_, _| Reply::error(401, "InvalidAuthenticationToken")).await;
    let error = cloud.azure().user_assigned_identity(&identity()).await.unwrap_err();
    assert!(matches!(error, AzureError::Credential(_)));
    assert_eq!(cloud.asked().len(), 2);
    assert!(!error.to_string().contains("drill-token"));
}

#[tokio::test]
async fn what_is_shown_is_what_is_sent() {
    let key = KeyUri::parse("https://contoso-kv.vault.azure.net/keys/tde-key").unwrap();
    let entry = PolicyEntry { tenant_id: "t".into(), object_id: "o".into(), keys: vec!["get".into()] };
    let writes = [
        PreparedWrite::patch_identity(&server(), json!({"identity": {"type": "SystemAssigned"}})).unwrap(),
        revalidate(),
        PreparedWrite::patch_vault_network_acls(&vault(), json!({"bypass": "AzureServices"})),
        PreparedWrite::recover_vault(&vault(), "westeurope", "t"),
        PreparedWrite::add_access_policy(&vault(), &[entry]),
        PreparedWrite::put_role_assignment(
            &vault().child("keys", "tde-key").unwrap(),
            uuid::Uuid::nil(),
            "/role",
            "p",
            "by Keymend",
        ),
        PreparedWrite::recover_key(&key),
        PreparedWrite::update_key_attributes(
            &key.vault,
            "tde-key",
            &"a".repeat(32),
            Some(true),
            "2027-01-01T00:00:00Z".parse().ok(),
        ),
    ];
    let cloud = StandIn::start(|_, _| {
        Reply::json(json!({})).with("x-ms-request-id", "r1").with("x-ms-correlation-request-id", "c1")
    })
    .await;
    let azure = cloud.azure();
    for write in &writes {
        let receipt = azure.send(write).await.unwrap();
        let asked = cloud.asked().pop().unwrap();
        let host = if asked.host.starts_with("127") { String::new() } else { format!("https://{}", asked.host) };
        assert_eq!(write.to_string().split(' ').next(), Some(asked.method.as_str()));
        let shown = percent_encoding::percent_decode_str(&write.url_path()).decode_utf8_lossy().into_owned();
        assert_eq!(shown, format!("{host}{}?{}", asked.path, asked.query));
        assert_eq!(write.body().cloned().unwrap_or_default(), asked.body);
        assert_eq!(asked.headers["authorization"], "Bearer drill-token");
        assert_eq!(asked.headers["x-ms-client-request-id"].to_str().ok(), Some(receipt.client_request_id.as_str()));
        assert_eq!((receipt.request_id.as_deref(), receipt.correlation_id.as_deref()), (Some("r1"), Some("c1")));
        assert!(!write.action().is_empty() && !write.scope().is_empty());
    }
    assert_eq!(cloud.asked().len(), writes.len());
}

#[tokio::test]
async fn an_operation_is_followed_to_its_end() {
    let cloud = StandIn::start(|asked, n| match (asked.path.as_str(), n) {
        (path, _) if path.ends_with("/revalidate") => Reply(202, vec![], String::new())
            .with("location", "/subscriptions/s1/providers/Microsoft.Sql/locations/westeurope/encryptionProtectorOperationResults/o1?api-version=2025-01-01"),
        (_, 1) => Reply(202, vec![], String::new()).with("retry-after", "15"),
        (_, 2) => Reply::json(json!({"status": "InProgress"})),
        (_, 3) => Reply(200, vec![], String::new()),
        (_, 4) => Reply::error(400, "AzureKeyVaultKeyDisabled"),
        _ => Reply::json(json!({"status": "Failed", "error": {"code": "AkvKeyDisabled", "message": "m"}})),
    })
    .await;
    let azure = cloud.azure();
    let operation = azure.send(&revalidate()).await.unwrap().operation.unwrap();
    let stored: super::OperationUrl = operation.to_string().parse().unwrap();
    let ask = async || azure.poll(&stored).await.unwrap();
    assert_eq!(ask().await, Progress::Running { retry_after: Some(SignedDuration::from_secs(15)) });
    assert_eq!(ask().await, Progress::Running { retry_after: None });
    assert_eq!(ask().await, Progress::Succeeded);
    assert!(matches!(ask().await, Progress::Failed { code, .. } if code == "AzureKeyVaultKeyDisabled"));
    assert!(matches!(ask().await, Progress::Failed { code, .. } if code == "AkvKeyDisabled"));
    assert!(cloud.asked()[1].query.contains("api-version=2025-01-01"));
}
