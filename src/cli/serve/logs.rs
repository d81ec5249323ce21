//! The log: one event a line on standard error.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

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

/// Starts the log, and with it `spans`, which takes spans for a collector.
pub(super) fn start<L>(format: LogFormat, spans: Option<L>) -> Result<(), String>
where
    L: Layer<Registry> + Send + Sync + 'static,
{
    let wanted = std::env::var("KEYMEND_LOG").ok().filter(|wanted| !wanted.trim().is_empty());
    let filter = EnvFilter::try_new(wanted.as_deref().unwrap_or(USUAL)).map_err(|error| {
        format!("KEYMEND_LOG: {error}. Write a level (error, warn, info, debug), or module=level, divided by commas")
    })?;
    let log = tracing_subscriber::fmt::layer().with_writer(OneLine).with_ansi(false);
    let log = match format {
        LogFormat::Text => log.with_target(false).with_filter(filter).boxed(),
        LogFormat::Json => log.json().flatten_event(true).with_filter(filter).boxed(),
    };
    // The filter is the log's alone: what a collector is sent does not depend on how much is logged.
    let started = tracing_subscriber::registry().with(spans).with(log).try_init();
    started.map_err(|error| format!("the log could not be started: {error}"))
}

/// Keeps each event on one line, whatever a text in it holds.
#[derive(Debug, Clone, Copy)]
struct OneLine;

impl<'a> MakeWriter<'a> for OneLine {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line
    }
}

struct Line;

impl Write for Line {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (text, end) = event.split_last().map_or((event, None), |(last, text)| (text, Some(*last)));
        let mut line: Vec<u8> = text.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }).collect();
        line.extend(end);
        // A log that nobody can read any more must not stop the work.
        let _ = io::stderr().lock().write_all(&line);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
