//! Taking turns.

use tintype_core::UserId;
use tokio::sync::{Mutex, MutexGuard};

/// Inboxes that this process writes to. The messages of a batch are worked on at once, and often concern one person: without turns
/// they would all but one lose each race for that inbox. Other processes are met by the conditions of the writes.
#[derive(Debug, Default)]
pub(crate) struct Turns([Mutex<()>; SHARDS as usize]);

const SHARDS: u8 = 16;

impl Turns {
    /// Waits until nobody else here writes to this inbox; now and then for one of another.
    pub(crate) async fn take(&self, recipient: UserId) -> MutexGuard<'_, ()> {
        self.0[recipient.shard(SHARDS) as usize].lock().await
    }
}
