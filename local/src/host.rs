//! Starts the parts in their order, waits to be told to stop, and stops them in the reverse order.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tintype_chaos::{Chaos, SpecError};
use tintype_cloud::{
    ACCOUNT_ID, Credentials, Log, REGION,
    dynamodb::{self, Streams},
    endpoint::{self, Services},
    s3::Buckets,
    secrets::Secrets,
    sqs::Queues,
    state::{self, StateDir},
};
use tintype_gateway::Account;
use tintype_lambda::{Lambda, WorkerEnvironment, triggers};
use tintype_template::{Machine, deployment::Deployment};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout_at},
};

use crate::{cli::print, demo, dynamic_references};

const STACK_NAME: &str = "tintype";
/// Access key and secret alike, as LocalStack's users are used to. Presigned URLs are verified with it.
pub(crate) const KEY: &str = "test";

/// In the state folder: what the functions have printed since the last start. What was there before has `.1` behind its name.
const LOG: &str = "functions.log";
/// Beside it, kept in the same way: the API's requests.
const ACCESS_LOG: &str = "access.log";

/// How long what functions have in hand may take when the host stops. The gateway gives requests as long.
const GRACE: Duration = Duration::from_secs(5);

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Options {
    /// The SAM template's file.
    pub template: PathBuf,
    /// The folder that keeps all data.
    pub state_dir: PathBuf,
    /// Port of the API; 0 takes a free one.
    pub port: u16,
    /// Address and port of the AWS endpoints; port 0 takes a free one.
    pub aws: SocketAddrV4,
    /// Start with an empty state folder.
    pub reset: bool,
    /// Fill it with people and photographs.
    pub demo: bool,
    /// What goes wrong on purpose, as [`Chaos::set`] takes it.
    pub chaos: String,
    /// Stop when standard input closes.
    pub until_stdin_closes: bool,
}

/// Why the system does not start. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else listens there.
    #[error("port {port} is already in use (choose another with {option})")]
    PortInUse {
        /// The port.
        port: u16,
        /// The option that chooses it.
        option: &'static str,
    },
    /// The port cannot be had for another reason.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Address and port.
        address: SocketAddrV4,
        /// What the operating system says.
        source: io::Error,
    },
    /// The template's file cannot be read.
    #[error("cannot read the template {}: {source} (name its file with --template)", path.display())]
    TemplateFile {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The template says something that is wrong, or not emulated.
    #[error("{}: {source}", path.display())]
    Template {
        /// The file.
        path: PathBuf,
        /// What, and where.
        source: tintype_template::Error,
    },
    /// What is to go wrong makes no sense.
    #[error(transparent)]
    Chaos(#[from] SpecError),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] state::Error),
    /// Lambda, or a trigger, cannot start.
    #[error(transparent)]
    Lambda(#[from] tintype_lambda::Error),
    /// A part ended by itself.
    #[error("{part} ended{}", why.as_ref().map_or_else(String::new, |why| format!(": {why}")))]
    Ended {
        /// Which.
        part: &'static str,
        /// What is known of it.
        why: Option<String>,
    },
    /// The demo cannot be made.
    #[error(transparent)]
    Demo(#[from] demo::Error),
    /// The operating system refuses something that every start needs.
    #[error("{what}: {source}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// What it says.
        source: io::Error,
    },
}

/// Runs the system until it is told to stop: Ctrl-C, SIGTERM, or standard input closing where the options say so.
pub async fn run(options: Options) -> Result<(), Error> {
    let api_listener = listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, options.port), "--port").await?;
    let aws_listener = listen(options.aws, "--aws-port").await?;
    let (api_port, aws) = (port_of(&api_listener)?, SocketAddrV4::new(*options.aws.ip(), port_of(&aws_listener)?));

    let deployment = read_template(&options.template, aws)?;
    let stage = deployment.api.stage.clone();
    let functions = deployment.functions.iter().map(|function| function.binary.clone());
    // As the endpoint knows them: by the end of their names, which is their logical id.
    let tables = deployment.tables.iter().filter_map(|table| table.name.rsplit('-').next().map(str::to_owned));
    let chaos = Chaos::with_tables(functions, tables);
    chaos.set(&options.chaos)?;
    let state = StateDir::open(&options.state_dir, options.reset)?;
    let mut system = System::start(deployment, &state, chaos.clone(), api_listener, aws_listener).await?;
    let stop = stop_requested(options.until_stdin_closes)?;
    announce(api_port, &stage, aws, &options.state_dir, &chaos);

    let serve = async {
        if options.demo {
            demo::run(&format!("http://{}:{api_port}/{stage}", Ipv4Addr::LOCALHOST)).await?;
        }
        Err(system.broken().await)
    };
    let result = tokio::select! {
        () = stop => Ok(()),
        result = serve => result,
    };
    system.stop().await;
    // Only now: whoever waits for the folder finds it at rest.
    drop(state);
    result
}

