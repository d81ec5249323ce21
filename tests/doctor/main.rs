//! `keymend doctor`, the built binary, against the simulated cloud.

mod alerts;
mod clinic;
mod conformance;
mod garbled;
mod rights;
mod surroundings;
mod table;
