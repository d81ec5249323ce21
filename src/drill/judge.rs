//! Whether a story ended as its scenario declares.

use std::collections::BTreeMap;

use serde_json::Value;

use super::cloud::{Cloud, Exchange};
use super::scenario::{End, Expect, Writes};
use crate::domain::incident::{AttemptOutcome, Incident, Phase};
use crate::domain::notice::Situation;
use crate::domain::remedy::Remedy;

/// Everything that is not as declared, in words; empty if all is well.
#[must_use]
pub fn faults(expect: &Expect, incidents: &[Incident], cloud: &Cloud) -> Vec<String> {
    let mut faults = Vec::new();
    let world = cloud.world();
    let (warnings, incidents): (Vec<Incident>, Vec<Incident>) = incidents.iter().cloned().partition(is_warning);
    let incidents = incidents.as_slice();
    if warnings.len() != expect.warned {
        faults.push(format!("{} warning(s) of expiry were given, declared {}", warnings.len(), expect.warned));
    }
    faults.extend(one_incident(incidents));
    if let Some(incident) = incidents.first() {
        faults.extend(ending(expect.end, incident));
        faults.extend(one_card_each(incident));
    } else if expect.end != End::FalseAlarm {
        faults.push("no incident was opened".to_owned());
    }
    faults.extend(writes(&expect.writes, incidents, &cloud.requests_that(is_write)));
    if expect.online {
        let down = cloud.statuses().into_iter().filter(|(_, status)| status != "Online");
        faults.extend(down.map(|(database, status)| format!("{database} is {status}, should be Online")));
    }
    if expect.silent && incidents.iter().any(|incident| !incident.notices.is_empty()) {
        faults.push("the team was told of something that was nothing".to_owned());
    }
    faults.extend(declared(expect, &world));
    faults
}

/// Whether it only warned that a key expires soon, which is no loss.
#[must_use]
pub fn is_warning(incident: &Incident) -> bool {
    incident.key.0.starts_with("expiry:")
}

fn declared(expect: &Expect, world: &Value) -> Vec<String> {
    expect.world.iter().filter(|fact| !(fact.holds)(world)).map(|fact| format!("not so: {}", fact.says)).collect()
}

fn one_incident(incidents: &[Incident]) -> Option<String> {
    let mut keys: Vec<&str> = incidents.iter().map(|incident| incident.key.0.as_str()).collect();
    keys.sort_unstable();
    (incidents.len() > 1).then(|| format!("{} incidents were opened: {}", incidents.len(), keys.join(", ")))
}

fn ending(end: End, incident: &Incident) -> Option<String> {
    let made = incident.made().next().is_some();
    let as_declared = match end {
        End::Repaired => incident.phase == Phase::Healed && made,
        End::CameBack => incident.phase == Phase::Healed && !made,
        End::FalseAlarm => incident.phase == Phase::Closed && !made,
        End::WithPerson(reason) => {
            incident.ended_at.is_none() && incident.needs_person.as_ref().is_some_and(|(is, _)| *is == reason)
        }
    };
    (!as_declared).then(|| {
        let person =
            incident.needs_person.as_ref().map_or_else(String::new, |(why, text)| format!(" ({why:?}: {text})"));
        format!("the incident stands at {:?}{person}, declared was {end:?}", incident.phase)
    })
}

/// At most one card for a phase and cause.
fn one_card_each(incident: &Incident) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for notice in &incident.notices {
        let plan = match notice.situation {
            Situation::ApprovalAsked => notice.plan_hash.as_ref(),
            Situation::ChangeMade => notice.made_hash.as_ref(),
            _ => None,
        };
        let key = format!("{:?}/{:?}/{:?}/{plan:?}", notice.situation, notice.cause, notice.needs_person);
        *seen.entry(key).or_default() += 1;
    }
    seen.into_iter().filter(|(_, count)| *count > 1).map(|(key, count)| format!("{count} messages for {key}")).collect()
}

/// Requests that would change something.
#[must_use]
pub fn is_write(exchange: &Exchange) -> bool {
    exchange.is_write()
}

fn writes(declared: &Writes, incidents: &[Incident], requests: &[Exchange]) -> Vec<String> {
    let sent: Vec<&Exchange> = requests.iter().filter(|exchange| is_write(exchange)).collect();
    let effects: Vec<&&Exchange> = sent.iter().filter(|exchange| exchange.effect).collect();
    match declared {
        Writes::None => sent.iter().map(|e| format!("a write reached Azure: {} {}", e.method, e.url)).collect(),
        Writes::RefusedOnly => {
            let mut faults: Vec<String> =
                effects.iter().map(|e| format!("{} {} took effect", e.method, e.url)).collect();
            if sent.is_empty() {
                faults.push("no write was tried, so nothing shows that it is refused".to_owned());
            }
            faults
        }
        Writes::Just(list) => {
            let mut made: BTreeMap<Remedy, usize> = BTreeMap::new();
            for attempt in incidents.iter().flat_map(|incident| &incident.attempts) {
                if matches!(attempt.outcome, Some(AttemptOutcome::Made { .. })) {
                    *made.entry(attempt.change.remedy()).or_default() += 1;
                }
            }
            let wanted: BTreeMap<Remedy, usize> = list.iter().copied().collect();
            let total: usize = wanted.values().sum();
            let mut faults = Vec::new();
            if made != wanted {
                faults.push(format!("changes made: {made:?}, declared: {wanted:?}"));
            }
            if effects.len() != total {
                let list: Vec<String> = effects.iter().map(|e| format!("{} {}", e.method, e.url)).collect();
                faults.push(format!(
                    "{} writes took effect in Azure, declared {total}: {}",
                    effects.len(),
                    list.join("; ")
                ));
            }
            faults
        }
    }
}
