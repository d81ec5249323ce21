//! What a person is told who is called: what happened, to which resource, why automation stops, what to do now.

use crate::domain::decide::{by_hand, rights};
use crate::domain::diagnose::{effective_identity, sentence};
use crate::domain::diagnosis::{Cause, Finding};
use crate::domain::gates::Situation;
use crate::domain::incident::{Approval, AttemptOutcome};
use crate::domain::plan::{Gate, GateHit, NeedsPerson, Plan};
use crate::domain::resource_id::ResourceId;
use crate::domain::words::{deed, utc};

/// The cause in words, by its proof.
pub(super) fn proofs(finding: &Finding) -> String {
    let said: Vec<&str> = finding.proof.iter().map(|proof| proof.said.as_str()).collect();
    if said.is_empty() { finding.resource.clone() } else { said.join("; ") }
}

/// What happened, and who did it when.
fn story(finding: Option<&Finding>, situation: &Situation<'_>) -> String {
    let Some(finding) = finding else { return String::new() };
    let mut text = format!("{}.", sentence(proofs(finding).trim_end_matches('.')));
    let is_first = situation.diagnosis.first().is_some_and(|first| first.cause == finding.cause);
    if let Some(culprit) = situation.diagnosis.culprit.as_ref().filter(|_| is_first) {
        text.push_str(&format!(" {}.", sentence(&deed(culprit))));
    }
    if let Some(purge) = finding.purge_at {
        text.push_str(&format!(" It is purged at {}.", utc(purge)));
    }
    text
}

/// For causes that only a person can mend.
pub(super) fn no_remedy(finding: &Finding, situation: &Situation<'_>) -> String {
    let vault = situation.evidence.vault.as_ref().map_or("the vault", |vault| vault.host.vault_name());
    let then = revalidation(finding);
    let what = match finding.cause {
        Cause::IdentityDeleted => format!(
            "A new identity is a new principal, so it cannot be put back. Create or choose another identity, \
             give it Get, Wrap Key and Unwrap Key on {vault} first, then make it the server's primary identity; \
             {then}"
        ),
        Cause::CrossTenant => cross_tenant(finding, situation, &then),
        Cause::ManagedHsm => format!(
            "A managed HSM has rights of its own that Azure Resource Manager does not know. Its administrator \
             must check inside {vault} that {} has the role Managed HSM Crypto Service Encryption User on the key, \
             that the key exists and is enabled (`az keyvault key show --id KEY`), that it has not expired, and that \
             the HSM is not deleted and lets trusted Microsoft services in; {then}",
            identities(finding, situation)
        ),
        Cause::DatabaseLevelKey => "These databases are encrypted with keys of their own, and the server's key does \
         not matter to them: each is repaired in the incident of its own key's vault, which opens when Azure or \
         the patrol tells of its loss. If there is none, check the database's own identity and key, then \
         `az sql db tde key revalidate` for each of them."
            .to_owned(),
        Cause::DeadSecondary => "Azure cannot bring a geo-secondary back once its link is broken, and \
         re-validation does not help it. When its primary is online: drop it, `az sql db delete --name DATABASE \
         --server SECONDARY --resource-group GROUP`, and make it anew, `az sql db replica create --name DATABASE \
         --server PRIMARY --resource-group GROUP --partner-server SECONDARY`; then put it back into its failover \
         group."
            .to_owned(),
        Cause::OtherReason => {
            "The key and the way to it are in order, so re-validation would not help and is not tried. \
         Follow Azure's own words above, start the instance if it is stopped, or open a support request with \
         Microsoft. Keymend keeps looking, and closes this when the databases are back."
                .to_owned()
        }
        Cause::VaultDeleted => format!(
            "The vault's tenant could not be told, so it cannot be recovered from here: `az keyvault recover \
             --name {vault}`, grant the servers again, and {then}"
        ),
        Cause::VaultAbsent => format!(
            "It was purged, or is in a subscription that Keymend may not read. If it was purged, restore the \
             key from its backup into a vault, link that key (same material) to the servers, and {then}"
        ),
        Cause::VaultPerimeter => format!(
            "A network security perimeter overrides the bypass for trusted services. Add an inbound rule for \
             Azure SQL to the perimeter of {vault}; {then}"
        ),
        Cause::PrivateEndpointPending => format!("Approve the private endpoint connection of {vault}; {then}"),
        Cause::VaultUnreachable => format!(
            "{vault} has not answered for more than 24 hours. Check name resolution, outbound 443 and routes, \
             and Azure's own status; {then}"
        ),
        Cause::KeyPurged => "Without a backup of this very key the data cannot be read any more. Restore the \
         key's backup: `az keyvault key restore`, into the same subscription and geography. Do not set another \
         key as protector."
            .to_owned(),
        Cause::KeyReplaced => "The databases are encrypted with the old key's material: the new key cannot open \
         them, and must not be made the protector. Restore the old key from its backup into another vault and \
         link it to the servers."
            .to_owned(),
        Cause::KeyNotYetValid => format!(
            "Set its activation date to the past, or use a version that is valid; \
         {then}"
        ),
        Cause::KeyExpired => format!(
            "Policy does not let Keymend extend an expiry (max_expiry_extension_days). Extend it: {}, {then} \
             Then rotate the key.",
            extension(finding, situation)
        ),
        Cause::KeyOperationsRestricted => {
            format!("That may be meant, so Keymend does not change it. Allow wrapKey and unwrapKey on the key; {then}")
        }
        Cause::KeyUnsupported => "Azure SQL takes RSA keys of 2048 or 3072 bits. Set a protector of that kind \
         while the databases can still be read."
            .to_owned(),
        Cause::DenyAssignment => format!(
            "A deny assignment wins over every grant, and only its owner can remove it. Have the server's \
             identity excluded from it; {then}"
        ),
        Cause::ServerKeyMissing => format!(
            "Link the very same key to the server again (`az sql server key create --kid` with the key's URI); \
             another key would be the wrong one; {then}"
        ),
        _ => format!("Nothing automatic mends this; {then}"),
    };
    format!("{} {what}", story(Some(finding), situation))
}

