//! For how long is waited for what an answer can do without.

use std::time::Duration;

use tintype_telemetry as telemetry;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use crate::Error;

/// So long is waited for what can be done without, if there is nothing else to wait for.
const SPARE: Duration = Duration::from_millis(500);

/// What is read for one answer side by side: what it needs, and what it can spare. Nobody waits for the latter once the former is there and
/// half a second has passed: a slow table takes what it holds from the answer, and not the answer.
#[derive(Debug)]
pub struct Patience {
    /// How much of what is needed is not there yet.
    needed: watch::Sender<usize>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { needed: watch::Sender::new(0) }
    }
}

impl Patience {
    /// What the answer needs. It is waited for from now on.
    pub fn needed<T>(&self, read: impl Future<Output = Result<T, Error>>) -> impl Future<Output = Result<T, Error>> {
        self.needed.send_modify(|needed| *needed += 1);
        // They are large, and there are several in one another.
        let read = Box::pin(read);
        async {
            let result = read.await;
            self.needed.send_modify(|needed| *needed -= 1);
            result
        }
    }

    /// What the answer can spare. `None`, and it is said of `what`, if it can't be read.
    pub async fn spare<T>(&self, what: &str, read: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, Error> {
        let mut needed = self.needed.subscribe();
        let enough = async {
            sleep(SPARE).await;
            let _ = needed.wait_for(|needed| *needed == 0).await;
        };
        let result = tokio::select! {
            biased;
            result = Box::pin(read) => result,
            () = enough => Err(super::too_slow()),
        };
        match result {
            Ok(read) => Ok(Some(read)),
            Err(Error::Unavailable(why)) => {
                telemetry::degrade(what);
                telemetry::field("degraded.error", why);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// `None`, if it is not done `until` then.
pub(super) async fn within<T>(until: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match until {
        None => Some(work.await),
        // Not even begun.
        Some(until) if Instant::now() >= until => None,
        Some(until) => timeout_at(until, work).await.ok(),
    }
}
