//! One pass over one incident.

use jiff::{SignedDuration, Timestamp};

use super::draft::Draft;
use super::schedule::Look;
use super::tell::{self, Say};
use super::{JobResult, Responder, ending, memory, merge, schedule};
use crate::azure::{OperationUrl, Progress};
use crate::clock::add;
use crate::domain::decide::decide;
use crate::domain::diagnosis::{Link, LinkState};
use crate::domain::evidence::Evidence;
use crate::domain::gates;
use crate::domain::incident::{AttemptOutcome, EntryKind, Incident, IncidentId, Phase};
use crate::domain::notice::{Situation, Told};
use crate::notify::{compose, texts};
use crate::store::{NewJob, StoreError, Work};
use crate::telemetry::{count, milestones};

/// How long Azure is left alone between two looks at a running operation, where it does not say.
const POLL: SignedDuration = SignedDuration::from_secs(20);
/// How often a save is tried while signals keep joining.
const SAVES: usize = 20;

impl Responder {
    /// Looks, decides, acts, records, tells, and says when to come back.
    pub(super) async fn pass(&self, id: &IncidentId) -> JobResult {
        let Some((incident, version)) = self.store.incident(id).await? else { return Ok(()) };
        if incident.ended_at.is_some() && !incident.is_restoring() {
            return Ok(());
        }
        name_span(&incident);
        if incident.ended_at.is_some() {
            return self.restore_settings(Draft::new(incident, version)).await;
        }
        let mut draft = Draft::new(incident, version);
        draft.incident.passes += 1;
        draft.incident.quiet_passes += 1;
        self.mind_the_clock(&mut draft.incident);
        self.catch_up(&mut draft).await?;
        if let Some(again) = self.follow(&mut draft).await? {
            draft.incident.quiet_passes = 0;
            let due = add(self.clock.now(), again);
            return self.leave(draft, due).await;
        }
        if schedule::look_due(&draft.incident, self.clock.now()) == Look::Databases {
            self.look_at_databases(&mut draft.incident).await;
            if !self.calls_for_decision(&draft.incident) {
                return self.carry_on(draft).await;
            }
        }
        let evidence = self.look_at_all(&mut draft).await?;
        self.decide_and_act(draft, &evidence).await
    }

    /// Whoever wrote the incident last may have had a clock that was ahead of this one.
    fn mind_the_clock(&self, incident: &mut Incident) {
        let now = self.clock.now();
        let Some(ahead) = incident.put_right(now) else { return };
        tracing::warn!(incident = %incident.id, minutes = ahead.as_mins(), "the incident was written by a clock that was ahead");
        let line = format!(
            "A clock was ahead by {} min or more when this incident was written to; what was done since counts from now.",
            ahead.as_mins()
        );
        incident.note(now, EntryKind::Noticed, line);
    }

    /// A change that was recorded as made, and that nobody was told of: the process ended in between, or somebody else saved
    /// the incident. It is told and remembered now.
    async fn catch_up(&self, draft: &mut Draft) -> JobResult {
        let made = draft.incident.made().next().is_some();
        if made && compose::is_new(&draft.incident, Situation::ChangeMade, None) {
            self.settled(draft).await?;
        }
        Ok(())
    }

    /// Follows running operations. Answers when to look again while one runs.
    async fn follow(&self, draft: &mut Draft) -> JobResult<Option<SignedDuration>> {
        let mut again = None;
        let mut ended = false;
        for at in 0..draft.incident.attempts.len() {
            let attempt = &draft.incident.attempts[at];
            let (Some(url), None) = (&attempt.operation, &attempt.outcome) else { continue };
            let url = url.clone();
            match self.follow_one(&mut draft.incident, at, &url).await {
                Some(wait) => again = Some(again.map_or(wait, |known: SignedDuration| known.min(wait))),
                None => ended = true,
            }
        }
        if ended {
            self.settled(draft).await?;
        }
        Ok(again)
    }

