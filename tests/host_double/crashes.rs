//! How often the handler has crashed, and what the host does about it. The clock is passed in.

use std::time::Duration;

/// What an end of the process leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    Nothing,
    Restart,
    StopHost,
}

/// The count of crashes. The clock is passed in.
#[derive(Debug, Default)]
pub struct Crashes(Vec<Duration>);

impl Crashes {
    const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 60);
    const TOO_MANY: usize = 3;

    /// The process ended with `code` (`None`: by a signal) at a time since any beginning.
    pub fn ended(&mut self, code: Option<i32>, at: Duration) -> Reaction {
        match code {
            Some(0) => Reaction::Nothing,
            Some(200) => Reaction::Restart,
            _ => self.failed(at),
        }
    }

    /// A crash, or a start that did not succeed.
    pub fn failed(&mut self, at: Duration) -> Reaction {
        if self.0.last().is_some_and(|last| at.saturating_sub(*last) > Self::FORGOTTEN_AFTER) {
            self.0.clear();
        }
        self.0.push(at);
        if self.0.len() < Self::TOO_MANY { Reaction::Restart } else { Reaction::StopHost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn minutes(count: u64) -> Duration {
        Duration::from_secs(count * 60)
    }

    #[test]
    fn zero_is_left_dead_and_200_is_never_counted() {
        let mut crashes = Crashes::default();
        assert_eq!(crashes.ended(Some(0), minutes(0)), Reaction::Nothing);
        for minute in 0..9 {
            assert_eq!(crashes.ended(Some(200), minutes(minute)), Reaction::Restart);
        }
    }

    #[test]
    fn the_third_crash_stops_the_host_unless_half_an_hour_lies_between() {
        let mut crashes = Crashes::default();
        assert_eq!(crashes.ended(Some(101), minutes(0)), Reaction::Restart);
        assert_eq!(crashes.ended(None, minutes(30)), Reaction::Restart);
        assert_eq!(crashes.ended(Some(134), minutes(60)), Reaction::StopHost);
        let mut crashes = Crashes::default();
        for minute in [0, 29, 60, 89, 120] {
            assert_eq!(crashes.ended(Some(1), minutes(minute)), Reaction::Restart, "minute {minute}");
        }
    }
}
