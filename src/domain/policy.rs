//! What the operator allows: scope, presets, mode per remedy, limits. Read from `keymend.toml` by `settings`.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::domain::remedy::Remedy;
use crate::domain::resource_id::ResourceId;

/// Whether a remedy may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Never.
    Off,
    /// After a person has approved it.
    Approve,
    /// By itself.
    Auto,
}

/// A ready-made set of modes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Nothing is written to Azure, ever.
    Observe,
    /// Waiting, re-validating and re-granting are automatic; everything else asks, putting settings back too.
    #[default]
    Guarded,
    /// All reversible remedies are automatic.
    Auto,
}

impl Preset {
    /// As `keymend.toml` writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Guarded => "guarded",
            Self::Auto => "auto",
        }
    }

    /// The preset's mode for a remedy.
    #[must_use]
    pub const fn mode(self, remedy: Remedy) -> Mode {
        match self {
            Self::Observe => match remedy {
                Remedy::Wait => Mode::Auto,
                _ => Mode::Off,
            },
            Self::Guarded => match remedy {
                Remedy::Wait | Remedy::Revalidate | Remedy::AddAccessPolicy | Remedy::AssignRole => Mode::Auto,
                _ => Mode::Approve,
            },
            Self::Auto => Mode::Auto,
        }
    }
}

/// What Keymend may touch. Nothing is in scope that is not named: an empty scope means nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// Whole subscriptions, by id.
    pub subscriptions: Vec<String>,
    /// Resource groups, servers or vaults, by resource id.
    pub resources: Vec<ResourceId>,
    /// Resource groups, servers or vaults that are left alone whatever else says otherwise.
    pub except: Vec<ResourceId>,
}

impl Scope {
    /// Whether `id` may be looked at and, under policy, changed.
    #[must_use]
    pub fn covers(&self, id: &ResourceId) -> bool {
        let named = self.subscriptions.iter().any(|sub| sub.eq_ignore_ascii_case(id.subscription()))
            || self.resources.iter().any(|root| root.contains(id));
        named && !self.except.iter().any(|root| root.contains(id))
    }
}

/// Limits and lists of the gates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gates {
    /// A tag on vault, server or key (any value but `false`) that forbids every change.
    pub hold_tag: String,
    /// Key custodians, security staff and their automation: what they broke stays broken. UPNs, object or app ids.
    pub custodians: Vec<String>,
    /// Known pipelines: what they broke may be undone without asking. Object or application ids.
    pub pipelines: Vec<String>,
    /// More servers than this in one repair: a person decides.
    pub max_servers: u32,
    /// Protective changes within this many minutes of each other look deliberate.
    pub deliberate_within_minutes: u32,
    /// No recovery when the purge is nearer than this, in minutes.
    pub purge_margin_minutes: u32,
    /// A repair that was made within this many hours and undone is not made again.
    pub repeat_within_hours: u32,
    /// Writes to Azure in any hour, over all incidents.
    pub writes_per_hour: u32,
    /// Failed changes in one incident after which a person is called.
    pub failures_per_incident: u32,
    /// The furthest that an expiry may be extended, in days; 0 forbids it.
    pub max_expiry_extension_days: u32,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            hold_tag: "keymend-hold".to_owned(),
            custodians: Vec::new(),
            pipelines: Vec::new(),
            max_servers: 50,
            deliberate_within_minutes: 30,
            purge_margin_minutes: 10,
            repeat_within_hours: 24,
            writes_per_hour: 200,
            failures_per_incident: 3,
            max_expiry_extension_days: 7,
        }
    }
}

/// Everything the operator allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What may be touched.
    pub scope: Scope,
    /// The ready-made set.
    pub preset: Preset,
    /// Exceptions to it.
    pub remedies: BTreeMap<Remedy, Mode>,
    /// The gates.
    pub gates: Gates,
    /// Length of the self-heal window in minutes: 30 by Microsoft's documentation since 2022 (8 h in 2019).
    pub window_minutes: u32,
    /// A key that expires within this many hours has its expiry extended before it is lost, as far as `extend_expiry` is
    /// allowed; 0 waits until it has expired.
    pub extend_before_hours: u32,
    /// Decide and tell, and show exactly what would be sent, but send nothing.
    pub dry_run: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            scope: Scope::default(),
            preset: Preset::Guarded,
            remedies: BTreeMap::new(),
            gates: Gates::default(),
            window_minutes: 30,
            extend_before_hours: 24,
            dry_run: false,
        }
    }
}

impl Policy {
    /// How long before it expires a key is to be extended; `None` where policy does not let that be done or asked for. At
    /// most half of what an extension gains, or the extended key would have to be extended again at once.
    #[must_use]
    pub fn extends_ahead(&self) -> Option<SignedDuration> {
        let gained = self.gates.max_expiry_extension_days.saturating_mul(24);
        let hours = self.extend_before_hours.min(gained / 2);
        let allowed = self.mode(Remedy::ExtendExpiry) != Mode::Off && hours > 0;
        allowed.then(|| SignedDuration::from_hours(i64::from(hours)))
    }

    /// The mode of a remedy. Under `observe` nothing is written, whatever the exceptions say.
    #[must_use]
    pub fn mode(&self, remedy: Remedy) -> Mode {
        let preset = self.preset.mode(remedy);
        if self.preset == Preset::Observe { preset } else { self.remedies.get(&remedy).copied().unwrap_or(preset) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_called_as_settings_write_it() {
        for (preset, name) in [(Preset::Observe, "observe"), (Preset::Guarded, "guarded"), (Preset::Auto, "auto")] {
            assert_eq!(preset.name(), name);
            assert_eq!(serde_json::from_value::<Preset>(name.into()).ok(), Some(preset));
        }
    }

    #[test]
    fn waiting_is_never_asked_about() {
        for preset in [Preset::Observe, Preset::Guarded, Preset::Auto] {
            assert_eq!(preset.mode(Remedy::Wait), Mode::Auto, "{preset:?}");
        }
        assert_eq!(Preset::Observe.mode(Remedy::Revalidate), Mode::Off);
        assert_eq!(Preset::Guarded.mode(Remedy::EnableKey), Mode::Approve);
    }

    #[test]
    fn a_key_is_extended_ahead_by_half_of_what_is_gained_at_most() {
        let ahead = |before, days, mode| {
            let gates = Gates { max_expiry_extension_days: days, ..Gates::default() };
            let remedies = BTreeMap::from([(Remedy::ExtendExpiry, mode)]);
            Policy { gates, remedies, extend_before_hours: before, ..Policy::default() }.extends_ahead()
        };
        assert_eq!(ahead(24, 7, Mode::Auto), Some(SignedDuration::from_hours(24)));
        assert_eq!(ahead(24, 1, Mode::Approve), Some(SignedDuration::from_hours(12)));
        assert_eq!(ahead(0, 7, Mode::Auto), None, "not before it has expired");
        assert_eq!(ahead(24, 0, Mode::Auto), None, "never");
        assert_eq!(ahead(24, 7, Mode::Off), None);
    }
}
