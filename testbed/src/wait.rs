//! Waiting for a condition, with a bound.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::LabError;

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(5);

/// What a look at a condition found.
#[derive(Debug)]
pub enum Look<T> {
    /// It holds.
    Done(T),
    /// Not yet; what is there instead, for the message when time is up.
    NotYet(String),
}

/// Looks again and again until the condition holds.
///
/// # Errors
/// [`LabError::Timeout`] with the last look when `limit` has passed; an error of `look` at once.
pub fn until<T>(
    what: &str,
    limit: Duration,
    look: impl FnMut() -> Result<Look<T>, LabError>,
) -> Result<T, LabError> {
    until_every(PAUSE, what, limit, look)
}

/// The same with a longer pause, where a look costs something.
///
/// # Errors
/// As [`until`].
pub fn until_every<T>(
    pause: Duration,
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Look<T>, LabError>,
) -> Result<T, LabError> {
    let end = Instant::now() + limit;
    loop {
        match look()? {
            Look::Done(value) => return Ok(value),
            Look::NotYet(last) if Instant::now() >= end => {
                return Err(LabError::Timeout { what: what.to_owned(), limit, last });
            }
            Look::NotYet(_) => std::thread::sleep(pause),
        }
    }
}

/// Sets a flag when it goes, also by a panic: a scope waits for its threads, and they for the flag.
#[derive(Debug)]
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
