//! Whether a request came from the Functions host.
//!
//! The host checks keys for HTTP functions and calls every other function at `/NAME` without any secret, so the handler
//! must see for itself that it is the host who calls. The host connects over loopback, to `127.0.0.1:PORT`, by POST, with one
//! invocation id, its version and its own user agent (Azure/azure-functions-host, `DefaultHttpWorkerService`). What an outsider
//! sends passes Azure's front end or the host's proxy, and carries their marks; with a catch-all route and no route prefix it
//! could reach an internal path (Azure/azure-functions-host#6251).

use std::net::SocketAddr;

use axum::http::{HeaderMap, Method, header};
use uuid::Uuid;

/// The id of the invocation, one GUID.
pub const INVOCATION_ID: &str = "x-azure-functions-invocationid";
const HOST_VERSION: &str = "x-azure-functions-hostversion";
const USER_AGENT: &str = "Azure-Functions-Host/";

/// Headers that only a request from outside carries, by the beginning of the name.
const FROM_OUTSIDE: [&str; 10] = [
    "forwarded",
    "via",
    "x-forwarded",
    "x-original",
    "x-arr-",
    "x-appservice-",
    "x-azure-clientip",
    "x-azure-fdid",
    "x-waws-",
    "x-functions-key",
];

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// The caller is on another machine.
    #[error("it does not come from this machine")]
    NotLocal,
    /// Not the address that the host uses.
    #[error("its Host header is not the address that the Functions host calls")]
    Host,
    /// Not a POST.
    #[error("the Functions host calls by POST")]
    Method,
    /// No, several or unfit invocation ids.
    #[error("it carries no single invocation id")]
    NoInvocation,
    /// No host version or another user agent.
    #[error("it does not carry the marks of the Functions host")]
    NoHost,
    /// A proxy passed it on.
    #[error("it was passed on from outside")]
    PassedOn,
}

/// Checks a call of a function that is no HTTP function. Answers the invocation's id.
///
/// # Errors
/// [`Stranger`].
pub fn internal(peer: SocketAddr, port: u16, method: &Method, headers: &HeaderMap) -> Result<Uuid, Stranger> {
    if !peer.ip().is_loopback() {
        return Err(Stranger::NotLocal);
    }
    if passed_on(headers) {
        return Err(Stranger::PassedOn);
    }
    if only(headers, header::HOST.as_str()) != Some(&format!("127.0.0.1:{port}")) {
        return Err(Stranger::Host);
    }
    if method != Method::POST {
        return Err(Stranger::Method);
    }
    let agent = only(headers, header::USER_AGENT.as_str()).is_some_and(|agent| agent.starts_with(USER_AGENT));
    if !agent || only(headers, HOST_VERSION).is_none() {
        return Err(Stranger::NoHost);
    }
    invocation(headers).ok_or(Stranger::NoInvocation)
}

/// Checks a request that the host proxied, after it checked the function's key. The host overwrites the invocation id, so
/// an outsider cannot bring one; everything else is the outsider's.
///
/// # Errors
/// [`Stranger`].
pub fn proxied(peer: SocketAddr, headers: &HeaderMap) -> Result<Uuid, Stranger> {
    if !peer.ip().is_loopback() {
        return Err(Stranger::NotLocal);
    }
    invocation(headers).ok_or(Stranger::NoInvocation)
}

fn invocation(headers: &HeaderMap) -> Option<Uuid> {
    Uuid::try_parse(only(headers, INVOCATION_ID)?).ok()
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

fn passed_on(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| FROM_OUTSIDE.iter().any(|outside| name.as_str().starts_with(outside)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4e77ca5d-5c3b-4c3a-9f9a-0d6f3b2c1a00";

    fn host() -> Vec<(&'static str, &'static str)> {
        vec![
            ("host", "127.0.0.1:7071"),
            ("user-agent", "Azure-Functions-Host/4.1052.200.0"),
            ("x-azure-functions-hostversion", "4.1052.200.0"),
            ("x-azure-functions-invocationid", ID),
            ("content-type", "application/json; charset=utf-8"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ]
    }

    fn check(peer: &str, method: &Method, headers: &[(&'static str, &'static str)]) -> Result<Uuid, Stranger> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        internal(peer.parse().unwrap(), 7071, method, &map)
    }

    fn without(name: &str) -> Vec<(&'static str, &'static str)> {
        host().into_iter().filter(|(known, _)| *known != name).collect()
    }

    #[test]
    fn the_host_is_let_in() {
        assert_eq!(check("127.0.0.1:50000", &Method::POST, &host()), Ok(ID.parse().unwrap()));
    }

    #[test]
    fn nobody_else_is() {
        let local = "127.0.0.1:50000";
        assert_eq!(check("10.0.0.4:50000", &Method::POST, &host()), Err(Stranger::NotLocal));
        assert_eq!(check(local, &Method::GET, &host()), Err(Stranger::Method));
        for (mark, refusal) in [
            ("host", Stranger::Host),
            ("user-agent", Stranger::NoHost),
            ("x-azure-functions-hostversion", Stranger::NoHost),
            ("x-azure-functions-invocationid", Stranger::NoInvocation),
        ] {
            assert_eq!(check(local, &Method::POST, &without(mark)), Err(refusal), "without {mark}");
            let mut twice = host();
            twice.extend(host().into_iter().filter(|(known, _)| *known == mark));
            assert_eq!(check(local, &Method::POST, &twice), Err(refusal), "{mark} twice");
        }
        for outside in ["x-forwarded-for", "forwarded", "x-arr-log-id", "x-original-url", "x-functions-key", "via"] {
            let mut headers = host();
            headers.push((outside, "203.0.113.9"));
            assert_eq!(check(local, &Method::POST, &headers), Err(Stranger::PassedOn), "{outside}");
        }
        let mut elsewhere = without("host");
        elsewhere.push(("host", "keymend.azurewebsites.net"));
        assert_eq!(check(local, &Method::POST, &elsewhere), Err(Stranger::Host));
    }
}
