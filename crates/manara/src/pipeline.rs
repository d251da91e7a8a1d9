//! One path: event → signals → matches → facts → rules → decision, ready to be committed.
//!
//! ```text
//! event ─ sign ─ match ─ facts ─ evaluate ─┬─ decision + cases + outbox + audit leaf ─ one commit ─ answer
//! ```
//! Everything here happens before the commit and changes nothing; [`commit`] is the only write.

use crate::api::problem::Problem;
use crate::clock;
use crate::evaluate::{Pending, Subject};
use crate::guard::Guard;
use crate::matcher::{Matcher, MediaSignals};
use crate::media::{Fetcher, Pool, SignedMedia, Variants};
use crate::past::Keeper;
use crate::rulebook::Rulebook;
use base64::Engine;
use bytes::Bytes;
use jiff::Timestamp;
use manara_model::{
    Action, ActionKind, Author, Decision, Event, Held, Match, MediaFacts, MediaForm, Medium, Mode,
    Origin, Traced, Verdict, Warning,
};
use manara_signal::pdq::{Dihedral, PdqHash};
use manara_signal::{Signal, SignalType};
use manara_store::{NewEvent, Preview, Recorded, Store};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Events are decided on together until so many bytes of their media are in memory.
const HELD_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Everything an event meets on its way.
pub(crate) struct Pipeline {
    pub(crate) store: Store,
    pub(crate) matcher: Arc<Matcher>,
    pub(crate) rulebook: Arc<Rulebook>,
    pub(crate) media: Pool,
    pub(crate) fetcher: Fetcher,
    pub(crate) media_bytes_max: usize,
    pub(crate) variants: Variants,
    pub(crate) guard: Guard,
    pub(crate) keeper: Arc<Keeper>,
}

/// An event whose media have been signed.
struct SignedEvent {
    event: Event,
    warnings: Vec<Warning>,
    received_at: Timestamp,
    fingerprint: [u8; 32],
    media: Vec<Signed>,
    signals: Vec<MediaSignals>,
}

/// An event that is ready to be decided on and committed.
pub(crate) struct Prepared {
    new: NewEvent,
    pending: Pending,
    /// Media of which a preview will be made if a case comes of it.
    media: Vec<Signed>,
    warnings: Vec<Warning>,
}

/// The answer to one event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answer {
    /// The event's id, as sent.
    id: String,
    /// The decision's id.
    decision: String,
    /// Whether this source and id had been decided on before; then this is that decision.
    duplicate: bool,
    /// What is to be done.
    actions: Vec<Action>,
    /// The rules that fired.
    verdicts: Vec<AnsweredVerdict>,
    /// What was accepted although it may not have been meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// A rule that fired, with its evidence.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnsweredVerdict {
    rule: String,
    /// The recorded version of the rule's text.
    version: u32,
    /// `shadow`: recorded, without effect.
    mode: Mode,
    policy: String,
    reason: String,
    /// The reason in other languages, by their BCP 47 tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    reasons: BTreeMap<String, String>,
    /// Of a verdict in shadow whose rule is live: what held it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
    because: Vec<Match>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trace: Vec<Traced>,
}

impl Pipeline {
    /// Parses, signs, matches and evaluates one event. Nothing is kept.
    pub(crate) async fn prepare(&self, json: &[u8]) -> Result<Prepared, Problem> {
        let signed = self.signed(json).await?;
        self.decide(vec![signed]).await.pop().unwrap_or_else(|| {
            Err(Problem::internal(
                "no decision was made",
                "report this as a bug",
            ))
        })
    }

