//! Issues of Jira Cloud, REST API v3: a search that lags behind, documents instead of texts, transitions by workflow.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use axum::http::HeaderMap;

use super::{header, object};
use crate::clock::add;
use crate::drill::cloud::wire::{Answer, Request};

const USER: &str = "keymend@contoso.example:drill-jira-token";
/// How long the search does not know a new issue.
const LAG: SignedDuration = SignedDuration::from_secs(3);
/// Transitions: id, name, from, to.
const WORKFLOW: [(&str, &str, &str, &str); 3] = [
    ("11", "Start work", "Open", "In Progress"),
    ("21", "Resolve", "Open", "Done"),
    ("31", "Resolve", "In Progress", "Done"),
];

#[derive(Debug, Default)]
pub(super) struct Jira {
    issues: Vec<Issue>,
}

#[derive(Debug)]
struct Issue {
    key: String,
    fields: Map<String, Value>,
    status: &'static str,
    created: Timestamp,
    comments: Vec<Value>,
}

impl Jira {
    pub(super) fn answer(&mut self, request: &Request, path: &str, headers: &HeaderMap, now: Timestamp) -> Answer {
        if header(headers, "authorization") != format!("Basic {}", STANDARD.encode(USER)) {
            return Answer::text(401, "text/html", "Client must be authenticated to access this resource.");
        }
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let Some(parts) = parts.strip_prefix(&["rest", "api", "3"]) else { return errors(404, "Not found", None) };
        match (request.method.as_str(), parts) {
            ("POST", ["search", "jql"]) => self.search(request, now),
            ("POST", ["issue"]) => self.create(request, now),
            (method, ["issue", key, rest @ ..]) => match self.issues.iter_mut().find(|issue| issue.key == *key) {
                Some(issue) => issue.answer(request, method, rest),
                None => errors(404, "Issue does not exist or you do not have permission to see it.", None),
            },
            _ => errors(404, "Not found", None),
        }
    }

