//! `*/function.json`: a folder is a function, and its name is the handler's path.

use std::path::Path;

use serde_json::Value;

use super::host_json::{AppSettings, at, expand};

/// A function.
#[derive(Debug, Clone)]
pub struct Function {
    pub name: String,
    pub trigger: Trigger,
    /// The name under which the trigger's value is sent.
    pub binding: String,
    /// Exactly one input (HTTP) and one output (HTTP): the only functions whose requests may be passed on as they are.
    pub is_plain_http: bool,
    /// Output bindings: name and type.
    pub outputs: Vec<(String, String)>,
}

/// What starts a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    Http { level: AuthLevel, methods: Vec<String>, route: Option<String> },
    Queue { queue: String, connection: String },
    Timer { schedule: String },
    EventGrid,
}

/// `authLevel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthLevel {
    Anonymous,
    Function,
    Admin,
}

/// Every function under the app root, by name.
pub fn read_all(app_root: &Path, settings: &AppSettings) -> Result<Vec<Function>, String> {
    let mut functions = Vec::new();
    for entry in std::fs::read_dir(app_root).map_err(|error| error.to_string())?.flatten() {
        let file = entry.path().join("function.json");
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        let json = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        functions.push(function(&name, &json, settings).map_err(|why| format!("{name}/function.json: {why}"))?);
    }
    functions.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(functions)
}

fn function(name: &str, json: &Value, settings: &AppSettings) -> Result<Function, String> {
    if !is_name(name) {
        return Err("this is no name that a function can have".to_owned());
    }
    let bindings = at(json, &["bindings"]).as_array().filter(|all| !all.is_empty()).ok_or("bindings is empty")?;
    let text = |binding: &Value, key: &str| at(binding, &[key]).as_str().map(str::to_owned);
    let kind = |binding: &Value| text(binding, "type").unwrap_or_default().to_ascii_lowercase();
    let is_out = |binding: &&Value| text(binding, "direction").is_some_and(|it| it.eq_ignore_ascii_case("out"));
    let (outs, ins): (Vec<&Value>, Vec<&Value>) = bindings.iter().partition(is_out);
    let triggers: Vec<&&Value> = ins.iter().filter(|binding| kind(binding).ends_with("trigger")).collect();
    let [binding] = triggers.as_slice() else { return Err(format!("{} triggers", triggers.len())) };
    let outputs: Vec<(String, String)> =
        outs.iter().map(|out| (text(out, "name").unwrap_or_default(), kind(out))).collect();
    let trigger = trigger(&kind(binding), binding, settings)?;
    let is_http = matches!(trigger, Trigger::Http { .. });
    Ok(Function {
        name: name.to_owned(),
        binding: text(binding, "name").ok_or("the trigger has no name")?,
        is_plain_http: is_http && ins.len() == 1 && matches!(outputs.as_slice(), [(_, kind)] if kind == "http"),
        trigger,
        outputs,
    })
}

fn trigger(kind: &str, binding: &Value, settings: &AppSettings) -> Result<Trigger, String> {
    let text = |key: &str| at(binding, &[key]).as_str().map(str::to_owned);
    Ok(match kind {
        "httptrigger" => Trigger::Http {
            level: match text("authLevel").map(|level| level.to_ascii_lowercase()).as_deref() {
                Some("anonymous") => AuthLevel::Anonymous,
                None | Some("function") => AuthLevel::Function,
                Some("admin") => AuthLevel::Admin,
                Some(other) => return Err(format!("authLevel {other:?}")),
            },
            methods: at(binding, &["methods"])
                .as_array()
                .map(|all| all.iter().filter_map(Value::as_str).map(str::to_ascii_uppercase).collect())
                .unwrap_or_default(),
            route: text("route"),
        },
        "queuetrigger" => {
            let named = text("queueName").ok_or("no queueName")?;
            let queue = expand(&named, settings).to_ascii_lowercase();
            if queue.is_empty() || queue.starts_with('-') {
                return Err(format!("'{named}' does not resolve to a value."));
            }
            Trigger::Queue { queue, connection: text("connection").unwrap_or_else(|| "AzureWebJobsStorage".to_owned()) }
        }
        "timertrigger" => Trigger::Timer { schedule: expand(&text("schedule").ok_or("no schedule")?, settings) },
        "eventgridtrigger" => Trigger::EventGrid,
        other => return Err(format!("a trigger that this double does not know: {other}")),
    })
}

/// `^[a-z][a-z0-9_\-]{0,127}$` in any case, and not `host`.
fn is_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(rest)
        && name.len() <= 128
        && !name.eq_ignore_ascii_case("host")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_bindings_are_checked() {
        let none = AppSettings::new();
        let timer = json!({ "bindings": [{ "type": "timerTrigger", "name": "timer", "direction": "in", "schedule": "0 * * * * *" }] });
        assert!(function("patrol", &timer, &none).is_ok());
        for name in ["host", "1st", "a b", ""] {
            assert!(function(name, &timer, &none).is_err(), "{name:?}");
        }
        assert!(function("patrol", &json!({ "bindings": [] }), &none).is_err());
    }

    #[test]
    fn one_input_and_one_output_of_http_is_plain_and_nothing_else_is() {
        let none = AppSettings::new();
        let bindings = |extra: Vec<Value>| {
            let mut all = vec![
                json!({ "type": "httpTrigger", "direction": "in", "name": "req" }),
                json!({ "type": "http", "direction": "out", "name": "res" }),
            ];
            all.extend(extra);
            json!({ "bindings": all })
        };
        assert!(function("alerts", &bindings(vec![]), &none).unwrap().is_plain_http);
        let queue = json!({ "type": "queue", "direction": "out", "name": "job", "queueName": "jobs" });
        assert!(!function("alerts", &bindings(vec![queue]), &none).unwrap().is_plain_http);
    }

    #[test]
    fn queue_names_come_from_settings() {
        let json = json!({ "bindings": [{ "type": "queueTrigger", "direction": "in", "name": "job", "queueName": "%Q%-poison" }] });
        let settings = AppSettings::from([("Q".to_owned(), "Work".to_owned())]);
        let Trigger::Queue { queue, .. } = function("poison", &json, &settings).unwrap().trigger else { panic!() };
        assert_eq!(queue, "work-poison");
        assert!(function("poison", &json, &AppSettings::new()).is_err());
    }
}
