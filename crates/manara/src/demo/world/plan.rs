//! The plan of the day: what happens, who does it, and when. No pixels yet.

use super::alteration::Alteration;
use super::drawing::Subject;
use super::kind::{CopyOf, NearPicture, PlantedKind, QUOTAS};
use super::naming::{self, NameOf};
use super::people::{self, People, before};
use super::picture::{self, BREAKAGES, Picture};
use super::prng::Prng;
use super::slogan::{Disguise, SLOGANS, Script, Slogan, disguised};
use super::talk::{self, Line};
use super::{EVENTS, link};
use jiff::{SignedDuration, Timestamp};
use manara_model::{Account, Content, Event, Medium, MediumKind, Space};
use std::collections::BTreeMap;

/// The invented platform.
const SOURCE: &str = "forum.example";
/// Pictures of everyday life that go around; most are posted more than once.
const EVERYDAY_PICTURES: usize = 200;
/// Of [`EVENTS`], how many are people making an account.
const NEWCOMERS: usize = 340;
/// Events for each hour of the day in universal time, relative to each other: a night and two peaks.
const HOURS: [usize; 24] = [
    3, 2, 1, 1, 1, 2, 4, 7, 9, 9, 8, 8, 9, 10, 9, 8, 8, 9, 11, 13, 14, 12, 9, 5,
];

/// How an event's pictures are given to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    /// As files, in base64.
    File,
    /// As signals that the platform computed itself.
    Signals,
}

/// An event whose pictures are still to be made.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) event: Event,
    /// One for each of the event's media, in order.
    pub(crate) pictures: Vec<Picture>,
    pub(crate) given: Given,
    pub(crate) kind: PlantedKind,
}

/// Plans a day of `events` events that ends at `day_end`, in order of time.
pub(crate) fn day(prng: &Prng, day_end: Timestamp, events: usize, originals: usize) -> Vec<Draft> {
    let times = times(&mut prng.fork(1), day_end, kinds_total(events));
    let mut kinds = kinds(events);
    prng.fork(2).shuffle(&mut kinds);
    let joining: Vec<Timestamp> = times
        .iter()
        .zip(&kinds)
        .filter(|(_, kind)| **kind == What::Joins)
        .map(|(at, _)| *at)
        .collect();
    let mut planner = Planner {
        people: People::settle(
            before(day_end, SignedDuration::from_hours(24)),
            &joining,
            prng,
        ),
        everyday_pictures: everyday_pictures(&mut prng.fork(3)),
        prng: prng.fork(4),
        originals,
        number: 0,
        joined: 0,
    };
    times
        .into_iter()
        .zip(kinds)
        .map(|(at, what)| planner.draft(what, at))
        .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Somebody makes an account; ordinary.
    Joins,
    Planted(PlantedKind),
    Ordinary,
}

fn share_of(quota: usize, events: usize) -> usize {
    ((quota * events + EVENTS / 2) / EVENTS).max(1)
}

fn kinds_total(events: usize) -> usize {
    kinds(events).len()
}

fn kinds(events: usize) -> Vec<What> {
    let planted = QUOTAS
        .iter()
        .map(|(kind, quota)| (What::Planted(*kind), share_of(*quota, events)));
    let joining = (What::Joins, share_of(NEWCOMERS, events));
    let mut kinds: Vec<What> = planted
        .chain([joining])
        .flat_map(|(what, n)| std::iter::repeat_n(what, n))
        .collect();
    kinds.resize(kinds.len().max(events), What::Ordinary);
    kinds
}

fn times(prng: &mut Prng, day_end: Timestamp, count: usize) -> Vec<Timestamp> {
    const HOUR_S: i64 = 3600;
    const DAY_S: i64 = 24 * HOUR_S;
    let end_s = day_end.as_second();
    let mut seconds: Vec<i64> = (0..count)
        .map(|_| {
            let mut left = prng.below(HOURS.iter().sum());
            let passed = HOURS.iter().take_while(|weight| {
                let later = left >= **weight;
                left = left.saturating_sub(**weight);
                later
            });
            let of_day = passed.count() as i64 * HOUR_S + prng.int(0..HOUR_S);
            // The latest moment up to the end of the day that falls on this time of day.
            end_s - (end_s - of_day).rem_euclid(DAY_S)
        })
        .collect();
    seconds.sort_unstable();
    seconds
        .into_iter()
        .map(|s| Timestamp::from_second(s).unwrap_or(day_end))
        .collect()
}

fn everyday_pictures(prng: &mut Prng) -> Vec<Picture> {
    (0..EVERYDAY_PICTURES)
        .map(|_| picture::everyday(prng))
        .collect()
}

