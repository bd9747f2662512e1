//! The host that the tests talk to: the one of `TINTYPE_URL`, or one of our own on free ports with a temporary state folder.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

/// How long a host may take to say where it listens: generous, the machine may be building something.
const START: Duration = Duration::from_mins(2);

/// Where a host listens.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    /// The root of all URLs, without a slash at the end: the API is below `/v1`, photographs below `/media`.
    pub(crate) origin: String,
    /// The AWS endpoints, if there are any that tests may touch.
    pub(crate) aws: Option<String>,
}

/// The host that all tests of this process share.
pub(crate) fn shared() -> &'static Addresses {
    // The child stays where it is as long as this process lives, and so does the pipe to its standard input.
    static HOST: OnceLock<(Addresses, Option<Child>)> = OnceLock::new();
    let (addresses, _) = HOST.get_or_init(|| match env::var("TINTYPE_URL") {
        Ok(url) => (named_by(&url), None),
        Err(_) => start(),
    });
    addresses
}

/// With or without the `/v1` that the host's own banner ends the URL with.
fn named_by(url: &str) -> Addresses {
    let url = url.trim_end_matches('/');
    Addresses { origin: url.strip_suffix("/v1").unwrap_or(url).to_owned(), aws: env::var("TINTYPE_AWS_URL").ok() }
}

/// Starts a host that ends when this process does, however it ends: its standard input closes then. The shell around it waits for
/// that and removes the state folder.
fn start() -> (Addresses, Option<Child>) {
    let state = scratch().join(format!("host-{}", std::process::id()));
    let (log, log_path) = create_log(&state);
    println!("the host's log: {}", log_path.display());
    let mut shell = Command::new("sh")
        .args(["-c", r#"state=$1; shift; "$@"; rm -rf "$state""#, "sh"])
        .arg(&state)
        .arg(env!("CARGO_BIN_EXE_tintype"))
        .args(arguments(&state, "0"))
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log.try_clone().expect("the log"))
        .spawn()
        .expect("a shell");
    let addresses = read_banner(shell.stdout.take().expect("it is piped"), log);
    (addresses, Some(shell))
}

/// What a host and its functions say, beside its state folder.
pub(crate) fn create_log(state: &Path) -> (File, PathBuf) {
    let path = state.with_extension("log");
    let log = File::options().create(true).append(true).open(&path).expect("a log can be written");
    (log, path)
}

/// What the program is told: where its state is, a free port for the API, and to end when its standard input closes.
pub(crate) fn arguments(state: &Path, aws_port: &str) -> Vec<OsString> {
    let state = state.as_os_str();
    let arguments = ["--port".as_ref(), "0".as_ref(), "--aws-port".as_ref(), aws_port.as_ref(), "--state-dir".as_ref(), state];
    arguments.into_iter().chain(["--until-stdin-closes".as_ref()]).map(OsStr::to_owned).collect()
}

/// Waits for the lines that say where the API and the AWS endpoints are; what comes later goes into `log`.
pub(crate) fn read_banner(stdout: ChildStdout, mut log: File) -> Addresses {
    let (found, addresses) = mpsc::channel();
    thread::spawn(move || {
        let (mut api, mut aws) = (None, None);
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // A log that can't be written is no reason to stop reading: the host would block.
            let _ = writeln!(log, "{line}");
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("API"), Some(url)) => api = Some(url.trim_end_matches("/v1").to_owned()),
                (Some("AWS"), Some(url)) => aws = Some(url.to_owned()),
                _ => continue,
            }
            if let (Some(origin), Some(_)) = (&api, &aws) {
                // Nobody listens any more once the addresses are known.
                let _ = found.send(Addresses { origin: origin.clone(), aws: aws.clone() });
            }
        }
    });
    addresses.recv_timeout(START).expect("the host says where it listens (its log says why not)")
}

/// The folder of the workspace, where `template.yaml` is.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the workspace").to_owned()
}

/// Cargo's folder for what tests write.
pub(crate) fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}
