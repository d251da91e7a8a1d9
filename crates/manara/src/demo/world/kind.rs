//! What was planted in the day, and what should come of it.

use super::alteration::Alteration;
use super::link::LinkDisguise;
use super::naming::NameOf;
use super::slogan::Disguise;
use super::talk::Nearness;
use manara_model::ActionKind;

/// How a picture of the bank comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum CopyOf {
    /// The same bytes.
    Exact,
    /// Another file that shows the same.
    Altered(Alteration),
    /// Only its PDQ, computed by the platform.
    ReadyMadeSignal,
}

/// A picture that resembles those of the bank and is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum NearPicture {
    /// The same subject drawn anew.
    SameStyle,
    PlainFlag,
    NewsCollage,
    LowTexture,
}

/// What an event of the day was made to be. The order is that of the final table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum PlantedKind {
    Image(CopyOf),
    ImageWithSlogan,
    Undecodable,
    Slogan(Disguise),
    SloganQuoted,
    Name(NameOf),
    Link(LinkDisguise),
    NearImage(NearPicture),
    NearSlogan(Nearness),
    NearName(NameOf),
    NearLink,
    Ordinary,
}

/// What should come of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// Whether anything should be done.
    pub(crate) act: bool,
    /// The event counts as found when at least one of these is done.
    pub(crate) any_of: &'static [ActionKind],
    /// None of these may be done, whatever else is.
    pub(crate) never: &'static [ActionKind],
}

use ActionKind::{Enqueue, Remove, Restrict, Suspend};

impl PlantedKind {
    /// What should come of it. Anything done to a look-alike or to ordinary traffic is false.
    pub(crate) fn expectation(self) -> Expectation {
        let act = |any_of, never| Expectation {
            act: true,
            any_of,
            never,
        };
        match self {
            Self::Image(_) => act(&[Remove, Restrict, Enqueue], &[]),
            Self::ImageWithSlogan => act(&[Suspend], &[]),
            // Not seen is not clean, and not guilty either: a person looks.
            Self::Undecodable | Self::SloganQuoted => act(&[Enqueue], &[Remove, Suspend]),
            Self::Slogan(_) | Self::Name(_) => act(&[Restrict, Enqueue], &[]),
            Self::Link(_) => act(&[Remove], &[]),
            Self::NearImage(_)
            | Self::NearSlogan(_)
            | Self::NearName(_)
            | Self::NearLink
            | Self::Ordinary => Expectation {
                act: false,
                any_of: &[],
                never: &[],
            },
        }
    }

    /// The heading of the table under which it stands.
    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Image(_) | Self::ImageWithSlogan | Self::Undecodable => "images",
            Self::Slogan(_) | Self::SloganQuoted => "slogans",
            Self::Name(_) => "names",
            Self::Link(_) => "links",
            Self::NearImage(_) | Self::NearSlogan(_) | Self::NearName(_) | Self::NearLink => {
                "look-alikes"
            }
            Self::Ordinary => "ordinary traffic",
        }
    }

    /// The line of the table.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Image(copy) => match copy {
                CopyOf::Exact => "exact copy",
                CopyOf::ReadyMadeSignal => "re-compressed, sent as a PDQ only",
                CopyOf::Altered(alteration) => alteration_label(alteration),
            },
            Self::ImageWithSlogan => "altered copy together with a slogan",
            Self::Undecodable => "undecodable file",
            Self::Slogan(disguise) => disguise_label(disguise),
            Self::SloganQuoted => "quoted whole in a report",
            Self::Name(NameOf::Handle) => "handle",
            Self::Name(NameOf::DisplayName) => "display name",
            Self::Name(NameOf::Channel) => "channel named after a slogan",
            Self::Link(disguise) => match disguise {
                LinkDisguise::Plain => "as banked",
                LinkDisguise::Tracking => "tracking parameters",
                LinkDisguise::UpperCase => "upper-case host",
                LinkDisguise::PercentEncoded => "percent-encoded path",
                LinkDisguise::Userinfo => "user name before the host",
                LinkDisguise::Respelled => "other scheme, port, dots or fragment",
            },
            Self::NearImage(near) => match near {
                NearPicture::SameStyle => "image: same subject, drawn anew",
                NearPicture::PlainFlag => "image: plain flag",
                NearPicture::NewsCollage => "image: news collage",
                NearPicture::LowTexture => "image: almost blank",
            },
            Self::NearSlogan(nearness) => match nearness {
                Nearness::LongerWord => "text: slogan inside longer words",
                Nearness::News => "text: news with single words",
                Nearness::CounterSpeech => "text: counter-speech",
                Nearness::OrdinaryScript => "text: other scripts and spacing",
            },
            Self::NearName(NameOf::Handle) => "name: handle",
            Self::NearName(NameOf::DisplayName) => "name: display name",
            Self::NearName(NameOf::Channel) => "name: channel",
            Self::NearLink => "link",
            Self::Ordinary => "posts, accounts, channels, shares",
        }
    }
}

