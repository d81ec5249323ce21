//! Where the jobs are: one blob each, and the doorbell that calls for them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::blobs::{Blobs, Seen};
use super::doorbell::Doorbell;
use crate::ids::Ids;

/// The versions of job records that could not be read: lists leave them out until somebody changes them.
#[derive(Debug, Default)]
pub(super) struct Unreadable(Mutex<HashMap<String, String>>);

impl Unreadable {
    pub fn remember(&self, seen: &Seen) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(seen.name.clone(), seen.etag.to_string());
    }

    pub fn knows(&self, seen: &Seen) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&seen.name).is_some_and(|etag| *etag == seen.etag.to_string())
    }
}

/// The jobs of a container, and the doorbell that calls for them.
#[derive(Debug)]
pub(super) struct Jobs<'a> {
    pub blobs: &'a Blobs,
    pub doorbell: Option<&'a Doorbell>,
    pub ids: &'a Ids,
    pub unreadable: &'a Unreadable,
}
