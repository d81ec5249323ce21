//! The commands that give a right.

use super::places::in_words;
use crate::doctor::Principal;
use crate::doctor::report::Fix;
use crate::domain::resource_id::ResourceId;
use crate::domain::rights::CustomRole;

/// What is known of one of our custom roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// We have it under this name, and it gives less than its file says.
    Outdated(String),
    /// It is there to be assigned, under this name.
    There(String),
    /// It is not there.
    Absent,
    /// It could not be looked up.
    Unknown,
}

/// Gives `role` to our identity on `scope`.
pub fn grant(role: CustomRole, known: &Known, principal: Option<&Principal>, scope: &ResourceId) -> Fix {
    let usual = role.name();
    let name = match known {
        Known::Outdated(name) | Known::There(name) => name,
        Known::Absent | Known::Unknown => &usual,
    };
    let on = in_words(scope);
    let define = |verb: &str| format!("az role definition {verb} --role-definition role.json");
    let (filled, assign) = (filled(role, name, scope), assign(role, name, principal, scope));
    let (what, run) = match known {
        Known::Outdated(_) => (
            format!("Bring the role {name:?}, which Keymend has on {on}, up to its file"),
            vec![filled, define("update")],
        ),
        Known::There(_) => (format!("Give Keymend the role {name:?} on {on}"), vec![assign]),
        Known::Absent => {
            (format!("Make the role {name:?} and give it to Keymend on {on}"), vec![filled, define("create"), assign])
        }
        Known::Unknown => (
            format!("See that Keymend has the role {name:?} on {on}, as its file describes it"),
            vec![filled, format!("{} || {}", define("update"), define("create")), assign],
        ),
    };
    let or_not = if role == CustomRole::Probe { "" } else { "; or turn off under [remedies] what it is for" };
    Fix { what: format!("{what}{or_not}"), run }
}

/// The role's file for this subscription, as `role.json`: to be assigned anywhere in it, so that a second resource group
/// needs no second definition.
fn filled(role: CustomRole, name: &str, scope: &ResourceId) -> String {
    let mut edits = format!("-e 's|<subscription-id>|{}|'", scope.subscription());
    if role.definition().contains("/resourceGroups/<rg>") {
        edits.push_str(" -e 's|/resourceGroups/<rg>||'");
    }
    if name != role.name() {
        edits.push_str(&format!(" -e 's|\"{}\"|\"{name}\"|'", role.name()));
    }
    format!("sed {edits} {} > role.json", role.file())
}

fn assign(role: CustomRole, name: &str, principal: Option<&Principal>, scope: &ResourceId) -> String {
    let id = principal.map_or("<object id of Keymend's identity>", |principal| &principal.object_id);
    let kind = principal.map_or("ServicePrincipal", Principal::kind);
    let condition = if role.condition().is_some() {
        " --condition \"$(cat infra/roles/07-condition.txt)\" --condition-version 2.0"
    } else {
        ""
    };
    format!(
        "az role assignment create --assignee-object-id {id} --assignee-principal-type {kind} --role \"{name}\" --scope {scope}{condition}"
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
