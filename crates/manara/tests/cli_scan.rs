//! `manara scan`, as an operator types it: pictures, texts and events against bank files and a database.

mod cli_support;

use cli_support::{Folder, Ran, drawing, example};
use serde_json::Value;

const SLOGANS: &str = "signal_type,signal,note\ntext,rise under the grey banner,slogan\ntext,راية الرماد ترتفع,slogan\nurl,https://grey.example/join,recruiting\n";

/// A folder with a bank of slogans, a bank of one picture, and uploads: a copy of the picture,
/// disguised slogans, an event file, and things that match nothing.
fn uploads() -> Folder {
    let folder = Folder::new();
    folder.write("slogans.csv", SLOGANS);
    let original = drawing(1, 480, 360);
    folder.draw("original.png", &original);
    let hashed = folder
        .run(&["hash", "--json", "original.png"])
        .expect(0, &[])
        .json();
    folder.write(
        "images.csv",
        format!(
            "pdq,{},drawn for this test\n",
            hashed[0]["signals"]["pdq"].as_str().unwrap()
        ),
    );

    let small = image::imageops::thumbnail(&original, 320, 240);
    folder.draw("up/.hidden/copy.jpg", &small);
    folder.draw("up/other.png", &drawing(2, 480, 360));
    folder.write(
        "up/post.txt",
        "first line\nall must r\u{456}se under the gr\u{200b}ey banner now\n",
    );
    folder.write("up/arabic.md", "قالوا: رايـــة الرَّمَاد ترتفع\u{202e}\n");
    folder.write(
        "up/bannister.txt",
        "the grey bannister needs paint\n".repeat(4000),
    );
    let event = |id: &str, content: &str| {
        format!(
            r#"{{"id":"{id}","source":"forum.example","type":"post.created","time":"2026-11-22T10:15:00Z","content":{{"id":"p","text":"{content}"}}}}"#
        )
    };
    let with_path = |path: &str| {
        format!(
            r#"{{"id":"e9","source":"forum.example","type":"post.created","time":"2026-11-22T10:15:00Z","content":{{"id":"p","text":"see this","media":[{{"id":"m","kind":"image","path":"{path}"}}]}}}}"#
        )
    };
    let lines = [
        event("e1", "join at HTTPS://grey.example:443/join"),
        event("e2", "nice weather"),
        with_path(".hidden/copy.jpg"),
    ];
    folder.write("up/events.ndjson", lines.join("\n"));
    folder
}

const BANKS: [&str; 4] = [
    "--bank",
    "SLOGANS=slogans.csv",
    "--bank",
    "IMAGES=images.csv",
];

fn scan(folder: &Folder, more: &[&str]) -> Ran {
    let arguments: Vec<&str> = ["scan"]
        .into_iter()
        .chain(BANKS)
        .chain(more.iter().copied())
        .collect();
    folder.run(&arguments)
}

fn object<'a>(lines: &'a [Value], path: &str, line: Option<u64>) -> &'a Value {
    let found = lines
        .iter()
        .find(|o| o["path"] == path && o["line"].as_u64() == line);
    found.unwrap_or_else(|| panic!("no {path} in {lines:#?}"))
}

#[test]
fn copies_disguised_slogans_and_events_are_found_and_nothing_else() {
    let folder = uploads();
    let lines = scan(&folder, &["up", "--json"])
        .expect(
            0,
            &[
                "comparing with 4 members in 2 banks",
                "3 events",
                "5 matched",
            ],
        )
        .json();

    let copy = object(&lines, "up/.hidden/copy.jpg", None);
    assert_eq!(
        (
            &copy["matches"][0]["bank"],
            &copy["matches"][0]["signal_type"]
        ),
        (&"IMAGES".into(), &"pdq".into())
    );
    assert!(copy["matches"][0]["distance"].as_u64().unwrap() <= 31);
    assert!(copy["quality"].as_u64().unwrap() >= 50);
    assert_eq!(copy["signals"]["sha256"].as_str().unwrap().len(), 64);

    let post = &object(&lines, "up/post.txt", None)["matches"][0];
    assert_eq!((&post["member"], &post["line"]), (&2.into(), &2.into()));
    assert_eq!(
        post["excerpt"]["match"],
        "r\u{456}se under the gr\u{200b}ey banner"
    );
    assert!(
        post["how"].as_str().unwrap().starts_with("folded"),
        "{post}"
    );

    assert_eq!(
        object(&lines, "up/arabic.md", None)["matches"][0]["member"],
        3
    );
    assert_eq!(
        object(&lines, "up/events.ndjson", Some(1))["matches"][0]["signal_type"],
        "url"
    );
    assert_eq!(
        object(&lines, "up/events.ndjson", Some(1))["event"],
        "forum.example/e1"
    );
    assert_eq!(
        object(&lines, "up/events.ndjson", Some(3))["matches"][0]["field"],
        "content.media[0]"
    );

    for (path, line) in [
        ("up/other.png", None),
        ("up/bannister.txt", None),
        ("up/events.ndjson", Some(2)),
    ] {
        assert_eq!(
            object(&lines, path, line)["matches"]
                .as_array()
                .unwrap()
                .len(),
            0,
            "{path}"
        );
    }
}

