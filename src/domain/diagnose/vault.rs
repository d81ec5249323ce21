//! Second and third link: the vault, and whether its firewall lets SQL in.

use jiff::SignedDuration;

use crate::clock::add;
use crate::domain::diagnose::case::Case;
use crate::domain::diagnose::draft::{Draft, why};
use crate::domain::diagnose::identity::proof;
use crate::domain::diagnosis::{Cause, Finding, Link};
use crate::domain::evidence::{DeletedVault, Fact, MissingRight, Vault, VaultEvidence};
use crate::domain::remedy::Change;
use crate::domain::words::utc;

/// A write of the vault this recent makes a perimeter suspect before any database is down.
const RECENT: SignedDuration = SignedDuration::from_mins(60);

/// Looks at the vault and its firewall. Whether the later links can be seen at all.
pub(super) fn check(case: &Case<'_>, draft: &mut Draft) -> bool {
    let Some(seen) = case.vault_evidence() else {
        let said = "no key vault is known yet: no TDE protector could be read";
        draft.unread(Link::Vault, &case.affected(), said);
        return false;
    };
    if seen.host.is_managed_hsm() {
        draft.hidden(Link::Firewall, "a managed HSM keeps its own rules");
        return false;
    }
    match &seen.vault {
        Fact::Known(vault) => {
            present(case, vault, draft);
            firewall(case, seen, vault, draft);
            true
        }
        Fact::Absent => {
            absent(case, seen, draft);
            draft.hidden(Link::Firewall, "cannot be seen while the vault is gone");
            false
        }
        fact => {
            let mut why = draft.why(fact, &format!("vault {}", case.vault_name()));
            if seen.deleted.known().is_some() {
                why.push_str("; the list of deleted vaults names it");
            }
            draft.unread(Link::Vault, &case.affected(), why);
            draft.hidden(Link::Firewall, "cannot be seen without the vault");
            true
        }
    }
}

fn present(case: &Case<'_>, vault: &Vault, draft: &mut Draft) {
    let name = case.vault_name();
    match vault.provisioning_state.as_deref() {
        None => draft.ok(Link::Vault, format!("{name} is there")),
        Some(state) if state.eq_ignore_ascii_case("Succeeded") => draft.ok(Link::Vault, format!("{name} is there")),
        Some(state) => {
            // The vault is there; its name may not resolve yet.
            draft.ok(Link::Vault, format!("{name} is there"));
            draft.unread(Link::Firewall, &case.affected(), format!("{name} is still being set up ({state})"));
        }
    }
}

fn absent(case: &Case<'_>, seen: &VaultEvidence, draft: &mut Draft) {
    let name = case.vault_name();
    match &seen.deleted {
        Fact::Known(deleted) => {
            let since = deleted.deleted_at.map(|at| format!(" since {}", utc(at))).unwrap_or_default();
            let said = format!("{name} is deleted{since}");
            draft.broken(Link::Vault, "", said.clone(), deleted_vault(case, deleted, &said));
        }
        Fact::Absent if seen.reachable.known() == Some(&true) => {
            // Its name resolves and it answers, so it exists: in a subscription that we may not read.
            draft.right(&MissingRight {
                action: "Microsoft.KeyVault/vaults/read".to_owned(),
                scope: seen.host.to_string(),
            });
            let said = format!("{name} answers, and is in no subscription that may be read");
            draft.unread(Link::Vault, &case.affected(), said);
        }
        Fact::Absent => {
            let said = format!("{name} is neither among the vaults nor among the deleted vaults that may be read");
            let finding = vault_finding(case, Cause::VaultAbsent, "deleted vaults", &said);
            draft.broken(Link::Vault, "", said, finding);
        }
        fact => {
            let why = draft.why(fact, "the list of deleted vaults");
            let said = format!("{name} is not there, and {why}");
            draft.unread(Link::Vault, &case.affected(), said);
        }
    }
}

