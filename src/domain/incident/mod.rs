//! The incident document: what cannot be observed in Azure (who was told what, who approved what, what was tried,
//! when it began), and how far we are.

mod approval;
mod attempt;
mod clock_was_ahead;
mod document;
mod hold;
mod identity;
mod member;
mod phase;
mod timeline;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::add;
use crate::domain::database_ref::DatabaseRef;
use crate::domain::diagnosis::{Cause, Diagnosis, Finding};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::plan::{GateHit, NeedsPerson};
use crate::domain::remedy::{Change, Remedy};
use crate::domain::resource_id::ResourceId;
use crate::domain::restoration::{Restoration, Snapshots};
use crate::domain::signal::{Signal, SignalKind};

pub use approval::{Approval, ApprovalDecision};
pub use attempt::{Attempt, AttemptOutcome};
pub use hold::Hold;
pub use identity::{IncidentId, IncidentKey};
pub use member::Member;
pub use phase::Phase;
pub use timeline::{Entry, EntryKind};
pub use told::Told;

/// A decision that stands is not repeated while one of so many last lines says it.
const STILL_SAID: usize = 12;
/// The buffer of network-class causes.
const BUFFER_MINUTES: u32 = 24 * 60;
/// The longest timeline that is kept; older middle entries make room.
const LONGEST_TIMELINE: usize = 400;

/// One loss of key access through one vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name everywhere.
    pub id: IncidentId,
    /// What it is about.
    pub key: IncidentKey,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it ended; `None` while it is open.
    pub ended_at: Option<Timestamp>,
    /// Where it stands.
    pub phase: Phase,
    /// The vault.
    pub vault: Option<VaultHost>,
    /// The vault's resource id, once seen.
    pub vault_id: Option<ResourceId>,
    /// The servers, by the lower-cased resource id.
    pub members: BTreeMap<String, Member>,
    /// When the first signal says access was lost; the event comes later than the loss.
    pub told_at: Option<Timestamp>,
    /// When access was lost, as far as the diagnosis tells. It lies ahead for a key that expires soon.
    pub lost_at: Option<Timestamp>,
    /// The self-heal window of this incident, in minutes.
    pub window_minutes: u32,
    /// Azure said that the window is over (`MakeDatabaseInaccessible` / Succeeded).
    pub window_said_over: bool,
    /// A TDE event named a database, as opposed to a mere cause event.
    pub loss_reported: bool,
    /// When the chain was first seen whole after it had been broken, or since opening.
    pub whole_since: Option<Timestamp>,
    /// When access was found lost again after it had been whole.
    #[serde(default)]
    pub lost_again_at: Option<Timestamp>,
    /// The chain was seen broken at some time.
    pub was_broken: bool,
    /// What was found last.
    pub diagnosis: Option<Diagnosis>,
    /// What was found when the chain was last seen broken: it explains the repair afterwards.
    pub broken: Option<Diagnosis>,
    /// The cause that the incident is remembered by: the first real one.
    pub root_cause: Option<Cause>,
    /// The gates that stood in the way last.
    pub gates: Vec<GateHit>,
    /// The question put to people.
    pub approval: Option<Approval>,
    /// A person wants nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// When the last hold was released: what waited for people before is asked anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Timestamp>,
    /// The numbers of the forms by which people answered: each counts once.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub forms_used: BTreeSet<String>,
    /// Every change begun.
    pub attempts: Vec<Attempt>,
    /// Why a person is needed, if so.
    pub needs_person: Option<(NeedsPerson, String)>,
    /// Keys of the jobs of this incident that were set aside, and of which the team was told.
    #[serde(default)]
    pub set_aside: BTreeSet<String>,
    /// When the last decision to wait wants everything looked at again, at the latest.
    #[serde(default)]
    pub look_by: Option<Timestamp>,
    /// Since when, without a break, Azure has said that all servers are gone. A 404 may be an error that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_since: Option<Timestamp>,
    /// Passes made.
    pub passes: u32,
    /// Passes in a row that saw nothing new: sets the backoff.
    pub quiet_passes: u32,
    /// Signals taken.
    pub signals: u32,
    /// What people were told, in order. The notices themselves are kept beside the incident: it is saved often, and they
    /// are long.
    pub notices: Vec<Told>,
    /// The story.
    pub timeline: Vec<Entry>,
    /// How it ended, in words.
    pub end: Option<String>,
    /// What Azure dropped, compared when the databases were back. It may go on after the end: the outage is over then.
    #[serde(default)]
    pub restoration: Option<Restoration>,
}

