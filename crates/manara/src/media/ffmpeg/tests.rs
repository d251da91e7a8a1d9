//! The program that confines itself is this test program, started on [`ffmpeg_entry`]; see `pool::tests`.

use super::super::decode::Extra;
use super::super::heif::tests::{gigantic, with};
use super::super::pool::tests::{behind, check_decoded, check_problem};
use super::super::pool::{Pool, PoolOptions, SignedMedia};
use super::super::samples;
use super::super::{confined, decode};
use super::*;
use manara_model::Decoding;
use manara_signal::digest;
use manara_signal::pdq::Dihedral;
use std::fs;
use std::time::Instant;
use tempfile::TempDir;

const PNG: &[u8] = include_bytes!("../heif/drawing.png");
const HEIC: &[u8] = include_bytes!("../heif/drawing.heic");
const AVIF: &[u8] = include_bytes!("../heif/drawing.avif");
const TURNED: &[u8] = include_bytes!("../heif/turned.heic");
const TURNED_AV1: &[u8] = include_bytes!("../heif/turned.avif");
const MIRRORED: &[u8] = include_bytes!("../heif/mirrored.avif");
const GRID: &[u8] = include_bytes!("../heif/grid.heic");
const SEQUENCE: &[u8] = include_bytes!("../heif/sequence.avif");

/// The arguments are joined by line ends, for the environment is the one way past the test harness.
const START: &str = r#"exec 3>&1 1>/dev/null; test=$1 entry=$2; shift 2; IFS='
'; MANARA_TEST_FFMPEG="$*" exec "$test" "$entry" --exact --nocapture"#;

/// Not a test of its own: what becomes ffmpeg, when the environment says so.
#[test]
fn ffmpeg_entry() {
    let Some(arguments) = env::var_os("MANARA_TEST_FFMPEG") else {
        return;
    };
    let output = fs::File::options().write(true).open("/dev/fd/3");
    rustix::stdio::dup2_stdout(output.expect("the answer's pipe")).expect("stdout");
    let arguments = arguments.into_string().expect("UTF-8");
    // What it says may be a handful of lines; the harness would add its own.
    if let Err(error) = confined::run(arguments.split('\n').map(Into::into)) {
        eprintln!("error: {error:#}");
        std::process::exit(2);
    }
    std::process::exit(0);
}

/// The program of this setting, confined by all layers but these.
fn confined(setting: &str, without: &[&str]) -> Ffmpeg {
    let entry = module_path!()
        .split_once("::")
        .map(|(_, path)| format!("{path}::ffmpeg_entry"))
        .expect("a module path");
    let mut ffmpeg = Ffmpeg::by_setting(setting, "/bin/sh".into());
    ffmpeg.launcher_args = vec!["-c".into(), START.into(), "sh".into()];
    let this = env::current_exe().expect("this program");
    ffmpeg.launcher_args.extend([this.into(), entry.into()]);
    ffmpeg.without(
        &without
            .iter()
            .map(|layer| (*layer).to_owned())
            .collect::<Vec<_>>(),
    );
    ffmpeg
}

fn pool_of(ffmpeg: Ffmpeg) -> Pool {
    Pool::start(PoolOptions {
        ffmpeg,
        ..behind("", &[])
    })
}

/// The machine's ffmpeg. Without it these tests fail, lest nobody notice that they tested nothing.
fn pool() -> Pool {
    let ffmpeg = confined("ffmpeg", &[]);
    let found = ffmpeg.program();
    assert!(
        found.is_ok(),
        "{found:?}: these tests need it; scripts/test installs it"
    );
    pool_of(ffmpeg)
}

/// A shell script in place of ffmpeg. Landlock would not let it start the shell.
fn script(script: &str, without: &[&str]) -> (TempDir, Ffmpeg) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ffmpeg");
    // Written by another process: a file that this one has open for writing cannot be started from a test
    // beside this one, which inherits it for a moment.
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 755 "$0""#;
    let written = std::process::Command::new("/bin/sh")
        .args(["-c", write])
        .args([path.as_os_str(), script.as_ref()])
        .status();
    assert!(written.unwrap().success());
    let without = [&["landlock"], without].concat();
    let ffmpeg = confined(path.to_str().unwrap(), &without);
    (folder, ffmpeg)
}

#[track_caller]
fn check_alike(signed: &SignedMedia) {
    check_decoded(signed);
    check_alike_pixels(signed);
}

