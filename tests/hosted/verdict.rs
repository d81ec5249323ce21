//! What must hold of every host that has run, whatever happened to it.

use std::collections::BTreeMap;

use keymend::drill::cloud::world::TOKEN;
use keymend::drill::cloud::{Cloud, Exchange, Plane};
use keymend::drill::judge::is_write;
use serde_json::Value;

use crate::azurite::KEY;
use crate::host_double::front::Keys;
use crate::host_double::invoke::Outcome;
use crate::host_double::{Ended, Host};
use crate::stage::EVENTS_SECRET;

/// Lines that the host takes for something else than a record of ours.
const RESERVED: [&str; 2] = ["LanguageWorkerConsoleLog", "azfuncjsonlog:"];

/// Stops a host, and holds what is left of it against the rules.
pub async fn stop(host: Host) -> Ended {
    let keys = host.keys().clone();
    let ended = host.stop().await;
    let faults = faults(&ended, &keys);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    ended
}

/// No invocation hangs, no secret is printed, each record is one line of JSON.
pub fn faults(ended: &Ended, keys: &Keys) -> Vec<String> {
    let mut faults: Vec<String> = ended.hangs.iter().map(|hang| format!("an invocation would hang: {hang}")).collect();
    let secrets = [&keys.function, &keys.master, &keys.event_grid, KEY, TOKEN, EVENTS_SECRET];
    for line in &ended.lines {
        faults.extend(
            secrets.iter().filter(|secret| line.text.contains(**secret)).map(|_| format!("a secret: {}", line.text)),
        );
        if !serde_json::from_str::<Value>(&line.text).is_ok_and(|record| record.is_object()) {
            faults.push(format!("no record: {:?}", line.text));
        }
        faults.extend(RESERVED.iter().filter(|start| line.text.starts_with(**start)).map(|_| line.text.clone()));
    }
    // A poisoned message that fails comes back for ever.
    let refused = ended.calls.iter().filter(|call| call.function == "poison" && call.message.is_some());
    let refused =
        refused.filter(|call| matches!(&call.outcome, Some(Outcome::Failed(why)) if why.contains("status code")));
    faults.extend(refused.map(|call| format!("poison answered {:?}", call.outcome)));
    faults
}

/// Writes that changed something in Azure, each with how often.
pub fn effects(cloud: &Cloud) -> BTreeMap<String, usize> {
    let mut effects = BTreeMap::new();
    for one in cloud.requests().iter().filter(|one| one.effect && is_write(one)) {
        let path = one.url.split('?').next().unwrap_or_default().to_ascii_lowercase();
        *effects.entry(format!("{} {path}", one.method)).or_default() += 1;
    }
    effects
}

/// What the sinks were posted: which sink, the body as a text.
pub fn told(cloud: &Cloud, sink: &str) -> Vec<String> {
    let posts = |one: &&Exchange| one.plane == Plane::Other && one.url.contains(&format!("/sink/{sink}"));
    let requests = cloud.requests();
    let bodies = requests.iter().filter(posts).filter(|one| (200..300).contains(&one.status));
    bodies.filter_map(|one| one.request_body.as_ref().map(Value::to_string)).collect()
}
