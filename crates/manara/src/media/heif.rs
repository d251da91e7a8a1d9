//! HEIC and AVIF down to their coded pictures: the boxes around them are read here, the pictures by ffmpeg.
//!
//! ```text
//! ftyp · meta { pitm  which item is the picture
//!               iinf  what kind each item is: hvc1, av01, or a `grid` of such
//!               iref  which items a grid is made of
//!               iprp  properties: size, decoder configuration, colours, crop, turn
//!               iloc  where the bytes are }  · mdat
//! ```
//! (ISO/IEC 14496-12, 23008-12 and the AV1 Image File Format.) Reading the boxes here has three reasons. The
//! ffmpeg of many systems (5.1 in Debian 12) knows no HEIC, and newer ones give out one by one the tiles in
//! which phones store their pictures. The size is known, and refused, before ffmpeg starts. And ffmpeg is
//! given one elementary stream of one codec, so none of its demuxers for files ever sees what a stranger sent.
//!
//! Everything walks lengths inside a byte slice. Memory is bounded by the file's size and the limits on tiles,
//! extents and properties, so it is safe to run in the server's own process.
//!
//! **Which pixels.** Those of the primary item, cropped as its `clap` says. Mirroring and turning (`imir`,
//! `irot`) are not applied but passed on as an orientation, as with a JPEG's EXIF; the EXIF inside these files
//! has no say, as the standard has it. Alpha, depth and gain maps are other items and not read.

use super::container;
use super::decode::{Limits, Problem, check_size};
use image::metadata::Orientation;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Tiles a grid may have; a picture of 50 megapixels in the usual tiles of 512 × 512 has under 200.
const TILES_MAX: usize = 1024;
/// Properties a file may hold.
const PROPERTIES_MAX: usize = 4096;
/// Pieces one item may be stored in.
const EXTENTS_MAX: usize = 64;
/// Properties that may be marked as essential: those heeded here, and those that change no pixel.
const KNOWN: [&[u8; 4]; 11] = [
    b"ispe", b"hvcC", b"av1C", b"colr", b"clap", b"irot", b"imir", b"pixi", b"pasp", b"clli",
    b"mdcv",
];

type Kind = [u8; 4];
/// A box that describes an item: its kind and its body.
type Property<'a> = (Kind, &'a [u8]);

/// How the picture is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Hevc,
    Av1,
}

/// How luma and chroma become RGB, where the file says so outside the coded picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour {
    /// `MatrixCoefficients` of ITU-T H.273.
    pub(super) matrix: u16,
    pub(super) full_range: bool,
}

/// The picture that a file shows, as far as its boxes tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Still {
    pub(super) codec: Codec,
    /// Of the whole picture, before it is cropped.
    pub(super) width: u32,
    pub(super) height: u32,
    /// What one tile measures; the picture itself when it is not a grid.
    pub(super) tile_width: u32,
    pub(super) tile_height: u32,
    pub(super) columns: u32,
    pub(super) rows: u32,
    /// What of the picture is shown.
    pub(super) columns_shown: Range<u32>,
    pub(super) rows_shown: Range<u32>,
    /// How the picture is turned for showing.
    pub(super) orientation: Orientation,
    pub(super) colour: Option<Colour>,
    /// How many frames the file holds, the picture among them.
    pub(super) frames: u32,
    /// The tiles from left to right and top to bottom, as one stream: HEVC as of its annex B, AV1 in IVF.
    pub(super) stream: Vec<u8>,
}

impl Still {
    pub(super) fn tiles(&self) -> u32 {
        self.columns * self.rows
    }
}

/// Finds the picture and its coded bytes.
pub(super) fn still(bytes: &[u8], limits: &Limits) -> Result<Still, Problem> {
    let format = container::heif(bytes).unwrap_or("HEIF");
    let file = File::open(bytes, format)?;
    let mut still = file.still(limits)?;
    still.frames = frames(bytes);
    Ok(still)
}

