//! (room cli)

pub mod replay;
