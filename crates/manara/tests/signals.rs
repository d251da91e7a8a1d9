//! Every signal type on the running server: put into a bank from the command line, found in an event
//! and in a lookup, with the place, the distance and the reason.

mod common;

use common::{Server, run_ok};
use serde_json::{Value, json};
use std::path::PathBuf;

struct Data {
    _temporary: tempfile::TempDir,
    path: PathBuf,
}

const POST: &str =
    "At dawn we carry the grey banner up to the hill above the river, all of us together.";

/// A bank B that holds these members, as 1, 2, …, and a rule that asks for it everywhere.
fn with_members(members: &[(&str, &str, &[&str])]) -> Data {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("data");
    let data = path.to_str().unwrap();
    run_ok(&["bank", "create", "--data", data, "B"]);
    for (signal_type, value, more) in members {
        let arguments = ["bank", "add", "--data", data, "B", signal_type, value];
        run_ok(&[&arguments[..], more].concat());
    }
    std::fs::create_dir_all(path.join("rules")).unwrap();
    let rule = r#"rule anything {
  on post.created
  policy tvec_known
  reason "Something known."
  when bank("B").matches(content) || bank("B").matches(account) || bank("B").matches(space)
  then label(content, "known")
}"#;
    std::fs::write(path.join("rules/anything.rules"), rule).unwrap();
    Data {
        _temporary: temporary,
        path,
    }
}

/// What is found in an event: type, member, distance, where, and how.
async fn found(server: &Server, event: Value) -> Vec<String> {
    let mut event = event;
    event["source"] = json!("forum.example");
    event["type"] = json!("post.created");
    event["time"] = json!("2026-11-22T10:15:00Z");
    let (status, answer) = server.events(&event).await;
    assert_eq!(status, 200, "{answer}");
    let verdicts = answer["verdicts"].as_array().unwrap();
    let because = verdicts
        .iter()
        .flat_map(|v| v["because"].as_array().unwrap());
    let mut found: Vec<String> = because
        .map(|m| {
            let text = |name: &str| m[name].as_str().unwrap_or_default().to_owned();
            let place = match (&m["span"]["start"], &m["span"]["end"]) {
                (Value::Number(start), Value::Number(end)) => format!("[{start}..{end}]"),
                _ => String::new(),
            };
            let (member, distance) = (&m["member"], &m["distance"]);
            let (signal_type, field, how) = (text("signal_type"), text("field"), text("how"));
            format!("{signal_type} {member} at {distance} in {field}{place}: {how}")
        })
        .collect();
    found.sort();
    found
}

fn content(id: &str, text: &str) -> Value {
    json!({"id": id, "content": {"id": "p", "text": text}})
}

#[tokio::test]
async fn phrases_are_found_at_the_level_and_in_the_company_that_was_asked_for() {
    let data = with_members(&[
        ("text", "grey banner", &["--level", "aggressive"]),
        ("text", "rises", &["--near", "ash knights", "--within", "3"]),
        (
            "text",
            "banner",
            &["--scope", "substring", "--not-near", "museum"],
        ),
    ]);
    let server = Server::start(&data.path).await;
    assert_eq!(
        found(&server, content("1", "under the gr3y b4nner")).await,
        ["text 1 at 0 in content.text[10..21]: aggressive: leet 2; read as grey banner"]
    );
    assert_eq!(
        found(&server, content("2", "the sun rises")).await,
        Vec::<String>::new()
    );
    assert_eq!(
        found(&server, content("3", "an ash knights' army rises")).await,
        ["text 2 at 0 in content.text[21..26]: strict"]
    );
    assert_eq!(
        found(
            &server,
            content(
                "4",
                "bannermen; no museum for miles and miles and miles and miles"
            )
        )
        .await
        .len(),
        0
    );
    assert_eq!(
        found(&server, content("5", "the bannermen")).await,
        ["text 3 at 0 in content.text[4..10]: strict"]
    );
}