/// A file's boxes, found but not yet read.
struct File<'a> {
    format: &'static str,
    bytes: &'a [u8],
    primary: u32,
    iinf: &'a [u8],
    iloc: &'a [u8],
    iref: &'a [u8],
    idat: &'a [u8],
    ipma: &'a [u8],
    properties: Vec<Property<'a>>,
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8], format: &'static str) -> Result<Self, Problem> {
        let damaged = |what: &str| Problem::Damaged {
            format,
            detail: what.to_owned(),
        };
        let Some(meta) = child(bytes, *b"meta") else {
            // A file that ends inside its header has a box that reaches beyond the end.
            return Err(if reaches_beyond(bytes) {
                Problem::Truncated
            } else {
                damaged("it holds no still picture")
            });
        };
        // Version and flags come before the boxes.
        let meta = meta.get(4..).unwrap_or_default();
        let inside = |kind| child(meta, kind).ok_or_else(|| damaged("a box is missing"));
        let (iprp, pitm) = (inside(*b"iprp")?, inside(*b"pitm")?);
        let mut properties = Vec::new();
        for property in boxes(child(iprp, *b"ipco").unwrap_or_default()) {
            if properties.len() == PROPERTIES_MAX {
                return Err(damaged("too many properties"));
            }
            properties.push(property);
        }
        let mut at = Cursor(pitm);
        let primary = at.version().and_then(|version| at.id(version > 0));
        Ok(Self {
            format,
            bytes,
            primary: primary.ok_or_else(|| damaged("no primary item"))?,
            iinf: inside(*b"iinf")?,
            iloc: inside(*b"iloc")?,
            iref: child(meta, *b"iref").unwrap_or_default(),
            idat: child(meta, *b"idat").unwrap_or_default(),
            ipma: child(iprp, *b"ipma").unwrap_or_default(),
            properties,
        })
    }

    fn damaged(&self, detail: impl Into<String>) -> Problem {
        Problem::Damaged {
            format: self.format,
            detail: detail.into(),
        }
    }

    fn unsupported(&self, detail: impl Into<String>) -> Problem {
        Problem::Unsupported {
            format: self.format,
            detail: detail.into(),
        }
    }

    fn still(&self, limits: &Limits) -> Result<Still, Problem> {
        let primary = self.kinds_of(&BTreeSet::from([self.primary]));
        let kind = self.kind_of(self.primary, &primary)?;
        let grid = &kind == b"grid";
        let tiles = if grid {
            self.tiles_of(self.primary)?
        } else {
            vec![self.primary]
        };
        let wanted: BTreeSet<u32> = tiles.iter().copied().chain([self.primary]).collect();
        let kinds = self.kinds_of(&wanted);
        let places = self.places(&wanted)?;
        let properties = self.properties_of(&wanted)?;
        let of = |item: u32| properties.get(&item).map_or(&[][..], Vec::as_slice);
        let first = *tiles.first().ok_or_else(|| self.damaged("an empty grid"))?;
        let codec = match &self.kind_of(first, &kinds)? {
            b"hvc1" | b"hev1" => Codec::Hevc,
            b"av01" => Codec::Av1,
            other => {
                return Err(self.unsupported(format!("a picture of kind `{}`", printable(*other))));
            }
        };
        let (tile_width, tile_height) = self.size(of(first))?;
        check_size(tile_width, tile_height, limits)?;
        let (rows, columns, width, height) = if grid {
            let place = places.get(&self.primary).map_or(&[][..], Vec::as_slice);
            self.grid(&self.gather(place)?)?
        } else {
            (1, 1, tile_width, tile_height)
        };
        check_size(width, height, limits)?;
        if tiles.len() as u64 != u64::from(columns) * u64::from(rows)
            || !covers(columns, tile_width, width)
            || !covers(rows, tile_height, height)
        {
            return Err(self.damaged("a grid that its tiles do not fill"));
        }
        let shown = self.crop(of(self.primary), width, height)?;
        let colour = colour(of(self.primary)).or_else(|| colour(of(first)));
        let mut stream = Stream::new(codec, (tile_width, tile_height), tiles.len());
        let mut coded_bytes = 0;
        for tile in &tiles {
            let properties = of(*tile);
            let kind = self.kind_of(*tile, &kinds)?;
            let same = match codec {
                Codec::Hevc => matches!(&kind, b"hvc1" | b"hev1"),
                Codec::Av1 => &kind == b"av01",
            };
            if !same || self.size(properties)? != (tile_width, tile_height) {
                return Err(self.unsupported("a grid of unlike tiles"));
            }
            let place = places.get(tile).map_or(&[][..], Vec::as_slice);
            // Items that share their bytes could make a small file large.
            coded_bytes += place.iter().map(|piece| piece.len()).sum::<usize>();
            if coded_bytes > self.bytes.len() {
                return Err(self.damaged("tiles that share their bytes"));
            }
            let coded = self.gather(place)?;
            stream
                .push(&coded, properties)
                .ok_or_else(|| self.damaged("a coded picture whose lengths do not add up"))?;
            // So could configurations that each tile repeats, and units of a byte.
            if stream.bytes.len() > 4 * self.bytes.len() {
                return Err(self.damaged("tiles that share their configuration"));
            }
        }
        Ok(Still {
            codec,
            width,
            height,
            tile_width,
            tile_height,
            columns,
            rows,
            columns_shown: shown.0,
            rows_shown: shown.1,
            orientation: orientation(of(self.primary)),
            colour,
            frames: 1,
            stream: stream.bytes,
        })
    }

    /// What kind of item each of these is (`infe`, version 2 or 3).
    fn kinds_of(&self, wanted: &BTreeSet<u32>) -> BTreeMap<u32, Kind> {
        let mut at = Cursor(self.iinf);
        let version = at.version().unwrap_or_default();
        at.skip(if version == 0 { 2 } else { 4 });
        let entries = boxes(at.0).filter_map(|(_, entry)| {
            let mut at = Cursor(entry);
            let version = at.version().filter(|version| (2..=3).contains(version))?;
            let (id, _protection) = (at.id(version == 3)?, at.number(2)?);
            Some((id, at.take(4)?.try_into().ok()?))
        });
        entries.filter(|(id, _)| wanted.contains(id)).collect()
    }

    fn kind_of(&self, item: u32, kinds: &BTreeMap<u32, Kind>) -> Result<Kind, Problem> {
        let kind = kinds.get(&item).copied();
        kind.ok_or_else(|| self.damaged("an item that is not declared"))
    }

    /// The items that a grid is made of, in order.
    fn tiles_of(&self, grid: u32) -> Result<Vec<u32>, Problem> {
        let mut at = Cursor(self.iref);
        let wide = at.version().unwrap_or_default() > 0;
        let derived = boxes(at.0).filter(|(kind, _)| kind == b"dimg");
        for (_, reference) in derived {
            let mut at = Cursor(reference);
            let (Some(from), Some(count)) = (at.id(wide), at.number(2)) else {
                break;
            };
            if from != grid {
                continue;
            }
            if count as usize > TILES_MAX {
                return Err(self.unsupported(format!("a grid of over {TILES_MAX} tiles")));
            }
            let tiles: Option<Vec<u32>> = (0..count).map(|_| at.id(wide)).collect();
            return tiles.ok_or_else(|| self.damaged("a grid without its tiles"));
        }
        Err(self.damaged("a grid without its tiles"))
    }

    /// Where the bytes of these items are, as pieces of the file (`iloc`).
    fn places(&self, wanted: &BTreeSet<u32>) -> Result<BTreeMap<u32, Vec<&'a [u8]>>, Problem> {
        let broken = || self.damaged("its table of places is broken");
        let mut at = Cursor(self.iloc);
        let version = at.version().ok_or_else(broken)?;
        let sizes = at.number(2).ok_or_else(broken)? as usize;
        let nibble = |place: usize| (sizes >> place) & 0xf;
        let (offset_size, length_size, base_size) = (nibble(12), nibble(8), nibble(4));
        let index_size = if version == 0 { 0 } else { nibble(0) };
        let count = at.number(if version < 2 { 2 } else { 4 });
        let mut places = BTreeMap::new();
        for _ in 0..count.ok_or_else(broken)? {
            let item = at.id(version >= 2).ok_or_else(broken)?;
            let method = if version == 0 { Some(0) } else { at.number(2) };
            let (method, elsewhere) = (method.ok_or_else(broken)?, at.number(2));
            let base = at.number(base_size).ok_or_else(broken)?;
            let extents = at.number(2).ok_or_else(broken)? as usize;
            if !wanted.contains(&item) {
                at.skip(extents * (index_size + offset_size + length_size));
                continue;
            }
            let within = match (method & 0xf, elsewhere) {
                (0, Some(0)) => self.bytes,
                (1, Some(0)) => self.idat,
                _ => return Err(self.unsupported("a picture that is stored elsewhere")),
            };
            if extents > EXTENTS_MAX {
                return Err(self.unsupported(format!("a picture in over {EXTENTS_MAX} pieces")));
            }
            let mut pieces = Vec::with_capacity(extents);
            for _ in 0..extents {
                at.skip(index_size);
                let offset = at.number(offset_size).ok_or_else(broken)?;
                let length = at.number(length_size).ok_or_else(broken)?;
                let from = base.checked_add(offset).ok_or_else(broken)?;
                let to = from.checked_add(length).ok_or_else(broken)?;
                // Nothing is shown of a picture that lacks its end, neither by browsers nor here.
                let piece = within.get(from as usize..to as usize);
                pieces.push(piece.ok_or(Problem::Truncated)?);
            }
            places.insert(item, pieces);
        }
        Ok(places)
    }

    /// The bytes of an item in one piece.
    fn gather(&self, pieces: &[&[u8]]) -> Result<Vec<u8>, Problem> {
        if pieces.iter().map(|piece| piece.len()).sum::<usize>() > self.bytes.len() {
            return Err(self.damaged("pieces that share their bytes"));
        }
        let bytes = pieces.concat();
        if bytes.is_empty() {
            return Err(self.damaged("a picture without bytes"));
        }
        Ok(bytes)
    }

    /// The properties of these items, in the order in which they apply (`ipma`).
    fn properties_of(
        &self,
        wanted: &BTreeSet<u32>,
    ) -> Result<BTreeMap<u32, Vec<Property<'a>>>, Problem> {
        let broken = || self.damaged("its table of properties is broken");
        let mut at = Cursor(self.ipma);
        let (version, flags) = at.version_and_flags().ok_or_else(broken)?;
        let wide = flags & 1 == 1;
        let mut found = BTreeMap::new();
        for _ in 0..at.number(4).ok_or_else(broken)? {
            let item = at.id(version > 0).ok_or_else(broken)?;
            let count = at.number(1).ok_or_else(broken)?;
            let mut properties = Vec::new();
            for _ in 0..count {
                let size = if wide { 2 } else { 1 };
                let entry = at.number(size).ok_or_else(broken)? as usize;
                let top = 1 << (8 * size - 1);
                let index = entry & (top - 1);
                if !wanted.contains(&item) || index == 0 {
                    continue;
                }
                let property = *self.properties.get(index - 1).ok_or_else(broken)?;
                if entry & top != 0 && !KNOWN.contains(&&property.0) {
                    let kind = printable(property.0);
                    return Err(self.unsupported(format!("it depends on a property `{kind}`")));
                }
                properties.push(property);
            }
            if wanted.contains(&item) {
                found.insert(item, properties);
            }
        }
        Ok(found)
    }

    fn size(&self, properties: &[Property]) -> Result<(u32, u32), Problem> {
        let size = property(properties, *b"ispe").and_then(|body| {
            let mut at = Cursor(body.get(4..)?);
            Some((at.number(4)? as u32, at.number(4)? as u32))
        });
        size.ok_or_else(|| self.damaged("a picture without a size"))
    }

    /// Rows, columns, width and height of a grid.
    fn grid(&self, body: &[u8]) -> Result<(u32, u32, u32, u32), Problem> {
        let mut at = Cursor(body);
        let mut read = || {
            let (_version, flags) = (at.number(1)?, at.number(1)?);
            let (rows, columns) = (at.number(1)? + 1, at.number(1)? + 1);
            let size = if flags & 1 == 1 { 4 } else { 2 };
            let (width, height) = (at.number(size)?, at.number(size)?);
            Some((rows as u32, columns as u32, width as u32, height as u32))
        };
        read().ok_or_else(|| self.damaged("a grid without its measures"))
    }

    /// What of the picture is shown: all of it, or what `clap` says.
    fn crop(
        &self,
        properties: &[Property],
        width: u32,
        height: u32,
    ) -> Result<(Range<u32>, Range<u32>), Problem> {
        let Some(body) = property(properties, *b"clap") else {
            return Ok((0..width, 0..height));
        };
        let mut at = Cursor(body);
        let numbers: Option<Vec<u32>> = (0..8).map(|_| at.number(4).map(|n| n as u32)).collect();
        let shown = match numbers.as_deref() {
            Some(&[w, w_of, h, h_of, x, x_of, y, y_of]) => {
                shown_of(width, (w, w_of), (x, x_of)).zip(shown_of(height, (h, h_of), (y, y_of)))
            }
            _ => None,
        };
        shown.ok_or_else(|| self.damaged("it is cropped to what it does not have"))
    }
}

