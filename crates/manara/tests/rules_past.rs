//! What a server remembers from event to event, as an analyst meets it: counters that survive restarts and
//! reloads, labels, sets, circuit breakers, and back-tests that say the same as live evaluation did.

mod common;

use common::{Manner, Platform, Server, eventually, run, run_ok};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

struct Data {
    _temporary: tempfile::TempDir,
    path: PathBuf,
}

const FLOOD: &str = r#"
counter burst = count(post.created) by account.id over 1h
rule flood {
  on post.created
  policy spam
  reason "Too many posts within an hour."
  reason de "Zu viele Beiträge in einer Stunde."
  when burst > 3
  then restrict(content, for: 1h), label(account, "flooding", for: 2h)
}
"#;

fn data(rules: &str) -> Data {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("data");
    std::fs::create_dir_all(path.join("rules")).unwrap();
    let data = Data {
        _temporary: temporary,
        path,
    };
    data.write("a.rules", rules);
    data
}

impl Data {
    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path.join("rules").join(file), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> String {
        run_ok(&[arguments, &["--data", self.path.to_str().unwrap()]].concat())
    }
}

/// A post by an account, so many seconds ago.
#[expect(
    clippy::disallowed_methods,
    reason = "the server's clock is the machine's"
)]
fn post(id: &str, account: &str, ago: i64) -> Value {
    let time = Timestamp::now() - SignedDuration::from_secs(ago);
    json!({
        "id": id, "source": "forum.example", "type": "post.created", "time": time.to_string(),
        "account": { "id": account }, "content": { "id": format!("p-{id}"), "text": "tea at four" },
    })
}

/// The rules that fired on each of these events, with mode and what held them.
async fn send(server: &Server, events: &[Value]) -> Vec<Vec<String>> {
    let (status, answers) = server.events(&json!(events)).await;
    assert!(status == 200, "{status} {answers}");
    let answers = answers.as_array().expect("answers").iter();
    let said = |answer: &Value| {
        let verdicts = answer["verdicts"].as_array().unwrap().iter();
        let verdict = |it: &Value| {
            let held = it["held"]
                .as_str()
                .map_or(String::new(), |held| format!(" {held}"));
            format!(
                "{} {}{held}",
                it["rule"].as_str().unwrap(),
                it["mode"].as_str().unwrap()
            )
        };
        verdicts.map(verdict).collect()
    };
    answers.map(said).collect()
}

fn posts(ids: std::ops::Range<u32>, account: &str) -> Vec<Value> {
    ids.map(|id| post(&id.to_string(), account, 60)).collect()
}

#[tokio::test]
async fn counters_survive_a_crash_and_a_restart() {
    let data = data(FLOOD);
    let server = Server::start(&data.path).await;
    let nothing: Vec<String> = Vec::new();
    let first = posts(0..3, "a");
    assert_eq!(send(&server, &first).await, [&nothing; 3].map(Clone::clone));
    server.kill();
    let server = Server::start(&data.path).await;
    // What was sent again does not count again.
    assert_eq!(
        send(&server, &first[..1]).await,
        std::slice::from_ref(&nothing)
    );
    assert_eq!(
        send(&server, &posts(10..11, "b")).await,
        std::slice::from_ref(&nothing)
    );
    assert_eq!(
        send(&server, &posts(3..4, "a")).await,
        [["flood live".to_owned()]]
    );
    assert!(server.stop().success());
    assert!(data.path.join("counters.state").exists());
    let server = Server::start(&data.path).await;
    assert_eq!(
        send(&server, &posts(4..5, "a")).await,
        [["flood live".to_owned()]]
    );
    assert_eq!(
        send(&server, &posts(11..13, "b")).await,
        [nothing.clone(), nothing.clone()]
    );
    assert!(server.stop().success());
    // A damaged snapshot is not believed: the log says what there was.
    let file = data.path.join("counters.state");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let server = Server::start(&data.path).await;
    assert_eq!(
        send(&server, &posts(13..14, "b")).await,
        [["flood live".to_owned()]]
    );
    assert!(
        server
            .stderr
            .lock()
            .unwrap()
            .contains("made anew from the log")
    );
}

