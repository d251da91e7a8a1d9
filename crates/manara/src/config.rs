//! Configuration: flags over `MANARA_*` environment over `manara.toml` over defaults.
//!
//! The commented default file is the reference: [`REFERENCE`], also in `examples/configs/manara.toml`.

use crate::flood::Quarantine;
use crate::recent::Recent;
use anyhow::{Context, Result, bail};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The default configuration with a comment on every setting.
pub(crate) const REFERENCE: &str = include_str!("../../../examples/configs/manara.toml");

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) listen: String,
    /// Where reviewers reach the console; links printed and cookies depend on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) public_url: Option<String>,
    /// Empty: `rules` in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rules: Option<PathBuf>,
    /// Whether what goes live from the console waits for a second person.
    pub(crate) rules_approval: bool,
    pub(crate) origin: String,
    pub(crate) limits: Limits,
    pub(crate) media: Media,
    pub(crate) delivery: Delivery,
    pub(crate) quarantine: Quarantine,
    pub(crate) recent: Recent,
    pub(crate) counters: crate::past::Counters,
    pub(crate) breakers: crate::past::Limits,
    #[serde(rename = "webhook")]
    pub(crate) webhooks: Vec<Webhook>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) body_bytes: usize,
    pub(crate) line_bytes: usize,
    pub(crate) events_per_array: usize,
    pub(crate) request_timeout_s: u64,
    /// 0: as large as the disk.
    pub(crate) database_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in the file"
)]
pub(crate) struct Media {
    pub(crate) workers: usize,
    pub(crate) decode_timeout_ms: u64,
    pub(crate) bytes_max: usize,
    pub(crate) fetch_timeout_ms: u64,
    pub(crate) allow_nets: Vec<String>,
    pub(crate) dihedral: bool,
    pub(crate) exif_orientation: bool,
    pub(crate) without_bars: bool,
    pub(crate) reference_512: bool,
    pub(crate) key_frames_max: u8,
    /// A name to find in `PATH`, a whole path, or empty: no ffmpeg.
    pub(crate) ffmpeg: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delivery {
    pub(crate) timeout_ms: u64,
    pub(crate) attempts_max: u32,
    pub(crate) first_retry_ms: u64,
}

/// Somebody who carries out actions.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) secret: String,
}

// The secret stays out of logs and panics.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("name", &self.name)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            public_url: None,
            rules: None,
            rules_approval: false,
            origin: "manara.example/audit".into(),
            limits: Limits {
                body_bytes: 32 * 1024 * 1024,
                line_bytes: 32 * 1024 * 1024,
                events_per_array: 1000,
                request_timeout_s: 60,
                database_bytes: 0,
            },
            media: Media {
                workers: 0,
                decode_timeout_ms: 10_000,
                bytes_max: 20 * 1024 * 1024,
                fetch_timeout_ms: 15_000,
                allow_nets: Vec::new(),
                dihedral: true,
                exif_orientation: true,
                without_bars: true,
                reference_512: false,
                key_frames_max: 8,
                ffmpeg: "ffmpeg".into(),
            },
            delivery: Delivery {
                timeout_ms: 10_000,
                attempts_max: 12,
                first_retry_ms: 1_000,
            },
            quarantine: Quarantine::default(),
            recent: Recent::default(),
            counters: crate::past::Counters::default(),
            breakers: crate::past::Limits::default(),
            webhooks: Vec::new(),
        }
    }
}

/// Settings given as flags; they win over everything else.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Overrides {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rules: Option<PathBuf>,
}

/// Reads the configuration from `file` (which need not exist unless it was asked for by name).
pub(crate) fn load(file: &Path, named: bool, overrides: &Overrides) -> Result<Config> {
    if named && !file.exists() {
        bail!("there is no configuration file {}", file.display());
    }
    // `MANARA_LIMITS__BODY_BYTES` sets `limits.body_bytes`; the key and the data directory are flags' own.
    let environment = Env::prefixed("MANARA_")
        .ignore(&["api_key", "data", "config", "log", "bin"])
        .split("__");
    let config: Config = Figment::from(Serialized::defaults(Config::default()))
        .merge(if file.exists() {
            Toml::file_exact(file)
        } else {
            Toml::string("")
        })
        .merge(environment)
        .merge(Serialized::defaults(overrides))
        .extract()
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(|| {
            format!(
                "reading the configuration ({} and MANARA_* variables)",
                file.display()
            )
        })?;
    check(&config)?;
    Ok(config)
}

fn check(config: &Config) -> Result<()> {
    if !(1..=1000).contains(&config.limits.events_per_array) {
        bail!(
            "limits.events_per_array is {}: choose 1 to 1000",
            config.limits.events_per_array
        );
    }
    let ffmpeg = &config.media.ffmpeg;
    if ffmpeg.contains('/') && !ffmpeg.starts_with('/') {
        bail!(
            "media.ffmpeg is `{ffmpeg}`: give a name to find in PATH, a whole path, or \"\" to do without"
        );
    }
    let quarantine = &config.quarantine;
    if quarantine.hits_min == 0 || !(1.0..=1e6).contains(&quarantine.ratio) {
        bail!(
            "quarantine.hits_min is {} and quarantine.ratio {}: choose at least 1 hit, and a ratio of 1 to 1000000",
            quarantine.hits_min,
            quarantine.ratio
        );
    }
    if config.recent.days > 366 || config.recent.events_max > 100_000_000 {
        bail!("recent: choose at most 366 days and 100000000 events");
    }
    let mut names = std::collections::HashSet::new();
    for webhook in &config.webhooks {
        if !names.insert(&webhook.name) || webhook.name.is_empty() || webhook.name.len() > 64 {
            bail!(
                "webhook `{}`: give each webhook a name of its own, at most 64 bytes",
                webhook.name
            );
        }
        let url = reqwest::Url::parse(&webhook.url)
            .with_context(|| format!("webhook `{}`: url `{}`", webhook.name, webhook.url))?;
        if !matches!(url.scheme(), "http" | "https") {
            bail!(
                "webhook `{}`: the url's scheme is `{}`: use https (or http inside your own network)",
                webhook.name,
                url.scheme()
            );
        }
        standardwebhooks::Webhook::new(&webhook.secret).map_err(|error| {
            anyhow::anyhow!("webhook `{}`: the secret is not `whsec_` and base64 ({error}): make one with `openssl rand -base64 32`", webhook.name)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_toml(toml: &str) -> Result<Config> {
        let temporary = tempfile::tempdir()?;
        let file = temporary.path().join("manara.toml");
        std::fs::write(&file, toml)?;
        load(&file, true, &Overrides::default())
    }

    #[test]
    fn the_reference_file_says_exactly_the_defaults() {
        assert_eq!(from_toml(REFERENCE).unwrap(), Config::default());
    }

    #[track_caller]
    fn refused(toml: &str, says: &str) {
        let error = format!("{:#}", from_toml(toml).unwrap_err());
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn wrong_settings_are_named() {
        refused("lisen = \"x\"", "lisen");
        refused(
            "[media]\nffmpeg = \"bin/ffmpeg\"",
            "media.ffmpeg is `bin/ffmpeg`",
        );
        refused("[limits]\nevents_per_array = 5000", "events_per_array");
        refused(
            "[[webhook]]\nname=\"a\"\nurl=\"ftp://x\"\nsecret=\"whsec_AAAA\"",
            "scheme is `ftp`",
        );
        refused(
            "[[webhook]]\nname=\"a\"\nurl=\"https://x.example\"\nsecret=\"%%\"",
            "secret",
        );
    }
}