async fn listen(address: SocketAddrV4, option: &'static str) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => Error::PortInUse { port: address.port(), option },
        _ => Error::Listen { address, source },
    })
}

fn port_of(listener: &TcpListener) -> Result<u16, Error> {
    let address = listener.local_addr().map_err(|source| Error::System { what: "a listener has no address", source })?;
    Ok(address.port())
}

/// The template as the host reads it that has its AWS endpoints there.
pub(crate) fn read_template(path: &Path, aws: SocketAddrV4) -> Result<Deployment, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::TemplateFile { path: path.to_owned(), source })?;
    let aws_endpoint = format!("http://{aws}");
    let parameters = BTreeMap::from([("AwsEndpointUrl".to_owned(), aws_endpoint.clone())]);
    let machine = Machine { account_id: ACCOUNT_ID.to_owned(), region: REGION.to_owned(), stack_name: STACK_NAME.to_owned(), aws_endpoint };
    tintype_template::read(&text, &parameters, &machine).map_err(|source| Error::Template { path: path.to_owned(), source })
}

/// What workers are started from: this very program, also when a build has put another in its place since.
fn this_program() -> Result<PathBuf, Error> {
    if cfg!(target_os = "linux") {
        return Ok(format!("/proc/{}/exe", std::process::id()).into());
    }
    std::env::current_exe().map_err(|source| Error::System { what: "this program's own path is not known", source })
}

fn new_log(state: &StateDir, name: &str) -> Result<Log, Error> {
    Log::create(&state.path(name)).map_err(|source| Error::System { what: "the log cannot be written", source })
}

/// What runs, in the order in which it stops.
struct System {
    /// Tells what brings work in (gateway and triggers) to stop.
    stop_intake: watch::Sender<bool>,
    gateway: JoinHandle<()>,
    triggers: Vec<JoinHandle<()>>,
    lambda: Lambda,
    /// Tells what functions rely on to stop.
    stop_endpoint: watch::Sender<bool>,
    endpoint: JoinHandle<io::Result<()>>,
}

impl System {
    async fn start(
        mut deployment: Deployment,
        state: &StateDir,
        chaos: Chaos,
        api_listener: TcpListener,
        aws_listener: TcpListener,
    ) -> Result<Self, Error> {
        let control = state.control();
        let credentials = Credentials { access_key: KEY.to_owned(), secret_key: KEY.to_owned() };
        let (stop_intake, stopping_intake) = watch::channel(false);
        let (stop_endpoint, stopping_endpoint) = watch::channel(false);

        let secrets = Secrets::open(control.clone(), &deployment.secrets)?;
        dynamic_references::resolve(&mut deployment, &secrets);
        let queues = Queues::open(&state.path("queues.db"), &deployment.queues, chaos.place("sqs"))?;
        let workers = WorkerEnvironment {
            program: this_program()?,
            region: REGION.to_owned(),
            credentials: credentials.clone(),
            log: Arc::new(new_log(state, LOG)?),
        };
        let lambda = Lambda::start(&deployment.functions, control.clone(), queues.clone(), workers, &chaos).await?;
        let deliver = {
            let lambda = lambda.clone();
            Arc::new(move |function: &str, event: &[u8]| lambda.invoke_later(function, event))
        };
        let buckets =
            Buckets::open(&state.path("buckets"), &deployment.buckets, control.clone(), &credentials, deliver, chaos.place("s3")).await?;
        let tables = state.path("dynamodb.db");
        let (database, streams) = (dynamodb::open(&tables, &deployment.tables)?, Streams::new(&tables));

        let services = Services {
            database: database.clone(),
            streams: streams.clone(),
            buckets: buckets.clone(),
            queues: queues.clone(),
            secrets,
            lambda: lambda.api(),
            chaos,
        };
        let endpoint = tokio::spawn(endpoint::serve(aws_listener, services, stopping_endpoint));
        lambda.deliver_pending();
        let triggers = triggers::start(&deployment, &lambda, &queues, &database, &streams, &control, &stopping_intake)?;
        let account = Account { id: ACCOUNT_ID.to_owned(), region: REGION.to_owned() };
        let parts = tintype_gateway::Parts {
            account,
            api: deployment.api,
            media: deployment.media,
            buckets,
            lambda: lambda.clone(),
            access_log: new_log(state, ACCESS_LOG)?,
        };
        let gateway = tokio::spawn(tintype_gateway::serve(api_listener, parts, stopping_intake));
        Ok(Self { stop_intake, gateway, triggers, lambda, stop_endpoint, endpoint })
    }

