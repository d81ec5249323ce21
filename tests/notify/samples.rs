//! Notices as the responder would write them, from incidents of the night of 24 November 2026.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keymend::domain::database_ref::DatabaseRef;
use keymend::domain::diagnosis::{Cause, Check, Culprit, Diagnosis, Finding, Link, LinkState, Proof};
use keymend::domain::evidence::{CallerKind, MissingRight};
use keymend::domain::incident::{
    Approval, ApprovalDecision, Attempt, AttemptOutcome, EntryKind, Incident, IncidentId, IncidentKey, Phase,
};
use keymend::domain::key_uri::{KeyUri, VaultHost};
use keymend::domain::notice::{Notice, Situation, Told};
use keymend::domain::plan::{Gate, GateHit, NeedsPerson, Plan};
use keymend::domain::remedy::{CRYPTO_SERVICE_ENCRYPTION_USER, Change, GrantTo};
use keymend::domain::resource_id::ResourceId;
use keymend::domain::restoration::LostSetting;
use keymend::domain::restoration::{Fate, Item, Restoration, Setting};
use keymend::notify::compose::compose;
use serde_json::json;

const SUBSCRIPTION: &str = "/subscriptions/11111111-2222-3333-4444-555555555555";
const TENANT: &str = "99999999-8888-7777-6666-555555555555";
const PRINCIPAL: &str = "5e0f7d1a-0c42-4b6e-9d0b-6b8f0f3c2a11";

pub fn at(clock: &str) -> Timestamp {
    format!("2026-11-24T{clock}Z").parse().unwrap()
}

pub fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

pub fn server(name: &str) -> ResourceId {
    id(&format!("{SUBSCRIPTION}/resourceGroups/rg-data/providers/Microsoft.Sql/servers/{name}"))
}

pub fn vault() -> ResourceId {
    id(&format!("{SUBSCRIPTION}/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults/contoso-kv"))
}

fn host() -> VaultHost {
    VaultHost::parse("contoso-kv.vault.azure.net").unwrap()
}

fn key() -> KeyUri {
    KeyUri::parse("https://contoso-kv.vault.azure.net/keys/tde-key/ee059b2bb5bc48398a53b168c6cdcb10").unwrap()
}

fn culprit(who: &str, kind: CallerKind, operation: &str, target: &str, clock: &str) -> Culprit {
    Culprit {
        who: Some(who.to_owned()),
        ids: vec![who.to_owned()],
        kind,
        at: at(clock),
        operation: operation.to_owned(),
        target: target.to_owned(),
        correlation_id: Some("0d9a3f6e-77d1-4f7e-8f4e-52c0a1f3b2c4".to_owned()),
    }
}

fn checks(broken: Link, said: &str) -> Vec<Check> {
    let fine = [
        (Link::Identity, "system-assigned, present"),
        (Link::Vault, "exists, answers"),
        (Link::Firewall, "trusted Microsoft services may pass"),
        (Link::Key, "enabled, no expiry date"),
        (Link::Permission, "Key Vault Crypto Service Encryption User on the key"),
        (Link::Database, "3 of 3 inaccessible"),
    ];
    let state = |link: Link| match link {
        link if link == broken || link == Link::Database => LinkState::Broken,
        link if link > broken && broken == Link::Vault => LinkState::Unknown,
        _ => LinkState::Ok,
    };
    fine.into_iter()
        .map(|(link, words)| match state(link) {
            LinkState::Broken if link == broken => Check { link, state: LinkState::Broken, said: said.to_owned() },
            LinkState::Unknown => {
                Check { link, state: LinkState::Unknown, said: "cannot be read without it".to_owned() }
            }
            state => Check { link, state, said: words.to_owned() },
        })
        .collect()
}

/// An incident with one server and its three databases, seen at 02:13.
pub fn incident() -> Incident {
    let mut incident =
        Incident::open(IncidentId("km-20261124-0207-7f3k".to_owned()), IncidentKey::vault(&host()), 30, at("02:07:31"));
    incident.vault = Some(host());
    incident.vault_id = Some(vault());
    incident.lost_at = Some(at("02:03:55"));
    incident.phase = Phase::Opened;
    let member = incident.add_member(&server("contoso-sql"), Some(key()));
    for name in ["orders", "billing", "web"] {
        member.databases.insert(name.to_owned());
        member.inaccessible.insert(name.to_owned());
    }
    incident
}

