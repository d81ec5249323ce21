//! `keymend incidents`, as a person uses it: the built program on the store that another process uses at the same time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use keymend::clock::{Clock, add};
use keymend::domain::database_ref::DatabaseRef;
use keymend::domain::diagnosis::{Cause, Check, Culprit, Diagnosis, Finding, Link, LinkState, Proof};
use keymend::domain::evidence::CallerKind;
use keymend::domain::incident::{
    Approval, Attempt, AttemptOutcome, EntryKind, Incident, IncidentId, IncidentKey, Phase,
};
use keymend::domain::key_uri::VaultHost;
use keymend::domain::plan::{Gate, GateHit, Plan};
use keymend::domain::remedy::{Change, Remedy};
use keymend::domain::resource_id::ResourceId;
use keymend::domain::restoration::{Fate, Item, Restoration, Setting};
use keymend::store::{SqliteStore, Store, Work};
use serde_json::Value;

const ID: &str = "km-20261124-0207-7f3k";

struct Desk {
    file: PathBuf,
    store: Arc<SqliteStore>,
    _folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keymend.db");
        let store = Arc::new(SqliteStore::open(&file).unwrap());
        Self { file, store, _folder: folder }
    }

    async fn with(incident: &Incident) -> Self {
        let desk = Self::new();
        desk.save(incident).await;
        desk
    }

    async fn save(&self, incident: &Incident) {
        let expected = self.store.incident(&incident.id).await.unwrap().map(|(_, version)| version);
        self.store.save(incident, expected, &[], &[], now()).await.unwrap();
    }

    async fn stored(&self) -> Incident {
        self.store.incident(&IncidentId(ID.to_owned())).await.unwrap().unwrap().0
    }

    /// The work that waits.
    async fn work(&self) -> Option<Work> {
        self.store
            .lease(add(now(), SignedDuration::from_mins(1)), SignedDuration::from_mins(1))
            .await
            .unwrap()
            .map(|job| job.work)
    }

    fn run(&self, args: &[&str]) -> Said {
        let store = format!("sqlite:{}", self.file.display());
        said(keymend().args(["incidents", "--store", &store]).args(args).output().unwrap())
    }
}

fn keymend() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keymend"));
    // Nothing of the machine that the tests run on may change what they see.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KEYMEND_") || name == "SUDO_USER") {
        command.env_remove(name);
    }
    command.env("USER", "alice").env("NO_COLOR", "1").current_dir(std::env::temp_dir());
    command
}

#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Said {
    fn says(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(self.out.contains(part), "{part:?} is not said in:\n{}\n{}", self.out, self.err);
        }
        self
    }

    fn refused(&self, parts: &[&str]) {
        assert_eq!(self.code, 1, "{self:?}");
        assert!(self.out.is_empty(), "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not said in:\n{}", self.err);
        }
    }
}

fn now() -> Timestamp {
    Clock::system().now()
}

fn ago(minutes: i64) -> Timestamp {
    add(now(), SignedDuration::from_mins(-minutes))
}

fn vault() -> ResourceId {
    let text = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults/contoso-kv";
    ResourceId::parse(text).unwrap()
}

fn server() -> ResourceId {
    let text = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-data/providers/Microsoft.Sql/servers/contoso-sql";
    ResourceId::parse(text).unwrap()
}

fn plan() -> Plan {
    let recover = Change::RecoverVault {
        vault: vault(),
        location: "westeurope".to_owned(),
        tenant_id: "99999999-8888-7777-6666-555555555555".to_owned(),
    };
    Plan { cause: Cause::VaultDeleted, remedy: Remedy::RecoverVault, changes: vec![recover], servers: vec![server()] }
}

