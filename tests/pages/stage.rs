//! Stories of the drill, told as far as a test wants, and a client that reads their pages.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use keymend::clock::Clock;
use keymend::domain::incident::Incident;
use keymend::domain::policy::{Preset, Scope};
use keymend::drill::scenario::{self, Act};
use keymend::notify::Channel;
use keymend::notify::secret::Secret;
use keymend::notify::teams::{Teams, TeamsOptions};
use keymend::patrol::PatrolSettings;
use keymend::responder::Wake;
use keymend::responder::answer::{Answer, By, keep};
use keymend::store::{SqliteStore, Store};
use keymend::web::pages::Site;
use keymend::web::{App, Callers, Doorway, Limits, router};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::stepped::Stage;

/// A story that has begun: what breaks first is broken. Nothing passes but within [`Stage::happen`].
pub async fn story(name: &str, preset: Preset) -> Stage {
    let setup = (scenario::named(name).unwrap_or_else(|| panic!("no scenario {name}")).setup)(preset);
    let mut stage = Stage::open_under(setup.world, setup.policy, PatrolSettings::rounds_only()).await;
    stage.happen(&[], 2).await;
    let breaks: Vec<_> = setup
        .script
        .iter()
        .filter_map(|step| match &step.act {
            Act::Break(what) => Some(what.clone()),
            _ => None,
        })
        .collect();
    stage.happen(&breaks, 0).await;
    stage
}

/// Lets minutes pass until the newest incident is as wanted.
pub async fn until(stage: &mut Stage, wanted: impl Fn(&Incident) -> bool) -> Incident {
    for _ in 0..120 {
        stage.happen(&[], 1).await;
        if let Some(incident) = stage.incidents().await.into_iter().next().filter(&wanted) {
            return incident;
        }
    }
    panic!("it never came so far: {:#?}", stage.incidents().await);
}

/// A person approves, as by `keymend incidents approve`.
pub async fn approve(stage: &Stage, incident: &Incident) {
    answer(stage, incident, &Answer::Approve { code: None }).await;
}

/// A person takes the incident over.
pub async fn hold(stage: &Stage, incident: &Incident) {
    let why = Some("security is looking at it".to_owned());
    answer(stage, incident, &Answer::Hold { why, taken_over: true }).await;
}

async fn answer(stage: &Stage, incident: &Incident, answer: &Answer) {
    let by = By { name: "ada (on call)".to_owned(), way: "on the command line" };
    keep(&*stage.house.store(), &stage.clock, &incident.id, answer, &by, None, None).await.unwrap();
}

/// A channel of that name; nothing is sent through it.
pub fn teams(name: &str) -> Teams {
    Teams::new(name, Secret::new("http://127.0.0.1:9/"), TeamsOptions::default(), Clock::system()).unwrap()
}

/// The same, among others.
pub fn channel(name: &str) -> Arc<dyn Channel> {
    Arc::new(teams(name))
}

/// An answer, read.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub text: String,
}

impl Page {
    /// The text that people read: without markup, blanks in a row as one.
    pub fn words(&self) -> String {
        let mut out = String::new();
        let mut inside = false;
        for c in self.text.chars() {
            match c {
                '<' => (inside, out) = (true, out + " "),
                '>' if inside => inside = false,
                c if !inside => out.push(c),
                _ => {}
            }
        }
        let plain = out.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
        plain.replace("&amp;", "&").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Fails unless the page says it.
    #[track_caller]
    pub fn says(&self, wanted: &str) -> &Self {
        let words = self.words();
        assert!(words.contains(wanted), "the page does not say {wanted:?}:\n{words}");
        self
    }

    /// Fails if the page says it.
    #[track_caller]
    pub fn never_says(&self, unwanted: &str) -> &Self {
        assert!(!self.words().contains(unwanted), "the page says {unwanted:?}:\n{}", self.words());
        self
    }
}

/// A client without anything that a browser adds.
pub fn client() -> Client {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

pub async fn sent(request: RequestBuilder) -> Page {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Page { status, headers, text: answer.text().await.unwrap() }
}

/// Reads a page as a browser asks for it.
pub async fn read(address: &str) -> Page {
    sent(client().request(Method::GET, address).header("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"))
        .await
}

/// The doors over a store of incidents, at a time.
pub async fn doors(site: Site, incidents: &[Incident], now: Timestamp) -> String {
    let folder = tempfile::tempdir().unwrap().keep();
    let store = Arc::new(SqliteStore::open(&folder.join("keymend.db")).unwrap());
    for incident in incidents {
        store.save(incident, None, &[], &[], now).await.unwrap();
    }
    open(site, store, Clock::stepped(now, None)).await
}

/// The doors over a store.
pub async fn open(site: Site, store: Arc<dyn Store>, clock: Clock) -> String {
    // Nobody listens to this bell; what rings it must not hold the clock.
    let wake = Wake::default();
    let heard = wake.clone();
    tokio::spawn(async move {
        loop {
            drop(heard.heard().await);
        }
    });
    let app = App {
        store,
        scope: Arc::new(Scope::default()),
        callers: Callers::knowing(["a-secret-of-this-test"]),
        clock,
        wake,
        limits: Limits::default(),
        faults: Arc::new([]),
        pages: site,
    };
    let doorway = Doorway::open(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = format!("http://{}", doorway.address().unwrap());
    tokio::spawn(axum::serve(doorway, router(app)).into_future());
    address
}

pub fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}
