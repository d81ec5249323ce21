//! The remedies against the simulated cloud, over real HTTP, through a gate that stops, loses and forges on demand.
#![cfg(feature = "drill")]

mod batches;
mod changed_meanwhile;
mod gate;
mod interrupted;
mod lab;
mod once;
mod refused;
