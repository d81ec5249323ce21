//! Telemetry: what is counted, timed and traced, and where that goes.
//!
//! Any room may call the plain functions of [`count`] and [`parent`]; none of them needs to know who reads. Nothing is
//! kept and nothing is sent unless [`start`](start::start) was called and there is a reader: `GET /metrics` of
//! `keymend serve`, or a collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names.
//!
//! | file | job |
//! |---|---|
//! | [`count`] | the functions that the rooms call |
//! | [`catalogue`] | every metric: name, unit, meaning, steps |
//! | [`milestones`] | from two states of an incident to what is to be counted, once |
//! | [`readings`] | what is read from the store now and then: queue age, open incidents |
//! | [`parent`] | the caller's trace, by W3C Trace Context |
//! | [`page`] | the metrics as Prometheus text |
//! | [`start`] | puts the readers together when the process starts, and flushes when it stops |
//! | `otlp` | whether and how metrics and spans are sent to a collector |
//! | `carrier` | the HTTP client of the exporters: works on tokio, complains once a minute |
//! | `resource` | what a collector is told about this process |
//!
//! No metric has a label whose values come from outside: no ids, no names of resources, no texts.

mod carrier;
pub mod catalogue;
pub mod count;
pub mod milestones;
mod otlp;
pub mod page;
pub mod parent;
pub mod readings;
mod resource;
pub mod start;

pub use page::Page;
pub use start::{Telemetry, Wanted, start};
