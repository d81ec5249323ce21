//! Who may send alerts: whether secrets are long enough, and whether tokens could be checked if one came now.

use super::report::{Check, Fix};
use crate::azure::entra::TokenVersion;
use crate::settings::{Settings, TokenSettings};

/// A secret shorter than this can be guessed.
const SHORTEST_SECRET: usize = 16;

pub(super) async fn check(settings: &Settings) -> Vec<Check> {
    let mut checks = Vec::new();
    let secrets = &settings.server.webhook_secrets;
    if secrets.iter().any(|secret| secret.expose().len() < SHORTEST_SECRET) {
        let said = format!("a webhook secret is shorter than {SHORTEST_SECRET} characters and could be guessed");
        checks.push(Check::warning("webhook secret", said).fix(Fix::words("Make one with: openssl rand -hex 32")));
    }
    let Some(tokens) = &settings.callers.tokens else { return checks };
    checks.push(Check::ok("callers", wanted(tokens)));
    checks.push(keys(tokens).await);
    if settings.callers.secret_is_enough {
        let said = "who knows the webhook secret, or in a function app the function's key, needs no token";
        let fix = Fix::words("Remove callers.accept once every sender brings a token");
        checks.push(Check::warning("callers.accept", said).fix(fix));
    } else if !secrets.is_empty() {
        let said =
            "a webhook secret is set, and a token is wanted instead: senders that know the secret alone are refused";
        let fix = Fix::words(
            "Remove the secret (it still opens /metrics to other machines), or write callers.accept = \"token_or_secret\" for the \
             time of a changeover",
        );
        checks.push(Check::warning("callers.accept", said).fix(fix));
    }
    checks
}

fn wanted(tokens: &TokenSettings) -> String {
    format!(
        "alerts are taken with a token of tenant {} for {}, from Action Groups (role {}) and Event Grid (role {})",
        tokens.tenant.id(),
        tokens.audiences.first().map_or("", String::as_str),
        tokens.action_groups.role,
        tokens.event_grid.role,
    )
}

async fn keys(tokens: &TokenSettings) -> Check {
    let tenant = &tokens.tenant;
    let (v1, v2) = futures::join!(tenant.signing_keys(TokenVersion::V1), tenant.signing_keys(TokenVersion::V2));
    match v1.and_then(|v1| Ok((v1, v2?))) {
        Ok((v1, v2)) => {
            let said =
                format!("the tenant's signing keys can be read: {} of version 1, {} of version 2", v1.len(), v2.len());
            Check::ok("signing keys", said)
        }
        Err(why) => {
            let said = format!("the tenant's signing keys cannot be read, so no token would be let in: {why}");
            let fix = format!("Check callers.tenant_id, and let this machine reach {} by https", tenant.login());
            Check::missing("signing keys", said).fix(Fix::words(fix))
        }
    }
}
