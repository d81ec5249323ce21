//! `keymend drill`: watch Keymend repair a simulated cloud.

mod open;

use std::path::PathBuf;
use std::process::ExitCode;

use console::{Term, style};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::output::{complain, fail, misused, say};
use crate::domain::policy::Preset;
use crate::drill::early;
use crate::drill::run::{Options, Played, View, play};
use crate::drill::scenario::{self, Scenario, TOUR};
use crate::drill::side_by_side::{side_by_side, threads};
use crate::drill::story::{Line, Who};
use crate::drill::voices::Voices;

/// Watch Keymend repair a simulated cloud
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without a scenario: a guided tour of three. `all` plays every one. `NAME:PRESET` plays one under one preset.
The simulated cloud runs on loopback in this process; nothing leaves this machine. Exit code 0 only if every story
ended as its scenario declares.")]
pub struct DrillArgs {
    /// Scenarios to play (see --list)
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Name the scenarios
    #[arg(long)]
    pub list: bool,
    /// Virtual seconds in a second, to watch it slowly; without it, as fast as it goes
    #[arg(long, value_name = "N")]
    pub speed: Option<f64>,
    /// JSON instead of the story: an array, one object a story
    #[arg(long)]
    pub json: bool,
    /// Write every request to the simulated cloud and every answer there, as HAR 1.2
    #[arg(long, value_name = "FILE")]
    pub har: Option<PathBuf>,
    /// Lose every alert and every event: the patrol alone must find what is broken. It is early, so stories that declare a
    /// late end do not end as declared
    #[arg(long)]
    pub alerts_lost: bool,
    /// Let alerts come by a secure webhook, with a token of the simulated Entra, instead of a secret in the address
    #[arg(long)]
    pub secure_webhook: bool,
    /// Tell every kind of channel, each by a stand-in: Slack, ServiceNow, PagerDuty, Jira Service Management and Jira beside
    /// Teams and a webhook. With --json, what they hold in the end is in `sinks`
    #[arg(long)]
    pub all_channels: bool,
    /// Measure instead: how soon N random losses of each kind are repaired, by what tells Keymend of them; a table
    #[arg(long, value_name = "N", conflicts_with_all = ["scenarios", "list", "speed", "har", "keep", "alerts_lost", "secure_webhook", "all_channels", "open"])]
    pub early: Option<u64>,
    /// Show the incident's page in a browser while it happens, and serve it until Ctrl-C. One scenario [default: the first
    /// of the tour], at --speed 30 if no other is said
    #[arg(long, conflicts_with = "json")]
    pub open: bool,
    /// Keep the stores in this folder, to look at with `keymend incidents --store …`
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// Runs it.
pub async fn run(args: DrillArgs) -> ExitCode {
    if args.list {
        return list(args.json);
    }
    if let Some(count) = args.early {
        return tokio::task::block_in_place(|| early(count, args.json));
    }
    if args.speed.is_some_and(|speed| !(speed.is_finite() && speed > 0.0)) {
        return misused("--speed wants a number above 0");
    }
    let mut stories = match chosen(&args.scenarios) {
        Ok(stories) => stories,
        Err(why) => return misused(&why),
    };
    if args.open {
        if args.scenarios.is_empty() {
            stories.truncate(1);
        }
        if stories.len() > 1 {
            return misused("--open shows one story: name it as SCENARIO:PRESET");
        }
    }
    let played = match tokio::task::block_in_place(|| play_all(&stories, &args)) {
        Ok(played) => played,
        Err(why) => return fail(&why),
    };
    if let Some(file) = &args.har
        && let Err(error) = write_har(file, &played)
    {
        return fail(&format!("cannot write {}: {error}", file.display()));
    }
    conclude(&args, &played)
}

/// Few are watched one by one as they happen. Many are played beside each other, the largest first, and each is told when it
/// is done.
fn play_all(stories: &[(Scenario, Preset)], args: &DrillArgs) -> Result<Vec<Played>, String> {
    let voices = if args.all_channels { Voices::All } else { Voices::Two };
    let pace = args.speed.or_else(|| args.open.then_some(WATCHABLE));
    let visit = args.open.then_some(open::VISIT);
    let secure_webhook = args.secure_webhook;
    let options =
        Options { pace, folder: args.keep.clone(), alerts_lost: args.alerts_lost, secure_webhook, voices, visit };
    let teller = Teller { quiet: args.json, detail: stories.len() <= TOUR.len() };
    let mut numbered: Vec<_> = stories.iter().copied().enumerate().collect();
    let threads = if teller.detail { 1 } else { threads() };
    if !teller.detail {
        let servers =
            |(_, (scenario, preset)): &(usize, (Scenario, Preset))| (scenario.setup)(*preset).world.servers.len();
        numbered.sort_by_cached_key(|story| std::cmp::Reverse(servers(story)));
    }
    let one = async |(number, (scenario, preset)): (usize, (Scenario, Preset))| {
        teller.open(number + 1, stories.len(), &scenario, preset);
        let played = play(&scenario, preset, &options, &mut |line, view| teller.tell(line, view)).await;
        if teller.detail {
            played.iter().for_each(|played| teller.close(played));
        }
        let played = played.map_err(|error| format!("{} could not be played: {error:#}", scenario.name));
        (number, played)
    };
    let tell = |(_, played): &(usize, Result<Played, String>)| {
        if !teller.detail {
            played.iter().for_each(|played| teller.close(played));
        }
    };
    let mut all = side_by_side(numbered, threads, one, tell).map_err(|error| format!("cannot play: {error}"))?;
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, played)| played).collect()
}