/// A deleted vault under one server, 20 minutes ago, with a question that waits for 10 more.
fn incident() -> Incident {
    let host = VaultHost::parse("contoso-kv.vault.azure.net").unwrap();
    let mut incident = Incident::open(IncidentId(ID.to_owned()), IncidentKey::vault(&host), 30, ago(15));
    incident.vault = Some(host);
    incident.vault_id = Some(vault());
    incident.lost_at = Some(ago(20));
    let member = incident.add_member(&server(), None);
    member.observed_at = Some(ago(14));
    member.databases = ["orders", "billing", "web"].map(str::to_owned).into();
    member.inaccessible = ["orders", "billing"].map(str::to_owned).into();
    incident.diagnosis = Some(diagnosis());
    incident.root_cause = Some(Cause::VaultDeleted);
    incident.gates =
        vec![GateHit { gate: Gate::MadeByPerson, why: "mallory@contoso.example deleted it".to_owned(), hard: false }];
    incident.phase = Phase::AwaitingApproval;
    incident.approval = Some(Approval {
        plan: plan(),
        plan_hash: plan().hash(),
        why: "a person made the breaking change".to_owned(),
        asked_at: ago(5),
        answer_by: add(now(), SignedDuration::from_mins(10)),
        reminders: 0,
        decision: None,
    });
    incident.note(ago(15), EntryKind::Noticed, "Azure says that orders has lost its key");
    incident.note(ago(14), EntryKind::Checked, "The key vault contoso-kv is deleted");
    incident
}

fn diagnosis() -> Diagnosis {
    Diagnosis {
        at: ago(14),
        findings: vec![Finding {
            cause: Cause::VaultDeleted,
            resource: vault().to_string(),
            servers: vec![server()],
            proof: vec![Proof {
                probe: "deleted vaults".to_owned(),
                said: "contoso-kv was deleted and can be recovered".to_owned(),
            }],
            changes: plan().changes,
            purge_at: None,
            since: Some(ago(20)),
        }],
        checks: vec![
            Check { link: Link::Identity, state: LinkState::Ok, said: "the server has an identity".to_owned() },
            Check { link: Link::Vault, state: LinkState::Broken, said: "the vault is deleted".to_owned() },
            Check { link: Link::Key, state: LinkState::Unknown, said: "cannot be seen without the vault".to_owned() },
        ],
        culprit: Some(Culprit {
            who: Some("mallory@contoso.example".to_owned()),
            ids: Vec::new(),
            kind: CallerKind::Person,
            at: ago(20),
            operation: "microsoft.keyvault/vaults/delete".to_owned(),
            target: vault().to_string(),
            correlation_id: None,
        }),
        protective_changes: Vec::new(),
        unknowns: vec!["who may read the key".to_owned()],
        missing_rights: Vec::new(),
        inaccessible: Vec::new(),
    }
}

fn code() -> String {
    plan().code()
}

