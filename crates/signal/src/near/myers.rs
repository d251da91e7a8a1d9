//! Edit distance, 64 letters at a time, given up as soon as it must be over a limit.
//!
//! The bit-parallel algorithm of Myers (1999) in blocks, as given by Hyyrö (2003), over the band of
//! the table that a distance within the limit can pass through. Cells outside the band are taken to
//! be larger than they are, which leaves every distance within the limit as it is.

use hashbrown::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A text made ready to be compared with many others.
#[derive(Debug, Default)]
pub(crate) struct Pattern {
    letters: usize,
    blocks: usize,
    ascii: Vec<u32>,
    others: HashMap<char, u32, BuildHasherDefault<Spread>>,
    /// For each numbered letter, by block, where in the text it stands.
    masks: Vec<u64>,
    /// Positions of the rarer letters of a very long text, sorted by letter.
    rare: Vec<(char, u32)>,
    row: Vec<u64>,
    columns: Vec<Column>,
}

/// One block of one column of the table: steps up and down between its rows, and the value of its
/// last row.
#[derive(Debug, Clone, Copy)]
struct Column {
    up: u64,
    down: u64,
    last: u32,
}

/// Hashes one `char`.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }
    fn write_u32(&mut self, c: u32) {
        let mixed = (self.0 ^ u64::from(c)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

const NO_NUMBER: u32 = u32::MAX;
/// Words of masks, two megabytes, that a text may take.
const MASKS_MAX: usize = 1 << 18;
/// Texts up to this length can have all letters different and stay within [`MASKS_MAX`].
const DENSE_MAX: usize = 4096;
/// Columns after which it is asked whether the limit can still be kept.
const STRIDE: usize = 32;

impl Pattern {
    pub(crate) fn new(text: &[char]) -> Self {
        let blocks = text.len().div_ceil(64);
        let mut pattern = Self {
            letters: text.len(),
            blocks,
            ascii: vec![NO_NUMBER; 128],
            row: vec![0; blocks],
            columns: Vec::with_capacity(blocks),
            ..Self::default()
        };
        if text.len() <= DENSE_MAX {
            for c in text {
                pattern.number(*c);
            }
        } else {
            pattern.number_common(text);
        }
        for (at, c) in text.iter().enumerate() {
            let number = pattern.number_of(*c);
            if let Some(mask) = pattern.masks.get_mut(number as usize * blocks + at / 64) {
                *mask |= 1 << (at % 64);
            }
        }
        pattern
    }

    /// Gives a letter a number and room for its masks, unless it has them.
    fn number(&mut self, c: char) -> u32 {
        let next = (self.masks.len() / self.blocks.max(1)) as u32;
        let number = match self.ascii.get_mut(c as usize) {
            Some(number) => number,
            None => self.others.entry(c).or_insert(NO_NUMBER),
        };
        if *number == NO_NUMBER {
            *number = next;
            self.masks.resize(self.masks.len() + self.blocks, 0);
        }
        *number
    }

    #[inline]
    fn number_of(&self, c: char) -> u32 {
        match self.ascii.get(c as usize) {
            Some(number) => *number,
            None => self.others.get(&c).copied().unwrap_or(NO_NUMBER),
        }
    }

    /// Numbers the commonest letters. One left over occurs at most once in 256 letters of the text.
    fn number_common(&mut self, text: &[char]) {
        let mut places: Vec<(char, u32)> = text.iter().copied().zip(0..).collect();
        places.sort_unstable();
        let runs = places.chunk_by(|a, b| a.0 == b.0);
        let mut counts: Vec<(usize, char)> = runs
            .filter_map(|run| Some((run.len(), run.first()?.0)))
            .collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        for (_, c) in counts.iter().take(MASKS_MAX / self.blocks.max(1)) {
            self.number(*c);
        }
        places.retain(|(c, _)| self.number_of(*c) == NO_NUMBER);
        self.rare = places;
    }

    /// The distance to a text, unless it is over `limit`.
    pub(crate) fn distance(&mut self, text: &[char], limit: u32) -> Option<u32> {
        let limit = limit as usize;
        if self.letters.abs_diff(text.len()) > limit {
            return None;
        }
        if self.letters == 0 || text.is_empty() {
            return Some((self.letters + text.len()) as u32);
        }
        self.columns.clear();
        for (at, c) in text.iter().enumerate() {
            self.column(at, *c, limit);
            if at % STRIDE == STRIDE - 1 && self.least(at, limit) > limit as u32 {
                return None;
            }
        }
        let distance = self.columns.last()?.last;
        (distance as usize <= limit).then_some(distance)
    }

    /// The first block of column `at` (from 0) with a row within `limit` of the diagonal.
    fn first_block(at: usize, limit: usize) -> usize {
        (at + 1).saturating_sub(limit + 1) / 64
    }

    /// Moves the blocks in the band on by one letter of the other text.
    fn column(&mut self, at: usize, c: char, limit: usize) {
        let last = ((at + 1 + limit).min(self.letters) - 1) / 64;
        while self.columns.len() <= last {
            let above = self.columns.last().map_or(at as u32, |column| column.last);
            let rows = 64.min(self.letters - self.columns.len() * 64);
            self.columns.push(Column {
                up: !0,
                down: 0,
                last: above + rows as u32,
            });
        }
        let first = Self::first_block(at, limit).min(last);
        let number = self.number_of(c);
        let masks = if number == NO_NUMBER {
            rare_masks(&self.rare, c, &mut self.row);
            &self.row[..]
        } else {
            let start = number as usize * self.blocks;
            self.masks
                .get(start..start + self.blocks)
                .unwrap_or_default()
        };
        let mut carry = 1;
        let end = self.letters - 1;
        let band = self.columns.iter_mut().zip(masks).enumerate();
        for (block, (column, mask)) in band.take(last + 1).skip(first) {
            let bottom = if block == end / 64 { end % 64 } else { 63 };
            carry = column.step(*mask, carry, bottom);
        }
    }

    /// The least value in the band of column `at`: the distance cannot be under it.
    fn least(&self, at: usize, limit: usize) -> u32 {
        let first = Self::first_block(at, limit).min(self.columns.len().saturating_sub(1));
        let band = self.columns.iter().enumerate().skip(first);
        let least = band.map(|(block, column)| {
            let rows = 64.min(self.letters - block * 64);
            column.least(rows)
        });
        least.min().unwrap_or(0)
    }
}

impl Column {
    /// One column further: `carry` is the step along the row above, and comes back as the step
    /// along the last row, which is number `bottom` of the block.
    #[inline]
    fn step(&mut self, mask: u64, carry: i32, bottom: usize) -> i32 {
        let Self { up, down, .. } = *self;
        let diagonal = mask | down;
        let equal = mask | u64::from(carry < 0);
        let zero = (((equal & up).wrapping_add(up)) ^ up) | equal;
        let right = down | !(zero | up);
        let left = up & zero;
        let out = ((right >> bottom) & 1) as i32 - ((left >> bottom) & 1) as i32;
        let right = right << 1 | u64::from(carry > 0);
        let left = left << 1 | u64::from(carry < 0);
        self.up = left | !(diagonal | right);
        self.down = right & diagonal;
        self.last = self.last.wrapping_add_signed(out);
        out
    }

    fn least(&self, rows: usize) -> u32 {
        let (mut value, mut least) = (self.last, self.last);
        for row in (0..rows).rev() {
            let step = ((self.up >> row) & 1) as i32 - ((self.down >> row) & 1) as i32;
            value = value.wrapping_sub(step as u32);
            least = least.min(value);
        }
        least
    }
}

/// Writes where a letter without a number stands.
fn rare_masks(rare: &[(char, u32)], c: char, row: &mut [u64]) {
    row.fill(0);
    let start = rare.partition_point(|(other, _)| *other < c);
    let places = rare.get(start..).unwrap_or_default().iter();
    for (_, at) in places.take_while(|(other, _)| *other == c) {
        if let Some(word) = row.get_mut(*at as usize / 64) {
            *word |= 1 << (at % 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(a: &str, b: &str, limit: u32) {
        let (left, right): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let distance = strsim::levenshtein(a, b) as u32;
        let expect = (distance <= limit).then_some(distance);
        assert_eq!(
            Pattern::new(&left).distance(&right, limit),
            expect,
            "{limit}"
        );
    }

    #[test]
    fn edges() {
        for limit in 0..5 {
            check("", "", limit);
            check("a", "", limit);
            check("", "abc", limit);
            check("abc", "abd", limit);
            check(&"a".repeat(64), &"a".repeat(65), limit);
            check(&"ab".repeat(64), &"ba".repeat(64), limit);
            check(&"ab".repeat(64), &"b".repeat(128), limit);
        }
        check(&"ab".repeat(64), &"b".repeat(128), 63);
        check(&"ab".repeat(64), &"b".repeat(128), 64);
    }

    #[test]
    fn a_long_text_with_thousands_of_letters() {
        let letters = |from: u32| char::from_u32(0x4e00 + from).unwrap();
        let a: String = (0..6000).map(|at| letters(at * at % 5003)).collect();
        let mut b: Vec<char> = a.chars().collect();
        for at in (0..b.len()).step_by(97) {
            b[at] = 'x';
        }
        b.drain(100..140);
        check(&a, &b.into_iter().collect::<String>(), 300);
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[ab]{0,200}", "[a-dب-ث]{0,150}", "\\PC{0,90}"]
    }

    proptest! {
        #[test]
        fn as_the_table_says(a in text(), b in text(), limit in 0_u32..220) {
            check(&a, &b, limit);
        }

        #[test]
        fn as_the_table_says_of_near_texts(
            a in "[a-c]{1,400}",
            changes in proptest::collection::vec((any::<prop::sample::Index>(), "[a-c]{0,2}"), 0..40),
            limit in 0_u32..60,
        ) {
            let mut b = a.clone();
            for (at, put) in changes {
                let at = at.index(b.len().max(1)).min(b.len());
                b.replace_range(at..(at + 1).min(b.len()), &put);
            }
            check(&a, &b, limit);
            check(&b, &a, limit);
        }
    }
}
