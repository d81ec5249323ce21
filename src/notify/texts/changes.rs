//! Changes in words: what will be done, what was done, exactly what becomes of what, and what that means for others.

use serde_json::Value;

use crate::domain::dependent::Kind;
use crate::domain::plan::Plan;
use crate::domain::remedy::{CRYPTO_SERVICE_ENCRYPTION_USER, Change, GrantTo, Remedy};
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::Setting;
use crate::notify::texts::causes::resource_words;
use crate::notify::texts::clocks::date_and_clock;
use crate::notify::texts::words::{Line, count};

/// One property that a change sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeforeAfter {
    /// Azure's name of it, or ours where it has none.
    pub property: String,
    /// What it is before.
    pub before: String,
    /// What it is after.
    pub after: String,
}

fn vault_words(id: &ResourceId) -> Line {
    Line::of("key vault ").name(id.name())
}

fn for_servers(grants: &[GrantTo]) -> Line {
    match grants {
        [one] => Line::default().name(one.server.name()),
        _ => Line::of(count(grants.len(), "server", "servers")),
    }
}

fn role_name(role: &str) -> &str {
    if role.eq_ignore_ascii_case(CRYPTO_SERVICE_ENCRYPTION_USER) {
        "Key Vault Crypto Service Encryption User"
    } else {
        role
    }
}

/// What a change does, in the form of a request: `Recover the deleted key vault contoso-kv`.
#[must_use]
pub fn change_sentence(change: &Change) -> Line {
    match change {
        Change::AssignIdentity { server, .. } => {
            Line::of("Give server ").name(server.name()).say(" a system-assigned identity")
        }
        Change::AddAccessPolicy { vault, grants, .. } => Line::of("Grant ")
            .join(for_servers(grants))
            .say(" the key permissions get, wrapKey and unwrapKey on ")
            .join(vault_words(vault)),
        Change::AssignRole { vault, key, grant, role } => Line::of("Grant ")
            .name(grant.server.name())
            .say(" the role ")
            .name(role_name(role))
            .say(" on key ")
            .name(key)
            .say(" in ")
            .join(vault_words(vault)),
        Change::RecoverVault { vault, .. } => Line::of("Recover the deleted ").join(vault_words(vault)),
        Change::RecoverKey { key } => Line::of("Recover the deleted ").join(resource_words(&key.to_string())),
        Change::EnableKey { key } => Line::of("Enable ").join(resource_words(&key.to_string())),
        Change::ExtendExpiry { key, to, .. } => Line::of("Extend the expiry of ")
            .join(resource_words(&key.to_string()))
            .say(format!(" to {}", date_and_clock(*to))),
        Change::TrustedServicesBypass { vault, .. } => {
            Line::of("Let trusted Microsoft services through the firewall of ").join(vault_words(vault))
        }
        Change::RestoreSetting { database, setting } => Line::of("Put back ")
            .strong(setting.name())
            .say(" (")
            .code(setting.value())
            .say(") of database ")
            .name(database.name()),
        Change::Revalidate { server } => Line::of("Re-validate the TDE protector of ")
            .say(Kind::of(server).map_or("server", Kind::noun))
            .say(" ")
            .name(server.name()),
    }
}

/// What a change did: `recovered the deleted key vault contoso-kv`. Begins with a small letter.
#[must_use]
pub fn done_sentence(change: &Change) -> Line {
    let (request, past) = match change.remedy() {
        Remedy::AssignIdentity => ("Give", "gave"),
        Remedy::AddAccessPolicy | Remedy::AssignRole => ("Grant", "granted"),
        Remedy::RecoverVault | Remedy::RecoverKey => ("Recover", "recovered"),
        Remedy::EnableKey => ("Enable", "enabled"),
        Remedy::ExtendExpiry => ("Extend", "extended"),
        Remedy::TrustedServicesBypass => ("Let", "let"),
        Remedy::Revalidate => ("Re-validate", "started to re-validate"),
        Remedy::RestoreSettings => ("Put back", "put back"),
        Remedy::Wait => ("Wait", "waited"),
    };
    let mut line = Line::default();
    for (place, run) in change_sentence(change).runs().iter().enumerate() {
        let text = if place == 0 { run.text.replacen(request, past, 1) } else { run.text.clone() };
        line = line.say(text);
    }
    line
}

