//! Banks that cannot hurt, on the running server: negative banks, quarantine, previews and what is found
//! later, as an analyst at the command line meets them.

mod common;

use common::{Server, eventually, post_event, run, run_ok, with_slogan_rule};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

struct Data {
    _temporary: tempfile::TempDir,
    path: PathBuf,
}

fn data() -> Data {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("data");
    with_slogan_rule(&path);
    Data {
        _temporary: temporary,
        path,
    }
}

impl Data {
    fn bank(&self, arguments: &[&str]) -> String {
        run_ok(&self.arguments(arguments))
    }

    /// For what is refused: the exit code and what was said.
    fn refused(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = run(&self.arguments(arguments));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    }

    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let path = self.path.to_str().unwrap();
        let (verb, rest) = arguments.split_first().unwrap();
        [&["bank", verb, "--data", path][..], rest].concat()
    }

    fn member(&self, member: i64) -> Value {
        let text = self.bank(&["member", "SLOGANS", &member.to_string(), "--json"]);
        serde_json::from_str(&text).unwrap()
    }

    fn configure(&self, toml: &str) {
        std::fs::write(self.path.join("manara.toml"), toml).unwrap();
    }
}

/// What was asked for, and the verdicts with their mode and why their matches are withheld.
fn said(answer: &Value) -> (Vec<&str>, Vec<String>) {
    let actions = answer["actions"].as_array().unwrap();
    let actions = actions.iter().map(|a| a["kind"].as_str().unwrap());
    let verdicts = answer["verdicts"].as_array().unwrap().iter().map(|v| {
        let why = &v["because"][0]["withheld"]["why"];
        let why = why
            .as_str()
            .map_or_else(String::new, |why| format!(" ({why})"));
        format!(
            "{} {}{why}",
            v["rule"].as_str().unwrap(),
            v["mode"].as_str().unwrap()
        )
    });
    (actions.collect(), verdicts.collect())
}

const DONE: [&str; 3] = ["remove", "strike", "enqueue"];

