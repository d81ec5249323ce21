//! The only source of time: everything that needs "now" or waits is given a [`Clock`].
//!
//! Three kinds (and, for the drill, one beside another that can be put wrong): the system's clock; a *scaled* clock that runs a factor faster (two processes, `sim` and `serve`, share
//! one by agreeing on its origin); and a *stepped* clock for the drill and the tests, which stands still while anybody
//! works (a [`Busy`] guard is alive) and moves to the next sleeper's time when nobody does, so that a slow machine
//! cannot change how a story ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

/// How long nobody may have been busy before a stepped clock moves on, in real time, where several threads work.
const SETTLE: Duration = Duration::from_millis(2);
/// How often all that could run has run, and the sockets were asked for more, before it moves on where there is one thread.
/// What goes over loopback is there to be read as soon as it is written, so each turn takes every conversation a step further.
const TURNS: usize = 64;

/// A cloneable handle to one source of time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    System,
    Scaled {
        origin: Timestamp,
        started: tokio::time::Instant,
        factor: f64,
    },
    Stepped {
        state: Mutex<Stepped>,
        changed: tokio::sync::Notify,
        pace: Option<f64>,
    },
    #[cfg(feature = "drill")]
    Wrong {
        of: Clock,
        by: Mutex<SignedDuration>,
    },
}

#[derive(Debug)]
struct Stepped {
    now: Timestamp,
    busy: usize,
    activity: u64,
    next_id: u64,
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<Busy>>,
}

/// While one lives, a stepped clock stands still. Means nothing to other clocks.
#[derive(Debug)]
pub struct Busy(Option<Clock>);

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(clock) = self.0.take()
            && let Kind::Stepped { state, changed, .. } = &*clock.0
        {
            let mut state = lock(state);
            state.busy = state.busy.saturating_sub(1);
            state.activity += 1;
            drop(state);
            changed.notify_waiters();
        }
    }
}

