//! Assign role: servers' identities may use the key of a vault with Azure RBAC.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::azure::authorization::{RoleAssignment, built_in_role, role_definition_id};
use crate::azure::{Azure, PreparedWrite};
use crate::clock;
use crate::domain::remedy::{Change, GrantTo};
use crate::domain::resource_id::ResourceId;
use crate::remedy::outcome::{Outcome, Sent, Way, already, differs, try_send};
use crate::remedy::refusal::{refused, unread};
use crate::remedy::{Applied, batch};

/// The namespace of the assignments' names: the same grant has the same name in every run of every Keymend.
const NAMES: Uuid = Uuid::from_u128(0x6b65_796d_656e_6421_8f0e_5a1e_7a55_1607);
/// How long to wait for Entra to hear of a new identity, all changes of a batch together.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// Between two tries: what the az CLI waits.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// One grant to be made.
#[derive(Debug, Clone)]
struct Wanted<'a> {
    key: &'a str,
    grant: &'a GrantTo,
    role: &'a str,
    /// The key's id.
    scope: ResourceId,
    name: Uuid,
}

impl<'a> Wanted<'a> {
    /// `None` if the key's name could not stand in a resource id.
    fn new(vault: &ResourceId, key: &'a str, grant: &'a GrantTo, role: &'a str) -> Option<Self> {
        let scope = vault.child("keys", key).ok()?;
        let seed = format!("{}|{}|{role}", scope.key(), grant.principal_id).to_lowercase();
        Some(Self { key, grant, role, name: Uuid::new_v5(&NAMES, seed.as_bytes()), scope })
    }

    fn of(change: &'a Change) -> Option<(&'a ResourceId, Option<Self>)> {
        match change {
            Change::AssignRole { vault, key, grant, role } => Some((vault, Self::new(vault, key, grant, role))),
            _ => None,
        }
    }

    fn write(&self) -> PreparedWrite {
        PreparedWrite::put_role_assignment(
            &self.scope,
            self.name,
            &role_definition_id(self.scope.subscription(), self.role),
            &self.grant.principal_id,
            &format!("Assigned by Keymend: SQL server {} needs it to use its TDE key", self.grant.server.name()),
        )
    }

    fn role_name(&self) -> String {
        built_in_role(self.role).map_or_else(|| self.role.to_owned(), |role| role.name)
    }

    fn in_words(&self) -> Vec<(String, String, String)> {
        vec![(
            format!("role of {} ({}) on key {}", self.grant.server.name(), self.grant.principal_id, self.key),
            "none that SQL needs".to_owned(),
            self.role_name(),
        )]
    }

    /// Whether an assignment is this grant, or gives at least as much on the key. What is listed lies above or below the
    /// vault.
    fn is_given_by(&self, listed: &RoleAssignment) -> bool {
        let enough = listed.role().eq_ignore_ascii_case(self.role)
            || built_in_role(&listed.role()).is_some_and(|role| role.rights.complete());
        let scope = listed.scope.to_ascii_lowercase();
        let above_all = scope == "/" || scope.starts_with("/providers/microsoft.management/managementgroups/");
        let covers = above_all || ResourceId::parse(&scope).is_ok_and(|scope| scope.contains(&self.scope));
        enough && covers && !listed.conditional && listed.principal_id.eq_ignore_ascii_case(&self.grant.principal_id)
    }

    fn is_listed(&self, list: &[RoleAssignment]) -> bool {
        list.iter().any(|listed| self.is_given_by(listed))
    }
}

/// The write; `None` if the key's name could not stand in a resource id.
pub(super) fn write(vault: &ResourceId, key: &str, grant: &GrantTo, role: &str) -> Option<PreparedWrite> {
    Wanted::new(vault, key, grant, role).map(|wanted| wanted.write())
}

