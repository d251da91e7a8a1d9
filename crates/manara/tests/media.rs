//! The media worker as a process: what it may do, what it answers, when it ends.

mod cli_support;

use cli_support::{Folder, drawing};
use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, Frame, GenericImage, imageops};
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};

/// One pixel, grey.
const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55\
    \0\0\0\x0aIDAT\x78\x9c\x63\x60\0\0\0\x02\0\x01\x48\xaf\xa4\x71\0\0\0\0IEND\xae\x42\x60\x82";

fn worker() -> Child {
    Command::new(env!("CARGO_BIN_EXE_manara"))
        .arg("media-worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting the worker")
}

/// A request to sign, with the usual limits.
fn request(medium: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend(50_000_000_u64.to_le_bytes());
    frame.extend(12_000_u32.to_le_bytes());
    frame.extend((256_u64 * 1024 * 1024).to_le_bytes());
    frame.extend(10_000_u32.to_le_bytes());
    frame.extend((medium.len() as u32).to_le_bytes());
    // Bars removed, 8 key frames.
    frame.extend([1, 8]);
    // A file, not pixels.
    frame.extend([0; 13]);
    frame.extend(medium);
    frame
}

/// Sends requests, closes stdin, and gives all that was answered.
fn converse(requests: &[u8]) -> (Vec<u8>, ExitStatus) {
    let mut worker = worker();
    worker
        .stdin
        .take()
        .expect("stdin")
        .write_all(requests)
        .expect("asking");
    let mut answers = Vec::new();
    worker
        .stdout
        .take()
        .expect("stdout")
        .read_to_end(&mut answers)
        .expect("reading answers");
    (answers, worker.wait().expect("waiting"))
}