struct Planner {
    people: People,
    everyday_pictures: Vec<Picture>,
    prng: Prng,
    originals: usize,
    number: usize,
    joined: usize,
}

/// The parts of a post before it has its numbers.
#[derive(Default)]
struct Post {
    text: Option<String>,
    language: Option<&'static str>,
    links: Vec<String>,
    pictures: Vec<Picture>,
}

impl Post {
    fn saying(line: Line) -> Self {
        Self {
            text: Some(line.text),
            language: Some(line.language),
            ..Self::default()
        }
    }

    fn showing(self, picture: Picture) -> Self {
        Self {
            pictures: vec![picture],
            ..self
        }
    }
}

impl Planner {
    fn draft(&mut self, what: What, at: Timestamp) -> Draft {
        self.number += 1;
        match what {
            What::Joins => self.joins(at),
            What::Ordinary => self.ordinary(at),
            What::Planted(kind) => self.planted(kind, at),
        }
    }

    fn planted(&mut self, kind: PlantedKind, at: Timestamp) -> Draft {
        match kind {
            PlantedKind::Image(copy) => self.image(copy, kind, at),
            PlantedKind::ImageWithSlogan => {
                let line = self.slogan(Disguise::Plain);
                let picture = self.altered(Alteration::Recompressed);
                self.by_follower(Post::saying(line).showing(picture), kind, at)
            }
            PlantedKind::Undecodable => {
                let picture = Picture::Broken {
                    how: BREAKAGES[self.number % BREAKAGES.len()],
                    seed: self.prng.next(),
                };
                let post = everyday_post(&mut self.prng).showing(picture);
                self.by_anybody(post, kind, at)
            }
            PlantedKind::Slogan(disguise) => {
                let line = self.slogan(disguise);
                self.by_follower(Post::saying(line), kind, at)
            }
            PlantedKind::SloganQuoted => {
                let slogan = self.prng.pick(SLOGANS);
                let line = talk::quoted_in_report(slogan.text, slogan.script, &mut self.prng);
                let author = self.people.resident(&mut self.prng);
                self.post(Post::saying(line), author, kind, at)
            }
            PlantedKind::Name(of) => {
                let name = match of {
                    NameOf::Handle => naming::order_handle(&mut self.prng),
                    NameOf::DisplayName => naming::order_display_name(&mut self.prng),
                    NameOf::Channel => naming::order_space(&mut self.prng),
                };
                self.named(of, name, kind, at)
            }
            PlantedKind::NearName(of) => {
                let name = naming::near_name(of, self.number, &mut self.prng);
                self.named(of, name, kind, at)
            }
            PlantedKind::Link(disguise) => {
                let link = link::order_link(disguise, &mut self.prng);
                let post = self.with_link(link);
                self.by_follower(post, kind, at)
            }
            PlantedKind::NearLink => {
                let link = link::near_link(&mut self.prng);
                let post = self.with_link(link);
                self.by_anybody(post, kind, at)
            }
            PlantedKind::NearImage(near) => {
                let picture = self.near_picture(near);
                let post = everyday_post(&mut self.prng).showing(picture);
                self.by_anybody(post, kind, at)
            }
            PlantedKind::NearSlogan(nearness) => {
                let line = talk::near_slogan(nearness, &mut self.prng);
                self.by_anybody(Post::saying(line), kind, at)
            }
            PlantedKind::Ordinary => self.ordinary(at),
        }
    }

    fn image(&mut self, copy: CopyOf, kind: PlantedKind, at: Timestamp) -> Draft {
        let (picture, given) = match copy {
            CopyOf::Exact => (
                Picture::Original(self.prng.below(self.originals)),
                Given::File,
            ),
            CopyOf::Altered(alteration) => (self.altered(alteration), Given::File),
            CopyOf::ReadyMadeSignal => (self.altered(Alteration::Recompressed), Given::Signals),
        };
        let silent = self.prng.chance(0.3);
        let post = if silent {
            Post::default()
        } else {
            everyday_post(&mut self.prng)
        };
        let draft = self.by_follower(post.showing(picture), kind, at);
        Draft { given, ..draft }
    }

    fn altered(&mut self, alteration: Alteration) -> Picture {
        Picture::Altered {
            original: self.prng.below(self.originals),
            alteration,
            seed: self.prng.next(),
        }
    }

    fn near_picture(&mut self, near: NearPicture) -> Picture {
        let subject = match near {
            NearPicture::SameStyle => return picture::order_style(&mut self.prng),
            NearPicture::PlainFlag => Subject::PlainFlag,
            NearPicture::NewsCollage => Subject::Collage,
            NearPicture::LowTexture => Subject::LowTexture,
        };
        Picture::Drawn {
            subject,
            seed: self.prng.next(),
        }
    }

