//! Plays stories beside each other, each on a thread of its own with a runtime of one thread: there a stepped clock knows when
//! nothing is left to run, however busy the machine is.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

/// A story's futures are deep in a debug build.
const STACK: usize = 8 << 20;

/// How many stories this machine plays at a time.
#[must_use]
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Plays each of `stories` with `play`, `threads` at a time; the first begin first. `done` is called with each result as it
/// comes. Answers all of them in the order of the stories.
///
/// # Errors
/// If the machine has no thread or no runtime to give, or a story panicked.
pub fn side_by_side<S, R, F>(
    stories: Vec<S>,
    threads: usize,
    play: impl Fn(S) -> F + Sync,
    mut done: impl FnMut(&R),
) -> std::io::Result<Vec<R>>
where
    S: Send,
    R: Send,
    F: Future<Output = R>,
{
    let total = stories.len();
    let next = Mutex::new(stories.into_iter().enumerate());
    let (send, played) = mpsc::channel();
    let mut results: Vec<Option<R>> = (0..total).map(|_| None).collect();
    thread::scope(|scope| -> std::io::Result<()> {
        for _ in 0..threads.clamp(1, total.max(1)) {
            let (next, play, send) = (&next, &play, send.clone());
            let work = move || -> std::io::Result<()> {
                loop {
                    let story = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((at, story)) = story else { return Ok(()) };
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                    // Nobody listens any more if another story could not be played.
                    let _ = send.send((at, runtime.block_on(play(story))));
                }
            };
            thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work)?;
        }
        drop(send);
        for (at, result) in played {
            done(&result);
            results[at] = Some(result);
        }
        Ok(())
    })?;
    let all: Option<Vec<R>> = results.into_iter().collect();
    all.ok_or_else(|| std::io::Error::other("a story could not be played to its end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_when_it_ends_and_all_come_in_order() {
        let (send, receive) = mpsc::channel::<()>();
        let (send, receive) = (Mutex::new(Some(send)), Mutex::new(receive));
        let mut seen = Vec::new();
        let play = async |number: u32| {
            match number {
                // Ends only after the second has.
                0 => assert!(receive.lock().is_ok_and(|receive| receive.recv().is_err())),
                1 => drop(send.lock().ok().and_then(|mut send| send.take())),
                _ => {}
            }
            number * 10
        };
        let results = side_by_side(vec![0, 1, 2, 3], 2, play, |result| seen.push(*result)).ok();
        assert_eq!((results, seen.first()), (Some(vec![0, 10, 20, 30]), Some(&10)));
        seen.sort_unstable();
        assert_eq!(seen, [0, 10, 20, 30]);
    }

    #[test]
    fn nothing_to_play_is_played_at_once() {
        let results = side_by_side(Vec::<u8>::new(), 4, async |story| story, |_| ()).ok();
        assert_eq!(results, Some(vec![]));
    }
}
