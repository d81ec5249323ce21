//! Plays a scenario of the drill before a hosted handler: lets things happen when they are due, plays the people, and sees
//! how it ends.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use keymend::clock::add;
use keymend::domain::incident::{ApprovalDecision, Incident, Phase};
use keymend::drill::judge;
use keymend::drill::scenario::{Act, People, Setup, Step};
use keymend::store::{NewJob, Work};

use crate::host_double::Host;
use crate::stage::{PATIENCE, Stage};

/// How long a story goes on after it seems to have ended, to see that it stays so.
const AFTERMATH: SignedDuration = SignedDuration::from_mins(10);
const TICK: Duration = Duration::from_millis(300);

/// Plays to the end, and answers what is not as the scenario declares.
pub async fn play(stage: &Stage, host: &Host, setup: &Setup) -> Vec<String> {
    let began = stage.cloud.clock().now();
    let real = Instant::now();
    let mut script = setup.script.clone();
    let mut over_since: Option<Timestamp> = None;
    loop {
        let now = stage.cloud.clock().now();
        let incidents = stage.incidents().await;
        let before = script.len();
        act(stage, &mut script, began, now, &incidents);
        people(stage, setup, now, &incidents).await;
        let at_rest = |incident: &Incident| incident.ended_at.is_some() || incident.phase == Phase::Escalated;
        if script.is_empty() && before == 0 && !incidents.is_empty() && incidents.iter().all(at_rest) {
            if now >= add(*over_since.get_or_insert(now), AFTERMATH) {
                break;
            }
        } else {
            over_since = None;
        }
        if now >= add(began, setup.horizon) || real.elapsed() > PATIENCE {
            break;
        }
        // What is due happens when it is due; everything else can wait for the next look.
        let due =
            script.iter().filter(|step| !matches!(step.act, Act::AfterRepair(_))).map(|step| add(began, step.after));
        let next = stage.cloud.clock().idle_until(due.min().unwrap_or(Timestamp::MAX));
        let _ = tokio::time::timeout(TICK, next).await;
    }
    let mut faults = judge::faults(&setup.expect, &stage.incidents().await, &stage.cloud);
    faults.extend(alerts(stage));
    let set_aside = stage.store.poison().await.unwrap();
    faults.extend(set_aside.into_iter().map(|(job, why)| format!("{job} was set aside: {why}")));
    faults.extend(Some(host.worker().starts()).filter(|starts| *starts != 1).map(|count| format!("{count} starts")));
    faults
}

fn act(stage: &Stage, script: &mut Vec<Step>, began: Timestamp, now: Timestamp, incidents: &[Incident]) {
    let repaired = incidents.iter().filter_map(Incident::last_made_at).min();
    script.retain(|step| {
        let due = match step.act {
            Act::AfterRepair(_) => repaired.is_some_and(|at| now >= add(at, step.after)),
            _ => now >= add(began, step.after),
        };
        if due {
            match &step.act {
                Act::Break(what) | Act::AfterRepair(what) => stage.cloud.try_break(what).unwrap(),
                Act::Fault(fault) => stage.cloud.fault(fault.clone()),
            }
        }
        !due
    });
}

/// The person on call answers as `keymend incidents approve` would.
async fn people(stage: &Stage, setup: &Setup, now: Timestamp, incidents: &[Incident]) {
    let People::Approve(after) = setup.people else { return };
    for incident in incidents {
        let Some(asked) = &incident.approval else { continue };
        if asked.decision.is_some() || now < add(asked.asked_at, after) || incident.ended_at.is_some() {
            continue;
        }
        let Some((mut incident, version)) = stage.store.incident(&incident.id).await.unwrap() else { continue };
        let Some(asked) = &mut incident.approval else { continue };
        asked.decision = Some(ApprovalDecision { approved: true, by: "ada (on call)".to_owned(), at: now });
        let pass = NewJob { work: Work::Pass { incident: incident.id.clone() }, due: now };
        // Whoever was faster is read again at the next look.
        let _ = stage.store.save(&incident, Some(version), &[pass], &[], now).await;
    }
}

/// Every alert was taken.
fn alerts(stage: &Stage) -> Vec<String> {
    let refused = stage.cloud.deliveries().into_iter().filter(|one| !matches!(one.status, Some(200 | 202)));
    refused.map(|one| format!("alert {} was answered {:?} {}", one.event, one.status, one.answer)).collect()
}
