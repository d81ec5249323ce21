//! Tokens over real HTTP: the official crate's own requests, led to a stand-in on loopback. What depends on the process's
//! environment is in `tests/credentials`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::azure::Cloud;
use crate::azure::clouds::STORAGE_SCOPE;
use crate::azure::stand_in::{Asked, Reply, StandIn};

const ARM: &str = "https://management.azure.com/.default";
const TENANT: &str = "99999999-8888-7777-6666-555555555555";
const CLIENT: &str = "aaaaaaaa-0000-0000-0000-000000000002";
const PASSWORD: &str = "hunter2~correct";

/// Leads every request to the stand-in; where it was meant to go is told in a header.
#[derive(Debug)]
struct Led {
    address: url::Url,
    http: reqwest::Client,
}

#[async_trait]
impl HttpClient for Led {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut led = request.clone();
        led.insert_header("x-meant-for", request.url().origin().ascii_serialization());
        let url = led.url_mut();
        url.set_scheme("http").unwrap();
        url.set_host(self.address.host_str()).unwrap();
        url.set_port(self.address.port()).unwrap();
        self.http.execute_request(&led).await
    }
}

fn identity(stand_in: &StandIn, config: CredentialConfig, cloud: Cloud) -> Identity {
    let http = crate::tls::client().no_proxy().build().unwrap();
    let led = Led { address: stand_in.address.parse().unwrap(), http };
    Identity::over(config, cloud, Arc::new(led), Duration::from_secs(20))
}

fn over(stand_in: &StandIn, config: CredentialConfig, cloud: Cloud) -> Credential {
    Credential::from_source(Arc::new(identity(stand_in, config, cloud)))
}

fn form(asked: &Asked) -> std::collections::HashMap<String, String> {
    url::form_urlencoded::parse(&asked.raw).into_owned().collect()
}

fn client_secret() -> CredentialConfig {
    CredentialConfig::ClientSecret {
        tenant_id: TENANT.to_owned(),
        client_id: CLIENT.to_owned(),
        secret: Secret::new(PASSWORD),
    }
}

fn managed(client_id: Option<&str>) -> CredentialConfig {
    CredentialConfig::ManagedIdentity { client_id: client_id.map(str::to_owned) }
}

/// Entra's answer: the nth token, for an hour.
fn entra(n: usize) -> Reply {
    Reply::json(
        json!({"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "access_token": format!("t{n}")}),
    )
}

/// The metadata service's.
fn metadata(n: usize, expires: Timestamp) -> Reply {
    Reply::json(json!({
        "access_token": format!("t{n}"), "expires_on": expires.as_second().to_string(), "token_type": "Bearer", "resource": "r",
    }))
}

/// The official credentials tell the time by the machine's clock.
fn now() -> Timestamp {
    Clock::system().now()
}

fn header<'a>(asked: &'a Asked, name: &str) -> &'a str {
    asked.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_client_secret_is_shown_to_the_configured_cloud_s_entra_and_to_nobody_else() {
    for (cloud, authority) in [
        (Cloud::Public, "https://login.microsoftonline.com"),
        (Cloud::UsGovernment, "https://login.microsoftonline.us"),
        (Cloud::China, "https://login.chinacloudapi.cn"),
    ] {
        let stand_in = StandIn::start(|_, n| entra(n)).await;
        let credential = over(&stand_in, client_secret(), cloud);
        let scope = Endpoints::of(cloud).unwrap().arm_scope;
        assert_eq!(credential.bearer(&scope, now()).await.unwrap().expose(), "t0");
        let asked = &stand_in.asked()[0];
        assert_eq!(header(asked, "x-meant-for"), authority);
        assert_eq!(asked.path, format!("/{TENANT}/oauth2/v2.0/token"));
        let form = form(asked);
        assert_eq!(form["client_id"], CLIENT);
        assert_eq!(form["client_secret"], PASSWORD);
        assert_eq!(form["grant_type"], "client_credentials");
        assert_eq!(form["scope"], scope);
    }
}

#[tokio::test]
async fn a_workload_shows_its_federated_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "eyJ.federated.token").unwrap();
    let config =
        CredentialConfig::WorkloadIdentity { tenant_id: Some(TENANT.to_owned()), client_id: Some(CLIENT.to_owned()) };
    let stand_in = StandIn::start(|_, n| if n == 0 { entra(n) } else { refused("AADSTS700213", 700_213) }).await;
    let source = identity(&stand_in, config.clone(), Cloud::UsGovernment).reading(file);
    let credential = Credential::from_source(Arc::new(source));
    assert_eq!(credential.bearer(ARM, now()).await.unwrap().expose(), "t0");
    let asked = &stand_in.asked()[0];
    assert_eq!(header(asked, "x-meant-for"), "https://login.microsoftonline.us");
    assert_eq!(asked.path, format!("/{TENANT}/oauth2/v2.0/token"));
    let form = form(asked);
    assert_eq!((form["client_id"].as_str(), form["client_assertion"].as_str()), (CLIENT, "eyJ.federated.token"));
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let error = credential.bearer(STORAGE_SCOPE, now()).await.unwrap_err().to_string();
    assert!(error.contains("AADSTS700213") && error.contains("subject"), "{error}");

    let gone = identity(&stand_in, config, Cloud::Public).reading(folder.path().join("absent"));
    let error = Credential::from_source(Arc::new(gone)).bearer(ARM, now()).await.unwrap_err().to_string();
    assert!(error.contains("absent") && error.contains("AZURE_FEDERATED_TOKEN_FILE"), "{error}");
}

