//! `[scope]`, `[policy]`, `[remedies]`, `[gates]`.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::problem::{Problem, did_you_mean, one_of, remedy_names};
use super::section::{Named, Section, Sources};
use crate::domain::policy::{Gates, Mode, Policy, Preset, Scope};
use crate::domain::remedy::Remedy;
use crate::domain::resource_id::ResourceId;

const PRESETS: [(&str, Preset); 3] =
    [("observe", Preset::Observe), ("guarded", Preset::Guarded), ("auto", Preset::Auto)];
const MODES: [(&str, Mode); 3] = [("off", Mode::Off), ("approve", Mode::Approve), ("auto", Mode::Auto)];
const RESOURCE: &str = "Write a resource id such as /subscriptions/…/resourceGroups/rg-data/providers/Microsoft.Sql/servers/contoso-sql, or that of a resource group or vault";

/// Reads everything that the operator allows.
pub(super) fn policy(file: &mut Table, sources: Sources<'_>, problems: &mut Vec<Problem>) -> Policy {
    let scope = scope(file, sources, problems);
    let remedies = remedies(file, sources, problems);
    let gates = gates(file, sources, problems);
    let usual = Policy::default();
    let mut section = Section::open(file, "policy", sources, problems);
    let minutes = "the length of the self-heal window in minutes (Microsoft documents 30)";
    let policy = Policy {
        scope,
        preset: section.choice("preset", Some("KEYMEND_PRESET"), &PRESETS).unwrap_or(usual.preset),
        remedies,
        gates,
        window_minutes: section
            .number("window_minutes", Some("KEYMEND_WINDOW_MINUTES"), (1, 24 * 60), minutes)
            .unwrap_or(usual.window_minutes),
        extend_before_hours: section
            .number("extend_before_hours", None, (0, 24 * 30), "hours (0 waits until the key has expired)")
            .unwrap_or(usual.extend_before_hours),
        dry_run: section.flag("dry_run", Some("KEYMEND_DRY_RUN")).unwrap_or(usual.dry_run),
    };
    section.close();
    policy
}

fn scope(file: &mut Table, sources: Sources<'_>, problems: &mut Vec<Problem>) -> Scope {
    let before = problems.len();
    let mut section = Section::open(file, "scope", sources, problems);
    let subscriptions = section.list("subscriptions", Some("KEYMEND_SUBSCRIPTIONS"), "Write subscription ids");
    let resources = section.list("resources", Some("KEYMEND_RESOURCES"), RESOURCE);
    let except = section.list("except", Some("KEYMEND_EXCEPT"), RESOURCE);
    let scope = Scope {
        subscriptions: subscriptions.into_iter().filter_map(|id| subscription(&mut section, id)).collect(),
        resources: resources.into_iter().filter_map(|id| resource(&mut section, id)).collect(),
        except: except.into_iter().filter_map(|id| resource(&mut section, id)).collect(),
    };
    section.close();
    if problems.len() == before {
        problems.extend(emptiness(&scope));
    }
    scope
}

/// An empty scope is never taken for "everything".
fn emptiness(scope: &Scope) -> Option<Problem> {
    let instead = "Name what Keymend may look after: subscriptions = [\"<subscription id>\"], or resources = [\"<resource id of a resource group, server or vault>\"] under [scope], or set KEYMEND_SUBSCRIPTIONS. Name the vaults, too, if they are elsewhere";
    if scope.subscriptions.is_empty() && scope.resources.is_empty() {
        return Some(Problem::new("scope", "nothing is in scope, so nothing could be done", instead));
    }
    let nothing_left = scope.subscriptions.is_empty()
        && scope.resources.iter().all(|id| scope.except.iter().any(|root| root.contains(id)));
    nothing_left.then(|| Problem::new("scope.except", "it takes away everything that scope.resources names", instead))
}

fn subscription(section: &mut Section<'_>, id: Named<String>) -> Option<String> {
    let Named { setting, value } = id;
    if uuid::Uuid::try_parse(&value).is_ok_and(|_| value.len() == 36) {
        return Some(value);
    }
    let instead = "Write the id alone, such as 11111111-2222-3333-4444-555555555555 (az account show --query id)";
    section.report(Problem::new(setting, "this is no subscription id", instead).with(format_args!("{value:?}")));
    None
}

