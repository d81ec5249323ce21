//! Causes in one sentence.

use crate::domain::diagnosis::{Cause, Finding};
use crate::domain::key_uri::KeyUri;
use crate::domain::notice::Notice;
use crate::domain::resource_id::ResourceId;
use crate::notify::texts::affected;
use crate::notify::texts::clocks::{clock, date_and_clock};
use crate::notify::texts::words::Line;
use jiff::Timestamp;

/// A cause in two or three words, for lists.
#[must_use]
pub const fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::TargetGone => "server deleted",
        Cause::ServiceManaged => "Microsoft's own key",
        Cause::ManagedHsm => "key in a managed HSM",
        Cause::DatabaseLevelKey => "database with its own key",
        Cause::IdentityMissing => "server identity missing",
        Cause::IdentityDeleted => "server identity deleted",
        Cause::CrossTenant => "key of another tenant",
        Cause::VaultDeleted => "key vault deleted",
        Cause::VaultAbsent => "key vault not found",
        Cause::VaultPerimeter => "network perimeter",
        Cause::VaultFirewalled => "key vault firewall",
        Cause::PrivateEndpointPending => "private endpoint not approved",
        Cause::VaultUnreachable => "key vault does not answer",
        Cause::KeyDeleted => "key deleted",
        Cause::KeyPurged => "key gone for good",
        Cause::KeyReplaced => "key replaced",
        Cause::KeyDisabled => "key disabled",
        Cause::KeyExpired => "key expired",
        Cause::KeyExpiring => "key expires soon",
        Cause::KeyNotYetValid => "key not valid yet",
        Cause::KeyOperationsRestricted => "key operations restricted",
        Cause::KeyUnsupported => "key not supported",
        Cause::DenyAssignment => "deny assignment",
        Cause::PolicyMissing => "access policy missing",
        Cause::RoleMissing => "role missing",
        Cause::PermissionModelSwitched => "permission model switched",
        Cause::ServerKeyMissing => "key not linked to the server",
        Cause::GeoPartnerWithoutGrant => "geo partner without its grant",
        Cause::DeadSecondary => "geo-secondary beyond revival",
        Cause::OtherReason => "down for another reason",
        Cause::StillInaccessible => "key fine, databases still down",
        Cause::Healthy => "nothing wrong",
        Cause::Undetermined => "cause not clear",
    }
}

/// A resource as people call it: `key vault contoso-kv`, `key tde-key (version ee059b2b…) in key vault contoso-kv`.
/// `resource` is a resource id, a key URI or a vault's host.
#[must_use]
pub fn resource_words(resource: &str) -> Line {
    if let Some(key) = KeyUri::parse(resource) {
        let line = Line::of("key ").name(&key.key);
        let line = match &key.version {
            Some(version) => line.say(format!(" (version {}…)", version.get(..8).unwrap_or_default())),
            None => line,
        };
        return line.say(" in key vault ").name(key.vault.vault_name());
    }
    let Ok(id) = ResourceId::parse(resource) else {
        let name = resource.split('.').next().unwrap_or_default();
        return Line::of(if resource.contains(".managedhsm.") { "managed HSM " } else { "key vault " }).name(name);
    };
    let kind = match id.resource_type().as_str() {
        "microsoft.keyvault/vaults" => "key vault ",
        "microsoft.keyvault/vaults/keys" => "key ",
        "microsoft.sql/servers" => "server ",
        "microsoft.sql/managedinstances" => "managed instance ",
        "microsoft.synapse/workspaces" => "Synapse workspace ",
        "microsoft.sql/servers/databases" => "database ",
        "microsoft.managedidentity/userassignedidentities" => "identity ",
        _ => "",
    };
    let line = Line::of(kind).name(id.name());
    match (id.resource_type().as_str(), id.key_vault(), id.sql_server()) {
        ("microsoft.keyvault/vaults/keys", Some(vault), _) => line.say(" in key vault ").name(vault.name()),
        ("microsoft.sql/servers/databases", _, Some(server)) => line.say(" on server ").name(server.name()),
        _ => line,
    }
}

