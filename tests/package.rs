//! The zip of the function app: what `scripts/zip-function-app` writes a host can run, and what a host could not run it
//! refuses. With the binary of the tests; `scripts/package` does the same with the one that is deployed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Writes a copy of the zip `argv[1]` as `argv[2]`, with each entry changed by the code in `argv[3]`. In it `e` is the entry,
/// `data` its content; `drop` leaves it out.
const REWRITE: &str = r#"
import sys, warnings, zipfile
warnings.simplefilter("ignore")
source, target, code = sys.argv[1:]
with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
    for e in old.infolist():
        names = {"e": e, "data": old.read(e.filename), "drop": False, "twice": False}
        exec(code, names)
        for _ in range(0 if names["drop"] else 2 if names["twice"] else 1):
            new.writestr(names["e"], names["data"])
"#;

fn script(name: &str) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name));
    command.env("SOURCE_DATE_EPOCH", "1700000000");
    command
}

/// Whether there is a Python; without one nothing here can be run.
fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("SKIPPED: python3 is missing");
    }
    found
}

fn written(folder: &Path, name: &str, binary: &Path, more: &[&str]) -> PathBuf {
    let zip = folder.join(name);
    let output = script("zip-function-app").arg(&zip).arg("--binary").arg(binary).args(more).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    zip
}

/// Something that looks like a Linux program and is small: where nobody runs it.
fn small(folder: &Path) -> PathBuf {
    let path = folder.join("small");
    std::fs::write(&path, [b"\x7fELF".as_slice(), &[7; 5000]].concat()).unwrap();
    path
}

fn python(code: &str, args: &[&str]) -> Output {
    let output = Command::new("python3").args(["-c", code]).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn a_package_starts_from_an_empty_folder_with_nothing_but_the_host_s_environment() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let zip = written(folder.path(), "a.zip", Path::new(env!("CARGO_BIN_EXE_keymend")), &[]);
    let output = script("test-package").arg(&zip).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("first answer"), "{output:?}");
}

#[test]
fn the_same_binary_makes_the_same_package_and_settings_go_in_only_if_they_are_named() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.toml"), "[scope]\n").unwrap();
    let config = folder.path().join("mine.toml");
    let binary = small(folder.path());
    let plain = written(folder.path(), "a.zip", &binary, &[]);
    let again = written(folder.path(), "b.zip", &binary, &[]);
    assert!(std::fs::read(&plain).unwrap() == std::fs::read(again).unwrap(), "two runs, two packages");
    let names = |zip: &Path| {
        let code = "import sys, zipfile; print(' '.join(zipfile.ZipFile(sys.argv[1]).namelist()))";
        String::from_utf8(python(code, &[zip.to_str().unwrap()]).stdout).unwrap().trim().to_owned()
    };
    let functions = "alerts events jobs pages patrol poison";
    let expected: Vec<String> = functions.split(' ').map(|name| format!("{name}/function.json")).collect();
    let plain = names(&plain);
    for name in expected.iter().map(String::as_str).chain(["host.json", "keymend", "LICENSE-MIT", "LICENSE-APACHE"]) {
        assert!(plain.split(' ').any(|own| own == name), "{name} is not in it: {plain}");
    }
    assert!(!plain.contains(".toml"), "{plain}");
    let with = written(folder.path(), "c.zip", &binary, &["--config", config.to_str().unwrap()]);
    assert!(names(&with).split(' ').any(|name| name == "keymend.toml"));
}

#[test]
fn what_a_host_could_not_run_is_refused() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let good = written(folder.path(), "good.zip", &small(folder.path()), &[]);
    for (change, told) in [
        // The executable bit is lost: the commonest way in which a custom handler fails.
        ("e.external_attr = 0o100644 << 16", "keymend: mode"),
        ("e.external_attr = 0x20", "mode 0"),
        ("e.create_system = 0", "system 0"),
        ("e.external_attr = (0o100755 if e.filename == 'keymend' else 0o100600) << 16", "mode 100600"),
        ("e.external_attr |= 0o111 << 16", "mode 100755"),
        ("e.filename = './' + e.filename", "no plain path"),
        ("e.filename = 'app/' + e.filename", "host.json is not at the root"),
        ("e.filename = '../' + e.filename", "no plain path"),
        ("drop = e.filename == 'keymend'", "which is not there"),
        ("drop = e.filename == 'host.json'", "host.json is not at the root"),
        ("drop = e.filename == 'jobs/function.json'", "functions"),
        ("drop = e.filename.endswith('function.json')", "functions"),
        ("twice = e.filename == 'jobs/function.json'", "twice"),
        ("data = b'#!/bin/sh' if e.filename == 'keymend' else data", "no Linux program"),
        (
            "data = data.replace(b'\"keymend\"', b'\"./keymend\"') if e.filename == 'host.json' else data",
            "no plain path",
        ),
        ("data = data.replace(b'\"keymend\"', b'\"handler\"') if e.filename == 'host.json' else data", "mode"),
        ("data = b'{}' if e.filename == 'jobs/function.json' else data", "bindings"),
    ] {
        let bad = folder.path().join("bad.zip");
        python(REWRITE, &[good.to_str().unwrap(), bad.to_str().unwrap(), change]);
        let output = script("zip-function-app").arg(&bad).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "accepted: {change}");
        assert!(words.contains(told) && !words.contains("Traceback"), "{change}: {words}");
    }
}

#[test]
fn a_binary_that_runs_on_this_machine_alone_is_refused() {
    if !has_python() || !cfg!(all(target_os = "linux", target_pointer_width = "64")) {
        return;
    }
    // The tests' own binary: made for this machine's libraries, by plain cargo, with its paths.
    let output = script("check-binary")
        .arg(env!("CARGO_BIN_EXE_keymend"))
        .args(["--glibc", "2.1", "--hide", env!("CARGO_MANIFEST_DIR")])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && !words.contains("Traceback"), "{words}");
    assert!(words.contains("the list of its crates is not in it"), "{words}");
    assert!(!cfg!(target_env = "gnu") || words.contains("it needs glibc"), "{words}");
}

#[test]
fn the_container_is_built_from_everything_that_the_program_includes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let (docker, ignored) = (read("Dockerfile"), read(".dockerignore"));
    let copied: Vec<&str> = docker.lines().filter_map(|line| line.strip_prefix("COPY ")?.split(' ').next()).collect();
    let let_through: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let covers = |folders: &[&str], file: &Path| folders.iter().any(|folder| file.starts_with(folder));
    let includes = regex::Regex::new(r#"include_(?:str|bytes)!\(\s*"([^"]+)"\s*\)"#).unwrap();
    let mut outside = 0;
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for found in includes.captures_iter(&text) {
                let file = path.parent().unwrap().join(&found[1]).canonicalize().unwrap();
                let file = file.strip_prefix(root.canonicalize().unwrap()).unwrap().to_owned();
                outside += usize::from(!file.starts_with("src"));
                let shown = file.display();
                assert!(
                    covers(&copied, &file),
                    "{shown} is included by {}, and not copied by Dockerfile",
                    path.display()
                );
                assert!(covers(&let_through, &file), "{shown} is included, and .dockerignore holds it back");
            }
        }
    }
    assert!(outside > 0, "the roles are included from outside src");
    // Cargo builds nothing where a target that its manifest names has no file.
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    for bench in manifest["bench"].as_array().unwrap() {
        let file = PathBuf::from(format!("benches/{}.rs", bench["name"].as_str().unwrap()));
        assert!(covers(&copied, &file) && covers(&let_through, &file), "{} does not reach the build", file.display());
    }
}
