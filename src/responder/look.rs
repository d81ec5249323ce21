//! What a pass reads, and what that does to the incident.

use jiff::{SignedDuration, Timestamp};
use tracing::Instrument;

use super::databases::Changes;
use super::draft::Draft;
use super::{JobResult, Responder, inventory, schedule};
use crate::clock::add;
use crate::domain::diagnose::{diagnose, geo_partners};
use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::evidence::{Evidence, Fact};
use crate::domain::incident::{Attempt, AttemptOutcome, EntryKind, Incident, Phase};
use crate::domain::remedy::{Change, Remedy};
use crate::domain::resource_id::ResourceId;
use crate::domain::words::deed;
use crate::notify::texts;
use crate::probe::{self, Question};

/// How far back the Activity Log is read.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24);
/// How long a re-validation whose answer was lost is taken to be under way.
pub const REVALIDATION_UNKNOWN: SignedDuration = SignedDuration::from_mins(20);

impl Responder {
    /// Looks at the whole chain and takes what was seen into the incident.
    pub(super) async fn look_at_all(&self, draft: &mut Draft) -> JobResult<Evidence> {
        let incident = &mut draft.incident;
        let servers = to_read(incident);
        let (protectors, remembered) = if incident.passes <= 1 {
            (self.just_read(&servers).await?, self.keys_just_read().await?)
        } else {
            Default::default()
        };
        let partners_of = self.partners_of(&servers).await?;
        let question = Question { protectors, remembered, partners_of, ..self.question(incident, servers) };
        let span = tracing::info_span!("observe", servers = question.servers.len());
        let evidence = probe::observe(&self.azure, &question).instrument(span).await;
        let now = self.clock.now();
        for seen in &evidence.servers {
            if let Fact::Known(protector) = &seen.protector
                && let Some(uri) = &protector.uri
            {
                self.remember(&seen.id, uri).await?;
            }
        }
        self.keep_seen(&evidence).await?;
        self.learn_from(&evidence).await?;
        self.remember_vault(incident, &evidence).await?;
        take_in(incident, &evidence, now);
        self.remember_before(incident, &evidence).await?;
        let mut diagnosis = diagnose(&evidence, incident, &self.policy);
        diagnosis.inaccessible = incident.inaccessible();
        if settle_unknown(incident, &diagnosis, now) {
            // Before the diagnosis that the change was made for makes way for what is found now.
            self.settled(draft).await?;
        }
        conclude(&mut draft.incident, diagnosis, now);
        Ok(evidence)
    }

    /// What there is to ask about these servers of an incident.
    pub(super) fn question(&self, incident: &Incident, servers: Vec<ResourceId>) -> Question {
        Question {
            vault: incident.vault.clone(),
            vault_id: incident.vault_id.clone(),
            keys: incident.members.values().filter_map(|member| member.protector.clone()).collect(),
            look_back: LOOK_BACK,
            partners: geo_partners(incident).into_iter().take(probe::MOST_PARTNERS).collect(),
            ahead: self.policy.extends_ahead().unwrap_or_default(),
            ..Question::new(servers, self.clock.now())
        }
    }

    pub(super) async fn remember_vault(&self, incident: &mut Incident, evidence: &Evidence) -> JobResult {
        let Some(id) = evidence.vault.as_ref().and_then(|vault| vault.id.clone()) else { return Ok(()) };
        if incident.vault_id.as_ref() == Some(&id) {
            return Ok(());
        }
        for member in incident.members.values() {
            let Some(key) = member.protector.clone() else { continue };
            let seen = evidence.servers.iter().find(|seen| seen.id == member.server);
            let identities = seen
                .and_then(|seen| seen.server.known())
                .map(|server| server.identity.user_assigned.iter().map(|identity| identity.id.clone()).collect());
            let known = inventory::ServerKey {
                server: member.server.clone(),
                key,
                vault_id: Some(id.clone()),
                identities: identities.unwrap_or_default(),
            };
            let value = serde_json::to_value(&known).unwrap_or_default();
            self.store.keep_fact(inventory::SERVER_KEY, member.server.key(), &value, self.clock.now()).await?;
        }
        incident.vault_id = Some(id);
        Ok(())
    }
}

/// The servers to be read in full: all, or while many are watched after a repair, only those that joined since.
fn to_read(incident: &Incident) -> Vec<ResourceId> {
    let all: Vec<ResourceId> = incident.servers().cloned().collect();
    let watching = matches!(incident.phase, Phase::Propagating | Phase::Revalidating | Phase::Verifying);
    if !watching || all.len() <= schedule::FEW_SERVERS {
        return all;
    }
    let unread = incident.members.values().filter(|member| member.observed_at.is_none());
    let unread: Vec<ResourceId> = unread.map(|member| member.server.clone()).collect();
    if unread.is_empty() { all } else { unread }
}

