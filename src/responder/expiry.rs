//! Warnings that a key expires soon: told as any notice is, without a loss. Each is an incident of its own that is over as
//! soon as it is told; its id follows from key, date and warning, so that of several processes and any number of looks one
//! tells.

use jiff::Timestamp;

use super::tell::NOTICE;
use super::{JobResult, Responder};
use crate::domain::diagnosis::{Cause, Diagnosis};
use crate::domain::evidence::Evidence;
use crate::domain::expiry::{Expiring, Warning, due, warnings};
use crate::domain::incident::{EntryKind, Incident, Phase};
use crate::domain::key_uri::KeyUri;
use crate::domain::notice::{Situation, Told};
use crate::domain::remedy::Change;
use crate::domain::words::utc;
use crate::notify::compose;
use crate::store::{NewJob, StoreError, Work};

/// The kind of fact that remembers which warnings were given: so that an old incident may be forgotten.
const WARNED: &str = "warned_of_expiry";

impl Responder {
    /// Gives the warnings that are due for the keys of this evidence, each once. Answers how many were new. To be called
    /// with whatever evidence there is: by the patrol, and when Azure tells that a key expires soon. What is out of scope is
    /// not told of.
    ///
    /// # Errors
    /// [`super::JobError::Store`]; what was not told is, the next time.
    pub async fn warn_of_expiry(&self, evidence: &Evidence) -> JobResult<usize> {
        self.warn_but(evidence, |_| false).await
    }

    /// The same, but for keys whose expiry is a finding of the diagnosis: the incident that it becomes tells of it.
    ///
    /// # Errors
    /// As [`Self::warn_of_expiry`].
    pub async fn warn_beside(&self, evidence: &Evidence, diagnosis: &Diagnosis) -> JobResult<usize> {
        let found = diagnosis.findings.iter().filter(|finding| finding.cause == Cause::KeyExpiring);
        let found: Vec<&str> = found.map(|finding| finding.resource.as_str()).collect();
        let is_found = |key: &KeyUri| found.iter().any(|found| found.eq_ignore_ascii_case(&key.to_string()));
        self.warn_but(evidence, is_found).await
    }

    async fn warn_but(&self, evidence: &Evidence, told_elsewhere: impl Fn(&KeyUri) -> bool) -> JobResult<usize> {
        let now = self.clock.now();
        let mut told = 0;
        for mut warning in warnings(evidence, now) {
            if told_elsewhere(&warning.expiring.key) {
                continue;
            }
            warning.servers.retain(|server| self.policy.scope.covers(server));
            warning.databases.retain(|database| self.policy.scope.covers(&database.server));
            if !warning.servers.is_empty() && self.warn(&warning).await? {
                told += 1;
            }
        }
        if told > 0 {
            self.wake.now(&self.clock);
        }
        Ok(told)
    }

    /// A key was given another date by us, and the team is told of the change: the warning that is due by the new date is given
    /// with that.
    pub(super) async fn told_with_the_change(&self, change: &Change, at: Timestamp) -> JobResult {
        let Change::ExtendExpiry { key, to, .. } = change else { return Ok(()) };
        let Some(ahead) = due(*to, at) else { return Ok(()) };
        let expiring = Expiring { key: key.clone(), expires: *to, ahead };
        let value = serde_json::to_value(&expiring).unwrap_or_default();
        self.store.keep_fact(WARNED, &expiring.incident_id().0, &value, self.clock.now()).await?;
        Ok(())
    }

    /// Gives one warning. Answers whether it is new.
    async fn warn(&self, warning: &Warning) -> JobResult<bool> {
        let id = warning.expiring.incident_id();
        if self.store.fact(WARNED, &id.0).await?.is_some() {
            return Ok(false);
        }
        let now = self.clock.now();
        let mut incident = told_of(warning, self.policy.window_minutes, now);
        let mut notice =
            compose::compose(&incident, Situation::KeyExpiresSoon, None, None, Vec::new(), false, None, now);
        notice.expiring = Some(warning.expiring.clone());
        let kept = Told::of(&notice);
        let jobs: Vec<NewJob> = self
            .channels
            .iter()
            .map(|channel| {
                let (notice, channel) = (kept.kept.clone(), channel.name().to_owned());
                NewJob { work: Work::Tell { incident: incident.id.clone(), notice, channel }, due: now }
            })
            .collect();
        let value = serde_json::to_value(&notice).unwrap_or_default();
        self.store.keep_fact(NOTICE, &kept.kept, &value, now).await?;
        incident.notices.push(kept);
        let new = match self.store.save(&incident, None, &jobs, &[], now).await {
            Ok(_) => true,
            // Somebody else has told it.
            Err(StoreError::Conflict) => false,
            Err(error) => return Err(error.into()),
        };
        let value = serde_json::to_value(&warning.expiring).unwrap_or_default();
        self.store.keep_fact(WARNED, &id.0, &value, now).await?;
        Ok(new)
    }
}

/// The incident that the warning belongs to: over already.
fn told_of(warning: &Warning, window_minutes: u32, now: jiff::Timestamp) -> Incident {
    let expiring = &warning.expiring;
    let mut incident = Incident::open(expiring.incident_id(), expiring.incident_key(), window_minutes, now);
    incident.vault = Some(expiring.key.vault.clone());
    incident.vault_id.clone_from(&warning.vault_id);
    for server in &warning.servers {
        let member = incident.add_member(server, Some(expiring.key.versionless()));
        let own = warning.databases.iter().filter(|database| database.server == *server);
        member.databases.extend(own.map(|database| database.name.clone()));
    }
    let said = format!("Warned that key {} expires at {}", expiring.key, utc(expiring.expires));
    incident.note(now, EntryKind::Told, said.clone());
    incident.finish(Phase::Closed, said, now);
    incident
}
