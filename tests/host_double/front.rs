//! The public side of the app: routes, keys, and how a request reaches the handler.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use url::form_urlencoded;
use uuid::Uuid;

use super::function_json::{AuthLevel, Function, Trigger};
use super::invoke::Outcome;
use super::{Inner, event_grid, forward, outputs, payload, route};

/// `FUNCTIONS_REQUEST_BODY_SIZE_LIMIT` where nobody set it.
const LARGEST_BODY: usize = 104_857_600;

/// The keys of an app, drawn anew for each host.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Every function's key `default`.
    pub function: String,
    /// The master key.
    pub master: String,
    /// The system key of the Event Grid extension.
    pub event_grid: String,
}

impl Keys {
    pub fn random() -> Self {
        let key = || format!("{}{}==", Uuid::new_v4().simple(), &Uuid::new_v4().simple().to_string()[..20]);
        Self { function: key(), master: key(), event_grid: key() }
    }
}

/// Serves in the background.
pub fn serve(inner: Arc<Inner>, listener: TcpListener) -> tokio::task::JoinHandle<()> {
    let router = Router::new().fallback(front_door).with_state(inner);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move {
        let _ = axum::serve(listener, service).await;
    })
}

/// The load balancer: it waits for an answer only so long.
async fn front_door(
    State(inner): State<Arc<Inner>>,
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let limit = inner.options.answer_limit;
    let answer = tokio::time::timeout(limit, answer(&inner, caller, request)).await;
    answer.unwrap_or_else(|_| status(StatusCode::GATEWAY_TIMEOUT))
}

async fn answer(inner: &Arc<Inner>, caller: SocketAddr, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    if path.eq_ignore_ascii_case("/runtime/webhooks/eventgrid") {
        return event_grid::webhook(inner, request).await;
    }
    let reserved = ["/admin", "/runtime"].iter().any(|start| path.to_ascii_lowercase().starts_with(start));
    let found = if reserved { None } else { find(inner, &path) };
    let Some((function, params)) = found else { return status(StatusCode::NOT_FOUND) };
    let Trigger::Http { level, methods, .. } = &function.trigger else { return status(StatusCode::NOT_FOUND) };
    if !methods.is_empty() && !methods.iter().any(|method| method == request.method().as_str()) {
        return status(StatusCode::NOT_FOUND);
    }
    let Some(key_id) = admit(inner, *level, request.headers(), request.uri().query()) else {
        return status(StatusCode::UNAUTHORIZED);
    };
    if function.is_plain_http && inner.json.proxying {
        return forward::proxy(inner, &function, caller, request).await;
    }
    if function.is_plain_http && inner.json.forwarding {
        return forward::forward(inner, &function, request).await;
    }
    by_payload(inner, &function, params, key_id, request).await
}

fn find(inner: &Inner, path: &str) -> Option<(Function, Map<String, Value>)> {
    let prefix = format!("/{}", inner.json.route_prefix.trim_matches('/'));
    let below = if prefix == "/" {
        path
    } else {
        let (start, below) = path.split_at_checked(prefix.len())?;
        (start.eq_ignore_ascii_case(&prefix) && (below.is_empty() || below.starts_with('/'))).then_some(below)?
    };
    let mut found: Vec<(bool, Function, Map<String, Value>)> = Vec::new();
    for function in &inner.functions {
        let Trigger::Http { route, .. } = &function.trigger else { continue };
        let template = route.clone().unwrap_or_else(|| function.name.clone());
        if let Some(params) = route::matches(&template, below) {
            found.push((template.contains("{*"), function.clone(), params));
        }
    }
    // A literal route goes before one that takes everything.
    found.sort_by_key(|(catches_all, ..)| *catches_all);
    found.into_iter().next().map(|(_, function, params)| (function, params))
}

/// The name of the key that let the caller in, empty where none is needed; nothing for who stays outside. The header
/// goes before the query.
fn admit(inner: &Inner, level: AuthLevel, headers: &HeaderMap, query: Option<&str>) -> Option<&'static str> {
    let header = headers.get("x-functions-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let code =
        || form_urlencoded::parse(query?.as_bytes()).find(|(name, _)| name == "code").map(|(_, key)| key.into_owned());
    let key = header.or_else(code);
    match (level, key) {
        (AuthLevel::Function | AuthLevel::Admin, Some(key)) if key == inner.keys.master => Some("master"),
        (AuthLevel::Function, Some(key)) if key == inner.keys.function => Some("default"),
        (AuthLevel::Anonymous, _) => Some(""),
        _ => None,
    }
}

async fn by_payload(
    inner: &Arc<Inner>,
    function: &Function,
    params: Map<String, Value>,
    key_id: &str,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = match body_of_known_length(&head, body).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let host = text_of(&head.headers, "host").unwrap_or_else(|| "localhost".to_owned());
    let url = format!("https://{host}{}", head.uri);
    let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let key_id = Some(key_id).filter(|key| !key.is_empty());
    let sent = payload::HttpRequest { url: &url, method: head.method.as_str(), query, headers, params, key_id, body };
    let payload = payload::http(&function.name, &function.binding, &sent, inner.now());
    let Outcome::Succeeded(answer) = inner.call(function, &payload, None).await else {
        return status(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let out = function.outputs.iter().find(|(_, kind)| kind == "http").map(|(name, _)| name.as_str());
    let value = match out {
        Some("$return") => Some(&answer.return_value),
        Some(name) => answer.outputs.get(name),
        None => None,
    };
    let Ok(answer) = outputs::http(value) else { return status(StatusCode::INTERNAL_SERVER_ERROR) };
    let mut builder = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(Body::from(answer.body)).unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

/// The body, if its length was told beforehand: a chunked one is dropped.
pub async fn body_of_known_length(head: &Parts, body: Body) -> Result<Option<Vec<u8>>, Response<Body>> {
    let length = text_of(&head.headers, "content-length").and_then(|length| length.parse::<usize>().ok());
    match length {
        None | Some(0) => Ok(None),
        Some(length) if length > LARGEST_BODY => Err(status(StatusCode::PAYLOAD_TOO_LARGE)),
        Some(_) => match to_bytes(body, LARGEST_BODY).await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(_) => Err(status(StatusCode::BAD_REQUEST)),
        },
    }
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// An answer of the host's own.
pub fn status(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}
