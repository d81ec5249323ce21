//! Names that somebody else chose stay text, wherever they stand.

use jiff::Timestamp;
use keymend::domain::diagnosis::{Cause, Check, Culprit, Diagnosis, Finding, Link, LinkState, Proof};
use keymend::domain::evidence::CallerKind;
use keymend::domain::incident::{
    Approval, Attempt, AttemptOutcome, EntryKind, Incident, IncidentId, IncidentKey, Phase,
};
use keymend::domain::key_uri::VaultHost;
use keymend::domain::notice::{Situation, Told};
use keymend::domain::plan::{Gate, GateHit, NeedsPerson, Plan};
use keymend::domain::remedy::{Change, Remedy};
use keymend::domain::resource_id::ResourceId;
use keymend::notify::links::Links;
use keymend::web::pages::{Access, Site};
use proptest::prelude::*;

use crate::stage::{channel, doors, read};

const EVIL: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}gnp\u{0}&lt;javascript:alert(3)";

/// An incident with `evil` in every place where a text from outside can stand.
pub fn incident(evil: &str, phase: Phase, now: Timestamp) -> Incident {
    let own = |text: &str| format!("{text} {evil}");
    let host = VaultHost::parse("contoso-kv.vault.azure.net").unwrap();
    let server =
        ResourceId::parse("/subscriptions/s/resourceGroups/rg/providers/Microsoft.Sql/servers/contoso-sql").unwrap();
    let vault =
        ResourceId::parse("/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/contoso-kv").unwrap();
    let mut incident =
        Incident::open(IncidentId("km-20261124-0202-evil".to_owned()), IncidentKey::vault(&host), 30, now);
    incident.vault = Some(host);
    incident.vault_id = Some(vault.clone());
    let member = incident.add_member(&server, None);
    member.observed_at = Some(now);
    member.databases = (0..20).map(|number| own(&number.to_string())).collect();
    member.inaccessible = member.databases.iter().take(3).cloned().collect();
    let change = Change::RecoverVault { vault: vault.clone(), location: own("loc"), tenant_id: own("tenant") };
    let plan = Plan {
        cause: Cause::VaultDeleted,
        remedy: Remedy::RecoverVault,
        changes: vec![change.clone()],
        servers: vec![server.clone()],
    };
    let culprit = Culprit {
        who: Some(own("who")),
        ids: vec![own("id")],
        kind: CallerKind::Person,
        at: now,
        operation: own("operation"),
        target: own("target"),
        correlation_id: Some(own("correlation")),
    };
    let finding = Finding {
        cause: Cause::VaultDeleted,
        resource: own("resource"),
        servers: vec![server],
        proof: vec![Proof { probe: own("probe"), said: own("said") }],
        changes: vec![change.clone()],
        purge_at: None,
        since: Some(now),
    };
    incident.diagnosis = Some(Diagnosis {
        at: now,
        findings: vec![finding],
        checks: vec![Check { link: Link::Vault, state: LinkState::Broken, said: own("check") }],
        culprit: Some(culprit),
        protective_changes: Vec::new(),
        unknowns: vec![own("unknown")],
        missing_rights: Vec::new(),
        inaccessible: Vec::new(),
    });
    incident.broken.clone_from(&incident.diagnosis);
    incident.root_cause = Some(Cause::VaultDeleted);
    incident.gates = vec![GateHit { gate: Gate::MadeByPerson, why: own("gate"), hard: true }];
    incident.needs_person = Some((NeedsPerson::Gate, own("needs")));
    incident.approval = Some(Approval {
        plan_hash: own("hash"),
        plan,
        why: own("why"),
        asked_at: now,
        answer_by: now + crate::stage::minutes(20),
        decision: None,
        reminders: Default::default(),
    });
    incident.attempts.push(Attempt {
        number: 1,
        change,
        plan_hash: own("hash"),
        intended_at: now,
        outcome: Some(AttemptOutcome::Failed { at: now, code: own("code"), why: own("failed") }),
        operation: Some(own("operation")),
        correlation_id: Some(own("correlation")),
        before_after: vec![(own("property"), own("before"), own("after"))],
    });
    incident.notices.push(Told {
        id: own("notice"),
        sequence: 1,
        situation: Situation::FirstNotice,
        at: now,
        cause: None,
        needs_person: None,
        plan_hash: None,
        made_hash: None,
        kept: own("kept"),
    });
    incident.note(now, EntryKind::Noticed, own("story"));
    incident.phase = phase;
    if phase.is_end() {
        incident.finish(phase, own("end"), now);
    }
    incident
}

/// The tags of a page, and the names of their attributes; fails on what a browser would not read the same way.
fn tags(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let end = rest[start..].find('>').map(|end| start + end).expect("every tag is closed");
        found.push(rest[start + 1..end].to_owned());
        rest = &rest[end + 1..];
    }
    found
}

fn check(page: &str) {
    for tag in tags(page) {
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap();
        assert_ne!(name, "img", "{tag}");
        assert!(
            name != "script" || tag == "/script" || tag.starts_with("script src=\"/api/assets/keymend.js?v="),
            "{tag}"
        );
        // Between quotes it is text; outside of them it would be an attribute.
        let bare: String = tag.split('"').step_by(2).collect();
        assert!(!bare.contains("onerror"), "{tag}");
        assert!(!tag.contains("href=\"javascript"), "{tag}");
        assert!(tag.matches('"').count().is_multiple_of(2), "{tag}");
    }
    assert!(!page.contains(['\u{202e}', '\u{0}']), "nothing turns the direction of writing around");
}

#[tokio::test]
async fn hostile_names_stay_text_in_every_phase() {
    let now: Timestamp = "2026-11-24T02:10:00Z".parse().unwrap();
    let phases = [Phase::Opened, Phase::Diagnosed, Phase::AwaitingApproval, Phase::Mending, Phase::Propagating];
    let rest = [Phase::AtRisk, Phase::Revalidating, Phase::Verifying, Phase::Escalated, Phase::Healed, Phase::Closed];
    for phase in phases.into_iter().chain(rest) {
        let site = Site::new(Access::Open { here_only: false }, Links::default(), None, vec![channel(EVIL)]);
        let address = doors(site, &[incident(EVIL, phase, now)], now).await;
        let page = read(&format!("{address}/api/incidents/km-20261124-0202-evil")).await;
        assert_eq!(page.status, 200, "{phase:?}");
        check(&page.text);
        page.says("<script>alert(1)</script>");
        check(&read(&format!("{address}/api/incidents")).await.text);
        for path in [
            "?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
            "/%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E",
            "/x?t=%22%3E%3Cimg%3E",
        ] {
            check(&read(&format!("{address}/api/incidents{path}")).await.text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_text_breaks_out(evil in "[ -~\u{80}-\u{2fff}<>\"'&]{0,60}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let now: Timestamp = "2026-11-24T02:10:00Z".parse().unwrap();
            let site = Site::new(Access::Open { here_only: false }, Links::default(), None, Vec::new());
            let address = doors(site, &[incident(&evil, Phase::Escalated, now)], now).await;
            let page = read(&format!("{address}/api/incidents/km-20261124-0202-evil")).await;
            let known = |tag: &String| tag.is_ascii() || tag.contains('"');
            prop_assert!(tags(&page.text).iter().all(known));
            check(&page.text);
            Ok(())
        })?;
    }
}
