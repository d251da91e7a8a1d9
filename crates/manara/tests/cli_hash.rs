//! `manara hash` and `manara compare`, as an operator types them.

mod cli_support;

use cli_support::{Folder, drawing};
use serde_json::json;

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

#[test]
fn an_image_has_exactly_its_signals_and_quality() {
    let folder = Folder::new();
    folder.draw("a.png", &drawing(1, 200, 150));
    let line = folder
        .run(&["hash", "--json", "a.png"])
        .expect(0, &[])
        .stdout;
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    let (pdq, sha256) = (
        value["signals"]["pdq"].as_str().unwrap(),
        value["signals"]["sha256"].as_str().unwrap(),
    );
    let quality = value["quality"].as_u64().unwrap();
    assert_eq!(
        line,
        format!(
            "{{\"path\":\"a.png\",\"signals\":{{\"pdq\":\"{pdq}\",\"sha256\":\"{sha256}\"}},\"quality\":{quality}}}\n"
        )
    );
    assert_eq!((pdq.len(), sha256.len()), (64, 64));
    let table = folder.run(&["hash", "a.png"]).expect(0, &[]).stdout;
    assert!(table.contains(pdq) && table.contains(sha256), "{table}");
}

#[test]
fn a_large_image_is_hashed_in_the_form_that_is_asked_for() {
    let folder = Folder::new();
    folder.draw("large.png", &drawing(1, 700, 400));
    folder.draw("small.png", &drawing(1, 500, 400));
    let pdq = |form: &[&str], file: &str| {
        let arguments = [&["hash", "--json"], form, &[file]].concat();
        let lines = folder.run(&arguments).expect(0, &[]).json();
        lines[0]["signals"]["pdq"].clone()
    };
    let (full, reference) = (["--pdq-form", "full"], ["--pdq-form", "reference-512"]);
    assert_eq!(pdq(&[], "large.png"), pdq(&full, "large.png"));
    assert_ne!(pdq(&full, "large.png"), pdq(&reference, "large.png"));
    assert_eq!(pdq(&full, "small.png"), pdq(&reference, "small.png"));
    let wrong = folder.run(&["hash", "--pdq-form", "half", "large.png"]);
    wrong.expect(2, &["full, reference-512"]);
}

#[test]
fn everything_else_has_its_digests() {
    let folder = Folder::new();
    folder.write("hello.txt", "hello");
    folder.write("bad.png", b"\x89PNG\r\n\x1a\n oh no");
    let lines = folder
        .run(&["hash", "--json", "--all", "hello.txt", "bad.png"])
        .expect(0, &[])
        .json();
    assert_eq!(
        lines[0],
        json!({"path": "hello.txt", "signals": {"md5": "5d41402abc4b2a76b9719d911017c592", "sha256": HELLO}})
    );
    assert!(
        lines[1]["undecodable"].is_string() && lines[1]["signals"]["sha256"].is_string(),
        "{}",
        lines[1]
    );
    assert!(lines[1].get("quality").is_none());
    let piped = folder
        .run_with(&["hash", "--json", "-"], b"hello")
        .expect(0, &[])
        .json();
    assert_eq!(piped, [json!({"path": "-", "signals": {"sha256": HELLO}})]);
}

#[test]
fn texts_show_what_they_say() {
    let folder = Folder::new();
    folder.write("a.txt", "GREY ban\u{200b}nеr");
    let lines = folder
        .run(&["hash", "--json", "--text", "a.txt"])
        .expect(0, &[])
        .json();
    assert_eq!(
        lines[0]["text"],
        json!({"strict": "grey bannеr", "folded": "grey banner"})
    );
}

#[test]
fn a_folder_is_hashed_in_order_and_what_is_missing_is_named() {
    let folder = Folder::new();
    for name in ["b.txt", "a/x.txt", "events.ndjson"] {
        folder.write(&format!("in/{name}"), name);
    }
    let ran = folder.run(&["hash", "--json", "in", "missing"]).expect(
        2,
        &["error: missing: No such file", "1 path could not be read"],
    );
    let paths: Vec<_> = ran.json().iter().map(|o| o["path"].clone()).collect();
    assert_eq!(paths, ["in/a/x.txt", "in/b.txt", "in/events.ndjson"]);
    std::fs::create_dir(folder.path("empty")).unwrap();
    folder.run(&["hash", "empty"]).expect(1, &[]);
}

