//! The vault: soft-delete, purge protection, firewall, locks, sharing, limits, scope.

use super::{all, extent};
use crate::domain::evidence::{Evidence, Fact, Lock, Vault, VaultEvidence};
use crate::domain::policy::Policy;
use crate::domain::resource_id::ResourceId;
use crate::notify::texts::by_hand::quoted;
use crate::posture::finding::{
    FIREWALL_BYPASS, Finding, HOLD_TAG, Level, MANAGED_HSM, PERMISSION_MODEL, PRIVATE_ENDPOINT, PURGE_PROTECTION,
    READ_ONLY_LOCK, SOFT_DELETE_DAYS, VAULT_LIMIT, VAULT_LOCK, VAULT_SCOPE, VAULT_SHARED,
};

/// The longest that deleted things are kept, in days.
const LONGEST: u32 = 90;
/// Databases a vault should serve at most: General Purpose, Business Critical (TDE domain reference, 1.2).
const LIMITS: (usize, usize) = (500, 200);
/// So many servers on one vault are worth a word.
const MANY: usize = 10;

pub(super) fn check(evidence: &Evidence, policy: &Policy) -> Vec<Finding> {
    let Some(vault) = &evidence.vault else { return Vec::new() };
    let mut findings: Vec<Finding> = shared(evidence, vault).into_iter().collect();
    findings.extend(limits(evidence, vault));
    if vault.host.is_managed_hsm() {
        let what = format!("{} is a managed HSM, which is not read", vault.host);
        findings
            .push(Finding::new(&MANAGED_HSM, Level::Medium, vault.host.to_string(), what).fix("Look after it by hand"));
    }
    if let Fact::Known(known) = &vault.vault {
        findings.extend(of_itself(known));
        findings.extend(locks(evidence, known));
        findings.extend(scope(known, policy));
        findings.extend(hold(evidence, known, policy));
    }
    let (servers, databases) = all(evidence);
    findings.into_iter().map(|finding| finding.of(servers.clone(), databases)).collect()
}

fn place(vault: &ResourceId) -> String {
    let group = quoted(vault.resource_group().unwrap_or_default());
    format!("--name {} --resource-group {group} --subscription {}", quoted(vault.name()), quoted(vault.subscription()))
}

fn of_itself(vault: &Vault) -> Vec<Finding> {
    let (name, subject, place) = (vault.id.name(), vault.id.to_string(), place(&vault.id));
    let mut findings = Vec::new();
    if !vault.purge_protection {
        let what = format!("key vault {name} has no purge protection");
        findings.push(
            Finding::new(&PURGE_PROTECTION, Level::High, subject.clone(), what)
                .fix("Turn it on; it can never be turned off again")
                .run(format!("az keyvault update {place} --enable-purge-protection true")),
        );
    }
    if let Some(days) = vault.soft_delete_days.filter(|days| *days < LONGEST) {
        let what = format!("key vault {name} keeps deleted keys for {days} days");
        findings.push(
            Finding::new(&SOFT_DELETE_DAYS, if days < 14 { Level::Medium } else { Level::Low }, subject.clone(), what)
                .fix("The time is set when a vault is made: keep backups of the key, or move to a vault that keeps 90 days")
                .run(format!("az keyvault key backup --vault-name {} --name <key> --file <key>.backup", quoted(name))),
        );
    }
    if !vault.network.trusted_services_bypass && !vault.network.shuts_out_sql() && !vault.network.in_perimeter() {
        let what = format!("key vault {name} is open, and would shut SQL out if its default action became Deny");
        findings.push(
            Finding::new(&FIREWALL_BYPASS, Level::Medium, subject.clone(), what)
                .fix("Let trusted services bypass the firewall")
                .run(format!("az keyvault update {place} --bypass AzureServices")),
        );
    }
    for (endpoint, status) in &vault.pending_private_endpoints {
        let what = format!("private endpoint connection {endpoint} of key vault {name} is {status}");
        findings.push(
            Finding::new(&PRIVATE_ENDPOINT, Level::Medium, subject.clone(), what).fix("Approve it, or remove it").run(
                format!(
                    "az keyvault private-endpoint-connection approve --vault-name {} --name {}",
                    quoted(name),
                    quoted(endpoint)
                ),
            ),
        );
    }
    if !vault.rbac {
        let what = format!("key vault {name} uses access policies");
        findings.push(
            Finding::new(&PERMISSION_MODEL, Level::Info, subject, what)
                .fix("If you move to Azure RBAC, give every server its role first and switch the model last"),
        );
    }
    findings
}

