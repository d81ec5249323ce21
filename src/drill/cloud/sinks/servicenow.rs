//! A ServiceNow instance: incidents by the Table API, events by `em/jsonv2`, tokens by OAuth, with the traps of the real one.
//! It ignores the part of a query that it does not understand, drops fields that it does not have, and resolves nothing
//! without a code and notes. Two tickets of somebody else are there from the start.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{header, object, raw};
use crate::clock::add;
use crate::drill::cloud::wire::{Answer, Request};

/// Client id and secret, user and password, API key.
pub(super) const CLIENT: (&str, &str) = ("drill-client", "drill-client-secret");
const USER: (&str, &str) = ("keymend", "drill-password");
const API_KEY: &str = "drill-api-key";
/// What a token lives, in seconds.
const TOKEN_LIFE: i64 = 1799;
/// The fields that an incident has, beside those that every table has.
const FIELDS: [&str; 24] = [
    "short_description",
    "description",
    "impact",
    "urgency",
    "category",
    "subcategory",
    "assignment_group",
    "assigned_to",
    "caller_id",
    "cmdb_ci",
    "business_service",
    "correlation_id",
    "correlation_display",
    "state",
    "hold_reason",
    "close_code",
    "close_notes",
    "contact_type",
    "location",
    "company",
    "parent",
    "opened_by",
    "work_notes",
    "comments",
];
/// Fields that cannot be written: the instance computes them.
const COMPUTED: [&str; 5] = ["sys_id", "number", "active", "sys_created_on", "priority"];

#[derive(Debug, Default)]
pub(super) struct ServiceNow {
    tickets: Vec<Ticket>,
    tokens: BTreeMap<String, Timestamp>,
    events: Vec<Value>,
    made: usize,
}

#[derive(Debug)]
struct Ticket {
    fields: BTreeMap<String, String>,
    journal: Vec<String>,
}

