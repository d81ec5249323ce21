//! `keymend audit`: what may break a chain or keep it from being mended, for everything in scope, worst first.

mod html;
mod junit;
mod map;
mod sarif;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::diagnose::{progress, reach, wipe};
use crate::cli::doctor::patient::simulated_principal;
use crate::cli::environment;
use crate::cli::output::{complain, fail, misused, plain, say};
use crate::doctor::{Patient, findings, look_ahead, report::Section};
use crate::domain::policy::Scope;
use crate::domain::resource_id::ResourceId;
use crate::posture::finding::Level;
use crate::posture::report::Report;
use crate::posture::survey;
use crate::settings::Settings;

/// Look at everything in scope and say what may break it, worst first; changes nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads Azure, evenly and below its limits, and changes nothing: at most 4 requests a server and 10 a vault.
Exit codes: 0 done (and no finding at or above --fail-on); 1 such a finding, or nothing could be read;
2 command line or settings not understood.")]
pub struct AuditArgs {
    /// A subscription to audit instead of what [scope] names; may be given more than once
    #[arg(long, value_name = "ID")]
    pub subscription: Vec<String>,
    /// The settings: cloud, credential and policy [default: keymend.toml in this folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Write a page for people: one file that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write SARIF 2.1.0, for code scanning
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<PathBuf>,
    /// Write JUnit XML, for a pipeline
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Exit with 1 if there is a finding of this level or a worse one: critical, high, medium, low, info
    #[arg(long, value_name = "LEVEL")]
    pub fail_on: Option<Level>,
}

/// Runs it.
pub async fn run(args: AuditArgs) -> ExitCode {
    let settings = match Settings::load(args.config.as_deref(), &environment) {
        Ok(settings) => settings,
        Err(problems) => return misused(&problems.to_string()),
    };
    let named = match named(&args.subscription) {
        Ok(named) => named,
        Err(why) => return misused(&plain(&why)),
    };
    let scope = &settings.policy.scope;
    let roots = if named.is_empty() { survey::roots(scope) } else { named.clone() };
    if roots.is_empty() {
        return misused(
            "nothing is in scope: name what is to be audited under [scope] in keymend.toml, or with --subscription ID",
        );
    }
    let azure = match reach(&settings).await {
        Ok(azure) => azure,
        Err(error) => return fail(&format!("{error:#}")),
    };
    let covered = |id: &ResourceId| covers(scope, &named, id);
    let estate = survey::survey(&azure, roots, &covered, &|at| {
        progress(&format!("{} of {} servers asked for their key, {} read", at.asked, at.all, at.done));
    })
    .await;
    // Whose rights and alert rules matter is what the settings say, whatever else is audited.
    let sections = if named.is_empty() { ourselves(&settings, azure).await } else { Vec::new() };
    wipe();
    let report = Report::of(&estate, &settings.policy, findings::of(&sections));
    if let Err(why) = deliver(&report, &args) {
        return fail(&plain(&why));
    }
    let nothing = report.servers == 0 && report.service_managed == 0 && !report.unread.is_empty();
    let failed = args.fail_on.is_some_and(|least| report.worst().is_some_and(|worst| worst >= least));
    if nothing || failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn named(subscriptions: &[String]) -> Result<Vec<ResourceId>, String> {
    let root = |id: &String| {
        let id = id.trim().trim_start_matches("/subscriptions/");
        let well = uuid::Uuid::parse_str(id).ok();
        let parsed = well.and_then(|_| ResourceId::parse(&format!("/subscriptions/{id}")).ok());
        parsed.ok_or_else(|| {
            format!("{id} is no subscription id: write one as `az account list --query \"[].id\"` prints it")
        })
    };
    subscriptions.iter().map(root).collect()
}

/// What is audited: what the scope covers, or all of the subscriptions that were named.
fn covers(scope: &Scope, named: &[ResourceId], id: &ResourceId) -> bool {
    if named.is_empty() { scope.covers(id) } else { named.iter().any(|root| root.contains(id)) }
}

async fn ourselves(settings: &Settings, azure: crate::azure::Azure) -> Vec<Section> {
    let principal = simulated_principal(settings).await;
    let patient = Patient { settings, azure, principal, store: Err("an audit does not look at it".to_owned()) };
    look_ahead(&patient, &|what| progress(&format!("looking at {what}"))).await
}

/// Prints or writes what was asked for.
fn deliver(report: &Report, args: &AuditArgs) -> Result<(), String> {
    let mut written = Vec::new();
    let mut file = |path: &Option<PathBuf>, text: &dyn Fn() -> String| -> Result<(), String> {
        let Some(path) = path else { return Ok(()) };
        write(path, &text())?;
        written.push(path.display().to_string());
        Ok(())
    };
    file(&args.html, &|| html::page(report))?;
    file(&args.sarif, &|| format!("{:#}\n", sarif::log(report)))?;
    file(&args.junit, &|| junit::suites(report))?;
    if args.json {
        say(&format!("{:#}", report.to_json()));
    } else {
        say(&table::page(report));
    }
    for path in written {
        complain(&format!("wrote {}", plain(&path)));
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| {
        format!("{} could not be written: {error}. Name a file in a folder that exists", path.display())
    })
}
