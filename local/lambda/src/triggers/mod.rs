//! What invokes functions without being asked: queues, streams and schedules.

mod attempts;
mod batch;
mod discarded;
mod filter;
mod queue;
mod reader;
mod reorder;
mod schedule;
mod stream;
mod trim;

use tintype_cloud::{dynamodb::Streams, sqs::Queues, state::Control};
use tintype_template::deployment::{Deployment, Function, Trigger};
use tokio::{sync::watch, task::JoinHandle};

pub use filter::PatternError;

use crate::{Error, Lambda, destination::name_in, pool::Pool};

/// Starts all triggers of the deployment. They run until `stop` turns true.
pub fn start(
    deployment: &Deployment,
    lambda: &Lambda,
    queues: &Queues,
    database: &dynoxide::Database,
    streams: &Streams,
    control: &Control,
    stop: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, Error> {
    stream::prepare(control)?;
    let with = stream::Surroundings { queues, database, streams, control, chaos: lambda.chaos(), stop };
    let mut tasks = vec![trim::start(deployment, streams, control, stop)];
    for function in &deployment.functions {
        // Every function of the deployment has a pool: `lambda` was started with them.
        let Some(pool) = lambda.pool(&function.name) else { continue };
        check_queues(deployment, function)?;
        for trigger in &function.triggers {
            match trigger {
                Trigger::Queue(trigger) => {
                    tasks.extend(queue::start(trigger, pool, queues, stop)?);
                }
                Trigger::Stream(trigger) => {
                    tasks.push(stream::start(trigger, pool, &with)?);
                }
                Trigger::Schedule(trigger) => {
                    tasks.push(schedule::start(trigger, function, lambda, stop));
                }
            }
        }
    }
    Ok(tasks)
}

/// Refuses a function that names a queue which is not there, before an event is lost for it.
fn check_queues(deployment: &Deployment, function: &Function) -> Result<(), Error> {
    let sources = function.triggers.iter().filter_map(|trigger| match trigger {
        Trigger::Queue(trigger) => Some(&trigger.queue_arn),
        Trigger::Stream(trigger) => trigger.on_failure.as_ref(),
        Trigger::Schedule(_) => None,
    });
    for arn in sources.chain(&function.asynchronous.on_failure) {
        if !deployment.queues.iter().any(|queue| queue.arn == *arn) {
            return Err(Error::Undeclared { function: function.name.clone(), arn: arn.clone() });
        }
    }
    Ok(())
}

/// The region and the account that an ARN names.
fn region_and_account(arn: &str) -> (&str, &str) {
    let mut parts = arn.split(':').skip(3);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// The name under which a pool's function appears in this process' own lines.
fn title(pool: &Pool) -> &str {
    &pool.function.binary
}
