//! Whether names agree: settings with what Keymend reads, queues and containers with the functions that use them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::bicep::Bicep;
use super::{bicep, root};

/// Settings that Flex Consumption refuses, or that would pin the app to another package.
const NOT_ON_FLEX: [&str; 6] = [
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_EXTENSION_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTSHARE",
    "linuxFxVersion",
];

fn app() -> Bicep {
    bicep("infra/modules/function-app.bicep")
}

/// The app's settings by name.
fn settings() -> BTreeSet<String> {
    let app = app();
    let table = app.variable("settings").expect("the table of settings");
    app.properties(table).into_iter().map(|(name, _)| name).collect()
}

/// All files below a folder whose name ends so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .flat_map(|path| {
            if path.is_dir() {
                files(&path, ending)
            } else {
                vec![path].into_iter().filter(|path| path.to_string_lossy().ends_with(ending)).collect()
            }
        })
        .collect()
}

/// Everything under src, as one text.
fn source() -> String {
    files(&root().join("src"), ".rs").iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

/// Says so where nothing reads a name of the storage yet.
fn later(source: &str, setting: &str) -> bool {
    let later = ["KEYMEND_JOBS_QUEUE", "KEYMEND_CONTAINER"].contains(&setting) && !source.contains(setting);
    if later {
        eprintln!("SKIPPED: nothing in src reads {setting} yet");
    }
    later
}

/// The folders with a `function.json`: at the root of the project or in one folder of it.
fn functions() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root()) else { return Vec::new() };
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir());
    let skipped = ["target", "src", "tests", "docs", "infra", "scripts"];
    folders
        .filter(|path| !skipped.iter().any(|name| path.ends_with(name)))
        .filter(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')))
        .flat_map(|path| files(&path, "function.json"))
        .collect()
}

#[test]
fn keymend_knows_every_setting_that_is_its_own() {
    let source = source();
    for name in settings().iter().filter(|name| name.starts_with("KEYMEND_")) {
        if later(&source, name) {
            continue;
        }
        assert!(source.contains(&format!("\"{name}\"")), "nothing in src reads {name}");
    }
}

#[test]
fn the_app_gets_what_it_cannot_do_without() {
    let settings = settings();
    for name in [
        "AzureWebJobsStorage__accountName",
        "AzureWebJobsStorage__credential",
        "AzureWebJobsStorage__clientId",
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        "KEYMEND_STORE",
        "KEYMEND_JOBS_QUEUE",
        "KEYMEND_CONTAINER",
        "KEYMEND_CLIENT_ID",
        "KEYMEND_SUBSCRIPTIONS",
        "KEYMEND_RESOURCES",
        "KEYMEND_EXCEPT",
        "KEYMEND_PRESET",
    ] {
        assert!(settings.contains(name), "the app gets no {name}");
    }
    assert!(!settings.contains("AzureWebJobsStorage"), "storage is reached by identity, not by a key");
}

#[test]
fn nothing_on_flex_consumption_wipes_the_package() {
    let app = app();
    for name in NOT_ON_FLEX {
        assert!(!app.source().contains(name), "{name} does not belong on Flex Consumption");
    }
    let resources = app.resources();
    let site = resources.iter().find(|resource| resource.symbol == "app").and_then(|site| site.body).expect("the app");
    let runtime = app.at(site, &["properties", "functionAppConfig", "runtime", "name"]).map(|name| app.literal(name));
    assert_eq!(runtime.as_deref(), Some("custom"));
    let main = bicep("infra/main.bicep");
    let version = main.parameters().into_iter().find(|parameter| parameter.name == "runtimeVersion");
    assert!(version.is_some_and(|version| !version.has_default), "the runtime's version must not be guessed");
}

#[test]
fn keymend_never_repairs_what_is_its_own() {
    let main = bicep("infra/main.bicep");
    let modules = main.modules();
    let app = modules.iter().find(|module| module.symbol == "app").and_then(|module| module.body).expect("the app");
    let exceptions = main.at(app, &["params", "exceptions"]).map(|value| main.text(value)).unwrap_or_default();
    assert!(exceptions.contains("home.id"), "its own resource group is not left out: {exceptions}");
    let secrets = modules.iter().find(|module| module.symbol == "secrets").and_then(|module| module.body);
    let scope = secrets.and_then(|body| main.at(body, &["scope"])).map(|scope| main.text(scope));
    assert_eq!(scope, Some("home"), "the vault with its secrets is not in that group");
}

#[test]
fn queues_and_container_are_the_ones_that_keymend_uses() {
    let storage = bicep("infra/modules/storage.bicep");
    let source = source();
    for (parameter, default, setting) in
        [("jobsQueue", "keymend-jobs", "KEYMEND_JOBS_QUEUE"), ("stateContainer", "keymend", "KEYMEND_CONTAINER")]
    {
        if later(&source, setting) {
            continue;
        }
        assert!(storage.source().contains(&format!("param {parameter} string = '{default}'")), "{parameter}");
        assert!(source.contains(&format!("\"{default}\"")), "nothing in src uses {default}, {setting}'s default");
    }
    assert!(storage.source().contains("name: '${jobsQueue}-poison'"));
}

#[test]
fn functions_use_what_is_made_for_them() {
    let functions = functions();
    if functions.is_empty() {
        eprintln!("SKIPPED: no function.json is there");
        return;
    }
    let settings = settings();
    let mut names = BTreeSet::new();
    for path in &functions {
        let text = std::fs::read_to_string(path).expect("a function.json can be read");
        for setting in text.split('%').skip(1).step_by(2) {
            assert!(settings.contains(setting), "{}: no app setting {setting}", path.display());
        }
        let function: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for binding in function["bindings"].as_array().expect("bindings") {
            if let Some(connection) = binding["connection"].as_str() {
                assert!(settings.contains(&format!("{connection}__accountName")), "{}: {connection}", path.display());
            }
        }
        let folder = path.parent().and_then(|folder| folder.file_name()).unwrap_or_default();
        names.insert(folder.to_string_lossy().into_owned());
    }
    // What main.bicep rings: the route of one function and the name of another.
    let main = bicep("infra/main.bicep");
    assert!(main.source().contains("/functions/events'") && names.contains("events"), "{names:?}");
    assert!(main.source().contains("/api/alerts") && names.contains("alerts"), "{names:?}");
}

#[test]
fn no_output_gives_a_secret_away() {
    for file in super::bicep_files() {
        for name in file.outputs() {
            let value = file.output_value(&name).to_ascii_lowercase();
            let secret = ["listkeys", "code=", "accountkey", "password", "sharedkey"];
            assert!(!secret.iter().any(|word| value.contains(word)), "{}: {name}", file.path.display());
        }
        for parameter in file.parameters().iter().filter(|parameter| parameter.name.ends_with("Address")) {
            let secure = parameter.decorators.iter().any(|decorator| decorator == "secure");
            assert!(secure, "{}: `{}` holds a key and is not @secure()", file.path.display(), parameter.name);
        }
    }
}
