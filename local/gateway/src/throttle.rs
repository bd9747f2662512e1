//! The stage's throttle: a token bucket.

use std::sync::{Mutex, PoisonError};

use tintype_template::deployment::Throttle;
use tokio::time::Instant;

/// Holds at most `burst` tokens, gains `rate` a second; a request takes one.
pub(crate) struct TokenBucket {
    limits: Throttle,
    level: Mutex<Level>,
}

struct Level {
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub(crate) fn new(limits: Throttle) -> Self {
        let level = Level { tokens: f64::from(limits.burst), at: Instant::now() };
        Self { limits, level: Mutex::new(level) }
    }

    /// Takes a token; false if there is none.
    pub(crate) fn take(&self) -> bool {
        // The level is two plain numbers: a panic elsewhere cannot leave it half-written.
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let gained = (now - level.at).as_secs_f64() * self.limits.rate;
        level.tokens = (level.tokens + gained).min(f64::from(self.limits.burst));
        level.at = now;
        let admitted = level.tokens >= 1.0;
        if admitted {
            level.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn admits_the_burst_and_then_the_rate() {
        let bucket = TokenBucket::new(Throttle { rate: 10.0, burst: 5 });
        assert_eq!((0..20).filter(|_| bucket.take()).count(), 5);

        tokio::time::advance(Duration::from_millis(300)).await;
        assert_eq!((0..20).filter(|_| bucket.take()).count(), 3);

        // However long nobody asks, no more than the burst gathers.
        tokio::time::advance(Duration::from_hours(1)).await;
        assert_eq!((0..20).filter(|_| bucket.take()).count(), 5);
    }
}
