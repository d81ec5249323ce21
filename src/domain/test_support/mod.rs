//! A healthy world for tests, to be broken in one place.

pub mod random;
mod world;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::domain::decide::decide;
use crate::domain::diagnose::diagnose;
use crate::domain::diagnosis::Diagnosis;
use crate::domain::evidence::{
    AccessPolicy, CallerKind, Change, Database, DeletedKey, DeletedVault, Denial, Evidence, Fact, Grant, Identity,
    KeyEvidence, KeyRights, KeyVersion, LinkedKey, Lock, Protector, Server, ServerEvidence, UserAssignedIdentity,
    Vault, VaultEvidence, VaultNetwork,
};
use crate::domain::gates::Situation;
use crate::domain::incident::{Approval, ApprovalDecision, Attempt, AttemptOutcome, Incident, IncidentId, IncidentKey};
use crate::domain::key_uri::{KeyUri, VaultHost};
use crate::domain::plan::{Decision, GateHit, Memory, Plan};
use crate::domain::policy::{Policy, Preset};
use crate::domain::remedy;
use crate::domain::resource_id::ResourceId;

pub use world::World;

pub const SUBSCRIPTION: &str = "11111111-2222-3333-4444-555555555555";
pub const TENANT: &str = "99999999-8888-7777-6666-555555555555";
pub const VERSION: &str = "ee059b2bb5bc48398a53b168c6cdcb10";
pub const OLD_VERSION: &str = "0000000000000000000000000000000a";

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

pub fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

pub fn resource(text: &str) -> ResourceId {
    ResourceId::parse(text).expect("a resource id")
}

pub fn server_id(name: &str) -> ResourceId {
    resource(&format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-data/providers/Microsoft.Sql/servers/{name}"))
}

pub fn vault_id() -> ResourceId {
    resource(&format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults/contoso-kv"
    ))
}

pub fn identity_id(name: &str) -> ResourceId {
    resource(&format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-data/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
    ))
}

pub fn key_uri(key: &str, version: Option<&str>) -> KeyUri {
    let vault = VaultHost::parse("contoso-kv.vault.azure.net").expect("a vault");
    KeyUri { vault, key: key.to_owned(), version: version.map(str::to_owned) }
}

/// The object id of a server's identity.
pub fn principal(server: &str) -> String {
    format!("principal-of-{server}")
}

pub fn world() -> World {
    world_of(&["contoso-sql"])
}

pub fn policy_world() -> World {
    let mut world = world();
    world.use_policies();
    world
}

pub fn world_of(servers: &[&str]) -> World {
    let now = at("2026-11-24T02:10:00Z");
    let mut policy = Policy::default();
    policy.scope.subscriptions.push(SUBSCRIPTION.to_owned());
    let key = key_uri("tde-key", Some(VERSION));
    let mut incident = Incident::open(
        IncidentId("km-1".to_owned()),
        IncidentKey::vault(&key.vault),
        policy.window_minutes,
        at("2026-11-24T02:07:00Z"),
    );
    for server in servers {
        let member = incident.add_member(&server_id(server), Some(key.clone()));
        member.databases.insert("orders".to_owned());
    }
    let evidence = Evidence {
        taken_at: now,
        waves: 3,
        vault: Some(vault(servers)),
        keys: vec![key_evidence(&key)],
        servers: servers.iter().map(|name| server(name, &key)).collect(),
        locks: Fact::Known(Vec::new()),
        changes: Vec::new(),
        changes_read: Fact::Known(()),
        partners: Vec::new(),
    };
    World { evidence, incident, policy, memory: Memory::default(), now }
}