/// Which part of a side is shown: as long as the first fraction says, its middle as far from the side's own
/// as the second one, which may be negative.
fn shown_of(
    side: u32,
    (long, long_of): (u32, u32),
    (off, off_of): (u32, u32),
) -> Option<Range<u32>> {
    let long = i64::from(long.checked_div(long_of)?);
    let (off, off_of) = (i64::from(off as i32), i64::from(off_of));
    if off_of == 0 {
        return None;
    }
    // In double pixels, so that halves are whole numbers.
    let from = (i64::from(side) - long + 2 * off / off_of).div_euclid(2);
    let from = u32::try_from(from).ok()?;
    let to = from.checked_add(u32::try_from(long).ok()?)?;
    (from < to && to <= side).then_some(from..to)
}

/// Whether so many tiles cover a side, and none of them lies wholly outside.
fn covers(tiles: u32, tile: u32, side: u32) -> bool {
    let (tiles, tile, side) = (u64::from(tiles), u64::from(tile), u64::from(side));
    tiles * tile >= side && (tiles - 1) * tile < side
}

/// The turns and mirrorings in the order they are listed, as one of EXIF's eight.
fn orientation(properties: &[Property]) -> Orientation {
    // Counter-clockwise quarter turns, after a mirroring of left and right.
    let (mut mirrored, mut quarters) = (false, 0_u8);
    for (kind, body) in properties {
        let value = body.first().copied().unwrap_or_default();
        match kind {
            b"irot" => quarters += value & 3,
            // Axis 0 mirrors top and bottom, axis 1 left and right: a mirroring turns what was turned before
            // it the other way round.
            b"imir" => {
                mirrored = !mirrored;
                quarters = 4 - quarters % 4 + if value & 1 == 0 { 2 } else { 0 };
            }
            _ => {}
        }
        quarters %= 4;
    }
    match (mirrored, quarters) {
        (false, 1) => Orientation::Rotate270,
        (false, 2) => Orientation::Rotate180,
        (false, 3) => Orientation::Rotate90,
        (false, _) => Orientation::NoTransforms,
        (true, 1) => Orientation::Rotate90FlipH,
        (true, 2) => Orientation::FlipVertical,
        (true, 3) => Orientation::Rotate270FlipH,
        (true, _) => Orientation::FlipHorizontal,
    }
}

