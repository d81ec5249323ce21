//! The metrics as Prometheus text, format version 0.0.4.

use prometheus::{Registry, TextEncoder};

/// The content type of the text.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Where the text comes from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Page(Registry);

impl Page {
    pub(super) const fn new(registry: Registry) -> Self {
        Self(registry)
    }

    /// The metrics as they are now.
    ///
    /// # Errors
    /// In words, if a metric cannot be written.
    pub fn text(&self) -> Result<String, String> {
        TextEncoder::new().encode_to_string(&self.0.gather()).map_err(|error| error.to_string())
    }
}
