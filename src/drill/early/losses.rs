//! Random losses: what breaks, in which world, and when. All are drawn from a seed.

use jiff::SignedDuration;
use sha2::{Digest, Sha256};

use super::Losses;
use crate::drill::cloud::world::{PermissionModel, Span};
use crate::drill::cloud::{Actor, Break, KeyRef, What, World};

/// One loss.
pub(super) struct Loss {
    /// In words.
    pub words: &'static str,
    pub world: World,
    pub what: Break,
    /// After the beginning.
    pub after: SignedDuration,
}

type Kind = (&'static str, PermissionModel, fn() -> What);

const ANNOUNCED: [Kind; 6] = [
    ("role assignment removed", PermissionModel::Rbac, || What::RevokePermission { server: None }),
    ("access policy removed", PermissionModel::Policy, || What::RevokePermission { server: None }),
    ("vault deleted", PermissionModel::Rbac, || What::DeleteVault { vault: None }),
    ("firewall turned on", PermissionModel::Rbac, || What::FirewallVault { vault: None, ip_rules: None }),
    ("identity removed", PermissionModel::Rbac, || What::RemoveIdentity { server: None }),
    ("permission model switched", PermissionModel::Policy, || What::SwitchPermissionModel { vault: None }),
];

const SILENT: [Kind; 3] = [
    ("key disabled", PermissionModel::Rbac, || What::DisableKey(KeyRef::default())),
    ("key deleted", PermissionModel::Rbac, || What::DeleteKey(KeyRef::default())),
    ("key expired", PermissionModel::Rbac, || What::ExpireKey(KeyRef::default())),
];

/// The loss of that seed.
pub(super) fn draw(losses: Losses, seed: u64) -> Loss {
    let kinds: &[Kind] = match losses {
        Losses::Announced => &ANNOUNCED,
        Losses::Silent => &SILENT,
    };
    let digest = Sha256::digest(format!("loss|{seed}"));
    let number = |at: usize| u64::from(digest[at]) << 8 | u64::from(digest[at + 1]);
    // A pipeline did it: a person's change would be no different under `auto`, but this needs no explanation.
    let pipeline = Actor::application("5ba4de00-0000-4000-8000-000000000007", "5ba4de00-0000-4000-8000-000000000008");
    let which = usize::try_from(number(0)).unwrap_or_default() % kinds.len();
    let (words, model, what) = kinds[which];
    let mut world = World::standard().seeded(seed).model(model);
    // Microsoft, "Common errors for TDE with customer-managed keys": events take at least 15–30 minutes.
    world.timing.tde_events = Some(Span { min: 15.0, max: 30.0 });
    let after = SignedDuration::from_secs(5 * 60 + i64::try_from(number(2) % (15 * 60)).unwrap_or_default());
    Loss { words, world, what: Break::new(what()).by(pipeline), after }
}
