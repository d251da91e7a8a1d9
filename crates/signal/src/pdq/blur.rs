//! From RGB pixels to the 64x64 thumbnail: luminance, two box blurs per axis, and a pick of 64x64.
//!
//! The reference blurs whole planes: rows, columns, rows, columns. Here rows stream through the four
//! filters, 16 at a time, and only the window of rows in use is kept:
//!
//! ```text
//! 16 rows of RGB ─ luma ─ rows filter ─ columns filter ─ rows filter, 64 samples ─ columns filter ─ 64 rows
//!     (side by side, one per lane)      (lanes are columns)    (one row per lane)    (lanes are samples)
//! ```
//!
//! A filter is a running sum, whose every step depends on the one before; so sixteen rows run in
//! step, one in each lane, and columns likewise. No lane sees another, so each sum adds and
//! subtracts the same numbers in the same order as the reference and rounds alike.

use super::{SIDE, Thumbnail};

/// Rows that are filtered in step, in groups of four.
const LANES: usize = 16;

/// One value for each of the rows being filtered.
type Lanes = [[f32; 4]; LANES / 4];

/// Luminance of a 64x64 image, unblurred.
pub(super) fn luma_64(pixels: &[u8]) -> Thumbnail {
    let mut thumbnail = [[0.0; SIDE]; SIDE];
    luma(pixels, thumbnail.as_flattened_mut());
    thumbnail
}

/// Luminance of tight RGB pixels.
///
/// The reference computes `0.299 r + 0.587 g + 0.114 b` in `f64` and rounds to `f32`. A thousand times
/// that is a whole number; dividing it in `f32` rounds once and gives the same for all 2^24 colours,
/// which a test checks.
fn luma(pixels: &[u8], out: &mut [f32]) {
    // Four pixels in three words are what the compiler turns into vectors best.
    let (quads, rest) = pixels.as_chunks::<12>();
    let (out, out_rest) = out.as_chunks_mut::<4>();
    for (out, rgb) in out.iter_mut().zip(quads) {
        let after = |i: usize| if i < 3 { rgb[3 * i + 3] } else { 0 };
        let word =
            |i: usize| u32::from_le_bytes([rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2], after(i)]);
        let last = u32::from_le_bytes([rgb[8], rgb[9], rgb[10], rgb[11]]) >> 8;
        *out = [word(0), word(1), word(2), last].map(luma_of);
    }
    for (out, rgb) in out_rest.iter_mut().zip(rest.as_chunks::<3>().0) {
        *out = luma_of(u32::from_le_bytes([rgb[0], rgb[1], rgb[2], 0]));
    }
}

/// Luminance of a pixel in the low three bytes of a word, red lowest.
#[inline]
fn luma_of(rgb: u32) -> f32 {
    let thousandths = 299 * (rgb & 255) + 587 * ((rgb >> 8) & 255) + 114 * ((rgb >> 16) & 255);
    thousandths as i32 as f32 / 1000.0
}

/// Width of the box for a side of `n` pixels: half of a block of the 64 it is shrunk to, rounded up.
const fn window(n: usize) -> usize {
    n.div_ceil(2 * SIDE)
}

/// How many values must be in the running sum before the first output.
const fn lead(window: usize) -> usize {
    usize::midpoint(window, 2)
}

/// The `i`th of the 64 positions out of `n` that are kept: the centre of one of 64 equal blocks.
const fn centre(i: usize, n: usize) -> usize {
    (2 * i + 1) * n / (2 * SIDE)
}

/// Luminance, blurred and shrunk. Width and height are at least 1 and fit the pixels.
pub(super) fn shrink(pixels: &[u8], width: usize, height: usize) -> Thumbnail {
    let mut block = Block::new(width);
    let mut columns = Columns::new(window(height), width);
    let mut pick = Pick::new(width, height);
    for sixteen in pixels.chunks(3 * width * LANES) {
        let count = sixteen.len() / (3 * width);
        for (rgb, row) in sixteen
            .chunks_exact(3 * width)
            .zip(block.rows.chunks_exact_mut(width))
        {
            luma(rgb, row);
        }
        block.blur();
        for row in block.rows.chunks_exact(width).take(count) {
            if columns.push(row, pick.next_row()) {
                pick.row_done();
            }
        }
    }
    while columns.drain(pick.next_row()) {
        pick.row_done();
    }
    pick.finish()
}