    /// Resolves when a part that should run on has ended.
    async fn broken(&mut self) -> Error {
        let (part, why) = tokio::select! {
            ended = &mut self.endpoint => ("the AWS endpoints", match ended {
                Ok(served) => served.err().map(|error| error.to_string()),
                Err(panic) => Some(panic.to_string()),
            }),
            ended = &mut self.gateway => ("the API", ended.err().map(|panic| panic.to_string())),
        };
        Error::Ended { part, why }
    }

    /// First nothing new comes in, then the workers end, and last what they called.
    async fn stop(self) {
        let Self { stop_intake, gateway, triggers, lambda, stop_endpoint, endpoint } = self;
        // Whoever does not listen any more has ended already.
        let _ = stop_intake.send(true);
        let deadline = Instant::now() + GRACE;
        ended(gateway).await;
        let mut triggers: JoinSet<()> = triggers.into_iter().map(ended).collect();
        // A function that takes longer is ended; its events come again after the next start.
        let _ = timeout_at(deadline, async { while triggers.join_next().await.is_some() {} }).await;
        lambda.stop().await;
        while triggers.join_next().await.is_some() {}
        let _ = stop_endpoint.send(true);
        ended(endpoint).await;
    }
}

/// Waits for a task, which may have ended, and been asked for its result, before.
async fn ended<T>(task: JoinHandle<T>) {
    if !task.is_finished() {
        let _ = task.await;
    }
}

/// Resolves when someone wants the system to stop. A second Ctrl-C is not waited for: it ends the process at once.
fn stop_requested(until_stdin_closes: bool) -> Result<impl Future<Output = ()>, Error> {
    let listening = |kind| signal(kind).map_err(|source| Error::System { what: "signals cannot be received", source });
    let mut interrupt = listening(SignalKind::interrupt())?;
    let mut terminate = listening(SignalKind::terminate())?;
    let stdin_closed = until_stdin_closes.then(stdin_closed);
    Ok(async move {
        let stdin_closed = async {
            match stdin_closed {
                Some(closed) => drop(closed.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = stdin_closed => {}
        }
        tokio::spawn(async move {
            interrupt.recv().await;
            std::process::exit(130);
        });
    })
}

/// Resolves at the end of standard input. A thread of its own: a read that blocks cannot be called off.
fn stdin_closed() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = sender.send(());
    });
    receiver
}

/// Says where everything is. Tests read the addresses from here.
fn announce(api_port: u16, stage: &str, aws: SocketAddrV4, state_dir: &Path, chaos: &Chaos) {
    let spec = chaos.to_string();
    let chaos = if spec.is_empty() { spec } else { format!("goes wrong on purpose: {spec}\n  ") };
    let banner = format!(
        "Tintype is running.\n  \
           API  http://{host}:{api_port}/{stage}\n  \
           AWS  http://{aws}  (DynamoDB, S3, SQS, Lambda, Secrets Manager; key {KEY}, secret {KEY}, region {REGION})\n  \
           {chaos}state in {state}, what the functions log in {log}; Ctrl-C stops\n",
        host = Ipv4Addr::LOCALHOST,
        state = state_dir.display(),
        log = state_dir.join(LOG).display(),
    );
    // The system runs all the same.
    let _ = print(&banner);
}