#[test]
fn it_answers_each_request_and_ends_with_its_input() {
    let (answers, status) = converse(&[request(PNG), request(b"GIF89a"), request(PNG)].concat());
    assert!(status.success(), "{status}");
    let signs = |answer: &[u8]| {
        // Status 0, not retiring, 272 bytes; then width, height and frames of 1.
        assert_eq!(answer[..6], [0, 0, 16, 1, 0, 0]);
        assert_eq!(answer[6..18], [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    };
    signs(&answers[..278]);
    signs(&answers[answers.len() - 278..]);
    let between = &answers[278..answers.len() - 278];
    assert_eq!(between[0], 2, "a problem");
    assert!(between.len() > 6, "which says something");
}

#[test]
fn it_ends_at_once_without_input() {
    let (answers, status) = converse(b"");
    assert!(answers.is_empty() && status.success(), "{status}");
}

#[test]
fn it_refuses_frames_that_the_pool_never_sends() {
    for frame in [vec![9; 44], request(PNG)[..50].to_vec()] {
        let (answers, status) = converse(&frame);
        assert!(answers.is_empty(), "{answers:?}");
        assert_eq!(status.code(), Some(2), "{status}");
    }
}

#[test]
fn it_has_given_up_what_decoding_does_not_need() {
    let mut worker = worker();
    let mut stdin = worker.stdin.take().expect("stdin");
    stdin.write_all(&request(PNG)).expect("asking");
    // Once it has answered, its limits are in place.
    worker
        .stdout
        .as_mut()
        .expect("stdout")
        .read_exact(&mut [0; 278])
        .expect("an answer");
    let limits =
        std::fs::read_to_string(format!("/proc/{}/limits", worker.id())).expect("its limits");
    let check = |name: &str, most: u64| {
        let line = limits
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{name} in {limits}"));
        let values: Vec<u64> = line[name.len()..]
            .split_whitespace()
            .take(2)
            .map(|v| v.parse().unwrap_or(u64::MAX))
            .collect();
        assert!(
            values.len() == 2 && values.iter().all(|value| *value <= most),
            "{line}"
        );
    };
    check("Max file size", 0);
    check("Max core file size", 0);
    check("Max processes", 0);
    check("Max open files", 3);
    check("Max address space", 1536 * 1024 * 1024);
    check("Max cpu time", 600);
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", worker.id())).expect("its status");
    let has = |line: &str| status.lines().any(|found| found == line);
    assert!(has("NoNewPrivs:\t1"), "{status}");
    // 2: a filter is in force, and seccompiler was built for this processor.
    assert!(has("Seccomp:\t2"), "{status}");
    drop(stdin);
    assert!(worker.wait().expect("waiting").success());
}

/// What a scan finds of a bank with one drawing in it, and in which form.
#[track_caller]
fn check_forms(folder: &Folder, settings: &str, expect: &[(&str, &str)]) {
    folder.write("data/manara.toml", format!("[media]\n{settings}"));
    let ran = folder.run(&["scan", "--json", "--data", "data", "seen"]);
    let found: Vec<(String, String)> = ran
        .json()
        .iter()
        .filter_map(|item| {
            let path = item["path"].as_str()?.to_owned();
            let matched = item["matches"].as_array()?.first()?;
            let form = matched["form"].as_str().unwrap_or("original");
            assert_eq!(
                form != "original",
                matched["form_hash"].is_string(),
                "{matched}"
            );
            Some((path, form.to_owned()))
        })
        .collect();
    let found: Vec<(&str, &str)> = found.iter().map(|(a, b)| (&**a, &**b)).collect();
    assert_eq!(found, expect, "{settings}: {ran:#?}");
}

/// Each form is looked up under its own name, and only when it is switched on.
#[test]
fn each_form_is_found_under_its_name_and_can_be_switched_off() {
    let folder = Folder::new();
    let banked = drawing(5, 320, 200);
    let file = folder.draw("banked.png", &banked).display().to_string();
    let hashed = folder.run(&["hash", "--json", &file]).json();
    let pdq = hashed[0]["signals"]["pdq"].as_str().expect("a pdq");
    folder.write("bank.csv", format!("pdq,{pdq},\n"));
    folder
        .run(&["bank", "create", "--data", "data", "FLAGS"])
        .expect(0, &[]);
    folder
        .run(&["bank", "import", "--data", "data", "FLAGS", "bank.csv"])
        .expect(0, &[]);

    let mut framed = image::RgbImage::new(320, 340);
    framed.copy_from(&banked, 0, 70).expect("it fits");
    folder.draw("seen/barred.png", &framed);
    let mut gif = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut gif, 10);
    for frame in [&drawing(6, 320, 200), &banked] {
        let frame = DynamicImage::from(frame.clone()).into_rgba8();
        encoder.encode_frame(Frame::new(frame)).expect("a frame");
    }
    drop(encoder);
    folder.write("seen/moving.gif", gif);
    // Stored upside down, and an EXIF orientation of 3 that turns it back.
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 90)
        .encode_image(&imageops::rotate180(&banked))
        .expect("a JPEG");
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0";
    folder.write("seen/turned.jpg", [&jpeg[..2], exif, &jpeg[2..]].concat());

    let (barred, moving, turned) = ("seen/barred.png", "seen/moving.gif", "seen/turned.jpg");
    check_forms(
        &folder,
        "",
        &[
            (barred, "without_bars"),
            (moving, "frame_1"),
            (turned, "exif_orientation"),
        ],
    );
    check_forms(
        &folder,
        "exif_orientation = false",
        &[
            (barred, "without_bars"),
            (moving, "frame_1"),
            (turned, "rotate180"),
        ],
    );
    check_forms(
        &folder,
        "dihedral = false\nwithout_bars = false",
        &[(moving, "frame_1"), (turned, "exif_orientation")],
    );
    check_forms(
        &folder,
        "dihedral = false\nexif_orientation = false\nwithout_bars = false\nkey_frames_max = 0",
        &[],
    );
}

