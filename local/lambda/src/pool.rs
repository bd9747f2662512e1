//! The workers of one function: started when they are needed, kept, replaced when they end.
//!
//! A worker that is free waits on a stack: the one used last is used next, so that few stay warm
//! under little load (as on AWS). Events that find no free worker wait in a queue for one.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use bytes::Bytes;
use tintype_cloud::say;
use tintype_template::deployment::Function;
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    invocation::{Invocation, InvokeError, error_payload},
    runtime_api::{Delivery, Report, RuntimeApi, Session},
    stop::stopped,
    worker::{Process, Spawn},
};

/// Workers of a function that the template reserves no concurrency for. Most of them wait, for the
/// database or (`?wait=`) for a change, so that there may be more of them than cores; they start as
/// they are needed.
const MOST_WORKERS: usize = 16;

/// The memory from which on AWS gives a function a whole processor: whoever asks for as much computes.
/// Unless the template reserves more, it gets one worker for each core; more would only slow each other.
const WHOLE_CPU_MB: u32 = 1769;

/// Events that may wait for a worker: as many as an AWS account runs at once, where they would run.
const MOST_WAITING: usize = 1000;

/// How long a worker may take to ask for its first event. AWS allows 10 s; a machine that compiles
/// beside us gets more.
const INIT_LIMIT: Duration = Duration::from_secs(30);

/// How long a worker may take from its answer to its next question, which takes no work at all.
const RETURN_LIMIT: Duration = Duration::from_secs(5);

/// A worker that is killed this soon after it was handed an event was most likely dying before: the
/// system takes a moment to end a process, and for as long its connection looks alive. An event that
/// may be repeated, for it may have been worked on all the same, goes to another worker, once.
const DYING: Duration = Duration::from_millis(250);

/// The pause after a worker could not start, doubled each time it happens again, up to
/// [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// The workers of one function.
pub(crate) struct Pool {
    pub(crate) function: Function,
    /// Most workers at once.
    pub(crate) limit: usize,
    runtime_api: Arc<RuntimeApi>,
    spawn: Spawn,
    state: Mutex<Workers>,
    /// Turns true at the end. Each worker's task holds a receiver until it is done.
    stop: watch::Sender<bool>,
}

#[derive(Default)]
struct Workers {
    /// Where free workers take their next job from, the one used last on top.
    free: Vec<oneshot::Sender<Job>>,
    /// Jobs that found no free worker, the oldest in front.
    waiting: VecDeque<Job>,
    /// Workers that are starting or running.
    alive: usize,
    /// Those of them that are not up yet.
    starting: usize,
    /// Those of them that have answered and will be free in a moment.
    returning: usize,
    /// Set while workers can't start.
    broken: Option<Broken>,
}

/// Workers can't start.
struct Broken {
    /// What every event is answered until then.
    reason: Bytes,
    until: Instant,
    pause: Duration,
}

/// An event, and who waits for its result.
struct Job {
    invocation: Invocation,
    answer: oneshot::Sender<Result<Bytes, InvokeError>>,
    /// Whether it was given to a worker that was dying, and gets another one.
    again: bool,
}

impl Workers {
    /// Gives a job to the free worker used last, or back if none is free.
    fn hand_to_a_free_one(&mut self, mut job: Job) -> Result<(), Job> {
        while let Some(free) = self.free.pop() {
            match free.send(job) {
                Ok(()) => return Ok(()),
                // It has just ended.
                Err(unsent) => job = unsent,
            }
        }
        Err(job)
    }
}

impl Job {
    fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }

    fn finish(self, result: Result<Bytes, InvokeError>) {
        // A caller that has gone away wants no answer.
        let _ = self.answer.send(result);
    }
}

