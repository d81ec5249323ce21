//! `GET /metrics`: the metrics as Prometheus text, for `keymend serve`.
//!
//! They name nobody and no resource, but they tell how things stand, so they are not for everyone: a caller on this
//! machine is answered without a secret, any other must know the webhook secret. A caller who comes through a proxy on
//! this machine is not on this machine.

use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::callers::BadSecret;
use super::{App, Peer, answer, local};
use crate::clock::Clock;
use crate::store::{Store, take_reading};
use crate::telemetry::{Page, page};

/// Answers with the metrics.
pub(super) async fn metrics(
    State((app, page)): State<(Arc<App>, Page)>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if !is_local(peer, &headers)
        && let Err(refusal) = check(&app, &headers, &uri)
    {
        tracing::warn!(?refusal, "a caller was not told the metrics");
        return refused(refusal);
    }
    read_store(&*app.store, &app.clock).await;
    match page.text() {
        Ok(text) => ([(header::CONTENT_TYPE, HeaderValue::from_static(page::CONTENT_TYPE))], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            answer::come_again("the metrics cannot be written; the log says why")
        }
    }
}

/// Takes a reading of the store. Without one, the metrics that need it are left out.
pub async fn read_store(store: &dyn Store, clock: &Clock) {
    match take_reading(store, clock.now()).await {
        Ok(reading) => reading.publish(),
        Err(error) => tracing::error!(%error, "the store does not answer; its age and incidents are not told"),
    }
}

/// On this machine, and for itself: it asks for this machine by name (a page in a browser here, led astray by a name that
/// leads back to this machine, does not), and no proxy says that it speaks for another.
fn is_local(Peer(from): Peer, headers: &HeaderMap) -> bool {
    from.ip().to_canonical().is_loopback() && local::speaks_for_itself(headers)
}

/// As for alerts, and as Prometheus sends it (`authorization: credentials`).
fn check(app: &App, headers: &HeaderMap, uri: &Uri) -> Result<(), BadSecret> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    match bearer {
        Some(secret) => app.callers.knows(secret),
        None => app.callers.check(headers, uri),
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(secret.trim())
}

fn refused(refusal: BadSecret) -> Response {
    let why = match refusal {
        BadSecret::Missing => {
            "metrics are told on this machine, or to who knows the webhook secret: send Authorization: Bearer SECRET"
        }
        BadSecret::Wrong => "the webhook secret is wrong",
    };
    let mut response = answer::refuse(StatusCode::UNAUTHORIZED, why);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"keymend\""));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::local::PROXIED;

    fn local(from: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        is_local(Peer(from.parse().unwrap()), &map)
    }

    #[test]
    fn only_who_is_here_for_itself_needs_no_secret() {
        for host in ["127.0.0.1:8080", "localhost", "LOCALHOST:8080", "[::1]:8080", "127.0.0.2"] {
            assert!(local("127.0.0.1:50000", &[("host", host)]), "{host}");
        }
        assert!(local("[::1]:50000", &[("host", "localhost")]));
        assert!(local("[::ffff:127.0.0.1]:50000", &[("host", "localhost")]), "IPv4 on a dual-stack listener");
        assert!(!local("10.0.0.4:50000", &[("host", "localhost")]));
        assert!(!local("127.0.0.1:50000", &[]), "no host");
        for host in ["keymend.contoso.example", "localhost.evil.example", "127.0.0.1.evil.example", "[fe80::1]", ""] {
            assert!(!local("127.0.0.1:50000", &[("host", host)]), "{host}");
        }
        for proxied in PROXIED {
            assert!(!local("127.0.0.1:50000", &[("host", "localhost"), (proxied, "203.0.113.7")]), "{proxied}");
        }
    }

    #[test]
    fn reads_what_prometheus_sends() {
        assert_eq!(bearer("Bearer s3cret"), Some("s3cret"));
        assert_eq!(bearer("bearer  s3cret "), Some("s3cret"));
        assert_eq!(bearer("Basic s3cret"), None);
        assert_eq!(bearer("Bearer"), None);
    }
}
