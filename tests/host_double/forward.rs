//! HTTP requests passed on as they are: by proxying (streamed, any framing) or by forwarding.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::front::{body_of_known_length, status};
use super::function_json::Function;
use super::invoke::{Outcome, host_headers, with_causes};
use super::{Call, Inner};

const CONNECTS: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_millis(250);
const HOP_BY_HOP: [HeaderName; 4] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, HeaderName::from_static("keep-alive")];

/// `enableProxyingHttpRequest`: the headers of the host are overwritten, the body is streamed, and a caller who goes away
/// takes the request to the handler along.
pub async fn proxy(inner: &Arc<Inner>, function: &Function, caller: SocketAddr, request: Request) -> Response<Body> {
    let id = Uuid::new_v4();
    let (head, body) = request.into_parts();
    let mut headers = without_hops(&head.headers);
    for (name, value) in host_headers(id) {
        headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(&value).unwrap());
    }
    // The platform's front end says who called.
    headers.append("x-forwarded-for", HeaderValue::from_str(&caller.to_string()).unwrap());
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let body = reqwest::Body::wrap_stream(body.into_data_stream());
    pass_on(inner, function, id, head.method, &path, headers, Some(body)).await
}

/// `enableForwardingHttpRequest`: a body of unknown length is dropped, repeated keys of the query are joined, and the
/// headers of the host come beside those that the caller sent.
pub async fn forward(inner: &Arc<Inner>, function: &Function, request: Request) -> Response<Body> {
    let id = Uuid::new_v4();
    let (head, body) = request.into_parts();
    let body = match body_of_known_length(&head, body).await {
        Ok(body) => body.map(reqwest::Body::from),
        Err(refused) => return refused,
    };
    let mut headers = without_hops(&head.headers);
    for (name, value) in host_headers(id) {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(&value).unwrap());
    }
    let mut query: Vec<(String, String)> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
        match query.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = format!("{known},{value}"),
            None => query.push((name.into_owned(), value.into_owned())),
        }
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let path = if query.is_empty() { head.uri.path().to_owned() } else { format!("{}?{query}", head.uri.path()) };
    pass_on(inner, function, id, head.method, &path, headers, body).await
}

fn without_hops(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers
}

async fn pass_on(
    inner: &Arc<Inner>,
    function: &Function,
    id: Uuid,
    method: reqwest::Method,
    path: &str,
    headers: HeaderMap,
    body: Option<reqwest::Body>,
) -> Response<Body> {
    let call = Call::new(inner, id, function, None);
    let port = match inner.worker.ready().await {
        Ok(port) => port,
        Err(why) => return refused(inner, call, StatusCode::INTERNAL_SERVER_ERROR, why),
    };
    if let Err(why) = connects(port).await {
        return refused(inner, call, StatusCode::BAD_GATEWAY, why);
    }
    let mut request = inner.proxy.request(method, format!("http://127.0.0.1:{port}{path}")).headers(headers);
    if let Some(body) = body {
        request = request.body(body);
    }
    match request.send().await {
        Ok(answer) => {
            let mut builder = Response::builder().status(answer.status());
            for (name, value) in &without_hops(answer.headers()) {
                builder = builder.header(name, value);
            }
            let passed = builder.body(Body::from_stream(answer.bytes_stream()));
            call.end(inner, Outcome::Succeeded(super::invoke::Answer::default()));
            passed.unwrap_or_else(|_| status(StatusCode::BAD_GATEWAY))
        }
        Err(error) => refused(inner, call, StatusCode::BAD_GATEWAY, with_causes(&error.without_url())),
    }
}

fn refused(inner: &Inner, call: Call, code: StatusCode, why: String) -> Response<Body> {
    call.end(inner, Outcome::Failed(why));
    status(code)
}

/// Up to ten tries to connect, 50 to 250 ms apart.
async fn connects(port: u16) -> Result<(), String> {
    let mut wait = FIRST_WAIT;
    for last in (0..CONNECTS).rev() {
        match TcpStream::connect(("127.0.0.1", port)).await {
            Ok(_) => return Ok(()),
            Err(error) if last == 0 => return Err(error.to_string()),
            Err(_) => tokio::time::sleep(wait).await,
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    Err("no connection".to_owned())
}
