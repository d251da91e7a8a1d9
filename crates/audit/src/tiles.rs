//! The published form of the log (C2SP `tlog-tiles`): files a static web server can serve.
//!
//! The tree is cut into tiles of height 8: `tile/<L>/<N>` holds the 256 hashes at level 8·L of the
//! tree from position 256·N on, 8,192 bytes; `tile/entries/<N>` holds the leaves under
//! `tile/0/<N>`. A number is written in groups of three digits, all but the last with an `x`:
//! 1234067 is `x001/x234/067`. The last tile of a level may be partial, `…/067.p/5` for 5 hashes.
//! A full tile never changes, so it can be cached and copied for ever.

use std::fmt;
use std::str::FromStr;

use crate::leaf::MAX_LEAF_BYTES;
use crate::tree::{Frontier, Hash, MAX_SIZE};

/// The hashes, or leaves, in a full tile.
pub const TILE_WIDTH: u16 = 256;
/// The highest level of tiles a log of [`MAX_SIZE`] leaves has.
pub const MAX_LEVEL: u8 = 7;
/// The largest tile index a log of [`MAX_SIZE`] leaves has.
pub const MAX_INDEX: u64 = (MAX_SIZE - 1) >> 8;

/// Why a tile cannot be named, read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not the path of a tile.
    #[error(
        "{0:?} is not the path of a tile: `tile/<level 0-7>/<index>` or `tile/entries/<index>`, \
         the index as `x001/x234/067`, for a partial tile followed by `.p/<1-255>`"
    )]
    Path(String),
    /// A width of 0 or above 256.
    #[error("a tile is 1 to 256 wide, not {0}")]
    Width(usize),
    /// A level above [`MAX_LEVEL`].
    #[error("tile level {0} is above {MAX_LEVEL}")]
    Level(u8),
    /// An index above [`MAX_INDEX`].
    #[error("tile index {0} is beyond any log")]
    Index(u64),
    /// The bytes of a hash tile do not fit its width.
    #[error("{tile} takes {expected} bytes, here are {found}")]
    Length {
        /// The tile.
        tile: Tile,
        /// 32 bytes for each hash.
        expected: usize,
        /// The bytes given.
        found: usize,
    },
    /// The caller's store lacks a node of the tile.
    #[error("{tile} needs the node at level {level}, index {index}, which is missing")]
    NodeMissing {
        /// The tile.
        tile: Tile,
        /// The node's height above the leaves.
        level: u8,
        /// The node's position in that level.
        index: u64,
    },
    /// A tile of leaves has no hashes.
    #[error("{0} holds leaves, not hashes")]
    NotHashes(Tile),
    /// A leaf too long for the two-byte length.
    #[error("entry {entry} has {bytes} bytes, at most {MAX_LEAF_BYTES} fit")]
    EntryTooLarge {
        /// The position in the bundle.
        entry: usize,
        /// Its length.
        bytes: usize,
    },
    /// A bundle of leaves that ends within a leaf or its length.
    #[error("entry {entry} is cut short at byte {at}")]
    EntryTruncated {
        /// The position in the bundle.
        entry: usize,
        /// The offset of its length field.
        at: usize,
    },
    /// More than 256 leaves.
    #[error("a bundle holds at most 256 entries")]
    TooManyEntries,
}

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes at level 8·`level` of the tree.
    Hashes {
        /// The tile level, 0 to [`MAX_LEVEL`].
        level: u8,
    },
    /// The leaves themselves.
    Entries,
}

/// The name of a tile. Its `Display` is the path below the log's prefix; `parse()` reads it.
///
/// ```
/// use manara_audit::tiles::Tile;
/// let tile = Tile::hashes(0, 1_234_067, 5)?;
/// assert_eq!(tile.to_string(), "tile/0/x001/x234/067.p/5");
/// assert_eq!("tile/0/x001/x234/067.p/5".parse(), Ok(tile));
/// # Ok::<(), manara_audit::tiles::TileError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    kind: TileKind,
    index: u64,
    width: u16,
}

impl Tile {
    /// Tile `index` of `level`, with `width` hashes (256 when full).
    pub fn hashes(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        if level > MAX_LEVEL {
            return Err(TileError::Level(level));
        }
        Self::new(TileKind::Hashes { level }, index, width)
    }

    /// Bundle `index` of leaves, with `width` leaves (256 when full).
    pub fn entries(index: u64, width: u16) -> Result<Self, TileError> {
        Self::new(TileKind::Entries, index, width)
    }

    fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, TileError> {
        if !(1..=TILE_WIDTH).contains(&width) {
            return Err(TileError::Width(width.into()));
        }
        if index > MAX_INDEX {
            return Err(TileError::Index(index));
        }
        Ok(Self { kind, index, width })
    }