fn colour(properties: &[Property]) -> Option<Colour> {
    properties.iter().find_map(|(kind, body)| {
        let mut at = Cursor(body);
        if kind != b"colr" || at.take(4)? != b"nclx" {
            return None;
        }
        at.skip(4);
        Some(Colour {
            matrix: at.number(2)? as u16,
            full_range: at.number(1)? & 0x80 != 0,
        })
    })
}

fn property<'a>(properties: &[Property<'a>], wanted: Kind) -> Option<&'a [u8]> {
    let found = properties.iter().find(|(kind, _)| *kind == wanted);
    found.map(|(_, body)| *body)
}

/// The coded pictures one after the other, in a form that ffmpeg reads without seeking.
struct Stream {
    codec: Codec,
    bytes: Vec<u8>,
    /// The parameter sets that hold at its end, as they stand in `hvcC`.
    parameters: Vec<u8>,
    pictures: u64,
}

impl Stream {
    fn new(codec: Codec, (width, height): (u32, u32), tiles: usize) -> Self {
        let mut bytes = Vec::new();
        if codec == Codec::Av1 {
            // IVF: 32 bytes for the file, then 12 for each frame.
            bytes.extend_from_slice(b"DKIF\0\0\x20\0AV01");
            // Only a hint, which ffmpeg replaces by what it decodes.
            bytes.extend_from_slice(&(width as u16).to_le_bytes());
            bytes.extend_from_slice(&(height as u16).to_le_bytes());
            for number in [25, 1, tiles as u32, 0] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        Self {
            codec,
            bytes,
            parameters: Vec::new(),
            pictures: 0,
        }
    }

    /// Adds a coded picture; `None` when its own lengths lead outside of it.
    fn push(&mut self, coded: &[u8], properties: &[Property]) -> Option<()> {
        match self.codec {
            Codec::Hevc => self.push_hevc(coded, property(properties, *b"hvcC")?)?,
            Codec::Av1 => self.push_av1(coded, property(properties, *b"av1C")?)?,
        }
        self.pictures += 1;
        Some(())
    }

    /// ISO/IEC 14496-15, 8.3: parameter sets from the configuration, then units behind their lengths.
    fn push_hevc(&mut self, mut coded: &[u8], configuration: &[u8]) -> Option<()> {
        let mut at = Cursor(configuration);
        at.skip(21);
        let length_size = (at.number(1)? & 3) as usize + 1;
        if self.parameters != configuration {
            self.parameters = configuration.to_vec();
            for _ in 0..at.number(1)? {
                at.skip(1);
                for _ in 0..at.number(2)? {
                    let length = at.number(2)? as usize;
                    self.push_unit(at.take(length)?);
                }
            }
        }
        while !coded.is_empty() {
            let mut at = Cursor(coded);
            let length = at.number(length_size)? as usize;
            self.push_unit(at.take(length).filter(|unit| !unit.is_empty())?);
            coded = at.0;
        }
        Some(())
    }

    fn push_unit(&mut self, unit: &[u8]) {
        self.bytes.extend_from_slice(&[0, 0, 0, 1]);
        self.bytes.extend_from_slice(unit);
    }

    /// A temporal delimiter, what the configuration holds (a sequence header, or nothing), the picture.
    fn push_av1(&mut self, coded: &[u8], configuration: &[u8]) -> Option<()> {
        let header = configuration.get(4..)?;
        let delimiter = [0x12, 0];
        let length = delimiter.len() + header.len() + coded.len();
        let length = u32::try_from(length).ok()?;
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&self.pictures.to_le_bytes());
        for part in [&delimiter, header, coded] {
            self.bytes.extend_from_slice(part);
        }
        Some(())
    }
}

