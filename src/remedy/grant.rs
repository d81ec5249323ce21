//! One role assignment to be made: its name, its write, and whether it is given already.

use uuid::Uuid;

use crate::azure::PreparedWrite;
use crate::azure::authorization::{RoleAssignment, built_in_role, role_definition_id};
use crate::domain::remedy::GrantTo;
use crate::domain::resource_id::ResourceId;

/// The namespace of the assignments' names: the same grant has the same name in every run of every Keymend.
const NAMES: Uuid = Uuid::from_u128(0x6b65_796d_656e_6421_8f0e_5a1e_7a55_1607);
/// One grant to be made.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    pub(super) key: &'a str,
    pub(super) grant: &'a GrantTo,
    role: &'a str,
    /// The key's id.
    pub(super) scope: ResourceId,
    pub(super) name: Uuid,
}

impl<'a> Wanted<'a> {
    /// `None` if the key's name could not stand in a resource id.
    pub(super) fn new(vault: &ResourceId, key: &'a str, grant: &'a GrantTo, role: &'a str) -> Option<Self> {
        let scope = vault.child("keys", key).ok()?;
        let seed = format!("{}|{}|{role}", scope.key(), grant.principal_id).to_lowercase();
        Some(Self { key, grant, role, name: Uuid::new_v5(&NAMES, seed.as_bytes()), scope })
    }

    pub(super) fn write(&self) -> PreparedWrite {
        PreparedWrite::put_role_assignment(
            &self.scope,
            self.name,
            &role_definition_id(self.scope.subscription(), self.role),
            &self.grant.principal_id,
            &format!("Assigned by Keymend: SQL server {} needs it to use its TDE key", self.grant.server.name()),
        )
    }

    pub(super) fn role_name(&self) -> String {
        built_in_role(self.role).map_or_else(|| self.role.to_owned(), |role| role.name)
    }

    pub(super) fn in_words(&self) -> Vec<(String, String, String)> {
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

    pub(super) fn is_listed(&self, list: &[RoleAssignment]) -> bool {
        list.iter().any(|listed| self.is_given_by(listed))
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
            condition: conditional.then(|| "@Resource[x] StringEquals 'y'".to_owned()),
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