    /// What it holds.
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// Its position in its level.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or leaves it holds, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether more will be added, in a wider tile of the same index.
    pub fn is_partial(&self) -> bool {
        self.width < TILE_WIDTH
    }

    /// The content of a hash tile, from the nodes of the tree: `node(level, index)` is the subtree
    /// over leaves `index << level .. (index + 1) << level`.
    pub fn cut(&self, mut node: impl FnMut(u8, u64) -> Option<Hash>) -> Result<Vec<u8>, TileError> {
        let TileKind::Hashes { level } = self.kind else {
            return Err(TileError::NotHashes(*self));
        };
        let mut out = Vec::with_capacity(32 * usize::from(self.width));
        for position in 0..u64::from(self.width) {
            let (level, index) = (level * 8, self.index * 256 + position);
            let hash = node(level, index).ok_or(TileError::NodeMissing {
                tile: *self,
                level,
                index,
            })?;
            out.extend_from_slice(&hash.0);
        }
        Ok(out)
    }

    /// Reads the content of a hash tile.
    pub fn read(&self, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
        if self.kind == TileKind::Entries {
            return Err(TileError::NotHashes(*self));
        }
        let expected = 32 * usize::from(self.width);
        if bytes.len() != expected {
            return Err(TileError::Length {
                tile: *self,
                expected,
                found: bytes.len(),
            });
        }
        let (chunks, _) = bytes.as_chunks();
        Ok(chunks.iter().map(|chunk| Hash(*chunk)).collect())
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        write_index(f, self.index)?;
        if self.is_partial() {
            write!(f, ".p/{}", self.width)
        } else {
            Ok(())
        }
    }
}

fn write_index(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    let mut groups = vec![index % 1000];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(rest % 1000);
        rest /= 1000;
    }
    for (position, group) in groups.iter().enumerate().rev() {
        if position > 0 {
            write!(f, "x{group:03}/")?;
        } else {
            write!(f, "{group:03}")?;
        }
    }
    Ok(())
}

impl FromStr for Tile {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        let tile =
            parse_path(path).ok_or_else(|| TileError::Path(path.chars().take(200).collect()))?;
        // One tile, one path: refuses leading zero groups, signs and the like in a single place.
        if tile.to_string() == path {
            Ok(tile)
        } else {
            Err(TileError::Path(path.chars().take(200).collect()))
        }
    }
}

fn parse_path(path: &str) -> Option<Tile> {
    let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok()?),
        None => (rest, TILE_WIDTH),
    };
    let index = parse_index(index)?;
    match kind {
        "entries" => Tile::entries(index, width).ok(),
        level => Tile::hashes(level.parse().ok()?, index, width).ok(),
    }
}

fn parse_index(text: &str) -> Option<u64> {
    text.split('/').try_fold(0_u64, |index, group| {
        let digits = group.strip_prefix('x').unwrap_or(group);
        index
            .checked_mul(1000)?
            .checked_add(digits.parse::<u16>().ok()?.into())
    })
}

/// The tiles to publish when the log has grown from `old` to `new` leaves: every one that is new or
/// wider than before, entries first, then level by level. A partial tile may be removed once its
/// full tile is out. Nothing when `new` is not larger, or above [`MAX_SIZE`].
///
/// ```
/// let paths: Vec<String> =
///     manara_audit::tiles::grown(250, 260).map(|tile| tile.to_string()).collect();
/// assert_eq!(
///     paths,
///     [
///         "tile/entries/000", "tile/entries/001.p/4",
///         "tile/0/000", "tile/0/001.p/4",
///         "tile/1/000.p/1",
///     ],
/// );
/// ```
pub fn grown(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    let (old, new) = if new > MAX_SIZE {
        (0, 0)
    } else {
        (old.min(new), new)
    };
    let hashes = (0..=MAX_LEVEL).map(|level| (TileKind::Hashes { level }, level));
    std::iter::once((TileKind::Entries, 0))
        .chain(hashes)
        .flat_map(move |(kind, level)| {
            let (before, after) = (old >> (8 * level), new >> (8 * level));
            let tiles = if before < after {
                before / 256..after.div_ceil(256)
            } else {
                0..0
            };
            tiles.map(move |index| Tile {
                kind,
                index,
                width: (after - index * 256).min(256) as u16,
            })
        })
}

/// Answers the questions of [`inclusion_proof`](crate::inclusion_proof) and
/// [`consistency_proof`](crate::consistency_proof) from the published tiles of a log of `size`
/// leaves; `read` fetches one tile (`Tile::read` turns its bytes into hashes).
///
/// Each question fetches one tile, so `read` should keep the last few.
pub fn nodes(
    size: u64,
    mut read: impl FnMut(&Tile) -> Option<Vec<Hash>>,
) -> impl FnMut(u8, u64) -> Option<Hash> {
    move |level, index| {
        let (tile_level, height) = (level / 8, level % 8);
        let end = index
            .checked_add(1)?
            .checked_mul(1_u64.checked_shl(level.into())?)?;
        if end > size || size > MAX_SIZE {
            return None;
        }
        let first = index << height;
        let in_level = size >> (8 * tile_level);
        let width = (in_level - (first / 256) * 256).min(256) as u16;
        let hashes = read(&Tile::hashes(tile_level, first / 256, width).ok()?)?;
        let start = (first % 256) as usize;
        hashes.get(start..start + (1 << height)).map(subtree_root)
    }
}

