//! The evidence put in order, so that the order in which Azure answered cannot change what is concluded.

use jiff::{SignedDuration, Timestamp};

use crate::clock::add;
use crate::domain::database_ref::DatabaseRef;
use crate::domain::dependent::{self, Kind, as_of_a_server};
use crate::domain::evidence::{
    Change, Database, EffectiveIdentity, Evidence, Fact, KeyEvidence, ServerEvidence, Vault, VaultEvidence,
};
use crate::domain::incident::{Attempt, AttemptOutcome, Incident};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::policy::Policy;
use crate::domain::remedy::Remedy;
use crate::domain::resource_id::ResourceId;

/// How far the log's clock and ours may be apart when a change is recognised as our own by its time.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(2);

/// What a server has to do with the vault in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does not exist any more, or has no database left.
    Gone,
    /// Its protector is Microsoft's own key.
    ServiceManaged,
    /// Its protector is in another vault by now: another incident's concern.
    Elsewhere,
    /// Its protector is in the vault in question.
    Dependent,
    /// Its protector could not be read, so it may depend on the vault.
    Unread,
}

/// One server with what is known of its place in the chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerCase<'a> {
    pub(super) seen: &'a ServerEvidence,
    pub(super) standing: Standing,
}

impl<'a> ServerCase<'a> {
    fn new(seen: &'a ServerEvidence, vault: Option<&VaultHost>) -> Self {
        let no_database = matches!(&seen.databases, Fact::Known(databases) if databases.is_empty());
        let standing = if seen.server.is_absent() || no_database {
            Standing::Gone
        } else {
            match &seen.protector {
                Fact::Known(protector) if !protector.customer_managed => Standing::ServiceManaged,
                Fact::Known(protector) => match (&protector.uri, vault) {
                    (Some(uri), Some(vault)) if uri.vault != *vault => Standing::Elsewhere,
                    (Some(_), _) => Standing::Dependent,
                    (None, _) => Standing::Unread,
                },
                _ => Standing::Unread,
            }
        };
        Self { seen, standing }
    }

    pub(super) const fn id(&self) -> &'a ResourceId {
        &self.seen.id
    }

    pub(super) fn name(&self) -> &'a str {
        self.seen.id.name()
    }

    /// The key of its protector, if it is in the vault in question.
    pub(super) fn protector_key(&self) -> Option<&'a KeyUri> {
        match self.standing {
            Standing::Dependent => self.seen.protector.known().and_then(|protector| protector.uri.as_ref()),
            _ => None,
        }
    }

    /// Its databases that are encrypted through the server's protector.
    pub(super) fn own_databases(&self) -> impl Iterator<Item = &'a Database> {
        let databases = self.seen.databases.known().map(Vec::as_slice).unwrap_or_default();
        databases.iter().filter(|database| database.own_protector.is_none())
    }

    /// The names of those that are inaccessible, in order.
    pub(super) fn down(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> =
            self.own_databases().filter(|database| database.is_inaccessible()).map(|d| d.name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

/// Everything that the links of the chain look at.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) incident: &'a Incident,
    pub(super) policy: &'a Policy,
    /// When the evidence was taken: what "expired" is measured by.
    pub(super) now: Timestamp,
    /// By id.
    pub(super) servers: Vec<ServerCase<'a>>,
    /// By URI.
    pub(super) keys: Vec<&'a KeyEvidence>,
    /// Newest first, without the ones that we made.
    pub(super) changes: Vec<&'a Change>,
}

impl<'a> Case<'a> {
    pub(super) fn new(evidence: &'a Evidence, incident: &'a Incident, policy: &'a Policy) -> Self {
        let host = evidence.vault.as_ref().map(|vault| &vault.host);
        let mut servers: Vec<_> = evidence.servers.iter().map(|seen| ServerCase::new(seen, host)).collect();
        servers.sort_by(|a, b| a.id().cmp(b.id()));
        servers.dedup_by(|a, b| a.id() == b.id());
        let mut keys: Vec<_> = evidence.keys.iter().collect();
        keys.sort_by_key(|key| key.uri.to_string().to_lowercase());
        let mut changes: Vec<_> = evidence.changes.iter().filter(|change| !is_ours(change, incident)).collect();
        changes.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| order(a).cmp(&order(b))));
        Self { evidence, incident, policy, now: evidence.taken_at, servers, keys, changes }
    }

    /// The servers that depend on the vault.
    pub(super) fn dependents(&self) -> impl Iterator<Item = &ServerCase<'a>> {
        self.servers.iter().filter(|server| server.standing == Standing::Dependent)
    }

    /// The servers that depend on the vault or may do so: whoever a vault or a key is mended for.
    pub(super) fn affected(&self) -> Vec<ResourceId> {
        let may = |server: &&ServerCase<'_>| matches!(server.standing, Standing::Dependent | Standing::Unread);
        self.servers.iter().filter(may).map(|server| server.id().clone()).collect()
    }

    pub(super) fn vault_evidence(&self) -> Option<&'a VaultEvidence> {
        self.evidence.vault.as_ref()
    }

    /// The vault, if it was read.
    pub(super) fn vault(&self) -> Option<&'a Vault> {
        self.evidence.vault.as_ref().and_then(|vault| vault.vault.known())
    }

    /// The vault's id from wherever it is known.
    pub(super) fn vault_id(&self) -> Option<&'a ResourceId> {
        let seen = self.evidence.vault.as_ref()?;
        let alive = seen.vault.known().map(|vault| &vault.id);
        let deleted = seen.deleted.known().map(|deleted| &deleted.vault_id);
        alive.or(deleted).or(seen.id.as_ref()).or(self.incident.vault_id.as_ref())
    }

    /// How people call the vault.
    pub(super) fn vault_name(&self) -> &'a str {
        self.evidence.vault.as_ref().map_or("the vault", |vault| vault.host.vault_name())
    }

    /// What was seen of a key.
    pub(super) fn key(&self, uri: &KeyUri) -> Option<&'a KeyEvidence> {
        self.keys.iter().copied().find(|seen| seen.uri.same_key(uri) && seen.uri.version == uri.version)
    }

    /// Whether a database is seen inaccessible, an event said so, or it cannot be ruled out.
    pub(super) fn loss_may_be_felt(&self) -> bool {
        self.incident.loss_reported
            || self.dependents().any(|server| server.seen.databases.known().is_none() || !server.down().is_empty())
    }

    /// All inaccessible databases of servers that are this incident's concern.
    pub(super) fn inaccessible(&self) -> Vec<DatabaseRef> {
        let ours = self.servers.iter().filter(|server| server.standing != Standing::Elsewhere);
        let mut all: Vec<_> = ours
            .flat_map(|server| {
                let databases = server.seen.databases.known().map(Vec::as_slice).unwrap_or_default();
                let down = databases.iter().filter(|database| database.is_inaccessible());
                down.map(|database| DatabaseRef { server: server.id().clone(), name: database.name.clone() })
            })
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// The identity by which the server reaches the key, where the server was read and has one. A user-assigned
    /// identity whose principal the server does not list is completed from the identity itself.
    pub(super) fn identity(&self, server: &ServerCase<'a>) -> Option<EffectiveIdentity> {
        effective_identity(server.seen)
    }
}

