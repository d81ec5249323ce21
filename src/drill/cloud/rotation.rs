//! Rotation of keys: a server whose protector rotates by itself picks a new version up within 24 hours (Microsoft, "Rotate
//! the TDE protector"). The old version stays linked, since what was written under it still needs it.

use super::resources::LinkedKey;
use super::state::{Event, State};
use super::world::Span;
use crate::clock::add;

/// Minutes until a new version is picked up: the documentation gives only the upper end.
const PICKED_UP: Span = Span { min: 10.0, max: 1440.0 };

/// A key has a new version: every server that rotates by itself will see it, each at its own time.
pub(super) fn announce(state: &mut State, vault: usize, key: usize) {
    let (vault, key) = (state.vaults[vault].name().to_owned(), state.vaults[vault].keys[key].name.clone());
    for server in 0..state.servers.len() {
        let rotates = state.servers[server].protector.as_ref().is_some_and(|protector| {
            protector.auto_rotation && protector.vault.eq_ignore_ascii_case(&vault) && protector.key == key
        });
        if rotates {
            let wait =
                state.draw_minutes(PICKED_UP, &format!("rotation|{}|{}", state.servers[server].id.key(), state.now));
            state.schedule(add(state.now, wait), Event::PickUp { server });
        }
    }
}

impl State {
    /// The server takes the newest enabled version for its protector, if it can reach the key.
    pub(super) fn pick_up(&mut self, server: usize) {
        if self.key_access(server).is_err() {
            return;
        }
        let Some(protector) = self.servers[server].protector.as_ref() else { return };
        let Some(vault) = self.vault_named(&protector.vault) else { return };
        let Some(key) = self.vaults[vault].live_key(&protector.key, self.now) else { return };
        let Some(newest) = key.versions.iter().rev().find(|version| version.enabled) else { return };
        let (version, thumbprint, created) = (newest.id.clone(), newest.thumbprint.clone(), self.now);
        let Some(protector) = self.servers[server].protector.as_mut() else { return };
        if protector.linked.last().is_some_and(|linked| linked.version == version) {
            return;
        }
        if protector.version.is_some() {
            protector.version = Some(version.clone());
        }
        protector.linked.push(LinkedKey { version, thumbprint, created });
    }
}
