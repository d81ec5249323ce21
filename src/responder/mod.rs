//! (room responder)
