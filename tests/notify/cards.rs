//! The cards: word for word, and the rules that Teams does not check until it is too late.

use insta::assert_json_snapshot;
use keymend::domain::database_ref::DatabaseRef;
use keymend::domain::diagnosis::{Cause, Proof};
use keymend::domain::incident::AttemptOutcome;
use keymend::domain::notice::Notice;
use keymend::notify::card::{LARGEST, envelope};
use keymend::notify::event;
use keymend::notify::links::{Links, Pages};
use keymend::notify::secret::Secret;
use keymend::notify::signed_link::LinkKeys;
use keymend::notify::{Trial, TrialMessage};
use proptest::prelude::*;
use serde_json::Value;

use crate::samples;

const ELEMENTS: [&str; 9] = [
    "AdaptiveCard",
    "Container",
    "ColumnSet",
    "Column",
    "TextBlock",
    "RichTextBlock",
    "TextRun",
    "Action.OpenUrl",
    "Action.ToggleVisibility",
];

fn links() -> Links {
    Links::new(
        "portal.azure.com",
        Some("99999999-8888-7777-6666-555555555555"),
        Some("https://wiki.contoso.example/tde"),
    )
    .unwrap()
    .with_pages(Some(Pages {
        url: "https://keymend.contoso.example".parse().unwrap(),
        keys: LinkKeys::new(&[Secret::new("a secret of these tests alone, thirty-two bytes and more")]).unwrap(),
    }))
}

/// Every object of the card that has a type, the card itself first.
fn elements(value: &Value) -> Vec<&Value> {
    let mut all = Vec::new();
    if value.get("type").is_some() {
        all.push(value);
    }
    match value {
        Value::Array(list) => all.extend(list.iter().flat_map(elements)),
        Value::Object(map) => all.extend(map.values().flat_map(elements)),
        _ => {}
    }
    all
}

fn of_kind<'a>(card: &'a Value, kind: &str) -> Vec<&'a Value> {
    elements(card).into_iter().filter(|element| element["type"] == kind).collect()
}

/// What must hold for every card, whatever it tells. Answers the card.
fn obeys_the_rules(notice: &Notice) -> Value {
    let body = envelope(notice, None, &links());
    let size = body.to_string().len();
    assert!(size <= LARGEST, "{size} bytes");
    assert_eq!(body["type"], "message");
    assert_eq!(body["attachments"].as_array().map(Vec::len), Some(1));
    let card = body["attachments"][0]["content"].clone();
    assert_eq!(card["version"], "1.5");
    assert_eq!(card["msteams"]["width"], "Full");
    assert!(card["fallbackText"].as_str().is_some_and(|text| text.contains("Keymend")));
    for element in elements(&card) {
        let kind = element["type"].as_str().unwrap_or_default();
        assert!(ELEMENTS.contains(&kind), "{kind} is not known to work in Teams");
    }
    for block in of_kind(&card, "TextBlock") {
        assert_eq!(block["wrap"], true, "{block}");
        let text = block["text"].as_str().unwrap_or_default();
        assert!(!text.is_empty() && !text.contains(['*', '_', '[', '`', '<', '#', '~', '@']), "{text:?} is Markdown");
    }
    for block in of_kind(&card, "RichTextBlock") {
        assert!(block["inlines"].as_array().is_some_and(|runs| !runs.is_empty()), "an empty block: {card}");
    }
    let actions = card["actions"].as_array().cloned().unwrap_or_default();
    assert!((1..=4).contains(&actions.len()), "{} actions", actions.len());
    for action in of_kind(&card, "Action.OpenUrl") {
        assert!(action["url"].as_str().is_some_and(|url| url.starts_with("https://")), "{action}");
    }
    for action in of_kind(&card, "Action.ToggleVisibility") {
        let target = action["targetElements"][0].clone();
        assert!(elements(&card).iter().any(|element| element["id"] == target), "{target} is nowhere");
    }
    card
}

