//! The pictures of the demo: what the invented "Order of the Grey Banner" shows, and what everybody
//! else shows.
//!
//! A picture is a [`Subject`] and a seed. Two seeds of one subject share its parts (a tower, a flag,
//! a crowd) and little else: place, size, light, background and format are drawn anew.

use super::canvas::{Canvas, Colour, Point, blend, grey, hsv};
use super::prng::Prng;
use image::RgbImage;

/// What a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// The Order's flag over a landscape.
    Banner,
    /// The Order's tower at night.
    Tower,
    /// A crowd with the Order's flags before a city.
    March,
    /// The Order's round emblem on a pattern.
    Seal,
    /// A page of writing under the Order's emblem.
    Proclamation,
    Sunset,
    Portrait,
    Map,
    Chart,
    Meme,
    Street,
    Meal,
    Garden,
    /// A flag of some country or club, and nothing else.
    PlainFlag,
    /// Several pictures beside each other with a headline.
    Collage,
    /// Almost nothing: a wall, fog, a blank page.
    LowTexture,
}

/// The subjects that only the Order draws.
pub(crate) const ORDER: &[Subject] = &[
    Subject::Banner,
    Subject::Tower,
    Subject::March,
    Subject::Seal,
    Subject::Proclamation,
];
/// The subjects of everyday posts.
pub(crate) const EVERYDAY: &[Subject] = &[
    Subject::Sunset,
    Subject::Portrait,
    Subject::Map,
    Subject::Chart,
    Subject::Meme,
    Subject::Street,
    Subject::Meal,
    Subject::Garden,
];

/// Widths and heights that phones and screens produce, made small.
const SIZES: [(u32, u32); 7] = [
    (480, 320),
    (400, 400),
    (320, 480),
    (512, 384),
    (448, 336),
    (560, 320),
    (384, 512),
];

/// Draws a subject; the same seed always gives the same picture.
pub(crate) fn draw(subject: Subject, seed: u64) -> RgbImage {
    let mut prng = Prng::new(seed);
    let (width, height) = SIZES[prng.below(SIZES.len())];
    let mut canvas = Canvas::new(width, height, grey(0.5));
    paint(&mut canvas, subject, &mut prng);
    let strength = if subject == Subject::LowTexture {
        1.0
    } else {
        6.0
    };
    canvas.grain(strength, &mut prng);
    canvas.into_image()
}

fn paint(canvas: &mut Canvas, subject: Subject, prng: &mut Prng) {
    match subject {
        Subject::Banner => banner(canvas, prng),
        Subject::Tower => tower_at_night(canvas, prng),
        Subject::March => march(canvas, prng),
        Subject::Seal => seal_on_pattern(canvas, prng),
        Subject::Proclamation => proclamation(canvas, prng),
        Subject::Sunset => sunset(canvas, prng),
        Subject::Portrait => portrait(canvas, prng),
        Subject::Map => map(canvas, prng),
        Subject::Chart => chart(canvas, prng),
        Subject::Meme => meme(canvas, prng),
        Subject::Street => street(canvas, prng),
        Subject::Meal => meal(canvas, prng),
        Subject::Garden => garden(canvas, prng),
        Subject::PlainFlag => plain_flag(canvas, prng),
        Subject::Collage => collage(canvas, prng),
        Subject::LowTexture => low_texture(canvas, prng),
    }
}

fn colour(prng: &mut Prng) -> Colour {
    hsv(
        prng.real(0.0..1.0),
        prng.real(0.2..0.9),
        prng.real(0.3..0.95),
    )
}

fn place(prng: &mut Prng, margin: f32) -> Point {
    (
        prng.real(margin..1.0 - margin),
        prng.real(margin..1.0 - margin),
    )
}

fn sky(canvas: &mut Canvas, prng: &mut Prng) {
    let (from, to) = (colour(prng), colour(prng));
    canvas.gradient(from, to, prng.real(0.0..1.0));
    canvas.texture(prng.real(2.0..7.0), prng.real(0.2..0.5), prng.next());
}

