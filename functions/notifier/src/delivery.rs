//! Telling somebody something, and looking again.

use tintype_core::Time;
use tintype_queues::Failure;
use tintype_tables::notifications;
use tintype_telemetry as telemetry;

use crate::{
    Stores,
    notices::Notice,
    verdict::{self, Verdict},
};

/// How often what has changed meanwhile is looked at again.
const MOST_LOOKS: usize = 8;

/// Tells it, or takes it back, until how things stand afterwards is how they stood when it was decided.
///
/// Whoever ends what was told (deletes, blocks, mutes) while this works is seen by the second look, and whoever does later finds the
/// cause written. Of two who work on one notice at once, whoever comes last leaves what is so. An attempt that ends before its second
/// look comes again, and finds then what must not be there.
pub(crate) async fn deliver(stores: &Stores, notice: &Notice) -> Result<(), Failure> {
    let mut verdict = verdict::of(stores, notice).await?;
    let mut has_told = false;
    for _ in 0..MOST_LOOKS {
        match verdict {
            // It stands, or another like it: an approval is told by its own message, and a public account approves nothing.
            Verdict::Tell if notice.only_ends => return Ok(()),
            Verdict::Tell => {
                let is_new = tell(stores, notice).await?;
                if !is_new && !has_told {
                    // By an earlier attempt; and things stood as they should after it had.
                    return Ok(());
                }
                has_told = true;
            }
            Verdict::Silence if !has_told => return Ok(()),
            Verdict::Silence | Verdict::Gone => {
                take_back(stores, notice).await?;
                has_told = false;
            }
        }
        let now = verdict::of(stores, notice).await?;
        if now == verdict {
            return Ok(());
        }
        verdict = now;
    }
    Err(Failure::ForNow("what it is about changes all the time".to_owned()))
}

/// `false`: they knew.
async fn tell(stores: &Stores, notice: &Notice) -> Result<bool, Failure> {
    let _turn = stores.turns.take(notice.recipient).await;
    let is_new = notifications::tell(&stores.notifications, notice.recipient, &notice.cause, Time::now()).await?;
    // Here is where whoever has asked for it would be sent a push message or an e-mail: see docs/ARCHITECTURE.md.
    telemetry::count("notifier.told", usize::from(is_new));
    Ok(is_new)
}

async fn take_back(stores: &Stores, notice: &Notice) -> Result<(), Failure> {
    let cause = &notice.cause;
    let cause = notifications::cause(cause.kind, cause.actor_id, &cause.subject);
    let _turn = stores.turns.take(notice.recipient).await;
    Ok(notifications::take_back(&stores.notifications, notice.recipient, &[cause]).await?)
}
