//! One recorded request: hooks, faults, the service, the answer.

use std::sync::Arc;

use super::faults::{Fault, FaultKind};
use super::incoming::Incoming;
use super::recording::{Exchange, Plane};
use super::wire::{Answer, Request};
use super::{Inner, Moment, Verdict, arm, control, data_plane, entra, lock, mischief, sinks};
use crate::clock::Busy;
use jiff::SignedDuration;
use serde_json::Value;

/// One recorded request: hooks, faults, the service, the answer.
pub(super) async fn exchange(inner: &Arc<Inner>, incoming: &Incoming, busy: Busy) -> Answer {
    let number = begin(inner, incoming);
    if stalls(inner, number, Moment::Before) {
        drop(busy);
        return std::future::pending().await;
    }
    let armed = || lock(&inner.faults).hit(&incoming.request.method, &incoming.place, inner.clock.now());
    let fault = mischief::fault(inner, number).or_else(armed);
    let mut answer = None;
    if let Some(fault) = fault.as_ref().filter(|fault| !fault.after_effect) {
        answer = suffer(inner, incoming, fault).await;
        if answer.is_none() && matches!(fault.kind, FaultKind::Timeout) {
            drop(busy);
            return std::future::pending().await;
        }
    }
    let mut answer = answer.unwrap_or_else(|| mischief::twisted(inner, number, carry_out(inner, incoming, number)));
    if stalls(inner, number, Moment::After) {
        drop(busy);
        return std::future::pending().await;
    }
    if let Some(fault) = fault.as_ref().filter(|fault| fault.after_effect) {
        if matches!(fault.kind, FaultKind::Timeout) {
            drop(busy);
            return std::future::pending().await;
        }
        answer = suffer(inner, incoming, fault).await.unwrap_or(answer);
    }
    answer.cut_short = fault.is_some_and(|fault| matches!(fault.kind, FaultKind::Truncated));
    finish(inner, incoming, number, answer)
}

/// Puts the request down, and answers its number.
pub(super) fn begin(inner: &Inner, incoming: &Incoming) -> u64 {
    lock(&inner.record).begin(Exchange {
        number: 0,
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
    })
}

pub(super) fn stalls(inner: &Inner, number: u64, moment: Moment) -> bool {
    let Some(hook) = lock(&inner.hook).clone() else { return false };
    let Some(seen) = lock(&inner.record).get_mut(number).cloned() else { return false };
    hook(moment, &seen) == Verdict::Stall
}

/// What a fault answers; nothing for one that only delays or never answers.
pub(super) async fn suffer(inner: &Inner, incoming: &Incoming, fault: &Fault) -> Option<Answer> {
    if let Some(answer) = sinks::suffer(&incoming.request.path, &fault.kind) {
        return Some(answer);
    }
    match &fault.kind {
        FaultKind::Throttle { retry_after } => Some(
            Answer::error(429, "TooManyRequests", "Too many requests have been sent.")
                .with_header("retry-after", retry_after.to_string()),
        ),
        FaultKind::Status { status, code } => Some(Answer::error(*status, code, "The request could not be processed.")),
        FaultKind::Reset => Some(Answer::nobody_there()),
        FaultKind::Say { status, content_type, text, location } => {
            let said = Answer::text(*status, content_type, text);
            Some(match location {
                Some(location) => said.with_header("location", location),
                None => said,
            })
        }
        FaultKind::Timeout | FaultKind::Truncated => None,
        FaultKind::Slow { milliseconds } => {
            inner.clock.pause(SignedDuration::from_millis(i64::from(*milliseconds))).await;
            None
        }
    }
}

/// Lets the service answer, and notes whether anything in the world was changed.
pub(super) fn carry_out(inner: &Inner, incoming: &Incoming, number: u64) -> Answer {
    let now = inner.clock.now();
    let mut state = lock(&inner.state);
    state.advance(now);
    let before = state.changed;
    let id = state.guid(&format!("request|{}", number - 1));
    let request = Request { correlation: id.clone(), ..incoming.request.clone() };
    let mut answer = match incoming.plane {
        Plane::Arm => arm::answer(&mut state, &request),
        Plane::KeyVault => data_plane::answer(&mut state, &request),
        Plane::Token if entra::is_public(&request.path) => {
            entra::answer(&mut lock(&inner.entra), &state.world.tenant, &request)
        }
        Plane::Token => control::token(&state, &request),
        Plane::Other => control::sink(inner, incoming, now),
    };
    let effect = state.changed != before;
    drop(state);
    if let Some(exchange) = lock(&inner.record).get_mut(number) {
        exchange.effect = effect;
    }
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

pub(super) fn finish(inner: &Inner, incoming: &Incoming, number: u64, answer: Answer) -> Answer {
    let mut record = lock(&inner.record);
    if let Some(exchange) = record.get_mut(number) {
        exchange.answered_at = Some(inner.clock.now());
        exchange.status = answer.status;
        let text = answer.text.as_deref().map(|(_, text)| Value::from(text.as_str()));
        exchange.response_body = answer.body.clone().or(text);
        exchange.response_headers =
            answer.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    }
    record.finish(number);
    drop(record);
    if incoming.plane == Plane::Other {
        control::keep_posted(inner, incoming, answer.status);
    }
    answer
}
