//! `manara bank create|set|list|show|add|remove|import|export|enable|disable`.

use super::{Data, Done, operator, say, say_json};
use crate::bankfile::{BadRow, BankFile, BankWriter, Format, ReadError, Row};
use crate::clock;
use crate::console::text::plain;
use crate::scan::report::counted;
use anyhow::{Context, Result, anyhow, bail};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use manara_model::{Bank, BankName, Member, MemberId};
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
        after_long_help = "Example:\n  manara bank create TVEC_IMAGES --description 'images agreed to be terrorist content'"
    )]
    Create {
        #[command(flatten)]
        data: Data,
        /// Its name: ASCII letters, digits, `_`, `-` or `.`.
        name: BankName,
        /// What it holds and why.
        #[arg(long, default_value = "")]
        description: String,
        /// In how many of 256 bits an image may differ from a member and still match.
        #[arg(long, value_name = "BITS", default_value_t = 31, value_parser = distance())]
        distance: u32,
        /// Whether an image also matches when it is mirrored or turned.
        #[arg(long, value_name = "ON|OFF", value_enum, default_value_t = Switch::On)]
        dihedral: Switch,
    },
    /// Change how the images of a bank match; a running server follows within a second.
    #[command(
        group = ArgGroup::new("setting").required(true).multiple(true).args(["distance", "dihedral"]),
        after_long_help = "Example:\n  manara bank set TVEC_IMAGES --distance 20 --dihedral off"
    )]
    Set {
        #[command(flatten)]
        data: Data,
        name: BankName,
        /// In how many of 256 bits an image may differ from a member and still match.
        #[arg(long, value_name = "BITS", value_parser = distance())]
        distance: Option<u32>,
        /// Whether an image also matches when it is mirrored or turned.
        #[arg(long, value_name = "ON|OFF", value_enum)]
        dihedral: Option<Switch>,
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
        /// One object a line.
        #[arg(long)]
        json: bool,
    },
    /// Add one member: a signal, or the signals of a file.
    #[command(
        after_long_help = "Examples:\n  manara bank add SLOGANS text 'rise under the grey banner' --note 'slogan of the Order'\n  manara bank add TVEC_IMAGES --file flag.png"
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
        after_long_help = "The file has the columns (or fields) signal_type, signal and note; `-` reads stdin.\n\nExample:\n  manara bank import TVEC_IMAGES list.csv --create"
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

#[derive(Debug, Args)]
pub(crate) struct Add {
    #[command(flatten)]
    data: Data,
    name: BankName,
    /// The type of the signal: sha256, md5, pdq, text or url.
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
            distance,
            dihedral,
        } => create(&data, &name, description, distance, dihedral == Switch::On),
        Verb::List { data, json } => list(&data, json),
        Verb::Show {
            data,
            name,
            limit,
            after,
            json,
        } => show(&data, &name, after.map(MemberId), limit, json),
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
            distance,
            dihedral,
        } => set(&data, &name, distance, dihedral.map(|it| it == Switch::On)),
        Verb::Enable { data, name } => set_enabled(&data, &name, true),
        Verb::Disable { data, name } => set_enabled(&data, &name, false),
    }
}

fn distance() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(..=i64::from(31))
}