#[tokio::test]
async fn the_metadata_service_is_asked_for_the_chosen_identity() {
    for client_id in [None, Some(CLIENT)] {
        let stand_in = StandIn::start(|_, n| metadata(n, now() + SignedDuration::from_hours(20))).await;
        let credential = over(&stand_in, managed(client_id), Cloud::UsGovernment);
        let scope = "https://vault.usgovcloudapi.net/.default";
        assert_eq!(credential.bearer(scope, now()).await.unwrap().expose(), "t0");
        let asked = &stand_in.asked()[0];
        assert_eq!(header(asked, "x-meant-for"), "http://169.254.169.254");
        assert_eq!(header(asked, "metadata"), "true", "without it the service refuses, so that no redirect can use it");
        assert!(asked.query.contains("resource=https://vault.usgovcloudapi.net"), "{}", asked.query);
        let with_id = asked.query.contains(&format!("client_id={CLIENT}"));
        assert_eq!(with_id, client_id.is_some(), "{}", asked.query);
    }
}

#[tokio::test]
async fn many_at_once_make_one_request_a_scope() {
    let stand_in = StandIn::start(|_, n| entra(n)).await;
    let credential = over(&stand_in, client_secret(), Cloud::Public);
    let at = now();
    let asks = (0..60).map(|i| {
        let credential = credential.clone();
        let scope = if i % 2 == 0 { ARM } else { "https://vault.azure.net/.default" };
        async move { credential.bearer(scope, at).await.unwrap() }
    });
    futures::future::join_all(asks).await;
    assert_eq!(stand_in.asked().len(), 2);
}

#[tokio::test]
async fn a_refused_credential_is_asked_once_for_all_who_wait() {
    let stand_in = StandIn::start(|_, _| refused("AADSTS7000215", 7_000_215)).await;
    let credential = over(&stand_in, client_secret(), Cloud::Public);
    let at = now();
    let asks = (0..20).map(|_| credential.bearer(ARM, at));
    let errors = futures::future::join_all(asks).await;
    assert!(errors.iter().all(Result::is_err));
    assert_eq!(stand_in.asked().len(), 1);
    assert!(credential.bearer(ARM, at).await.is_err());
    assert_eq!(stand_in.asked().len(), 2, "who comes later asks again: it may have been put right");
}

fn refused(code: &str, number: u32) -> Reply {
    // As Entra words it, and with the secret in it, which it would not do.
    let description = format!(
        "{code}: Invalid client secret provided: {PASSWORD}, eyJhbGciOi.eyJzdWIi.c2ln. Trace ID: 0 Correlation ID: 0 Timestamp: 2026-11-24 02:07:31Z"
    );
    Reply(
        401,
        vec![],
        json!({"error": "invalid_client", "error_description": description, "error_codes": [number]}).to_string(),
    )
}

