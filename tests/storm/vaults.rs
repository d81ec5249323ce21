//! What belongs together, and what does not.

use jiff::SignedDuration;
use keymend::domain::incident::{IncidentKey, Phase};
use keymend::domain::policy::Preset;
use keymend::drill::cloud::World;
use keymend::drill::cloud::world::{PermissionModel, VaultSpec};

use crate::accounts::{Accounts, assert_one_card_each};
use crate::kit::{Rain, Storm, all_rights_removed, policy};

const VAULTS: [&str; 2] = ["contoso-kv", "fabrikam-kv"];

/// Twelve servers, every other one under the second vault, in two resource groups that do not follow the vaults.
fn two_vaults() -> World {
    let mut world = World::shared_vault(12, 5).activity_log_minutes(3.0);
    world.vaults.push(VaultSpec { name: VAULTS[1].to_owned(), ..VaultSpec::default() });
    for (at, server) in world.servers.iter_mut().enumerate() {
        if let Some(protector) = &mut server.protector {
            protector.vault = VAULTS[at % 2].to_owned();
        }
        server.resource_group = if at % 4 < 2 { "rg-data".to_owned() } else { "rg-shop".to_owned() };
    }
    world.model(PermissionModel::Policy)
}

#[tokio::test]
async fn two_vaults_lost_at_once_are_two_incidents() {
    for (rain, seed) in [(Rain::Burst(40), 1), (Rain::Dribble, 2), (Rain::Dribble, 3)] {
        let world = two_vaults();
        let policy = policy(Preset::Guarded, &world);
        let mut storm = Storm::new(world, &policy, seed).await;
        storm.pass(SignedDuration::from_mins(1)).await;
        storm.cloud.break_it(&all_rights_removed());
        storm.weather(rain, 0).await;
        storm.assert_online();
        storm.assert_all_taken().await;
        let incidents = storm.incidents().await;
        assert_eq!(incidents.len(), 2, "two vaults are two incidents");
        for (at, vault) in VAULTS.into_iter().enumerate() {
            let key = IncidentKey(format!("vault:{vault}.vault.azure.net"));
            let incident = incidents.iter().find(|incident| incident.key == key).expect("each vault has its incident");
            assert_eq!(incident.phase, Phase::Healed, "{:?}", incident.end);
            let servers: Vec<&str> = incident.servers().map(|server| server.name()).collect();
            let own: Vec<String> = (0..12).filter(|n| n % 2 == at).map(|n| format!("sql-{:02}", n + 1)).collect();
            let mut sorted = servers.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, own, "each incident has the servers of its own vault, whatever their resource group");
            assert_one_card_each(&storm.cloud, incident, 1);
            let other = VAULTS[1 - at];
            let theirs = |subject: &String| subject.contains(other);
            let mixed = incident.attempts.iter().any(|attempt| attempt.change.subjects().iter().any(theirs));
            assert!(!mixed, "{vault}'s incident changed {other}: {:?}", incident.attempts);
        }
        let accounts = Accounts::of(&storm.cloud);
        let written = |vault: &str| accounts.writes.iter().filter(|one| one.url.contains(vault)).count();
        assert_eq!(VAULTS.map(written), [1, 1], "{:?}", accounts.writes_in_words());
        storm.stop().await;
    }
}
