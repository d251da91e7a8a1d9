//! The forms of an image: which there are, and what they are called for people.
//!
//! The evidence has their names: `rotate90`, `without_bars`, `frame_12`. The image as stored is
//! [`STORED`], and stands in the evidence without a name.

use crate::bits::Bits;
use crate::console::text::{self, Html};
use manara_model::Match;
use manara_signal::Pdq;
use manara_signal::pdq::Dihedral;

/// The form that is the image as stored.
pub(crate) const STORED: &str = Match::STORED_FORM;

/// Whether it is one of those mirrored and turned, which are looked up only for the banks that ask.
pub(crate) fn is_dihedral(form: &str) -> bool {
    form != STORED && Dihedral::NAMES.contains(&form)
}

/// The kind of form, of which there are few, for counting.
pub(crate) fn kind(form: &str) -> &'static str {
    match form {
        STORED => STORED,
        "exif_orientation" => "exif_orientation",
        "without_bars" => "without_bars",
        "reference_512" => "reference_512",
        form if is_dihedral(form) => "dihedral",
        _ => "frame",
    }
}

/// How an image looks in this form.
pub(crate) fn in_words(form: &str) -> String {
    let words = match form {
        STORED => "as stored",
        "rotate90" => "turned by 90°",
        "rotate180" => "turned by 180°",
        "rotate270" => "turned by 270°",
        "flip_x" => "mirrored top to bottom",
        "flip_y" => "mirrored left to right",
        "flip_plus" => "mirrored on the diagonal from top left",
        "flip_minus" => "mirrored on the diagonal from top right",
        "exif_orientation" => "as displayed",
        "without_bars" => "without its bars",
        "reference_512" => "as Meta's command-line tools hash it",
        _ => match form.strip_prefix("frame_") {
            Some(number) => return format!("frame {number}"),
            None => form,
        },
    };
    words.to_owned()
}

/// A match of an image, bit by bit: the form that matched and, where that is another one, the image
/// as stored beside it.
pub(crate) struct Compared {
    pub(crate) member: String,
    pub(crate) forms: Vec<ComparedForm>,
}

pub(crate) struct ComparedForm {
    /// `matched as displayed`, `as stored, for contrast`.
    pub(crate) words: String,
    pub(crate) distance: u32,
    /// Of the form that matched.
    pub(crate) quality: Option<u8>,
    pub(crate) hash: String,
    /// In how many bits each row of the picture differs.
    pub(crate) by_row: String,
    pub(crate) picture: Html,
}

/// Both hashes of a match, given the member's and that of the image as stored, as far as they are
/// known. Nothing when the hash that matched is not: it was not kept, or the member is another one now.
pub(crate) fn compared(found: &Match, member: Pdq, stored: Option<Pdq>) -> Option<Compared> {
    let (hash, contrast) = match &found.form {
        Some(_) => (found.form_hash?, stored),
        None => (stored?, None),
    };
    if member.distance(&hash) != found.distance {
        return None;
    }
    let compare = |words: String, quality, hash: Pdq| {
        let bits = Bits { a: member, b: hash };
        ComparedForm {
            words,
            distance: member.distance(&hash),
            quality,
            hash: hash.to_hex(),
            by_row: bits.by_chunk().map(|n| n.to_string()).join(" "),
            picture: text::picture(&bits),
        }
    };
    let form = in_words(found.form.as_deref().unwrap_or(STORED));
    let mut forms = vec![compare(format!("matched {form}"), found.quality, hash)];
    forms.extend(contrast.map(|hash| compare("as stored, for contrast".to_owned(), None, hash)));
    Some(Compared {
        member: member.to_hex(),
        forms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Form;
    use manara_model::MemberId;
    use manara_signal::SignalType;

    #[track_caller]
    fn check_compared(distance: u32, form: Option<(&str, Option<u8>)>, expect: &[&str]) {
        let with_last = |last: u8| {
            let mut hash = Pdq([0; 32]);
            hash.0[31] = last;
            hash
        };
        let found = Match {
            signal_type: SignalType::Pdq,
            bank: "B".parse().unwrap(),
            member: MemberId(1),
            distance,
            field: "content.media[0]".into(),
            quality: Some(90),
            span: None,
            how: None,
            form: form.map(|(name, _)| name.to_owned()),
            form_hash: form.and_then(|(_, last)| last).map(with_last),
            distance_stored: None,
            withheld: None,
        };
        let compared = compared(&found, with_last(0), Some(with_last(0x0f)));
        let shown: Vec<String> = compared.map_or_else(Vec::new, |it| {
            let show = |form: &ComparedForm| format!("{}: {}", form.words, form.by_row);
            it.forms.iter().map(show).collect()
        });
        let rest = " 0".repeat(15);
        let expect: Vec<String> = expect.iter().map(|line| format!("{line}{rest}")).collect();
        assert_eq!(shown, expect);
    }

    #[test]
    fn the_bits_shown_are_those_that_matched() {
        check_compared(4, None, &["matched as stored: 4"]);
        check_compared(
            1,
            Some(("rotate180", Some(1))),
            &["matched turned by 180°: 1", "as stored, for contrast: 4"],
        );
        // The member is another one now; the hash of the form was not kept.
        check_compared(7, None, &[]);
        check_compared(7, Some(("rotate180", Some(1))), &[]);
        check_compared(4, Some(("rotate180", None)), &[]);
    }

    #[test]
    fn every_form_has_words_and_a_kind() {
        assert_eq!(STORED, Dihedral::Original.name());
        for name in Dihedral::NAMES {
            assert_ne!(in_words(name), name);
            assert_eq!(is_dihedral(name), name != STORED);
        }
        for (form, words) in [
            (Form::WithoutBars, "without its bars"),
            (Form::Frame(12), "frame 12"),
        ] {
            assert_eq!(in_words(&form.to_string()), words);
        }
        assert_eq!(
            ["flip_plus", "original", "frame_3", "without_bars"].map(kind),
            ["dihedral", "original", "frame", "without_bars"]
        );
    }
}
