//! The commands that give a right.

use super::judge::in_words;
use crate::doctor::Principal;
use crate::doctor::report::Fix;
use crate::domain::resource_id::ResourceId;
use crate::domain::rights::CustomRole;

/// What is known of one of our custom roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// We have it, and it gives less than its file says.
    Outdated,
    /// It is there to be assigned.
    There,
    /// It is not there.
    Absent,
    /// It could not be looked up.
    Unknown,
}

/// Gives `role` to our identity on `scope`.
pub fn grant(role: CustomRole, known: Known, principal: Option<&Principal>, scope: &ResourceId) -> Fix {
    let (name, on) = (role.name(), in_words(scope));
    let define = |verb: &str| format!("az role definition {verb} --role-definition role.json");
    let (filled, assign) = (filled(role, scope), assign(role, principal, scope));
    let (what, run) = match known {
        Known::Outdated => (
            format!("Bring the role {name:?}, which Keymend has on {on}, up to its file"),
            vec![filled, define("update")],
        ),
        Known::There => (format!("Give Keymend the role {name:?} on {on}"), vec![assign]),
        Known::Absent => {
            (format!("Make the role {name:?} and give it to Keymend on {on}"), vec![filled, define("create"), assign])
        }
        Known::Unknown => (
            format!("See that Keymend has the role {name:?} on {on}, as its file describes it"),
            vec![filled, format!("{} || {}", define("update"), define("create")), assign],
        ),
    };
    Fix { what, run }
}

/// The role's file for this subscription, as `role.json`: to be assigned anywhere in it, so that a second resource group
/// needs no second definition.
fn filled(role: CustomRole, scope: &ResourceId) -> String {
    let group = if role.definition().contains("/resourceGroups/<rg>") { " -e 's|/resourceGroups/<rg>||'" } else { "" };
    format!("sed -e 's|<subscription-id>|{}|'{group} {} > role.json", scope.subscription(), role.file())
}

fn assign(role: CustomRole, principal: Option<&Principal>, scope: &ResourceId) -> String {
    let id = principal.map_or("<object id of Keymend's identity>", |principal| &principal.object_id);
    let kind = principal.map_or("ServicePrincipal", Principal::kind);
    let condition = if role.condition().is_some() {
        " --condition \"$(grep -v '^#' infra/roles/07-condition.txt)\" --condition-version 2.0"
    } else {
        ""
    };
    format!(
        "az role assignment create --assignee-object-id {id} --assignee-principal-type {kind} --role \"{}\" --scope {scope}{condition}",
        role.name()
    )
}

/// Gives key permissions in a vault with access policies; `all` replaces what is there, so it names that too.
pub fn key_permissions(vault: &ResourceId, principal: Option<&Principal>, all: &[String]) -> Fix {
    let id = principal.map_or("<object id of Keymend's identity>", |principal| &principal.object_id);
    let name = vault.name();
    let what = format!("Give Keymend key permissions in the access policies of {name}");
    let run = format!("az keyvault set-policy --name {name} --object-id {id} --key-permissions {}", all.join(" "));
    Fix::command(what, run)
}