fn finding(cause: Cause, resource: &str, changes: Vec<Change>, proof: &[(&str, &str)]) -> Finding {
    let proof = proof.iter().map(|(probe, said)| Proof { probe: (*probe).to_owned(), said: (*said).to_owned() });
    Finding {
        cause,
        resource: resource.to_owned(),
        servers: vec![server("contoso-sql")],
        proof: proof.collect(),
        changes,
        purge_at: None,
        since: Some(at("02:03:55")),
    }
}

fn diagnosed(incident: &mut Incident, finding: Finding, checks: Vec<Check>, culprit: Option<Culprit>) {
    incident.phase = Phase::Diagnosed;
    incident.root_cause = Some(finding.cause);
    incident.was_broken = true;
    incident.diagnosis = Some(Diagnosis {
        at: at("02:09:02"),
        findings: vec![finding],
        checks,
        culprit,
        protective_changes: Vec::new(),
        unknowns: Vec::new(),
        missing_rights: Vec::new(),
        inaccessible: incident.inaccessible(),
    });
}

fn grant() -> GrantTo {
    GrantTo {
        principal_id: PRINCIPAL.to_owned(),
        server: server("contoso-sql"),
        missing: ["get", "wrapKey", "unwrapKey"].map(str::to_owned).to_vec(),
    }
}

pub fn role_missing() -> Incident {
    let mut incident = incident();
    let change = Change::AssignRole {
        vault: vault(),
        key: "tde-key".to_owned(),
        grant: grant(),
        role: CRYPTO_SERVICE_ENCRYPTION_USER.to_owned(),
    };
    let proof = [("role assignments", "no assignment gives 5e0f7d1a… wrap and unwrap on tde-key")];
    let found = finding(Cause::RoleMissing, &key().versionless().to_string(), vec![change], &proof);
    let target = format!("{}/providers/Microsoft.Authorization/roleAssignments/7c1d", vault());
    let operation = "microsoft.authorization/roleassignments/delete";
    let who = culprit("deploy-pipeline", CallerKind::Application, operation, &target, "02:03:55");
    diagnosed(&mut incident, found, checks(Link::Permission, "the role on the key is not assigned"), Some(who));
    incident
}

pub fn policy_missing() -> Incident {
    let mut incident = incident();
    let change = Change::AddAccessPolicy { vault: vault(), tenant_id: TENANT.to_owned(), grants: vec![grant()] };
    let proof = [("access policies", "no entry for 5e0f7d1a…")];
    let found = finding(Cause::PolicyMissing, &vault().to_string(), vec![change], &proof);
    diagnosed(&mut incident, found, checks(Link::Permission, "no access policy for the server's identity"), None);
    incident
}

pub fn vault_deleted() -> Incident {
    let mut incident = incident();
    let change =
        Change::RecoverVault { vault: vault(), location: "westeurope".to_owned(), tenant_id: TENANT.to_owned() };
    let proof = [("vault", "404 ResourceNotFound"), ("deleted vaults", "contoso-kv, deleted 02:03 UTC")];
    let mut found = finding(Cause::VaultDeleted, &vault().to_string(), vec![change], &proof);
    found.purge_at = Some("2027-02-22T02:03:55Z".parse().unwrap());
    let operation = "microsoft.keyvault/vaults/delete";
    let who = culprit("alice@contoso.example", CallerKind::Person, operation, &vault().to_string(), "02:03:55");
    diagnosed(&mut incident, found, checks(Link::Vault, "soft-deleted at 02:03 UTC"), Some(who));
    incident
}

pub fn firewalled() -> Incident {
    let mut incident = incident();
    let acls = json!({"bypass": "None", "defaultAction": "Deny", "ipRules": [{"value": "20.1.2.3/32"}],
        "virtualNetworkRules": []});
    let change = Change::TrustedServicesBypass { vault: vault(), acls };
    let proof = [("vault", "networkAcls.bypass is None and defaultAction is Deny")];
    let found = finding(Cause::VaultFirewalled, &vault().to_string(), vec![change], &proof);
    let operation = "microsoft.keyvault/vaults/write";
    let who = culprit("alice@contoso.example", CallerKind::Person, operation, &vault().to_string(), "02:03:55");
    diagnosed(&mut incident, found, checks(Link::Firewall, "bypass for trusted services is off"), Some(who));
    incident
}

