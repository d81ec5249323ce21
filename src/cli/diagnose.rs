//! `keymend diagnose`: the whole chain of one resource, read once, and what Keymend would do about it.

mod document;
mod tree;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::azure::{Azure, Credential};
use crate::cli::environment;
use crate::cli::output::{fail, misused, plain, say};
use crate::cli::serve::clock_of;
use crate::domain::evidence::Evidence;
use crate::domain::key_uri::VaultHost;
use crate::domain::resource_id::ResourceId;
use crate::ids::Ids;
use crate::posture::chain::{Chain, Verdict, chains};
use crate::posture::target::{Dependents, Target, dependents};
use crate::probe::{self, Question};
use crate::settings::Settings;

/// Look at the whole chain of one server, database or vault, and say what is broken; changes nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
RESOURCE-ID is the id of a SQL server, managed instance, Synapse workspace, database or key vault, such as
/subscriptions/SUB/resourceGroups/RG/providers/Microsoft.Sql/servers/NAME. It need not be in scope.
Reads Azure, in at most three waves of requests, and changes nothing.
Exit codes: 0 whole; 1 broken, or it could not be told; 2 command line or settings not understood.")]
pub struct DiagnoseArgs {
    /// What to look at
    #[arg(value_name = "RESOURCE-ID")]
    pub resource: String,
    /// The settings: cloud, credential and policy [default: keymend.toml in this folder]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What was looked at, and what was found.
#[derive(Debug)]
struct Found {
    named: ResourceId,
    target: Target,
    evidence: Evidence,
    chains: Vec<Chain>,
    /// What may depend on the vault and could not be asked.
    unread: Vec<String>,
}

impl Found {
    /// The worst of all; unknown where nothing at all was found.
    fn verdict(&self) -> Verdict {
        let worst = self.chains.iter().map(|chain| chain.verdict).max().unwrap_or(Verdict::Unknown);
        if worst < Verdict::Unknown && !self.unread.is_empty() { Verdict::Unknown } else { worst }
    }

    /// Whether what was named was found at all.
    fn is_there(&self) -> bool {
        let gone =
            |chain: &Chain| self.evidence.servers.iter().any(|seen| seen.id == chain.id && seen.server.is_absent());
        let known = |name: &str| {
            self.chains.iter().flat_map(|chain| &chain.databases).any(|one| one.name.eq_ignore_ascii_case(name))
        };
        match &self.target {
            Target::Dependent(_) => !self.chains.iter().any(gone),
            Target::Database { name, .. } => {
                let listed = self.evidence.servers.iter().all(|seen| seen.databases.known().is_some());
                !self.chains.iter().any(gone) && (known(name) || !listed)
            }
            Target::Vault(_) => true,
        }
    }

    fn code(&self) -> ExitCode {
        let well = matches!(self.verdict(), Verdict::Whole | Verdict::NotOurs) && self.is_there();
        if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Runs it.
pub async fn run(args: DiagnoseArgs) -> ExitCode {
    let named = match ResourceId::parse(args.resource.trim()) {
        Ok(id) => id,
        Err(error) => {
            return misused(&plain(&format!(
                "{error}. Write the resource's id, as `az sql server list --query \"[].id\"` prints it"
            )));
        }
    };
    let target = match Target::of(&named) {
        Ok(target) => target,
        Err(why) => return misused(&plain(&why)),
    };
    let settings = match Settings::load(args.config.as_deref(), &environment) {
        Ok(settings) => settings,
        Err(problems) => return misused(&problems.to_string()),
    };
    let azure = match reach(&settings).await {
        Ok(azure) => azure,
        Err(error) => return fail(&format!("{error:#}")),
    };
    let found = look(&azure, &settings, named, target).await;
    wipe();
    if args.json {
        say(&format!("{:#}", document::document(&found, &settings.policy)));
    } else {
        say(&tree::page(&found, &settings.policy));
    }
    found.code()
}

/// The cloud that the settings name, on the clock they name.
pub(in crate::cli) async fn reach(settings: &Settings) -> anyhow::Result<Azure> {
    let clock = clock_of(settings).await?;
    let endpoints = settings.azure.endpoints.clone();
    let credential = Credential::new(&settings.azure.credential, &endpoints)?;
    Ok(Azure::new(endpoints, credential, clock, Ids::random())?)
}

async fn look(azure: &Azure, settings: &Settings, named: ResourceId, target: Target) -> Found {
    let (ids, host, vault_id, unread) = match &target {
        Target::Dependent(id) | Target::Database { host: id, .. } => (vec![id.clone()], None, None, Vec::new()),
        Target::Vault(vault) => {
            progress("looking for what depends on it");
            let host = azure.endpoints().vault_host(vault.name());
            let Dependents { ids, unread } = of_vault(azure, settings, host.as_ref(), vault).await;
            (ids, host, Some(vault.clone()), unread)
        }
    };
    let partners_of = ids.clone();
    let question = Question { vault: host, vault_id, partners_of, ..Question::new(ids, azure.clock().now()) };
    let evidence = probe::observe_telling(azure, &question, &|at| {
        progress(&format!("wave {} of at most 3, {} of {} requests answered", at.wave, at.done, at.asked));
    })
    .await;
    let chains = chains(&evidence, &settings.policy);
    Found { named, target, evidence, chains, unread }
}

async fn of_vault(azure: &Azure, settings: &Settings, host: Option<&VaultHost>, vault: &ResourceId) -> Dependents {
    match host {
        Some(host) => dependents(azure, &settings.policy.scope, host, vault, &[]).await,
        None => Dependents { ids: Vec::new(), unread: vec![format!("{} is no name of a key vault", vault.name())] },
    }
}

/// One line that tells a person who waits how far it is; nothing where nobody watches.
pub(in crate::cli) fn progress(what: &str) {
    let mut out = std::io::stderr().lock();
    if std::io::stderr().is_terminal() {
        let _ = write!(out, "\r\x1b[K{what} …").and_then(|()| out.flush());
    }
}

/// Takes the progress line away.
pub(in crate::cli) fn wipe() {
    let mut out = std::io::stderr().lock();
    if std::io::stderr().is_terminal() {
        let _ = write!(out, "\r\x1b[K").and_then(|()| out.flush());
    }
}