    /// The same for events sent together, in their order. Their media are looked up together.
    pub(crate) async fn prepare_all(
        &self,
        items: Vec<Result<Bytes, Problem>>,
    ) -> Vec<Result<Prepared, Problem>> {
        // Whatever comes of each item; a signed event waits for those after it.
        let mut prepared: Vec<Result<Prepared, Problem>> = Vec::new();
        let mut refused: Vec<(usize, Problem)> = Vec::new();
        let (mut waiting, mut held) = (Vec::new(), 0);
        for item in items {
            let signed = match item {
                Ok(json) => self.signed(&json).await,
                Err(problem) => Err(problem),
            };
            match signed {
                Ok(signed) => {
                    held += signed.held_bytes();
                    waiting.push(signed);
                }
                Err(problem) => {
                    let place = prepared.len() + waiting.len() + refused.len();
                    refused.push((place, problem));
                }
            }
            if held > HELD_BYTES_MAX {
                prepared.extend(self.decide(std::mem::take(&mut waiting)).await);
                held = 0;
            }
        }
        prepared.extend(self.decide(waiting).await);
        // In ascending order, so that each lands where its item stood.
        for (place, problem) in refused {
            prepared.insert(place.min(prepared.len()), Err(problem));
        }
        prepared
    }

    async fn signed(&self, json: &[u8]) -> Result<SignedEvent, Problem> {
        let received_at = clock::now();
        let (mut event, mut warnings) = Event::from_json(json, Origin::Http)?;
        let id = event.id.clone();
        let named = |problem: Problem| problem.with_id(Some(id.clone()));
        event
            .check_clock(received_at)
            .map_err(|error| named(error.into()))?;
        let fingerprint = fingerprint(&event);
        let media = self.sign(&event).await.map_err(named)?;
        strip(&mut event, &media);
        let signals: Vec<MediaSignals> = media.iter().map(|s| s.signals.clone()).collect();
        warnings.extend(not_compared(&signals, self.matcher.quality_floor()));
        Ok(SignedEvent {
            event,
            warnings,
            received_at,
            fingerprint,
            media,
            signals,
        })
    }

    /// Matches and evaluates.
    async fn decide(&self, signed: Vec<SignedEvent>) -> Vec<Result<Prepared, Problem>> {
        let events = signed
            .iter()
            .map(|it| (&it.event, &it.signals[..], it.received_at));
        let matches = self.matcher.matches_of_events(events);
        let mut prepared = Vec::with_capacity(signed.len());
        for (signed, matches) in signed.into_iter().zip(matches) {
            let id = signed.event.id.clone();
            let one = self.evaluate(signed, matches).await;
            prepared.push(one.map_err(|problem| problem.with_id(Some(id))));
        }
        prepared
    }

    async fn evaluate(
        &self,
        signed: SignedEvent,
        matches: Vec<Match>,
    ) -> Result<Prepared, Problem> {
        let SignedEvent {
            event,
            warnings,
            received_at,
            fingerprint,
            media: signed,
            signals,
        } = signed;
        let media: Vec<MediaFacts> = signals.into_iter().map(|s| s.facts).collect();
        let subject = Subject {
            event: &event,
            media: &media,
            received_at,
        };
        let pending = Pending::begin(
            self.rulebook.rules(),
            subject,
            matches,
            &self.keeper.sets(),
            self.keeper.keys(),
        );
        // Known already for nearly every event of which a case will come, so that the case has them at once.
        let foreseen = pending.foreseen().any(asks_people);
        let (previews, waiting) = if foreseen {
            (self.previews(&signed).await, Vec::new())
        } else {
            (Vec::new(), signed)
        };
        let decision = undecided(&event, received_at);
        let body = serde_json::to_string(&event)
            .map_err(|e| Problem::internal(e.to_string(), "report this as a bug"))?;
        Ok(Prepared {
            new: NewEvent {
                event,
                body,
                media,
                fingerprint,
                received_at,
                decision,
                previews,
            },
            pending,
            media: waiting,
            warnings,
        })
    }

    /// What can be compared in each medium, in order.
    async fn sign(&self, event: &Event) -> Result<Vec<Signed>, Problem> {
        let mut signed = Vec::with_capacity(event.media().len());
        for (index, medium) in event.media().iter().enumerate() {
            signed.push(self.sign_one(index, medium).await?);
        }
        Ok(signed)
    }

