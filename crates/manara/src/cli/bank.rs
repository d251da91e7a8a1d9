//! `manara bank create|set|list|show|add|remove|import|export|enable|disable`; what is done to single
//! members, and the settings as flags, stand in `member.rs`.

use super::member::{BankFlags, MemberFlags, bank_words, member_words};
use super::radius::{self, GUARD_BYTES, GUARD_MEMBERS, Radius, Similar};
use super::{Data, Done, operator, say, say_json};
use crate::bankfile::{BadRow, BankFile, BankWriter, Format, More, ReadError, Row, Used};
use crate::clock;
use crate::console::text::plain;
use crate::recent::preview::Thought;
use crate::scan::report::counted;
use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use manara_model::{
    Author, Bank, BankMode, BankName, BankSettings, Exchange, Member, MemberId, MemberMode,
    MemberSettings, NewMember, Stance, Tag,
};
use manara_signal::{Signal, SignalType};
use manara_store::{Imported, Reader, Store, StoreError};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many bad rows are listed on stderr.
const BAD_SHOWN: u64 = 100;

/// Make, fill and change banks.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make an empty bank.
    #[command(
        after_long_help = "Examples:\n  manara bank create TVEC_IMAGES --description 'images agreed to be terrorist content'\n  manara bank create SAFE --vetoes TVEC_IMAGES --distance 16 --description 'pictures of the news that look alike'\n  manara bank create TRIAL --mode shadow --expires 30d"
    )]
    Create {
        #[command(flatten)]
        data: Data,
        /// Its name: ASCII letters, digits, `_`, `-` or `.`.
        name: BankName,
        /// What it holds and why.
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        flags: Box<BankFlags>,
    },
    /// Change how the members of a bank match; a running server follows within a second.
    #[command(
        after_long_help = "What is not given stays as it is.\n\nExamples:\n  manara bank set TVEC_IMAGES --distance 20 --dihedral off\n  manara bank set TVEC_IMAGES --mode live --enable-ratio 0.25\n  manara bank set SAFE --vetoes none --expires never --untag trial"
    )]
    Set {
        #[command(flatten)]
        data: Data,
        name: BankName,
        /// What it holds and why.
        #[arg(long)]
        description: Option<String>,
        #[command(flatten)]
        flags: Box<BankFlags>,
        #[command(flatten)]
        radius: Radius,
    },
    /// List banks.
    List {
        #[command(flatten)]
        data: Data,
        /// One object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show the members of a bank.
    #[command(after_long_help = "Example:\n  manara bank show TVEC_IMAGES --limit 10 --after 1200")]
    Show {
        #[command(flatten)]
        data: Data,
        name: BankName,
        /// Show at most so many.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
        /// Begin after this member.
        #[arg(long, value_name = "MEMBER_ID")]
        after: Option<i64>,
        /// Only those with this tag.
        #[arg(long)]
        tag: Option<Tag>,
        /// Only those in this mode.
        #[arg(long, value_name = "live|shadow|quarantine")]
        mode: Option<MemberMode>,
        /// Only those that came by this exchange.
        #[arg(long)]
        exchange: Option<Exchange>,
        /// One object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show one member: where it comes from, how it matches and did, what people hold of it.
    #[command(after_long_help = "Example:\n  manara bank member TVEC_IMAGES 1207")]
    Member {
        #[command(flatten)]
        data: Data,
        name: BankName,
        /// The member's number, as `manara bank show` prints it.
        member: i64,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Change how one member matches; a running server follows within a second.
    #[command(
        after_long_help = "What is not given stays as it is.\n\nExamples:\n  manara bank member-set TVEC_IMAGES 1207 --mode shadow --reason 'matches a news photo'\n  manara bank member-set TVEC_IMAGES 1207 --mode live --distance 12 --vouched on"
    )]
    MemberSet {
        #[command(flatten)]
        data: Data,
        name: BankName,
        /// The member's number, as `manara bank show` prints it.
        member: i64,
        #[command(flatten)]
        flags: MemberFlags,
        /// Why, for the member's history.
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        radius: Radius,
    },
    /// Find what many have uploaded of late in nearly the same form, known or not.
    #[command(
        after_long_help = "Example:\n  manara bank similar --unknown --min 5\n  manara bank add TVEC_IMAGES pdq <the hash of a cluster>"
    )]
    Similar(Similar),
    /// Say what you hold of a member: that it is what the bank is for, that it is not, or that it is
    /// worth looking into.
    #[command(
        after_long_help = "Example:\n  manara bank opinion TVEC_IMAGES 1207 negative_class --note 'the logo of a newspaper'"
    )]
    Opinion {
        #[command(flatten)]
        data: Data,
        name: BankName,
        /// The member's number, as `manara bank show` prints it.
        member: i64,
        /// What you hold: `positive_class`, `negative_class` or `investigation_seed`.
        stance: Stance,
        /// Why.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Add one member: a signal, or the signals of a file.
    #[command(
        after_long_help = "Examples:\n  manara bank add SLOGANS text 'rise under the grey banner' --note 'slogan of the Order'\n  manara bank add TVEC_IMAGES --file flag.png\n  manara bank add TVEC_IMAGES --file flag.png --mode shadow --distance 12 --expires 90d --exchange partners"
    )]
    Add(Add),
    /// Take a member out of a bank.
    Remove {
        #[command(flatten)]
        data: Data,
        name: BankName,
        /// The member's number, as `manara bank show` prints it.
        member: i64,
        /// Why, for the audit log.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Add the members in a CSV or NDJSON file: all of them, or none when a row is wrong.
    #[command(
        after_long_help = "The file has the columns (or fields) signal_type, signal and note, and where members are not to match as their bank says exchange, mode, distance, quality_min, expires_at, tags (separated by `;`, in NDJSON an array) and vouched. `-` reads stdin.\n\nExample:\n  manara bank import TVEC_IMAGES list.csv --create"
    )]
    Import(Import),
    /// Print the members of a bank as a file that `import` reads.
    #[command(after_long_help = "Example:\n  manara bank export SLOGANS > slogans.csv")]
    Export {
        #[command(flatten)]
        data: Data,
        name: BankName,
        #[arg(long, value_enum, default_value_t = Format::Csv)]
        format: Format,
    },
    /// Let a bank take part in matching again.
    Enable {
        #[command(flatten)]
        data: Data,
        name: BankName,
        #[command(flatten)]
        radius: Radius,
    },
    /// Take a bank out of matching, keeping its members.
    Disable {
        #[command(flatten)]
        data: Data,
        name: BankName,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl Switch {
    pub(crate) fn is_on(self) -> bool {
        self == Self::On
    }
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    #[command(flatten)]
    data: Data,
    name: BankName,
    /// The type of the signal: `sha256`, `md5`, `pdq`, `text`, `raw_text`, `similar_text`, `text_tlsh`, `url`,
    /// `url_prefix`, `domain`, `invite`, `wallet` or `name`.
    #[arg(
        value_name = "TYPE",
        required_unless_present = "file",
        requires = "value"
    )]
    signal_type: Option<SignalType>,
    /// The signal.
    value: Option<String>,
    /// Add the sha256 of this file and, when it is an image, its pdq.
    #[arg(long, conflicts_with = "signal_type")]
    file: Option<PathBuf>,
    /// Why it is in this bank, and where it comes from.
    #[arg(long, default_value = "")]
    note: String,
    /// The hash exchange it came by.
    #[arg(long, value_name = "NAME")]
    exchange: Option<Exchange>,
    #[command(flatten)]
    flags: MemberFlags,
    #[command(flatten)]
    radius: Radius,
    /// Print what was added as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    data: Data,
    name: BankName,
    /// The bank file: CSV or NDJSON, by its extension or else its content.
    file: PathBuf,
    /// Leave bad rows out, count them, and list them.
    #[arg(long)]
    skip_bad: bool,
    /// List every bad row in this file, one a line.
    #[arg(long, value_name = "FILE", requires = "skip_bad")]
    bad: Option<PathBuf>,
    /// Make the bank if it does not exist.
    #[arg(long)]
    create: bool,
    #[command(flatten)]
    radius: Radius,
    /// Print the result, and every bad row, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(verb: Verb) -> Result<Done> {
    match verb {
        Verb::Create {
            data,
            name,
            description,
            flags,
        } => create(&data, &name, description, &flags),
        Verb::List { data, json } => list(&data, json),
        Verb::Show {
            data,
            name,
            limit,
            after,
            tag,
            mode,
            exchange,
            json,
        } => {
            let filter = Filter {
                tag,
                mode,
                exchange,
            };
            show(&data, &name, after.map(MemberId), limit, &filter, json)
        }
        Verb::Member {
            data,
            name,
            member,
            json,
        } => super::member::show(&data, &name, MemberId(member), json),
        Verb::MemberSet {
            data,
            name,
            member,
            flags,
            reason,
            radius,
        } => super::member::change(&data, &name, MemberId(member), flags, reason, radius),
        Verb::Similar(arguments) => radius::run_similar(&arguments),
        Verb::Opinion {
            data,
            name,
            member,
            stance,
            note,
        } => super::member::opinion(&data, &name, MemberId(member), stance, note),
        Verb::Add(add) => self::add(add),
        Verb::Remove {
            data,
            name,
            member,
            reason,
        } => remove(&data, &name, MemberId(member), reason),
        Verb::Import(import) => self::import(&import),
        Verb::Export { data, name, format } => export(&data, &name, format),
        Verb::Set {
            data,
            name,
            description,
            flags,
            radius,
        } => set(&data, &name, description, *flags, radius),
        Verb::Enable { data, name, radius } => {
            let store = data.open()?;
            let bank = known(&store, &name)?;
            let counts = !bank.enabled && bank.settings.mode == BankMode::Live;
            let thought = Thought::Bank(bank.settings);
            match radius.check(&data, &store, &name, &thought, false, counts)? {
                Some(done) => Ok(done),
                None => set_enabled(&data, &name, true),
            }
        }
        Verb::Disable { data, name } => set_enabled(&data, &name, false),
    }
}

