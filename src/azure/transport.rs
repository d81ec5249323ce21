//! One request to Azure: deadlines, retries, throttling, limits on the answer, and lists in pages.
//!
//! Reads are tried again on 408, 429, 5xx and lost connections, waiting as `Retry-After` says or with jittered
//! exponential backoff (1, 2, 4 s …), four tries and sixty seconds of waiting at most. Writes are tried again only where
//! they cannot have been done: 429, 503 with `Retry-After`, and no connection. Redirects are never followed; tokens go
//! only to hosts of the configured cloud.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HOST, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::azure::clouds::{ConfigError, Endpoints};
use crate::azure::credential::Credential;
use crate::azure::error::{AzureError, error_body, refusal};
use crate::clock::Clock;
use crate::domain::key_uri::VaultHost;
use crate::ids::Ids;

/// Largest answer that is read.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
/// How often one read is tried.
const TRIES: u32 = 4;
/// How long one request waits for better times, all tries together.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);
/// What a 429 without `Retry-After` is taken to ask for when the tries are used up.
const USUAL_THROTTLE: SignedDuration = SignedDuration::from_secs(30);
/// Pages of one list. SQL allows 5,000 databases a server, and pages hold 100 or more.
const MOST_PAGES: usize = 60;

/// What may stand in a path segment or query value as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// In a path also parentheses, which resource group names may hold.
const PATH: &AsciiSet = &PLAIN.remove(b'(').remove(b')');

/// A cheaply cloned handle to one Azure cloud.
#[derive(Clone, Debug)]
pub struct Azure(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    endpoints: Endpoints,
    credential: Credential,
    clock: Clock,
    ids: Ids,
    http: reqwest::Client,
}

/// Which service a request goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plane {
    /// The Resource Manager.
    Arm,
    /// A vault's own data plane.
    Vault(VaultHost),
}

/// One request, not yet sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub plane: Plane,
    pub method: Method,
    /// Absolute and percent-encoded.
    pub path: String,
    /// Encoded, without the question mark.
    pub query: String,
    pub body: Option<Value>,
    /// The right it takes, in Azure's words, if Azure does not name it in a refusal.
    pub action: String,
    /// On what.
    pub scope: String,
    pub write: bool,
}

impl Request {
    /// A read of a path at the Resource Manager. `path` is percent-encoded here.
    pub(crate) fn get(path: &str, api_version: &str, action: &str) -> Self {
        Self {
            plane: Plane::Arm,
            method: Method::GET,
            path: encode_path(path),
            query: format!("api-version={api_version}"),
            body: None,
            action: action.to_owned(),
            scope: path.to_owned(),
            write: false,
        }
    }

    /// The same, asked of a vault.
    pub(crate) fn at(self, host: &VaultHost) -> Self {
        Self { plane: Plane::Vault(host.clone()), scope: host.to_string(), ..self }
    }

    /// With a query parameter more.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.query = format!("{}&{name}={}", self.query, utf8_percent_encode(value, PLAIN));
        self
    }

    /// A read that is a POST.
    pub(crate) fn posting(self, body: Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..self }
    }

    pub(crate) fn what(&self) -> String {
        match &self.plane {
            Plane::Arm => format!("{} {}", self.method, self.path),
            Plane::Vault(host) => format!("{} https://{host}{}", self.method, self.path),
        }
    }
}

/// Percent-encodes each segment of an absolute path.
pub(crate) fn encode_path(path: &str) -> String {
    let segments = path.trim_matches('/').split('/');
    segments.fold(String::new(), |path, segment| format!("{path}/{}", utf8_percent_encode(segment, PATH)))
}

/// A final answer below 400.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub what: String,
    pub status: u16,
    pub body: Value,
    pub headers: AnswerHeaders,
    pub client_request_id: Uuid,
}

impl Answer {
    pub(crate) fn bad(&self, why: impl Into<String>) -> AzureError {
        AzureError::BadAnswer { what: self.what.clone(), why: why.into() }
    }

