//! A worker: one process that runs one function, one event at a time.

use std::{
    collections::BTreeMap,
    fs::File,
    future::Future,
    io::{self, Write},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use tintype_cloud::Credentials;
use tintype_template::deployment::Function;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use crate::runtime_api::Session;

/// How long a dead process' standard error may take to close.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What every worker is started with.
#[derive(Debug, Clone)]
pub struct WorkerEnvironment {
    /// Started as `program function BINARY`.
    pub program: PathBuf,
    /// `AWS_REGION`
    pub region: String,
    /// What workers sign their requests with.
    pub credentials: Credentials,
    /// Takes what workers print, each line under the function's name.
    pub log: Arc<File>,
}

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
    kill: oneshot::Sender<()>,
    /// Each is answered for as long as the process runs.
    questions: mpsc::Sender<Question>,
}

/// Whether a process runs: answered if it does, dropped if not.
type Question = oneshot::Sender<()>;

impl Process {
    /// Follows a process: `run` ends the process once the first argument resolves, answers questions
    /// while it runs, and says how it ended.
    pub(crate) fn follow<F>(run: impl FnOnce(oneshot::Receiver<()>, mpsc::Receiver<Question>) -> F) -> Self
    where
        F: Future<Output = Ended> + Send + 'static,
    {
        let (kill, killed) = oneshot::channel();
        let (questions, asked) = mpsc::channel(1);
        Self { ended: Some(tokio::spawn(run(killed, asked))), kill, questions }
    }

    /// Whether it runs at this moment, asked of the operating system: [`Process::ended`] may learn of
    /// an end a little later.
    pub(crate) async fn is_running(&self) -> bool {
        let (running, answer) = oneshot::channel();
        self.questions.send(running).await.is_ok() && answer.await.is_ok()
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
    pub(crate) async fn kill(self) {
        let _ = self.kill.send(());
        if let Some(ended) = self.ended {
            let _ = ended.await;
        }
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
        let log = Log { function: function.binary.clone(), file: Arc::clone(&environment.log) };
        Ok(Process::follow(|killed, questions| follow(child, log, killed, questions)))
    })
}

/// The environment of a function: the template's variables, and those that Lambda itself sets.
fn variables(function: &Function, session: &Session, environment: &WorkerEnvironment) -> BTreeMap<String, String> {
    let day = jiff::Timestamp::now().strftime("%Y/%m/%d").to_string();
    let mut variables = function.environment.clone();
    variables.extend(
        [
            ("AWS_LAMBDA_RUNTIME_API", session.address.clone()),
            ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name)),
            ("AWS_LAMBDA_LOG_STREAM_NAME", format!("{day}/[$LATEST]{}", session.id)),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_REGION", environment.region.clone()),
            ("AWS_DEFAULT_REGION", environment.region.clone()),
            ("AWS_ACCESS_KEY_ID", environment.credentials.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", environment.credentials.secret_key.clone()),
            ("_HANDLER", "bootstrap".to_owned()),
            ("TZ", ":UTC".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    variables
}

/// Forwards what the process prints, until it ends or is killed.
async fn follow(mut child: Child, log: Log, mut killed: oneshot::Receiver<()>, mut questions: mpsc::Receiver<Question>) -> Ended {
    // Held open for as long as the process runs: see `end_with_host`.
    let stdin = child.stdin.take();
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(forward(log.clone(), stdout));
    }
    let stderr = child.stderr.take().map(|stderr| tokio::spawn(forward(log, stderr)));
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            // Also when the sender is dropped: nobody wants the process any more.
            _ = &mut killed => {
                let _ = child.start_kill();
                break child.wait().await;
            }
            Some(running) = questions.recv() => {
                if let Ok(None) = child.try_wait() {
                    // Who does not wait for the answer does not need it.
                    let _ = running.send(());
                }
            }
        }
    };
    drop((stdin, questions));
    let last_words = match stderr {
        // The pipe closes with the process, unless it left children of its own behind.
        Some(stderr) => timeout(LAST_WORDS, stderr).await.ok().and_then(Result::ok).flatten(),
        None => None,
    };
    let killed = matches!(&status, Ok(status) if is_kill(*status));
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    Ended { how: last_words.map_or(status.clone(), |words| format!("{status}: {words}")), killed }
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

/// Where a worker's lines go.
#[derive(Clone)]
struct Log {
    function: String,
    file: Arc<File>,
}

impl Log {
    fn write(&self, line: &str) {
        // In one call, so that lines of several workers do not mix. A full disk is no reason to stop the system.
        let _ = (&*self.file).write_all(format!("[{}] {line}\n", self.function).as_bytes());
    }
}

/// Copies lines into the log under the function's name, and returns the last one.
async fn forward(log: Log, output: impl AsyncRead + Unpin) -> Option<String> {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    let mut last = None;
    loop {
        line.clear();
        match output.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return last,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end();
                log.write(text);
                if !text.is_empty() {
                    last = Some(text.to_owned());
                }
            }
        }
    }
}

#[cfg(all(test, unix))]
#[path = "worker_tests.rs"]
mod tests;