pub fn key_disabled() -> Incident {
    let mut incident = incident();
    let proof = [("key", "attributes.enabled is false, changed 02:03 UTC")];
    let found = finding(Cause::KeyDisabled, &key().to_string(), vec![Change::EnableKey { key: key() }], &proof);
    diagnosed(&mut incident, found, checks(Link::Key, "version ee059b2b… is disabled"), None);
    incident
}

pub fn key_expired() -> Incident {
    let mut incident = incident();
    let change =
        Change::ExtendExpiry { key: key(), from: Some(at("02:00:00")), to: "2026-12-01T02:00:00Z".parse().unwrap() };
    let mut found =
        finding(Cause::KeyExpired, &key().to_string(), vec![change], &[("key", "exp is 2026-11-24 02:00 UTC")]);
    found.since = Some(at("02:00:00"));
    diagnosed(&mut incident, found, checks(Link::Key, "version ee059b2b… expired at 02:00 UTC"), None);
    incident
}

/// Nothing is lost: the key expires tomorrow.
pub fn key_expiring() -> Incident {
    let expires = "2026-11-25T02:00:00Z".parse().unwrap();
    let to = "2026-12-01T02:00:00Z".parse().unwrap();
    let mut incident = incident();
    incident.loss_reported = false;
    incident.members.values_mut().for_each(|member| {
        member.databases.clear();
        member.inaccessible.clear();
    });
    let change = Change::ExtendExpiry { key: key(), from: Some(expires), to };
    let proof = [("key", "key tde-key version ee059b2b expires at 2026-11-25 02:00 UTC")];
    let mut found = finding(Cause::KeyExpiring, &key().to_string(), vec![change], &proof);
    found.since = Some(expires);
    let mut checks = checks(Link::Key, "version ee059b2b… expires at 2026-11-25 02:00 UTC");
    if let Some(databases) = checks.last_mut() {
        *databases = Check { link: Link::Database, state: LinkState::Ok, said: "3 of 3 online".to_owned() };
    }
    diagnosed(&mut incident, found, checks, None);
    incident.lost_at = Some(expires);
    incident.broken.clone_from(&incident.diagnosis);
    incident
}

fn expiring() -> Vec<(&'static str, Notice)> {
    let expires = "2026-11-25T02:00:00Z".parse().unwrap();
    let mut risk = key_expiring();
    risk.phase = Phase::AtRisk;
    let mut open = asked(key_expiring(), "policy asks before extend_expiry");
    if let Some(asked) = &mut open.approval {
        asked.answer_by = expires;
    }
    let mut late = tell(&open, Situation::DeadlineNear, None, "02:26:10");
    late.at = "2026-11-25T01:00:10Z".parse().unwrap();
    late.next_message_at = Some(expires);
    let mut made = key_expiring();
    made.attempts = vec![attempt(&made, Some(AttemptOutcome::Made { at: at("02:14:22") }))];
    made.attempts[0].before_after = vec![(
        "expiry of key tde-key version ee059b2b".to_owned(),
        "2026-11-25 02:00 UTC".to_owned(),
        "2026-12-01 02:00 UTC".to_owned(),
    )];
    made.phase = Phase::Propagating;
    let mut healed = made.clone();
    healed.whole_since = Some(at("02:15:00"));
    healed.root_cause = Some(Cause::KeyExpiring);
    healed.finish(
        Phase::Healed,
        "The key's expiry was extended before it came, and no database went down",
        at("02:30:00"),
    );
    vec![
        ("expiring_first_notice", tell(&risk, Situation::FirstNotice, None, "02:08:10")),
        ("expiring_diagnosed", tell(&open, Situation::Diagnosed, None, "02:09:04")),
        ("expiring_approval", tell(&open, Situation::ApprovalAsked, None, "02:09:10")),
        ("expiring_unanswered", late),
        ("expiring_change_made", tell(&made, Situation::ChangeMade, None, "02:14:30")),
        ("expiring_resolved", tell(&healed, Situation::Resolved, healed.end.as_deref(), "02:30:00")),
    ]
}

