//! The wire: connections, requests, the scheduler that lets time pass.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::exchange::exchange;
use super::incoming::Incoming;
use super::line::{Doors, Peer};
use super::wire::Answer;
use super::{Inner, action_group, control, event_grid, lock};
use crate::clock::Busy;

/// The largest body that is read, in bytes: ARM's own limit.
const LARGEST_BODY: usize = 4 << 20;
/// How many alerts are posted side by side.
const POSTS_AT_ONCE: usize = 16;

/// A cloud that answers. Dropping it stops it.
#[must_use = "the cloud stops answering when this is dropped"]
pub struct Running {
    /// Where it answers.
    pub addr: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// `http://…`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Takes no more connections, and lets no more time pass; comes back when that is so.
    pub async fn stop(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

pub(super) fn serve(inner: &Arc<Inner>, listener: TcpListener) -> io::Result<Running> {
    let addr = listener.local_addr()?;
    let router = Router::new().fallback(handle).with_state(inner.clone());
    let service = router.into_make_service_with_connect_info::<Peer>();
    let mut tasks = vec![tokio::spawn(async move {
        let _ = axum::serve(Doors(listener), service).await;
    })];
    if let Some(woken) = lock(&inner.woken).take() {
        inner.running.store(true, Ordering::Release);
        tasks.push(tokio::spawn(let_time_pass(inner.clone(), woken)));
    }
    Ok(Running { addr, tasks })
}

/// Wakes whenever something is due by itself.
async fn let_time_pass(inner: Arc<Inner>, mut woken: tokio::sync::mpsc::UnboundedReceiver<Busy>) {
    let posts = Arc::new(Semaphore::new(POSTS_AT_ONCE));
    let mut busy = vec![inner.clock.busy()];
    loop {
        while let Ok(guard) = woken.try_recv() {
            busy.push(guard);
        }
        let now = inner.clock.now();
        let (due, events, next) = {
            let mut state = lock(&inner.state);
            state.advance(now);
            (std::mem::take(&mut state.due_alerts), std::mem::take(&mut state.due_events), state.next_event_at())
        };
        for event in events {
            tokio::spawn(event_grid::deliver(inner.clone(), event, inner.clock.busy()));
        }
        for body in due {
            let (inner, posts, guard) = (inner.clone(), posts.clone(), inner.clock.busy());
            tokio::spawn(async move {
                let permit = posts.acquire().await;
                action_group::deliver(inner, body, guard).await;
                drop(permit);
            });
        }
        let Some(next) = next else {
            busy.clear();
            match woken.recv().await {
                Some(guard) => busy.push(guard),
                None => return,
            }
            continue;
        };
        let wait = inner.clock.idle_until(next);
        tokio::pin!(wait);
        if let Poll::Ready(guard) = futures::poll!(&mut wait) {
            busy.push(guard);
            continue;
        }
        busy.clear();
        tokio::select! {
            guard = &mut wait => busy.push(guard),
            guard = woken.recv() => match guard {
                Some(guard) => busy.push(guard),
                None => return,
            },
        }
    }
}

async fn handle(
    Shared(inner): Shared<Arc<Inner>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: axum::extract::Request,
) -> Result<Response<Body>, Infallible> {
    let busy = inner.clock.busy();
    let (parts, body) = request.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        return Ok(render(&Answer::error(413, "RequestContentTooLarge", "The request content is too large.")));
    };
    let incoming = Incoming::new(&parts.method, &parts.uri, &parts.headers, &bytes);
    if incoming.request.path.starts_with("/sim/") {
        return Ok(render(&control::answer(&inner, &incoming)));
    }
    let answer = exchange(&inner, &incoming, busy).await;
    let answer = answer.with_header("date", inner.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
    if answer.nobody_there {
        peer.cut.store(true, Ordering::Release);
    }
    Ok(render(&answer))
}

fn render(answer: &Answer) -> Response<Body> {
    let json = || answer.body.as_ref().map(Value::to_string).unwrap_or_default();
    let (kind, text) = match answer.text.as_deref() {
        Some((kind, text)) => (kind.as_str(), text.clone()),
        None => ("application/json; charset=utf-8", json()),
    };
    let empty = text.is_empty();
    let length = text.len();
    let body = if answer.cut_short { cut_short(text) } else { Body::from(text) };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    if !empty && let Ok(kind) = HeaderValue::from_str(kind) {
        response.headers_mut().insert("content-type", kind);
    }
    if answer.cut_short {
        response.headers_mut().insert("content-length", HeaderValue::from(length));
    }
    for (name, value) in &answer.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Half of a body, then a broken connection.
fn cut_short(text: String) -> Body {
    let mut half = text.into_bytes();
    half.truncate(half.len() / 2);
    let broken = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut short");
    Body::from_stream(futures::stream::iter([Ok(half), Err(broken)]))
}
