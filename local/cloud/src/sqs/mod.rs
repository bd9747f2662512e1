//! SQS: standard queues, durable on SQLite.
//!
//! Whatever was answered is a committed transaction, and survives `kill -9`: SQLite has handed it to the operating
//! system by then, which keeps it when the process dies (see [`Control`](crate::state::Control)).
//!
//! The store's calls run on the caller's thread, async or not: each is one transaction over a few rows
//! in the page cache, well under a millisecond, and handing it to another thread would cost as much.

mod attribute;
mod error;
mod message;
mod moves;
mod protocol;
mod queue;
mod receive;
mod schema;
mod store;
mod tags;

#[cfg(test)]
mod chaos_tests;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod receive_tests;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tintype_chaos::Place;
use tintype_template::deployment;
use tokio::{sync::Notify, time::Instant};

pub(crate) use self::protocol::{TARGET_PREFIX, refuse_query_protocol};
pub use self::{
    attribute::{AttributeValue, MessageAttribute},
    error::Error,
    message::{Message, NewMessage, Sent},
};
use self::{
    queue::{Settings, millis},
    receive::MAX_IN_FLIGHT,
    store::{Millis, Store},
};
use crate::{state, unix_millis};

/// The queues of this machine. A queue is named by its physical name.
#[derive(Debug, Clone)]
pub struct Queues {
    store: Store,
    chaos: Place,
    /// Wakes those who wait for messages of a queue.
    arrivals: Arc<Mutex<HashMap<String, Arc<Notify>>>>,
}

impl Queues {
    /// Opens the database at `path` and gives it the queues that the template declares; those made
    /// through the API stay.
    pub fn open(path: &Path, queues: &[deployment::Queue], chaos: Place) -> Result<Self, state::Error> {
        if let Some((queue, arn)) = missing_dead_letter_queue(queues) {
            return Err(state::Error::Mismatch(format!("the queue {queue} names a dead-letter queue that is not declared: {arn}")));
        }
        let store = Store::open(path)?;
        for queue in queues {
            store.save_queue(&queue.name, &Settings::declared(queue), unix_millis())?;
        }
        Ok(Self { store, chaos, arrivals: Arc::default() })
    }

    /// Sends a message.
    pub fn send(&self, queue: &str, message: NewMessage) -> Result<Sent, Error> {
        message.validate()?;
        let sent = self.store.send(queue, &message, unix_millis())?;
        self.arrivals(queue).notify_waiters();
        Ok(sent)
    }

    /// Receives up to `max` messages, waiting up to `wait` for the first; they stay hidden for
    /// `visibility`, or for the queue's own timeout. Chaos may draw them at random, and deliver them twice.
    pub async fn receive(&self, queue: &str, max: usize, wait: Duration, visibility: Option<Duration>) -> Result<Vec<Message>, Error> {
        let deadline = Instant::now() + wait;
        loop {
            // Listening starts before the look, so that a message sent between the two is not missed.
            let arrivals = self.arrivals(queue);
            let mut arrival = std::pin::pin!(arrivals.notified());
            arrival.as_mut().enable();

            let now = unix_millis();
            let received = match self.store.receive(queue, max, visibility.map(millis), now, &self.chaos) {
                Ok(received) => received,
                Err(error) => {
                    if matches!(error, Error::NoSuchQueue) {
                        self.forget(queue);
                    }
                    return Err(error);
                }
            };
            self.wake(received.grown);
            // Who polls long is not told, and waits for room, as on AWS.
            if received.is_full && wait.is_zero() {
                return Err(Error::OverLimit { limit: MAX_IN_FLIGHT });
            }
            if !received.messages.is_empty() || Instant::now() >= deadline {
                return Ok(received.messages);
            }
            tokio::select! {
                () = arrival => {}
                () = tokio::time::sleep_until(received.next_visible.map_or(deadline, |at| instant(at).min(deadline))) => {}
            }
        }
    }

    /// Deletes the message that was received with this handle. A handle of an earlier receive of a
    /// message that has been received again since deletes nothing, and is no error.
    pub fn delete(&self, queue: &str, receipt_handle: &str) -> Result<(), Error> {
        self.store.delete(queue, receipt_handle)
    }

    /// Hides the message that was received with this handle for `timeout` from now; zero shows it.
    pub fn change_visibility(&self, queue: &str, receipt_handle: &str, timeout: Duration) -> Result<(), Error> {
        self.store.change_visibility(queue, receipt_handle, millis(timeout), unix_millis())?;
        // Whoever waits must reckon anew when the next message turns visible.
        self.arrivals(queue).notify_waiters();
        Ok(())
    }

    /// Shows again what was received and not deleted: for the consumer of a queue that starts anew
    /// and has nothing in hand, whatever became of its predecessor.
    pub fn show_received(&self, queue: &str) -> Result<(), Error> {
        self.store.show_received(queue, unix_millis())?;
        self.arrivals(queue).notify_waiters();
        Ok(())
    }

    /// Wakes those who wait at queues that have more messages now.
    fn wake(&self, queues: impl IntoIterator<Item = String>) {
        for queue in queues {
            self.arrivals(&queue).notify_waiters();
        }
    }

    /// Wakes all who wait, to reckon anew how long.
    fn wake_all(&self) {
        for arrival in self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).values() {
            arrival.notify_waiters();
        }
    }

    /// Nobody can wait at a queue that does not exist. Those who do are woken, and find out.
    fn forget(&self, queue: &str) {
        let forgotten = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).remove(queue);
        if let Some(arrival) = forgotten {
            arrival.notify_waiters();
        }
    }

    fn arrivals(&self, queue: &str) -> Arc<Notify> {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        match arrivals.get(queue) {
            Some(known) => known.clone(),
            None => arrivals.entry(queue.to_owned()).or_default().clone(),
        }
    }
}

/// A time of the database, if it is still to come, or now.
fn instant(at: Millis) -> Instant {
    Instant::now() + Duration::from_millis(at.saturating_sub(unix_millis()).max(0).unsigned_abs())
}

/// A queue whose messages would have nowhere to go, and the ARN that it names.
fn missing_dead_letter_queue(queues: &[deployment::Queue]) -> Option<(&str, &str)> {
    queues.iter().find_map(|queue| {
        let dead_letter_arn = &queue.redrive.as_ref()?.dead_letter_arn;
        let declared = queues.iter().any(|other| other.arn == *dead_letter_arn);
        (!declared).then_some((&*queue.name, &**dead_letter_arn))
    })
}
