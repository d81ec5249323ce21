//! Whether a caller is on this machine, and for itself.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

/// What proxies say about the caller they speak for (RFC 7239, and what was used before it and besides).
pub(super) const PROXIED: [&str; 5] = ["forwarded", "x-forwarded-for", "x-real-ip", "x-forwarded-host", "via"];

/// It asks for this machine by name (a page in a browser here, led astray by a name that leads back to this machine, does
/// not), and no proxy says that it speaks for another. That the connection comes from this machine is not seen here.
#[must_use]
pub(super) fn speaks_for_itself(headers: &HeaderMap) -> bool {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok()).is_some_and(is_this_machine);
    named && !PROXIED.iter().any(|name| headers.contains_key(*name))
}

/// Whether a `Host` names this machine: `localhost`, `127.0.0.1` or `[::1]`, with or without a port.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