/// Until the server's rules answer so.
async fn comes_to(server: &Server, account: &str, next: &mut u32, expect: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        *next += 1;
        let said = send(server, &[post(&format!("n{next}"), account, 1)]).await;
        if said[0] == expect {
            return;
        }
        assert!(Instant::now() < deadline, "{said:?} is never {expect:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_counter_that_is_new_is_filled_from_the_log() {
    let data = data(
        "rule none { on post.created policy p reason \"r\" when content.text == \"x\" then remove(content) }",
    );
    let server = Server::start(&data.path).await;
    send(&server, &posts(0..3, "a")).await;
    data.write("b.rules", FLOOD);
    let mut next = 100;
    comes_to(&server, "a", &mut next, &["flood live"]).await;
    // A version of the rules that does not check changes nothing: the earlier ones stay, and say so.
    data.write("b.rules", &FLOOD[..FLOOD.len() / 2]);
    let refused = "the rules folder does not check";
    eventually("the folder is refused", || {
        server.stderr.lock().unwrap().contains(refused)
    })
    .await;
    comes_to(&server, "a", &mut next, &["flood live"]).await;
}

#[tokio::test]
async fn a_back_test_says_what_live_evaluation_said() {
    let more = r#"
        counter texts = distinct(content.id) on post.created by account.id over 2h
        rule watched {
          on post.created
          policy spam
          reason "Watched."
          once per account.id over 1h
          when account.hasLabel("flooding") and texts > 5
          then enqueue(account, "spam")
        }
        rule share { mode live 50% on post.created policy p reason "r" when texts > 7 then strike(account, 1) }"#;
    let data = data(&format!("{FLOOD}{more}"));
    let server = Server::start(&data.path).await;
    let mut live = std::collections::BTreeMap::<String, u64>::new();
    for batch in 0..10 {
        let events: Vec<Value> = (0..20)
            .map(|n| {
                post(
                    &format!("{batch}-{n}"),
                    &format!("a{}", n % 7),
                    300 - 20 * batch - n,
                )
            })
            .collect();
        for fired in send(&server, &events).await.into_iter().flatten() {
            let rule = fired.split(' ').next().unwrap();
            *live.entry(rule.to_owned()).or_default() += 1;
        }
    }
    let report: Value =
        serde_json::from_str(&data.run(&["rules", "backtest", "--since", "1d", "--json"])).unwrap();
    assert_eq!(report["events"], 200);
    assert_eq!(report["accounts"], 7);
    let mut tried = std::collections::BTreeMap::<String, u64>::new();
    for rule in report["rules"].as_array().unwrap() {
        let events = rule["events"].as_u64().unwrap();
        if events > 0 {
            tried.insert(rule["rule"].as_str().unwrap().to_owned(), events);
        }
    }
    assert_eq!(tried, live);
    assert!(
        live["watched"] == 7 && live["flood"] > 100 && live["share"] > 50,
        "{live:?}"
    );
    let flood = report["rules"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["rule"] == "flood")
        .unwrap();
    assert_eq!(
        flood["by_effect"],
        json!({ "label": live["flood"], "restrict": live["flood"] })
    );
    assert_eq!(flood["samples"].as_array().unwrap().len(), 20);

    // The same rules on both sides are no difference; a threshold moved is one.
    let rules = data.path.join("rules");
    let rules = rules.to_str().unwrap();
    let other = data.path.join("other");
    std::fs::create_dir(&other).unwrap();
    let moved = format!("{FLOOD}{more}").replace("burst > 3", "burst > 4");
    std::fs::write(other.join("a.rules"), moved).unwrap();
    let path = data.path.to_str().unwrap();
    let same = run(&[
        "rules", "diff", rules, rules, "--since", "1d", "--json", "--data", path,
    ]);
    assert_eq!(same.status.code(), Some(1), "nothing differs");
    let other = other.to_str().unwrap();
    let report: Value = serde_json::from_str(
        &data.run(&["rules", "diff", rules, other, "--since", "1d", "--json"]),
    )
    .unwrap();
    let (added, removed) = (
        &report["difference"]["added"],
        &report["difference"]["removed"],
    );
    // Of each account the fourth post is no longer the first to be too many.
    assert_eq!(
        (&added["events"], &removed["events"]),
        (&json!(0), &json!(7))
    );
    assert_eq!(removed["by_effect"]["restrict"], 7);
}

#[tokio::test]
async fn a_rule_that_acts_too_often_is_stopped_and_people_are_told() {
    let data = data(&FLOOD.replace("when burst", "limit 2 per hour when burst"));
    let platform = Platform::start(Manner::Obliging).await;
    platform.configure(&data.path, "");
    let server = Server::start(&data.path).await;
    send(&server, &posts(0..3, "a")).await;
    let fired = send(&server, &posts(3..7, "a")).await.concat();
    let held = "flood shadow rule_limit".to_owned();
    assert_eq!(
        fired,
        [
            "flood live".into(),
            "flood live".into(),
            held.clone(),
            held.clone()
        ]
    );
    let stops = data.run(&["rules", "stops"]);
    assert!(
        stops.contains("flood  since") && stops.contains("acted on 2 events"),
        "{stops}"
    );
    let told = || {
        let arrived = platform.arrived();
        let mut actions = arrived
            .iter()
            .map(|(_, payload)| &payload["data"]["action"]);
        actions.any(|it| {
            it["kind"] == "notify" && it["target"] == json!({ "type": "rule", "id": "flood" })
        })
    };
    eventually("the platform is told", told).await;
    let restricted = platform.arrived();
    let action = restricted.iter().map(|(_, it)| &it["data"]["action"]);
    let action = action.clone().find(|it| it["kind"] == "restrict").unwrap();
    assert_eq!(action["rule"], "flood");
    assert_eq!(
        action["reasons"],
        json!({ "und": "Too many posts within an hour.", "de": "Zu viele Beiträge in einer Stunde." })
    );
    // It stays stopped over a crash, until somebody says why it may act again.
    server.kill();
    let server = Server::start(&data.path).await;
    assert_eq!(send(&server, &posts(7..8, "a")).await, [[held]]);
    data.run(&[
        "rules",
        "reset",
        "flood",
        "--note",
        "the threshold is right",
    ]);
    assert_eq!(
        send(&server, &posts(8..9, "a")).await,
        [["flood live".to_owned()]]
    );
    let again = run(&[
        "rules",
        "reset",
        "flood",
        "--note",
        "x",
        "--data",
        data.path.to_str().unwrap(),
    ]);
    assert_eq!(again.status.code(), Some(1));
    assert!(data.run(&["audit", "verify"]).contains("everything agrees"));
}

#[tokio::test]
async fn sets_are_asked_as_operators_change_them() {
    let data = data(
        r#"rule stranger { on post.created policy p reason "r"
           when not account.id in set("trusted") then label(content, "stranger") }"#,
    );
    let server = Server::start(&data.path).await;
    let nothing: [String; 0] = [];
    assert_eq!(
        send(&server, &posts(0..1, "a")).await,
        [nothing],
        "nobody keeps such a set"
    );
    data.run(&["set", "create", "trusted"]);
    let mut next = 0;
    comes_to(&server, "a", &mut next, &["stranger live"]).await;
    data.run(&["set", "add", "trusted", "a", "--note", "known"]);
    comes_to(&server, "a", &mut next, &[]).await;
    data.run(&["set", "remove", "trusted", "a"]);
    comes_to(&server, "a", &mut next, &["stranger live"]).await;
    let shown = data.run(&["set", "show", "trusted", "--json"]);
    assert!(shown.contains("\"removed_at\":\"20"), "{shown}");
}