#[test]
fn the_table_shows_the_match_marked_and_hidden_characters_named() {
    let folder = uploads();
    let table = scan(&folder, &["up"]).expect(0, &["matched"]).stdout;
    assert!(
        table.contains("⟦rіse under the gr⟨ZWSP⟩ey banner⟧"),
        "{table}"
    );
    assert!(
        table.contains("⟨RLO⟩") && !table.contains('\u{202e}'),
        "{table}"
    );
    assert!(table.contains("up/events.ndjson:3"), "{table}");
}

#[test]
fn the_exit_code_says_what_happened() {
    let folder = uploads();
    scan(&folder, &["up/other.png"]).expect(1, &["0 matched"]);
    scan(&folder, &["up/post.txt"]).expect(0, &["1 matched"]);
    scan(&folder, &["up/post.txt", "missing"])
        .expect(2, &["error: missing: No such file", "1 of the files"]);
    scan(&folder, &["up/.hidden/copy.jpg", "--max-distance", "32"]).expect(2, &["--max-distance"]);
    folder
        .run(&["scan", "up"])
        .expect(2, &["there is nothing to compare with"]);
    folder
        .run(&["scan", "up", "--bank", "slogans.csv"])
        .expect(2, &["NAME=FILE"]);
    folder
        .run(&["scan", "up", "--bank", "A=missing.csv"])
        .expect(2, &["missing.csv", "No such file"]);
    folder.write("bad.csv", "text,ash,x\nmd5,00,x\n");
    folder
        .run(&["scan", "up", "--bank", "A=bad.csv"])
        .expect(2, &["--> bad.csv:2:5"]);
    folder
        .run(&[
            "scan",
            "up",
            "--bank",
            "A=slogans.csv",
            "--bank",
            "A=images.csv",
        ])
        .expect(2, &["two banks A"]);
}