#[tokio::test]
async fn a_refusal_says_who_and_why_and_what_to_do_and_no_secret() {
    for (code, number, advice) in [
        ("AADSTS7000215", 7_000_215, "azure.client_secret_env"),
        ("AADSTS7000222", 7_000_222, "az ad app credential reset"),
        ("AADSTS700016", 700_016, "azure.tenant_id"),
    ] {
        let stand_in = StandIn::start(move |_, _| refused(code, number)).await;
        let credential = over(&stand_in, client_secret(), Cloud::Public);
        let error = credential.bearer(ARM, now()).await.unwrap_err().to_string();
        for part in [code, advice, CLIENT, TENANT, "https://management.azure.com", "HTTP 401"] {
            assert!(error.contains(part), "{part:?} is not said: {error}");
        }
        for part in [PASSWORD, "eyJ", "Trace ID", "\n"] {
            assert!(!error.contains(part), "{part:?} is said: {error}");
        }
        assert_eq!(stand_in.asked().len(), 1, "a refusal is no hiccup");
    }
}

#[tokio::test]
async fn an_identity_that_is_not_assigned_is_named() {
    let stand_in = StandIn::start(|_, _| Reply(400, vec![], json!({"error": "invalid_request"}).to_string())).await;
    let credential = over(&stand_in, managed(Some(CLIENT)), Cloud::Public);
    let error = credential.bearer(ARM, now()).await.unwrap_err().to_string();
    for part in ["managed_identity", "user-assigned", CLIENT, "not been assigned", "az functionapp identity assign"] {
        assert!(error.contains(part), "{part:?} is not said: {error}");
    }
    let credential = over(&stand_in, managed(None), Cloud::Public);
    let error = credential.bearer(ARM, now()).await.unwrap_err().to_string();
    assert!(error.contains("system-assigned") && error.contains("KEYMEND_CLIENT_ID"), "{error}");
}

#[tokio::test]
async fn hiccups_are_tried_again_and_an_outage_ends() {
    let stand_in = StandIn::start(|_, n| match n {
        0 => Reply(429, vec![("retry-after", "0".to_owned())], "{}".to_owned()),
        1 => Reply(500, vec![], "{}".to_owned()),
        n => entra(n),
    })
    .await;
    let credential = over(&stand_in, client_secret(), Cloud::Public);
    assert_eq!(credential.bearer(ARM, now()).await.unwrap().expose(), "t2");

    let down = StandIn::start(|_, _| Reply(503, vec![], "{}".to_owned())).await;
    let credential = over(&down, client_secret(), Cloud::Public);
    assert!(credential.bearer(ARM, now()).await.is_err());
    assert_eq!(down.asked().len(), 5, "one try and four more");
}

#[tokio::test]
async fn an_endpoint_that_never_answers_costs_no_more_than_the_deadline() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let http = crate::tls::client().no_proxy().build().unwrap();
    let led = Led { address: address.parse().unwrap(), http };
    let identity = Identity::over(managed(None), Cloud::Public, Arc::new(led), Duration::from_millis(200));
    let error = Credential::from_source(Arc::new(identity)).bearer(ARM, now()).await.unwrap_err().to_string();
    assert!(error.contains("no answer") && error.contains("developer_tools"), "{error}");
}

#[tokio::test]
async fn a_token_that_azure_rejects_is_fetched_anew_also_from_the_official_cache() {
    let stand_in = StandIn::start(|_, n| entra(n)).await;
    let credential = over(&stand_in, client_secret(), Cloud::Public);
    let at = now();
    assert_eq!(credential.bearer(ARM, at).await.unwrap().expose(), "t0");
    credential.forget(ARM, at);
    assert_eq!(credential.bearer(ARM, at + SignedDuration::from_secs(1)).await.unwrap().expose(), "t1");
    credential.forget(ARM, at);
    let kept = credential.bearer(ARM, at + SignedDuration::from_secs(2)).await.unwrap();
    assert_eq!(kept.expose(), "t1", "the rejected request was sent before this token came");
}

#[tokio::test]
async fn a_short_lived_token_is_used_to_its_end() {
    let at = now();
    let stand_in = StandIn::start(move |_, n| metadata(n, at + SignedDuration::from_secs(20))).await;
    let credential = over(&stand_in, managed(None), Cloud::Public);
    for second in 0..20 {
        let token = credential.bearer(ARM, at + SignedDuration::from_secs(second)).await.unwrap();
        assert_eq!(token.expose(), "t0");
    }
    assert_eq!(stand_in.asked().len(), 1);
    assert_eq!(credential.bearer(ARM, at + SignedDuration::from_secs(21)).await.unwrap().expose(), "t1");
}

