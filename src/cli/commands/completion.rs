use clap::CommandFactory;

use super::{Cli, CliError, Exit};

/// Print the completion script of a shell
///
/// Examples:
///   esker completion bash > ~/.local/share/bash-completion/completions/esker
///   esker completion zsh > ~/.zfunc/_esker
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "esker", &mut script);
    use std::io::Write;
    std::io::stdout()
        .lock()
        .write_all(&script)
        .map_err(CliError::output)?;
    Ok(Exit::DONE)
}
