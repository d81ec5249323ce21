//! Whether a signal is any of our business.

use crate::domain::policy::Scope;
use crate::domain::resource_id::ResourceId;

/// Whether something that happened to `target` may concern what is in scope: it is in scope itself, or it is above
/// something that is (a role assignment or a lock on a resource group reaches the vaults in it).
#[must_use]
pub fn concerns(scope: &Scope, target: &ResourceId) -> bool {
    let on = bearer(target);
    let left_alone = scope.except.iter().any(|root| root.contains(&on));
    !left_alone && (scope.covers(&on) || scope.resources.iter().any(|resource| on.contains(resource)))
}

/// What a role assignment, deny assignment or lock is on; any other resource is its own bearer.
fn bearer(target: &ResourceId) -> ResourceId {
    let end = target.key().find("/providers/microsoft.authorization/");
    end.and_then(|end| ResourceId::parse(&target.key()[..end]).ok()).unwrap_or_else(|| target.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAULT: &str = "/subscriptions/s1/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults/kv";

    fn id(text: &str) -> ResourceId {
        ResourceId::parse(text).unwrap()
    }

    fn scope(subscriptions: &[&str], resources: &[&str], except: &[&str]) -> Scope {
        Scope {
            subscriptions: subscriptions.iter().map(|&sub| sub.to_owned()).collect(),
            resources: resources.iter().map(|text| id(text)).collect(),
            except: except.iter().map(|text| id(text)).collect(),
        }
    }

    #[test]
    fn what_is_named_or_below_concerns_us() {
        let scope = scope(&[], &[VAULT], &[]);
        assert!(concerns(&scope, &id(VAULT)));
        assert!(concerns(&scope, &id(&VAULT.to_uppercase())));
        assert!(concerns(&scope, &id(&format!("{VAULT}/accessPolicies/add"))));
        assert!(!concerns(&scope, &id(&format!("{VAULT}2"))));
    }

    #[test]
    fn a_role_or_lock_above_concerns_what_is_below() {
        let scope = scope(&[], &[VAULT], &[]);
        for above in
            ["/subscriptions/s1", "/subscriptions/s1/resourceGroups/rg-keys", VAULT, &format!("{VAULT}/keys/k")]
        {
            for what in ["roleAssignments", "locks"] {
                let target = id(&format!("{above}/providers/Microsoft.Authorization/{what}/x"));
                assert!(concerns(&scope, &target), "{target}");
            }
        }
        for elsewhere in ["/subscriptions/s2", "/subscriptions/s1/resourceGroups/rg"] {
            let target = id(&format!("{elsewhere}/providers/Microsoft.Authorization/locks/x"));
            assert!(!concerns(&scope, &target), "{target}");
        }
    }

    #[test]
    fn an_empty_scope_is_concerned_by_nothing() {
        assert!(!concerns(&Scope::default(), &id(VAULT)));
    }

    #[test]
    fn exceptions_win() {
        let scope = scope(&["S1"], &[VAULT], &["/subscriptions/s1/resourceGroups/rg-keys"]);
        assert!(!concerns(&scope, &id(VAULT)));
        assert!(concerns(&scope, &id("/subscriptions/s1/resourceGroups/rg-data")));
        assert!(concerns(&scope, &id("/subscriptions/s1/providers/Microsoft.Authorization/locks/x")));
    }
}