#[tokio::test]
async fn the_list_shows_what_is_open_and_what_waits_for_whom() {
    let desk = Desk::with(&incident()).await;
    let mut old = Incident::open(
        IncidentId("km-20261101-0100-aaaa".to_owned()),
        IncidentKey("server:x".to_owned()),
        30,
        ago(9_000),
    );
    old.finish(Phase::Healed, "every database is in service", ago(8_000));
    desk.save(&old).await;

    let all = desk.run(&["list"]);
    all.says(&[
        ID,
        "awaiting approval",
        "contoso-kv",
        "2 of 3",
        "waits for your answer",
        "km-20261101-0100-aaaa",
        "healed",
    ]);
    assert!(all.out.find(ID) < all.out.find("km-20261101"), "newest first:\n{}", all.out);
    let open = desk.run(&["list", "--open"]);
    assert!(open.out.contains(ID) && !open.out.contains("km-20261101"), "{}", open.out);

    let json: Value = serde_json::from_str(&desk.run(&["list", "--json"]).out).unwrap();
    let first = &json[0];
    assert_eq!(
        (&first["id"], &first["phase"], &first["cause"]),
        (&ID.into(), &"awaiting_approval".into(), &"vault_deleted".into())
    );
    assert_eq!(
        (&first["databases"], &first["inaccessible"], &first["window_over"]),
        (&3.into(), &2.into(), &false.into())
    );
    assert_eq!(first["approval"]["code"], code());
    assert_eq!(json.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_empty_list_says_so() {
    let desk = Desk::new();
    desk.run(&["list"]).says(&["no incidents"]);
    assert_eq!(desk.run(&["list", "--json"]).out.trim(), "[]");
}

#[tokio::test]
async fn one_incident_is_shown_whole() {
    let mut incident = incident();
    incident.attempts.push(Attempt {
        number: 1,
        change: Change::Revalidate { server: server() },
        plan_hash: "x".to_owned(),
        intended_at: ago(3),
        outcome: Some(AttemptOutcome::Failed {
            at: ago(2),
            code: "AzureKeyVaultNotFound".to_owned(),
            why: "the vault is gone".to_owned(),
        }),
        operation: None,
        correlation_id: Some("c0ffee".to_owned()),
        before_after: vec![("status".to_owned(), "Inaccessible".to_owned(), "Inaccessible".to_owned())],
    });
    let desk = Desk::with(&incident).await;
    let page = desk.run(&["show", ID]);
    assert_eq!(page.code, 0);
    page.says(&[
        "AWAITING APPROVAL",
        "contoso-kv",
        "left of 30 min",
        "deleted vaults",
        "was deleted and can be recovered",
        "mallory@contoso.example",
        "microsoft.keyvault/vaults/delete",
        "who may read the key",
        "ok      identity",
        "BROKEN  vault",
        "unknown key",
        &format!("PLAN {}", code()),
        "Recover the deleted key vault contoso-kv",
        "->",
        "asks first",
        "deleted it",
        &format!("keymend incidents approve {ID} --code {}", code()),
        "AzureKeyVaultNotFound",
        "c0ffee",
        "down: billing, orders; not down: web",
        "noticed",
        "Azure says that orders has lost its key",
    ]);
    assert!(page.out.lines().all(|line| line.chars().count() <= 110 || !line.contains(' ')), "{}", page.out);

    let json: Value = serde_json::from_str(&desk.run(&["show", ID, "--json"]).out).unwrap();
    assert_eq!((&json["id"], &json["approval_code"]), (&ID.into(), &code().into()));
    assert!(json["restore_before"].is_string() && json["window_over"] == false, "{json}");
}

#[tokio::test]
async fn foreign_words_cannot_steer_the_terminal() {
    let mut incident = incident();
    incident.note(ago(1), EntryKind::Noticed, "bad\u{1b}[2Jname\nPLAN forged\u{202e}");
    let page = Desk::with(&incident).await.run(&["show", ID]);
    assert!(!page.out.contains('\u{1b}') && !page.out.contains('\u{202e}'), "{:?}", page.out);
    assert!(page.out.contains("bad [2Jname PLAN forged"), "{}", page.out);
}

#[tokio::test]
async fn an_incident_is_found_by_either_end_of_its_id() {
    let desk = Desk::with(&incident()).await;
    let mut other = incident();
    other.id = IncidentId("km-20261124-0301-8g4m".to_owned());
    other.key = IncidentKey("server:other".to_owned());
    desk.save(&other).await;
    for short in ["7f3k", "KM-20261124-0207", "km-20261124-02"] {
        desk.run(&["show", short]).says(&[ID]);
    }
    desk.run(&["show", "km-2026"]).refused(&["could be any of", ID, "8g4m"]);
    desk.run(&["show", "nothing"]).refused(&["no incident nothing", "incidents list"]);
    desk.run(&["show", ""]).refused(&["no incident"]);
}

#[tokio::test]
async fn an_approval_is_recorded_with_who_and_when_and_wakes_the_responder() {
    let desk = Desk::with(&incident()).await;
    let done = desk.run(&["approve", ID, "--code", &code()]);
    assert_eq!(done.code, 0, "{done:?}");
    done.says(&["approved by alice", &code(), "Recover the deleted key vault contoso-kv", "->", "looks again"]);
    let stored = desk.stored().await;
    let decision = stored.approval.unwrap().decision.unwrap();
    assert!(decision.approved && decision.by == "alice" && decision.at >= ago(1), "{decision:?}");
    let last = stored.timeline.last().unwrap();
    assert_eq!(last.kind, EntryKind::Approval);
    assert!(last.text.contains("alice approved") && last.text.contains(&code()), "{}", last.text);
    assert_eq!(desk.work().await, Some(Work::Pass { incident: IncidentId(ID.to_owned()) }));
    desk.run(&["approve", ID, "--by", "bob"]).refused(&["already approved by alice"]);
    desk.run(&["reject", ID]).refused(&["already approved by alice"]);
}

#[tokio::test]
async fn who_holds_an_incident_is_recorded_and_an_approval_waits_for_the_release() {
    let desk = Desk::with(&incident()).await;
    desk.run(&["release", ID]).refused(&["nobody holds"]);
    let done = desk.run(&["hold", ID, "--take-over", "--by", "carol", "--why", "security is looking"]);
    done.says(&["taken over by carol", "changes nothing until: keymend incidents release"]);
    desk.run(&["show", ID]).says(&["carol has taken it over since"]);
    let hold = desk.stored().await.hold.unwrap();
    assert!(hold.taken_over && hold.by == "carol" && hold.why.as_deref() == Some("security is looking"), "{hold:?}");
    desk.run(&["hold", ID, "--by", "bob"]).refused(&["carol holds"]);
    desk.run(&["approve", ID]).refused(&["carol holds", "released"]);
    assert!(desk.stored().await.approval.unwrap().decision.is_none());
    desk.run(&["release", ID, "--by", "bob"]).says(&["released by bob"]);
    let stored = desk.stored().await;
    assert!(stored.hold.is_none() && stored.approval.is_none(), "it is asked anew");
    assert!(stored.timeline.last().unwrap().text.contains("bob released the incident on the command line"));
    assert_eq!(desk.work().await, Some(Work::Pass { incident: IncidentId(ID.to_owned()) }));
}

#[tokio::test]
async fn a_rejection_keeps_its_reason() {
    let desk = Desk::with(&incident()).await;
    let done = desk.run(&["reject", "7f3k", "--by", "carol", "--why", "we deleted it on purpose", "--json"]);
    let json: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&json["answer"], &json["by"], &json["code"]), (&"rejected".into(), &"carol".into(), &code().into()));
    let stored = desk.stored().await;
    assert!(!stored.approval.unwrap().decision.unwrap().approved);
    assert!(stored.timeline.last().unwrap().text.contains("we deleted it on purpose"));
    assert!(stored.ended_at.is_none(), "it is still watched");
}

