//! What is put back, what is left, what is explained.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::domain::evidence::{Database, SECONDARY_TYPE};
use crate::domain::remedy::Change;

const SERVER: &str = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Sql/servers/contoso-sql";

fn server() -> ResourceId {
    ResourceId::parse(SERVER).unwrap()
}

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn snapshot(pairs: &[(&str, &str)]) -> Snapshot {
    Snapshot { taken_at: Timestamp::UNIX_EPOCH, settings: settings(pairs), retention: None, whole: true }
}

fn database(pairs: &[(&str, &str)]) -> Database {
    Database {
        name: "orders".to_owned(),
        status: "Online".to_owned(),
        own_protector: None,
        settings: settings(pairs),
        reason: None,
    }
}

fn fate_of(setting: &str, was: &str, is: Option<&str>) -> Option<Fate> {
    let now: Vec<(&str, &str)> = is.map(|is| (setting, is)).into_iter().collect();
    let items = compare(&server(), &snapshot(&[(setting, was)]), &database(&now), None);
    assert!(items.len() <= 1);
    items.into_iter().next().map(|item| item.fate)
}

#[test]
fn only_what_azure_leaves_behind_is_put_back() {
    let (pool, group) = (format!("{SERVER}/elasticPools/p"), format!("{SERVER}/failoverGroups/g"));
    let (other_pool, other_group) = (format!("{SERVER}/elasticPools/q"), format!("{SERVER}/failoverGroups/h"));
    let put_back = |setting, was: &str, is| matches!(fate_of(setting, was, is), Some(Fate::ToPutBack { .. }));
    let left = |setting, was: &str, is| matches!(fate_of(setting, was, is), Some(Fate::Left { .. }));
    assert!(put_back("elastic pool", &pool, None));
    assert!(left("elastic pool", &pool, Some(&other_pool)));
    assert!(put_back("failover group", &group, None));
    assert!(left("failover group", &group, Some(&other_group)));
    assert!(put_back("read scale", "Enabled", Some("Disabled")));
    assert!(put_back("auto-pause delay", "60", Some("-1")));
    assert!(left("auto-pause delay", "60", Some("120")));
    assert!(put_back("tag owner", "sales", None));
    assert!(left("tag owner", "sales", Some("Sales")), "the case of a tag's value counts");
    // Nobody wanted it on before.
    assert!(left("read scale", "Disabled", Some("Enabled")));
    assert!(left("auto-pause delay", "-1", Some("60")));
    // Size, price and redundancy are a person's.
    for setting in ["service objective", "minimum capacity", "zone redundant", "maximum size in bytes"] {
        assert!(left(setting, "a", Some("b")) && left(setting, "a", None), "{setting}");
    }
    assert_eq!(fate_of("elastic pool", &pool, Some(&pool.to_uppercase())), None, "ids have no case");
}

#[test]
fn a_geo_secondary_is_explained_and_never_touched() {
    let before = snapshot(&[(SECONDARY_TYPE, "Geo"), ("tag owner", "sales"), ("read scale", "Enabled")]);
    let items = compare(&server(), &before, &database(&[("read scale", "Disabled")]), None);
    assert_eq!(items.len(), 3);
    assert!(items.iter().all(|item| matches!(item.fate, Fate::Explained { .. })), "{items:?}");
}

#[test]
fn an_instances_settings_are_told_and_left() {
    let instance = ResourceId::parse(&SERVER.replace("servers/", "managedInstances/")).unwrap();
    let items = compare(&instance, &snapshot(&[("tag owner", "sales")]), &database(&[]), None);
    assert!(matches!(&items[0].fate, Fate::Left { why, .. } if why.contains("logical SQL servers")), "{items:?}");
}

fn retention(days: u32, weekly: &str) -> Retention {
    let none = "PT0S".to_owned();
    Retention {
        short: Some(ShortTerm { days, diff_hours: Some(24) }),
        long: Some(LongTerm { weekly: weekly.to_owned(), monthly: none.clone(), yearly: none, week_of_year: Some(0) }),
    }
}

