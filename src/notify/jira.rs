//! Issues of Jira: one a loss, found again by its label (Atlassian, "Jira Cloud platform REST API v3"; Data Center keeps v2).
//!
//! Jira knows no idempotency: nothing is created before a search, nor while an earlier creation is in doubt, and a comment that
//! is among the newest already is not written again. The search of Jira Cloud lags behind by seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::domain::incident::IncidentId;
use crate::notify::api::{Api, Heard, authorization, title};
use crate::notify::doubts::Doubts;
use crate::notify::http::InvalidChannel;
use crate::notify::links::Links;
use crate::notify::route::{ENDINGS, NEEDS_PERSON};
use crate::notify::secret::Secret;
use crate::notify::texts::words::clean;
use crate::notify::{Channel, ChannelError, Parcel, Trial, TrialMessage, plain, texts};

/// The longest summary, in characters.
const SUMMARY: usize = 250;
/// The longest description or comment; a field holds 32,767.
const TEXT: usize = 20_000;

/// Which Jira it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deployment {
    /// Jira Cloud: the user's e-mail address belongs to the token.
    Cloud {
        /// The user whose token it is.
        user: String,
    },
    /// Jira Data Center: a personal access token.
    DataCenter,
}

/// What may be set of it.
#[derive(Debug, Clone)]
pub struct JiraOptions {
    /// Which Jira.
    pub deployment: Deployment,
    /// The project's key.
    pub project: String,
    /// The type of issue that is created.
    pub issue_type: String,
    /// More fields of a new issue, by id.
    pub fields: BTreeMap<String, Value>,
    /// The transition that is made once a person is needed, by name.
    pub escalate_transition: Option<String>,
    /// The transition that is made when it is over, by name.
    pub resolve_transition: Option<String>,
    /// Where links lead.
    pub links: Links,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// A project of Jira.
#[derive(Debug)]
pub struct Jira {
    api: Api,
    login: (HeaderName, HeaderValue),
    options: JiraOptions,
    doubts: Doubts,
}

/// What is kept of an incident.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    key: String,
    /// The number of the newest message that is in it.
    last: u32,
}