fn hills(canvas: &mut Canvas, prng: &mut Prng) {
    for layer in 0..prng.int(2..4) {
        let base = prng.real(0.45..0.65) + layer as f32 * 0.14;
        let shade = hsv(prng.real(0.0..1.0), 0.4, prng.real(0.15..0.8));
        canvas.ridge(
            base,
            prng.real(0.1..0.5),
            prng.real(1.5..6.0),
            shade,
            prng.next(),
        );
    }
}

fn skyline(canvas: &mut Canvas, ground: f32, prng: &mut Prng) {
    let shade = prng.real(0.05..0.6);
    let mut x = -0.05;
    while x < 1.0 {
        let (width, height) = (prng.real(0.05..0.18), prng.real(0.08..0.5));
        canvas.rectangle(
            (x, ground - height),
            width,
            height + 0.02,
            grey(shade + prng.real(-0.04..0.2)),
        );
        windows(canvas, (x, ground - height), (width, height), prng);
        x += width + prng.real(-0.02..0.03);
    }
}

fn windows(canvas: &mut Canvas, (x, y): Point, (width, height): (f32, f32), prng: &mut Prng) {
    let lit = hsv(0.13, prng.real(0.1..0.6), prng.real(0.5..1.0));
    let (columns, rows) = ((width / 0.03) as usize, (height / 0.05) as usize);
    for i in 0..columns * rows {
        if prng.chance(0.45) {
            let at = (
                x + 0.01 + (i % columns) as f32 * 0.03,
                y + 0.015 + (i / columns) as f32 * 0.05,
            );
            canvas.rectangle(at, 0.014, 0.024, lit);
        }
    }
}

/// The Order's tower, `height` of the picture high, standing on `foot`.
fn tower(canvas: &mut Canvas, foot: Point, height: f32, shade: Colour) {
    let half = height * 0.16 / canvas.aspect();
    let top = foot.1 - height;
    let body = [
        (foot.0 - half * 1.25, foot.1),
        (foot.0 - half * 0.8, top + height * 0.18),
        (foot.0 + half * 0.8, top + height * 0.18),
        (foot.0 + half * 1.25, foot.1),
    ];
    canvas.polygon(&body, shade);
    canvas.rectangle(
        (foot.0 - half * 1.1, top + height * 0.09),
        half * 2.2,
        height * 0.11,
        shade,
    );
    for merlon in 0..3 {
        let x = foot.0 - half * 1.1 + merlon as f32 * half * 0.84;
        canvas.rectangle((x, top), half * 0.52, height * 0.1, shade);
    }
    let light = blend(shade, grey(1.0), 0.75);
    canvas.rectangle(
        (foot.0 - half * 0.2, top + height * 0.36),
        half * 0.4,
        height * 0.16,
        light,
    );
    canvas.rectangle(
        (foot.0 - half * 0.3, foot.1 - height * 0.2),
        half * 0.6,
        height * 0.2,
        light,
    );
}

/// The Order's flag: grey, waving, with the tower on it. `at` is the top of its pole side.
fn grey_flag(canvas: &mut Canvas, at: Point, (width, height): (f32, f32), prng: &mut Prng) {
    waving(
        canvas,
        at,
        (width, height),
        &[grey(prng.real(0.45..0.75))],
        prng,
    );
    let emblem = (at.0 + width * prng.real(0.4..0.6), at.1 + height * 0.85);
    tower(canvas, emblem, height * 0.7, grey(0.1));
    canvas.line(
        (at.0, at.1 - height * 0.1),
        (at.0, at.1 + height * 2.6),
        0.012,
        grey(0.12),
    );
}

/// A cloth of vertical strips that rise and fall, coloured in bands from top to bottom.
fn waving(
    canvas: &mut Canvas,
    at: Point,
    (width, height): (f32, f32),
    bands: &[Colour],
    prng: &mut Prng,
) {
    const STRIPS: usize = 28;
    let (swing, waves, phase) = (
        prng.real(0.03..0.14) * height,
        prng.real(0.8..2.2),
        prng.real(0.0..1.0),
    );
    let wave = |u: f32| ((u * waves + phase) * std::f32::consts::TAU).sin();
    for strip in 0..STRIPS {
        let u = strip as f32 / STRIPS as f32;
        // Strips overlap a little, or the softened edges between them would show as seams.
        let next = (strip as f32 + 1.2) / STRIPS as f32;
        for (i, band) in bands.iter().enumerate() {
            let row = |share: usize| at.1 + height * share as f32 / bands.len() as f32;
            let corner = |u: f32, y: f32| (at.0 + u * width, y + wave(u) * swing * u);
            let corners = [
                corner(u, row(i)),
                corner(next, row(i)),
                corner(next, row(i + 1)),
                corner(u, row(i + 1)),
            ];
            canvas.polygon(
                &corners,
                blend(*band, grey(0.0), 0.2 + 0.25 * wave(u + 0.1)),
            );
        }
    }
}

