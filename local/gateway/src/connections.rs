//! The open connections: how many there may be, and who has to go first.
//!
//! A connection whose client is slow costs nothing but memory, and slow clients are cheap to make: so there is a most, and where it is
//! reached, the client that has kept us waiting longest makes room. Whoever waits for us is never sent away.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// How long a client may keep us waiting: for a head, for the rest of a body, for the end of an answer that it reads, for its next
/// request. It is for the whole of each, not for each step of it: who reads the largest answer there is, 6 MB, has to do so at
/// 100 KB/s.
const PATIENCE: Duration = Duration::from_mins(1);

/// All connections of a listener.
pub(crate) struct Connections {
    places: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    /// Told whenever a connection begins to wait for its client, or stays after all.
    look_again: Notify,
}

/// The connections that wait for their clients, in the order in which they began to.
#[derive(Default)]
struct Waiting {
    turns: u64,
    by_turn: BTreeMap<u64, Arc<Notify>>,
    /// Who was told to go and has not gone yet. A request that comes before that is answered, and another has to go.
    leaving: Option<u64>,
}

impl Waiting {
    /// The connection of this turn has gone, or its client waits for us.
    fn remove(&mut self, turn: u64) {
        self.by_turn.remove(&turn);
        if self.leaving == Some(turn) {
            self.leaving = None;
        }
    }
}

/// One open connection.
pub(crate) struct Connection {
    all: Arc<Connections>,
    dismissed: Arc<Notify>,
    /// Since when it waits for its client, and in what turn; `None` while the client waits for us.
    waits: Mutex<Option<(u64, Instant)>>,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { places: Arc::new(Semaphore::new(most)), waiting: Mutex::default(), look_again: Notify::new() })
    }

    /// One more connection, as soon as there is a place for it. It begins by waiting for its client.
    pub(crate) async fn admit(self: &Arc<Self>) -> Arc<Connection> {
        let place = if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() { place } else { self.make_room().await };
        let connection = Connection { all: Arc::clone(self), dismissed: Arc::default(), waits: Mutex::default(), _place: place };
        connection.wait_for_client();
        Arc::new(connection)
    }

    async fn make_room(&self) -> OwnedSemaphorePermit {
        loop {
            self.dismiss_who_waits_longest();
            tokio::select! {
                place = Arc::clone(&self.places).acquire_owned() => return place.expect("the semaphore is never closed"),
                () = self.look_again.notified() => {}
            }
        }
    }

    /// Unless somebody is on the way out already.
    fn dismiss_who_waits_longest(&self) {
        let mut waiting = self.lock();
        if waiting.leaving.is_none()
            && let Some((turn, dismissed)) = waiting.by_turn.pop_first()
        {
            waiting.leaving = Some(turn);
            dismissed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Whoever panicked left a map that is whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// The client has its answer, or is to begin: from now on it is the one who keeps us waiting.
    pub(crate) fn wait_for_client(&self) {
        let mut waits = self.waits();
        let mut waiting = self.all.lock();
        if let Some((before, _)) = *waits {
            waiting.remove(before);
        }
        waiting.turns += 1;
        let turn = waiting.turns;
        waiting.by_turn.insert(turn, Arc::clone(&self.dismissed));
        *waits = Some((turn, Instant::now()));
        self.all.look_again.notify_one();
    }

    /// A request has begun to arrive; it counts as waiting until the body is there.
    pub(crate) fn arriving(self: &Arc<Self>, body: Incoming) -> Arriving {
        let turn = self.waits().map(|(turn, _)| turn);
        let arriving = Arriving { body, connection: Arc::clone(self), turn };
        arriving.note_end();
        arriving
    }

    /// The request of this turn is there: from now on the client waits for us.
    fn serve_client(&self, turn: u64) {
        let mut waits = self.waits();
        if waits.is_some_and(|(current, _)| current == turn) {
            self.all.lock().remove(turn);
            *waits = None;
            self.all.look_again.notify_one();
        }
    }

    /// Resolves when the client has to go: others need the place, or it has kept us waiting for too long.
    pub(crate) async fn given_up(&self) {
        tokio::select! {
            () = self.dismissal() => {}
            () = self.patience() => {}
        }
    }

    /// Resolves when it was told to go, unless its client's request has come since.
    async fn dismissal(&self) {
        loop {
            self.dismissed.notified().await;
            let waits = self.waits();
            if waits.is_some_and(|(turn, _)| self.all.lock().leaving == Some(turn)) {
                return;
            }
        }
    }

    async fn patience(&self) {
        loop {
            let since = self.waits().map_or_else(Instant::now, |(_, since)| since);
            tokio::time::sleep_until(since + PATIENCE).await;
            if self.waits().is_some_and(|(_, since)| since.elapsed() >= PATIENCE) {
                return;
            }
        }
    }

    fn waits(&self) -> MutexGuard<'_, Option<(u64, Instant)>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let turn = self.waits().take();
        if let Some((turn, _)) = turn {
            self.all.lock().remove(turn);
        }
    }
}