pub fn key_purged() -> Incident {
    let mut incident = incident();
    let proof = [("key", "404 KeyNotFound"), ("deleted keys", "404 KeyNotFound")];
    let found = finding(Cause::KeyPurged, &key().to_string(), Vec::new(), &proof);
    diagnosed(&mut incident, found, checks(Link::Key, "neither there nor among the deleted keys"), None);
    incident
}

/// An outage: nothing is down yet.
pub fn unreachable() -> Incident {
    let mut incident = incident();
    incident.members.values_mut().for_each(|member| member.inaccessible.clear());
    let proof = [("vault", "healthstatus timed out, DNS resolves")];
    let found = finding(Cause::VaultUnreachable, "contoso-kv.vault.azure.net", Vec::new(), &proof);
    let mut checks = checks(Link::Vault, "does not answer");
    if let Some(databases) = checks.last_mut() {
        *databases = Check { link: Link::Database, state: LinkState::Ok, said: "3 of 3 online".to_owned() };
    }
    diagnosed(&mut incident, found, checks, None);
    incident.phase = Phase::AtRisk;
    incident
}

pub fn undetermined() -> Incident {
    let mut incident = incident();
    let found = finding(Cause::Undetermined, "contoso-kv.vault.azure.net", Vec::new(), &[]);
    diagnosed(&mut incident, found, checks(Link::Permission, "could not be read"), None);
    if let Some(diagnosis) = &mut incident.diagnosis {
        diagnosis.unknowns = vec!["role assignments of the vault: we may not read them".to_owned()];
        diagnosis.missing_rights = vec![MissingRight {
            action: "Microsoft.Authorization/roleAssignments/read".to_owned(),
            scope: vault().to_string(),
        }];
    }
    incident
}

/// The incident when the key can be used again and databases are still down.
pub fn still_inaccessible() -> Incident {
    let mut incident = vault_deleted();
    let change = Change::Revalidate { server: server("contoso-sql") };
    let found = finding(Cause::StillInaccessible, &server("contoso-sql").to_string(), vec![change], &[]);
    if let Some(diagnosis) = &mut incident.diagnosis {
        diagnosis.findings = vec![found];
        diagnosis.culprit = None;
    }
    incident
}

fn plan(incident: &Incident) -> Plan {
    let finding = incident.diagnosis.as_ref().and_then(Diagnosis::first).unwrap();
    Plan {
        cause: finding.cause,
        remedy: finding.changes[0].remedy(),
        changes: finding.changes.clone(),
        servers: finding.servers.clone(),
    }
}

pub fn attempt(incident: &Incident, outcome: Option<AttemptOutcome>) -> Attempt {
    let plan = plan(incident);
    Attempt {
        number: 1,
        change: plan.changes[0].clone(),
        plan_hash: plan.hash(),
        intended_at: at("02:14:20"),
        outcome,
        operation: None,
        correlation_id: Some("f3b2c4a1-52c0-4f7e-8f4e-0d9a3f6e77d1".to_owned()),
        before_after: vec![(
            "role assignment on key tde-key".to_owned(),
            "none".to_owned(),
            "Key Vault Crypto Service Encryption User".to_owned(),
        )],
    }
}

pub fn asked(mut incident: Incident, why: &str) -> Incident {
    let plan = plan(&incident);
    incident.phase = Phase::AwaitingApproval;
    incident.approval = Some(Approval {
        plan_hash: plan.hash(),
        plan,
        why: why.to_owned(),
        asked_at: at("02:09:10"),
        answer_by: at("02:23:00"),
        reminders: 0,
        decision: None,
    });
    incident
}

pub fn tell(incident: &Incident, situation: Situation, reason: Option<&str>, clock: &str) -> Notice {
    let now = at(clock);
    let person = incident.needs_person.as_ref().map(|(reason, _)| *reason);
    let next = keymend::clock::add(now, jiff::SignedDuration::from_mins(10));
    let next = (!incident.phase.is_end()).then_some(next);
    compose(incident, situation, reason.map(str::to_owned), person, Vec::new(), true, next, now)
}

fn first_notices() -> Vec<(&'static str, Notice)> {
    let mut guessed = incident();
    guessed.lost_at = None;
    guessed.told_at = Some(at("02:07:31"));
    let mut first = tell(&guessed, Situation::FirstNotice, None, "02:08:10");
    first.lost_at_is_known = false;
    let mut risk = vault_deleted();
    risk.phase = Phase::AtRisk;
    risk.members.values_mut().for_each(|member| {
        member.databases.clear();
        member.inaccessible.clear();
    });
    vec![("first_notice", first), ("first_notice_at_risk", tell(&risk, Situation::FirstNotice, None, "02:05:00"))]
}

