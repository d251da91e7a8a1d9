//! `sample(share)`: a part of all events, the same on every machine and in every version.
//!
//! An event is in when SHA-256 over the rule's name and a key, each with its length before it, read
//! as a number from 0 to 1, lies below the share. So a larger share holds all of a smaller one, and
//! two rules draw independently.

use super::{Answer, Given, Input, Operand, Prepared, Refused, Workshop};
use sha2::{Digest, Sha256};

/// In how many parts shares are counted: as many as a float tells apart.
const PARTS: u64 = 1 << 53;

pub(super) fn share(given: &Given<'_>, shop: &mut Workshop<'_>) -> Result<Prepared, Refused> {
    let share = given.number(0).unwrap_or(-1.0);
    if !(0.0..=1.0).contains(&share) {
        let message = "a share is a number from 0 to 1";
        return Err(Refused::new(
            0,
            message,
            "for example `sample(0.1)` for a tenth",
        ));
    }
    Ok(Prepared::Share {
        parts: (share * PARTS as f64) as u64,
        rule: shop.rule.into(),
    })
}

pub(super) fn sample(input: Input<'_, '_>) -> Answer<bool> {
    let Prepared::Share { parts, rule } = input.prepared else {
        return Err("there is no share");
    };
    let event = input.ctx.facts.event;
    let place = match &input.value {
        Operand::Text(key) => place_of(rule, &[key]),
        _ => place_of(rule, &[&event.source, &event.id]),
    };
    Ok(place < *parts)
}

/// Where a key lies among the parts.
fn place_of(rule: &str, key: &[&str]) -> u64 {
    let mut hasher = Sha256::new();
    for text in std::iter::once("sample")
        .chain([rule])
        .chain(key.iter().copied())
    {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    let digest = hasher.finalize();
    let first = digest.iter().take(8);
    first.fold(0, |number, byte| (number << 8) | u64::from(*byte)) >> 11
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed once with Python's `hashlib`; other numbers would change who is in a sample.
    #[test]
    fn places_stay_where_they_are() {
        assert_eq!(
            place_of("r", &["forum.example", "e-1"]),
            5_406_687_457_792_905
        );
        assert_eq!(place_of("r", &["a-19"]), 8_943_279_779_299_910);
    }

    #[test]
    fn a_tenth_is_about_a_tenth() {
        let tenth = PARTS / 10;
        let keys = (0..10_000).map(|n| n.to_string());
        let inside = keys.filter(|key| place_of("r", &[key]) < tenth).count();
        assert!((900..1_100).contains(&inside), "{inside}");
    }
}
