//! From RGB pixels to the 64x64 thumbnail: luminance, two box blurs per axis, and a pick of 64x64.
//!
//! The reference blurs whole planes: rows, columns, rows, columns. Here the image passes once, in
//! strips of 16 rows and each strip in tiles of 64 columns, through all four filters, so that a tile
//! stays in the first cache from its pixels to its share of the thumbnail:
//!
//! ```text
//! tile of RGB ─ luma ─ rows filter ─ columns filter ─ rows filter, 64 samples ─ columns filter ─ 64 rows
//!                 (one row per lane)  (lanes are columns)  (one row per lane)   (lanes are samples)
//! ```
//!
//! A filter is a running sum, whose every step depends on the one before; so sixteen rows run in
//! step, one in each lane, and columns likewise. No lane sees another, so each sum adds and
//! subtracts the same numbers in the same order as the reference and rounds alike.
//!
//! A filter's output is centred, so it comes some steps after its input. Nothing is moved to make up
//! for that: the next filter is told how late its input is. What enters before the first or leaves
//! after the last value is zero, which changes no sum; only the number to divide by differs there.

#![expect(
    clippy::inline_always,
    reason = "only inlined code is compiled for the caller's level"
)]

use super::simd::Lanes;
use super::{SIDE, Thumbnail};

/// Rows that are filtered in step.
pub(super) const STRIP: usize = 16;

/// Columns that pass through all filters together.
const TILE: usize = SIDE;

/// One value for each row of a strip, or for each of as many columns.
type Sixteen = [f32; STRIP];

/// A tile with its rows one after another.
type Rows = [[f32; TILE]; STRIP];

/// A tile with its columns one after another, so that a row is a lane.
type Columns = [Sixteen; TILE];

/// Luminance of a pixel in the low three bytes of a word, red lowest.
///
/// The reference computes `0.299 r + 0.587 g + 0.114 b` in `f64` and rounds to `f32`. A thousand times
/// that is a whole number; dividing it in `f32` rounds once and gives the same for all 2^24 colours,
/// which a test checks.
#[inline(always)]
pub(super) fn luma_of(rgb: u32) -> f32 {
    let thousandths = 299 * (rgb & 255) + 587 * ((rgb >> 8) & 255) + 114 * ((rgb >> 16) & 255);
    thousandths as i32 as f32 / 1000.0
}

/// The box filter along one axis.
#[derive(Clone, Copy)]
struct Axis {
    /// Number of values.
    len: usize,
    /// Width of the box: half of a block of the 64 that the axis is shrunk to, rounded up.
    window: usize,
    /// Steps by which an output comes after the input at its place.
    late: usize,
}

impl Axis {
    const fn new(len: usize) -> Self {
        let window = len.div_ceil(2 * SIDE);
        Self {
            len,
            window,
            late: window / 2,
        }
    }

    /// How many values are in the sum after step `at`; at least 1, also where nobody asks.
    #[inline(always)]
    fn size(self, at: usize) -> f32 {
        let entered = self.len.min(at + 1);
        entered
            .saturating_sub((at + 1).saturating_sub(self.window))
            .max(1) as f32
    }

    /// What to scale the sums of `N` steps from `start` by.
    #[inline(always)]
    fn scale<const N: usize>(self, start: usize) -> Scale<N> {
        let inside = start + 1 >= self.window && start + N <= self.len;
        if inside && self.window.is_power_of_two() {
            return Scale::By(1.0 / self.window as f32);
        }
        if inside {
            return Scale::Over([self.window as f32; N]);
        }
        Scale::Over(std::array::from_fn(|i| self.size(start + i)))
    }

    /// The `i`th of the 64 positions that are kept: the centre of one of 64 equal blocks.
    const fn centre(self, i: usize) -> usize {
        (2 * i + 1) * self.len / (2 * SIDE)
    }

    /// Steps of the first filter until the second has given the last position that is kept.
    ///
    /// That is one more than there are values when the window is even, else as many.
    const fn steps(self) -> usize {
        self.centre(SIDE - 1) + 2 * self.late + 1
    }
}

/// A sum over a window is divided by its size; multiplication by the reciprocal is exact for powers
/// of two, and quicker.
enum Scale<const N: usize> {
    By(f32),
    Over([f32; N]),
}

