//! `manara doctor`: what this machine offers and what it lacks, each with what to do about it.
//!
//! The sandbox is not guessed from the kernel's version: a worker is started as the server starts
//! them, and asked what it managed to switch on. Nor is it guessed what ffmpeg can read: it is given a
//! drawing in each format, as the server gives it media.

use super::bank::table;
use super::{Done, say, say_json};
use crate::config::{self, Config, Overrides};
use crate::console::text::plain;
use crate::data_dir::DataDir;
use crate::media::{BlockingPool, Layer, Layers, Missing, PoolOptions, SAMPLES};
use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Below this much free disk a server soon refuses events.
const FREE_BYTES_MIN: u64 = 1024 * 1024 * 1024;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit code 0: nothing that matters is off; 1: something is, and the hint beside it says what to do.

Example:
  manara doctor --data /var/lib/manara --json | jq -r '.[] | select(.state == \"off\") | .hint'")]
pub(crate) struct Arguments {
    /// Also look at this data directory; nothing in it is changed.
    #[arg(long, env = "MANARA_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// One array of objects.
    #[arg(long)]
    json: bool,
    /// Start the worker and ffmpeg without this layer of the sandbox, to see what is said of a machine that lacks it.
    #[arg(long, value_name = "LAYER", hide = true)]
    without: Vec<String>,
}

/// Whether what was looked at is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Fine,
    /// Missing, and Manara does without.
    Optional,
    /// Missing, and it matters.
    Off,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

