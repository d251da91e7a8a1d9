//! Where two PDQ hashes differ, as a picture: for the terminal, a file and the console.

use image::{Rgb, RgbImage};
use manara_signal::Pdq;
use std::fmt::Write as _;

/// Bits in a row, and rows.
const SIDE: usize = 16;

/// Two hashes as a square of 16 × 16: bit `16 × row + column` stands for one frequency of the image,
/// the lowest at the top left, so where the copies differ says in what (coarse shapes or fine detail).
/// A row is one 16-bit chunk of the hash.
pub(crate) struct Bits {
    pub(crate) a: Pdq,
    pub(crate) b: Pdq,
}

/// One bit of both hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    Differs,
    Both,
    Neither,
}

impl Bits {
    pub(crate) fn cell(&self, index: usize) -> Cell {
        match (bit(self.a, index), bit(self.b, index)) {
            (true, true) => Cell::Both,
            (false, false) => Cell::Neither,
            _ => Cell::Differs,
        }
    }

    /// The numbers of the bits that differ.
    pub(crate) fn differing(&self) -> impl Iterator<Item = usize> {
        (0..SIDE * SIDE).filter(|index| self.cell(*index) == Cell::Differs)
    }

    /// In how many bits each 16-bit chunk differs.
    pub(crate) fn by_chunk(&self) -> [u32; SIDE] {
        let mut chunks = [0; SIDE];
        for index in self.differing() {
            chunks[index / SIDE] += 1;
        }
        chunks
    }

    /// For the terminal, readable without colour; the numbers are the distances of the rows.
    pub(crate) fn grid(&self) -> String {
        let mut grid = String::new();
        for (row, differing) in self.by_chunk().into_iter().enumerate() {
            let cell = |column: usize| match self.cell(SIDE * row + column) {
                Cell::Differs => "██",
                Cell::Both => "▪ ",
                Cell::Neither => "· ",
            };
            let cells: String = (0..SIDE).map(cell).collect();
            let aside = match row {
                0 => "   ██ differs",
                1 => "   ▪  set in both",
                2 => "   ·  set in neither",
                3 => "   at the left: how many bits of the row differ",
                _ => "",
            };
            let cells = if aside.is_empty() {
                cells.trim_end()
            } else {
                &cells
            };
            // Writing to a String cannot fail.
            let _ = writeln!(grid, "{differing:>2}  {cells}{aside}");
        }
        grid
    }

    pub(crate) fn png(&self) -> RgbImage {
        const CELL: u32 = 24;
        RgbImage::from_fn(SIDE as u32 * CELL + 1, SIDE as u32 * CELL + 1, |x, y| {
            let index = SIDE * (y / CELL) as usize + (x / CELL) as usize;
            match (x % CELL, y % CELL) {
                (0, _) | (_, 0) => Rgb([0xff; 3]),
                _ => match self.cell(index) {
                    Cell::Differs => Rgb([0xc2, 0x41, 0x0c]),
                    Cell::Both => Rgb([0x64, 0x74, 0x8b]),
                    Cell::Neither => Rgb([0xe2, 0xe8, 0xf0]),
                },
            }
        })
    }

    /// A drawing that stands alone, with a legend.
    pub(crate) fn svg(&self) -> String {
        let mut svg = String::from(concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -12 408 438" width="408" height="438" font-family="sans-serif" font-size="13">"#,
            "\n<title>Differing bits of two PDQ hashes</title>\n<rect x=\"-12\" y=\"-12\" width=\"408\" height=\"438\" fill=\"#ffffff\"/>\n",
        ));
        self.draw(&mut svg, |cell| match cell {
            Cell::Differs => "fill=\"#c2410c\"",
            Cell::Both => "fill=\"#64748b\"",
            Cell::Neither => "fill=\"#e2e8f0\"",
        });
        let legend = format!(
            "{} of 256 bits differ (orange); dark: set in both; light: set in neither",
            self.a.distance(&self.b)
        );
        let _ = writeln!(
            svg,
            r##"<text x="0" y="410" fill="#475569" font-size="11">{legend}</text>"##
        );
        svg.push_str("</svg>\n");
        svg
    }

    /// A drawing for a page whose style sheet gives the colours.
    pub(crate) fn inline_svg(&self) -> String {
        let mut svg = format!(
            "<svg class=\"bits\" viewBox=\"0 0 383 383\" role=\"img\" aria-label=\"{} of 256 bits differ\">\n",
            self.a.distance(&self.b)
        );
        self.draw(&mut svg, |cell| match cell {
            Cell::Differs => "class=\"differs\"",
            Cell::Both => "class=\"both\"",
            Cell::Neither => "class=\"neither\"",
        });
        svg.push_str("</svg>");
        svg
    }

    fn draw(&self, svg: &mut String, paint: impl Fn(Cell) -> &'static str) {
        for index in 0..SIDE * SIDE {
            let (x, y) = (index % SIDE * 24, index / SIDE * 24);
            let paint = paint(self.cell(index));
            let _ = writeln!(
                svg,
                r#"<rect x="{x}" y="{y}" width="23" height="23" {paint}/>"#
            );
        }
    }
}

/// A hash is written with bit 255 first.
fn bit(hash: Pdq, index: usize) -> bool {
    let byte = hash
        .as_bytes()
        .iter()
        .rev()
        .nth(index / 8)
        .copied()
        .unwrap_or_default();
    byte >> (index % 8) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(hex: &str) -> Pdq {
        Pdq::from_hex(hex).unwrap()
    }

    #[test]
    fn bit_0_is_the_last_digit_and_stands_top_left() {
        let zero = hash(&"0".repeat(64));
        let last = hash(&format!("{}1", "0".repeat(63)));
        assert!(bit(last, 0) && !bit(last, 1) && !bit(zero, 0));
        let first = hash(&format!("8{}", "0".repeat(63)));
        assert!(bit(first, 255));
        let bits = Bits { a: zero, b: last };
        assert!(bits.grid().starts_with(" 1  ██· "), "{}", bits.grid());
        assert_eq!(bits.differing().collect::<Vec<_>>(), [0]);
        assert_eq!(bits.png().get_pixel(5, 5), &Rgb([0xc2, 0x41, 0x0c]));
        assert_eq!(bits.svg().matches("#c2410c").count(), 1);
        assert_eq!(bits.inline_svg().matches("differs").count(), 1);
    }

    #[test]
    fn every_differing_bit_is_drawn() {
        let bits = Bits {
            a: hash(&"f0".repeat(32)),
            b: hash(&"ff".repeat(32)),
        };
        assert_eq!(bits.by_chunk(), [8; 16]);
        assert_eq!(bits.grid().lines().count(), 16);
        // One block is the legend's.
        assert_eq!(bits.grid().matches("██").count(), 128 + 1);
        assert_eq!(bits.svg().matches("#c2410c").count(), 128);
        assert_eq!(bits.inline_svg().matches("class=\"both\"").count(), 128);
    }
}
