//! Work that was given up: jobs that the store set aside, and messages of the queue that nobody can read. A person is told of
//! each once, through an incident, so that nothing ends in silence.
//!
//! Who was told is kept in two places: the incident holds the keys of its jobs that were told of (saved with its version, so
//! that of several processes one tells), and a fact for each key says which incident that was, so that the next look is cheap
//! and a job that was retried and set aside again is told of again.

mod job;

use jiff::SignedDuration;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::job::{Job, shown};
use super::draft::Draft;
use super::tell::{NOTICE, Say};
use super::{JobError, JobResult, Responder};
use crate::clock::add;
use crate::domain::incident::{EntryKind, Incident, IncidentId, IncidentKey, Phase};
use crate::domain::notice::{Notice, Situation};
use crate::domain::plan::NeedsPerson;
use crate::domain::resource_id::ResourceId;
use crate::store::{StoreError, Version};

/// Facts: jobs set aside of which the team was told, by key; null after the job was put back.
const TOLD_OF: &str = "told_of_set_aside";
/// Facts: jobs whose message the queue gave up although the store did not, by key.
const GIVEN_UP: &str = "given_up_message";
/// Facts: messages that nobody could read, by digest.
const UNREADABLE: &str = "unreadable_message";
/// Facts: messages set aside that were tried again, by key of their job.
const REVIVED: &str = "revived_message";
/// How often a message that was set aside is tried again …
const REVIVE_EVERY: SignedDuration = SignedDuration::from_mins(10);
/// … and for how long after it was written.
const REVIVE_FOR: SignedDuration = SignedDuration::from_hours(24);
/// The incident to which everything belongs that belongs to no other.
const QUEUE: &str = "queue";
/// How long a message that was given up once is remembered.
const SECOND_CHANCE: SignedDuration = SignedDuration::from_hours(24);
/// How many open incidents are looked through for the one that a server belongs to.
const MOST_INCIDENTS: usize = 500;
/// How often a telling is tried while others save the incident.
const SAVES: usize = 10;

impl Responder {
    /// Tells the team of every job that was set aside and not told of yet. Answers how many.
    ///
    /// # Errors
    /// [`JobError::Store`]; what was not told of is, the next time.
    pub async fn tell_of_set_aside(&self) -> JobResult<usize> {
        let aside = self.store.poison().await?;
        let known = self.store.facts(TOLD_OF).await?;
        for (key, told, _) in &known {
            let waits = aside.iter().any(|(waiting, _)| waiting == key);
            if told.is_null() || waits {
                continue;
            }
            // A message is tried again by itself: that it fails again is no news.
            if !matches!(Job::of(key), Job::Tell { .. }) || !self.store.knows_job(key).await? {
                self.forget_told(key, told).await?;
            }
        }
        let mut count = 0;
        for (key, error) in &aside {
            let told = known.iter().any(|(told, value, _)| told == key && !value.is_null());
            if !told && self.tell_of_one(key, error).await? {
                count += 1;
            }
        }
        Ok(count)
    }

    /// The same where a failure must not stop the work: the next look tells.
    pub(super) async fn tell_of_set_aside_or_log(&self) {
        if let Err(error) = self.tell_of_set_aside().await {
            tracing::error!(%error, "the team could not be told of work that was set aside; it is tried again in a minute");
        }
    }

    /// The queue gave up the call for a job. If the store set the job aside as well, or the call is given up for the second time
    /// within a day, the job is set aside and the team is told; the first time it is called for once more: a handler that could
    /// not open its settings or its store for a while wears messages out, and nothing is wrong with the jobs.
    ///
    /// # Errors
    /// [`JobError::Store`]: nothing was recorded, and the message must come again.
    pub async fn given_up(&self, key: &str) -> JobResult {
        let now = self.clock.now();
        let set_aside = self.store.poison().await?.iter().any(|(waiting, _)| waiting == key);
        if !set_aside {
            let before = self.store.fact(GIVEN_UP, key).await?;
            let again = before.is_some_and(|(_, at)| now < add(at, SECOND_CHANCE));
            if !again {
                tracing::error!(job = shown(key), "the queue gave up the call for a job; calling once more");
                self.store.call_again(key, now, now).await?;
                return Ok(self.store.keep_fact(GIVEN_UP, key, &json!({}), now).await?);
            }
            let why = "the calls for it failed too often: the handler could not answer them, or ended at them";
            if !self.store.set_aside(key, why, now).await? {
                tracing::info!(job = shown(key), "the queue gave up the call for a job that was done meanwhile");
                return Ok(());
            }
            tracing::error!(job = shown(key), "the queue gave up the call for a job again; the job was set aside");
        }
        self.tell_of_set_aside().await.map(drop)
    }

