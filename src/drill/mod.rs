//! The drill: a cloud that behaves like Azure on loopback, and the things that go wrong in it.

pub mod cloud;
