//! Keys: expiry, older keys, kind, rotation.

use jiff::{SignedDuration, Timestamp};

use super::{count, extent};
use crate::domain::evidence::{Evidence, Fact, KeyEvidence, KeyVersion, ServerEvidence};
use crate::domain::expiry::due;
use crate::domain::key_uri::KeyUri;
use crate::domain::words::utc;
use crate::notify::texts::by_hand::quoted;
use crate::posture::finding::{
    Finding, KEY_EXPIRES, KEY_KIND, KEY_NO_EXPIRY, KEY_ROTATION, LINKED_KEY_UNUSABLE, Level,
};

const DAY: i64 = 24 * 3600;

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let now = evidence.taken_at;
    let mut findings = Vec::new();
    for key in &evidence.keys {
        let (protected, linked) = users(evidence, key);
        let (servers, databases) = count(if protected.is_empty() { &linked } else { &protected });
        let of = |finding: Finding| finding.of(servers.clone(), databases);
        match &key.version {
            Fact::Known(version) if protected.is_empty() => {
                findings.extend(linked_unusable(key, version, now).map(of));
                findings.extend(expiry(key, version, now, (servers.len(), databases), false).map(of));
            }
            Fact::Known(version) => {
                findings.extend(expiry(key, version, now, (servers.len(), databases), true).map(of));
                findings.extend(kind(key, version).map(of));
            }
            Fact::Absent if protected.is_empty() => findings.push(of(linked_gone(key))),
            _ => {}
        }
    }
    findings.extend(rotation(evidence));
    findings
}

/// Who is protected by it now, and who has it linked from before.
fn users<'a>(evidence: &'a Evidence, key: &KeyEvidence) -> (Vec<&'a ServerEvidence>, Vec<&'a ServerEvidence>) {
    let is = |uri: &KeyUri| uri.same_key(&key.uri) && uri.version == key.uri.version;
    let protects =
        |seen: &&ServerEvidence| seen.protector.known().and_then(|protector| protector.uri.as_ref()).is_some_and(is);
    let linked = |seen: &&ServerEvidence| {
        let links = seen.linked_keys.known().map(Vec::as_slice).unwrap_or_default();
        links.iter().filter_map(|link| link.uri.as_ref()).any(is)
    };
    let protected: Vec<_> = evidence.servers.iter().filter(protects).collect();
    let before: Vec<_> = evidence.servers.iter().filter(linked).filter(|seen| !protects(seen)).collect();
    (protected, before)
}

fn attributes(key: &KeyEvidence, version: &KeyVersion) -> String {
    format!(
        "az keyvault key set-attributes --vault-name {} --name {} --version {}",
        quoted(key.uri.vault.vault_name()),
        quoted(&key.uri.key),
        quoted(&version.version)
    )
}

fn expiry(
    key: &KeyEvidence,
    version: &KeyVersion,
    now: Timestamp,
    (servers, databases): (usize, usize),
    in_use: bool,
) -> Option<Finding> {
    let subject = key.uri.to_string();
    let name = &key.uri.key;
    let Some(expires) = version.expires else {
        if !in_use {
            return None;
        }
        let what = format!("key {name} has no expiry date");
        let fix = "Nothing, or set a date together with a rotation policy";
        return Some(Finding::new(&KEY_NO_EXPIRY, Level::Info, subject, what).fix(fix));
    };
    let within = due(expires, now)?;
    let level = match within {
        0..=3 => Level::Critical,
        4..=14 => Level::High,
        _ => Level::Medium,
    };
    let days = expires.duration_since(now).as_secs() / DAY;
    let left = match days {
        0 => "in less than a day".to_owned(),
        1 => "in 1 day".to_owned(),
        days => format!("in {days} days"),
    };
    let what = format!("key {name} expires {left}, at {}; {} depend on it", utc(expires), extent(servers, databases));
    let later = expires.checked_add(SignedDuration::from_secs(365 * DAY)).unwrap_or(expires);
    let finding = Finding::new(&KEY_EXPIRES, level, subject, what)
        .fix("Rotate: make a new version and set it as the protector of each server; or, where your rules let you, move the date")
        .run(format!("az keyvault key create --vault-name {} --name {} --kty RSA --size 3072", quoted(key.uri.vault.vault_name()), quoted(name)))
        .run("az sql server tde-key set --server <server> --resource-group <group> --server-key-type AzureKeyVault --kid <new key id>")
        .run(format!("{} --expires {}", attributes(key, version), later.strftime("%Y-%m-%dT%H:%M:%SZ")));
    Some(finding)
}

