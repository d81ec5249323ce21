//! Which operations the alert rules of a subscription ring for.

use crate::azure::alert_rules::{AlertRule, Leaf};
use crate::azure::own_rights::reaches;
use crate::doctor::report::Fix;
use crate::domain::resource_id::ResourceId;

/// The operation behind which the TDE events of a database hide.
pub const LOSS: &str = "Microsoft.Sql/servers/databases/write";

/// Operations that take a key away, or are the step before: the warning that comes in time.
pub const CAUSES: [&str; 12] = [
    "Microsoft.KeyVault/vaults/delete",
    "Microsoft.KeyVault/locations/deletedVaults/purge/action",
    "Microsoft.KeyVault/vaults/write",
    "Microsoft.KeyVault/vaults/accessPolicies/write",
    "Microsoft.Authorization/roleAssignments/delete",
    "Microsoft.Authorization/roleAssignments/write",
    "Microsoft.Authorization/locks/delete",
    "Microsoft.Sql/servers/write",
    "Microsoft.Sql/servers/encryptionProtector/write",
    "Microsoft.Sql/servers/keys/write",
    "Microsoft.Sql/servers/keys/delete",
    "Microsoft.ManagedIdentity/userAssignedIdentities/delete",
];

/// How operations are watched.
#[derive(Debug)]
pub struct Watched<'a> {
    /// Those that no rule rings for.
    pub missing: Vec<&'static str>,
    /// Rules that ring for any of them.
    pub by: Vec<&'a AlertRule>,
    /// Why rules that name one of the missing ones do not count.
    pub narrowed: Vec<String>,
}