#[tokio::test]
async fn an_answer_that_does_not_count_says_why_and_changes_nothing() {
    let mut none_asked = incident();
    none_asked.approval = None;
    none_asked.phase = Phase::Propagating;
    let mut run_out = incident();
    run_out.approval.as_mut().unwrap().answer_by = ago(3);
    let mut ended = incident();
    ended.finish(Phase::Healed, "every database is in service", ago(1));
    for (what, incident, parts) in [
        ("nothing asked", none_asked, ["nothing waits for an answer", "propagating"]),
        ("run out", run_out, ["ran out", "3 min ago"]),
        ("ended", ended, ["ended at", "every database is in service"]),
    ] {
        let desk = Desk::with(&incident).await;
        desk.run(&["approve", ID]).refused(&parts);
        desk.run(&["reject", ID]).refused(&parts);
        assert_eq!(desk.stored().await, incident, "{what}");
        assert_eq!(desk.work().await, None, "{what}");
    }
    let desk = Desk::with(&incident()).await;
    for wrong in ["00000000", &code()[..4], ""] {
        desk.run(&["approve", ID, "--code", wrong]).refused(&["the plan that waits has the code", &code(), "show"]);
    }
    assert!(desk.stored().await.approval.unwrap().decision.is_none());
    let machine = desk.run(&["approve", ID, "--code", "00000000", "--json"]);
    assert_eq!(machine.code, 1);
    let json: Value = serde_json::from_str(&machine.out).unwrap();
    assert!(json["error"].as_str().unwrap().contains(&code()));
}