/// Puts a text into every place of a notice that holds words from outside.
fn poison(notice: &mut Notice, text: &str) {
    let owned = || text.to_owned();
    notice.reason = Some(owned());
    notice.vault = Some(owned());
    notice.databases.iter_mut().chain(&mut notice.down).for_each(|database| database.name = owned());
    notice.gates.iter_mut().for_each(|hit| hit.why = owned());
    notice.timeline.iter_mut().for_each(|entry| entry.text = owned());
    if let Some(approval) = &mut notice.approval {
        approval.why = owned();
        if let Some(decision) = &mut approval.decision {
            decision.by = owned();
        }
    }
    if let Some(diagnosis) = &mut notice.diagnosis {
        diagnosis.unknowns = vec![owned(); 3];
        diagnosis.checks.iter_mut().for_each(|check| check.said = owned());
        for finding in &mut diagnosis.findings {
            finding.resource = owned();
            finding.proof.iter_mut().for_each(|proof| (proof.probe, proof.said) = (owned(), owned()));
        }
        for right in &mut diagnosis.missing_rights {
            (right.action, right.scope) = (owned(), owned());
        }
        if let Some(culprit) = &mut diagnosis.culprit {
            (culprit.who, culprit.operation, culprit.target) = (Some(owned()), owned(), owned());
            culprit.correlation_id = Some(owned());
        }
    }
    for attempt in &mut notice.attempts {
        attempt.correlation_id = Some(owned());
        attempt.before_after = vec![(owned(), owned(), owned())];
        if let Some(AttemptOutcome::Failed { code, why, .. }) = &mut attempt.outcome {
            (*code, *why) = (owned(), owned());
        }
    }
    for lost in &mut notice.lost_settings {
        (lost.database.name, lost.setting, lost.before, lost.now) = (owned(), owned(), owned(), owned());
    }
}

#[test]
fn every_situation_as_a_card() {
    for (name, notice) in samples::all() {
        assert_json_snapshot!(format!("card_{name}"), envelope(&notice, None, &links()));
    }
}

#[test]
fn a_message_about_no_incident_as_a_card() {
    for (name, trial) in [("heartbeat", Trial::Heartbeat), ("test", Trial::Test)] {
        let message = TrialMessage {
            trial,
            id: "kmtest-20261124-0700-7f3k".to_owned(),
            at: samples::at("07:00:00"),
            sender: "func-keymend-weu".to_owned(),
        };
        assert_json_snapshot!(format!("card_{name}"), keymend::notify::card::trial(&message));
    }
}

#[test]
fn every_card_obeys_the_rules() {
    for (name, notice) in samples::all() {
        println!("{name}");
        obeys_the_rules(&notice);
    }
}

#[test]
fn hostile_text_is_never_read_as_markup() {
    let hostile = [
        "_evil_ *bold*",
        "[evil](https://evil.example)",
        "<b>evil</b><at>all</at>",
        "evil\u{202e}gpj.exe",
        "evil 🔥👩‍👩‍👧 שלום",
        "# evil\n- list\n```",
        "evil {{DATE(2026-11-24T02:07:31Z)}}",
    ];
    for text in hostile {
        for (name, mut notice) in samples::all() {
            poison(&mut notice, text);
            println!("{name}: {text}");
            let card = obeys_the_rules(&notice);
            for block in of_kind(&card, "TextBlock") {
                assert!(!block.to_string().contains("evil"), "{block}");
            }
            let fallback = card["fallbackText"].to_string();
            assert!(
                !fallback.contains(['*', '_', '[', '<', '`', '{']) && !fallback.contains("evil.example"),
                "{fallback}"
            );
            assert!(!card.to_string().contains('\u{202e}'), "a direction override got through");
            assert!(of_kind(&card, "Action.OpenUrl").iter().all(|action| !action.to_string().contains("evil.example")));
        }
    }
}

#[test]
fn the_largest_storm_with_the_longest_texts_fits() {
    for long in ["x".repeat(1000), "\u{1F525}".repeat(1000), "\"\\".repeat(500)] {
        for (name, mut notice) in samples::all() {
            let many = samples::storm();
            notice.servers = many.servers().cloned().collect();
            notice.databases = many.inaccessible();
            notice.down = many.inaccessible();
            poison(&mut notice, &long);
            println!("{name}");
            obeys_the_rules(&notice);
            let event = event::event(&notice, "urn:keymend").len();
            assert!(event <= event::LARGEST, "{event} bytes");
        }
    }
}

