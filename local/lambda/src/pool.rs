//! The workers of one function: started when they are needed, kept, replaced when they end.
//!
//! A worker that is free waits on a stack: the one used last is used next, so that few stay warm
//! under little load (as on AWS). Events that find no free worker wait in a queue for one: here that stands for the many more
//! workers that AWS would start. Where the template reserves a concurrency it would not, and who waits for an answer is
//! told at once; what is delivered later anyhow (batches, stored events) waits.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use tintype_chaos::Place;
use tintype_cloud::say;
use tintype_template::deployment::Function;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{
    invocation::{Invocation, InvokeError, Runs},
    life::{self, NotStarted},
    runtime_api::RuntimeApi,
    worker::Spawn,
};

/// Workers of a function that the template reserves no concurrency for. Most of them wait, for the
/// database or (`?wait=`) for a change, so that there may be more of them than cores; they start as
/// they are needed.
const MOST_WORKERS: usize = 16;

/// Once a function has a worker for each core, how long a job waits for one of them before another is started. AWS would start one at
/// once; here it has no core to run on, unless those that there are wait for something themselves, and each more makes all slower
/// (`docs/DECISIONS.md`, 67).
const PATIENCE: Duration = Duration::from_millis(50);

/// The memory from which on AWS gives a function a whole processor: whoever asks for as much computes.
/// Unless the template reserves more, it gets one worker for each core; more would only slow each other.
const WHOLE_CPU_MB: u32 = 1769;

/// Events that may wait for a worker: as many as an AWS account runs at once, where they would run.
const MOST_WAITING: usize = 1000;

/// The pause after a worker could not start, doubled each time it happens again, up to
/// [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Workers that are killed from outside while they start are replaced at once, unless it happens this
/// often, and once more for each that may run, before one is up.
const KILLED_STARTS: usize = 3;

/// How long an invocation takes of which nothing is known yet.
const USUAL_MICROS: u64 = 20_000;

/// The workers of one function.
pub(crate) struct Pool {
    pub(crate) function: Function,
    /// Most workers at once.
    pub(crate) limit: usize,
    /// As many workers start as soon as there are jobs for them.
    cores: usize,
    pub(crate) runtime_api: Arc<RuntimeApi>,
    pub(crate) spawn: Spawn,
    /// What goes wrong on purpose.
    pub(crate) chaos: Place,
    /// How long the last invocation took.
    pub(crate) usual_micros: AtomicU64,
    /// Jobs without a result.
    open: Arc<AtomicUsize>,
    state: Mutex<Workers>,
    /// Turns true at the end. Each worker's task holds a receiver until it is done.
    pub(crate) stop: watch::Sender<bool>,
}

#[derive(Default)]
pub(crate) struct Workers {
    /// Where free workers take their next job from, the one used last on top.
    pub(crate) free: Vec<oneshot::Sender<Job>>,
    /// Jobs that found no free worker, the oldest in front.
    waiting: VecDeque<Job>,
    /// Workers that are starting or running.
    pub(crate) alive: usize,
    /// Those of them that are not up yet.
    starting: usize,
    /// Those of them that have answered and will be free in a moment.
    pub(crate) returning: usize,
    /// Whether somebody looks in a while whether those who wait have waited too long.
    is_watched: bool,
    /// How many were killed from outside while they started, since one was up.
    killed_starts: usize,
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
pub(crate) struct Job {
    pub(crate) invocation: Invocation,
    answer: oneshot::Sender<Result<Bytes, InvokeError>>,
    open: Open,
    /// When it came.
    since: Instant,
    /// Whether it was given to a worker that was dying, and gets another one.
    pub(crate) again: bool,
}

/// Counts a job for as long as it has no result.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Workers {
    /// Notes that a worker could not start. Whether that is news: once, until one is up again, whatever the words, for
    /// they may hold a time or the process' number.
    fn broke(&mut self, reason: &Bytes) -> bool {
        let known = self.broken.take();
        let is_news = known.is_none();
        let pause = known.map_or(FIRST_PAUSE, |broken| (broken.pause * 2).min(LONGEST_PAUSE));
        self.broken = Some(Broken { reason: reason.clone(), until: Instant::now() + pause, pause });
        is_news
    }

    /// Notes that a worker is up.
    fn started(&mut self) {
        self.starting -= 1;
        self.killed_starts = 0;
        self.broken = None;
    }

    /// Gives a job to the free worker used last; gives it back if none is free.
    fn hand_to_a_free_one(&mut self, mut job: Job) -> Option<Job> {
        while let Some(free) = self.free.pop() {
            match free.send(job) {
                Ok(()) => return None,
                // It has just ended.
                Err(unsent) => job = unsent,
            }
        }
        Some(job)
    }
}

impl Job {
    pub(crate) fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }

    pub(crate) fn finish(self, result: Result<Bytes, InvokeError>) {
        let Self { answer, open, .. } = self;
        // Before its caller can ask for the next.
        drop(open);
        // A caller that has gone away wants no answer.
        let _ = answer.send(result);
    }
}