fn create(data: &Data, name: &BankName, description: String, flags: &BankFlags) -> Result<Done> {
    let now = clock::now();
    let mut settings = BankSettings::default();
    flags.apply(&mut settings, now);
    // Before the data directory is made.
    settings.check(name)?;
    let store = data.open_or_create()?;
    let wanted = name.clone();
    store.write_blocking(move |tx| {
        tx.create_bank(&wanted, &description, &settings, &operator(), now)
    })?;
    eprintln!("bank {name} is made; fill it with `manara bank add` or `manara bank import`");
    Ok(Done::Found)
}

fn list(data: &Data, json: bool) -> Result<Done> {
    let banks = data.open()?.read(Reader::banks)?;
    if json {
        banks.iter().try_for_each(say_json)?;
        return Ok(Done::Found);
    }
    if banks.is_empty() {
        eprintln!("no banks; make one with `manara bank create NAME`");
        return Ok(Done::Nothing);
    }
    let mut table = table([
        "bank",
        "members",
        "state",
        "settings",
        "created",
        "description",
    ]);
    for bank in &banks {
        let (members, created) = (
            HumanCount(bank.members).to_string(),
            bank.created_at.to_string(),
        );
        table.add_row([
            bank.name.as_str(),
            &members,
            state(bank),
            &bank_words(bank, &banks),
            &created,
            &plain(&bank.description),
        ]);
    }
    say(table)?;
    Ok(Done::Found)
}

