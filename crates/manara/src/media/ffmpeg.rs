//! ffmpeg, for the one thing Manara has no decoder of its own for: the coded pictures in HEIC and AVIF.
//!
//! ```text
//! file ─ heif ─► one elementary stream ─ pipe ─► manara media-ffmpeg ⇒ ffmpeg ─ pipe ─► PPM, tile by tile
//!                (size checked here)             (`confined`: gives up its rights first)        │
//!                           media-worker: hash, preview, thumbnail ◄─ pipe ─ RGB ◄─ grid, crop ─┘
//! ```
//! ffmpeg is never given the file, only coded pictures of one codec, whose demuxer it is told; it may open
//! nothing and is started anew for each medium. What it says is believed as little as what a worker says:
//! each picture must have the size that the file announced, and there must be exactly as many. All reading
//! stops there, so an endless answer costs no memory.
//!
//! PPM is spoken between ffmpeg and this process only. As an upload it is "not an image".

use super::decode::{self, Limits, Pixels};
use super::heif::{self, Codec, Colour, Still};
use super::pool::{END_TIME, PIPE_BYTES, SIGKILL, SIGTERM, SIGXCPU, read_last_words, took_over};
use super::protocol;
use super::sandbox::Layers;
use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A drawing in each format, to see what an ffmpeg can read. `heif/make.py` made them.
pub(crate) const SAMPLES: &[(&str, &[u8])] = &[
    ("HEIC", include_bytes!("heif/drawing.heic")),
    ("AVIF", include_bytes!("heif/drawing.avif")),
];
/// Longest head of a PPM of the sizes that are allowed.
const PPM_HEAD_BYTES_MAX: usize = 32;
/// How much is read of what ffmpeg says about itself.
const SAID_BYTES_MAX: u64 = 16 * 1024;
/// How much processor time ffmpeg gets beyond the time of the job, for starting.
const CPU_MORE_S: u64 = 2;

/// Which ffmpeg is used and how it is started, or why none is.
#[derive(Debug, Clone)]
pub(crate) struct Ffmpeg {
    program: Result<PathBuf, Missing>,
    /// The program that confines itself and becomes ffmpeg, and its arguments.
    launcher: PathBuf,
    launcher_args: Vec<OsString>,
}

/// Why there is no ffmpeg.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Missing {
    /// The setting is empty.
    #[error("ffmpeg is switched off (media.ffmpeg)")]
    Off,
    /// It was to be found in `PATH`, and is not there.
    #[error("ffmpeg is not installed (there is no `{0}` in PATH)")]
    NotInstalled(String),
    /// The setting is a path, and leads to nothing that can be started.
    #[error("media.ffmpeg is {path}, which cannot be started: {why}")]
    NotAProgram { path: String, why: String },
}

/// Why ffmpeg gave no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    TimedOut(String),
    #[error("ffmpeg could not be started: {0}")]
    NotStarted(String),
    #[error("ffmpeg cannot read it: {0}")]
    Unreadable(String),
    #[error("ffmpeg crashed on it (signal {0})")]
    Crashed(i32),
    #[error(
        "ffmpeg was ended from outside (signal {0}), perhaps because the machine ran out of memory"
    )]
    EndedFromOutside(i32),
    #[error("ffmpeg gave an answer that cannot be right ({0})")]
    Nonsense(String),
}

impl Ffmpeg {
    /// By the setting `media.ffmpeg`: a name to find in `PATH`, a whole path, or nothing.
    pub(crate) fn by_setting(setting: &str, launcher: PathBuf) -> Self {
        Self {
            program: find(setting),
            launcher,
            launcher_args: vec![super::FFMPEG_COMMAND.into()],
        }
    }

    /// Without these layers of the sandbox, to see what is said of a machine that lacks them.
    pub(crate) fn without(&mut self, layers: &[String]) {
        for layer in layers {
            self.launcher_args
                .extend(["--without".into(), layer.into()]);
        }
    }

    /// Where it is.
    pub(crate) fn program(&self) -> Result<&Path, &Missing> {
        self.program.as_deref()
    }

    /// The first line of what it says about its version, from inside the sandbox.
    pub(crate) async fn version(&self, time: Duration) -> Result<String, String> {
        let said = self.say(&[], &["-version".into()], time).await?;
        let said = String::from_utf8_lossy(&said);
        Ok(decode::brief(&said.lines().next().unwrap_or_default()))
    }

