//! Facts worth keeping.

use keymend::store::Pruned;
use serde_json::json;

use crate::kit::{Place, at, days};

pub async fn a_fact_is_kept_and_replaced(place: &dyn Place) {
    let store = place.open().await;
    assert_eq!(store.fact("servers", "kv").await.unwrap(), None);
    let first = json!({"b": [1, 2.5, null], "a": "\u{0}\u{1f511}", "deep": {"big": 9_007_199_254_740_993_i64}});
    store.keep_fact("servers", "kv", &first, at(0)).await.unwrap();
    assert_eq!(store.fact("servers", "kv").await.unwrap(), Some((first, at(0))));
    store.keep_fact("servers", "kv", &json!(null), at(7)).await.unwrap();
    assert_eq!(store.fact("servers", "kv").await.unwrap(), Some((json!(null), at(7))));
}

pub async fn facts_of_a_kind_are_listed_by_key(place: &dyn Place) {
    let store = place.open().await;
    for (kind, key, value) in [("servers", "b", 2), ("servers", "a", 1), ("settings", "a", 3)] {
        store.keep_fact(kind, key, &json!(value), at(value)).await.unwrap();
    }
    let expected = [("a".to_owned(), json!(1), at(1)), ("b".to_owned(), json!(2), at(2))];
    assert_eq!(store.facts("servers").await.unwrap(), expected);
    assert_eq!(store.facts("").await.unwrap(), [], "an empty kind is not all kinds");
}

pub async fn prune_removes_facts_that_nobody_renewed(place: &dyn Place) {
    let store = place.open().await;
    store.keep_fact("servers", "gone", &json!(1), at(0)).await.unwrap();
    store.keep_fact("servers", "there", &json!(1), at(0)).await.unwrap();
    store.keep_fact("servers", "there", &json!(1), at(60)).await.unwrap();
    assert_eq!(store.prune(None, at(0) + days(365)).await.unwrap(), Pruned::default());
    assert_eq!(store.prune(None, at(60) + days(365)).await.unwrap(), Pruned { signals: 0, facts: 1, incidents: 0 });
    assert_eq!(store.facts("servers").await.unwrap().len(), 1);
}
