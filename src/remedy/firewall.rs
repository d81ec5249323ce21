//! Trusted-services bypass: the vault's firewall lets trusted Microsoft services through, and else stays as it is.
//!
//! The service may replace `networkAcls` whole, so the complete object that was just read is sent, with only `bypass`
//! changed. There is no ETag: what somebody else changes between the read and the write is overwritten unseen, and what
//! changes between the write and the read-back is reported.
//!
//! A vault without any `networkAcls` has the bypass already: `AzureServices` is what its absence means (Key Vault REST
//! reference, `networkAcls.bypass`), also with public access disabled. Nothing is sent then: any `networkAcls` of our
//! making would have to decide a `defaultAction` for the owner.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::azure::{Azure, PreparedWrite};
use crate::domain::evidence::{Vault, VaultNetwork};
use crate::domain::resource_id::ResourceId;
use crate::remedy::Applied;
use crate::remedy::outcome::{Outcome, Way, already, differs};
use crate::remedy::refusal::unread;
use crate::remedy::send::send;

/// Something else than the bypass is different after the write.
const CHANGED_MEANWHILE: &str = "FirewallChangedMeanwhile";
const BYPASS: &str = "AzureServices";

/// The write; `None` where there are no rules to send back.
pub(super) fn write(vault: &ResourceId, acls: &Value) -> Option<PreparedWrite> {
    let mut acls = acls.as_object()?.clone();
    acls.insert("bypass".to_owned(), json!(BYPASS));
    Some(PreparedWrite::patch_vault_network_acls(vault, Value::Object(acls)))
}

pub(super) async fn apply(azure: &Azure, vault: &ResourceId, planned: &Value) -> Way<Outcome> {
    let before = azure.vault(vault).await.map_err(|error| unread(&error))?.network;
    precondition(&before, planned)?;
    let Some(write) = write(vault, &before.acls) else {
        return Err(already("the vault has no network rules: trusted services are let through by default"));
    };
    let told = [
        ("trusted Microsoft services", "kept out by the firewall", "let through"),
        ("every other rule", "as it is", "as it was"),
    ];
    let told = told.map(|(property, before, after)| (property.to_owned(), before.to_owned(), after.to_owned()));
    let sent = send(azure, &write, told.to_vec()).await?;
    match azure.vault(vault).await {
        Ok(after) if !after.network.trusted_services_bypass => Ok(sent.not_seen()),
        Ok(after) => match different(&before, &after) {
            None => Ok(sent.made()),
            Some(what) => Err(changed_meanwhile(&what)),
        },
        Err(_) => Ok(sent.not_seen()),
    }
}

fn precondition(now: &VaultNetwork, planned: &Value) -> Way<()> {
    if now.in_perimeter() {
        return Err(differs("a network security perimeter decides about the vault now: the bypass has no effect"));
    }
    if now.trusted_services_bypass {
        return Err(already("the firewall lets trusted Microsoft services through"));
    }
    if !now.shuts_out_sql() {
        return Err(already("the vault is open to all networks"));
    }
    let differences = differences(&now.acls, planned);
    if differences.is_empty() {
        return Ok(());
    }
    Err(differs(format!("the firewall was changed since the diagnosis: {} differ", differences.join(", "))))
}

fn changed_meanwhile(what: &str) -> Outcome {
    Outcome::of(Applied::Failed {
        code: CHANGED_MEANWHILE.to_owned(),
        why: format!(
            "trusted services are let through, but somebody changed the firewall in the same moment: {what} differ from \
             what was read before. Compare the vault's network rules with what they should be"
        ),
        missing: None,
    })
}

/// What differs besides the bypass, if anything.
fn different(before: &VaultNetwork, after: &Vault) -> Option<String> {
    let mut what = differences(&before.acls, &after.network.acls);
    if !before.public_access.eq_ignore_ascii_case(&after.network.public_access) {
        what.push("publicNetworkAccess".to_owned());
    }
    (!what.is_empty()).then(|| what.join(", "))
}

/// The names of the rules, other than the bypass, that are not the same in both.
fn differences(one: &Value, other: &Value) -> Vec<String> {
    let (one, other) = (rules(one), rules(other));
    let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

/// The rules without what means nothing: case, order, and what is null or empty.
fn rules(acls: &Value) -> BTreeMap<String, String> {
    let acls = acls.as_object().into_iter().flatten();
    let rules = acls.filter(|(name, _)| !name.eq_ignore_ascii_case("bypass"));
    rules.filter_map(|(name, value)| Some((name.clone(), plain(value)?))).collect()
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Array(items) => {
            let mut items: Vec<String> = items.iter().filter_map(plain).collect();
            items.sort_unstable();
            (!items.is_empty()).then(|| format!("[{}]", items.join(",")))
        }
        Value::Object(fields) => {
            let mut fields: Vec<String> = fields
                .iter()
                .filter_map(|(name, value)| Some(format!("{}:{}", name.to_ascii_lowercase(), plain(value)?)))
                .collect();
            fields.sort_unstable();
            Some(format!("{{{}}}", fields.join(",")))
        }
        Value::String(text) => Some(json!(text.to_lowercase()).to_string()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn acls() -> Value {
        json!({
            "bypass": "None",
            "defaultAction": "Deny",
            "ipRules": [{"value": "203.0.113.7/32"}, {"value": "198.51.100.0/24"}],
            "virtualNetworkRules": [{"id": "/subscriptions/s/vnet/a", "ignoreMissingVnetServiceEndpoint": false}],
        })
    }

    fn vault() -> ResourceId {
        ResourceId::parse("/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv").unwrap()
    }

    #[test]
    fn only_the_bypass_is_changed_in_what_is_sent() {
        let write = write(&vault(), &acls()).unwrap();
        let mut wanted = acls();
        wanted["bypass"] = json!("AzureServices");
        assert_eq!(write.body(), Some(&json!({"properties": {"networkAcls": wanted}})));
        assert_eq!(super::write(&vault(), &Value::Null), None);
    }

    #[test]
    fn how_azure_writes_a_rule_is_no_difference() {
        let same = json!({
            "virtualNetworkRules": [{"ignoreMissingVnetServiceEndpoint": false, "id": "/subscriptions/S/vnet/A"}],
            "ipRules": [{"value": "198.51.100.0/24"}, {"value": "203.0.113.7/32"}],
            "defaultAction": "deny",
            "bypass": "AzureServices",
            "serviceTagRules": null,
        });
        assert_eq!(differences(&acls(), &same), Vec::<String>::new());
    }

    #[test]
    fn every_rule_counts() {
        for (pointer, value, name) in [
            ("/defaultAction", json!("Allow"), "defaultAction"),
            ("/ipRules/0/value", json!("203.0.113.8/32"), "ipRules"),
            ("/ipRules", json!([]), "ipRules"),
            ("/virtualNetworkRules/0/ignoreMissingVnetServiceEndpoint", json!(true), "virtualNetworkRules"),
        ] {
            let mut other = acls();
            *other.pointer_mut(pointer).unwrap() = value;
            assert_eq!(differences(&acls(), &other), [name]);
        }
        assert_eq!(differences(&acls(), &Value::Null).len(), 3);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map("[a-z]{1,4}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn anything_equals_itself_and_its_repair(acls in any_json()) {
            prop_assert!(differences(&acls, &acls).is_empty());
            if let Some(write) = write(&vault(), &acls) {
                let sent = &write.body().unwrap()["properties"]["networkAcls"];
                prop_assert!(differences(&acls, sent).is_empty());
            }
        }
    }
}