    /// Which layers of the sandbox can be switched on for it.
    pub(crate) async fn layers(&self, time: Duration) -> Result<Layers, String> {
        let told = self.say(&["--layers"], &[], time).await?;
        protocol::decode_layers(&told).ok_or_else(|| "it does not say what it gave up".to_owned())
    }

    /// Decodes the picture of a HEIC or AVIF file to RGB.
    pub(super) async fn decode(
        &self,
        format: &'static str,
        bytes: &Bytes,
        limits: &Limits,
        time: Duration,
    ) -> Result<(Pixels, Bytes), String> {
        let mut still = heif::still(bytes, limits).map_err(|problem| problem.to_string())?;
        let program = self.program.as_deref().map_err(|missing| {
            format!("{format}: {missing}; only with ffmpeg can Manara read HEIC and AVIF")
        })?;
        let stream = Bytes::from(std::mem::take(&mut still.stream));
        let ask = || self.ask(program, &still, stream.clone(), limits, time);
        let rgb = match ask().await {
            // An operator, or the kernel short of memory: that says nothing about the medium.
            Err(Failure::EndedFromOutside(_)) => ask().await,
            answered => answered,
        };
        let rgb = rgb.map_err(|failure| format!("{format}: {failure}"))?;
        let pixels = Pixels {
            width: still.columns_shown.len() as u32,
            height: still.rows_shown.len() as u32,
            frames: still.frames,
            orientation: still.orientation,
        };
        Ok((pixels, rgb.into()))
    }

    async fn ask(
        &self,
        program: &Path,
        still: &Still,
        stream: Bytes,
        limits: &Limits,
        time: Duration,
    ) -> Result<Vec<u8>, Failure> {
        let command = self.command(&[], program, &arguments(still, limits), time);
        let asking = async {
            let mut running = Running::start(command, stream)?;
            match running.read(still).await {
                Ok(rgb) => running.end(time).await.map(|()| rgb),
                Err(Unread::Nonsense(what)) => Err(Failure::Nonsense(what)),
                // It ended before it had answered; why, it said last.
                Err(Unread::Ended) => {
                    running.end(time).await?;
                    Err(Failure::Nonsense("too little of it".to_owned()))
                }
            }
        };
        // Giving up drops what runs, which ends it.
        let asked = timeout(time, asking).await;
        asked.unwrap_or_else(|_| Err(Failure::TimedOut(took_over(time))))
    }

    /// What it says on stdout when it is given nothing.
    async fn say(
        &self,
        launcher_args: &[&str],
        arguments: &[OsString],
        time: Duration,
    ) -> Result<Vec<u8>, String> {
        let program = self.program.as_deref().map_err(Missing::to_string)?;
        let command = self.command(launcher_args, program, arguments, time);
        let saying = async {
            let mut running = Running::start(command, Bytes::new())?;
            let mut said = Vec::new();
            // What cannot be read ends the answer, and the exit status says why.
            let _ = (&mut running.stdout)
                .take(SAID_BYTES_MAX)
                .read_to_end(&mut said)
                .await;
            running.end(time).await.map(|()| said)
        };
        match timeout(time, saying).await {
            Ok(said) => said.map_err(|failure| failure.to_string()),
            Err(_) => Err(took_over(time)),
        }
    }