impl Incident {
    /// A new incident without members.
    #[must_use]
    pub fn open(id: IncidentId, key: IncidentKey, window_minutes: u32, now: Timestamp) -> Self {
        Self {
            id,
            key,
            opened_at: now,
            ended_at: None,
            phase: Phase::Opened,
            vault: None,
            vault_id: None,
            members: BTreeMap::new(),
            told_at: None,
            lost_at: None,
            window_minutes,
            window_said_over: false,
            loss_reported: false,
            whole_since: None,
            lost_again_at: None,
            was_broken: false,
            diagnosis: None,
            broken: None,
            root_cause: None,
            gates: Vec::new(),
            approval: None,
            hold: None,
            released_at: None,
            forms_used: BTreeSet::new(),
            attempts: Vec::new(),
            needs_person: None,
            set_aside: BTreeSet::new(),
            look_by: None,
            gone_since: None,
            passes: 0,
            quiet_passes: 0,
            signals: 0,
            notices: Vec::new(),
            timeline: Vec::new(),
            end: None,
            restoration: None,
        }
    }

    /// Adds a server, or completes what is known of it.
    pub fn add_member(&mut self, server: &ResourceId, protector: Option<KeyUri>) -> &mut Member {
        let member = self.members.entry(server.key().to_owned()).or_insert_with(|| Member {
            server: server.clone(),
            protector: None,
            databases: BTreeSet::new(),
            inaccessible: BTreeSet::new(),
            was_down: false,
            observed_at: None,
            settings: BTreeMap::new(),
            before: Snapshots::new(),
            past_window: BTreeSet::new(),
            lost_settings: Vec::new(),
        });
        if protector.is_some() {
            member.protector = protector;
        }
        member
    }

    /// Takes a signal in: what it says about clocks and databases. Its cause is never believed.
    pub fn take(&mut self, signal: &Signal, now: Timestamp) {
        self.signals += 1;
        let at = signal.occurred_at.unwrap_or(now).min(now);
        if matches!(
            signal.kind,
            SignalKind::AccessLost
                | SignalKind::WaitingForAccess
                | SignalKind::SelfHealEnded
                | SignalKind::RestoreFailed
                | SignalKind::FoundInaccessible
        ) {
            self.loss_reported = true;
            self.told_at = Some(self.told_at.map_or(at, |told| told.min(at)));
        }
        if signal.kind == SignalKind::SelfHealEnded {
            self.window_said_over = true;
        }
        if let Some(minutes) = signal.window_minutes
            && minutes > 0
        {
            // The text may name a longer window than is configured: plan for the shorter of both.
            self.window_minutes = self.window_minutes.min(minutes);
        }
        if let (Some(server), Some(database)) = (signal.target.database_host(), signal.target.sql_database())
            && let Some(member) = self.members.get_mut(server.key())
        {
            member.databases.insert(database.to_owned());
        }
    }

    /// Adds a line to the story. What was said a moment ago is not said again.
    pub fn note(&mut self, at: Timestamp, kind: EntryKind, text: impl Into<String>) {
        let text = text.into();
        let said = |entry: &Entry| entry.kind == kind && entry.text == text;
        let fresh = match kind {
            EntryKind::Decided => STILL_SAID,
            EntryKind::Noticed => LONGEST_TIMELINE,
            _ => 1,
        };
        if self.timeline.iter().rev().take(fresh).any(said) {
            return;
        }
        if self.timeline.len() >= LONGEST_TIMELINE {
            self.timeline.remove(LONGEST_TIMELINE / 2);
        }
        self.timeline.push(Entry { at, kind, text });
    }

    /// When access was lost: as diagnosed, else 15 minutes before the first event, since events are at least that late
    /// (Microsoft, "Common errors for TDE with customer-managed keys"); else when the incident was opened.
    #[must_use]
    pub fn loss(&self) -> Timestamp {
        let guess = self.told_at.map_or(self.opened_at, |told| add(told, SignedDuration::from_mins(-15)));
        self.lost_at.unwrap_or(guess)
    }

    /// When access will be lost, while nothing is and that is known ahead: of a key that expires soon.
    #[must_use]
    pub fn lost_ahead(&self, now: Timestamp) -> Option<Timestamp> {
        self.lost_at.filter(|at| *at > now)
    }

