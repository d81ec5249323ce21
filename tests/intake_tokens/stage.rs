//! A door that takes tokens, before a simulated Entra whose clock moves only when a test says so.

use jiff::{SignedDuration, Timestamp};
use keymend::clock::{Busy, Clock};
use keymend::drill::cloud::{Cloud, Fault, FaultKind, FirstParty, Running, SecureWebhook, World};
use keymend::drill::house::rules;
use keymend::web::Callers;
use keymend::web::callers::HowTokens;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::doors::{Answer, Doors, SECRET, Wanted, alert, database};

pub const JSON: (&str, &str) = ("Content-Type", "application/json");

pub struct Stage {
    pub cloud: Cloud,
    pub doors: Doors,
    pub callers: Callers,
    clock: Clock,
    held: Option<Busy>,
    _running: Running,
}

impl Stage {
    pub async fn usual() -> Self {
        Self::open(2, HowTokens::default()).await
    }

    pub async fn open(version: u8, how: HowTokens) -> Self {
        let clock = Clock::stepped("2026-11-24T02:00:00Z".parse().unwrap(), None);
        let held = Some(clock.busy());
        let hook = SecureWebhook { version, ..SecureWebhook::default() };
        let mut world = World::standard();
        world.alerts.secure_webhook = Some(hook.clone());
        let tenant = world.tenant.clone();
        let cloud = Cloud::new(world, clock.clone());
        let running = cloud.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
        let rules = rules(&tenant, &hook, &running.url()).unwrap();
        let callers = Callers::knowing_or_by_token([SECRET], rules, how);
        let wanted = Wanted { callers: callers.clone(), clock: clock.clone(), ..Wanted::default() };
        let doors = Doors::open(wanted).await;
        Self { cloud, doors, callers, clock, held, _running: running }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass.
    pub async fn pass(&mut self, seconds: i64) {
        let until = self.now() + SignedDuration::from_secs(seconds);
        self.held = None;
        // Nobody works here, so nobody hears the bell, and while it rings the clock stands still.
        let _ = futures::FutureExt::now_or_never(self.doors.wake.heard());
        self.held = Some(self.clock.idle_until(until).await);
    }

    /// What Action Groups get, changed.
    pub fn claims(&self, change: impl FnOnce(&mut Value)) -> Value {
        let mut claims = self.cloud.claims_of(FirstParty::ActionGroups);
        change(&mut claims);
        claims
    }

    pub fn token(&self) -> String {
        self.cloud.sign(&self.claims(|_| {}))
    }

    pub async fn send(&self, token: &str) -> Answer {
        self.send_with(&[("Authorization", &format!("Bearer {token}"))]).await
    }

    pub async fn send_with(&self, headers: &[(&str, &str)]) -> Answer {
        let headers: Vec<_> = [JSON].into_iter().chain(headers.iter().copied()).collect();
        self.doors.post("/api/alerts", &headers, alert(&database("orders"), "e-1").to_string()).await
    }

    /// Nothing came in and nothing is to be done.
    pub async fn nothing_was_done(&self, why: &str) {
        assert!(self.doors.kept().await.is_empty(), "{why}");
        assert!(!self.doors.has_work().await, "{why}");
    }

    /// How often the tenant's metadata were asked for, and its keys.
    pub fn asked(&self) -> [usize; 2] {
        ["/.well-known/openid-configuration", "/keys"]
            .map(|path| self.cloud.requests_that(|one| one.url.ends_with(path)).len())
    }

    /// Entra answers so, to whatever holds `path`.
    pub fn entra_says(&self, path: &str, kind: FaultKind, times: u32) {
        let path = path.to_owned();
        self.cloud.fault(Fault {
            method: None,
            path,
            kind,
            times: Some(times),
            for_seconds: None,
            after_effect: false,
        });
    }

    pub fn entra_is_down(&self, times: u32) {
        self.entra_says("/.well-known/", FaultKind::Status { status: 503, code: "Down".to_owned() }, times);
    }
}

/// What App Service Authentication says of a caller.
pub fn principal(claims: &[(&str, &str)]) -> String {
    use base64::Engine;
    let claims: Vec<Value> = claims.iter().map(|(typ, val)| json!({ "typ": typ, "val": val })).collect();
    base64::engine::general_purpose::STANDARD.encode(json!({ "auth_typ": "aad", "claims": claims }).to_string())
}
