use super::super::ffmpeg::SAMPLES;
use super::*;

const DRAWING: &[u8] = include_bytes!("drawing.heic");
const TURNED: &[u8] = include_bytes!("turned.heic");
const GRID: &[u8] = include_bytes!("grid.heic");
const DRAWING_AV1: &[u8] = include_bytes!("drawing.avif");
const TURNED_AV1: &[u8] = include_bytes!("turned.avif");
const MIRRORED: &[u8] = include_bytes!("mirrored.avif");
const SEQUENCE: &[u8] = include_bytes!("sequence.avif");
const ALL: [&[u8]; 7] = [
    DRAWING,
    TURNED,
    GRID,
    DRAWING_AV1,
    TURNED_AV1,
    MIRRORED,
    SEQUENCE,
];

fn read(bytes: &[u8]) -> Result<Still, Problem> {
    still(bytes, &Limits::default())
}

#[test]
fn the_picture_is_found() {
    let check = |bytes, codec, orientation, frames| {
        let still = read(bytes).unwrap();
        assert_eq!((still.width, still.height), (160, 120));
        assert_eq!(
            (still.columns_shown.clone(), still.rows_shown.clone()),
            (0..160, 0..120)
        );
        assert_eq!(
            (still.codec, still.orientation, still.frames),
            (codec, orientation, frames)
        );
        assert!(still.stream.len() < bytes.len());
        still
    };
    let stored = Orientation::NoTransforms;
    check(DRAWING, Codec::Hevc, stored, 1);
    check(TURNED, Codec::Hevc, Orientation::Rotate90, 1);
    check(DRAWING_AV1, Codec::Av1, stored, 1);
    check(TURNED_AV1, Codec::Av1, Orientation::Rotate90, 1);
    check(MIRRORED, Codec::Av1, Orientation::Rotate90FlipH, 1);
    check(SEQUENCE, Codec::Av1, stored, 3);
    let grid = check(GRID, Codec::Hevc, stored, 1);
    assert_eq!(
        (grid.columns, grid.rows, grid.tile_width, grid.tile_height),
        (3, 2, 64, 64)
    );
}

#[test]
fn the_samples_are_what_they_are_called() {
    for (format, bytes) in SAMPLES {
        assert_eq!(container::heif(bytes), Some(*format));
    }
}

/// As libavif writes the eight orientations of EXIF.
#[test]
fn turns_and_mirrorings_add_up() {
    type Turn = Property<'static>;
    let (left, half, right): (Turn, Turn, Turn) =
        ((*b"irot", &[1]), (*b"irot", &[2]), (*b"irot", &[3]));
    let (top_bottom, left_right): (Turn, Turn) = ((*b"imir", &[0]), (*b"imir", &[1]));
    let check = |turns: &[Turn], exif| {
        assert_eq!(orientation(turns).to_exif(), exif, "{turns:?}");
    };
    check(&[], 1);
    check(&[left_right], 2);
    check(&[half], 3);
    check(&[top_bottom], 4);
    check(&[left, top_bottom], 5);
    check(&[right], 6);
    check(&[right, top_bottom], 7);
    check(&[left], 8);
    // And in ways that nobody writes.
    check(&[top_bottom, left_right], 3);
    check(&[left_right, left], 5);
    check(&[left, left, left, left], 1);
    check(&[(*b"irot", &[])], 1);
}

#[test]
fn crops_are_read_from_their_middle() {
    assert_eq!(shown_of(100, (100, 1), (0, 1)), Some(0..100));
    assert_eq!(shown_of(100, (50, 1), (0, 1)), Some(25..75));
    assert_eq!(shown_of(100, (99, 1), (-1_i32 as u32, 2)), Some(0..99));
    assert_eq!(shown_of(100, (99, 1), (1, 2)), Some(1..100));
    assert_eq!(shown_of(100, (100, 2), (25, 1)), Some(50..100));
    for outside in [
        shown_of(100, (101, 1), (0, 1)),
        shown_of(100, (50, 1), (26, 1)),
        shown_of(100, (0, 1), (0, 1)),
        shown_of(100, (50, 0), (0, 1)),
        shown_of(100, (50, 1), (0, 0)),
        shown_of(100, (u32::MAX, 1), (u32::MAX, u32::MAX)),
    ] {
        assert_eq!(outside, None);
    }
}

/// The file with these bytes in place of those, each time they occur.
pub(in super::super) fn with(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut bytes = bytes.to_vec();
    let places: Vec<_> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(old))
        .collect();
    assert!(!places.is_empty(), "nothing to replace");
    for at in places {
        bytes[at..at + old.len()].copy_from_slice(new);
    }
    bytes
}