/// What becomes of a program in ffmpeg's place, without these layers of its sandbox: whether it ended well,
/// and what it said on stdout and stderr.
fn confined(without: &str, program: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_manara"));
    command.arg("media-ffmpeg");
    for layer in without.split_whitespace() {
        command.args(["--without", layer]);
    }
    let output = command
        .args(["--cpu-s", "10"])
        .args(program)
        .env("MANARA_SECRET", "whsec")
        .stdin(Stdio::null())
        .output()
        .expect("starting it");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

const EVERY_LAYER: &str = "rlimit no_new_privs landlock seccomp";
const BASH: &str = "/usr/bin/bash";

/// Without any layer the act succeeds, so that its refusal says something; without these, it is refused.
#[track_caller]
fn check_refused(act: &[&str], without: &[&str], says: &str) {
    let (well, said) = confined(EVERY_LAYER, act);
    assert!(well, "{act:?} fails without a sandbox: {said}");
    for without in without {
        let (well, said) = confined(without, act);
        assert!(
            !well && said.contains(says),
            "{act:?} without `{without}`: {said}"
        );
    }
}

#[test]
fn in_place_of_ffmpeg_a_program_can_read_libraries_only() {
    let denied = "Permission denied";
    let read = ["/usr/bin/cat", "/etc/passwd"];
    check_refused(
        &read,
        &["", "seccomp", "rlimit seccomp no_new_privs"],
        denied,
    );
    check_refused(
        &["/usr/bin/cat", "/proc/self/environ"],
        &["", "seccomp"],
        denied,
    );
    check_refused(&["/usr/bin/ls", "/"], &["seccomp"], denied);
    let (well, said) = confined("", &["/usr/bin/cat", "/etc/ld.so.cache"]);
    assert!(well, "{said}");
}

#[test]
fn in_place_of_ffmpeg_a_program_cannot_write() {
    let folder = Folder::new();
    let path = folder.path("written").display().to_string();
    let write = format!("echo x 2>&1 > {path}");
    let act = [BASH, "-c", &write];
    check_refused(&act, &["rlimit landlock"], "Operation not permitted");
    std::fs::remove_file(folder.path("written")).expect("it was written without a sandbox");
    check_refused(&act, &["rlimit seccomp"], "Permission denied");
    std::fs::remove_file(folder.path("written")).expect("it was written without a sandbox");
    assert!(!confined("", &act).0 && !folder.path("written").exists());
}

#[test]
fn in_place_of_ffmpeg_a_program_starts_no_other() {
    let execute = [BASH, "-c", "exec /usr/bin/true"];
    check_refused(&execute, &["", "seccomp"], "Permission denied");
    let fork = [BASH, "-c", "/usr/bin/true & wait $!"];
    check_refused(&fork, &["", "landlock"], "fork");
}

#[test]
fn in_place_of_ffmpeg_a_program_has_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let tcp = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
    check_refused(
        &[BASH, "-c", &tcp],
        &["", "landlock"],
        "Operation not permitted",
    );
    check_refused(&[BASH, "-c", &tcp], &["seccomp"], "Permission denied");
    let udp = "exec 3<>/dev/udp/127.0.0.1/9";
    check_refused(
        &[BASH, "-c", udp],
        &["", "landlock"],
        "Operation not permitted",
    );
}

#[test]
fn in_place_of_ffmpeg_a_program_finds_no_secrets_and_has_limits() {
    let (well, said) = confined("landlock", &["/usr/bin/env"]);
    assert!(well && !said.contains("MANARA_SECRET"), "{said}");
    let limits = "ulimit -c; ulimit -f; ulimit -n; ulimit -v; ulimit -t";
    let (_, said) = confined("", &[BASH, "-c", limits]);
    assert_eq!(
        said.split_whitespace().take(5).collect::<Vec<_>>(),
        ["0", "0", "16", "1572864", "10"]
    );
}

/// Typed by hand it says what it is.
#[test]
fn it_starts_only_what_manara_names() {
    for arguments in [
        &["ffmpeg"][..],
        &[],
        &["--cpu-s", "x"],
        &["--without", "moat", "/bin/true"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_manara"))
            .arg("media-ffmpeg")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("starting it");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "));
    }
}

/// The drawings that the program's own tests use.
fn drawn(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/media/heif/");
    std::fs::read(format!("{folder}{name}")).expect(name)
}

/// From the command line, as anybody would: the same signals from every format, and from no other than ffmpeg.
#[test]
fn heic_and_avif_are_found_in_a_bank_of_pngs() {
    let folder = Folder::new();
    for name in ["drawing.heic", "drawing.avif", "grid.heic", "drawing.png"] {
        folder.write(name, drawn(name));
    }
    folder
        .run(&["bank", "create", "--data", "data", "IMAGES"])
        .expect(0, &[]);
    folder
        .run(&[
            "bank",
            "add",
            "--data",
            "data",
            "IMAGES",
            "--file",
            "drawing.png",
        ])
        .expect(0, &[]);
    for name in ["drawing.heic", "drawing.avif", "grid.heic"] {
        let scanned = folder.run(&["scan", "--data", "data", "--json", name]);
        let lines = scanned.json();
        assert_eq!(
            lines[0]["matches"][0]["bank"], "IMAGES",
            "{} {}",
            lines[0], scanned.stderr
        );
    }
    folder.write("data/manara.toml", "[media]\nffmpeg = \"\"\n");
    let without = folder
        .run(&["scan", "--data", "data", "--json", "drawing.heic"])
        .json();
    let why = without[0]["undecodable"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        why.contains("HEIC: ffmpeg is switched off (media.ffmpeg)"),
        "{why}"
    );
}
