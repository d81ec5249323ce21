//! The drill: the simulated cloud and its scenarios (speaks HTTP like Azure).
//!
//! | room | job |
//! |---|---|
//! | [`cloud`] | the simulated cloud |
//! | [`scenario`] | what breaks, what is allowed, how it must end |
//! | [`run`] | plays a scenario with the real responder, over HTTP |
//! | [`side_by_side`] | several stories at a time |
//! | [`early`] | how soon random losses are repaired, by what tells of them |
//! | [`house`] | the responder's side of a drill |
//! | [`voices`] | who is told in a drill |
//! | [`story`] | what happened, line by line |
//! | [`judge`] | whether it ended as declared |

pub mod cloud;
pub mod early;
pub mod house;
pub mod judge;
pub mod run;
pub mod scenario;
pub mod side_by_side;
pub mod story;
pub mod voices;