    fn command(
        &self,
        launcher_args: &[&str],
        program: &Path,
        arguments: &[OsString],
        time: Duration,
    ) -> Command {
        let cpu_s = time.as_secs().saturating_add(CPU_MORE_S).to_string();
        let mut command = Command::new(&self.launcher);
        command
            .arg0("manara")
            .args(&self.launcher_args)
            .args(launcher_args)
            .args(["--cpu-s", &cpu_s])
            .arg(program)
            .args(arguments)
            .env_clear()
            .current_dir("/")
            // So that all of it can be ended, and Ctrl-C is for the server.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

fn find(setting: &str) -> Result<PathBuf, Missing> {
    if setting.is_empty() {
        return Err(Missing::Off);
    }
    if setting.contains('/') {
        let path = PathBuf::from(setting);
        return match can_be_started(&path) {
            Ok(()) => Ok(path),
            Err(error) => Err(Missing::NotAProgram {
                path: setting.to_owned(),
                why: error.to_string(),
            }),
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(setting))
        .find(|path| can_be_started(path).is_ok())
        .ok_or_else(|| Missing::NotInstalled(setting.to_owned()))
}

fn can_be_started(path: &Path) -> io::Result<()> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK)?;
    Ok(())
}

/// One stream of one codec in, so many pictures out. A decoder that meets an error must say so: by default
/// ffmpeg paints over it, and what it made up would count as seen.
fn arguments(still: &Still, limits: &Limits) -> Vec<OsString> {
    let demuxer = match still.codec {
        Codec::Hevc => "hevc",
        Codec::Av1 => "ivf",
    };
    let (tiles, pixels_max) = (still.tiles().to_string(), limits.pixels_max.to_string());
    let scale = scale(still.colour);
    [
        "-hide_banner",
        "-nostdin",
        "-loglevel",
        "error",
        "-xerror",
        "-protocol_whitelist",
        "pipe",
        "-err_detect",
        "explode",
        "-max_pixels",
        &pixels_max,
        "-threads",
        "1",
        "-f",
        demuxer,
        "-i",
        "pipe:0",
        "-map",
        "0:v:0",
        "-frames:v",
        &tiles,
        "-filter_threads",
        "1",
        "-vf",
        &scale,
        "-threads",
        "1",
        "-c:v",
        "ppm",
        "-f",
        "image2pipe",
        "pipe:1",
    ]
    .into_iter()
    .map(OsString::from)
    .collect()
}

/// To RGB by the colours that the file's boxes name, or else by those that the coded picture names.
fn scale(colour: Option<Colour>) -> String {
    let matrix = colour.and_then(|colour| match colour.matrix {
        1 => Some("bt709"),
        4 => Some("fcc"),
        5 | 6 => Some("bt601"),
        7 => Some("smpte240m"),
        9 | 10 => Some("bt2020"),
        // 0 is RGB already, 2 is unspecified, and the rest is for nobody's pictures.
        _ => None,
    });
    let mut scale = "scale=flags=bicubic+accurate_rnd+full_chroma_int".to_owned();
    if let (Some(matrix), Some(colour)) = (matrix, colour) {
        let range = if colour.full_range { "full" } else { "limited" };
        scale.push_str(&format!(":in_color_matrix={matrix}:in_range={range}"));
    }
    scale.push_str(",format=rgb24");
    scale
}

/// Why a picture was not read to its end.
#[derive(Debug, PartialEq, Eq)]
enum Unread {
    /// There was no more of it.
    Ended,
    Nonsense(String),
}

impl From<io::Error> for Unread {
    fn from(_: io::Error) -> Self {
        Self::Ended
    }
}

/// ffmpeg at work. Dropping it ends it and whatever it may have started.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    feeding: JoinHandle<()>,
    last_words: JoinHandle<Vec<u8>>,
}

