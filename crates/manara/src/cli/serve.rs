//! `manara serve`.

use super::{Data, Done, say};
use crate::config::{self, Overrides};
use crate::server::{self, Options};
use anyhow::{Context, Result};
use clap::Args;
use std::path::PathBuf;

/// Run the server: API, console, delivery.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Example:\n  manara key create --data manara-data --name forum --scope events:write\n  manara serve --data manara-data --listen 127.0.0.1:8080"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: Data,
    /// Address and port to listen on; port 0 chooses a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Folder of *.rules files [default: DATA/rules].
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Configuration file [default: DATA/manara.toml].
    #[arg(long, value_name = "FILE", env = "MANARA_CONFIG")]
    config: Option<PathBuf>,
    /// A secret to seed as an API key at start, for scripts.
    #[arg(long, env = "MANARA_API_KEY", hide_env_values = true, hide = true)]
    api_key: Option<String>,
}

pub(super) fn run(arguments: Arguments) -> Result<Done> {
    let file = arguments
        .config
        .clone()
        .unwrap_or_else(|| arguments.data.data.join("manara.toml"));
    let overrides = Overrides {
        listen: arguments.listen,
        rules: arguments.rules,
    };
    let config = config::load(&file, arguments.config.is_some(), &overrides)?;
    let options = Options {
        data: arguments.data.data,
        config,
        api_key: arguments.api_key,
    };
    super::block_on(async {
        let mut running = server::start(options).await?;
        say(format_args!("listening on http://{}", running.address))?;
        if let Some(link) = &running.setup_link {
            eprintln!("There is no reviewer yet. Make the first administrator at\n  {link}");
        }
        let interrupted = signals()?;
        tokio::select! {
            ready = running.ready() => ready?,
            () = interrupted => {
                running.stop().await?;
                return Ok(Done::Found);
            }
        }
        eprintln!("ready");
        let stopping = signals()?;
        tokio::select! {
            ended = running.ended() => ended?,
            () = stopping => eprintln!("stopping: finishing what was begun (interrupt again to stop at once)"),
        }
        let again = signals()?;
        tokio::select! {
            stopped = running.stop() => stopped?,
            () = again => eprintln!("stopped at once; nothing acknowledged is lost"),
        }
        Ok(Done::Found)
    })
}

/// Completes when the process is asked to end.
fn signals() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("listening for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for signals")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