#[test]
fn details_go_first_and_the_decision_stays() {
    let (_, mut notice) = samples::all().into_iter().find(|(name, _)| *name == "approval_firewalled").unwrap();
    let whole = obeys_the_rules(&notice).to_string();
    assert!(whole.contains("How we know") && whole.contains("Details"));
    let server = notice.servers[0].clone();
    notice.databases =
        (0..53).map(|number| DatabaseRef { server: server.clone(), name: format!("tenant-{number}") }).collect();
    notice.down = notice.databases.clone();
    if let Some(diagnosis) = &mut notice.diagnosis {
        let proof = Proof { probe: "vault".to_owned(), said: "\u{1F525}".repeat(400) };
        diagnosis.findings[0].proof = vec![proof; 40];
        diagnosis.unknowns = vec!["\u{1F525}".repeat(400); 10];
    }
    let short = obeys_the_rules(&notice).to_string();
    assert!(!short.contains("How we know") && !short.contains("\"Details\""), "details were kept");
    assert!(short.contains("and 43 more"), "the list of databases says how many it leaves out");
    for kept in ["APPROVAL NEEDED by 02:23 UTC", "AzureServices", "keymend incidents approve km-20261124-0207-7f3k"] {
        assert!(short.contains(kept), "{kept} was lost");
    }
}

#[test]
fn a_storm_is_told_by_its_numbers() {
    let (_, notice) = samples::all().into_iter().find(|(name, _)| *name == "storm_first_notice").unwrap();
    let card = obeys_the_rules(&notice).to_string();
    assert!(card.contains("400 databases on 40 servers have lost their encryption key"), "{card}");
    assert!(card.contains("and 30 more servers"), "{card}");
}

/// Against Microsoft's schema of version 1.5, which does not know `msteams`.
#[test]
fn cards_hold_against_the_published_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/openapi/adaptive-card-1.5.0.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("SKIPPED: {path} is not there");
        return;
    };
    let schema: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
    let mut schema = schema;
    schema["$ref"] = Value::from("#/definitions/AdaptiveCard");
    let validator = jsonschema::draft6::new(&schema).unwrap();
    for (name, notice) in samples::all() {
        let mut card = envelope(&notice, None, &links())["attachments"][0]["content"].clone();
        card.as_object_mut().unwrap().remove("msteams");
        let faults: Vec<String> =
            validator.iter_errors(&card).map(|fault| format!("{}: {fault}", fault.instance_path)).collect();
        assert!(faults.is_empty(), "{name}: {faults:#?}");
        card["body"][0]["style"] = Value::from("#ff0000");
        assert!(!validator.is_valid(&card), "the schema has no teeth");
    }
}

#[test]
fn every_cause_has_its_words() {
    let all: Vec<Cause> = serde_json::from_value(serde_json::json!([
        "target_gone",
        "service_managed",
        "managed_hsm",
        "database_level_key",
        "identity_missing",
        "identity_deleted",
        "cross_tenant",
        "vault_deleted",
        "vault_absent",
        "vault_perimeter",
        "vault_firewalled",
        "private_endpoint_pending",
        "vault_unreachable",
        "key_deleted",
        "key_purged",
        "key_replaced",
        "key_disabled",
        "key_expired",
        "key_expiring",
        "key_not_yet_valid",
        "key_operations_restricted",
        "key_unsupported",
        "deny_assignment",
        "policy_missing",
        "role_missing",
        "permission_model_switched",
        "server_key_missing",
        "still_inaccessible",
        "healthy",
        "undetermined"
    ]))
    .unwrap();
    for (_, mut notice) in samples::all() {
        for cause in &all {
            notice.cause = Some(*cause);
            if let Some(diagnosis) = &mut notice.diagnosis {
                diagnosis.findings[0].cause = *cause;
                diagnosis.findings[0].changes.clear();
            }
            notice.plan = None;
            obeys_the_rules(&notice);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_names_make_a_card_that_obeys(text in "\\PC{0,1200}", which in 0usize..64) {
        let mut all = samples::all();
        let (_, mut notice) = all.swap_remove(which % all.len());
        poison(&mut notice, &text);
        obeys_the_rules(&notice);
    }
}
