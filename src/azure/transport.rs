//! Sending one request to Azure: deadlines, tries, a limit on the answer.
//!
//! Reads are tried again on 408, 429, 5xx and lost connections, waiting as `Retry-After` says or with jittered
//! exponential backoff (1, 2, 4 s …), four tries and sixty seconds of waiting at most. Writes are tried again only where
//! they cannot have been done: 429, 503 with `Retry-After`, and no connection. Redirects are never followed; tokens go
//! only to hosts of the configured cloud.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use reqwest::header::HOST;
use serde_json::Value;
use tracing::Instrument;
use url::Url;
use uuid::Uuid;

use crate::azure::clouds::{ConfigError, Endpoints};
use crate::azure::credential::Credential;
use crate::azure::error::AzureError;
use crate::azure::meter::Meter;
use crate::azure::request::{Answer, AnswerHeaders, Plane, Request};
use crate::azure::retry::{Lost, Verdict, backoff, code_of, judge, judge_lost, lost, reason};
use crate::clock::Clock;
use crate::domain::key_uri::VaultHost;
use crate::ids::Ids;
use crate::telemetry::count;

/// Largest answer that is read.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
/// How often one read is tried.
const TRIES: u32 = 4;
/// How long one request waits for better times, all tries together.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// A cheaply cloned handle to one Azure cloud.
#[derive(Clone, Debug)]
pub struct Azure(Arc<Inner>, Option<Arc<Meter>>);

#[derive(Debug)]
struct Inner {
    endpoints: Endpoints,
    credential: Credential,
    clock: Clock,
    ids: Ids,
    http: reqwest::Client,
}