    fn slogan(&mut self, disguise: Disguise) -> Line {
        let slogan = self.slogan_for(disguise);
        let shown = disguised(slogan, disguise, &mut self.prng);
        talk::around_slogan(&shown, slogan.script, &mut self.prng)
    }

    /// A slogan in a script that the disguise belongs to.
    fn slogan_for(&mut self, disguise: Disguise) -> &'static Slogan {
        let only = match disguise {
            Disguise::Tatweel => Some(Script::Arabic),
            Disguise::MixedCase | Disguise::Leet => Some(Script::Latin),
            _ => None,
        };
        let fitting: Vec<&Slogan> = SLOGANS
            .iter()
            .filter(|s| only.is_none_or(|only| s.script == only))
            .collect();
        self.prng.pick::<&Slogan>(&fitting)
    }

    /// A post with the link in its text or beside it.
    fn with_link(&mut self, link: String) -> Post {
        let line = talk::everyday(&mut self.prng);
        if self.prng.chance(0.5) {
            let text = format!("{} {link}", line.text);
            return Post::saying(Line { text, ..line });
        }
        Post {
            links: vec![link],
            ..Post::saying(line)
        }
    }

    /// An account or channel that comes into being, or is renamed.
    fn named(&mut self, of: NameOf, name: String, kind: PlantedKind, at: Timestamp) -> Draft {
        let number = self.number;
        let updated = self.prng.chance(0.25);
        let everyday = naming::everyday_handle(number, &mut self.prng);
        let made_at = before(
            at,
            SignedDuration::from_hours(if updated {
                self.prng.int(1..90 * 24)
            } else {
                0
            }),
        );
        let account = |handle, display| {
            people::fresh_account(format!("a-x{number}"), handle, display, made_at)
        };
        let verb = if updated { "updated" } else { "created" };
        let event = match of {
            NameOf::Handle => Event {
                account: Some(account(name, None)),
                ..self.event(&format!("account.{verb}"), at)
            },
            NameOf::DisplayName => Event {
                account: Some(account(everyday, Some(name))),
                ..self.event(&format!("account.{verb}"), at)
            },
            NameOf::Channel => {
                let space = people::everyday_space(1000 + number, &mut self.prng);
                let event = self.event(&format!("space.{verb}"), at);
                Event {
                    account: Some(account(everyday, None)),
                    space: Some(Space {
                        name: Some(name),
                        ..space
                    }),
                    ..event
                }
            }
        };
        Draft {
            event,
            pictures: Vec::new(),
            given: Given::File,
            kind,
        }
    }

    fn joins(&mut self, at: Timestamp) -> Draft {
        let account = self.people.newcomer(self.joined).cloned();
        self.joined += 1;
        let event = Event {
            account,
            ..self.event("account.created", at)
        };
        Draft {
            event,
            pictures: Vec::new(),
            given: Given::File,
            kind: PlantedKind::Ordinary,
        }
    }

    /// Out of a hundred ordinary events: 3 account changes, 2 channels, 2 reports by users, 11
    /// shares, and posts, of which every seventh has a picture and every twelfth a link.
    fn ordinary(&mut self, at: Timestamp) -> Draft {
        let kind = PlantedKind::Ordinary;
        match self.prng.below(100) {
            0..3 => {
                let mut account = self.people.resident(&mut self.prng);
                account.display_name = Some(naming::everyday_display_name(&mut self.prng));
                let event = Event {
                    account: Some(account),
                    ..self.event("account.updated", at)
                };
                Draft {
                    event,
                    pictures: Vec::new(),
                    given: Given::File,
                    kind,
                }
            }
            3..5 => {
                let verb = if self.prng.chance(0.6) {
                    "space.created"
                } else {
                    "space.updated"
                };
                let space = people::everyday_space(1000 + self.number, &mut self.prng);
                let author = self.people.anybody(at, &mut self.prng);
                let event = Event {
                    account: Some(author),
                    space: Some(space),
                    ..self.event(verb, at)
                };
                Draft {
                    event,
                    pictures: Vec::new(),
                    given: Given::File,
                    kind,
                }
            }
            5..7 => self.retyped("content.reported", at),
            7..18 => self.retyped("post.shared", at),
            _ => {
                let post = self.ordinary_post();
                self.by_anybody(post, kind, at)
            }
        }
    }

    fn retyped(&mut self, event_type: &str, at: Timestamp) -> Draft {
        let post = self.ordinary_post();
        let mut draft = self.by_anybody(post, PlantedKind::Ordinary, at);
        event_type.clone_into(&mut draft.event.r#type);
        draft
    }

    fn ordinary_post(&mut self) -> Post {
        let post = everyday_post(&mut self.prng);
        if self.prng.chance(0.14) {
            return post.showing(*self.prng.pick(&self.everyday_pictures));
        }
        if self.prng.chance(0.1) {
            let link = link::everyday_link(&mut self.prng);
            return self.with_link(link);
        }
        post
    }

    fn by_follower(&mut self, post: Post, kind: PlantedKind, at: Timestamp) -> Draft {
        let author = self.people.follower(&mut self.prng);
        let mut draft = self.post(post, author, kind, at);
        if self.prng.chance(0.2) {
            draft.event.r#type = "post.shared".into();
        }
        draft
    }

    fn by_anybody(&mut self, post: Post, kind: PlantedKind, at: Timestamp) -> Draft {
        let author = self.people.anybody(at, &mut self.prng);
        self.post(post, author, kind, at)
    }

    fn post(&mut self, post: Post, author: Account, kind: PlantedKind, at: Timestamp) -> Draft {
        let number = self.number;
        let medium = |i: usize| Medium {
            id: format!("m-{number}-{}", i + 1),
            kind: MediumKind::Image,
            url: None,
            data: None,
            path: None,
            signals: BTreeMap::new(),
            quality: None,
        };
        let content = Content {
            id: format!("p-{number}"),
            text: post.text,
            language: post.language.map(str::to_owned),
            links: post.links,
            media: (0..post.pictures.len()).map(medium).collect(),
        };
        let space = self
            .prng
            .chance(0.6)
            .then(|| self.people.space(&mut self.prng));
        let event = Event {
            account: Some(author),
            space,
            content: Some(content),
            ..self.event("post.created", at)
        };
        Draft {
            event,
            pictures: post.pictures,
            given: Given::File,
            kind,
        }
    }

    fn event(&self, event_type: &str, at: Timestamp) -> Event {
        Event {
            id: format!("ev-{:05}", self.number),
            source: SOURCE.to_owned(),
            r#type: event_type.to_owned(),
            time: at,
            account: None,
            space: None,
            content: None,
            attributes: serde_json::Map::new(),
        }
    }
}

