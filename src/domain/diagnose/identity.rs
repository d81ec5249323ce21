//! First link: each server's identity, and whether the server is of a kind that we can mend at all.

use crate::domain::dependent::Kind;
use crate::domain::diagnose::case::{Case, ServerCase, Standing};
use crate::domain::diagnose::draft::Draft;
use crate::domain::diagnosis::{Cause, Finding, Link, Proof};
use crate::domain::evidence::{Fact, Identity, Server, UserAssignedIdentity};
use crate::domain::remedy::Change;
use crate::domain::resource_id::ResourceId;

/// Whether there is anything left to diagnose: a server that exists and whose protector is, or may be, in the vault.
/// Where there is not, the finding that says so is written.
pub(super) fn concerns_us(case: &Case<'_>, draft: &mut Draft) -> bool {
    if case.servers.is_empty() {
        draft.unknown("no server is known to depend on this vault");
        return true;
    }
    if case.servers.iter().any(|server| !matches!(server.standing, Standing::Gone | Standing::ServiceManaged)) {
        return true;
    }
    let managed: Vec<_> = case.servers.iter().filter(|server| server.standing == Standing::ServiceManaged).collect();
    let (cause, servers, said) = if managed.is_empty() {
        (Cause::TargetGone, case.servers.iter().collect(), "no such server, or it has no database any more")
    } else {
        (Cause::ServiceManaged, managed, "the protector is Microsoft's own key")
    };
    let probe = if cause == Cause::TargetGone { "server" } else { "protector" };
    for server in servers {
        let proof = vec![proof(probe, format!("{}: {said}", server.name()))];
        draft.find("", finding(cause, server.id(), vec![server.id().clone()], proof));
    }
    false
}

/// Looks at every server's identity.
pub(super) fn check(case: &Case<'_>, draft: &mut Draft) {
    for server in &case.servers {
        match server.standing {
            Standing::Gone | Standing::ServiceManaged | Standing::Elsewhere => {}
            Standing::Unread => unread_protector(server, draft),
            Standing::Dependent => match &server.seen.server {
                Fact::Known(known) => one(case, server, known, draft),
                fact => {
                    let why = draft.why(fact, &format!("server {}", server.name()));
                    draft.unread(Link::Identity, &[server.id().clone()], why);
                }
            },
        }
    }
}

fn unread_protector(server: &ServerCase<'_>, draft: &mut Draft) {
    let id = [server.id().clone()];
    let what = format!("the TDE protector of {}", server.name());
    let why = match &server.seen.protector {
        Fact::Known(_) => format!("{what} names no key in a vault of this cloud"),
        fact => draft.why(fact, &what),
    };
    if let Fact::Denied(right) = &server.seen.server {
        draft.right(right);
    }
    draft.unread(Link::Identity, &id, why);
}

fn one(case: &Case<'_>, server: &ServerCase<'_>, known: &Server, draft: &mut Draft) {
    let name = server.name();
    if case.vault_evidence().is_some_and(|vault| vault.host.is_managed_hsm()) {
        let said = format!("{name}'s key is in the managed HSM {}", case.vault_name());
        let mut hsm =
            finding(Cause::ManagedHsm, server.id(), vec![server.id().clone()], vec![proof("protector", &said)]);
        hsm.resource = case.vault_evidence().map(|vault| vault.host.to_string()).unwrap_or_default();
        draft.broken(Link::Vault, "", said, hsm);
        return;
    }
    if let Some(said) = crosses_tenants(case, known) {
        let said = format!("{name}: {said}");
        let proof = vec![proof("server", &said)];
        draft.broken(
            Link::Identity,
            "",
            said,
            finding(Cause::CrossTenant, server.id(), vec![server.id().clone()], proof),
        );
        return;
    }
    match primary(&known.identity) {
        Primary::System => draft.ok(Link::Identity, format!("{name} has its system-assigned identity")),
        Primary::Missing => {
            let said = format!("{name} has no managed identity");
            let change = Change::AssignIdentity { server: server.id().clone(), keep: Vec::new() };
            let mut missing =
                finding(Cause::IdentityMissing, server.id(), vec![server.id().clone()], vec![proof("server", &said)]);
            // The roles that Keymend is given let it write servers alone.
            if Kind::of(server.id()) == Some(Kind::SqlServer) {
                missing.changes.push(change);
            }
            draft.broken(Link::Identity, "", said, missing);
        }
        Primary::NotInList(id) => deleted(server, &id, "is not assigned to it any more", draft),
        Primary::Assigned(assigned) => user_assigned(server, assigned, draft),
    }
}

