//! The world itself: what is decided about it, and the ways to break it.

use super::*;

/// Evidence, incident, policy, memory and the time, all healthy: one server with three databases, whose key is in an
/// RBAC vault.
#[derive(Debug, Clone)]
pub struct World {
    pub evidence: Evidence,
    pub incident: Incident,
    pub policy: Policy,
    pub memory: Memory,
    pub now: Timestamp,
}

impl World {
    pub fn diagnosis(&self) -> Diagnosis {
        diagnose(&self.evidence, &self.incident, &self.policy)
    }

    pub fn decide(&self) -> (Decision, Vec<GateHit>) {
        let diagnosis = self.diagnosis();
        decide(&Situation {
            evidence: &self.evidence,
            diagnosis: &diagnosis,
            incident: &self.incident,
            memory: &self.memory,
            policy: &self.policy,
            now: self.now,
        })
    }

    /// The plan of the first finding, whatever stands in its way.
    pub fn plan(&self) -> Plan {
        let finding = self.diagnosis().findings.remove(0);
        Plan {
            cause: finding.cause,
            remedy: finding.changes.first().expect("a change").remedy(),
            changes: finding.changes,
            servers: finding.servers,
        }
    }

    pub fn hits(&self) -> Vec<GateHit> {
        self.hits_of(&self.plan())
    }

    pub fn hits_of(&self, plan: &Plan) -> Vec<GateHit> {
        let diagnosis = self.diagnosis();
        crate::domain::gates::hits(
            plan,
            &Situation {
                evidence: &self.evidence,
                diagnosis: &diagnosis,
                incident: &self.incident,
                memory: &self.memory,
                policy: &self.policy,
                now: self.now,
            },
        )
    }

    pub fn preset(mut self, preset: Preset) -> Self {
        self.policy.preset = preset;
        self
    }

    pub fn vault_evidence(&mut self) -> &mut VaultEvidence {
        self.evidence.vault.as_mut().expect("a vault")
    }

    pub fn vault(&mut self) -> &mut Vault {
        match &mut self.vault_evidence().vault {
            Fact::Known(vault) => vault,
            other => panic!("the vault is {other:?}"),
        }
    }

    pub fn server(&mut self) -> &mut ServerEvidence {
        &mut self.evidence.servers[0]
    }

    pub fn server_facts(&mut self) -> &mut Server {
        match &mut self.server().server {
            Fact::Known(server) => server,
            other => panic!("the server is {other:?}"),
        }
    }

    pub fn version(&mut self) -> &mut KeyVersion {
        match &mut self.evidence.keys[0].version {
            Fact::Known(version) => version,
            other => panic!("the key version is {other:?}"),
        }
    }

    /// The same world with an access-policy vault.
    pub fn use_policies(&mut self) {
        let names: Vec<String> = self.evidence.servers.iter().map(|server| server.id.name().to_owned()).collect();
        self.vault().rbac = false;
        self.vault().access_policies =
            names.iter().map(|name| access_policy(&principal(name), &["get", "wrapkey", "unwrapkey"])).collect();
        self.vault_evidence().grants = Fact::Unknown("not asked".to_owned());
        self.vault_evidence().denials = Fact::Unknown("not asked".to_owned());
    }

    pub fn use_identity(&mut self, name: &str) {
        let principal = principal(name);
        self.server_facts().identity = Identity {
            system_principal_id: None,
            tenant_id: Some(TENANT.to_owned()),
            user_assigned: vec![UserAssignedIdentity {
                id: identity_id(name),
                principal_id: Some(principal.clone()),
                resource: Fact::Known(principal.clone()),
            }],
            primary: Some(identity_id(name)),
        };
        self.vault_evidence().grants = Fact::Known(vec![grant(&principal)]);
    }

    pub fn set_status(&mut self, status: &str) {
        for server in &mut self.evidence.servers {
            if let Fact::Known(databases) = &mut server.databases {
                for database in databases {
                    status.clone_into(&mut database.status);
                }
            }
        }
    }

    /// Adds an older key or version that is linked to the first server. As a probe does, it is read once, whoever asks.
    pub fn link_older(&mut self, uri: &KeyUri) -> &mut KeyEvidence {
        if let Some(known) = self.evidence.keys.iter().position(|key| key.uri == *uri) {
            return &mut self.evidence.keys[known];
        }
        if let Fact::Known(keys) = &mut self.server().linked_keys {
            keys.push(linked(uri));
        }
        self.evidence.keys.push(key_evidence(uri));
        self.evidence.keys.last_mut().expect("just added")
    }

    pub fn lose_roles(&mut self) {
        self.vault_evidence().grants = Fact::Known(Vec::new());
    }

