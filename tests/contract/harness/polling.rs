//! Waiting without sleeping for a guessed time.

use std::time::{Duration, Instant};

/// Asks again until `poll` has an answer; fails once `deadline` has passed.
pub(crate) async fn until<T>(what: &str, deadline: Duration, mut poll: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = poll().await {
            return value;
        }
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks again and again for as long as `time`: `poll` asserts what must never happen.
pub(crate) async fn throughout(time: Duration, mut poll: impl AsyncFnMut()) {
    let started = Instant::now();
    while started.elapsed() < time {
        poll().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
