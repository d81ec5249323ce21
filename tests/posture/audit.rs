//! Everything in scope.

use std::collections::BTreeSet;

use keymend::drill::cloud::world::{
    DatabaseSpec, KeySpec, LockSpec, PermissionModel, ProtectorSpec, ServerSpec, VaultSpec, VersionSpec,
};
use keymend::drill::cloud::{What, World};
use serde_json::Value;

use crate::stage::{SUB, Stage};

/// The levels at which a rule was found.
fn levels<'a>(report: &'a Value, rule: &str) -> Vec<&'a str> {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .filter(|finding| finding["rule"] == rule)
        .map(|finding| finding["level"].as_str().unwrap())
        .collect()
}

fn at_risk() -> World {
    let mut world = World::standard();
    let keys = vec![KeySpec {
        name: "tde-key".to_owned(),
        versions: vec![
            VersionSpec { enabled: false, age_days: 400, ..VersionSpec::default() },
            VersionSpec { expires_in_days: Some(6.5), ..VersionSpec::default() },
        ],
    }];
    world.vaults.push(VaultSpec {
        name: "risky-kv".to_owned(),
        model: PermissionModel::Policy,
        purge_protection: false,
        soft_delete_days: 7,
        keys,
        ..VaultSpec::default()
    });
    let protector = ProtectorSpec { vault: "risky-kv".to_owned(), latent: vec![0], ..ProtectorSpec::default() };
    let databases = vec![DatabaseSpec { name: "shop".to_owned(), ..DatabaseSpec::default() }];
    world.servers.push(ServerSpec {
        name: "risky-sql".to_owned(),
        protector: Some(protector),
        databases,
        ..ServerSpec::default()
    });
    world.servers.push(ServerSpec { name: "plain-sql".to_owned(), protector: None, ..ServerSpec::default() });
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn each_risk_is_found_once_with_a_fix_and_a_source() {
    let stage = Stage::open(at_risk()).await;
    let said = stage.keymend(&["audit", "--json"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let report = said.json();
    assert_eq!(levels(&report, "key-expires"), ["high"]);
    assert_eq!(levels(&report, "purge-protection"), ["high"]);
    assert_eq!(levels(&report, "soft-delete-days"), ["medium"]);
    assert_eq!(levels(&report, "permission-model"), ["info"]);
    assert_eq!(levels(&report, "vault-lock"), ["medium", "medium"]);
    assert!(levels(&report, "linked-key-unusable").contains(&"high"), "{report:#}");
    assert_eq!(report["service_managed"], 1);
    assert_eq!((&report["servers"], report["map"].as_array().unwrap().len()), (&Value::from(2), 2));
    for finding in report["findings"].as_array().unwrap() {
        for field in ["what", "why", "fix", "source"] {
            assert!(!finding[field].as_str().unwrap().is_empty(), "{field} of {finding:#}");
        }
    }
    let written = stage.cloud.requests().iter().filter(|request| request.effect).count();
    assert_eq!(written, 0, "nothing is changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_well_is_not_complained_of() {
    let mut world = World::standard();
    let scope = world.vault_id(&world.vaults[0].name);
    world.locks.push(LockSpec { name: "keep".to_owned(), level: "CanNotDelete".to_owned(), scope });
    world.alerts.cause_alerts = true;
    let stage = Stage::open(world).await;
    let report = stage.keymend(&["audit", "--json"]).await.json();
    let counts = &report["counts"];
    assert_eq!(
        (&counts["critical"], &counts["high"], &counts["medium"]),
        (&0.into(), &0.into(), &0.into()),
        "{report:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_fails_on_the_level_it_names() {
    let stage = Stage::open(at_risk()).await;
    for (level, code) in [("critical", 0), ("high", 1), ("medium", 1)] {
        let said = stage.keymend(&["audit", "--fail-on", level]).await;
        assert_eq!(said.code, code, "{level}: {}", said.out);
    }
    assert_eq!(stage.keymend(&["audit", "--fail-on", "dire"]).await.code, 2);
    assert_eq!(stage.keymend(&["audit", "--subscription", "nonsense"]).await.code, 2);
    stage.settings("[scope]\nsubscriptions = []");
    let nothing = stage.keymend(&["audit"]).await;
    assert_eq!(nothing.code, 2, "an empty scope is not everything: {nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_costs_what_is_documented() {
    let stage = Stage::open(World::shared_vault(60, 2)).await;
    let report = stage.keymend(&["audit", "--json", "--subscription", SUB.rsplit('/').next().unwrap()]).await.json();
    assert_eq!(report["servers"], 60);
    let requests = stage.cloud.requests();
    let most = 60 * keymend::posture::survey::PER_SERVER + 2 * keymend::posture::survey::PER_VAULT + 3;
    assert!(requests.len() <= most, "{} requests, more than {most}", requests.len());
    assert!(requests.iter().all(|request| request.status != 429), "it is never throttled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_server_is_critical_and_red_on_the_map() {
    let stage = Stage::open(World::shared_vault(12, 2)).await;
    stage.breaks(What::RemoveIdentity { server: None });
    let report = stage.keymend(&["audit", "--json"]).await.json();
    assert_eq!(levels(&report, "chain-broken"), ["critical"]);
    let servers = report["map"][0]["keys"][0]["servers"].as_array().unwrap();
    let broken: Vec<_> = servers.iter().filter(|server| server["colour"] == "broken").collect();
    assert_eq!((servers.len(), broken.len()), (12, 1), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sarif_fits_its_published_schema_and_junit_is_counted() {
    let stage = Stage::open(at_risk()).await;
    let said = stage.keymend(&["audit", "--sarif", "a.sarif", "--junit", "a.xml", "--html", "a.html"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let log: Value = serde_json::from_str(&stage.file("a.sarif")).unwrap();
    let schema: Value = serde_json::from_str(include_str!("schemas/sarif-2.1.0.json")).unwrap();
    let validator = jsonschema::options().build(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&log).map(|error| format!("{} at {}", error, error.instance_path)).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let results = log["runs"][0]["results"].as_array().unwrap();
    let prints: BTreeSet<_> = results.iter().map(|result| result["partialFingerprints"].to_string()).collect();
    assert!(!results.is_empty() && prints.len() > results.len() / 2);
    let junit = stage.file("a.xml");
    let failures = junit.matches("<failure ").count();
    assert!(failures > 0 && junit.contains(&format!("failures=\"{failures}\"")), "{junit}");
    assert_eq!(
        junit.matches("<testcase ").count(),
        junit.matches("</testcase>").count() + junit.matches("\"/>").count()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_nothing_else_and_holds_no_foreign_markup() {
    let stage = Stage::open(at_risk()).await;
    stage.keymend(&["audit", "--html", "a.html"]).await;
    let page = stage.file("a.html");
    assert!(page.contains("<svg") && page.contains("risky-sql") && page.contains("risky-kv"));
    for loads in ["<script", "<img", "<link", "@import", "url(", "src=", "onload"] {
        assert!(!page.contains(loads), "{loads} in the page");
    }
    let tags = |open: &str, close: &str| (page.matches(open).count(), page.matches(close).count());
    for tag in ["section", "article", "div", "details", "g", "svg", "pre", "ul"] {
        let (open, close) = tags(&format!("<{tag}"), &format!("</{tag}>"));
        assert_eq!(open, close, "{tag}");
    }
    let missing = stage.keymend(&["audit", "--html", "no/such/folder/a.html"]).await;
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(missing.err.contains("could not be written"), "{}", missing.err);
}

fn estate() -> World {
    toml::from_str(include_str!("../fixtures/worlds/estate.toml")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_geo_partner_without_the_key_of_its_primary_is_named_with_the_grant_it_lacks() {
    let stage = Stage::open(estate()).await;
    let well = stage.keymend(&["audit", "--json"]).await.json();
    assert!(levels(&well, "geo-partner").is_empty(), "{well:#}");
    stage.breaks(What::RevokeGeoPermission { server: Some("shop-sql-ne".to_owned()), vault: None });
    let report = stage.keymend(&["audit", "--json"]).await.json();
    assert_eq!(levels(&report, "geo-partner"), ["high"]);
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["rule"] == "geo-partner").unwrap();
    assert!(found["subject"].as_str().unwrap().ends_with("/shop-sql-ne"), "{found:#}");
    assert!(found["what"].as_str().unwrap().contains("baskets and orders on shop-sql-we"), "{found:#}");
    let commands = found["commands"].to_string();
    assert!(commands.contains("az role assignment create") && commands.contains("/vaults/shop-kv/"), "{found:#}");
    assert!(levels(&report, "chain-broken").is_empty(), "the primary's own chain is whole: {report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn managed_instances_are_surveyed_too() {
    let report = Stage::open(estate()).await.keymend(&["audit", "--json"]).await.json();
    assert_eq!((&report["servers"], &report["service_managed"]), (&11.into(), &1.into()));
    let map = report["map"].to_string();
    assert!(map.contains("Microsoft.Sql/managedInstances/core-mi"), "{map}");
}