fn linked_unusable(key: &KeyEvidence, version: &KeyVersion, now: Timestamp) -> Option<Finding> {
    let name = &key.uri.key;
    let (state, option) = if !version.enabled {
        ("is disabled".to_owned(), "--enabled true".to_owned())
    } else if let Some(expired) = version.expires.filter(|at| *at <= now) {
        (format!("expired at {}", utc(expired)), "--expires <new date>".to_owned())
    } else if let Some(start) = version.not_before.filter(|at| *at > now) {
        (format!("is not valid before {}", utc(start)), "--not-before <earlier date>".to_owned())
    } else {
        return None;
    };
    let short = version.version.get(..8).unwrap_or_default();
    let what = format!("key {name} version {short}…, linked from before a rotation, {state}");
    let finding = Finding::new(&LINKED_KEY_UNUSABLE, Level::High, key.uri.to_string(), what);
    Some(
        finding
            .fix("Make it usable again, and keep it as long as any backup needs it")
            .run(format!("{} {option}", attributes(key, version))),
    )
}

fn linked_gone(key: &KeyEvidence) -> Finding {
    let recoverable = key.deleted.known().is_some();
    let state = if recoverable { "is deleted and can be recovered" } else { "is not there" };
    let what = format!("key {}, linked from before a rotation, {state}", key.uri);
    let finding = Finding::new(&LINKED_KEY_UNUSABLE, Level::High, key.uri.to_string(), what);
    let (vault, name) = (quoted(key.uri.vault.vault_name()), quoted(&key.uri.key));
    let finding = finding.fix("Recover it, or restore it from a backup of the key: older data may still need it");
    if recoverable {
        finding.run(format!("az keyvault key recover --vault-name {vault} --name {name}"))
    } else {
        finding.run(format!("az keyvault key restore --vault-name {vault} --file <backup of the key>"))
    }
}

fn kind(key: &KeyEvidence, version: &KeyVersion) -> Option<Finding> {
    let kind = version.kind.as_deref()?;
    let size = version.size;
    let rsa = kind.eq_ignore_ascii_case("RSA") || kind.eq_ignore_ascii_case("RSA-HSM");
    if rsa && size.is_none_or(|size| matches!(size, 2048 | 3072)) {
        return None;
    }
    let bits = size.map(|size| format!(" of {size} bits")).unwrap_or_default();
    let what = format!("key {} is {kind}{bits}", key.uri.key);
    let fix = "Make an RSA key of 3072 bits and set it as the protector";
    Some(Finding::new(&KEY_KIND, Level::High, key.uri.to_string(), what).fix(fix))
}

fn rotation(evidence: &Evidence) -> Option<Finding> {
    let fixed = |seen: &&ServerEvidence| {
        seen.protector.known().is_some_and(|protector| {
            !protector.auto_rotation && protector.uri.as_ref().is_some_and(|uri| uri.version.is_some())
        })
    };
    let servers: Vec<&ServerEvidence> = evidence.servers.iter().filter(fixed).collect();
    let host = &evidence.vault.as_ref()?.host;
    let (ids, databases) = count(&servers);
    let first = ids.first()?.name().to_owned();
    let more = if ids.len() > 1 { format!(" and {} more", ids.len() - 1) } else { String::new() };
    let what = format!("the protector of {first}{more} is one fixed key version, without auto-rotation");
    let finding = Finding::new(&KEY_ROTATION, Level::Info, host.to_string(), what)
        .fix("Turn auto-rotation on for each server, so that a new version is taken within 24 hours")
        .run("az sql server tde-key set --server <server> --resource-group <group> --server-key-type AzureKeyVault --kid <key id> --auto-rotation-enabled true");
    Some(finding.of(ids, databases))
}
