//! `sluice completion`: scripts for shells.

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use crate::failure::Failure;
use crate::options::Cli;
use crate::outcome::Outcome;
use crate::print;

/// For which shell.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The shell that reads the script
    #[arg(value_enum)]
    shell: KnownShell,
}

/// The shells whose scripts are checked.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum KnownShell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script.
///
/// # Errors
/// When standard output does not take it.
pub(crate) fn run(options: &Options) -> Result<Outcome, Failure> {
    let shell = match options.shell {
        KnownShell::Bash => Shell::Bash,
        KnownShell::Zsh => Shell::Zsh,
        KnownShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sluice", &mut script);
    print::text(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Done)
}