/// Divides by a window size; multiplication by the reciprocal is exact for powers of two, and quicker.
#[derive(Clone, Copy)]
enum Divisor {
    Reciprocal(f32),
    Size(f32),
}

impl Divisor {
    fn new(size: usize) -> Self {
        let size_f32 = size as f32;
        if size.is_power_of_two() {
            Self::Reciprocal(1.0 / size_f32)
        } else {
            Self::Size(size_f32)
        }
    }
}

#[inline]
fn add(sum: &mut Lanes, values: &Lanes) {
    for (s, v) in sum.as_flattened_mut().iter_mut().zip(values.as_flattened()) {
        *s += v;
    }
}

#[inline]
fn subtract(sum: &mut Lanes, values: &Lanes) {
    for (s, v) in sum.as_flattened_mut().iter_mut().zip(values.as_flattened()) {
        *s -= v;
    }
}

#[inline]
fn divided(sum: &Lanes, divisor: Divisor) -> Lanes {
    match divisor {
        Divisor::Reciprocal(by) => sum.map(|four| four.map(|v| v * by)),
        Divisor::Size(by) => sum.map(|four| four.map(|v| v / by)),
    }
}

/// Runs the box filter along the input and hands each position's sum and window size to `emit`.
#[inline]
fn filter(input: &[Lanes], window: usize, mut emit: impl FnMut(usize, &Lanes, usize)) {
    let lead = lead(window);
    let mut sum = Lanes::default();
    let (head, tail) = input.split_at(window.min(input.len()));
    for (values, seen) in head.iter().zip(1..) {
        add(&mut sum, values);
        if seen >= lead {
            emit(seen - lead, &sum, seen);
        }
    }
    for ((enters, leaves), at) in tail.iter().zip(input).zip(window + 1 - lead..) {
        add(&mut sum, enters);
        subtract(&mut sum, leaves);
        emit(at, &sum, window);
    }
    let leaving = input.iter().skip(tail.len()).take(lead - 1);
    for (leaves, gone) in leaving.zip(1..) {
        subtract(&mut sum, leaves);
        emit(input.len() - lead + gone, &sum, window - gone);
    }
}

/// The same filter where only some outputs are wanted: it goes from one to the next in one step.
struct Running<'i> {
    input: &'i [Lanes],
    window: usize,
    sum: Lanes,
    entered: usize,
    left: usize,
}

impl<'i> Running<'i> {
    fn new(input: &'i [Lanes], window: usize) -> Self {
        Self {
            input,
            window,
            sum: Lanes::default(),
            entered: 0,
            left: 0,
        }
    }

    /// Brings the sum to that at output `at`, not before the last one; gives its window size.
    fn advance(&mut self, at: usize) -> usize {
        let until = at + lead(self.window);
        let (input, mut sum) = (self.input, self.sum);
        let range =
            |from: usize, to: usize| input.get(from..to.min(input.len())).unwrap_or_default();
        let first = range(self.entered, until.min(self.window));
        for values in first {
            add(&mut sum, values);
        }
        self.entered += first.len();
        let both = range(self.entered, until);
        for (enters, leaves) in both.iter().zip(range(self.left, input.len())) {
            add(&mut sum, enters);
            subtract(&mut sum, leaves);
        }
        self.entered += both.len();
        self.left += both.len();
        let last = range(self.left, until.saturating_sub(self.window));
        for values in last {
            subtract(&mut sum, values);
        }
        self.left += last.len();
        self.sum = sum;
        self.entered - self.left
    }
}

/// Four rows of four turned into four columns of four.
#[inline]
fn transposed(a: &[f32; 4], b: &[f32; 4], c: &[f32; 4], d: &[f32; 4]) -> [[f32; 4]; 4] {
    std::array::from_fn(|i| [a[i], b[i], c[i], d[i]])
}

