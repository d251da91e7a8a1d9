use super::super::samples::{
    animated_gif, animation_gif, animation_png, chunk, drawing, encoded, gif_of_frames, jpeg,
    jpeg_of, noise, png, turned, zlib_of_zeros,
};
use super::*;
use image::{GenericImageView, ImageFormat};

fn signed(bytes: &[u8]) -> Result<Signs, Problem> {
    let everything = Extra {
        without_bars: true,
        reference_512: true,
        key_frames_max: 8,
    };
    sign(bytes, &Limits::default(), everything)
}

#[track_caller]
fn refused(bytes: &[u8], says: &str) {
    let problem = signed(bytes).expect_err("should not decode").to_string();
    assert!(problem.contains(says), "`{problem}` does not say `{says}`");
    assert!(
        problem.len() < 400 && !problem.contains(char::is_control),
        "{problem}"
    );
}

/// The oracle: pixels as Pillow gives them. JPEG decoders may round differently; all else is exact.
#[test]
fn pixels_are_those_of_pillow() {
    let vectors = include_str!("pillow.tsv");
    for line in vectors.lines() {
        let [name, file, width, height, rgb] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let decoded = picture(&hex::decode(file).unwrap(), &Limits::default());
        let decoded = decoded.unwrap_or_else(|problem| panic!("{name}: {problem}"));
        assert_eq!(decoded.incomplete, None, "{name}");
        assert_eq!(
            (
                decoded.width.to_string().as_str(),
                decoded.height.to_string().as_str()
            ),
            (width, height),
            "{name}"
        );
        assert_eq!(
            decoded.frames,
            if name.contains("animated") { 2 } else { 1 },
            "{name}"
        );
        let expected = hex::decode(rgb).unwrap();
        let ours = decoded.into_rgb();
        assert_eq!(ours.len(), expected.len(), "{name}");
        let off = ours
            .iter()
            .zip(&expected)
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        let tolerated = if name.starts_with("jpeg") { 4 } else { 0 };
        assert!(off <= Some(tolerated), "{name}: off by {off:?}");
    }
    assert!(vectors.lines().count() > 30);
}

/// Pillow clips 16-bit grey at 255, which would let any picture pass as white.
#[test]
fn grey_of_16_bits_keeps_its_high_byte() {
    // Two rows of two pixels, in a stored deflate block.
    let rows = [0, 0x12, 0x34, 0xff, 0x00, 0, 0x00, 0xff, 0x80, 0x00];
    let mut zlib = vec![0x78, 0x01, 0x01, 10, 0, !10, 0xff];
    zlib.extend(rows);
    zlib.extend([0; 4]);
    let decoded = picture(&png(2, 2, 16, 0, &[], &zlib), &Limits::default()).unwrap();
    assert_eq!(
        decoded.into_rgb(),
        [[0x12; 3], [0xff; 3], [0x00; 3], [0x80; 3]].concat()
    );
}

#[test]
fn every_format_gives_nearly_the_same_hash() {
    let image = drawing(300, 200, 1);
    let reference = signed(&encoded(&image, ImageFormat::Png)).unwrap();
    assert_eq!(
        (
            reference.width,
            reference.height,
            reference.frames,
            reference.truncated
        ),
        (300, 200, 1, false)
    );
    assert!(reference.pdq[0].quality >= 50);
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::WebP,
        ImageFormat::Gif,
    ] {
        let other = signed(&encoded(&image, format)).unwrap();
        let bits = reference.pdq[0].hash.distance(&other.pdq[0].hash);
        assert!(bits <= 16, "{format:?} is {bits} bits off");
    }
    let animated = signed(&animated_gif(&image)).unwrap();
    assert_eq!(animated.frames, 2);
}

#[test]
fn what_is_not_an_image_is_said_to_be_something_else() {
    refused(b"", "an empty file");
    refused(
        b"hello",
        "not an image Manara reads (JPEG, PNG, GIF, WebP, BMP, HEIC, AVIF)",
    );
    refused(
        b"\0\0\0\x18ftypheic\0\0\0\0",
        "a HEIC image, not an image Manara reads",
    );
    refused(b"%PDF-1.7", "a PDF");
}