/// Each vault's assignments are listed once before and once after, however many are made.
pub(super) async fn apply(azure: &Azure, changes: &[Change]) -> Vec<Applied> {
    let all: Vec<(&ResourceId, Option<Wanted<'_>>)> = changes.iter().filter_map(Wanted::of).collect();
    let mut by_vault: BTreeMap<&ResourceId, Vec<usize>> = BTreeMap::new();
    for (index, (vault, _)) in all.iter().enumerate() {
        by_vault.entry(vault).or_default().push(index);
    }
    let mut results: Vec<Option<Applied>> = vec![None; all.len()];
    let mut halt: Option<Applied> = None;
    for (vault, indexes) in by_vault {
        let wanted: Vec<Option<&Wanted<'_>>> = indexes.iter().map(|index| all[*index].1.as_ref()).collect();
        let applied = match &halt {
            Some(halt) => wanted.iter().map(|_| batch::not_sent(Some(halt))).collect(),
            None => {
                let (applied, stopped) = in_vault(azure, vault, &wanted).await;
                halt = stopped;
                applied
            }
        };
        for (index, applied) in indexes.into_iter().zip(applied) {
            results[index] = Some(applied);
        }
    }
    results.into_iter().map(|result| result.unwrap_or_else(|| batch::not_sent(None))).collect()
}

async fn in_vault(
    azure: &Azure,
    vault: &ResourceId,
    wanted: &[Option<&Wanted<'_>>],
) -> (Vec<Applied>, Option<Applied>) {
    let one = only_principal(wanted);
    let listed = match precondition(azure, vault, one).await {
        Ok(listed) => listed,
        Err(outcome) => {
            let halt = outcome.stops.then(|| outcome.applied.clone());
            return (vec![outcome.applied; wanted.len()], halt);
        }
    };
    let mut to_send: Vec<&Wanted<'_>> = Vec::new();
    for wanted in wanted.iter().flatten() {
        if !wanted.is_listed(&listed) && !to_send.iter().any(|other| other.name == wanted.name) {
            to_send.push(wanted);
        }
    }
    let deadline = clock::add(azure.clock().now(), PATIENCE);
    let (sent, halt) = batch::run(to_send.clone(), |wanted| put(azure, wanted, deadline)).await;
    let look = sent.iter().any(Result::is_ok);
    let after = if look { azure.role_assignments(vault, one).await.unwrap_or_default() } else { Vec::new() };
    let mut done: BTreeMap<Uuid, Applied> = to_send
        .iter()
        .zip(sent)
        .map(|(wanted, sent)| {
            let outcome = match sent {
                Ok(sent) if wanted.is_listed(&after) => sent.made(),
                Ok(sent) => sent.not_seen(),
                Err(outcome) => outcome,
            };
            (wanted.name, outcome.applied)
        })
        .collect();
    for wanted in to_send {
        done.entry(wanted.name).or_insert_with(|| batch::not_sent(halt.as_ref()));
    }
    let applied = wanted.iter().map(|wanted| match wanted {
        None => differs("the key's name is not one that Azure allows").applied,
        Some(wanted) => done.get(&wanted.name).cloned().unwrap_or_else(|| {
            already(format!("{} has {} or more on the key", wanted.grant.server.name(), wanted.role_name())).applied
        }),
    });
    (applied.collect(), halt)
}

/// The one principal that all is about, if it is one: then nobody else's assignments are asked for.
fn only_principal<'a>(wanted: &[Option<&Wanted<'a>>]) -> Option<&'a str> {
    let mut principals = wanted.iter().flatten().map(|wanted| wanted.grant.principal_id.as_str());
    let first = principals.next()?;
    principals.all(|principal| principal.eq_ignore_ascii_case(first)).then_some(first)
}

/// The assignments at, above and below the vault, if it is one whose keys are given by role.
async fn precondition(azure: &Azure, vault: &ResourceId, principal: Option<&str>) -> Way<Vec<RoleAssignment>> {
    let (found, listed) = futures::join!(azure.vault(vault), azure.role_assignments(vault, principal));
    if !found.map_err(|error| unread(&error))?.rbac {
        return Err(differs(
            "the vault uses access policies now: role assignments have no effect on its keys, a policy is needed",
        ));
    }
    listed.map_err(|error| unread(&error))
}