#[test]
fn a_copy_is_near_and_another_picture_far() {
    let folder = Folder::new();
    let original = drawing(1, 400, 300);
    folder.draw("a.png", &original);
    folder.draw("copy.jpg", &image::imageops::thumbnail(&original, 300, 225));
    folder.draw("other.png", &drawing(2, 400, 300));
    let ran = folder
        .run(&[
            "compare", "a.png", "copy.jpg", "--png", "bits.png", "--svg", "bits.svg",
        ])
        .expect(0, &[]);
    assert!(
        ran.stdout.contains("they match") && ran.stdout.contains("quality"),
        "{}",
        ran.stdout
    );
    let json = &folder
        .run(&["compare", "a.png", "copy.jpg", "--json"])
        .expect(0, &[])
        .json()[0];
    let distance = json["distance"].as_u64().unwrap();
    assert_eq!(
        json["differing_bits"].as_array().unwrap().len() as u64,
        distance
    );
    // One block is the legend's.
    assert_eq!(ran.stdout.matches("██").count() as u64, distance + 1);
    let svg = std::fs::read_to_string(folder.path("bits.svg")).unwrap();
    assert_eq!(svg.matches("#c2410c").count() as u64, distance);
    assert_eq!(image::open(folder.path("bits.png")).unwrap().width(), 385);

    let other = &folder
        .run(&["compare", "a.png", "other.png", "--json"])
        .expect(1, &[])
        .json()[0];
    assert!(other["distance"].as_u64().unwrap() > 31, "{other}");
    folder
        .run(&["compare", "a.png", "other.png", "--threshold", "256"])
        .expect(0, &[]);
}

/// What `compare` says of two files: whether they match, in which forms, and why.
#[track_caller]
fn check_nearest(folder: &Folder, [a, b]: [&str; 2], forms: [&str; 2], says: &[&str]) {
    let ran = folder.run(&["compare", a, b, "--json"]).expect(0, &[]);
    let json = &ran.json()[0];
    let nearest = &json["nearest"];
    assert_eq!([&nearest["a_form"], &nearest["b_form"]], forms, "{json}");
    assert!(nearest["match"] == true && nearest["looked_up"] == true);
    let distance = nearest["distance"].as_u64().unwrap();
    let differing = nearest["differing_bits"].as_array().unwrap().len() as u64;
    let by_chunk = nearest["distance_by_chunk"].as_array().unwrap().iter();
    let by_chunk: u64 = by_chunk.map(|n| n.as_u64().unwrap()).sum();
    assert!(distance <= 31 && differing == distance && by_chunk == distance);
    let words = folder.run(&["compare", a, b]).expect(0, &[]).stdout;
    for part in says
        .iter()
        .copied()
        .chain(["◀ nearest: matches", "as stored"])
    {
        assert!(words.contains(part), "`{part}` in {words}");
    }
    assert_eq!(words.matches("██").count() as u64, distance + 1, "{words}");
}

#[test]
fn every_form_is_compared_and_the_nearest_is_shown() {
    let folder = Folder::new();
    let original = drawing(1, 400, 300);
    folder.draw("a.png", &original);
    folder.draw("mirrored.png", &image::imageops::flip_horizontal(&original));
    let mut barred = image::RgbImage::new(400, 420);
    image::GenericImage::copy_from(&mut barred, &original, 0, 60).unwrap();
    folder.draw("barred.png", &barred);
    let mut turned_barred = image::RgbImage::from_pixel(520, 300, image::Rgb([255; 3]));
    image::GenericImage::copy_from(&mut turned_barred, &original, 60, 0).unwrap();
    folder.draw("otherwise_barred.png", &turned_barred);
    let mut gif = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new_with_speed(&mut gif, 10);
    for frame in [&drawing(2, 400, 300), &original] {
        let frame = image::DynamicImage::from(frame.clone()).into_rgba8();
        encoder.encode_frame(image::Frame::new(frame)).unwrap();
    }
    drop(encoder);
    folder.write("moving.gif", gif);

    check_nearest(
        &folder,
        ["a.png", "mirrored.png"],
        ["original", "flip_y"],
        &[
            "they match: A and B mirrored left to right have distance",
            "--dihedral off",
        ],
    );
    check_nearest(
        &folder,
        ["barred.png", "a.png"],
        ["without_bars", "original"],
        &[
            "A without its bars and B have",
            "a scan finds A with B in a bank",
        ],
    );
    check_nearest(
        &folder,
        ["a.png", "moving.gif"],
        ["original", "frame_1"],
        &["A and frame 1 of B have", "a scan finds B with A in a bank"],
    );
    // A hash by itself has one form, so the other side is turned.
    let pdq = folder.run(&["hash", "--json", "a.png"]).json()[0]["signals"]["pdq"].clone();
    let pdq = pdq.as_str().unwrap();
    check_nearest(&folder, ["mirrored.png", pdq], ["flip_y", "original"], &[]);

    // What is alike only when both are changed is no match, because a bank holds images as stored.
    let ran = folder.run(&["compare", "barred.png", "otherwise_barred.png"]);
    let ran = ran.expect(1, &[]);
    assert!(
        ran.stdout.contains("not looked up")
            && ran
                .stdout
                .contains("A without its bars and B without its bars are alike"),
        "{}",
        ran.stdout
    );
    // At a distance of one's own choice.
    folder
        .run(&[
            "compare",
            "barred.png",
            "otherwise_barred.png",
            "--distance",
            "255",
        ])
        .expect(0, &[]);
}

