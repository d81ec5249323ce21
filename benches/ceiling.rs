//! The most that an intake like Keymend's could do: axum, a body, a file, one fsync for all that wait, `202`.
//!
//! Nothing is parsed, checked, told apart from what came before, or done about it. `scripts/bench` holds Keymend against it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a program to measure by, on one machine, for a minute")]

use std::fs::OpenOptions;
use std::io::Write;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

type Waiting = (Bytes, oneshot::Sender<()>);

/// As many bodies share one fsync as Keymend's store lets changes share one.
const TOGETHER: usize = 256;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let usage = "usage: ceiling ADDRESS FILE";
    let (address, file) = (arguments.next().expect(usage), arguments.next().expect(usage));
    tokio::runtime::Runtime::new().unwrap().block_on(serve(&address, &file));
}

async fn serve(address: &str, file: &str) {
    let (queue, waiting) = mpsc::channel(1024);
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    std::thread::spawn(move || write(waiting, &mut file));
    let router = Router::new().route("/api/alerts", post(receive)).with_state(queue);
    let listener = TcpListener::bind(address).await.unwrap();
    axum::serve(listener, router).await.unwrap();
}

async fn receive(State(queue): State<mpsc::Sender<Waiting>>, body: Bytes) -> StatusCode {
    let (done, durable) = oneshot::channel();
    queue.send((body, done)).await.unwrap();
    durable.await.unwrap();
    StatusCode::ACCEPTED
}

fn write(mut waiting: mpsc::Receiver<Waiting>, file: &mut std::fs::File) {
    while let Some(first) = waiting.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < TOGETHER
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        let together: Vec<u8> = batch.iter().flat_map(|(body, _)| body.iter().copied().chain(*b"\n")).collect();
        file.write_all(&together).unwrap();
        file.sync_data().unwrap();
        for (_, done) in batch {
            let _ = done.send(());
        }
    }
}
