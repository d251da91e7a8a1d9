//! A folder of its own for each test, and the built program run in it.
#![allow(
    dead_code,
    reason = "each test binary uses its own part of this module"
)]

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Stdout as one JSON value a line.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }

    /// Expects an exit code and parts of what was said on stderr.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, said: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        for part in said {
            assert!(self.stderr.contains(part), "not said: {part}\n{self:#?}");
        }
        self
    }
}

/// A folder that is the program's working directory.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, making the folders above it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Draws an image into a file of the format its name says.
    pub(crate) fn draw(&self, name: &str, picture: &RgbImage) -> PathBuf {
        let format = ImageFormat::from_path(name).unwrap();
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::from(picture.clone())
            .write_to(&mut bytes, format)
            .unwrap();
        self.write(name, bytes.into_inner())
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, b"")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &[u8]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_manara"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env_remove("MANARA_DATA")
            .env("MANARA_LOG", "warn");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that does not read its stdin closes it, which is its right.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A drawing with enough in it to be told from others: which one, `seed` says.
pub(crate) fn drawing(seed: u32, width: u32, height: u32) -> RgbImage {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = |below: u32| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state % below.max(1)
    };
    let mut picture = RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 120])
    });
    for _ in 0..40 {
        let (left, top) = (next(width), next(height));
        let (wide, high) = (next(width / 3) + 8, next(height / 3) + 8);
        let colour = Rgb([next(256) as u8, next(256) as u8, next(256) as u8]);
        for y in top..(top + high).min(height) {
            for x in left..(left + wide).min(width) {
                picture.put_pixel(x, y, colour);
            }
        }
    }
    picture
}

/// A file below the project's examples.
pub(crate) fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name);
    path.to_str().unwrap().to_owned()
}