/// Whom a key must be given to.
fn identities(finding: &Finding, situation: &Situation<'_>) -> String {
    let seen = situation.evidence.servers.iter().filter(|seen| finding.servers.contains(&seen.id));
    let mut ids: Vec<String> = seen
        .filter_map(|seen| effective_identity(seen).map(|identity| (identity.principal_id, seen.id.name())))
        .map(|(principal, name)| format!("{principal} ({name})"))
        .collect();
    ids.sort();
    if ids.is_empty() { "the server's identity".to_owned() } else { ids.join(", ") }
}

/// What the owner of the other tenant must do, to be sent as it stands; and what can be checked in this one.
fn cross_tenant(finding: &Finding, situation: &Situation<'_>, then: &str) -> String {
    let seen = situation.evidence.servers.iter().filter(|seen| finding.servers.contains(&seen.id));
    let (mut keys, mut clients, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for one in seen {
        keys.extend(one.protector.known().and_then(|protector| protector.uri.as_ref()).map(ToString::to_string));
        let Some(server) = one.server.known() else { continue };
        clients.extend(server.federated_client_id.clone());
        ours.extend(effective_identity(one).and_then(|identity| identity.user_assigned));
    }
    for list in [&mut keys, &mut clients] {
        list.sort();
        list.dedup();
    }
    let key = if keys.is_empty() { "the key".to_owned() } else { keys.join(", ") };
    let Some(client) = clients.first() else {
        return format!(
            "Keymend has no rights in the key's tenant, and no application is set up to use a key of another tenant. If \
             the server or the vault was moved, move it back or set the key up as a cross-tenant one; {then}"
        );
    };
    let ours: Vec<&str> = ours.iter().map(ResourceId::name).collect();
    let identity = if ours.is_empty() { "the server's user-assigned identity".to_owned() } else { ours.join(", ") };
    format!(
        "Keymend has no rights in the key's tenant. Send the owner of the key this: \"For {key}: 1. see that the application \
         {client} still has its enterprise application (service principal) in your tenant, enabled; if not, `az ad sp \
         create --id {client}`. 2. Give that service principal Get, Wrap Key and Unwrap Key on the key (role Key Vault \
         Crypto Service Encryption User, or an access policy). 3. See that vault and key are not deleted, the version is \
         enabled and has not expired, and the vault's firewall lets trusted Microsoft services in.\" In this tenant, see \
         that {client} still has its federated credential for {identity}. When the owner is done, {then}"
    )
}

fn extension(finding: &Finding, situation: &Situation<'_>) -> String {
    let key = crate::domain::key_uri::KeyUri::parse(&finding.resource);
    key.map_or_else(
        || format!("the expiry of {}", finding.resource),
        |key| {
            let week = crate::clock::add(situation.incident.opened_at, jiff::SignedDuration::from_hours(24 * 7));
            let seconds = jiff::Timestamp::from_second(week.as_second()).unwrap_or(week);
            format!("`{}`", by_hand::extend(&key, seconds))
        },
    )
}

/// "then re-validate", with the command where it is short.
fn revalidation(finding: &Finding) -> String {
    match finding.servers.as_slice() {
        [server] => format!("then `{}`.", by_hand::revalidate(server)),
        servers => format!("then re-validate the {} servers (`az sql server tde-key revalidate`).", servers.len()),
    }
}

/// For hard gates.
pub(super) fn gates(plan: &Plan, hard: &[&GateHit], reason: NeedsPerson, situation: &Situation<'_>) -> String {
    let finding = situation.diagnosis.findings.iter().find(|finding| finding.cause == plan.cause);
    let why: Vec<&str> = hard.iter().map(|hit| hit.why.as_str()).collect();
    let mut text = format!("{} Not repaired: {}.", story(finding, situation), why.join("; "));
    if reason == NeedsPerson::Failed
        && let Some((code, why)) = last_failure(situation)
    {
        text.push_str(&format!(" The last error was {code}: {why}."));
    }
    if reason == NeedsPerson::MissingRight {
        text.push_str(&roles(situation));
    }
    if let Some(hint) = hard.iter().map(|hit| hint(hit.gate)).find(|hint| !hint.is_empty()) {
        text.push_str(&format!(" {hint}"));
    }
    text.push_str(&format!(" By hand: {}", by_hand::commands(&plan.changes)));
    text
}

const fn hint(gate: Gate) -> &'static str {
    match gate {
        Gate::HoldTag => "Remove the tag (or set it to false) if access is to come back.",
        Gate::Custodian | Gate::DeliberateRevocation => {
            "Taking the key away is how an owner shuts data off: ask them before anything is put back."
        }
        Gate::Lock => "Keymend never removes a lock: its owner must.",
        Gate::DenyAssignment => "Only the owner of the deny assignment can remove it.",
        Gate::PurgeNear => "Talk to whoever started the purge now.",
        Gate::OutOfScope => "Add it to the scope in keymend.toml if Keymend is to repair it.",
        Gate::BlastRadius => "Raise gates.max_servers if so many servers belong together.",
        Gate::Undone => "Somebody wants it this way: find out who and why before it is put back.",
        Gate::NewerKeyVersion => "Ask the key's owner whether the old version was switched off on purpose.",
        Gate::ExtendedBefore => "Rotate the key: a new version needs no extension.",
        Gate::WriteBudget => "It goes on by itself when the hour is over.",
        Gate::KeyReplaced | Gate::CrossTenant | Gate::ManagedHsm | Gate::ExpiryLimit | Gate::CircuitBreaker => "",
        Gate::Held => "Release the incident, and Keymend goes on.",
        Gate::MadeByPerson | Gate::CannotTell => "",
    }
}

