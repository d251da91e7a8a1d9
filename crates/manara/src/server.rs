//! `manara serve`: takes the lock, opens the store, loads banks and rules, and listens.
//!
//! ```text
//! lock ─ store ─ listen ─┬─ load banks ─ load rules ─ workers ─ ready
//!                        └─ /healthz answers, /readyz says what is missing, events get 503
//! ```

use crate::api::auth::{Keys, seeded_key};
use crate::banks::{self, Follower};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::deliver::Deliverer;
use crate::guard::{Guard, Looking};
use crate::matcher::Matcher;
use crate::media::{FetchOptions, Fetcher, Missing, Pool, PoolOptions, Variants};
use crate::past::{Keeper, counters_secret};
use crate::pipeline::Pipeline;
use crate::recent::{Recent, Window, similar};
use crate::rulebook::Rulebook;
use crate::{api, clock, console};
use anyhow::{Context, Result};
use axum::Router;
use manara_model::Author;
use manara_store::Store;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What requests share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) keys: Keys,
    pub(crate) prometheus: PrometheusHandle,
    pub(crate) listens_on_loopback: bool,
    pub(crate) store: Store,
    pipeline: OnceLock<Arc<Pipeline>>,
}

impl Shared {
    /// The pipeline, once everything is loaded.
    pub(crate) fn pipeline(&self) -> Option<Arc<Pipeline>> {
        self.pipeline.get().cloned()
    }

    /// Why events cannot be accepted now.
    pub(crate) fn not_ready(&self) -> Option<String> {
        if self.pipeline.get().is_none() {
            return Some("banks and rules are still being loaded".into());
        }
        self.store.trouble()
    }

    /// Brings the gauges up to date before they are read.
    pub(crate) fn gauges(&self) {
        let Some(pipeline) = self.pipeline() else {
            return;
        };
        let (members, banks) = pipeline.matcher.size();
        metrics::gauge!("manara_bank_members").set(members as f64);
        metrics::gauge!("manara_banks").set(banks as f64);
        let status = pipeline.rulebook.status();
        metrics::gauge!("manara_rules").set(status.rules.rules().len() as f64);
        metrics::gauge!("manara_rules_refused")
            .set(f64::from(u8::from(!status.problems.is_empty())));
        for counter in pipeline.keeper.counters() {
            let name = [("counter", counter.name)];
            metrics::gauge!("manara_counter_keys", &name).set(counter.keys as f64);
            metrics::gauge!("manara_counter_bytes", &name).set(counter.bytes as f64);
            metrics::gauge!("manara_counter_evicted", &name).set(counter.evicted as f64);
            metrics::gauge!("manara_counter_largest_lost", &name).set(counter.largest_lost as f64);
            metrics::gauge!("manara_counter_dropped_late", &name).set(counter.dropped_late as f64);
        }
        match self.store.read(|reader| reader.open_stops()) {
            Ok(stops) => metrics::gauge!("manara_rules_stopped").set(stops.len() as f64),
            Err(error) => tracing::warn!("reading circuit breakers for /metrics: {error}"),
        }
        match self.store.read(|reader| reader.totals()) {
            Ok(totals) => {
                metrics::gauge!("manara_events").set(totals.events as f64);
                metrics::gauge!("manara_cases_open").set(totals.open_cases as f64);
                metrics::gauge!("manara_outbox_pending").set(totals.outbox_pending as f64);
                metrics::gauge!("manara_outbox_dead").set(totals.outbox_dead as f64);
                metrics::gauge!("manara_audit_leaves").set(totals.leaves as f64);
            }
            Err(error) => tracing::warn!("reading totals for /metrics: {error}"),
        }
    }
}

/// What `manara serve` was asked for.
pub(crate) struct Options {
    pub(crate) data: PathBuf,
    pub(crate) config: Config,
    /// `MANARA_API_KEY`.
    pub(crate) api_key: Option<String>,
}

/// A server that listens. It runs until [`Running::wait`] returns.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    /// The link with which the first administrator is made, while there is none.
    pub(crate) setup_link: Option<String>,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    stop: Arc<Notify>,
    /// What became of loading, once it is known; a failure in words.
    ready: tokio::sync::watch::Receiver<Option<Result<(), String>>>,
    _lock: crate::data_dir::Lock,
}