fn lock(state: &Mutex<Stepped>) -> MutexGuard<'_, Stepped> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clock {
    /// The machine's own clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Kind::System))
    }

    /// A clock that shows `origin` now and runs `factor` times as fast as the machine's.
    #[must_use]
    pub fn scaled(origin: Timestamp, factor: f64) -> Self {
        Self(Arc::new(Kind::Scaled { origin, started: tokio::time::Instant::now(), factor: factor.max(0.001) }))
    }

    /// A stepped clock that shows `origin`. Without `pace` it jumps to the next sleeper at once; with it, it walks there
    /// at `pace` virtual seconds a second, for people who watch. Must be called inside a tokio runtime.
    #[must_use]
    pub fn stepped(origin: Timestamp, pace: Option<f64>) -> Self {
        let state = Stepped { now: origin, busy: 0, activity: 0, next_id: 0, sleepers: BTreeMap::new() };
        let clock =
            Self(Arc::new(Kind::Stepped { state: Mutex::new(state), changed: tokio::sync::Notify::new(), pace }));
        let weak = Arc::downgrade(&clock.0);
        tokio::spawn(async move {
            while let Some(kind) = weak.upgrade() {
                Self(kind).step().await;
            }
        });
        clock
    }

    /// Another clock that goes as this one does, and that [`Self::be_wrong_by`] puts wrong: a machine whose time is off.
    #[cfg(feature = "drill")]
    #[must_use]
    pub fn beside(&self) -> Self {
        Self(Arc::new(Kind::Wrong { of: self.clone(), by: Mutex::new(SignedDuration::ZERO) }))
    }

    /// From now on a clock made by [`Self::beside`] is ahead of its original by so much, or behind it; no other minds.
    /// Whoever waits already waits for as long as before.
    #[cfg(feature = "drill")]
    pub fn be_wrong_by(&self, length: SignedDuration) {
        if let Kind::Wrong { by, .. } = &*self.0 {
            *by.lock().unwrap_or_else(PoisonError::into_inner) = length;
        }
    }

    /// The present moment on this clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Kind::System => Timestamp::now(),
            Kind::Scaled { origin, started, factor } => {
                add(*origin, SignedDuration::from_secs_f64(started.elapsed().as_secs_f64() * factor))
            }
            Kind::Stepped { state, .. } => lock(state).now,
            #[cfg(feature = "drill")]
            Kind::Wrong { of, by } => add(of.now(), *by.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// How many seconds of this clock pass in a real second while it runs; `None` for a stepped clock without a pace.
    #[must_use]
    pub fn factor(&self) -> Option<f64> {
        match &*self.0 {
            Kind::System => Some(1.0),
            Kind::Scaled { factor, .. } => Some(*factor),
            Kind::Stepped { pace, .. } => *pace,
            #[cfg(feature = "drill")]
            Kind::Wrong { of, .. } => of.factor(),
        }
    }

    /// Holds a stepped clock still until the guard is dropped.
    #[must_use]
    pub fn busy(&self) -> Busy {
        #[cfg(feature = "drill")]
        if let Kind::Wrong { of, .. } = &*self.0 {
            return of.busy();
        }
        if let Kind::Stepped { state, changed, .. } = &*self.0 {
            let mut state = lock(state);
            state.busy += 1;
            state.activity += 1;
            drop(state);
            changed.notify_waiters();
            Busy(Some(self.clone()))
        } else {
            Busy(None)
        }
    }

    /// Waits, with nothing else to do, until `time`. The guard that comes back keeps a stepped clock still: hold it
    /// for as long as the work that follows. Dropping the future before it ends forgets the wait.
    pub async fn idle_until(&self, time: Timestamp) -> Busy {
        match &*self.0 {
            Kind::System | Kind::Scaled { .. } => {
                self.real_sleep(time.duration_since(self.now())).await;
                Busy(None)
            }
            Kind::Stepped { state, changed, .. } => {
                let (waker, woken) = oneshot::channel();
                {
                    let mut state = lock(state);
                    if time <= state.now {
                        drop(state);
                        return self.busy();
                    }
                    let id = state.next_id;
                    state.next_id += 1;
                    state.activity += 1;
                    state.sleepers.insert((time, id), waker);
                }
                changed.notify_waiters();
                woken.await.unwrap_or(Busy(None))
            }
            #[cfg(feature = "drill")]
            Kind::Wrong { of, .. } => {
                let length = time.duration_since(self.now());
                Box::pin(of.idle_until(add(of.now(), length))).await
            }
        }
    }

    /// Waits in the middle of work (a retry, a poll). A stepped clock is moved on by the wait itself.
    pub async fn pause(&self, length: SignedDuration) {
        match &*self.0 {
            Kind::System | Kind::Scaled { .. } => self.real_sleep(length).await,
            Kind::Stepped { state, pace, .. } => {
                let until = add(self.now(), length);
                if let Some(pace) = pace {
                    tokio::time::sleep(Duration::from_secs_f64((length.as_secs_f64() / pace).clamp(0.0, 5.0))).await;
                } else {
                    tokio::task::yield_now().await;
                }
                let mut state = lock(state);
                state.now = state.now.max(until);
            }
            #[cfg(feature = "drill")]
            Kind::Wrong { of, .. } => Box::pin(of.pause(length)).await,
        }
    }

    async fn real_sleep(&self, length: SignedDuration) {
        let factor = self.factor().unwrap_or(1.0);
        let seconds = (length.as_secs_f64() / factor).max(0.0);
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }

    /// One turn of a stepped clock's driver: waits until nobody is busy, then moves towards the earliest sleeper.
    async fn step(&self) {
        let Kind::Stepped { state, changed, pace } = &*self.0 else { return };
        let heard = changed.notified();
        let before = {
            let mut state = lock(state);
            state.sleepers.retain(|_, waker| !waker.is_closed());
            (state.busy, state.activity, state.sleepers.is_empty())
        };
        if before.0 > 0 || before.2 {
            let _ = tokio::time::timeout(Duration::from_millis(20), heard).await;
            return;
        }
        settle().await;
        let Some((target, now)) = self.settled(before.1) else { return };
        if let Some(pace) = pace {
            let left = target.duration_since(now).as_secs_f64() / pace;
            let tick = left.clamp(0.0, 0.02);
            tokio::time::sleep(Duration::from_secs_f64(tick)).await;
            let reached = add(now, SignedDuration::from_secs_f64(tick * pace));
            let mut state = lock(state);
            if state.busy > 0 {
                return;
            }
            state.now = state.now.max(if left <= 0.02 { target } else { reached });
        } else {
            let mut state = lock(state);
            state.now = state.now.max(target);
        }
        self.wake_due();
    }

    /// The earliest sleeper's time and now, if nothing has happened since `activity` was read and nobody is busy.
    fn settled(&self, activity: u64) -> Option<(Timestamp, Timestamp)> {
        let Kind::Stepped { state, .. } = &*self.0 else { return None };
        let state = lock(state);
        let quiet = state.busy == 0 && state.activity == activity;
        let ((target, _), _) = state.sleepers.first_key_value()?;
        quiet.then_some((*target, state.now))
    }

    /// Wakes every sleeper whose time has come, handing each the guard that keeps the clock still.
    fn wake_due(&self) {
        let Kind::Stepped { state, .. } = &*self.0 else { return };
        loop {
            let mut held = lock(state);
            let now = held.now;
            let Some(entry) = held.sleepers.first_entry() else { return };
            if entry.key().0 > now {
                return;
            }
            let waker = entry.remove();
            drop(held);
            // A guard that nobody receives is dropped here and releases itself.
            let _ = waker.send(self.busy());
        }
    }
}