/// One step of a filter: a value enters, and the one in its slot, which entered a window ago, leaves.
#[inline(always)]
fn slide<L: Lanes>(sum: L, slot: &mut Sixteen, new: L) -> L {
    let old = L::load(slot);
    new.store(slot);
    sum.add(new).subtract(old)
}

/// Blurs and shrinks an image that is handed over in strips.
pub(super) struct Blur {
    across: Axis,
    down: Axis,
    /// Rows taken so far, with those after the last.
    rows: usize,
    first_across: Across,
    first_down: Down,
    second_across: Across,
    second_down: Down,
    thumbnail: Thumbnail,
    filled: usize,
}

impl Blur {
    /// For an image of this size, at least 1 in each direction.
    pub(super) fn new(width: usize, height: usize) -> Self {
        let (across, down) = (Axis::new(width), Axis::new(height));
        Self {
            across,
            down,
            rows: 0,
            first_across: Across::new(across),
            first_down: Down::new(down, across.steps().div_ceil(TILE)),
            second_across: Across::new(across),
            second_down: Down::new(down, 1),
            thumbnail: [[0.0; SIDE]; SIDE],
            filled: 0,
        }
    }

    /// Takes the next 16 rows; fewer, or none, after the last.
    #[inline(always)]
    pub(super) fn strip<L: Lanes>(&mut self, pixels: &[u8]) {
        let stride = 3 * self.across.len;
        let rows: [&[u8]; STRIP] = std::array::from_fn(|row| {
            let row = pixels.get(row * stride..(row + 1) * stride);
            row.unwrap_or_default()
        });
        let scale_down = self.down.scale(self.rows);
        self.first_across.begin_strip();
        self.second_across.begin_strip();
        let mut samples = [[0.0; STRIP]; SIDE];
        let mut sampled = 0;
        let mut tile = [[0.0; TILE]; STRIP];
        let mut columns = [[0.0; STRIP]; TILE];
        for start in (0..self.across.steps()).step_by(TILE) {
            let len = TILE.min(self.across.steps() - start);
            let used = len.next_multiple_of(STRIP);
            luma::<L>(&rows, start, &mut columns, used);
            self.first_across
                .blur::<L>(&mut columns, &self.across.scale(start), used);
            to_rows::<L>(&columns, &mut tile, used);
            self.first_down
                .blur::<L>(start / TILE, &mut tile, &scale_down, used);
            to_columns::<L>(&tile, &mut columns, used);
            // The second filter begins where the first has its first output.
            let first = self.across.late.saturating_sub(start);
            let at = (start + first).saturating_sub(self.across.late);
            let valid = columns.get(first..len).unwrap_or_default();
            self.second_across
                .sample::<L>(valid, at, &mut samples, &mut sampled);
        }
        self.first_down.end_strip();
        to_rows::<L>(&samples, &mut tile, TILE);
        for row in &tile {
            self.thin_row::<L>(row);
        }
    }

    /// The second columns filter, of whose outputs only the 64 centres are kept and so divided.
    #[inline(always)]
    fn thin_row<L: Lanes>(&mut self, row: &[f32; SIDE]) {
        let at = self.rows.checked_sub(self.down.late);
        self.rows += 1;
        let Some(at) = at else { return };
        let sums = self.second_down.step::<L>(row);
        while let Some(out) = self.thumbnail.get_mut(self.filled)
            && self.down.centre(self.filled) + self.down.late == at
        {
            let size = self.down.size(at);
            *out = sums.map(|sum| sum / size);
            self.filled += 1;
        }
    }

    /// Whether the strips taken so far are all that is needed.
    pub(super) fn is_done(&self) -> bool {
        self.rows >= self.down.steps()
    }

    /// The thumbnail, once [`Self::is_done`].
    pub(super) fn thumbnail(&self) -> &Thumbnail {
        &self.thumbnail
    }
}

/// Bytes of a tile's row, and four that are read along with the last pixels but not used.
const TILE_BYTES: usize = 3 * TILE + 4;