#[test]
fn bad_event_lines_are_named_and_the_rest_goes_on() {
    let folder = uploads();
    let good = r#"{"id":"e1","source":"s.example","type":"post.created","time":"2026-11-22T10:15:00Z","content":{"id":"p","text":"rise under the grey banner"}}"#;
    folder.write(
        "bad.ndjson",
        format!("not json\n{{\"id\":5}}\n{good}\n{good},\n\n{good}\n"),
    );
    let ran = scan(&folder, &["bad.ndjson", "--json"]);
    let ran = ran.expect(
        2,
        &[
            "bad.ndjson:1: ",
            "bad.ndjson:2: id: ",
            "bad.ndjson:4: ",
            "2 matched",
            "3 of the files",
        ],
    );
    let lines = ran.json();
    assert!(
        object(&lines, "bad.ndjson", Some(2))["error"]
            .as_str()
            .unwrap()
            .contains("expected a string")
    );
    assert_eq!(
        object(&lines, "bad.ndjson", Some(6))["matches"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_path_in_an_event_does_not_lead_out_of_its_folder() {
    let folder = uploads();
    let event = |path: &str| {
        format!(
            r#"{{"id":"e","source":"s.example","type":"post.created","time":"2026-11-22T10:15:00Z","content":{{"id":"p","media":[{{"id":"m","kind":"image","path":"{path}"}}]}}}}"#
        )
    };
    folder.write(
        "in/events.ndjson",
        [event("../original.png"), event("/etc/hostname")].join("\n"),
    );
    let lines = scan(&folder, &["in", "--json"])
        .expect(1, &["2 undecodable"])
        .json();
    for line in [1, 2] {
        let why = object(&lines, "in/events.ndjson", Some(line))["undecodable"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(why.contains("leads out"), "{why}");
    }
}

#[test]
fn what_cannot_be_read_is_never_clean() {
    let folder = uploads();
    folder.write("odd/junk.jpg", b"\xff\xd8\xff\xe0 this is no picture");
    let jpeg = std::fs::read(folder.path("up/.hidden/copy.jpg")).unwrap();
    folder.write("odd/half.jpg", &jpeg[..jpeg.len() / 2]);
    folder.write("odd/doc.bin", b"\0\x01\x02 rise under the grey banner");
    folder.write("odd/latin1.txt", b"caf\xe9: rise under the grey banner");
    let utf16: Vec<u8> = "\u{feff}rise under the grey banner"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    folder.write("odd/utf16.txt", utf16);
    folder.write("odd/empty.png", b"");
    let mut header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x01\0\0\0\0".to_vec();
    header.extend([0; 64]);
    folder.write("odd/huge.png", header);
    let lines = scan(&folder, &["odd", "--json"])
        .expect(0, &["6 undecodable", "2 matched"])
        .json();
    for name in [
        "junk.jpg",
        "half.jpg",
        "doc.bin",
        "latin1.txt",
        "utf16.txt",
        "huge.png",
    ] {
        let object = object(&lines, &format!("odd/{name}"), None);
        assert!(object["undecodable"].is_string(), "{object}");
        assert_eq!(object["signals"]["sha256"].as_str().unwrap().len(), 64);
    }
    // What is text in another encoding is read as far as it can be.
    for name in ["latin1.txt", "utf16.txt"] {
        assert_eq!(
            object(&lines, &format!("odd/{name}"), None)["matches"]
                .as_array()
                .unwrap()
                .len(),
            1,
            "{name}"
        );
    }
}

#[test]
fn links_and_devices_are_skipped_and_counted() {
    let folder = uploads();
    folder.write("some/a.txt", "rise under the grey banner");
    std::os::unix::fs::symlink("..", folder.path("some/up")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path("some/socket")).unwrap();
    let lines = scan(&folder, &["some", "--json"])
        .expect(0, &["1 file,", "2 skipped"])
        .json();
    assert_eq!(object(&lines, "some/up", None)["skipped"], "symbolic link");
    // The scan's own bank files hold every phrase, and are no finding.
    let lines = scan(&folder, &[".", "--json", "--html", "r.html"])
        .expect(0, &[])
        .json();
    assert!(object(&lines, "./slogans.csv", None)["skipped"].is_string());
}

#[test]
fn exact_copies_match_whatever_they_are() {
    let folder = Folder::new();
    folder.write("up/film.mp4", b"\0\0\0\x18ftypmp42 not really");
    let hashed = folder
        .run(&["hash", "--json", "--all", "up/film.mp4"])
        .json();
    folder.write(
        "films.csv",
        format!(
            "md5,{},film\n",
            hashed[0]["signals"]["md5"].as_str().unwrap()
        ),
    );
    let lines = folder
        .run(&["scan", "up", "--bank", "FILMS=films.csv", "--json"])
        .expect(0, &["1 matched"])
        .json();
    assert_eq!(lines[0]["matches"][0]["signal_type"], "md5");
}

#[test]
fn the_banks_of_a_database_are_used_and_those_switched_off_are_not() {
    let folder = uploads();
    folder
        .run(&[
            "bank",
            "import",
            "SLOGANS",
            "slogans.csv",
            "--create",
            "--data",
            "d",
        ])
        .expect(0, &[]);
    folder
        .run(&["scan", "up/post.txt", "--data", "d"])
        .expect(0, &["3 members in 1 bank"]);
    let both = folder.run(&["scan", "up", "--data", "d", "--bank", "IMAGES=images.csv"]);
    both.expect(0, &["4 members in 2 banks", "5 matched"]);
    folder
        .run(&["scan", "up", "--data", "d", "--bank", "SLOGANS=slogans.csv"])
        .expect(2, &["two banks SLOGANS"]);
    folder
        .run(&["bank", "disable", "SLOGANS", "--data", "d"])
        .expect(0, &[]);
    folder
        .run(&["scan", "up/post.txt", "--data", "d"])
        .expect(1, &["0 matched"]);
    folder
        .run(&["scan", "up", "--data", "nowhere"])
        .expect(2, &["nowhere holds no Manara database"]);
}

#[test]
fn the_page_is_complete_in_itself_and_shows_nothing_clearly() {
    let folder = uploads();
    folder.write(
        "up/<b>&\u{202e}.txt",
        "<script>alert(1)</script> rise under the grey banner <img src=x>",
    );
    scan(&folder, &["up", "--html", "report.html"]).expect(0, &["the report is report.html"]);
    let page = std::fs::read_to_string(folder.path("report.html")).unwrap();
    // Nothing is loaded from anywhere, and nothing runs.
    for forbidden in [
        "src=\"http",
        "href=",
        "url(",
        "@import",
        "<script",
        "<iframe",
        "onerror=",
        "<img src=x",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let sources: Vec<&str> = page
        .match_indices("src=\"")
        .map(|(at, _)| &page[at + 5..at + 28])
        .collect();
    assert!(
        !sources.is_empty() && sources.iter().all(|s| *s == "data:image/jpeg;base64,"),
        "{sources:?}"
    );
    // Its policy names its own style and nothing else.
    let style = page
        .split("<style>")
        .nth(1)
        .unwrap()
        .split("</style>")
        .next()
        .unwrap();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(style);
    let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
    assert!(page.contains(&format!("content=\"default-src 'none'; img-src data:; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\"")));
    // What others wrote is escaped and isolated, and what is hidden is named.
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!page.contains('\u{202e}') && !page.contains('\u{200b}'));
    assert!(page.contains("<bdi dir=\"auto\">") && page.contains("<mark>"));
    // Thumbnails are small, and blurred again by the page.
    assert!(style.contains("blur(7px)") && !style.contains("filter: none"));
    let jpeg = page
        .split("data:image/jpeg;base64,")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let jpeg = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, jpeg).unwrap();
    let picture = image::load_from_memory(&jpeg).unwrap();
    assert!(
        picture.width().max(picture.height()) <= 96,
        "{}x{}",
        picture.width(),
        picture.height()
    );
    assert!(
        picture
            .to_rgb8()
            .pixels()
            .all(|p| p.0[0].abs_diff(p.0[1]) <= 3 && p.0[1].abs_diff(p.0[2]) <= 3),
        "it is not grey"
    );
    assert!(
        page.contains("drawn for this test"),
        "the member's note is shown"
    );
}

#[test]
fn a_page_of_nothing_is_a_page_too() {
    let folder = uploads();
    scan(&folder, &["up/other.png", "--html", "report.html"]).expect(1, &[]);
    let page = std::fs::read_to_string(folder.path("report.html")).unwrap();
    assert!(page.contains("None of 1 file matched") && page.contains("Nothing matched."));
}

#[test]
fn the_example_events_match_the_example_banks_as_their_ids_say() {
    let folder = Folder::new();
    let bank = |name: &str, file: &str| format!("{name}={}", example(&format!("banks/{file}")));
    let (slogans, links, images) = (
        bank("SLOGANS", "slogans.csv"),
        bank("LINKS", "links.ndjson"),
        bank("IMAGES", "images.csv"),
    );
    let banks = ["--bank", &slogans, "--bank", &links, "--bank", &images];
    let mut files: Vec<_> = std::fs::read_dir(example("events"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "ndjson"));
    assert!(!files.is_empty());
    for file in files {
        let arguments: Vec<&str> = ["scan", file.to_str().unwrap(), "--json"]
            .into_iter()
            .chain(banks)
            .collect();
        let text = std::fs::read_to_string(&file).unwrap();
        let code = i32::from(!text.contains("\"match-"));
        let lines = folder.run(&arguments).expect(code, &[]).json();
        assert_eq!(lines.len(), text.lines().count());
        for line in &lines {
            let matched = !line["matches"].as_array().unwrap().is_empty();
            assert_eq!(
                matched,
                line["event"].as_str().unwrap().contains("/match-"),
                "{line}"
            );
        }
    }
}
