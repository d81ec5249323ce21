//! `keymend replay` over bodies of every shape, run as people run it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What a body must be taken for.
enum Expected {
    /// These signals: kind and the last two parts of the target, in lower case.
    Signals(&'static [(&'static str, &'static str)]),
    /// Ignored, for a reason that holds these words.
    Ignored(&'static str),
    /// Refused, for a reason that holds these words.
    Malformed(&'static str),
}
use Expected::{Ignored, Malformed, Signals};

const CARTS: &str = "databases/carts";
const LEDGER: &str = "databases/ledger";
const VAULT: &str = "vaults/shop-kv";
const KEY: &str = "keys/shop-tde";

const FIXTURES: &[(&str, Expected)] = &[
    ("tde/lost_common", Signals(&[("access_lost", CARTS)])),
    ("tde/lost_event_name_field", Signals(&[("access_lost", CARTS)])),
    ("tde/lost_name_in_stringified_json", Signals(&[("access_lost", CARTS)])),
    ("tde/lost_name_in_a_sentence", Signals(&[("access_lost", CARTS)])),
    ("tde/lost_description_only", Signals(&[("access_lost", CARTS)])),
    ("tde/lost_mi_2022_name", Signals(&[("access_lost", LEDGER)])),
    ("tde/lost_mi_description_only_shouted", Signals(&[("access_lost", LEDGER)])),
    ("tde/lost_2019", Signals(&[("access_lost", CARTS)])),
    ("tde/lost_several_targets", Signals(&[("access_lost", CARTS), ("access_lost", "databases/orders")])),
    ("tde/lost_target_only_in_properties", Signals(&[("access_lost", CARTS)])),
    ("tde/lost_database_with_a_blank_in_its_name", Signals(&[("access_lost", "servers/shop-sql")])),
    ("tde/lost_no_operation", Signals(&[("access_lost", CARTS)])),
    ("tde/lost_legacy", Signals(&[("access_lost", CARTS)])),
    ("tde/lost_runbook_string", Signals(&[("access_lost", CARTS)])),
    ("tde/lost_runbook_object", Signals(&[("access_lost", CARTS)])),
    ("tde/lost_storage_records", Signals(&[("access_lost", CARTS)])),
    ("tde/lost_rest", Signals(&[("access_lost", CARTS)])),
    ("tde/waiting_2019", Signals(&[("waiting_for_access", CARTS)])),
    ("tde/waiting_2019_description_only", Signals(&[("waiting_for_access", CARTS)])),
    ("tde/ended_common", Signals(&[("self_heal_ended", CARTS)])),
    ("tde/ended_mi_description_only", Signals(&[("self_heal_ended", LEDGER)])),
    ("tde/ended_legacy_without_properties", Signals(&[("self_heal_ended", CARTS)])),
    ("tde/restore_started", Signals(&[("restore_started", CARTS)])),
    ("tde/restore_started_2019_description_only", Signals(&[("restore_started", CARTS)])),
    ("tde/restore_succeeded_mi", Signals(&[("restore_succeeded", LEDGER)])),
    ("tde/restore_succeeded_mi_db", Signals(&[("restore_succeeded", LEDGER)])),
    ("tde/restore_succeeded_description_only", Signals(&[("restore_succeeded", CARTS)])),
    ("tde/restore_failed", Signals(&[("restore_failed", CARTS)])),
    ("tde/restore_failed_description_only", Signals(&[("restore_failed", CARTS)])),
    ("quirks/bare_context", Signals(&[("access_lost", CARTS)])),
    ("quirks/byte_order_mark", Signals(&[("access_lost", CARTS)])),
    ("quirks/context_alone", Signals(&[("access_lost", CARTS)])),
    ("quirks/first_target_invalid", Signals(&[("access_lost", CARTS)])),
    ("quirks/numbers_and_nulls", Signals(&[("access_lost", CARTS)])),
    ("quirks/schema_in_capitals", Signals(&[("access_lost", CARTS)])),
    ("quirks/stringified_properties", Signals(&[("access_lost", CARTS)])),
    ("quirks/target_as_a_string", Signals(&[("access_lost", CARTS)])),
    ("quirks/targets_null", Signals(&[("access_lost", CARTS)])),
    ("quirks/rule_called_test", Signals(&[("access_lost", CARTS)])),
    ("quirks/resource_group_called_test_rg", Signals(&[("access_lost", "databases/test-db")])),
    ("database/plain_write", Signals(&[("database_changed", CARTS)])),
    ("database/plain_write_started", Signals(&[("database_changed", CARTS)])),
    ("database/rule_named_like_the_event", Signals(&[("database_changed", CARTS)])),
    ("database/webhook_properties_like_the_event", Signals(&[("database_changed", CARTS)])),
    ("database/named_like_the_event", Signals(&[("database_changed", "databases/makedatabaseinaccessible")])),
    ("database/mi_unnamed_like_the_captured_event", Signals(&[("database_changed", LEDGER)])),
    ("cause/vault_delete", Signals(&[("vault_deleted", VAULT)])),
    ("cause/vault_delete_shouted", Signals(&[("vault_deleted", VAULT)])),
    ("cause/vault_delete_records", Signals(&[("vault_deleted", VAULT)])),
    ("cause/vault_purge", Signals(&[("vault_deleted", "deletedvaults/shop-kv")])),
    ("cause/hsm_delete", Signals(&[("vault_deleted", "managedhsms/shop-hsm")])),
    ("cause/operation_only_in_authorization", Signals(&[("vault_deleted", VAULT)])),
    ("cause/vault_write", Signals(&[("vault_changed", VAULT)])),
    ("cause/access_policies_write", Signals(&[("access_policy_changed", "accesspolicies/replace")])),
    ("cause/role_delete_on_vault", Signals(&[("role_assignment_changed", VAULT)])),
    ("cause/role_write_on_key", Signals(&[("role_assignment_changed", KEY)])),
    ("cause/role_write_on_group", Signals(&[("role_assignment_changed", "resourcegroups/shop-keys")])),
    (
        "cause/role_delete_on_subscription",
        Signals(&[("role_assignment_changed", "subscriptions/5e4c1f0a-7b62-4d1e-9a35-2f8d6c90b7e1")]),
    ),
    ("cause/server_write", Signals(&[("server_changed", "servers/shop-sql")])),
    ("cause/server_delete", Signals(&[("server_changed", "servers/shop-sql")])),
    ("cause/instance_write", Signals(&[("server_changed", "managedinstances/shop-mi")])),
    ("cause/protector_write", Signals(&[("protector_changed", "encryptionprotector/current")])),
    ("cause/protector_revalidate", Signals(&[("protector_changed", "encryptionprotector/current")])),
    ("cause/database_protector_revalidate", Signals(&[("protector_changed", "encryptionprotector/current")])),
    ("cause/instance_protector_write", Signals(&[("protector_changed", "encryptionprotector/current")])),
    (
        "cause/server_key_write",
        Signals(&[("server_key_changed", "keys/shop-kv_shop-tde_00112233445566778899aabbccddeeff")]),
    ),
    (
        "cause/server_key_delete",
        Signals(&[("server_key_changed", "keys/shop-kv_shop-tde_00112233445566778899aabbccddeeff")]),
    ),
    ("cause/identity_delete", Signals(&[("identity_deleted", "userassignedidentities/shop-id")])),
    ("cause/lock_delete_on_vault", Signals(&[("lock_changed", VAULT)])),
    ("cause/lock_write_on_group", Signals(&[("lock_changed", "resourcegroups/shop-keys")])),
    ("health/database_unavailable", Signals(&[("health_changed", CARTS)])),
    ("health/vault_degraded", Signals(&[("health_changed", VAULT)])),
    ("health/instance_resolved_legacy", Signals(&[("health_changed", "managedinstances/shop-mi")])),
    ("health/virtual_machine", Ignored("names no SQL server")),
    ("events/key_near_expiry", Signals(&[("key_near_expiry", KEY)])),
    ("events/key_near_expiry_cloudevent", Signals(&[("key_near_expiry", KEY)])),
    ("events/key_expired_blank_in_field_name", Signals(&[("key_expired", KEY)])),
    ("events/key_expired_name_only_in_subject", Signals(&[("key_expired", KEY)])),
    ("events/key_rotated_camel_case_single", Signals(&[("key_rotated", KEY)])),
    ("events/access_policy_changed_cloudevents_batch", Signals(&[("access_policy_changed", VAULT)])),
    ("events/access_policy_written_cloudevent", Signals(&[("access_policy_changed", "accesspolicies/add")])),
    ("events/vault_deleted", Signals(&[("vault_deleted", VAULT)])),
    ("events/role_deleted", Signals(&[("role_assignment_changed", VAULT)])),
    ("events/protector_revalidated", Signals(&[("protector_changed", "encryptionprotector/current")])),
    ("events/server_written_operation_missing", Signals(&[("server_changed", "servers/shop-sql")])),
    ("events/database_written", Signals(&[("database_changed", CARTS)])),
    ("events/batch_of_many", Signals(&[("vault_changed", VAULT), ("server_changed", "servers/shop-sql")])),
    ("ignored/vault_write_started", Ignored("not ended yet")),
    ("ignored/server_write_accepted", Ignored("not ended yet")),
    ("ignored/vault_delete_failed", Ignored("changed nothing")),
    ("ignored/vault_write_failed_event", Ignored("changed nothing")),
    ("ignored/database_write_cancelled_event", Ignored("changed nothing")),
    ("ignored/vault_secret_write", Ignored("Microsoft.KeyVault/vaults/secrets/write")),
    ("ignored/database_delete", Ignored("Microsoft.Sql/servers/databases/delete")),
    ("ignored/firewall_rule_write", Ignored("Microsoft.Sql/servers/firewallRules/write")),
    ("ignored/role_on_a_machine", Ignored("names no subscription, resource group, key vault or SQL server")),
    ("ignored/role_above_subscriptions", Ignored("above the subscriptions")),
    ("ignored/alert_rule_write_that_quotes_the_event", Ignored("Microsoft.Insights/activityLogAlerts/write")),
    ("ignored/secret_expired", Ignored("secret")),
    ("ignored/certificate_expired", Ignored("certificate")),
    ("ignored/blob_created", Ignored("Microsoft.Storage.BlobCreated")),
    ("ignored/subscription_validation", Ignored("Event Grid asks")),
    ("ignored/metric", Ignored("metric alert")),
    ("ignored/metric_dynamic", Ignored("metric alert")),
    ("ignored/metric_legacy", Ignored("metric alert")),
    ("ignored/log_query_about_the_event", Ignored("log alert")),
    ("ignored/log_v1", Ignored("log alert")),
    ("ignored/log_v1_without_schema", Ignored("log alert")),
    ("ignored/log_legacy", Ignored("log alert")),
    ("ignored/budget_common", Ignored("budget alert")),
    ("ignored/budget_legacy", Ignored("budget alert")),
    ("ignored/smart_detection", Ignored("smart detection")),
    ("ignored/prometheus", Ignored("Prometheus")),
    ("ignored/security", Ignored("Security alert")),
    ("ignored/policy", Ignored("Policy alert")),
    ("ignored/autoscale", Ignored("Autoscale alert")),
    ("ignored/recommendation", Ignored("recommendation")),
    ("ignored/service_health_with_numbers", Ignored("Service Health alert")),
    ("ignored/test_of_the_group", Ignored("test of the action group")),
    ("ignored/test_of_the_group_about_sql", Ignored("test of the action group")),
    ("ignored/synthetic", Ignored("test of the action group")),
    ("ignored/other_schema", Ignored("SomethingNew")),
    ("ignored/somebody_elses_object", Ignored("no alert or event of a known shape")),
    ("malformed/empty", Malformed("empty")),
    ("malformed/empty_object", Malformed("empty object")),
    ("malformed/empty_list", Malformed("empty list")),
    ("malformed/list_of_numbers", Malformed("neither a JSON object nor an array")),
    ("malformed/a_number", Malformed("neither a JSON object nor an array")),
    ("malformed/a_string", Malformed("neither a JSON object nor an array")),
    ("malformed/null", Malformed("neither a JSON object nor an array")),
    ("malformed/form", Malformed("not JSON")),
    ("malformed/truncated", Malformed("not JSON")),
    ("malformed/deep", Malformed("recursion limit")),
    ("malformed/not_utf8", Malformed("not UTF-8")),
    ("malformed/common_without_data", Malformed("has no data")),
    ("malformed/common_with_empty_data", Malformed("neither essentials nor an alertContext")),
    ("malformed/common_without_context", Malformed("carries none")),
    ("malformed/legacy_without_event", Malformed("carries none")),
    ("malformed/vault_delete_of_nothing", Malformed("names no resource")),
    ("malformed/key_event_of_no_vault", Malformed("names no key vault")),
    ("malformed/event_without_operation", Malformed("names no operation")),
    ("malformed/runbook_without_body", Malformed("holds no body")),
    ("malformed/runbook_with_nonsense", Malformed("not JSON")),
];

/// The sample payloads that the project's reference material comes with.
const SHARED: &[(&str, Expected)] = &[
    (
        "constructed/common_keyvault_accessPolicies_write_Succeeded",
        Signals(&[("access_policy_changed", "accesspolicies/remove")]),
    ),
    ("constructed/common_keyvault_vault_delete_Succeeded", Signals(&[("vault_deleted", "vaults/contoso-kv")])),
    (
        "constructed/common_mi_MakeManagedDbInaccessible_Started_uppercase",
        Signals(&[("access_lost", "databases/orders")]),
    ),
    ("constructed/common_resourcehealth_sqldb_unavailable", Signals(&[("health_changed", "databases/orders")])),
    (
        "constructed/common_roleAssignments_delete_Succeeded",
        Signals(&[("role_assignment_changed", "vaults/contoso-kv")]),
    ),
    (
        "constructed/common_sqldb_MakeDatabaseAccessible_Succeeded",
        Signals(&[("restore_succeeded", "databases/orders")]),
    ),
    ("constructed/common_sqldb_MakeDatabaseInaccessible_Started", Signals(&[("access_lost", "databases/orders")])),
    (
        "constructed/common_sqldb_MakeDatabaseInaccessible_Succeeded",
        Signals(&[("self_heal_ended", "databases/orders")]),
    ),
    ("constructed/common_sqldb_plain_databases_write_noise", Signals(&[("database_changed", "databases/orders")])),
    ("constructed/legacy_sqldb_MakeDatabaseInaccessible_Started", Signals(&[("access_lost", "databases/orders")])),
    ("constructed/eventgrid_KeyExpired", Signals(&[("key_expired", "keys/tde-key")])),
    ("constructed/eventgrid_KeyNearExpiry", Signals(&[("key_near_expiry", "keys/tde-key")])),
    ("constructed/eventgrid_KeyNewVersionCreated", Signals(&[("key_rotated", "keys/tde-key")])),
    ("constructed/eventgrid_VaultAccessPolicyChanged", Signals(&[("access_policy_changed", "vaults/contoso-kv")])),
    ("docs/common_ctx_administrative", Ignored("virtualMachines/restart")),
    ("docs/common_ctx_autoscale", Ignored("Autoscale")),
    ("docs/common_ctx_policy", Ignored("Policy")),
    ("docs/common_ctx_resourcehealth", Ignored("Resource Health")),
    ("docs/common_ctx_security", Ignored("Security")),
    ("docs/common_ctx_servicehealth_numeric", Ignored("Service Health")),
    ("docs/common_ctx_servicehealth_stringlevel", Ignored("Service Health")),
    ("docs/legacy_administrative_fragment", Ignored("actionGroups/write")),
    ("docs/legacy_common_fragment", Ignored("actionGroups/write")),
    ("docs/legacy_recommendation", Ignored("recommendation")),
    ("docs/legacy_resourcehealth", Ignored("names no SQL server")),
    ("docs/legacy_security", Ignored("Security")),
    ("docs/legacy_servicehealth", Ignored("Service Health")),
    ("docs/testaction_common_activitylog", Ignored("test of the action group")),
    ("docs/testaction_common_resourcehealth", Ignored("test of the action group")),
    ("docs/testaction_common_servicehealth", Ignored("test of the action group")),
    ("docs/testaction_legacy_administrative", Ignored("test of the action group")),
    ("docs/testaction_legacy_resourcehealth", Ignored("test of the action group")),
    ("docs/testaction_legacy_servicehealth", Ignored("test of the action group")),
    ("events/activitylog_rest_administrative", Ignored("networkSecurityGroups/write")),
    ("events/activitylog_rest_resourcehealth", Ignored("names no SQL server")),
    ("events/activitylog_storage_record_resourcehealth", Ignored("names no SQL server")),
    ("events/cloudevent_keyvault_secretnewversion", Ignored("secret")),
    ("events/eventgrid_keyvault_secretnewversion", Ignored("secret")),
    ("events/eventgrid_subscription_ResourceDeleteSuccess_abridged", Ignored("storageAccounts/delete")),
    ("events/eventgrid_subscription_ResourceWriteSuccess_abridged", Ignored("storageAccounts/write")),
    ("foreign/doc_ctx_prometheus", Ignored("Prometheus")),
    ("foreign/legacy_metric_static", Ignored("metric")),
    ("foreign/testaction_common_budget", Ignored("test of the action group")),
    ("foreign/testaction_common_metric_static", Ignored("test of the action group")),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/payloads")
}

fn keymend(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keymend"));
    command.args(arguments);
    command
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("the answer is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// Replays every file of `table` in one run; answers which files of the directory the table does not know.
fn check(directory: &Path, table: &[(&str, Expected)]) -> Vec<PathBuf> {
    let files: Vec<PathBuf> = table.iter().map(|(name, _)| directory.join(format!("{name}.json"))).collect();
    let output = keymend(&["replay", "--json"]).args(&files).output().expect("keymend runs");
    assert_eq!(output.stderr, b"", "nothing but the answer is printed");
    let answers = lines(&output);
    assert_eq!(answers.len(), table.len(), "one line per file");
    for ((answer, (name, expected)), file) in answers.iter().zip(table).zip(&files) {
        assert_eq!(answer["file"], *file.to_string_lossy(), "the lines are in the order of the files");
        let verdict = answer["verdict"].as_str().unwrap_or_default();
        let reason = answer["reason"].as_str().unwrap_or_default();
        match expected {
            Signals(signals) => {
                assert_eq!(verdict, "signal", "{name}: {answer}");
                assert!(answer["reason"].is_null(), "{name}: {answer}");
                let told: Vec<(String, String)> =
                    answer["signals"].as_array().map_or(&[][..], Vec::as_slice).iter().map(short).collect();
                let told: Vec<(&str, &str)> = told.iter().map(|(kind, end)| (kind.as_str(), end.as_str())).collect();
                assert_eq!(told, *signals, "{name}: {answer}");
            }
            Ignored(words) => {
                assert_eq!(verdict, "ignored", "{name}: {answer}");
                assert!(reason.contains(words), "{name}: {answer}");
                assert_eq!(answer["signals"], serde_json::json!([]), "{name}");
            }
            Malformed(words) => {
                assert_eq!(verdict, "malformed", "{name}: {answer}");
                assert!(reason.contains(words), "{name}: {answer}");
                assert_eq!(answer["signals"], serde_json::json!([]), "{name}");
            }
        }
    }
    let any_malformed = table.iter().any(|(_, expected)| matches!(expected, Malformed(_)));
    assert_eq!(output.status.code(), Some(i32::from(any_malformed)));

    let mut there = Vec::new();
    for folder in std::fs::read_dir(directory).expect("the payloads are there") {
        let folder = folder.expect("a folder can be listed").path();
        for file in folder.read_dir().into_iter().flatten() {
            there.push(file.expect("a file can be listed").path());
        }
    }
    there.retain(|file| !files.contains(file));
    there
}

fn short(signal: &Value) -> (String, String) {
    let target = signal["target"].as_str().unwrap_or_default().to_lowercase();
    let mut parts: Vec<&str> = target.rsplit('/').take(2).collect();
    parts.reverse();
    (signal["kind"].as_str().unwrap_or_default().to_owned(), parts.join("/"))
}

#[test]
fn every_fixture_is_taken_for_what_it_is() {
    assert_eq!(check(&fixtures(), FIXTURES), Vec::<PathBuf>::new(), "fixtures without an expectation");
}

#[test]
fn every_shared_sample_is_taken_for_what_it_is() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/payloads");
    // Written past the test harness, which would keep it to itself.
    let mut seen = std::io::stderr();
    if samples.is_dir() {
        for new in check(&samples, SHARED) {
            let _ = writeln!(seen, "SKIPPED: nobody has said yet what {} must be taken for", new.display());
        }
    } else {
        let _ = writeln!(seen, "SKIPPED: {} is not there: its samples were not checked", samples.display());
    }
}

fn replayed(arguments: &[&str], body: &[u8]) -> Output {
    let mut child = keymend(&["replay"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keymend runs");
    child.stdin.take().expect("its input is open").write_all(body).expect("it reads its input");
    child.wait_with_output().expect("it ends")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(format!("{name}.json"))).expect("the fixture is there")
}

#[test]
fn the_json_line_has_exactly_the_promised_fields() {
    let output = replayed(&["--json", "-"], &fixture("cause/vault_delete"));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        concat!(
            r#"{"file":"-","verdict":"signal","reason":null,"signals":[{"kind":"vault_deleted","#,
            r#""target":"/subscriptions/5e4c1f0a-7b62-4d1e-9a35-2f8d6c90b7e1/resourceGroups/Shop-Keys/providers/"#,
            r#"Microsoft.KeyVault/vaults/shop-kv","occurred_at":"2026-03-14T02:11:09.4471902Z","caller":"ops@shop.example"}]}"#,
            "\n"
        )
    );
}

#[test]
fn what_is_not_known_is_null() {
    let output = replayed(&["--json", "-"], &fixture("quirks/target_as_a_string"));
    assert!(lines(&output)[0]["signals"][0]["caller"].is_null());
    let untimed = br#"{"operationName":"Microsoft.KeyVault/vaults/write","resourceId":"/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v"}"#;
    assert!(lines(&replayed(&["--json", "-"], untimed))[0]["signals"][0]["occurred_at"].is_null());
}

#[test]
fn words_name_kind_target_time_and_caller() {
    let output = replayed(&["-"], &fixture("cause/vault_delete"));
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "-: vault_deleted /subscriptions/",
        "/vaults/shop-kv",
        "at 2026-03-14T02:11:09.4471902Z",
        "by ops@shop.example",
    ] {
        assert!(line.contains(part), "{line}");
    }
    let output = replayed(&["-"], b"nonsense");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("-: malformed: the body is not JSON"));
    assert_eq!(output.status.code(), Some(1));
    let output = replayed(&["-"], &fixture("ignored/metric"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "-: ignored: a metric alert\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_file_that_cannot_be_read_is_malformed_and_the_others_are_still_read() {
    let missing = fixtures().join("there-is-none.json");
    let folder = fixtures();
    let good = fixtures().join("tde/lost_common.json");
    let output = keymend(&["replay", "--json"]).args([&missing, &folder, &good]).output().expect("keymend runs");
    let answers = lines(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(answers.len(), 3);
    for answer in &answers[..2] {
        assert_eq!(answer["verdict"], "malformed");
        assert!(answer["reason"].as_str().is_some_and(|reason| reason.starts_with("it cannot be read: ")), "{answer}");
    }
    assert_eq!(answers[2]["verdict"], "signal");
}

#[test]
fn without_a_file_nothing_is_replayed() {
    let output = keymend(&["replay", "--json"]).output().expect("keymend runs");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
}