#[test]
fn sizes_are_refused_from_the_header() {
    let tiny = zlib_of_zeros(258);
    refused(
        &png(60_000, 60_000, 8, 2, &[], &tiny),
        "60000×60000 px is over the limit of 50 megapixels",
    );
    refused(
        &png(60_000, 60_000, 1, 0, &[], &tiny),
        "60000×60000 px is over the limit of 50 megapixels",
    );
    refused(
        &png(20_000, 10, 8, 0, &[], &tiny),
        "20000×10 px is over the limit of 12000 px a side",
    );
    refused(b"GIF89a\xff\xff\xff\xff\x80\x00\x00\0\0\0\xff\xff\xff\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b", "65535×65535 px");
    let mut bmp = encoded(&drawing(4, 4, 1), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&40_000_i32.to_le_bytes());
    bmp[22..26].copy_from_slice(&40_000_i32.to_le_bytes());
    refused(&bmp, "40000×40000 px is over the limit of 50 megapixels");
    let mut huge = jpeg(16, 16, 1);
    let frame = huge
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    huge[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    refused(&huge, "65535×65535 px is over the limit of 50 megapixels");
    // An extended WebP may claim a canvas of 2^24 a side.
    refused(
        b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\x00\xff\xff\x00VP8L\0\0\0\0",
        "",
    );
}

#[test]
fn memory_has_a_limit() {
    let limits = Limits {
        alloc_bytes_max: 64 * 1024,
        ..Limits::default()
    };
    let problem = sign(
        &encoded(&drawing(200, 200, 1), ImageFormat::Png),
        &limits,
        Extra::NONE,
    )
    .unwrap_err();
    assert!(
        matches!(problem, Problem::TooMuchMemory { .. }),
        "{problem}"
    );
}

#[test]
fn a_frame_larger_than_its_gif_is_refused_or_cut() {
    let mut gif = gif_of_frames(1);
    let frame = gif.iter().position(|byte| *byte == 0x2c).unwrap();
    gif[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    refused(&gif, "");
}

/// A stream that unpacks to 200 MB is read only as far as the image has pixels.
#[test]
fn bombs_do_not_unpack() {
    let bomb = zlib_of_zeros(200_000_000);
    assert!(bomb.len() < 2_000_000);
    let (width, height) = match signed(&png(64, 64, 8, 0, &[], &bomb)) {
        Ok(signs) => (signs.width, signs.height),
        Err(problem) => panic!("{problem}"),
    };
    assert_eq!((width, height), (64, 64));
    // The same stream as a colour profile and as a text; both are beside the picture.
    let profile = chunk(*b"iCCP", &[b"x\0\0", &bomb[..]].concat());
    let text = chunk(*b"zTXt", &[b"x\0\0", &bomb[..]].concat());
    for extra in [profile, text] {
        let pixels = zlib_of_zeros(64 * 65 + 258);
        let signs = signed(&png(64, 64, 8, 0, &extra, &pixels));
        assert!(signs.is_ok(), "{signs:?}");
    }
}

#[test]
fn many_frames_are_counted_and_the_first_is_read() {
    let signs = signed(&gif_of_frames(100_000)).unwrap();
    assert_eq!((signs.width, signs.height, signs.frames), (1, 1, 100_000));
    // Nothing can be seen in one pixel, and the quality says so.
    assert_eq!(signs.pdq[0].quality, 0);
}

#[track_caller]
fn never_whole_when_cut(name: &str, file: &[u8], tail: usize) {
    let step = (file.len() / 150).max(1);
    for cut in (0..file.len() - tail).step_by(step) {
        match picture(&file[..cut], &Limits::default()) {
            Ok(picture) => assert_eq!(
                picture.incomplete,
                Some(Problem::Truncated),
                "{name} cut at {cut} of {}",
                file.len()
            ),
            Err(problem) => assert!(!problem.to_string().is_empty()),
        }
    }
    assert_eq!(
        picture(file, &Limits::default()).unwrap().incomplete,
        None,
        "{name}"
    );
}

/// `tail` is what a file may lose and still be whole: its end marker, its trailing checksums, padding.
#[test]
fn truncated_files_are_never_taken_for_whole() {
    let image = drawing(120, 90, 2);
    never_whole_when_cut("jpeg", &encoded(&image, ImageFormat::Jpeg), 8);
    never_whole_when_cut("png", &encoded(&image, ImageFormat::Png), 24);
    never_whole_when_cut("gif", &encoded(&image, ImageFormat::Gif), 8);
    never_whole_when_cut("webp", &encoded(&image, ImageFormat::WebP), 8);
    never_whole_when_cut("bmp", &encoded(&image, ImageFormat::Bmp), 4);
}

/// Cutting the last bytes off a known image must not hide it from the banks.
#[test]
fn a_truncated_jpeg_still_has_a_hash_near_the_whole_one() {
    let file = jpeg(400, 300, 3);
    let whole = signed(&file).unwrap();
    let cut = signed(&file[..file.len() - file.len() / 50]).unwrap();
    assert!(cut.truncated && !whole.truncated);
    let bits = whole.pdq[0].hash.distance(&cut.pdq[0].hash);
    assert!(bits <= 31, "{bits} bits off");
}

#[test]
fn random_bytes_behind_every_magic_number_are_refused_quietly() {
    let magics: [&[u8]; 6] = [
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"GIF87a",
        b"RIFF\xff\0\0\0WEBPVP8 ",
        b"BM",
    ];
    let mut next = noise(7);
    for round in 0..300 {
        let mut file = magics[round % magics.len()].to_vec();
        let length = next() % 700;
        file.extend((0..length).map(|_| next() as u8));
        // Whatever it is, it ends without a panic; a random picture is allowed to be one.
        if let Err(problem) = signed(&file) {
            assert!(!problem.to_string().contains(char::is_control));
        }
    }
}

/// Whole files with single bytes changed reach far deeper than random ones.
#[test]
fn damaged_files_never_panic() {
    let image = drawing(40, 30, 4);
    let mut next = noise(11);
    let stills = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Bmp,
    ];
    let stills = stills.map(|format| encoded(&image, format));
    let moving = [animation_gif(6), animation_png(6)];
    for file in stills.into_iter().chain(moving) {
        for _ in 0..150 {
            let mut damaged = file.clone();
            for _ in 0..=next() % 4 {
                let at = next() as usize % damaged.len();
                damaged[at] = next() as u8;
            }
            for result in [
                signed(&damaged).map(|_| ()),
                preview(&damaged, &Limits::default()).map(|_| ()),
            ] {
                if let Err(problem) = result {
                    assert!(!problem.to_string().is_empty());
                }
            }
        }
    }
}

fn shown(jpeg: &[u8]) -> DynamicImage {
    image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg).unwrap()
}

