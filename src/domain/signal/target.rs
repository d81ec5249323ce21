//! Which resource a body is about, out of the several places that may say so.

use crate::domain::resource_id::ResourceId;

/// What the target of an operation must be or lie below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A logical server, managed instance or Synapse workspace.
    Sql,
    /// A key vault or managed HSM, deleted or not.
    Vault,
    /// A user-assigned identity.
    Identity,
    /// What a role assignment or lock lies on: a subscription, a resource group, or a resource that we look after.
    Scope,
    /// Anything whose health concerns us.
    Watched,
}

impl Wanted {
    /// The words for a reason that people see.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Sql => "SQL server or managed instance",
            Self::Vault => "key vault",
            Self::Identity => "user-assigned identity",
            Self::Scope => "subscription, resource group, key vault or SQL server",
            Self::Watched => "SQL server, managed instance or key vault",
        }
    }

    fn fits(self, id: &ResourceId) -> bool {
        let sql = || id.database_host().is_some();
        let vault = || {
            let kind = id.resource_type();
            id.key_vault().is_some()
                || [
                    "microsoft.keyvault/managedhsms",
                    "microsoft.keyvault/locations/deleted",
                    "microsoft.keyvault/deleted",
                ]
                .iter()
                .any(|prefix| kind.starts_with(prefix))
        };
        match self {
            Self::Sql => sql(),
            Self::Vault => vault(),
            Self::Identity => id.resource_type() == "microsoft.managedidentity/userassignedidentities",
            Self::Watched => sql() || vault(),
            Self::Scope => sql() || vault() || is_subscription_or_group(id),
        }
    }
}

fn is_subscription_or_group(id: &ResourceId) -> bool {
    match id.key().matches('/').count() {
        2 => true,
        4 => id.resource_group().is_some(),
        _ => false,
    }
}

/// What was found among the candidates.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// These resources, at least one.
    Targets(Vec<ResourceId>),
    /// Ids, and none of the wanted kind.
    Unfit,
    /// No well-formed id.
    Nothing,
}

/// Chooses the targets: all of `told` that fit; else the first of `others` that fits. Of two spellings of one id the
/// better-cased is kept, because alerts lower-case ids and storage records upper-case them.
pub(super) fn choose(told: &[String], others: &[String], wanted: Wanted) -> Found {
    let names = (told, others);
    let read = |texts: &[String]| -> Vec<ResourceId> { texts.iter().filter_map(|text| id_in(text, wanted)).collect() };
    let (told, others) = (read(told), read(others));
    let mut targets: Vec<ResourceId> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for id in told.iter().filter(|id| wanted.fits(id)) {
        if seen.insert(id.key()) {
            targets.push(id.clone());
        }
    }
    if targets.is_empty() {
        targets.extend(others.iter().find(|id| wanted.fits(id)).cloned());
    }
    if targets.is_empty() {
        let nothing = told.is_empty() && others.is_empty();
        let foreign = || names.0.iter().chain(names.1).any(|text| is_of_another_provider(text));
        return if nothing && !foreign() { Found::Nothing } else { Found::Unfit };
    }
    if wanted == Wanted::Scope {
        // A rule may name the subscription it watches, while the event itself says what the assignment lies on.
        for target in targets.iter_mut().filter(|target| is_subscription_or_group(target)) {
            if let Some(inner) = others.iter().find(|id| wanted.fits(id) && target.contains(id)) {
                *target = inner.clone();
            }
        }
    }
    for target in &mut targets {
        for other in &others {
            if other == target && casing(other) > casing(target) {
                *target = other.clone();
            }
        }
    }
    Found::Targets(targets)
}

/// How much of Azure's own casing a spelling has kept.
fn casing(id: &ResourceId) -> usize {
    let text = id.as_str();
    usize::from(text.contains("/resourceGroups/"))
        + usize::from(text.contains("/Microsoft."))
        + usize::from(text.bytes().any(|c| c.is_ascii_lowercase()))
}

/// Reads an id, whether it stands alone, in a URL, or with the tail that the Activity Log adds for an event. Where the
/// whole is no valid id (a database may be called almost anything), the server or vault above it is taken.
fn id_in(text: &str, wanted: Wanted) -> Option<ResourceId> {
    let text = text.trim();
    let path = match text.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => text,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = without_event(path).0;
    let path = if wanted == Wanted::Scope { scope_of(path) } else { path };
    let rooted = path.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("subscriptions/"));
    let path = if rooted { format!("/{path}") } else { path.to_owned() };
    ResourceId::parse(&path).or_else(|_| ResourceId::parse(known_ancestor(&path))).ok()
}

/// Whether a text, valid id or not, is the id of something that no signal is ever about.
fn is_of_another_provider(text: &str) -> bool {
    const OURS: [&str; 4] =
        ["microsoft.sql", "microsoft.keyvault", "microsoft.managedidentity", "microsoft.authorization"];
    let lower = text.trim().to_ascii_lowercase();
    let provider = lower.split("/providers/").nth(1).and_then(|rest| rest.split('/').next());
    lower.starts_with("/subscriptions/") && provider.is_some_and(|provider| !OURS.contains(&provider))
}

