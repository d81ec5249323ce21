//! A cloud that lies: wrong ids, other scopes, endless and enormous lists, links to elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use keymend::domain::policy::Preset;
use keymend::drill::cloud::{Exchange, Plane, Said};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::invariants::Invariant;
use crate::stage::{Plan, Stage};
use crate::workers::{Outcome, Task, on_a_thread};

const STORIES: [(&str, Preset); 5] = [
    ("vault-deleted", Preset::Auto),
    ("permission-revoked-rbac", Preset::Auto),
    ("missing-identity", Preset::Auto),
    ("late-alert", Preset::Auto),
    ("hold-tag", Preset::Auto),
];

/// One of so many first answers that a lie fits to is one for certain.
const CERTAIN: u32 = 3;

/// What a lie makes of an answer. It is told where to lead the asker astray, and answers whether it lied.
type Lie = fn(&mut Said, &str) -> bool;

const LIES: [(&str, Lie); 14] = [
    ("ids of another subscription", |said, _| {
        replace(&mut said.body, "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000")
    }),
    ("names of another server", |said, _| replace(&mut said.body, "contoso-sql", "fabrikam-sql")),
    ("names of another vault", |said, _| replace(&mut said.body, "contoso-kv", "fabrikam-kv")),
    ("a vault at another host", |said, _| {
        replace(&mut said.body, "contoso-kv.vault.azure.net", "contoso-kv.vault.azure.net.evil.example")
    }),
    ("another principal", |said, _| set(&mut said.body, "principalId", &json!("deadbeef-0000-4000-8000-000000000000"))),
    ("lists that never end", |said, _| {
        let Some(items) = said.body.get_mut("value").and_then(Value::as_array_mut) else { return false };
        let Some(one) = items.first().cloned() else { return false };
        items.extend(std::iter::repeat_n(one, 3000));
        true
    }),
    ("empty lists", |said, _| {
        let Some(items) = said.body.get_mut("value").and_then(Value::as_array_mut) else { return false };
        items.clear();
        true
    }),
    ("nextLink to elsewhere", |said, trap| link(said, &format!("{trap}/subscriptions"))),
    ("nextLink to a stranger's host", |said, _| link(said, "https://management.azure.com.evil.example/x")),
    ("nextLink in a circle", |said, _| link(said, "")),
    ("Location to elsewhere", |said, trap| {
        let leads = |name: &str| matches!(name, "location" | "azure-asyncoperation");
        let mut lied = false;
        for (_, value) in said.headers.iter_mut().filter(|(name, _)| leads(name)) {
            (*value, lied) = (format!("{trap}/operations/1"), true);
        }
        lied
    }),
    ("null everywhere", |said, _| {
        let Some(fields) = said.body.get_mut("properties").and_then(Value::as_object_mut) else { return false };
        fields.values_mut().for_each(|value| *value = Value::Null);
        true
    }),
    ("all is well", |said, _| replace(&mut said.body, "Inaccessible", "Online")),
    ("all is lost", |said, _| replace(&mut said.body, "Online", "Inaccessible")),
];

fn replace(body: &mut Value, from: &str, to: &str) -> bool {
    let text = body.to_string();
    let lie = text.replace(from, to);
    let lied = lie != text;
    if lied {
        *body = serde_json::from_str(&lie).unwrap();
    }
    lied
}

fn set(body: &mut Value, field: &str, to: &Value) -> bool {
    match body {
        Value::Object(fields) => {
            let mut lied = false;
            for (name, value) in fields {
                if name == field {
                    (*value, lied) = (to.clone(), true);
                } else {
                    lied |= set(value, field, to);
                }
            }
            lied
        }
        Value::Array(items) => items.iter_mut().filter_map(|item| set(item, field, to).then_some(())).count() > 0,
        _ => false,
    }
}

fn link(said: &mut Said, to: &str) -> bool {
    let Some(fields) = said.body.as_object_mut().filter(|fields| fields.contains_key("value")) else { return false };
    fields.insert("nextLink".to_owned(), to.into());
    true
}

/// Each lie in each story: all the time, or now and then.
pub fn tasks(seed: u64, some: Option<usize>) -> Vec<Task> {
    let mut all = Vec::new();
    for story in STORIES {
        for lie in 0..LIES.len() {
            for share in [1.0, 0.3, 0.05] {
                all.push((story, lie, share));
            }
        }
    }
    let mut random = StdRng::seed_from_u64(seed);
    rand::seq::SliceRandom::shuffle(all.as_mut_slice(), &mut random);
    all.truncate(some.unwrap_or(usize::MAX));
    let task = |(story, lie, share): ((&'static str, Preset), usize, f64)| {
        let label = format!("{} ({}): {} in {share} of the answers", story.0, story.1.name(), LIES[lie].0);
        Task::new("hostile cloud", label, move || play(story, lie, share, seed))
    };
    all.into_iter().map(task).collect()
}

fn play(story: (&'static str, Preset), lie: usize, share: f64, seed: u64) -> Outcome {
    on_a_thread(async move {
        let stage = Stage::open(Plan::of(story.0, story.1, seed)).await;
        let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", trap.local_addr().unwrap());
        let lies = Arc::new(AtomicU32::new(0));
        let (count, base) = (lies.clone(), stage.address());
        let mut random = StdRng::seed_from_u64(seed ^ ((lie as u64) << 32));
        let certain = random.random_range(0..CERTAIN);
        let random = std::sync::Mutex::new(random);
        let fitting = AtomicU32::new(0);
        stage.cloud.lie_with(move |one: &Exchange, said| {
            if !matches!(one.plane, Plane::Arm | Plane::KeyVault) {
                return;
            }
            let truth = said.clone();
            if (LIES[lie].1)(said, &address) {
                let mut random = random.lock().unwrap();
                // One of the first answers that the lie fits to is one, however rare lies are: else it might be never met.
                let due = fitting.fetch_add(1, Ordering::SeqCst) == certain;
                if !random.random_bool(share) && !due {
                    *said = truth;
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                if said.body["nextLink"] == "" {
                    let path = one.url.trim_start_matches("https://");
                    let path = &path[path.find('/').unwrap_or(0)..];
                    said.body["nextLink"] = format!("{base}{path}").into();
                }
            }
        });
        let played = stage.play(async |_, _| ()).await;
        let mut outcome = Outcome::of(&played, lies.load(Ordering::SeqCst));
        if tokio::time::timeout(std::time::Duration::from_millis(1), trap.accept()).await.is_ok() {
            outcome.breaches.push((Invariant::InScope, "the responder followed a link to elsewhere".to_owned()));
        }
        // Who is told that all is well all the time can know no better.
        if LIES[lie].0 == "all is well" || LIES[lie].0 == "all is lost" || LIES[lie].0 == "empty lists" {
            outcome.breaches.retain(|(of, _)| {
                !matches!(of, Invariant::EndsOrIsWithAPerson | Invariant::TeamTold | Invariant::NoAlertLost)
            });
        }
        outcome
    })
}
