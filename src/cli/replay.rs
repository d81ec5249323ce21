//! `keymend replay`: reads saved alert bodies and says what they would be taken for. Touches nothing.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::resource_id::ResourceId;
use crate::domain::signal::{Reading, Signal, SignalKind, read};

/// The largest file that is read: far above anything that Azure sends.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Read saved alert bodies and say what each would be taken for; nothing is touched.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// Print one JSON object a line instead of words
    #[arg(long)]
    pub json: bool,
    /// Files that hold one body each; - reads one from standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// What a body would be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It names resources that concern us.
    Signal,
    /// It would be acknowledged and dropped.
    Ignored,
    /// It would be refused.
    Malformed,
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The file, as it was named.
    pub file: String,
    /// What it is.
    pub verdict: Verdict,
    /// Why it is ignored or malformed.
    pub reason: Option<String>,
    /// What it tells.
    pub signals: Vec<Told>,
}

/// The part of a signal that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The kind, by its JSON name.
    pub kind: SignalKind,
    /// The resource.
    pub target: ResourceId,
    /// When, by the sender's account.
    pub occurred_at: Option<Timestamp>,
    /// Who, by the sender's account.
    pub caller: Option<String>,
}

impl From<Signal> for Told {
    fn from(signal: Signal) -> Self {
        Self { kind: signal.kind, target: signal.target, occurred_at: signal.occurred_at, caller: signal.caller }
    }
}

/// Says what a body would be taken for. A file that could not be read is malformed, with the reason.
#[must_use]
pub fn report(file: &str, body: io::Result<Vec<u8>>) -> Report {
    let (verdict, reason, signals) = match body.map(|body| read(&body)) {
        Ok(Reading::Signals(signals)) => (Verdict::Signal, None, signals.into_iter().map(Told::from).collect()),
        Ok(Reading::Ignored(reason)) => (Verdict::Ignored, Some(reason), Vec::new()),
        Ok(Reading::Malformed(reason)) => (Verdict::Malformed, Some(reason), Vec::new()),
        Err(error) => (Verdict::Malformed, Some(format!("it cannot be read: {error}")), Vec::new()),
    };
    Report { file: file.to_owned(), verdict, reason, signals }
}

/// Runs the command: one line per file on standard output. Fails only if one of them is malformed (or the lines cannot
/// be written).
pub fn run(args: &ReplayArgs) -> ExitCode {
    let mut out = io::stdout().lock();
    let mut malformed = false;
    for path in &args.files {
        let report = report(&path.to_string_lossy(), body_of(path));
        malformed |= report.verdict == Verdict::Malformed;
        let line = if args.json { serde_json::to_string(&report).unwrap_or_default() } else { report.to_string() };
        if let Err(error) = writeln!(out, "{line}") {
            // Whoever closed the pipe has seen enough; anything else is a failure.
            return if error.kind() == io::ErrorKind::BrokenPipe { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    }
    if malformed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn body_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut body)?;
    } else {
        std::fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut body)?;
    }
    if body.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 64 MiB"));
    }
    Ok(body)
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.file)?;
        match self.verdict {
            Verdict::Signal => {
                for (n, told) in self.signals.iter().enumerate() {
                    write!(f, "{}{told}", if n == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Verdict::Ignored => write!(f, "ignored: {}", self.reason.as_deref().unwrap_or_default()),
            Verdict::Malformed => write!(f, "malformed: {}", self.reason.as_deref().unwrap_or_default()),
        }
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.target)?;
        if let Some(at) = self.occurred_at {
            write!(f, " at {at}")?;
        }
        self.caller.as_ref().map_or(Ok(()), |caller| write!(f, " by {caller}"))
    }
}