/// Splits off the `/events/{eventDataId}/ticks/{n}` that ends the id of a REST event; answers the resource and the id.
pub(super) fn without_event(path: &str) -> (&str, Option<&str>) {
    let last = |path: &str, marker: &str| {
        let here = |at: &usize| {
            path.as_bytes()[*at..].get(..marker.len()).is_some_and(|part| part.eq_ignore_ascii_case(marker.as_bytes()))
        };
        memchr::memrchr_iter(b'/', path.as_bytes()).find(here)
    };
    let split = || {
        let ticks = last(path, "/ticks/")?;
        let events = last(&path[..ticks], "/events/")?;
        Some((&path[..events], Some(&path[events + "/events/".len()..ticks])))
    };
    split().unwrap_or((path, None))
}

/// What a role assignment or lock lies on: everything before the `Microsoft.Authorization` that ends the id.
fn scope_of(path: &str) -> &str {
    let lower = path.to_ascii_lowercase();
    lower.rfind("/providers/microsoft.authorization").map_or(path, |end| &path[..end])
}

/// The part of a path that ends with a server, instance or vault; nothing if there is none.
fn known_ancestor(path: &str) -> &str {
    const ABOVE: [&str; 3] = [
        "/providers/microsoft.sql/servers/",
        "/providers/microsoft.sql/managedinstances/",
        "/providers/microsoft.keyvault/vaults/",
    ];
    let lower = path.to_ascii_lowercase();
    let start = ABOVE.iter().find_map(|marker| Some(lower.find(marker)? + marker.len()));
    start.map_or("", |start| &path[..path[start..].find('/').map_or(path.len(), |n| start + n)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "/subscriptions/s1/resourceGroups/RG-Data/providers/Microsoft.Sql/servers/Contoso";
    const VAULT: &str = "/subscriptions/s1/resourceGroups/RG-Keys/providers/Microsoft.KeyVault/vaults/Contoso-KV";

    fn chosen(told: &[&str], others: &[&str], wanted: Wanted) -> Vec<String> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        match choose(&own(told), &own(others), wanted) {
            Found::Targets(targets) => targets.iter().map(ToString::to_string).collect(),
            Found::Unfit => vec!["unfit".to_owned()],
            Found::Nothing => vec![],
        }
    }

    #[test]
    fn the_better_cased_of_two_equal_ids_is_kept() {
        assert_eq!(chosen(&[&SERVER.to_lowercase()], &[SERVER], Wanted::Sql), [SERVER]);
        assert_eq!(chosen(&[&SERVER.to_lowercase()], &[&SERVER.to_uppercase()], Wanted::Sql), [SERVER.to_lowercase()]);
        assert_eq!(chosen(&[&SERVER.to_uppercase()], &[&SERVER.to_lowercase()], Wanted::Sql), [SERVER.to_lowercase()]);
    }

    #[test]
    fn a_database_of_any_name_still_names_its_server() {
        for name in ["my orders", "50%", "a+b;c", &"x".repeat(3000)] {
            assert_eq!(chosen(&[&format!("{SERVER}/databases/{name}")], &[], Wanted::Sql), [SERVER], "{name}");
        }
    }

    #[test]
    fn the_scope_is_what_an_assignment_lies_on() {
        let on = |scope: &str| {
            chosen(&[&format!("{scope}/providers/Microsoft.Authorization/roleAssignments/x")], &[], Wanted::Scope)
        };
        for scope in [VAULT, SERVER, "/subscriptions/s1", "/subscriptions/s1/resourceGroups/RG-Keys"] {
            assert_eq!(on(scope), [scope]);
        }
        assert_eq!(on(&format!("{VAULT}/keys/tde")), [format!("{VAULT}/keys/tde")]);
        assert_eq!(on("/subscriptions/s1/resourceGroups/r/providers/Microsoft.Compute/virtualMachines/vm"), ["unfit"]);
        assert_eq!(on("/providers/Microsoft.Management/managementGroups/mg"), Vec::<String>::new());
    }

    #[test]
    fn urls_and_event_ids_are_reduced_to_the_resource() {
        for text in [
            format!("https://management.azure.com{SERVER}?api-version=2025-01-01"),
            format!("{SERVER}/events/e1/ticks/638"),
            SERVER.trim_start_matches('/').to_owned(),
            format!(" {SERVER}/ "),
        ] {
            assert_eq!(chosen(&[], &[&text], Wanted::Sql), [SERVER], "{text}");
        }
    }

    #[test]
    fn nothing_usable_is_told_apart_from_nothing_wanted() {
        assert_eq!(choose(&["<id>".to_owned()], &[String::new()], Wanted::Sql), Found::Nothing);
        assert_eq!(choose(&[VAULT.to_owned()], &[], Wanted::Sql), Found::Unfit);
    }
}
