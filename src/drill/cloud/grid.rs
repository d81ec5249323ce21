//! What Event Grid has seen of the vaults, so that it can tell what changed.

use std::collections::{BTreeMap, BTreeSet};

/// What Event Grid knows of each vault, by its lower-case id.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    pub(crate) vaults: BTreeMap<String, Seen>,
}

/// What it knows of one.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) deleted: bool,
    /// It was deleted since: its subscriptions are gone.
    pub(crate) unsubscribed: bool,
    pub(crate) permissions: String,
    pub(crate) versions: BTreeSet<String>,
    pub(crate) dates: BTreeSet<(String, i64)>,
}