/// Luminance of the first `used` columns of a tile, a multiple of 4; zero after the end of the rows.
#[inline(always)]
fn luma<L: Lanes>(rows: &[&[u8]; STRIP], start: usize, columns: &mut Columns, used: usize) {
    let mut ends;
    let tile = rows.map(|row| row.get(3 * start..).unwrap_or_default());
    let tile: [&[u8; TILE_BYTES]; STRIP] = if tile.iter().all(|row| row.len() >= TILE_BYTES) {
        tile.map(|row| row.first_chunk().unwrap_or(&[0; TILE_BYTES]))
    } else {
        ends = [[0; TILE_BYTES]; STRIP];
        for (end, row) in ends.iter_mut().zip(tile) {
            let len = row.len().min(3 * TILE);
            end[..len].copy_from_slice(&row[..len]);
        }
        ends.each_ref()
    };
    let quads = columns.as_chunks_mut::<4>().0.iter_mut();
    for (at, quad) in quads.enumerate().take(used / 4) {
        let four = |row: usize| {
            let row: &[u8; TILE_BYTES] = tile[row];
            row.get(12 * at..)
                .and_then(|row| row.first_chunk())
                .unwrap_or(&[0; 16])
        };
        let every_fourth = |i| L::luma([four(i), four(4 + i), four(8 + i), four(12 + i)]);
        let turned = L::turned(std::array::from_fn(every_fourth));
        for (column, values) in quad.iter_mut().zip(turned) {
            values.store(column);
        }
    }
}

/// The box filter along the rows of a strip.
struct Across {
    axis: Axis,
    sum: Sixteen,
    /// The last window of values; the one that is to leave next is at `at`.
    ring: Vec<Sixteen>,
    at: usize,
}

impl Across {
    fn new(axis: Axis) -> Self {
        Self {
            axis,
            sum: [0.0; STRIP],
            ring: vec![[0.0; STRIP]; axis.window],
            at: 0,
        }
    }

    fn begin_strip(&mut self) {
        self.sum = [0.0; STRIP];
        self.ring.fill([0.0; STRIP]);
        self.at = 0;
    }

    /// Runs over some columns and hands each with the sum there to `emit`.
    #[inline(always)]
    fn run<L: Lanes, C>(
        &mut self,
        columns: impl Iterator<Item = C>,
        value: impl Fn(&C) -> L,
        mut emit: impl FnMut(C, L),
    ) {
        let (mut sum, mut at) = (L::load(&self.sum), self.at);
        for column in columns {
            if let Some(slot) = self.ring.get_mut(at) {
                sum = slide(sum, slot, value(&column));
            }
            at += 1;
            if at == self.ring.len() {
                at = 0;
            }
            emit(column, sum);
        }
        sum.store(&mut self.sum);
        self.at = at;
    }

    /// Replaces the first `used` columns of a tile by their blur, so many steps late.
    #[inline(always)]
    fn blur<L: Lanes>(&mut self, columns: &mut Columns, scale: &Scale<TILE>, used: usize) {
        let columns = columns.iter_mut().take(used);
        match scale {
            Scale::By(factor) => {
                let factor = L::splat(*factor);
                self.run(
                    columns,
                    |c| L::load(c),
                    |column, sum| sum.times(factor).store(column),
                );
            }
            Scale::Over(sizes) => {
                let columns = columns.zip(sizes);
                self.run(
                    columns,
                    |(c, _)| L::load(c),
                    |(column, size), sum| {
                        sum.over(L::splat(*size)).store(column);
                    },
                );
            }
        }
    }

    /// Runs over columns of which the first is at `at`, and keeps the blur at the 64 centres.
    #[inline(always)]
    fn sample<L: Lanes>(
        &mut self,
        columns: &[Sixteen],
        at: usize,
        samples: &mut [Sixteen; SIDE],
        sampled: &mut usize,
    ) {
        let axis = self.axis;
        let wanted = |sampled: usize| axis.centre(sampled) + axis.late;
        let mut next = wanted(*sampled);
        self.run(
            columns.iter().zip(at..),
            |(c, _)| L::load(c),
            |(_, at), sum| {
                while next == at
                    && let Some(sample) = samples.get_mut(*sampled)
                {
                    sum.over(L::splat(axis.size(at))).store(sample);
                    *sampled += 1;
                    next = wanted(*sampled);
                }
            },
        );
    }
}

/// The box filter down the columns of some tiles.
struct Down {
    window: usize,
    sums: Vec<[f32; TILE]>,
    /// For each tile the last window of its rows; row `i` is at place `i % window`.
    rings: Vec<[f32; TILE]>,
    /// Place of the next row.
    at: usize,
}

impl Down {
    fn new(axis: Axis, tiles: usize) -> Self {
        Self {
            window: axis.window,
            sums: vec![[0.0; TILE]; tiles],
            rings: vec![[0.0; TILE]; tiles * axis.window],
            at: 0,
        }
    }
}