fn resource(section: &mut Section<'_>, id: Named<String>) -> Option<ResourceId> {
    let Named { setting, value } = id;
    let shown = format!("{value:?}");
    let resource = match ResourceId::parse(&value) {
        Ok(resource) => resource,
        Err(error) => {
            section.report(Problem::new(setting, error.to_string(), RESOURCE).with(shown));
            return None;
        }
    };
    let depth = resource.resource_type().matches('/').count();
    let problem = if resource.resource_group().is_none() {
        Some((
            "this is a whole subscription or no resource",
            "Write its id under scope.subscriptions if you mean all of it",
        ))
    } else if depth > 1 {
        Some(("this is a part of a resource", "Name the server or the vault itself: a repair is made there"))
    } else {
        None
    };
    match problem {
        Some((why, instead)) => {
            section.report(Problem::new(setting, why, instead).with(shown));
            None
        }
        None => Some(resource),
    }
}

fn remedies(file: &mut Table, sources: Sources<'_>, problems: &mut Vec<Problem>) -> BTreeMap<Remedy, Mode> {
    let mut section = Section::open(file, "remedies", sources, problems);
    let mut modes = BTreeMap::new();
    for remedy in Remedy::ALL {
        if let Some(mode) = section.choice(remedy.name(), None, &MODES) {
            modes.insert(remedy, mode);
        }
    }
    for key in section.others() {
        let value = section.raw(&key).unwrap_or(Value::Boolean(false));
        let names = remedy_names();
        let close = did_you_mean(&key, names.iter().copied());
        let instead = format!("Write {}{close}", one_of(&names));
        let problem = Problem::new(section.full_name(&key), "there is no such remedy", instead).with(value);
        section.report(problem);
    }
    section.close();
    modes
}

fn gates(file: &mut Table, sources: Sources<'_>, problems: &mut Vec<Problem>) -> Gates {
    let usual = Gates::default();
    let mut section = Section::open(file, "gates", sources, problems);
    let who = "Write object ids, application ids or user names";
    let mut names = |key: &str| section.list(key, None, who).into_iter().map(|named| named.value).collect::<Vec<_>>();
    let (custodians, pipelines) = (names("custodians"), names("pipelines"));
    for both in custodians.iter().filter(|name| pipelines.iter().any(|other| other.eq_ignore_ascii_case(name))) {
        let why = "it is on both lists: what custodians break stays broken, what pipelines break may be undone";
        section.report(Problem::new("gates.pipelines", why, "Keep it on one").with(format_args!("{both:?}")));
    }
    let tag = section.text("hold_tag", None, "Write the name of a tag").map(|named| named.value);
    let mut number = |key: &str, range, what: &str, usual| section.number(key, None, range, what).unwrap_or(usual);
    let week = 7 * 24 * 60;
    let gates = Gates {
        hold_tag: tag.unwrap_or(usual.hold_tag),
        custodians,
        pipelines,
        max_servers: number("max_servers", (1, 10_000), "a number of servers", usual.max_servers),
        deliberate_within_minutes: number(
            "deliberate_within_minutes",
            (1, week),
            "minutes",
            usual.deliberate_within_minutes,
        ),
        purge_margin_minutes: number("purge_margin_minutes", (1, week), "minutes", usual.purge_margin_minutes),
        repeat_within_hours: number("repeat_within_hours", (1, 24 * 90), "hours", usual.repeat_within_hours),
        writes_per_hour: number("writes_per_hour", (1, 100_000), "a number of writes", usual.writes_per_hour),
        failures_per_incident: number(
            "failures_per_incident",
            (1, 100),
            "a number of failed changes",
            usual.failures_per_incident,
        ),
        max_expiry_extension_days: number(
            "max_expiry_extension_days",
            (0, 730),
            "days (0 forbids it)",
            usual.max_expiry_extension_days,
        ),
    };
    section.close();
    gates
}
