//! The worker of these tests is this test program itself, started on [`worker_entry`]. The shell in
//! front of it keeps the test harness's own output out of the pipe that the answers go through.

use super::super::blocking::BlockingPool;
use super::super::samples::{
    animation_gif, animation_png, drawing, encoded, gif_of_frames, jpeg, png, turned, zlib_of_zeros,
};
use super::super::sandbox::{self, Layer};
use super::super::worker;
use super::*;
use image::ImageFormat;
use std::time::Instant;
use tempfile::TempDir;

const START_WORKER: &str = r#"exec 3>&1 1>/dev/null; MANARA_TEST_WORKER=1 exec "$@""#;

/// Not a test of its own: the worker, when the environment says so.
#[test]
fn worker_entry() {
    if env::var_os("MANARA_TEST_WORKER").is_none() {
        return;
    }
    let output = std::fs::File::options()
        .write(true)
        .open("/dev/fd/3")
        .expect("the answers' pipe");
    worker::note_panics();
    let withheld = env::var("MANARA_TEST_WITHOUT").unwrap_or_default();
    let withheld: Vec<Layer> = withheld
        .split_whitespace()
        .map(|name| Layer::named(name).expect("a layer"))
        .collect();
    let layers = sandbox::enter(&withheld).expect("limits");
    worker::serve(io::stdin().lock(), output, layers).expect("serving");
}

/// A worker behind a shell script, which ends with the real one unless it ends before.
pub(in super::super) fn behind(script: &str, arguments: &[&Path]) -> PoolOptions {
    let entry = module_path!()
        .split_once("::")
        .map(|(_, path)| format!("{path}::worker_entry"))
        .expect("a module path");
    let mut args: Vec<OsString> = vec![
        "-c".into(),
        format!("{script}\n{START_WORKER}").into(),
        "sh".into(),
    ];
    args.push(env::current_exe().expect("this program").into());
    args.extend([entry.as_str(), "--exact", "--nocapture"].map(Into::into));
    // Arguments of the script come first and are shifted away by it.
    args.splice(3..3, arguments.iter().map(Into::into));
    PoolOptions {
        workers: 2,
        program: "/bin/sh".into(),
        args,
        job_timeout: Duration::from_mins(1),
        limits: Limits::default(),
        extra: EVERYTHING,
        ffmpeg: Ffmpeg::by_setting("", PathBuf::new()),
    }
}

const EVERYTHING: Extra = Extra {
    without_bars: true,
    reference_512: true,
    key_frames_max: 8,
};

fn pool() -> Pool {
    Pool::start(behind("", &[]))
}

fn head(time: Duration, length: usize) -> RequestHead {
    RequestHead {
        kind: Kind::Sign,
        limits: Limits::default(),
        extra: EVERYTHING,
        time,
        pixels: None,
        length,
    }
}

const NO_LAYERS: Layers = Layers {
    rlimit: false,
    no_new_privs: false,
    landlock_abi: 0,
    seccomp: false,
};

/// Workers without these layers of the sandbox.
fn pool_without(layers: &str) -> Pool {
    Pool::start(behind(
        &format!("export MANARA_TEST_WITHOUT='{layers}'"),
        &[],
    ))
}

fn fault(name: &str) -> Bytes {
    Bytes::from([b"\xff\xd8\xffFAULT:", name.as_bytes()].concat())
}

#[track_caller]
pub(in super::super) fn check_decoded(signed: &SignedMedia) {
    assert_eq!(
        (signed.decoding, signed.problem.as_deref()),
        (Decoding::Decoded, None)
    );
    assert!(signed.pdq.is_some());
}

