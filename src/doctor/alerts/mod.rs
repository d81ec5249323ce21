//! Whether anybody rings: the Activity Log alert rules of every subscription in scope, and the action groups they call.

mod watch;

use std::collections::BTreeMap;

use futures::StreamExt;

use super::estate::Estate;
use super::report::{Check, Fix, Section};
use super::rights::{Known, grant};
use super::{Patient, Principal, SIDE_BY_SIDE};
use crate::azure::alert_rules::{ActionGroup, AlertRule};
use crate::azure::{Azure, AzureError};
use crate::domain::resource_id::ResourceId;
use crate::domain::rights::CustomRole;
use watch::{CAUSES, LOSS, Watched, watched};

pub(super) async fn check(patient: &Patient<'_>, estate: &Estate, principal: Option<&Principal>) -> Section {
    let many = estate.subscriptions.len() > 1;
    let looks = estate.subscriptions.iter().map(|subscription| async move {
        let about = if many { format!(" in {subscription}") } else { String::new() };
        let roots = roots_in(estate, subscription);
        subscription_checks(&patient.azure, subscription, &roots, &about, principal).await
    });
    let checks: Vec<Vec<Check>> = futures::stream::iter(looks.collect::<Vec<_>>()).buffered(4).collect().await;
    Section { name: "alert rules", checks: checks.into_iter().flatten().collect() }
}

/// What is in scope of a subscription, else (for a vault in another one than the scope names) all of it.
fn roots_in(estate: &Estate, subscription: &str) -> Vec<ResourceId> {
    let within = |root: &&ResourceId| root.subscription().eq_ignore_ascii_case(subscription);
    let roots: Vec<ResourceId> = estate.roots.iter().filter(within).cloned().collect();
    if roots.is_empty() {
        return ResourceId::parse(&format!("/subscriptions/{subscription}")).into_iter().collect();
    }
    roots
}

async fn subscription_checks(
    azure: &Azure,
    subscription: &str,
    roots: &[ResourceId],
    about: &str,
    principal: Option<&Principal>,
) -> Vec<Check> {
    let rules = match azure.alert_rules(subscription).await {
        Ok(rules) => rules,
        Err(error) => return vec![unread(format!("alert rules{about}"), &error, subscription, principal)],
    };
    let loss = watched(&rules, roots, &[LOSS]);
    let causes = watched(&rules, roots, &CAUSES);
    let groups = groups(azure, loss.by.iter().chain(&causes.by).copied()).await;
    let group = groups.iter().find_map(|(id, group)| group.as_ref().ok().map(|_| id.clone()));
    let mut checks = vec![
        loss_check(&loss, about, subscription, group.as_ref()),
        causes_check(&causes, about, subscription, group.as_ref()),
    ];
    if !groups.is_empty() {
        checks.push(group_check(&groups, about, subscription, principal));
    }
    checks
}

fn unread(name: String, error: &AzureError, subscription: &str, principal: Option<&Principal>) -> Check {
    let scope = ResourceId::parse(&format!("/subscriptions/{subscription}")).ok();
    match (error.missing_right(), scope) {
        (Some(right), Some(scope)) => {
            let said = format!("they cannot be listed: we lack {} on {}", right.action, right.scope);
            let fix = grant(CustomRole::Probe, &Known::Unknown, principal, &scope);
            Check::unknown(name, said).lacking(right.action, scope.as_str()).fix(fix)
        }
        _ => Check::unknown(name, error.to_string()),
    }
}

fn loss_check(loss: &Watched<'_>, about: &str, subscription: &str, group: Option<&ResourceId>) -> Check {
    let name = format!("loss{about}");
    if loss.missing.is_empty() {
        return Check::ok(name, format!("{LOSS} rings, by {}", loss.names()));
    }
    let narrowed = loss.narrowed.first().map_or_else(String::new, |why| format!(" ({why})"));
    Check::missing(name, format!("no rule rings for {LOSS}, behind which the loss itself is told{narrowed}"))
        .fix(watch::create(&loss.missing, subscription, group))
}

fn causes_check(causes: &Watched<'_>, about: &str, subscription: &str, group: Option<&ResourceId>) -> Check {
    let name = format!("causes{about}");
    if causes.missing.is_empty() {
        return Check::ok(
            name,
            format!("all {} operations that take a key away ring, by {}", CAUSES.len(), causes.names()),
        );
    }
    let said = if causes.missing.len() == CAUSES.len() {
        "no rule rings for what takes a key away; the loss itself is told 15 to 30 minutes late".to_owned()
    } else {
        format!("no rule rings for {}", causes.missing.join(", "))
    };
    Check::warning(name, said).fix(watch::create(&causes.missing, subscription, group))
}

type Groups = BTreeMap<ResourceId, Result<ActionGroup, AzureError>>;

async fn groups<'a>(azure: &Azure, rules: impl Iterator<Item = &'a AlertRule>) -> Groups {
    let ids = rules.flat_map(|rule| &rule.action_groups).filter_map(|id| ResourceId::parse(id).ok());
    let ids: std::collections::BTreeSet<ResourceId> = ids.collect();
    let reads = ids.into_iter().take(SIDE_BY_SIDE).map(|id| async move {
        let group = azure.action_group(&id).await;
        (id, group)
    });
    futures::stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(SIDE_BY_SIDE).collect().await
}

fn group_check(groups: &Groups, about: &str, subscription: &str, principal: Option<&Principal>) -> Check {
    let name = format!("action group{about}");
    let known: Vec<&ActionGroup> = groups.values().filter_map(|group| group.as_ref().ok()).collect();
    let receivers = known.iter().filter(|group| group.enabled).flat_map(|group| {
        group.receivers.iter().filter(|receiver| receiver.at_intake).map(|receiver| (group.name.as_str(), receiver))
    });
    let receivers: Vec<_> = receivers.collect();
    if let Some((group, receiver)) = receivers.iter().find(|(_, receiver)| receiver.common_schema) {
        return Check::ok(name, format!("{group} posts to {} in the common schema", receiver.host));
    }
    if let Some((group, receiver)) = receivers.first() {
        let said =
            format!("{group} posts to {}, but not in the common schema, which alone names the rule", receiver.host);
        return Check::warning(name, said).fix(Fix::words("Turn the common alert schema on for that receiver"));
    }
    if let Some(error) = groups.values().find_map(|group| group.as_ref().err()) {
        return unread(name, error, subscription, principal);
    }
    let named: Vec<&str> = known.iter().map(|group| group.name.as_str()).collect();
    let said = format!("no receiver of {} is Keymend (…/api/alerts), or the group is off", named.join(", "));
    let id = groups.keys().next().map(ToString::to_string).unwrap_or_default();
    let run = format!(
        "az monitor action-group update --ids {id} --add-action webhook keymend \"https://<Keymend's host>/api/alerts?code=<key>\" usecommonalertschema"
    );
    Check::missing(name, said).fix(Fix::command("Have the action group call Keymend", run))
}
