//! Settings that Azure dropped, one kind after the other: put back once, whatever happens on the way, and nothing of anybody
//! else's overwritten.

use keymend::domain::remedy::Change;
use keymend::domain::resource_id::ResourceId;
use keymend::domain::restoration::{LongTerm, Setting, ShortTerm};
use keymend::drill::cloud::world::{DatabaseSpec, LockSpec, ServerSpec, World};
use keymend::remedy::Applied;

use crate::gate::{Do, Passed};
use crate::lab::Lab;

/// One kind of setting: whose, what is put back, how Azure leaves it, and what somebody else may have made of it.
struct Case {
    database: &'static str,
    setting: Setting,
    dropped: fn(&mut DatabaseSpec),
    third: Option<fn(&mut DatabaseSpec)>,
}

fn id(rest: &str) -> ResourceId {
    let world = World::standard();
    ResourceId::parse(&format!("{}/{rest}", world.server_id("contoso-sql"))).unwrap()
}

fn cases() -> Vec<Case> {
    let case = |database, setting, dropped, third| Case { database, setting, dropped, third };
    let kept = |weekly: &str| LongTerm {
        weekly: weekly.to_owned(),
        monthly: "PT0S".to_owned(),
        yearly: "PT0S".to_owned(),
        week_of_year: Some(0),
    };
    let tags =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect();
    vec![
        case(
            "billing",
            Setting::ElasticPool { pool: id("elasticPools/pool-1") },
            |it| it.elastic_pool = None,
            Some(|it| it.elastic_pool = Some("pool-2".to_owned())),
        ),
        case("orders", Setting::ReadScale, |it| it.read_scale = false, None),
        case(
            "web",
            Setting::AutoPause { minutes: 60 },
            |it| it.auto_pause_minutes = None,
            Some(|it| it.auto_pause_minutes = Some(120)),
        ),
        case(
            "orders",
            Setting::Tags { tags: tags(&[("cost-center", "4711"), ("owner", "sales")]) },
            |it| it.tags = [("env".to_owned(), "prod".to_owned())].into(),
            Some(|it| it.tags = [("owner".to_owned(), "somebody-else".to_owned())].into()),
        ),
        case(
            "orders",
            Setting::ShortTerm(ShortTerm { days: 14, diff_hours: Some(24) }),
            |it| it.pitr_days = None,
            Some(|it| it.pitr_days = Some(3)),
        ),
        case(
            "orders",
            Setting::LongTerm(kept("P4W")),
            |it| it.ltr_weekly = None,
            Some(|it| it.ltr_weekly = Some("P2W".to_owned())),
        ),
        case(
            "orders",
            Setting::FailoverGroup { group: id("failoverGroups/fg-orders") },
            |it| it.failover_group = None,
            Some(|it| it.failover_group = Some("fg-other".to_owned())),
        ),
    ]
}

fn world(case: &Case, change: fn(&mut DatabaseSpec)) -> World {
    let mut world = World::standard();
    // A pool needs somebody in it to be known to the cloud.
    let pooled =
        DatabaseSpec { name: "ledger".to_owned(), elastic_pool: Some("pool-1".to_owned()), ..DatabaseSpec::default() };
    world.servers[0].databases.push(pooled);
    world.servers[0].failover_groups.push("fg-other".to_owned());
    let spec = world.servers[0].databases.iter_mut().find(|spec| spec.name == case.database);
    change(spec.unwrap());
    world
}

fn change(lab: &Lab, case: &Case) -> Change {
    Change::RestoreSetting { database: lab.database(case.database), setting: case.setting.clone() }
}