/// How many samples the longest track of a sequence has; 1 when there is none.
fn frames(bytes: &[u8]) -> u32 {
    let tracks =
        boxes(child(bytes, *b"moov").unwrap_or_default()).filter(|(kind, _)| kind == b"trak");
    let samples = tracks.filter_map(|(_, track)| {
        let table = [*b"mdia", *b"minf", *b"stbl"]
            .into_iter()
            .try_fold(track, child)?;
        let mut at = Cursor(child(table, *b"stsz")?);
        at.skip(8);
        at.number(4)
    });
    samples.max().unwrap_or(1).clamp(1, u32::MAX.into()) as u32
}

/// The first box of this kind.
fn child(bytes: &[u8], wanted: Kind) -> Option<&[u8]> {
    let found = boxes(bytes).find(|(kind, _)| *kind == wanted);
    found.map(|(_, body)| body)
}

/// Boxes, up to the first one that does not fit.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = (Kind, &[u8])> {
    let mut at = Cursor(bytes);
    std::iter::from_fn(move || {
        let whole = at.0.len();
        let length = at.number(4)?;
        let kind = at.take(4)?.try_into().ok()?;
        let length = match length {
            // To the end.
            0 => whole as u64,
            1 => at.number(8)?,
            length => length,
        };
        let head = (whole - at.0.len()) as u64;
        let body = usize::try_from(length.checked_sub(head)?).ok()?;
        Some((kind, at.take(body)?))
    })
}