    fn search(&self, request: &Request, now: Timestamp) -> Answer {
        let Some(body) = object(request) else { return errors(400, "There was an error parsing JSON.", None) };
        let jql = body.get("jql").and_then(Value::as_str).unwrap_or_default();
        let of = |name: &str| {
            let rest = jql.split_once(name)?.1.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let (Some(project), Some(label)) = (of("project"), of("labels")) else {
            return errors(400, "Unbounded JQL queries are not allowed here.", None);
        };
        if project != "OPS" {
            let what = format!("The value '{project}' does not exist for the field 'project'.");
            return errors(400, &what, None);
        }
        let fits = |issue: &&Issue| {
            let labels = issue.fields.get("labels").and_then(Value::as_array);
            labels.into_iter().flatten().any(|one| *one == json!(label))
                && (!jql.contains("statusCategory != Done") || issue.status != "Done")
                && now >= add(issue.created, LAG)
        };
        let most = body.get("maxResults").and_then(Value::as_u64).unwrap_or(50);
        let found = self.issues.iter().filter(fits).take(usize::try_from(most).unwrap_or(50)).map(Issue::row);
        Answer::json(200, json!({"issues": found.collect::<Vec<_>>(), "isLast": true}))
    }

    fn create(&mut self, request: &Request, now: Timestamp) -> Answer {
        let fields = object(request).and_then(|body| body.get("fields")).and_then(Value::as_object);
        let Some(fields) = fields else { return errors(400, "", Some(("fields", "is required"))) };
        let summary = fields.get("summary").and_then(Value::as_str).unwrap_or_default();
        if summary.is_empty() || summary.chars().count() > 255 || summary.contains('\n') {
            return errors(400, "", Some(("summary", "Summary must be less than 255 characters, in one line.")));
        }
        if fields.get("project").and_then(|it| it.get("key")).is_none_or(|key| *key != "OPS") {
            return errors(400, "", Some(("project", "valid project is required")));
        }
        if fields.get("issuetype").and_then(|it| it.get("name")).is_none_or(|name| *name != "Incident") {
            return errors(400, "", Some(("issuetype", "Specify a valid issue type")));
        }
        if fields.get("description").is_some_and(|it| !is_document(it)) {
            let why = "Operation value must be an Atlassian Document (see the Atlassian Document Format)";
            return errors(400, "", Some(("description", why)));
        }
        let labels = fields.get("labels").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if labels.iter().any(|label| label.as_str().is_none_or(|label| label.is_empty() || label.contains(' '))) {
            return errors(400, "", Some(("labels", "The label contains spaces which is invalid.")));
        }
        let key = format!("OPS-{}", self.issues.len() + 1);
        let place = format!("{}/rest/api/3/issue/{}", request.base, self.issues.len() + 10_001);
        let id = (self.issues.len() + 10_001).to_string();
        self.issues.push(Issue {
            key: key.clone(),
            fields: fields.clone(),
            status: "Open",
            created: now,
            comments: Vec::new(),
        });
        Answer::json(201, json!({"id": id, "key": key, "self": place}))
    }

    pub(super) fn shown(&self) -> Value {
        let issues = self.issues.iter().map(|issue| {
            let comments: Vec<String> = issue.comments.iter().map(words).collect();
            json!({"key": issue.key, "status": issue.status, "fields": issue.fields, "comments": comments})
        });
        json!({"issues": issues.collect::<Vec<_>>()})
    }
}

impl Issue {
    fn answer(&mut self, request: &Request, method: &str, rest: &[&str]) -> Answer {
        match (method, rest) {
            ("GET", []) => Answer::json(200, self.row()),
            ("GET", ["comment"]) => {
                let newest_first = request.query.get("orderby").is_some_and(|by| by == "-created");
                let mut comments: Vec<Value> = self.comments.iter().map(|body| json!({ "body": body })).collect();
                if newest_first {
                    comments.reverse();
                }
                Answer::json(200, json!({"comments": comments, "total": self.comments.len()}))
            }
            ("POST", ["comment"]) => {
                match object(request).and_then(|body| body.get("body")).filter(|it| is_document(it)) {
                    Some(body) => {
                        self.comments.push(body.clone());
                        Answer::json(201, json!({"id": (self.comments.len() + 10_000).to_string()}))
                    }
                    None => errors(400, "", Some(("comment", "Comment body is not valid!"))),
                }
            }
            ("GET", ["transitions"]) => {
                let open = WORKFLOW.iter().filter(|(_, _, from, _)| *from == self.status);
                let open = open.map(|(id, name, _, to)| json!({"id": id, "name": name, "to": {"name": to}}));
                Answer::json(200, json!({"transitions": open.collect::<Vec<_>>()}))
            }
            ("POST", ["transitions"]) => {
                let wanted =
                    object(request).and_then(|body| body.get("transition")).and_then(|it| it.get("id")).cloned();
                match WORKFLOW.iter().find(|(id, _, from, _)| wanted == Some(json!(id)) && *from == self.status) {
                    Some((_, _, _, to)) => {
                        self.status = to;
                        Answer::empty(204)
                    }
                    None => errors(400, "It is not on the appropriate workflow for the transition.", None),
                }
            }
            _ => errors(405, "Method not allowed", None),
        }
    }

    fn row(&self) -> Value {
        let category = if self.status == "Done" { "done" } else { "indeterminate" };
        let status = json!({"name": self.status, "statusCategory": {"key": category}});
        let (labels, description) = (self.fields.get("labels"), self.fields.get("description"));
        json!({"key": self.key, "fields": {"status": status, "labels": labels, "description": description}})
    }
}

/// Whether something is a document of paragraphs, code blocks, rules and texts.
fn is_document(value: &Value) -> bool {
    value.get("type").is_some_and(|kind| kind == "doc")
        && value.get("version").is_some_and(|version| *version == 1)
        && value
            .get("content")
            .and_then(Value::as_array)
            .is_some_and(|nodes| !nodes.is_empty() && nodes.iter().all(is_node))
}

fn is_node(node: &Value) -> bool {
    let content = node.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    match node.get("type").and_then(Value::as_str) {
        Some("text") => node.get("text").and_then(Value::as_str).is_some_and(|text| !text.is_empty()),
        Some("hardBreak") => true,
        Some("paragraph" | "codeBlock") => content.iter().all(is_node),
        _ => false,
    }
}

/// The texts of a document.
fn words(node: &Value) -> String {
    let own = node.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
    let content = node.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    content.iter().fold(own, |text, node| text + words(node).as_str() + "\n")
}

fn errors(status: u16, message: &str, field: Option<(&str, &str)>) -> Answer {
    let messages: Vec<&str> = Some(message).filter(|message| !message.is_empty()).into_iter().collect();
    let fields = field.map_or_else(|| json!({}), |(name, why)| json!({ name: why }));
    Answer::json(status, json!({"errorMessages": messages, "errors": fields}))
}
