//! The tutorial in `docs/rules.md` is true: everything on the page is done in its order, in a folder of its own with
//! the built binary and a real server, and what comes out is what the page shows.
//!
//! How blocks are read, by what stands behind the fence:
//!
//! | | |
//! |---|---|
//! | `sh` | run by a shell; `manara serve` starts the server, on a free port |
//! | `text` | what the commands before it print, on stdout and stderr |
//! | `rules file=NAME`, `json file=NAME` | the file is written |
//! | `diff file=NAME` | lines with `-` are replaced by those with `+`, once |
//!
//! Times, identifiers, keys, ports and rates may differ. `UPDATE_DOCS=1 cargo test -p manara --test tutorial` writes
//! what is really printed into the page.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the page says that the server listens.
const ADDRESS: &str = "127.0.0.1:8080";
const FIRST: &str = "## Fifteen minutes\n";

#[test]
fn the_tutorial_is_true() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    let page = fs::read_to_string(&file).expect("docs/rules.md");
    let (head, rest) = page.split_once(FIRST).expect("the tutorial");
    let end = rest.find("\n## ").expect("the reference after it");
    let (tutorial, reference) = rest.split_at(end);
    let played = play(tutorial);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, [head, FIRST, &played, reference].concat()).expect("the page is written");
    } else {
        let lines = played.lines().zip(tutorial.lines());
        for (number, (printed, written)) in lines.enumerate() {
            assert_eq!(
                printed, written,
                "line {number} of the tutorial; `UPDATE_DOCS=1 cargo test -p manara --test tutorial` writes what is printed into the page"
            );
        }
        assert!(played == tutorial, "what is printed has other lines");
    }
}

/// Does what the tutorial says. Answers it as it ought to be: where what is printed differs by more than times,
/// identifiers and rates, with what is printed.
fn play(tutorial: &str) -> String {
    let mut reader = Reader::new();
    let mut out = String::new();
    let mut printed: Option<String> = None;
    let mut lines = tutorial.split_inclusive('\n');
    while let Some(line) = lines.next() {
        out.push_str(line);
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```\n").collect();
        let body = body.concat();
        let (kind, name) = match info.trim().split_once(" file=") {
            Some((kind, name)) => (kind, Some(name)),
            None => (info.trim(), None),
        };
        if kind != "text" {
            assert_eq!(printed.unwrap_or_default(), "", "the page does not show it");
            printed = None;
        }
        match (kind, name) {
            ("sh", None) => printed = Some(reader.run(&body)),
            ("rules" | "json", Some(name)) => reader.write(name, &body),
            ("diff", Some(name)) => reader.change(name, &body),
            ("text", None) => {
                let printed = printed.take().expect("a command before what it prints");
                out.push_str(if agree(&printed, &body) {
                    &body
                } else {
                    &printed
                });
                out.push_str("```\n");
                continue;
            }
            _ => panic!("a block of the tutorial is `{info}`: nobody knows what to do with it"),
        }
        out.push_str(&body);
        out.push_str("```\n");
    }
    assert_eq!(printed.unwrap_or_default(), "", "the page does not show it");
    out
}

/// Somebody who follows the page, in a folder of their own.
struct Reader {
    folder: tempfile::TempDir,
    server: Option<Server>,
}

struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Reader {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        for inner in ["bin", "work"] {
            fs::create_dir(folder.path().join(inner)).unwrap();
        }
        let link = |from: &Path, to: &str| {
            std::os::unix::fs::symlink(from, folder.path().join(to)).unwrap();
        };
        link(Path::new(env!("CARGO_BIN_EXE_manara")), "bin/manara");
        link(&examples.canonicalize().unwrap(), "work/examples");
        fs::write(folder.path().join("variables"), "").unwrap();
        Self {
            folder,
            server: None,
        }
    }

    fn path(&self, inner: &str) -> PathBuf {
        self.folder.path().join(inner)
    }

    fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .current_dir(self.path("work"))
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env_remove("MANARA_DATA")
            .env_remove("MANARA_LOG")
            .stdin(Stdio::null());
        command
    }

    /// Runs a block. What it exports is there in the next one, as in a terminal that stays open.
    fn run(&mut self, block: &str) -> String {
        if block.trim() == "manara serve" {
            return self.serve();
        }
        let address = self.server.as_ref().map_or(ADDRESS, |it| &it.address);
        let block = block.replace(ADDRESS, address);
        let variables = self.path("variables");
        let variables = variables.display();
        let script = format!(
            "exec 2>&1; . {variables}\n{block}\ncode=$?; export -p > {variables}; exit $code"
        );
        let output = self.command("sh").args(["-c", &script]).output().unwrap();
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        let address = self.server.as_ref().map_or(ADDRESS, |it| &it.address);
        // What fails has something to say about it, which the page must show.
        assert!(
            output.status.success() || !printed.is_empty(),
            "{block}: {}",
            output.status
        );
        ended(printed.replace(address, ADDRESS))
    }

    /// Starts the server, and waits until it is ready.
    fn serve(&mut self) -> String {
        let log = self.path("log");
        let file = File::create(&log).unwrap();
        let child = self
            .command("manara")
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .expect("the server starts");
        self.server = Some(Server {
            child,
            address: String::new(),
        });
        let printed = until("the server is ready", || {
            let printed = fs::read_to_string(&log).unwrap();
            printed
                .lines()
                .any(|line| line == "ready")
                .then_some(printed)
        });
        let address = printed
            .lines()
            .find_map(|line| line.strip_prefix("listening on http://"));
        let address = address.expect("an address").to_owned();
        let shown = printed.replace(&address, ADDRESS);
        self.server.as_mut().unwrap().address = address;
        // Its log is about this machine as well, and the page leaves it out.
        let is_log = |line: &&str| line.contains(" INFO ") || line.contains(" WARN ");
        shown
            .split_inclusive('\n')
            .filter(|line| !is_log(line))
            .collect()
    }

    fn write(&self, name: &str, text: &str) {
        let reloads = self.reloads();
        let file = self.path("work").join(name);
        fs::write(&file, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let is_watched = name.starts_with("manara-data/rules/");
        if let (Some(before), true) = (reloads, is_watched) {
            until("the server takes up the rules", || {
                self.reloads().filter(|now| *now > before)
            });
        }
    }

    fn change(&self, name: &str, diff: &str) {
        let side = |mark: char| -> String {
            let lines = diff.split_inclusive('\n');
            lines.filter_map(|line| line.strip_prefix(mark)).collect()
        };
        let (from, to) = (side('-'), side('+'));
        let text = fs::read_to_string(self.path("work").join(name)).expect(name);
        assert_eq!(text.matches(&from).count(), 1, "{name} has once:\n{from}");
        self.write(name, &text.replace(&from, &to));
    }

    /// How often a running server has looked at changed rules.
    fn reloads(&self) -> Option<u64> {
        let server = self.server.as_ref()?;
        let mut stream = TcpStream::connect(&server.address).expect("the server answers");
        let host = &server.address;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let counts = answer
            .lines()
            .filter(|line| line.starts_with("manara_rules_reloads_total"));
        let counts = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Some(counts.sum())
    }
}