fn deleted_vault(case: &Case<'_>, deleted: &DeletedVault, said: &str) -> Finding {
    let mut finding = vault_finding(case, Cause::VaultDeleted, "deleted vaults", said);
    finding.resource = deleted.vault_id.to_string();
    finding.since = deleted.deleted_at;
    finding.purge_at = deleted.purge_at;
    let tenants = case.dependents().filter_map(|server| server.seen.server.known()?.identity.tenant_id.clone());
    // Without any server's tenant nothing can be sent that Azure would accept.
    if let Some(tenant_id) = tenants.min() {
        finding.changes.push(Change::RecoverVault {
            vault: deleted.vault_id.clone(),
            location: deleted.location.clone(),
            tenant_id,
        });
    }
    finding
}

fn firewall(case: &Case<'_>, seen: &VaultEvidence, vault: &Vault, draft: &mut Draft) {
    let name = case.vault_name();
    let network = &vault.network;
    if network.in_perimeter() {
        return perimeter(case, vault, draft);
    }
    if network.shuts_out_sql() {
        let rule = if network.default_deny { "denies by default" } else { "has no public access" };
        let said = format!("{name} {rule} and does not let trusted services such as Azure SQL through");
        let mut finding = vault_finding(case, Cause::VaultFirewalled, "vault", &said);
        finding.changes.push(Change::TrustedServicesBypass { vault: vault.id.clone(), acls: network.acls.clone() });
        return draft.broken(Link::Firewall, "", said, finding);
    }
    let closed = network.public_access.eq_ignore_ascii_case("Disabled");
    let mut pending: Vec<String> =
        vault.pending_private_endpoints.iter().map(|(endpoint, state)| format!("{endpoint} ({state})")).collect();
    pending.sort();
    if closed && !pending.is_empty() && case.loss_may_be_felt() {
        match &seen.reachable {
            Fact::Known(true) => {}
            Fact::Known(false) => {
                let said = format!("{name} does not answer; private endpoints not approved: {}", pending.join(", "));
                let finding = vault_finding(case, Cause::PrivateEndpointPending, "vault", &said);
                return draft.broken(Link::Firewall, "", said, finding);
            }
            fact => {
                let why = draft.why(fact, &format!("whether {name} answers"));
                return draft.unread(Link::Firewall, &case.affected(), why);
            }
        }
    }
    // Behind a firewall our own view says nothing about SQL's, which comes in as a trusted service.
    let open = !closed && !network.default_deny;
    match &seen.reachable {
        Fact::Known(false) if open => {
            let said = format!("{name} does not answer");
            let finding = vault_finding(case, Cause::VaultUnreachable, "health", &said);
            draft.broken(Link::Firewall, "", said, finding);
        }
        Fact::Known(_) => draft.ok(Link::Firewall, firewall_said(name, open)),
        _ if !open => draft.ok(Link::Firewall, firewall_said(name, open)),
        fact => {
            let why = why(fact, &format!("whether {name} answers"));
            draft.unread(Link::Firewall, &case.affected(), why);
        }
    }
}

fn firewall_said(name: &str, open: bool) -> String {
    if open { format!("{name} is open and answers") } else { format!("{name} lets trusted services through") }
}

/// The perimeter's rules cannot be read: it is blamed where a loss is felt or the vault was just changed, and trusted
/// where the databases are in service.
fn perimeter(case: &Case<'_>, vault: &Vault, draft: &mut Draft) {
    let name = case.vault_name();
    let since = add(case.now, -RECENT);
    let just_changed = case.changes.iter().any(|change| {
        change.at >= since
            && change.operation.eq_ignore_ascii_case("microsoft.keyvault/vaults/write")
            && change.target.eq_ignore_ascii_case(vault.id.as_str())
    });
    let said = format!("{name} is in a network security perimeter, which decides who gets in");
    if case.loss_may_be_felt() || just_changed {
        let finding = vault_finding(case, Cause::VaultPerimeter, "vault", &said);
        draft.broken(Link::Firewall, "", said, finding);
    } else {
        draft.unknown(format!("{said}; its rules cannot be read from here"));
        draft.ok(Link::Firewall, said);
    }
}

fn vault_finding(case: &Case<'_>, cause: Cause, probe: &str, said: &str) -> Finding {
    let resource = case
        .vault_id()
        .map(ToString::to_string)
        .or_else(|| case.vault_evidence().map(|vault| vault.host.to_string()))
        .unwrap_or_default();
    Finding {
        cause,
        resource,
        servers: case.affected(),
        proof: vec![proof(probe, said)],
        changes: Vec::new(),
        purge_at: None,
        since: None,
    }
}
