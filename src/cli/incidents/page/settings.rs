//! Settings that Azure dropped, and what became of each.

use super::{bad, good};
use crate::cli::incidents::layout::Layout;
use crate::domain::database_ref::DatabaseRef;
use crate::domain::restoration::{Fate, Item, Restoration};
use crate::notify::texts::clocks::date_and_clock;
use crate::notify::texts::restoring::{by_hand, short};

pub(super) fn settings(page: &mut Layout, restoration: &Restoration) {
    let (all, back) = (restoration.items.len(), restoration.put_back());
    page.section(&format!("SETTINGS AFTER THE OUTAGE: {back} of {all} that differed are put back"));
    for item in &restoration.items {
        one(page, item);
    }
    for server in &restoration.uncompared {
        page.item("not compared", server.name());
    }
    unknown(page, "never recorded", &restoration.without_snapshot);
    unknown(page, "no retention", &restoration.without_retention);
}

fn one(page: &mut Layout, item: &Item) {
    let of = format!("{} of {} on {}", item.setting, item.database.name, item.database.server.name());
    let was = format!("{of}: was {}", short(&item.before));
    let is = format!("{was}, is {}", short(&item.now));
    match &item.fate {
        Fate::PutBack { at } => page.styled("put back", &good(), &format!("{was}, seen at {}", date_and_clock(*at))),
        Fate::ToPutBack { .. } => page.item("to put back", &is),
        Fate::Left { why, .. } => page.styled("left", &bad(), &format!("{is}: {why}")),
        Fate::Explained { why } => page.item("explained", &format!("{is}: {why}")),
    }
    if let Some(command) = by_hand(item) {
        page.as_is(&command);
    }
}

fn unknown(page: &mut Layout, label: &str, databases: &[DatabaseRef]) {
    for database in databases {
        page.item(label, &format!("{} on {}", database.name, database.server.name()));
    }
}
