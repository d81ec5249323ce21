//! A road to Azurite on which requests are counted, and one of them can be stopped (for ever, as when the process that sent
//! it is killed, or until it is let go), or its answer lost.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::sync::watch;

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

/// What is to happen to the requests from a moment on. Each is told by the order that stands when it comes.
#[derive(Debug, Default)]
struct Order {
    seen: AtomicUsize,
    /// Which request is stopped, and all behind it; 0 for none.
    nth: usize,
    after: bool,
    /// Of which request the answer is lost; 0 for none.
    lost: usize,
    reached: watch::Sender<bool>,
    /// Those that were stopped go on.
    released: watch::Sender<bool>,
    /// Those that were stopped never come to Azurite: their process is dead.
    dead: AtomicBool,
}

#[derive(Debug)]
struct Road {
    order: Mutex<Arc<Order>>,
    http: reqwest::Client,
}

impl Road {
    fn order(&self) -> Arc<Order> {
        self.order.lock().unwrap().clone()
    }
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
        let http = keymend::tls::client().no_proxy().build().unwrap();
        let road = Arc::new(Road { order: Mutex::default(), http });
        let blob = listen(&road, azurite.blob_endpoint()).await;
        let queue = listen(&road, azurite.queue_endpoint()).await;
        Self { road, blob, queue }
    }

    pub fn connection_string(&self) -> String {
        let at = |port: u16| format!("http://127.0.0.1:{port}/{ACCOUNT}");
        connection_string(&at(self.blob), &at(self.queue))
    }

    fn command(&self, order: Order) {
        *self.road.order.lock().unwrap() = Arc::new(order);
    }

    /// Stops the `nth` request from now on (the first is 1), and all behind it.
    pub fn stop_at(&self, nth: usize, stop: Stop) {
        self.command(Order { nth, after: stop == Stop::After, ..Order::default() });
    }

    /// Lets Azurite do the `nth` request from now on, and answers it with an error that makes the sender try again.
    pub fn lose_answer_of(&self, nth: usize) {
        self.command(Order { lost: nth, ..Order::default() });
    }

    /// How many requests were sent since the last order.
    pub fn seen(&self) -> usize {
        self.road.order().seen.load(Ordering::SeqCst)
    }

    /// Waits until a request is stopped.
    pub async fn reached(&self) {
        wait_for(&self.road.order().reached).await;
    }

    /// Lets all that were stopped go on, and what comes after them.
    pub fn let_go(&self) {
        let stopped = self.road.order();
        self.command(Order::default());
        stopped.released.send_replace(true);
    }

    /// Runs a call as a process would that is killed when the request is stopped; `None` if it was. What it still had on
    /// its way to Azurite is lost with it, and the road is free again.
    pub async fn until_killed<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let ended = async {
            tokio::select! {
                biased;
                () = self.reached() => None,
                answer = call => Some(answer),
            }
        };
        let answer = tokio::time::timeout(PATIENCE, ended).await.expect("the call ends or is stopped");
        self.road.order().dead.store(true, Ordering::SeqCst);
        self.let_go();
        answer
    }
}

async fn wait_for(sign: &watch::Sender<bool>) {
    // The sender is at hand, so there is an end.
    let _ = sign.subscribe().wait_for(|given| *given).await;
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
    let order = road.order();
    let number = order.seen.fetch_add(1, Ordering::SeqCst) + 1;
    let stopped = order.nth != 0 && number >= order.nth;
    let after = order.after && number == order.nth;
    if stopped && !after {
        order.reached.send_replace(true);
        wait_for(&order.released).await;
        if order.dead.load(Ordering::SeqCst) {
            return Response::builder().status(500).body(Body::empty()).unwrap();
        }
    }
    let answer = forward(&road, &origin, request).await;
    if stopped && after {
        order.reached.send_replace(true);
        wait_for(&order.released).await;
    }
    if number == order.lost {
        return Response::builder().status(500).body(Body::empty()).unwrap();
    }
    answer
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