impl Running {
    /// Waits until events can be accepted.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        let loaded = self.ready.wait_for(Option::is_some).await;
        let loaded = loaded.context("the server stopped before it was ready")?;
        match &*loaded {
            Some(Err(why)) => anyhow::bail!("{why}"),
            _ => Ok(()),
        }
    }

    /// Completes only if serving ends by itself, which is an error.
    pub(crate) async fn ended(&mut self) -> Result<()> {
        (&mut self.serving)
            .await
            .context("serving")?
            .context("serving")?;
        anyhow::bail!("the server stopped by itself")
    }

    /// Serves until told to stop, then finishes what it has begun.
    async fn wait(self) -> Result<()> {
        self.serving.await.context("serving")?.context("serving")?;
        if let Some(pipeline) = self.shared.pipeline()
            && let Err(error) = pipeline.keeper.keep().await
        {
            tracing::warn!("no snapshot of the counters was kept: {error:#}");
        }
        self.shared
            .store
            .clone()
            .close()
            .await
            .context("closing the store")
    }

    /// Asks the server to finish and waits for it.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.notify_one();
        self.wait().await
    }
}

/// Starts a server; it listens when this returns, and is ready some moments later.
pub(crate) async fn start(options: Options) -> Result<Running> {
    let Options {
        data,
        config,
        api_key,
    } = options;
    let dir = DataDir::open_or_create(&data)?;
    let mut lock = dir.lock(&config.listen)?;
    let store = crate::open_store(&dir, &config)?;
    store.set_receivers(config.webhooks.iter().map(|w| w.name.clone()).collect());
    // The lock says that no other server is delivering, so what a crashed one had taken is due again.
    store
        .write(|tx| tx.take_over_outbox(clock::now()))
        .await
        .context("taking over the outbox")?;
    if let Some(text) = api_key {
        let key = seeded_key(&text).map_err(anyhow::Error::msg)?;
        let now = clock::now();
        store
            .write(move |tx| tx.seed_key(&key, &Author::System, now))
            .await
            .context("seeding MANARA_API_KEY")?;
    }
    let listener = TcpListener::bind(&config.listen).await.with_context(|| {
        format!(
            "listening on {}: choose another --listen address, or stop what has it",
            config.listen
        )
    })?;
    let address = listener.local_addr()?;
    lock.announce(&address.to_string())?;

    let keys = Keys::default();
    keys.set(store.read(|r| r.api_keys())?);
    let shared = Arc::new(Shared {
        listens_on_loopback: address.ip().is_loopback(),
        keys,
        prometheus: prometheus()?,
        store,
        pipeline: OnceLock::new(),
        config,
    });
    let (console, setup_link) = console_of(&shared, address)?;
    let app = api::router(Arc::clone(&shared)).merge(console);
    let stop = Arc::new(Notify::new());
    let serving = tokio::spawn(serve(listener, app, Arc::clone(&stop)));
    let (tell_ready, ready) = tokio::sync::watch::channel(None);
    let rules = shared.config.rules.clone().unwrap_or_else(|| dir.rules());
    let index = dir.index();
    let (counters, secret) = (dir.counters(), counters_secret(&dir.audit_seed()?));
    let loading = Arc::clone(&shared);
    let give_up = Arc::clone(&stop);
    tokio::spawn(async move {
        let loaded = load(&loading, rules, index, counters, secret).await;
        let failed = loaded.is_err();
        // Nobody waits for it only when the server is stopping already.
        let _ = tell_ready.send(Some(loaded.map_err(|error| format!("{error:#}"))));
        if failed {
            give_up.notify_one();
        }
    });
    Ok(Running {
        address,
        shared,
        setup_link,
        serving,
        stop,
        ready,
        _lock: lock,
    })
}

/// Serves until a signal or `stop`; requests under way are finished.
async fn serve(listener: TcpListener, app: Router, stop: Arc<Notify>) -> std::io::Result<()> {
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(async move { stop.notified().await })
        .await
}