fn state(bank: &Bank) -> &'static str {
    if bank.enabled { "enabled" } else { "disabled" }
}

/// Which images match a bank, and what else is not as in a new one.
fn reach(store: &Store, bank: &Bank) -> Result<String> {
    let distance = bank.settings.distance(SignalType::Pdq);
    let turned = if bank.settings.dihedral {
        "mirrored and turned ones too"
    } else {
        "mirrored and turned ones do not"
    };
    let words = bank_words(bank, &store.read(Reader::banks)?);
    let words = if words.is_empty() {
        words
    } else {
        format!(" ({words})")
    };
    Ok(format!(
        "images match it up to {distance} bits, {turned}{words}"
    ))
}

pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

#[derive(Serialize)]
struct Shown<'a> {
    id: MemberId,
    #[serde(flatten)]
    signal: &'a Signal,
    note: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange: Option<&'a Exchange>,
    added_by: &'a Author,
    added_at: jiff::Timestamp,
    #[serde(flatten)]
    settings: &'a MemberSettings,
}

/// Which members to show.
struct Filter {
    tag: Option<Tag>,
    mode: Option<MemberMode>,
    exchange: Option<Exchange>,
}

impl Filter {
    fn takes(&self, member: &Member) -> bool {
        let settings = &member.settings;
        let tagged = self
            .tag
            .as_ref()
            .is_none_or(|tag| settings.tags.contains(tag));
        let moded = self.mode.is_none_or(|mode| settings.mode == mode);
        let came = self.exchange.is_none() || member.exchange == self.exchange;
        tagged && moded && came
    }
}

