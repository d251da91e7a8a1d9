//! Blast radius on the command line, and similar uploads: what a change would have matched of what was
//! seen recently, before it is made.

use super::bank::table;
use super::{Data, Done, say, say_json};
use crate::config::Config;
use crate::console::text::plain;
use crate::recent::preview::{Preview, Sample, Thought, is_wide, preview};
use crate::recent::similar::{self, Cluster};
use crate::recent::{Recent, Window};
use crate::scan::report::counted;
use anyhow::Result;
use clap::Args;
use indicatif::HumanCount;
use manara_model::BankName;
use manara_store::Store;

/// Events that are looked at before a change is made without being asked to; `--preview` looks at all.
const GUARD_EVENTS: usize = 20_000;
/// Members of a file that are looked up one by one before they are imported.
pub(super) const GUARD_MEMBERS: u64 = 100_000;
/// The largest file of which that is done: its members are in memory meanwhile.
pub(super) const GUARD_BYTES: u64 = 64 * 1024 * 1024;
/// Rows of a file that are named when they match too much.
const WIDE_SHOWN: usize = 20;

/// Whether to look before leaping.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Radius {
    /// Only say what it would have matched of what was seen recently, with samples; change nothing.
    #[arg(long)]
    preview: bool,
    /// Go on although it would have matched a hundredth or more of what was seen recently.
    #[arg(long, conflicts_with = "preview")]
    force: bool,
}

impl Radius {
    /// Looks at what a change would have matched, if its matches will count. Says how the command ends, if
    /// it is not to go on.
    pub(super) fn check(
        self,
        data: &Data,
        store: &Store,
        bank: &BankName,
        thought: &Thought,
        json: bool,
        counts: bool,
    ) -> Result<Option<Done>> {
        // What is only recorded cannot do harm.
        if self.force || !(counts || self.preview) {
            return Ok(None);
        }
        let window = window(data)?;
        let guarding = Window {
            events_max: window.events_max.min(GUARD_EVENTS),
            ..window
        };
        let window = if self.preview { window } else { guarding };
        let found = preview(store, bank, thought, window)?;
        if self.preview {
            show(&found, json)?;
            return Ok(Some(if found.matched == 0 {
                Done::Nothing
            } else {
                Done::Found
            }));
        }
        let rows: Vec<&(usize, u64)> = wide_rows(&found).collect();
        if !is_wide(found.matched, found.seen) && rows.is_empty() {
            return Ok(None);
        }
        eprintln!("refused: it would have matched {}", sentence(&found));
        for sample in found.samples.iter().take(3) {
            eprintln!("  {}", line(sample));
        }
        if let Thought::Add(members) = thought
            && members.len() > 1
        {
            for (place, matched) in rows.iter().take(WIDE_SHOWN) {
                let signal = members.get(*place).map(|it| it.signal.encode());
                eprintln!(
                    "  member {} of the file: {} events: {}",
                    place + 1,
                    HumanCount(*matched),
                    plain(&shortened(&signal.unwrap_or_default()))
                );
            }
        }
        eprintln!(
            "look at them with --preview; add it with --mode shadow to see what it matches from now on, or with --force if all this is meant"
        );
        Ok(Some(Done::Nothing))
    }
}

/// The members of a file that match too much, each by itself.
fn wide_rows(found: &Preview) -> impl Iterator<Item = &(usize, u64)> {
    found
        .by_member
        .iter()
        .filter(|(_, matched)| is_wide(*matched, found.seen))
}

fn window(data: &Data) -> Result<Window> {
    let config: Config = data.config()?;
    let recent: Recent = config.recent;
    Ok(recent.window())
}

fn shortened(text: &str) -> String {
    const CHARACTERS: usize = 60;
    let cut: String = text.chars().take(CHARACTERS).collect();
    if cut.len() < text.len() {
        cut + "…"
    } else {
        cut
    }
}

/// `340 of 12,000 events seen since …`
fn sentence(found: &Preview) -> String {
    let mut words = format!(
        "{} of {} received since {}",
        HumanCount(found.matched),
        counted(found.seen, "event"),
        found.since.strftime("%Y-%m-%d %H:%M UTC"),
    );
    if found.accounts > 0 {
        words += &format!(", by {}", counted(found.accounts, "account"));
    }
    if found.spaces > 0 {
        words += &format!(", in {}", counted(found.spaces, "space"));
    }
    words
}

