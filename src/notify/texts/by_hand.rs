//! What a person does by hand: sentences, and commands to be copied.

use crate::domain::dependent::Kind;
use crate::domain::diagnosis::Cause;
use crate::domain::notice::Notice;
use crate::domain::remedy::{CRYPTO_SERVICE_ENCRYPTION_USER, Change, Remedy};
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::Setting;
use crate::notify::texts::changes::change_sentence;
use crate::notify::texts::words::Line;

/// So many changes of a plan are shown with their command; the rest is counted.
const SHOWN: usize = 2;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// In words.
    pub words: Line,
    /// The command, for the Azure CLI.
    pub command: Option<String>,
}

/// What to do, in order: the plan's changes by hand, or what only people can do about the cause.
#[must_use]
pub fn steps(notice: &Notice) -> Vec<Step> {
    let planned = notice.plan.as_ref().map_or(&[][..], |plan| &plan.changes);
    let mut steps: Vec<Step> = planned
        .iter()
        .take(SHOWN)
        .map(|change| Step { words: change_sentence(change), command: command(change) })
        .collect();
    let all: usize = planned.iter().map(|change| change.subjects().len()).sum();
    let rest = all.saturating_sub(steps.len());
    if rest > 0 {
        let words =
            Line::of(format!("The same for {rest} more (keymend incidents show {} lists them)", notice.incident));
        steps.push(Step { words, command: None });
    }
    steps.extend(
        notice
            .plan
            .as_ref()
            .and_then(|plan| follow_up(plan.remedy))
            .map(|words| Step { words: Line::of(words), command: None }),
    );
    if steps.is_empty() {
        let words = without_plan(notice.cause.unwrap_or(Cause::Undetermined));
        steps.push(Step { words: Line::of(words), command: None });
    }
    steps
}

/// What has to follow a remedy before the key can be used again.
#[must_use]
pub const fn follow_up(remedy: Remedy) -> Option<&'static str> {
    match remedy {
        Remedy::RecoverVault => Some(
            "Where the vault uses role assignments, grant the servers theirs on the key again: they do not come back",
        ),
        Remedy::AssignIdentity => Some("Grant the new identity get, wrapKey and unwrapKey on the key"),
        _ => None,
    }
}

/// Quotes one argument for a POSIX shell.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn place(id: &ResourceId) -> String {
    let group = quoted(id.resource_group().unwrap_or_default());
    format!("--resource-group {group} --subscription {}", quoted(id.subscription()))
}

/// The Azure CLI command that makes the change (Microsoft, "Azure CLI reference").
#[must_use]
pub fn command(change: &Change) -> Option<String> {
    let line = match change {
        Change::AssignIdentity { server, .. } => {
            format!("az sql server update --name {} {} --assign_identity", quoted(server.name()), place(server))
        }
        Change::AddAccessPolicy { vault, grants, .. } => format!(
            "az keyvault set-policy --name {} {} --object-id {} --key-permissions get wrapKey unwrapKey",
            quoted(vault.name()),
            place(vault),
            quoted(&grants.first()?.principal_id)
        ),
        Change::AssignRole { vault, key, grant, role } => {
            let role = if role.eq_ignore_ascii_case(CRYPTO_SERVICE_ENCRYPTION_USER) {
                "'Key Vault Crypto Service Encryption User'".to_owned()
            } else {
                quoted(role)
            };
            format!(
                "az role assignment create --assignee-object-id {} --assignee-principal-type ServicePrincipal --role \
                 {role} --scope {}",
                quoted(&grant.principal_id),
                quoted(&format!("{vault}/keys/{key}"))
            )
        }
        Change::RecoverVault { vault, location, .. } => {
            format!(
                "az keyvault recover --name {} --location {} {}",
                quoted(vault.name()),
                quoted(location),
                place(vault)
            )
        }
        Change::RecoverKey { key } => {
            format!("az keyvault key recover --vault-name {} --name {}", key.vault.vault_name(), quoted(&key.key))
        }
        Change::EnableKey { key } => format!("{} --enabled true", set_attributes(key)),
        Change::ExtendExpiry { key, to, .. } => {
            format!("{} --expires {}", set_attributes(key), to.strftime("%Y-%m-%dT%H:%M:%SZ"))
        }
        Change::TrustedServicesBypass { vault, .. } => {
            format!("az keyvault update --name {} {} --bypass AzureServices", quoted(vault.name()), place(vault))
        }
        Change::Revalidate { server } => revalidate(server),
        Change::RestoreSetting { database, setting } => restore(database, setting),
    };
    Some(line)
}