fn diagnoses() -> Vec<(&'static str, Notice)> {
    let mut mending = role_missing();
    mending.phase = Phase::Mending;
    let mut asks = vault_deleted();
    asks.phase = Phase::AwaitingApproval;
    let mut healing = still_inaccessible();
    if let Some(diagnosis) = &mut healing.diagnosis {
        diagnosis.findings[0].changes.clear();
        diagnosis.checks = checks(Link::Database, "3 of 3 inaccessible");
    }
    healing.phase = Phase::Verifying;
    healing.whole_since = Some(at("02:12:00"));
    vec![
        ("diagnosed_role_missing", tell(&mending, Situation::Diagnosed, None, "02:09:04")),
        ("diagnosed_policy_missing", tell(&policy_missing(), Situation::Diagnosed, None, "02:09:04")),
        ("diagnosed_vault_deleted", tell(&asks, Situation::Diagnosed, None, "02:09:04")),
        ("diagnosed_undetermined", tell(&undetermined(), Situation::Diagnosed, None, "02:09:04")),
        ("diagnosed_vault_unreachable", tell(&unreachable(), Situation::Diagnosed, None, "02:09:04")),
        ("diagnosed_still_inaccessible", tell(&healing, Situation::Diagnosed, None, "02:13:04")),
    ]
}

fn questions() -> Vec<(&'static str, Notice)> {
    let why = "policy asks before this kind of repair (preset guarded)";
    let mut firewall = asked(firewalled(), why);
    firewall.gates = vec![GateHit {
        gate: Gate::MadeByPerson,
        why: "alice@contoso.example is not on the list of known pipelines".to_owned(),
        hard: false,
    }];
    let late = asked(vault_deleted(), why);
    vec![
        ("approval_vault_deleted", tell(&asked(vault_deleted(), why), Situation::ApprovalAsked, None, "02:09:10")),
        ("approval_firewalled", tell(&firewall, Situation::ApprovalAsked, None, "02:09:10")),
        ("approval_key_expired", tell(&asked(key_expired(), why), Situation::ApprovalAsked, None, "02:09:10")),
        ("reminder", tell(&asked(vault_deleted(), why), Situation::ApprovalReminder, None, "02:16:10")),
        ("deadline_unanswered", tell(&late, Situation::DeadlineNear, None, "02:26:10")),
        (
            "deadline_blocked",
            tell(&key_purged(), Situation::DeadlineNear, Some("no remedy is automatic for this cause"), "02:26:10"),
        ),
    ]
}

fn changes() -> Vec<(&'static str, Notice)> {
    let mut made = role_missing();
    made.attempts = vec![attempt(&made, Some(AttemptOutcome::Made { at: at("02:14:22") }))];
    made.phase = Phase::Propagating;
    let mut over = still_inaccessible();
    over.notices.push(Told::of(&tell(&vault_deleted(), Situation::Diagnosed, None, "02:09:04")));
    over.broken = vault_deleted().diagnosis;
    over.window_said_over = true;
    over.phase = Phase::Revalidating;
    over.attempts = vec![Attempt { before_after: Vec::new(), ..attempt(&over, None) }];
    over.attempts[0].intended_at = at("02:53:12");
    let mut told = tell(&over, Situation::WindowOver, None, "02:53:20");
    told.lost_settings = lost();
    vec![
        ("change_made_role", tell(&made, Situation::ChangeMade, None, "02:14:30")),
        ("window_over", tell(&over, Situation::WindowOver, None, "02:53:20")),
        ("window_over_settings_known", told),
    ]
}

fn lost() -> Vec<LostSetting> {
    let setting = |name: &str, setting: &str, before: &str, now: &str| LostSetting {
        database: DatabaseRef { server: server("contoso-sql"), name: name.to_owned() },
        setting: setting.to_owned(),
        before: before.to_owned(),
        now: now.to_owned(),
    };
    vec![
        setting("orders", "failover group", "fg-orders (partner contoso-sql-neu)", ""),
        setting("orders", "tags", "cost-center=4711, owner=dba", ""),
        setting("billing", "long-term retention", "weekly P4W, yearly P7Y in week 1", "off"),
    ]
}