fn show(found: &Preview, json: bool) -> Result<()> {
    if json {
        return say_json(found);
    }
    eprintln!("it would have matched {}", sentence(found));
    if found.lost > 0 {
        eprintln!("{} would match no more", counted(found.lost, "event"));
    }
    if found.vetoed > 0 {
        eprintln!(
            "{} more are vetoed by a negative bank",
            counted(found.vetoed, "event")
        );
    }
    if is_wide(found.matched, found.seen) {
        eprintln!("that is a hundredth or more of all: without --force it is refused");
    }
    if found.samples.is_empty() {
        return Ok(());
    }
    let mut table = table(["received", "event", "account", "distance", "field", "what"]);
    for sample in &found.samples {
        table.add_row([
            sample.received_at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            plain(&format!("{}/{}", sample.source, sample.id)),
            plain(sample.account.as_deref().unwrap_or("")),
            sample.distance.to_string(),
            sample.field.clone(),
            what(sample),
        ]);
    }
    say(table)
}

fn what(sample: &Sample) -> String {
    let excerpt = sample.excerpt.as_ref();
    excerpt.map_or_else(String::new, super::scan::in_brackets)
}

fn line(sample: &Sample) -> String {
    let event = plain(&format!("{}/{}", sample.source, sample.id));
    format!("{event} · {} · {}", sample.field, what(sample))
}

/// What many have posted of late, in nearly the same form.
#[derive(Debug, Args)]
pub(crate) struct Similar {
    #[command(flatten)]
    data: Data,
    /// In how many of 256 bits images may differ from the first of their cluster.
    #[arg(long, value_name = "BITS", default_value_t = similar::Options::default().distance, value_parser = clap::value_parser!(u32).range(0..=31))]
    distance: u32,
    /// How many percent of their pieces texts may not share with the first of their cluster.
    #[arg(long, value_name = "PERCENT", default_value_t = similar::Options::default().text_distance, value_parser = clap::value_parser!(u32).range(0..=50))]
    text_distance: u32,
    /// Fewest uploads of a cluster.
    #[arg(long, value_name = "N", default_value_t = similar::Options::default().size_min)]
    min: usize,
    /// Show at most so many clusters, the largest first.
    #[arg(long, value_name = "N", default_value_t = similar::Options::default().limit)]
    limit: usize,
    /// Look no further back than so many days; never further than `recent.days` in manara.toml.
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    /// Only clusters that no bank knows.
    #[arg(long)]
    unknown: bool,
    /// One object a line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run_similar(arguments: &Similar) -> Result<Done> {
    let mut recent = arguments.data.config()?.recent;
    if let Some(days) = arguments.days {
        recent.days = recent.days.min(days);
    }
    let options = similar::Options {
        distance: arguments.distance,
        text_distance: arguments.text_distance,
        size_min: arguments.min,
        limit: arguments.limit,
    };
    let store = arguments.data.open()?;
    let mut clusters = similar::clusters(&store, recent.window(), options)?;
    clusters.retain(|cluster| !arguments.unknown || cluster.known.is_empty());
    if arguments.json {
        clusters.iter().try_for_each(say_json)?;
    } else if !clusters.is_empty() {
        say(table_of(&clusters))?;
    }
    if clusters.is_empty() {
        eprintln!(
            "nothing was uploaded {} times or more since {}",
            options.size_min.max(2),
            recent.window().since
        );
        return Ok(Done::Nothing);
    }
    Ok(Done::Found)
}

fn table_of(clusters: &[Cluster]) -> comfy_table::Table {
    let mut table = table([
        "type", "uploads", "accounts", "first", "last", "within", "known as", "what",
    ]);
    for cluster in clusters {
        let known: Vec<String> = cluster
            .known
            .iter()
            .map(|(bank, member)| format!("{bank} {member}"))
            .collect();
        table.add_row([
            cluster.signal_type.to_string(),
            HumanCount(cluster.size as u64).to_string(),
            HumanCount(cluster.accounts as u64).to_string(),
            cluster.first.strftime("%Y-%m-%d %H:%M").to_string(),
            cluster.last.strftime("%Y-%m-%d %H:%M").to_string(),
            cluster.distance_max.to_string(),
            known.join(", "),
            plain(&shortened(&cluster.signal)),
        ]);
    }
    table
}
