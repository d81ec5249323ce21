//! Slack by an incoming webhook (Slack, "Sending messages using incoming webhooks").
//!
//! The address is the credential. A webhook cannot change a message, so each notice is one of its own. Slack reads `mrkdwn` as
//! markup, so only our own headings are `mrkdwn`; whatever may come from outside stands in `plain_text` objects, escaped as
//! Slack asks for every text. Links are not unfurled: Slack would fetch them.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::notify::api::Api;
use crate::notify::http::{InvalidChannel, TIMEOUT};
use crate::notify::links::Links;
use crate::notify::secret::Secret;
use crate::notify::texts::message::{Part, Section};
use crate::notify::{Channel, ChannelError, Parcel, TrialMessage, plain, texts};

/// The most blocks of a message.
const BLOCKS: usize = 50;
/// The longest header, in characters.
const HEADER: usize = 150;
/// The longest text of a section.
const TEXT: usize = 3000;
/// The longest fallback text, which notifications show.
const FALLBACK: usize = 1000;
/// As many buttons fit on a phone.
const BUTTONS: usize = 4;

/// What may be set of a Slack channel.
#[derive(Debug, Clone)]
pub struct SlackOptions {
    /// Where the buttons lead.
    pub links: Links,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl Default for SlackOptions {
    fn default() -> Self {
        Self { links: Links::default(), timeout: TIMEOUT }
    }
}

/// A channel of Slack.
#[derive(Debug)]
pub struct Slack {
    api: Api,
    links: Links,
}

impl Slack {
    /// A channel called `name` that posts to the webhook at `url`.
    ///
    /// # Errors
    /// [`InvalidChannel`] where the address cannot be used.
    pub fn new(
        name: impl Into<String>,
        url: &Secret,
        options: SlackOptions,
        clock: Clock,
    ) -> Result<Self, InvalidChannel> {
        let name = name.into();
        let url = Secret::from_setting(&format!("address of channel {name}"), url.expose())?;
        let api = Api::new(name, url.expose(), &[&url], options.timeout, clock)?;
        Ok(Self { api, links: options.links })
    }

    async fn post(&self, body: &Value) -> Result<StatusCode, ChannelError> {
        let heard = self.api.ask(self.api.json(Method::POST, &[], &[], body)).await?;
        if heard.status.is_success() {
            if heard.text.trim() == "ok" {
                return Ok(heard.status);
            }
            return Err(self.api.odd(&heard, "not `ok`; is this the address of a Slack webhook?"));
        }
        let word = heard.text.trim();
        let known = !word.is_empty() && word.len() <= 64 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let word = if known { word } else { "" };
        Err(self.api.refused(&heard, word, hint(word, heard.status)))
    }
}

#[async_trait]
impl Channel for Slack {
    fn name(&self) -> &str {
        self.api.name()
    }

    fn wants_heartbeat(&self) -> bool {
        true
    }

    async fn send(&self, parcel: &Parcel<'_>) -> Result<Option<Value>, ChannelError> {
        self.post(&body(parcel, &self.links)).await.map(|_| None)
    }

