//! Whether the rights that are given are the least that will do.

use keymend::domain::policy::{Mode, Preset};
use keymend::domain::remedy::{CRYPTO_SERVICE_ENCRYPTION_USER, Remedy};
use keymend::domain::rights::needed;
use serde_json::Value;

use super::{bicep, json, root, text};

const PRESETS: [(&str, Preset); 3] =
    [("observe", Preset::Observe), ("guarded", Preset::Guarded), ("auto", Preset::Auto)];

/// The one action with a star: where changes of Azure SQL report their progress.
const PROGRESS: &str = "Microsoft.Sql/locations/*/read";

/// The roles that a remedy needs, by file.
fn roles_for(remedy: Remedy) -> Vec<String> {
    let stem = |path: &str| path.trim_start_matches("infra/roles/").trim_end_matches(".json").to_owned();
    needed(remedy).iter().map(|right| stem(right.role.file())).collect()
}

fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().expect("a list");
    list.iter().map(|name| name.as_str().expect("a text").to_owned()).collect()
}

fn roles_of(preset: &str) -> Vec<String> {
    strings(&json("infra/roles/presets.json")[preset])
}

/// The names of all role files, without `.json`.
fn role_files() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("infra/roles")).expect("the roles are there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a folder can be listed").file_name().to_string_lossy().into_owned())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .filter(|name| name != "presets")
        .collect();
    names.sort();
    names
}

fn actions(role: &str, kind: &str) -> Vec<String> {
    strings(&json(&format!("infra/roles/{role}.json"))[kind])
}

#[test]
fn observing_gives_nothing_but_reading() {
    for role in roles_of("observe") {
        for action in actions(&role, "Actions") {
            assert!(action.ends_with("/read"), "{role} under observe: {action}");
        }
        assert!(actions(&role, "DataActions").is_empty(), "{role} under observe reaches data");
    }
    let main = bicep("infra/main.bicep");
    assert!(
        main.source().contains("!empty(role) && preset != 'observe'"),
        "additional roles must not be given under observe"
    );
}

#[test]
fn each_preset_gives_what_it_does_by_itself_or_once_approved() {
    for (name, preset) in PRESETS {
        let given = roles_of(name);
        for remedy in Remedy::ALL.into_iter().filter(|remedy| preset.mode(*remedy) != Mode::Off) {
            for role in roles_for(remedy) {
                assert!(given.contains(&role), "{name} does {remedy:?} and lacks {role}");
            }
        }
        assert!(given.iter().any(|given| given == "01-responder-probe"), "{name} cannot diagnose");
    }
}

#[test]
fn presets_templates_and_files_name_the_same_roles() {
    let files = role_files();
    for (name, _) in PRESETS {
        for role in roles_of(name) {
            assert!(files.contains(&role), "{name} gives {role}, which is no file");
        }
    }
    let presets = json("infra/roles/presets.json");
    assert_eq!(presets.as_object().map(serde_json::Map::len), Some(PRESETS.len()));
    let definitions = bicep("infra/modules/role-definitions.bicep");
    let table = definitions.variable("files").expect("the table of files");
    let loaded: Vec<String> = definitions.properties(table).into_iter().map(|(name, _)| name).collect();
    assert_eq!(loaded, files);
    for (name, value) in definitions.properties(table) {
        assert_eq!(definitions.text(value), format!("loadJsonContent('../roles/{name}.json')"));
    }
}

#[test]
fn no_role_has_a_star_or_destroys() {
    for role in role_files() {
        for action in [actions(&role, "Actions"), actions(&role, "DataActions")].concat() {
            assert!(!action.contains('*') || action == PROGRESS, "{role}: {action}");
            let action = format!("{}/", action.to_ascii_lowercase());
            let forbidden =
                ["/delete/", "/purge/", "/locks/write/", "/backup/", "/decrypt/", "/unwrap/", "/sign/", "/create/"];
            assert!(!forbidden.iter().any(|word| action.contains(word)), "{role} may {action}");
        }
        assert!(actions(&role, "NotActions").is_empty(), "{role} is not a plain list");
    }
}

#[test]
fn roles_are_given_only_under_the_condition() {
    let condition = text("infra/roles/07-condition.txt");
    assert!(!condition.contains('#'), "Azure knows no comments in a condition");
    assert_eq!(condition.matches('(').count(), condition.matches(')').count());
    assert_eq!(condition.matches('{').count(), condition.matches('}').count());
    for part in [
        "!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})",
        &format!(":RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{CRYPTO_SERVICE_ENCRYPTION_USER}}}"),
        ":PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {'ServicePrincipal'}",
    ] {
        assert!(condition.contains(part), "the condition lacks {part}");
    }
    for path in ["infra/modules/grant-on-subscription.bicep", "infra/modules/grant-on-resource-group.bicep"] {
        let file = bicep(path);
        let resources = file.resources();
        let body = resources[0].body.expect("an assignment");
        let value = |name| file.at(body, &["properties", name]).map(|value| file.text(value)).unwrap_or_default();
        assert_eq!(value("condition"), "role.file == grantRole ? grantCondition : null", "{path}");
        assert_eq!(value("conditionVersion"), "role.file == grantRole ? '2.0' : null", "{path}");
        let grant = file.variable("grantRole").map(|role| file.literal(role));
        assert_eq!(grant.as_deref(), Some("07-responder-rbac-grant"), "{path}");
    }
    let writes = |role: &String| actions(role, "Actions").iter().any(|action| action.contains("roleAssignments/write"));
    assert_eq!(role_files().into_iter().filter(writes).collect::<Vec<_>>(), ["07-responder-rbac-grant"]);
}

#[test]
fn progress_of_changes_can_be_read_on_the_subscription() {
    let probe = actions("01-responder-probe", "Actions");
    for needed in [PROGRESS, "Microsoft.KeyVault/locations/operationResults/read"] {
        assert!(probe.iter().any(|action| action == needed), "the role that is given on subscriptions lacks {needed}");
    }
}
