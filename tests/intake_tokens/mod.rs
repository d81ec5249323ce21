//! Callers with a token of Entra: which ones are let in, and that nobody else gets anything done.

mod altered;
mod forged;
mod keys;
mod stage;

use keymend::drill::cloud::FirstParty;
use keymend::drill::run::{Options, play};
use keymend::drill::scenario;
use keymend::web::callers::HowTokens;
use stage::{JSON, Stage, principal};

use crate::doors::{SECRET, alert, database};

#[tokio::test]
async fn a_secure_webhook_is_let_in_with_either_version_of_a_token() {
    for version in [1, 2] {
        let stage = Stage::open(version, HowTokens::default()).await;
        assert_eq!(stage.send(&stage.token()).await.status, 202, "version {version}");
        let of_event_grid = stage.cloud.sign(&stage.cloud.claims_of(FirstParty::EventGrid));
        assert_eq!(stage.send(&of_event_grid).await.status, 202, "version {version}");
        let lower = format!("bearer {}", stage.token());
        assert_eq!(stage.send_with(&[("authorization", &lower)]).await.status, 202);
        assert_eq!(stage.doors.kept().await.len(), 1);
        assert_eq!(stage.asked(), [1, 1], "the keys are read once");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_a_few_minutes() {
    let stage = Stage::usual().await;
    let now = stage.now().as_second();
    for (claim, from_now, status) in [
        ("exp", -200, 202),
        ("exp", -400, 401),
        ("nbf", 200, 202),
        ("nbf", 400, 401),
        ("iat", 200, 202),
        ("iat", 400, 401),
    ] {
        let token = stage.cloud.sign(&stage.claims(|claims| claims[claim] = (now + from_now).into()));
        assert_eq!(stage.send(&token).await.status, status, "{claim} {from_now}");
    }
}

#[tokio::test]
async fn where_tokens_are_wanted_a_secret_is_not_enough_unless_that_was_said() {
    let strict = Stage::usual().await;
    let either = Stage::open(2, HowTokens { secret_is_enough: true, ..HowTokens::default() }).await;
    let body = alert(&database("orders"), "e-1").to_string();
    let path = format!("/api/alerts?code={SECRET}");
    let refused = strict.doors.post(&path, &[JSON], &body).await;
    refused.is_error(401);
    assert_eq!(refused.header("www-authenticate"), Some("bearer realm=\"keymend\""));
    assert_eq!(strict.doors.post("/api/alerts", &[JSON, ("x-functions-key", SECRET)], &body).await.status, 401);
    strict.nothing_was_done("no token").await;
    assert_eq!(either.doors.post(&path, &[JSON], &body).await.status, 202);
    assert_eq!(either.send(&either.token()).await.status, 202);
    assert_eq!(either.doors.post("/api/alerts?code=guess", &[JSON], &body).await.status, 401);
    assert_eq!(either.send_with(&[]).await.status, 401);
}

#[tokio::test]
async fn the_platforms_word_counts_only_where_the_platform_checks() {
    let checks = Stage::open(2, HowTokens { platform_checks: true, ..HowTokens::default() }).await;
    let does_not = Stage::usual().await;
    let tenant = "http://schemas.microsoft.com/identity/claims/tenantid";
    let role = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";
    let right = [
        ("aud", "api://keymend"),
        (tenant, "99999999-8888-7777-6666-555555555555"),
        ("appid", FirstParty::ActionGroups.app()),
        (role, "ActionGroupsSecureWebhook"),
    ];
    let header = "X-MS-CLIENT-PRINCIPAL";
    does_not.send_with(&[(header, &principal(&right))]).await.is_error(401);
    for wrong in 0..right.len() {
        let mut claims = right;
        claims[wrong].1 = "another";
        let status = checks.send_with(&[(header, &principal(&claims))]).await.status;
        assert!(matches!(status, 401 | 403), "{claims:?}: {status}");
        let status =
            checks.send_with(&[(header, &principal(&[&right[..], &claims[wrong..=wrong]].concat()))]).await.status;
        // A second role takes nothing away; a second anything else is no answer.
        assert_eq!(matches!(status, 401 | 403), wrong != 3, "{wrong}: {status}");
    }
    let twice = principal(&right);
    checks.send_with(&[(header, &twice), (header, &twice)]).await.is_error(401);
    checks.send_with(&[(header, "no base64!")]).await.is_error(401);
    // A token that is there is checked, whatever the platform says.
    checks.send_with(&[(header, &twice), ("Authorization", "Bearer forged")]).await.is_error(401);
    assert_eq!(checks.send_with(&[(header, &twice)]).await.status, 202);
    assert_eq!(checks.asked(), [0, 0]);
}

#[tokio::test]
async fn event_grid_may_ask_with_its_token_whether_its_events_are_wanted() {
    let stage = Stage::usual().await;
    let token = format!("Bearer {}", stage.cloud.sign(&stage.cloud.claims_of(FirstParty::EventGrid)));
    let origin = ("WebHook-Request-Origin", "eventgrid.azure.net");
    let stranger = stage.doors.ask("OPTIONS", "/api/alerts", &[origin], b"").await;
    stranger.is_error(401);
    assert_eq!(stranger.header("webhook-allowed-origin"), None);
    let answer = stage.doors.ask("OPTIONS", "/api/alerts", &[origin, ("Authorization", &token)], b"").await;
    assert_eq!((answer.status, answer.header("webhook-allowed-origin")), (200, Some("eventgrid.azure.net")));
}

/// A whole story in which alerts come by tokens alone.
#[tokio::test]
async fn a_lost_key_is_mended_when_told_by_a_secure_webhook() {
    let scenario = scenario::named("permission-revoked-rbac").unwrap();
    let options = Options { secure_webhook: true, ..Options::default() };
    let preset = keymend::domain::policy::Preset::Guarded;
    let played = play(&scenario, preset, &options, &mut |_, _| {}).await.unwrap();
    assert!(played.ok, "{:?}", played.faults);
    let asked = played.har.to_string();
    assert!(asked.contains("/.well-known/openid-configuration"), "tokens were checked");
}