/// A request's body, whose end says that it is our turn.
pub(crate) struct Arriving {
    body: Incoming,
    connection: Arc<Connection>,
    turn: Option<u64>,
}

impl Arriving {
    fn note_end(&self) {
        if let Some(turn) = self.turn.filter(|_| self.body.is_end_stream()) {
            self.connection.serve_client(turn);
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.note_end();
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(connection: &Connection) -> u64 {
        connection.waits().unwrap().0
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_keeps_us_waiting_longest_makes_room() {
        let all = Connections::new(3);
        let started = Instant::now();
        let (first, second, third) = (all.admit().await, all.admit().await, all.admit().await);
        // The first sent its request and waits for us; the second did, and has its answer.
        first.serve_client(turn(&first));
        second.serve_client(turn(&second));
        second.wait_for_client();

        let room = tokio::spawn({
            let all = Arc::clone(&all);
            async move { all.admit().await }
        });
        third.given_up().await;
        drop(third);
        let fourth = room.await.unwrap();
        assert_eq!(all.places.available_permits(), 0);

        let room = tokio::spawn({
            let all = Arc::clone(&all);
            async move { all.admit().await }
        });
        second.given_up().await;
        drop(second);
        drop((room.await.unwrap(), fourth));
        assert_eq!(started.elapsed(), Duration::ZERO, "nobody's patience had to end");
        assert_eq!(all.lock().by_turn.len(), 0, "who is gone waits no more");
    }

    #[tokio::test(start_paused = true)]
    async fn while_all_clients_wait_for_us_the_next_waits_too() {
        let all = Connections::new(1);
        let only = all.admit().await;
        only.serve_client(turn(&only));
        let room = tokio::spawn({
            let all = Arc::clone(&all);
            async move { all.admit().await }
        });
        let sent_away = tokio::time::timeout(PATIENCE * 10, only.given_up()).await;
        assert!(sent_away.is_err() && !room.is_finished());
        only.wait_for_client();
        only.given_up().await;
        drop(only);
        room.await.unwrap();
    }

    /// It was told to go; before it went, its request was there.
    #[tokio::test(start_paused = true)]
    async fn a_request_that_comes_just_after_the_dismissal_is_answered_and_another_goes() {
        let all = Connections::new(2);
        let (first, second) = (all.admit().await, all.admit().await);
        let room = tokio::spawn({
            let all = Arc::clone(&all);
            async move { all.admit().await }
        });
        while all.lock().leaving != Some(turn(&first)) {
            tokio::task::yield_now().await;
        }
        first.serve_client(turn(&first));
        let mut given_up = std::pin::pin!(first.given_up());
        tokio::select! {
            () = &mut given_up => panic!("its client waits for us"),
            () = second.given_up() => {}
        }
        assert!(tokio::time::timeout(PATIENCE * 2, &mut given_up).await.is_err(), "nor later");
        drop(second);
        room.await.unwrap();

        // Its answer is there to be read: the dismissal before is forgotten.
        first.wait_for_client();
        assert!(tokio::time::timeout(PATIENCE / 2, &mut given_up).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let connection = Connections::new(1).admit().await;
        let started = Instant::now();
        connection.given_up().await;
        assert_eq!(started.elapsed().as_secs(), PATIENCE.as_secs());
    }

    #[tokio::test]
    async fn the_end_of_an_old_body_changes_nothing() {
        let connection = Connections::new(1).admit().await;
        let old = turn(&connection);
        connection.wait_for_client();
        connection.serve_client(old);
        assert!(connection.waits().is_some());
    }
}
