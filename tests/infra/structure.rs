//! Whether the files hold together: names, modules, parameters, types. Bicep's own compiler is not needed for that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::bicep::Bicep;
use super::shapes::Shapes;
use super::{bicep, bicep_files, json, root};

/// What is wrong with a file, read beside the modules that it names.
fn wrong_with(file: &Bicep) -> Vec<String> {
    let mut wrong = file.syntax_errors();
    wrong.extend(file.unresolved());
    wrong.extend(wrong_resources(file));
    wrong.extend(wrong_modules(file));
    wrong
}

fn wrong_resources(file: &Bicep) -> Vec<String> {
    let mut wrong = Vec::new();
    for resource in file.resources() {
        let version = resource.what.split_once('@').map(|(_, version)| version).unwrap_or_default();
        let date = version.get(..10).unwrap_or_default();
        if date.parse::<jiff::civil::Date>().is_err() || !["", "-preview"].contains(&&version[date.len()..]) {
            wrong.push(format!("{}: `{}` has no api version", file.path.display(), resource.symbol));
        }
        if resource.body.is_none() {
            wrong.push(format!("{}: `{}` has no body", file.path.display(), resource.symbol));
        }
    }
    wrong
}

fn wrong_modules(file: &Bicep) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut outputs = BTreeMap::new();
    for module in file.modules() {
        let path = file.path.parent().unwrap_or(Path::new("")).join(&module.what);
        if !path.is_file() {
            wrong.push(format!("{}: there is no module {}", file.path.display(), module.what));
            continue;
        }
        let target = Bicep::read(&path);
        outputs.insert(module.symbol.clone(), target.outputs());
        let Some(body) = module.body else {
            wrong.push(format!("{}: module `{}` has no body", file.path.display(), module.symbol));
            continue;
        };
        let given: BTreeSet<String> = file
            .at(body, &["params"])
            .map(|params| file.properties(params).into_iter().map(|(name, _)| name).collect())
            .unwrap_or_default();
        let known: BTreeSet<String> = target.parameters().into_iter().map(|parameter| parameter.name).collect();
        let needed: BTreeSet<String> = target
            .parameters()
            .into_iter()
            .filter(|parameter| !parameter.has_default)
            .map(|parameter| parameter.name)
            .collect();
        let place = file.place(body);
        wrong.extend(given.difference(&known).map(|name| format!("{place}: {} takes no `{name}`", module.what)));
        wrong.extend(needed.difference(&given).map(|name| format!("{place}: {} needs `{name}`", module.what)));
        let scope = file.at(body, &["scope"]).map(|scope| file.text(scope).to_owned()).unwrap_or_default();
        if (target.target_scope() == "subscription") != scope.starts_with("subscription(") {
            wrong.push(format!("{place}: {} is for a {}", module.what, target.target_scope()));
        }
    }
    for (place, symbol, name) in file.outputs_read() {
        if !outputs.get(&symbol).is_some_and(|names| names.contains(&name)) {
            wrong.push(format!("{place}: `{symbol}` puts out no `{name}`"));
        }
    }
    wrong
}

#[test]
fn every_file_is_understood_and_fits_the_others() {
    let files = bicep_files();
    assert!(files.len() >= 14, "only {} files were found", files.len());
    let wrong: Vec<String> = files.iter().flat_map(wrong_with).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_is_used() {
    let used: BTreeSet<String> = bicep_files()
        .iter()
        .flat_map(|file| file.modules().into_iter().map(|module| module.what).collect::<Vec<_>>())
        .filter_map(|path| path.rsplit('/').next().map(str::to_owned))
        .collect();
    for file in bicep_files().iter().filter(|file| file.path.parent().is_some_and(|folder| folder.ends_with("modules")))
    {
        let name = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        assert!(used.contains(name), "nothing uses {name}");
    }
}

#[test]
fn every_parameter_and_output_tells_what_it_is() {
    for file in bicep_files() {
        for parameter in file.parameters() {
            let said = parameter.decorators.iter().any(|decorator| decorator == "description");
            assert!(said, "{}: `{}` is not described", file.path.display(), parameter.name);
        }
    }
}

#[test]
fn the_parameter_file_gives_what_the_template_takes() {
    let main = bicep("infra/main.bicep");
    let given = json("infra/main.parameters.json");
    let given: BTreeSet<&str> =
        given["parameters"].as_object().expect("an object").keys().map(String::as_str).collect();
    let parameters = main.parameters();
    let known: BTreeSet<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    assert!(given.is_subset(&known), "unknown: {:?}", given.difference(&known).collect::<Vec<_>>());
    for parameter in parameters.iter().filter(|parameter| !parameter.has_default) {
        assert!(given.contains(parameter.name.as_str()), "nothing gives `{}`", parameter.name);
    }
}

#[test]
fn one_type_is_used_in_one_version() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in bicep_files() {
        for resource in file.resources() {
            if let Some((kind, version)) = resource.what.split_once('@') {
                versions.entry(kind.to_ascii_lowercase()).or_default().insert(version.to_owned());
            }
        }
    }
    for (kind, versions) in versions {
        assert_eq!(versions.len(), 1, "{kind} is used in {versions:?}");
    }
}