#[track_caller]
pub(in super::super) fn check_problem(signed: &SignedMedia, says: &str) {
    assert_eq!(signed.decoding, Decoding::Undecodable);
    let problem = signed.problem.as_deref().unwrap_or_default();
    assert!(problem.contains(says), "`{problem}` does not say `{says}`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_medium_is_signed_as_in_process() {
    let pool = pool();
    for file in [
        jpeg(320, 200, 1),
        encoded(&drawing(90, 70, 2), ImageFormat::WebP),
        turned(&jpeg(64, 64, 3), 6),
    ] {
        let signed = pool.sign(file.clone().into()).await;
        let expected = decode::sign(&file, &Limits::default(), EVERYTHING).unwrap();
        check_decoded(&signed);
        assert_eq!(
            (signed.width, signed.height, signed.frames),
            (expected.width, expected.height, expected.frames)
        );
        assert_eq!(signed.pdq, Some(expected.pdq));
        assert_eq!(
            (signed.sha256, signed.md5),
            (digest::sha256(&file), digest::md5(&file))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_come_from_the_worker() {
    let pool = pool();
    let file = Bytes::from(jpeg(1000, 500, 1));
    let preview = pool.preview(file.clone()).await.unwrap();
    assert_eq!(preview.content_type, "image/jpeg");
    assert_eq!(
        preview.bytes,
        decode::preview(&file, &Limits::default()).unwrap()
    );
    let thumbnail = pool.thumbnail(file.clone()).await.unwrap();
    assert!(thumbnail.bytes.len() < preview.bytes.len());
    let error = pool.preview(Bytes::from_static(b"text")).await.unwrap_err();
    assert!(error.to_string().starts_with("not an image"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_of_large_files_are_right() {
    let pool = pool();
    let file = Bytes::from(encoded(&drawing(700, 700, 1), ImageFormat::Bmp));
    assert!(file.len() > INLINE_DIGEST_BYTES_MAX);
    let signed = pool.sign(file.clone()).await;
    check_decoded(&signed);
    assert_eq!(
        (signed.sha256, signed.md5),
        (digest::sha256(&file), digest::md5(&file))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_cost_only_themselves() {
    let pool = pool();
    let whole = jpeg(300, 300, 1);
    let cases: [(Vec<u8>, &str); 7] = [
        (Vec::new(), "an empty file"),
        (
            b"plain text".to_vec(),
            "not an image Manara reads (JPEG, PNG, GIF, WebP, BMP, HEIC, AVIF)",
        ),
        (
            png(60_000, 60_000, 8, 2, &[], &zlib_of_zeros(258)),
            "60000×60000 px is over the limit of 50 megapixels",
        ),
        (whole[..whole.len() / 2].to_vec(), "truncated"),
        (
            encoded(&drawing(64, 64, 1), ImageFormat::Png)[..200].to_vec(),
            "truncated",
        ),
        (b"GIF89a\xff\xff\xff\xff".to_vec(), ""),
        (b"\xff\xd8\xff\xff\xff".to_vec(), ""),
    ];
    for (file, says) in cases {
        check_problem(&pool.sign(file.into()).await, says);
    }
    let bomb = pool
        .sign(png(64, 64, 8, 0, &[], &zlib_of_zeros(100_000_000)).into())
        .await;
    check_decoded(&bomb);
    assert_eq!(pool.sign(gif_of_frames(50_000).into()).await.frames, 50_000);
    check_decoded(&pool.sign(whole.into()).await);
}

/// What a worker can hold at most: 50 megapixels with alpha and 16 bits would be over the limit of
/// memory, with 8 bits they fit into its address space.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_image_fits_into_a_worker() {
    // Unoptimised code on a busy machine is slow with it.
    let pool = Pool::start(PoolOptions {
        job_timeout: Duration::from_mins(5),
        ..behind("", &[])
    });
    let pixels = zlib_of_zeros(10_000 * (5_000 * 4 + 1) + 258);
    check_decoded(
        &pool
            .sign(png(5_000, 10_000, 8, 6, &[], &pixels).into())
            .await,
    );
    check_problem(
        &pool
            .sign(png(5_000, 10_000, 16, 6, &[], &pixels).into())
            .await,
        "more memory than the limit of 256 MiB",
    );
}

/// Each of these breaks the decoder from inside, as a hostile file might; the next file finds a worker.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_decoder_costs_one_item() {
    let pool = pool();
    for (name, says) in [
        ("panic", "the decoder failed on it (a bug, at "),
        ("abort", "the decoder crashed on it (signal 6)"),
        ("exit", "the decoder ended on it (exit status: 3)"),
        ("memory", "the decoder ran out of memory"),
        ("stack", "the decoder ran out of stack"),
    ] {
        let signed = pool.sign(fault(name)).await;
        check_problem(&signed, says);
        assert!(
            !signed.problem.unwrap().contains("parts of the medium"),
            "{name}"
        );
        assert_eq!(signed.sha256, digest::sha256(&fault(name)));
        check_decoded(&pool.sign(jpeg(64, 64, 1).into()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_decoder_is_killed_and_the_others_go_on() {
    let pool = Pool::start(PoolOptions {
        job_timeout: Duration::from_secs(4),
        ..behind("", &[])
    });
    let started = Instant::now();
    let (spinning, sleeping, fine) = tokio::join!(
        pool.sign(fault("spin")),
        pool.sign(fault("sleep")),
        pool.sign(jpeg(64, 64, 1).into())
    );
    check_problem(&spinning, "took over 4 s");
    check_problem(&sleeping, "took over 4 s");
    check_decoded(&fine);
    assert!(started.elapsed() < Duration::from_mins(1));
}

/// With the pool gone nobody kills a spinning decoder; its processor time runs out.
#[tokio::test(flavor = "multi_thread")]
async fn a_spinning_decoder_ends_without_the_pool() {
    let options = behind("", &[]);
    let mut worker = Worker::start(&options).unwrap();
    let failure = worker
        .ask(head(Duration::ZERO, fault("spin").len()), &fault("spin"))
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Unanswered), "{failure:?}");
    let lost = worker.bury(failure, Duration::from_secs(10)).await;
    assert_eq!(
        (lost.problem.as_str(), lost.innocent),
        ("took over 10 s", false)
    );
}

/// Runs `act` in the first worker only; the others are ordinary.
fn first_worker(act: &str) -> (TempDir, PoolOptions) {
    let folder = TempDir::new().unwrap();
    let script = format!("flag=\"$1/flag\"; shift; if mkdir \"$flag\" 2>/dev/null; then {act}; fi");
    let options = PoolOptions {
        workers: 1,
        ..behind(&script, &[folder.path()])
    };
    (folder, options)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_from_outside_does_not_cost_the_item() {
    // In the middle of a job, after some of the medium was read, and before anything was.
    for act in [
        "head -c 100 >/dev/null; kill -9 $$",
        "kill -9 $$",
        "kill -TERM $$",
    ] {
        let (folder, options) = first_worker(act);
        let pool = Pool::start(options);
        check_decoded(&pool.sign(jpeg(640, 480, 1).into()).await);
        assert!(folder.path().join("flag").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_given_up_when_its_second_worker_is_killed_too() {
    let pool = Pool::start(behind("head -c 100 >/dev/null; kill -9 $$", &[]));
    check_problem(
        &pool.sign(jpeg(64, 64, 1).into()).await,
        "the decoder was ended from outside (signal 9)",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_talks_nonsense_is_not_believed() {
    for (act, says) in [
        (
            r"printf 'hello, pool'; exec sleep 60",
            "cannot be right (its head)",
        ),
        (
            r"printf '\000\000\377\377\377\377'; exec sleep 60",
            "cannot be right (its head)",
        ),
        (
            r"printf '\000\000\001\000\000\000x'; exec sleep 60",
            "cannot be right (its signs)",
        ),
        (
            r"printf '\001\000\001\000\000\000x'; exec sleep 60",
            "cannot be right (its status)",
        ),
    ] {
        let (_folder, options) = first_worker(act);
        let pool = Pool::start(options);
        check_problem(&pool.sign(jpeg(64, 64, 1).into()).await, says);
        check_decoded(&pool.sign(jpeg(64, 64, 1).into()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_be_started_leaves_everything_undecodable() {
    let missing = PoolOptions {
        program: "/nonexistent/manara".into(),
        ..behind("", &[])
    };
    let pool = Pool::start(missing);
    check_problem(
        &pool.sign(jpeg(64, 64, 1).into()).await,
        "no decoder could be started",
    );
    let wrong = PoolOptions {
        program: "/bin/false".into(),
        args: vec![],
        ..behind("", &[])
    };
    check_problem(
        &Pool::start(wrong).sign(jpeg(64, 64, 1).into()).await,
        "the decoder ended on it (exit status: 1)",
    );
    // What is no image needs no worker to say so.
    check_problem(
        &pool.sign(Bytes::from_static(b"text")).await,
        "not an image",
    );
}

/// How many processes the script in front of the workers has started.
fn starts(log: &Path) -> usize {
    std::fs::read_to_string(log)
        .unwrap_or_default()
        .lines()
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_jobs_at_once_share_few_workers() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    let pool = Pool::start(behind("echo $$ >> \"$1\"; shift", &[&log]));
    let mut jobs = tokio::task::JoinSet::new();
    for job in 0..200_u32 {
        let pool = pool.clone();
        jobs.spawn(async move {
            let file = match job % 20 {
                7 => fault("panic"),
                13 => Bytes::from(jpeg(80, 60, job)[..300].to_vec()),
                _ => Bytes::from(jpeg(80, 60 + job % 7, job)),
            };
            (job, file.clone(), pool.sign(file).await)
        });
    }
    let mut done = 0;
    while let Some(job) = jobs.join_next().await {
        let (job, file, signed) = job.unwrap();
        assert_eq!(
            signed.sha256,
            digest::sha256(&file),
            "job {job} got another's answer"
        );
        match job % 20 {
            7 => check_problem(&signed, "the decoder failed on it"),
            13 => check_problem(&signed, "truncated"),
            _ => {
                check_decoded(&signed);
                assert_eq!(
                    signed.height,
                    60 + job % 7,
                    "job {job} got another's answer"
                );
            }
        }
        done += 1;
    }
    assert_eq!(done, 200);
    assert_eq!(starts(&log), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_end_with_their_pool() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    let pool = Pool::start(behind("echo $$ >> \"$1\"; shift", &[&log]));
    check_decoded(&pool.sign(jpeg(64, 64, 1).into()).await);
    let pids: Vec<String> = std::fs::read_to_string(&log)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    assert!(!pids.is_empty());
    drop(pool);
    let gone = |pid: &String| {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .map_or(true, |stat| stat.contains(") Z "))
    };
    for _ in 0..200 {
        if pids.iter().all(gone) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("workers {pids:?} outlive their pool");
}

#[test]
fn a_worker_ends_when_its_input_does() {
    let mut answers = Vec::new();
    worker::serve(&b""[..], &mut answers, NO_LAYERS).unwrap();
    assert!(answers.is_empty());
    // The pool was killed while it wrote a request.
    let head = head(Duration::from_secs(1), 10);
    assert!(worker::serve(&head.encode()[..], &mut answers, NO_LAYERS).is_err());
    assert!(answers.is_empty());
}

#[test]
fn the_blocking_pool_serves_many_threads() {
    let pool = BlockingPool::start(&behind("", &[])).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let pool = &pool;
            scope.spawn(move || {
                for i in 0..10 {
                    let signed = pool.sign(jpeg(50 + thread, 40 + i, i).into());
                    check_decoded(&signed);
                    assert_eq!((signed.width, signed.height), (50 + thread, 40 + i));
                }
            });
        }
    });
    check_problem(&pool.sign(Bytes::from_static(b"text")), "not an image");
    assert!(pool.thumbnail(jpeg(64, 64, 1).into()).is_ok());
}

#[test]
fn time_limits_read_as_they_were_set() {
    assert_eq!(took_over(Duration::from_secs(10)), "took over 10 s");
    assert_eq!(took_over(Duration::from_millis(1500)), "took over 1500 ms");
}

// Error numbers of Linux, from errno(3).
const EPERM: i32 = 1;
const EACCES: i32 = 13;
const EMFILE: i32 = 24;

/// What becomes of each act when a worker without these layers tries it; no errno when it succeeds.
async fn check_acts(without: &str, expected: &[(&str, Option<i32>)]) {
    let pool = pool_without(without);
    for (act, errno) in expected {
        let says = errno.map_or("worker: done".to_owned(), |errno| format!("errno {errno}"));
        let signed = pool.sign(fault(act)).await;
        let problem = signed.problem.unwrap_or_default();
        assert!(
            problem.ends_with(&says),
            "{act} without `{without}`: {problem}, not {says}"
        );
    }
    check_decoded(&pool.sign(jpeg(64, 64, 1).into()).await);
}

const ACTS: [&str; 9] = [
    "read", "list", "write", "listen", "udp", "pair", "execute", "thread", "pipe",
];

/// Without any layer each act succeeds, so that its refusal below says something.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_sandbox_a_decoder_can_do_everything() {
    let done: Vec<_> = ACTS.into_iter().map(|act| (act, None)).collect();
    check_acts("rlimit no_new_privs landlock seccomp", &done).await;
    std::fs::remove_file("/tmp/manara-was-here").unwrap();
    let layers = pool_without("rlimit no_new_privs landlock seccomp")
        .layers()
        .await;
    assert_eq!(layers, Ok(NO_LAYERS));
}

#[tokio::test(flavor = "multi_thread")]
async fn seccomp_alone_refuses_everything() {
    let refused: Vec<_> = ACTS.into_iter().map(|act| (act, Some(EPERM))).collect();
    check_acts("rlimit landlock", &refused).await;
    check_acts("", &refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn landlock_alone_refuses_paths_and_tcp() {
    let expected = [
        ("read", Some(EACCES)),
        ("list", Some(EACCES)),
        ("write", Some(EACCES)),
        ("listen", Some(EACCES)),
        ("execute", Some(EACCES)),
        ("udp", None),
        ("pipe", None),
    ];
    check_acts("rlimit seccomp", &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_alone_refuse_new_files() {
    let expected = ["read", "list", "write", "listen", "udp", "pair", "pipe"];
    check_acts("landlock seccomp", &expected.map(|act| (act, Some(EMFILE)))).await;
}

/// As on a kernel that lacks a layer: the others hold, and the pool can say which one is off.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_layer_is_reported_and_decoding_goes_on() {
    for layer in Layer::ALL {
        let pool = pool_without(layer.name());
        let layers = pool.layers().await.unwrap();
        assert_eq!(layers.off(), [layer.name()]);
        check_decoded(&pool.sign(jpeg(64, 64, 1).into()).await);
    }
    let layers = pool().layers().await.unwrap();
    assert!(
        layers.off().is_empty() && layers.landlock_abi() >= Some(1),
        "{layers:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_is_decoded_in_the_sandbox() {
    let pool = pool();
    for file in [
        jpeg(300, 200, 1),
        encoded(&drawing(300, 200, 2), ImageFormat::Png),
        encoded(&drawing(300, 200, 2), ImageFormat::Gif),
        encoded(&drawing(300, 200, 2), ImageFormat::WebP),
        encoded(&drawing(300, 200, 2), ImageFormat::Bmp),
        animation_gif(12),
        animation_png(12),
        jpeg(3000, 2000, 1),
    ] {
        let file = Bytes::from(file);
        let signed = pool.sign(file.clone()).await;
        check_decoded(&signed);
        let in_process = decode::sign(&file, &Limits::default(), EVERYTHING).unwrap();
        assert_eq!(signed.pdq, Some(in_process.pdq));
        assert_eq!(signed.extra, in_process.extra);
        assert!(pool.preview(file.clone()).await.is_ok());
        assert!(pool.thumbnail(file).await.is_ok());
    }
}