fn last_failure<'a>(situation: &Situation<'a>) -> Option<(&'a str, &'a str)> {
    situation.incident.attempts.iter().rev().find_map(|attempt| match &attempt.outcome {
        Some(AttemptOutcome::Failed { code, why, .. }) => Some((code.as_str(), why.as_str())),
        _ => None,
    })
}

/// The rights that are missing for looking, and the roles that give them.
fn roles(situation: &Situation<'_>) -> String {
    let rights = &situation.diagnosis.missing_rights;
    let named: Vec<String> = rights.iter().map(|right| format!("{} on {}", right.action, right.scope)).collect();
    let mut roles: Vec<&str> = rights.iter().map(|right| rights::role_for(&right.action)).collect();
    roles.sort_unstable();
    roles.dedup();
    format!(" The responder lacks {}. Give it {}.", named.join(", "), roles.join(" and "))
}

/// For links that may not be read.
pub(super) fn missing_rights(finding: &Finding, situation: &Situation<'_>) -> String {
    format!("The cause cannot be told: {}.{}", proofs(finding).trim_end_matches('.'), roles(situation))
}

/// For links that could not be read again and again.
pub(super) fn undetermined(finding: &Finding, situation: &Situation<'_>) -> String {
    let down = situation.diagnosis.inaccessible.len();
    format!(
        "The cause cannot be told: {}. {down} database(s) are inaccessible. Look at the server's identity, the \
         vault, its firewall, the key and the permission by hand; Keymend keeps looking.",
        proofs(finding).trim_end_matches('.')
    )
}

/// For databases that stay down though everything is right.
pub(super) fn not_verified(finding: &Finding, situation: &Situation<'_>) -> String {
    let since = situation.incident.whole_since.map(|at| format!(" since {}", utc(at))).unwrap_or_default();
    format!(
        "Every link from identity to permission is right{since}, and still: {}. Open a support request with \
         Microsoft, naming the server and the times; Keymend keeps looking.",
        proofs(finding).trim_end_matches('.')
    )
}

/// For remedies that policy switched off.
pub(super) fn off(plan: &Plan, situation: &Situation<'_>) -> String {
    let finding = situation.diagnosis.findings.iter().find(|finding| finding.cause == plan.cause);
    format!(
        "{} Policy has {} off. By hand: {}",
        story(finding, situation),
        plan.remedy,
        by_hand::commands(&plan.changes)
    )
}

/// For plans that a person rejected.
pub(super) fn rejected(plan: &Plan, approval: &Approval, situation: &Situation<'_>) -> String {
    let finding = situation.diagnosis.findings.iter().find(|finding| finding.cause == plan.cause);
    let by = approval.decision.as_ref().map(|decision| format!("{} said no at {}", decision.by, utc(decision.at)));
    format!(
        "{} Not repaired: {}. By hand: {}",
        story(finding, situation),
        by.unwrap_or_default(),
        by_hand::commands(&plan.changes)
    )
}

/// For questions that nobody answered.
pub(super) fn unanswered(plan: &Plan, approval: &Approval, situation: &Situation<'_>) -> String {
    let finding = situation.diagnosis.findings.iter().find(|finding| finding.cause == plan.cause);
    format!(
        "{} Nobody answered by {} whether to make {}. It can still be approved: `keymend incidents approve {}`. \
         By hand: {}",
        story(finding, situation),
        approval.answer_by,
        plan.remedy,
        situation.incident.id,
        by_hand::commands(&plan.changes)
    )
}