/// Whether a box at the top announces more than the file has.
fn reaches_beyond(bytes: &[u8]) -> bool {
    let read: usize = boxes(bytes).map(|(_, body)| body.len() + 8).sum();
    read < bytes.len()
}

/// Four bytes as text that can be shown.
fn printable(kind: Kind) -> String {
    kind.map(|byte| {
        if byte.is_ascii_graphic() {
            byte as char
        } else {
            '?'
        }
    })
    .iter()
    .collect()
}

/// What is left to read, from the front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Leaves nothing when there is less than that, so the next read fails.
    fn skip(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }

    /// A big-endian number of up to 8 bytes; of 0 bytes it is 0.
    fn number(&mut self, size: usize) -> Option<u64> {
        let bytes = self.take(size).filter(|_| size <= 8)?;
        Some(bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    fn id(&mut self, wide: bool) -> Option<u32> {
        self.number(if wide { 4 } else { 2 }).map(|id| id as u32)
    }

    fn version(&mut self) -> Option<u8> {
        self.version_and_flags().map(|(version, _)| version)
    }

    fn version_and_flags(&mut self) -> Option<(u8, u32)> {
        let word = self.number(4)? as u32;
        Some(((word >> 24) as u8, word & 0xff_ffff))
    }
}

#[cfg(test)]
pub(super) mod tests;