fn ended(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[track_caller]
fn until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = is_so() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether both say the same, apart from what differs from run to run.
fn agree(printed: &str, shown: &str) -> bool {
    let same = |text: &str| text.lines().map(timeless).collect::<Vec<_>>();
    same(printed) == same(shown)
}

/// A line with what differs from run to run taken out.
fn timeless(line: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in line.trim_end().chars().chain([' ']) {
        if c.is_ascii_alphanumeric() || (matches!(c, '.' | ':' | '-') && !word.is_empty()) {
            word.push(c);
            continue;
        }
        out.push_str(changing(&word).unwrap_or(&word));
        word.clear();
        out.push(c);
    }
    // `looked at in 1.2 s, 3,456 a second`
    match (out.rfind(" ("), out.rfind(" s")) {
        (Some(open), Some(_)) if out.trim_end().ends_with(')') && out.contains(" UTC (") => {
            out.truncate(open);
        }
        _ => {}
    }
    out
}

/// What stands for a word that differs from run to run.
fn changing(word: &str) -> Option<&'static str> {
    let is_like = |form: &str| {
        word.len() == form.len()
            && word.chars().zip(form.chars()).all(|(c, f)| match f {
                '0' => c.is_ascii_digit(),
                'X' => c.is_ascii_digit() || c.is_ascii_uppercase(),
                f => c == f,
            })
    };
    match word {
        _ if is_like("0000-00-00") => Some("DATE"),
        _ if is_like("00:00") => Some("CLOCK"),
        _ if is_like(&"X".repeat(26)) => Some("ID"),
        _ if word.len() >= 12 && word.bytes().all(|b| b.is_ascii_hexdigit()) => Some("HEX"),
        _ if is_like("0000-00-00T00:00:00Z") => None,
        _ if word.len() > 20
            && word.get(..5).is_some_and(|it| it.starts_with("20"))
            && word.ends_with('Z') =>
        {
            Some("TIME")
        }
        _ => None,
    }
}

#[test]
fn what_differs_from_run_to_run_does_not_count() {
    let first = "key 56b5b45fdeed may act_01M84RW4FJ8K33HQ13DXY2FK1C_0 at 2026-11-23T17:57:14.168412Z 2026-11-23 17:57";
    let second = "key 110c17e4c8ac may act_01M84RW3QQ8K33HQ13DXY2FK1C_0 at 2026-12-01T08:00:00.1Z 2026-12-01 08:00";
    assert!(agree(first, second));
    assert!(!agree(first, &second.replace("may", "may not")));
    assert!(agree(
        "5 events to 2026-11-23 17:57 UTC (0.1 s)",
        "5 events to 2026-11-23 18:57 UTC (1.5 s, 3 a second)"
    ));
    assert!(!agree(
        "8 events to 2026-11-23 17:57 UTC (0.1 s)",
        "5 events to 2026-11-23 17:57 UTC (0.1 s)"
    ));
    assert!(!agree(
        "restrict(content p-5, for: 24h)",
        "restrict(content p-6, for: 24h)"
    ));
}

#[test]
fn a_page_that_is_wrong_is_found() {
    let page = "```sh\necho one\n```\n\n```text\ntwo\n```\n";
    assert_eq!(play(page), page.replace("two", "one"));
    let mut kept = String::new();
    let _ = write!(
        kept,
        "```sh\nexport A=1\n```\n```sh\necho $A; cat a.json\n```\n```text\n1\n"
    );
    let file = "```json file=a.json\n{}\n```\n```diff file=a.json\n-{}\n+[]\n```\n";
    assert_eq!(
        play(&format!("{file}{kept}[]\n```\n")),
        format!("{file}{kept}[]\n```\n")
    );
}