impl Check {
    fn fine(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Fine,
            found: found.into(),
            hint: None,
        }
    }

    fn off(name: &'static str, found: impl Into<String>, hint: &'static str) -> Self {
        Self {
            state: State::Off,
            hint: Some(hint),
            ..Self::fine(name, found)
        }
    }

    fn optional(name: &'static str, found: impl Into<String>, hint: &'static str) -> Self {
        Self {
            state: State::Optional,
            ..Self::off(name, found, hint)
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<Done> {
    let (config, mut checks) = configuration(arguments.data.as_deref());
    let pool = pool(&config, &arguments.without)?;
    checks.extend(sandbox(&pool));
    checks.push(processor());
    checks.extend(ffmpeg(&pool));
    if let Some(data) = &arguments.data {
        checks.extend([disk(data), database(data)]);
    }
    if arguments.json {
        say_json(&checks)?;
    } else {
        print(&checks)?;
    }
    let is_off = checks.iter().any(|check| check.state == State::Off);
    Ok(if is_off { Done::Nothing } else { Done::Found })
}

fn print(checks: &[Check]) -> Result<()> {
    let mut table = table(["what", "state", "found", "hint"]);
    for check in checks {
        let state = match check.state {
            State::Fine => "fine",
            State::Optional => "missing, optional",
            State::Off => "OFF",
        };
        let hint = check.hint.unwrap_or_default();
        table.add_row([check.name, state, &plain(&check.found), hint]);
    }
    say(table)
}

/// What is configured; the defaults, and why, when that cannot be read.
fn configuration(data: Option<&Path>) -> (Config, Vec<Check>) {
    // Without a data directory there is no file, and only the environment is heeded.
    let dir = data.and_then(|data| DataDir::open(data).ok());
    let file = dir.map(|dir| dir.config()).unwrap_or_default();
    match config::load(&file, false, &Overrides::default()) {
        Ok(config) => (config, Vec::new()),
        Err(error) => {
            let hint = "the defaults are looked at instead: see `manara config show`";
            let check = Check::off("configuration", format!("{error:#}"), hint);
            (Config::default(), vec![check])
        }
    }
}

/// Decoders, started as the server starts them.
fn pool(config: &Config, without: &[String]) -> Result<BlockingPool> {
    let mut options = PoolOptions::of_this_program()
        .context("finding this program")?
        .with_ffmpeg(&config.media.ffmpeg);
    options.workers = 1;
    options.args.extend(without.iter().map(Into::into));
    options.ffmpeg.without(without);
    BlockingPool::start(&options).context("starting a media worker")
}

/// Asks a worker.
fn sandbox(pool: &BlockingPool) -> Vec<Check> {
    match pool.layers() {
        Ok(layers) => Layer::ALL
            .into_iter()
            .map(|layer| check_of(layer, layers))
            .collect(),
        Err(problem) => vec![Check::off(
            "media worker",
            problem,
            "no media can be decoded: see that /proc is mounted and that this program may start itself",
        )],
    }
}

fn check_of(layer: Layer, layers: Layers) -> Check {
    let name = layer.name();
    if layers.has(layer) {
        return Check::fine(
            name,
            layers
                .landlock_abi()
                .filter(|_| layer == Layer::Landlock)
                .map_or_else(|| "on".to_owned(), |abi| format!("on, ABI {abi}")),
        );
    }
    let hint = match layer {
        Layer::Rlimit | Layer::NoNewPrivs => {
            "every Linux has it: look at what the container or service manager forbids"
        }
        Layer::Landlock => {
            "needs Linux 5.13 or newer, built with it, and `landlock` in the kernel's lsm= list"
        }
        Layer::Seccomp => {
            "needs a kernel with CONFIG_SECCOMP_FILTER, on x86-64, aarch64 or riscv64"
        }
    };
    Check::off(name, "off: media are decoded without it", hint)
}

/// What hashing and matching can use of this processor.
fn processor() -> Check {
    let level = simd_level();
    let name = "processor";
    match level {
        "portable" => Check::optional(
            name,
            level,
            "everything works; a processor with AVX2 or AVX-512 compares hashes faster",
        ),
        level => Check::fine(name, level),
    }
}

#[cfg(target_arch = "x86_64")]
fn simd_level() -> &'static str {
    let avx2 = std::is_x86_feature_detected!("avx2")
        && std::is_x86_feature_detected!("popcnt")
        && std::is_x86_feature_detected!("bmi1")
        && std::is_x86_feature_detected!("bmi2");
    let avx512 = std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512vl")
        && std::is_x86_feature_detected!("avx512bitalg")
        && std::is_x86_feature_detected!("avx512vpopcntdq");
    if avx512 && avx2 {
        "avx512"
    } else if avx2 {
        "avx2"
    } else {
        "portable"
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn simd_level() -> &'static str {
    "portable"
}

/// Gives ffmpeg what the server gives it, in its sandbox.
fn ffmpeg(pool: &BlockingPool) -> Vec<Check> {
    let name = "ffmpeg";
    let program = match pool.ffmpeg().program() {
        Ok(program) => program.display(),
        Err(missing) => {
            let found = missing.to_string();
            return vec![match missing {
                Missing::Off => Check::optional(name, found, "HEIC and AVIF are undecodable"),
                Missing::NotInstalled(_) => Check::optional(
                    name,
                    found,
                    "HEIC and AVIF are undecodable: install ffmpeg, or set media.ffmpeg",
                ),
                Missing::NotAProgram { .. } => Check::off(
                    name,
                    found,
                    "HEIC and AVIF are undecodable: set media.ffmpeg to a program, or to \"\"",
                ),
            }];
        }
    };
    let version = match pool.ffmpeg_version() {
        Ok(version) => version,
        Err(problem) => {
            let hint = "HEIC and AVIF are undecodable: media.ffmpeg has to be the program itself, not a script, with its libraries in the usual places";
            return vec![Check::off(name, format!("{program}: {problem}"), hint)];
        }
    };
    let (mut reads, mut problems) = (Vec::new(), Vec::new());
    for (format, sample) in SAMPLES {
        match pool.sign(bytes::Bytes::from_static(sample)).problem {
            None => reads.push(*format),
            Some(problem) => problems.push(problem),
        }
    }
    let version = version.split(" Copyright").next().unwrap_or_default();
    let mut found = format!("{program}, {version}");
    if !reads.is_empty() {
        found.push_str(&format!(", reads {}", reads.join(" and ")));
    }
    let check = if problems.is_empty() {
        Check::fine(name, found)
    } else {
        found.push_str(&format!("; {}", problems.join("; ")));
        let hint = "install an ffmpeg with decoders for HEVC (for HEIC) and for AV1 (for AVIF)";
        Check::off(name, found, hint)
    };
    vec![check, ffmpeg_sandbox(pool)]
}

fn ffmpeg_sandbox(pool: &BlockingPool) -> Check {
    let name = "ffmpeg sandbox";
    match pool.ffmpeg_layers() {
        Ok(layers) if layers.off().is_empty() => {
            let abi = layers.landlock_abi().unwrap_or_default();
            Check::fine(name, format!("every layer is on, landlock with ABI {abi}"))
        }
        Ok(layers) => Check::off(
            name,
            format!("without {}", layers.off().join(", ")),
            "see the layers above, or do without ffmpeg (media.ffmpeg)",
        ),
        Err(problem) => Check::off(
            name,
            problem,
            "ffmpeg is started without its sandbox nowhere, so HEIC and AVIF are undecodable",
        ),
    }
}

fn disk(data: &Path) -> Check {
    let name = "free disk";
    match rustix::fs::statvfs(data) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let found = format!("{:.1} GiB", free as f64 / (1024.0 * 1024.0 * 1024.0));
            if free < FREE_BYTES_MIN {
                let hint = "make room: a full disk means that events are refused with 507";
                Check::off(name, found, hint)
            } else {
                Check::fine(name, found)
            }
        }
        Err(error) => Check::off(
            name,
            format!("{}: {error}", data.display()),
            "give the directory of an earlier `manara serve --data DIR`",
        ),
    }
}

/// Opened for reading only, so that looking at it does not bring it to another version.
fn database(data: &Path) -> Check {
    let name = "database";
    let versions = DataDir::open(data).and_then(|dir| {
        let versions = manara_store::version_of(&dir.database());
        versions.context("opening the database")
    });
    match versions {
        Ok((found, known)) if found == known => Check::fine(name, format!("version {found}")),
        Ok((found, known)) => Check::optional(
            name,
            format!("version {found}, this Manara's is {known}"),
            "it is brought up to date when a server next opens it; make a backup before",
        ),
        Err(error) => Check::off(
            name,
            format!("{error:#}"),
            "see docs/operations.md, \"When it does not start\"",
        ),
    }
}