fn rays(canvas: &mut Canvas, centre: Point, prng: &mut Prng) {
    let (count, shade, turn) = (prng.int(6..15) as usize, colour(prng), prng.real(0.0..1.0));
    for ray in 0..count {
        let at =
            |offset: f32| canvas.around(centre, 2.0, (ray as f32 + offset) / count as f32 + turn);
        let corners = [centre, at(0.0), at(0.45)];
        canvas.polygon(&corners, shade);
    }
}

fn banner(canvas: &mut Canvas, prng: &mut Prng) {
    sky(canvas, prng);
    if prng.chance(0.5) {
        let centre = place(prng, 0.1);
        rays(canvas, centre, prng);
    }
    hills(canvas, prng);
    if prng.chance(0.4) {
        skyline(canvas, prng.real(0.7..1.0), prng);
    }
    let size = prng.real(0.25..0.65);
    let at = (prng.real(0.03..0.9 - size), prng.real(0.05..0.45));
    grey_flag(canvas, at, (size, size * prng.real(0.5..0.8)), prng);
    if prng.chance(0.6) {
        let y = prng.real(0.72..0.88);
        canvas.rectangle((0.0, y), 1.0, 0.14, grey(prng.real(0.0..0.25)));
        canvas.writing((0.08, y + 0.03), (0.8, 0.1), 1, grey(0.9), prng);
    }
}

fn tower_at_night(canvas: &mut Canvas, prng: &mut Prng) {
    let dusk = hsv(prng.real(0.5..0.85), 0.7, prng.real(0.1..0.4));
    canvas.gradient(
        dusk,
        hsv(prng.real(0.0..1.0), 0.5, prng.real(0.3..0.8)),
        prng.real(0.05..0.45),
    );
    canvas.texture(prng.real(3.0..8.0), 0.25, prng.next());
    for _ in 0..prng.int(20..60) {
        let star = place(prng, 0.0);
        canvas.disc((star.0, star.1 * 0.6), 0.006, grey(0.95));
    }
    let moon = (prng.real(0.1..0.9), prng.real(0.1..0.4));
    let size = prng.real(0.05..0.16);
    canvas.glow(moon, size * 2.5, grey(0.95), 0.5, 1.0);
    canvas.disc(moon, size, hsv(0.14, 0.15, 0.97));
    hills(canvas, prng);
    let ground = prng.real(0.75..0.98);
    for _ in 0..prng.int(1..4) {
        let foot = (prng.real(0.12..0.88), ground);
        let height = prng.real(0.35..0.8);
        tower(canvas, foot, height, grey(prng.real(0.02..0.75)));
        grey_flag(
            canvas,
            (foot.0, ground - height - 0.18),
            (prng.real(0.1..0.22), 0.09),
            prng,
        );
    }
    canvas.ridge(
        ground,
        0.12,
        prng.real(2.0..5.0),
        grey(prng.real(0.05..0.3)),
        prng.next(),
    );
}

fn march(canvas: &mut Canvas, prng: &mut Prng) {
    sky(canvas, prng);
    skyline(canvas, prng.real(0.5..0.75), prng);
    for _ in 0..prng.int(2..6) {
        let size = prng.real(0.12..0.32);
        let at = (prng.real(0.0..0.95 - size), prng.real(0.08..0.5));
        grey_flag(canvas, at, (size, size * 0.6), prng);
    }
    crowd(canvas, prng.real(0.55..0.75), prng);
}

