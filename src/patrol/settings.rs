//! How often the patrol looks, and how much of Azure's patience it may use.

use jiff::SignedDuration;

/// What the Resource Manager gives back of a subscription's read budget in a second (Microsoft, "Understand how Azure Resource
/// Manager throttles requests").
pub const READS_PER_SECOND: u32 = 25;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatrolSettings {
    /// Whether there is a patrol.
    pub enabled: bool,
    /// From one round to the next.
    pub health_every: SignedDuration,
    /// Between rounds, what a round has left of its requests goes into glances at the vaults this often.
    pub glance_every: SignedDuration,
    /// Within this, every server is read anew.
    pub walk_every: SignedDuration,
    /// By how much the time between rounds varies, in percent.
    pub jitter_percent: u32,
    /// The share of the Resource Manager's read budget that it may use, in percent.
    pub read_share_percent: u32,
}

impl Default for PatrolSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            health_every: SignedDuration::from_mins(1),
            glance_every: SignedDuration::from_secs(15),
            walk_every: SignedDuration::from_hours(1),
            jitter_percent: 10,
            read_share_percent: 20,
        }
    }
}

impl PatrolSettings {
    /// No patrol at all.
    #[must_use]
    pub fn off() -> Self {
        Self { enabled: false, ..Self::default() }
    }

    /// As usual, without glances between the rounds.
    #[must_use]
    pub fn rounds_only() -> Self {
        let usual = Self::default();
        Self { glance_every: usual.health_every, ..usual }
    }

    /// From one look, round or glance, to the next.
    #[must_use]
    pub fn look_every(&self) -> SignedDuration {
        self.glance_every.min(self.health_every)
    }

    /// The requests that one round may make.
    #[must_use]
    pub fn requests_a_round(&self) -> usize {
        let seconds = usize::try_from(self.health_every.as_secs()).unwrap_or_default();
        (seconds * (READS_PER_SECOND * self.read_share_percent) as usize / 100).max(20)
    }
}
