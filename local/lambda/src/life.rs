//! The life of a worker: it starts, does one job after another, and ends when it is killed, hangs,
//! has nothing to do for long, or the host stops.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tintype_chaos::Fault;
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    invocation::{InvokeError, Runs, error_payload},
    pool::{Job, Pool},
    runtime_api::{Delivery, Report, Session},
    stop::stopped,
    worker::Process,
};

/// How long a worker may take to ask for its first event. AWS allows 10 s; a machine that compiles
/// beside us gets more.
const INIT_LIMIT: Duration = Duration::from_secs(30);

/// How long a worker may take from its answer to its next question, which takes no work at all.
const RETURN_LIMIT: Duration = Duration::from_secs(5);

/// How long a worker is kept that has nothing to do. AWS ends all of them, after some minutes.
pub(crate) const IDLE_LIMIT: Duration = Duration::from_mins(10);

/// A worker that is killed this soon after it was handed an event was most likely dying before: the
/// system takes a moment to end a process, and for as long its connection looks alive. An event that
/// may be repeated, for it may have been worked on all the same, goes to another worker, once.
const DYING: Duration = Duration::from_millis(250);

/// Why a worker did not start.
pub(crate) struct NotStarted {
    /// Lambda's shape of an error.
    pub(crate) reason: Bytes,
    /// Whether it was killed from outside: nothing is wrong with the function.
    pub(crate) killed: bool,
}

/// Runs a worker of the pool, which counts it as alive and starting, to its end.
pub(crate) async fn live(pool: Arc<Pool>, mut stop: watch::Receiver<bool>) {
    let mut worker = match Worker::start(&pool, &mut stop).await {
        Ok(worker) => worker,
        Err(failure) => return pool.failed_to_start(&failure),
    };
    pool.started();
    while let Some(job) = worker.next_job(&pool, &mut stop).await {
        if !job.is_awaited() {
            continue;
        }
        // Also the moment before the word of its end has come.
        if !worker.process.is_running() {
            pool.take_back(job);
            break;
        }
        if worker.serve(&pool, job, &mut stop).await == Then::End {
            break;
        }
    }
    worker.process.kill().await;
    pool.ended();
}

/// A process that has asked for an event.
struct Worker {
    session: Session,
    process: Process,
}

/// What becomes of a worker after a job.
#[derive(PartialEq, Eq)]
enum Then {
    Go,
    End,
}

impl Worker {
    /// Starts a process and waits until it is ready.
    async fn start(pool: &Pool, stop: &mut watch::Receiver<bool>) -> Result<Self, NotStarted> {
        let failed = |reason| NotStarted { reason, killed: false };
        let mut session = pool.runtime_api.connect();
        let mut process = (pool.spawn)(&pool.function, &session)
            .map_err(|error| failed(error_payload("Runtime.InvalidEntrypoint", &error.to_string())))?;
        let failure = tokio::select! {
            biased;
            () = stopped(stop) => failed(error_payload("ServiceException", "the host is stopping")),
            report = timeout(INIT_LIMIT, session.report()) => match report {
                Ok(Report::Ready) => return Ok(Self { session, process }),
                Ok(Report::InitFailed(reason) | Report::Answered(Err(reason) | Ok(reason))) => failed(reason),
                Err(_) => failed(error_payload("Sandbox.Timedout", "the worker took too long to start")),
            },
            ended = process.ended() => {
                let message = format!("the worker ended before it asked for an event: {}", ended.how);
                NotStarted { reason: error_payload("Runtime.ExitError", &message), killed: ended.killed }
            }
        };
        process.kill().await;
        Err(failure)
    }

    /// The next job, or `None` when the worker ended or has to.
    async fn next_job(&mut self, pool: &Pool, stop: &mut watch::Receiver<bool>) -> Option<Job> {
        let mut job = match pool.job_or_wait() {
            Ok(job) => return Some(job),
            Err(turn) => turn,
        };
        tokio::select! {
            biased;
            () = stopped(stop) => None,
            // Above the job: an event is not handed to a worker that is known to be dead.
            _ = self.process.ended() => {
                if let Some(job) = last_moment(job) {
                    pool.take_back(job);
                }
                None
            }
            job = &mut job => job.ok(),
            // Whoever is used least lies lowest on the stack, and comes to this first.
            () = sleep(IDLE_LIMIT) => last_moment(job),
        }
    }

