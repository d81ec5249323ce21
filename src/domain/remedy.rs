//! (remedy)
