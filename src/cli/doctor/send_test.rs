//! `keymend doctor --send-test`: a marked message through every channel, and what came back.

use std::process::ExitCode;
use std::sync::Arc;

use futures::future::join_all;
use serde_json::json;

use crate::cli::channels::{build, sender};
use crate::cli::output::{plain, say};
use crate::clock::Clock;
use crate::ids::Ids;
use crate::notify::{Channel, ChannelError, Trial, TrialMessage};
use crate::settings::Settings;

/// What became of one channel's message.
struct Outcome {
    name: String,
    said: String,
    /// What to do, where it failed.
    todo: Option<&'static str>,
}

/// Sends them all side by side, and tells how each went.
pub(super) async fn run(settings: &Settings, clock: &Clock, as_json: bool) -> ExitCode {
    let (channels, faults) = build(settings, None, clock);
    let ids = Ids::random();
    let trial = TrialMessage {
        trial: Trial::Test,
        id: format!("keymend-test-{}", ids.uuid().simple()),
        at: clock.now(),
        sender: sender(),
    };
    let others: Vec<&Arc<dyn Channel>> = channels.iter().filter(|channel| channel.name() != "log").collect();
    let mut outcomes = join_all(others.into_iter().map(|channel| attempt(&**channel, &trial))).await;
    let unusable = settings.faults.iter().map(ToString::to_string).chain(faults);
    outcomes.extend(unusable.map(|said| Outcome {
        name: "settings".to_owned(),
        said,
        todo: Some("Correct this setting: nothing was sent through its channel"),
    }));
    let failed = outcomes.iter().filter(|outcome| outcome.todo.is_some()).count();
    let well = failed == 0 && !outcomes.is_empty();
    if as_json {
        let list = outcomes
            .iter()
            .map(|it| json!({"channel": it.name, "ok": it.todo.is_none(), "said": it.said, "todo": it.todo}));
        say(&format!("{:#}", json!({"well": well, "id": trial.id, "channels": list.collect::<Vec<_>>()})));
    } else {
        tell(&outcomes, failed, &trial.id);
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn attempt(channel: &dyn Channel, trial: &TrialMessage) -> Outcome {
    let (said, todo) = match channel.try_out(trial).await {
        Ok(said) => (said, None),
        Err(ChannelError::Retry { why, .. }) => {
            (why, Some("Try again in a while; if it stays so, check the address and the way out of this network"))
        }
        Err(ChannelError::Permanent { why }) => {
            (why, Some("Correct what it names; docs/notifications.md tells how each channel is set up"))
        }
    };
    Outcome { name: channel.name().to_owned(), said, todo }
}

fn tell(outcomes: &[Outcome], failed: usize, id: &str) {
    if outcomes.is_empty() {
        say("No channel is set up, so nobody is told but the log: docs/notifications.md tells how.");
        return;
    }
    let width = outcomes.iter().map(|outcome| outcome.name.chars().count()).max().unwrap_or_default();
    for outcome in outcomes {
        let word = if outcome.todo.is_none() { "ok" } else { "FAILED" };
        say(&format!("{word:<6}  {:<width$}  {}", plain(&outcome.name), plain(&outcome.said)));
        if let Some(todo) = outcome.todo {
            say(&format!("{:<6}  {:<width$}  -> {todo}.", "", ""));
        }
    }
    let all = outcomes.len();
    say(&match failed {
        0 => format!("\nEvery channel took the test message {id}: look whether it arrived."),
        _ => format!("\n{failed} of {all} failed (test message {id})."),
    });
}