/// Lets others run until nothing is left to run. With one thread that is certain; with several it is a guess.
async fn settle() {
    use tokio::runtime::{Handle, RuntimeFlavor};
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
    } else {
        tokio::time::sleep(SETTLE).await;
    }
}

/// `time + length`, held at the ends of the calendar instead of failing there.
#[must_use]
pub fn add(time: Timestamp, length: SignedDuration) -> Timestamp {
    time.saturating_add(length).unwrap_or(if length.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn stepped_clock_jumps_only_when_nobody_is_busy() {
        let clock = Clock::stepped(at(0), None);
        let busy = clock.busy();
        let other = clock.clone();
        let sleeper = tokio::spawn(async move {
            let _held = other.idle_until(at(600)).await;
            other.now()
        });
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(clock.now(), at(0), "time must stand still while somebody works");
        drop(busy);
        assert_eq!(sleeper.await.ok(), Some(at(600)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sleepers_wake_in_order_and_hold_the_clock() {
        let clock = Clock::stepped(at(0), None);
        let (send, mut seen) = tokio::sync::mpsc::unbounded_channel();
        for second in [30, 10, 20] {
            let (clock, send) = (clock.clone(), send.clone());
            tokio::spawn(async move {
                let _held = clock.idle_until(at(second)).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
                let _ = send.send((second, clock.now()));
            });
        }
        for second in [10, 20, 30] {
            assert_eq!(seen.recv().await, Some((second, at(second))));
        }
    }

    #[cfg(feature = "drill")]
    #[tokio::test]
    async fn a_wrong_clock_waits_as_long_as_a_right_one() {
        let clock = Clock::stepped(at(0), None);
        let wrong = clock.beside();
        wrong.be_wrong_by(SignedDuration::from_secs(-100));
        assert_eq!(wrong.now(), at(-100));
        let held = wrong.idle_until(at(-40)).await;
        assert_eq!((clock.now(), wrong.now()), (at(60), at(-40)));
        drop(held);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_pause_in_work_moves_a_stepped_clock() {
        let clock = Clock::stepped(at(0), None);
        let _busy = clock.busy();
        clock.pause(SignedDuration::from_secs(90)).await;
        assert_eq!(clock.now(), at(90));
    }
}