/// Members that the filter takes, read a page at a time.
fn taken(
    reader: &Reader,
    name: &BankName,
    mut after: Option<MemberId>,
    limit: usize,
    filter: &Filter,
) -> Result<Vec<Member>, StoreError> {
    const PAGE: usize = 1000;
    let mut taken = Vec::new();
    while taken.len() < limit {
        let page = reader.members(name, after, PAGE)?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|member| member.id);
        let space = limit - taken.len();
        let wanted = page.into_iter().filter(|member| filter.takes(member));
        taken.extend(wanted.take(space));
        if is_last {
            break;
        }
    }
    Ok(taken)
}

fn show(
    data: &Data,
    name: &BankName,
    after: Option<MemberId>,
    limit: usize,
    filter: &Filter,
    json: bool,
) -> Result<Done> {
    let store = data.open()?;
    let bank = known(&store, name)?;
    let members = store.read(|r| taken(r, name, after, limit, filter))?;
    if json {
        for member in &members {
            say_json(&Shown {
                id: member.id,
                signal: &member.signal,
                note: &member.note,
                exchange: member.exchange.as_ref(),
                added_by: &member.added_by,
                added_at: member.added_at,
                settings: &member.settings,
            })?;
        }
    } else if !members.is_empty() {
        say(members_table(&members))?;
    }
    let members_of = HumanCount(bank.members);
    eprintln!(
        "bank {name} is {}, with {members_of} members, {} of them shown; {}",
        state(&bank),
        members.len(),
        reach(&store, &bank)?
    );
    if let Some(last) = members.last().filter(|_| members.len() == limit) {
        eprintln!("for the next ones: --after {}", last.id);
    }
    Ok(if members.is_empty() {
        Done::Nothing
    } else {
        Done::Found
    })
}

/// With a column for what is not as the bank says, if there is any.
fn members_table(members: &[Member]) -> Table {
    let words = |member: &Member| member_words(&member.settings, member.exchange.as_ref());
    let unusual = members.iter().any(|member| !words(member).is_empty());
    let mut table = table(["member", "type", "signal", "note", "added"]);
    if unusual {
        table.set_header(["member", "type", "signal", "note", "added", "settings"]);
    }
    for member in members {
        let mut row = vec![
            member.id.to_string(),
            member.signal.signal_type().to_string(),
            plain(&member.signal.encode()),
            plain(&member.note),
            member.added_at.to_string(),
        ];
        if unusual {
            row.push(words(member));
        }
        table.add_row(row);
    }
    table
}