/// Two settings that Azure dropped: one is back, one needs a person.
fn restoration() -> Restoration {
    let database = DatabaseRef { server: server("contoso-sql"), name: "orders".to_owned() };
    let item = |setting: &str, before: &str, now: &str, fate| Item {
        database: database.clone(),
        setting: setting.to_owned(),
        before: before.to_owned(),
        now: now.to_owned(),
        fate,
    };
    let tags = Setting::Tags { tags: [("owner".to_owned(), "sales".to_owned())].into() };
    let why = "the elastic pool is full".to_owned();
    Restoration {
        items: vec![
            item("tag owner", "sales", "none", Fate::PutBack { at: at("03:45:10") }),
            item("elastic pool", "pool-weu", "none", Fate::Left { why, by_hand: Some(tags) }),
        ],
        ended_at: Some(at("03:50:00")),
        ..Restoration::of(std::collections::BTreeSet::new(), at("03:41:00"))
    }
}

fn endings() -> Vec<(&'static str, Notice)> {
    let mut healed = role_missing();
    let first = tell(&healed, Situation::Diagnosed, None, "02:09:04");
    healed.notices.push(Told::of(&first));
    healed.broken.clone_from(&healed.diagnosis);
    healed.attempts = vec![attempt(&healed, Some(AttemptOutcome::Made { at: at("02:14:22") }))];
    healed.whole_since = Some(at("02:22:00"));
    for (clock, kind, text) in [
        ("02:07:31", EntryKind::Noticed, "Azure reported that orders lost access to its key"),
        (
            "02:09:02",
            EntryKind::Checked,
            "the server's role on tde-key is missing; deploy-pipeline removed it at 02:03",
        ),
        ("02:14:22", EntryKind::Changed, "granted contoso-sql the role on tde-key"),
        ("02:24:09", EntryKind::Verified, "orders, billing and web are Online"),
        ("02:24:09", EntryKind::Ended, "every database is back"),
    ] {
        healed.note(at(clock), kind, text);
    }
    if let Some(diagnosis) = &mut healed.diagnosis {
        diagnosis.findings = vec![finding(Cause::Healthy, &server("contoso-sql").to_string(), Vec::new(), &[])];
        diagnosis.culprit = None;
    }
    healed.members.values_mut().for_each(|member| member.inaccessible.clear());
    healed.phase = Phase::Healed;
    let mut late = tell(&healed, Situation::Resolved, None, "03:40:00");
    late.window_over = true;
    late.lost_settings = lost();
    let mut restored = healed.clone();
    restored.ended_at = Some(at("03:40:00"));
    restored.restoration = Some(restoration());
    let mut alone = healed.clone();
    alone.attempts.clear();
    alone.timeline.retain(|entry| entry.kind != EntryKind::Changed);
    vec![
        ("settings_restored", tell(&restored, Situation::SettingsRestored, None, "03:50:00")),
        ("resolved", tell(&healed, Situation::Resolved, None, "02:24:09")),
        ("resolved_after_window", late),
        ("recovered_without_us", tell(&alone, Situation::RecoveredWithoutUs, None, "02:24:09")),
    ]
}

fn escalated(mut incident: Incident, reason: NeedsPerson, why: &str) -> Notice {
    incident.needs_person = Some((reason, why.to_owned()));
    incident.phase = Phase::Escalated;
    tell(&incident, Situation::Escalated, Some(why), "02:15:05")
}

/// An incident of Keymend's own queue.
fn about_nothing() -> Incident {
    let id = IncidentId("km-20261124-0207-7f3k".to_owned());
    Incident::open(id, IncidentKey("queue".to_owned()), 30, at("02:07:31"))
}

fn set_aside(incident: Incident, job: Option<&str>) -> Notice {
    let why = "what was being done failed too often";
    let notice = escalated(incident, NeedsPerson::SetAside, why);
    Notice { retry: job.map(str::to_owned), next_message_at: None, ..notice }
}

