//! The rooms behind the doors: opened after the port is bound, and tried again while they cannot be.
//!
//! The host starts the handler and asks `GET /` until it answers; settings, credentials and the store take longer than that
//! may, and can be wrong. A handler that ends because of them is started again twice and then takes the host down, so it
//! stays, answers 503 with the reason, and tries again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use tokio::sync::{Mutex, Notify, watch};

use crate::patrol::Patrol;
use crate::responder::Responder;
use crate::web::{App, answer};

/// What the functions work with.
#[derive(Debug, Clone)]
pub struct Rooms {
    /// Does jobs.
    pub responder: Responder,
    /// Looks by itself.
    pub patrol: Patrol,
    /// Takes alerts.
    pub app: Arc<App>,
    /// Held while an incident is opened: by all invocations of the process.
    pub opening: Arc<Mutex<()>>,
}

/// Whether the rooms can be used.
#[derive(Debug, Clone)]
pub enum Standing {
    /// They are being opened for the first time.
    Opening,
    /// They can.
    Open(Arc<Rooms>),
    /// They could not be opened.
    Shut {
        /// Why, in words that name settings and hold no values of secrets.
        why: Arc<str>,
        /// How often it was tried.
        tries: u32,
    },
}

/// The functions' view of the rooms. Cheap to clone.
#[derive(Clone)]
pub struct House {
    standing: watch::Receiver<Standing>,
    wanted: Arc<Notify>,
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("House")
    }
}

/// The other end: whoever opens the rooms says how they stand.
#[derive(Debug)]
pub struct Keeper {
    standing: watch::Sender<Standing>,
    wanted: Arc<Notify>,
}

impl House {
    /// A house whose rooms are not open yet, and its keeper.
    #[must_use]
    pub fn new() -> (Self, Keeper) {
        let (sender, receiver) = watch::channel(Standing::Opening);
        let wanted = Arc::new(Notify::new());
        (Self { standing: receiver, wanted: wanted.clone() }, Keeper { standing: sender, wanted })
    }

    /// How the rooms stand now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// The rooms; waits for them up to `patience` of real time.
    ///
    /// # Errors
    /// The answer for the caller: 503 with the reason.
    pub async fn rooms(&self, patience: Duration) -> Result<Arc<Rooms>, Box<Response>> {
        self.wanted.notify_one();
        let mut standing = self.standing.clone();
        let open = |standing: &Standing| matches!(standing, Standing::Open(_));
        if let Ok(Ok(standing)) = tokio::time::timeout(patience, standing.wait_for(open)).await
            && let Standing::Open(rooms) = &*standing
        {
            return Ok(rooms.clone());
        }
        let why = match self.standing() {
            Standing::Open(rooms) => return Ok(rooms),
            Standing::Opening => Arc::from("Keymend is still starting; try again"),
            Standing::Shut { why, .. } => why,
        };
        Err(Box::new(answer::come_again(&why)))
    }
}

impl Keeper {
    /// Says how the rooms stand.
    pub fn says(&self, standing: Standing) {
        self.standing.send_replace(standing);
    }

    /// Waits for `length` of real time, or until somebody wants the rooms, but at least a tenth of it.
    pub async fn rests(&self, length: Duration) {
        let rest = async {
            tokio::time::sleep(length / 10).await;
            self.wanted.notified().await;
        };
        let _ = tokio::time::timeout(length, rest).await;
    }
}
