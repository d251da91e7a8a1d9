//! The running server, over HTTP, as a client meets it.

mod cli_support;
mod common;

use common::{
    KEY, Manner, Platform, Server, eventually, eventually_async, manara, post_event, run, run_ok,
    with_slogan_rule,
};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

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

#[tokio::test]
async fn a_post_with_a_slogan_is_answered_with_actions_and_evidence() {
    let data = data();
    let server = Server::start(&data.path).await;
    let (status, answer) = server
        .events(&post_event("1", "R\u{200b}ise under the GREY bannеr"))
        .await;
    assert_eq!(status, 200, "{answer}");
    let kinds: Vec<_> = answer["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["remove", "strike", "enqueue"]);
    assert_eq!(
        answer["actions"][0]["target"],
        json!({"type": "content", "id": "p-1"})
    );
    let because = &answer["verdicts"][0]["because"][0];
    assert_eq!(because["bank"], "SLOGANS");
    assert_eq!(because["field"], "content.text");
    assert_eq!(answer["verdicts"][0]["version"], 1);
}

#[tokio::test]
async fn sent_twice_is_answered_the_same_and_done_once() {
    let data = data();
    let server = Server::start(&data.path).await;
    let event = post_event("1", "rise under the grey banner");
    let (_, first) = server.events(&event).await;
    // Another spelling of the same JSON is the same event.
    let (status, text) = server
        .post(
            "application/json",
            serde_json::to_string_pretty(&event).unwrap(),
        )
        .await;
    let again: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status, 200);
    assert_eq!(
        (&again["decision"], &again["duplicate"]),
        (&first["decision"], &json!(true))
    );
    assert_eq!(again["actions"], first["actions"]);

    let (status, problem) = server.events(&post_event("1", "something else")).await;
    assert_eq!(status, 409, "{problem}");
    assert_eq!(problem["type"], "/problems/conflicting-duplicate");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("both are kept"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_bad_event_does_not_take_its_batch_with_it() {
    let data = data();
    let server = Server::start(&data.path).await;
    let mut future = post_event("3", "x");
    future["time"] = json!("2099-01-01T00:00:00Z");
    let mut unknown = post_event("4", "x");
    unknown["type"] = json!("post.pinned");
    let batch =
        json!([post_event("1", "x"), {"id": "2"}, future, unknown, post_event("1", "x"), 17]);
    let (status, answers) = server.events(&batch).await;
    assert_eq!(status, 200);
    assert_eq!(answers[0]["id"], "1");
    assert_eq!(answers[1]["problem"]["status"], 422);
    assert_eq!(answers[2]["problem"]["field"], "time");
    assert_eq!(answers[2]["problem"]["id"], "3");
    assert!(
        answers[3]["warnings"][0]
            .as_str()
            .unwrap()
            .contains("post.pinned"),
        "{answers}"
    );
    assert_eq!(answers[4]["duplicate"], true);
    assert_eq!(answers[5]["problem"]["status"], 422);
}

#[tokio::test]
async fn a_stream_is_answered_line_by_line() {
    let data = data();
    let server = Server::start(&data.path).await;
    let mut body = String::new();
    for i in 0..250 {
        body.push_str(&post_event(&i.to_string(), "x").to_string());
        body.push('\n');
        if i == 100 {
            body.push_str("{nonsense\n\n");
        }
    }
    let (status, text) = server.post("application/x-ndjson", body).await;
    assert_eq!(status, 200);
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 251);
    assert_eq!(lines[101]["problem"]["status"], 422);
    assert_eq!(
        (&lines[100]["id"], &lines[102]["id"]),
        (&json!("100"), &json!("101"))
    );
}

/// Sends bad events between good ones, in one stream: each is named, and the good ones are kept.
#[tokio::test]
async fn a_bad_text_costs_no_other_event() {
    let data = data();
    let server = Server::start(&data.path).await;
    let ids = std::cell::Cell::new(0);
    let event = |text: &[u8]| -> Vec<u8> {
        ids.set(ids.get() + 1);
        let id = ids.get();
        let head = format!(
            r#"{{"id":"{id}","source":"t.example","type":"post.created","time":"2026-11-22T10:15:00Z","content":{{"id":"p","text":""#
        );
        [head.as_bytes(), text, b"\"}}"].concat()
    };
    let long = vec![b'a'; 10_000_000];
    let marks = format!("a{}", "\u{301}".repeat(1000));
    let surrogate = "an escape from \\ud800 to \\udfff stands alone";
    let texts: [(&[u8], &str, &str); 6] = [
        (
            &long,
            "content.text",
            "10000000 bytes long, the limit is 65536",
        ),
        (b"half \\ud800 of one", "content.text", surrogate),
        (b"\\udc00", "content.text", surrogate),
        (b"\xff\xfe", "", "not UTF-8 from byte"),
        (marks.as_bytes(), "", ""),
        (b"\\ud83d\\ude00", "", ""),
    ];
    let mut body = Vec::new();
    for (text, ..) in &texts {
        for text in [*text, b"in between"] {
            body.extend(event(text));
            body.push(b'\n');
        }
    }
    let (status, answers) = server.post("application/x-ndjson", body).await;
    assert_eq!(status, 200);
    let answers: Vec<Value> = answers
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(answers.len(), 2 * texts.len());
    for (pair, (_, field, detail)) in answers.chunks(2).zip(&texts) {
        let problem = &pair[0]["problem"];
        assert_eq!(problem["field"].as_str().unwrap_or_default(), *field);
        let told = problem["detail"].as_str().unwrap_or_default();
        assert!(
            told.starts_with(detail) && told.is_empty() == detail.is_empty(),
            "{told}"
        );
        assert!(pair[1]["decision"].is_string(), "{}", pair[1]);
    }
}

#[tokio::test]
async fn wrong_requests_are_told_what_to_do() {
    let data = data();
    let server = Server::start(&data.path).await;
    let client = common::client();
    let url = server.url("/api/v1/events");
    let status = |response: reqwest::Response| response.status().as_u16();
    assert_eq!(
        status(client.post(&url).body("{}").send().await.unwrap()),
        401
    );
    assert_eq!(
        status(
            client
                .post(&url)
                .bearer_auth("wrong")
                .body("{}")
                .send()
                .await
                .unwrap()
        ),
        401
    );
    assert_eq!(
        status(
            client
                .post(&url)
                .bearer_auth(KEY)
                .body("{}")
                .send()
                .await
                .unwrap()
        ),
        415
    );
    assert_eq!(
        status(client.get(&url).bearer_auth(KEY).send().await.unwrap()),
        405
    );

    for (body, status, says) in [
        ("", 422, "a JSON object"),
        ("[1,", 400, "not JSON"),
        ("{\"id\":\"\u{0}\"}", 422, "control character"),
        ("nonsense", 422, "a JSON object"),
        ("{nonsense", 422, "key must be"),
    ] {
        let (found, text) = server.post("application/json", body).await;
        assert_eq!(found, status, "{body}: {text}");
        assert!(text.contains(says), "{body}: {text}");
    }
    let (found, text) = server
        .post("application/json", b"[\"\xff\"]".to_vec())
        .await;
    assert!(found == 400 && text.contains("not UTF-8"), "{text}");
    let deep = format!("{{\"id\":{}", "[".repeat(10_000));
    let (found, text) = server.post("application/json", deep).await;
    assert_eq!(found, 422, "{text}");
    let many = Value::Array((0..1001).map(|i| post_event(&i.to_string(), "x")).collect());
    let (found, text) = server.post("application/json", many.to_string()).await;
    assert!(found == 413 && text.contains("the limit is 1000"), "{text}");
    assert_eq!(server.get("/healthz").await, (200, "ok\n".into()));
}

#[tokio::test]
async fn a_body_of_100_mb_is_refused_and_the_server_goes_on() {
    let data = data();
    let server = Server::start(&data.path).await;
    let refused = server
        .try_post("application/json", vec![b' '; 100 * 1024 * 1024])
        .await;
    // The server may close the connection before the client has sent everything.
    if let Ok((status, text)) = refused {
        assert_eq!(status, 413, "{text}");
    }
    assert_eq!(server.events(&post_event("1", "x")).await.0, 200);
}

#[tokio::test]
async fn media_that_cannot_be_decoded_goes_to_review() {
    let data = data();
    let server = Server::start(&data.path).await;
    for (i, bytes) in hostile_images().into_iter().enumerate() {
        let mut event = post_event(&i.to_string(), "x");
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        event["content"]["media"] = json!([{ "id": "m", "kind": "image", "data": encoded }]);
        let (status, answer) = server.events(&event).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            answer["actions"][0]["kind"], "enqueue",
            "image {i}: {answer}"
        );
        assert_eq!(
            answer["actions"][0]["queue"], "undecodable",
            "image {i}: {answer}"
        );
    }
}

