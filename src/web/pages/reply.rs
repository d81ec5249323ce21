//! How a page goes out: JSON or HTML, its headers, and 304 for whoever has it already.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::assets::{SCRIPT, STYLE};
use super::shell::Page;
use crate::web::answer;

/// What a browser may do with a page: nothing but show it, with the style and the script from here.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// The time here, for clocks that tick in a browser whose own clock is wrong.
const TIME: HeaderName = HeaderName::from_static("x-keymend-time");

/// What was asked for.
#[derive(Debug)]
pub(super) struct Reply {
    /// JSON instead of a page.
    pub json: bool,
    /// The signature of the link that was followed.
    link: Option<String>,
    has: Option<HeaderValue>,
}

impl Reply {
    pub fn new(headers: &HeaderMap, uri: &Uri) -> Self {
        let query = |wanted: &str| {
            let mut pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
            pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
        };
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let json = match query("format").as_deref() {
            Some("json") => true,
            Some("html") => false,
            _ => accepts(accept, "application/json") && !accepts(accept, "text/html"),
        };
        Self { json, link: query("t"), has: headers.get(header::IF_NONE_MATCH).cloned() }
    }

    /// Where the same is as JSON.
    pub fn json_address(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("format", "json").extend_pairs(self.link.iter().map(|link| ("t", link)));
        format!("?{}", query.finish())
    }

    /// What keeps the link by which the page was opened, behind another address of the same incident.
    pub fn link_query(&self) -> String {
        let Some(link) = &self.link else { return String::new() };
        format!("?{}", url::form_urlencoded::Serializer::new(String::new()).append_pair("t", link).finish())
    }

    /// A page that may be polled.
    pub fn page(&self, page: &Page, now: Timestamp) -> Response {
        let body = page.body();
        let digest =
            Sha256::new().chain_update(STYLE.mark()).chain_update(SCRIPT.mark()).chain_update(&body).finalize();
        let mark = format!("\"{}\"", hex::encode(&digest[..16]));
        let known = self.has.as_ref().and_then(|has| has.to_str().ok()).is_some_and(|has| has.contains(&mark));
        let mut response = if known {
            (StatusCode::NOT_MODIFIED, Body::empty()).into_response()
        } else {
            html(StatusCode::OK, page.document(&body, now))
        };
        let headers = response.headers_mut();
        // Both are of letters and digits.
        if let (Ok(mark), Ok(time)) = (HeaderValue::from_str(&mark), HeaderValue::from_str(&now.to_string())) {
            headers.insert(header::ETAG, mark);
            headers.insert(TIME, time);
        }
        vary(headers);
        response
    }

    /// A page that explains why there is no other one, or the same as JSON.
    pub fn refusal(&self, status: StatusCode, why: &str, page: &Page) -> Response {
        let mut response = if self.json {
            answer::refuse(status, why)
        } else {
            html(status, page.document(&page.body(), Timestamp::UNIX_EPOCH))
        };
        vary(response.headers_mut());
        response
    }

    pub fn document(&self, document: &Value) -> Response {
        let mut response = answer::json(StatusCode::OK, document);
        vary(response.headers_mut());
        response
    }
}

/// Whether an `Accept` header names the type.
pub(in crate::web) fn accepts(accept: &str, wanted: &str) -> bool {
    accept.split(',').any(|one| one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted))
}

fn vary(headers: &mut HeaderMap) {
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    // With no-referrer a browser calls the origin of a form `null`.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}

fn html(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], text).into_response()
}
