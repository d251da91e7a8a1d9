//! The image files of the day: which picture each one is, and the making of all of them at once.

use super::alteration::{self, Alteration, JPEG_QUALITY, altered};
use super::drawing::{EVERYDAY, ORDER, Subject, draw};
use super::prng::Prng;
use anyhow::{Context, Result, anyhow};
use image::RgbImage;
use manara_signal::pdq::{PdqHash, hash_rgb};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

/// An image file, described. Making it is a pure function of this and the originals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Picture {
    /// The file from which a bank member was made.
    Original(usize),
    /// The same, changed on its way.
    Altered {
        original: usize,
        alteration: Alteration,
        seed: u64,
    },
    /// Anything else that was drawn.
    Drawn { subject: Subject, seed: u64 },
    /// A file that claims to be an image and cannot be read as one.
    Broken { how: Breakage, seed: u64 },
}

/// What is wrong with a broken file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Breakage {
    /// A PNG that ends in the middle.
    CutOff,
    /// The first bytes of a format, then noise.
    NoiseAfterMagic,
    /// A correct PNG header of 60,000 × 60,000 pixels, and hardly anything behind it.
    Gigantic,
    /// A web page saved under an image's name.
    WebPage,
    /// A JPEG whose tables were overwritten.
    Scrambled,
}

/// How PNG, GIF, JPEG, WebP and BMP files begin.
const MAGICS: &[&[u8]] = &[
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"\xff\xd8\xff\xe0",
    b"RIFF\x10\x27\0\0WEBPVP8 ",
    b"BM",
];

pub(crate) const BREAKAGES: &[Breakage] = &[
    Breakage::CutOff,
    Breakage::NoiseAfterMagic,
    Breakage::Gigantic,
    Breakage::WebPage,
    Breakage::Scrambled,
];

/// One of the Order's pictures: its file and what the bank knows of it.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    pub(crate) subject: Subject,
    pub(crate) file: Vec<u8>,
    pub(crate) hash: PdqHash,
    /// The file's pixels: copies are made from what was published, not from the drawing board.
    pixels: RgbImage,
}

/// Draws the Order's pictures, as many as asked for, all subjects in turn.
pub(crate) fn originals(count: usize, prng: &Prng) -> Result<Vec<Original>> {
    let jobs: Vec<(Subject, u64)> = (0..count)
        .map(|i| (ORDER[i % ORDER.len()], prng.fork(i as u64).next()))
        .collect();
    in_parallel(&jobs, |(subject, seed)| {
        let file = alteration::jpeg(&draw(*subject, *seed), JPEG_QUALITY)?;
        let pixels = decoded(&file)?;
        Ok(Original {
            subject: *subject,
            hash: pdq_of(&pixels)?,
            file,
            pixels,
        })
    })
}

/// A new picture of a subject only the Order draws, which is in no bank.
pub(crate) fn order_style(prng: &mut Prng) -> Picture {
    Picture::Drawn {
        subject: *prng.pick(ORDER),
        seed: prng.next(),
    }
}

/// A picture of everyday life.
pub(crate) fn everyday(prng: &mut Prng) -> Picture {
    Picture::Drawn {
        subject: *prng.pick(EVERYDAY),
        seed: prng.next(),
    }
}

/// Makes each different picture of `wanted` once, on all cores.
pub(crate) fn make_all(
    originals: &[Original],
    wanted: impl Iterator<Item = Picture>,
) -> Result<HashMap<Picture, Vec<u8>>> {
    let mut seen = HashSet::new();
    let distinct: Vec<Picture> = wanted.filter(|picture| seen.insert(*picture)).collect();
    let files = in_parallel(&distinct, |picture| make(originals, *picture))?;
    Ok(distinct.into_iter().zip(files).collect())
}

fn make(originals: &[Original], picture: Picture) -> Result<Vec<u8>> {
    match picture {
        Picture::Original(at) => Ok(original(originals, at)?.file.clone()),
        Picture::Altered {
            original: at,
            alteration,
            seed,
        } => Ok(altered(
            &original(originals, at)?.pixels,
            alteration,
            &mut Prng::new(seed),
        )?),
        // Charts leave their program as PNG; nearly everything else is a JPEG.
        Picture::Drawn {
            subject: Subject::Chart,
            seed,
        } => Ok(alteration::png(&draw(Subject::Chart, seed))?),
        Picture::Drawn { subject, seed } => {
            Ok(alteration::jpeg(&draw(subject, seed), JPEG_QUALITY)?)
        }
        Picture::Broken { how, seed } => broken(how, &mut Prng::new(seed)),
    }
}