impl Jira {
    /// A channel called `name` to the Jira at `base`.
    ///
    /// # Errors
    /// [`InvalidChannel`] where the address, the token or a name cannot be used.
    pub fn new(
        name: impl Into<String>,
        base: &str,
        token: &Secret,
        options: JiraOptions,
        clock: Clock,
    ) -> Result<Self, InvalidChannel> {
        let name = name.into();
        let token = Secret::from_setting(&format!("token of channel {name}"), token.expose())?;
        let login = match &options.deployment {
            Deployment::Cloud { user } => {
                authorization(&name, &format!("Basic {}", STANDARD.encode(format!("{user}:{}", token.expose()))))?
            }
            Deployment::DataCenter => authorization(&name, &format!("Bearer {}", token.expose()))?,
        };
        // It becomes a part of a query.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if options.project.is_empty() || !options.project.chars().all(plain) {
            let why = "its project must be a key, such as OPS: letters, digits and underscores".to_owned();
            return Err(InvalidChannel::Setting { channel: name, why });
        }
        let api = Api::new(name, base, &[&token], options.timeout, clock)?;
        Ok(Self { api, login, options, doubts: Doubts::default() })
    }

    fn version(&self) -> &'static str {
        if self.options.deployment == Deployment::DataCenter { "2" } else { "3" }
    }

    /// Text as this Jira takes it: Jira Cloud wants a document.
    fn text(&self, text: &str) -> Value {
        if self.options.deployment == Deployment::DataCenter {
            // Without markup: braces and brackets would be read as such.
            return json!(format!("{{noformat}}\n{}\n{{noformat}}", text.replace("{noformat}", "(noformat)")));
        }
        let lines: Vec<Value> = text
            .split('\n')
            .flat_map(|line| {
                let said = (!line.is_empty()).then(|| json!({"type": "text", "text": line}));
                said.into_iter().chain([json!({"type": "hardBreak"})])
            })
            .collect();
        json!({"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": lines}]})
    }

    async fn call(
        &self,
        method: Method,
        rest: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Heard, ChannelError> {
        let mut path = vec!["rest", "api", self.version()];
        path.extend(rest);
        let request = match body {
            Some(body) => self.api.json(method, &path, query, body),
            None => self.api.request(method, &path, query),
        };
        let (header, value) = &self.login;
        self.api.ask(request.header(header, value).header("accept", "application/json")).await
    }

    /// The oldest issue of an incident that is not done, and what its description is.
    async fn look_up(&self, label: &str) -> Result<Option<(String, Value)>, ChannelError> {
        let project = &self.options.project;
        let jql =
            format!("project = \"{project}\" and labels = \"{label}\" and statusCategory != Done order by created");
        let body = json!({"jql": jql, "maxResults": 2, "fields": ["status", "labels", "description"]});
        let path: &[&str] = if self.version() == "2" { &["search"] } else { &["search", "jql"] };
        let heard = self.call(Method::POST, path, &[], Some(&body)).await?;
        if heard.status != StatusCode::OK {
            return Err(self.refused(&heard));
        }
        let Some(issues) = heard.json.as_ref().and_then(|json| json.get("issues")).and_then(Value::as_array) else {
            return Err(self.api.odd(&heard, "not with a list of issues; is this Jira?"));
        };
        let ours = issues.iter().find(|issue| {
            let labels = issue.pointer("/fields/labels").and_then(Value::as_array);
            labels.into_iter().flatten().any(|one| one == label)
        });
        let description = |issue: &Value| issue.pointer("/fields/description").cloned().unwrap_or_default();
        Ok(ours.and_then(|issue| Some((key(issue)?, description(issue)))))
    }

    async fn create(&self, parcel: &Parcel<'_>) -> Result<String, ChannelError> {
        let notice = parcel.notice;
        if let Some(wait) = self.doubts.wait(&notice.incident, self.api.now()) {
            let why = format!(
                "channel `{}` was asked to create an issue and did not answer; it is not asked again yet, since the issue \
                 may still show up",
                self.api.name()
            );
            return Err(ChannelError::Retry { after: Some(wait), why });
        }
        let mut fields: serde_json::Map<String, Value> =
            self.options.fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let message = texts::message(notice);
        for (name, value) in [
            ("project", json!({"key": self.options.project})),
            ("issuetype", json!({"name": self.options.issue_type})),
            ("summary", json!(title(&message, SUMMARY))),
            ("labels", json!([notice.incident.0, "keymend"])),
            ("description", self.text(&plain::text(parcel, &self.options.links, TEXT))),
        ] {
            fields.insert(name.to_owned(), value);
        }
        let created = self.created(&json!({ "fields": fields })).await;
        if matches!(created, Err(ChannelError::Retry { .. })) {
            self.doubts.about(&notice.incident, self.api.now());
        }
        created
    }

    async fn created(&self, body: &Value) -> Result<String, ChannelError> {
        let heard = self.call(Method::POST, &["issue"], &[], Some(body)).await?;
        if !heard.status.is_success() {
            return Err(self.refused(&heard));
        }
        let created = heard.json.as_ref().and_then(key).filter(|_| heard.status == StatusCode::CREATED);
        created.ok_or_else(|| self.api.odd(&heard, "no issue was created; is this Jira?"))
    }

    /// Writes a comment, unless it is among the newest. Answers whether the issue is there.
    async fn comment(&self, key: &str, parcel: &Parcel<'_>) -> Result<bool, ChannelError> {
        let path = ["issue", key, "comment"];
        let heard = self.call(Method::GET, &path, &[("orderBy", "-created"), ("maxResults", "10")], None).await?;
        if heard.status == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        let Some(comments) = heard.json.as_ref().filter(|_| heard.status == StatusCode::OK) else {
            return Err(self.refused(&heard));
        };
        if holds(&comments.get("comments").cloned().unwrap_or_default(), parcel) {
            return Ok(true);
        }
        let text = plain::text(parcel, &self.options.links, TEXT);
        let heard = self.call(Method::POST, &path, &[], Some(&json!({"body": self.text(&text)}))).await?;
        match heard.status {
            StatusCode::CREATED => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Err(self.api.odd(&heard, "the comment was not written; is this Jira?")),
            _ => Err(self.refused(&heard)),
        }
    }

    /// Makes a transition by its name. One that was made already is not there any more, which is no fault for an issue that
    /// is done.
    async fn transit(&self, key: &str, name: &str) -> Result<(), ChannelError> {
        let path = ["issue", key, "transitions"];
        let heard = self.call(Method::GET, &path, &[], None).await?;
        let listed = heard.json.as_ref().and_then(|json| json.get("transitions")).and_then(Value::as_array);
        let Some(listed) = listed.filter(|_| heard.status == StatusCode::OK) else { return Err(self.refused(&heard)) };
        let named = |one: &Value| one.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(found) = listed.iter().find(|one| named(one).eq_ignore_ascii_case(name)) else {
            if self.is_done(key).await? {
                return Ok(());
            }
            let names: Vec<String> = listed.iter().map(named).collect();
            return Err(self.api.permanent(format!(
                "{key} was commented, but there is no transition {name:?} from where it stands; there is: {}. Set \
                 jira.resolve_transition or jira.escalate_transition to one of them",
                clean(&names.join(", "), 200)
            )));
        };
        let body = json!({"transition": {"id": found.get("id")}});
        let heard = self.call(Method::POST, &path, &[], Some(&body)).await?;
        if heard.status.is_success() { Ok(()) } else { Err(self.refused(&heard)) }
    }

    async fn is_done(&self, key: &str) -> Result<bool, ChannelError> {
        let heard = self.call(Method::GET, &["issue", key], &[("fields", "status")], None).await?;
        let category = heard.json.as_ref().and_then(|json| json.pointer("/fields/status/statusCategory/key"));
        Ok(heard.status == StatusCode::OK && category.is_some_and(|category| category == "done"))
    }

    fn refused(&self, heard: &Heard) -> ChannelError {
        let json = heard.json.as_ref();
        let messages = json.and_then(|json| json.get("errorMessages")).and_then(Value::as_array);
        let mut said: Vec<String> =
            messages.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let fields = json.and_then(|json| json.get("errors")).and_then(Value::as_object);
        said.extend(
            fields.into_iter().flatten().map(|(name, why)| format!("{name}: {}", why.as_str().unwrap_or_default())),
        );
        self.api.refused(heard, &said.join("; "), hint(heard.status))
    }
}

