//! `[server]`: where alerts come in, and who may send them.

use std::net::{SocketAddr, ToSocketAddrs};

use toml::Table;

use super::problem::Problem;
use super::secrets::{Places, secrets};
use super::section::{Named, Section, Sources};
use crate::notify::secret::Secret;

/// Where alerts come in.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The longest body that is taken.
    pub max_body_bytes: usize,
    /// Who knows one of these may send alerts. Empty: nobody may.
    pub webhook_secrets: Vec<Secret>,
}

/// An address to listen at: `127.0.0.1:8080`, `localhost:8080`, `:8080` (this machine alone) or `[::1]:0`.
///
/// # Errors
/// In words.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim().trim_start_matches("http://").trim_end_matches('/');
    let full = if text.starts_with(':') { format!("127.0.0.1{text}") } else { text.to_owned() };
    let mut found = full.to_socket_addrs().map_err(|error| format!("this is no address to listen at ({error})"))?;
    found.next().ok_or_else(|| "this name has no address".to_owned())
}

/// Reads `[server]`. Faults are secrets that are set up and cannot be had.
pub(super) fn server(
    file: &mut Table,
    sources: Sources<'_>,
    problems: &mut Vec<Problem>,
    faults: &mut Vec<Problem>,
) -> ServerSettings {
    let mut section = Section::open(file, "server", sources, problems);
    let instead = "Write host and port, such as 127.0.0.1:8080, or 0.0.0.0:8080 for every interface";
    let usual = SocketAddr::from(([127, 0, 0, 1], 8080));
    let listen = match section.text("listen", Some("KEYMEND_LISTEN"), instead) {
        None => usual,
        Some(Named { setting, value }) => listen_address(&value).unwrap_or_else(|why| {
            section.report(Problem::new(setting, why, instead).with(format_args!("{value:?}")));
            usual
        }),
    };
    let bytes = "bytes (Azure's own limit on an alert is 262144)";
    let max_body_bytes = section.number("max_body_bytes", None, (1024, 16 * 1024 * 1024), bytes);
    let places = Places { literal: None, name: "webhook_secret", variable: Some("KEYMEND_WEBHOOK_SECRET") };
    let found = secrets(&mut section, places);
    section.close();
    faults.extend(found.faults);
    ServerSettings {
        listen,
        max_body_bytes: max_body_bytes.map_or(1024 * 1024, |bytes| bytes as usize),
        webhook_secrets: found.secrets,
    }
}
