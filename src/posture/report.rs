//! What an audit found: findings, counts, and the map from vaults by their keys to servers and databases. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::domain::evidence::{Evidence, Fact, KeyEvidence};
use crate::domain::policy::Policy;
use crate::domain::resource_id::ResourceId;
use crate::posture::chain::{Verdict, chains};
use crate::posture::checks;
use crate::posture::finding::{CHAIN_UNREAD, Finding, Level};
use crate::posture::survey::Estate;

/// The document's name and version. Fields are added, never renamed.
pub const SCHEMA: &str = "keymend.audit/1";

/// How a thing on the map is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Nothing above `low` was found.
    Ok,
    /// Something of level `medium` or `high` was found.
    Warn,
    /// Not enough could be read.
    Unknown,
    /// It is broken, or will be within days.
    Broken,
}

impl Colour {
    /// The word for it: never told by colour alone.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warning",
            Self::Unknown => "unknown",
            Self::Broken => "broken",
        }
    }

    const fn of(level: Level) -> Self {
        match level {
            Level::Critical => Self::Broken,
            Level::High | Level::Medium => Self::Warn,
            Level::Low | Level::Info => Self::Ok,
        }
    }
}

/// A vault on the map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VaultNode {
    /// Its host.
    pub host: String,
    /// Its resource id, if it was found.
    pub id: Option<ResourceId>,
    /// How it is, with all that depends on it.
    pub colour: Colour,
    /// The keys that protect something.
    pub keys: Vec<KeyNode>,
}

/// A key on the map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyNode {
    /// Its name.
    pub name: String,
    /// Its version in use, if known.
    pub version: Option<String>,
    /// When it expires.
    pub expires: Option<Timestamp>,
    /// How it is.
    pub colour: Colour,
    /// What it protects.
    pub servers: Vec<ServerNode>,
}

/// Something that depends on a key, on the map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerNode {
    /// Which.
    pub id: ResourceId,
    /// How it is.
    pub colour: Colour,
    /// Its databases.
    pub databases: usize,
    /// Those that are inaccessible.
    pub down: usize,
}

/// The whole report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// When Azure was read.
    pub at: Timestamp,
    /// What was audited.
    pub scope: Vec<String>,
    /// Findings by level.
    pub counts: BTreeMap<&'static str, usize>,
    /// Protected servers, instances, workspaces.
    pub servers: usize,
    /// Their databases.
    pub databases: usize,
    /// Databases that are inaccessible.
    pub inaccessible: usize,
    /// Servers under Microsoft's own key: not judged.
    pub service_managed: usize,
    /// What could not be read.
    pub unread: Vec<String>,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// From vaults to databases.
    pub map: Vec<VaultNode>,
}

impl Report {
    /// Judges what was read. `besides` is what was found elsewhere: Keymend's own rights, the alert rules.
    #[must_use]
    pub fn of(estate: &Estate, policy: &Policy, besides: Vec<Finding>) -> Self {
        let mut findings = besides;
        let mut map = Vec::new();
        let mut chained = Vec::new();
        for evidence in &estate.vaults {
            let chains = chains(evidence, policy);
            let found = checks::check(evidence, &chains, policy);
            map.push(node(evidence, &chains, &found));
            findings.extend(found);
            chained.extend(chains);
        }
        for why in &estate.unread {
            let subject = estate.roots.first().map(ToString::to_string).unwrap_or_default();
            findings.push(
                Finding::new(&CHAIN_UNREAD, Level::Medium, subject, why.clone())
                    .fix("Give Keymend the right to read it")
                    .run("keymend doctor"),
            );
        }
        findings.sort_by(|a, b| (b.level, a.rule, &a.subject, &a.what).cmp(&(a.level, b.rule, &b.subject, &b.what)));
        findings.dedup();
        map.sort_by(|a, b| (b.colour, size(b), &a.host).cmp(&(a.colour, size(a), &b.host)));
        let counted = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
        Self {
            schema: SCHEMA,
            at: estate.at,
            scope: estate.roots.iter().map(ToString::to_string).collect(),
            counts: Level::ALL.into_iter().map(|level| (level.word(), counted(level))).collect(),
            servers: chained.len(),
            databases: chained.iter().map(|chain| chain.databases.len()).sum(),
            inaccessible: chained.iter().flat_map(|chain| &chain.databases).filter(|one| one.inaccessible).count(),
            service_managed: estate.service_managed.len(),
            unread: estate.unread.clone(),
            findings,
            map,
        }
    }

