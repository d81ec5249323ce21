//! (diagnosis)