fn vault(servers: &[&str]) -> VaultEvidence {
    let vault = Vault {
        id: vault_id(),
        location: "westeurope".to_owned(),
        tenant_id: TENANT.to_owned(),
        provisioning_state: Some("Succeeded".to_owned()),
        tags: BTreeMap::new(),
        rbac: true,
        access_policies: Vec::new(),
        purge_protection: true,
        soft_delete_days: Some(90),
        network: VaultNetwork {
            public_access: "Enabled".to_owned(),
            trusted_services_bypass: true,
            default_deny: false,
            acls: json!({"bypass": "AzureServices", "defaultAction": "Allow", "ipRules": [], "virtualNetworkRules": []}),
        },
        pending_private_endpoints: Vec::new(),
    };
    VaultEvidence {
        host: VaultHost::parse("contoso-kv.vault.azure.net").expect("a vault"),
        id: Some(vault_id()),
        vault: Fact::Known(vault),
        deleted: Fact::Unknown("not asked".to_owned()),
        grants: Fact::Known(servers.iter().map(|name| grant(&principal(name))).collect()),
        denials: Fact::Known(Vec::new()),
        reachable: Fact::Known(true),
    }
}

pub fn grant(principal: &str) -> Grant {
    Grant {
        id: format!("assignment-{principal}"),
        scope: format!("{}/keys/tde-key", vault_id()),
        principal_id: principal.to_owned(),
        principal_type: "ServicePrincipal".to_owned(),
        role: "Key Vault Crypto Service Encryption User".to_owned(),
        rights: KeyRights { get: true, wrap: true, unwrap: true },
        conditional: false,
        found_for: None,
    }
}

pub fn access_policy(principal: &str, keys: &[&str]) -> AccessPolicy {
    AccessPolicy {
        object_id: principal.to_owned(),
        application_id: None,
        tenant_id: TENANT.to_owned(),
        keys: keys.iter().map(|&key| key.to_owned()).collect(),
    }
}

pub fn key_version(version: &str) -> KeyVersion {
    KeyVersion {
        version: version.to_owned(),
        enabled: true,
        not_before: None,
        expires: Some(at("2027-06-01T00:00:00Z")),
        created: Some(at("2026-01-10T08:00:00Z")),
        updated: Some(at("2026-01-10T08:00:00Z")),
        kind: Some("RSA".to_owned()),
        size: Some(3072),
        operations: vec!["wrapkey".to_owned(), "unwrapkey".to_owned()],
        tags: BTreeMap::new(),
    }
}

pub fn key_evidence(uri: &KeyUri) -> KeyEvidence {
    let version = uri.version.clone().unwrap_or_else(|| VERSION.to_owned());
    KeyEvidence {
        uri: uri.clone(),
        version: Fact::Known(key_version(&version)),
        exists: Fact::Known(true),
        versions: vec![(version, Some(at("2026-01-10T08:00:00Z")))],
        deleted: Fact::Unknown("not asked".to_owned()),
    }
}

pub fn linked(uri: &KeyUri) -> LinkedKey {
    let version = uri.version.as_ref().map(|version| format!("_{version}")).unwrap_or_default();
    LinkedKey {
        name: format!("{}_{}{version}", uri.vault.vault_name(), uri.key),
        uri: Some(uri.clone()),
        created: Some(at("2026-01-11T08:00:00Z")),
        thumbprint: None,
    }
}

fn server(name: &str, key: &KeyUri) -> ServerEvidence {
    let database = |name: &str| Database {
        name: name.to_owned(),
        status: "Online".to_owned(),
        own_protector: None,
        reason: None,
        settings: BTreeMap::new(),
    };
    ServerEvidence {
        id: server_id(name),
        server: Fact::Known(Server {
            location: "westeurope".to_owned(),
            state: Some("Ready".to_owned()),
            tags: BTreeMap::new(),
            identity: Identity {
                system_principal_id: Some(principal(name)),
                tenant_id: Some(TENANT.to_owned()),
                user_assigned: Vec::new(),
                primary: None,
            },
            federated_client_id: None,
        }),
        protector: Fact::Known(Protector {
            customer_managed: true,
            uri: Some(key.clone()),
            thumbprint: None,
            auto_rotation: false,
            key_version: None,
        }),
        linked_keys: Fact::Known(vec![linked(key)]),
        databases: Fact::Known(vec![database("orders"), database("billing"), database("web")]),
        links: Fact::Known(Vec::new()),
    }
}