/// The file announcing 60,000 × 60,000 pixels.
pub(in super::super) fn gigantic(bytes: &[u8]) -> Vec<u8> {
    let size = |width: u32, height: u32| {
        [
            &b"ispe\0\0\0\0"[..],
            &width.to_be_bytes(),
            &height.to_be_bytes(),
        ]
        .concat()
    };
    with(bytes, &size(160, 120), &size(60_000, 60_000))
}

#[track_caller]
fn refused(bytes: &[u8], says: &str) {
    let problem = read(bytes).unwrap_err().to_string();
    assert!(problem.contains(says), "`{problem}` does not say `{says}`");
}

#[test]
fn what_is_too_large_is_refused_by_its_header() {
    refused(
        &gigantic(DRAWING),
        "60000×60000 px is over the limit of 50 megapixels",
    );
    refused(
        &gigantic(DRAWING_AV1),
        "60000×60000 px is over the limit of 50 megapixels",
    );
    // A grid's own measures, and its tiles'.
    refused(
        &with(GRID, b"\x01\x02\0\xa0\0\x78", b"\x01\x02\xff\xff\0\x78"),
        "over the limit",
    );
    refused(
        &with(GRID, b"\x01\x02\0\xa0\0\x78", b"\x01\x02\0\xff\0\x78"),
        "do not fill",
    );
    refused(
        &with(GRID, b"\x01\x02\0\xa0\0\x78", b"\x01\x07\0\xa0\0\x78"),
        "do not fill",
    );
    refused(
        &with(GRID, b"\0\0\0\x40\0\0\0\x40", b"\0\0\0\0\0\0\0\x40"),
        "nothing to see",
    );
}

#[test]
fn what_is_not_understood_is_refused() {
    refused(
        &with(DRAWING, b"hvc1\0", b"jpeg\0"),
        "a picture of kind `jpeg`",
    );
    refused(
        &with(GRID, b"grid\0", b"iovl\0"),
        "a picture of kind `iovl`",
    );
    refused(&with(DRAWING, b"pitm", b"free"), "a box is missing");
    refused(&with(DRAWING, b"meta", b"free"), "no still picture");
    refused(
        &with(DRAWING, b"\x81\x02\x03\x04", b"\x81\x02\x03\x7f"),
        "properties is broken",
    );
    // A layer of several is to be shown, but which one is not read here.
    refused(
        &with(
            &with(DRAWING, b"pixi", b"lsel"),
            b"\x81\x02\x03\x04",
            b"\x81\x02\x03\x84",
        ),
        "it depends on a property `lsel`",
    );
    refused(b"\0\0\0\x10ftypheic\0\0\0\0", "no still picture");
    refused(b"\0\0\0\x10ftypheic\0\0\0\0\0\0\xff\xffmeta", "truncated");
}

#[test]
fn shared_bytes_do_not_make_a_small_file_large() {
    // All six tiles are the first one: more than the file, were it not refused.
    let refs = b"dimg\0\x01\0\x06\0\x02\0\x03\0\x04\0\x05\0\x06\0\x07";
    let same = b"dimg\0\x01\0\x06\0\x02\0\x02\0\x02\0\x02\0\x02\0\x02";
    let still = read(&with(GRID, refs, same));
    assert!(still.is_ok_and(|still| still.stream.len() < 4 * GRID.len()));
    let mut own = Stream::new(Codec::Hevc, (64, 64), 1);
    let mut configuration = [0; 23];
    assert!(own.push(&[0, 1], &[(*b"hvcC", &configuration)]).is_none());
    configuration[22] = 1;
    assert!(own.push(&[1, 1], &[(*b"hvcC", &configuration)]).is_none());
    assert!(own.push(&[1, 1], &[]).is_none());
}

/// Every length of the file, and every bit of it turned: an answer or a reason, and never much memory.
#[test]
fn broken_files_never_panic() {
    for bytes in ALL {
        for end in 0..bytes.len() {
            let cut = &bytes[..end];
            assert!(read(cut).is_err() || bytes == SEQUENCE || end > 2000 || cut.ends_with(&[0]));
        }
        let mut bytes = bytes.to_vec();
        for at in 0..bytes.len() * 8 {
            bytes[at / 8] ^= 1 << (at % 8);
            if let Ok(still) = read(&bytes) {
                assert!(still.stream.len() <= 4 * bytes.len());
                assert!(u64::from(still.width) * u64::from(still.height) <= 50_000_000);
            }
            bytes[at / 8] ^= 1 << (at % 8);
        }
    }
}

#[test]
fn a_truncated_file_is_called_that() {
    for bytes in [DRAWING, GRID, DRAWING_AV1] {
        refused(&bytes[..bytes.len() - 1], "truncated");
        refused(&bytes[..100], "truncated");
    }
}
