//! The mind: words and decisions. Pure: no I/O, no clock, no async, no randomness; time is an argument.

pub mod database_ref;
pub mod decide;
pub mod dependent;
pub mod diagnose;
pub mod diagnosis;
pub mod evidence;
pub mod expiry;
pub mod gates;
pub mod incident;
pub mod key_uri;
pub mod notice;
pub mod plan;
pub mod policy;
pub mod remedy;
pub mod resource_id;
pub mod restoration;
pub mod rights;
pub mod signal;
pub mod situation;
#[cfg(test)]
pub(crate) mod test_support;
pub mod words;
