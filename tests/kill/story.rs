//! Stories of the drill, told faster: the same breaks, policy and ends, in a cloud where everything takes seconds.

use jiff::SignedDuration;
use keymend::domain::policy::Preset;
use keymend::drill::cloud::Break;
use keymend::drill::cloud::world::Span;
use keymend::drill::scenario::{self, Act, Setup};

/// A story.
#[derive(Debug, Clone)]
pub struct Story {
    pub name: &'static str,
    pub preset: Preset,
    pub setup: Setup,
    /// Virtual seconds in a second. It takes a few seconds; the start of `serve` takes much less of the story than the Action
    /// Group goes on trying for.
    pub speed: f64,
    /// How many alerts the Action Group has to deliver. Where the patrol walks, nobody knows before: what it finds before the
    /// databases are lost may be repaired before there is an alert.
    pub alerts: usize,
    /// Whether the patrol walks.
    pub patrol: bool,
}

const fn exactly(minutes: f64) -> Span {
    Span { min: minutes, max: minutes }
}

impl Story {
    /// A vault is deleted, and with it the role on it: two repairs, one after the other.
    pub fn vault_deleted() -> Self {
        // Each of three databases: lost; on its way back; back.
        Self::quick("vault-deleted", Preset::Auto, 75.0, 30, 0.2, 9)
    }

    /// The same, where a person is asked first.
    pub fn vault_deleted_and_asked() -> Self {
        Self::quick("vault-deleted", Preset::Guarded, 75.0, 30, 0.2, 9)
    }

    /// The alert comes when the window is over: a repair, then a re-validation.
    pub fn late_alert() -> Self {
        // Each of three databases: lost; lost for good; on its way back; back.
        Self::quick("late-alert", Preset::Auto, 150.0, 2, 2.5, 12)
    }

    fn quick(name: &'static str, preset: Preset, speed: f64, window: u32, alerted_after: f64, alerts: usize) -> Self {
        let mut setup = (scenario::named(name).unwrap().setup)(preset);
        setup.policy.window_minutes = window;
        let timing = &mut setup.world.timing;
        timing.window_minutes = window;
        timing.key_check_minutes = 1;
        timing.identity_seconds = 5;
        timing.activity_log = exactly(alerted_after);
        (timing.self_heal, timing.propagation, timing.vault_dns) = (exactly(0.2), exactly(0.2), exactly(0.2));
        for database in setup.world.servers.iter_mut().flat_map(|server| &mut server.databases) {
            database.size_gb = 1;
        }
        Self { name, preset, setup, speed, alerts, patrol: false }
    }

    /// Whether a person is asked.
    pub fn asks(&self) -> bool {
        self.preset == Preset::Guarded
    }

    /// The same at half the speed.
    pub fn slower(&self) -> Self {
        Self { speed: self.speed / 2.0, ..self.clone() }
    }

    /// What breaks.
    pub fn breaks(&self) -> Vec<Break> {
        let breaks = self.setup.script.iter().map(|step| match &step.act {
            Act::Break(what) => what.clone(),
            other => panic!("{} has a step that this test does not know: {other:?}", self.name),
        });
        breaks.collect()
    }
}

/// How long the Action Group tries: five times again within 75 seconds. A `serve` that is away for longer misses alerts by
/// Azure's own rules: then a story tells nothing, and is played again at half the speed.
pub const ACTION_GROUP_TRIES_FOR: SignedDuration = SignedDuration::from_secs(75);
