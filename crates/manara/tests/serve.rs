//! The running server, over HTTP, as a client meets it.

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
