//! Add access policy: servers' identities get Get, Wrap Key and Unwrap Key in a vault with access policies.

use crate::azure::key_vault::PolicyEntry;
use crate::azure::{Azure, PreparedWrite};
use crate::domain::evidence::{AccessPolicy, KeyRights, Vault};
use crate::domain::remedy::GrantTo;
use crate::domain::resource_id::ResourceId;
use crate::remedy::outcome::{Outcome, Way, already, differs};
use crate::remedy::refusal::unread;
use crate::remedy::send::send;

/// What SQL needs, and all that is ever given (Microsoft, "TDE with customer-managed key": permissions).
const NEEDED: [&str; 3] = ["get", "wrapKey", "unwrapKey"];

/// The write; `None` where nobody is to be given anything. `add` merges: it takes nothing from anybody.
pub(super) fn write<'a>(
    vault: &ResourceId,
    tenant_id: &str,
    principals: impl Iterator<Item = &'a str>,
) -> Option<PreparedWrite> {
    let mut entries: Vec<PolicyEntry> = Vec::new();
    for principal in principals {
        // Servers may share a user-assigned identity.
        if !entries.iter().any(|entry| entry.object_id.eq_ignore_ascii_case(principal)) {
            entries.push(PolicyEntry {
                tenant_id: tenant_id.to_owned(),
                object_id: principal.to_owned(),
                keys: NEEDED.map(str::to_owned).to_vec(),
            });
        }
    }
    (!entries.is_empty()).then(|| PreparedWrite::add_access_policy(vault, &entries))
}

pub(super) async fn apply(azure: &Azure, vault: &ResourceId, tenant_id: &str, grants: &[GrantTo]) -> Way<Outcome> {
    let before = azure.vault(vault).await.map_err(|error| unread(&error))?;
    let lacking = precondition(&before, tenant_id, grants)?;
    let principals = lacking.iter().map(|grant| grant.principal_id.as_str());
    let Some(write) = write(vault, tenant_id, principals) else {
        return Ok(already("everyone in the plan has Get, Wrap Key and Unwrap Key"));
    };
    let before_after = lacking.iter().map(|grant| {
        let has = in_words(rights(&before.access_policies, &grant.principal_id));
        (format!("key permissions of {} ({})", grant.server.name(), grant.principal_id), has, NEEDED.join(", "))
    });
    let sent = send(azure, &write, before_after.collect()).await?;
    match azure.vault(vault).await {
        Ok(after) if lacking.iter().all(|grant| has_all(&after, grant)) => Ok(sent.made()),
        _ => Ok(sent.not_seen()),
    }
}

/// Who still lacks something.
fn precondition<'a>(vault: &Vault, tenant_id: &str, grants: &'a [GrantTo]) -> Way<Vec<&'a GrantTo>> {
    if vault.rbac {
        return Err(differs(
            "the vault uses Azure RBAC now: access policies have no effect, a role assignment is needed",
        ));
    }
    if !vault.tenant_id.eq_ignore_ascii_case(tenant_id) {
        return Err(differs(format!("the vault belongs to tenant {} and not to {tenant_id}", vault.tenant_id)));
    }
    Ok(grants.iter().filter(|grant| !has_all(vault, grant)).collect())
}

fn has_all(vault: &Vault, grant: &GrantTo) -> bool {
    rights(&vault.access_policies, &grant.principal_id).complete()
}

/// What a principal may do with keys. Entries for an application on its behalf do not count.
fn rights(policies: &[AccessPolicy], principal: &str) -> KeyRights {
    let own = policies
        .iter()
        .filter(|policy| policy.application_id.is_none() && policy.object_id.eq_ignore_ascii_case(principal));
    own.fold(KeyRights::default(), |rights, policy| {
        let has = |name: &str| {
            policy.keys.iter().any(|key| key.eq_ignore_ascii_case(name) || key.eq_ignore_ascii_case("all"))
        };
        rights.and(KeyRights { get: has("get"), wrap: has("wrapKey"), unwrap: has("unwrapKey") })
    })
}

fn in_words(rights: KeyRights) -> String {
    let missing = rights.missing();
    let has: Vec<&str> = NEEDED.into_iter().filter(|name| !missing.contains(name)).collect();
    if has.is_empty() { "none that SQL needs".to_owned() } else { has.join(", ") }
}