async fn metric(server: &Server, name: &str) -> f64 {
    let (_, text) = server.get("/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// Waits until the server answers a post like this; each time under another id.
async fn comes_to(server: &Server, text: &str, expect: (&[&str], &[&str])) {
    for number in 0.. {
        let (_, answer) = server
            .events(&post_event(&format!("{text}-{number}"), text))
            .await;
        let (actions, verdicts) = said(&answer);
        if (
            actions.as_slice(),
            verdicts
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .as_slice(),
        ) == expect
        {
            return;
        }
        assert!(number < 100, "{text}: {answer}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_negative_bank_holds_back_what_it_covers_and_leaves_a_trace() {
    let data = data();
    let server = Server::start(&data.path).await;
    data.bank(&["create", "SAFE", "--vetoes", "SLOGANS"]);
    data.bank(&[
        "add",
        "SAFE",
        "text",
        "they sang rise under the grey banner at the trial",
    ]);
    let reported = "They sang: Rise under the grey banner! at the trial";
    comes_to(&server, reported, (&[], &["slogan shadow (vetoed)"])).await;
    comes_to(
        &server,
        "Rise under the grey banner!",
        (&DONE, &["slogan live"]),
    )
    .await;

    // Two banks cannot veto each other, and the first one still does.
    let (code, said) = data.refused(&["set", "SLOGANS", "--vetoes", "SAFE"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("SAFE is a negative bank itself"), "{said}");
    comes_to(&server, reported, (&[], &["slogan shadow (vetoed)"])).await;
}

#[tokio::test]
async fn a_member_that_matches_too_much_goes_into_quarantine() {
    let data = data();
    data.configure("[quarantine]\nhits_min = 5\n");
    data.bank(&["add", "SLOGANS", "text", "good morning"]);
    let server = Server::start(&data.path).await;
    for number in 0..9 {
        let event = post_event(&number.to_string(), "Good morning to all of you");
        let (_, answer) = server.events(&event).await;
        let expect = match number {
            0..5 => (DONE.to_vec(), vec!["slogan live".to_owned()]),
            _ => (vec![], vec!["slogan shadow (quarantine)".to_owned()]),
        };
        assert_eq!(said(&answer), expect, "post {number}");
    }
    eventually("the quarantine is kept", || {
        data.member(2)["settings"]["mode"] == "quarantine"
    })
    .await;
    assert_eq!(metric(&server, "manara_quarantined_total").await as u32, 1);
    let member = data.member(2);
    let reason = member["history"][0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("matched 5 events within an hour"),
        "{reason}"
    );
    // The slogan itself is not affected, and the member counts again once somebody vouches for it.
    comes_to(
        &server,
        "rise under the grey banner",
        (&DONE, &["slogan live"]),
    )
    .await;
    data.bank(&[
        "member-set",
        "SLOGANS",
        "2",
        "--mode",
        "live",
        "--vouched",
        "on",
        "--force",
    ]);
    comes_to(&server, "good morning again", (&DONE, &["slogan live"])).await;
    for number in 0..9 {
        let event = post_event(&format!("again-{number}"), "a good morning");
        let (_, answer) = server.events(&event).await;
        assert_eq!(said(&answer).0, DONE, "post {number}");
    }
    // What was held back was looked at again, and is for people now.
    eventually("the log agrees", || {
        let path = data.path.to_str().unwrap();
        run(&["audit", "verify", "--data", path]).status.success()
    })
    .await;
}

#[tokio::test]
async fn what_was_posted_before_its_member_was_known_becomes_a_case() {
    let data = data();
    let server = Server::start(&data.path).await;
    for (id, text) in [
        ("1", "the ash will rise"),
        ("2", "nothing of note"),
        ("3", "The ASH will rise!"),
    ] {
        let (_, answer) = server.events(&post_event(id, text)).await;
        assert_eq!(answer["actions"], json!([]));
    }
    assert_eq!(metric(&server, "manara_cases_open").await as u32, 0);
    data.bank(&["add", "SLOGANS", "text", "the ash will rise"]);
    common::eventually_async("two cases are open", async || {
        metric(&server, "manara_cases_open").await as u32 == 2
    })
    .await;
    assert_eq!(metric(&server, "manara_found_later_total").await as u32, 2);
}

#[tokio::test]
async fn what_is_found_later_asks_the_sets_there_are() {
    let data = data();
    let rule = r#"rule stranger {
  on post.created
  policy p
  reason "r"
  when bank("SLOGANS").matches(content.text) and not account.id in set("trusted")
  then enqueue("strangers")
}
"#;
    std::fs::write(data.path.join("rules/slogans.rules"), rule).unwrap();
    let path = data.path.to_str().unwrap();
    run_ok(&["set", "create", "--data", path, "trusted"]);
    run_ok(&["set", "add", "--data", path, "trusted", "a-1"]);
    let server = Server::start(&data.path).await;
    for id in ["1", "2"] {
        let (_, answer) = server.events(&post_event(id, "the ash will rise")).await;
        assert_eq!(answer["verdicts"], json!([]), "{answer}");
    }
    data.bank(&["add", "SLOGANS", "text", "the ash will rise"]);
    common::eventually_async("what was posted was looked at", async || {
        metric(&server, "manara_found_later_total").await as u32 == 2
    })
    .await;
    // Both hold the slogan, and one of them is of somebody who is trusted.
    assert_eq!(metric(&server, "manara_cases_open").await as u32, 1);
}

#[tokio::test]
async fn rules_and_later_members_see_the_hashes_of_a_file_that_was_read() {
    const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";
    const SHA256: &str = "eaa4a94ea300e0d2c775968cbe42f0b5b51ceafdeb73d64e9efddf6d4e880865";
    const MD5: &str = "17b3e19593efeb4c09a755092de9d245";
    let data = data();
    data.bank(&["create", "FILES"]);
    let rule = format!(
        r#"rule pixel {{
  on post.created
  policy p
  reason "r"
  when content.media.exists(m, m.sha256 == "{SHA256}" and m.md5 == "{MD5}")
  then label(content, "pixel")
}}
rule known {{
  on post.created
  policy p
  reason "r"
  when content.media.exists(m, bank("FILES").matches(m))
  then enqueue("files")
}}
"#
    );
    std::fs::write(data.path.join("rules/files.rules"), rule).unwrap();
    let server = Server::start(&data.path).await;
    let mut post = post_event("1", "");
    post["content"]["media"] = json!([{ "id": "m-1", "kind": "image", "data": PIXEL }]);
    let (_, answer) = server.events(&post).await;
    assert_eq!(said(&answer).1, ["pixel live"], "{answer}");
    data.bank(&["add", "FILES", "sha256", SHA256]);
    common::eventually_async("a case is open", async || {
        metric(&server, "manara_cases_open").await as u32 == 1
    })
    .await;
    // A back-test sees it as the server would today.
    let path = data.path.to_str().unwrap();
    let report = run_ok(&[
        "rules", "backtest", "--data", path, "--rule", "known", "--since", "1d", "--json",
    ]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (&report["events"], &report["rules"][2]["events"]),
        (&json!(1), &json!(1)),
        "{report}"
    );
}

/// Sends so many ordinary posts.
async fn ordinary_posts(server: &Server, count: usize) {
    let posts: Vec<Value> = (0..count)
        .map(|n| {
            post_event(
                &format!("ordinary-{n}"),
                &format!("good morning, this is post {n}"),
            )
        })
        .collect();
    for posts in posts.chunks(500) {
        let (status, _) = server.events(&json!(posts)).await;
        assert_eq!(status, 200);
    }
}

fn preview(path: &Path, arguments: &[&str]) -> Value {
    let path = path.to_str().unwrap();
    let (verb, rest) = arguments.split_first().unwrap();
    let output = run(&[&["bank", verb, "--data", path][..], rest].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test]
async fn what_would_match_too_much_does_not_go_live() {
    let data = data();
    let server = Server::start(&data.path).await;
    ordinary_posts(&server, 300).await;
    let (code, said) = data.refused(&["add", "SLOGANS", "text", "good morning"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("refused: it would have matched 300 of 300 events"),
        "{said}"
    );
    assert!(said.contains("--mode shadow"), "{said}");
    let found = preview(
        &data.path,
        &[
            "add",
            "SLOGANS",
            "text",
            "good morning",
            "--preview",
            "--json",
        ],
    );
    assert_eq!(
        (&found["matched"], &found["accounts"]),
        (&json!(300), &json!(300))
    );
    assert_eq!(found["samples"].as_array().unwrap().len(), 20);
    assert_eq!(
        found["samples"][0]["id"], "ordinary-299",
        "the newest first"
    );

    // A narrower phrase passes, and so does the wide one in shadow.
    data.bank(&["add", "SLOGANS", "text", "this is post 7"]);
    data.bank(&["add", "SLOGANS", "text", "good morning", "--mode", "shadow"]);
    comes_to(
        &server,
        "good morning",
        (&[], &["slogan shadow (member_shadow)"]),
    )
    .await;
    // Making it count is the same leap.
    let (code, said) = data.refused(&["member-set", "SLOGANS", "3", "--mode", "live"]);
    assert_eq!(code, Some(1), "{said}");

    // So is letting a whole bank count.
    data.bank(&["create", "TRIAL", "--mode", "shadow"]);
    data.bank(&["add", "TRIAL", "text", "good morning"]);
    for arguments in [
        &["set", "TRIAL", "--mode", "live"][..],
        &["enable", "TRIAL"],
    ] {
        if arguments[0] == "enable" {
            data.bank(&["disable", "TRIAL"]);
            data.bank(&["set", "TRIAL", "--mode", "live", "--force"]);
        }
        let (code, said) = data.refused(arguments);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("it would have matched 30"), "{said}");
    }

    // In a file, the row that is too wide is named.
    let file = data.path.join("more.csv");
    std::fs::write(
        &file,
        "signal_type,signal\ntext,ash rises\ntext,this is post\n",
    )
    .unwrap();
    let (code, said) = data.refused(&["import", "SLOGANS", file.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("member 2 of the file: 300 events: this is post"),
        "{said}"
    );
}

#[tokio::test]
async fn uploads_that_are_nearly_the_same_are_gathered() {
    let data = data();
    let server = Server::start(&data.path).await;
    for n in 0..6 {
        let text =
            format!("Rise at dawn, all of you, and carry the ashen flag up to the hill! {n}");
        server
            .events(&post_event(&format!("flag-{n}"), &text))
            .await;
        let text = format!(
            "My dinner on day {n}: {}",
            ["soup", "rice", "bread", "dates", "fish", "salad"][n]
        );
        server
            .events(&post_event(&format!("dinner-{n}"), &text))
            .await;
    }
    let text = data.bank(&["similar", "--unknown", "--json"]);
    let clusters: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(clusters.len(), 1, "{text}");
    assert_eq!(
        (&clusters[0]["size"], &clusters[0]["accounts"]),
        (&json!(6), &json!(6))
    );
    assert_eq!(clusters[0]["signal_type"], "raw_text");
}