/// What was seen of servers and databases.
fn take_in(incident: &mut Incident, evidence: &Evidence, now: Timestamp) {
    let mut changes = Changes::default();
    for seen in &evidence.servers {
        let protector = seen.protector.known().and_then(|protector| protector.uri.clone());
        let member = incident.add_member(&seen.id, protector);
        if seen.server.known().is_some() || seen.server.is_absent() {
            member.observed_at = Some(now);
        }
        if let Fact::Known(databases) = &seen.databases {
            changes.see(incident, &seen.id, databases);
        }
    }
    changes.note(incident, now);
    incident.mark_past_window(now);
}

/// Changes whose answer was lost (a crash, a broken connection): what Azure shows now decides how they went. Answers
/// whether one was made.
fn settle_unknown(incident: &mut Incident, diagnosis: &Diagnosis, now: Timestamp) -> bool {
    let still_wanted: Vec<String> =
        diagnosis.findings.iter().flat_map(|finding| finding.changes.iter().flat_map(Change::subjects)).collect();
    let down = !diagnosis.inaccessible.is_empty();
    let mut made = Vec::new();
    for attempt in &mut incident.attempts {
        if attempt.outcome.is_some() || attempt.operation.is_some() {
            continue;
        }
        attempt.outcome = if attempt.change.remedy() == Remedy::Revalidate {
            revalidation_seen(attempt, down, now)
        } else if attempt.change.subjects().iter().any(|subject| still_wanted.contains(subject)) {
            let why = "the answer was lost and Azure shows no effect; it is planned again".to_owned();
            Some(AttemptOutcome::NotApplicable { at: now, why })
        } else if diagnosis.cause() == Cause::Undetermined {
            None
        } else {
            Some(AttemptOutcome::Made { at: now })
        };
        if matches!(attempt.outcome, Some(AttemptOutcome::Made { .. })) {
            let what = texts::change_sentence(&attempt.change);
            made.push(format!("Made, as Azure shows now: {what}"));
        }
    }
    let any = !made.is_empty();
    for line in made {
        incident.note(now, EntryKind::Changed, line);
    }
    any
}

/// A re-validation cannot be seen in Azure but by the databases coming back.
fn revalidation_seen(attempt: &Attempt, down: bool, now: Timestamp) -> Option<AttemptOutcome> {
    if !down {
        Some(AttemptOutcome::Made { at: now })
    } else if now > add(attempt.intended_at, REVALIDATION_UNKNOWN) {
        let why = "the answer was lost and the databases are still down; it is planned again".to_owned();
        Some(AttemptOutcome::NotApplicable { at: now, why })
    } else {
        None
    }
}

fn lacks_a_partner(diagnosis: &Diagnosis) -> bool {
    diagnosis.findings.iter().any(|finding| finding.cause == Cause::GeoPartnerWithoutGrant)
}

/// When access was lost, or will be. What lay ahead gives way to what is lost now.
fn began(incident: &mut Incident, diagnosis: &Diagnosis, now: Timestamp) {
    let began = diagnosis.began_at();
    if incident.lost_ahead(now).is_some() {
        incident.lost_at = if diagnosis.cause() == Cause::KeyExpiring { None } else { Some(now) };
    }
    if let Some(began) = began
        && incident.lost_at.is_none_or(|known| began < known)
    {
        incident.lost_at = Some(began);
    }
}

/// What the diagnosis means for the incident's clocks and story.
fn conclude(incident: &mut Incident, diagnosis: Diagnosis, now: Timestamp) {
    let cause = diagnosis.cause();
    if diagnosis.chain_is_whole() {
        let since = incident.last_made_at().unwrap_or(now);
        incident.whole_since.get_or_insert(since);
    } else if !matches!(cause, Cause::Undetermined | Cause::ServiceManaged | Cause::TargetGone) {
        // A partner that comes to the fore once the servers are mended is no second loss.
        let still = cause == Cause::GeoPartnerWithoutGrant && incident.diagnosis.as_ref().is_some_and(lacks_a_partner);
        if incident.whole_since.take().is_some() && !still {
            incident.lost_again_at = Some(now);
            let again = match cause {
                Cause::KeyExpiring => "The key expires soon again",
                _ => "Access to the key is lost again",
            };
            incident.note(now, EntryKind::Checked, again);
        }
        incident.was_broken = true;
        incident.broken = Some(diagnosis.clone());
        if incident.root_cause.is_none() {
            incident.root_cause = Some(cause);
        }
        began(incident, &diagnosis, now);
    }
    let gone_since = incident.gone_since.unwrap_or(now);
    incident.gone_since = (cause == Cause::TargetGone).then_some(gone_since);
    let before = incident.diagnosis.as_ref().map(Diagnosis::cause);
    if before != Some(cause) {
        incident.quiet_passes = 0;
        if let Some(finding) = diagnosis.first() {
            incident.note(now, EntryKind::Checked, texts::causes::finding_sentence(finding, now).to_string());
        }
        if let Some(culprit) = &diagnosis.culprit {
            incident.note(now, EntryKind::Checked, format!("The log says: {}", deed(culprit)));
        }
    }
    incident.diagnosis = Some(diagnosis);
}