fn user_assigned(server: &ServerCase<'_>, assigned: &UserAssignedIdentity, draft: &mut Draft) {
    let name = server.name();
    match (&assigned.resource, &assigned.principal_id) {
        (Fact::Absent, _) => deleted(server, &assigned.id, "was deleted", draft),
        (Fact::Known(now), Some(listed)) if !now.eq_ignore_ascii_case(listed) => {
            deleted(server, &assigned.id, "was deleted and made anew, as another principal", draft);
        }
        (Fact::Known(_), _) => {
            draft.ok(Link::Identity, format!("{name} has its user-assigned identity {}", assigned.id.name()));
        }
        (fact, _) => {
            let why = draft.why(fact, &format!("the identity {} of {name}", assigned.id.name()));
            draft.unread(Link::Identity, &[server.id().clone()], why);
        }
    }
}

fn deleted(server: &ServerCase<'_>, id: &ResourceId, how: &str, draft: &mut Draft) {
    let said = format!("{}'s primary identity {} {how}", server.name(), id.name());
    let mut finding = finding(Cause::IdentityDeleted, id, vec![server.id().clone()], vec![proof("identity", &said)]);
    finding.resource = id.to_string();
    draft.broken(Link::Identity, "", said, finding);
}

/// What SQL uses: the primary user-assigned identity if any is assigned, else the system-assigned one.
enum Primary<'a> {
    System,
    Missing,
    NotInList(ResourceId),
    Assigned(&'a UserAssignedIdentity),
}

fn primary(identity: &Identity) -> Primary<'_> {
    if identity.user_assigned.is_empty() {
        return match (&identity.system_principal_id, &identity.primary) {
            (Some(_), _) => Primary::System,
            (None, Some(primary)) => Primary::NotInList(primary.clone()),
            (None, None) => Primary::Missing,
        };
    }
    match &identity.primary {
        None => identity.user_assigned.first().map_or(Primary::Missing, Primary::Assigned),
        Some(primary) => identity
            .user_assigned
            .iter()
            .find(|assigned| assigned.id == *primary)
            .map_or_else(|| Primary::NotInList(primary.clone()), Primary::Assigned),
    }
}

/// A federated client, or a vault in another tenant than the server's identity.
fn crosses_tenants(case: &Case<'_>, server: &Server) -> Option<String> {
    if let Some(client) = &server.federated_client_id {
        return Some(format!("its key belongs to another tenant and is used through the application {client}"));
    }
    let ours = server.identity.tenant_id.as_deref()?;
    let theirs = case.vault()?.tenant_id.as_str();
    (!ours.eq_ignore_ascii_case(theirs))
        .then(|| format!("its identity is of tenant {ours}, the vault of tenant {theirs}"))
}

pub(super) fn proof(probe: &str, said: impl Into<String>) -> Proof {
    Proof { probe: probe.to_owned(), said: said.into() }
}

/// A finding without changes yet.
pub(super) fn finding(cause: Cause, resource: &ResourceId, servers: Vec<ResourceId>, proof: Vec<Proof>) -> Finding {
    Finding { cause, resource: resource.to_string(), servers, proof, changes: Vec::new(), purge_at: None, since: None }
}
