//! The wire: connections, requests, the scheduler that lets time pass.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::serve::{IncomingStream, Listener};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::faults::{Fault, FaultKind};
use super::recording::{Exchange, Plane};
use super::wire::{Answer, Request};
use super::{Inner, Moment, Verdict, action_group, arm, control, data_plane, lock};
use crate::clock::Busy;
use crate::domain::key_uri::VaultHost;

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
        let (due, next) = {
            let mut state = lock(&inner.state);
            state.advance(now);
            (std::mem::take(&mut state.due_alerts), state.next_event_at())
        };
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
    if answer.nobody_there {
        peer.cut.store(true, Ordering::Release);
    }
    Ok(render(&answer))
}

/// A request, read.
pub(super) struct Incoming {
    pub(super) request: Request,
    pub(super) headers: HeaderMap,
    pub(super) plane: Plane,
    url: String,
    place: String,
}

impl Incoming {
    fn new(method: &axum::http::Method, uri: &axum::http::Uri, headers: &HeaderMap, bytes: &[u8]) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let authority = uri.authority().map_or_else(|| text("host").to_owned(), ToString::to_string);
        let host = host_only(&authority).to_ascii_lowercase();
        let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
        let vault = VaultHost::parse(&host);
        let plane = if vault.is_some() {
            Plane::KeyVault
        } else if path.starts_with("/sink/") {
            Plane::Other
        } else if path.ends_with("/oauth2/v2.0/token") || path == "/metadata/identity/oauth2/token" {
            Plane::Token
        } else {
            Plane::Arm
        };
        let shown = match plane {
            Plane::KeyVault => host.as_str(),
            Plane::Token => "login.microsoftonline.com",
            _ => "management.azure.com",
        };
        let query = uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let body = (!bytes.is_empty())
            .then(|| serde_json::from_slice(bytes).map_err(|_| String::from_utf8_lossy(bytes).into_owned()));
        let token = text("authorization").strip_prefix("Bearer ").map(|token| token.trim().to_owned());
        let client_request_id = Some(text("x-ms-client-request-id")).filter(|id| !id.is_empty()).map(str::to_owned);
        Self {
            url: format!("https://{shown}{}", uri.path_and_query().map_or("/", |all| all.as_str())),
            place: format!("{host}{path}"),
            plane,
            headers: headers.clone(),
            request: Request {
                method: method.as_str().to_owned(),
                path,
                query: pairs.map(|(name, value)| (name.to_lowercase(), value.into_owned())).collect(),
                base: format!("http://{authority}"),
                host,
                token,
                client_request_id,
                body,
            },
        }
    }

    fn body_json(&self) -> Option<Value> {
        self.request.body.clone().map(|body| body.unwrap_or_else(Value::String))
    }
}

/// The host of an authority, without its port.
fn host_only(authority: &str) -> &str {
    if authority.starts_with('[') {
        return authority.split_inclusive(']').next().unwrap_or(authority);
    }
    authority.split(':').next().unwrap_or(authority)
}

/// One recorded request: hooks, faults, the service, the answer.
async fn exchange(inner: &Arc<Inner>, incoming: &Incoming, busy: Busy) -> Answer {
    let at = begin(inner, incoming);
    if stalls(inner, at, Moment::Before) {
        drop(busy);
        return std::future::pending().await;
    }
    let fault = lock(&inner.faults).hit(&incoming.request.method, &incoming.place, inner.clock.now());
    let mut answer = None;
    if let Some(fault) = fault.as_ref().filter(|fault| !fault.after_effect) {
        answer = suffer(inner, fault).await;
        if answer.is_none() && matches!(fault.kind, FaultKind::Timeout) {
            drop(busy);
            return std::future::pending().await;
        }
    }
    let mut answer = answer.unwrap_or_else(|| carry_out(inner, incoming, at));
    if stalls(inner, at, Moment::After) {
        drop(busy);
        return std::future::pending().await;
    }
    if let Some(fault) = fault.as_ref().filter(|fault| fault.after_effect) {
        if matches!(fault.kind, FaultKind::Timeout) {
            drop(busy);
            return std::future::pending().await;
        }
        answer = suffer(inner, fault).await.unwrap_or(answer);
    }
    finish(inner, incoming, at, answer)
}

/// Puts the request down, and answers its place.
fn begin(inner: &Inner, incoming: &Incoming) -> usize {
    let mut exchanges = lock(&inner.exchanges);
    let at = exchanges.len();
    exchanges.push(Exchange {
        number: at as u64 + 1,
        at: inner.clock.now(),
        answered_at: None,
        plane: incoming.plane,
        method: incoming.request.method.clone(),
        url: incoming.url.clone(),
        status: 0,
        request_body: incoming.body_json(),
        response_body: None,
        response_headers: Vec::new(),
        effect: false,
    });
    at
}

