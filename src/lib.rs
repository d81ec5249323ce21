//! Keymend repairs lost access of Azure SQL to its customer-managed TDE key, and tells the on-call team all the way.
//!
//! The map of the house, top floor first; a floor imports only floors below it:
//!
//! | floor | rooms |
//! |---|---|
//! | doors | [`cli`], [`web`], `drill` (the simulated cloud: speaks HTTP like Azure) |
//! | loop | [`responder`]: one pass over one incident; [`patrol`]: the timer's walk over everything protected; [`doctor`]: whether everything is there that it needs; [`posture`]: how a chain is now, and what may break it |
//! | hands | [`probe`] reads Azure, [`remedy`] changes it, [`notify`] tells people, [`store`] remembers |
//! | wire | [`azure`]: clouds, credentials, transport, typed calls; no other room builds an Azure URL |
//! | mind | [`domain`]: words and decisions; pure |
//!
//! [`settings`] reads `keymend.toml`; [`clock`] is the only source of time, [`ids`] of ids; [`markup`] escapes; [`tls`] knows whom this machine trusts; [`telemetry`] counts and traces
//! what any room tells it.

pub mod azure;
pub mod cli;
pub mod clock;
pub mod doctor;
pub mod domain;
#[cfg(feature = "drill")]
pub mod drill;
pub mod ids;
pub mod markup;
pub mod notify;
pub mod patrol;
pub mod posture;
pub mod probe;
pub mod remedy;
pub mod responder;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod web;
