//! Throttles of the stage and of single methods: token buckets. A method that has its own takes from no other.

use std::sync::{Mutex, PoisonError};

use tintype_template::deployment::Throttle;
use tokio::time::Instant;

/// Holds at most `burst` tokens, gains `rate` a second; a request takes one.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    limits: Throttle,
    level: Mutex<Level>,
}

#[derive(Debug)]
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

    use proptest::prelude::*;

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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// In any span of time: no more than the burst and what the rate gives in that span, and at least what the rate gives.
        #[test]
        fn no_span_of_time_admits_more_than_its_share(
            rate in 1_u32..50,
            burst in 1_u32..20,
            pauses in prop::collection::vec(0_u64..400, 1..60),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let admitted = runtime.block_on(async {
                let bucket = TokenBucket::new(Throttle { rate: rate.into(), burst });
                let start = Instant::now();
                let mut admitted = Vec::new();
                for pause in pauses {
                    tokio::time::advance(Duration::from_millis(pause)).await;
                    if bucket.take() {
                        admitted.push(start.elapsed());
                    }
                }
                admitted
            });
            for (first, from) in admitted.iter().enumerate() {
                for (last, to) in admitted.iter().enumerate().skip(first) {
                    let span = to.saturating_sub(*from);
                    let most = f64::from(burst) + span.as_secs_f64() * f64::from(rate);
                    let count = f64::from(u32::try_from(last - first + 1).unwrap());
                    prop_assert!(count <= most + 1e-6, "{count} in {span:?}");
                }
            }
        }
    }
}