impl Down {
    /// Replaces a strip's rows of one tile by their blur, so many rows late; then, after the last
    /// tile, [`Self::end_strip`].
    #[inline(always)]
    fn blur<L: Lanes>(&mut self, index: usize, tile: &mut Rows, scale: &Scale<STRIP>, used: usize) {
        let window = self.window;
        let rings = self.rings.get_mut(index * window..(index + 1) * window);
        let (Some(sums), Some(ring)) = (self.sums.get_mut(index), rings) else {
            return;
        };
        let groups = sums.as_chunks_mut::<STRIP>().0.iter_mut();
        for (group, sum) in groups.enumerate().take(used / STRIP) {
            let rows = tile.each_mut().map(|row| &mut row.as_chunks_mut().0[group]);
            match scale {
                Scale::By(factor) => {
                    let factor = L::splat(*factor);
                    slide_rows(sum, ring, group, self.at, rows, |sum: L, _| {
                        sum.times(factor)
                    });
                }
                Scale::Over(sizes) => {
                    slide_rows(sum, ring, group, self.at, rows, |sum: L, row| {
                        sum.over(L::splat(sizes[row]))
                    });
                }
            }
        }
    }

    fn end_strip(&mut self) {
        self.at = (self.at + STRIP) % self.window;
    }

    /// Takes one row of the first tile and gives the sums.
    #[inline(always)]
    fn step<L: Lanes>(&mut self, new: &[f32; TILE]) -> &[f32; TILE] {
        if let (Some(sums), Some(slot)) = (self.sums.first_mut(), self.rings.get_mut(self.at)) {
            let slots = slot.as_chunks_mut().0.iter_mut();
            for ((sum, slot), new) in sums
                .as_chunks_mut()
                .0
                .iter_mut()
                .zip(slots)
                .zip(new.as_chunks().0)
            {
                slide(L::load(sum), slot, L::load(new)).store(sum);
            }
            self.at = (self.at + 1) % self.window;
        }
        self.sums.first().unwrap_or(&[0.0; TILE])
    }
}

/// Runs the filter down sixteen columns, one group of a tile's, and writes the scaled sums back.
#[inline(always)]
fn slide_rows<L: Lanes>(
    sums: &mut Sixteen,
    ring: &mut [[f32; TILE]],
    group: usize,
    mut at: usize,
    rows: [&mut Sixteen; STRIP],
    scaled: impl Fn(L, usize) -> L,
) {
    let mut sum = L::load(sums);
    for (index, row) in rows.into_iter().enumerate() {
        if let Some(kept) = ring.get_mut(at) {
            sum = slide(sum, &mut kept.as_chunks_mut().0[group], L::load(row));
        }
        scaled(sum, index).store(row);
        at += 1;
        if at == ring.len() {
            at = 0;
        }
    }
    sum.store(sums);
}

/// Turns the first `used` columns of a tile, a multiple of 4, from rows into columns.
#[inline(always)]
fn to_columns<L: Lanes>(rows: &Rows, columns: &mut Columns, used: usize) {
    let quads = columns.as_chunks_mut::<4>().0.iter_mut();
    for (at, quad) in quads.enumerate().take(used / 4) {
        let four = |row: usize| &rows[row].as_chunks::<4>().0[at];
        let every_fourth = |i| L::gather([four(i), four(4 + i), four(8 + i), four(12 + i)]);
        let turned = L::turned(std::array::from_fn(every_fourth));
        for (column, values) in quad.iter_mut().zip(turned) {
            values.store(column);
        }
    }
}