fn hostile_images() -> Vec<Vec<u8>> {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend(60_000_u32.to_be_bytes());
    png.extend(60_000_u32.to_be_bytes());
    png.extend([1, 0, 0, 0, 0, 0, 0, 0, 0]);
    vec![
        png,
        b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec(),
        b"GIF89a".to_vec(),
        vec![],
        b"not an image".to_vec(),
    ]
}

#[tokio::test]
async fn media_urls_into_the_own_network_are_not_fetched() {
    let data = data();
    let server = Server::start(&data.path).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move { listener.accept().await });
    for (i, url) in [
        format!("http://{own}/x.png"),
        "http://169.254.169.254/latest/meta-data".into(),
        "http://[::1]/x".into(),
        "file:///etc/passwd".into(),
    ]
    .iter()
    .enumerate()
    {
        let mut event = post_event(&i.to_string(), "x");
        event["content"]["media"] = json!([{ "id": "m", "kind": "image", "url": url }]);
        let (status, answer) = server.events(&event).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            answer["verdicts"][0]["rule"], "unavailable_media",
            "{url}: {answer}"
        );
    }
    assert!(
        !asked.is_finished(),
        "the server connected to its own network"
    );
}

#[tokio::test]
async fn a_bank_changed_by_the_command_line_holds_without_a_restart() {
    let data = data();
    let server = Server::start(&data.path).await;
    let path = data.path.to_str().unwrap();
    let mut posts = 0;
    let mut acts = async || {
        posts += 1;
        let event = post_event(&posts.to_string(), "a brand new slogan");
        let (_, answer) = server.events(&event).await;
        !answer["actions"].as_array().unwrap().is_empty()
    };
    assert!(!acts().await);
    run_ok(&[
        "bank",
        "add",
        "--data",
        path,
        "SLOGANS",
        "text",
        "a brand new slogan",
    ]);
    eventually_async("it is found once added", &mut acts).await;
    run_ok(&["bank", "disable", "--data", path, "SLOGANS"]);
    eventually_async("it is not found in a disabled bank", async || !acts().await).await;
    run_ok(&["bank", "enable", "--data", path, "SLOGANS"]);
    eventually_async("it is found in an enabled bank", &mut acts).await;
    assert!(server.stop().success());
    let verified = run(&["audit", "verify", "--data", path]);
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stdout)
    );
}