    /// Lets the worker do a job and waits until it is ready for another.
    async fn serve(&mut self, pool: &Pool, mut job: Job, stop: &mut watch::Receiver<bool>) -> Then {
        let limit = pool.function.timeout;
        let handed = Instant::now();
        let deadline = handed + limit;
        let mut kill_at = pool.chaos.strikes(Fault::Kill).then(|| handed + pool.moment_in_an_invocation());
        if job.invocation.tail.is_some() {
            self.process.keep_output();
        }
        self.session.hand(Delivery { invocation: job.invocation.clone(), function_arn: pool.function.arn.clone(), timeout: limit });
        loop {
            tokio::select! {
                biased;
                report = self.session.report() => match report {
                    // Then the moment to be killed was before.
                    Report::Answered(_) if kill_at.is_some() => return self.die(pool, job, handed).await,
                    Report::Answered(answer) => {
                        pool.took(handed.elapsed());
                        pool.lock().returning += 1;
                        self.finish(pool, job, handed, answer.map_err(|payload| InvokeError::FunctionError { payload })).await;
                        let then = self.become_ready(stop).await;
                        pool.lock().returning -= 1;
                        return then;
                    }
                    // It asked again because its first call broke off.
                    Report::Ready | Report::InitFailed(_) => {}
                },
                ended = self.process.ended() => {
                    let taken = self.session.has_taken(&job.invocation.request_id);
                    let dying = ended.killed && job.invocation.runs != Runs::Once && !job.again && handed.elapsed() < DYING;
                    if let Some(answer) = self.session.answered() {
                        self.finish(pool, job, handed, answer.map_err(|payload| InvokeError::FunctionError { payload })).await;
                    } else if !taken || dying {
                        job.again |= taken;
                        pool.take_back(job);
                    } else {
                        let crashed = InvokeError::crashed(&job.invocation.request_id, &ended.how);
                        self.finish(pool, job, handed, Err(crashed)).await;
                    }
                    return Then::End;
                }
                () = sleep_until(kill_at.unwrap_or(deadline)), if kill_at.is_some() => {
                    if self.session.has_taken(&job.invocation.request_id) {
                        return self.die(pool, job, handed).await;
                    }
                    kill_at = Some(Instant::now() + Duration::from_millis(1));
                }
                () = sleep_until(deadline) => {
                    let timed_out = InvokeError::timed_out(&job.invocation.request_id, limit);
                    // First: while it runs it may print on and on.
                    self.process.kill().await;
                    self.finish(pool, job, handed, Err(timed_out)).await;
                    return Then::End;
                }
                () = stopped(stop) => return Then::End,
            }
        }
    }

    /// Is killed on purpose, in the middle of a job.
    async fn die(&mut self, pool: &Pool, job: Job, handed: Instant) -> Then {
        self.process.kill().await;
        let crashed = InvokeError::crashed(&job.invocation.request_id, "signal: killed (chaos)");
        self.finish(pool, job, handed, Err(crashed)).await;
        Then::End
    }

    /// Answers who waits for a job.
    async fn finish(&self, pool: &Pool, job: Job, handed: Instant, result: Result<Bytes, InvokeError>) {
        if let Some(tail) = &job.invocation.tail {
            let took = handed.elapsed();
            let printed = self.process.printed().await;
            tail.set(&printed, &job.invocation.request_id, took, pool.function.memory_mb);
        }
        job.finish(result);
    }

    /// After its answer a worker asks for the next event, or it is no use.
    async fn become_ready(&mut self, stop: &mut watch::Receiver<bool>) -> Then {
        tokio::select! {
            biased;
            report = self.session.report() => {
                if report == Report::Ready { Then::Go } else { Then::End }
            }
            _ = self.process.ended() => Then::End,
            () = sleep(RETURN_LIMIT) => Then::End,
            () = stopped(stop) => Then::End,
        }
    }
}

/// Gives up a turn; the job, if there was one just now.
fn last_moment(mut turn: oneshot::Receiver<Job>) -> Option<Job> {
    turn.close();
    turn.try_recv().ok()
}

#[cfg(test)]
#[path = "life_tests.rs"]
mod tests;