/// The published types that are at hand, one document a provider.
fn published() -> Vec<Shapes> {
    let folder = root().join("../shared/openapi/bicep-types-az");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: {} is not there", folder.display());
        return Vec::new();
    };
    entries
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
        .map(|markdown| Shapes::read(&markdown))
        .collect()
}

fn against_published(file: &Bicep, published: &[Shapes], compared: &mut usize) -> Vec<String> {
    let mut wrong = Vec::new();
    for resource in file.resources() {
        let (Some(shapes), Some(body)) =
            (published.iter().find(|shapes| shapes.knows_provider(&resource.what)), resource.body)
        else {
            continue;
        };
        *compared += 1;
        if !resource.existing {
            wrong.extend(shapes.wrong(file, &resource.what, body));
        }
    }
    wrong
}

#[test]
fn resources_are_as_azure_publishes_them() {
    let published = published();
    if published.is_empty() {
        return;
    }
    let mut compared = 0;
    let wrong: Vec<String> =
        bicep_files().iter().flat_map(|file| against_published(file, &published, &mut compared)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared >= 2, "only {compared} resources are of a published provider");
}

/// Puts a mistake into a copy of a file and tells what was found in it.
fn planted(path: &str, right: &str, mistake: &str) -> String {
    let path = root().join(path);
    let source = std::fs::read_to_string(&path).expect("the file is there");
    assert!(source.contains(right), "{right} is no longer in {}", path.display());
    wrong_with(&Bicep::parse(&path, source.replacen(right, mistake, 1))).join("\n")
}

#[test]
fn planted_mistakes_are_found() {
    let main = "infra/main.bicep";
    for (right, mistake, found) in [
        ("param dryRun bool", "param dryRun = = bool", "not understood"),
        ("    dryRun: dryRun\n", "    dryRun: dryrun\n", "nothing declares `dryrun`"),
        ("    dryRun: dryRun\n", "", "needs `dryRun`"),
        ("    dryRun: dryRun\n", "    dryRun: dryRun\n    wetRun: dryRun\n", "takes no `wetRun`"),
        ("'modules/secrets.bicep'", "'modules/secret.bicep'", "there is no module"),
        ("secrets.outputs.uri", "secrets.outputs.url", "puts out no `url`"),
        ("uniqueString(subscription().id", "uniqString(subscription().id", "no function `uniqString`"),
        ("resourceGroups@2024-11-01", "resourceGroups", "has no api version"),
        (
            "scope: resourceGroup(target.subscriptionId, target.name)",
            "scope: subscription(target.subscriptionId)",
            "is for a",
        ),
    ] {
        let said = planted(main, right, mistake);
        assert!(said.contains(found), "`{mistake}` was taken; found only: {said}");
    }
}

#[test]
fn planted_properties_are_found() {
    let published = published();
    if published.is_empty() {
        return;
    }
    let path = root().join("infra/modules/secrets.bicep");
    let source = std::fs::read_to_string(&path).expect("the file is there");
    for (right, mistake, found) in [
        ("enableRbacAuthorization", "enableRbacAuthorisation", "no property `enableRbacAuthorisation`"),
        ("vaults@2026-02-01", "vaults@2026-02-02", "there is no"),
        ("      defaultAction: 'Allow'", "      defaultActions: 'Allow'", "no property `defaultActions`"),
        ("    tenantId: subscription().tenantId\n", "", "needs `tenantId`"),
    ] {
        assert!(source.contains(right), "{right} is no longer there");
        let file = Bicep::parse(&path, source.replacen(right, mistake, 1));
        let said = against_published(&file, &published, &mut 0).join("\n");
        assert!(said.contains(found), "`{mistake}` was taken; found only: {said}");
    }
}