impl ServiceNow {
    pub(super) fn answer(&mut self, request: &Request, path: &str, headers: &HeaderMap, now: Timestamp) -> Answer {
        if self.tickets.is_empty() {
            self.others(now);
        }
        if (request.method.as_str(), path) == ("POST", "/oauth_token.do") {
            return self.token(request, now);
        }
        if !self.knows(headers, now) {
            return error(401, "User Not Authenticated", "Required to provide Auth information");
        }
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("POST", ["api", "global", "em", "jsonv2"]) => self.event(request),
            ("GET", ["api", "now", "table", "incident"]) => self.list(request),
            ("POST", ["api", "now", "table", "incident"]) => self.create(request, now),
            ("GET", ["api", "now", "table", "incident", id]) => self.get(request, id),
            ("PATCH" | "PUT", ["api", "now", "table", "incident", id]) => self.update(request, id),
            (_, ["api", "now", "table", table]) if *table != "incident" => {
                error(400, &format!("Invalid table {table}"), "")
            }
            _ => error(405, "Method not supported", ""),
        }
    }

    /// Tickets that are not ours.
    fn others(&mut self, now: Timestamp) {
        for (what, correlation) in [("Printer on floor 3 is offline", ""), ("VPN is slow", "monitoring-4711")] {
            let fields = [("short_description", what), ("correlation_id", correlation)];
            self.insert(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(), now);
        }
    }

    fn insert(&mut self, mut fields: BTreeMap<String, String>, now: Timestamp) -> usize {
        self.made += 1;
        let number = format!("INC{:07}", 10_000 + self.made);
        let sys_id = hex::encode(&Sha256::digest(number.as_bytes())[..16]);
        fields.entry("state".to_owned()).or_insert_with(|| "1".to_owned());
        fields.entry("impact".to_owned()).or_insert_with(|| "3".to_owned());
        fields.entry("urgency".to_owned()).or_insert_with(|| "3".to_owned());
        fields.insert("sys_created_on".to_owned(), now.strftime("%Y-%m-%d %H:%M:%S").to_string());
        fields.insert("number".to_owned(), number);
        fields.insert("sys_id".to_owned(), sys_id);
        let mut ticket = Ticket { fields, journal: Vec::new() };
        ticket.compute();
        self.tickets.push(ticket);
        self.tickets.len() - 1
    }

    fn token(&mut self, request: &Request, now: Timestamp) -> Answer {
        let form: BTreeMap<String, String> =
            url::form_urlencoded::parse(raw(request).as_bytes()).into_owned().collect();
        let is = |name: &str, value: &str| form.get(name).is_some_and(|given| given == value);
        if !is("grant_type", "client_credentials") || !is("client_id", CLIENT.0) || !is("client_secret", CLIENT.1) {
            return Answer::json(401, json!({"error": "access_denied", "error_description": "access_denied"}));
        }
        let token =
            format!("sn-{}", hex::encode(Sha256::digest(format!("token {} {now}", self.tokens.len()).as_bytes())));
        self.tokens.insert(token.clone(), add(now, SignedDuration::from_secs(TOKEN_LIFE)));
        Answer::json(
            200,
            json!({"access_token": token, "scope": "useraccount", "token_type": "Bearer", "expires_in": TOKEN_LIFE}),
        )
    }

    fn knows(&self, headers: &HeaderMap, now: Timestamp) -> bool {
        let authorization = header(headers, "authorization");
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", USER.0, USER.1)));
        let token = authorization.strip_prefix("Bearer ").and_then(|token| self.tokens.get(token));
        header(headers, "x-sn-apikey") == API_KEY || authorization == basic || token.is_some_and(|until| now < *until)
    }

    fn list(&self, request: &Request) -> Answer {
        let query = request.query.get("sysparm_query").map_or("", String::as_str);
        let mut rows: Vec<&Ticket> = self.tickets.iter().filter(|ticket| ticket.fits(query)).collect();
        if let Some(field) = query.split('^').find_map(|part| part.strip_prefix("ORDERBY")) {
            let (field, newest_first) = field.strip_prefix("DESC").map_or((field, false), |field| (field, true));
            rows.sort_by_key(|ticket| ticket.fields.get(field).cloned());
            if newest_first {
                rows.reverse();
            }
        }
        let limit = request.query.get("sysparm_limit").and_then(|limit| limit.parse().ok()).unwrap_or(10_000);
        let skip = request.query.get("sysparm_offset").and_then(|skip| skip.parse().ok()).unwrap_or(0);
        let total = rows.len();
        let rows: Vec<Value> = rows.into_iter().skip(skip).take(limit).map(|ticket| ticket.row(request)).collect();
        Answer::json(200, json!({ "result": rows })).with_header("x-total-count", total.to_string())
    }

    fn get(&self, request: &Request, id: &str) -> Answer {
        match self.tickets.iter().find(|ticket| ticket.is(id)) {
            Some(ticket) => Answer::json(200, json!({"result": ticket.row(request)})),
            None => missing(),
        }
    }

    fn create(&mut self, request: &Request, now: Timestamp) -> Answer {
        let Some(body) = object(request) else { return unreadable() };
        let (fields, notes) = read(body);
        if let Some(refusal) = policy(&fields) {
            return refusal;
        }
        let at = self.insert(fields, now);
        self.tickets[at].journal.extend(notes);
        let ticket = &self.tickets[at];
        let place = format!("{}/api/now/table/incident/{}", request.base, ticket.fields["sys_id"]);
        Answer::json(201, json!({"result": ticket.row(request)})).with_header("location", place)
    }

    fn update(&mut self, request: &Request, id: &str) -> Answer {
        let Some(body) = object(request) else { return unreadable() };
        let Some(ticket) = self.tickets.iter_mut().find(|ticket| ticket.is(id)) else { return missing() };
        let (fields, notes) = read(body);
        let mut after = ticket.fields.clone();
        after.extend(fields);
        if let Some(refusal) = policy(&after) {
            return refusal;
        }
        if ["7", "8"].contains(&ticket.fields["state"].as_str()) {
            return error(403, "Operation Failed", "ACL Exception Update Failed due to security constraints");
        }
        ticket.fields = after;
        ticket.journal.extend(notes);
        ticket.compute();
        Answer::json(200, json!({"result": ticket.row(request)}))
    }

    fn event(&mut self, request: &Request) -> Answer {
        let records = object(request).and_then(|body| body.get("records")).and_then(Value::as_array);
        let Some(records) = records.filter(|records| !records.is_empty()) else { return unreadable() };
        for record in records {
            let text = |name: &str| record.get(name).and_then(Value::as_str);
            if text("source").is_none() || text("severity").is_none_or(|severity| !"012345".contains(severity)) {
                return error(400, "Event is invalid", "source and severity are needed");
            }
            if text("additional_info").is_some_and(|info| serde_json::from_str::<Value>(info).is_err()) {
                return error(400, "Event is invalid", "additional_info must hold JSON");
            }
        }
        self.events.extend(records.iter().cloned());
        Answer::json(
            200,
            json!({"result": {"Default Bulk Endpoint": format!("{} events were inserted", records.len())}}),
        )
    }

    /// The tickets with their work notes in order, and the events.
    pub(super) fn shown(&self) -> Value {
        let tickets = self.tickets.iter().map(|ticket| {
            let mut shown = json!(ticket.fields);
            shown["work_notes"] = json!(ticket.journal);
            shown
        });
        json!({"incidents": tickets.collect::<Vec<_>>(), "events": self.events})
    }
}

