//! Whether a session is alive, remembered for a short while.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tintype_core::{SessionId, Time, UserId};
use tintype_tables::{Error, Table, users};

/// How long a live session is taken for alive without asking: with the gateway's 30 s a log-out works everywhere within 50 s.
const MEMORY: Duration = Duration::from_secs(20);
/// Forgetting all at once now and then is cheaper than keeping order.
const MOST_REMEMBERED: usize = 10_000;

#[derive(Default)]
pub(crate) struct Sessions {
    /// By whose they are, too: a session is nobody else's.
    seen_alive: Mutex<HashMap<(UserId, SessionId), Time>>,
}

impl Sessions {
    pub(crate) async fn is_alive(&self, table: &Table, user: UserId, session: SessionId, now: Time) -> Result<bool, Error> {
        if self.seen_at((user, session)).is_some_and(|seen| now.since(seen) < MEMORY) {
            return Ok(true);
        }
        let alive = users::live_session(table, user, session, now).await?.is_some();
        if alive {
            self.remember((user, session), now);
        }
        Ok(alive)
    }

    fn seen_at(&self, session: (UserId, SessionId)) -> Option<Time> {
        self.seen_alive.lock().unwrap_or_else(PoisonError::into_inner).get(&session).copied()
    }

    fn remember(&self, session: (UserId, SessionId), now: Time) {
        let mut seen = self.seen_alive.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST_REMEMBERED {
            seen.clear();
        }
        seen.insert(session, now);
    }
}
