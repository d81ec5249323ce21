//! Queue triggers: fetch, invoke, keep hold, and settle as the host's queue extension does.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::Rng as _;
use tokio::task::JoinSet;

use super::function_json::{Function, Trigger};
use super::storage::{Queues, Received};
use super::{Inner, payload};

/// How long a message is held at a time, in Azure.
pub const LEASE: Duration = Duration::from_secs(600);
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Listens on a function's queue until it is dropped: then what is in flight stays invisible until its lease ends.
pub async fn listen(inner: Arc<Inner>, function: Function) {
    let Trigger::Queue { queue, connection } = &function.trigger else { return };
    let Some(queues) = inner.storage(connection) else { return };
    let limits = inner.json.queues.clone();
    let mut running = JoinSet::new();
    let mut wait = FIRST_WAIT;
    loop {
        while running.try_join_next().is_some() {}
        while running.len() > limits.new_batch_threshold {
            running.join_next().await;
        }
        let batch = queues.receive(queue, limits.batch_size, inner.options.lease).await.unwrap_or_else(|why| {
            inner.notes.lock().unwrap().push(format!("{queue}: nothing can be received: {why}"));
            Vec::new()
        });
        if batch.is_empty() {
            let spread = rand::rng().random_range(0.8..1.2);
            tokio::time::sleep(wait.mul_f64(spread)).await;
            wait = (wait * 2).min(limits.max_polling_interval).max(FIRST_WAIT);
            continue;
        }
        wait = FIRST_WAIT;
        for received in batch {
            let (inner, queues, queue, function) = (inner.clone(), queues.clone(), queue.clone(), function.clone());
            running.spawn(async move { process(&inner, &queues, &queue, &function, received).await });
        }
    }
}

async fn process(inner: &Arc<Inner>, queues: &Queues, queue: &str, function: &Function, mut received: Received) {
    let limits = &inner.json.queues;
    if received.message.dequeue_count > limits.max_dequeue_count {
        return give_up(queues, queue, &received).await;
    }
    let worked = match text(&received.raw, limits.base64) {
        None => false,
        Some(text) => {
            let again = twice(inner, function, &text, &received);
            let worked = {
                let payload = payload::queue(&function.name, &function.binding, &text, &received.message, inner.now());
                let message = (received.message.id.clone(), received.message.dequeue_count);
                let call = inner.call(function, &payload, Some(message));
                tokio::pin!(call);
                loop {
                    tokio::select! {
                        outcome = &mut call => break outcome.is_success(),
                        () = tokio::time::sleep(inner.options.lease / 2) => {
                            if let Ok(Some(receipt)) = queues.update(queue, &received.message, inner.options.lease).await {
                                received.message.pop_receipt = receipt;
                            }
                        }
                    }
                }
            };
            if let Some(again) = again {
                let _ = again.await;
            }
            worked
        }
    };
    let settled = if worked {
        queues.delete(queue, &received.message).await.map(drop)
    } else if is_poison(queue) {
        Ok(())
    } else if received.message.dequeue_count >= limits.max_dequeue_count {
        give_up(queues, queue, &received).await;
        Ok(())
    } else {
        queues.update(queue, &received.message, limits.visibility_timeout).await.map(drop)
    };
    if let Err(why) = settled {
        inner.notes.lock().unwrap().push(format!("{queue}: a message could not be settled: {why}"));
    }
}

/// The same message delivered once more meanwhile, where the test wants that: another receipt, another count.
fn twice(
    inner: &Arc<Inner>,
    function: &Function,
    text: &str,
    received: &Received,
) -> Option<tokio::task::JoinHandle<()>> {
    let wanted = inner.options.duplicates.is_some_and(|share| rand::rng().random_bool(share));
    wanted.then(|| {
        let (inner, function, text, mut message) =
            (inner.clone(), function.clone(), text.to_owned(), received.message.clone());
        tokio::spawn(async move {
            message.dequeue_count += 1;
            message.pop_receipt = STANDARD.encode(format!("again {}", message.pop_receipt));
            let payload = payload::queue(&function.name, &function.binding, &text, &message, inner.now());
            inner.call(&function, &payload, Some((message.id.clone(), message.dequeue_count))).await;
        })
    })
}

/// The text of a message; nothing if it is not encoded as it should be.
fn text(raw: &str, base64: bool) -> Option<String> {
    if !base64 {
        return Some(raw.to_owned());
    }
    STANDARD.decode(raw).ok().and_then(|bytes| String::from_utf8(bytes).ok())
}

fn is_poison(queue: &str) -> bool {
    queue.ends_with("-poison")
}

/// Copies the message to the poison queue, and removes it here. A poison queue has none of its own.
async fn give_up(queues: &Queues, queue: &str, received: &Received) {
    if is_poison(queue) {
        return;
    }
    let poison = format!("{queue}-poison");
    if queues.create(&poison).await.is_ok() && queues.put(&poison, &received.raw).await.is_ok() {
        let _ = queues.delete(queue, &received.message).await;
    }
}