fn crowd(canvas: &mut Canvas, back: f32, prng: &mut Prng) {
    let rows = prng.int(3..6);
    for row in 0..rows {
        let near = (row + 1) as f32 / rows as f32;
        let (head, y) = (0.025 + 0.045 * near, back + (1.0 - back) * near * 0.85);
        let mut x = prng.real(-0.05..0.05);
        while x < 1.05 {
            let coat = hsv(prng.real(0.0..1.0), 0.3, prng.real(0.08..0.7));
            canvas.disc((x, y + head * 2.4), head * 1.6, coat);
            canvas.disc(
                (x, y),
                head,
                hsv(0.07, prng.real(0.2..0.6), prng.real(0.3..0.95)),
            );
            x += head * prng.real(1.6..3.4);
        }
    }
}

/// The Order's seal: rings, a tower, marks around it.
fn seal(canvas: &mut Canvas, centre: Point, radius: f32, prng: &mut Prng) {
    let (paper, ink) = (grey(prng.real(0.55..0.95)), grey(prng.real(0.02..0.25)));
    canvas.disc(centre, radius, paper);
    canvas.ring(centre, radius * 0.95, radius * 0.08, ink);
    canvas.ring(centre, radius * 0.7, radius * 0.04, ink);
    let marks = prng.int(8..25);
    for mark in 0..marks {
        let at = canvas.around(centre, radius * 0.82, mark as f32 / marks as f32);
        canvas.disc(at, radius * 0.06, ink);
    }
    let height = radius * 1.1 * canvas.aspect().min(1.0);
    tower(canvas, (centre.0, centre.1 + height * 0.5), height, ink);
}

fn seal_on_pattern(canvas: &mut Canvas, prng: &mut Prng) {
    sky(canvas, prng);
    pattern(canvas, prng);
    let centre = place(prng, 0.28);
    seal(canvas, centre, prng.real(0.2..0.42), prng);
    for _ in 0..prng.int(0..4) {
        let (at, ink) = (place(prng, 0.1), colour(prng));
        canvas.disc(at, prng.real(0.03..0.12), ink);
    }
    canvas.texture(prng.real(3.0..9.0), 0.25, prng.next());
}

/// Stripes, squares or spots behind something else.
fn pattern(canvas: &mut Canvas, prng: &mut Prng) {
    let (ink, count) = (colour(prng), prng.int(3..9) as usize);
    let pitch = 1.0 / count as f32;
    match prng.below(4) {
        0 => {
            let lean = prng.real(-1.0..1.0);
            for i in 0..count * 2 {
                let x = i as f32 * pitch - 0.5;
                canvas.line(
                    (x, -0.05),
                    (x + lean, 1.05),
                    pitch * prng.real(0.2..0.6),
                    ink,
                );
            }
        }
        1 => {
            for i in 0..count * count {
                let (column, row) = (i % count, i / count);
                if (column + row).is_multiple_of(2) {
                    canvas.rectangle(
                        (column as f32 * pitch, row as f32 * pitch),
                        pitch,
                        pitch,
                        ink,
                    );
                }
            }
        }
        2 => {
            for _ in 0..count * 3 {
                let (at, ink) = (place(prng, 0.0), colour(prng));
                canvas.disc(at, prng.real(0.04..0.2), ink);
            }
        }
        _ => {
            let centre = place(prng, 0.0);
            rays(canvas, centre, prng);
        }
    }
}

fn proclamation(canvas: &mut Canvas, prng: &mut Prng) {
    let paper = hsv(
        prng.real(0.05..0.2),
        prng.real(0.05..0.35),
        prng.real(0.6..0.95),
    );
    canvas.gradient(
        paper,
        blend(paper, grey(0.0), prng.real(0.1..0.5)),
        prng.real(0.0..1.0),
    );
    canvas.texture(prng.real(2.0..6.0), prng.real(0.15..0.4), prng.next());
    let frame = grey(prng.real(0.1..0.5));
    if prng.chance(0.6) {
        for (x, y, width, height) in [
            (0.0, 0.0, 1.0, 0.04),
            (0.0, 0.96, 1.0, 0.04),
            (0.0, 0.0, 0.04, 1.0),
            (0.96, 0.0, 0.04, 1.0),
        ] {
            canvas.rectangle((x, y), width, height, frame);
        }
    }
    let head = (prng.real(0.2..0.8), prng.real(0.18..0.8));
    let blocks = prng.int(2..6);
    for _ in 0..blocks {
        let corner = (prng.real(0.04..0.55), prng.real(0.05..0.8));
        let size = (prng.real(0.25..0.42), prng.real(0.1..0.4));
        let ink = grey(prng.real(0.0..0.4));
        canvas.writing(corner, size, prng.int(2..7) as usize, ink, prng);
    }
    seal(canvas, head, prng.real(0.14..0.28), prng);
    if prng.chance(0.5) {
        let at = (prng.real(0.05..0.6), prng.real(0.1..0.6));
        grey_flag(canvas, at, (0.3, 0.18), prng);
    }
}