/// A drawing, and its PNG as an event's medium.
fn picture(name: &str, image: &image::RgbImage) -> Value {
    let mut png = std::io::Cursor::new(Vec::new());
    image
        .write_to(&mut png, image::ImageFormat::Png)
        .expect("a PNG");
    let encoded =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png.into_inner());
    json!({ "id": name, "kind": "image", "data": encoded })
}

#[tokio::test]
async fn a_mirrored_image_matches_while_its_bank_asks_and_the_evidence_shows_the_form() {
    let data = data();
    let path = data.path.to_str().unwrap();
    let banked = cli_support::drawing(3, 320, 200);
    let file = data.path.join("banked.png");
    banked.save(&file).unwrap();
    run_ok(&["bank", "create", "--data", path, "IMAGES"]);
    let file = file.to_str().unwrap();
    run_ok(&["bank", "add", "--data", path, "IMAGES", "--file", file]);
    std::fs::write(
        data.path.join("rules/images.rules"),
        r#"rule mirrored {
  on post.created
  policy tvec_known
  reason "This post holds a known image, mirrored."
  when bank("IMAGES").form(content.media) == "flip_y"
  then enqueue("tvec")
}
"#,
    )
    .unwrap();
    let server = Server::start(&data.path).await;
    let mirrored = picture("m-1", &image::imageops::flip_horizontal(&banked));
    let mut posts = 0;
    let mut matched = async || {
        posts += 1;
        let mut event = post_event(&posts.to_string(), "x");
        event["content"]["media"] = json!([mirrored]);
        let (status, answer) = server.events(&event).await;
        assert_eq!(status, 200, "{answer}");
        answer["verdicts"][0]["because"][0].clone()
    };
    let found = matched().await;
    assert_eq!(found["form"], "flip_y", "{found}");
    assert_eq!(found["form_hash"].as_str().unwrap().len(), 64);
    assert!(found["distance"].as_u64().unwrap() <= 31, "{found}");
    let turned = "manara_image_lookups_total{form=\"dihedral\"} 7";
    let (_, metrics) = server.get("/metrics").await;
    assert!(metrics.contains(turned), "{metrics}");

    run_ok(&["bank", "set", "--data", path, "IMAGES", "--dihedral", "off"]);
    eventually_async("it no longer matches", async || matched().await.is_null()).await;
    let (_, before) = server.get("/metrics").await;
    assert!(matched().await.is_null());
    // Nobody asks, so the other forms are not looked up.
    let dihedral = |metrics: &str| {
        let line = metrics.lines().find(|line| line.contains("\"dihedral\""));
        line.unwrap().to_owned()
    };
    let (_, after) = server.get("/metrics").await;
    assert_eq!(dihedral(&before), dihedral(&after));
    run_ok(&["bank", "set", "--data", path, "IMAGES", "--dihedral", "on"]);
    eventually_async("it matches again", async || !matched().await.is_null()).await;
}