fn alteration_label(alteration: Alteration) -> &'static str {
    match alteration {
        Alteration::Recompressed => "re-compressed",
        Alteration::Resized => "resized",
        Alteration::Watermarked => "watermarked",
        Alteration::Mirrored => "mirrored",
        Alteration::Cropped => "cropped by 3 to 15 %",
        Alteration::Letterboxed => "letterboxed",
        Alteration::Relit => "brightness shifted",
        Alteration::Screenshot => "inside a screenshot",
    }
}

fn disguise_label(disguise: Disguise) -> &'static str {
    match disguise {
        Disguise::Plain => "plain",
        Disguise::MixedCase => "mIxEd case",
        Disguise::Tatweel => "tatweel",
        Disguise::Diacritics => "diacritics",
        Disguise::CompatibilityForms => "presentation and full-width forms",
        Disguise::LookalikeLetters => "look-alike letters",
        Disguise::SpacedLetters => "spaced letters",
        Disguise::ZeroWidth => "zero-width characters",
        Disguise::Elongated => "elongated",
        Disguise::Leet => "digits for letters",
        Disguise::Combined => "two disguises at once",
    }
}

/// How many of each are planted in a day of [`super::EVENTS`] events; the rest is ordinary.
pub(crate) const QUOTAS: &[(PlantedKind, usize)] = &[
    (PlantedKind::Image(CopyOf::Exact), 20),
    (
        PlantedKind::Image(CopyOf::Altered(Alteration::Recompressed)),
        30,
    ),
    (PlantedKind::Image(CopyOf::Altered(Alteration::Resized)), 30),
    (
        PlantedKind::Image(CopyOf::Altered(Alteration::Watermarked)),
        25,
    ),
    (
        PlantedKind::Image(CopyOf::Altered(Alteration::Mirrored)),
        20,
    ),
    (PlantedKind::Image(CopyOf::Altered(Alteration::Cropped)), 25),
    (
        PlantedKind::Image(CopyOf::Altered(Alteration::Letterboxed)),
        15,
    ),
    (PlantedKind::Image(CopyOf::Altered(Alteration::Relit)), 20),
    (
        PlantedKind::Image(CopyOf::Altered(Alteration::Screenshot)),
        15,
    ),
    (PlantedKind::Image(CopyOf::ReadyMadeSignal), 10),
    (PlantedKind::ImageWithSlogan, 12),
    (PlantedKind::Undecodable, 10),
    (PlantedKind::Slogan(Disguise::Plain), 40),
    (PlantedKind::Slogan(Disguise::MixedCase), 12),
    (PlantedKind::Slogan(Disguise::Tatweel), 16),
    (PlantedKind::Slogan(Disguise::Diacritics), 20),
    (PlantedKind::Slogan(Disguise::CompatibilityForms), 20),
    (PlantedKind::Slogan(Disguise::LookalikeLetters), 24),
    (PlantedKind::Slogan(Disguise::SpacedLetters), 24),
    (PlantedKind::Slogan(Disguise::ZeroWidth), 20),
    (PlantedKind::Slogan(Disguise::Elongated), 20),
    (PlantedKind::Slogan(Disguise::Leet), 12),
    (PlantedKind::Slogan(Disguise::Combined), 30),
    (PlantedKind::SloganQuoted, 12),
    (PlantedKind::Name(NameOf::Handle), 30),
    (PlantedKind::Name(NameOf::DisplayName), 25),
    (PlantedKind::Name(NameOf::Channel), 20),
    (PlantedKind::Link(LinkDisguise::Plain), 16),
    (PlantedKind::Link(LinkDisguise::Tracking), 12),
    (PlantedKind::Link(LinkDisguise::UpperCase), 10),
    (PlantedKind::Link(LinkDisguise::PercentEncoded), 10),
    (PlantedKind::Link(LinkDisguise::Userinfo), 10),
    (PlantedKind::Link(LinkDisguise::Respelled), 10),
    (PlantedKind::NearImage(NearPicture::SameStyle), 60),
    (PlantedKind::NearImage(NearPicture::PlainFlag), 15),
    (PlantedKind::NearImage(NearPicture::NewsCollage), 20),
    (PlantedKind::NearImage(NearPicture::LowTexture), 15),
    (PlantedKind::NearSlogan(Nearness::LongerWord), 40),
    (PlantedKind::NearSlogan(Nearness::News), 40),
    (PlantedKind::NearSlogan(Nearness::CounterSpeech), 30),
    (PlantedKind::NearSlogan(Nearness::OrdinaryScript), 30),
    (PlantedKind::NearName(NameOf::Handle), 20),
    (PlantedKind::NearName(NameOf::DisplayName), 15),
    (PlantedKind::NearName(NameOf::Channel), 15),
    (PlantedKind::NearLink, 40),
];