/// How long after a server error a vault is asked again whether it answers.
const KNOCK_AGAIN: SignedDuration = SignedDuration::from_secs(2);

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
        let mut builder = crate::tls::client()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect)
            .timeout(whole)
            .user_agent(concat!("keymend/", env!("CARGO_PKG_VERSION")));
        if endpoints.on_this_machine() {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| ConfigError::Client(error.to_string()))?;
        Ok(Self(Arc::new(Inner { endpoints, credential, clock, ids, http }), None))
    }

    /// The same cloud for work that can wait: what it sends is counted, and once Azure asks for patience nothing is tried
    /// again.
    #[must_use]
    pub fn metered(&self) -> (Self, Arc<Meter>) {
        let meter = Arc::new(Meter::default());
        (Self(Arc::clone(&self.0), Some(Arc::clone(&meter))), meter)
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

    pub(super) fn credential(&self) -> &Credential {
        &self.0.credential
    }

    pub(super) fn ids(&self) -> &Ids {
        &self.0.ids
    }

    /// Sends a request and tries again where that is safe.
    pub(crate) async fn perform(&self, request: &Request) -> Result<Answer, AzureError> {
        let mut waited = SignedDuration::ZERO;
        let mut attempt = 1;
        let mut renewed = false;
        loop {
            let id = self.0.ids.uuid();
            let (sent, span) = (self.0.clock.now(), span(request, id));
            let verdict = match self.once(request, id).instrument(span).await {
                Ok(answer) => judge(request, answer),
                Err(lost) => judge_lost(request, id, lost),
            };
            match verdict {
                Verdict::Done(answer) => return Ok(answer),
                Verdict::No(error) => return Err(error),
                Verdict::TokenRejected if renewed => {
                    let what = request.what();
                    return Err(AzureError::Credential(format!("{what}: Azure does not accept the token (401)")));
                }
                Verdict::TokenRejected => {
                    renewed = true;
                    self.forget_token(request, sent);
                }
                Verdict::Again { after, give_up } => {
                    let throttled = matches!(give_up, AzureError::Throttled { .. });
                    if throttled {
                        count::throttled(request.service());
                        if let Some(meter) = &self.1 {
                            meter.throttled();
                            return Err(give_up);
                        }
                    }
                    let wait = after.unwrap_or_else(|| backoff(attempt, self.0.ids.fraction()));
                    if attempt == TRIES || waited.saturating_add(wait) > PATIENCE {
                        return Err(give_up);
                    }
                    attempt += 1;
                    waited = waited.saturating_add(wait);
                    if throttled {
                        count::throttle_waited(request.service(), wait);
                    }
                    self.0.clock.pause(wait).await;
                }
            }
        }
    }

    fn forget_token(&self, request: &Request, sent: Timestamp) {
        let endpoints = &self.0.endpoints;
        let scope = if request.plane == Plane::Arm { &endpoints.arm_scope } else { &endpoints.vault_scope };
        self.0.credential.forget(scope, sent);
    }

    /// One try: the answer whatever its status, or why there is none.
    pub(super) async fn once(&self, request: &Request, id: Uuid) -> Result<Answer, Lost> {
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
        if let (Plane::Arm, Some(meter)) = (&request.plane, &self.1) {
            meter.sent();
        }
        let started = tokio::time::Instant::now();
        let sent = builder.send().await;
        let read = match sent {
            Ok(response) => self.read(request, id, response).await,
            Err(error) => Err(lost(&error)),
        };
        log(request, id, started.elapsed(), &read);
        tell(request, started.elapsed(), read.as_ref().ok().map(|answer| answer.status));
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

    async fn read(&self, request: &Request, id: Uuid, mut response: reqwest::Response) -> Result<Answer, Lost> {
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
        Ok(Answer { what: request.what(), status: status.as_u16(), body, headers, client_request_id: id })
    }

    /// Whether a vault's `/healthstatus` answers: no token, and one more try after a server error, so that a hiccup is not
    /// taken for an outage.
    pub(crate) async fn knock(&self, host: &VaultHost) -> Result<bool, AzureError> {
        if let Some(answers) = self.knock_once(host).await? {
            return Ok(answers);
        }
        self.0.clock.pause(KNOCK_AGAIN).await;
        Ok(self.knock_once(host).await?.unwrap_or(false))
    }

    /// `None`: it answered with a server error.
    async fn knock_once(&self, host: &VaultHost) -> Result<Option<bool>, AzureError> {
        let request = Request { query: String::new(), ..Request::get("/healthstatus", "", "").at(host) };
        let url = self.url(&request)?;
        let id = self.0.ids.uuid();
        let (started, span) = (tokio::time::Instant::now(), span(&request, id));
        let answer = self.builder(&request, url, id).send().instrument(span.clone()).await;
        let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        span.in_scope(|| tell(&request, started.elapsed(), status));
        if status == Some(429) {
            count::throttled(request.service());
        }
        tracing::debug!(what = request.what(), status = answer.as_ref().map_or(0, |a| a.status().as_u16()), "azure");
        match answer {
            Ok(answer) if answer.status().is_server_error() => Ok(None),
            Ok(_) => Ok(Some(true)),
            Err(error) if error.is_connect() || error.is_timeout() => Ok(Some(false)),
            Err(error) => Err(AzureError::Unreachable { what: request.what(), why: reason(&error) }),
        }
    }
}

/// The span of one try. Azure is sent no `traceparent`: the Resource Manager and Key Vault do not document one, and know a
/// request by `x-ms-client-request-id`, which the span carries.
fn span(request: &Request, id: Uuid) -> tracing::Span {
    tracing::debug_span!(
        "azure",
        otel.name = format!("{} {}", request.service(), request.operation()),
        otel.kind = "client",
        http.request.method = request.method.as_str(),
        url.path = request.path,
        http.response.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
        azure.client_request_id = %id,
    )
}

/// Counts one try, and completes its span, which is the current one.
fn tell(request: &Request, took: Duration, status: Option<u16>) {
    count::azure(request.service(), request.operation(), status, took);
    let span = tracing::Span::current();
    if let Some(status) = status {
        span.record("http.response.status_code", status);
    }
    if status.is_none_or(|status| status >= 400) {
        span.record("otel.status_code", "ERROR");
    }
}

fn log(request: &Request, id: Uuid, took: Duration, read: &Result<Answer, Lost>) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let (method, path) = (request.method.as_str(), request.path.as_str());
    match read {
        Ok(answer) => {
            let code = code_of(&answer.body);
            let azure = answer.headers.request_id.as_deref().unwrap_or_default();
            tracing::debug!(method, path, status = answer.status, code = code.trim(), ms, %id, azure, "azure");
        }
        Err(Lost::NotSent(why) | Lost::Sent(why)) => tracing::debug!(method, path, why, ms, %id, "azure: no answer"),
        Err(Lost::Final(error)) => tracing::debug!(method, path, %error, ms, %id, "azure: no use"),
    }
}