#[tokio::test]
async fn an_image_with_nothing_in_it_is_not_looked_up_and_the_answer_says_so() {
    let data = data();
    let server = Server::start(&data.path).await;
    let flat = image::RgbImage::from_pixel(64, 48, image::Rgb([90; 3]));
    let mut event = post_event("1", "x");
    event["content"]["media"] = json!([
        picture("m-1", &cli_support::drawing(1, 64, 48)),
        picture("m-2", &flat),
        { "id": "m-3", "kind": "image", "signals": { "pdq": "0A".repeat(32) }, "quality": 49 },
    ]);
    let (status, answer) = server.events(&event).await;
    assert_eq!(status, 200, "{answer}");
    let warnings = answer["warnings"].as_array().unwrap();
    for (warning, says) in warnings.iter().zip([
        "content.media[1]: its pdq has quality 0, under 50",
        "content.media[2]: its pdq has quality 49, under 50",
    ]) {
        assert!(warning.as_str().unwrap().contains(says), "{answer}");
    }
    assert_eq!(warnings.len(), 2, "{answer}");

    for (hash, says) in [("0a".repeat(31), "this has 62"), ("g".repeat(64), "`g`")] {
        event["id"] = json!(says);
        event["content"]["media"][2]["signals"]["pdq"] = json!(hash);
        let (status, problem) = server.events(&event).await;
        assert_eq!(status, 422, "{problem}");
        assert_eq!(problem["field"], "content.media[2].signals.pdq");
        assert!(
            problem["detail"].as_str().unwrap().contains(says),
            "{problem}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_are_looked_up_in_order_and_nothing_is_kept() {
    let data = data();
    let path = data.path.to_str().unwrap();
    let (zero, near) = ("0".repeat(64), format!("{}f", "0".repeat(63)));
    run_ok(&["bank", "create", "--data", path, "IMAGES"]);
    let add = |ty: &str, value: &str| {
        let added = run_ok(&["bank", "add", "--data", path, "IMAGES", ty, value]);
        added.trim().parse::<i64>().unwrap()
    };
    let (pdq, sha256) = (add("pdq", &zero), add("sha256", &zero));
    let url = add("url", "https://banner.example/join");
    let server = Server::start(&data.path).await;
    let asked = json!({"signals": [
        { "type": "pdq", "value": near.to_uppercase(), "quality": 87 },
        { "type": "sha256", "value": zero },
        { "type": "text", "value": "RISE under the gr\u{200b}ey banner at banner.example/join" },
        { "type": "url", "value": "http://www.banner.example/join" },
        { "type": "pdq", "value": zero, "quality": 49 },
        { "type": "md5", "value": "0".repeat(32) },
    ]});
    let (status, answer) = server.lookup(&asked).await;
    assert_eq!(status, 200, "{answer}");
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 6);
    let found = |at: usize| -> Vec<Value> {
        let matches = results[at]["matches"].as_array().unwrap().iter();
        matches
            .map(|m| json!([m["bank"], m["member"], m["distance"]]))
            .collect()
    };
    assert_eq!(found(0), [json!(["IMAGES", pdq, 4])]);
    assert_eq!(found(1), [json!(["IMAGES", sha256, 0])]);
    assert_eq!(
        found(2),
        [json!(["IMAGES", url, 0]), json!(["SLOGANS", 1, 0])]
    );
    assert_eq!(found(3), [json!(["IMAGES", url, 0])]);
    assert_eq!(results[4]["not_looked_up"], "quality");
    assert!(
        results[4]["detail"]
            .as_str()
            .unwrap()
            .contains("quality 49 is under 50")
    );
    assert!(found(4).is_empty() && found(5).is_empty());
    let (_, narrow) = server
        .lookup(&json!({"signals": [asked["signals"][0]], "distance": 3}))
        .await;
    assert_eq!(narrow, json!({"results": [{"matches": []}]}));

    let (status, problem) = server
        .lookup(&json!({"signals": [asked["signals"][1], {"type": "pdq", "value": "00"}]}))
        .await;
    assert_eq!(
        (status, &problem["field"]),
        (422, &json!("signals[1].value"))
    );
    assert_eq!(problem["type"], "/problems/invalid-lookup");
    assert_eq!(server.get("/problems/invalid-lookup").await.0, 200);
    let signals = vec![asked["signals"][1].clone(); 1001];
    let (status, problem) = server.lookup(&json!({ "signals": signals })).await;
    assert_eq!((status, &problem["field"]), (413, &json!("signals")));
    let (status, answer) = server.lookup(&json!({ "signals": signals[..1000] })).await;
    assert_eq!(
        (status, answer["results"].as_array().unwrap().len()),
        (200, 1000)
    );
    let client = common::client();
    let request = || client.post(server.url("/api/v1/lookup")).body("{}");
    let status = |response: reqwest::Response| response.status().as_u16();
    assert_eq!(status(request().send().await.unwrap()), 401);
    assert_eq!(
        status(request().bearer_auth(KEY).send().await.unwrap()),
        415
    );

    // A member that comes and goes while others ask.
    let busy = async {
        for _ in 0..40 {
            assert_eq!(server.lookup(&asked).await.0, 200);
        }
    };
    let coming_and_going = async {
        let text = json!({"signals": [{"type": "text", "value": "a brand new slogan"}]});
        let is_found = async || {
            let (_, answer) = server.lookup(&text).await;
            !answer["results"][0]["matches"]
                .as_array()
                .unwrap()
                .is_empty()
        };
        let slogan = ["text", "a brand new slogan"];
        let arguments = [&["bank", "add", "--data", path, "SLOGANS"][..], &slogan].concat();
        let member = tokio::task::block_in_place(|| run_ok(&arguments));
        eventually_async("it is found", is_found).await;
        let arguments = ["bank", "remove", "--data", path, "SLOGANS", member.trim()];
        tokio::task::block_in_place(|| run_ok(&arguments));
        eventually_async("it is gone", async || !is_found().await).await;
        assert!(!is_found().await, "once gone, it stays so");
    };
    tokio::join!(busy, coming_and_going);
    let (_, metrics) = server.get("/metrics").await;
    assert!(metrics.contains("manara_events 0"), "{metrics}");
    assert!(
        metrics.contains("manara_signals_looked_up_total"),
        "{metrics}"
    );
}

#[tokio::test]
async fn rules_are_reloaded_and_a_broken_folder_leaves_the_old_ones() {
    let data = data();
    let server = Server::start(&data.path).await;
    let file = data.path.join("rules/slogans.rules");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "rule half {").unwrap();
    eventually("the problem is shown", || {
        server
            .stderr
            .lock()
            .unwrap()
            .contains("earlier rules stay in force")
    })
    .await;
    let (_, answer) = server
        .events(&post_event("1", "rise under the grey banner"))
        .await;
    assert_eq!(answer["verdicts"][0]["version"], 1, "{answer}");
    let (_, metrics) = server.get("/metrics").await;
    assert!(metrics.contains("manara_rules_refused 1"), "{metrics}");

    std::fs::write(
        &file,
        good.replace("strike(account, 1)", "strike(account, 2)"),
    )
    .unwrap();
    let mut posts = 1;
    eventually_async("the rule as it is now is in force", async || {
        posts += 1;
        let event = post_event(&posts.to_string(), "rise under the grey banner");
        let (_, answer) = server.events(&event).await;
        answer["verdicts"][0]["version"] == 2 && answer["actions"][1]["weight"] == 2
    })
    .await;
}