#[derive(Serialize)]
struct Added<'a> {
    bank: &'a BankName,
    member: MemberId,
    /// Whether it is new.
    #[serde(rename = "added")]
    is_new: bool,
    #[serde(flatten)]
    signal: &'a Signal,
}

fn add(add: Add) -> Result<Done> {
    let Add {
        data,
        name,
        signal_type,
        value,
        file,
        note,
        exchange,
        flags,
        radius,
        json,
    } = add;
    flags.check()?;
    let now = clock::now();
    let mut settings = MemberSettings::default();
    flags.apply(&mut settings, now);
    let of_file = file.is_some();
    let signals = match (signal_type, value, file) {
        (_, _, Some(file)) => super::hash::signals_of_file(&file)?,
        (Some(signal_type), Some(value), None) => {
            vec![
                Signal::parse(signal_type, &value)
                    .map_err(|error| anyhow!("the signal: {error}"))?,
            ]
        }
        _ => bail!("give a signal type and a signal, or --file"),
    };
    let store = data.open()?;
    let in_bank = known(&store, &name)?;
    let all = signals.iter().map(|signal| NewMember {
        settings: settings.clone(),
        ..(signal.clone(), String::new()).into()
    });
    let thought = Thought::Add(all.collect());
    let counts = settings.mode == MemberMode::Live && in_bank.settings.mode == BankMode::Live;
    if let Some(done) = radius.check(&data, &store, &name, &thought, json, counts)? {
        return Ok(done);
    }
    for signal in signals {
        let mut settings = settings.clone();
        if of_file {
            // Of the signals of a file, only some have these settings.
            let ty = signal.signal_type();
            settings.distance.take_if(|_| ty.widest_distance() == 0);
            settings.quality_min.take_if(|_| ty != SignalType::Pdq);
        }
        let bank = name.clone();
        let wanted = NewMember {
            signal: signal.clone(),
            note: note.clone(),
            exchange: exchange.clone(),
            settings,
        };
        let (member, imported) =
            store.write_blocking(move |tx| tx.add_member(&bank, wanted, &operator(), now))?;
        let is_new = imported.added > 0;
        if json {
            say_json(&Added {
                bank: &name,
                member,
                is_new,
                signal: &signal,
            })?;
        } else {
            say(member)?;
            let state = if is_new { "is now" } else { "was already" };
            eprintln!(
                "{} {} {state} member {member} of {name}",
                signal.signal_type(),
                plain(&signal.encode())
            );
        }
    }
    Ok(Done::Found)
}

fn remove(data: &Data, name: &BankName, member: MemberId, reason: String) -> Result<Done> {
    let store = data.open()?;
    known(&store, name)?;
    let bank = name.clone();
    store.write_blocking(move |tx| {
        tx.remove_member(&bank, member, &reason, &operator(), clock::now())
    })?;
    eprintln!("member {member} is taken out of {name}; a running server follows within a second");
    Ok(Done::Found)
}

fn set(
    data: &Data,
    name: &BankName,
    description: Option<String>,
    flags: BankFlags,
    radius: Radius,
) -> Result<Done> {
    if flags.is_empty() && description.is_none() {
        bail!(
            "nothing to change: give a setting, such as --mode shadow; `manara bank set --help` lists them"
        );
    }
    let store = data.open()?;
    let before = known(&store, name)?;
    let mut settings = before.settings.clone();
    flags.apply(&mut settings, clock::now());
    settings.check(name)?;
    let counts = settings.mode == BankMode::Live && settings != before.settings;
    let thought = Thought::Bank(settings);
    if let Some(done) = radius.check(data, &store, name, &thought, false, counts)? {
        return Ok(done);
    }
    let bank = name.clone();
    let changed = store.write_blocking(move |tx| {
        let (by, now) = (operator(), clock::now());
        let change = |settings: &mut BankSettings| flags.apply(settings, now);
        let set = tx.set_bank(&bank, change, &by, now)?;
        match description {
            None => Ok(set),
            Some(description) => {
                let described = tx.set_bank_description(&bank, &description, &by, now)?;
                Ok(described.map(|changed| changed || *set.get()))
            }
        }
    })?;
    let bank = known(&store, name)?;
    let reach = reach(&store, &bank)?;
    if changed {
        eprintln!("bank {name} is set: {reach}; a running server follows within a second");
    } else {
        eprintln!("bank {name} was set so already: {reach}");
    }
    Ok(Done::Found)
}

