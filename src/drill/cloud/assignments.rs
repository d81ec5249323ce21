//! The role assignments, found by whom they are for: a check of rights must not read all of a large estate's.

use std::collections::HashMap;
use std::ops::Deref;

use super::resources::Assignment;

/// All of them, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Assignments {
    all: Vec<Assignment>,
    /// Places in `all`, by the principal's id in lower case.
    of: HashMap<String, Vec<usize>>,
}

impl Assignments {
    /// Those of one principal.
    pub(crate) fn of<'a>(&'a self, principal: &str) -> impl Iterator<Item = &'a Assignment> + use<'a> {
        let places = self.of.get(&principal.to_ascii_lowercase());
        places.into_iter().flatten().map(|at| &self.all[*at])
    }

    pub(crate) fn push(&mut self, assignment: Assignment) {
        self.of.entry(assignment.principal.to_ascii_lowercase()).or_default().push(self.all.len());
        self.all.push(assignment);
    }

    /// Changes the one that was added last; its principal stays.
    pub(crate) fn change_last(&mut self, change: impl FnOnce(&mut Assignment)) {
        self.all.last_mut().map(change);
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&Assignment) -> bool) {
        let mut all = std::mem::take(&mut self.all);
        all.retain(keep);
        self.of.clear();
        for assignment in all {
            self.push(assignment);
        }
    }
}

impl Deref for Assignments {
    type Target = [Assignment];

    fn deref(&self) -> &[Assignment] {
        &self.all
    }
}
