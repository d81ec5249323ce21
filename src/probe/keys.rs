//! The keys that SQL needs: the protectors' and every linked one, since older pages and log records may still be wrapped
//! by an older key. Read at the Resource Manager; only what is gone is asked of the vault itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::evidence::{Fact, KeyEvidence, KeyVersion};
use crate::domain::expiry::is_within;
use crate::domain::key_uri::KeyUri;
use crate::domain::resource_id::ResourceId;
use crate::probe::ask::Ask;
use crate::probe::board::{Board, NO_WAVE, failure, or_unasked};
use crate::probe::{Question, vault};

/// The keys in question, each with the version that is meant (`None`: the current one). Names are compared in lower case.
fn wanted(board: &Board<'_>) -> BTreeMap<KeyUri, Option<String>> {
    let Some(host) = board.host() else { return BTreeMap::new() };
    let mut wanted: BTreeMap<KeyUri, Option<String>> = BTreeMap::new();
    let mut want = |uri: &KeyUri, in_use: Option<&String>| {
        if uri.vault != host {
            return;
        }
        let uri = KeyUri { key: uri.key.to_ascii_lowercase(), ..uri.clone() };
        let version = uri.version.as_ref().or(in_use).cloned();
        let known = wanted.entry(uri).or_default();
        *known = known.take().or(version);
    };
    let mut silent = false;
    for server in board.members() {
        match board.protectors.get(server) {
            Some(Fact::Known(protector)) => {
                protector.uri.iter().for_each(|uri| want(uri, protector.key_version.as_ref()));
            }
            Some(_) => silent = true,
            None => {}
        }
        for linked in board.linked_keys.get(server).and_then(Fact::known).into_iter().flatten() {
            linked.uri.iter().for_each(|uri| want(uri, None));
        }
    }
    if silent {
        board.question.keys.iter().for_each(|uri| want(uri, None));
    }
    wanted
}

/// The names of the keys in question, in lower case; `None` while a server has not told all of its own.
pub(super) fn names(board: &Board<'_>) -> Option<BTreeSet<String>> {
    let told = |server: &ResourceId| {
        board.protectors.get(server).is_some_and(|fact| fact.known().is_some())
            && board.linked_keys.get(server).is_some_and(|fact| fact.known().is_some())
    };
    let complete = board.members().into_iter().all(told);
    complete.then(|| wanted(board).into_keys().map(|uri| uri.key).collect())
}

pub(super) fn asks(board: &mut Board<'_>, asks: &mut BTreeSet<Ask>) {
    let Some(id) = vault::present_id(board) else { return };
    for (uri, version) in wanted(board) {
        let gone = board.key_versions.get(&uri).is_some_and(Fact::is_absent);
        // Without a version, only the list tells whether this is still the key it was.
        if gone || version.is_none() {
            asks.insert(Ask::Versions(id.clone(), uri.versionless()));
        }
        if gone {
            asks.insert(Ask::DeletedKey(uri.versionless()));
        }
        if let Some(version) = board.key_versions.get(&uri).and_then(Fact::known) {
            let soon = expires_soon(version, board.question);
            // A repair may be meant for it: then its tags matter, and the vault itself tells them for certain.
            if !is_valid(version, board.question.now) || soon && !board.question.health_only {
                asks.insert(Ask::KeyAtVault(exactly(&uri, version)));
            }
            // Whether it was disabled, or is left to expire, because a newer one was made: a rotation, or an answer to a
            // compromise.
            if !version.enabled || soon {
                asks.insert(Ask::Versions(id.clone(), uri.versionless()));
            }
        }
        asks.insert(Ask::Key(id.clone(), uri, version));
    }
}

fn expires_soon(version: &KeyVersion, question: &Question) -> bool {
    version.expires.is_some_and(|end| is_within(end, question.now, question.ahead))
}

fn is_valid(version: &KeyVersion, now: Timestamp) -> bool {
    version.enabled
        && version.expires.is_none_or(|end| end > now)
        && version.not_before.is_none_or(|start| start <= now)
}

fn exactly(uri: &KeyUri, version: &KeyVersion) -> KeyUri {
    KeyUri { version: Some(version.version.clone()), ..uri.clone() }
}

pub(super) fn keys(board: &Board<'_>) -> Vec<KeyEvidence> {
    let vault = vault::vault(board);
    let hidden = match board.unreadable() {
        Some(why) => Some(why),
        None if vault.is_absent() => Some("the vault is not there".to_owned()),
        None => None,
    };
    let read = |(uri, _): (KeyUri, Option<String>)| match &hidden {
        Some(why) => KeyEvidence {
            version: Fact::Unknown(why.clone()),
            exists: Fact::Unknown(why.clone()),
            versions: Vec::new(),
            deleted: Fact::Unknown(why.clone()),
            uri,
        },
        None => evidence(board, uri, vault.known().is_some()),
    };
    wanted(board).into_iter().map(read).collect()
}

fn evidence(board: &Board<'_>, uri: KeyUri, vault_is_there: bool) -> KeyEvidence {
    let bare = uri.versionless();
    let list = board.version_lists.get(&bare);
    let mut version = or_unasked(board.key_versions.get(&uri), NO_WAVE);
    if let Fact::Known(version) = &mut version
        && let Some(Fact::Known(told)) = board.keys_at_vault.get(&exactly(&uri, version))
    {
        version.tags.extend(told.tags.clone());
    }
    let exists = match list {
        _ if version.known().is_some() => Fact::Known(true),
        Some(Fact::Known(versions)) => Fact::Known(!versions.is_empty()),
        Some(Fact::Absent) => Fact::Known(false),
        Some(list) => failure(list).unwrap_or_default(),
        None if version.is_absent() => Fact::Unknown(format!("not asked: {NO_WAVE}")),
        None => failure(&version).unwrap_or_default(),
    };
    let why = if version.known().is_some() { "the key is there" } else { NO_WAVE };
    let evidence = KeyEvidence {
        exists,
        versions: list.and_then(Fact::known).cloned().unwrap_or_default(),
        deleted: or_unasked(board.deleted_keys.get(&bare), why),
        version,
        uri,
    };
    if vault_is_there { evidence } else { unproven(evidence) }
}

/// "Not there" said of a key proves nothing while the vault itself could not be read: it may be the vault that is missing.
fn unproven(mut key: KeyEvidence) -> KeyEvidence {
    const WHY: &str = "it was not found, and whether its vault is there could not be read";
    if key.version.is_absent() {
        key.version = Fact::Unknown(WHY.to_owned());
    }
    if key.exists == Fact::Known(false) {
        key.exists = Fact::Unknown(WHY.to_owned());
    }
    key
}