/// Columns handled at a time when rows are laid side by side, so that they stay in the first cache.
const TILE: usize = 64;

/// Lays sixteen rows of equal width side by side, one in each lane.
fn to_lanes(rows: &[f32], lanes: &mut [Lanes]) {
    let width = lanes.len();
    for (tile, start) in lanes.chunks_mut(TILE).zip((0..).step_by(TILE)) {
        let part = |row: usize| {
            rows.get(row * width + start..)
                .and_then(|row| row.get(..tile.len()))
                .unwrap_or_default()
        };
        let parts: [&[f32]; LANES] = std::array::from_fn(part);
        let (quads, rest) = tile.as_chunks_mut::<4>();
        for (group, four) in parts.as_chunks::<4>().0.iter().enumerate() {
            let [a, b, c, d] = four.map(|row| row.as_chunks::<4>().0);
            for ((((quad, a), b), c), d) in quads.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                for (lanes, four) in quad.iter_mut().zip(transposed(a, b, c, d)) {
                    lanes[group] = four;
                }
            }
        }
        let done = 4 * quads.len();
        for (lanes, at) in rest.iter_mut().zip(done..) {
            for (value, row) in lanes.as_flattened_mut().iter_mut().zip(parts) {
                *value = row.get(at).copied().unwrap_or_default();
            }
        }
    }
}

/// The inverse of [`to_lanes`].
fn to_rows(lanes: &[Lanes], rows: &mut [f32]) {
    let width = lanes.len();
    for (group, four) in rows.chunks_exact_mut(4 * width).enumerate() {
        group_to_rows(lanes, group % (LANES / 4), four, width);
    }
}

/// Writes the four rows of one group of lanes.
fn group_to_rows(lanes: &[Lanes], group: usize, rows: &mut [f32], width: usize) {
    let (quads, rest) = lanes.as_chunks::<4>();
    let (upper, lower) = rows.split_at_mut(2 * width);
    let ((a, b), (c, d)) = (upper.split_at_mut(width), lower.split_at_mut(width));
    let [to_a, to_b, to_c, to_d] =
        [&mut *a, &mut *b, &mut *c, &mut *d].map(|row| row.as_chunks_mut::<4>().0.iter_mut());
    let outputs = to_a.zip(to_b).zip(to_c.zip(to_d));
    for (quad, ((to_a, to_b), (to_c, to_d))) in quads.iter().zip(outputs) {
        let columns = quad.each_ref().map(|lanes| &lanes[group]);
        [*to_a, *to_b, *to_c, *to_d] = transposed(columns[0], columns[1], columns[2], columns[3]);
    }
    for (lanes, at) in rest.iter().zip(4 * quads.len()..) {
        for (row, value) in [&mut *a, &mut *b, &mut *c, &mut *d]
            .into_iter()
            .zip(lanes[group])
        {
            if let Some(out) = row.get_mut(at) {
                *out = value;
            }
        }
    }
}

/// Sixteen rows of luminance, and their blur along the rows.
struct Block {
    rows: Vec<f32>,
    lanes: Vec<Lanes>,
    blurred: Vec<Lanes>,
    window: usize,
}

impl Block {
    fn new(width: usize) -> Self {
        let lanes = vec![Lanes::default(); width];
        Self {
            rows: vec![0.0; LANES * width],
            lanes: lanes.clone(),
            blurred: lanes,
            window: window(width),
        }
    }

    /// Blurs all rows in place. Rows left over from an earlier block do no harm: nobody reads them.
    fn blur(&mut self) {
        to_lanes(&self.rows, &mut self.lanes);
        let (window, out) = (self.window, &mut self.blurred);
        let full = Divisor::new(window);
        filter(&self.lanes, window, |at, sum, size| {
            if let Some(out) = out.get_mut(at) {
                *out = divided(
                    sum,
                    if size == window {
                        full
                    } else {
                        Divisor::Size(size as f32)
                    },
                );
            }
        });
        to_rows(&self.blurred, &mut self.rows);
    }
}

