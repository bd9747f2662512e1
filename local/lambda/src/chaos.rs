//! What goes wrong with a function when `--chaos` says so. (That its worker is killed happens in
//! [`crate::life`].)

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tintype_chaos::Fault;

use crate::{
    invocation::{Invocation, InvokeError, Runs, error_payload},
    pool::Pool,
    stop::stopped,
};

/// The parts that an invocation's duration is cut into, to choose a moment.
const PARTS: u32 = 1000;

impl Pool {
    /// Runs the function on this event, as soon as a worker is free. Whoever drops this wants no answer:
    /// an event that still waits is dropped too, one that a worker has is worked on all the same.
    pub(crate) async fn invoke(self: &Arc<Self>, invocation: Invocation) -> Result<Bytes, InvokeError> {
        if invocation.runs == Runs::AtLeastOnce && self.chaos.strikes(Fault::Duplicate) {
            // Whatever came of it: the second answer counts.
            let _ = self.invoke_once(invocation.clone()).await;
        }
        self.invoke_once(invocation).await
    }

    async fn invoke_once(self: &Arc<Self>, invocation: Invocation) -> Result<Bytes, InvokeError> {
        let turn = self.chaos.turn();
        if turn.strikes(Fault::Throttle) {
            return Err(InvokeError::Throttled);
        }
        if !self.chaos.time(Fault::DelayMs).is_zero() {
            let mut stop = self.stop.subscribe();
            tokio::select! {
                () = self.chaos.delay() => {}
                () = stopped(&mut stop) => return Err(InvokeError::Stopping),
            }
        }
        if turn.strikes(Fault::Error) {
            return Err(InvokeError::FunctionError { payload: error_payload("Chaos", "it fails on purpose, before it has begun") });
        }
        let request_id = invocation.request_id.clone();
        let result = self.run(invocation).await;
        if result != Err(InvokeError::Stopping) && turn.strikes(Fault::LostAnswer) {
            return Err(InvokeError::crashed(&request_id, "its answer was lost (chaos)"));
        }
        result
    }

    /// Notes how long the function usually takes.
    pub(crate) fn took(&self, time: Duration) {
        self.usual_micros.store(time.as_micros().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A random moment between the beginning of an invocation and its end, as far as one knows.
    pub(crate) fn moment_in_an_invocation(&self) -> Duration {
        let usual = Duration::from_micros(self.usual_micros.load(Ordering::Relaxed));
        let part = self.chaos.choose(Fault::Kill, PARTS as usize);
        (usual / PARTS).saturating_mul(u32::try_from(part).unwrap_or(PARTS))
    }
}

#[cfg(test)]
#[path = "chaos_tests.rs"]
mod tests;
