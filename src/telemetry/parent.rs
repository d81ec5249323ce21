//! The caller's trace: `traceparent` and `tracestate` by W3C Trace Context, level 1.
//!
//! The Functions host copies a caller's `traceparent` as it is (with Application Insights on, its own span is our sibling
//! then, not our parent), and makes one where there is none. Whoever calls can write anything into these headers: what is
//! not exactly as the standard has it is ignored, and the request begins a trace of its own.

use axum::http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
/// The length of `traceparent` in version 00: `00-` trace id `-` parent id `-` flags.
const LENGTH: usize = 55;
/// The longest `tracestate` that is passed on (the standard asks for at least 512).
const LONGEST_STATE: usize = 512;

/// Makes the caller's span the parent of `span`, if the headers name one. Does nothing while spans are not sent anywhere.
/// To be called before the span is entered.
pub fn adopt(span: &Span, headers: &HeaderMap) {
    let Some(caller) = Caller::read(headers) else { return };
    // Fails only where no layer takes spans.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&caller));
}

/// Checked headers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Caller {
    traceparent: String,
    tracestate: Option<String>,
}

impl Caller {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
        let traceparent = well_formed(parent.to_str().ok()?)?.to_owned();
        Some(Self { traceparent, tracestate: state(headers) })
    }
}

impl Extractor for Caller {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            TRACEPARENT => Some(&self.traceparent),
            TRACESTATE => self.tracestate.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}

/// A `traceparent` as the standard has it, cut to what version 00 knows.
fn well_formed(text: &str) -> Option<&str> {
    let head = text.get(..LENGTH)?;
    let mut parts = head.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lengths = [(version, 2), (trace, 32), (parent, 16), (flags, 2)];
    let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let nought = |part: &str| part.bytes().all(|byte| byte == b'0');
    let fits = parts.next().is_none() && lengths.iter().all(|(part, length)| part.len() == *length && hex(part));
    // Later versions may add to the end, after a hyphen.
    let end = text.get(LENGTH..)?;
    let ends = end.is_empty() || version != "00" && end.starts_with('-');
    (fits && ends && version != "ff" && !nought(trace) && !nought(parent)).then_some(head)
}

/// All `tracestate` headers as one; `None` if one of its members is not as it must be.
fn state(headers: &HeaderMap) -> Option<String> {
    let values: Option<Vec<&str>> = headers.get_all(TRACESTATE).iter().map(|value| value.to_str().ok()).collect();
    let whole = values?.join(",");
    let members: Vec<&str> =
        whole.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty()).collect();
    let fits = !members.is_empty() && members.len() <= 32 && whole.len() <= LONGEST_STATE;
    let mut keys: Vec<&str> = members.iter().filter_map(|member| member.split_once('=')).map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    (fits && keys.len() == members.len() && members.iter().all(|member| is_member(member))).then(|| members.join(","))
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let key_fits = (1..=256).contains(&key.len())
        && key.bytes().all(plain)
        && key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let value_fits = (1..=256).contains(&value.len())
        && value.bytes().all(|byte| (0x20..=0x7e).contains(&byte) && byte != b'=' && byte != b',');
    key_fits && value_fits
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TraceContextExt;
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(parents: &[&str], states: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for parent in parents {
            headers.append(TRACEPARENT, axum::http::HeaderValue::from_bytes(parent.as_bytes()).unwrap());
        }
        for state in states {
            headers.append(TRACESTATE, axum::http::HeaderValue::from_bytes(state.as_bytes()).unwrap());
        }
        headers
    }

    /// Trace id, parent id, whether it is sampled, and the state, as the SDK takes them.
    fn taken(parents: &[&str], states: &[&str]) -> Option<(String, String, bool, String)> {
        let caller = Caller::read(&headers(parents, states))?;
        let context = TraceContextPropagator::new().extract(&caller);
        let span = context.span();
        let span = span.span_context();
        assert!(span.is_valid() && span.is_remote(), "what is let through is a parent");
        let ids = (span.trace_id().to_string(), span.span_id().to_string());
        Some((ids.0, ids.1, span.is_sampled(), span.trace_state().header()))
    }

    #[test]
    fn a_callers_span_is_taken() {
        let (trace, parent, sampled, state) = taken(&[GOOD], &["az=1, b@c=x y", "d=2"]).unwrap();
        assert_eq!(trace, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent, "b7ad6b7169203331");
        assert!(sampled);
        assert_eq!(state, "az=1,b@c=x y,d=2");
        assert!(!taken(&[&GOOD.replace("-01", "-00")], &[]).unwrap().2);
        assert!(taken(&[&format!("cc{}-what-comes-later", &GOOD[2..])], &[]).is_some(), "a later version");
    }

    #[test]
    fn anything_else_begins_a_trace_of_its_own() {
        let longer = format!("{GOOD}-00");
        let (upper, later, ended) = (GOOD.to_uppercase(), format!("cc{}.", &GOOD[2..]), format!("{GOOD}-"));
        let signed = GOOD.replace("0af7", "+af7");
        let spaced = format!(" {GOOD}");
        for bad in [
            "",
            "00",
            "-",
            "00---",
            &longer,
            &upper,
            &later,
            &ended,
            &signed,
            &spaced,
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-af7651916cd43dd8448eb211c80319c-0b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
        ] {
            assert_eq!(taken(&[bad], &[]), None, "{bad:?}");
        }
        assert_eq!(taken(&[GOOD, GOOD], &[]), None, "two parents are none");
        assert_eq!(taken(&[], &["az=1"]), None);
    }

    #[test]
    fn a_bad_state_does_not_cost_the_parent() {
        let long = format!("a={}", "x".repeat(600));
        let many = (0..33).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        for bad in ["a", "=x", "A=1", "a=1,a=2", "a=b=c", "a=", long.as_str(), many.as_str()] {
            assert_eq!(taken(&[GOOD], &[bad]).map(|taken| taken.3), Some(String::new()), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(parent in "\\PC{0,80}", state in "\\PC{0,80}") {
            // What cannot be a header's value never comes here.
            let bytes = |text: &str| axum::http::HeaderValue::from_bytes(text.as_bytes()).is_ok();
            prop_assume!(bytes(&parent) && bytes(&state));
            let _ = taken(&[&parent], &[&state]);
        }

        #[test]
        fn what_is_nearly_right_is_not_taken(at in 0..55usize, with in "[ -~]") {
            let mut text = GOOD.to_owned();
            text.replace_range(at..=at, &with);
            // Let through is what a plain reading of the standard's grammar lets through.
            let grammar = regex::Regex::new("^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$").unwrap();
            let fits = grammar.is_match(&text) && !text.starts_with("ff");
            prop_assert_eq!(taken(&[&text], &[]).is_some(), fits);
        }

        #[test]
        fn every_parent_of_the_standard_is_taken(trace in "[0-9a-f]{31}[1-9a-f]", parent in "[0-9a-f]{15}[1-9a-f]", flags in "[0-9a-f]{2}") {
            let text = format!("00-{trace}-{parent}-{flags}");
            let sampled = u8::from_str_radix(&flags, 16).unwrap() & 1 == 1;
            prop_assert_eq!(taken(&[&text], &[]), Some((trace, parent, sampled, String::new())));
        }
    }
}
