//! What our identity holds: its role assignments with their roles, and the deny assignments that may bind it.

use std::collections::BTreeMap;

use futures::StreamExt;

use crate::azure::authorization::RoleAssignment;
use crate::azure::own_rights::{DenyAssignment, RoleDefinition, reaches};
use crate::azure::{Azure, AzureError};
use crate::doctor::SIDE_BY_SIDE;
use crate::domain::evidence::MissingRight;
use crate::domain::resource_id::ResourceId;
use crate::domain::rights::Right;

/// Everything that was read of it.
#[derive(Debug, Default)]
pub struct Own {
    principal: String,
    assignments: Vec<RoleAssignment>,
    roles: BTreeMap<String, RoleDefinition>,
    denials: Vec<DenyAssignment>,
    /// Roles that could not be read, by GUID: why.
    unread_roles: BTreeMap<String, String>,
    /// Lists of role assignments that could not be read: why.
    pub unlisted: Vec<String>,
    /// Why deny assignments are not known.
    pub denials_unread: Option<String>,
    /// Rights that Azure said are missing when it refused these reads.
    pub refused: Vec<MissingRight>,
}

/// How a right stands at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Held by a role.
    Held {
        /// The role's name.
        by: String,
    },
    /// Held under a condition alone.
    Conditional {
        /// The role's name.
        by: String,
        /// The condition.
        condition: String,
    },
    /// Taken by a deny assignment.
    Denied {
        /// Its name.
        by: String,
    },
    /// It cannot be told.
    Unsure(String),
    /// Not held.
    Missing,
}

impl Own {
    /// Reads it, as it counts for all of `roots`.
    pub async fn read(azure: &Azure, roots: &[ResourceId], principal: &str) -> Self {
        let mut own = Self { principal: principal.to_owned(), ..Self::default() };
        let lists = roots.iter().map(|root| async move {
            futures::join!(azure.role_assignments(root, Some(principal)), azure.denials_in_full(root))
        });
        let mut wanted: BTreeMap<String, &ResourceId> = BTreeMap::new();
        let lists: Vec<_> = futures::stream::iter(lists.collect::<Vec<_>>()).buffered(SIDE_BY_SIDE).collect().await;
        for ((assignments, denials), root) in lists.into_iter().zip(roots) {
            match assignments {
                Ok(found) => {
                    wanted.extend(found.iter().map(|assignment| (assignment.role(), root)));
                    own.assignments.extend(found);
                }
                Err(error) => {
                    own.refused.extend(error.missing_right());
                    own.unlisted.push(error.to_string());
                }
            }
            match denials {
                Ok(found) => own.denials.extend(found),
                Err(error) => {
                    own.refused.extend(error.missing_right());
                    own.denials_unread = Some(error.to_string());
                }
            }
        }
        own.read_roles(azure, wanted).await;
        own
    }

    async fn read_roles(&mut self, azure: &Azure, wanted: BTreeMap<String, &ResourceId>) {
        let reads = wanted.into_iter().map(|(role, root)| async move {
            let read = azure.role_definition(root, &role).await;
            (role, read)
        });
        let reads: Vec<(String, Result<RoleDefinition, AzureError>)> =
            futures::stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(SIDE_BY_SIDE).collect().await;
        for (role, read) in reads {
            match read {
                Ok(definition) => drop(self.roles.insert(role, definition)),
                Err(error) => {
                    self.refused.extend(error.missing_right());
                    self.unread_roles.insert(role, error.to_string());
                }
            }
        }
    }

    /// Whether all its role assignments and roles were read.
    pub fn is_whole(&self) -> bool {
        self.unlisted.is_empty() && self.unread_roles.is_empty()
    }

    /// The name of a role that it has there and that is called so.
    pub fn role_at(&self, is_called: impl Fn(&str) -> bool, place: &ResourceId) -> Option<&str> {
        let there = self.assignments.iter().filter(|assignment| reaches(&assignment.scope, place));
        there
            .filter_map(|assignment| self.roles.get(&assignment.role()))
            .map(|role| role.name.as_str())
            .find(|name| is_called(name))
    }

    /// How a right stands at a place.
    pub fn standing(&self, right: &Right, place: &ResourceId) -> Standing {
        let takes = |deny: &&DenyAssignment| {
            deny.holds_at(place) && deny.permissions.iter().any(|permission| permission.touches(right))
        };
        let denials: Vec<&DenyAssignment> = self.denials.iter().filter(takes).collect();
        if let Some(deny) = denials.iter().find(|deny| deny.binds(&self.principal)) {
            return Standing::Denied { by: deny.name.clone() };
        }
        let mut conditional = None;
        let mut unread = None;
        for assignment in self.assignments.iter().filter(|assignment| reaches(&assignment.scope, place)) {
            let role = assignment.role();
            match self.roles.get(&role) {
                Some(definition) if definition.permissions.iter().any(|permission| permission.covers(right)) => {
                    let by = definition.name.clone();
                    let Some(condition) = &assignment.condition else {
                        return if_no_group_is_denied(&denials, by);
                    };
                    conditional = Some(Standing::Conditional { by, condition: condition.clone() });
                }
                Some(_) => {}
                None => unread = self.unread_roles.get(&role).cloned(),
            }
        }
        let unlisted = || self.unlisted.first().map(|why| Standing::Unsure(format!("our role assignments: {why}")));
        let unread = unread.map(|why| Standing::Unsure(format!("one of our roles: {why}")));
        conditional.or(unread).or_else(unlisted).unwrap_or(Standing::Missing)
    }
}

/// Held, unless a group that we may be in is denied it.
fn if_no_group_is_denied(denials: &[&DenyAssignment], by: String) -> Standing {
    match denials.iter().find(|deny| deny.binds_a_group()) {
        Some(deny) => {
            let name = &deny.name;
            Standing::Unsure(format!("the deny assignment {name:?} binds a group, and who is in it is not read"))
        }
        None => Standing::Held { by },
    }
}