/// Over, and a person is asked whether its settings may be put back.
fn restoring() -> Incident {
    let mut incident = incident();
    incident.finish(Phase::Healed, "every database is back online", ago(5));
    let setting = Setting::Tags { tags: [("owner".to_owned(), "sales".to_owned())].into() };
    let database = server().child("databases", "orders").unwrap();
    let plan = Plan {
        remedy: Remedy::RestoreSettings,
        changes: vec![Change::RestoreSetting { database, setting: setting.clone() }],
        ..plan()
    };
    let asked = incident.approval.as_mut().unwrap();
    (asked.plan_hash, asked.plan) = (plan.hash(), plan);
    let item = |setting: &str, fate| Item {
        database: DatabaseRef { server: server(), name: "orders".to_owned() },
        setting: setting.to_owned(),
        before: "sales".to_owned(),
        now: "none".to_owned(),
        fate,
    };
    let why = "Azure refused".to_owned();
    incident.restoration = Some(Restoration {
        items: vec![
            item("tag owner", Fate::ToPutBack { setting: setting.clone() }),
            item("tag team", Fate::Left { why, by_hand: Some(setting) }),
        ],
        ..Restoration::of(BTreeSet::new(), ago(5))
    });
    incident
}

#[tokio::test]
async fn a_question_about_settings_is_answered_after_the_end() {
    let desk = Desk::with(&restoring()).await;
    desk.run(&["list"]).says(&["healed", "waits for your answer"]);
    let page = desk.run(&["show", ID]);
    page.says(&[
        "SETTINGS AFTER THE OUTAGE",
        "tag owner of orders",
        "Azure refused",
        "az tag update",
        "incidents approve",
    ]);
    desk.run(&["close", ID, "--why", "enough"]).refused(&["ended at"]);
    let done = desk.run(&["reject", ID]);
    done.says(&["rejected by alice", "the settings stay as they are"]);
    assert_eq!(desk.work().await, Some(Work::Pass { incident: IncidentId(ID.to_owned()) }));
    let mut late = restoring();
    late.approval.as_mut().unwrap().answer_by = ago(3);
    Desk::with(&late).await.run(&["approve", ID]).refused(&["ran out", "the settings stay as they are"]);
    let mut over = restoring();
    over.restoration.as_mut().unwrap().ended_at = Some(ago(1));
    let desk = Desk::with(&over).await;
    desk.run(&["approve", ID]).refused(&["ended at"]);
    desk.run(&["list"]).says(&["every database is back online"]);
}

#[tokio::test]
async fn closing_needs_a_reason_and_ends_it() {
    let desk = Desk::with(&incident()).await;
    assert_eq!(desk.run(&["close", ID]).code, 2, "a reason is asked for");
    desk.run(&["close", ID, "--why", "  "]).refused(&["--why"]);
    let done = desk.run(&["close", ID, "--why", "false alarm", "--by", "dora"]);
    done.says(&["closed by dora"]);
    let stored = desk.stored().await;
    assert_eq!((stored.phase, stored.end.as_deref()), (Phase::Closed, Some("closed by dora: false alarm")));
    assert!(stored.ended_at.is_some());
    assert_eq!(desk.work().await, Some(Work::Pass { incident: IncidentId(ID.to_owned()) }));
    desk.run(&["close", ID, "--why", "again"]).refused(&["ended at"]);
}

#[tokio::test]
async fn a_busy_responder_does_not_lose_the_answer() {
    let desk = Desk::with(&incident()).await;
    let store = desk.store.clone();
    // Somebody saves the incident over and over while the answer is recorded, as the responder does.
    let busy = tokio::spawn(async move {
        let id = IncidentId(ID.to_owned());
        for n in 0..400 {
            let (mut incident, version) = store.incident(&id).await.unwrap().unwrap();
            incident.passes = n;
            let _ = store.save(&incident, Some(version), &[], &[], now()).await;
            tokio::task::yield_now().await;
        }
    });
    let file = desk.file.clone();
    let done = tokio::task::spawn_blocking(move || {
        let store = format!("sqlite:{}", file.display());
        said(keymend().args(["incidents", "--store", &store, "approve", ID]).output().unwrap())
    });
    let done = done.await.unwrap();
    busy.await.unwrap();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(desk.stored().await.approval.unwrap().decision.is_some());
}