fn calls() -> Vec<(&'static str, Notice)> {
    let mut held = vault_deleted();
    held.gates = vec![GateHit {
        gate: Gate::Held,
        why: "ada@contoso.example has taken this incident over since 02:14 UTC".to_owned(),
        hard: true,
    }];
    let mut refused = vault_deleted();
    refused.attempts = vec![Attempt {
        before_after: Vec::new(),
        ..attempt(
            &refused,
            Some(AttemptOutcome::Failed {
                at: at("02:14:22"),
                code: "AuthorizationFailed".to_owned(),
                why: "The client does not have authorization to perform action 'Microsoft.KeyVault/vaults/write'"
                    .to_owned(),
            }),
        )
    }];
    let mut revoked = key_disabled();
    revoked.gates = vec![GateHit {
        gate: Gate::DeliberateRevocation,
        why: "access policy removed at 02:01 UTC, key disabled at 02:03 UTC, lock added at 02:04 UTC".to_owned(),
        hard: true,
    }];
    let mut rejected = asked(vault_deleted(), "policy asks");
    if let Some(approval) = &mut rejected.approval {
        approval.decision =
            Some(ApprovalDecision { approved: false, by: "bob@contoso.example".to_owned(), at: at("02:13:40") });
    }
    let right = "Keymend may not write the vault";
    vec![
        ("escalated_missing_right", escalated(refused, NeedsPerson::MissingRight, right)),
        ("escalated_gate", escalated(revoked, NeedsPerson::Gate, "this looks like a deliberate revocation")),
        ("escalated_key_purged", escalated(key_purged(), NeedsPerson::NoRemedy, "the key cannot be recovered")),
        ("escalated_undetermined", escalated(undetermined(), NeedsPerson::Undetermined, "rights are missing")),
        ("escalated_rejected", escalated(rejected, NeedsPerson::NotApproved, "the plan was rejected")),
        (
            "escalated_not_verified",
            escalated(still_inaccessible(), NeedsPerson::NotVerified, "re-validated at 02:53 UTC, still inaccessible"),
        ),
        (
            "held",
            escalated(held, NeedsPerson::Held, "ada@contoso.example has taken this incident over since 02:14 UTC"),
        ),
        ("escalated_set_aside", set_aside(vault_deleted(), Some("pass:km-20261124-0207-7f3k"))),
        ("escalated_message_unreadable", set_aside(about_nothing(), None)),
    ]
}

/// One vault under 40 servers with 10 databases each.
pub fn storm() -> Incident {
    let mut incident = vault_deleted();
    incident.members = BTreeMap::new();
    for place in 0..40 {
        let member = incident.add_member(&server(&format!("contoso-sql-{place:02}")), Some(key()));
        for database in 0..10 {
            member.databases.insert(format!("tenant-{place:02}-{database}"));
            member.inaccessible.insert(format!("tenant-{place:02}-{database}"));
        }
    }
    let servers: Vec<ResourceId> = incident.servers().cloned().collect();
    if let Some(diagnosis) = &mut incident.diagnosis {
        diagnosis.findings[0].servers = servers;
    }
    incident
}

fn storms() -> Vec<(&'static str, Notice)> {
    let mut made = storm();
    let servers: Vec<ResourceId> = made.servers().cloned().collect();
    made.attempts = servers
        .iter()
        .map(|server| Attempt {
            change: Change::AssignRole {
                vault: vault(),
                key: "tde-key".to_owned(),
                grant: GrantTo { server: server.clone(), ..grant() },
                role: CRYPTO_SERVICE_ENCRYPTION_USER.to_owned(),
            },
            ..attempt(&made, Some(AttemptOutcome::Made { at: at("02:14:22") }))
        })
        .collect();
    made.phase = Phase::Propagating;
    vec![
        ("storm_first_notice", tell(&storm(), Situation::FirstNotice, None, "02:08:10")),
        ("storm_approval", tell(&asked(storm(), "policy asks"), Situation::ApprovalAsked, None, "02:09:10")),
        ("storm_change_made", tell(&made, Situation::ChangeMade, None, "02:14:30")),
    ]
}

/// Every sample, by name.
pub fn all() -> Vec<(&'static str, Notice)> {
    let observed = tell(
        &key_disabled(),
        Situation::ObservedOnly,
        Some("the preset is observe: nothing is written to Azure"),
        "02:09:10",
    );
    let mut all = vec![("observed_key_disabled", observed)];
    for group in [first_notices(), diagnoses(), questions(), changes(), endings(), calls(), storms(), expiring()] {
        all.extend(group);
    }
    all
}