/// As [`crate::domain::evidence::Identity::effective`], completed from the identity's own resource.
pub(in crate::domain) fn effective_identity(seen: &ServerEvidence) -> Option<EffectiveIdentity> {
    let identity = &seen.server.known()?.identity;
    identity.effective().or_else(|| {
        let primary = match &identity.primary {
            Some(primary) => identity.user_assigned.iter().find(|assigned| assigned.id == *primary)?,
            None => identity.user_assigned.first()?,
        };
        Some(EffectiveIdentity {
            principal_id: primary.resource.known()?.clone(),
            user_assigned: Some(primary.id.clone()),
            tenant_id: identity.tenant_id.clone(),
        })
    })
}

/// Tells changes of the same moment apart.
fn order(change: &Change) -> impl Ord + '_ {
    let kind = change.caller_kind as u8;
    (&change.operation, &change.target, &change.caller, kind, &change.caller_ids, &change.correlation_id)
}

/// Whether a logged change is one of this incident's own repairs: by correlation id, or, where either side has none,
/// by operation and time.
fn is_ours(change: &Change, incident: &Incident) -> bool {
    incident.attempts.iter().any(|attempt| match (&change.correlation_id, &attempt.correlation_id) {
        (Some(logged), Some(ours)) => logged.eq_ignore_ascii_case(ours),
        _ => is_at_the_time_of(change, attempt),
    })
}

fn is_at_the_time_of(change: &Change, attempt: &Attempt) -> bool {
    let (operation, target) = match attempt.change.remedy() {
        Remedy::AssignIdentity => ("microsoft.sql/servers/write", attempt.change.target()),
        Remedy::AddAccessPolicy => ("microsoft.keyvault/vaults/accesspolicies/write", attempt.change.target()),
        Remedy::AssignRole => ("microsoft.authorization/roleassignments/write", attempt.change.target()),
        Remedy::RecoverVault | Remedy::TrustedServicesBypass => {
            ("microsoft.keyvault/vaults/write", attempt.change.target())
        }
        Remedy::Revalidate => {
            let target = attempt.change.target();
            let kind = ResourceId::parse(&target).ok().and_then(|id| Kind::of(&id)).unwrap_or(Kind::SqlServer);
            (dependent::revalidation(kind), target)
        }
        Remedy::RecoverKey | Remedy::EnableKey | Remedy::ExtendExpiry | Remedy::RestoreSettings | Remedy::Wait => {
            return false;
        }
    };
    let end = match &attempt.outcome {
        Some(AttemptOutcome::Made { at }) => *at,
        Some(_) => return false,
        None => attempt.intended_at,
    };
    as_of_a_server(&change.operation) == as_of_a_server(operation)
        && change.target.to_lowercase().starts_with(&target.to_lowercase())
        && change.at >= add(attempt.intended_at, -CLOCKS_APART)
        && change.at <= add(end, CLOCKS_APART)
}