    async fn sign_one(&self, index: usize, medium: &Medium) -> Result<Signed, Problem> {
        let bytes = if let Some(data) = &medium.data {
            decode_base64(index, data, self.media_bytes_max)?
        } else if let Some(url) = &medium.url {
            match self.fetcher.get(url).await {
                Ok(bytes) => bytes,
                Err(error) => return Ok(MediaSignals::unavailable(error.to_string()).into()),
            }
        } else {
            return Ok(MediaSignals::sent(medium).into());
        };
        let media = self.media.sign(bytes.clone()).await;
        Ok(Signed {
            signals: signals_of(&media, self.variants),
            media: Some((media, bytes)),
        })
    }

    /// Previews for the reviewers, made only when a case needs them.
    async fn previews(&self, signed: &[Signed]) -> Vec<Preview> {
        let mut previews = Vec::new();
        for (media, bytes) in signed.iter().filter_map(|s| s.media.as_ref()) {
            // A truncated image counts as undecodable and still shows what there is of it.
            if media.pdq.is_none() {
                continue;
            }
            match self.media.preview(bytes.clone()).await {
                Ok(preview) => previews.push(Preview {
                    sha256: media.sha256.0,
                    content_type: preview.content_type.clone(),
                    bytes: preview.bytes,
                }),
                Err(error) => tracing::warn!("no preview for a medium of a case: {error}"),
            }
        }
        previews
    }
}

impl SignedEvent {
    /// Bytes of its media that stay in memory until it is decided on.
    fn held_bytes(&self) -> usize {
        let media = self.media.iter().filter_map(|signed| signed.media.as_ref());
        media.map(|(_, bytes)| bytes.len()).sum()
    }
}

/// Says which images have too little in them for their `pdq` to be looked up.
fn not_compared(media: &[MediaSignals], floor: u8) -> impl Iterator<Item = Warning> + '_ {
    let quality = |(index, media): (usize, &MediaSignals)| Some((index, media.facts.quality?));
    let low = media.iter().enumerate().filter_map(quality);
    low.filter(move |(_, quality)| *quality < floor)
        .map(move |(index, quality)| {
            Warning(format!(
                "content.media[{index}]: its pdq has quality {quality}, under {floor}, and was not looked up: there is too little in the image to tell it from others"
            ))
        })
}

/// One medium with what was computed from it.
struct Signed {
    signals: MediaSignals,
    media: Option<(SignedMedia, Bytes)>,
}

impl From<MediaSignals> for Signed {
    fn from(signals: MediaSignals) -> Self {
        Self {
            signals,
            media: None,
        }
    }
}

/// The signals to look up for a signed medium.
pub(crate) fn signals_of(media: &SignedMedia, variants: Variants) -> MediaSignals {
    let pdq = media
        .pdq
        .as_ref()
        .map_or_else(Vec::new, |forms| named_forms(media, forms, variants));
    let exact = vec![Signal::Sha256(media.sha256), Signal::Md5(media.md5)];
    let facts = MediaFacts {
        decoding: media.decoding,
        problem: media.problem.clone(),
        width: media.width,
        height: media.height,
        quality: pdq.first().map(|(hash, _)| hash.quality),
        forms: pdq.iter().map(kept_form).collect(),
        hashes: exact
            .iter()
            .map(|hash| (hash.signal_type(), hash.encode()))
            .collect(),
    };
    MediaSignals { facts, exact, pdq }
}