/// Turns the first `used` columns of a tile, a multiple of 16, from columns into rows.
#[inline(always)]
fn to_rows<L: Lanes>(columns: &Columns, rows: &mut Rows, used: usize) {
    let sixteens = columns.as_chunks::<STRIP>().0.iter();
    for (at, sixteen) in sixteens.enumerate().take(used / STRIP) {
        let quads = sixteen.as_chunks::<4>().0;
        let [a, b, c, d] = quads else { return };
        let turned = |quad: &[Sixteen; 4]| L::turned(quad.each_ref().map(L::load));
        let turned = [turned(a), turned(b), turned(c), turned(d)];
        for i in 0..4 {
            let [a, b, c, d] = turned;
            let every_fourth = L::quarters([a[i], b[i], c[i], d[i]]);
            for (j, values) in every_fourth.into_iter().enumerate() {
                values.store(&mut rows[4 * j + i].as_chunks_mut().0[at]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdq::simd::Portable;

    #[test]
    fn luma_is_the_references_for_every_colour() {
        for rgb in 0..1_u32 << 24 {
            let [_, r, g, b] = rgb.to_be_bytes();
            let reference = f64::from(r) * 0.299 + f64::from(g) * 0.587 + f64::from(b) * 0.114;
            assert_eq!(
                luma_of(u32::from_le_bytes([r, g, b, 0])).to_bits(),
                (reference as f32).to_bits(),
                "{rgb:06x}"
            );
        }
    }

    /// The filter as the definition has it, one value at a time.
    fn plain(input: &[f32], window: usize) -> Vec<f32> {
        let late = window / 2;
        let (mut sum, mut size, mut out) = (0.0_f32, 0, Vec::new());
        for right in 0..input.len() + late {
            if let Some(enters) = input.get(right) {
                sum += enters;
                size += 1;
            }
            if right >= window {
                sum -= input[right - window];
                size -= 1;
            }
            if right >= late {
                out.push(sum / size as f32);
            }
        }
        out
    }

    #[track_caller]
    fn check(len: usize, window: usize) {
        let axis = Axis {
            len,
            window,
            late: window / 2,
        };
        let input: Vec<f32> = (0..len)
            .map(|i| ((i * i * 7919 + 13) % 255_001) as f32 / 1000.0)
            .collect();
        let expect: Vec<u32> = plain(&input, window).iter().map(|v| v.to_bits()).collect();
        let steps = len + axis.late;
        let padded = |i: usize| input.get(i).copied().unwrap_or_default();

        let (mut across, mut along) = (Across::new(axis), Vec::new());
        for start in (0..steps).step_by(TILE) {
            let mut columns: Columns = std::array::from_fn(|i| [padded(start + i); STRIP]);
            across.blur::<Portable>(&mut columns, &axis.scale(start), TILE);
            along.extend(columns.map(|column| column[STRIP - 1].to_bits()));
        }
        assert_eq!(
            along[axis.late..steps],
            expect,
            "along rows, {len} by {window}"
        );

        let (mut first, mut down) = (Down::new(axis, 2), Vec::new());
        for start in (0..steps).step_by(STRIP) {
            let mut rows: Rows = std::array::from_fn(|i| [padded(start + i); TILE]);
            first.blur::<Portable>(1, &mut rows, &axis.scale(start), TILE);
            first.end_strip();
            down.extend(rows.map(|row| row[TILE - 1].to_bits()));
        }
        assert_eq!(
            down[axis.late..steps],
            expect,
            "down columns, {len} by {window}"
        );

        let (mut second, mut thin) = (Down::new(axis, 1), Vec::new());
        for at in 0..steps {
            let sums = second.step::<Portable>(&[padded(at); TILE]);
            thin.push((sums[TILE - 1] / axis.size(at)).to_bits());
        }
        assert_eq!(thin[axis.late..], expect, "down samples, {len} by {window}");
    }

    #[test]
    fn every_filter_follows_the_definition() {
        for len in (5..40).chain([63, 64, 65, 200]) {
            for window in 1..=len.min(20) {
                check(len, window);
            }
        }
    }

    #[test]
    fn centres_stay_inside() {
        let centre = |i, n| Axis::new(n).centre(i);
        for n in 1..300 {
            assert!((0..SIDE).all(|i| centre(i, n) < n), "{n}");
            assert!(Axis::new(n).steps() <= n + 1, "{n}");
        }
        assert!((0..SIDE).all(|i| centre(i, SIDE) == i));
        assert_eq!((centre(0, 1000), centre(63, 1000)), (7, 992));
    }

    #[test]
    fn a_tile_can_be_turned_and_back() {
        let rows: Rows = std::array::from_fn(|i| std::array::from_fn(|j| (i * TILE + j) as f32));
        let mut columns = [[0.0; STRIP]; TILE];
        to_columns::<Portable>(&rows, &mut columns, TILE);
        assert_eq!(columns[3][2].to_bits(), rows[2][3].to_bits());
        let mut back = [[0.0; TILE]; STRIP];
        to_rows::<Portable>(&columns, &mut back, TILE);
        assert_eq!(
            back.map(|row| row.map(f32::to_bits)),
            rows.map(|row| row.map(f32::to_bits))
        );
    }
}
