//! The command `sluice`: client of a control plane, and with `sluice dev` both planes in one
//! process.

mod answer;
mod client;
mod columns;
mod command;
mod dev;
mod failure;
mod listing;
mod log;
mod manifest;
mod markup;
mod options;
mod outcome;
mod print;
mod source;
mod table;
mod target;
mod time;
mod wait;

use std::process::ExitCode;

use clap::Parser as _;

use client::Client;
use failure::Failure;
use options::{Cli, ClientCommand, Command};
use outcome::Outcome;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            eprintln!("error: {failure}");
            cli.command.failed()
        }
    }
}

fn run(cli: &Cli) -> Result<Outcome, Failure> {
    match &cli.command {
        Command::Dev(options) => dev::run(cli, options),
        Command::Client(command) => {
            // One thread and no more.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime
                .map_err(Failure::System)?
                .block_on(run_client(cli, command))
        }
    }
}

async fn run_client(cli: &Cli, command: &ClientCommand) -> Result<Outcome, Failure> {
    let client = &Client::new(cli.connection.server.clone(), cli.connection.token())?;
    let scope = &cli.scope;
    match command {
        ClientCommand::Apply(options) => command::apply::run(client, scope, options).await,
        ClientCommand::Get(options) => command::get::run(client, scope, options).await,
        ClientCommand::Delete(options) => command::delete::run(client, scope, options).await,
        ClientCommand::Diff(options) => command::diff::run(client, scope, options).await,
        ClientCommand::Describe(options) => command::describe::run(client, scope, options).await,
        ClientCommand::Lint(options) => command::lint::run(client, scope, options).await,
        ClientCommand::Plan(options) => command::plan::run(client, scope, options).await,
        ClientCommand::Replay(options) => command::replay::run(client, scope, options).await,
        ClientCommand::Audit(options) => command::audit::run(client, scope, options).await,
        ClientCommand::Export(options) => command::export::run(client, scope, options).await,
        ClientCommand::History(options) => command::history::run(client, scope, options).await,
        ClientCommand::Rollback(options) => command::rollback::run(client, scope, options).await,
        ClientCommand::Receipt(options) => command::receipt::run(client, scope, options).await,
        ClientCommand::Fleet(options) => command::fleet::run(client, scope, options).await,
        ClientCommand::Explain(options) => command::explain::run(client, scope, options).await,
        ClientCommand::Ca(options) => command::ca::run(client, scope, options).await,
        ClientCommand::Token(options) => command::token::run(client, scope, options).await,
        ClientCommand::Version => command::version::run(client, scope).await,
        ClientCommand::Completion(options) => command::completion::run(options),
    }
}
