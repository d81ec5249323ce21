//! Whether `azd up` finds what it is told to use.

use super::{bicep, root, text};

/// The value of a `key: value` line of azure.yaml.
fn value(key: &str) -> Vec<String> {
    let lines = text("azure.yaml");
    let of = |line: &str| line.trim().strip_prefix(key)?.strip_prefix(": ").map(str::to_owned);
    lines.lines().filter_map(of).collect()
}

#[test]
fn azd_finds_template_hooks_and_app() {
    let module = format!("{}/{}.bicep", value("path")[0], value("module")[0]);
    assert!(root().join(&module).is_file(), "there is no {module}");
    let hooks = value("run");
    assert!(!hooks.is_empty(), "no hook is named");
    for hook in hooks {
        let script = hook.trim_start_matches("sh ");
        assert!(root().join(script).is_file(), "there is no {script}");
    }
    let app = bicep("infra/modules/function-app.bicep");
    assert!(app.source().contains("'azd-service-name': 'keymend'"));
    assert!(text("azure.yaml").contains("services:\n  keymend:\n"), "the tag on the app is its service's name");
}

#[test]
fn the_hook_fills_the_folder_that_azd_zips() {
    let folder = &value("dist")[0];
    assert!(text("scripts/azd-prepackage").contains(&format!("mkdir -p {folder}")));
}

#[test]
fn what_rings_comes_after_the_code() {
    let parameters = text("infra/main.parameters.json");
    assert!(parameters.contains("${KEYMEND_SIGNALS=false}"), "the first deployment must not need the functions");
    assert!(text("scripts/azd-postdeploy").contains("azd env set KEYMEND_SIGNALS true"));
}