fn set_enabled(data: &Data, name: &BankName, enabled: bool) -> Result<Done> {
    let store = data.open()?;
    known(&store, name)?;
    let bank = name.clone();
    let changed = store
        .write_blocking(move |tx| tx.set_bank_enabled(&bank, enabled, &operator(), clock::now()))?;
    let state = if enabled { "enabled" } else { "disabled" };
    if changed {
        eprintln!("bank {name} is {state}; a running server follows within a second");
    } else {
        eprintln!("bank {name} was {state} already");
    }
    Ok(Done::Found)
}

/// The bank, or an error that names the one that was probably meant.
pub(super) fn known(store: &Store, name: &BankName) -> Result<Bank> {
    let banks = store.read(Reader::banks)?;
    if let Some(bank) = banks.iter().find(|bank| bank.name == *name) {
        return Ok(bank.clone());
    }
    let lower = |name: &BankName| name.as_str().to_ascii_lowercase();
    let slips = |bank: &Bank| strsim::damerau_levenshtein(&lower(&bank.name), &lower(name));
    let near = banks.iter().map(|bank| (slips(bank), &bank.name)).min();
    match near {
        Some((slips, near)) if slips <= 1 + name.as_str().len() / 4 => {
            bail!("there is no bank {name}; did you mean `{near}`?")
        }
        _ => bail!("there is no bank {name}; make it with `manara bank create {name}`"),
    }
}

fn export(data: &Data, name: &BankName, format: Format) -> Result<Done> {
    let store = data.open()?;
    known(&store, name)?;
    // One snapshot for both passes, or a member added between them could need another header.
    let written = store.read(|r| {
        let mut used = Used::default();
        if format == Format::Csv {
            r.each_member(name, |member| {
                used.by(&More::from(&member));
                Ok(())
            })?;
        }
        write_members(r, name, format, &used)
    })?;
    written.context("writing to stdout")?;
    Ok(Done::Found)
}

/// The inner error is of the writing, the outer one of the reading.
fn write_members(
    reader: &Reader,
    name: &BankName,
    format: Format,
    used: &Used,
) -> Result<io::Result<()>, StoreError> {
    let out = BufWriter::new(io::stdout().lock());
    let mut writer = match BankWriter::new(out, format, used) {
        Ok(writer) => writer,
        Err(error) => return Ok(Err(error)),
    };
    let mut refused = None;
    let read = reader.each_member(name, |member| {
        let more = More::from(&member);
        let written = writer.row(&member.signal, &member.note, &more);
        written.map_err(|error| {
            let why = error.to_string();
            refused = Some(error);
            StoreError::Aborted(why)
        })
    });
    match refused {
        Some(error) => Ok(Err(error)),
        None => read.map(|()| writer.finish()),
    }
}

/// A bank file on disk, which is read twice.
struct Source {
    name: String,
    path: PathBuf,
    bytes: u64,
    /// Holds what came from a pipe for as long as it is needed.
    spooled: Option<tempfile::NamedTempFile>,
}

