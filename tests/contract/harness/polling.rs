//! Waiting without sleeping for a guessed time.

use std::time::{Duration, Instant};

/// Between two questions: a person may ask ten times a second, on average.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks again until `poll` has an answer; fails once `deadline` has passed.
pub(crate) async fn until<T>(what: &str, deadline: Duration, mut poll: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = poll().await {
            return value;
        }
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks again and again for as long as `time`: `poll` asserts what must never happen.
pub(crate) async fn throughout(time: Duration, mut poll: impl AsyncFnMut()) {
    let started = Instant::now();
    while started.elapsed() < time {
        poll().await;
        tokio::time::sleep(PAUSE).await;
    }
}