fn locks(evidence: &Evidence, vault: &Vault) -> Vec<Finding> {
    let Fact::Known(locks) = &evidence.locks else { return Vec::new() };
    let mut findings = Vec::new();
    let over = |lock: &&Lock, id: &ResourceId| lock.scope.contains(id);
    if !locks.iter().any(|lock| over(&lock, &vault.id)) {
        let what = format!("no lock keeps key vault {} from being deleted", vault.id.name());
        findings.push(
            Finding::new(&VAULT_LOCK, Level::Medium, vault.id.to_string(), what)
                .fix("Put a CanNotDelete lock on it; it stops no repair")
                .run(format!(
                    "az lock create --name keep-tde-key --lock-type CanNotDelete --resource {}",
                    quoted(vault.id.as_str())
                )),
        );
    }
    let things = std::iter::once(&vault.id).chain(evidence.servers.iter().map(|seen| &seen.id));
    let mut told: Vec<&Lock> = Vec::new();
    for id in things {
        for lock in locks.iter().filter(|lock| lock.read_only && over(lock, id)) {
            if told.contains(&lock) {
                continue;
            }
            told.push(lock);
            let what = format!("read-only lock {} on {} stops every repair of {}", lock.name, lock.scope, id.name());
            findings.push(
                Finding::new(&READ_ONLY_LOCK, Level::Medium, lock.scope.to_string(), what)
                    .fix("Replace it by a CanNotDelete lock, if its owners agree")
                    .run(format!("az lock list --resource {} --output table", quoted(id.as_str()))),
            );
        }
    }
    findings
}

fn shared(evidence: &Evidence, vault: &VaultEvidence) -> Option<Finding> {
    let (servers, databases) = all(evidence);
    if servers.len() < MANY {
        return None;
    }
    let what = format!("{} depend on key vault {}", extent(servers.len(), databases), vault.host.vault_name());
    let subject = vault.id.as_ref().map_or_else(|| vault.host.to_string(), ToString::to_string);
    Some(
        Finding::new(&VAULT_SHARED, Level::Low, subject, what)
            .fix("Spread them over several vaults, by application and by region"),
    )
}

fn limits(evidence: &Evidence, vault: &VaultEvidence) -> Option<Finding> {
    let databases = evidence.servers.iter().filter_map(|seen| seen.databases.known()).flatten();
    let skus = databases.filter_map(|database| database.settings.get("service objective"));
    let critical = |sku: &&String| sku.starts_with("BC") || sku.starts_with('P') || sku.contains("BusinessCritical");
    let bc = skus.filter(critical).count();
    let (_, all) = all(evidence);
    let gp = all.saturating_sub(bc);
    if gp * 10 < LIMITS.0 * 8 && bc * 10 < LIMITS.1 * 8 {
        return None;
    }
    let level = if gp > LIMITS.0 || bc > LIMITS.1 { Level::High } else { Level::Medium };
    let what = format!(
        "key vault {} serves {bc} Business Critical (limit {}) and {gp} other databases (limit {})",
        vault.host.vault_name(),
        LIMITS.1,
        LIMITS.0
    );
    let subject = vault.id.as_ref().map_or_else(|| vault.host.to_string(), ToString::to_string);
    Some(Finding::new(&VAULT_LIMIT, level, subject, what).fix("Move servers to another vault"))
}

fn scope(vault: &Vault, policy: &Policy) -> Option<Finding> {
    if policy.scope.covers(&vault.id) {
        return None;
    }
    let what = format!("key vault {} is not in Keymend's scope", vault.id.name());
    let finding = Finding::new(&VAULT_SCOPE, Level::Medium, vault.id.to_string(), what);
    Some(finding.fix(format!("Add {} to scope.resources in keymend.toml if Keymend may repair it", vault.id)))
}

fn hold(evidence: &Evidence, vault: &Vault, policy: &Policy) -> Vec<Finding> {
    let tag = &policy.gates.hold_tag;
    let held = |tags: &std::collections::BTreeMap<String, String>| {
        tags.iter().any(|(name, value)| name.eq_ignore_ascii_case(tag) && !value.eq_ignore_ascii_case("false"))
    };
    let servers = evidence.servers.iter().filter_map(|seen| Some((&seen.id, &seen.server.known()?.tags)));
    let things = std::iter::once((&vault.id, &vault.tags)).chain(servers);
    let found = things.filter(|(_, tags)| held(tags)).map(|(id, _)| {
        let what = format!("{} carries the tag {tag}", id.name());
        Finding::new(&HOLD_TAG, Level::Info, id.to_string(), what).fix("Remove the tag when the hold is over")
    });
    found.collect()
}