fn took(writes: &[Passed]) -> usize {
    writes.iter().filter(|write| write.took()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_comes_back_once_and_nothing_else_changes() {
    for case in cases() {
        let lab = Lab::of(world(&case, case.dropped)).await;
        let (what, name) = (change(&lab, &case), case.setting.name());
        let before: Vec<_> = ["orders", "billing", "web", "ledger"].map(|one| lab.settings(one)).into();
        assert!(!lab.is_mended(&what).await, "{name} is not dropped");
        lab.settle(&what).await;
        assert!(lab.is_mended(&what).await, "{name}");
        assert_eq!(took(&lab.gate.writes()), 1, "{name}");
        lab.gate.open();
        let again = lab.apply_one(&what).await;
        assert!(matches!(again, Applied::AlreadyThere { .. }), "{name}: {again:?}");
        assert!(lab.gate.writes().is_empty(), "{name}");
        for (one, before) in ["orders", "billing", "web", "ledger"].into_iter().zip(before) {
            let (before, after) = (before.as_object().unwrap().clone(), lab.settings(one));
            let differs = before.iter().filter(|(key, value)| after[key.as_str()] != **value).count();
            assert_eq!(differs, usize::from(one == case.database), "{name}: {one} was {before:?} and is {after}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_that_somebody_set_meanwhile_stay() {
    let case = cases().into_iter().find(|case| matches!(case.setting, Setting::Tags { .. })).unwrap();
    let lab = Lab::of(world(&case, case.dropped)).await;
    lab.settle(&change(&lab, &case)).await;
    let tags = &lab.settings("orders")["tags"];
    assert_eq!(*tags, serde_json::json!({ "env": "prod", "cost-center": "4711", "owner": "sales" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_azure_does_not_leave_behind_is_somebodys_and_stays() {
    for case in cases() {
        let Some(third) = case.third else { continue };
        let lab = Lab::of(world(&case, third)).await;
        let before = lab.settings(case.database);
        let applied = lab.apply_one(&change(&lab, &case)).await;
        let Applied::NotApplicable { why } = &applied else { panic!("{}: {applied:?}", case.setting.name()) };
        assert!(why.contains("somebody set it"), "{why}");
        assert!(lab.gate.writes().is_empty());
        assert_eq!(lab.settings(case.database), before);
    }
}

/// Kills a change at its `n`th request, runs it again, and counts what took effect. None: it ended before.
async fn killed_at(case: &Case, n: usize, how: Do) -> Option<usize> {
    let lab = Lab::of(world(case, case.dropped)).await;
    let what = change(&lab, case);
    if !lab.kill_at(&what, n, how).await {
        return None;
    }
    let before = took(&lab.gate.writes());
    lab.gate.open();
    lab.settle(&what).await;
    assert!(lab.is_mended(&what).await, "{} killed at request {n}", case.setting.name());
    Some(before + took(&lab.gate.writes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_it_ends_the_same() {
    for case in cases() {
        for how in [Do::StopBefore, Do::StopAfter] {
            let mut kills = 0;
            while let Some(effects) = killed_at(&case, kills, how.clone()).await {
                assert_eq!(effects, 1, "{} killed at request {kills}", case.setting.name());
                kills += 1;
            }
            assert!(kills >= 2, "{} sends too little to be killed", case.setting.name());
        }
    }
}

/// The standard world's partner server, with a database of the name.
fn with_partner(geo_secondary_of: Option<&str>) -> World {
    let case = cases().pop().unwrap();
    let mut world = world(&case, case.dropped);
    world.servers.push(ServerSpec {
        name: "contoso-sql-dr".to_owned(),
        location: "northeurope".to_owned(),
        databases: vec![DatabaseSpec {
            geo_secondary_of: geo_secondary_of.map(str::to_owned),
            ..DatabaseSpec::default()
        }],
        ..ServerSpec::default()
    });
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_secondary_on_the_other_side_keeps_a_database_out_of_its_group() {
    let case = cases().pop().unwrap();
    let lab = Lab::of(with_partner(None)).await;
    let applied = lab.apply_one(&change(&lab, &case)).await;
    let Applied::NotApplicable { why } = &applied else { panic!("{applied:?}") };
    assert!(why.contains("contoso-sql-dr") && why.contains("stands alone") && why.contains("by hand"), "{why}");
    assert!(lab.gate.writes().is_empty());
    // Where the link still holds, the group takes it back.
    let lab = Lab::of(with_partner(Some("contoso-sql"))).await;
    lab.settle(&change(&lab, &case)).await;
    assert_eq!(lab.settings("orders")["failover_group"], "fg-orders");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_keeps_the_databases_that_it_has() {
    let case = cases().pop().unwrap();
    let mut world = world(&case, case.dropped);
    world.servers[0].databases[1].failover_group = Some("fg-orders".to_owned());
    let lab = Lab::of(world).await;
    lab.settle(&change(&lab, &case)).await;
    assert_eq!(lab.settings("orders")["failover_group"], "fg-orders");
    assert_eq!(lab.settings("billing")["failover_group"], "fg-orders");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_setting_names_the_right_that_it_lacks_and_heeds_a_lock() {
    for case in cases() {
        let right = case.setting.action();
        let lab = Lab::of(world(&case, case.dropped).without_right(right)).await;
        let applied = lab.apply_one(&change(&lab, &case)).await;
        let Applied::Failed { missing: Some(missing), why, .. } = &applied else { panic!("{right}: {applied:?}") };
        assert_eq!(missing.action.to_lowercase(), right.to_lowercase());
        assert!(why.contains("08-responder-restore-settings.json"), "{why}");
        assert_eq!(took(&lab.gate.writes()), 0);
        let mut locked = world(&case, case.dropped);
        locked.locks.push(LockSpec {
            name: "freeze".to_owned(),
            level: "ReadOnly".to_owned(),
            scope: format!("/subscriptions/{}/resourceGroups/rg-data", locked.subscription),
        });
        let lab = Lab::of(locked).await;
        let applied = lab.apply_one(&change(&lab, &case)).await;
        assert!(matches!(&applied, Applied::Failed { code, .. } if code == "ScopeLocked"), "{applied:?}");
        assert!(!lab.is_mended(&change(&lab, &case)).await);
    }
}
