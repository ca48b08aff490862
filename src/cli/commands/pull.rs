use super::super::exit;
use super::everywhere::Everywhere;
use super::push::Transfer;
use super::{CliError, Exit, Ui, World, checkout, fetch};
use crate::ops::checkout::CheckoutReport;
use crate::ops::fetch::pull;

/// Bring data from a remote and put it into the workspace
///
/// Fetches what `esker.lock` records and the store lacks, checks every hash, and checks it out.
/// What can be had is kept even if something is missing; that is then named, with exit code 3.
/// Data and outputs with `remote` in `esker.toml` come from that one; data with `pull = false` comes
/// only when it, or something in it, is named. What a PATH, `--include` or `--exclude` leave out of a
/// directory stays recorded: no command takes it for deleted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Paths; none: all that the lock records
    #[arg(value_name = "PATH", conflicts_with = "all_projects")]
    paths: Vec<String>,
    #[command(flatten)]
    transfer: Transfer,
    /// Move what is in the way and saved nowhere into the park, instead of refusing
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    pub(super) everywhere: Everywhere,
}

pub(crate) fn run(args: &Args, ui: &Ui, world: &World<'_>) -> Result<Exit, CliError> {
    let report = pull(world, &args.paths, &args.transfer.options(), args.force)?;
    let lacks = |checkout: &CheckoutReport| !checkout.missing.is_empty();
    let missing = !report.fetched.is_whole() || report.checkout.as_ref().is_some_and(lacks);
    if ui.json {
        ui.json(&report)?;
    } else {
        fetch::tell(ui, &report.fetched, "Pulled", "pull");
        if let Some(checkout) = &report.checkout {
            checkout::tell_switched(ui, checkout);
        }
    }
    Ok(Exit::when(missing, exit::DATA))
}
