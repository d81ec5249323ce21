//! The running host: it reads the app, starts the handler, listens to all that triggers it, and remembers what it invoked.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use keymend::clock::Clock;
use serde_json::Value;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::function_json::{self, Function, Trigger};
use super::host_json::HostJson;
use super::invoke::{Outcome, Sender};
use super::lines::{Line, Lines};
use super::process::{Launch, Worker};
use super::{Options, front, queue, storage, timer};

/// One invocation, in any mode.
#[derive(Debug, Clone)]
pub struct Call {
    pub id: Uuid,
    pub function: String,
    /// The queue message's id, and how often it was dequeued.
    pub message: Option<(String, u64)>,
    pub began: Instant,
    pub ended: Option<Instant>,
    pub outcome: Option<Outcome>,
    /// Which start of the handler was the latest when it began.
    pub start: usize,
}

impl Call {
    pub(super) fn new(inner: &Inner, id: Uuid, function: &Function, message: Option<(String, u64)>) -> Self {
        let function = function.name.clone();
        let start = inner.worker.starts();
        let call = Self { id, function, message, began: Instant::now(), ended: None, outcome: None, start };
        inner.calls.lock().unwrap().push(call.clone());
        call
    }

    pub(super) fn end(self, inner: &Inner, outcome: Outcome) {
        let mut calls = inner.calls.lock().unwrap();
        if let Some(call) = calls.iter_mut().rev().find(|call| call.id == self.id) {
            call.ended = Some(Instant::now());
            call.outcome = Some(outcome);
        }
    }
}

/// A running host. Dropping it kills the handler.
pub struct Host {
    inner: Arc<Inner>,
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// What all parts of a host share.
pub struct Inner {
    pub json: HostJson,
    pub functions: Vec<Function>,
    pub options: Options,
    pub worker: Worker,
    pub keys: front::Keys,
    pub lines: Lines,
    sender: Sender,
    pub(super) proxy: reqwest::Client,
    calls: Mutex<Vec<Call>>,
    pub(super) notes: Mutex<Vec<String>>,
}

impl Inner {
    /// The host's own clock, which is never the story's.
    pub fn now(&self) -> Timestamp {
        Clock::system().now()
    }

    pub(super) fn storage(&self, connection: &str) -> Option<storage::Queues> {
        let connection = self.options.settings.get(connection)?;
        storage::Queues::of(connection).map_err(|why| self.notes.lock().unwrap().push(why)).ok()
    }

    /// One invocation in the payload mode.
    pub async fn call(&self, function: &Function, payload: &Value, message: Option<(String, u64)>) -> Outcome {
        self.call_raw(function, payload.to_string().into_bytes(), message).await
    }

