//! A real server in a process of its own, on a data directory of its own, and a platform to receive its webhooks.
#![allow(
    dead_code,
    reason = "each test binary uses its own part of this module"
)]

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) const KEY: &str = "test-key-0123456789abcdef0123456789";
pub(crate) const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// An HTTP client without proxies.
pub(crate) fn client() -> reqwest::Client {
    // The second test of a binary finds the provider installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The built binary with these arguments.
pub(crate) fn manara(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_manara"));
    command
        .args(arguments)
        .env_remove("MANARA_DATA")
        .env("MANARA_LOG", "warn");
    command
}

/// Runs the binary to its end.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Output {
    manara(arguments).output().expect("the binary starts")
}

/// Runs the binary and expects success.
#[track_caller]
pub(crate) fn run_ok(arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "manara {arguments:?}: {}\n{stderr}",
        output.status
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A server process. Killed when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) stderr: Arc<Mutex<String>>,
    client: reqwest::Client,
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub(crate) async fn start(data: &Path) -> Self {
        Self::start_with(data, &[]).await
    }

    pub(crate) async fn start_with(data: &Path, more: &[&str]) -> Self {
        let mut server = Self::spawn(data, more);
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(response) = server.client.get(server.url("/readyz")).send().await
                && response.status() == 200
            {
                return server;
            }
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!(
                    "the server ended with {status}:\n{}",
                    server.stderr.lock().unwrap()
                );
            }
            assert!(
                Instant::now() < deadline,
                "not ready:\n{}",
                server.stderr.lock().unwrap()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts a server and reads where it listens.
    pub(crate) fn spawn(data: &Path, more: &[&str]) -> Self {
        let data = data.to_str().expect("a UTF-8 path");
        let mut arguments = vec!["serve", "--data", data, "--listen", "127.0.0.1:0"];
        arguments.extend_from_slice(more);
        let mut command = manara(&arguments);
        command
            .env("MANARA_API_KEY", KEY)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let stderr = Arc::new(Mutex::new(String::new()));
        let (lines, kept) = (
            BufReader::new(child.stderr.take().unwrap()),
            Arc::clone(&stderr),
        );
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .map(str::to_owned);
        let address = address.unwrap_or_else(|| {
            std::thread::sleep(Duration::from_millis(200));
            panic!("no address in `{line}`:\n{}", stderr.lock().unwrap())
        });
        Self {
            child,
            address,
            stderr,
            client: client(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = self.client.get(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Posts to the events endpoint with the seeded key.
    pub(crate) async fn post(
        &self,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> (u16, String) {
        self.try_post(content_type, body).await.unwrap()
    }

    pub(crate) async fn try_post(
        &self,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Result<(u16, String)> {
        let request = self
            .client
            .post(self.url("/api/v1/events"))
            .bearer_auth(KEY)
            .header("content-type", content_type);
        let response = request.body(body).send().await?;
        let status = response.status().as_u16();
        Ok((status, response.text().await?))
    }

    /// Posts JSON and reads JSON.
    pub(crate) async fn events(&self, body: &Value) -> (u16, Value) {
        let (status, text) = self.post("application/json", body.to_string()).await;
        (
            status,
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}")),
        )
    }

    /// Looks signals up.
    pub(crate) async fn lookup(&self, body: &Value) -> (u16, Value) {
        let request = self.client.post(self.url("/api/v1/lookup"));
        let request = request
            .bearer_auth(KEY)
            .header("content-type", "application/json");
        let response = request.body(body.to_string()).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).expect(&text))
    }

    /// Ends the process at once, as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to end and waits for it.
    pub(crate) fn stop(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A post by an account, with a text.
pub(crate) fn post_event(id: &str, text: &str) -> Value {
    json!({
        "id": id, "source": "forum.example", "type": "post.created", "time": "2026-11-22T10:15:00Z",
        "account": { "id": format!("a-{id}"), "handle": "someone", "created_at": "2026-11-22T10:01:00Z" },
        "content": { "id": format!("p-{id}"), "text": text },
    })
}

/// How a webhook receiver behaves.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Manner {
    Obliging,
    /// Answers 500 so often, then obliges.
    Failing(u32),
    /// Does the work and answers after the sender has given up, once; then obliges.
    Late(Duration),
    Hanging,
}

/// The platform's side: what arrived under which key, and how often.
#[derive(Clone)]
pub(crate) struct Platform {
    pub(crate) url: String,
    state: Arc<Mutex<PlatformState>>,
}

struct PlatformState {
    manner: Manner,
    arrived: Vec<(String, Value)>,
}

impl Platform {
    pub(crate) async fn start(manner: Manner) -> Self {
        let state = Arc::new(Mutex::new(PlatformState {
            manner,
            arrived: vec![],
        }));
        let app = Router::new()
            .route("/hook", post(receive))
            .with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, state }
    }

    pub(crate) fn behave(&self, manner: Manner) {
        self.state.lock().unwrap().manner = manner;
    }

    /// Every delivery: key and payload.
    pub(crate) fn arrived(&self) -> Vec<(String, Value)> {
        self.state.lock().unwrap().arrived.clone()
    }

    /// For each thing asked for, the keys it was asked for under.
    pub(crate) fn keys_by_request(&self) -> HashMap<String, Vec<String>> {
        let mut keys: HashMap<String, Vec<String>> = HashMap::new();
        for (key, payload) in self.arrived() {
            let action = &payload["data"]["action"];
            let request = format!("{} {}", action["kind"], action["target"]);
            let known = keys.entry(request).or_default();
            if !known.contains(&key) {
                known.push(key);
            }
        }
        keys
    }

    /// Writes a configuration that sends actions here.
    pub(crate) fn configure(&self, data: &Path, delivery: &str) -> PathBuf {
        let file = data.join("manara.toml");
        std::fs::create_dir_all(data).unwrap();
        let text = format!(
            "[delivery]\n{delivery}\n[[webhook]]\nname = \"forum\"\nurl = \"{}\"\nsecret = \"{SECRET}\"\n",
            self.url
        );
        std::fs::write(&file, text).unwrap();
        file
    }
}

async fn receive(
    State(state): State<Arc<Mutex<PlatformState>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let signer = standardwebhooks::Webhook::new(SECRET).unwrap();
    if signer.verify(&body, &headers).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let key = headers["webhook-id"].to_str().unwrap().to_owned();
    let payload = serde_json::from_slice(&body).unwrap();
    let manner = {
        let mut state = state.lock().unwrap();
        match state.manner {
            Manner::Failing(left @ 1..) => {
                state.manner = Manner::Failing(left - 1);
                return StatusCode::INTERNAL_SERVER_ERROR;
            }
            manner => {
                state.arrived.push((key, payload));
                if matches!(manner, Manner::Late(_)) {
                    state.manner = Manner::Obliging;
                }
                manner
            }
        }
    };
    match manner {
        Manner::Obliging | Manner::Failing(_) => StatusCode::NO_CONTENT,
        Manner::Late(by) => {
            tokio::time::sleep(by).await;
            StatusCode::NO_CONTENT
        }
        Manner::Hanging => std::future::pending().await,
    }
}

/// Waits until `holds`, or fails saying `what`.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The same, for what has to be asked for.
pub(crate) async fn eventually_async(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "it never came that {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A rule that removes posts with a slogan, in a data directory whose bank holds the slogan.
pub(crate) fn with_slogan_rule(data: &Path) {
    let data_text = data.to_str().unwrap();
    run_ok(&["bank", "create", "--data", data_text, "SLOGANS"]);
    run_ok(&[
        "bank",
        "add",
        "--data",
        data_text,
        "SLOGANS",
        "text",
        "rise under the grey banner",
    ]);
    std::fs::create_dir_all(data.join("rules")).unwrap();
    std::fs::write(
        data.join("rules/slogans.rules"),
        r#"rule slogan {
  on post.created
  policy tvec_known
  reason "This post holds a known slogan."
  when bank("SLOGANS").matches(content.text)
  then remove(content), strike(account, 1), enqueue("tvec", priority: 8)
}
"#,
    )
    .unwrap();
}
