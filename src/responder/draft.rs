//! An incident in the hands of a pass.

use crate::domain::incident::Incident;
use crate::domain::notice::Notice;
use crate::store::{NewJob, Version};

/// An incident in the hands of a pass: what was loaded, and what will be saved with it.
pub(super) struct Draft {
    /// The document.
    pub incident: Incident,
    /// The version it was read at.
    pub version: Version,
    /// As it was read.
    pub base: Incident,
    /// Jobs that go with it.
    pub jobs: Vec<NewJob>,
    /// New notices.
    pub notices: Vec<Notice>,
}

impl Draft {
    /// As it was loaded.
    pub fn new(incident: Incident, version: Version) -> Self {
        Self { base: incident.clone(), incident, version, jobs: Vec::new(), notices: Vec::new() }
    }
}