    /// Follows one operation. Answers when to look again while it runs; else its outcome is written down.
    pub(super) async fn follow_one(&self, incident: &mut Incident, at: usize, url: &str) -> Option<SignedDuration> {
        let now = self.clock.now();
        let outcome = match self.poll(url).await {
            Ok(Progress::Running { retry_after }) => {
                return Some(retry_after.unwrap_or(POLL).max(SignedDuration::from_secs(5)));
            }
            Ok(Progress::Succeeded) => AttemptOutcome::Made { at: now },
            Ok(Progress::Failed { code, message }) => AttemptOutcome::Failed { at: now, code, why: message },
            Err(why) => {
                tracing::warn!(incident = %incident.id, why, "a running operation could not be followed");
                if now < add(incident.attempts[at].intended_at, SignedDuration::from_hours(2)) {
                    return Some(SignedDuration::from_mins(1));
                }
                AttemptOutcome::Failed { at: now, code: "NotFollowed".to_owned(), why }
            }
        };
        incident.attempts[at].outcome = Some(outcome);
        None
    }

    async fn poll(&self, url: &str) -> Result<Progress, String> {
        let url: OperationUrl = url.parse().map_err(|_| "the stored operation cannot be read")?;
        self.azure.poll(&url).await.map_err(|error| error.to_string())
    }

    /// Changes have just been seen to work or fail: remembers and tells.
    pub(super) async fn settled(&self, draft: &mut Draft) -> JobResult {
        let now = self.clock.now();
        let attempts = draft.incident.attempts.clone();
        for attempt in &attempts {
            match &attempt.outcome {
                Some(AttemptOutcome::Made { at }) => {
                    memory::keep_repair(&*self.store, &draft.incident.id, attempt, now).await?;
                    self.told_with_the_change(&attempt.change, *at).await?;
                }
                Some(AttemptOutcome::Failed { code, why, at }) if *at == now => {
                    let line = format!("{} failed: {code}: {why}", texts::change_sentence(&attempt.change));
                    draft.incident.note(now, EntryKind::Changed, line);
                }
                _ => {}
            }
        }
        let many = draft.incident.members.len() > schedule::FEW_SERVERS;
        if many && draft.incident.whole_since.is_none() && draft.incident.repair_covers_diagnosis() {
            // Read back as made: reading every server again to see the same would be a burden on Azure.
            draft.incident.whole_since = draft.incident.last_made_at();
        }
        if draft.incident.made().next().is_some() {
            if !matches!(draft.incident.phase, Phase::Verifying | Phase::Propagating) {
                draft.incident.phase = Phase::Propagating;
            }
            self.tell(draft, Situation::ChangeMade, Say::default(), now);
        }
        Ok(())
    }

    /// Whether a look at the databases alone gives reason to look at everything and decide anew.
    fn calls_for_decision(&self, incident: &Incident) -> bool {
        let now = self.clock.now();
        let down = !incident.inaccessible().is_empty();
        if incident.phase == Phase::AwaitingApproval {
            // Somebody may have mended it by hand.
            return !down && incident.members.values().any(|member| member.was_down);
        }
        let revalidate = incident.window_is_over(now)
            || incident.whole_since.is_some_and(|since| now >= add(since, SignedDuration::from_hours(1)));
        let running = incident.attempts.iter().any(|attempt| attempt.outcome.is_none());
        down && revalidate && !running && incident.quiet_passes >= 2
    }

    /// After a look at the databases alone: over, or wait on.
    async fn carry_on(&self, draft: Draft) -> JobResult {
        let now = self.clock.now();
        match ending::judge(&draft.incident, now) {
            Some(end) => self.finish(draft, end).await,
            None => self.come_back(draft).await,
        }
    }

    async fn decide_and_act(&self, draft: Draft, evidence: &Evidence) -> JobResult {
        let now = self.clock.now();
        if let Some(end) = ending::judge(&draft.incident, now) {
            return self.finish(draft, end).await;
        }
        let memory = memory::recall(&*self.store, &self.policy, now).await?;
        let Some(diagnosis) = draft.incident.diagnosis.clone() else { return self.come_back(draft).await };
        let (decision, hits) = decide(&gates::Situation {
            evidence,
            diagnosis: &diagnosis,
            incident: &draft.incident,
            memory: &memory,
            policy: &self.policy,
            now,
        });
        self.carry_out(draft, decision, hits).await
    }