fn everyday_post(prng: &mut Prng) -> Post {
    Post::saying(talk::everyday(prng))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn planned(seed: u64, events: usize) -> Vec<Draft> {
        day(
            &Prng::new(seed),
            "2026-11-22T15:30:00Z".parse().unwrap(),
            events,
            25,
        )
    }

    #[test]
    fn a_day_is_in_order_of_time_and_no_longer_than_a_day() {
        let day_end: Timestamp = "2026-11-22T15:30:00Z".parse().unwrap();
        let times: Vec<Timestamp> = planned(1, 1000).iter().map(|d| d.event.time).collect();
        assert!(times.is_sorted());
        let day = SignedDuration::from_hours(24);
        assert!(
            times
                .iter()
                .all(|at| *at <= day_end && day_end.duration_since(*at) <= day)
        );
    }

    #[test]
    fn every_kind_is_planted_as_often_as_it_should_be() {
        for (events, scale) in [(EVENTS, 1), (EVENTS * 2, 2)] {
            let drafts = planned(2, events);
            assert_eq!(drafts.len(), events);
            for (kind, quota) in QUOTAS {
                let found = drafts.iter().filter(|d| d.kind == *kind).count();
                assert_eq!(found, quota * scale, "{kind:?}");
            }
        }
        let shortest = planned(2, 1);
        assert!(
            QUOTAS
                .iter()
                .all(|(kind, _)| shortest.iter().any(|d| d.kind == *kind))
        );
    }

    #[test]
    fn nobody_posts_before_their_account_is_made() {
        let drafts = planned(3, 3000);
        let ids: HashSet<&str> = drafts.iter().map(|d| d.event.id.as_str()).collect();
        assert_eq!(ids.len(), drafts.len());
        for draft in &drafts {
            let account = draft.event.account.as_ref().unwrap();
            assert!(
                account.created_at.unwrap() <= draft.event.time,
                "{:?}",
                draft.event
            );
            assert_eq!(draft.pictures.len(), draft.event.media().len());
        }
    }

    #[test]
    fn another_seed_is_another_day() {
        let texts = |seed| {
            planned(seed, 200)
                .into_iter()
                .map(|d| d.event)
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(4), texts(4));
        assert_ne!(texts(4), texts(5));
    }
}
