//! (room cli)

pub mod replay;
#[cfg(feature = "drill")]
pub mod sim;