    async fn call_raw(&self, function: &Function, payload: Vec<u8>, message: Option<(String, u64)>) -> Outcome {
        let call = Call::new(self, Uuid::nil(), function, message);
        let (id, outcome) = self.sender.invoke(&self.worker, &function.name, payload).await;
        let mut calls = self.calls.lock().unwrap();
        let found = calls.iter_mut().rev().find(|one| one.began == call.began && one.function == call.function);
        if let Some(found) = found {
            found.id = id;
            found.ended = Some(Instant::now());
            found.outcome = Some(outcome.clone());
        }
        outcome
    }
}

impl Host {
    /// Reads the app, starts its handler, and listens to everything that triggers it.
    ///
    /// # Errors
    /// In the host's words, where it would refuse to start.
    pub async fn start(app_root: &Path, options: Options) -> Result<Self, String> {
        let json = HostJson::read(app_root, &options.settings)?;
        let functions = function_json::read_all(app_root, &options.settings)?;
        if json.has_http_routes && !functions.is_empty() {
            return Err("Detected both function.json files and custom handler HTTP route configuration".to_owned());
        }
        if functions.is_empty() {
            return Err("there is no function, so no handler is started".to_owned());
        }
        let lines = Lines::default();
        let launch = Launch::new(app_root, &json, &options.settings, options.platform_restarts);
        let timeout = Duration::from_secs(240);
        let proxy = keymend::tls::client().no_proxy().redirect(reqwest::redirect::Policy::none());
        let inner = Arc::new(Inner {
            worker: Worker::start(launch, lines.clone()),
            sender: Sender::new(json.function_timeout, options.chunked),
            proxy: proxy.read_timeout(timeout).build().map_err(|error| error.to_string())?,
            keys: front::Keys::random(),
            calls: Mutex::default(),
            notes: Mutex::default(),
            json,
            functions,
            options,
            lines,
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let mut tasks = vec![front::serve(inner.clone(), listener)];
        for function in inner.functions.clone() {
            match &function.trigger {
                Trigger::Queue { .. } => tasks.push(tokio::spawn(queue::listen(inner.clone(), function))),
                Trigger::Timer { .. } => tasks.extend(tick(&inner, function)),
                Trigger::Http { .. } | Trigger::EventGrid => {}
            }
        }
        Ok(Self { inner, address, tasks })
    }

    /// `http://…`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where a caller with the function's key posts to.
    pub fn url_with_key(&self, path: &str) -> String {
        format!("{}{path}?code={}", self.url(), self.inner.keys.function)
    }

    pub fn keys(&self) -> &front::Keys {
        &self.inner.keys
    }

    pub fn worker(&self) -> &Worker {
        &self.inner.worker
    }

    pub fn lines(&self) -> Vec<Line> {
        self.inner.lines.all()
    }

    /// The log's end, for messages.
    pub fn tail(&self, count: usize) -> String {
        self.inner.lines.tail(count)
    }

    /// Every invocation so far.
    pub fn calls(&self) -> Vec<Call> {
        self.inner.calls.lock().unwrap().clone()
    }

    /// What went wrong on the host's own side.
    pub fn notes(&self) -> Vec<String> {
        self.inner.notes.lock().unwrap().clone()
    }

    /// Invocations that have not ended.
    pub fn in_flight(&self) -> usize {
        self.inner.calls.lock().unwrap().iter().filter(|call| call.ended.is_none()).count()
    }

    /// The functions of which an invocation has not ended, each once.
    pub fn working(&self) -> Vec<String> {
        let calls = self.inner.calls.lock().unwrap();
        let working = calls.iter().filter(|call| call.ended.is_none()).map(|call| call.function.clone());
        working.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Invocations that would never end in Azure: an empty 2xx.
    pub fn hangs(&self) -> Vec<String> {
        let hangs = self.calls().into_iter().filter_map(|call| match call.outcome {
            Some(Outcome::Hang(why)) => Some(format!("{}: {why}", call.function)),
            _ => None,
        });
        hangs.collect()
    }

    /// Invokes a function with a payload of the test's own making.
    pub async fn invoke(&self, function: &str, payload: &Value) -> Outcome {
        let function = self.function(function);
        self.inner.call(&function, payload, None).await
    }

    /// The same with any bytes at all.
    pub async fn invoke_raw(&self, function: &str, payload: Vec<u8>) -> Outcome {
        let function = self.function(function);
        self.inner.call_raw(&function, payload, None).await
    }

    /// Lets a timer fire.
    pub async fn fire(&self, function: &str, tick: timer::Tick) -> Outcome {
        let function = self.function(function);
        let payload = timer::payload(&function.name, &function.binding, tick, self.inner.now());
        self.inner.call(&function, &payload, None).await
    }

    /// The function of that name.
    pub fn function(&self, name: &str) -> Function {
        let found = self.inner.functions.iter().find(|function| function.name == name);
        found.unwrap_or_else(|| panic!("there is no function {name}")).clone()
    }

    /// Kill −9 of the handler alone, as a crash: the host sees its connections break.
    pub fn kill_handler(&self) -> bool {
        self.inner.worker.kill()
    }

    /// The whole instance goes at once, host and handler: messages in flight stay invisible until their lease ends.
    pub async fn kill_instance(mut self) {
        self.end("the instance is gone").await;
    }

    /// The end of a host: it stops listening, and kills the handler.
    pub async fn stop(mut self) -> Ended {
        self.end("stopped").await;
        Ended {
            lines: self.inner.lines.all(),
            calls: self.calls(),
            starts: self.inner.worker.starts(),
            hangs: self.hangs(),
        }
    }

    async fn end(&mut self, why: &str) {
        for task in self.tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
        self.inner.worker.stop(why);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.inner.worker.stop("dropped");
    }
}

/// What is left of a host.
#[derive(Debug)]
pub struct Ended {
    pub lines: Vec<Line>,
    pub calls: Vec<Call>,
    pub starts: usize,
    pub hangs: Vec<String>,
}

fn tick(inner: &Arc<Inner>, function: Function) -> Option<JoinHandle<()>> {
    let (inner, every) = (inner.clone(), inner.options.timers_every?);
    Some(tokio::spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            let payload = timer::payload(&function.name, &function.binding, timer::Tick::OnTime, inner.now());
            inner.call(&function, &payload, None).await;
        }
    }))
}