    async fn try_out(&self, trial: &TrialMessage) -> Result<String, ChannelError> {
        let (banner, headline) = (texts::trial::banner(trial.trial), texts::trial::headline(trial));
        let blocks = [
            header(banner),
            said(&format!("{headline}\n{}", texts::trial::why(trial.trial))),
            said(&texts::trial::footer(trial)),
        ];
        let status = self.post(&envelope(&format!("{banner}: {headline}"), &blocks)).await?;
        Ok(format!("{}: it was posted", status.as_u16()))
    }
}

/// The message for a notice.
#[must_use]
pub fn body(parcel: &Parcel<'_>, links: &Links) -> Value {
    let message = texts::message(parcel.notice);
    let mut blocks: Vec<Value> = parcel.remark.map(said).into_iter().collect();
    blocks.push(header(&message.banner));
    blocks.push(said(&format!("{}\n{}", message.headline, message.meaning)));
    for section in &message.sections {
        blocks.extend(section.title.map(heading));
        blocks.push(said(&lines(section)));
    }
    if let Some(names) = &message.databases {
        blocks.push(said(&format!("Databases: {names}")));
    }
    if !message.next.is_empty() {
        blocks.push(heading("What happens next"));
        blocks.push(said(&message.next.to_string()));
    }
    let buttons: Vec<Value> = plain::addresses(&message, links)
        .into_iter()
        .take(BUTTONS)
        .map(|(title, url)| json!({"type": "button", "text": {"type": "plain_text", "text": title}, "url": url}))
        .collect();
    // The end is kept for what must not be missing.
    blocks.truncate(BLOCKS - 2);
    if !buttons.is_empty() {
        blocks.push(json!({"type": "actions", "elements": buttons}));
    }
    let footer = escaped(&message.footer.to_string(), TEXT);
    blocks.push(json!({"type": "context", "elements": [{"type": "plain_text", "text": footer, "emoji": false}]}));
    envelope(&format!("{}: {}", message.banner, message.headline), &blocks)
}

/// `text` is what notifications show. Slack would read it as markup if it were not told not to.
fn envelope(text: &str, blocks: &[Value]) -> Value {
    json!({
        "text": escaped(text, FALLBACK),
        "mrkdwn": false,
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

fn header(text: &str) -> Value {
    json!({"type": "header", "text": {"type": "plain_text", "text": escaped(text, HEADER), "emoji": false}})
}

/// Our own words as a heading.
fn heading(title: &'static str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": format!("*{title}*"), "verbatim": true}})
}

/// Text that may come from outside.
fn said(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "plain_text", "text": escaped(text, TEXT), "emoji": false}})
}

fn lines(section: &Section) -> String {
    let line = |part: &Part| match part {
        Part::Fact(label, line) => format!("{label}: {line}"),
        Part::Marked(mark, line) => format!("{}  {line}", mark.word()),
        Part::Step(number, line) => format!("{number}. {line}"),
        Part::Text(line) | Part::Command(line) => line.to_string(),
    };
    section.parts.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `&`, `<` and `>` as Slack wants them, in at most `most` characters; never empty, since Slack takes no empty text.
fn escaped(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    for letter in text.chars() {
        let piece = match letter {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        let size = piece.len().max(1);
        if length + size > most.saturating_sub(1) {
            out.push('\u{2026}');
            break;
        }
        length += size;
        if piece.is_empty() { out.push(letter) } else { out.push_str(piece) }
    }
    if out.trim().is_empty() { "-".to_owned() } else { out }
}

/// What a refusal by Slack means, by its own word for it.
fn hint(word: &str, status: StatusCode) -> &'static str {
    match word {
        "no_service" | "no_active_hooks" | "invalid_token" | "no_team" | "team_disabled" => {
            "the webhook was removed or switched off. Make a new one in the app's settings, and set its address"
        }
        "channel_not_found" | "channel_is_archived" => {
            "the channel is gone or archived. Make a webhook for another one, and set its address"
        }
        "action_prohibited" | "posting_to_general_channel_denied" => {
            "an administrator of the workspace forbids this post. Ask for it to be allowed, or use another channel"
        }
        "invalid_payload" | "no_text" | "invalid_blocks" => "Slack does not understand the message. Please report this",
        _ if status.is_redirection() => {
            "the address redirects, and redirects are not followed. Copy the webhook's address again"
        }
        _ => "Slack refused the message. Check the webhook in the app's settings",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_slack_would_read() {
        assert_eq!(escaped("a <!channel> & <https://x|y>", 100), "a &lt;!channel&gt; &amp; &lt;https://x|y&gt;");
        assert_eq!(escaped(" ", 10), "-");
        let long = escaped(&"<".repeat(2000), TEXT);
        assert!(long.chars().count() <= TEXT && long.ends_with(";\u{2026}"), "{long}");
    }
}
