//! How the chains from databases to their keys are now, before anything is lost: reads Azure, changes nothing.
//!
//! | file | job |
//! |---|---|
//! | [`target`] | which chains a named resource has |
//! | [`chain`] | one chain, link by link, with what Keymend would do about it |

pub mod chain;
pub mod target;
