//! The front page: how much there is of everything, and what needs somebody.

use super::{ConsoleState, Page, PageQuery};
use crate::console::session::Session;
use crate::console::shell::{Here, Notice, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{Bar, Count, When, counted};
use askama::Template;
use axum::extract::{Query, State};
use jiff::Timestamp;
use manara_model::{Bank, RuleMode};
use manara_store::{QueueSummary, Reader, StoreError, Totals};

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    shell: Shell,
    headline: String,
    stats: Vec<Stat>,
    rule_problems: Vec<String>,
    queues: Vec<QueueRow>,
    actions: Vec<ActionRow>,
    banks: Vec<BankRow>,
    leaves: Count,
    checkpoint: String,
}

struct Stat {
    href: &'static str,
    what: &'static str,
    figure: Count,
    more: String,
    alarm: bool,
}

struct QueueRow {
    name: String,
    open: Count,
    claimed: Count,
    oldest: Option<When>,
    bar: Bar,
}

struct ActionRow {
    name: String,
    count: Count,
    bar: Bar,
}

struct BankRow {
    name: String,
    description: Option<Html>,
    members: Count,
    enabled: bool,
}

/// `GET /`
pub(in crate::console) async fn show(
    State(state): State<ConsoleState>,
    session: Session,
    Query(query): Query<PageQuery>,
) -> Page {
    let reading = state.clone();
    let overview = state
        .read(move |reader| Ok(read(&reading, reader, &session, query.done.as_deref())?))
        .await?;
    page(&overview)
}

fn read(
    state: &ConsoleState,
    reader: &Reader,
    session: &Session,
    done: Option<&str>,
) -> Result<Overview, StoreError> {
    let now = state.now();
    let extra = state.overview();
    let totals = reader.totals()?;
    let queues = reader.queues()?;
    let checkpoint = reader.last_checkpoint()?;
    let shadow = extra
        .rules()
        .iter()
        .filter(|rule| rule.mode == RuleMode::Shadow)
        .count() as u64;
    let live = extra.rules().len() as u64 - shadow;
    Ok(Overview {
        shell: Shell::new(state, reader, session, Here::Overview, "Overview")?
            .with(Notice::of(done)),
        headline: headline(&queues, now),
        stats: stats(&totals, live, shadow, extra.rule_problems.len()),
        rule_problems: extra.rule_problems,
        queues: queue_rows(&queues, now),
        actions: action_rows(&totals),
        banks: reader.banks()?.iter().map(bank_row).collect(),
        leaves: Count(totals.leaves),
        checkpoint: checkpoint
            .as_deref()
            .and_then(super::audit::size_of)
            .map_or_else(
                || "none yet".to_owned(),
                |size| format!("over {}", counted(size, "leaf", "leaves")),
            ),
    })
}

fn headline(queues: &[QueueSummary], now: Timestamp) -> String {
    let open: u64 = queues.iter().map(|queue| queue.open).sum();
    let oldest = queues.iter().filter_map(|queue| queue.oldest).min();
    match oldest {
        None => "No case waits for a person.".to_owned(),
        Some(oldest) => {
            let wait = super::parts::wait(oldest, now);
            let verb = if open == 1 { "waits" } else { "wait" };
            format!(
                "{} {verb} for a person, the oldest for {wait}.",
                counted(open, "case", "cases")
            )
        }
    }
}

fn stats(totals: &Totals, live: u64, shadow: u64, problems: usize) -> Vec<Stat> {
    let stat = |href, what, figure, more| Stat {
        href,
        what,
        figure: Count(figure),
        more,
        alarm: false,
    };
    let refused = problems > 0;
    let rules = match problems {
        0 => format!("live, {shadow} in shadow"),
        _ => format!("live, {shadow} in shadow; the files do not check"),
    };
    vec![
        stat(
            "/queues",
            "Cases waiting",
            totals.open_cases,
            format!("{} claimed", Count(totals.claimed_cases)),
        ),
        stat(
            "/events/conflicts",
            "Events",
            totals.events,
            format!("{} conflicting", Count(totals.conflicts)),
        ),
        stat(
            "/queues",
            "With a verdict",
            totals.decisions_with_verdicts,
            format!("events; {} cases judged", Count(totals.judgements)),
        ),
        stat(
            "/dead-letters",
            "Actions under way",
            totals.outbox_pending,
            format!("{} delivered", Count(totals.outbox_delivered)),
        ),
        Stat {
            alarm: totals.outbox_dead > 0,
            ..stat(
                "/dead-letters",
                "Dead letters",
                totals.outbox_dead,
                "given up by delivery".into(),
            )
        },
        Stat {
            alarm: refused,
            ..stat("/rules", "Rules", live, rules)
        },
    ]
}

fn queue_rows(queues: &[QueueSummary], now: Timestamp) -> Vec<QueueRow> {
    let whole = queues
        .iter()
        .map(|queue| queue.open + queue.claimed)
        .max()
        .unwrap_or(0);
    let row = |queue: &QueueSummary| QueueRow {
        name: queue.queue.to_string(),
        open: Count(queue.open),
        claimed: Count(queue.claimed),
        oldest: queue.oldest.map(|at| When::ago(at, now)),
        bar: Bar {
            first: queue.open,
            second: queue.claimed,
            whole,
        },
    };
    queues.iter().map(row).collect()
}

fn action_rows(totals: &Totals) -> Vec<ActionRow> {
    let whole = totals.actions.values().copied().max().unwrap_or(0);
    let mut actions: Vec<_> = totals.actions.iter().collect();
    actions.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    let row = |(name, count): (&String, &u64)| ActionRow {
        name: name.clone(),
        count: Count(*count),
        bar: Bar {
            first: *count,
            second: 0,
            whole,
        },
    };
    actions.into_iter().map(row).collect()
}

fn bank_row(bank: &Bank) -> BankRow {
    BankRow {
        name: bank.name.to_string(),
        description: (!bank.description.is_empty()).then(|| text::inline(&bank.description)),
        members: Count(bank.members),
        enabled: bank.enabled,
    }
}
