//! One chain, from what depends on a key to its databases: each link with its state and what was seen, and what Keymend
//! would do. Pure.

use serde::Serialize;

use crate::domain::decide::decide;
use crate::domain::dependent::{Kind, called};
use crate::domain::diagnose::diagnose;
use crate::domain::diagnosis::{Cause, Diagnosis, Link, LinkState};
use crate::domain::evidence::{Evidence, Fact, Grant, KeyEvidence, ServerEvidence, VaultEvidence};
use crate::domain::gates::Situation;
use crate::domain::incident::{Incident, IncidentId, IncidentKey};
use crate::domain::key_uri::KeyUri;
use crate::domain::plan::{Decision, GateHit, Memory};
use crate::domain::policy::Policy;
use crate::domain::resource_id::ResourceId;
use crate::domain::words::utc;

/// How a chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every link was seen to be right, and every database is in service.
    Whole,
    /// Microsoft's own key, or nothing left that needs one: there is no access to be lost.
    NotOurs,
    /// Not enough could be read.
    Unknown,
    /// Something is broken, or a database is down.
    Broken,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Whole => "ok",
            Self::NotOurs => "not judged",
            Self::Unknown => "unknown",
            Self::Broken => "BROKEN",
        }
    }

    fn of(diagnosis: &Diagnosis) -> Self {
        match diagnosis.cause() {
            // Of a partner's grant the server's own databases know nothing.
            Cause::Healthy | Cause::GeoPartnerWithoutGrant => Self::Whole,
            Cause::ServiceManaged | Cause::TargetGone => Self::NotOurs,
            Cause::Undetermined => Self::Unknown,
            _ => Self::Broken,
        }
    }
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkView {
    /// Which.
    pub link: Link,
    /// How it is.
    pub state: LinkState,
    /// Why, in a sentence.
    pub said: String,
    /// What was read of it.
    pub seen: Vec<String>,
}

/// A database below its server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatabaseView {
    /// Its name.
    pub name: String,
    /// `Online`, `Inaccessible` … as Azure SQL says.
    pub status: String,
    /// Whether it is down, for want of its key.
    pub inaccessible: bool,
    /// Its own key, if it does not use the server's.
    pub own_key: Option<String>,
}

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chain {
    /// What depends on the key.
    pub id: ResourceId,
    /// `server contoso-sql`.
    pub called: String,
    /// How it is.
    pub verdict: Verdict,
    /// Identity, vault, firewall, key, permission, databases.
    pub links: Vec<LinkView>,
    /// Its databases, those that are down first.
    pub databases: Vec<DatabaseView>,
    /// Everything concluded, with proofs, culprit, unknowns and missing rights.
    pub diagnosis: Diagnosis,
    /// What Keymend would do now.
    pub decision: Decision,
    /// The gates in the way.
    pub gates: Vec<GateHit>,
    /// Whether policy lets Keymend touch it.
    pub in_scope: bool,
}

/// The chain of each thing in the evidence, worst first.
#[must_use]
pub fn chains(evidence: &Evidence, policy: &Policy) -> Vec<Chain> {
    let mut chains: Vec<Chain> = evidence.servers.iter().map(|seen| chain(evidence, seen, policy)).collect();
    chains.sort_by(|a, b| (b.verdict, a.id.key()).cmp(&(a.verdict, b.id.key())));
    chains
}

fn chain(evidence: &Evidence, seen: &ServerEvidence, policy: &Policy) -> Chain {
    let alone = Evidence { servers: vec![seen.clone()], keys: keys_of(evidence, seen), ..evidence.clone() };
    let incident = imagined(&alone, seen, policy);
    // How it is now: what expires soon is a finding of its own.
    let diagnosis = diagnose(&alone, &incident, &Policy { extend_before_hours: 0, ..policy.clone() });
    let memory = Memory::default();
    let now = evidence.taken_at;
    let (decision, gates) = decide(&Situation {
        evidence: &alone,
        diagnosis: &diagnosis,
        incident: &incident,
        memory: &memory,
        policy,
        now,
    });
    let see = |link| seen_of(link, &alone, seen);
    let links = diagnosis.checks.iter().map(|check| LinkView {
        link: check.link,
        state: check.state,
        said: check.said.clone(),
        seen: see(check.link),
    });
    Chain {
        id: seen.id.clone(),
        called: called(&seen.id),
        verdict: Verdict::of(&diagnosis),
        links: links.collect(),
        databases: databases(seen),
        in_scope: policy.scope.covers(&seen.id),
        diagnosis,
        decision,
        gates,
    }
}

/// The keys that this one depends on. Of another's nothing follows for it.
fn keys_of(evidence: &Evidence, seen: &ServerEvidence) -> Vec<KeyEvidence> {
    let (Fact::Known(protector), Fact::Known(linked)) = (&seen.protector, &seen.linked_keys) else {
        return evidence.keys.clone();
    };
    let own: Vec<&KeyUri> = protector.uri.iter().chain(linked.iter().filter_map(|link| link.uri.as_ref())).collect();
    let needed = |key: &&KeyEvidence| own.iter().any(|uri| uri.same_key(&key.uri) && uri.version == key.uri.version);
    evidence.keys.iter().filter(needed).cloned().collect()
}