    /// How many findings there are of a level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.counts.get(level.word()).copied().unwrap_or(0)
    }

    /// The worst finding's level.
    #[must_use]
    pub fn worst(&self) -> Option<Level> {
        self.findings.iter().map(|finding| finding.level).max()
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Findings by vault, worst first; `None` holds those that belong to no vault.
    #[must_use]
    pub fn by_vault(&self) -> Vec<(Option<&str>, Vec<&Finding>)> {
        let mut groups: Vec<(Option<&str>, Vec<&Finding>)> = Vec::new();
        // The findings are sorted, so that the first of a group is its worst.
        for finding in &self.findings {
            let vault = finding.vault.as_deref();
            match groups.iter_mut().find(|(known, _)| *known == vault) {
                Some((_, group)) => group.push(finding),
                None => groups.push((vault, vec![finding])),
            }
        }
        groups
    }
}

fn size(vault: &VaultNode) -> usize {
    vault.keys.iter().map(|key| key.servers.len()).sum()
}

fn node(evidence: &Evidence, chains: &[crate::posture::chain::Chain], findings: &[Finding]) -> VaultNode {
    let worst = |subject: &str| {
        let about = findings.iter().filter(|finding| finding.subject.eq_ignore_ascii_case(subject));
        about.map(|finding| Colour::of(finding.level)).max().unwrap_or(Colour::Ok)
    };
    let mut keys: Vec<KeyNode> = Vec::new();
    for chain in chains {
        let own = match chain.verdict {
            Verdict::Whole | Verdict::NotOurs => Colour::Ok,
            Verdict::Unknown => Colour::Unknown,
            Verdict::Broken => Colour::Broken,
        };
        let server = ServerNode {
            id: chain.id.clone(),
            colour: own.max(worst(chain.id.as_str())),
            databases: chain.databases.len(),
            down: chain.databases.iter().filter(|database| database.inaccessible).count(),
        };
        let protector =
            evidence.servers.iter().find(|seen| seen.id == chain.id).and_then(|seen| seen.protector.known());
        let uri = protector.and_then(|protector| protector.uri.clone());
        let key = uri.as_ref().and_then(|uri| key_of(evidence, uri));
        let name = uri.as_ref().map_or_else(|| "key not known".to_owned(), |uri| uri.key.clone());
        let version = key.and_then(|key| key.version.known());
        let shown =
            version.map(|version| version.version.clone()).or_else(|| uri.as_ref().and_then(|uri| uri.version.clone()));
        match keys.iter_mut().find(|known| known.name == name && known.version == shown) {
            Some(known) => known.servers.push(server),
            None => keys.push(KeyNode {
                name,
                version: shown,
                expires: version.and_then(|version| version.expires),
                colour: key.map_or(Colour::Unknown, |key| {
                    colour_of_key(key, evidence.taken_at).max(worst(&key.uri.to_string()))
                }),
                servers: vec![server],
            }),
        }
    }
    let host = evidence.vault.as_ref().map(|vault| vault.host.to_string()).unwrap_or_default();
    let id = evidence.vault.as_ref().and_then(|vault| vault.id.clone());
    let own = id.as_ref().map_or(Colour::Ok, |id| worst(id.as_str())).max(worst(&host));
    let read = evidence.vault.as_ref().map_or(Colour::Unknown, |vault| match &vault.vault {
        Fact::Known(_) => Colour::Ok,
        Fact::Absent => Colour::Broken,
        _ => Colour::Unknown,
    });
    for key in &mut keys {
        key.servers.sort_by(|a, b| (b.colour, a.id.key()).cmp(&(a.colour, b.id.key())));
    }
    keys.sort_by(|a, b| (b.colour, &a.name).cmp(&(a.colour, &b.name)));
    VaultNode { host, id, colour: own.max(read), keys }
}

fn key_of<'a>(evidence: &'a Evidence, uri: &crate::domain::key_uri::KeyUri) -> Option<&'a KeyEvidence> {
    evidence.keys.iter().find(|key| key.uri.same_key(uri) && key.uri.version == uri.version)
}

fn colour_of_key(key: &KeyEvidence, now: Timestamp) -> Colour {
    match &key.version {
        Fact::Known(version) => {
            let valid = version.enabled
                && version.expires.is_none_or(|at| at > now)
                && version.not_before.is_none_or(|at| at <= now);
            if valid { Colour::Ok } else { Colour::Broken }
        }
        Fact::Absent => Colour::Broken,
        _ => Colour::Unknown,
    }
}

/// The subscriptions that the report is about.
#[must_use]
pub fn subscriptions(report: &Report) -> BTreeSet<String> {
    let ids = report.scope.iter().filter_map(|root| ResourceId::parse(root).ok());
    ids.map(|id| id.subscription().to_owned()).collect()
}