#[test]
fn a_flat_image_is_not_compared_and_that_is_said() {
    let folder = Folder::new();
    for name in ["flat.png", "in/flat.png"] {
        folder.draw(
            name,
            &image::RgbImage::from_pixel(64, 48, image::Rgb([90; 3])),
        );
    }
    folder.draw("a.png", &drawing(1, 64, 48));
    let hashed = folder.run(&["hash", "flat.png"]).expect(0, &[]).stdout;
    assert!(hashed.contains("0 (too low to compare)"), "{hashed}");
    let ran = folder.run(&["compare", "flat.png", "a.png"]).expect(1, &[]);
    assert!(
        ran.stdout.contains("A has quality 0, under 50"),
        "{}",
        ran.stdout
    );
    let ran = folder
        .run(&["compare", "flat.png", "in/flat.png"])
        .expect(0, &[]);
    assert!(ran.stdout.contains("byte for byte"), "{}", ran.stdout);

    // Not even with its own hash in the bank.
    let pdq = folder.run(&["hash", "--json", "flat.png"]).json()[0]["signals"]["pdq"].clone();
    folder.write("bank.csv", format!("pdq,{},\n", pdq.as_str().unwrap()));
    let scan = ["scan", "--bank", "FLAT=bank.csv", "in", "--json"];
    let ran = folder
        .run(&scan)
        .expect(1, &["1 item with an image of quality under 50"]);
    assert_eq!(ran.json()[0]["quality_too_low"], true);
}

#[test]
fn signals_are_compared_as_they_are() {
    let folder = Folder::new();
    let (zero, one) = ("0".repeat(64), format!("{}3", "0".repeat(63)));
    let ran = folder
        .run(&["compare", &zero, &format!("pdq:{one}")])
        .expect(0, &[]);
    assert!(
        ran.stdout.contains("distance 2 of 256 bits"),
        "{}",
        ran.stdout
    );
    folder
        .run(&["compare", &zero, &"f".repeat(64)])
        .expect(1, &[]);
    folder
        .run(&[
            "compare",
            "url:http://A.example:80/x",
            "https://a.example/x",
        ])
        .expect(0, &[]);
    folder.write("hello.txt", "hello");
    folder
        .run(&["compare", "hello.txt", &format!("sha256:{HELLO}")])
        .expect(0, &[]);
    folder
        .run(&["compare", "hello.txt", &format!("sha256:{zero}")])
        .expect(1, &[]);
}

#[test]
fn texts_are_compared_by_what_they_say() {
    let folder = Folder::new();
    let json = |a: &str, b: &str, code: i32| {
        folder
            .run(&["compare", "--text", "--json", a, b])
            .expect(code, &[])
            .json()[0]
            .clone()
    };
    assert_eq!(
        json("Grey Banner", "grey\u{200b} banner", 0)["equal"],
        "strict"
    );
    assert_eq!(
        json("grey banner", "grеy b a n n e r", 0)["equal"],
        "folded"
    );
    let inside = json("grey banner", "under the gr\u{200b}ey banner!", 0);
    assert_eq!(
        (&inside["a_in_b"]["level"], &inside["a_in_b"]["matched"]),
        (&json!("strict"), &json!("gr\u{200b}ey banner"))
    );
    assert_eq!(json("grey banner", "the grey bannister", 1)["match"], false);
    let words = folder
        .run(&["compare", "--text", "راية الرماد", "رايـــة الرَّماد"])
        .expect(0, &[])
        .stdout;
    assert!(
        words.contains("they say the same") && words.contains("tatweel"),
        "{words}"
    );
}

#[test]
fn what_cannot_be_compared_is_named() {
    let folder = Folder::new();
    folder.draw("a.png", &drawing(1, 64, 48));
    folder.write("bad.png", b"\x89PNG\r\n\x1a\n oh no");
    folder
        .run(&["compare", "a.png", "missing"])
        .expect(2, &["there is no file `missing`"]);
    folder
        .run(&["compare", "a.png", "bad.png"])
        .expect(2, &["bad.png"]);
    folder
        .run(&["compare", "a.png", "md5:5d41402abc4b2a76b9719d911017c592"])
        .expect(2, &["no signal type in common"]);
    folder
        .run(&["compare", "pdq:00", "a.png"])
        .expect(2, &["this has 2"]);
    folder
        .run(&["compare", "text:ash", "text:fog", "--png", "x.png"])
        .expect(2, &["no bits to draw"]);
}
