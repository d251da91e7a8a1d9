//! The demo's world met by the server's own matcher and rules, without a server: what is easy must
//! be found, and what only looks alike must be left alone.

use super::score::{Came, Score};
use super::world::{Planned, PlantedKind, World};
use crate::config::Config;
use crate::evaluate::{Subject, verdicts};
use crate::matcher::{Change, Matcher, MediaSignals};
use crate::media::{SignedMedia, Variants};
use crate::pipeline::signals_of;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use manara_model::{DecisionId, Event, MediaFacts, Medium, MemberId, Origin, actions_of};
use manara_rules::{Recollection, RuleSet, Schema, Source, compile};
use manara_signal::Signal;
use serde_json::{Value, json};
use std::collections::HashSet;

const DAY_END: &str = "2026-11-22T23:59:59Z";

fn rules() -> RuleSet {
    let file = |name: &str, text: &str| Source {
        name: name.into(),
        text: text.into(),
    };
    let sources = [
        file(
            "images.rules",
            include_str!("../../../../examples/demo/images.rules"),
        ),
        file(
            "slogans.rules",
            include_str!("../../../../examples/demo/slogans.rules"),
        ),
        file(
            "names.rules",
            include_str!("../../../../examples/demo/names.rules"),
        ),
        file(
            "links.rules",
            include_str!("../../../../examples/demo/links.rules"),
        ),
    ];
    compile(&sources, &Schema::builtin()).unwrap()
}

fn matcher(world: &World) -> Matcher {
    let matcher = Matcher::default();
    let members = world
        .banks
        .iter()
        .flat_map(|bank| bank.members.iter().map(move |member| (bank.name, member)));
    matcher.apply(members.zip(1..).map(|((bank, member), id)| Change::Add {
        bank: bank.parse().unwrap(),
        member: MemberId(id),
        signal: Signal::parse(member.signal_type, &member.value).unwrap(),
        settings: member.settings(),
    }));
    matcher
}

/// As the server does, in this process.
fn sign(medium: &Medium) -> MediaSignals {
    let Some(data) = &medium.data else {
        return MediaSignals::sent(medium);
    };
    let file = STANDARD.decode(data).unwrap();
    let variants = Variants::from(&Config::default().media);
    signals_of(&SignedMedia::of_file(&file, variants.extra), variants)
}

/// The answer as the server would give it.
fn answer(planned: &Planned, matcher: &Matcher, rules: &RuleSet) -> Value {
    let (event, warnings) = Event::from_json(planned.json.as_bytes(), Origin::Http).unwrap();
    assert!(warnings.is_empty(), "{}: {warnings:?}", planned.id);
    let media: Vec<MediaSignals> = event.media().iter().map(sign).collect();
    let matches = matcher.matches(&event, &media);
    let media: Vec<MediaFacts> = media.into_iter().map(|m| m.facts).collect();
    let subject = Subject {
        event: &event,
        media: &media,
        received_at: event.time,
    };
    let verdicts = verdicts(rules, subject, &matches, &Recollection::default());
    let actions = actions_of(
        DecisionId::new(1, 1),
        event.time,
        &verdicts,
        |r#type, index| event.entity(r#type, index),
    );
    json!({"id": event.id, "actions": actions, "verdicts": verdicts})
}

/// Plays a day; `each` sees every event with what came of it.
fn play(world: &World, mut each: impl FnMut(&Planned, Came, &Value)) -> Score {
    let (matcher, rules) = (matcher(world), rules());
    let mut score = Score::default();
    for planned in &world.events {
        let answer = answer(planned, &matcher, &rules);
        let came = score.add(planned, &answer);
        each(planned, came, &answer);
    }
    score
}

#[test]
fn the_demo_rules_check_and_their_tests_pass() {
    let rules = rules();
    assert!(rules.warnings().is_empty(), "{:?}", rules.warnings());
    let outcomes = rules.run_tests();
    assert!(outcomes.len() >= 12, "{}", outcomes.len());
    for outcome in outcomes {
        assert!(
            outcome.passed,
            "{}:{} {}\n{}",
            outcome.source, outcome.line, outcome.name, outcome.detail
        );
    }
}

#[test]
fn a_short_day_is_found_where_it_is_easy_and_left_alone_where_it_is_harmless() {
    let world = World::sized(3, DAY_END.parse().unwrap(), 200).unwrap();
    let mut kinds = HashSet::new();
    let score = play(&world, |planned, came, answer| {
        kinds.insert(planned.kind);
        assert!(
            came != Came::Falsely,
            "{:?} {answer} {}",
            planned.kind,
            &planned.json
        );
        if is_easy(planned.kind) {
            assert_eq!(
                came,
                Came::Found,
                "{:?} {answer} {}",
                planned.kind,
                &planned.json
            );
        }
    });
    assert!(score.nothing_lost());
    assert_eq!(score.total().planted, world.events.len() as u64);
    assert!(kinds.len() > 40, "{}", kinds.len());
}

/// What any release has to find in every world, whatever the seed.
fn is_easy(kind: PlantedKind) -> bool {
    let hard = [
        "digits for letters",
        "two disguises at once",
        "watermarked",
        "cropped by 3 to 15 %",
        "inside a screenshot",
        "handle",
    ];
    kind.expectation().act && !hard.contains(&kind.label())
}

#[test]
fn the_same_seed_gives_the_same_world_byte_for_byte() {
    let day = || World::sized(5, DAY_END.parse().unwrap(), 1).unwrap();
    let (first, again) = (day(), day());
    assert!(
        first
            .events
            .iter()
            .zip(&again.events)
            .all(|(a, b)| a.json == b.json)
    );
    let values = |world: &World| -> Vec<String> {
        let members = world.banks.iter().flat_map(|bank| &bank.members);
        members.map(|member| member.value.clone()).collect()
    };
    assert_eq!(values(&first), values(&again));
}