    /// Whether all that was ever wrong is a key that expires soon, or did: no database went down.
    #[must_use]
    pub fn only_expires(&self) -> bool {
        let expires = self.broken.as_ref().is_some_and(|broken| broken.cause() == Cause::KeyExpiring);
        expires && self.members.values().all(|member| !member.was_down)
    }

    /// How long the databases heal by themselves after the loss, in minutes: the self-heal window, or the 24-hour buffer
    /// where the vault fails or cannot be reached (Microsoft, "TDE with customer-managed keys").
    #[must_use]
    pub fn heals_for_minutes(&self) -> u32 {
        let unreachable = self.broken.as_ref().is_some_and(|broken| broken.cause() == Cause::VaultUnreachable);
        if unreachable { self.window_minutes.max(BUFFER_MINUTES) } else { self.window_minutes }
    }

    /// The end of the self-heal window.
    #[must_use]
    pub fn restore_before(&self) -> Timestamp {
        add(self.loss(), SignedDuration::from_mins(i64::from(self.heals_for_minutes())))
    }

    /// Whether only re-validation brings the databases back: Azure said so, or access was not back before the end of
    /// the window.
    #[must_use]
    pub fn window_is_over(&self, now: Timestamp) -> bool {
        self.window_said_over || self.whole_since.unwrap_or(now) > self.restore_before()
    }

    /// The servers, in order.
    pub fn servers(&self) -> impl Iterator<Item = &ResourceId> {
        self.members.values().map(|member| &member.server)
    }

    /// Databases that were inaccessible when last looked at.
    #[must_use]
    pub fn inaccessible(&self) -> Vec<DatabaseRef> {
        let of = |member: &Member| {
            let server = member.server.clone();
            member
                .inaccessible
                .iter()
                .map(move |name| DatabaseRef { server: server.clone(), name: name.clone() })
                .collect::<Vec<_>>()
        };
        self.members.values().flat_map(of).collect()
    }

    /// The changes that took effect, in order.
    pub fn made(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().filter(|attempt| matches!(attempt.outcome, Some(AttemptOutcome::Made { .. })))
    }

    /// When the last change took effect.
    #[must_use]
    pub fn last_made_at(&self) -> Option<Timestamp> {
        self.attempts
            .iter()
            .filter_map(|attempt| match attempt.outcome {
                Some(AttemptOutcome::Made { at }) => Some(at),
                _ => None,
            })
            .max()
    }

    /// Whether every link that the diagnosis found broken has been mended and read back since, by changes that need no
    /// other after them (a recovered vault or key, or a new identity, must be looked at again first).
    #[must_use]
    pub fn repair_covers_diagnosis(&self) -> bool {
        let Some(diagnosis) = &self.diagnosis else { return false };
        let made: BTreeSet<String> = self.made().flat_map(|attempt| attempt.change.subjects()).collect();
        let broken = |finding: &&Finding| !matches!(finding.cause, Cause::Healthy | Cause::StillInaccessible);
        let last_link = |change: &Change| {
            !matches!(change.remedy(), Remedy::RecoverVault | Remedy::RecoverKey | Remedy::AssignIdentity)
        };
        diagnosis.findings.iter().filter(broken).all(|finding| {
            let changes = &finding.changes;
            let mended = |change: &Change| change.subjects().iter().all(|subject| made.contains(subject));
            !changes.is_empty() && changes.iter().all(|change| last_link(change) && mended(change))
        })
    }

    /// Whether settings are still being put back, or a person is asked whether they may be.
    #[must_use]
    pub fn is_restoring(&self) -> bool {
        self.restoration.as_ref().is_some_and(Restoration::is_open)
    }

    /// Remembers which databases are down although the window is over: Azure has dropped settings of theirs.
    pub fn mark_past_window(&mut self, now: Timestamp) {
        if self.window_is_over(now) {
            for member in self.members.values_mut() {
                member.past_window.extend(member.inaccessible.iter().cloned());
            }
        }
    }

    /// How many changes failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.attempts.iter().filter(|attempt| matches!(attempt.outcome, Some(AttemptOutcome::Failed { .. }))).count()
    }

    /// Ends the incident.
    pub fn finish(&mut self, phase: Phase, why: impl Into<String>, now: Timestamp) {
        let why = why.into();
        self.phase = phase;
        self.ended_at = Some(now);
        self.needs_person = None;
        self.note(now, EntryKind::Ended, why.clone());
        self.end = Some(why);
    }
}