/// Loads everything that answering needs, then starts what goes on in the background.
async fn load(
    shared: &Arc<Shared>,
    rules: PathBuf,
    index: PathBuf,
    counters: PathBuf,
    secret: [u8; 16],
) -> Result<()> {
    let store = shared.store.clone();
    let matcher = Arc::new(Matcher::for_many_events());
    let loading = (store.clone(), Arc::clone(&matcher));
    let file = index.clone();
    let cursor =
        tokio::task::spawn_blocking(move || banks::load_with(&loading.0, &loading.1, &file))
            .await
            .context("loading banks")?
            .context("loading banks")?;
    let follower = Follower::new(store.clone(), Arc::clone(&matcher), cursor, index);
    let approval = shared.config.rules_approval;
    let rulebook = Rulebook::open(rules, &store).await?;
    let rulebook = Arc::new(rulebook.with_approval(approval));
    let keeper = {
        let (store, matcher, rules) = (store.clone(), Arc::clone(&matcher), rulebook.rules());
        let settings = shared
            .config
            .breakers
            .settings(shared.config.counters, secret);
        tokio::task::spawn_blocking(move || {
            Keeper::open(&store, &matcher, rules, settings, counters)
        })
        .await
        .context("reading the log for counters")??
    };
    let keeper = Arc::new(keeper);
    for set in keeper.missing_sets() {
        tracing::warn!(
            "a rule asks set {set}, which does not exist, so that the answer is unknown and the rule may not fire until somebody makes it (`manara set create {set}`)"
        );
    }
    rulebook.remember_with(Arc::clone(&keeper));
    for bank in rulebook.missing_banks(|name| matcher.knows(name)) {
        tracing::warn!(
            "a rule looks into bank {bank}, which does not exist: it finds nothing until somebody makes it"
        );
    }
    let media = &shared.config.media;
    let variants = Variants::from(media);
    let pool = Pool::start(
        PoolOptions::configured(media).context("finding this program for its media workers")?,
    );
    tokio::spawn(say_what_is_off(pool.clone()));
    let fetcher = Fetcher::new(FetchOptions {
        bytes_max: media.bytes_max,
        timeout: Duration::from_millis(media.fetch_timeout_ms),
        allow_nets: media.allow_nets.clone(),
    })
    .context("media.allow_nets")?;
    let bell = Arc::new(Notify::new());
    let deliverer = Deliverer::new(
        store.clone(),
        &shared.config.webhooks,
        shared.config.delivery.clone(),
        Arc::clone(&bell),
    )?;
    let (guard, guarding) = Guard::new(&store, shared.config.quarantine)?;
    let looking = Looking {
        store: store.clone(),
        matcher: Arc::clone(&matcher),
        followed: follower.followed.clone(),
        rulebook: Arc::clone(&rulebook),
        keeper: Arc::clone(&keeper),
        recent: shared.config.recent,
    };
    let pipeline = Pipeline {
        store: store.clone(),
        matcher: Arc::clone(&matcher),
        rulebook: Arc::clone(&rulebook),
        media: pool,
        fetcher,
        media_bytes_max: media.bytes_max,
        variants,
        guard,
        keeper: Arc::clone(&keeper),
    };
    tokio::spawn(keeper.tend());
    tokio::spawn(guarding.run());
    tokio::spawn(looking.run());
    tokio::spawn(Arc::new(deliverer).run());
    tokio::spawn(rulebook.watch(store));
    tokio::spawn(follow(Arc::clone(shared), follower, bell));
    let _ = shared.pipeline.set(Arc::new(pipeline));
    Ok(())
}

/// How long ffmpeg's sandbox may take to say what it is.
const TELLING_TIME: Duration = Duration::from_secs(10);

/// Says once which layers of the decoders' sandbox this system does not have.
async fn say_what_is_off(pool: Pool) {
    match pool.layers().await {
        Ok(layers) if layers.off().is_empty() => {}
        Ok(layers) => tracing::warn!(
            "media are decoded without {}: a decoder that is taken over could do more than it should; `manara doctor` says what to do",
            layers.off().join(", ")
        ),
        Err(problem) => {
            tracing::error!("no media can be decoded, so all will be undecodable: {problem}");
        }
    }
    match pool.ffmpeg().program() {
        Ok(program) => match pool.ffmpeg().layers(TELLING_TIME).await {
            Ok(layers) if layers.off().is_empty() => {
                tracing::debug!("HEIC and AVIF are decoded by {}", program.display());
            }
            Ok(layers) => tracing::warn!(
                "HEIC and AVIF are decoded by ffmpeg without {}: `manara doctor` says what to do",
                layers.off().join(", ")
            ),
            Err(problem) => tracing::warn!("HEIC and AVIF will be undecodable: {problem}"),
        },
        Err(Missing::Off) => {}
        Err(missing) => tracing::warn!("HEIC and AVIF will be undecodable: {missing}"),
    }
}