/// The box filter down the columns, fed a row at a time; keeps one window of rows.
struct Columns {
    sums: Vec<f32>,
    /// The last `window` rows; row `i` is at place `i % window`.
    rows: Vec<f32>,
    window: usize,
    full: Divisor,
    seen: usize,
    drained: usize,
}

impl Columns {
    fn new(window: usize, width: usize) -> Self {
        Self {
            sums: vec![0.0; width],
            rows: vec![0.0; width * window],
            window,
            full: Divisor::new(window),
            seen: 0,
            drained: 0,
        }
    }

    /// Takes the next row and, once enough have been seen, writes the next output and says so.
    fn push(&mut self, row: &[f32], out: &mut [f32]) -> bool {
        let width = self.sums.len();
        let at = self.seen % self.window * width;
        let kept = self.rows.get_mut(at..at + width).unwrap_or_default();
        let places = self.sums.iter_mut().zip(kept).zip(row).zip(out.iter_mut());
        let filled = self.seen >= self.window;
        self.seen += 1;
        if filled {
            let slide = |sum: &mut f32, kept: &mut f32, new: f32| {
                *sum = *sum + new - *kept;
                *kept = new;
                *sum
            };
            match self.full {
                Divisor::Reciprocal(by) => {
                    places.for_each(|(((sum, kept), new), out)| *out = slide(sum, kept, *new) * by);
                }
                Divisor::Size(by) => {
                    places.for_each(|(((sum, kept), new), out)| *out = slide(sum, kept, *new) / by);
                }
            }
            return true;
        }
        let size = self.seen as f32;
        for (((sum, kept), new), out) in places {
            *sum += *new;
            *kept = *new;
            *out = *sum / size;
        }
        self.seen >= lead(self.window)
    }

    /// After the last row: writes the remaining outputs, one a call, then says `false`.
    fn drain(&mut self, out: &mut [f32]) -> bool {
        if self.drained + 1 >= lead(self.window) {
            return false;
        }
        let width = self.sums.len();
        let at = (self.seen + self.drained) % self.window * width;
        let leaves = self.rows.get(at..at + width).unwrap_or_default();
        self.drained += 1;
        let size = (self.window - self.drained) as f32;
        for ((sum, old), out) in self.sums.iter_mut().zip(leaves).zip(out) {
            *sum -= old;
            *out = *sum / size;
        }
        true
    }
}

/// The second blur. Of its outputs only the 64x64 centres are kept, so only those are divided.
struct Pick {
    /// Rows waiting to be filtered sixteen together, and how many there are.
    waiting: Vec<f32>,
    count: usize,
    lanes: Vec<Lanes>,
    row_window: usize,
    columns: Columns,
    height: usize,
    /// Rows given by the last filter so far.
    rows_out: usize,
    thumbnail: Thumbnail,
    filled: usize,
}

impl Pick {
    fn new(width: usize, height: usize) -> Self {
        Self {
            waiting: vec![0.0; LANES * width],
            count: 0,
            lanes: vec![Lanes::default(); width],
            row_window: window(width),
            columns: Columns::new(window(height), SIDE),
            height,
            rows_out: 0,
            thumbnail: [[0.0; SIDE]; SIDE],
            filled: 0,
        }
    }

    /// Where the next row of the once blurred image is to be written; then call [`Self::row_done`].
    fn next_row(&mut self) -> &mut [f32] {
        let width = self.lanes.len();
        self.waiting
            .get_mut(self.count * width..(self.count + 1) * width)
            .unwrap_or_default()
    }

    fn row_done(&mut self) {
        self.count += 1;
        if self.count == LANES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        to_lanes(&self.waiting, &mut self.lanes);
        let samples = self.samples();
        for lane in 0..std::mem::take(&mut self.count) {
            let row: [f32; SIDE] = std::array::from_fn(|j| samples[j].as_flattened()[lane % LANES]);
            let mut out = [0.0; SIDE];
            if self.columns.push(&row, &mut out) {
                self.keep(&out);
            }
        }
    }