#[track_caller]
fn check_preview(file: &[u8], width: u32, height: u32) {
    let jpeg = preview(file, &Limits::default()).unwrap();
    assert_eq!(shown(&jpeg).dimensions(), (width, height));
    assert!(jpeg.len() <= PREVIEW_BYTES_MAX);
    assert!(!jpeg.windows(4).any(|bytes| bytes == b"Exif"));
}

#[test]
fn previews_are_shrunk_and_turned() {
    check_preview(&jpeg(200, 100, 1), 200, 100);
    check_preview(&jpeg(1600, 400, 1), 768, 192);
    check_preview(&encoded(&drawing(2000, 2, 1), ImageFormat::Png), 768, 1);
    check_preview(&turned(&jpeg(200, 100, 1), 6), 100, 200);
    check_preview(&turned(&jpeg(1600, 400, 1), 8), 192, 768);
}

/// The hash is of the pixels as stored; only what is shown is turned.
#[test]
fn orientation_changes_the_preview_and_not_the_hash() {
    let file = jpeg(200, 100, 5);
    let (as_sent, stored) = (signed(&turned(&file, 3)).unwrap(), signed(&file).unwrap());
    assert_eq!(as_sent.displayed, Dihedral::Rotate180);
    assert_eq!(
        as_sent,
        Signs {
            displayed: Dihedral::Rotate180,
            ..stored
        }
    );
    let upright = shown(&preview(&file, &Limits::default()).unwrap()).into_rgb8();
    let turned = shown(&preview(&turned(&file, 3), &Limits::default()).unwrap()).into_rgb8();
    assert!(mean_difference(&upright, &imageops::rotate180(&turned)) < 8.0);
    assert!(mean_difference(&upright, &turned) > 25.0);
}

