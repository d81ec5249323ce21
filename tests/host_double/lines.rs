//! What the handler prints, line by line, and what the host makes of each.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub level: Level,
    pub text: String,
    /// Which start of the handler printed it, from 1.
    pub start: usize,
}

/// The level under which the host logs a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Information,
    Warning,
    Error,
}

/// Where a line was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// Stdout is information; stderr an error, or a warning if the line says "warn".
pub fn classify(stream: Stream, text: &str) -> Level {
    match stream {
        Stream::Out => Level::Information,
        Stream::Err if text.to_ascii_lowercase().contains("warn") => Level::Warning,
        Stream::Err => Level::Error,
    }
}

/// Everything that was printed.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<Line>>>);

impl Lines {
    /// Reads a stream to its end, in the background.
    pub fn follow(&self, stream: Stream, source: impl Read + Send + 'static, start: usize) {
        let lines = self.clone();
        std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut bytes = Vec::new();
            while let Ok(1..) = source.read_until(b'\n', &mut bytes) {
                let text = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
                let line = Line { level: classify(stream, &text), text, start };
                lines.0.lock().unwrap().push(line);
                bytes.clear();
            }
        });
    }

    pub fn all(&self) -> Vec<Line> {
        self.0.lock().unwrap().clone()
    }

    /// The last lines, for messages.
    pub fn tail(&self, count: usize) -> String {
        let all = self.0.lock().unwrap();
        let last = &all[all.len().saturating_sub(count)..];
        last.iter()
            .map(|line| format!("[{} {:?}] {}", line.start, line.level, line.text))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_get_the_level_that_the_host_gives_them() {
        assert_eq!(classify(Stream::Out, "error: no"), Level::Information);
        assert_eq!(classify(Stream::Err, "all is well"), Level::Error);
        assert_eq!(classify(Stream::Err, r#"{"level":"WARN"}"#), Level::Warning);
    }
}