fn restore(database: &ResourceId, setting: &Setting) -> String {
    let server = database.sql_server();
    let server = quoted(server.as_ref().map_or("", |server| server.name()));
    let of = format!("--name {} --server {server} {}", quoted(database.name()), place(database));
    match setting {
        Setting::ElasticPool { pool } => format!("az sql db update {of} --elastic-pool {}", quoted(pool.name())),
        Setting::ReadScale => format!("az sql db update {of} --read-scale Enabled"),
        Setting::AutoPause { minutes } => format!("az sql db update {of} --auto-pause-delay {minutes}"),
        Setting::Tags { tags } => {
            let tags: Vec<String> = tags.iter().map(|(tag, value)| quoted(&format!("{tag}={value}"))).collect();
            format!(
                "az tag update --operation Merge --resource-id {} --tags {}",
                quoted(database.as_str()),
                tags.join(" ")
            )
        }
        Setting::ShortTerm(policy) => {
            let hours = policy.diff_hours.map(|hours| format!(" --diffbackup-hours {hours}")).unwrap_or_default();
            format!("az sql db str-policy set {of} --retention-days {}{hours}", policy.days)
        }
        Setting::LongTerm(policy) => format!(
            "az sql db ltr-policy set {of} --weekly-retention {} --monthly-retention {} --yearly-retention {} \
             --week-of-year {}",
            quoted(&policy.weekly),
            quoted(&policy.monthly),
            quoted(&policy.yearly),
            policy.week_of_year.unwrap_or(0)
        ),
        Setting::FailoverGroup { group } => format!(
            "az sql failover-group update --name {} --server {server} {} --add-db {}",
            quoted(group.name()),
            place(database),
            quoted(database.name())
        ),
    }
}

fn revalidate(server: &ResourceId) -> String {
    match Kind::of(server) {
        Some(Kind::Database) => {
            let host = server.sql_server().unwrap_or_else(|| server.clone());
            let (host, place) = (quoted(host.name()), place(&host));
            format!("az sql db tde key revalidate --server {host} --name {} {place}", quoted(server.name()))
        }
        // The Azure CLI has no command of its own for these.
        Some(kind @ (Kind::ManagedInstance | Kind::SynapseWorkspace)) => {
            let path = format!("{server}/encryptionProtector/current/revalidate?api-version={}", kind.api_version());
            format!("az rest --method post --url {}", quoted(&path))
        }
        Some(Kind::SqlServer) | None => {
            format!("az sql server tde-key revalidate --server {} {}", quoted(server.name()), place(server))
        }
    }
}

fn set_attributes(key: &crate::domain::key_uri::KeyUri) -> String {
    let version = key.version.as_ref().map(|version| format!(" --version {version}")).unwrap_or_default();
    format!(
        "az keyvault key set-attributes --vault-name {} --name {}{version}",
        key.vault.vault_name(),
        quoted(&key.key)
    )
}