/// The pace at which a story can be followed on a page: half a minute a second.
const WATCHABLE: f64 = 30.0;

/// Seeds of the measured losses count from here.
const FIRST_SEED: u64 = 1000;

fn early(count: u64, as_json: bool) -> ExitCode {
    let terminal = Term::stderr();
    let progress = |done: usize, total: usize| {
        if terminal.is_term() || done.is_multiple_of(100) || done == total {
            let _ = terminal.clear_line();
            let _ =
                terminal.write_str(&format!("{done} of {total} losses{}", if terminal.is_term() { "" } else { "\n" }));
        }
    };
    match early::measure(count, FIRST_SEED, &early::Told::ALL, progress) {
        Ok(outcomes) => {
            let _ = terminal.clear_line();
            // Plain structs always serialize.
            say(&if as_json {
                serde_json::to_string_pretty(&outcomes).unwrap_or_default()
            } else {
                early::markdown(&outcomes)
            });
            ExitCode::SUCCESS
        }
        Err(error) => fail(&format!("the losses could not be played: {error:#}")),
    }
}

fn conclude(args: &DrillArgs, played: &[Played]) -> ExitCode {
    let wrong = played.iter().filter(|one| !one.ok).count();
    if args.json {
        // Plain structs always serialize.
        say(&serde_json::to_string_pretty(played).unwrap_or_default());
    } else {
        say("");
        if wrong == 0 {
            say(&format!("{} of {} stories ended as declared.", played.len(), played.len()));
        } else {
            complain(&format!("{wrong} of {} stories did NOT end as declared.", played.len()));
        }
        if args.scenarios.is_empty() && wrong == 0 {
            say("Next: `keymend drill --list` names all scenarios; README.md tells how to point Keymend at Azure.");
        }
    }
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What to play: the tour, everything, or what was named.
fn chosen(names: &[String]) -> Result<Vec<(Scenario, Preset)>, String> {
    let mut stories = Vec::new();
    if names.is_empty() {
        for (name, preset) in TOUR {
            stories.extend(scenario::named(name).map(|scenario| (scenario, preset)));
        }
        return Ok(stories);
    }
    for name in names {
        let (name, wanted) = name.split_once(':').map_or((name.as_str(), None), |(name, preset)| (name, Some(preset)));
        let found: Vec<Scenario> = match name {
            "all" => scenario::all(),
            _ => scenario::named(name).into_iter().collect(),
        };
        if found.is_empty() {
            return Err(format!("there is no scenario {name:?}; `keymend drill --list` names them"));
        }
        for one in found {
            let presets = one.presets.iter().filter(|preset| wanted.is_none_or(|wanted| wanted == preset.name()));
            let before = stories.len();
            stories.extend(presets.map(|preset| (one, *preset)));
            if stories.len() == before && name != "all" {
                let has: Vec<&str> = one.presets.iter().map(|preset| preset.name()).collect();
                return Err(format!("{name} is played under {}, not {}", has.join(", "), wanted.unwrap_or_default()));
            }
        }
    }
    Ok(stories)
}

fn list(as_json: bool) -> ExitCode {
    let all = scenario::all();
    if as_json {
        let rows: Vec<Value> = all
            .iter()
            .map(|one| {
                let presets: Vec<&str> = one.presets.iter().map(|preset| preset.name()).collect();
                json!({ "name": one.name, "title": one.title, "presets": presets })
            })
            .collect();
        say(&serde_json::to_string_pretty(&rows).unwrap_or_default());
    } else {
        let width = all.iter().map(|one| one.name.len()).max().unwrap_or(0);
        for one in all {
            say(&format!("{:width$}  {}", one.name, one.title));
        }
    }
    ExitCode::SUCCESS
}

/// One recording of all stories.
fn write_har(file: &PathBuf, played: &[Played]) -> std::io::Result<()> {
    let mut whole = played.first().map_or_else(|| json!({ "log": { "entries": [] } }), |first| first.har.clone());
    let entries: Vec<Value> =
        played.iter().flat_map(|one| one.har["log"]["entries"].as_array().cloned().unwrap_or_default()).collect();
    whole["log"]["entries"] = Value::Array(entries);
    std::fs::write(file, serde_json::to_string(&whole)?)
}

/// Shows a story in the terminal.
struct Teller {
    quiet: bool,
    detail: bool,
}

impl Teller {
    fn open(&self, number: usize, of: usize, scenario: &Scenario, preset: Preset) {
        if self.quiet || !self.detail {
            return;
        }
        say("");
        let title = format!("{number}/{of}  {}  ·  preset {}", scenario.name, preset.name());
        say(&style(title).bold().reverse().to_string());
        say(&style(scenario.title).bold().to_string());
        say("");
    }

    fn tell(&self, line: &Line, view: &View) {
        if self.quiet || !self.detail {
            return;
        }
        let clock = line.at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string();
        let who = match line.who {
            Who::People => style("people ").magenta(),
            Who::Azure => style("azure  ").cyan(),
            Who::Keymend => style("keymend").dim(),
            Who::Change => style("CHANGE ").yellow().bold(),
            Who::Told => style("told   ").green(),
        };
        let left = window_left(line, view);
        let head = format!("{clock}  {left}  {who}  ");
        let width = usize::from(Term::stdout().size().1).clamp(60, 140);
        for (number, part) in wrap(&line.text, width.saturating_sub(30)).into_iter().enumerate() {
            let lead = if number == 0 { head.clone() } else { " ".repeat(30) };
            say(&format!("{lead}{part}"));
        }
    }

    fn close(&self, played: &Played) {
        if self.quiet {
            return;
        }
        let mark = if played.ok { style("as declared").green().bold() } else { style("NOT AS DECLARED").red().bold() };
        if self.detail {
            say("");
            say(&format!("{mark}: {}", played.end));
            say(&format!(
                "{} min from loss to end · {} requests to Resource Manager, {} to Key Vault, {} changed something · {} messages to the team",
                played.minutes, played.requests.arm, played.requests.key_vault, played.requests.changes, played.cards
            ));
        } else {
            say(&format!("{mark}  {:32} {}", format!("{}:{}", played.scenario, played.preset.name()), played.end));
        }
        for fault in &played.faults {
            complain(&format!("  - {fault}"));
        }
    }
}

/// The self-heal window at that moment: minutes left, over, or access back.
fn window_left(line: &Line, view: &View) -> String {
    let (Some(lost), Some(end)) = (view.lost_at, view.restore_before) else { return " ".repeat(9) };
    if line.at < lost {
        return " ".repeat(9);
    }
    if view.whole {
        return style("access ok").green().to_string();
    }
    match end.duration_since(line.at).as_mins() {
        left if left <= 0 => style("  over   ").red().to_string(),
        left if left <= 10 => style(format!("{left:>3} min  ")).red().to_string(),
        left => style(format!("{left:>3} min  ")).yellow().to_string(),
    }
}

/// Breaks a text into lines of at most `width` characters, at blanks.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines.last().is_some_and(|line| {
            !line.is_empty() && console::measure_text_width(line) + 1 + console::measure_text_width(word) > width
        });
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