#[tokio::test]
async fn two_servers_on_one_directory_and_a_newer_database_are_refused() {
    let data = data();
    let server = Server::start(&data.path).await;
    let path = data.path.to_str().unwrap();
    let second = run(&["serve", "--data", path, "--listen", "127.0.0.1:0"]);
    let stderr = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(2));
    assert!(
        stderr.contains(&format!("process {}", server.child.id()))
            && stderr.contains(&server.address),
        "{stderr}"
    );
    assert!(server.stop().success());

    // SQLite keeps the version that `PRAGMA user_version` sets in bytes 60 to 63 of the file.
    let file = data.path.join("manara.db");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[60..64].copy_from_slice(&60_000_u32.to_be_bytes());
    std::fs::write(&file, bytes).unwrap();
    let refused = run(&["serve", "--data", path, "--listen", "127.0.0.1:0"]);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("newer Manara"), "{stderr}");
}

#[tokio::test]
async fn a_full_database_refuses_and_keeps_what_it_has() {
    let data = data();
    std::fs::write(
        data.path.join("manara.toml"),
        "[limits]\ndatabase_bytes = 1000000\n",
    )
    .unwrap();
    let server = Server::start(&data.path).await;
    let mut accepted = 0;
    let full = loop {
        let batch: Vec<Value> = (0..50)
            .map(|i| post_event(&format!("{accepted}-{i}"), &"x".repeat(500)))
            .collect();
        let (status, answer) = server.events(&Value::Array(batch)).await;
        if status != 200 {
            break (status, answer);
        }
        accepted += 1;
        assert!(accepted < 1000, "never full");
    };
    assert_eq!(full.0, 507, "{}", full.1);
    assert!(accepted > 0);
    assert_eq!(server.get("/readyz").await.0, 503);
    eventually("the log says so", || {
        server
            .stderr
            .lock()
            .unwrap()
            .contains("nothing can be kept: the database cannot grow")
    })
    .await;
    let again: Vec<Value> = (0..50)
        .map(|i| post_event(&format!("0-{i}"), &"x".repeat(500)))
        .collect();
    server.stop();

    std::fs::write(data.path.join("manara.toml"), "").unwrap();
    let server = Server::start(&data.path).await;
    let (status, answers) = server.events(&Value::Array(again)).await;
    assert_eq!(status, 200);
    assert!(
        answers
            .as_array()
            .unwrap()
            .iter()
            .all(|a| a["duplicate"] == true),
        "acknowledged and gone"
    );
    assert_eq!(server.events(&post_event("later", "x")).await.0, 200);
}