/// What only a person can do about a cause.
const fn without_plan(cause: Cause) -> &'static str {
    match cause {
        Cause::TargetGone => "Nothing: the server or database is gone.",
        Cause::ServiceManaged => "Nothing about the key: it is Microsoft's own. Look for another reason.",
        Cause::ManagedHsm => {
            "Give the server's identity the role Managed HSM Crypto Service Encryption User inside the HSM, or \
             recover the HSM or key, then re-validate the server's TDE protector."
        }
        Cause::DatabaseLevelKey => {
            "Repair the access of the database's own identity to its own key, then re-validate on the database: az sql db tde key revalidate."
        }
        Cause::OtherReason => {
            "Do what Azure says in its own reason below; start the instance if it is stopped. Do not re-validate: the key \
             is in order."
        }
        Cause::DeadSecondary => {
            "Drop the geo-secondary and re-establish the link from its primary; it cannot be revived."
        }
        Cause::IdentityMissing => "Assign the server an identity, grant it Get, Wrap Key and Unwrap Key, re-validate.",
        Cause::IdentityDeleted => {
            "Create or choose another user-assigned identity, grant it Get, Wrap Key and Unwrap Key first, then make it \
             the server's primary identity. A new identity of the old name does not inherit its grants."
        }
        Cause::CrossTenant => {
            "Ask the owner of the other tenant to restore the application's access to the key: its service principal \
             there must exist, be enabled, and have Get, Wrap Key and Unwrap Key on the key; then re-validate."
        }
        Cause::VaultDeleted => "Recover the vault, give the servers their permission again, re-validate.",
        Cause::VaultAbsent => {
            "Find the vault (another subscription or tenant?). If it was purged, restore a backup of the same key into \
             a vault, link that key to the server and set it as the protector."
        }
        Cause::VaultPerimeter => "Add an inbound rule for Azure SQL to the network security perimeter of the vault.",
        Cause::VaultFirewalled => {
            "Turn the bypass for trusted Microsoft services on, leaving all other rules as they are."
        }
        Cause::PrivateEndpointPending => "Approve the private endpoint connection on the vault, if it is yours.",
        Cause::VaultUnreachable => {
            "Look at Azure's status page and at the vault's Resource Health; check DNS and private endpoints. Azure SQL \
             bears the outage for up to 24 hours and comes back by itself."
        }
        Cause::KeyDeleted => "Recover the key, unless it was deleted because it is compromised.",
        Cause::KeyPurged => {
            "Restore a backup of the same key (same subscription and geography only), then re-validate. Without one \
             the data cannot be read any more."
        }
        Cause::KeyReplaced => {
            "Restore the original key from a backup. Do not point the server at the new key: the data is encrypted \
             with the old one."
        }
        Cause::KeyDisabled => "Enable the key version, unless it was disabled because it is compromised.",
        Cause::KeyExpired => "Extend the expiry of the key version, re-validate, then rotate the key.",
        Cause::KeyExpiring => "Rotate the key, or extend the expiry of the version that is used.",
        Cause::KeyNotYetValid => "Set the activation date of the key version into the past, or wait for it.",
        Cause::KeyOperationsRestricted => "Permit wrapKey and unwrapKey on the key again.",
        Cause::KeyUnsupported => "Restore the key that the server was set up with: RSA of 2048 or 3072 bits.",
        Cause::DenyAssignment => "Have the owner of the deny assignment except the server's identity.",
        Cause::PolicyMissing => "Give the server's identity Get, Wrap Key and Unwrap Key on the vault.",
        Cause::RoleMissing | Cause::PermissionModelSwitched => {
            "Give the server's identity the role Key Vault Crypto Service Encryption User on the key (vault with role \
             assignments), or Get, Wrap Key and Unwrap Key (vault with access policies)."
        }
        Cause::GeoPartnerWithoutGrant => {
            "Give the geo partner's identity Get, Wrap Key and Unwrap Key on the key of the primary, whatever its own key is."
        }
        Cause::ServerKeyMissing => "Link the same key to the server again; a different key does not help.",
        Cause::StillInaccessible => {
            "Re-validate the server's TDE protector: portal, server, Transparent data encryption."
        }
        Cause::Healthy => "Nothing: key access is in order.",
        Cause::Undetermined => {
            "In the portal: server, Identity; server, Transparent data encryption; key vault, Networking; key vault, \
             Keys; key vault, Access control or Access policies."
        }
    }
}

/// What keeps it from happening again.
#[must_use]
pub const fn prevention(cause: Cause) -> &'static str {
    match cause {
        Cause::IdentityMissing | Cause::IdentityDeleted => {
            "Put a CanNotDelete lock on the identity, and let only the deployment change the server's identities."
        }
        Cause::VaultDeleted | Cause::VaultAbsent => {
            "Put a CanNotDelete lock on the vault, turn purge protection on, and keep a backup of the key."
        }
        Cause::VaultFirewalled | Cause::VaultPerimeter | Cause::PrivateEndpointPending => {
            "Have Azure Policy require the bypass for trusted Microsoft services on vaults that hold TDE keys."
        }
        Cause::VaultUnreachable => {
            "Nothing to change on your side if it was Azure; else review DNS and private endpoints."
        }
        Cause::KeyDeleted | Cause::KeyPurged | Cause::KeyReplaced => {
            "Take the right to delete keys from daily accounts, turn purge protection on, and keep a backup of the key."
        }
        Cause::KeyDisabled | Cause::KeyOperationsRestricted => "Ask why the key was changed, and who may change keys.",
        Cause::KeyExpired | Cause::KeyExpiring | Cause::KeyNotYetValid => {
            "Turn automatic rotation on with auto-rotation of the server's protector, and alert on keys near expiry."
        }
        Cause::PolicyMissing
        | Cause::RoleMissing
        | Cause::DenyAssignment
        | Cause::PermissionModelSwitched
        | Cause::GeoPartnerWithoutGrant => {
            "Ask why the grant was taken away. Keep the servers' grants in the same code as the vault."
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_argument() {
        assert_eq!(quoted("contoso-kv"), "contoso-kv");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("x'; rm -rf ~ #"), r"'x'\''; rm -rf ~ #'");
        assert_eq!(quoted("$(id)"), "'$(id)'");
    }
}
