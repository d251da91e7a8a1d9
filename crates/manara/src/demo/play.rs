//! Plays the day: a throwaway server, the events over its public API, and an honest table.
//!
//! ```text
//! world ─ events ─▶ POST /api/v1/events ─▶ answers ─▶ score
//!                        │                              │
//!                        └─▶ webhooks ─▶ ledger ────────┴─▶ was anything lost or doubled?
//! ```
//! Everything goes through the public HTTP API of a real server in a temporary directory.

use super::ledger::Ledger;
use super::score::Score;
use super::world::{Planned, World};
use crate::cli::{self, Done, say, say_json};
use crate::config::{Config, Webhook};
use crate::data_dir::DataDir;
use crate::server::{self, Running};
use crate::{clock, console};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use manara_model::{Author, BankName, BankSettings, NewMember};
use manara_signal::Signal;
use manara_store::Store;
use reqwest::Client;
use rust_embed::RustEmbed;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Events sent in one request.
const BATCH: usize = 25;
/// Requests under way at once.
const CONCURRENT: usize = 4;
/// About how many events are sent a second time at the end, to see that nothing is done twice.
const REPEATED: usize = 500;
/// How long the webhooks may take after the last event.
const DELIVERY: Duration = Duration::from_secs(60);

/// Play a day on an invented platform through a throwaway server, and count what was found.
#[derive(Debug, Args)]
#[command(
    after_long_help = "The world is generated: drawn images, made-up slogans of an invented group. The table shows what this\nserver does with them; it is not evidence of accuracy on real content."
)]
pub(crate) struct Arguments {
    /// Stop after the table instead of leaving the console open. Exit code 0 only if nothing was lost.
    #[arg(long)]
    exit: bool,
    /// Another day: any number.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Where the server listens; port 0 chooses a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    listen: String,
    /// The table as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(RustEmbed)]
#[folder = "../../examples/demo"]
#[include = "*.rules"]
struct Rules;

pub(crate) fn run(arguments: &Arguments) -> Result<Done> {
    cli::block_on(play(arguments))
}

async fn play(arguments: &Arguments) -> Result<Done> {
    let drawing = spinner("drawing the day");
    let (seed, day_end) = (arguments.seed, clock::now());
    let world = tokio::task::spawn_blocking(move || World::new(seed, day_end))
        .await
        .context("drawing the day")??;
    drawing.finish_and_clear();

    let temporary = tempfile::Builder::new()
        .prefix("manara-demo-")
        .tempdir()
        .context("making a temporary directory")?;
    let ledger = Ledger::start().await?;
    let (data, banks) = (temporary.path().to_owned(), world.banks);
    let bank_count = banks.len();
    let login = tokio::task::spawn_blocking(move || prepare(&data, banks))
        .await
        .context("preparing the server")??;
    let (mut running, key) = serve(temporary.path(), &arguments.listen, &ledger).await?;
    running.ready().await?;
    let events = Arc::new(world.events);
    eprintln!(
        "a server is running at http://{} with {bank_count} banks; {} events follow",
        running.address,
        events.len()
    );

    let player = Arc::new(Player {
        client: Client::builder()
            .no_proxy()
            .build()
            .context("preparing the client")?,
        url: format!("http://{}/api/v1/events", running.address),
        key,
    });
    let started = Instant::now();
    let score = send_all(&player, &events).await?;
    let took = started.elapsed();
    let mut losses: Vec<String> = score.notes().to_vec();
    losses.extend(repeat(&player, &events).await?);
    losses.extend(settle(&running.shared.store, &ledger, &events).await?);
    let lost = !losses.is_empty() || !score.nothing_lost();

    report(arguments, &score, &losses, took, &ledger)?;
    if !arguments.exit {
        say(format_args!(
            "\nThe console is open at http://{}/  (login {}, password {})\nStop with Ctrl-C; everything is thrown away.",
            running.address, login.0, login.1
        ))?;
        tokio::signal::ctrl_c()
            .await
            .context("waiting for Ctrl-C")?;
    }
    running.stop().await?;
    Ok(if lost { Done::Nothing } else { Done::Found })
}

/// Fills a fresh data directory: banks, rules, a reviewer.
fn prepare(path: &Path, banks: Vec<super::world::BankPlan>) -> Result<(String, String)> {
    let dir = DataDir::open_or_create(path)?;
    std::fs::create_dir_all(dir.rules())?;
    for name in Rules::iter() {
        let file = Rules::get(&name).with_context(|| format!("the embedded rule file {name}"))?;
        std::fs::write(dir.rules().join(name.as_ref()), file.data)?;
    }
    let store = crate::open_store(&dir, &Config::default())?;
    for bank in banks {
        let name: BankName = bank.name.parse().map_err(anyhow::Error::msg)?;
        let parsed: Result<Vec<NewMember>> = bank
            .members
            .into_iter()
            .map(|m| {
                Ok(NewMember {
                    settings: m.settings(),
                    ..(Signal::parse(m.signal_type, &m.value)?, m.note).into()
                })
            })
            .collect();
        let members = parsed.with_context(|| format!("the members of bank {name}"))?;
        let description = bank.description;
        store.write_blocking(move |tx| {
            let (settings, now) = (BankSettings::default(), clock::now());
            tx.create_bank_with(&name, description, &settings, members, &Author::System, now)
        })?;
    }
    let password = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(clock::random::<12>());
    let reviewer = console::new_reviewer(
        "noor",
        &password,
        manara_store::Role::Admin,
        clock::random::<16>(),
    )
    .map_err(|e| anyhow::anyhow!("{e}"))?;
    store.write_blocking(move |tx| tx.create_reviewer(&reviewer, &Author::System, clock::now()))?;
    store.close_blocking()?;
    Ok(("noor".into(), password))
}

async fn serve(data: &Path, listen: &str, ledger: &Ledger) -> Result<(Running, String)> {
    let key = hex::encode(clock::random::<24>());
    let config = Config {
        listen: listen.to_owned(),
        webhooks: vec![Webhook {
            name: "forum".into(),
            url: ledger.url.clone(),
            secret: ledger.secret.clone(),
        }],
        ..Config::default()
    };
    let options = server::Options {
        data: data.to_owned(),
        config,
        api_key: Some(key.clone()),
    };
    Ok((server::start(options).await?, key))
}

/// Sends events as a platform would.
struct Player {
    client: Client,
    url: String,
    key: String,
}

impl Player {
    async fn send(&self, events: &[Planned]) -> Result<Vec<Value>> {
        let body = format!(
            "[{}]",
            events
                .iter()
                .map(|e| e.json.as_str())
                .collect::<Vec<_>>()
                .join(",")
        );
        let request = self
            .client
            .post(&self.url)
            .bearer_auth(&self.key)
            .header("content-type", "application/json");
        let response = request.body(body).send().await.context("sending events")?;
        let status = response.status();
        let text = response.text().await.context("reading the answers")?;
        ensure!(status.is_success(), "the server answered {status}: {text}");
        let answers: Vec<Value> =
            serde_json::from_str(&text).context("the answers are not JSON")?;
        ensure!(
            answers.len() == events.len(),
            "{} answers to {} events",
            answers.len(),
            events.len()
        );
        Ok(answers)
    }
}

/// Plays the day with live counts; what was not answered is scored as lost.
async fn send_all(player: &Arc<Player>, events: &Arc<Vec<Planned>>) -> Result<Score> {
    let bar = ProgressBar::new(events.len() as u64);
    bar.set_style(
        ProgressStyle::with_template("{wide_bar} {pos}/{len} events\n{msg}")
            .context("progress bar")?,
    );
    let started = Instant::now();
    let mut score = Score::default();
    let mut under_way: JoinSet<(usize, usize, Result<Vec<Value>>)> = JoinSet::new();
    let mut batches = (0..events.len()).step_by(BATCH);
    loop {
        while under_way.len() < CONCURRENT {
            let Some(from) = batches.next() else { break };
            let to = events.len().min(from + BATCH);
            let (player, events) = (Arc::clone(player), Arc::clone(events));
            under_way.spawn(async move {
                let answers = player.send(events.get(from..to).unwrap_or_default()).await;
                (from, to, answers)
            });
        }
        let Some(done) = under_way.join_next().await else {
            break;
        };
        let (from, to, answers) = done.context("playing the day")?;
        let batch = events.get(from..to).unwrap_or_default();
        match answers {
            Ok(answers) => batch.iter().zip(&answers).for_each(|(planned, answer)| {
                score.add(planned, answer);
            }),
            Err(error) => batch.iter().for_each(|planned| {
                score.lost(planned, &format!("{error:#}"));
            }),
        }
        bar.inc(batch.len() as u64);
        bar.set_message(score.line(events.len(), started.elapsed()));
    }
    bar.finish_and_clear();
    Ok(score)
}

/// Sends some events again: each must be answered as before and done once.
async fn repeat(player: &Player, events: &[Planned]) -> Result<Vec<String>> {
    let mut losses = Vec::new();
    let step = (events.len() / REPEATED).max(1);
    let sample: Vec<Planned> = events.iter().step_by(step).cloned().collect();
    for batch in sample.chunks(BATCH) {
        for (planned, answer) in batch.iter().zip(player.send(batch).await?) {
            if answer.get("duplicate") != Some(&Value::Bool(true)) {
                losses.push(format!(
                    "sent again, not recognised: {} answered {answer}",
                    planned.id
                ));
            }
        }
    }
    Ok(losses)
}

/// Waits for the webhooks, then compares what was kept, asked for and delivered.
async fn settle(store: &Store, ledger: &Ledger, events: &[Planned]) -> Result<Vec<String>> {
    let deadline = Instant::now() + DELIVERY;
    let waiting = spinner("waiting for the webhooks");
    let totals = loop {
        let totals = store.read(|reader| reader.totals())?;
        if totals.outbox_pending == 0 || Instant::now() > deadline {
            break totals;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    waiting.finish_and_clear();
    let mut losses = Vec::new();
    if totals.events != events.len() as u64 {
        losses.push(format!(
            "{} events were sent and {} are kept",
            events.len(),
            totals.events
        ));
    }
    if totals.outbox_pending + totals.outbox_dead > 0 {
        losses.push(format!(
            "{} actions were not delivered, {} are dead",
            totals.outbox_pending, totals.outbox_dead
        ));
    }
    losses.extend(ledger.problems(totals.outbox_delivered));
    let verifying = spinner("verifying the audit log");
    let store = store.clone();
    let verified = tokio::task::spawn_blocking(move || store.verify(&mut |_, _| {}))
        .await
        .context("verifying")??;
    verifying.finish_and_clear();
    losses.extend(verified.findings.iter().map(|f| format!("audit: {f}")));
    Ok(losses)
}

fn report(
    arguments: &Arguments,
    score: &Score,
    losses: &[String],
    took: Duration,
    ledger: &Ledger,
) -> Result<()> {
    if arguments.json {
        let mut report = score.to_json();
        if let Some(object) = report.as_object_mut() {
            object.insert("seconds".into(), took.as_secs_f64().into());
            object.insert("delivered".into(), ledger.delivered().into());
            object.insert("losses".into(), losses.into());
        }
        return say_json(&report);
    }
    say(score.table())?;
    say(format_args!(
        "played in {:.1} s; {} actions delivered by signed webhook",
        took.as_secs_f64(),
        ledger.delivered()
    ))?;
    for loss in losses {
        say(format_args!("LOST  {loss}"))?;
    }
    if losses.is_empty() {
        say(
            "Nothing was lost: every event is kept, every action arrived once, what was sent twice was done once, and the audit log agrees with the database.",
        )?;
    }
    Ok(())
}

fn spinner(message: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(message);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