/// An incident that nobody opened: the diagnosis asks what is remembered, and nothing is.
fn imagined(evidence: &Evidence, seen: &ServerEvidence, policy: &Policy) -> Incident {
    let id = IncidentId("none".to_owned());
    let now = evidence.taken_at;
    let mut incident = Incident::open(id, IncidentKey::server(&seen.id), policy.window_minutes, now);
    incident.vault = evidence.vault.as_ref().map(|vault| vault.host.clone());
    incident.vault_id = evidence.vault.as_ref().and_then(|vault| vault.id.clone());
    let protector = seen.protector.known().and_then(|protector| protector.uri.clone());
    let member = incident.add_member(&seen.id, protector);
    for database in seen.databases.known().into_iter().flatten() {
        member.databases.insert(database.name.clone());
        if database.is_inaccessible() {
            member.inaccessible.insert(database.name.clone());
            member.was_down = true;
        }
    }
    incident
}

fn databases(seen: &ServerEvidence) -> Vec<DatabaseView> {
    let known = seen.databases.known().map(Vec::as_slice).unwrap_or_default();
    let mut all: Vec<DatabaseView> = known
        .iter()
        .map(|database| DatabaseView {
            name: database.name.clone(),
            status: database.status.clone(),
            inaccessible: database.is_inaccessible(),
            own_key: database.own_protector.as_ref().map(ToString::to_string),
        })
        .collect();
    all.sort_by(|a, b| (!a.inaccessible, &a.name).cmp(&(!b.inaccessible, &b.name)));
    all
}

/// What was read of a link, in words.
fn seen_of(link: Link, evidence: &Evidence, seen: &ServerEvidence) -> Vec<String> {
    let vault = evidence.vault.as_ref();
    match link {
        Link::Identity => identity(seen),
        Link::Vault => vault.map(vault_words).unwrap_or_default(),
        Link::Firewall => vault.and_then(firewall_words).into_iter().collect(),
        Link::Key => evidence.keys.iter().map(|key| key_words(key, seen)).collect(),
        Link::Permission => permission(vault, seen),
        // Each is shown by itself.
        Link::Database => Vec::new(),
    }
}

fn identity(seen: &ServerEvidence) -> Vec<String> {
    let Fact::Known(server) = &seen.server else { return Vec::new() };
    let Some(effective) = server.identity.effective() else { return Vec::new() };
    let what = match &effective.user_assigned {
        Some(id) => format!("user-assigned identity {}", id.name()),
        None => "system-assigned identity".to_owned(),
    };
    vec![format!("{what}, object id {}", effective.principal_id)]
}

fn vault_words(vault: &VaultEvidence) -> Vec<String> {
    let mut words = vec![vault.host.to_string()];
    if let Fact::Known(known) = &vault.vault {
        let model = if known.rbac { "Azure RBAC" } else { "access policies" };
        words.push(format!("{}, permission model: {model}", known.location));
    }
    match &vault.reachable {
        Fact::Known(true) => words.push("answers from here".to_owned()),
        Fact::Known(false) => words.push("does not answer from here".to_owned()),
        _ => {}
    }
    if let Fact::Known(deleted) = &vault.deleted
        && let Some(purge) = deleted.purge_at
    {
        words.push(format!("soft-deleted; gone for good at {}", utc(purge)));
    }
    words
}

fn firewall_words(vault: &VaultEvidence) -> Option<String> {
    let network = &vault.vault.known()?.network;
    let action = if network.default_deny { "Deny" } else { "Allow" };
    let bypass = if network.trusted_services_bypass { "AzureServices" } else { "None" };
    Some(format!("public access {}, default action {action}, bypass {bypass}", network.public_access))
}

fn key_words(key: &KeyEvidence, seen: &ServerEvidence) -> String {
    let protects = seen.protector.known().and_then(|protector| protector.uri.as_ref());
    let role = if protects.is_some_and(|uri| uri.same_key(&key.uri) && uri.version == key.uri.version) {
        "protector"
    } else {
        "linked from before"
    };
    let state = match &key.version {
        Fact::Known(version) => {
            let enabled = if version.enabled { "enabled" } else { "disabled" };
            let kind = match (&version.kind, version.size) {
                (Some(kind), Some(size)) => format!(", {kind} {size}"),
                (Some(kind), None) => format!(", {kind}"),
                _ => String::new(),
            };
            let expires = version.expires.map_or(", never expires".to_owned(), |at| format!(", expires {}", utc(at)));
            format!("version {}, {enabled}{kind}{expires}", version.version)
        }
        Fact::Absent => "not there".to_owned(),
        Fact::Denied(right) => format!("may not be read: {} is missing", right.action),
        Fact::Unknown(why) => format!("not seen: {why}"),
    };
    format!("{} ({role}): {state}", key.uri.key)
}

fn permission(vault: Option<&VaultEvidence>, seen: &ServerEvidence) -> Vec<String> {
    let Some(vault) = vault else { return Vec::new() };
    let Some(principal) = seen.server.known().and_then(|server| server.identity.effective()) else {
        return Vec::new();
    };
    let Some(known) = vault.vault.known() else { return Vec::new() };
    let his = |id: &str| id.eq_ignore_ascii_case(&principal.principal_id);
    if !known.rbac {
        let policies = known.access_policies.iter().filter(|policy| his(&policy.object_id));
        return policies.map(|policy| format!("access policy: keys {}", policy.keys.join(", "))).collect();
    }
    let grants = vault.grants.known().map(Vec::as_slice).unwrap_or_default();
    let reaches = |grant: &&Grant| his(&grant.principal_id) || grant.found_for.as_deref().is_some_and(his);
    grants.iter().filter(reaches).map(|grant| format!("role {} on {}", grant.role, grant.scope)).collect()
}

/// What people call the kind of a chain's owner.
#[must_use]
pub fn noun(id: &ResourceId) -> &'static str {
    Kind::of(id).map_or("resource", Kind::noun)
}
