//! The few words that reasons are made of: times and deeds, for a tired person.

use jiff::Timestamp;

use crate::domain::diagnosis::Culprit;

/// `2026-11-24 02:07 UTC`.
#[must_use]
pub fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// An operation of the Activity Log as a verb; `None` where we have no words for it.
#[must_use]
pub fn operation_words(operation: &str) -> Option<&'static str> {
    Some(match operation.to_ascii_lowercase().as_str() {
        "microsoft.keyvault/vaults/delete" => "deleted",
        "microsoft.keyvault/locations/deletedvaults/purge/action" => "purged",
        "microsoft.keyvault/vaults/write" => "changed",
        "microsoft.keyvault/vaults/accesspolicies/write" => "changed the access policies of",
        "microsoft.authorization/roleassignments/delete" => "removed a role assignment on",
        "microsoft.authorization/roleassignments/write" => "made a role assignment on",
        "microsoft.authorization/denyassignments/write" => "made a deny assignment on",
        "microsoft.authorization/locks/write" => "put a lock on",
        "microsoft.managedidentity/userassignedidentities/delete" => "deleted",
        "microsoft.sql/servers/write" => "changed",
        "microsoft.sql/servers/encryptionprotector/write" => "set the encryption protector of",
        "microsoft.sql/servers/keys/delete" => "unlinked a key from",
        "firewall closed, not in the log yet" => "closed the firewall of",
        "access policy removed, not in the log yet" => "removed an access policy of",
        "role assignment removed, not in the log yet" => "removed a role assignment on",
        "deny assignment, not in the log yet" => "made a deny assignment on",
        "vault deleted, not in the log yet" => "deleted",
        "identity removed, not in the log yet" => "removed an identity that opens",
        "identity removed, given back" => "removed an identity (since given back) that opens",
        "access policy removed, granted again" => "removed an access policy (since granted again) of",
        "role assignment removed, granted again" => "removed a role assignment (since granted again) on",
        "vault deleted, recovered" => "deleted (and we recovered)",
        "firewall closed, opened" => "closed the firewall (since opened) of",
        "key disabled, enabled" => "disabled a key (since enabled) of",
        "key deleted, recovered" => "deleted a key (since recovered) of",
        "key disabled" => "disabled",
        "key deleted" => "deleted",
        _ => return None,
    })
}

/// The vault, server or key that a deed was done to; a role assignment or lock is named by what it hangs on.
fn done_to(target: &str) -> &str {
    let lower = target.to_ascii_lowercase();
    let cut = lower.find("/providers/microsoft.authorization/").filter(|at| *at > 0);
    let on = cut.and_then(|at| target.get(..at)).unwrap_or(target);
    let on = on.trim_end_matches('/');
    let on = on.to_ascii_lowercase().find("/accesspolicies").and_then(|at| on.get(..at)).unwrap_or(on);
    // A key URI ends in its version, which says nothing to people.
    let mut parts = on.rsplit('/');
    let last = parts.next().unwrap_or(on);
    if last.len() == 32 && last.chars().all(|c| c.is_ascii_hexdigit()) { parts.next().unwrap_or(last) } else { last }
}

/// `bob@contoso.example removed a role assignment on contoso-kv at 2026-11-24 02:02 UTC`.
#[must_use]
pub fn deed(culprit: &Culprit) -> String {
    let who = culprit.who.as_deref().or(culprit.ids.first().map(String::as_str)).unwrap_or("somebody");
    let did =
        operation_words(&culprit.operation).map_or_else(|| format!("did {} to", culprit.operation), str::to_owned);
    format!("{who} {did} {} at {}", done_to(&culprit.target), utc(culprit.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::CallerKind;

    #[test]
    fn a_deed_names_who_what_on_what_and_when() {
        let culprit = Culprit {
            who: Some("bob@contoso.example".to_owned()),
            ids: Vec::new(),
            kind: CallerKind::Person,
            at: "2026-11-24T02:02:31Z".parse().unwrap_or_default(),
            operation: "microsoft.authorization/roleassignments/delete".to_owned(),
            target: "/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/contoso-kv/providers/Microsoft.Authorization/roleAssignments/x".to_owned(),
            correlation_id: None,
        };
        assert_eq!(
            deed(&culprit),
            "bob@contoso.example removed a role assignment on contoso-kv at 2026-11-24 02:02 UTC"
        );
        let key = Culprit {
            operation: "key disabled".to_owned(),
            target: "https://contoso-kv.vault.azure.net/keys/tde-key/1ac7c5e9b2475ecebdb36c61b0f53ade".to_owned(),
            who: None,
            ..culprit
        };
        assert_eq!(deed(&key), "somebody disabled tde-key at 2026-11-24 02:02 UTC");
    }
}
