//! Losses of a kind that Keymend cannot look into yet: a person is called, so that no alert ends in silence.

use super::pass::Draft;
use super::tell::Say;
use super::{JobResult, Responder};
use crate::domain::incident::{EntryKind, Incident, IncidentKey, Phase};
use crate::domain::notice::Situation;
use crate::domain::plan::NeedsPerson;
use crate::domain::resource_id::ResourceId;
use crate::domain::signal::{Signal, SignalKind};
use crate::store::SignalRef;
use crate::telemetry::milestones;

impl Responder {
    /// A managed instance has lost its key, or has it back.
    pub(super) async fn managed_instance(
        &self,
        instance: &ResourceId,
        signals: &[Signal],
        taken: &[SignalRef],
    ) -> JobResult {
        let now = self.clock.now();
        let tells = |kind: SignalKind| signals.iter().any(|signal| signal.kind == kind);
        let lost =
            tells(SignalKind::AccessLost) || tells(SignalKind::SelfHealEnded) || tells(SignalKind::RestoreFailed);
        let key = IncidentKey::server(instance);
        let open = self.store.open_incident(&key).await?;
        if open.is_none() && !lost {
            return Ok(self.store.dismiss(taken, now).await?);
        }
        let (mut incident, version) = match open {
            Some((incident, version)) => (incident, Some(version)),
            None => (Incident::open(self.ids.incident(now), key, self.policy.window_minutes, now), None),
        };
        incident.add_member(instance, None);
        for signal in signals {
            incident.take(signal, now);
            let name = signal.target.name();
            incident.note(now, EntryKind::Noticed, format!("Azure about {name}: {}", signal.kind.name()));
        }
        let why = format!(
            "Managed instance {} has lost access to its key, and Keymend does not repair managed instances yet. Look at \
             properties.extendedAccessibilityInfo of its inaccessible databases: Azure names the cause there. Mend it, \
             then re-validate the key (portal: Transparent data encryption). Close this incident when it is done: `keymend incidents \
             close {}`.",
            instance.name(),
            incident.id
        );
        incident.phase = Phase::Escalated;
        incident.needs_person = Some((NeedsPerson::NoRemedy, why.clone()));
        let version = match version {
            Some(version) => version,
            // The notice needs an incident to belong to.
            None => {
                let version = self.store.save(&incident, None, &[], &[], now).await?;
                milestones::count(None, &incident, now);
                version
            }
        };
        let mut draft = Draft::new(incident, version);
        let say = Say { reason: Some(why), needs_person: Some(NeedsPerson::NoRemedy), ..Say::default() };
        self.tell(&mut draft, Situation::Escalated, say, now);
        self.save(&draft, now).await?;
        self.store.dismiss(taken, now).await?;
        self.wake.now(&self.clock);
        Ok(())
    }
}
