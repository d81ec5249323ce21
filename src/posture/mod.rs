//! How the chains from databases to their keys are now, before anything is lost: reads Azure, changes nothing.
//!
//! | file | job |
//! |---|---|
//! | [`target`] | which chains a named resource has |
//! | [`chain`] | one chain, link by link, with what Keymend would do about it |
//! | [`survey`] | reads everything that is protected, vault by vault |
//! | [`checks`] | what may break it, from what was read |
//! | [`finding`] | one finding: what, why it matters, the fix, the source; the table of rules |
//! | [`report`] | findings, counts, and the map from vaults to databases |

pub mod chain;
pub mod checks;
pub mod finding;
pub mod report;
pub mod survey;
pub mod target;
