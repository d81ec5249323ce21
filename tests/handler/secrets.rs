//! Nothing that was planted comes out, and every line is one record.

use reqwest::Method;
use serde_json::{Value, json};

use crate::doors::{alert, database};
use crate::stage::{Handler, ID, INVOCATION, answer, usual};

/// What nobody's variable holds: the key of a function, as the host passes it on.
const FUNCTION_KEY: &str = "fk3Planted9Qz1xTopsecretAzFuABCDEFGHIJKLMNOPQRSTUVW==";
/// A token of a caller.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.cGxhbnRlZC10b3BzZWNyZXQ.c2lnLXRvcHNlY3JldA";

fn planted() -> Vec<(&'static str, String)> {
    let mut settings = usual();
    settings.extend([
        ("KEYMEND_LOG", "trace".to_owned()),
        ("KEYMEND_STATIC_TOKEN", "planted-token-topsecret".to_owned()),
        ("KEYMEND_WEBHOOK_SECRET", "planted-webhook-topsecret".to_owned()),
        ("KEYMEND_TEAMS_URL", "https://127.0.0.1:9/flow/planted-topsecret?sig=planted-sig-topsecret".to_owned()),
        ("KEYMEND_EVENTS_URL", "https://127.0.0.1:9/hooks/planted-events-topsecret".to_owned()),
        ("KEYMEND_EVENTS_SECRET", "whsec_cGxhbnRlZC10b3BzZWNyZXQtcGxhbnRlZC10b3BzZWNyZXQ=".to_owned()),
        ("IDENTITY_HEADER", "planted-identity-topsecret".to_owned()),
        (
            "AzureWebJobsStorage",
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=cGxhbnRlZC10b3BzZWNyZXQ=".to_owned(),
        ),
    ]);
    settings
}

#[tokio::test]
async fn nothing_planted_is_ever_written() {
    let folder = tempfile::tempdir().unwrap();
    let handler = Handler::start(folder.path(), &planted()).await;
    handler.until(|health| health["status"].is_string()).await;
    let body = alert(&database("orders"), "e-1");
    let mut answers = Vec::new();
    for path in ["/api/alerts", "/api/alerts/", "/api/nothing"] {
        let request = handler.client.post(handler.url(&format!("{path}?code={FUNCTION_KEY}&clientId=default")));
        let request =
            request.header("x-functions-key", FUNCTION_KEY).header("authorization", format!("Bearer {TOKEN}"));
        let request = request.header(INVOCATION, ID).header("content-type", "application/json");
        answers.push(answer(request.body(body.to_string())).await);
    }
    let carried = json!({
        "Url": format!("https://keymend.azurewebsites.net/api/alerts?code={FUNCTION_KEY}"), "Method": "POST",
        "Query": { "code": FUNCTION_KEY },
        "Headers": { "Content-Type": ["application/json"], "x-functions-key": [FUNCTION_KEY], "Authorization": [format!("Bearer {TOKEN}")] },
        "Body": "{\"odd\":\"AccountKey=cGxhbnRlZC10b3BzZWNyZXQ=\"}",
    });
    answers.push(handler.invoke("alerts", json!({ "req": carried })).await);
    let message = format!(
        "\"look: https://a.queue.core.windows.net/q?sig={FUNCTION_KEY} Bearer {TOKEN} x-functions-key: {FUNCTION_KEY}\""
    );
    answers.push(handler.invoke("poison", json!({ "message": message })).await);
    answers.push(handler.invoke("jobs", json!({ "job": format!("x-functions-key={FUNCTION_KEY}") })).await);
    answers.push(answer(handler.call(Method::POST, "/jobs").header("x-functions-key", FUNCTION_KEY)).await);
    assert_eq!(answers.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [202, 202, 404, 200, 200, 400, 403]);
    let left = handler.stop("-TERM");
    let (log, said) = (left.log(), format!("{answers:?}"));
    for secret in [FUNCTION_KEY, TOKEN, "planted", "cGxhbnRlZC10b3BzZWNyZXQ", "topsecret"] {
        for (place, text) in [("the log", &log), ("an answer", &said)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} in {place}");
        }
    }
    for line in log.lines() {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(record["level"].is_string(), "{line}");
    }
    assert!(left.out.lines().all(|line| !line.contains("\"level\":\"ERROR\"") && !line.contains("\"level\":\"WARN\"")));
    assert!(left.err.lines().all(|line| line.contains("\"level\":\"ERROR\"") || line.contains("\"level\":\"WARN\"")));
    let of_calls: Vec<&str> = log.lines().filter(|line| line.contains("web::functions::jobs")).collect();
    assert!(of_calls.iter().all(|line| line.contains(ID)), "{of_calls:?}");
}