fn sunset(canvas: &mut Canvas, prng: &mut Prng) {
    canvas.gradient(
        hsv(prng.real(0.6..0.9), 0.6, 0.4),
        hsv(prng.real(0.02..0.14), 0.8, 0.95),
        prng.real(0.15..0.35),
    );
    canvas.texture(prng.real(2.0..5.0), 0.4, prng.next());
    let sun = (prng.real(0.1..0.9), prng.real(0.3..0.65));
    canvas.glow(sun, 0.45, hsv(0.12, 0.4, 1.0), 0.7, 1.0);
    canvas.disc(sun, prng.real(0.06..0.14), hsv(0.13, 0.3, 1.0));
    hills(canvas, prng);
    if prng.chance(0.5) {
        for _ in 0..prng.int(3..9) {
            let (x, y) = place(prng, 0.1);
            canvas.line((x, y * 0.5), (x + 0.03, y * 0.5 - 0.02), 0.008, grey(0.1));
            canvas.line(
                (x + 0.03, y * 0.5 - 0.02),
                (x + 0.06, y * 0.5),
                0.008,
                grey(0.1),
            );
        }
    }
}

fn portrait(canvas: &mut Canvas, prng: &mut Prng) {
    sky(canvas, prng);
    pattern(canvas, prng);
    let face = (prng.real(0.35..0.65), prng.real(0.35..0.55));
    let r = prng.real(0.18..0.32);
    let skin = hsv(
        prng.real(0.04..0.1),
        prng.real(0.25..0.6),
        prng.real(0.35..0.95),
    );
    let (hair, coat) = (colour(prng), colour(prng));
    canvas.disc((face.0, face.1 + r * 2.2), r * 1.6, coat);
    canvas.disc((face.0, face.1 - r * 0.25), r * 1.15, hair);
    canvas.disc(face, r, skin);
    for side in [-1.0, 1.0] {
        let eye = (face.0 + side * r * 0.4 / canvas.aspect(), face.1 - r * 0.15);
        canvas.disc(eye, r * 0.17, grey(0.95));
        canvas.disc(eye, r * 0.08, grey(0.05));
    }
    let mouth = prng.real(-0.1..0.15) * r;
    canvas.line(
        (face.0 - r * 0.35, face.1 + r * 0.45),
        (face.0, face.1 + r * 0.45 + mouth),
        0.015,
        grey(0.15),
    );
    canvas.line(
        (face.0, face.1 + r * 0.45 + mouth),
        (face.0 + r * 0.35, face.1 + r * 0.45),
        0.015,
        grey(0.15),
    );
}

fn map(canvas: &mut Canvas, prng: &mut Prng) {
    canvas.gradient(
        hsv(0.55, 0.35, prng.real(0.6..0.9)),
        hsv(0.58, 0.5, prng.real(0.4..0.8)),
        prng.real(0.0..1.0),
    );
    for _ in 0..prng.int(3..7) {
        let (centre, land) = (
            place(prng, 0.0),
            hsv(prng.real(0.1..0.35), 0.4, prng.real(0.35..0.9)),
        );
        let corners: Vec<Point> = (0..24)
            .map(|i| canvas.around(centre, prng.real(0.15..0.42), i as f32 / 24.0))
            .collect();
        canvas.polygon(&corners, land);
    }
    for _ in 0..prng.int(3..8) {
        let (from, to) = (place(prng, 0.0), place(prng, 0.0));
        canvas.line(from, to, prng.real(0.006..0.02), grey(prng.real(0.2..1.0)));
    }
    for _ in 0..prng.int(3..12) {
        let pin = place(prng, 0.05);
        canvas.disc(pin, 0.025, hsv(0.0, 0.8, 0.8));
        canvas.writing((pin.0 + 0.03, pin.1), (0.12, 0.03), 1, grey(0.1), prng);
    }
    canvas.texture(5.0, 0.2, prng.next());
}