#[tokio::test]
async fn whole_texts_are_found_again_when_they_were_changed_a_little() {
    let data = with_members(&[("raw_text", POST, &[]), ("similar_text", POST, &[])]);
    let server = Server::start(&data.path).await;
    let typo = POST.replace("grey", "gray").to_uppercase();
    assert_eq!(
        found(&server, content("1", &typo)).await,
        [
            "raw_text 1 at 2 in content.text: 1 of 65 letters differ",
            "similar_text 2 at 19 in content.text: 54 of 66 pieces in common",
        ]
    );
    let longer = format!("Listen. {POST} Pass on.");
    let found_longer = found(&server, content("2", &longer)).await;
    assert_eq!(found_longer.len(), 1, "{found_longer:?}");
    assert!(
        found_longer[0].starts_with("similar_text 2 at "),
        "{found_longer:?}"
    );
    assert!(
        found(
            &server,
            content("3", "At dawn we go fishing, up the river.")
        )
        .await
        .is_empty()
    );
}

#[tokio::test]
async fn links_lead_to_what_they_are_under() {
    let data = with_members(&[
        ("domain", "banner.example", &[]),
        ("url_prefix", "https://video.example/channel/banner/", &[]),
        ("invite", "https://t.me/+AbCdEfGhIjKlMnOp", &[]),
        ("wallet", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", &[]),
    ]);
    let server = Server::start(&data.path).await;
    assert_eq!(
        found(
            &server,
            content(
                "1",
                "see https://cdn.banner[.]example/x and hxxps://video.example/channel/banner/7"
            )
        )
        .await,
        [
            "domain 1 at 0 in content.text[4..34]: ",
            "url_prefix 2 at 0 in content.text[39..77]: ",
        ]
    );
    assert_eq!(
        found(
            &server,
            content(
                "2",
                "tg://join?invite=AbCdEfGhIjKlMnOp pays bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
            )
        )
        .await,
        [
            "invite 3 at 0 in content.text[0..33]: ",
            "wallet 4 at 0 in content.text[39..81]: ",
        ]
    );
    // One letter of the wallet is wrong, and so is its checksum.
    assert!(
        found(
            &server,
            content("3", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5")
        )
        .await
        .is_empty()
    );
    let given = json!({"id": "4", "content": {"id": "p", "links": ["https://t.me/joinchat/AbCdEfGhIjKlMnOp"]}});
    assert_eq!(
        found(&server, given).await,
        ["invite 3 at 0 in content.links[0]: "]
    );
    let (_, answer) = server
        .lookup(&json!({"signals": [{"type": "url", "value": "https://a.b.banner.example/"}, {"type": "domain", "value": "b.banner.example"}]}))
        .await;
    assert_eq!(
        answer["results"][0]["matches"][0]["signal_type"], "domain",
        "{answer}"
    );
    assert_eq!(
        answer["results"][1]["matches"][0]["signal_type"], "domain",
        "{answer}"
    );
}

#[tokio::test]
async fn names_are_found_in_other_spellings_and_slogans_inside_them() {
    let data = with_members(&[
        ("name", "grey_banner", &[]),
        ("name", "راية الرماد", &[]),
        ("text", "rise under the grey banner", &[]),
    ]);
    let server = Server::start(&data.path).await;
    let with = |id: &str, handle: &str| json!({"id": id, "account": {"id": "a", "handle": handle}, "content": {"id": "p", "text": "hello"}});
    assert_eq!(
        found(&server, with("1", "gr3y.banner_backup")).await,
        [
            "name 1 at 15 in account.handle: score 85: digits for letters (3 for e), backup word (backup)"
        ]
    );
    assert_eq!(found(&server, with("2", "rayat_alramad")).await.len(), 1);
    assert_eq!(
        found(&server, with("3", "RiseUnderTheGreyBanner17")).await,
        ["text 3 at 0 in account.handle[0..22]: strict"]
    );
    assert_eq!(
        found(&server, with("4", "xriseunderthegreybannerx")).await,
        ["text 3 at 0 in account.handle[1..23]: in a name: words run together"]
    );
    assert!(found(&server, with("5", "grey_manner")).await.is_empty());
    assert_eq!(
        found(&server, content("6", "ask @grey_banner_2 for it")).await,
        ["name 1 at 12 in content.text[4..18]: score 88: counter differs (none, 2)"]
    );
}
