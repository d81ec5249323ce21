//! What a world is where its description says nothing.

use std::collections::BTreeMap;

use super::world::{
    Alerting, DatabaseSpec, DenySpec, EventNameIn, GrantScope, IdentityKind, IdentitySpec, KeySpec, NetworkSpec,
    PermissionModel, ProtectorSpec, Responder, RoleGrant, SUBSCRIPTION, ServerKind, ServerSpec, Span, TENANT, TOKEN,
    Timing, VaultSpec, VersionSpec, World,
};

impl Default for World {
    fn default() -> Self {
        Self {
            seed: 1,
            origin: None,
            tenant: TENANT.to_owned(),
            subscription: SUBSCRIPTION.to_owned(),
            servers: Vec::new(),
            vaults: Vec::new(),
            identities: Vec::new(),
            locks: Vec::new(),
            denies: Vec::new(),
            responder: Responder::default(),
            alerts: Alerting::default(),
            timing: Timing::default(),
            graph_knows_keys: false,
            keep_reads: true,
        }
    }
}

impl Default for ServerSpec {
    fn default() -> Self {
        Self {
            name: "contoso-sql".to_owned(),
            resource_group: "rg-data".to_owned(),
            location: "westeurope".to_owned(),
            tags: BTreeMap::new(),
            kind: ServerKind::SqlServer,
            identity: IdentityKind::SystemAssigned,
            federated_client: None,
            protector: Some(ProtectorSpec::default()),
            granted: true,
            databases: Vec::new(),
            failover_groups: Vec::new(),
        }
    }
}

impl Default for ProtectorSpec {
    fn default() -> Self {
        Self {
            vault: "contoso-kv".to_owned(),
            key: "tde-key".to_owned(),
            versionless: false,
            auto_rotation: false,
            latent: Vec::new(),
        }
    }
}

impl Default for DatabaseSpec {
    fn default() -> Self {
        Self {
            name: "orders".to_owned(),
            size_gb: 16,
            sku: "GP_Gen5_2".to_owned(),
            tags: BTreeMap::new(),
            elastic_pool: None,
            failover_group: None,
            read_scale: false,
            auto_pause_minutes: None,
            pitr_days: None,
            ltr_weekly: None,
            geo_secondary_of: None,
            paused: false,
            own_key: None,
        }
    }
}

impl Default for VaultSpec {
    fn default() -> Self {
        Self {
            name: "contoso-kv".to_owned(),
            resource_group: "rg-keys".to_owned(),
            foreign_subscription: None,
            managed_hsm: false,
            location: "westeurope".to_owned(),
            tags: BTreeMap::new(),
            model: PermissionModel::Rbac,
            grant_at: GrantScope::Vault,
            keys: vec![KeySpec::default()],
            network: NetworkSpec::default(),
            soft_delete_days: 90,
            purge_protection: true,
            responder_may: ["get", "list", "update", "recover"].map(str::to_owned).to_vec(),
        }
    }
}

impl Default for KeySpec {
    fn default() -> Self {
        Self { name: "tde-key".to_owned(), versions: vec![VersionSpec::default()] }
    }
}

impl Default for VersionSpec {
    fn default() -> Self {
        Self {
            id: None,
            enabled: true,
            expires_in_days: None,
            valid_in_days: None,
            age_days: 200,
            kty: "RSA".to_owned(),
            size: 3072,
            operations: ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"].map(str::to_owned).to_vec(),
        }
    }
}

impl Default for NetworkSpec {
    fn default() -> Self {
        Self {
            public_network_access: "Enabled".to_owned(),
            bypass: "AzureServices".to_owned(),
            default_action: "Allow".to_owned(),
            ip_rules: Vec::new(),
            virtual_network_rules: Vec::new(),
        }
    }
}

impl Default for IdentitySpec {
    fn default() -> Self {
        Self {
            name: "id-contoso-sql".to_owned(),
            resource_group: "rg-data".to_owned(),
            location: "westeurope".to_owned(),
        }
    }
}

impl Default for DenySpec {
    fn default() -> Self {
        Self {
            name: "deny-tde".to_owned(),
            scope: String::new(),
            principals: Vec::new(),
            actions: Vec::new(),
            data_actions: vec!["Microsoft.KeyVault/vaults/keys/*".to_owned()],
        }
    }
}

impl Default for Responder {
    fn default() -> Self {
        Self {
            token: TOKEN.to_owned(),
            app_id: "c0ffee00-0000-4000-8000-000000000001".to_owned(),
            object_id: "c0ffee00-0000-4000-8000-00000000000a".to_owned(),
            address: "198.51.100.10".to_owned(),
            roles: super::roles::responder(),
        }
    }
}

impl Default for RoleGrant {
    fn default() -> Self {
        Self {
            name: "role".to_owned(),
            scope: None,
            actions: Vec::new(),
            not_actions: Vec::new(),
            data_actions: Vec::new(),
            not_data_actions: Vec::new(),
            condition: None,
        }
    }
}

impl Default for Alerting {
    fn default() -> Self {
        Self {
            rule: "tde-key-guard".to_owned(),
            common_schema: true,
            event_name_in: EventNameIn::Properties,
            old_events: false,
            cause_alerts: false,
            without: Vec::new(),
            resource_health: false,
            copies: 1,
            webhooks: true,
            event_grid: false,
            cloud_events: false,
            pascal_case: false,
            event_seconds: Span { min: 1.0, max: 20.0 },
            secure_webhook: None,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            key_check_minutes: 10,
            window_minutes: 30,
            buffer_hours: 24,
            online_within_window: false,
            self_heal: Span { min: 5.0, max: 20.0 },
            activity_log: Span { min: 3.0, max: 20.0 },
            tde_events: None,
            propagation: Span { min: 2.0, max: 6.0 },
            identity_seconds: 60,
            vault_dns: Span { min: 1.0, max: 3.0 },
            key_recovery: Span { min: 0.5, max: 2.0 },
            server_change_seconds: 20,
            page_size: 100,
        }
    }
}