/// Compares with the PNG of the same drawing.
#[track_caller]
fn check_alike_pixels(signed: &SignedMedia) {
    let png = decode::sign(PNG, &Limits::default(), Extra::NONE).unwrap();
    let (here, there) = (signed.pdq.unwrap()[0], png.pdq[0]);
    let distance = here.hash.distance(&there.hash);
    assert!(distance <= 12, "{distance} bits apart");
    assert!(here.quality >= 90);
    assert_eq!((signed.width, signed.height), (160, 120));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_picture_has_the_same_hash_in_every_format() {
    let pool = pool();
    for (file, displayed) in [
        (HEIC, Dihedral::Original),
        (AVIF, Dihedral::Original),
        (GRID, Dihedral::Original),
        (TURNED, Dihedral::Rotate270),
        (TURNED_AV1, Dihedral::Rotate270),
        (MIRRORED, Dihedral::FlipPlus),
    ] {
        let signed = pool.sign(file.into()).await;
        check_alike(&signed);
        assert_eq!((signed.displayed, signed.frames), (displayed, 1));
        assert_eq!(signed.sha256, digest::sha256(file));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_are_turned_as_the_file_says() {
    let pool = pool();
    for (file, size) in [
        (HEIC, (160, 120)),
        (TURNED, (120, 160)),
        (MIRRORED, (120, 160)),
    ] {
        let preview = pool.preview(file.into()).await.unwrap();
        let shown = decode::picture(&preview.bytes, &Limits::default()).unwrap();
        assert_eq!((shown.width, shown.height), size);
        assert!(pool.thumbnail(file.into()).await.is_ok());
    }
}

/// Its later frames are not looked at, so it is not said to be clean.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_sequence_the_first_frame_is_hashed() {
    let signed = pool().sign(SEQUENCE.into()).await;
    check_problem(&signed, "a later frame of the animation cannot be read");
    check_alike_pixels(&signed);
    assert_eq!(signed.frames, 3);
    let first_only = Pool::start(PoolOptions {
        ffmpeg: confined("ffmpeg", &[]),
        extra: Extra::NONE,
        ..behind("", &[])
    });
    check_alike(&first_only.sign(SEQUENCE.into()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ffmpeg_the_reason_is_said_and_digests_are_there() {
    for (setting, says) in [
        ("", "ffmpeg is switched off (media.ffmpeg)"),
        (
            "no-such-ffmpeg",
            "ffmpeg is not installed (there is no `no-such-ffmpeg` in PATH)",
        ),
        (
            "/nonexistent/ffmpeg",
            "media.ffmpeg is /nonexistent/ffmpeg, which cannot be started: No such",
        ),
        (
            "/etc/passwd",
            "media.ffmpeg is /etc/passwd, which cannot be started: Permission denied",
        ),
        (
            "/usr",
            "media.ffmpeg is /usr, which cannot be started: it is not a file",
        ),
    ] {
        let pool = pool_of(confined(setting, &[]));
        for (format, file) in [("HEIC: ", HEIC), ("AVIF: ", AVIF)] {
            let signed = pool.sign(file.into()).await;
            check_problem(&signed, &format!("{format}{says}"));
            assert_eq!(signed.sha256, digest::sha256(file));
            assert_eq!((signed.pdq, signed.width), (None, 0));
        }
        check_decoded(&pool.sign(PNG.into()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ffmpeg_that_fails_is_quoted() {
    for (act, says) in [
        (
            "echo '[hevc @ 0x55fd] [in] No such codec' >&2; exit 1",
            "HEIC: ffmpeg cannot read it: No such codec",
        ),
        ("exit 7", "HEIC: ffmpeg cannot read it: exit status: 7"),
        ("kill -SEGV $$", "HEIC: ffmpeg crashed on it (signal 11)"),
        (
            "kill -KILL $$",
            "HEIC: ffmpeg was ended from outside (signal 9)",
        ),
        (
            "echo 'ffmpeg: libx.so is missing' >&2; exit 127",
            "could not be started: ffmpeg: libx.so is missing",
        ),
        // Says much before it fails: only the end is kept.
        (
            "i=0; while [ $i -lt 20000 ]; do echo ten bytes >&2; i=$((i+1)); done; echo last >&2; exit 1",
            "cannot read it: last",
        ),
    ] {
        let (_folder, ffmpeg) = script(act, &[]);
        check_problem(&pool_of(ffmpeg).sign(HEIC.into()).await, says);
    }
    let (_folder, not_a_program) = script("exit 0", &[]);
    let confined = confined(not_a_program.program().unwrap().to_str().unwrap(), &[]);
    check_problem(
        &pool_of(confined).sign(HEIC.into()).await,
        "ffmpeg could not be started",
    );
}

/// None of these may cost memory either: reading stops where the picture should.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_the_picture_is_refused() {
    for (act, says) in [
        ("exit 0", "cannot be right (too little of it)"),
        (
            "echo hello; exec cat /dev/zero",
            "cannot be right (not a picture)",
        ),
        ("exec cat /dev/zero", "cannot be right (not a picture)"),
        (
            r"printf 'P6\n60000 60000\n255\n'; exec cat /dev/zero",
            "60000×60000 px where the file says 160×120)",
        ),
        (
            r"printf 'P6\n160 120\n255\n'; exec cat /dev/zero",
            "cannot be right (more than one picture)",
        ),
        (
            r"printf 'P6\n160 120\n255\n'; exec head -c 57599 /dev/zero",
            "cannot be right (too little of it)",
        ),
        (
            r"printf 'P6\n160 120\n65535\n'; exec cat /dev/zero",
            "cannot be right (not a picture)",
        ),
        (
            r"printf 'P6\n-160 -120\n255\n'; exec cat /dev/zero",
            "cannot be right (not a picture)",
        ),
    ] {
        let (_folder, ffmpeg) = script(act, &[]);
        check_problem(&pool_of(ffmpeg).sign(HEIC.into()).await, says);
    }
    // And this is what it should look like.
    let (_folder, ffmpeg) = script(
        r"printf 'P6\n160 120\n255\n'; exec head -c 57600 /dev/zero",
        &[],
    );
    check_decoded(&pool_of(ffmpeg).sign(HEIC.into()).await);
}

fn is_gone(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ffmpeg_that_hangs_is_ended_with_all_it_started() {
    // It may start processes and write only where no layer is on.
    let act = r#"cd "${0%/*}"; sleep 1000 & echo $! $$ > pids; wait"#;
    let (folder, ffmpeg) = script(act, &["rlimit", "seccomp", "no_new_privs"]);
    let pool = Pool::start(PoolOptions {
        ffmpeg,
        job_timeout: Duration::from_secs(3),
        ..behind("", &[])
    });
    let started = Instant::now();
    check_problem(&pool.sign(AVIF.into()).await, "AVIF: took over 3 s");
    assert!(started.elapsed() < Duration::from_secs(30));
    let pids = fs::read_to_string(folder.path().join("pids")).unwrap();
    for _ in 0..100 {
        if pids.split_whitespace().all(is_gone) {
            // The pool goes on.
            check_decoded(&pool.sign(PNG.into()).await);
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{pids} outlive their job");
}

/// With the server gone nobody ends it; its processor time runs out.
#[tokio::test(flavor = "multi_thread")]
async fn an_ffmpeg_that_spins_runs_out_of_processor_time() {
    let (_folder, ffmpeg) = script("while :; do :; done", &[]);
    let program = ffmpeg.program().unwrap().to_owned();
    let command = ffmpeg.command(&[], &program, &[], Duration::ZERO);
    let mut running = Running::start(command, Bytes::new()).unwrap();
    let status = timeout(Duration::from_mins(1), running.child.wait()).await;
    assert_eq!(status.unwrap().unwrap().signal(), Some(SIGKILL));
}

/// Says so if it was started.
fn tells_if_started() -> (TempDir, Ffmpeg) {
    script(
        r#"echo started > "${0%/*}/started"; exit 1"#,
        &["rlimit", "seccomp", "no_new_privs"],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_broken_never_reaches_ffmpeg() {
    let (folder, ffmpeg) = tells_if_started();
    let pool = pool_of(ffmpeg);
    for (file, says) in [
        (
            gigantic(HEIC),
            "60000×60000 px is over the limit of 50 megapixels",
        ),
        (
            gigantic(AVIF),
            "60000×60000 px is over the limit of 50 megapixels",
        ),
        (HEIC[..HEIC.len() - 1].to_vec(), "truncated"),
        (AVIF[..300].to_vec(), "truncated"),
        (
            with(AVIF, b"av01\x43", b"wave\x43"),
            "a picture of kind `wave`",
        ),
        (
            b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec(),
            "a video (MP4), not an image",
        ),
    ] {
        check_problem(&pool.sign(file.into()).await, says);
    }
    assert!(!folder.path().join("started").exists());
    check_problem(&pool.sign(HEIC.into()).await, "ffmpeg cannot read it");
    assert!(folder.path().join("started").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_ppm_is_not_an_image() {
    let ppm = [&b"P6\n2 2\n255\n"[..], &[0; 12]].concat();
    check_problem(&pool().sign(ppm.into()).await, "not an image Manara reads");
}

/// A few of the files that `heif` lets through, to the end: decoded, or undecodable with a reason.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_pictures_end_in_an_answer() {
    let pool = pool();
    let mut decoded = 0;
    for file in [HEIC, AVIF, GRID] {
        let mut jobs = tokio::task::JoinSet::new();
        for number in 0..16 {
            let mut file = file.to_vec();
            // In the coded picture, which is at the end.
            let at = file.len() - 1 - number * (file.len() / 40);
            file[at] ^= 1 << (number % 8);
            let pool = pool.clone();
            jobs.spawn(async move { pool.sign(file.into()).await });
        }
        while let Some(signed) = jobs.join_next().await {
            let signed = signed.unwrap();
            let is_decoded = signed.decoding == Decoding::Decoded;
            assert_eq!(
                (signed.pdq.is_some(), signed.problem.is_none()),
                (is_decoded, is_decoded)
            );
            decoded += u32::from(is_decoded);
        }
    }
    // A turned bit of a coded picture mostly shows as other pixels. Where there is no picture, ffmpeg says so.
    assert!(decoded > 0);
    let mut noise = AVIF.to_vec();
    let start = noise.len() - 930;
    noise[start..].fill(0xff);
    check_problem(
        &pool.sign(noise.into()).await,
        "AVIF: ffmpeg cannot read it: ",
    );
    check_alike(&pool.sign(HEIC.into()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_says_what_it_is_and_what_it_gave_up() {
    let time = Duration::from_secs(30);
    let version = confined("ffmpeg", &[]).version(time).await.unwrap();
    assert!(version.starts_with("ffmpeg version "), "{version}");
    let layers = confined("ffmpeg", &[]).layers(time).await.unwrap();
    assert!(layers.off().is_empty(), "{layers:?}");
    for layer in ["rlimit", "landlock", "seccomp", "no_new_privs"] {
        let ffmpeg = confined("ffmpeg", &[layer]);
        assert_eq!(ffmpeg.layers(time).await.unwrap().off(), [layer]);
        check_alike(&pool_of(ffmpeg).sign(AVIF.into()).await);
    }
    let problem = confined("ffmpeg", &["moat"])
        .version(time)
        .await
        .unwrap_err();
    assert!(problem.contains("could not be started"), "{problem}");
}

#[test]
fn the_last_line_is_told_without_addresses() {
    let check = |said: &str, told: &str| assert_eq!(last_line(said), told);
    check("", "");
    check("a\n[hevc @ 0x55aa] Invalid data\n\n", "Invalid data");
    check(
        "[in#0/hevc @ 0x1] [dec:av1 @ 0x2] pipe:0: End of file\n",
        "pipe:0: End of file",
    );
    check("[not a part", "[not a part");
    check("\u{1b}[31mred\u{7}", "[31mred");
    assert!(last_line(&"x".repeat(5000)).len() < 200);
}

#[tokio::test]
async fn tiles_are_put_in_their_places_and_cropped() {
    // 5 × 3 pixels in tiles of 2 × 2, of which the columns 1 to 4 and the rows 0 to 2 are shown.
    let still = Still {
        width: 5,
        height: 3,
        tile_width: 2,
        tile_height: 2,
        columns: 3,
        rows: 2,
        columns_shown: 1..4,
        rows_shown: 0..3,
        ..heif::still(HEIC, &Limits::default()).unwrap()
    };
    let tile = |first: u8| {
        let pixels = (0..4).flat_map(|pixel| [first + pixel; 3]);
        b"P6\n2 2\n255\n"
            .iter()
            .copied()
            .chain(pixels)
            .collect::<Vec<_>>()
    };
    let answer: Vec<u8> = (0..6).flat_map(|number| tile(number * 10)).collect();
    let rgb = read_tiles(&mut &answer[..], &still).await.unwrap();
    let red: Vec<u8> = rgb.chunks(3).map(|pixel| pixel[0]).collect();
    assert_eq!(red, [1, 10, 11, 3, 12, 13, 31, 40, 41]);
    let short = read_tiles(&mut &answer[..answer.len() - 1], &still).await;
    assert_eq!(short, Err(Unread::Ended));
}

#[test]
fn colours_are_named_only_where_the_file_names_them() {
    let scale_of = |matrix, full_range| scale(Some(Colour { matrix, full_range }));
    assert!(!scale(None).contains("in_"));
    assert!(!scale_of(2, true).contains("in_"));
    assert!(scale_of(1, true).contains(":in_color_matrix=bt709:in_range=full,"));
    assert!(scale_of(9, false).contains(":in_color_matrix=bt2020:in_range=limited,"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_other_formats_do_not_wait_for_ffmpeg() {
    let (folder, ffmpeg) = tells_if_started();
    check_decoded(&pool_of(ffmpeg).sign(samples::jpeg(64, 64, 1).into()).await);
    assert!(!folder.path().join("started").exists());
}