#[tokio::test]
async fn storage_takes_the_same_tokens_and_no_others() {
    let stand_in = StandIn::start(|_, n| entra(n)).await;
    let credential = over(&stand_in, client_secret(), Cloud::China);
    let sdk = credential.token_credential(Clock::system());
    for _ in 0..3 {
        let token = sdk.get_token(&[STORAGE_SCOPE], None).await.unwrap();
        assert_eq!(token.token.secret(), "t0");
        let left = token.expires_on.unix_timestamp() - now().as_second();
        assert!((3500..=3600).contains(&left), "{left}");
    }
    for scopes in [&[ARM][..], &[], &[STORAGE_SCOPE, ARM]] {
        assert!(sdk.get_token(scopes, None).await.is_err(), "{scopes:?}");
    }
    assert_eq!(stand_in.asked().len(), 1);
    let local = Endpoints::simulated("http://127.0.0.1:1").unwrap();
    let fixed = Credential::static_token(Secret::new("drill-token"), &local).unwrap();
    let error = fixed.token_credential(Clock::system()).get_token(&[STORAGE_SCOPE], None).await.unwrap_err();
    assert!(error.to_string().contains("connection string"), "{error}");
    assert!(!format!("{sdk:?} {error:?}").contains("t0"));
}

#[derive(Debug, Default)]
struct Counting {
    asked: AtomicU32,
    fail_after: u32,
}

#[async_trait]
impl TokenSource for Counting {
    async fn token(&self, scope: &str) -> Result<Token, AzureError> {
        let n = self.asked.fetch_add(1, Ordering::SeqCst);
        if n >= self.fail_after {
            return Err(AzureError::Credential("down".to_owned()));
        }
        Ok(Token { secret: Secret::new(format!("{scope}#{n}")), expires: Some(at(3600 * i64::from(n + 1))) })
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[tokio::test]
async fn tokens_are_kept_and_renewed_early() {
    let credential = Credential::from_source(Arc::new(Counting { fail_after: 9, ..Counting::default() }));
    let ask = async |second| credential.bearer("a", at(second)).await.unwrap().expose().to_owned();
    assert_eq!(ask(0).await, "a#0");
    assert_eq!(ask(3200).await, "a#0");
    assert_eq!(ask(3300).await, "a#1", "five minutes before the end a new one is fetched");
}

#[tokio::test]
async fn a_failed_renewal_is_no_outage_while_the_token_lives() {
    let source = Arc::new(Counting { fail_after: 1, ..Counting::default() });
    let credential = Credential::from_source(source.clone());
    assert!(credential.bearer("a", at(0)).await.is_ok());
    for second in 3560..3590 {
        assert!(credential.bearer("a", at(second)).await.is_ok());
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 2, "what just failed is left alone for a while");
    assert!(credential.bearer("a", at(3601)).await.is_err());
}

#[test]
fn a_static_token_stays_on_the_machine() {
    let public = Endpoints::of(Cloud::Public).unwrap();
    let config = CredentialConfig::Static(Secret::new("t"));
    assert!(matches!(Credential::new(&config, &public), Err(ConfigError::StaticTokenOffMachine(_))));
    let local = Endpoints::simulated("http://127.0.0.1:1").unwrap();
    assert!(Credential::new(&config, &local).is_ok());
}

#[tokio::test]
async fn nothing_is_made_before_it_is_needed_and_errors_name_no_secret() {
    let public = Endpoints::of(Cloud::Public).unwrap();
    let config = CredentialConfig::ClientSecret {
        tenant_id: "not a tenant".into(),
        client_id: "c".into(),
        secret: Secret::new("hunter2"),
    };
    let credential = Credential::new(&config, &public).unwrap();
    let error = credential.bearer(ARM, at(0)).await.unwrap_err().to_string();
    assert!(error.contains("client_secret") && error.contains("tenant"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn secrets_do_not_print() {
    let config = client_secret();
    let credential = Credential::new(&config, &Endpoints::of(Cloud::Public).unwrap()).unwrap();
    let printed = format!("{:?} {config:?} {config} {credential:?}", Secret::new(PASSWORD));
    assert!(!printed.contains(PASSWORD), "{printed}");
    let token = Token { secret: Secret::new("t0t0t0"), expires: None };
    assert!(!format!("{token:?}").contains("t0t0t0"));
}
