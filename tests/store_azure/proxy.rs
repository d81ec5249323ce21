//! A road to Azurite on which requests are counted, and one of them can be stopped (for ever, as when the process that sent
//! it is killed, or until it is let go), or its answer lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::sync::Notify;

use crate::azurite::{ACCOUNT, Azurite, connection_string};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where on its way a request is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Before Azurite has it: nothing was done.
    Before,
    /// After Azurite did it: whoever asked never hears of it.
    After,
}

#[derive(Debug)]
struct Road {
    seen: AtomicUsize,
    /// Which request is stopped; 0 for none.
    nth: AtomicUsize,
    after: AtomicBool,
    /// Of which request the answer is lost; 0 for none.
    lost: AtomicUsize,
    reached: Notify,
    release: Notify,
    released: AtomicBool,
    http: reqwest::Client,
}

/// The road.
#[derive(Debug)]
pub struct Proxy {
    road: Arc<Road>,
    blob: u16,
    queue: u16,
}

impl Proxy {
    pub async fn start(azurite: &Azurite) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let road = Arc::new(Road {
            seen: AtomicUsize::new(0),
            nth: AtomicUsize::new(0),
            after: AtomicBool::new(false),
            lost: AtomicUsize::new(0),
            reached: Notify::new(),
            release: Notify::new(),
            released: AtomicBool::new(false),
            http,
        });
        let blob = listen(&road, azurite.blob_endpoint()).await;
        let queue = listen(&road, azurite.queue_endpoint()).await;
        Self { road, blob, queue }
    }

    pub fn connection_string(&self) -> String {
        let at = |port: u16| format!("http://127.0.0.1:{port}/{ACCOUNT}");
        connection_string(&at(self.blob), &at(self.queue))
    }

    /// Stops the `nth` request from now on (the first is 1), and all behind it.
    pub fn stop_at(&self, nth: usize, stop: Stop) {
        self.road.released.store(false, Ordering::SeqCst);
        self.road.after.store(stop == Stop::After, Ordering::SeqCst);
        self.road.seen.store(0, Ordering::SeqCst);
        self.road.nth.store(nth, Ordering::SeqCst);
    }

    /// Lets Azurite do the `nth` request from now on, and answers it with an error that makes the sender try again.
    pub fn lose_answer_of(&self, nth: usize) {
        self.road.nth.store(0, Ordering::SeqCst);
        self.road.seen.store(0, Ordering::SeqCst);
        self.road.lost.store(nth, Ordering::SeqCst);
    }

    /// How many requests were sent since the last order.
    pub fn seen(&self) -> usize {
        self.road.seen.load(Ordering::SeqCst)
    }

    /// Waits until a request is stopped.
    pub async fn reached(&self) {
        self.road.reached.notified().await;
    }

    /// Lets all that were stopped go on.
    pub fn let_go(&self) {
        self.road.nth.store(0, Ordering::SeqCst);
        self.road.released.store(true, Ordering::SeqCst);
        self.road.release.notify_waiters();
    }

    /// Runs a call as a process would that is killed when the request is stopped; `None` if it was.
    pub async fn until_killed<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let ended = async {
            tokio::select! {
                biased;
                () = self.reached() => None,
                answer = call => Some(answer),
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("the call ends or is stopped")
    }
}

async fn listen(road: &Arc<Road>, endpoint: String) -> u16 {
    let origin = endpoint.trim_end_matches(&format!("/{ACCOUNT}")).to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(pass).with_state((road.clone(), Arc::<str>::from(origin)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

async fn pass(State((road, origin)): State<(Arc<Road>, Arc<str>)>, request: Request) -> Response {
    let number = road.seen.fetch_add(1, Ordering::SeqCst) + 1;
    let nth = road.nth.load(Ordering::SeqCst);
    let stopped = nth != 0 && number >= nth;
    let after = road.after.load(Ordering::SeqCst) && number == nth;
    if stopped && !after {
        stand_still(&road).await;
    }
    let answer = forward(&road, &origin, request).await;
    if stopped && after {
        stand_still(&road).await;
    }
    if number == road.lost.load(Ordering::SeqCst) {
        return Response::builder().status(500).body(Body::empty()).unwrap();
    }
    answer
}

async fn stand_still(road: &Road) {
    let release = road.release.notified();
    road.reached.notify_one();
    if !road.released.load(Ordering::SeqCst) {
        release.await;
    }
}

async fn forward(road: &Road, origin: &str, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let url = format!("{origin}{}", parts.uri);
    let mut headers = parts.headers;
    headers.remove("host");
    let answer = road.http.request(parts.method, url).headers(headers).body(body).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    *response.headers_mut().unwrap() = answer.headers().clone();
    response.headers_mut().unwrap().remove("transfer-encoding");
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}