#[tokio::test]
async fn an_event_is_looked_at_part_by_part() {
    let data = data(&FLOOD.replace("when burst", "once per account.id over 1h when burst"));
    let server = Server::start(&data.path).await;
    send(&server, &posts(0..5, "a")).await;
    let eval = |arguments: &[&str]| data.run(&[&["rules", "eval"], arguments].concat());
    let kept = eval(&["--source", "forum.example", "4"]);
    assert!(
        kept.contains(
            "rule flood (live) fires, unless it has already: once per account.id over 1h\n"
        ) && kept.contains("burst = 5"),
        "{kept}"
    );
    let output = run(&[
        "rules",
        "eval",
        "--source",
        "forum.example",
        "2",
        "--data",
        data.path.to_str().unwrap(),
    ]);
    let earlier = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        earlier.contains("does not fire") && earlier.contains("burst = 3"),
        "{earlier}"
    );
    let file = data.path.join("event.json");
    std::fs::write(&file, post("new", "a", 0).to_string()).unwrap();
    let new = eval(&[file.to_str().unwrap(), "--json"]);
    let line: Value = serde_json::from_str(new.lines().last().unwrap()).unwrap();
    assert_eq!(
        line["lines"][1],
        json!({ "depth": 1, "expression": "burst", "value": "6" })
    );
    let wrong = |text: &str, says: &str| {
        std::fs::write(&file, text).unwrap();
        let path = data.path.to_str().unwrap();
        let output = run(&["rules", "eval", file.to_str().unwrap(), "--data", path]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    };
    wrong("{", "EOF");
    wrong(r#"{"id":"1"}"#, "source");
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the server's clock is the machine's"
)]
async fn a_back_test_reads_well_in_a_terminal() {
    let quiet = r#"rule quiet { on post.created policy p reason "r" when content.text == "x" then remove(content) }"#;
    let data = data(&format!(
        r#"{quiet}
        rule resting {{ mode off policy p reason "r" when content.text.size() > 5 then remove(content) }}
        rule all {{
          mode draft
          on post.created
          policy spam
          reason "r"
          when content.text.size() > 5
          then restrict(content, for: 1h), label(content, "looked_at_by_the_rule"), enqueue("spam", priority: 3)
        }}"#
    ));
    let server = Server::start(&data.path).await;
    let aged = |id: &str, days: Option<i64>| {
        let mut event = post(id, &format!("a-{id}"), 60);
        event["content"]["text"] = json!("\u{1b}[31mtea at four ".repeat(20));
        if let Some(days) = days {
            let created_at = Timestamp::now() - SignedDuration::from_hours(24 * days);
            event["account"]["created_at"] = json!(created_at.to_string());
        }
        event
    };
    let ages = [None, Some(3), Some(400), Some(0), Some(10), Some(3)]
        .into_iter()
        .enumerate();
    let events: Vec<Value> = ages.map(|(id, days)| aged(&id.to_string(), days)).collect();
    send(&server, &events).await;
    let shown = data.run(&["rules", "backtest", "--since", "1d"]);
    for line in shown.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(!shown.contains('\u{1b}'), "{shown}");
    let ages =
        "  account age  under 1 day 1, 1 to 7 days 2, 7 to 30 days 1, over 365 days 1, unknown 1";
    let says = |line: &str| {
        let is_there = shown.lines().any(|it| it == line);
        assert!(is_there, "no `{line}` in\n{shown}");
    };
    says("rule all (draft): on 6 of 6 events, of 6 accounts");
    says(ages);
    says("    enqueue(content p-0, \"spam\", priority: 3)");
    says("fires on no event: undecodable_media, unavailable_media, quiet, resting (off)");
    let json = data.run(&["rules", "backtest", "--since", "1d", "--json"]);
    let in_order = "{\"under 1 day\":1,\"1 to 7 days\":2,\"7 to 30 days\":1,\"over 365 days\":1,\"unknown\":1}";
    assert!(json.contains(in_order), "{json}");
    let none = data.run(&["rules", "backtest", "--since", "1d", "--samples", "0"]);
    assert!(!none.contains("p-0"), "{none}");
    // What comes with Manara is not counted among one's own files.
    let rules = data.path.join("rules");
    let checked = run_ok(&["rules", "check", rules.to_str().unwrap()]);
    assert_eq!(checked, "3 rules in 1 file are in order\n");
}

#[test]
fn what_cannot_be_tried_is_said() {
    let data = data(FLOOD);
    let path = data.path.to_str().unwrap();
    let refused = |arguments: &[&str], says: &str| {
        let output = run(&[&["rules"], arguments, &["--data", path]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    };
    refused(&["backtest"], "holds no Manara database");
    data.run(&["set", "create", "x"]);
    refused(
        &["backtest", "--since", "soon"],
        "neither a duration nor a time",
    );
    refused(
        &["backtest", "--since=-7d"],
        "neither a duration nor a time",
    );
    refused(&["backtest", "--rule", "flod"], "there is no rule flod");
    refused(&["diff", "nowhere", "rules"], "there is no nowhere");
    refused(&["reset", "Not A Rule", "--note", "x"], "is not a name");
    let rules = Path::new(path).join("rules");
    std::fs::write(
        rules.join("schema.toml"),
        "[attributes]\nrisk = \"flaot\"\n",
    )
    .unwrap();
    let output = run(&["rules", "check", rules.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && said.contains("schema.toml:2"),
        "{said}"
    );
}