    /// Records a message of the queue that nobody can read, and tells the team once. Its text is hostile: it is cleaned and
    /// cut before it is kept or shown.
    ///
    /// # Errors
    /// [`JobError::Store`]: nothing was recorded, and the message must come again.
    pub async fn unreadable_message(&self, text: &str, why: &str) -> JobResult {
        let now = self.clock.now();
        let digest = hex::encode(Sha256::digest(text.as_bytes()));
        let name = format!("message {}", &digest[..16]);
        let cleaned = shown(text);
        tracing::error!(digest = &digest[..16], text = cleaned, why, "the queue holds a message that nobody can read");
        if self.store.fact(UNREADABLE, &digest).await?.is_some() {
            return Ok(());
        }
        let words = format!(
            "A message in Keymend's queue cannot be read, and was taken out of it: {why}. Keymend writes no such messages; \
             somebody else, or another version of it, writes to this queue. No work of Keymend's own is lost by it. The \
             message, cut: \u{201c}{cleaned}\u{201d}"
        );
        let said = Said { words, retry: None, stops_work: true };
        let key = IncidentKey(QUEUE.to_owned());
        self.say(&name, || self.incident_of(&key, None), &said, None).await?;
        Ok(self.store.keep_fact(UNREADABLE, &digest, &json!({ "text": cleaned, "why": why }), now).await?)
    }

    /// Tells of one job. Answers whether a person was called.
    async fn tell_of_one(&self, key: &str, error: &str) -> JobResult<bool> {
        let job = Job::of(key);
        let (error, now) = (shown(error), self.clock.now());
        let means = match &job {
            Job::Pass(_) => "The incident is not looked at any more, and nothing of it is repaired.",
            Job::Tell { .. } => "Whoever reads that channel was not told.",
            Job::Heartbeat { .. } => "Messages of an incident may not get through this channel either.",
            Job::Locate(_) => "What Azure reported about this resource was not looked into.",
            Job::Other => "",
        };
        let words = format!("{} failed too often and was set aside. {means} The last error: {error}", job.words());
        let stops_work = !matches!(job, Job::Tell { .. } | Job::Heartbeat { .. });
        let said = Said { words: words.clone(), retry: Some(key.to_owned()), stops_work };
        let incident = match &job {
            Job::Pass(incident) => self.say(key, || self.known(incident), &said, None).await?,
            Job::Tell { incident, notice, channel } if self.calls_for_itself(notice).await? => {
                // Two channels that are both down would call for each other for ever.
                tracing::error!(
                    job = key,
                    channel,
                    "nobody could be told through this channel that work was set aside"
                );
                self.record(incident, |it| it.note(now, EntryKind::Told, words.clone())).await?;
                Some(incident.clone())
            }
            Job::Tell { incident, notice, channel } => {
                self.give_to_another(incident, notice, channel, &error).await?;
                self.say(key, || self.known(incident), &said, Some(channel)).await?
            }
            Job::Locate(target) => self.say(key, || self.incident_about(target), &said, None).await?,
            Job::Heartbeat { .. } | Job::Other => {
                let of = IncidentKey(QUEUE.to_owned());
                let without = if let Job::Heartbeat { channel } = &job { Some(channel.as_str()) } else { None };
                self.say(key, || self.incident_of(&of, None), &said, without).await?
            }
        };
        self.store.keep_fact(TOLD_OF, key, &json!({ "incident": incident }), now).await?;
        Ok(incident.is_some())
    }

    /// Tells once an incident that a channel refuses messages for good.
    pub(super) async fn tell_of_refusal(&self, id: &IncidentId, channel: &str, why: &str) -> JobResult {
        let words = format!("The channel {channel} refuses messages, and trying again does not help: {why}.");
        let said = Said { words, retry: None, stops_work: false };
        self.say(&format!("channel:{channel}"), || self.known(id), &said, Some(channel)).await.map(drop)
    }

    /// Whether the team was told that the job of that key was set aside.
    pub(super) async fn was_set_aside(&self, key: &str) -> JobResult<bool> {
        Ok(self.store.fact(TOLD_OF, key).await?.is_some_and(|(told, _)| !told.is_null()))
    }

    /// Messages that were set aside are tried again by themselves while they can still matter: a channel may be back.
    pub(super) async fn revive_messages(&self) -> JobResult {
        let now = self.clock.now();
        for (key, _) in self.store.poison().await? {
            let Job::Tell { notice, .. } = Job::of(&key) else { continue };
            let Some(notice) = self.notice(&notice).await? else { continue };
            let last = self.store.fact(REVIVED, &key).await?.map_or(notice.at, |(_, at)| at);
            if now < add(last, REVIVE_EVERY) || now > add(notice.at, REVIVE_FOR) {
                continue;
            }
            self.store.keep_fact(REVIVED, &key, &json!({}), now).await?;
            if self.store.poison_retry(&key, now).await? {
                self.wake.now(&self.clock);
            }
        }
        Ok(())
    }

