//! Offsets in UTF-16 units, in which editors count, and in bytes, in which we do.

/// How far apart, in bytes, the marks are from which is counted.
const STEP: usize = 1024;

/// Turns offsets of one text from bytes to UTF-16 units and back.
///
/// ```
/// use manara_rules::assist::Offsets;
/// let offsets = Offsets::of("«راية» x");
/// assert_eq!(offsets.to_utf16("«راية» ".len()), 7);
/// assert_eq!(offsets.to_byte(7), "«راية» ".len());
/// ```
#[derive(Debug)]
pub struct Offsets<'t> {
    text: &'t str,
    /// Bytes and UTF-16 units, at about every [`STEP`] bytes.
    marks: Vec<(usize, usize)>,
}

impl<'t> Offsets<'t> {
    /// Reads the text once; each question then looks at no more than about a kilobyte.
    pub fn of(text: &'t str) -> Self {
        let mut marks = vec![(0, 0)];
        let mut units = 0;
        let mut next = STEP;
        for (at, c) in text.char_indices() {
            if at >= next {
                marks.push((at, units));
                next = at + STEP;
            }
            units += c.len_utf16();
        }
        Self { text, marks }
    }

    /// The offset in UTF-16 units of one in bytes. Inside a character it is rounded down, beyond the
    /// text it is the end.
    pub fn to_utf16(&self, byte: usize) -> usize {
        let mark = self.marks.partition_point(|(at, _)| *at <= byte);
        let (start, mut units) = self.mark(mark);
        let rest = self.text.get(start..).unwrap_or_default();
        for (at, c) in rest.char_indices() {
            if start + at + c.len_utf8() > byte {
                break;
            }
            units += c.len_utf16();
        }
        units
    }

    /// The offset in bytes of one in UTF-16 units, rounded likewise.
    pub fn to_byte(&self, utf16: usize) -> usize {
        let mark = self.marks.partition_point(|(_, units)| *units <= utf16);
        let (start, mut units) = self.mark(mark);
        let rest = self.text.get(start..).unwrap_or_default();
        for (at, c) in rest.char_indices() {
            units += c.len_utf16();
            if units > utf16 {
                return start + at;
            }
        }
        self.text.len()
    }

    /// A part of the text, in UTF-16 units.
    pub fn range(&self, bytes: &std::ops::Range<usize>) -> std::ops::Range<usize> {
        self.to_utf16(bytes.start)..self.to_utf16(bytes.end)
    }

    fn mark(&self, after: usize) -> (usize, usize) {
        let mark = after.checked_sub(1).and_then(|at| self.marks.get(at));
        mark.copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn there_and_back_is_the_same_place(text in "[a-zß«ر😀\n]{0,1500}") {
            let offsets = Offsets::of(&text);
            let mut units = 0;
            for (at, c) in text.char_indices() {
                prop_assert_eq!(offsets.to_utf16(at), units);
                prop_assert_eq!(offsets.to_byte(units), at);
                // Inside a character is its beginning.
                prop_assert_eq!(offsets.to_utf16(at + c.len_utf8() - 1), units);
                units += c.len_utf16();
                prop_assert_eq!(offsets.to_byte(units - 1), at);
            }
            prop_assert_eq!(offsets.to_utf16(usize::MAX), units);
            prop_assert_eq!(offsets.to_byte(usize::MAX), text.len());
        }
    }
}
