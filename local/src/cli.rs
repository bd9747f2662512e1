//! The command line.

use std::{
    error::Error,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{environment, function, host, keys, openapi};

/// Tintype on this machine: API, functions, database, object store and queues, as template.yaml declares them.
#[derive(Debug, Parser)]
#[command(name = "tintype", version)]
struct Arguments {
    /// Port of the API; 0 takes a free one
    #[arg(long, default_value_t = 3000, value_name = "PORT")]
    port: u16,
    /// Port of the AWS endpoints; 0 takes a free one
    #[arg(long, default_value_t = 4566, value_name = "PORT", global = true)]
    aws_port: u16,
    /// Address of the AWS endpoints; Docker's containers find this machine at that of its bridge
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST, value_name = "ADDRESS", global = true)]
    aws_address: Ipv4Addr,
    /// Folder that keeps all data
    #[arg(long, default_value = ".tintype", value_name = "FOLDER")]
    state_dir: PathBuf,
    /// The SAM template
    #[arg(long, default_value = "template.yaml", value_name = "FILE", global = true)]
    template: PathBuf,
    /// Start with an empty state folder
    #[arg(long)]
    reset: bool,
    /// Fill it with people and photographs
    #[arg(long)]
    demo: bool,
    /// What goes wrong on purpose, for example `dynamodb:throttle=0.1,delay_ms=50;seed=7` (docs/CHAOS.md)
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SPEC")]
    chaos: String,
    /// Stop when standard input closes: for tests, which may die without a signal
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one function: how the host starts its workers
    #[command(hide = true)]
    Function {
        /// For example `posts`
        name: String,
    },
    /// Print the API's description (OpenAPI 3.1)
    Openapi,
    /// Print what functions need that run elsewhere, and against the AWS endpoints of a host that runs (`--aws-address`, `--aws-port`)
    Environment {
        /// As JSON for `sam local invoke --env-vars`, rather than as lines for `cargo lambda watch --env-file`
        #[arg(long)]
        sam: bool,
    },
    /// Rotate the keys of access and refresh tokens: `begin`, and ten minutes later `finish` (docs/DEPLOYING.md)
    Keys(keys::Arguments),
}

/// Does what the command line says. Whatever fails is one line on standard error, and exit status 1.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Some(Command::Function { ref name }) => function::run(name),
        Some(Command::Openapi) => print(&openapi::document()).map_err(Into::into),
        Some(Command::Environment { sam }) => print_environment(&arguments, sam),
        Some(Command::Keys(ref of_keys)) => keys::run(of_keys, SocketAddrV4::new(arguments.aws_address, arguments.aws_port)),
        None => run_host(arguments.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be reading.
            let _ = writeln!(io::stderr(), "tintype: {}", one_line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run_host(options: host::Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(host::run(options))?)
}

fn print_environment(arguments: &Arguments, sam: bool) -> Result<(), Box<dyn Error + Send + Sync>> {
    let environment = if sam { environment::sam } else { environment::lines };
    Ok(print(&environment(&arguments.template, SocketAddrV4::new(arguments.aws_address, arguments.aws_port))?)?)
}

/// Writes to standard output, as far as somebody reads: `head -1` behind a pipe is no failure.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Errors from below may have line breaks in them.
fn one_line(error: &dyn Error) -> String {
    error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

impl From<Arguments> for host::Options {
    fn from(arguments: Arguments) -> Self {
        let Arguments { port, aws_port, aws_address, state_dir, template, reset, demo, chaos, until_stdin_closes, command: _ } = arguments;
        let aws = SocketAddrV4::new(aws_address, aws_port);
        Self { template, state_dir, port, aws, reset, demo, chaos, until_stdin_closes }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn where_the_aws_endpoints_are_may_stand_behind_the_command() {
        let arguments = Arguments::parse_from(["tintype", "environment", "--aws-address", "192.0.2.1", "--aws-port", "5000"]);
        assert!(matches!(arguments.command, Some(Command::Environment { sam: false })));
        assert_eq!(host::Options::from(arguments).aws.to_string(), "192.0.2.1:5000");
    }

    #[test]
    fn errors_are_one_line() {
        let error: Box<dyn Error + Send + Sync> = "first\n  second\n".into();
        assert_eq!(one_line(error.as_ref()), "first second");
    }
}
