//! Worlds for scenarios: a standard one, and the ways in which others differ from it.

use std::collections::BTreeMap;

use super::world::{
    DatabaseSpec, IdentityKind, IdentitySpec, PermissionModel, ProtectorSpec, ServerKind, ServerSpec, VaultSpec,
    VersionSpec, World,
};

impl World {
    /// One server `contoso-sql` in `rg-data` with databases `orders`, `billing` and `web`, protected by `tde-key` in
    /// the vault `contoso-kv` in `rg-keys`.
    #[must_use]
    pub fn standard() -> Self {
        let tags = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let orders = DatabaseSpec {
            tags: tags(&[("cost-center", "4711"), ("owner", "sales")]),
            failover_group: Some("fg-orders".to_owned()),
            read_scale: true,
            pitr_days: Some(14),
            ltr_weekly: Some("P4W".to_owned()),
            size_gb: 40,
            ..DatabaseSpec::default()
        };
        let billing = DatabaseSpec {
            name: "billing".to_owned(),
            elastic_pool: Some("pool-1".to_owned()),
            tags: tags(&[("owner", "finance")]),
            ..DatabaseSpec::default()
        };
        let web = DatabaseSpec {
            name: "web".to_owned(),
            sku: "GP_S_Gen5_1".to_owned(),
            auto_pause_minutes: Some(60),
            size_gb: 4,
            ..DatabaseSpec::default()
        };
        let server = ServerSpec {
            databases: vec![orders, billing, web],
            failover_groups: vec!["fg-orders".to_owned()],
            tags: tags(&[("env", "prod")]),
            ..ServerSpec::default()
        };
        Self { servers: vec![server], vaults: vec![VaultSpec::default()], ..Self::default() }
    }

    /// `servers` servers (`sql-01`…) with `databases` databases each (`db-01`…), all under one key of `contoso-kv`.
    #[must_use]
    pub fn shared_vault(servers: usize, databases: usize) -> Self {
        let servers = (1..=servers).map(|n| ServerSpec {
            name: format!("sql-{n:02}"),
            databases: (1..=databases)
                .map(|d| DatabaseSpec { name: format!("db-{d:02}"), size_gb: 4, ..DatabaseSpec::default() })
                .collect(),
            ..ServerSpec::default()
        });
        Self { servers: servers.collect(), vaults: vec![VaultSpec::default()], ..Self::default() }
    }

    /// `vaults` vaults (`kv-01`…) with `servers` servers (`sql-01-01`…) each, one database a server.
    #[must_use]
    pub fn large_estate(vaults: usize, servers: usize) -> Self {
        let vault = |v: usize| VaultSpec { name: format!("kv-{v:02}"), ..VaultSpec::default() };
        let server = |v: usize, s: usize| ServerSpec {
            name: format!("sql-{v:02}-{s:02}"),
            protector: Some(ProtectorSpec { vault: format!("kv-{v:02}"), ..ProtectorSpec::default() }),
            databases: vec![DatabaseSpec { size_gb: 4, ..DatabaseSpec::default() }],
            ..ServerSpec::default()
        };
        Self {
            servers: (1..=vaults).flat_map(|v| (1..=servers).map(move |s| server(v, s))).collect(),
            vaults: (1..=vaults).map(vault).collect(),
            ..Self::default()
        }
    }

    /// One managed instance `contoso-mi` with databases `ledger` and `stock`, protected like the standard server.
    #[must_use]
    pub fn instance() -> Self {
        let database = |name: &str| DatabaseSpec { name: name.to_owned(), ..DatabaseSpec::default() };
        let instance = ServerSpec {
            name: "contoso-mi".to_owned(),
            kind: ServerKind::ManagedInstance,
            databases: vec![database("ledger"), database("stock")],
            ..ServerSpec::default()
        };
        Self { servers: vec![instance], vaults: vec![VaultSpec::default()], ..Self::default() }
    }

    /// One Synapse workspace `contoso-syn` with dedicated SQL pools `sales` and `archive`, the second paused, protected like
    /// the standard server.
    #[must_use]
    pub fn workspace() -> Self {
        let pool = |name: &str, paused| DatabaseSpec { name: name.to_owned(), paused, ..DatabaseSpec::default() };
        let workspace = ServerSpec {
            name: "contoso-syn".to_owned(),
            kind: ServerKind::SynapseWorkspace,
            databases: vec![pool("sales", false), pool("archive", true)],
            ..ServerSpec::default()
        };
        Self { servers: vec![workspace], vaults: vec![VaultSpec::default()], ..Self::default() }
    }

    /// With another seed.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Every vault with Azure RBAC or with access policies.
    #[must_use]
    pub fn model(mut self, model: PermissionModel) -> Self {
        for vault in &mut self.vaults {
            vault.model = model;
        }
        self
    }

    /// Every server with a user-assigned identity of its own, `id-{server}`, as its primary one.
    #[must_use]
    pub fn user_assigned(mut self) -> Self {
        for server in &mut self.servers {
            let name = format!("id-{}", server.name);
            server.identity = IdentityKind::UserAssigned(name.clone());
            self.identities.push(IdentitySpec { name, ..IdentitySpec::default() });
        }
        self
    }

    /// Every key with `count` older versions, all still linked to the servers and needed by them.
    #[must_use]
    pub fn older_versions(mut self, count: usize) -> Self {
        for key in self.vaults.iter_mut().flat_map(|vault| &mut vault.keys) {
            for n in 0..count {
                let age_days = 200 + 100 * u32::try_from(n + 1).unwrap_or(u32::MAX / 200);
                key.versions.insert(0, VersionSpec { age_days, ..VersionSpec::default() });
            }
        }
        for protector in self.servers.iter_mut().filter_map(|server| server.protector.as_mut()) {
            protector.latent = (0..count).collect();
        }
        self
    }

    /// With another self-heal window.
    #[must_use]
    pub fn window_minutes(mut self, minutes: u32) -> Self {
        self.timing.window_minutes = minutes;
        self
    }

    /// As the documentation of 2019 had it: eight hours, and an event that says so.
    #[must_use]
    pub fn old_rule(mut self) -> Self {
        self.alerts.old_events = true;
        self.window_minutes(480)
    }

    /// With a fixed delay of the Activity Log, in minutes.
    #[must_use]
    pub fn activity_log_minutes(mut self, minutes: f64) -> Self {
        self.timing.activity_log = super::world::Span { min: minutes, max: minutes };
        self
    }

    /// Without a right of the responder's: an action or a data action, by its exact name.
    #[must_use]
    pub fn without_right(mut self, action: &str) -> Self {
        for role in &mut self.responder.roles {
            role.actions.retain(|held| !held.eq_ignore_ascii_case(action));
            role.data_actions.retain(|held| !held.eq_ignore_ascii_case(action));
        }
        self
    }

    /// The id of a server of this world, whether there is one of that name or not.
    #[must_use]
    pub fn server_id(&self, name: &str) -> String {
        let group = self.servers.iter().find(|server| server.name == name).map_or("rg-data", |s| &s.resource_group);
        format!("/subscriptions/{}/resourceGroups/{group}/providers/Microsoft.Sql/servers/{name}", self.subscription)
    }

    /// The id of a vault of this world, whether there is one of that name or not.
    #[must_use]
    pub fn vault_id(&self, name: &str) -> String {
        let group = self.vaults.iter().find(|vault| vault.name == name).map_or("rg-keys", |v| &v.resource_group);
        format!(
            "/subscriptions/{}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{name}",
            self.subscription
        )
    }
}
