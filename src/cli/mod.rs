//! (room cli)
#[cfg(feature = "drill")]
pub mod sim;
