//! Settings that Azure dropped: what is to be put back, what was, and what was not and why.

use crate::domain::database_ref::DatabaseRef;
use crate::domain::notice::Notice;
use crate::domain::remedy::{Change, Remedy};
use crate::domain::restoration::{Fate, Item, Restoration, id_of};
use crate::notify::texts::affected::subject;
use crate::notify::texts::asking::decide;
use crate::notify::texts::by_hand::command;
use crate::notify::texts::changes::{how_many, others, undo};
use crate::notify::texts::clocks::clock;
use crate::notify::texts::message::{Mark, Part, Section};
use crate::notify::texts::words::{Line, count};

/// Up to so many settings of one kind of fate are told one by one.
const SHOWN: usize = 12;

/// Whether the question is about settings: the outage is over then.
pub(super) fn is_asked(notice: &Notice) -> bool {
    notice.plan.as_ref().is_some_and(|plan| plan.remedy == Remedy::RestoreSettings)
}

pub(super) fn question(notice: &Notice) -> Line {
    let it = subject(notice);
    let settings = notice.plan.as_ref().map_or(0, how_many);
    let verb = it.pick(" is", " are");
    let asked = count(settings, "setting that Azure dropped be put back?", "settings that Azure dropped be put back?");
    it.line.say(format!("{verb} online; shall {asked}"))
}

pub(super) fn asked_meaning() -> Line {
    Line::of("Every database is in service. Azure dropped some of their settings while they were inaccessible.")
}

pub(super) fn counted(notice: &Notice) -> Line {
    let Some(restoration) = &notice.restoration else { return Line::of("settings were looked at") };
    let back = restoration.put_back();
    let rest = restoration.items.len() - back;
    let line = Line::of(format!("{} put back", count(back, "setting", "settings")));
    if rest > 0 { line.say(format!(", {rest} not")) } else { line }
}

pub(super) fn meaning(notice: &Notice) -> Line {
    let rest = notice.restoration.as_ref().map_or(0, |restoration| restoration.items.len() - restoration.put_back());
    Line::of("Azure drops settings of databases that were inaccessible past the self-heal window. ").say(match rest {
        0 => "All that Keymend knows of are as they were before.",
        _ => "Those below that were not put back are for a person to look at.",
    })
}

/// A value for people: of an id, its last part.
#[must_use]
pub fn short(value: &str) -> &str {
    if value.starts_with("/subscriptions/") { value.rsplit('/').next().unwrap_or(value) } else { value }
}

fn line(item: &Item) -> Line {
    Line::default()
        .strong(format!("{} of {} on {}", item.setting, item.database.name, item.database.server.name()))
        .say(": was ")
        .code(short(&item.before))
}

fn part(item: &Item, notice: &Notice) -> Part {
    let was = line(item);
    let is = || if item.now.is_empty() { "none" } else { short(&item.now) };
    match &item.fate {
        Fate::PutBack { at } => {
            Part::Marked(Mark::Ok, was.say(format!(", and is again since {}", clock(*at, notice.at))))
        }
        Fate::ToPutBack { .. } => Part::Marked(Mark::Unknown, was.say(", is ").code(is())),
        Fate::Left { why, .. } | Fate::Explained { why } => {
            Part::Marked(Mark::Skip, was.say(", is ").code(is()).say(": ").quote(why))
        }
    }
}

/// How a person puts back what was left.
#[must_use]
pub fn by_hand(item: &Item) -> Option<String> {
    let Fate::Left { by_hand: Some(setting), .. } = &item.fate else { return None };
    command(&Change::RestoreSetting { database: id_of(&item.database)?, setting: setting.clone() })
}

fn some(title: &'static str, notice: &Notice, restoration: &Restoration, which: fn(&Fate) -> bool) -> Section {
    let all: Vec<&Item> = restoration.items.iter().filter(|item| which(&item.fate)).collect();
    let command = |item: &Item| Some(Part::Command(Line::default().code(by_hand(item)?)));
    let shown = all.iter().take(SHOWN);
    let mut parts: Vec<Part> =
        shown.flat_map(|item| [Some(part(item, notice)), command(item)].into_iter().flatten()).collect();
    if all.len() > SHOWN {
        parts.push(Part::Text(Line::of(format!("and {} more settings", all.len() - SHOWN))));
    }
    Section::titled(title, parts)
}

/// The same of some databases.
fn told(databases: &[DatabaseRef], what: &str) -> Vec<Part> {
    let one = |database: &DatabaseRef| {
        let who = format!("{} on {}", database.name, database.server.name());
        Part::Text(Line::default().strong(who).say(format!(": {what}")))
    };
    let mut parts: Vec<Part> = databases.iter().take(SHOWN).map(one).collect();
    let rest = databases.len().saturating_sub(SHOWN);
    if rest > 0 {
        parts.push(Part::Text(Line::of(format!("and {}: the same", count(rest, "more database", "more databases")))));
    }
    parts
}

/// Every setting, by what becomes of it.
pub(super) fn settings(restoration: &Restoration, notice: &Notice) -> Vec<Section> {
    let open = restoration.is_open();
    let title = if open { "Dropped by Azure; a message of its own tells when it is back" } else { "Dropped by Azure" };
    let mut sections = vec![
        some("Put back", notice, restoration, |fate| matches!(fate, Fate::PutBack { .. })),
        some(title, notice, restoration, |fate| matches!(fate, Fate::ToPutBack { .. })),
        some("Left as it is, for you to look at", notice, restoration, |fate| matches!(fate, Fate::Left { .. })),
        some("Explained", notice, restoration, |fate| matches!(fate, Fate::Explained { .. })),
    ];
    let mut unknown = told(
        &restoration.without_snapshot,
        "its settings were never recorded while it was in service, so only what Azure still showed of it can be compared. \
         Check retention, tags, pool and failover group yourself",
    );
    unknown.extend(told(
        &restoration.without_retention,
        "its retention was never recorded. Check for how long its backups are kept",
    ));
    let unread = restoration.uncompared.iter().map(|server| {
        Part::Text(Line::default().strong(server.name()).say(": its databases could not be compared yet"))
    });
    unknown.extend(unread);
    sections.push(Section::titled("Not known", unknown));
    sections.retain(|section| !section.parts.is_empty());
    sections
}

pub(super) fn asked(notice: &Notice) -> (Vec<Section>, Line) {
    let mut sections = Vec::new();
    if let Some(approval) = &notice.approval {
        let why = Part::Fact("Why you are asked", Line::default().quote(&approval.why));
        sections.push(Section::untitled(vec![why]));
    }
    if let Some(restoration) = &notice.restoration {
        sections.push(some("This is put back", notice, restoration, |fate| matches!(fate, Fate::ToPutBack { .. })));
    }
    if let Some(plan) = &notice.plan {
        sections.push(Section::titled(
            "Before you decide",
            vec![
                Part::Fact("Who else feels it", Line::of(others(plan.remedy))),
                Part::Fact("To undo", Line::of(undo(plan.remedy))),
            ],
        ));
        sections.push(Section::titled("Your decision", decide(notice, plan)));
    }
    let until = notice.approval.as_ref().map(|approval| clock(approval.answer_by, notice.at));
    let next = until.map_or_else(String::new, |until| {
        format!("Nothing is changed without an answer; after {until} everything stays as it is.")
    });
    (sections, Line::of(next))
}

pub(super) fn restored(notice: &Notice) -> (Vec<Section>, Line) {
    let sections = notice.restoration.as_ref().map(|restoration| settings(restoration, notice)).unwrap_or_default();
    (sections, Line::default())
}