#[tokio::test]
async fn webhooks_are_retried_under_one_key_until_they_are_dead() {
    let data = data();
    let platform = Platform::start(Manner::Failing(2)).await;
    platform.configure(
        &data.path,
        "first_retry_ms = 20\nattempts_max = 3\ntimeout_ms = 300",
    );
    let server = Server::start(&data.path).await;

    // A receiver that answers 500 and then recovers gets the action once.
    let (_, first) = server
        .events(&post_event("1", "rise under the grey banner"))
        .await;
    eventually("the action arrives", || platform.arrived().len() == 1).await;
    assert_eq!(
        platform.arrived()[0].0,
        first["actions"][0]["id"].as_str().unwrap()
    );

    // One that answers after the timeout sees the same key again.
    platform.behave(Manner::Late(Duration::from_millis(600)));
    server
        .events(&post_event("2", "rise under the grey banner"))
        .await;
    eventually("it is sent again", || platform.arrived().len() == 3).await;
    for (request, keys) in platform.keys_by_request() {
        assert_eq!(keys.len(), 1, "{request} under {keys:?}");
    }

    // One that hangs leaves a dead letter, which is shown.
    platform.behave(Manner::Hanging);
    server
        .events(&post_event("3", "rise under the grey banner"))
        .await;
    eventually_async("there is a dead letter", async || {
        let (_, metrics) = server.get("/metrics").await;
        metrics.contains("manara_outbox_dead 1")
    })
    .await;
}

#[tokio::test]
async fn a_revoked_key_is_useless_without_a_restart() {
    let data = data();
    let path = data.path.to_str().unwrap();
    let key = run_ok(&["key", "create", "--data", path, "--name", "forum"])
        .trim()
        .to_owned();
    let server = Server::start(&data.path).await;
    let send = async |id: &str| {
        let client = common::client();
        let request = client
            .post(server.url("/api/v1/events"))
            .bearer_auth(&key)
            .header("content-type", "application/json");
        request
            .body(post_event(id, "x").to_string())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(send("1").await, 200);
    let id = key.split('_').nth(1).unwrap();
    let revoked = manara(&["key", "revoke", "--data", path, id])
        .output()
        .unwrap();
    assert!(
        revoked.status.success(),
        "{}",
        String::from_utf8_lossy(&revoked.stderr)
    );
    let mut posts = 1;
    eventually_async("the key is refused", async || {
        posts += 1;
        send(&posts.to_string()).await == 401
    })
    .await;
    assert!(
        !std::fs::read(data.path.join("manara.db"))
            .unwrap()
            .windows(key.len())
            .any(|w| w == key.as_bytes())
    );
}