impl Source {
    fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        if path == Path::new("-") {
            return Self::spool("stdin".to_owned(), &mut io::stdin().lock());
        }
        let metadata = std::fs::metadata(path).with_context(|| format!("reading {name}"))?;
        if metadata.is_file() || metadata.is_dir() {
            return Ok(Self {
                name,
                path: path.to_owned(),
                bytes: metadata.len(),
                spooled: None,
            });
        }
        let mut pipe = File::open(path).with_context(|| format!("reading {name}"))?;
        Self::spool(name, &mut pipe)
    }

    fn spool(name: String, from: &mut dyn Read) -> Result<Self> {
        let mut file = tempfile::NamedTempFile::new().context("making a temporary file")?;
        let bytes = io::copy(from, &mut file).with_context(|| format!("reading {name}"))?;
        Ok(Self {
            name,
            path: file.path().to_owned(),
            bytes,
            spooled: Some(file),
        })
    }

    fn rows(&self) -> Result<BankFile> {
        if self.spooled.is_none() {
            return Ok(BankFile::open(&self.path)?);
        }
        let mut file = File::open(&self.path).context("reading back what came from the pipe")?;
        file.rewind()?;
        Ok(BankFile::from_reader(
            &self.name,
            None,
            Box::new(BufReader::new(file)),
        ))
    }
}

#[derive(Serialize)]
struct ImportedJson<'a> {
    bank: &'a BankName,
    added: u64,
    already: u64,
    bad: u64,
}

fn import(import: &Import) -> Result<Done> {
    let source = Source::open(&import.file)?;
    // Opening finds a directory or an unreadable file before anything is made.
    let rows = source.rows()?;
    let store = if import.create {
        import.data.open_or_create()?
    } else {
        import.data.open()?
    };
    let exists = store.read(|r| r.bank(&import.name))?.is_some();
    if !exists && !import.create {
        known(&store, &import.name)?;
    }
    let checked = check(rows, import, source.bytes)?;
    if exists && let Some(done) = look_ahead(&store, &source, import, checked.good)? {
        return Ok(done);
    }
    let imported = if checked.good == 0 {
        Imported::default()
    } else {
        write(&store, &source, import, exists, checked.good)?
    };
    if import.json {
        let Imported { added, already } = imported;
        say_json(&ImportedJson {
            bank: &import.name,
            added,
            already,
            bad: checked.bad,
        })?;
    }
    eprintln!("{}", summary(&import.name, imported, checked.bad));
    Ok(if checked.good == 0 {
        Done::Nothing
    } else {
        Done::Found
    })
}

/// Looks at what the members of a file would have matched, unless there are too many of them.
fn look_ahead(store: &Store, source: &Source, import: &Import, good: u64) -> Result<Option<Done>> {
    if good > GUARD_MEMBERS || source.bytes > GUARD_BYTES {
        eprintln!(
            "{} are too many to look up beforehand what they would have matched; members that match too much go into quarantine",
            counted(good, "member")
        );
        return Ok(None);
    }
    let rows = source.rows()?.filter_map(Result::ok).map(NewMember::from);
    let bank = known(store, &import.name)?;
    let counts = bank.settings.mode == BankMode::Live;
    let thought = Thought::Add(rows.collect());
    let radius = import.radius;
    radius.check(
        &import.data,
        store,
        &import.name,
        &thought,
        import.json,
        counts,
    )
}

fn summary(name: &BankName, imported: Imported, bad: u64) -> String {
    let mut parts = vec![format!(
        "{} added to {name}",
        counted(imported.added, "member")
    )];
    if imported.already > 0 {
        parts.push(format!("{} there already", HumanCount(imported.already)));
    }
    if bad > 0 {
        parts.push(format!("{} left out", counted(bad, "bad row")));
    }
    parts.join(", ")
}

/// Rows counted while checking.
#[derive(Default)]
struct Checked {
    good: u64,
    bad: u64,
}

