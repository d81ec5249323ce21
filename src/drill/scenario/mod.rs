//! The scenarios of the drill: what breaks, what is allowed, and how it must end.
//!
//! A new scenario is one function in the file of its family and one line in [`all`].

mod causes;
mod clocks;
mod crowds;
mod database_keys;
mod early;
mod expiry;
mod geo;
mod instances;
mod patrols;
mod refusals;
mod restores;
mod rotation;
mod variants;

use jiff::SignedDuration;
use serde_json::Value;

use super::cloud::{Break, Fault, World};
use crate::domain::plan::NeedsPerson;
use crate::domain::policy::{Policy, Preset};
use crate::domain::remedy::Remedy;

/// A story that can be played.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows, in one line.
    pub title: &'static str,
    /// The policies under which it is played.
    pub presets: &'static [Preset],
    /// Everything needed to play it.
    pub setup: fn(Preset) -> Setup,
}

/// Everything needed to play a scenario.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The world at the start.
    pub world: World,
    /// What Keymend may do.
    pub policy: Policy,
    /// What happens, and when.
    pub script: Vec<Step>,
    /// Whether the patrol walks in this story.
    pub patrol: bool,
    /// What the people on call do when they are asked.
    pub people: People,
    /// How it must end.
    pub expect: Expect,
    /// When the story is over at the latest.
    pub horizon: SignedDuration,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub struct Step {
    /// When, after the start.
    pub after: SignedDuration,
    /// In words, for the story.
    pub say: String,
    /// What.
    pub act: Act,
}

impl Step {
    /// Something that breaks, or is mended by hand, at a minute of the story.
    fn at(minute: i64, say: &str, what: Break) -> Self {
        Self { after: minutes(minute), say: say.to_owned(), act: Act::Break(what) }
    }
}

impl Expect {
    /// Repaired, every database back; which writes is to be filled in.
    fn repaired() -> Self {
        Self { end: End::Repaired, writes: Writes::None, online: true, world: Vec::new(), silent: false, warned: 0 }
    }
}

/// Facts that several stories declare.
mod then {
    use super::Fact;

    /// SQL can use its key.
    pub(super) fn granted() -> Fact {
        Fact { says: "the server can use its key", holds: |world| world["servers"][0]["key_access"] == "ok" }
    }

    /// SQL never found its key out of reach.
    pub(super) fn never_down() -> Fact {
        Fact { says: "no database was ever inaccessible", holds: |world| world["losses"] == 0 }
    }
}

/// What can happen in a story.
#[derive(Debug, Clone)]
pub enum Act {
    /// Something breaks, or is mended by hand.
    Break(Break),
    /// The cloud misbehaves.
    Fault(Fault),
    /// When the first repair has taken effect: this happens, so many minutes later. Counted from that moment.
    AfterRepair(Break),
}

/// What people do when they are asked to approve.
#[derive(Debug, Clone)]
pub enum People {
    /// Nobody is asked in this story.
    NotAsked,
    /// They approve after so long.
    Approve(SignedDuration),
}

/// How a story must end.
#[derive(Debug, Clone)]
pub struct Expect {
    /// Where the incident stands in the end.
    pub end: End,
    /// The remedies that changed something in Azure, in order, each as often as it did.
    pub writes: Writes,
    /// Every database is back online.
    pub online: bool,
    /// Further facts of the world, each with a sentence for when it is not so.
    pub world: Vec<Fact>,
    /// Most messages that the team may get; `None` = no limit beyond one card per phase and cause.
    pub silent: bool,
    /// Warnings that a key expires soon, each given before and beside the incident.
    pub warned: usize,
}

/// A fact of the world that must hold in the end.
#[derive(Clone, Copy)]
pub struct Fact {
    /// What must be so.
    pub says: &'static str,
    /// Whether it is.
    pub holds: fn(&Value) -> bool,
}

impl std::fmt::Debug for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.says)
    }
}

/// Where an incident must stand in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Repaired by Keymend.
    Repaired,
    /// Came back without a change by Keymend.
    CameBack,
    /// Nothing was wrong: closed without a word to anybody.
    FalseAlarm,
    /// With a person, for this reason.
    WithPerson(NeedsPerson),
}

/// What may have been changed in Azure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writes {
    /// Not one write reached Azure.
    None,
    /// Just these took effect.
    Just(Vec<(Remedy, usize)>),
    /// A write was tried and refused: nothing took effect.
    RefusedOnly,
}

/// Every scenario.
#[must_use]
pub fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    all.extend(causes::all());
    all.extend(clocks::all());
    all.extend(refusals::all());
    all.extend(crowds::all());
    all.extend(early::all());
    all.extend(rotation::all());
    all.extend(expiry::all());
    all.extend(patrols::all());
    all.extend(restores::all());
    all.extend(geo::all());
    all.extend(instances::all());
    all.extend(database_keys::all());
    all.extend(variants::all());
    all
}

/// The scenario of that name.
#[must_use]
pub fn named(name: &str) -> Option<Scenario> {
    all().into_iter().find(|scenario| scenario.name == name)
}

/// The guided tour: a repair with approval, one that must not be made, and a storm.
pub const TOUR: [(&str, Preset); 3] =
    [("vault-deleted", Preset::Guarded), ("deliberate-revocation", Preset::Auto), ("shared-vault", Preset::Guarded)];

/// Both presets that change things.
const BOTH: &[Preset] = &[Preset::Guarded, Preset::Auto];

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

/// A policy with the standard world's subscription in scope.
fn policy(preset: Preset, world: &World) -> Policy {
    let mut policy = Policy { preset, ..Policy::default() };
    policy.scope.subscriptions = vec![world.subscription.clone()];
    policy
}
