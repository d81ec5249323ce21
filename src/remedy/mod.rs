//! (room remedy)