    /// The body in its shape.
    pub(crate) fn shaped<T: serde::de::DeserializeOwned>(&self) -> Result<T, AzureError> {
        crate::azure::json::shaped(&self.body).map_err(|why| self.bad(why))
    }
}

/// The headers that matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct AnswerHeaders {
    pub retry_after: Option<SignedDuration>,
    pub location: Option<String>,
    pub async_operation: Option<String>,
    pub request_id: Option<String>,
    pub correlation_id: Option<String>,
}

impl AnswerHeaders {
    fn read(headers: &HeaderMap, now: Timestamp) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        Self {
            retry_after: text("retry-after").and_then(|value| retry_after(&value, now)),
            location: text("location"),
            async_operation: text("azure-asyncoperation"),
            request_id: text("x-ms-request-id"),
            correlation_id: text("x-ms-correlation-request-id"),
        }
    }
}

/// `Retry-After`: seconds, or an HTTP date.
fn retry_after(value: &str, now: Timestamp) -> Option<SignedDuration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(SignedDuration::from_secs(i64::from(seconds)));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    Some(date.timestamp().duration_since(now).max(SignedDuration::ZERO))
}

/// Why one try gave no answer.
enum Lost {
    /// The request cannot have arrived.
    NotSent(String),
    /// It may have.
    Sent(String),
    /// It makes no sense to try again.
    Final(AzureError),
}

/// What follows from one answer.
enum Verdict {
    Done,
    Again { after: Option<SignedDuration>, throttled: bool, error: Option<AzureError>, why: String },
    No(AzureError),
}

impl Azure {
    /// A handle; nothing is sent and no token is asked for before the first request.
    ///
    /// # Errors
    /// [`ConfigError`] if a fixed token could leave the machine, or the HTTP client cannot be built.
    pub fn new(endpoints: Endpoints, credential: Credential, clock: Clock, ids: Ids) -> Result<Self, ConfigError> {
        Self::with_deadlines(endpoints, credential, clock, ids, Duration::from_secs(10), Duration::from_secs(30))
    }