/// A form as it is kept with the event, to be compared with members that are added later.
fn kept_form((hash, form): &(PdqHash, Cow<'_, str>)) -> MediaForm {
    MediaForm {
        form: form.to_string(),
        hash: hash.hash,
        quality: hash.quality,
    }
}

/// The hash as stored, then those of the other forms that are wanted, each with its name in the evidence.
fn named_forms(
    media: &SignedMedia,
    forms: &[PdqHash; 8],
    variants: Variants,
) -> Vec<(PdqHash, Cow<'static, str>)> {
    let is_turned = variants.exif_orientation && media.displayed != Dihedral::Original;
    let named = |(hash, form): (&PdqHash, Dihedral)| {
        // The image as displayed is one of the dihedral forms, so it needs no lookup of its own.
        let name = match form {
            Dihedral::Original => form.name(),
            _ if is_turned && form == media.displayed => "exif_orientation",
            _ if variants.dihedral => form.name(),
            _ => return None,
        };
        Some((*hash, Cow::Borrowed(name)))
    };
    let extra = media.extra.iter();
    let extra = extra.map(|(form, hash)| (*hash, Cow::Owned(form.to_string())));
    let dihedral = forms.iter().zip(Dihedral::ALL).filter_map(named);
    dihedral.chain(extra).collect()
}

/// Takes the bytes out of the event and puts the signals in, so that what is kept can be compared
/// again without the medium itself.
fn strip(event: &mut Event, signed: &[Signed]) {
    let Some(content) = &mut event.content else {
        return;
    };
    for (medium, signed) in content.media.iter_mut().zip(signed) {
        medium.data = None;
        let Some((media, _)) = &signed.media else {
            continue;
        };
        medium
            .signals
            .insert(SignalType::Sha256, Signal::Sha256(media.sha256).encode());
        medium
            .signals
            .insert(SignalType::Md5, Signal::Md5(media.md5).encode());
        if let Some(first) = media.pdq.as_ref().and_then(|forms| forms.first()) {
            medium
                .signals
                .insert(SignalType::Pdq, Signal::Pdq(first.hash).encode());
            medium.quality = Some(first.quality);
        }
    }
}

/// What makes two events with one `(source, id)` the same: every field as parsed, whatever the
/// spelling of the JSON, with media bytes taken into the hash.
fn fingerprint(event: &Event) -> [u8; 32] {
    struct Hashing(Sha256);
    impl std::io::Write for Hashing {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut hashing = std::io::BufWriter::with_capacity(1024, Hashing(Sha256::new()));
    // Serialising a parsed event into a hasher cannot fail: it holds no foreign types and no writer that can.
    let _ = serde_json::to_writer(&mut hashing, event);
    hashing
        .into_inner()
        .map_or([0; 32], |hashing| hashing.0.finalize().into())
}

/// Whether a verdict asks for a case.
fn asks_people(verdict: &Verdict) -> bool {
    let mut effects = verdict.effects.iter();
    verdict.mode == Mode::Live && effects.any(|effect| effect.kind == ActionKind::Enqueue)
}

/// The decision before anything is decided.
fn undecided(event: &Event, at: Timestamp) -> Decision {
    Decision {
        id: clock::decision_id(at),
        author: Author::Rules,
        at,
        event: Some((event.source.clone(), event.id.clone())),
        case: None,
        verdicts: Vec::new(),
        actions: Vec::new(),
        note: String::new(),
    }
}

fn decode_base64(index: usize, data: &str, bytes_max: usize) -> Result<Bytes, Problem> {
    let field = || format!("content.media[{index}].data");
    if data.len() / 4 * 3 > bytes_max {
        let detail = format!(
            "about {} bytes, the limit is {bytes_max}",
            data.len() / 4 * 3
        );
        return Err(Problem {
            field: field(),
            ..Problem::invalid(detail, "send it by `url`, or as ready-made `signals`")
        });
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(data)
        .map_err(|error| Problem {
            field: field(),
            ..Problem::invalid(
                format!("not base64: {error}"),
                "encode the file's bytes with the standard alphabet and padding",
            )
        })?;
    Ok(Bytes::from(decoded))
}

/// Commits events that were prepared together; each is answered on its own.
pub(crate) async fn commit(
    pipeline: &Pipeline,
    prepared: Vec<Prepared>,
) -> Result<Vec<Result<Answer, Problem>>, Problem> {
    let (mut events, mut pending, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for it in prepared {
        rest.push((it.pending.matches().to_vec(), it.media, it.warnings));
        events.push(it.new);
        pending.push(it.pending);
    }
    let keeper = Arc::clone(&pipeline.keeper);
    let write = pipeline
        .store
        .write(move |tx| keeper.record(tx, events, pending));
    let recorded = write.await?;
    let mut answers = Vec::with_capacity(rest.len());
    for (recorded, (matches, media, warnings)) in recorded.into_iter().zip(rest) {
        if let Recorded::New(decision) = &recorded {
            pipeline.guard.note(&pipeline.matcher, decision, &matches);
            add_previews(pipeline, decision, &media).await;
        }
        answers.push(answer(recorded, warnings));
    }
    Ok(answers)
}

/// Previews for a case of which nothing was known before the event had its place in the log.
async fn add_previews(pipeline: &Pipeline, decision: &Decision, media: &[Signed]) {
    let mut actions = decision.actions.iter();
    if media.is_empty() || !actions.any(|action| action.kind == ActionKind::Enqueue) {
        return;
    }
    let previews = pipeline.previews(media).await;
    let (id, now) = (decision.id, clock::now());
    let write = pipeline
        .store
        .write(move |tx| tx.add_previews(id, &previews, now));
    if let Err(error) = write.await {
        tracing::warn!("the case has no previews of its media: {error}");
    }
}

fn answer(recorded: Recorded, warnings: Vec<Warning>) -> Result<Answer, Problem> {
    let (decision, duplicate) = match recorded {
        Recorded::New(decision) => (decision, false),
        Recorded::Duplicate(decision) => (decision, true),
        Recorded::Conflict {
            id,
            first_received_at,
        } => {
            let detail = format!(
                "this source and id were used at {first_received_at} for an event with another body; both are kept and shown to reviewers"
            );
            return Err(Problem::conflict(
                detail,
                "give each event an id of its own, or send the first body again",
            )
            .with_id(Some(id)));
        }
    };
    let id = decision.event.map(|(_, id)| id).unwrap_or_default();
    Ok(Answer {
        id,
        decision: decision.id.to_string(),
        duplicate,
        actions: decision.actions,
        verdicts: decision
            .verdicts
            .into_iter()
            .map(|v| AnsweredVerdict {
                rule: v.rule.into(),
                version: v.version,
                mode: v.mode,
                policy: v.policy.into(),
                reason: v.reason,
                reasons: v.reasons,
                held: v.held,
                because: v.because,
                trace: v.trace,
            })
            .collect(),
        warnings: warnings.into_iter().map(|w| w.0).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Extra, Form};
    use manara_model::Decoding;
    use manara_signal::{Md5, Pdq, Sha256};

    const TURNED: Variants = Variants {
        exif_orientation: true,
        ..Variants::NONE
    };

    #[track_caller]
    fn check(displayed: Dihedral, variants: Variants, expect: &str) {
        let hash = PdqHash {
            hash: Pdq([1; 32]),
            quality: 90,
        };
        let media = SignedMedia {
            sha256: Sha256([0; 32]),
            md5: Md5([0; 16]),
            decoding: Decoding::Decoded,
            problem: None,
            width: 64,
            height: 64,
            frames: 13,
            pdq: Some([hash; 8]),
            displayed,
            extra: vec![(Form::WithoutBars, hash), (Form::Frame(12), hash)],
        };
        let signals = signals_of(&media, variants);
        let names: Vec<&str> = signals.pdq.iter().map(|(_, form)| &**form).collect();
        assert_eq!(names.join(" "), expect);
    }

    #[test]
    fn forms_are_named_and_none_is_looked_up_twice() {
        let all = Variants {
            dihedral: true,
            exif_orientation: true,
            extra: Extra::NONE,
        };
        let extra = "without_bars frame_12";
        check(
            Dihedral::Rotate270,
            Variants::NONE,
            &format!("original {extra}"),
        );
        check(Dihedral::Original, TURNED, &format!("original {extra}"));
        check(
            Dihedral::Rotate270,
            TURNED,
            &format!("original exif_orientation {extra}"),
        );
        check(
            Dihedral::FlipX,
            all,
            &format!(
                "original rotate90 rotate180 rotate270 exif_orientation flip_y flip_plus flip_minus {extra}"
            ),
        );
    }
}
