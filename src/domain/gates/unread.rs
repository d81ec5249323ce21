//! What a gate would have looked at and could not be read: then nobody can say that nothing stands in the way.

use crate::domain::diagnose::unread;
use crate::domain::diagnosis::Link;
use crate::domain::evidence::Fact;
use crate::domain::gates::{Situation, hard, keys_of, seen, servers};
use crate::domain::plan::{Gate, GateHit, Plan};

pub(super) fn hits(plan: &Plan, situation: &Situation<'_>) -> Vec<GateHit> {
    let mut unseen: Vec<String> = Vec::new();
    if situation.evidence.locks.known().is_none() {
        unseen.push(because("locks", &situation.evidence.locks));
    }
    vault(situation, &mut unseen);
    let servers = servers(plan);
    for server in &servers {
        match seen(situation, server).map(|seen| &seen.server) {
            Some(Fact::Known(_)) => {}
            Some(fact) => unseen.push(because(&format!("the tags of {}", server.name()), fact)),
            None => unseen.push(format!("{} was not looked at", server.name())),
        }
    }
    let vault_is_there = situation.evidence.vault.as_ref().is_some_and(|vault| vault.vault.known().is_some());
    if vault_is_there {
        for key in keys_of(plan, situation) {
            if matches!(key.version, Fact::Unknown(_) | Fact::Denied(_)) {
                unseen.push(because(&format!("key {}", key.uri), &key.version));
            }
        }
    }
    // A cause that would come first in the order, and would stop this plan, may hide behind what was not read.
    for (server, links) in unread(situation.evidence, situation.incident, situation.policy) {
        let matters = |link: Link| matches!(link, Link::Identity | Link::Vault | Link::Key | Link::Database);
        if servers.contains(&server) {
            unseen.extend(links.into_iter().filter(|(link, _)| matters(*link)).map(|(_, said)| said));
        }
    }
    unseen.sort();
    unseen.dedup();
    unseen.into_iter().map(|said| hard(Gate::CannotTell, said)).collect()
}

fn vault(situation: &Situation<'_>, unseen: &mut Vec<String>) {
    let Some(vault) = &situation.evidence.vault else {
        unseen.push("no key vault was looked at".to_owned());
        return;
    };
    match &vault.vault {
        Fact::Known(known) => {
            if known.rbac && vault.denials.known().is_none() {
                unseen.push(because("deny assignments", &vault.denials));
            }
        }
        Fact::Absent if vault.deleted.known().is_some() => {}
        fact => unseen.push(because(&format!("the tags of key vault {}", vault.host.vault_name()), fact)),
    }
}

fn because<T>(what: &str, fact: &Fact<T>) -> String {
    match fact {
        Fact::Denied(right) => format!("{what} may not be read: {} on {} is missing", right.action, right.scope),
        Fact::Unknown(why) => format!("{what} could not be read: {why}"),
        Fact::Absent => format!("{what}: not there"),
        Fact::Known(_) => what.to_owned(),
    }
}