    /// The same, with other deadlines (in real time) for connecting and for one whole try.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_deadlines(
        endpoints: Endpoints,
        credential: Credential,
        clock: Clock,
        ids: Ids,
        connect: Duration,
        whole: Duration,
    ) -> Result<Self, ConfigError> {
        if credential.loopback_only() && !endpoints.on_this_machine() {
            return Err(ConfigError::StaticTokenOffMachine(endpoints.arm().to_string()));
        }
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect)
            .timeout(whole)
            .user_agent(concat!("keymend/", env!("CARGO_PKG_VERSION")));
        if endpoints.on_this_machine() {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| ConfigError::Client(error.to_string()))?;
        Ok(Self(Arc::new(Inner { endpoints, credential, clock, ids, http })))
    }

    /// The cloud's addresses.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.0.endpoints
    }

    /// The clock it waits by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Sends a request and tries again where that is safe.
    pub(crate) async fn perform(&self, request: &Request) -> Result<Answer, AzureError> {
        let what = request.what();
        let mut waited = SignedDuration::ZERO;
        let mut rejected = false;
        for attempt in 1..=TRIES {
            let id = self.0.ids.uuid();
            let verdict = match self.once(request, id).await {
                Ok((answer, StatusCode::UNAUTHORIZED)) if is_about_the_token(&answer.body) => {
                    if rejected {
                        return Err(AzureError::Credential(format!("{what}: Azure does not accept the token (401)")));
                    }
                    rejected = true;
                    self.forget_token(request).await;
                    drop(answer);
                    continue;
                }
                Ok((answer, _)) => match judge(request, &answer) {
                    Verdict::Done => return Ok(answer),
                    verdict => verdict,
                },
                Err(Lost::Final(error)) => return Err(error),
                Err(Lost::NotSent(why)) => Verdict::Again { after: None, throttled: false, error: None, why },
                Err(Lost::Sent(why)) if request.write => {
                    return Err(AzureError::OutcomeUnknown { what, why, client_request_id: id.to_string() });
                }
                Err(Lost::Sent(why)) => Verdict::Again { after: None, throttled: false, error: None, why },
            };
            let (after, throttled, error, why) = match verdict {
                Verdict::Done => continue,
                Verdict::No(error) => return Err(error),
                Verdict::Again { after, throttled, error, why } => (after, throttled, error, why),
            };
            let wait = after.unwrap_or_else(|| backoff(attempt, self.0.ids.fraction()));
            if attempt == TRIES || waited.saturating_add(wait) > PATIENCE {
                return Err(match error {
                    _ if throttled => AzureError::Throttled { what, retry_after: after.unwrap_or(USUAL_THROTTLE) },
                    Some(error) => error,
                    None => AzureError::Unreachable { what, why },
                });
            }
            waited = waited.saturating_add(wait);
            self.0.clock.pause(wait).await;
        }
        Err(AzureError::Unreachable { what, why: "no try was left".to_owned() })
    }

    async fn forget_token(&self, request: &Request) {
        let endpoints = &self.0.endpoints;
        let scope = if request.plane == Plane::Arm { &endpoints.arm_scope } else { &endpoints.vault_scope };
        self.0.credential.forget(scope).await;
    }

    /// One try: the answer whatever its status, or why there is none.
    async fn once(&self, request: &Request, id: Uuid) -> Result<(Answer, StatusCode), Lost> {
        let url = self.url(request).map_err(Lost::Final)?;
        let scope = match &request.plane {
            Plane::Arm => &self.0.endpoints.arm_scope,
            Plane::Vault(host) if host.is_managed_hsm() => {
                return Err(Lost::Final(AzureError::NotThisCloud(format!(
                    "{host} is a managed HSM, which is not read"
                ))));
            }
            Plane::Vault(_) => &self.0.endpoints.vault_scope,
        };
        let token = self.0.credential.bearer(scope, self.0.clock.now()).await.map_err(Lost::Final)?;
        let mut builder = self.builder(request, url, id).bearer_auth(token.expose());
        if let Some(body) = &request.body {
            builder = builder.json(body);
        } else if request.method == Method::POST {
            builder = builder.header("content-length", "0");
        }
        let started = tokio::time::Instant::now();
        let sent = builder.send().await;
        let read = match sent {
            Ok(response) => self.read(request, id, response).await,
            Err(error) => Err(lost(&error)),
        };
        log(request, id, started.elapsed(), &read);
        read
    }

    fn builder(&self, request: &Request, url: Url, id: Uuid) -> reqwest::RequestBuilder {
        let mut builder = self.0.http.request(request.method.clone(), url);
        if let (Plane::Vault(host), Some(_)) = (&request.plane, &self.0.endpoints.vault_override) {
            builder = builder.header(HOST, host.as_str());
        }
        builder
            .header("x-ms-client-request-id", id.to_string())
            .header("x-ms-return-client-request-id", "true")
            .header("accept", "application/json")
    }

    /// The address of a request; only hosts of the configured cloud have one.
    fn url(&self, request: &Request) -> Result<Url, AzureError> {
        let endpoints = &self.0.endpoints;
        let base = match &request.plane {
            Plane::Arm => endpoints.arm.clone(),
            Plane::Vault(host) if !endpoints.owns(host) => {
                return Err(AzureError::NotThisCloud(format!("{host} does not belong to the configured cloud")));
            }
            Plane::Vault(host) => match &endpoints.vault_override {
                Some(url) => url.clone(),
                None => {
                    Url::parse(&format!("https://{host}/")).map_err(|_| AzureError::NotThisCloud(host.to_string()))?
                }
            },
        };
        let mut url = base;
        url.set_path(&request.path);
        url.set_query(Some(&request.query).filter(|query| !query.is_empty()).map(String::as_str));
        Ok(url)
    }

    async fn read(
        &self,
        request: &Request,
        id: Uuid,
        mut response: reqwest::Response,
    ) -> Result<(Answer, StatusCode), Lost> {
        let status = response.status();
        let headers = AnswerHeaders::read(response.headers(), self.0.clock.now());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Lost::Sent(reason(&error)))? {
            if bytes.len() + chunk.len() > LARGEST_ANSWER {
                let why = format!("it is larger than {} MiB", LARGEST_ANSWER / 1024 / 1024);
                return Err(if request.write {
                    Lost::Sent(why)
                } else {
                    Lost::Final(AzureError::BadAnswer { what: request.what(), why })
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        let parsed =
            if bytes.iter().all(u8::is_ascii_whitespace) { Ok(Value::Null) } else { serde_json::from_slice(&bytes) };
        let body = match parsed {
            Ok(body) => body,
            // An error page of something in between: its status still tells.
            Err(_) if !status.is_success() => Value::Null,
            Err(_) if request.write => return Err(Lost::Sent("the answer is not JSON".to_owned())),
            Err(error) => {
                let why = format!("it is not JSON ({error})");
                return Err(Lost::Final(AzureError::BadAnswer { what: request.what(), why }));
            }
        };
        let answer = Answer { what: request.what(), status: status.as_u16(), body, headers, client_request_id: id };
        Ok((answer, status))
    }

    /// All items of a list. Following pages are asked only of the Resource Manager itself.
    ///
    /// Answers an error rather than part of a list: what is missing could be taken for absent.
    pub(crate) async fn list(&self, request: Request) -> Result<Vec<Value>, AzureError> {
        let what = request.what();
        let (items, complete) = self.some_pages(request, MOST_PAGES).await?;
        if complete {
            return Ok(items);
        }
        Err(AzureError::BadAnswer { what, why: format!("the list has more than {MOST_PAGES} pages") })
    }

    /// The items of up to `most` pages, and whether that was all.
    pub(crate) async fn some_pages(&self, mut request: Request, most: usize) -> Result<(Vec<Value>, bool), AzureError> {
        let mut items = Vec::new();
        for _ in 0..most {
            let answer = self.perform(&request).await?;
            let page = answer.body["value"].as_array().ok_or_else(|| answer.bad("it has no list named value"))?;
            items.extend_from_slice(page);
            let next = match &answer.body["nextLink"] {
                Value::Null => return Ok((items, true)),
                Value::String(next) if next.is_empty() => return Ok((items, true)),
                Value::String(next) => next,
                _ => return Err(answer.bad("its nextLink is no text")),
            };
            let url =
                self.same_arm(next).ok_or_else(|| answer.bad("its next page lies outside the Resource Manager"))?;
            url.path().clone_into(&mut request.path);
            request.query = url.query().unwrap_or_default().to_owned();
        }
        Ok((items, false))
    }

    /// A URL that Azure gave, resolved against the Resource Manager, if it stays there.
    pub(crate) fn same_arm(&self, text: &str) -> Option<Url> {
        let arm = &self.0.endpoints.arm;
        let url = arm.join(text.trim()).ok()?;
        let bare = url.username().is_empty() && url.password().is_none();
        (bare && url.origin() == arm.origin()).then_some(url)
    }

    /// Whether a vault's `/healthstatus` answers: one try, no token.
    pub(crate) async fn knock(&self, host: &VaultHost) -> Result<bool, AzureError> {
        let request = Request { query: String::new(), ..Request::get("/healthstatus", "", "").at(host) };
        let url = self.url(&request)?;
        let id = self.0.ids.uuid();
        let answer = self.builder(&request, url, id).send().await;
        tracing::debug!(what = request.what(), status = answer.as_ref().map_or(0, |a| a.status().as_u16()), "azure");
        match answer {
            Ok(answer) if answer.status().is_server_error() => {
                Err(AzureError::Unreachable { what: request.what(), why: format!("HTTP {}", answer.status().as_u16()) })
            }
            Ok(_) => Ok(true),
            Err(error) if error.is_connect() || error.is_timeout() => Ok(false),
            Err(error) => Err(AzureError::Unreachable { what: request.what(), why: reason(&error) }),
        }
    }
}

/// Whether a 401 is about who asks. Some API versions of SQL answer it for a key that the server may not use (error
/// catalogue of the TDE operations), and then its code tells.
fn is_about_the_token(body: &Value) -> bool {
    error_body(body).code.is_none_or(|code| {
        let code = code.to_ascii_lowercase();
        code == "unauthorized" || code.contains("token") || code.contains("authentication")
    })
}

fn judge(request: &Request, answer: &Answer) -> Verdict {
    let after = answer.headers.retry_after;
    let refused = || refusal(answer.what.clone(), answer.status, &answer.body, &request.action, &request.scope);
    let again = |throttled| {
        let error = says_why(&answer.body).then(refused);
        Verdict::Again { after, throttled, error, why: format!("HTTP {}{}", answer.status, code_of(&answer.body)) }
    };
    match answer.status {
        200..=299 => Verdict::Done,
        300..=399 => Verdict::No(answer.bad("a redirect, which is never followed")),
        429 => again(true),
        503 if after.is_some() => again(true),
        // SQL throttles with 503 TooManyRequests.
        503 if error_body(&answer.body).code.is_some_and(|code| code.eq_ignore_ascii_case("TooManyRequests")) => {
            again(true)
        }
        408 | 500..=599 if !request.write => again(false),
        408 | 500..=599 if !says_why(&answer.body) => Verdict::No(AzureError::OutcomeUnknown {
            what: answer.what.clone(),
            why: format!("HTTP {}{}", answer.status, code_of(&answer.body)),
            client_request_id: answer.client_request_id.to_string(),
        }),
        _ => Verdict::No(refused()),
    }
}

fn code_of(body: &Value) -> String {
    error_body(body).code.map_or_else(String::new, |code| format!(" {code}"))
}

/// Whether a server error carries a code of the service itself, which then has decided and done nothing.
fn says_why(body: &Value) -> bool {
    const GENERIC: [&str; 14] = [
        "internalservererror",
        "internalerror",
        "serviceunavailable",
        "servicenotavailable",
        "serverbusy",
        "servicebusy",
        "servertimeout",
        "gatewaytimeout",
        "badgateway",
        "operationtimedout",
        "requesttimeout",
        "toomanyrequests",
        "servererror",
        "unknownerror",
    ];
    error_body(body).code.is_some_and(|code| !GENERIC.contains(&code.to_ascii_lowercase().as_str()))
}

/// 1, 2, 4 … seconds, each shortened by up to a half.
fn backoff(attempt: u32, fraction: f64) -> SignedDuration {
    let whole = f64::from(1_u32 << (attempt - 1).min(5));
    SignedDuration::from_secs_f64(whole * (1.0 - fraction / 2.0))
}

fn lost(error: &reqwest::Error) -> Lost {
    if error.is_connect() || error.is_builder() { Lost::NotSent(reason(error)) } else { Lost::Sent(reason(error)) }
}

/// The innermost cause, without the URL (it may carry a continuation token).
fn reason(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection was lost"
    };
    let mut source = std::error::Error::source(error);
    let mut innermost = None;
    while let Some(cause) = source {
        innermost = Some(cause.to_string());
        source = cause.source();
    }
    innermost.map_or_else(|| kind.to_owned(), |cause| format!("{kind} ({cause})"))
}

fn log(request: &Request, id: Uuid, took: Duration, read: &Result<(Answer, StatusCode), Lost>) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let (method, path) = (request.method.as_str(), request.path.as_str());
    match read {
        Ok((answer, status)) => {
            let code = code_of(&answer.body);
            let azure = answer.headers.request_id.as_deref().unwrap_or_default();
            tracing::debug!(method, path, status = status.as_u16(), code = code.trim(), ms, %id, azure, "azure");
        }
        Err(Lost::NotSent(why) | Lost::Sent(why)) => tracing::debug!(method, path, why, ms, %id, "azure: no answer"),
        Err(Lost::Final(error)) => tracing::debug!(method, path, %error, ms, %id, "azure: no use"),
    }
}