fn create(
    data: &Data,
    name: &BankName,
    description: String,
    distance: u32,
    dihedral: bool,
) -> Result<Done> {
    let store = data.open_or_create()?;
    let wanted = name.clone();
    store.write_blocking(move |tx| {
        let (by, now) = (operator(), clock::now());
        let mut settings = manara_model::BankSettings {
            dihedral,
            ..Default::default()
        };
        settings.distance.insert(SignalType::Pdq, distance);
        tx.create_bank(&wanted, &description, &settings, &by, now)
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
        "distance",
        "dihedral",
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
            &bank.settings.distance(SignalType::Pdq).to_string(),
            if bank.settings.dihedral { "on" } else { "off" },
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

/// Which images match a bank.
fn reach(distance: u32, dihedral: bool) -> String {
    let turned = if dihedral {
        "mirrored and turned ones too"
    } else {
        "mirrored and turned ones do not"
    };
    format!("images match it up to {distance} bits, {turned}")
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
    added_at: jiff::Timestamp,
}

fn show(
    data: &Data,
    name: &BankName,
    after: Option<MemberId>,
    limit: usize,
    json: bool,
) -> Result<Done> {
    let store = data.open()?;
    let bank = known(&store, name)?;
    let members = store.read(|r| r.members(name, after, limit))?;
    if json {
        for Member {
            id,
            signal,
            note,
            added_at,
            ..
        } in &members
        {
            say_json(&Shown {
                id: *id,
                signal,
                note,
                added_at: *added_at,
            })?;
        }
    } else if !members.is_empty() {
        let mut table = table(["member", "type", "signal", "note", "added"]);
        for Member {
            id,
            signal,
            note,
            added_at,
            ..
        } in &members
        {
            let (id, value, added) = (
                id.to_string(),
                plain(&signal.encode()),
                added_at.to_string(),
            );
            table.add_row([
                &id,
                signal.signal_type().name(),
                &value,
                &plain(note),
                &added,
            ]);
        }
        say(table)?;
    }
    let members_of = HumanCount(bank.members);
    eprintln!(
        "bank {name} is {}, with {members_of} members, {} of them shown; {}",
        state(&bank),
        members.len(),
        reach(
            bank.settings.distance(SignalType::Pdq),
            bank.settings.dihedral
        )
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
        json,
    } = add;
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
    known(&store, &name)?;
    for signal in signals {
        let (bank, wanted, note) = (name.clone(), signal.clone(), note.clone());
        let (member, imported) = store.write_blocking(move |tx| {
            tx.add_member(&bank, (wanted, note).into(), &operator(), clock::now())
        })?;
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
    distance: Option<u32>,
    dihedral: Option<bool>,
) -> Result<Done> {
    let store = data.open()?;
    known(&store, name)?;
    let bank = name.clone();
    let changed = store.write_blocking(move |tx| {
        let (by, now) = (operator(), clock::now());
        let nearer = distance.map(|it| {
            tx.set_bank(
                &bank,
                |s| {
                    s.distance.insert(SignalType::Pdq, it);
                },
                &by,
                now,
            )
        });
        let turned = dihedral.map(|it| tx.set_bank(&bank, |s| s.dihedral = it, &by, now));
        match (nearer.transpose()?, turned.transpose()?) {
            (Some(one), Some(two)) => Ok(one.map(|changed| changed || *two.get())),
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => Err(StoreError::Aborted(
                "give --distance or --dihedral".to_owned(),
            )),
        }
    })?;
    let bank = known(&store, name)?;
    let reach = reach(
        bank.settings.distance(SignalType::Pdq),
        bank.settings.dihedral,
    );
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
fn known(store: &Store, name: &BankName) -> Result<Bank> {
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
    let mut writer = BankWriter::new(BufWriter::new(io::stdout().lock()), format)
        .context("writing to stdout")?;
    let mut refused = None;
    let read = store.read(|r| {
        r.each_member(name, |member| {
            writer.row(&member.signal, &member.note).map_err(|error| {
                let why = error.to_string();
                refused = Some(error);
                StoreError::Aborted(why)
            })
        })
    });
    if let Some(error) = refused {
        return Err(error).context("writing to stdout");
    }
    read?;
    writer.finish().context("writing to stdout")?;
    Ok(Done::Found)
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
            let _made =
                tx.create_bank(&name, &description, &Default::default(), &by, clock::now())?;
        }
        let rows = rows
            .filter_map(|row| given(row, skip_bad))
            .map(|r| r.map(Into::into));
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

fn given(
    row: Result<Row, ReadError>,
    skip_bad: bool,
) -> Option<Result<(Signal, String), StoreError>> {
    match row {
        Ok(Row { signal, note, .. }) => Some(Ok((signal, note))),
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
