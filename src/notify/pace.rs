//! How often a service may be called: counted here, so that it need not refuse.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::clock::add;

/// At most so many calls within a sliding span.
#[derive(Debug)]
pub struct Pace {
    most: usize,
    span: SignedDuration,
    made: Mutex<VecDeque<Timestamp>>,
}

impl Pace {
    /// `most` calls in `span`.
    #[must_use]
    pub const fn new(most: usize, span: SignedDuration) -> Self {
        Self { most, span, made: Mutex::new(VecDeque::new()) }
    }

    /// Counts a call, or says how long to wait until there is room for one.
    ///
    /// # Errors
    /// The wait.
    pub fn take_turn(&self, now: Timestamp) -> Result<(), SignedDuration> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        while made.front().is_some_and(|first| add(*first, self.span) <= now) {
            made.pop_front();
        }
        match made.front() {
            Some(first) if made.len() >= self.most => Err(add(*first, self.span).duration_since(now)),
            _ => {
                made.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_until_the_oldest_call_no_longer_counts() {
        let pace = Pace::new(25, SignedDuration::from_secs(300));
        let start: Timestamp = "2026-11-24T02:07:31Z".parse().unwrap();
        let after = |seconds| add(start, SignedDuration::from_secs(seconds));
        for second in 0..25 {
            assert_eq!(pace.take_turn(after(second)), Ok(()));
        }
        assert_eq!(pace.take_turn(after(100)), Err(SignedDuration::from_secs(200)));
        assert_eq!(pace.take_turn(after(300)), Ok(()));
        assert_eq!(pace.take_turn(after(300)), Err(SignedDuration::from_secs(1)));
    }
}