/// What changes of one kind did, for a headline: `key vault contoso-kv recovered`. `many` is how many there were.
#[must_use]
pub fn done_in_short(change: &Change, many: usize) -> Line {
    let on = |server: &ResourceId| match many {
        0 | 1 => Line::default().name(server.name()),
        _ => Line::of(format!("{many} servers")),
    };
    match change {
        Change::AssignIdentity { server, .. } => Line::of("identity given to ").join(on(server)),
        Change::AddAccessPolicy { vault, .. } => Line::of("key permissions granted on ").join(vault_words(vault)),
        Change::AssignRole { key, grant, .. } => {
            Line::of("role on key ").name(key).say(" granted to ").join(on(&grant.server))
        }
        Change::RecoverVault { vault, .. } => vault_words(vault).say(" recovered"),
        Change::RecoverKey { key } => Line::of("key ").name(&key.key).say(" recovered"),
        Change::EnableKey { key } => Line::of("key ").name(&key.key).say(" enabled"),
        Change::ExtendExpiry { key, .. } => Line::of("expiry of key ").name(&key.key).say(" extended"),
        Change::TrustedServicesBypass { vault, .. } => Line::of("trusted services let into ").join(vault_words(vault)),
        Change::Revalidate { server } => Line::of("re-validation started on ").join(on(server)),
        Change::RestoreSetting { .. } => Line::of(count(many.max(1), "setting put back", "settings put back")),
    }
}

/// How many settings a plan puts back: every tag is one, although all of a database go in one change.
#[must_use]
pub fn how_many(plan: &Plan) -> usize {
    let of = |change: &Change| match change {
        Change::RestoreSetting { setting: Setting::Tags { tags }, .. } => tags.len(),
        _ => 1,
    };
    plan.changes.iter().map(of).sum()
}

/// A whole plan as one request: changes of one kind on many servers are counted, not listed.
#[must_use]
pub fn plan_sentence(plan: &Plan) -> Line {
    let many = plan.changes.len();
    match plan.changes.as_slice() {
        [] => Line::of("Wait until Azure brings the databases back"),
        [one] => change_sentence(one),
        [Change::Revalidate { .. }, ..] => Line::of(format!("Re-validate the TDE protector of {many} servers")),
        [Change::AssignRole { vault, .. }, ..] => {
            Line::of(format!("Grant {many} servers the role they need on their key in ")).join(vault_words(vault))
        }
        [Change::RestoreSetting { .. }, ..] => {
            Line::of(format!("Put back {} settings that Azure dropped", how_many(plan)))
        }
        [Change::AssignIdentity { .. }, ..] => Line::of(format!("Give {many} servers a system-assigned identity")),
        [first, ..] => change_sentence(first).say(format!(" and {} more of this kind", many - 1)),
    }
}

/// Exactly what becomes of what.
#[must_use]
pub fn before_after(change: &Change) -> Vec<BeforeAfter> {
    let one = |property: &str, before: String, after: String| {
        vec![BeforeAfter { property: property.to_owned(), before, after }]
    };
    match change {
        Change::AssignIdentity { keep, .. } if keep.is_empty() => {
            one("identity.type", "None".to_owned(), "SystemAssigned".to_owned())
        }
        Change::AssignIdentity { .. } => {
            one("identity.type", "UserAssigned".to_owned(), "SystemAssigned, UserAssigned".to_owned())
        }
        Change::AddAccessPolicy { grants, .. } => grants.iter().map(policy).collect(),
        Change::AssignRole { grant, role, .. } => one(
            "role assignment",
            format!("none for {} ({})", grant.server.name(), grant.principal_id),
            role_name(role).to_owned(),
        ),
        Change::RecoverVault { .. } => one("vault", "soft-deleted".to_owned(), "active".to_owned()),
        Change::RecoverKey { .. } => one("key", "soft-deleted".to_owned(), "active".to_owned()),
        Change::EnableKey { .. } => one("attributes.enabled", "false".to_owned(), "true".to_owned()),
        Change::ExtendExpiry { from, to, .. } => {
            one("attributes.exp", from.map_or_else(|| "none".to_owned(), date_and_clock), date_and_clock(*to))
        }
        Change::TrustedServicesBypass { acls, .. } => {
            let bypass = acls.get("bypass").and_then(Value::as_str).unwrap_or("None");
            one("networkAcls.bypass", bypass.to_owned(), "AzureServices".to_owned())
        }
        Change::Revalidate { .. } => Vec::new(),
        Change::RestoreSetting { setting, .. } => one(&setting.name(), setting.dropped(), setting.value()),
    }
}

