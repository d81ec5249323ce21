//! The log: one event a line, and no secret in any line.
//!
//! [`layers`] makes what writes the lines; whoever starts the log may add layers of another kind before [`start`].

pub(crate) mod redact;

use std::borrow::Cow;
use std::io::{self, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::cli::output::plain;
use redact::Redactor;

/// What is logged when nobody says otherwise.
const USUAL: &str = "warn,keymend=info";

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    /// All to standard error: standard output is for answers.
    Stderr,
    /// As the Functions host tells them apart: warnings and errors to standard error, where it takes a line with the word
    /// `warn` for a warning and any other for an error; the rest to standard output, which it takes for information
    /// (Azure/azure-functions-host, `WorkerProcess`).
    Host,
}

/// Layers of a log.
pub(crate) type Layers = Vec<Box<dyn Layer<Registry> + Send + Sync>>;

/// What writes the lines.
///
/// # Errors
/// If `KEYMEND_LOG` cannot be understood.
pub(crate) fn layers(format: LogFormat, sink: Sink) -> Result<Layers, String> {
    let wanted = std::env::var("KEYMEND_LOG").ok().filter(|wanted| !wanted.trim().is_empty());
    let filter = EnvFilter::try_new(wanted.as_deref().unwrap_or(USUAL)).map_err(|error| {
        format!("KEYMEND_LOG: {error}. Write a level (error, warn, info, debug), or module=level, divided by commas")
    })?;
    Ok(lines(format, sink, filter))
}

/// The same whatever `KEYMEND_LOG` says.
pub(crate) fn usual_layers(format: LogFormat, sink: Sink) -> Result<Layers, String> {
    EnvFilter::try_new(USUAL).map(|filter| lines(format, sink, filter)).map_err(|error| error.to_string())
}

fn lines(format: LogFormat, sink: Sink, filter: EnvFilter) -> Layers {
    let lines = Lines { sink, redactor: Redactor::of_this_process() };
    let log = tracing_subscriber::fmt::layer().with_writer(lines).with_ansi(false);
    vec![match format {
        LogFormat::Text => log.with_target(false).with_filter(filter).boxed(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).with_filter(filter).boxed(),
    }]
}

/// Starts the log.
///
/// # Errors
/// If one was started already.
pub(crate) fn start(layers: Layers) -> Result<(), String> {
    let started = Registry::default().with(layers).try_init();
    started.map_err(|error| format!("the log could not be started: {error}"))
}

/// Keeps each event on one line, whatever a text in it holds, and secrets out of it.
#[derive(Debug, Clone)]
struct Lines {
    sink: Sink,
    redactor: Redactor,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { to_stdout: false, redactor: &self.redactor }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        let to_stdout = self.sink == Sink::Host && *meta.level() > Level::WARN;
        Line { to_stdout, redactor: &self.redactor }
    }
}

struct Line<'a> {
    to_stdout: bool,
    redactor: &'a Redactor,
}

impl Line<'_> {
    /// One line, without secrets, and without what could steer the terminal of whoever reads it.
    fn line(&self, event: &[u8]) -> String {
        let text = plain(String::from_utf8_lossy(event).trim_end_matches('\n'));
        let redacted = match self.redactor.redact(&text) {
            Cow::Owned(redacted) => Some(redacted),
            Cow::Borrowed(_) => None,
        };
        let mut line = redacted.unwrap_or(text);
        line.push('\n');
        line
    }
}

impl Write for Line<'_> {
    /// The layer writes an event as a whole.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = self.line(event);
        // A log that nobody can read any more must not stop the work.
        let _ = if self.to_stdout {
            let mut out = io::stdout().lock();
            out.write_all(line.as_bytes()).and_then(|()| out.flush())
        } else {
            io::stderr().lock().write_all(line.as_bytes())
        };
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_line_steers_a_terminal_or_begins_another_line() {
        let redactor = Redactor::knowing(["planted-secret".to_owned()]);
        let line = Line { to_stdout: false, redactor: &redactor };
        let event = "told=/subscriptions/s \u{1b}[2J\u{202e}lve\u{2066}\r\n{\"level\":\"INFO\"} planted-secret\n";
        let written = line.line(event.as_bytes());
        assert_eq!(written.matches('\n').count(), 1, "{written:?}");
        for steering in ['\u{1b}', '\u{202e}', '\u{2066}', '\r'] {
            assert!(!written.contains(steering), "{written:?}");
        }
        assert!(!written.contains("planted-secret"), "{written:?}");
    }
}
