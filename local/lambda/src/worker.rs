//! A worker: one process that runs one function, one event at a time.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tintype_template::deployment::Function;
use tokio::{
    process::{Child, Command},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use crate::{
    environment::{WorkerEnvironment, variables},
    output::{CaughtUp, Output, Reader},
    runtime_api::Session,
};

/// How long somebody who wants to know what was printed waits for it to be read: who prints without end is never done.
const CATCHING_UP: Duration = Duration::from_secs(1);

/// How long a dead process' standard error may take to close.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Ends this process when the host is gone, however it went: the host holds the other end of
/// standard input and never writes, so reading ends when it does. To be called by `tintype function`.
pub fn end_with_host() {
    std::thread::spawn(|| {
        // An error means just as well that nobody holds the other end.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(0);
    });
}

/// Starts a worker of a function that will call at the session's address.
pub(crate) type Spawn = Arc<dyn Fn(&Function, &Session) -> io::Result<Process> + Send + Sync>;

/// How a worker ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// For people, for example `exit status: 1: USERS_TABLE is not set`.
    pub(crate) how: String,
    /// Whether it was killed from outside, with `kill -9`: its own doing was no part in it.
    pub(crate) killed: bool,
}

/// A started worker. It is killed when this value is dropped.
pub(crate) struct Process {
    /// Taken once it has ended.
    ended: Option<JoinHandle<Ended>>,
    /// Taken once it is killed.
    kill: Option<oneshot::Sender<()>>,
    running: Box<dyn Fn() -> bool + Send + Sync>,
    output: Output,
    /// The readers of its pipes.
    pub(crate) readers: Vec<CaughtUp>,
}

impl Process {
    /// Follows a process: `run` ends the process once its argument resolves, and says how it ended.
    pub(crate) fn follow<F>(
        output: Output,
        running: impl Fn() -> bool + Send + Sync + 'static,
        run: impl FnOnce(oneshot::Receiver<()>) -> F,
    ) -> Self
    where
        F: Future<Output = Ended> + Send + 'static,
    {
        let (kill, killed) = oneshot::channel();
        Self { ended: Some(tokio::spawn(run(killed))), kill: Some(kill), running: Box::new(running), output, readers: Vec::new() }
    }

    /// Whether it runs at this moment, asked of the operating system: [`Process::ended`] may learn of
    /// an end a little later, of this one perhaps only when it is killed.
    pub(crate) fn is_running(&self) -> bool {
        (self.running)()
    }

    /// Waits until it has ended without being told to.
    pub(crate) async fn ended(&mut self) -> Ended {
        let unknown = |how: &str| Ended { how: how.to_owned(), killed: false };
        let Some(task) = &mut self.ended else {
            return unknown("it had ended already");
        };
        let ended = task.await.unwrap_or_else(|error| unknown(&error.to_string()));
        self.ended = None;
        ended
    }

    /// Ends it, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        if let Some(kill) = self.kill.take() {
            let _ = kill.send(());
        }
        if self.ended.is_some() {
            self.ended().await;
        }
    }

    /// Begins to keep what it prints, for [`Process::printed`].
    pub(crate) fn keep_output(&self) {
        self.output.keep();
    }

    /// The last of what it has printed since.
    pub(crate) async fn printed(&self) -> Vec<u8> {
        let caught_up = async {
            for reader in &self.readers {
                reader.wait().await;
            }
        };
        // Else it is what has been read by then.
        let _ = timeout(CATCHING_UP, caught_up).await;
        self.output.take_kept()
    }
}

/// Starts real processes.
pub(crate) fn processes(environment: WorkerEnvironment) -> Spawn {
    Arc::new(move |function, session| {
        let mut command = Command::new(&environment.program);
        command
            .args(["function", &function.binary])
            // What this process was started with is none of the function's business: on AWS it
            // would not be there.
            .env_clear()
            .envs(variables(function, session, &environment))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // A group of its own: Ctrl-C reaches the host alone, which then stops its workers.
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn()?;
        let output = Output::new(&function.binary, Arc::clone(&environment.log));
        Ok(follow(child, output))
    })
}

/// Reads what the process prints, and waits until it ends or is killed.
fn follow(mut child: Child, output: Output) -> Process {
    // Held open for as long as the process runs: see `end_with_host`.
    let stdin = child.stdin.take();
    let stdout = child.stdout.take().map(|stdout| Reader::start(output.clone(), stdout));
    let stderr = child.stderr.take().map(|stderr| Reader::start(output.clone(), stderr));
    let mut readers = Vec::new();
    readers.extend(stdout.map(|reader| reader.questions));
    let last_line = stderr.map(|reader| {
        readers.push(reader.questions);
        reader.last_line
    });

    let child = Arc::new(Mutex::new(child));
    let asked = Arc::clone(&child);
    let running = move || matches!(lock(&asked).try_wait(), Ok(None));
    let mut process = Process::follow(output, running, |mut killed| async move {
        let status = tokio::select! {
            status = wait(&child) => status,
            // Also when the sender is dropped: nobody wants the process any more.
            _ = &mut killed => {
                let _ = lock(&child).start_kill();
                wait(&child).await
            }
        };
        drop(stdin);
        let last_words = match last_line {
            // The pipe closes with the process, unless it left children of its own behind.
            Some(last_line) => timeout(LAST_WORDS, last_line).await.ok().and_then(Result::ok).flatten(),
            None => None,
        };
        let killed = matches!(&status, Ok(status) if is_kill(*status));
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        Ended { how: last_words.map_or(status.clone(), |words| format!("{status}: {words}")), killed }
    });
    process.readers = readers;
    process
}

/// Waits for the end of a process that may be asked meanwhile whether it runs.
async fn wait(child: &Mutex<Child>) -> io::Result<ExitStatus> {
    // Waiting keeps its place in the child, so that it may begin anew each time.
    poll_fn(|context| pin!(lock(child).wait()).poll(context)).await
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn is_kill(status: ExitStatus) -> bool {
    const SIGKILL: i32 = 9;
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGKILL)
}

#[cfg(not(unix))]
fn is_kill(_: ExitStatus) -> bool {
    false
}

#[cfg(all(test, unix))]
#[path = "worker_tests.rs"]
mod tests;