impl Pool {
    pub(crate) fn new(function: Function, runtime_api: Arc<RuntimeApi>, spawn: Spawn) -> Arc<Self> {
        let limit = match function.concurrency {
            Some(reserved) => reserved as usize,
            None if function.memory_mb >= WHOLE_CPU_MB => thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS),
            None => MOST_WORKERS,
        };
        let (stop, _) = watch::channel(false);
        Arc::new(Self { function, limit, runtime_api, spawn, state: Mutex::default(), stop })
    }

    /// Runs the function on this event, as soon as a worker is free. Whoever drops this wants no answer:
    /// an event that still waits is dropped too, one that a worker has is worked on all the same.
    pub(crate) async fn invoke(self: &Arc<Self>, invocation: Invocation) -> Result<Bytes, InvokeError> {
        let (answer, result) = oneshot::channel();
        self.submit(Job { invocation, answer, again: false });
        // A job is dropped without an answer only when the pool stops.
        result.await.unwrap_or(Err(InvokeError::Stopping))
    }

    /// Ends all workers, and waits until they are gone.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        self.lock().waiting.clear();
        self.stop.closed().await;
    }

    fn submit(self: &Arc<Self>, job: Job) {
        let mut workers = self.lock();
        if *self.stop.borrow() {
            return;
        }
        if self.limit == 0 {
            return job.finish(Err(InvokeError::Throttled));
        }
        let Err(job) = workers.hand_to_a_free_one(job) else { return };
        if let Some(broken) = &workers.broken
            && workers.alive == 0
            && Instant::now() < broken.until
        {
            let payload = broken.reason.clone();
            return job.finish(Err(InvokeError::Crashed { payload }));
        }
        workers.waiting.retain(Job::is_awaited);
        if workers.waiting.len() >= MOST_WAITING {
            return job.finish(Err(InvokeError::Throttled));
        }
        workers.waiting.push_back(job);
        self.start_workers(&mut workers);
    }

    /// Takes back what a worker that has ended did not take, or may have left half done. If nobody is
    /// free it is the next in turn: for the worker, perhaps, that is started in this one's place.
    fn take_back(&self, job: Job) {
        let mut workers = self.lock();
        if let Err(job) = workers.hand_to_a_free_one(job) {
            workers.waiting.push_front(job);
        }
    }

    /// Starts a worker for each job that nobody will come to soon, as far as the limit allows.
    fn start_workers(self: &Arc<Self>, workers: &mut Workers) {
        let pausing = workers.broken.as_ref().is_some_and(|broken| Instant::now() < broken.until);
        if pausing && workers.alive > 0 {
            // Those that run will come to the jobs that wait.
            return;
        }
        while workers.starting + workers.returning < workers.waiting.len() && workers.alive < self.limit {
            workers.starting += 1;
            workers.alive += 1;
            tokio::spawn(run(Arc::clone(self), self.stop.subscribe()));
        }
    }

    /// The next job for a worker that is free, or `None` when the worker ended or has to.
    async fn next_job(&self, worker: &mut Worker, stop: &mut watch::Receiver<bool>) -> Option<Job> {
        let mut job = {
            let mut workers = self.lock();
            if let Some(job) = workers.waiting.pop_front() {
                return Some(job);
            }
            let (free, job) = oneshot::channel();
            workers.free.push(free);
            job
        };
        tokio::select! {
            biased;
            () = stopped(stop) => None,
            // Above the job: an event is not handed to a worker that is known to be dead.
            _ = worker.process.ended() => {
                job.close();
                if let Ok(job) = job.try_recv() {
                    self.take_back(job);
                }
                None
            }
            job = &mut job => job.ok(),
        }
    }

    /// A worker is up.
    fn started(&self) {
        let mut workers = self.lock();
        workers.starting -= 1;
        workers.broken = None;
    }

    /// A worker could not start: nobody waits for it in vain.
    fn failed_to_start(&self, reason: &Bytes) {
        let mut workers = self.lock();
        workers.starting -= 1;
        workers.alive -= 1;
        if *self.stop.borrow() {
            return;
        }
        let known = workers.broken.take();
        if known.as_ref().is_none_or(|broken| broken.reason != *reason) {
            let reason = String::from_utf8_lossy(reason);
            say(&self.function.binary, &format!("could not start: {reason}"));
        }
        let pause = known.map_or(FIRST_PAUSE, |broken| (broken.pause * 2).min(LONGEST_PAUSE));
        workers.broken = Some(Broken { reason: reason.clone(), until: Instant::now() + pause, pause });
        if workers.alive == 0 {
            for job in workers.waiting.drain(..) {
                job.finish(Err(InvokeError::Crashed { payload: reason.clone() }));
            }
        }
    }

    /// A worker that was up has ended; jobs that wait get another one.
    fn ended(self: &Arc<Self>) {
        let mut workers = self.lock();
        workers.alive -= 1;
        workers.free.retain(|free| !free.is_closed());
        if *self.stop.borrow() {
            workers.waiting.clear();
        } else {
            self.start_workers(&mut workers);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Workers> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The life of a worker.
async fn run(pool: Arc<Pool>, mut stop: watch::Receiver<bool>) {
    let mut worker = match Worker::start(&pool, &mut stop).await {
        Ok(worker) => worker,
        Err(reason) => return pool.failed_to_start(&reason),
    };
    pool.started();
    while let Some(job) = pool.next_job(&mut worker, &mut stop).await {
        if !job.is_awaited() {
            continue;
        }
        // Also the moment before the word of its end has come.
        if !worker.process.is_running().await {
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
    /// Starts a process and waits until it is ready, or gives the reason why it is not, as an error
    /// payload.
    async fn start(pool: &Pool, stop: &mut watch::Receiver<bool>) -> Result<Self, Bytes> {
        let mut session = pool.runtime_api.connect();
        let mut process =
            (pool.spawn)(&pool.function, &session).map_err(|error| error_payload("Runtime.InvalidEntrypoint", &error.to_string()))?;
        let reason = tokio::select! {
            biased;
            () = stopped(stop) => {
                error_payload("ServiceException", "the host is stopping")
            }
            report = timeout(INIT_LIMIT, session.report()) => match report {
                Ok(Report::Ready) => return Ok(Self { session, process }),
                Ok(Report::InitFailed(reason) | Report::Answered(Err(reason) | Ok(reason))) => reason,
                Err(_) => error_payload("Sandbox.Timedout", "the worker took too long to start"),
            },
            ended = process.ended() => {
                let message = format!("the worker ended before it asked for an event: {}", ended.how);
                error_payload("Runtime.ExitError", &message)
            }
        };
        process.kill().await;
        Err(reason)
    }

    /// Lets the worker do a job and waits until it is ready for another.
    async fn serve(&mut self, pool: &Pool, mut job: Job, stop: &mut watch::Receiver<bool>) -> Then {
        let request_id = job.invocation.request_id.clone();
        let limit = pool.function.timeout;
        let handed = Instant::now();
        let deadline = handed + limit;
        self.session.hand(Delivery { invocation: job.invocation.clone(), function_arn: pool.function.arn.clone(), timeout: limit });
        loop {
            tokio::select! {
                biased;
                report = self.session.report() => match report {
                    Report::Answered(answer) => {
                        pool.lock().returning += 1;
                        job.finish(answer.map_err(|payload| InvokeError::FunctionError { payload }));
                        let then = self.become_ready(stop).await;
                        pool.lock().returning -= 1;
                        return then;
                    }
                    // It asked again because its first call broke off.
                    Report::Ready | Report::InitFailed(_) => {}
                },
                ended = self.process.ended() => {
                    let taken = self.session.has_taken(&request_id);
                    let dying = ended.killed && job.invocation.repeatable && !job.again && handed.elapsed() < DYING;
                    if let Some(answer) = self.session.answered() {
                        job.finish(answer.map_err(|payload| InvokeError::FunctionError { payload }));
                    } else if !taken || dying {
                        job.again |= taken;
                        pool.take_back(job);
                    } else {
                        job.finish(Err(InvokeError::crashed(&request_id, &ended.how)));
                    }
                    return Then::End;
                }
                () = sleep_until(deadline) => {
                    job.finish(Err(InvokeError::timed_out(&request_id, limit)));
                    return Then::End;
                }
                () = stopped(stop) => return Then::End,
            }
        }
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

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
