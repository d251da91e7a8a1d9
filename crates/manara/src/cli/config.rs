//! `manara config show|check`.

use super::{Data, Done, say};
use crate::config::{self, Overrides};
use anyhow::Result;
use clap::Subcommand;

/// Show and check the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Print the reference: every setting at its default, with comments.
    Show,
    /// Read the configuration as `manara serve` would, and say what is wrong with it.
    Check {
        #[command(flatten)]
        data: Data,
        /// Configuration file [default: DATA/manara.toml].
        #[arg(long, value_name = "FILE")]
        config: Option<std::path::PathBuf>,
    },
}

pub(super) fn run(verb: Verb) -> Result<Done> {
    match verb {
        Verb::Show => say(config::REFERENCE.trim_end())?,
        Verb::Check {
            data,
            config: named,
        } => {
            let file = named
                .clone()
                .unwrap_or_else(|| data.data.join("manara.toml"));
            let config = config::load(&file, named.is_some(), &Overrides::default())?;
            say(format_args!(
                "{} is in order; would listen on {}",
                file.display(),
                config.listen
            ))?;
        }
    }
    Ok(Done::Found)
}