/// The cause and its resource as a clause, where the diagnosis tells.
#[must_use]
pub fn cause_of(notice: &Notice) -> Line {
    let cause = notice.cause.unwrap_or(Cause::Undetermined);
    let finding = notice.diagnosis.iter().flat_map(|diagnosis| &diagnosis.findings).find(|it| it.cause == cause);
    let resource = match (finding, &notice.vault) {
        (Some(finding), _) => finding.resource.as_str(),
        (None, Some(vault)) => vault.as_str(),
        (None, None) => "",
    };
    cause_clause(cause, resource)
}

/// What is wrong as a clause without its consequence: `key vault contoso-kv is deleted`. Begins with a small letter.
#[must_use]
pub fn cause_clause(cause: Cause, resource: &str) -> Line {
    let it = resource_words(resource);
    match cause {
        Cause::TargetGone => it.say(" does not exist any more"),
        Cause::ServiceManaged => it.say(" uses Microsoft's own key"),
        Cause::ManagedHsm => Line::of("the key is in a managed HSM"),
        Cause::DatabaseLevelKey => it.say(" has a key of its own"),
        Cause::IdentityMissing => it.say(" has no managed identity"),
        Cause::IdentityDeleted => Line::of("the server's ").join(it).say(" was deleted"),
        Cause::CrossTenant => Line::of("the key belongs to another tenant"),
        Cause::VaultDeleted => it.say(" was deleted"),
        Cause::VaultAbsent => it.say(" cannot be found"),
        Cause::VaultPerimeter => Line::of("a network security perimeter closes ").join(it),
        Cause::VaultFirewalled => Line::of("the firewall of ").join(it).say(" keeps Azure SQL out"),
        Cause::PrivateEndpointPending => Line::of("a private endpoint of ").join(it).say(" is not approved"),
        Cause::VaultUnreachable => it.say(" does not answer"),
        Cause::KeyDeleted => it.say(" was deleted"),
        Cause::KeyPurged => it.say(" is gone for good"),
        Cause::KeyReplaced => it.say(" was replaced by another key of that name"),
        Cause::KeyDisabled => it.say(" is disabled"),
        Cause::KeyExpired => it.say(" has expired"),
        Cause::KeyExpiring => it.say(" expires soon"),
        Cause::KeyNotYetValid => it.say(" is not valid yet"),
        Cause::KeyOperationsRestricted => it.say(" may not be used to wrap and unwrap"),
        Cause::KeyUnsupported => it.say(" is of a kind that Azure SQL does not support"),
        Cause::DenyAssignment => Line::of("a deny assignment blocks the server's identity on ").join(it),
        Cause::PolicyMissing => Line::of("the server's access policy on ").join(it).say(" is missing or incomplete"),
        Cause::RoleMissing => Line::of("the server's role on ").join(it).say(" is missing"),
        Cause::PermissionModelSwitched => Line::of("the permission model of ").join(it).say(" was switched"),
        Cause::ServerKeyMissing => it.say(" is no longer linked to the server"),
        Cause::GeoPartnerWithoutGrant => Line::of("the geo partner's grant on ").join(it).say(" is missing"),
        Cause::OtherReason => Line::of("databases of ").join(it).say(" are down for another reason than their key"),
        Cause::DeadSecondary => Line::of("a geo-secondary on ").join(it).say(" cannot be revived"),
        Cause::StillInaccessible => Line::of("the key can be used again, databases are still down"),
        Cause::Healthy => Line::of("key access is in order"),
        Cause::Undetermined => Line::of("the cause is not clear"),
    }
}

