//! The protocol as a model: what `testing/model` explores, as a command.

use anyhow::Result;
use ticketing_model::Limits;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Explores the small configurations alone: seconds, instead of a minute.
    #[arg(long)]
    small: bool,
    /// An exploration with more states than this is cut short, and counts as failed.
    #[arg(long, default_value_t = 20_000_000)]
    max_states: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let limits = Limits { max_states: arguments.max_states, large: !arguments.small };
    ticketing_model::run(&mut std::io::stdout().lock(), limits)?;
    Ok(())
}