/// Sends one assignment. A principal that Entra is yet to hear of everywhere is tried again until the deadline.
async fn put(azure: &Azure, wanted: &Wanted<'_>, deadline: Timestamp) -> Way<Sent> {
    loop {
        let error = match try_send(azure, &wanted.write(), wanted.in_words()).await {
            Ok(sent) => return Ok(sent),
            Err(error) => error,
        };
        if error.is("RoleAssignmentExists") {
            return Err(already(format!("{} has the role on the key", wanted.grant.server.name())));
        }
        if !error.is("PrincipalNotFound") {
            return Err(refused(&error));
        }
        if azure.clock().now() >= deadline {
            let why =
                format!("Entra does not know the identity {} everywhere yet ({error})", wanted.grant.principal_id);
            return Err(Outcome::of(Applied::Later { after: Some(PATIENCE), why }));
        }
        azure.clock().pause(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::remedy::CRYPTO_SERVICE_ENCRYPTION_USER;

    const VAULT: &str = "/subscriptions/s1/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults/contoso-kv";
    const PRINCIPAL: &str = "AAAAAAAA-1111-2222-3333-444444444444";

    fn id(text: &str) -> ResourceId {
        ResourceId::parse(text).unwrap()
    }

    fn grant(principal: &str) -> GrantTo {
        let server = id("/subscriptions/s1/resourceGroups/rg-data/providers/Microsoft.Sql/servers/contoso-sql");
        GrantTo { principal_id: principal.to_owned(), server, missing: vec!["unwrapKey".to_owned()] }
    }

    #[test]
    fn the_same_grant_has_the_same_name_however_it_is_written() {
        let name = |vault: &str, key: &str, principal: &str, role: &str| {
            Wanted::new(&id(vault), key, &grant(principal), role).unwrap().name
        };
        let one = name(VAULT, "tde-key", PRINCIPAL, CRYPTO_SERVICE_ENCRYPTION_USER);
        let role = CRYPTO_SERVICE_ENCRYPTION_USER.to_uppercase();
        assert_eq!(one, name(&VAULT.to_lowercase(), "TDE-Key", &PRINCIPAL.to_lowercase(), &role));
        assert_eq!(one.to_string(), "ee7a7e8e-1384-5b37-9d2d-a607274cdaff", "a new name would be a second assignment");
        assert_ne!(one, name(VAULT, "other-key", PRINCIPAL, CRYPTO_SERVICE_ENCRYPTION_USER));
    }

    #[test]
    fn only_an_assignment_that_reaches_the_key_counts() {
        let (vault, grant) = (id(VAULT), grant(PRINCIPAL));
        let wanted = Wanted::new(&vault, "tde-key", &grant, CRYPTO_SERVICE_ENCRYPTION_USER).unwrap();
        let listed = |scope: &str, role: &str, conditional: bool| RoleAssignment {
            id: String::new(),
            scope: scope.to_owned(),
            principal_id: PRINCIPAL.to_lowercase(),
            principal_type: "ServicePrincipal".to_owned(),
            role_definition_id: format!("/subscriptions/s1/providers/Microsoft.Authorization/roleDefinitions/{role}"),
            conditional,
        };
        const CRYPTO_OFFICER: &str = "14b46e9e-c2b7-41b4-b07b-48a6ebf60603";
        const READER: &str = "21090545-7ca7-4776-b22c-e363652d74d2";
        for (scope, role, conditional, given) in [
            (format!("{VAULT}/keys/TDE-KEY"), CRYPTO_SERVICE_ENCRYPTION_USER, false, true),
            (VAULT.to_uppercase(), CRYPTO_SERVICE_ENCRYPTION_USER, false, true),
            ("/subscriptions/s1/resourceGroups/rg-keys".to_owned(), CRYPTO_OFFICER, false, true),
            ("/subscriptions/s1".to_owned(), CRYPTO_OFFICER, false, true),
            ("/providers/Microsoft.Management/managementGroups/mg".to_owned(), CRYPTO_OFFICER, false, true),
            (format!("{VAULT}/keys/tde-key-2"), CRYPTO_SERVICE_ENCRYPTION_USER, false, false),
            (VAULT.to_owned(), READER, false, false),
            (VAULT.to_owned(), CRYPTO_SERVICE_ENCRYPTION_USER, true, false),
            ("nonsense".to_owned(), CRYPTO_SERVICE_ENCRYPTION_USER, false, false),
        ] {
            assert_eq!(wanted.is_given_by(&listed(&scope, role, conditional)), given, "{role} at {scope}");
        }
    }
}