    /// Ends the incident and says so.
    async fn finish(&self, mut draft: Draft, end: ending::End) -> JobResult {
        let now = self.clock.now();
        draft.incident.finish(end.phase, end.why.clone(), now);
        if let Some(diagnosis) = &mut draft.incident.diagnosis
            && end.phase == Phase::Healed
        {
            let database = diagnosis.checks.iter_mut().filter(|check| check.link == Link::Database);
            database.for_each(|check| {
                check.state = LinkState::Ok;
                check.said = "every database is in service.".to_owned();
            });
        }
        if end.phase == Phase::Healed {
            self.begin_restoration(&mut draft).await;
        }
        if draft.incident.is_restoring() {
            Self::leave_by(&mut draft, now);
        }
        if let Some(situation) = end.situation {
            let say = Say { reason: Some(end.why), ..Say::default() };
            self.tell(&mut draft, situation, say, now);
        }
        tracing::info!(incident = %draft.incident.id, phase = ?end.phase, "incident ended");
        self.save(&draft, now).await
    }

    /// Saves what a pass came to, with what joined meanwhile. Notices go first: a job that delivers one must find it.
    pub(super) async fn save(&self, draft: &Draft, now: Timestamp) -> JobResult {
        for notice in &draft.notices {
            let value = serde_json::to_value(notice).unwrap_or_default();
            self.store.keep_fact(tell::NOTICE, &Told::of(notice).kept, &value, now).await?;
        }
        let (mut incident, mut version) = (draft.incident.clone(), draft.version);
        for _ in 0..SAVES {
            match self.store.save(&incident, Some(version), &draft.jobs, &[], now).await {
                Ok(_) => {
                    milestones::count(Some(&draft.base), &incident, now);
                    return Ok(());
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
            let Some((stored, newer)) = self.store.incident(&incident.id).await? else { break };
            (incident, version) = (draft.incident.clone(), newer);
            if !merge::take_joined(&mut incident, &draft.base, &stored) {
                break;
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// Saves and comes back when the schedule says.
    pub(super) async fn come_back(&self, mut draft: Draft) -> JobResult {
        let now = self.clock.now();
        self.warn_of_deadline(&mut draft, now);
        if draft.incident.phase == Phase::AwaitingApproval {
            self.remind(&mut draft, now);
        }
        let due = schedule::next_pass(&draft.incident, now);
        self.leave(draft, due).await
    }

    /// Warns once when the self-heal window is about to end and access is not back, or a key is about to expire.
    fn warn_of_deadline(&self, draft: &mut Draft, now: Timestamp) {
        let incident = &mut draft.incident;
        let near =
            now >= add(incident.restore_before(), -schedule::DEADLINE_WARNING) && now < incident.restore_before();
        let expires = incident.lost_ahead(now).is_some_and(|at| now >= add(at, -schedule::EXPIRY_WARNING));
        if expires && incident.whole_since.is_none() {
            self.tell(draft, Situation::DeadlineNear, Say::default(), now);
            return;
        }
        let real = incident.was_broken || !incident.inaccessible().is_empty();
        if near && real && incident.whole_since.is_none() && !incident.window_said_over {
            self.tell(draft, Situation::DeadlineNear, Say::default(), now);
        }
    }

    /// Adds the job that comes back at `due`.
    pub(super) fn leave_by(draft: &mut Draft, due: Timestamp) {
        draft.jobs.push(NewJob { work: Work::Pass { incident: draft.incident.id.clone() }, due });
    }

    /// Saves and comes back at `due`.
    pub(super) async fn leave(&self, mut draft: Draft, due: Timestamp) -> JobResult {
        Self::leave_by(&mut draft, due);
        let now = self.clock.now();
        self.save(&draft, now).await
    }
}

/// Says in the job's span what the pass is about.
fn name_span(incident: &Incident) {
    let span = tracing::Span::current();
    span.record("phase", count::phase_name(incident.phase)).record("servers", incident.members.len());
    if let Some(vault) = &incident.vault {
        span.record("vault", vault.as_str());
    }
}