/// The root over some neighbouring nodes of one level. For a full tile this is one node of the
/// next tile level.
pub fn subtree_root(hashes: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    for hash in hashes {
        frontier.push(*hash);
    }
    frontier.root()
}

/// Cuts tiles while leaves arrive, holding only the right edge (at most 8 × 255 hashes).
///
/// ```
/// use manara_audit::{leaf_hash, tiles::TileCutter};
/// let mut cutter = TileCutter::new();
/// let mut full = Vec::new();
/// for number in 0_u32..300 {
///     cutter.push(leaf_hash(&number.to_be_bytes()), |tile, _| full.push(tile.to_string()));
/// }
/// let partial: Vec<String> = cutter.partial().map(|(tile, _)| tile.to_string()).collect();
/// assert_eq!(full, ["tile/0/000"]);
/// assert_eq!(partial, ["tile/0/001.p/44", "tile/1/000.p/1"]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct TileCutter {
    size: u64,
    /// For each tile level, the hashes of its last tile as far as it goes.
    edge: Vec<Vec<Hash>>,
}

impl TileCutter {
    /// The cutter of an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on where a log of `size` leaves stopped; `read` gives its partial tiles.
    pub fn resume(
        size: u64,
        mut read: impl FnMut(&Tile) -> Result<Vec<u8>, TileError>,
    ) -> Result<Self, TileError> {
        let mut edge = vec![Vec::new(); usize::from(MAX_LEVEL) + 1];
        for (level, hashes) in (0..=MAX_LEVEL).zip(&mut edge) {
            let in_level = size >> (8 * level);
            if !in_level.is_multiple_of(256) {
                let tile = Tile::hashes(level, in_level / 256, (in_level % 256) as u16)?;
                *hashes = tile.read(&read(&tile)?)?;
            }
        }
        Ok(Self { size, edge })
    }

    /// The number of leaves cut.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf hash and shows every tile that is now full.
    pub fn push(&mut self, leaf: Hash, mut full: impl FnMut(Tile, &[Hash])) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0..=MAX_LEVEL {
            if self.edge.len() == usize::from(level) {
                self.edge.push(Vec::new());
            }
            let Some(hashes) = self.edge.get_mut(usize::from(level)) else {
                return;
            };
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                return;
            }
            let index = (self.size >> (8 * level)) / 256 - 1;
            full(
                Tile {
                    kind: TileKind::Hashes { level },
                    index,
                    width: TILE_WIDTH,
                },
                hashes,
            );
            hash = subtree_root(hashes);
            hashes.clear();
        }
    }

    /// The partial tiles of the right edge, lowest level first.
    pub fn partial(&self) -> impl Iterator<Item = (Tile, &[Hash])> {
        (0..=MAX_LEVEL)
            .zip(&self.edge)
            .filter(|(_, hashes)| !hashes.is_empty())
            .map(|(level, hashes)| {
                let index = (self.size >> (8 * level)) / 256;
                let width = hashes.len() as u16;
                (
                    Tile {
                        kind: TileKind::Hashes { level },
                        index,
                        width,
                    },
                    hashes.as_slice(),
                )
            })
    }
}

/// The content of `tile/entries/<N>`: each leaf after its length in two bytes, big-endian.
pub fn encode_entries<T: AsRef<[u8]>>(entries: &[T]) -> Result<Vec<u8>, TileError> {
    if entries.len() > usize::from(TILE_WIDTH) {
        return Err(TileError::TooManyEntries);
    }
    let mut out = Vec::new();
    for (entry, data) in entries.iter().map(AsRef::as_ref).enumerate() {
        let length = u16::try_from(data.len()).map_err(|_| TileError::EntryTooLarge {
            entry,
            bytes: data.len(),
        })?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(data);
    }
    Ok(out)
}

/// The leaves in the content of `tile/entries/<N>`.
pub fn decode_entries(bytes: &[u8]) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let entry = entries.len();
        if entry == usize::from(TILE_WIDTH) {
            return Err(TileError::TooManyEntries);
        }
        let truncated = TileError::EntryTruncated {
            entry,
            at: bytes.len() - rest.len(),
        };
        let taken = rest.split_first_chunk().and_then(|(length, after)| {
            after.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        });
        let (data, after) = taken.ok_or(truncated)?;
        entries.push(data);
        rest = after;
    }
    Ok(entries)
}