impl Ticket {
    fn is(&self, id: &str) -> bool {
        self.fields.get("sys_id").is_some_and(|own| own == id)
    }

    /// What the instance makes of the other fields: resolved tickets are active still.
    fn compute(&mut self) {
        let active = !["7", "8"].contains(&self.fields["state"].as_str());
        let number = |name: &str| self.fields.get(name).and_then(|value| value.parse::<u32>().ok()).unwrap_or(3);
        let priority = (number("impact") + number("urgency")).saturating_sub(1).clamp(1, 5);
        self.fields.insert("active".to_owned(), active.to_string());
        self.fields.insert("priority".to_owned(), priority.to_string());
    }

    /// Whether every part of the query that is understood fits. A part with a field that is not there is ignored.
    fn fits(&self, query: &str) -> bool {
        query.split('^').filter(|part| !part.is_empty() && !part.starts_with("ORDERBY")).all(|part| {
            let Some((field, value)) = part.split_once('=') else { return true };
            if !FIELDS.contains(&field) && !COMPUTED.contains(&field) {
                return true;
            }
            self.fields.get(field).map_or("", String::as_str) == value
        })
    }

    fn row(&self, request: &Request) -> Value {
        let wanted = request.query.get("sysparm_fields").filter(|wanted| !wanted.is_empty());
        let mut row = Map::new();
        for name in FIELDS.iter().chain(&COMPUTED).filter(|name| !["work_notes", "comments"].contains(name)) {
            if wanted.is_none_or(|wanted| wanted.split(',').any(|one| one.trim() == *name)) {
                row.insert((*name).to_owned(), json!(self.fields.get(*name).cloned().unwrap_or_default()));
            }
        }
        Value::Object(row)
    }
}

/// The fields that are known and can be written, as texts, and the work note.
fn read(body: &Map<String, Value>) -> (BTreeMap<String, String>, Option<String>) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let note = body.get("work_notes").map(text).filter(|note| !note.is_empty());
    let known = body.iter().filter(|(name, _)| FIELDS.contains(&name.as_str()) && *name != "work_notes");
    let fields = known.map(|(name, value)| {
        let mut value = text(value);
        if name == "short_description" {
            value = value.chars().take(160).collect();
        }
        (name.clone(), value)
    });
    (fields.collect(), note)
}

/// The data policy that every instance has: no resolution without a code and notes.
fn policy(fields: &BTreeMap<String, String>) -> Option<Answer> {
    let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_empty());
    let resolves = fields.get("state").is_some_and(|state| state == "6" || state == "7");
    (resolves && !(has("close_code") && has("close_notes"))).then(|| {
        error(
            403,
            "Operation Failed",
            "Data Policy Exception: The following fields are mandatory: Resolution code, Resolution notes",
        )
    })
}

fn missing() -> Answer {
    error(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
}

fn unreadable() -> Answer {
    error(400, "Exception while reading request", "The payload is not valid JSON")
}

/// An error as the instance words it.
pub(super) fn error(status: u16, message: &str, detail: &str) -> Answer {
    Answer::json(status, json!({"error": {"message": message, "detail": detail}, "status": "failure"}))
}

/// Too many requests in this hour.
pub(super) fn throttled(retry_after: u32) -> Answer {
    error(429, "Rate limit exceeded", "Rate limit of 100 requests per hour for Table API exceeded")
        .with_header("retry-after", retry_after.to_string())
        .with_header("x-ratelimit-limit", "100")
        .with_header("x-ratelimit-rule", "Table API")
}
