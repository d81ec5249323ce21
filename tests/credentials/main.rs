//! Who Keymend is to Azure, seen from outside: the built binary, with the environment that a platform or a laptop gives it,
//! against a real HTTP server that is the identity endpoint and the Resource Manager.
//!
//! What Entra itself is asked (client secret, workload identity) is tested in `src/azure/credential/tests.rs`: the official
//! crate takes https alone there.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "tokens end by the machine's clock")]

#[path = "../doors/mod.rs"]
mod doors;
mod stage;

use stage::{Around, Serve, tool};

const HEADER: &str = "853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a";
const CLIENT: &str = "aaaaaaaa-0000-0000-0000-000000000002";
const TOKEN: &str = "mi-token-4711";
const MANAGED: &str = "credential = \"managed_identity\"";
const DEVELOPER: &str = "credential = \"developer_tools\"";

fn one_token(_: usize) -> (u16, String) {
    (200, TOKEN.to_owned())
}

/// Waits until Azure was asked so often, and all that came carried this token.
async fn all_carry(around: &Around, serve: &Serve, times: usize, token: &str) {
    let asked =
        serve.until("a request to Azure", |_| Some(around.asked_of_azure()).filter(|asked| asked.len() >= times)).await;
    for asked in asked {
        assert_eq!(asked.bearer.as_deref(), Some(token), "{}", asked.path);
    }
}

#[tokio::test]
async fn under_the_host_the_platform_s_identity_endpoint_is_asked_once() {
    let around = Around::start(one_token).await;
    let endpoint = format!("{}/msi/token", around.address);
    let variables = [
        ("IDENTITY_ENDPOINT", endpoint.as_str()),
        ("IDENTITY_HEADER", HEADER),
        ("FUNCTIONS_CUSTOMHANDLER_PORT", "1"),
        ("AzureWebJobsStorage__clientId", CLIENT),
        ("KEYMEND_STORE", "sqlite:keymend.db"),
        // A proxy that swallows everything: the identity endpoint and Azure on this machine are beside us, not behind it.
        ("HTTP_PROXY", "http://127.0.0.1:9"),
    ];
    let serve = Serve::rung(&around, MANAGED, &variables).await;
    all_carry(&around, &serve, 3, TOKEN).await;
    let asked = around.asked_for_tokens();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].identity_header.as_deref(), Some(HEADER));
    assert_eq!(asked[0].parameter("api-version"), Some("2019-08-01"));
    assert_eq!(asked[0].parameter("resource"), Some("https://management.azure.com"));
    assert_eq!(asked[0].parameter("client_id"), Some(CLIENT));
    let log = serve.log();
    assert!(log.contains("/subscriptions/"), "the log says what was asked: {log}");
    assert!(!log.contains(TOKEN) && !log.contains(HEADER), "{log}");
}

#[tokio::test]
async fn an_identity_endpoint_that_hiccups_is_asked_again() {
    let hiccup = |n: usize| match n {
        0 => (429, String::new()),
        1 => (500, String::new()),
        _ => (200, TOKEN.to_owned()),
    };
    let around = Around::start(hiccup).await;
    let endpoint = format!("{}/msi/token", around.address);
    let variables = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", HEADER)];
    let serve = Serve::rung(&around, MANAGED, &variables).await;
    all_carry(&around, &serve, 1, TOKEN).await;
    let asked = around.asked_for_tokens();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|asked| asked.parameter("client_id").is_none()), "the system-assigned one");
}

#[tokio::test]
async fn an_identity_that_the_platform_refuses_is_told_without_the_secret() {
    let around = Around::start(|_| (400, String::new())).await;
    let endpoint = format!("{}/msi/token", around.address);
    let variables =
        [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", HEADER), ("KEYMEND_CLIENT_ID", CLIENT)];
    let serve = Serve::rung(&around, MANAGED, &variables).await;
    let said = serve
        .until("the refusal", |serve| {
            serve.log().lines().find(|line| line.contains("az functionapp identity assign")).map(str::to_owned)
        })
        .await;
    assert!(said.contains(CLIENT) && said.contains("managed_identity"), "{said}");
    assert!(!serve.log().contains(HEADER));
    assert!(around.asked_of_azure().is_empty(), "nothing is asked without a token");
}

#[tokio::test]
async fn on_a_laptop_whoever_is_signed_in_with_az_is_asked_once() {
    let around = Around::start(one_token).await;
    let bin = tempfile::tempdir().unwrap();
    let calls = bin.path().join("calls");
    let expires = jiff::Timestamp::now().as_second() + 3600;
    let answer = format!(r#"{{"accessToken": "az-token-4711", "expires_on": {expires}, "tokenType": "Bearer"}}"#);
    tool(bin.path(), "az", &format!("echo \"$@\" >> {}\necho '{answer}'", calls.display()));
    let path = format!("{}:/usr/bin:/bin", bin.path().display());
    let settings = format!("{DEVELOPER}\ntenant_id = \"contoso.example\"");
    let serve = Serve::rung(&around, &settings, &[("PATH", &path)]).await;
    all_carry(&around, &serve, 1, "az-token-4711").await;
    let calls = std::fs::read_to_string(calls).unwrap();
    let expected =
        "account get-access-token -o json --scope https://management.azure.com/.default --tenant contoso.example";
    assert_eq!(calls.trim(), expected, "once, and for the tenant of the settings");
    assert!(!serve.log().contains("az-token-4711"));
}

#[tokio::test]
async fn without_az_azd_is_asked_and_without_both_it_is_said_what_to_install() {
    let around = Around::start(one_token).await;
    let bin = tempfile::tempdir().unwrap();
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let answer = format!(r#"{{"token": "azd-token-4711", "expiresOn": "{expires}"}}"#);
    tool(bin.path(), "azd", &format!("echo '{answer}'"));
    let path = bin.path().display().to_string();
    let serve = Serve::rung(&around, DEVELOPER, &[("PATH", &path)]).await;
    all_carry(&around, &serve, 1, "azd-token-4711").await;

    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().display().to_string();
    let serve = Serve::rung(&Around::start(one_token).await, DEVELOPER, &[("PATH", &path)]).await;
    let advice = |serve: &Serve| serve.log().contains("Install the Azure CLI").then_some(());
    serve.until("the advice", advice).await;
}

#[tokio::test]
async fn who_is_not_signed_in_is_told_to() {
    let around = Around::start(one_token).await;
    let bin = tempfile::tempdir().unwrap();
    tool(bin.path(), "az", "echo \"ERROR: Please run 'az login' to setup account.\" >&2\nexit 1");
    let path = format!("{}:/usr/bin:/bin", bin.path().display());
    let settings = format!("{DEVELOPER}\ncloud = \"us_government\"");
    let serve = Serve::rung(&around, &settings, &[("PATH", &path)]).await;
    let advice =
        |serve: &Serve| serve.log().contains("az cloud set --name AzureUSGovernment and az login").then_some(());
    serve.until("the advice", advice).await;
    assert!(around.asked_of_azure().is_empty());
}