/// The first pass: reads every row, so that a bad one is known before anything is written.
fn check(mut rows: BankFile, import: &Import, bytes: u64) -> Result<Checked> {
    let bar = bar(bytes, "checking   {wide_bar} {bytes}/{total_bytes} {eta}")?;
    let mut checked = Checked::default();
    let mut list = match &import.bad {
        Some(path) => Some(BufWriter::new(
            File::create(path).with_context(|| format!("writing {}", path.display()))?,
        )),
        None => None,
    };
    while let Some(row) = rows.next() {
        match row {
            Ok(_) => checked.good += 1,
            Err(ReadError::Row(bad)) if import.skip_bad => {
                checked.bad += 1;
                report(&bad, checked.bad, import.json, list.as_mut(), &bar)?;
            }
            Err(error @ ReadError::Row(_)) => {
                bar.finish_and_clear();
                bail!(
                    "{error}\nnothing was imported; --skip-bad imports the good rows and lists the bad ones"
                );
            }
            Err(error) => return Err(error.into()),
        }
        if (checked.good + checked.bad).is_multiple_of(4096) {
            bar.set_position(rows.bytes_read());
        }
    }
    if let Some(mut list) = list {
        list.flush().context("writing the list of bad rows")?;
    }
    bar.finish_and_clear();
    Ok(checked)
}

#[derive(Serialize)]
struct BadJson<'a> {
    file: &'a str,
    line: u64,
    column: u64,
    problem: &'a str,
    hint: &'a str,
}

/// Lists a bad row: on stdout as JSON, in the file that was asked for, and the first ones on stderr.
fn report(
    bad: &BadRow,
    count: u64,
    json: bool,
    list: Option<&mut BufWriter<File>>,
    bar: &ProgressBar,
) -> Result<()> {
    if json {
        let BadRow {
            file,
            line,
            column,
            problem,
            hint,
        } = bad;
        say_json(&BadJson {
            file,
            line: *line,
            column: *column,
            problem,
            hint,
        })?;
    }
    if let Some(list) = list {
        writeln!(list, "{}", bad.in_one_line()).context("writing the list of bad rows")?;
    }
    if count <= BAD_SHOWN {
        bar.suspend(|| eprintln!("left out: {}", bad.in_one_line()));
    } else if count == BAD_SHOWN + 1 {
        bar.suspend(|| eprintln!("left out: more than these; --bad FILE or --json lists them all"));
    }
    Ok(())
}

/// The second pass: everything in one transaction.
fn write(
    store: &Store,
    source: &Source,
    import: &Import,
    exists: bool,
    expected: u64,
) -> Result<Imported> {
    let bar = bar(
        expected,
        "importing  {wide_bar} {human_pos}/{human_len} {eta}",
    )?;
    let rows = source.rows()?;
    let (name, skip_bad, told, by) = (
        import.name.clone(),
        import.skip_bad,
        bar.clone(),
        operator(),
    );
    let from = source.name.clone();
    let imported = store.write_blocking(move |tx| {
        if !exists {
            let description = format!("imported from {from}");
            let settings = BankSettings::default();
            let _made = tx.create_bank(&name, &description, &settings, &by, clock::now())?;
        }
        let rows = rows.filter_map(|row| given(row, skip_bad));
        let done = tx.import(&name, rows, &by, clock::now(), |rows| {
            told.set_position(rows);
        })?;
        let Imported { added, already } = *done.get();
        if added + already == expected {
            Ok(done)
        } else {
            Err(StoreError::Aborted(format!(
                "{from} changed while it was read; nothing was imported"
            )))
        }
    });
    bar.finish_and_clear();
    imported.map_err(|error| anyhow!("{error}"))
}

fn given(row: Result<Row, ReadError>, skip_bad: bool) -> Option<Result<NewMember, StoreError>> {
    match row {
        Ok(row) => Some(Ok(row.into())),
        Err(ReadError::Row(_)) if skip_bad => None,
        Err(error) => Some(Err(StoreError::Aborted(error.to_string()))),
    }
}

/// A progress bar, drawn only on a terminal.
fn bar(length: u64, template: &str) -> Result<ProgressBar> {
    let bar = ProgressBar::new(length);
    bar.set_style(ProgressStyle::with_template(template).context("progress bar")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    Ok(bar)
}