#[tokio::test]
async fn two_answers_at_once_are_one_decision() {
    let desk = Desk::with(&incident()).await;
    let store = format!("sqlite:{}", desk.file.display());
    let both: Vec<_> = [("approve", "ann"), ("reject", "ben")]
        .into_iter()
        .map(|(what, by)| {
            let mut command = keymend();
            command.args(["incidents", "--store", &store, what, ID, "--by", by]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let done: Vec<Said> = both.into_iter().map(|child| said(child.wait_with_output().unwrap())).collect();
    assert_eq!(done.iter().filter(|said| said.code == 0).count(), 1, "{done:?}");
    assert_eq!(done.iter().filter(|said| said.err.contains("already")).count(), 1, "{done:?}");
}

#[tokio::test]
async fn the_clock_of_a_simulated_cloud_counts() {
    // `serve` ran 60 times as fast as the machine, and showed the year 2031 a minute ago.
    let shown: Timestamp = "2031-01-01T00:00:00Z".parse().unwrap();
    let desk = Desk::new();
    let fact = serde_json::json!({ "machine": ago(1), "shown": shown, "speed": 60.0 });
    desk.store.keep_fact("clock", "serve", &fact, shown).await.unwrap();
    let mut incident = incident();
    let approval = incident.approval.as_mut().unwrap();
    approval.answer_by = "2031-01-01T02:00:00Z".parse().unwrap();
    desk.save(&incident).await;
    let done = desk.run(&["approve", ID]);
    assert_eq!(done.code, 0, "{done:?}");
    let decision = desk.stored().await.approval.unwrap().decision.unwrap();
    let late = decision.at.duration_since(shown).as_mins();
    assert!((60..70).contains(&late), "{} is about an hour after {shown}", decision.at);
}

#[tokio::test]
async fn the_store_is_named_by_the_settings_or_said_to_be_missing() {
    let desk = Desk::with(&incident()).await;
    let folder = desk.file.parent().unwrap();
    // Only the store counts here; the scope may be missing.
    std::fs::write(folder.join("keymend.toml"), "[store]\nlocation = \"sqlite:keymend.db\"\n").unwrap();
    let config = folder.join("keymend.toml");
    let listed = said(keymend().args(["incidents", "list", "--config"]).arg(&config).output().unwrap());
    listed.says(&[ID]);
    let here = said(keymend().args(["incidents", "list"]).current_dir(folder).output().unwrap());
    here.says(&[ID]);
    let env = said(
        keymend()
            .args(["incidents", "list"])
            .env("KEYMEND_STORE", format!("sqlite:{}", desk.file.display()))
            .output()
            .unwrap(),
    );
    env.says(&[ID]);

    let missing = folder.join("elsewhere.db");
    let nothing = said(
        keymend().args(["incidents", "--store", &format!("sqlite:{}", missing.display()), "list"]).output().unwrap(),
    );
    nothing.refused(&["no store at", "--store"]);
    assert!(!missing.exists(), "looking does not make one");
    let misused = said(keymend().args(["incidents", "--store", "postgres:x", "list"]).output().unwrap());
    assert_eq!(misused.code, 2);
    assert!(misused.err.contains("sqlite:"), "{}", misused.err);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    for args in [["--help", ""], ["incidents", "--help"]] {
        let args: Vec<_> = args.into_iter().filter(|arg| !arg.is_empty()).collect();
        let mut child = keymend()
            .args(&args)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let done = said(child.wait_with_output().unwrap());
        assert!(!done.err.contains("panicked"), "{done:?}");
    }
}

#[test]
fn help_names_every_command() {
    let help = said(keymend().arg("--help").output().unwrap());
    help.says(&["serve", "incidents", "replay", "Exit codes"]);
    let help = said(keymend().args(["incidents", "--help"]).output().unwrap());
    help.says(&["list", "show", "approve", "reject", "hold", "release", "close", "--json", "--store", "Exit codes"]);
    assert_eq!(said(keymend().arg("mend-everything").output().unwrap()).code, 2);
}
