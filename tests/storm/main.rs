//! Storms of alerts: many, doubled, in any order, late, or forged. They come to one incident for one loss, one card for
//! one phase, few requests, and no write too many.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]
#![cfg(feature = "drill")]

mod accounts;
mod forged;
mod kit;
mod shared_vault;
mod throttled;
mod vaults;
