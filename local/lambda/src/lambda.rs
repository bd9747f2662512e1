//! The functions of the deployment, and the ways to invoke them.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tintype_chaos::Chaos;
use tintype_cloud::{
    sqs::Queues,
    state::{self, Control},
};
use tintype_template::deployment::Function;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    Error, WorkerEnvironment, api,
    asynchronous::Asynchronous,
    invocation::{Invocation, InvokeError},
    pool::Pool,
    runtime_api::RuntimeApi,
    worker::{self, Spawn},
};

/// All functions. Clones are handles of the same.
#[derive(Clone)]
pub struct Lambda(Arc<Inner>);

struct Inner {
    /// By function name.
    pools: HashMap<String, Arc<Pool>>,
    asynchronous: Arc<Asynchronous>,
    chaos: Chaos,
    delivering: AtomicBool,
}

impl Lambda {
    /// Makes the functions ready; no worker is started before an event needs it.
    pub async fn start(
        functions: &[Function],
        control: Control,
        queues: Queues,
        workers: WorkerEnvironment,
        chaos: &Chaos,
    ) -> Result<Self, Error> {
        Self::with_spawn(functions, control, queues, worker::processes(workers), chaos).await
    }

    pub(crate) async fn with_spawn(
        functions: &[Function],
        control: Control,
        queues: Queues,
        spawn: Spawn,
        chaos: &Chaos,
    ) -> Result<Self, Error> {
        let runtime_api = Arc::new(RuntimeApi::start().await.map_err(Error::Listen)?);
        let pools: HashMap<_, _> = functions
            .iter()
            .map(|function| {
                let place = chaos.place(&function.binary);
                let pool = Pool::new(function.clone(), Arc::clone(&runtime_api), Arc::clone(&spawn), place);
                (function.name.clone(), pool)
            })
            .collect();
        let asynchronous = Arc::new(Asynchronous::open(control, queues, &pools)?);
        Ok(Self(Arc::new(Inner { pools, asynchronous, chaos: chaos.clone(), delivering: AtomicBool::new(false) })))
    }

    /// Runs a function and waits for its answer, also for a free worker. An empty `trace_id` starts
    /// a trace.
    ///
    /// A `repeatable` event whose worker is killed just after it was handed over goes to another
    /// worker; any other reaches the function at most once.
    ///
    /// Dropped before it has begun, it does not begin any more; once begun it runs to its end.
    pub async fn invoke(&self, function: &str, payload: Bytes, trace_id: &str, repeatable: bool) -> Result<Bytes, InvokeError> {
        self.run(function, Invocation::synchronous(payload, trace_id, repeatable)).await
    }

    /// [`Lambda::invoke`], of an invocation that was made before.
    pub(crate) async fn run(&self, function: &str, invocation: Invocation) -> Result<Bytes, InvokeError> {
        self.pool(function).ok_or(InvokeError::UnknownFunction)?.invoke(invocation).await
    }

    /// Stores an event for a function. It is delivered at least once, retried as the template says,
    /// and then sent to the function's on-failure destination.
    pub fn invoke_later(&self, function: &str, payload: &[u8]) -> Result<(), state::Error> {
        self.accept(function, payload).map(drop)
    }

    /// [`Lambda::invoke_later`], with the invocation's request id.
    pub(crate) fn accept(&self, function: &str, payload: &[u8]) -> Result<Uuid, state::Error> {
        self.0.asynchronous.store(function, payload, None)
    }

    /// Like [`Lambda::invoke_later`], unless an event from the same source is stored already.
    pub(crate) fn invoke_later_once(&self, function: &str, payload: &[u8], source: &str) -> Result<(), state::Error> {
        self.0.asynchronous.store(function, payload, Some(source)).map(drop)
    }

    /// Starts delivering what [`Lambda::invoke_later`] stores and what was stored before this
    /// process started. Calling it again does nothing.
    pub fn deliver_pending(&self) {
        if !self.0.delivering.swap(true, Ordering::Relaxed) {
            self.0.asynchronous.start();
        }
    }

    /// The part of Lambda's own API that is served, below `/2015-03-31/functions`: `Invoke`, and the
    /// descriptions of functions.
    pub fn api(&self) -> axum::Router {
        api::router(self.clone())
    }

    /// Ends all workers and waits until they are gone. Events in hand are not lost: asynchronous
    /// ones stay stored, and triggers keep their position.
    pub async fn stop(&self) {
        let mut stops = JoinSet::new();
        // First: it would offer the pools again what they give back.
        let asynchronous = Arc::clone(&self.0.asynchronous);
        stops.spawn(async move { asynchronous.stop().await });
        for pool in self.0.pools.values() {
            let pool = Arc::clone(pool);
            stops.spawn(async move { pool.stop().await });
        }
        while stops.join_next().await.is_some() {}
    }

    /// All of them, in no order.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &Function> {
        self.0.pools.values().map(|pool| &pool.function)
    }

    /// What goes wrong on purpose.
    pub(crate) fn chaos(&self) -> &Chaos {
        &self.0.chaos
    }

    pub(crate) fn pool(&self, function: &str) -> Option<&Arc<Pool>> {
        self.0.pools.get(function)
    }
}