fn stalls(inner: &Inner, at: usize, moment: Moment) -> bool {
    let Some(hook) = lock(&inner.hook).clone() else { return false };
    let seen = lock(&inner.exchanges)[at].clone();
    hook(moment, &seen) == Verdict::Stall
}

/// What a fault answers; nothing for one that only delays or never answers.
async fn suffer(inner: &Inner, fault: &Fault) -> Option<Answer> {
    match &fault.kind {
        FaultKind::Throttle { retry_after } => Some(
            Answer::error(429, "TooManyRequests", "Too many requests have been sent.")
                .with_header("retry-after", retry_after.to_string()),
        ),
        FaultKind::Status { status, code } => Some(Answer::error(*status, code, "The request could not be processed.")),
        FaultKind::Reset => Some(Answer::nobody_there()),
        FaultKind::Timeout => None,
        FaultKind::Slow { milliseconds } => {
            inner.clock.pause(SignedDuration::from_millis(i64::from(*milliseconds))).await;
            None
        }
    }
}

/// Lets the service answer, and notes whether anything in the world was changed.
fn carry_out(inner: &Inner, incoming: &Incoming, at: usize) -> Answer {
    let now = inner.clock.now();
    let mut state = lock(&inner.state);
    state.advance(now);
    let before = state.changed;
    let mut answer = match incoming.plane {
        Plane::Arm => arm::answer(&mut state, &incoming.request),
        Plane::KeyVault => data_plane::answer(&mut state, &incoming.request),
        Plane::Token => control::token(&state, &incoming.request),
        Plane::Other => control::sink(inner, incoming, now),
    };
    let effect = state.changed != before;
    let id = state.guid(&format!("request|{at}"));
    drop(state);
    lock(&inner.exchanges)[at].effect = effect;
    inner.wake();
    if matches!(incoming.plane, Plane::Arm | Plane::KeyVault) {
        answer = answer.with_header("x-ms-request-id", id.clone());
        if incoming.plane == Plane::Arm {
            answer = answer.with_header("x-ms-correlation-request-id", id);
        } else {
            answer = answer.with_header("x-ms-keyvault-service-version", "1.9.2500.1");
        }
        if let Some(id) = &incoming.request.client_request_id {
            answer = answer.with_header("x-ms-client-request-id", id.clone());
        }
    }
    answer
}

fn finish(inner: &Inner, incoming: &Incoming, at: usize, answer: Answer) -> Answer {
    let mut exchanges = lock(&inner.exchanges);
    let exchange = &mut exchanges[at];
    exchange.answered_at = Some(inner.clock.now());
    exchange.status = answer.status;
    exchange.response_body.clone_from(&answer.body);
    exchange.response_headers =
        answer.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    drop(exchanges);
    if incoming.plane == Plane::Other {
        control::keep_posted(inner, incoming, answer.status);
    }
    answer
}

fn render(answer: &Answer) -> Response<Body> {
    let text = answer.body.as_ref().map(Value::to_string).unwrap_or_default();
    let empty = text.is_empty();
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    if !empty {
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        response.headers_mut().insert("content-type", json);
    }
    for (name, value) in &answer.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// The headers of a request as texts.
pub(super) fn header_texts(headers: &HeaderMap) -> std::collections::BTreeMap<String, String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// A body as JSON, or as a text.
pub(super) fn body_or_null(incoming: &Incoming) -> Value {
    incoming.body_json().unwrap_or_else(|| json!(null))
}

/// A listener whose connections can be cut from within a request.
struct Doors(TcpListener);

/// One connection.
struct Line {
    stream: TcpStream,
    cut: Arc<AtomicBool>,
}

/// The handle by which a request cuts its own connection.
#[derive(Clone, Debug)]
struct Peer {
    cut: Arc<AtomicBool>,
}

impl Listener for Doors {
    type Io = Line;
    type Addr = Peer;

    async fn accept(&mut self) -> (Line, Peer) {
        let (stream, _) = Listener::accept(&mut self.0).await;
        let _ = stream.set_nodelay(true);
        let cut = Arc::new(AtomicBool::new(false));
        (Line { stream, cut: cut.clone() }, Peer { cut })
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { cut: Arc::new(AtomicBool::new(false)) })
    }
}

impl Connected<IncomingStream<'_, Doors>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        stream.remote_addr().clone()
    }
}

impl Line {
    fn whole(&self) -> io::Result<()> {
        if self.cut.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        line.whole()?;
        Pin::new(&mut line.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        line.whole()?;
        Pin::new(&mut line.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