fn mean_difference(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: u64 = a
        .iter()
        .zip(b.iter())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

#[test]
fn transparency_is_shown_on_white_but_hashed_without() {
    let image = image::RgbaImage::from_pixel(64, 64, image::Rgba([10, 20, 30, 0]));
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png).unwrap();
    let file = file.into_inner();
    let seen = shown(&preview(&file, &Limits::default()).unwrap()).get_pixel(5, 5);
    assert!(seen.0.iter().all(|c| *c >= 250), "{seen:?}");
    assert_eq!(
        &picture(&file, &Limits::default()).unwrap().into_rgb()[..3],
        [10, 20, 30]
    );
}

#[test]
fn a_preview_of_noise_keeps_within_its_bytes() {
    let mut next = noise(3);
    let image = RgbImage::from_fn(1500, 1500, |_, _| {
        image::Rgb(std::array::from_fn(|_| next() as u8))
    });
    check_preview(&encoded(&image, ImageFormat::Bmp), 768, 768);
}

/// Of two pictures that differ in detail only, thumbnails keep next to nothing.
#[test]
fn thumbnails_are_small_grey_and_blurred() {
    let checkers = |tile: u32| {
        RgbImage::from_fn(960, 480, |x, y| {
            image::Rgb(
                [if (x / tile + y / tile).is_multiple_of(2) {
                    250
                } else {
                    5
                }; 3],
            )
        })
    };
    let jpeg = thumbnail(
        &encoded(&checkers(24), ImageFormat::Png),
        &Limits::default(),
    )
    .unwrap();
    let seen = shown(&jpeg);
    assert_eq!(seen.dimensions(), (96, 48));
    assert_eq!(seen.color(), ColorType::L8);
    let inner = seen.crop_imm(12, 12, 72, 24).into_luma8();
    let (low, high) = inner
        .iter()
        .fold((255, 0), |(low, high), v| (low.min(*v), high.max(*v)));
    assert!(high - low < 60, "the tiles can be seen: {low} to {high}");
}

/// Each orientation's form has the hash of the picture as displayed, up to rounding.
#[test]
fn the_picture_as_displayed_is_one_of_the_dihedral_forms() {
    let stored = drawing(300, 200, 11);
    for orientation in 1..=8 {
        let signs = signed(&turned(&jpeg_of(&stored, 95), orientation)).unwrap();
        let mut displayed = DynamicImage::ImageRgb8(stored.clone());
        displayed.apply_orientation(Orientation::from_exif(orientation).unwrap());
        let rgb = displayed.into_rgb8();
        let (width, height) = (rgb.width() as usize, rgb.height() as usize);
        let expected = pdq::hash_rgb(&rgb, width, height).unwrap().hash;
        let distances = signs.pdq.map(|form| form.hash.distance(&expected));
        // Turned pixels are averaged in another order, so it is near and not equal.
        for (form, distance) in distances.into_iter().enumerate() {
            let is_displayed = form == signs.displayed as usize;
            assert_eq!(distance <= 31, is_displayed, "{orientation}: {distances:?}");
        }
    }
}

/// The smallest distance of a form without bars from the hash.
fn nearest(extra: &[(Form, PdqHash)], hash: &manara_signal::Pdq) -> u32 {
    let without_bars = extra.iter().filter(|(form, _)| *form == Form::WithoutBars);
    let distances = without_bars.map(|(_, found)| found.hash.distance(hash));
    distances.min().expect("it has bars")
}