fn policy(grant: &GrantTo) -> BeforeAfter {
    BeforeAfter {
        property: format!("access policy of {} ({})", grant.server.name(), grant.principal_id),
        before: format!("lacks {}", grant.missing.join(", ")),
        after: "get, wrapKey, unwrapKey".to_owned(),
    }
}

/// What the change leaves as it is.
#[must_use]
pub fn untouched(change: &Change) -> Option<Line> {
    let line = match change {
        Change::AssignIdentity { keep, .. } if keep.is_empty() => Line::of("everything else on the server"),
        Change::AssignIdentity { keep, .. } => {
            let ids = count(keep.len(), "user-assigned identity", "user-assigned identities");
            Line::of(format!("its {ids}, which the request repeats"))
        }
        Change::AddAccessPolicy { .. } => Line::of("all other entries and permissions: this adds, it cannot remove"),
        Change::AssignRole { .. } => Line::of("all other role assignments; the vault and its other keys"),
        Change::RecoverVault { .. } | Change::RecoverKey { .. } => Line::of("the key material and its versions"),
        Change::EnableKey { .. } => Line::of("validity dates, permitted operations, other versions"),
        Change::ExtendExpiry { .. } => Line::of("key material, activation date, enabled or not, other versions"),
        Change::TrustedServicesBypass { acls, .. } => {
            let rules = |name| acls.get(name).and_then(Value::as_array).map_or(0, Vec::len);
            let default = acls.get("defaultAction").and_then(Value::as_str).unwrap_or("Allow");
            Line::of("defaultAction (").name(default).say(format!(
                "), {}, {}, private endpoints",
                count(rules("ipRules"), "IP rule", "IP rules"),
                count(rules("virtualNetworkRules"), "network rule", "network rules")
            ))
        }
        Change::Revalidate { .. } => Line::of("every setting: Azure only checks the key again"),
        Change::RestoreSetting { .. } => {
            Line::of("data, size, price tier, redundancy, and every setting that somebody changed meanwhile")
        }
    };
    Some(line)
}

/// Who else feels the change, where that is worth knowing before it is made.
#[must_use]
pub const fn others(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::AssignIdentity => "nobody: the new identity has no rights until it is granted some",
        Remedy::AddAccessPolicy | Remedy::AssignRole => "nobody: the grant is for the servers' own identities",
        Remedy::RecoverVault => {
            "every user of the vault's keys, secrets and certificates. Role assignments on the vault do not come \
             back with it; Keymend grants the servers theirs afterwards"
        }
        Remedy::RecoverKey | Remedy::EnableKey | Remedy::ExtendExpiry => "everybody who may use this key",
        Remedy::TrustedServicesBypass => "trusted Microsoft services that hold a permission on this vault",
        Remedy::RestoreSettings => {
            "the databases move back into their elastic pool, which drops open connections for a moment; a database that \
             joins its failover group again is seeded anew on the partner server, which costs time and traffic"
        }
        Remedy::Revalidate | Remedy::Wait => "nobody",
    }
}

/// How to take the change back.
#[must_use]
pub const fn undo(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::AssignIdentity => "remove the server's system-assigned identity",
        Remedy::AddAccessPolicy => "remove the access policy entry of the server's identity",
        Remedy::AssignRole => "delete the role assignment",
        Remedy::RecoverVault => "delete the vault again (soft-delete keeps it recoverable)",
        Remedy::RecoverKey => "delete the key again (soft-delete keeps it recoverable)",
        Remedy::EnableKey => "disable the key version again",
        Remedy::ExtendExpiry => "set the former expiry again",
        Remedy::TrustedServicesBypass => "set networkAcls.bypass back",
        Remedy::RestoreSettings => "change the setting again: nothing is lost by it",
        Remedy::Revalidate | Remedy::Wait => "nothing to undo",
    }
}
