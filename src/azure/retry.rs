//! What follows from one try: done, refused, or to be tried again, and when. Reads are tried again on 408, 429, 5xx and lost
//! connections; writes only where they cannot have been done: 429, 503 with `Retry-After`, and no connection.

use jiff::SignedDuration;
use serde_json::Value;
use uuid::Uuid;

use crate::azure::error::{AzureError, error_body, refusal};
use crate::azure::request::{Answer, Request};

/// What a 429 without `Retry-After` is taken to ask for when the tries are used up.
const USUAL_THROTTLE: SignedDuration = SignedDuration::from_secs(30);

/// Why one try gave no answer.
pub(super) enum Lost {
    /// The request cannot have arrived.
    NotSent(String),
    /// It may have.
    Sent(String),
    /// It makes no sense to try again.
    Final(AzureError),
}

/// What follows from one try.
pub(super) enum Verdict {
    Done(Answer),
    No(AzureError),
    /// 401: nothing was done, and another token may be accepted.
    TokenRejected,
    /// Try again after a while; if nobody has patience for that, this is the error.
    Again {
        after: Option<SignedDuration>,
        give_up: AzureError,
    },
}

/// Judges an answer, whatever its status.
pub(super) fn judge(request: &Request, answer: Answer) -> Verdict {
    let after = answer.headers.retry_after;
    let code = error_body(&answer.body).code;
    let said = format!("HTTP {}{}", answer.status, code_of(&answer.body));
    let refused = |answer: Answer| refusal(answer.what, answer.status, &answer.body, &request.action, &request.scope);
    match answer.status {
        200..=299 => Verdict::Done(answer),
        300..=399 => Verdict::No(answer.bad("a redirect, which is never followed")),
        401 if code.as_deref().is_none_or(is_about_the_token) => Verdict::TokenRejected,
        429 => throttled(answer.what, after),
        503 if after.is_some() => throttled(answer.what, after),
        // SQL throttles with 503 TooManyRequests.
        503 if code.as_deref().is_some_and(|code| code.eq_ignore_ascii_case("TooManyRequests")) => {
            throttled(answer.what, after)
        }
        408 | 500..=599 if !request.write => {
            let told = code.as_deref().is_some_and(|code| !is_generic(code));
            let why = AzureError::Unreachable { what: answer.what.clone(), why: said };
            Verdict::Again { after, give_up: if told { refused(answer) } else { why } }
        }
        408 | 500..=599 if code.as_deref().is_none_or(is_generic) => Verdict::No(AzureError::OutcomeUnknown {
            client_request_id: answer.client_request_id.to_string(),
            what: answer.what,
            why: said,
        }),
        _ => Verdict::No(refused(answer)),
    }
}

/// Whether a 401 is about who asks. Some API versions of SQL answer it for a key that the server may not use (error
/// catalogue of the TDE operations): there the code tells.
fn is_about_the_token(code: &str) -> bool {
    let code = code.to_ascii_lowercase();
    code == "unauthorized" || code.contains("token") || code.contains("authentication")
}

fn throttled(what: String, after: Option<SignedDuration>) -> Verdict {
    let give_up = AzureError::Throttled { what, retry_after: after.unwrap_or(USUAL_THROTTLE) };
    Verdict::Again { after, give_up }
}

/// Judges that there was no answer.
pub(super) fn judge_lost(request: &Request, id: Uuid, lost: Lost) -> Verdict {
    let what = request.what();
    match lost {
        Lost::Final(error) => Verdict::No(error),
        Lost::Sent(why) if request.write => {
            Verdict::No(AzureError::OutcomeUnknown { what, why, client_request_id: id.to_string() })
        }
        Lost::Sent(why) | Lost::NotSent(why) => {
            Verdict::Again { after: None, give_up: AzureError::Unreachable { what, why } }
        }
    }
}

/// The error code of a body, with a space in front, for logs.
pub(super) fn code_of(body: &Value) -> String {
    error_body(body).code.map_or_else(String::new, |code| format!(" {code}"))
}

/// Whether a server error's code is anybody's. With a code of its own, the service has decided and done nothing.
fn is_generic(code: &str) -> bool {
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
    GENERIC.contains(&code.to_ascii_lowercase().as_str())
}

/// 1, 2, 4 … seconds, each shortened by up to a half.
pub(super) fn backoff(attempt: u32, fraction: f64) -> SignedDuration {
    let whole = f64::from(1_u32 << (attempt - 1).min(5));
    SignedDuration::from_secs_f64(whole * (1.0 - fraction / 2.0))
}

pub(super) fn lost(error: &reqwest::Error) -> Lost {
    if error.is_connect() || error.is_builder() { Lost::NotSent(reason(error)) } else { Lost::Sent(reason(error)) }
}

/// The innermost cause, without the URL (it may carry a continuation token).
pub(super) fn reason(error: &reqwest::Error) -> String {
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