fn original(originals: &[Original], at: usize) -> Result<&Original> {
    originals
        .get(at)
        .with_context(|| format!("the demo plants original {at} of {}", originals.len()))
}

fn broken(how: Breakage, prng: &mut Prng) -> Result<Vec<u8>> {
    let mut noise = |length: usize| -> Vec<u8> { (0..length).map(|_| prng.next() as u8).collect() };
    Ok(match how {
        Breakage::CutOff => {
            let mut file = alteration::png(&draw(Subject::Meal, prng.next()))?;
            file.truncate(file.len() / 3);
            file
        }
        Breakage::NoiseAfterMagic => {
            let mut file = prng.pick(MAGICS).to_vec();
            file.extend((0..4096).map(|_| prng.next() as u8));
            file
        }
        Breakage::Gigantic => gigantic_png(&noise(2048)),
        Breakage::WebPage => {
            b"<!doctype html><title>404</title><p>The picture has moved.</p>".to_vec()
        }
        Breakage::Scrambled => {
            let mut file = alteration::jpeg(&draw(Subject::Garden, prng.next()), JPEG_QUALITY)?;
            // Behind the two bytes that say "JPEG" and the header, where the tables begin.
            file.iter_mut()
                .skip(20)
                .take(600)
                .for_each(|byte| *byte = prng.next() as u8);
            file
        }
    })
}

/// A PNG header, correct down to its checksum, of a picture that would need 10.8 GB of memory.
fn gigantic_png(body: &[u8]) -> Vec<u8> {
    const SIDE_PX: [u8; 4] = 60_000_u32.to_be_bytes();
    let mut header = b"IHDR".to_vec();
    header.extend(SIDE_PX);
    header.extend(SIDE_PX);
    // Eight bits a channel, RGB, default compression and filter, not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for chunk in [header, [b"IDAT", body].concat()] {
        file.extend((chunk.len() as u32 - 4).to_be_bytes());
        file.extend(&chunk);
        file.extend(crc32(&chunk).to_be_bytes());
    }
    file
}

/// The checksum of PNG chunks (ISO 3309), a bit at a time.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    })
}

fn decoded(file: &[u8]) -> Result<RgbImage> {
    Ok(image::load_from_memory(file)?.to_rgb8())
}

fn pdq_of(pixels: &RgbImage) -> Result<PdqHash> {
    Ok(hash_rgb(
        pixels.as_raw(),
        pixels.width() as usize,
        pixels.height() as usize,
    )?)
}

/// The PDQ of an image file, as a platform that hashes for itself would send it.
pub(crate) fn hash_of(file: &[u8]) -> Result<PdqHash> {
    pdq_of(&decoded(file)?)
}

/// `work` on every item, on all cores; the results stand in the items' order.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                return done;
            };
            done.push((at, work(item)));
        }
    };
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(items.len().max(1));
    let mut done: Vec<(usize, Result<R>)> = Vec::with_capacity(items.len());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
        for worker in workers {
            done.extend(
                worker
                    .join()
                    .map_err(|_| anyhow!("drawing a picture of the demo failed"))?,
            );
        }
        Ok::<(), anyhow::Error>(())
    })?;
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_files_do_not_decode_and_look_like_images_to_a_glance() {
        for how in BREAKAGES {
            for seed in 0..5 {
                let file = make(&[], Picture::Broken { how: *how, seed }).unwrap();
                assert!(image::load_from_memory(&file).is_err(), "{how:?} {seed}");
            }
        }
        let gigantic = gigantic_png(b"x");
        let size = image::ImageReader::new(std::io::Cursor::new(gigantic))
            .with_guessed_format()
            .unwrap()
            .into_dimensions();
        assert_eq!(size.unwrap(), (60_000, 60_000));
    }

    #[test]
    fn checksums_are_those_of_png() {
        // The closing chunk of every PNG.
        assert_eq!(crc32(b"IEND"), 0xAE42_6082);
    }

    #[test]
    fn work_in_parallel_keeps_the_order_and_reports_the_first_error() {
        let doubled = in_parallel(&[1, 2, 3, 4, 5], |n| Ok(n * 2)).unwrap();
        assert_eq!(doubled, [2, 4, 6, 8, 10]);
        let error = in_parallel(&[1, 2, 3], |n| {
            if *n > 1 {
                Err(anyhow!("no {n}"))
            } else {
                Ok(())
            }
        })
        .unwrap_err();
        assert_eq!(error.to_string(), "no 2");
    }
}