impl Watched<'_> {
    /// The rules' names.
    pub fn names(&self) -> String {
        self.by.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// Which of `operations` the rules ring for, everywhere in `roots`: what the scope names in a subscription.
pub fn watched<'a>(rules: &'a [AlertRule], roots: &[ResourceId], operations: &[&'static str]) -> Watched<'a> {
    let mut found = Watched { missing: Vec::new(), by: Vec::new(), narrowed: Vec::new() };
    for operation in operations {
        let mut open = places(roots, operation);
        let mut narrowed = Vec::new();
        for rule in rules {
            match rings(rule, operation) {
                Rings::Yes => {
                    let before = open.len();
                    open.retain(|place| !rule.scopes.iter().any(|scope| reaches(scope, place)));
                    if open.len() == before {
                        narrowed.push(format!("rule {} is about other places", rule.name));
                    } else if !found.by.iter().any(|known| known.name == rule.name) {
                        found.by.push(rule);
                    }
                }
                Rings::Narrowed(why) => narrowed.push(format!("rule {} {why}", rule.name)),
                Rings::No => {}
            }
        }
        if !open.is_empty() {
            found.missing.push(operation);
            found.narrowed.extend(narrowed);
        }
    }
    found
}

/// Where an operation must be heard. What was deleted lies in no resource group any more.
fn places(roots: &[ResourceId], operation: &str) -> Vec<ResourceId> {
    if !operation.contains("/deletedVaults/") {
        return roots.to_vec();
    }
    let mut subscriptions: Vec<ResourceId> = roots.iter().filter_map(|root| root.ancestor("/subscriptions/")).collect();
    subscriptions.dedup();
    subscriptions
}

enum Rings {
    Yes,
    /// It names the operation, and something keeps it from ringing always.
    Narrowed(String),
    No,
}

fn rings(rule: &AlertRule, operation: &str) -> Rings {
    let met = |any: &Vec<Leaf>| any.iter().map(|leaf| meets(leaf, operation)).max().unwrap_or(Met::No);
    let met: Vec<Met> = rule.all_of.iter().map(met).collect();
    if met.contains(&Met::No) {
        return Rings::No;
    }
    if !rule.enabled {
        return Rings::Narrowed("is off".to_owned());
    }
    match rule.all_of.iter().zip(&met).find(|(_, met)| **met == Met::Sometimes) {
        Some((clause, _)) => {
            let field = clause.first().map_or("", |leaf| leaf.field.as_str());
            Rings::Narrowed(format!("rings only for some values of {field}"))
        }
        None => Rings::Yes,
    }
}

/// Whether an event of an operation meets a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    No,
    Sometimes,
    Always,
}

fn meets(leaf: &Leaf, operation: &str) -> Met {
    let is = |wanted: &str| leaf.values.iter().any(|value| value.trim().eq_ignore_ascii_case(wanted));
    let certain = |met: bool| if met { Met::Always } else { Met::No };
    let kind = operation.rsplit_once('/').map_or(operation, |(kind, _)| kind.trim_end_matches("/purge"));
    match leaf.field.as_str() {
        "category" => certain(is("Administrative")),
        "operationname" => certain(is(operation)),
        "resourceprovider" => certain(is(operation.split('/').next().unwrap_or_default())),
        "resourcetype" => certain(is(kind)),
        // Nothing is caused by what did not succeed. The loss is told by events of every status: the worst of them
        // succeeded, the first one has only started.
        "status" if operation == LOSS => Met::Sometimes,
        "status" => certain(is("Succeeded")),
        // A change that a person makes and TDE's own events are informational.
        "level" if is("Informational") => Met::Always,
        _ => Met::Sometimes,
    }
}

/// Rules for what is missing: one each, since a condition of the command line knows no "or".
pub fn create(missing: &[&str], subscription: &str, group: Option<&ResourceId>) -> Fix {
    let (id, resource_group) = match group {
        Some(group) => (group.to_string(), group.resource_group().unwrap_or_default().to_owned()),
        None => ("<action group's id>".to_owned(), "<resource group>".to_owned()),
    };
    let rule = |name: &str, operation: &str| {
        format!(
            "az monitor activity-log alert create --subscription {subscription} --resource-group {resource_group} \
             --name {name} --scope /subscriptions/{subscription} --action-group {id} \
             --condition category=Administrative and operationName={operation}"
        )
    };
    let name = |operation: &str| {
        format!("keymend-{}", operation.to_ascii_lowercase().replace('/', "-").replace("microsoft.", ""))
    };
    let run = match missing {
        [one] => rule(&name(one), one),
        _ => format!("for op in {}\ndo {}\ndone", missing.join(" "), rule("keymend-$(echo $op | tr / -)", "$op")),
    };
    let what = if group.is_some() {
        "Have Azure ring for it (or deploy infra/, which makes one rule of them all)".to_owned()
    } else {
        "Make an action group and the rules: docs/alerts-setup.md tells how; infra/ deploys them".to_owned()
    };
    Fix::command(what, run)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUB: &str = "11111111-2222-3333-4444-555555555555";

    fn leaf(field: &str, value: &str) -> Vec<Leaf> {
        vec![Leaf { field: field.to_ascii_lowercase(), values: vec![value.to_owned()] }]
    }

    fn rule(all_of: Vec<Vec<Leaf>>) -> AlertRule {
        let scopes = vec![format!("/SUBSCRIPTIONS/{SUB}/")];
        AlertRule { name: "r".to_owned(), enabled: true, scopes, all_of, action_groups: Vec::new() }
    }

    fn root(below: &str) -> ResourceId {
        ResourceId::parse(&format!("/subscriptions/{SUB}{below}")).unwrap()
    }

    fn misses(rule: AlertRule, operation: &'static str) -> bool {
        !watched(&[rule], &[root("")], &[operation]).missing.is_empty()
    }

    #[test]
    fn rules_for_groups_are_enough_where_groups_are_in_scope() {
        let about = |groups: &[&str]| AlertRule {
            scopes: groups.iter().map(|group| root(&format!("/resourceGroups/{group}")).to_string()).collect(),
            ..rule(vec![leaf("category", "Administrative")])
        };
        let roots = [root("/resourceGroups/rg-a"), root("/resourceGroups/rg-b")];
        let missing = |rules: &[AlertRule], operation| !watched(rules, &roots, &[operation]).missing.is_empty();
        assert!(missing(&[about(&["rg-a"])], LOSS));
        assert!(!missing(&[about(&["rg-a"]), about(&["RG-B"])], LOSS), "two rules together");
        assert!(missing(&[about(&["rg-a", "rg-b"])], CAUSES[1]), "a purge is not below any group");
        assert!(!missing(&[rule(vec![leaf("category", "Administrative")])], CAUSES[1]));
    }

    #[test]
    fn every_operation_is_one_that_is_read() {
        let read: Vec<String> = crate::domain::signal::watched_operations().collect();
        assert!(CAUSES.iter().chain([&LOSS]).all(|operation| read.iter().any(|known| known == operation)));
    }

    #[test]
    fn a_rule_rings_for_what_all_its_conditions_let_through() {
        let administrative = || leaf("category", "administrative");
        assert!(!misses(rule(vec![administrative()]), LOSS), "a rule for everything administrative rings");
        assert!(!misses(rule(vec![leaf("operationName", LOSS)]), LOSS));
        assert!(misses(rule(vec![leaf("category", "ResourceHealth")]), LOSS));
        assert!(misses(rule(vec![administrative(), leaf("operationName", CAUSES[0])]), LOSS));
        assert!(misses(AlertRule { enabled: false, ..rule(vec![administrative()]) }, LOSS));
        assert!(misses(
            AlertRule { scopes: vec!["/subscriptions/other".to_owned()], ..rule(vec![administrative()]) },
            LOSS
        ));
        assert!(!misses(rule(vec![leaf("resourceProvider", "microsoft.sql")]), LOSS));
        assert!(misses(rule(vec![leaf("caller", "ann@contoso.example")]), LOSS), "only for some callers");
    }

    #[test]
    fn the_loss_has_no_one_status_and_no_warning_level() {
        assert!(misses(rule(vec![leaf("status", "Succeeded")]), LOSS));
        assert!(!misses(rule(vec![leaf("status", "Succeeded")]), CAUSES[0]));
        assert!(misses(rule(vec![leaf("status", "Started")]), CAUSES[0]));
        assert!(misses(rule(vec![leaf("level", "Warning")]), LOSS));
        assert!(!misses(rule(vec![leaf("level", "Informational")]), LOSS));
    }

    #[test]
    fn why_a_rule_does_not_count_is_told() {
        let narrow = rule(vec![leaf("operationName", LOSS), leaf("status", "Succeeded")]);
        let rules = [narrow];
        assert_eq!(watched(&rules, &[root("")], &[LOSS]).narrowed, ["rule r rings only for some values of status"]);
    }
}