#[async_trait]
impl Channel for Jira {
    fn name(&self) -> &str {
        self.api.name()
    }

    fn wants_heartbeat(&self) -> bool {
        true
    }

    async fn send(&self, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError> {
        let notice = parcel.notice;
        let kept = parcel.kept.and_then(|kept| Kept::deserialize(kept).ok()).filter(|kept| is_key(&kept.key));
        let late = kept.as_ref().is_some_and(|kept| kept.last > notice.sequence);
        let last = kept.as_ref().map_or(0, |kept| kept.last).max(notice.sequence);
        let known = match kept {
            Some(kept) if self.comment(&kept.key, parcel).await? => Some(kept.key),
            _ => match self.look_up(label(&notice.incident).map_err(|why| self.api.permanent(why))?).await? {
                Some((found, description)) => {
                    if !holds(&description, parcel) {
                        self.comment(&found, parcel).await?;
                    }
                    Some(found)
                }
                None => None,
            },
        };
        let over = ENDINGS.contains(&notice.situation);
        let key = match known {
            Some(key) => key,
            None if over => return Ok(None),
            None => self.create(parcel).await?,
        };
        let transition = match notice.situation {
            _ if late => None,
            crate::domain::notice::Situation::SettingsRestored => None,
            _ if over => self.options.resolve_transition.as_ref(),
            situation if NEEDS_PERSON.contains(&situation) => self.options.escalate_transition.as_ref(),
            _ => None,
        };
        if let Some(name) = transition
            && let Err(error) = self.transit(&key, name).await
        {
            if over || matches!(error, ChannelError::Retry { .. }) {
                return Err(error);
            }
            tracing::warn!(channel = self.api.name(), %error, "the issue was not moved");
        }
        Ok(serde_json::to_value(Kept { key, last }).ok())
    }

    async fn try_out(&self, trial: &TrialMessage) -> Result<String, ChannelError> {
        self.look_up("keymend-test").await?;
        Ok(match trial.trial {
            Trial::Test => "200: signed in and searched; nothing was created".to_owned(),
            Trial::Heartbeat => "signed in and searched".to_owned(),
        })
    }
}

fn key(issue: &Value) -> Option<String> {
    let key = issue.get("key").and_then(Value::as_str)?;
    is_key(key).then(|| key.to_owned())
}

/// Whether a description or comments hold a message: by the whole line that tells its number, since message 1 is not
/// message 10.
fn holds(written: &Value, parcel: &Parcel<'_>) -> bool {
    let footer = texts::message(parcel.notice).footer.to_string().replace('"', "\\\"");
    let written = written.to_string();
    written.contains(&format!("{footer}\"")) || written.contains(&format!("{footer}\\n"))
}

/// A key becomes a part of an address.
fn is_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= 64 && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// An incident's id as a label; quotes and others would change the query.
fn label(id: &IncidentId) -> Result<&str, &'static str> {
    let harmless = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !id.0.is_empty() && id.0.chars().all(harmless) {
        Ok(&id.0)
    } else {
        Err("the incident's id holds characters that would change the query; it was not sent")
    }
}

/// What a refusal by Jira means.
fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => "the address redirects, and redirects are not followed. Set jira.base_url to where it leads",
        400 => "Jira does not take the issue. Check jira.project, jira.issue_type and jira.fields",
        401 => "Jira does not know us. Check jira.user and the token",
        403 => "the user of this channel may not do this in the project. Give it the right to create and edit issues",
        404 => {
            "the project or issue is not there, or hidden from the user of this channel. Check jira.base_url and jira.project"
        }
        _ => "Jira refused it",
    }
}