    /// The rows filter at the 64 kept columns of the waiting rows.
    fn samples(&self) -> [Lanes; SIDE] {
        let width = self.lanes.len();
        let mut samples = [Lanes::default(); SIDE];
        let mut running = Running::new(&self.lanes, self.row_window);
        for (i, sample) in samples.iter_mut().enumerate() {
            let size = running.advance(centre(i, width));
            *sample = divided(&running.sum, Divisor::Size(size as f32));
        }
        samples
    }

    fn keep(&mut self, row: &[f32; SIDE]) {
        while self.filled < SIDE && centre(self.filled, self.height) == self.rows_out {
            self.thumbnail[self.filled] = *row;
            self.filled += 1;
        }
        self.rows_out += 1;
    }

    fn finish(mut self) -> Thumbnail {
        self.flush();
        let mut row = [0.0; SIDE];
        while self.columns.drain(&mut row) {
            self.keep(&row);
        }
        self.thumbnail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let lead = lead(window);
        let (mut sum, mut size, mut out) = (0.0_f32, 0, Vec::new());
        for right in 0..input.len() + lead - 1 {
            if let Some(enters) = input.get(right) {
                sum += enters;
                size += 1;
            }
            if right >= window {
                sum -= input[right - window];
                size -= 1;
            }
            if right + 1 >= lead {
                out.push(sum / size as f32);
            }
        }
        out
    }

    #[track_caller]
    fn check(len: usize, window: usize) {
        let input: Vec<f32> = (0..len)
            .map(|i| ((i * i * 7919 + 13) % 255_001) as f32 / 1000.0)
            .collect();
        let expect: Vec<u32> = plain(&input, window).iter().map(|v| v.to_bits()).collect();
        let lanes: Vec<Lanes> = input.iter().map(|v| [[*v; 4]; LANES / 4]).collect();
        let mut along = Vec::new();
        filter(&lanes, window, |at, sum, size| {
            assert_eq!(at, along.len());
            along.push((sum.as_flattened()[LANES - 1] / size as f32).to_bits());
        });
        assert_eq!(along, expect, "along rows, {len} by {window}");

        let mut running = Running::new(&lanes, window);
        for (at, expect) in expect.iter().enumerate().filter(|(at, _)| at % 3 != 1) {
            let size = running.advance(at);
            let value = running.sum.as_flattened()[0] / size as f32;
            assert_eq!(
                value.to_bits(),
                *expect,
                "picked at {at}, {len} by {window}"
            );
        }

        let (mut columns, mut down, mut out) = (Columns::new(window, 1), Vec::new(), [0.0]);
        for value in &input {
            if columns.push(&[*value], &mut out) {
                down.push(out[0].to_bits());
            }
        }
        while columns.drain(&mut out) {
            down.push(out[0].to_bits());
        }
        assert_eq!(down, expect, "down columns, {len} by {window}");
    }

    #[test]
    fn both_filters_follow_the_definition() {
        for len in 5..40 {
            for window in 1..=len.min(12) {
                check(len, window);
            }
        }
    }

    #[test]
    fn centres_stay_inside() {
        for n in 1..300 {
            assert!((0..SIDE).all(|i| centre(i, n) < n), "{n}");
        }
        assert!((0..SIDE).all(|i| centre(i, SIDE) == i));
        assert_eq!((centre(0, 1000), centre(63, 1000)), (7, 992));
    }

    #[test]
    fn laying_rows_side_by_side_can_be_undone() {
        for width in [1, 3, 4, 63, 64, 65, 130] {
            let rows: Vec<f32> = (0..LANES * width).map(|i| i as f32).collect();
            let mut lanes = vec![Lanes::default(); width];
            to_lanes(&rows, &mut lanes);
            let last = lanes[width - 1].as_flattened().last().map(|v| *v as usize);
            assert_eq!(last, Some(LANES * width - 1));
            let mut back = vec![0.0; rows.len()];
            to_rows(&lanes, &mut back);
            assert_eq!(back, rows, "{width}");
        }
    }
}
