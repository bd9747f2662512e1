//! A host that a test may kill, and the processes below it.

use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::harness::host::{self, Addresses};

/// How long what must end may take to end.
const ENDS: Duration = Duration::from_secs(20);

/// A folder for a host's state and log; it goes with the test.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in(host::scratch()).expect("a folder")
}

/// A host of a test's own.
pub(crate) struct Host {
    child: Child,
    pub(crate) addresses: Addresses,
}

impl Host {
    /// Starts one on the state that lies in `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, "0", &[])
    }

    /// The same, with the AWS endpoints on this port, and more options.
    pub(crate) fn start_with(folder: &Path, aws_port: &str, options: &[&str]) -> Self {
        Self::run(program(), folder, aws_port, options)
    }

    /// The same, in haste: queues give back after seconds, not after minutes, what a function could not do, and hold nothing back.
    pub(crate) fn start_in_haste(folder: &Path, options: &[&str]) -> Self {
        let template = fs::read_to_string(host::root().join("template.yaml")).expect("template.yaml");
        let hasten = |line: &str| match line.split_once(": ") {
            Some((name, _)) if name.trim_start() == "VisibilityTimeout" => format!("{name}: 3\n"),
            Some((name, _)) if name.trim_start() == "DelaySeconds" => format!("{name}: 1\n"),
            _ => format!("{line}\n"),
        };
        let hasty: String = template.lines().map(hasten).collect();
        assert_ne!(template, hasty, "queues have their timeouts there");
        let path = folder.join("template.yaml");
        fs::write(&path, hasty).expect("a file");
        Self::start_with(folder, "0", &[options, &["--template", path.to_str().expect("a path")]].concat())
    }

    /// The same, run from another file.
    pub(crate) fn start_program(path: &Path, folder: &Path) -> Self {
        let mut program = Command::new(path);
        program.current_dir(host::root());
        Self::run(program, folder, "0", &[])
    }

    fn run(mut program: Command, folder: &Path, aws_port: &str, options: &[&str]) -> Self {
        let state = folder.join("state");
        let (log, _) = host::create_log(&state);
        let mut child = program
            .args(host::arguments(&state, aws_port))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().expect("the log"))
            .spawn()
            .expect("the program starts");
        let addresses = host::read_banner(child.stdout.take().expect("it is piped"), log);
        Self { child, addresses }
    }

    /// SIGKILL to the host alone. Answers its workers, which nobody has killed.
    pub(crate) fn kill(self) -> Vec<Worker> {
        let workers = self.workers();
        self.kill_at_once();
        workers
    }

    /// The same without a look at the workers, which takes its time.
    pub(crate) fn kill_at_once(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Ctrl-C: how it ended, and the workers it had.
    pub(crate) fn interrupt(mut self) -> (ExitStatus, Vec<Worker>) {
        let workers = self.workers();
        signal("INT", self.child.id());
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return (status, workers);
            }
            assert!(started.elapsed() < ENDS, "it does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The processes that the host has started.
    pub(crate) fn workers(&self) -> Vec<Worker> {
        let processes = fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        processes.filter_map(Worker::read).filter(|worker| worker.parent == self.child.id()).collect()
    }
}

/// A test that fails leaves nothing running.
impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process below a host.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pid: u32,
    /// When it started, in ticks: tells it from another process that gets its number later.
    started: String,
    parent: u32,
    /// The function that it runs.
    pub(crate) function: String,
}

impl Worker {
    /// `None` if that process is no worker, or no more.
    fn read(pid: u32) -> Option<Self> {
        let (parent, started) = running(pid)?;
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let function = command.split('\0').skip_while(|argument| *argument != "function").nth(1)?.to_owned();
        Some(Self { pid, started, parent, function })
    }

    pub(crate) fn is_running(&self) -> bool {
        running(self.pid).is_some_and(|(_, started)| started == self.started)
    }

    /// SIGSTOP
    pub(crate) fn freeze(&self) {
        signal("STOP", self.pid);
    }

    /// SIGKILL, unless it has just ended by itself.
    pub(crate) fn kill(&self) {
        if self.is_running() {
            signal("KILL", self.pid);
        }
    }
}

/// The parent of a process and when it started. `None`: there is no such process, or it has ended and only waits for its parent to
/// notice. A process that is being killed loses its memory and its first thread before it has ended.
fn running(pid: u32) -> Option<(u32, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything: fields are counted after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let is_last_thread = fs::read_dir(format!("/proc/{pid}/task")).ok()?.count() <= 1;
    let has_ended = is_last_thread && matches!(fields[0], "Z" | "X");
    (!has_ended).then(|| (fields[1].parse().unwrap_or(0), fields[19].to_owned()))
}

/// Waits until none of them runs any more.
pub(crate) fn all_end(workers: &[Worker]) {
    let started = Instant::now();
    while let Some(worker) = workers.iter().find(|worker| worker.is_running()) {
        assert!(started.elapsed() < ENDS, "still running: {worker:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().expect("kill");
    assert!(sent.success(), "process {pid} runs");
}

/// The program, at the workspace's root.
pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tintype"));
    program.current_dir(host::root());
    program
}