impl Pool {
    pub(crate) fn new(function: Function, runtime_api: Arc<RuntimeApi>, spawn: Spawn, chaos: Place) -> Arc<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let limit = match function.concurrency {
            Some(reserved) => reserved as usize,
            None if function.memory_mb >= WHOLE_CPU_MB => cores.min(MOST_WORKERS),
            None => MOST_WORKERS,
        };
        let (stop, _) = watch::channel(false);
        let usual_micros = AtomicU64::new(USUAL_MICROS);
        let (open, state) = (Arc::default(), Mutex::default());
        Arc::new(Self { function, limit, cores, runtime_api, spawn, chaos, usual_micros, open, state, stop })
    }

    /// What [`Pool::invoke`] does if nothing goes wrong on purpose.
    pub(crate) async fn run(self: &Arc<Self>, invocation: Invocation) -> Result<Bytes, InvokeError> {
        let (answer, result) = oneshot::channel();
        self.submit(Job { invocation, answer, open: Open::new(&self.open), since: Instant::now(), again: false });
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
        workers.waiting.retain(Job::is_awaited);
        if self.limit == 0 || self.exceeds_the_reserved(&job) {
            return job.finish(Err(InvokeError::Throttled));
        }
        let Some(job) = workers.hand_to_a_free_one(job) else { return };
        if let Some(broken) = &workers.broken
            && workers.alive == 0
            && Instant::now() < broken.until
        {
            let payload = broken.reason.clone();
            return job.finish(Err(InvokeError::Crashed { payload }));
        }
        if workers.waiting.len() >= MOST_WAITING {
            return job.finish(Err(InvokeError::Throttled));
        }
        workers.waiting.push_back(job);
        self.start_workers(&mut workers);
    }

    /// Whether somebody waits for the answer of a job which AWS would not begin. What waits for a worker counts too: none is
    /// free then.
    fn exceeds_the_reserved(&self, job: &Job) -> bool {
        let reserved = self.function.concurrency.map(|reserved| reserved as usize);
        job.invocation.runs != Runs::AtLeastOnce && reserved.is_some_and(|most| self.open.load(Ordering::SeqCst) > most)
    }

    /// Takes back what a worker that has ended did not take, or may have left half done. If nobody is
    /// free it is the next in turn: for the worker, perhaps, that is started in this one's place.
    pub(crate) fn take_back(&self, job: Job) {
        let mut workers = self.lock();
        if let Some(job) = workers.hand_to_a_free_one(job) {
            workers.waiting.push_front(job);
        }
    }

    /// Starts a worker for each job that nobody will come to soon, as far as the limit allows: at once while there are cores for them, else
    /// for those that have waited for [`PATIENCE`].
    fn start_workers(self: &Arc<Self>, workers: &mut Workers) {
        let pausing = workers.broken.as_ref().is_some_and(|broken| Instant::now() < broken.until);
        if pausing && workers.alive > 0 {
            // Those that run will come to the jobs that wait.
            return;
        }
        let now = Instant::now();
        let impatient = workers.waiting.iter().filter(|job| job.since + PATIENCE <= now).count();
        let lacks = |workers: &Workers, jobs: usize| workers.starting + workers.returning < jobs && workers.alive < self.limit;
        while lacks(workers, workers.waiting.len()) && (workers.alive < self.cores || lacks(workers, impatient)) {
            workers.starting += 1;
            workers.alive += 1;
            tokio::spawn(life::live(Arc::clone(self), self.stop.subscribe()));
        }
        if lacks(workers, workers.waiting.len()) && !workers.is_watched {
            workers.is_watched = true;
            tokio::spawn(Arc::clone(self).look_again());
        }
    }

    /// Starts more workers once the job that has waited longest, of those that may still wait, has waited too long.
    async fn look_again(self: Arc<Self>) {
        let now = Instant::now();
        let due = self.lock().waiting.iter().map(|job| job.since + PATIENCE).find(|due| *due > now);
        tokio::time::sleep_until(due.unwrap_or(now + PATIENCE)).await;
        let mut workers = self.lock();
        workers.is_watched = false;
        if !*self.stop.borrow() {
            self.start_workers(&mut workers);
        }
    }

    /// The next job for a worker that is free, or its turn to wait for one.
    pub(crate) fn job_or_wait(&self) -> Result<Job, oneshot::Receiver<Job>> {
        let mut workers = self.lock();
        workers.waiting.pop_front().ok_or_else(|| {
            let (free, turn) = oneshot::channel();
            workers.free.push(free);
            turn
        })
    }

    /// A worker is up.
    pub(crate) fn started(&self) {
        self.lock().started();
    }

    /// A worker could not start: nobody waits for it in vain.
    pub(crate) fn failed_to_start(self: &Arc<Self>, NotStarted { reason, killed }: &NotStarted) {
        let mut workers = self.lock();
        workers.starting -= 1;
        workers.alive -= 1;
        if *self.stop.borrow() {
            return;
        }
        if *killed && workers.killed_starts < KILLED_STARTS + self.limit {
            workers.killed_starts += 1;
            return self.start_workers(&mut workers);
        }
        if workers.broke(reason) {
            let reason = String::from_utf8_lossy(reason);
            say(&self.function.binary, &format!("could not start: {reason}"));
        }
        if workers.alive == 0 {
            for job in workers.waiting.drain(..) {
                job.finish(Err(InvokeError::Crashed { payload: reason.clone() }));
            }
        }
    }

    /// A worker that was up has ended; jobs that wait get another one.
    pub(crate) fn ended(self: &Arc<Self>) {
        let mut workers = self.lock();
        workers.alive -= 1;
        workers.free.retain(|free| !free.is_closed());
        if *self.stop.borrow() {
            workers.waiting.clear();
        } else {
            self.start_workers(&mut workers);
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Workers> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
