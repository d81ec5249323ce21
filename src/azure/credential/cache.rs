//! One token a scope: renewed before it ends, and never asked for twice at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Token, TokenSource};
use crate::azure::error::AzureError;
use crate::clock::add;

/// A token is renewed this long before it ends.
const EARLY: SignedDuration = SignedDuration::from_mins(5);
/// A source that was asked for a renewal is not asked again for this long, while its token lives: neither when it failed nor
/// when it gave a token that is short-lived from the start (managed identity endpoints keep tokens, too).
const BETWEEN_RENEWALS: SignedDuration = SignedDuration::from_secs(30);
/// How long a request with a token that still lives waits for the next one, in real time.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(5);

/// Tokens by scope.
#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<String, Arc<Slot>>>);

/// One scope's.
#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    /// Held while the source is asked.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// How the latest asking failed, if it did.
    failure: Option<AzureError>,
    /// How often the source was asked.
    asked: u64,
}

struct Held {
    token: Token,
    fetched: Timestamp,
    /// It is used on, whatever its end, until then.
    rest: Timestamp,
}

impl Held {
    fn lives(&self, now: Timestamp) -> bool {
        self.token.expires.is_none_or(|end| now < end)
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        self.token.expires.is_none_or(|end| add(now, EARLY) < end || (now < self.rest && now < end))
    }
}

impl State {
    fn fresh(&self, now: Timestamp) -> Option<Token> {
        self.held.as_ref().filter(|held| held.is_fresh(now)).map(|held| held.token.clone())
    }

    fn living(&self, now: Timestamp) -> Option<Token> {
        self.held.as_ref().filter(|held| held.lives(now)).map(|held| held.token.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    /// A token that is good for a while yet: the held one, or the source's next. Whoever comes while the source is asked
    /// goes on with a token that still lives, or waits and shares the answer, also when it is an error.
    pub(super) async fn token(
        &self,
        source: &dyn TokenSource,
        scope: &str,
        now: Timestamp,
    ) -> Result<Token, AzureError> {
        let slot = lock(&self.0).entry(scope.to_owned()).or_default().clone();
        let (fresh, living, asked) = {
            let state = lock(&slot.state);
            (state.fresh(now), state.living(now), state.asked)
        };
        if let Some(token) = fresh {
            return Ok(token);
        }
        let _asking = match (slot.asking.try_lock(), &living) {
            (Ok(guard), _) => guard,
            (Err(_), Some(token)) => return Ok(token.clone()),
            (Err(_), None) => slot.asking.lock().await,
        };
        {
            let state = lock(&slot.state);
            if let Some(token) = state.fresh(now) {
                return Ok(token);
            }
            if state.asked != asked
                && let Some(error) = &state.failure
            {
                return Err(error.clone());
            }
        }
        let answer = match &living {
            Some(_) => match tokio::time::timeout(RENEWAL_PATIENCE, source.token(scope)).await {
                Ok(answer) => answer,
                Err(_) => Err(AzureError::Credential("no new token came in time".to_owned())),
            },
            None => source.token(scope).await,
        };
        slot.settle(answer, now)
    }

    /// Drops the token for `scope`, unless it was fetched after `sent`. Whether it did.
    pub(super) fn forget(&self, scope: &str, sent: Timestamp) -> bool {
        let Some(slot) = lock(&self.0).get(scope).cloned() else { return false };
        let mut state = lock(&slot.state);
        state.held.take_if(|held| held.fetched <= sent).is_some()
    }
}

impl Slot {
    /// Keeps what the source answered; a failed renewal is no outage while the token lives.
    fn settle(&self, answer: Result<Token, AzureError>, now: Timestamp) -> Result<Token, AzureError> {
        let mut state = lock(&self.state);
        state.asked += 1;
        let rest = add(now, BETWEEN_RENEWALS);
        match answer {
            Ok(token) => {
                state.failure = None;
                state.held = Some(Held { token: token.clone(), fetched: now, rest });
                Ok(token)
            }
            Err(error) => {
                let news = state.failure.as_ref() != Some(&error);
                state.failure = Some(error.clone());
                match state.held.as_mut().filter(|held| held.lives(now)) {
                    Some(held) => {
                        tracing::warn!(%error, "a token could not be renewed; the one at hand is used until it ends");
                        held.rest = rest;
                        Ok(held.token.clone())
                    }
                    None => {
                        // Every pass fails on it, and says so where it belongs; whoever runs Keymend is told once.
                        if news {
                            tracing::error!("{error}");
                        }
                        Err(error)
                    }
                }
            }
        }
    }
}