/// What follows from a cause for the servers, where the clause does not say it; a whole sentence.
const fn consequence(cause: Cause) -> &'static str {
    match cause {
        Cause::IdentityMissing | Cause::IdentityDeleted => "Without it the server cannot sign in to the key vault.",
        Cause::VaultAbsent => {
            "It was purged, or is in a subscription that Keymend may not read; neither ARM nor the list of deleted \
             vaults knows it."
        }
        Cause::VaultPerimeter => "The perimeter also overrides the bypass for trusted Microsoft services.",
        Cause::VaultFirewalled => "Its bypass for trusted Microsoft services is off.",
        Cause::PrivateEndpointPending => "Public access is off, so nothing else leads to the vault.",
        Cause::VaultUnreachable => "This is an outage or a network fault, not a lost permission.",
        Cause::KeyPurged => "Only a backup of the same key makes the data readable again.",
        Cause::KeyReplaced => {
            "The data is encrypted with the original key; pointing the server at the new one cannot help."
        }
        Cause::KeyExpired | Cause::KeyExpiring => "Azure SQL does not use an expired key.",
        Cause::PermissionModelSwitched => {
            "Grants made under the old model count no longer, for other users of the vault either."
        }
        Cause::GeoPartnerWithoutGrant => {
            "Its geo-secondaries go inaccessible, for good after 30 minutes, and nothing can be failed over to them."
        }
        Cause::OtherReason => "Azure says so itself, so re-validation would not help.",
        Cause::CrossTenant => "Only its owner can restore access to it.",
        Cause::ManagedHsm => "Its rights are kept inside the HSM, where Keymend cannot change them.",
        Cause::Undetermined => "Not enough could be read to tell.",
        _ => "",
    }
}

/// A cause as a sentence or two, with the servers it hits where they are one or two.
///
/// `resource` is a resource id, a key URI or a vault's host, as in [`Finding::resource`].
#[must_use]
pub fn cause_sentence(cause: Cause, resource: &str, servers: &[ResourceId]) -> Line {
    let line = cause_clause(cause, resource).capital();
    let named = matches!(
        cause,
        Cause::VaultDeleted
            | Cause::VaultFirewalled
            | Cause::KeyDeleted
            | Cause::KeyDisabled
            | Cause::KeyExpired
            | Cause::PolicyMissing
            | Cause::RoleMissing
            | Cause::PermissionModelSwitched
            | Cause::GeoPartnerWithoutGrant
    );
    let line = if named && !servers.is_empty() {
        line.say(", so ").join(affected::servers(servers)).say(" cannot use the key.")
    } else {
        line.say(".")
    };
    match consequence(cause) {
        "" => line,
        more => line.say(" ").say(more),
    }
}

/// What was wrong, after it was put right: `key vault deleted (key vault contoso-kv), since 02:03 UTC`.
#[must_use]
pub fn finding_in_retrospect(finding: &Finding, seen_at: Timestamp) -> Line {
    let line = Line::of(cause_name(finding.cause)).say(" (").join(resource_words(&finding.resource)).say(")");
    match finding.since {
        Some(ends) if finding.cause == Cause::KeyExpiring => line.say(format!(", at {}", date_and_clock(ends))),
        Some(since) => line.say(format!(", since {}", clock(since, seen_at))),
        None => line,
    }
}

/// A finding as a sentence or two, with since when and until when.
#[must_use]
pub fn finding_sentence(finding: &Finding, seen_at: Timestamp) -> Line {
    let line = cause_sentence(finding.cause, &finding.resource, &finding.servers);
    let line = match finding.since {
        Some(ends) if finding.cause == Cause::KeyExpiring => {
            line.say(format!(" It expires at {}.", date_and_clock(ends)))
        }
        Some(since) => line.say(format!(" Since {}.", clock(since, seen_at))),
        None => line,
    };
    match finding.purge_at {
        Some(purge) => line.say(format!(" It can be recovered until {}.", date_and_clock(purge))),
        None => line,
    }
}
