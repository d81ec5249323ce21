//! Findings: what may break a chain, or keep Keymend from mending it.

use serde::Serialize;

use crate::domain::resource_id::ResourceId;

/// How much a finding matters, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Could be better.
    Low,
    /// A mistake away from a loss, or a repair that would be slower.
    Medium,
    /// A loss in sight, or one that could not be undone or repaired.
    High,
    /// Databases are down, or will be within days.
    Critical,
}

impl Level {
    /// Every level, the worst first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|level| level.word().eq_ignore_ascii_case(text.trim()));
        known.ok_or_else(|| "write critical, high, medium, low or info".to_owned())
    }
}

/// One thing that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name, stable: `key-expires`.
    pub id: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// Where that is said.
    pub source: &'static str,
}

const BYOK: &str = "https://learn.microsoft.com/azure/azure-sql/database/transparent-data-encryption-byok-overview";
const IDENTITY: &str = "https://learn.microsoft.com/azure/azure-sql/database/transparent-data-encryption-byok-identity";
const SOFT_DELETE: &str = "https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview";
const NETWORK: &str = "https://learn.microsoft.com/azure/key-vault/general/network-security";
const LOCKS: &str = "https://learn.microsoft.com/azure/azure-resource-manager/management/lock-resources";
const RBAC: &str = "https://learn.microsoft.com/azure/key-vault/general/rbac-guide";
const ALERTS: &str = "Keymend: docs/alerts-setup.md";
const RIGHTS: &str = "Keymend: infra/roles/README.md";
const CONFIGURATION: &str = "Keymend: docs/configuration.md";

macro_rules! rules {
    ($($name:ident = $id:literal, $title:literal, $why:literal, $source:expr;)*) => {
        $(#[doc = $title] pub const $name: Rule = Rule { id: $id, title: $title, why: $why, source: $source };)*
        /// Every rule.
        pub const RULES: &[Rule] = &[$($name),*];
    };
}

rules! {
    CHAIN_BROKEN = "chain-broken", "The key cannot be reached", "Databases go inaccessible within about 10 minutes, and after 30 minutes they no longer come back by themselves.", BYOK;
    GEO_PARTNER = "geo-partner", "A geo partner may not use the key of its primary", "The geo-secondary goes inaccessible, for good after 30 minutes, and there is nothing to fail over to.", BYOK;
    CHAIN_UNREAD = "chain-unread", "Part of the chain could not be read", "What is not seen cannot be called safe.", RIGHTS;
    KEY_EXPIRES = "key-expires", "The key expires", "An expired key takes every database down that it protects, although Key Vault itself would still decrypt with it.", BYOK;
    KEY_NO_EXPIRY = "key-no-expiry", "The key never expires", "No outage comes from it; many security baselines ask for an expiry with rotation.", BYOK;
    LINKED_KEY_UNUSABLE = "linked-key-unusable", "A key from before a rotation cannot be used", "Older pages, log records and backups may still need it: a database can go down, or a restore fail, with the present key in best order.", BYOK;
    KEY_KIND = "key-kind", "Kind or size of the key is not supported", "Azure SQL takes RSA and RSA-HSM keys of 2048 or 3072 bits alone.", BYOK;
    KEY_ROTATION = "key-rotation", "The key is not rotated by itself", "Whoever rotates by hand must also set the protector before the old version is disabled or expires.", BYOK;
    PURGE_PROTECTION = "purge-protection", "Purge protection is off", "Anybody with the right to purge can destroy key and data for good, and Azure SQL asks for it.", SOFT_DELETE;
    SOFT_DELETE_DAYS = "soft-delete-days", "Deleted things are kept for less than 90 days", "After that time a deleted vault or key is gone, and the data with it.", SOFT_DELETE;
    FIREWALL_BYPASS = "firewall-bypass", "Trusted services may not bypass the firewall", "The day somebody denies public access, SQL is shut out.", NETWORK;
    PRIVATE_ENDPOINT = "private-endpoint", "A private endpoint is not approved", "What should reach the vault through it does not.", NETWORK;
    VAULT_LOCK = "vault-lock", "No lock keeps the vault from being deleted", "One deletion of vault or resource group takes the key from everything that depends on it.", LOCKS;
    READ_ONLY_LOCK = "read-only-lock", "A read-only lock stops repairs", "Keymend never removes a lock: with this one a person has to make every change that helps.", LOCKS;
    VAULT_SHARED = "vault-shared", "Many servers depend on one vault", "What happens to this vault happens to all of them at once, and every failover makes one key operation a database.", BYOK;
    VAULT_LIMIT = "vault-limit", "More databases than one vault should serve", "Azure SQL asks for at most 500 General Purpose or 200 Business Critical databases a vault: a failover is throttled.", BYOK;
    PERMISSION_MODEL = "permission-model", "The vault uses access policies", "Azure RBAC is recommended: a grant on one key instead of the whole vault. A switch of the model drops every grant at once.", RBAC;
    OTHER_IDENTITY = "other-identity", "Rights are granted to an identity that SQL does not use", "With a user-assigned identity the server's own one is not used for the key: its grant misleads whoever looks at it.", IDENTITY;
    CROSS_TENANT = "cross-tenant", "The key belongs to another tenant", "Its owners can take it away, and only they can give it back.", BYOK;
    HOLD_TAG = "hold-tag", "The hold tag forbids every repair", "Keymend looks and tells, and changes nothing here.", CONFIGURATION;
    VAULT_SCOPE = "vault-scope", "The vault is not in scope", "Its servers are looked after, and nothing that happens to their vault would be repaired.", CONFIGURATION;
    MANAGED_HSM = "managed-hsm", "The key is in a managed HSM", "It is not read, and a person repairs it.", BYOK;
    OWN_RIGHTS = "own-rights", "Keymend lacks a right", "A diagnosis or a repair that the policy allows would fail for want of it.", RIGHTS;
    ALERT_RULES = "alert-rules", "Nobody rings", "Without alert rules a loss is noticed late, or by customers.", ALERTS;
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which rule.
    pub rule: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What it is about: a resource id, a key's address, or a subscription.
    pub subject: String,
    /// The vault it belongs to, if any: its host.
    pub vault: Option<String>,
    /// What was found.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do, in words.
    pub fix: String,
    /// Commands to copy.
    pub commands: Vec<String>,
    /// Where the fact is from.
    pub source: &'static str,
    /// The servers that it concerns.
    pub servers: Vec<ResourceId>,
    /// How many databases these have.
    pub databases: usize,
}

impl Finding {
    /// About something, with nothing to do yet.
    #[must_use]
    pub fn new(rule: &Rule, level: Level, subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            rule: rule.id,
            level,
            subject: subject.into(),
            vault: None,
            what: what.into(),
            why: rule.why,
            fix: String::new(),
            commands: Vec::new(),
            source: rule.source,
            servers: Vec::new(),
            databases: 0,
        }
    }

    /// With what to do.
    #[must_use]
    pub fn fix(mut self, words: impl Into<String>) -> Self {
        self.fix = words.into();
        self
    }

    /// With a command to copy.
    #[must_use]
    pub fn run(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }

    /// With those it concerns.
    #[must_use]
    pub fn of(mut self, servers: Vec<ResourceId>, databases: usize) -> Self {
        self.servers = servers;
        self.databases = databases;
        self
    }

    /// What makes two findings the same from one audit to the next.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("{}|{}", self.rule, self.subject.to_lowercase())
    }

    /// The subject's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.subject.trim_end_matches('/').rsplit('/').next().unwrap_or(&self.subject)
    }
}

/// A rule by its name.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}
