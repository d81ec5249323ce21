//! Whose rights, in which tenant.

use crate::domain::evidence::{Evidence, ServerEvidence, Vault};
use crate::posture::finding::{CROSS_TENANT, Finding, Level, OTHER_IDENTITY};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for seen in &evidence.servers {
        findings.extend(other_identity(evidence, seen));
        findings.extend(cross_tenant(evidence, seen));
    }
    findings
}

/// A grant to the server's own identity while SQL uses a user-assigned one.
fn other_identity(evidence: &Evidence, seen: &ServerEvidence) -> Option<Finding> {
    let identity = &seen.server.known()?.identity;
    let used = identity.effective()?;
    let chosen = used.user_assigned.as_ref()?;
    let system = identity.system_principal_id.as_deref()?;
    let vault = evidence.vault.as_ref()?;
    let known = vault.vault.known()?;
    let granted = if known.rbac {
        let mut grants = vault.grants.known()?.iter();
        grants.any(|grant| grant.principal_id.eq_ignore_ascii_case(system) && grant.rights.unwrap)
    } else {
        has_policy(known, system)
    };
    if !granted {
        return None;
    }
    let name = seen.id.name();
    let what =
        format!("{name} uses identity {}, and its system-assigned identity {system} is granted the key", chosen.name());
    let finding = Finding::new(&OTHER_IDENTITY, Level::Low, seen.id.to_string(), what);
    let databases = seen.databases.known().map_or(0, Vec::len);
    Some(
        finding
            .fix(format!("Check that {} has the grant, then take the other one away", chosen.name()))
            .run(format!("keymend diagnose {}", seen.id))
            .of(vec![seen.id.clone()], databases),
    )
}

fn has_policy(vault: &Vault, principal: &str) -> bool {
    let unwraps = |keys: &[String]| keys.iter().any(|key| matches!(key.as_str(), "unwrapkey" | "all"));
    vault.access_policies.iter().any(|policy| policy.object_id.eq_ignore_ascii_case(principal) && unwraps(&policy.keys))
}

fn cross_tenant(evidence: &Evidence, seen: &ServerEvidence) -> Option<Finding> {
    let server = seen.server.known()?;
    let tenant = evidence.vault.as_ref()?.vault.known().map(|vault| vault.tenant_id.as_str());
    let other =
        server.identity.tenant_id.as_deref().zip(tenant).is_some_and(|(own, other)| !own.eq_ignore_ascii_case(other));
    if server.federated_client_id.is_none() && !other {
        return None;
    }
    let app = server.federated_client_id.as_deref().map(|id| format!(" through application {id}")).unwrap_or_default();
    let what = format!("the key of {} is in tenant {}{app}", seen.id.name(), tenant.unwrap_or("that is not known"));
    let databases = seen.databases.known().map_or(0, Vec::len);
    let finding = Finding::new(&CROSS_TENANT, Level::Medium, seen.id.to_string(), what);
    Some(
        finding.fix("Agree with the owners of the key on who is called, and when").of(vec![seen.id.clone()], databases),
    )
}
