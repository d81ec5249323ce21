//! Tokens that are good but for something, whatever that is: let in by none, and nothing panics.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::stage::Stage;

/// One place of a token's text, and what becomes of it.
#[derive(Debug, Clone)]
enum Edit {
    Put(u8),
    Insert(u8),
    Remove,
    CutOff,
    /// The two parts around the nearest dot change places.
    Swap,
}

fn edited(token: &str, edits: &[(prop::sample::Index, Edit)]) -> Vec<u8> {
    let mut bytes = token.as_bytes().to_vec();
    for (at, edit) in edits.iter().filter(|_| !token.is_empty()) {
        let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match edit {
            _ if bytes.is_empty() => {}
            Edit::Put(byte) => bytes[at] = *byte,
            Edit::Insert(byte) => bytes.insert(at, *byte),
            Edit::Remove => drop(bytes.remove(at)),
            Edit::CutOff => bytes.truncate(at),
            Edit::Swap => {
                let mut parts: Vec<&[u8]> = bytes.split(|byte| *byte == b'.').collect();
                parts.rotate_left(1);
                bytes = parts.join(&b'.');
            }
        }
    }
    bytes
}

fn any_edits() -> impl Strategy<Value = Vec<(prop::sample::Index, Edit)>> {
    let edit = prop_oneof![
        4 => any::<u8>().prop_map(Edit::Put),
        2 => prop::sample::select(b"ABab01-_.=".to_vec()).prop_map(Edit::Put),
        1 => any::<u8>().prop_map(Edit::Insert),
        1 => Just(Edit::Remove),
        1 => Just(Edit::CutOff),
        1 => Just(Edit::Swap),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), edit), 1..4)
}

/// Values of every type, none of which is right anywhere.
fn wrong_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1_000_000_000_i64..1_000_000_000).prop_map(Value::from),
        any::<f64>()
            .prop_filter("a moment long ago or none", |number| !(1e9..1e12).contains(number))
            .prop_map(Value::from),
        "[ -~]{0,40}".prop_map(Value::from),
        prop::collection::vec("[ -~]{0,12}", 0..3).prop_map(Value::from),
        "[a-z]{0,6}".prop_map(|name| json!({ name: 1 })),
    ]
}

struct Door {
    runtime: tokio::runtime::Runtime,
    stage: Stage,
}

impl Door {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stage = runtime.block_on(Stage::usual());
        let door = Self { runtime, stage };
        assert!(door.admits(door.stage.token().as_bytes()), "the good one is let in");
        door
    }

    fn admits(&self, token: &[u8]) -> bool {
        let Ok(value) = HeaderValue::from_bytes(&[b"Bearer ", token].concat()) else { return false };
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
        let uri = "/api/alerts".parse().unwrap();
        self.runtime.block_on(self.stage.callers.admit(&headers, &uri, self.stage.now())).is_ok()
    }

    fn signed(&self, head: &Value, claims: &Value) -> String {
        self.stage.cloud.sign_as(&head.to_string(), &claims.to_string())
    }

    fn head(&self) -> Value {
        json!({ "alg": "RS256", "typ": "JWT", "kid": self.stage.cloud.signing_key()["kid"] })
    }
}

fn run<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() }).run(strategy, test).unwrap();
}

#[test]
fn no_edit_of_a_good_token_is_let_in() {
    let door = Door::open();
    let good = door.stage.token();
    run(2000, &any_edits(), |edits| {
        let token = edited(&good, &edits);
        // Blanks around a token belong to the header.
        if token.trim_ascii() != good.as_bytes() {
            prop_assert!(!door.admits(&token), "{}", String::from_utf8_lossy(&token));
        }
        Ok(())
    });
    assert_eq!(door.stage.asked(), [1, 1], "not one of them made us ask for keys again");
}

/// Signed by the tenant, and wrong in one claim.
#[test]
fn no_token_with_any_other_claim_is_let_in() {
    let door = Door::open();
    let names = prop::sample::select(vec!["iss", "aud", "exp", "tid", "azp", "roles"]);
    run(400, &(names, wrong_value()), |(name, value)| {
        let claims = door.stage.claims(|claims| claims[name] = value);
        prop_assert!(!door.admits(door.signed(&door.head(), &claims).as_bytes()), "{claims}");
        Ok(())
    });
}

/// Claims of one token under the signature of another.
#[test]
fn no_claim_counts_that_was_not_signed() {
    let door = Door::open();
    let good = door.stage.token();
    let parts: Vec<&str> = good.split('.').collect();
    run(400, &("[a-z]{1,8}", wrong_value()), |(name, value)| {
        let claims = door.stage.claims(|claims| claims[name.as_str()] = value);
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        prop_assert!(!door.admits(format!("{}.{claims}.{}", parts[0], parts[2]).as_bytes()), "{name}");
        Ok(())
    });
}

/// Signed by the tenant, with something else in its head.
#[test]
fn no_token_with_another_head_is_let_in() {
    let door = Door::open();
    let names = prop::sample::select(vec!["alg", "kid", "jku", "x5u", "jwk", "x5c"]);
    run(400, &(names, wrong_value()), |(name, value)| {
        // What is null is not there.
        prop_assume!(!(value.is_null() && ["jku", "x5u", "jwk", "x5c"].contains(&name)));
        let mut head = door.head();
        head[name] = value;
        prop_assert!(!door.admits(door.signed(&head, &door.stage.claims(|_| {})).as_bytes()), "{head}");
        Ok(())
    });
}