fn chart(canvas: &mut Canvas, prng: &mut Prng) {
    canvas.gradient(grey(0.97), grey(prng.real(0.75..0.95)), prng.real(0.0..1.0));
    canvas.writing((0.1, 0.04), (0.7, 0.07), 1, grey(0.2), prng);
    let (count, ink) = (prng.int(4..14), colour(prng));
    let mut level = prng.real(0.2..0.7);
    let mut before = None;
    let bars = prng.chance(0.6);
    for i in 0..count {
        level = (level + prng.real(-0.22..0.22)).clamp(0.05, 0.75);
        let (x, width) = (0.1 + 0.85 * i as f32 / count as f32, 0.6 / count as f32);
        if bars {
            canvas.rectangle(
                (x, 0.9 - level),
                width,
                level,
                blend(ink, colour(prng), 0.3),
            );
        } else if let Some(from) = before.replace((x, 0.9 - level)) {
            canvas.line(from, (x, 0.9 - level), 0.03, ink);
            canvas.polygon(
                &[from, (x, 0.9 - level), (x, 0.9), (from.0, 0.9)],
                blend(ink, grey(1.0), 0.5),
            );
        }
    }
    canvas.line((0.08, 0.9), (0.97, 0.9), 0.01, grey(0.1));
    canvas.line((0.08, 0.12), (0.08, 0.9), 0.01, grey(0.1));
}

fn meme(canvas: &mut Canvas, prng: &mut Prng) {
    match prng.below(4) {
        0 => portrait(canvas, prng),
        1 => street(canvas, prng),
        2 => meal(canvas, prng),
        _ => garden(canvas, prng),
    }
    for y in [0.0, 0.84] {
        if prng.chance(0.8) {
            canvas.rectangle(
                (0.0, y),
                1.0,
                0.16,
                grey(if prng.chance(0.7) { 0.98 } else { 0.02 }),
            );
            canvas.writing(
                (0.06, y + 0.04),
                (0.88, 0.11),
                prng.int(1..3) as usize,
                grey(0.45),
                prng,
            );
        }
    }
}

fn street(canvas: &mut Canvas, prng: &mut Prng) {
    sky(canvas, prng);
    let horizon = prng.real(0.5..0.75);
    skyline(canvas, horizon, prng);
    canvas.polygon(
        &[(-0.4, 1.0), (prng.real(0.2..0.8), horizon), (1.4, 1.0)],
        grey(prng.real(0.15..0.6)),
    );
    for _ in 0..prng.int(1..5) {
        let (x, y) = (prng.real(0.0..0.8), prng.real(horizon..0.9));
        let (size, paint) = (prng.real(0.08..0.2), colour(prng));
        canvas.rectangle((x, y), size, size * 0.35, paint);
        canvas.rectangle(
            (x + size * 0.2, y - size * 0.22),
            size * 0.55,
            size * 0.24,
            blend(paint, grey(1.0), 0.4),
        );
        for wheel in [0.22, 0.78] {
            canvas.disc((x + size * wheel, y + size * 0.36), size * 0.16, grey(0.05));
        }
    }
    if prng.chance(0.5) {
        crowd(canvas, prng.real(0.75..0.9), prng);
    }
}

fn meal(canvas: &mut Canvas, prng: &mut Prng) {
    sky(canvas, prng);
    for _ in 0..prng.int(1..4) {
        let (plate, r) = (place(prng, 0.2), prng.real(0.2..0.4));
        canvas.disc((plate.0 + 0.01, plate.1 + 0.02), r, grey(0.15));
        canvas.disc(plate, r, grey(0.95));
        canvas.ring(plate, r * 0.75, 0.01, grey(0.75));
        for _ in 0..prng.int(5..14) {
            let turn = prng.real(0.0..1.0);
            let at = canvas.around(plate, r * prng.real(0.0..0.6), turn);
            canvas.disc(
                at,
                r * prng.real(0.08..0.3),
                hsv(prng.real(0.0..0.35), 0.7, prng.real(0.2..0.9)),
            );
        }
    }
    canvas.texture(prng.real(4.0..9.0), 0.15, prng.next());
}

