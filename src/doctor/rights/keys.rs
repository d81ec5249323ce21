//! Key permissions, in vaults with access policies: what a role gives does not count there.

use super::commands;
use super::judge::Judge;
use crate::doctor::estate::Estate;
use crate::doctor::report::Check;
use crate::domain::evidence::Vault;
use crate::domain::remedy::Remedy;
use crate::domain::rights::key_permissions;

/// What operators are told to give; a command replaces what is there, so it names all.
const USUAL: [&str; 4] = ["get", "list", "update", "recover"];

/// A line for each vault that does not give a remedy what it takes, else one for all.
pub fn check(judge: &Judge<'_>, estate: &Estate, remedy: Remedy, name: &str) -> Vec<Check> {
    let wanted = key_permissions(remedy);
    if wanted.is_empty() {
        return Vec::new();
    }
    let vaults = estate.vaults.iter().filter(|vault| vault.in_scope).filter_map(|vault| vault.known());
    let vaults: Vec<&Vault> = vaults.filter(|vault| !vault.rbac).collect();
    let mut checks: Vec<Check> = vaults.iter().flat_map(|vault| lacks(judge, vault, wanted, name)).collect();
    if checks.is_empty() && !vaults.is_empty() {
        let words: Vec<String> = wanted.iter().map(|permission| format!("keys {permission}")).collect();
        checks.push(Check::ok(name, format!("{}, by access policies", words.join(", "))));
    }
    checks
}

fn lacks(judge: &Judge<'_>, vault: &Vault, wanted: &[&str], name: &str) -> Vec<Check> {
    let held = held(judge, vault);
    let has = |permission: &str| held.iter().any(|one| one == "all" || one == permission);
    let lacking = wanted.iter().filter(|permission| !has(permission));
    let mut all: Vec<String> = USUAL.iter().map(|usual| (*usual).to_owned()).collect();
    all.extend(held.iter().filter(|permission| !USUAL.contains(&permission.as_str())).cloned());
    let checks = lacking.map(|permission| {
        let right = format!("keys {permission}");
        let said = format!("lacks the key permission {permission} in the access policies of {}", vault.id.name());
        let fix = commands::key_permissions(&vault.id, Some(judge.principal), &all);
        Check::missing(name, said).lacking(right, vault.id.as_str()).fix(fix)
    });
    checks.collect()
}

/// Ours by name: what a group of ours is given is not read.
fn held(judge: &Judge<'_>, vault: &Vault) -> Vec<String> {
    let ours = vault.access_policies.iter().filter(|policy| {
        policy.application_id.is_none() && policy.object_id.eq_ignore_ascii_case(&judge.principal.object_id)
    });
    let mut held: Vec<String> = ours.flat_map(|policy| policy.keys.iter().cloned()).collect();
    held.sort();
    held.dedup();
    held
}
