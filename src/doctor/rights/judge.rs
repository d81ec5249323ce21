//! One right, at all the places where it is needed.

use std::collections::BTreeMap;

use tokio::sync::Mutex;

use super::commands::{Known, grant};
use super::own::{Own, Standing};
use super::places::{in_words, places, scope_of_grant};
use crate::azure::Azure;
use crate::doctor::Principal;
use crate::doctor::estate::Estate;
use crate::doctor::report::{Check, Fix};
use crate::domain::remedy::CRYPTO_SERVICE_ENCRYPTION_USER;
use crate::domain::resource_id::ResourceId;
use crate::domain::rights::{CustomRole, Right};

/// Everything that a judgement takes.
pub struct Judge<'a> {
    azure: &'a Azure,
    estate: &'a Estate,
    own: &'a Own,
    /// Whose rights are judged.
    pub principal: &'a Principal,
    /// The names of custom roles, by subscription; `None` where they could not be listed.
    listed: Mutex<BTreeMap<String, Option<Vec<String>>>>,
}

impl<'a> Judge<'a> {
    /// With what was read.
    pub fn new(azure: &'a Azure, estate: &'a Estate, own: &'a Own, principal: &'a Principal) -> Self {
        Self { azure, estate, own, principal, listed: Mutex::default() }
    }

    /// What could not be read of our own rights. Where Azure refused, it named the right.
    pub async fn lists(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        for why in self.own.unlisted.iter().filter(|_| self.own.refused.is_empty()) {
            checks.push(Check::unknown("our role assignments", why.clone()));
        }
        if let Some(why) = self.own.denials_unread.iter().find(|_| self.own.refused.is_empty()) {
            checks.push(Check::unknown("deny assignments", why.clone()));
        }
        checks
    }

    /// A job and the rights that it takes: one line if all are held, else a line for each place where one is not.
    pub async fn job(&self, name: &str, rights: &[Right]) -> Vec<Check> {
        let (mut held, mut checks, mut count) = (Vec::new(), Vec::new(), 0);
        for right in rights {
            let mut worst: BTreeMap<ResourceId, Standing> = BTreeMap::new();
            for place in places(self.estate, right) {
                match self.standing(right, &place) {
                    Standing::Held { by } => {
                        count += 1;
                        if !held.contains(&by) {
                            held.push(by);
                        }
                    }
                    standing @ (Standing::Denied { .. } | Standing::Conditional { .. }) => {
                        worst.insert(place, standing);
                    }
                    standing => {
                        worst.entry(scope_of_grant(self.estate, right, &place)).or_insert(standing);
                    }
                }
            }
            for (scope, standing) in worst {
                checks.push(self.fault(name, right, &scope, standing).await);
            }
        }
        if checks.is_empty() {
            let rights = if rights.len() == 1 { "1 right".to_owned() } else { format!("{} rights", rights.len()) };
            let by = if count == 0 { "not needed now".to_owned() } else { format!("by {}", held.join(", ")) };
            checks.push(Check::ok(name, format!("{rights}, {by}")));
        }
        checks
    }

    /// What Azure refused to us just now is missing, whatever the lists say.
    fn standing(&self, right: &Right, place: &ResourceId) -> Standing {
        let standing = self.own.standing(right, place);
        let refused = self.own.refused.iter().any(|refused| refused.action.eq_ignore_ascii_case(right.name));
        if refused && matches!(standing, Standing::Unsure(_)) { Standing::Missing } else { standing }
    }

    async fn fault(&self, name: &str, right: &Right, scope: &ResourceId, standing: Standing) -> Check {
        let (what, on) = (right.name, in_words(scope));
        match standing {
            Standing::Denied { by } => {
                let said = format!("{what} is denied on {on} by the deny assignment {by:?}");
                let fix = Fix::words(format!(
                    "Have object {} spared by the deny assignment {by:?} on {scope} (portal: Access control (IAM), Deny \
                     assignments); no role can outweigh it",
                    self.principal.object_id
                ));
                Check::missing(name, said).lacking(what, scope.as_str()).fix(fix)
            }
            Standing::Conditional { by, condition } if right.role == CustomRole::Grant => {
                let one_role = condition.to_ascii_lowercase().contains(CRYPTO_SERVICE_ENCRYPTION_USER);
                if one_role {
                    Check::ok(name, format!("{what}, by {by}, for the one role of its condition"))
                } else {
                    Check::warning(
                        name,
                        format!("{what}, by {by}, under a condition that does not name the role to give"),
                    )
                    .fix(self.fix(right.role, scope).await)
                }
            }
            Standing::Conditional { by, .. } => {
                Check::warning(name, format!("{what} on {on}, by {by}, under a condition that is not judged here"))
            }
            Standing::Unsure(why) => Check::unknown(name, format!("{what} on {on}: {why}")),
            Standing::Missing | Standing::Held { .. } => {
                let check = Check::missing(name, format!("lacks {what} on {on}"));
                check.lacking(what, scope.as_str()).fix(self.fix(right.role, scope).await)
            }
        }
    }

    async fn fix(&self, role: CustomRole, scope: &ResourceId) -> Fix {
        grant(role, &self.known(role, scope).await, Some(self.principal), scope)
    }

    /// Whether the role is there. The roles are listed once for each subscription.
    async fn known(&self, role: CustomRole, scope: &ResourceId) -> Known {
        if !self.own.is_whole() {
            return Known::Unknown;
        }
        if let Some(name) = self.own.role_at(|name| role.is_called(name), scope) {
            return Known::Outdated(name.to_owned());
        }
        let subscription = scope.subscription().to_ascii_lowercase();
        let mut listed = self.listed.lock().await;
        let roles = match listed.get(&subscription) {
            Some(roles) => roles.clone(),
            None => {
                let roles = self.azure.custom_roles(scope).await.ok();
                let names = roles.map(|roles| roles.into_iter().map(|role| role.name).collect::<Vec<_>>());
                listed.insert(subscription, names.clone());
                names
            }
        };
        match roles {
            Some(names) => names.into_iter().find(|name| role.is_called(name)).map_or(Known::Absent, Known::There),
            None => Known::Unknown,
        }
    }
}