fn garden(canvas: &mut Canvas, prng: &mut Prng) {
    sky(canvas, prng);
    hills(canvas, prng);
    for _ in 0..prng.int(5..18) {
        let (x, y) = (prng.real(0.05..0.95), prng.real(0.25..0.85));
        let (petals, size, paint) = (prng.int(5..9), prng.real(0.02..0.09), colour(prng));
        canvas.line(
            (x, y),
            (x + prng.real(-0.05..0.05), 1.0),
            0.012,
            hsv(0.33, 0.6, 0.35),
        );
        for petal in 0..petals {
            let at = canvas.around((x, y), size, petal as f32 / petals as f32);
            canvas.disc(at, size * 0.6, paint);
        }
        canvas.disc((x, y), size * 0.6, hsv(0.14, 0.8, 0.9));
    }
}

fn plain_flag(canvas: &mut Canvas, prng: &mut Prng) {
    let backdrop = hsv(0.56, prng.real(0.05..0.3), prng.real(0.7..0.95));
    canvas.gradient(backdrop, blend(backdrop, grey(1.0), 0.4), 0.25);
    let bands: Vec<Colour> = (0..prng.int(1..4)).map(|_| colour(prng)).collect();
    let width = prng.real(0.6..0.85);
    waving(
        canvas,
        (prng.real(0.04..0.12), prng.real(0.1..0.25)),
        (width, width * 0.66),
        &bands,
        prng,
    );
    if prng.chance(0.5) {
        canvas.disc(
            (0.08 + width / 2.0, 0.5),
            prng.real(0.06..0.13),
            colour(prng),
        );
    }
}

fn collage(canvas: &mut Canvas, prng: &mut Prng) {
    let gap = 0.02;
    let across = prng.int(1..4) as usize;
    let heads = [
        Subject::Street,
        Subject::March,
        Subject::Portrait,
        Subject::Map,
        Subject::Banner,
    ];
    *canvas = Canvas::new(canvas.width_px(), canvas.height_px(), grey(0.95));
    for column in 0..across {
        let part = draw_small(*prng.pick(&heads), prng.next());
        let width = (1.0 - gap) / across as f32;
        canvas.paste(
            &part,
            (gap + column as f32 * width, 0.24),
            (width - gap, 0.6),
        );
    }
    canvas.rectangle(
        (0.0, 0.0),
        1.0,
        0.2,
        hsv(prng.real(0.0..1.0), 0.8, prng.real(0.3..0.7)),
    );
    canvas.writing((0.05, 0.04), (0.85, 0.14), 2, grey(0.97), prng);
    canvas.writing((0.05, 0.87), (0.9, 0.1), 2, grey(0.25), prng);
}

fn draw_small(subject: Subject, seed: u64) -> Canvas {
    let mut prng = Prng::new(seed);
    let mut canvas = Canvas::new(200, 220, grey(0.5));
    paint(&mut canvas, subject, &mut prng);
    canvas
}

fn low_texture(canvas: &mut Canvas, prng: &mut Prng) {
    let wall = hsv(
        prng.real(0.0..1.0),
        prng.real(0.0..0.3),
        prng.real(0.3..0.9),
    );
    canvas.gradient(
        wall,
        blend(wall, grey(prng.real(0.0..1.0)), 0.12),
        prng.real(0.0..1.0),
    );
    if prng.chance(0.4) {
        canvas.glow(place(prng, 0.2), 0.4, grey(0.8), 0.12, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_picture_and_another_seed_another() {
        for subject in ORDER.iter().chain(EVERYDAY).copied() {
            assert_eq!(draw(subject, 5), draw(subject, 5), "{subject:?}");
            assert_ne!(draw(subject, 5), draw(subject, 6), "{subject:?}");
        }
    }
}