impl Running {
    fn start(mut command: Command, stream: Bytes) -> Result<Self, Failure> {
        let not_started = |error: io::Error| Failure::NotStarted(error.to_string());
        let mut child = command.spawn().map_err(not_started)?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(not_started(io::Error::other("its pipes are missing")));
        };
        // Less waking for each part of a large picture. Where the system has no more room for pipes, the
        // usual size serves as well.
        let _ = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE_BYTES);
        let feeding = tokio::spawn(async move {
            // If it has ended, its exit status says why.
            let _ = stdin.write_all(&stream).await;
        });
        Ok(Self {
            child,
            stdout: BufReader::with_capacity(64 * 1024, stdout),
            feeding,
            last_words: tokio::spawn(read_last_words(stderr)),
        })
    }

    async fn read(&mut self, still: &Still) -> Result<Vec<u8>, Unread> {
        let rgb = read_tiles(&mut self.stdout, still).await?;
        if self.stdout.read(&mut [0]).await? > 0 {
            return Err(Unread::Nonsense("more than one picture".to_owned()));
        }
        Ok(rgb)
    }

    /// Waits for it to end, and says why if not well.
    async fn end(mut self, time: Duration) -> Result<(), Failure> {
        let waited = self.child.wait().await;
        let status = waited.map_err(|error| Failure::Nonsense(error.to_string()))?;
        if status.success() {
            return Ok(());
        }
        let last_words = timeout(END_TIME, &mut self.last_words).await;
        let last_words = last_words.ok().and_then(Result::ok).unwrap_or_default();
        let last_words = last_line(&String::from_utf8_lossy(&last_words));
        Err(cause(status, last_words, time))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.feeding.abort();
        self.last_words.abort();
        // Its number is its own until it was waited for. It may be gone, and then there is nothing to end.
        let group = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = group.and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Why ffmpeg, or the program that was to become it, ended.
fn cause(status: ExitStatus, last_words: String, time: Duration) -> Failure {
    match (status.signal(), status.code()) {
        (Some(SIGXCPU), _) => Failure::TimedOut(took_over(time)),
        (Some(signal @ (SIGKILL | SIGTERM)), _) => Failure::EndedFromOutside(signal),
        (Some(signal), _) => Failure::Crashed(signal),
        // Of this program before it became ffmpeg, and of the dynamic linker.
        (_, Some(2)) if last_words.starts_with("error: ") => Failure::NotStarted(last_words),
        (_, Some(127)) => Failure::NotStarted(last_words),
        _ if last_words.is_empty() => Failure::Unreadable(status.to_string()),
        _ => Failure::Unreadable(last_words),
    }
}

/// The last line, without the names of ffmpeg's parts and their addresses, which differ each time.
fn last_line(said: &str) -> String {
    let mut line = said
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or_default();
    while let Some((_, rest)) = line
        .strip_prefix('[')
        .and_then(|part| part.split_once("] "))
    {
        line = rest;
    }
    decode::brief(&line).trim().to_owned()
}

/// Reads as many PPMs as there are tiles, and puts what of them is shown in its place.
async fn read_tiles(
    input: &mut (impl AsyncRead + Unpin),
    still: &Still,
) -> Result<Vec<u8>, Unread> {
    let (columns, rows) = (&still.columns_shown, &still.rows_shown);
    let (tile_width, tile_height) = (still.tile_width, still.tile_height);
    let row_bytes = columns.len() * 3;
    let mut rgb = vec![0; row_bytes * rows.len()];
    let mut row = vec![0; tile_width as usize * 3];
    for tile in 0..still.tiles() {
        let (left, top) = (
            tile % still.columns * tile_width,
            tile / still.columns * tile_height,
        );
        let size = read_ppm_head(input).await?;
        if size != (tile_width, tile_height) {
            let (width, height) = size;
            let said =
                format!("{width}×{height} px where the file says {tile_width}×{tile_height}");
            return Err(Unread::Nonsense(said));
        }
        // Which part of each of its rows is shown.
        let from = columns.start.clamp(left, left + tile_width);
        let to = columns.end.clamp(left, left + tile_width);
        let part = (from - left) as usize * 3..(to - left) as usize * 3;
        let place = from.saturating_sub(columns.start) as usize * 3;
        for y in top..top + tile_height {
            input.read_exact(&mut row).await?;
            if !rows.contains(&y) || part.is_empty() {
                continue;
            }
            let start = (y - rows.start) as usize * row_bytes + place;
            let target = rgb.get_mut(start..start + part.len());
            if let (Some(target), Some(part)) = (target, row.get(part.clone())) {
                target.copy_from_slice(part);
            }
        }
    }
    Ok(rgb)
}

/// `P6`, width, height and 255, as ffmpeg writes them: on three lines, without comments.
async fn read_ppm_head(input: &mut (impl AsyncRead + Unpin)) -> Result<(u32, u32), Unread> {
    let mut head = Vec::new();
    let mut lines = 0;
    while lines < 3 {
        let byte = input.read_u8().await?;
        lines += u32::from(byte == b'\n');
        head.push(byte);
        if head.len() > PPM_HEAD_BYTES_MAX {
            break;
        }
    }
    let head = std::str::from_utf8(&head).unwrap_or_default();
    let size = head
        .strip_prefix("P6\n")
        .and_then(|rest| rest.strip_suffix("\n255\n"));
    let size = size.and_then(|size| {
        let (width, height) = size.split_once(' ')?;
        Some((width.parse().ok()?, height.parse().ok()?))
    });
    size.ok_or_else(|| Unread::Nonsense("not a picture".to_owned()))
}

#[cfg(test)]
mod tests;