    /// Hands a message that was set aside to a channel that has not got it.
    async fn give_to_another(&self, id: &IncidentId, key: &str, channel: &str, why: &str) -> JobResult {
        match self.notice(key).await? {
            Some(notice) => self.hand_over(id, key, notice.situation, channel, why).await,
            None => Ok(()),
        }
    }

    async fn notice(&self, key: &str) -> JobResult<Option<Notice>> {
        let kept = self.store.fact(NOTICE, key).await?;
        Ok(kept.and_then(|(kept, _)| serde_json::from_value(kept).ok()))
    }

    async fn calls_for_itself(&self, key: &str) -> JobResult<bool> {
        Ok(self.notice(key).await?.is_some_and(|notice| is_about_that(&notice)))
    }

    /// Adds a notice to the incident that `find` answers, unless it says the same of `name` already,
    /// through every channel but one. `None`: there is no incident.
    async fn say<F>(
        &self,
        name: &str,
        find: impl Fn() -> F,
        said: &Said,
        but: Option<&str>,
    ) -> JobResult<Option<IncidentId>>
    where
        F: Future<Output = JobResult<Option<(Incident, Version)>>>,
    {
        for _ in 0..SAVES {
            let Some((incident, version)) = find().await? else {
                tracing::error!(
                    job = shown(name),
                    said = said.words,
                    "work was set aside, and there is no incident that it belongs to"
                );
                return Ok(None);
            };
            let id = incident.id.clone();
            if incident.set_aside.contains(name) {
                return Ok(Some(id));
            }
            let now = self.clock.now();
            let mut draft = Draft::new(incident, version);
            draft.incident.set_aside.insert(name.to_owned());
            if draft.incident.ended_at.is_none() && said.stops_work {
                draft.incident.phase = Phase::Escalated;
                draft.incident.needs_person = Some((NeedsPerson::SetAside, said.words.clone()));
            }
            let say = Say {
                reason: Some(said.words.clone()),
                needs_person: Some(NeedsPerson::SetAside),
                retry: said.retry.clone(),
                ..Say::default()
            };
            self.tell_anew(&mut draft, Situation::Escalated, say, but, now);
            match self.save(&draft, now).await {
                Ok(()) => {
                    self.wake.now(&self.clock);
                    return Ok(Some(id));
                }
                Err(JobError::Store(StoreError::Conflict)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict.into())
    }

    async fn known(&self, id: &IncidentId) -> JobResult<Option<(Incident, Version)>> {
        Ok(self.store.incident(id).await?)
    }

    /// The open incident that a resource belongs to, or a new one.
    async fn incident_about(&self, target: &ResourceId) -> JobResult<Option<(Incident, Version)>> {
        let server = target.database_host();
        let vault = target.key_vault();
        let about = |incident: &Incident| match (&server, &vault) {
            (Some(server), _) => incident.members.contains_key(server.key()),
            (None, Some(vault)) => incident.vault_id.as_ref() == Some(vault),
            (None, None) => false,
        };
        let open = self.store.incidents(true, MOST_INCIDENTS).await?;
        if let Some(found) = open.iter().find(|incident| about(incident)) {
            return self.known(&found.id).await;
        }
        let key = IncidentKey::server(server.as_ref().unwrap_or(target));
        self.incident_of(&key, server.as_ref()).await
    }

    /// The open incident of that key, or a new one, saved: a notice needs an incident to belong to.
    async fn incident_of(
        &self,
        key: &IncidentKey,
        member: Option<&ResourceId>,
    ) -> JobResult<Option<(Incident, Version)>> {
        if let Some(open) = self.store.open_incident(key).await? {
            return Ok(Some(open));
        }
        let now = self.clock.now();
        let mut incident = Incident::open(self.ids.incident(now), key.clone(), self.policy.window_minutes, now);
        if let Some(member) = member {
            incident.add_member(member, None);
        }
        let version = self.store.save(&incident, None, &[], &[], now).await?;
        Ok(Some((incident, version)))
    }

    /// A job that was set aside was put back, or done: if it is set aside again, that is news.
    async fn forget_told(&self, key: &str, told: &Value) -> JobResult {
        if let Some(id) = told["incident"].as_str() {
            self.record(&IncidentId(id.to_owned()), |incident| {
                incident.set_aside.remove(key);
            })
            .await?;
        }
        Ok(self.store.keep_fact(TOLD_OF, key, &Value::Null, self.clock.now()).await?)
    }
}

/// What a person is told.
struct Said {
    words: String,
    retry: Option<String>,
    /// Whether the incident itself is with a person now, as opposed to a message of it.
    stops_work: bool,
}

/// Whether a notice says itself that work was set aside.
pub(super) fn is_about_that(notice: &Notice) -> bool {
    notice.needs_person == Some(NeedsPerson::SetAside)
}
