//! Who may do what: role assignments, deny assignments, access policies, locks.

use super::resources::{Assignment, Role, Vault};
use super::state::State;
use super::world::PermissionModel;
use crate::domain::resource_id::ResourceId;

/// Why a data-plane call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRight {
    /// No role gives it, or it is denied.
    Rbac,
    /// No access policy gives it.
    Policy,
}

impl State {
    /// Whether a control-plane action is allowed over a scope.
    pub(crate) fn may(&self, principal: &str, action: &str, scope: &ResourceId) -> bool {
        let denied = self.denies.iter().any(|deny| {
            deny.scope.contains(scope) && binds(&deny.principals, principal) && any_matches(&deny.actions, action)
        });
        !denied && self.grants(principal, scope).any(|role| allows(&role.actions, &role.not_actions, action))
    }

    /// Whether a role assignment that gives `action` lets its holder give `role` to a principal of this kind: it has no
    /// condition, or one that names both.
    pub(crate) fn may_give(&self, principal: &str, action: &str, scope: &ResourceId, role: &str, kind: &str) -> bool {
        self.assignments.of(principal).filter(|one| self.counts(one, scope)).any(|assignment| {
            let gives = self.role_of(assignment).is_some_and(|role| allows(&role.actions, &role.not_actions, action));
            let admitted = assignment.condition.as_ref().is_none_or(|(condition, _)| {
                listed(condition, "RoleDefinitionId]", role) && listed(condition, "PrincipalType]", kind)
            });
            gives && admitted
        })
    }

    /// Whether the principal has a role anywhere at, above or below the scope.
    pub(crate) fn has_any_role(&self, principal: &str, scope: &ResourceId) -> bool {
        let mut held = self.assignments.of(principal);
        held.any(|assignment| assignment.scope.contains(scope) || scope.contains(&assignment.scope))
    }

    /// Whether a key operation is allowed: `permission` is the access policies' word (`get`, `unwrapKey`, `recover` …).
    pub(crate) fn data_right(
        &self,
        vault: &Vault,
        key: &str,
        principal: &str,
        permission: &str,
    ) -> Result<(), NoRight> {
        let refusal = if vault.model == PermissionModel::Rbac { NoRight::Rbac } else { NoRight::Policy };
        let scope = vault.id.child("keys", key).unwrap_or_else(|_| vault.id.clone());
        let action = data_action(permission);
        let denied = self.denies.iter().any(|deny| {
            deny.scope.contains(&scope)
                && binds(&deny.principals, principal)
                && any_matches(&deny.data_actions, &action)
        });
        let allowed = match vault.model {
            PermissionModel::Rbac => {
                self.grants(principal, &scope).any(|role| allows(&role.data_actions, &role.not_data_actions, &action))
            }
            PermissionModel::Policy => vault
                .policies
                .iter()
                .filter(|policy| policy.object_id.eq_ignore_ascii_case(principal))
                .flat_map(|policy| &policy.keys)
                .any(|(held, effective)| *effective <= self.now && covers(held, permission)),
        };
        if allowed && !denied { Ok(()) } else { Err(refusal) }
    }

    /// The roles that have taken effect for a principal at a scope.
    fn grants<'a>(&'a self, principal: &str, scope: &'a ResourceId) -> impl Iterator<Item = &'a Role> {
        self.assignments
            .of(principal)
            .filter(move |assignment| self.counts(assignment, scope))
            .filter_map(|assignment| self.role_of(assignment))
    }

    fn counts(&self, assignment: &Assignment, scope: &ResourceId) -> bool {
        assignment.effective <= self.now && assignment.scope.contains(scope)
    }

    fn role_of(&self, assignment: &Assignment) -> Option<&Role> {
        self.roles.iter().find(|role| role.id.eq_ignore_ascii_case(&assignment.role))
    }

    /// The `ReadOnly` lock (or, for a deletion, any lock) that stops a write to `target`.
    pub(crate) fn lock_against(&self, target: &ResourceId, deletion: bool) -> Option<&ResourceId> {
        self.locks
            .iter()
            .find(|lock| lock.scope.contains(target) && (deletion || lock.level.eq_ignore_ascii_case("ReadOnly")))
            .map(|lock| &lock.scope)
    }
}

/// The data action that an access policy's permission on keys stands for.
pub(crate) fn data_action(permission: &str) -> String {
    let verb = match permission.to_ascii_lowercase().as_str() {
        "get" | "list" => "read".to_owned(),
        "wrapkey" => "wrap/action".to_owned(),
        "unwrapkey" => "unwrap/action".to_owned(),
        "delete" => "delete".to_owned(),
        other => format!("{other}/action"),
    };
    format!("Microsoft.KeyVault/vaults/keys/{verb}")
}

/// Whether a condition's clause about an attribute (`…RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {…}`) lists a value.
fn listed(condition: &str, attribute: &str, value: &str) -> bool {
    let clause = condition.split_once(attribute).and_then(|(_, rest)| rest.split_once('{')?.1.split_once('}'));
    clause.is_some_and(|(values, _)| {
        values.split(',').any(|one| one.trim().trim_matches('\'').eq_ignore_ascii_case(value))
    })
}

fn covers(held: &str, wanted: &str) -> bool {
    held.eq_ignore_ascii_case("all") || held.eq_ignore_ascii_case(wanted)
}

fn binds(principals: &[String], principal: &str) -> bool {
    principals.iter().any(|bound| bound.eq_ignore_ascii_case(principal))
}

fn allows(actions: &[String], not_actions: &[String], action: &str) -> bool {
    any_matches(actions, action) && !any_matches(not_actions, action)
}

fn any_matches(patterns: &[String], action: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, action))
}

/// Whether an action matches a pattern in which `*` stands for anything, without regard to case.
pub(crate) fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let pieces: Vec<&str> = pattern.split('*').collect();
    let [first, middle @ .., last] = pieces.as_slice() else { return pattern == action };
    let Some(mut rest) = action.strip_prefix(first) else { return false };
    for piece in middle {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards_stand_for_anything_and_case_does_not_matter() {
        assert!(matches("Microsoft.Sql/locations/*/read", "microsoft.sql/locations/operationResults/read"));
        assert!(matches("*/read", "Microsoft.KeyVault/vaults/read"));
        assert!(matches("*", "anything/at/all"));
        assert!(matches("Microsoft.KeyVault/vaults/keys/*", "Microsoft.KeyVault/vaults/keys/unwrap/action"));
        assert!(!matches("Microsoft.KeyVault/vaults/read", "Microsoft.KeyVault/vaults/keys/read"));
        assert!(!matches("*/read", "Microsoft.KeyVault/vaults/write"));
        assert!(!matches("a*ab", "ab"));
    }
}