#[test]
fn retention_is_put_back_from_its_defaults_alone() {
    let before = Snapshot { retention: Some(retention(14, "P4W")), ..snapshot(&[]) };
    let fates = |now: Option<Retention>| -> Vec<Fate> {
        compare(&server(), &before, &database(&[]), now.as_ref()).into_iter().map(|item| item.fate).collect()
    };
    let dropped = fates(Some(retention(7, "PT0S")));
    assert!(dropped.len() == 2 && dropped.iter().all(|fate| matches!(fate, Fate::ToPutBack { .. })), "{dropped:?}");
    let changed = fates(Some(retention(3, "P2W")));
    assert!(changed.len() == 2 && changed.iter().all(|fate| matches!(fate, Fate::Left { .. })), "{changed:?}");
    let unread = fates(None);
    // The change reads before it writes, and may be able to.
    assert!(unread.len() == 2 && unread.iter().all(|fate| matches!(fate, Fate::ToPutBack { .. })), "{unread:?}");
    assert_eq!(fates(Some(retention(14, "P4W"))), []);
}

fn restoration(items: Vec<Item>) -> Restoration {
    Restoration { items, ..Restoration::of(BTreeSet::new(), Timestamp::UNIX_EPOCH) }
}

#[test]
fn one_change_of_a_database_at_a_time_and_all_its_tags_at_once() {
    let pool = format!("{SERVER}/elasticPools/p");
    let before = snapshot(&[("elastic pool", &pool), ("tag a", "1"), ("tag b", "2"), ("read scale", "Enabled")]);
    let items = compare(&server(), &before, &database(&[]), None);
    let all = changes_for(&restoration(items));
    let kinds: Vec<String> = all
        .iter()
        .map(|change| match change {
            Change::RestoreSetting { setting, .. } => setting.name(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["elastic pool", "read scale", "2 tags"]);
    assert_eq!(next(&all), all[..1]);
}

#[test]
fn what_azure_shows_again_counts_and_what_somebody_set_is_left() {
    let before = snapshot(&[("tag a", "1"), ("tag b", "2"), ("tag c", "3")]);
    let mut all = restoration(compare(&server(), &before, &database(&[]), None));
    let now = database(&[("tag a", "1"), ("tag b", "other")]);
    let seen = compare(&server(), &before, &now, None);
    let read = [DatabaseRef { server: server(), name: "orders".to_owned() }].into();
    let back = settle(&mut all, &seen, &read, Timestamp::UNIX_EPOCH);
    assert_eq!(back.iter().map(|item| item.setting.as_str()).collect::<Vec<_>>(), ["tag a"]);
    assert!(matches!(all.items[0].fate, Fate::PutBack { .. }));
    assert!(matches!(all.items[1].fate, Fate::Left { .. }));
    assert!(matches!(all.items[2].fate, Fate::ToPutBack { .. }));
    // Of a database that was not read nothing is concluded.
    let mut unread = restoration(compare(&server(), &before, &database(&[]), None));
    assert!(settle(&mut unread, &[], &BTreeSet::new(), Timestamp::UNIX_EPOCH).is_empty());
    assert_eq!(unread.pending().count(), 3);
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Enabled".to_owned()),
        Just("Disabled".to_owned()),
        Just("-1".to_owned()),
        Just("60".to_owned()),
        Just(format!("{SERVER}/elasticPools/p")),
        "\\PC{0,12}",
    ]
}

fn some_settings() -> impl Strategy<Value = BTreeMap<String, String>> {
    let name = prop_oneof![
        Just("elastic pool".to_owned()),
        Just("failover group".to_owned()),
        Just("read scale".to_owned()),
        Just("auto-pause delay".to_owned()),
        Just("service objective".to_owned()),
        Just("zone redundant".to_owned()),
        "tag [a-c]",
    ];
    proptest::collection::btree_map(name, value(), 0..8)
}

proptest! {
    #[test]
    fn nothing_is_overwritten_that_somebody_may_have_set(before in some_settings(), now in some_settings()) {
        let before = Snapshot { settings: before, ..snapshot(&[]) };
        let seen = Database { settings: now.clone(), ..database(&[]) };
        for item in compare(&server(), &before, &seen, None) {
            prop_assert_ne!(&item.before, &item.now);
            if matches!(item.fate, Fate::ToPutBack { .. }) {
                let is = now.get(&item.setting).map(String::as_str);
                let azure_left_it = matches!((item.setting.as_str(), is), (_, None) | ("auto-pause delay", Some("-1")))
                    || item.setting == "read scale" && is.is_some_and(|is| is.eq_ignore_ascii_case("Disabled"));
                prop_assert!(azure_left_it, "{:?}", item);
                prop_assert!(!matches!(item.setting.as_str(), "service objective" | "zone redundant"));
            }
        }
        let same = Database { settings: before.settings.clone(), ..seen };
        prop_assert_eq!(compare(&server(), &before, &same, None), []);
    }
}
