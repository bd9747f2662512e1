//! The signal that the host ends.

use tokio::sync::watch;

/// Resolves when the host stops, or is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The value read is not kept: it would lock the channel.
    drop(stop.wait_for(|stop| *stop).await);
}

/// Whether [`stopped`] would resolve at once.
pub(crate) fn is_stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}