#[test]
fn a_picture_of_the_night_between_black_bars_is_cut_where_it_ends() {
    let extra = Extra {
        without_bars: true,
        ..Extra::NONE
    };
    let mut night = drawing(320, 180, 3);
    // A dark foreground: with the tolerance that JPEG noise asks for, it would go with the bar.
    for (_, y, pixel) in night.enumerate_pixels_mut() {
        if y >= 130 {
            *pixel = image::Rgb([12; 3]);
        }
    }
    let hash = pdq::hash_rgb(&night, 320, 180).unwrap().hash;
    let mut framed = RgbImage::new(320, 320);
    image::GenericImage::copy_from(&mut framed, &night, 0, 70).unwrap();
    let signs = sign(&jpeg_of(&framed, 85), &Limits::default(), extra).unwrap();
    assert!(nearest(&signs.extra, &hash) <= 16, "{:?}", signs.extra);
}

#[test]
fn a_picture_in_a_screenshot_has_a_hash_of_its_own() {
    let extra = Extra {
        without_bars: true,
        ..Extra::NONE
    };
    let plain = drawing(300, 200, 3);
    let hash = pdq::hash_rgb(&plain, 300, 200).unwrap().hash;
    let mut screen = RgbImage::from_pixel(320, 480, image::Rgb([245; 3]));
    // A line of writing above, buttons below.
    for x in (20..180).filter(|x| x % 3 > 0) {
        (20..40).for_each(|y| screen.put_pixel(x, y, image::Rgb([30; 3])));
    }
    for x in (20..300).filter(|x| x % 70 < 20) {
        (400..430).for_each(|y| screen.put_pixel(x, y, image::Rgb([90; 3])));
    }
    image::GenericImage::copy_from(&mut screen, &plain, 10, 80).unwrap();
    let signs = sign(&jpeg_of(&screen, 85), &Limits::default(), extra).unwrap();
    assert!(nearest(&signs.extra, &hash) <= 16, "{:?}", signs.extra);
}

#[test]
fn the_picture_without_bars_has_a_hash_of_its_own() {
    let extra = Extra {
        without_bars: true,
        ..Extra::NONE
    };
    let plain = drawing(320, 180, 3);
    let hash = pdq::hash_rgb(&plain, 320, 180).unwrap().hash;
    let mut framed = RgbImage::new(320, 320);
    image::GenericImage::copy_from(&mut framed, &plain, 0, 70).unwrap();
    let file = jpeg_of(&framed, 80);
    let signs = sign(&file, &Limits::default(), extra).unwrap();
    assert!(
        signs.pdq[0].hash.distance(&hash) > 31,
        "bars defeat the plain hash"
    );
    assert!(nearest(&signs.extra, &hash) <= 16, "{:?}", signs.extra);
    assert_eq!(
        sign(&file, &Limits::default(), Extra::NONE).unwrap().extra,
        []
    );
    assert_eq!(
        sign(&jpeg_of(&plain, 80), &Limits::default(), extra)
            .unwrap()
            .extra,
        []
    );
}

#[test]
fn a_large_picture_has_a_hash_in_the_form_of_metas_tools() {
    let extra = Extra {
        reference_512: true,
        ..Extra::NONE
    };
    let signed = |width: u32, height: u32| {
        let drawn = drawing(width, height, 3);
        let (columns, rows) = (width as usize, height as usize);
        let expected =
            pdq::hash_rgb_as(PdqForm::Reference512, &drawn, columns, rows).expect("pixels");
        let file = encoded(&drawn, ImageFormat::Png);
        let signs = sign(&file, &Limits::default(), extra).expect("an image");
        (signs, expected)
    };
    let (signs, expected) = signed(700, 300);
    assert_eq!(signs.extra, [(Form::Reference512, expected)]);
    assert_ne!(signs.pdq[0].hash, expected.hash);
    let (signs, expected) = signed(512, 300);
    assert_eq!(signs.extra, []);
    assert_eq!(signs.pdq[0], expected);
}