/// Follows the database: whoever changes a bank or a key, here or from the command line, it holds
/// here within a moment. Says in the log when writing has failed, which only the callers would know.
async fn follow(shared: Arc<Shared>, mut follower: Follower, bell: Arc<Notify>) {
    let mut watch = match shared.store.watch() {
        Ok(watch) => watch,
        Err(error) => {
            tracing::error!(
                "the database cannot be watched, so changes by other processes need a restart: {error}"
            );
            return;
        }
    };
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    let mut trouble = None;
    // What takes long is done beside, so that the next change is not held up.
    let mut tending = tokio::task::spawn_blocking(|| ());
    loop {
        tick.tick().await;
        let now = shared.store.trouble();
        if now != trouble {
            if let Some(why) = &now {
                tracing::error!("nothing can be kept: {why}");
            } else {
                tracing::info!("keeping events is tried again");
            }
            trouble = now;
        }
        if !watch.poll() {
            continue;
        }
        bell.notify_one();
        let idle = tending.is_finished();
        let followed = tokio::task::spawn_blocking(move || {
            let kept = follower.follow(idle);
            (follower, kept)
        })
        .await;
        let kept = match followed {
            Ok((returned, kept)) => {
                follower = returned;
                kept
            }
            Err(error) => {
                tracing::error!(
                    "following changes of banks and keys has ended, restart the server: {error}"
                );
                return;
            }
        };
        if let Some(pipeline) = shared.pipeline()
            && let Err(error) = pipeline.keeper.follow_sets()
        {
            tracing::warn!("following changes of sets: {error}");
        }
        match shared.store.read(|r| r.api_keys()) {
            Ok(keys) => shared.keys.set(keys),
            Err(error) => tracing::warn!("following changes of keys: {error}"),
        }
        match kept {
            Ok(kept) if idle => {
                let matcher = Arc::clone(&follower.matcher);
                tending = tokio::task::spawn_blocking(move || {
                    matcher.tend();
                    if let Some(kept) = kept {
                        kept.run();
                    }
                });
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("following changes of banks: {error}"),
        }
    }
}

fn prometheus() -> Result<PrometheusHandle> {
    static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = INSTALLED.get() {
        return Ok(handle.clone());
    }
    let seconds = [
        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
    ];
    let handle = PrometheusBuilder::new()
        .set_buckets(&seconds)?
        .install_recorder()
        .context("installing metrics")?;
    Ok(INSTALLED.get_or_init(|| handle).clone())
}

fn console_of(shared: &Arc<Shared>, address: SocketAddr) -> Result<(Router, Option<String>)> {
    let public = shared
        .config
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://{address}"));
    let token = if shared.store.read(|r| r.has_reviewers())? {
        None
    } else {
        Some(hex::encode(clock::random::<24>()))
    };
    let link = token
        .as_ref()
        .map(|token| format!("{}/setup?token={token}", public.trim_end_matches('/')));
    let (extra, ruled) = (Arc::clone(shared), Arc::clone(shared));
    let (tried, counted) = (Arc::clone(shared), Arc::clone(shared));
    let searched = Arc::clone(shared);
    let recent = shared.config.recent;
    let state = console::ConsoleState::new(console::ConsoleOptions {
        store: shared.store.clone(),
        setup_token: token,
        secure_cookies: public.starts_with("https://"),
        now: clock::now,
        random: clock::random::<32>,
        overview: Arc::new(move || overview(&extra)),
        rulebook: Arc::new(move || Some(Arc::clone(&ruled.pipeline()?.rulebook))),
        settings: Arc::new(move || Some(tried.pipeline()?.keeper.settings())),
        counters: Arc::new(move || Some(counted.pipeline()?.keeper.counters())),
        recent,
        similar: Arc::new(move || similar_uploads(&searched, recent)),
    });
    Ok((console::router(state), link))
}

/// Events that the console's page of similar uploads looks at, so that it comes within seconds;
/// `manara bank similar` looks at all.
const SIMILAR_EVENTS: usize = 100_000;

/// The clusters of what was recently seen, for the console.
fn similar_uploads(shared: &Shared, recent: Recent) -> Result<Vec<console::SimilarCluster>> {
    let options = similar::Options::default();
    let window = recent.window();
    let window = Window {
        events_max: window.events_max.min(SIMILAR_EVENTS),
        ..window
    };
    let mut clusters = similar::clusters(&shared.store, window, options)?;
    if let Some(pipeline) = shared.pipeline() {
        similar::know_since(&mut clusters, &pipeline.matcher);
    }
    let shown = clusters.into_iter().map(|it| console::SimilarCluster {
        signal_type: it.signal_type,
        signal: it.signal,
        size: it.size,
        accounts: it.accounts,
        first: it.first,
        last: it.last,
        distance_max: it.distance_max,
        known: it.known.into_iter().collect(),
        samples: it.samples,
    });
    Ok(shown.collect())
}

fn overview(shared: &Shared) -> console::OverviewExtra {
    let Some(pipeline) = shared.pipeline() else {
        return console::OverviewExtra::default();
    };
    let status = pipeline.rulebook.status();
    console::OverviewExtra {
        rules: Some(status.rules),
        rule_problems: status.problems,
    }
}
