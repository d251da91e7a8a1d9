//! Similar uploads: clusters of near-identical uploads among what was recently seen, those that no
//! bank knows first.

use super::add_member::form_href;
use super::radius::{SampleView, unit};
use super::{ConsoleState, Page};
use crate::console::Error;
use crate::console::session::Session;
use crate::console::shell::{Here, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::{Count, When, span};
use crate::recent::preview::Sample;
use askama::Template;
use axum::extract::State;
use jiff::Timestamp;
use manara_model::{BankName, MemberId};
use manara_signal::SignalType;

/// Longest address of a prefilled form; what is longer goes in the form itself.
const HREF_MAX: usize = 2_000;
/// Longest excerpt of a signal, in characters.
const EXCERPT_CHARACTERS: usize = 200;

/// Uploads that are nearly the same.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SimilarCluster {
    /// What kind of signal they are near to each other by.
    pub(crate) signal_type: SignalType,
    /// One of them, which can be put into a bank.
    pub(crate) signal: String,
    /// How many uploads.
    pub(crate) size: usize,
    /// By how many accounts.
    pub(crate) accounts: usize,
    /// When the first came.
    pub(crate) first: Timestamp,
    /// When the newest came.
    pub(crate) last: Timestamp,
    /// How far the farthest is from the one given, in the type's unit.
    pub(crate) distance_max: u32,
    /// The members of banks that some of them match.
    pub(crate) known: Vec<(BankName, MemberId)>,
    /// Some of them, the newest first.
    pub(crate) samples: Vec<Sample>,
}

#[derive(Template)]
#[template(path = "similar.html")]
struct SimilarPage {
    shell: Shell,
    csrf: String,
    clusters: Vec<ClusterView>,
    unknown: usize,
    days: u32,
}

struct ClusterView {
    number: usize,
    signal_type: &'static str,
    is_hash: bool,
    excerpt: Html,
    size: Count,
    accounts: Count,
    first: When,
    last: When,
    within: String,
    distance: Option<String>,
    known: Vec<(String, MemberId)>,
    /// Where the form for a member is, prefilled.
    href: Option<String>,
    /// Otherwise what goes into it.
    signal: String,
    samples: Vec<SampleView>,
}

/// `GET /similar`
pub(in crate::console) async fn show(State(state): State<ConsoleState>, session: Session) -> Page {
    let turn = state.0.looking.acquire().await;
    let similar = std::sync::Arc::clone(&state.0.options.similar);
    let found = tokio::task::spawn_blocking(move || similar()).await;
    drop(turn);
    let found = found.map_err(|error| Error::Internal(format!("similar uploads: {error}")))?;
    let mut found =
        found.map_err(|error| Error::Internal(format!("similar uploads: {error:#}")))?;
    // The sort is stable, so that the largest stay first among both.
    found.sort_by_key(|cluster| !cluster.known.is_empty());
    let unknown = found
        .iter()
        .filter(|cluster| cluster.known.is_empty())
        .count();
    let days = state.0.options.recent.days;
    let reading = state.clone();
    let shell = move |reader: &manara_store::Reader| {
        let shell = Shell::new(&reading, reader, &session, Here::Similar, "Similar uploads")?;
        Ok((shell, session.csrf))
    };
    let (shell, csrf) = state.read(shell).await?;
    page(&SimilarPage {
        shell,
        csrf,
        clusters: found.iter().zip(1..).map(view).collect(),
        unknown,
        days,
    })
}

fn view((cluster, number): (&SimilarCluster, usize)) -> ClusterView {
    let signal_type = cluster.signal_type;
    let href = form_href(None, signal_type, &cluster.signal);
    // Texts are gathered by their pieces, whatever they are put into a bank as.
    let unit = match signal_type {
        SignalType::RawText => unit(SignalType::SimilarText),
        other => unit(other),
    };
    ClusterView {
        number,
        signal_type: signal_type.name(),
        is_hash: matches!(
            signal_type,
            SignalType::Pdq | SignalType::Md5 | SignalType::Sha256
        ),
        excerpt: text::excerpt(&cluster.signal, &[], EXCERPT_CHARACTERS),
        size: Count(cluster.size as u64),
        accounts: Count(cluster.accounts as u64),
        first: When::exact(cluster.first),
        last: When::exact(cluster.last),
        within: span(cluster.last.duration_since(cluster.first)),
        distance: (cluster.distance_max > 0)
            .then(|| format!("up to {} {unit} apart", cluster.distance_max)),
        known: cluster
            .known
            .iter()
            .map(|(bank, id)| (bank.to_string(), *id))
            .collect(),
        href: (href.len() <= HREF_MAX).then_some(href),
        signal: cluster.signal.clone(),
        samples: cluster.samples.iter().map(SampleView::from).collect(),
    }
}
