//! Who may send alerts, as the settings say.

use crate::settings::{Application, Settings, TokenSettings};
use crate::web::Callers;
use crate::web::callers::{HowTokens, TokenRules, Trusted};

/// A secret shorter than this can be guessed.
pub(crate) const SHORTEST_SECRET: usize = 16;

/// Those who may call `keymend serve`.
///
/// # Errors
/// In words, if nobody could.
pub(crate) fn of(settings: &Settings, insecure_no_secret: bool) -> Result<Callers, String> {
    if insecure_no_secret {
        tracing::warn!(listen = %settings.server.listen, "alerts are taken from anybody who can reach this address");
        return Ok(Callers::anyone());
    }
    let secrets = &settings.server.webhook_secrets;
    let tokens = settings.callers.tokens.as_ref();
    if secrets.is_empty() && tokens.is_none() {
        let faults: String = settings.faults.iter().map(|fault| format!("\n  - {fault}")).collect();
        return Err(format!(
            "no webhook secret is set, so anybody could send alerts. Make one and start again:\n\
             \n    export KEYMEND_WEBHOOK_SECRET=$(openssl rand -hex 32)\n\
             \nThe Action Group then calls https://…/api/alerts?code=SECRET. (Without a secret: a secure webhook, see [callers] in \
             docs/configuration.md. To try things out: --insecure-no-secret.){faults}"
        ));
    }
    for secret in secrets.iter().filter(|secret| secret.expose().len() < SHORTEST_SECRET) {
        tracing::warn!(%secret, "this webhook secret is short enough to be guessed; make one with: openssl rand -hex 32");
    }
    let exposed = secrets.iter().map(|secret| secret.expose());
    Ok(match tokens {
        Some(tokens) => Callers::knowing_or_by_token(exposed, rules(tokens), how(settings)),
        None => Callers::knowing(exposed),
    })
}

/// Those who may call the function `alerts`, whose key the host has checked.
#[must_use]
pub(crate) fn behind_the_host(settings: &Settings) -> Callers {
    match &settings.callers.tokens {
        Some(tokens) => Callers::checked_or_by_token(rules(tokens), how(settings)),
        None => Callers::anyone(),
    }
}

fn how(settings: &Settings) -> HowTokens {
    HowTokens {
        secret_is_enough: settings.callers.secret_is_enough,
        platform_checks: settings.pages.sign_in_is_checked,
    }
}

fn rules(tokens: &TokenSettings) -> TokenRules {
    let trusted = |name, of: &Application| Trusted { name, app: of.id.clone(), role: of.role.clone() };
    TokenRules {
        tenant: tokens.tenant.clone(),
        audiences: tokens.audiences.clone(),
        callers: vec![trusted("Action Groups", &tokens.action_groups), trusted("Event Grid", &tokens.event_grid)],
    }
}
