//! The command line.

use std::{
    error::Error,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{function, host, openapi};

/// Tintype on this machine: API, functions, database, object store and queues, as template.yaml declares them.
#[derive(Debug, Parser)]
#[command(name = "tintype", version)]
struct Arguments {
    /// Port of the API; 0 takes a free one
    #[arg(long, default_value_t = 3000, value_name = "PORT")]
    port: u16,
    /// Port of the AWS endpoints; 0 takes a free one
    #[arg(long, default_value_t = 4566, value_name = "PORT")]
    aws_port: u16,
    /// Folder that keeps all data
    #[arg(long, default_value = ".tintype", value_name = "FOLDER")]
    state_dir: PathBuf,
    /// The SAM template
    #[arg(long, default_value = "template.yaml", value_name = "FILE")]
    template: PathBuf,
    /// Start with an empty state folder
    #[arg(long)]
    reset: bool,
    /// Fill it with people and photographs
    #[arg(long)]
    demo: bool,
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
}

/// Does what the command line says. Whatever fails is one line on standard error, and exit status 1.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Some(Command::Function { ref name }) => function::run(name),
        Some(Command::Openapi) => print(&openapi::document()).map_err(Into::into),
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
        let Arguments { port, aws_port, state_dir, template, reset, demo, until_stdin_closes, command: _ } = arguments;
        Self { template, state_dir, port, aws_port, reset, demo, until_stdin_closes }
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
    fn errors_are_one_line() {
        let error: Box<dyn Error + Send + Sync> = "first\n  second\n".into();
        assert_eq!(one_line(error.as_ref()), "first second");
    }
}