    pub fn delete_vault(&mut self) {
        let seen = self.vault_evidence();
        seen.vault = Fact::Absent;
        seen.deleted = Fact::Known(DeletedVault {
            vault_id: vault_id(),
            location: "westeurope".to_owned(),
            deleted_at: Some(at("2026-11-24T02:00:00Z")),
            purge_at: Some(at("2027-02-22T02:00:00Z")),
            tags: BTreeMap::new(),
        });
        seen.grants = Fact::Unknown("the vault is gone".to_owned());
        seen.denials = Fact::Unknown("the vault is gone".to_owned());
        seen.reachable = Fact::Known(false);
        for key in &mut self.evidence.keys {
            key.version = Fact::Unknown("the vault is gone".to_owned());
            key.exists = Fact::Unknown("the vault is gone".to_owned());
            key.deleted = Fact::Unknown("the vault is gone".to_owned());
            key.versions.clear();
        }
    }

    pub fn delete_key(&mut self) {
        for key in &mut self.evidence.keys {
            key.version = Fact::Absent;
            key.exists = Fact::Known(false);
            key.versions.clear();
            key.deleted = Fact::Known(DeletedKey {
                deleted_at: Some(at("2026-11-24T02:01:00Z")),
                purge_at: Some(at("2027-02-22T02:01:00Z")),
                tags: BTreeMap::new(),
            });
        }
    }

    pub fn close_firewall(&mut self) {
        let network = &mut self.vault().network;
        network.default_deny = true;
        network.trusted_services_bypass = false;
        network.acls = json!({"bypass": "None", "defaultAction": "Deny", "ipRules": [{"value": "203.0.113.0/24"}]});
    }

    pub fn log(&mut self, operation: &str, target: &str, caller: &str, kind: CallerKind, when: &str) {
        self.evidence.changes.push(Change {
            at: at(when),
            caller: Some(caller.to_owned()),
            caller_ids: vec![format!("oid-of-{caller}")],
            caller_kind: kind,
            operation: operation.to_owned(),
            target: target.to_owned(),
            correlation_id: Some(format!("{operation}-{when}")),
        });
    }

    pub fn log_role_removal(&mut self, caller: &str, kind: CallerKind, when: &str) {
        let target = format!("{}/providers/Microsoft.Authorization/roleAssignments/a1", vault_id());
        self.log("microsoft.authorization/roleassignments/delete", &target, caller, kind, when);
    }

    pub fn lock(&mut self, scope: &ResourceId) {
        let lock = Lock { name: "freeze".to_owned(), scope: scope.clone(), read_only: true };
        match &mut self.evidence.locks {
            Fact::Known(locks) => locks.push(lock),
            other => *other = Fact::Known(vec![lock]),
        }
    }

    pub fn deny(&mut self, principal: &str) {
        let denial = Denial {
            name: "no-keys".to_owned(),
            principals: vec![principal.to_owned()],
            excluded: Vec::new(),
            denies_keys: true,
        };
        self.vault_evidence().denials = Fact::Known(vec![denial]);
    }

    pub fn attempt(&mut self, change: remedy::Change, minutes_ago: i64, outcome: Option<AttemptOutcome>) {
        let number = u32::try_from(self.incident.attempts.len()).unwrap_or_default() + 1;
        self.incident.attempts.push(Attempt {
            number,
            change,
            plan_hash: String::new(),
            intended_at: self.ago(minutes_ago),
            outcome,
            operation: None,
            correlation_id: None,
            before_after: Vec::new(),
        });
    }

    pub fn made(&self, minutes_ago: i64) -> Option<AttemptOutcome> {
        Some(AttemptOutcome::Made { at: self.ago(minutes_ago) })
    }

    pub fn failed(&self, code: &str, minutes_ago: i64) -> Option<AttemptOutcome> {
        Some(AttemptOutcome::Failed {
            at: self.ago(minutes_ago),
            code: code.to_owned(),
            why: format!("Azure said {code}"),
        })
    }

    pub fn ago(&self, count: i64) -> Timestamp {
        crate::clock::add(self.now, minutes(-count))
    }

    /// Time goes on, and the world is looked at again.
    pub fn pass(&mut self, count: i64) {
        self.now = crate::clock::add(self.now, minutes(count));
        self.evidence.taken_at = self.now;
    }

    pub fn answer(&mut self, plan: &Plan, approved: bool) {
        self.incident.approval = Some(Approval {
            plan: plan.clone(),
            plan_hash: plan.hash(),
            why: "policy asks".to_owned(),
            asked_at: self.ago(1),
            answer_by: crate::clock::add(self.now, minutes(10)),
            reminders: 0,
            decision: Some(ApprovalDecision { approved, by: "dana@contoso.example".to_owned(), at: self.now }),
        });
    }
}
