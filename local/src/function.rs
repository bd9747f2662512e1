//! `tintype function NAME`: what a worker process runs. It is the same `run()` that the function's own `main.rs` calls.

/// What ends a function: it could not start, or lost its Runtime API.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Runs a function until its host is gone.
pub fn run(name: &str) -> Result<(), Error> {
    tintype_lambda::end_with_host();
    // One thread, as in the functions' own binaries: a worker has one event at a time.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match name {
            "authorizer" => authorizer::run().await,
            "comments" => comments::run().await,
            "comments-worker" => comments_worker::run().await,
            "event-router" => event_router::run().await,
            "feed" => feed::run().await,
            "feed-fanout" => feed_fanout::run().await,
            "home" => home::run().await,
            "janitor" => janitor::run().await,
            "notifications" => notifications::run().await,
            "notifier" => notifier::run().await,
            "photo-processor" => photo_processor::run().await,
            "posts" => posts::run().await,
            "posts-worker" => posts_worker::run().await,
            "users" => users::run().await,
            "users-worker" => users_worker::run().await,
            unknown => Err(format!("there is no function {unknown}").into()),
        }
    })
}
