//! `manara rules lsp`, as an editor talks to it: frames of JSON on its stdin and stdout.

mod cli_support;

use cli_support::Folder;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const BROKEN: &str = "\
rule first {
  on post.created
  policy spam
  reason \"Spam.\"
  when content.text.contains(\"راية الرماد 😀\") and acount.age < 24h
  then enqueue(\"spam\")
}
";

/// An editor: it writes messages and reads what comes back.
struct Editor {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What came while something else was waited for.
    waiting: VecDeque<Value>,
    next_id: u64,
}

impl Editor {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_manara"))
            .args(["rules", "lsp"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            waiting: VecDeque::new(),
            next_id: 1,
        }
    }

    /// An editor that has said hello.
    fn ready(arguments: &[&str], capabilities: Value) -> Self {
        let mut editor = Self::start(arguments);
        editor.ask("initialize", json!({ "capabilities": capabilities }));
        editor.tell("initialized", json!({}));
        editor
    }

    fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(bytes).unwrap();
        input.flush().unwrap();
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        self.write(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// The next message. Nothing but the protocol may stand on stdout.
    fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let length = line.trim().strip_prefix("Content-Length: ").expect(&line);
        let mut body = vec![0; length.parse().unwrap()];
        line.clear();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, "\r\n");
        self.output.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// The first message that is wanted; those before it wait.
    fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.waiting.iter().position(&wanted) {
            return self.waiting.remove(at).unwrap();
        }
        loop {
            let message = self.receive();
            if wanted(&message) {
                return message;
            }
            self.waiting.push_back(message);
        }
    }

    /// The whole answer to a request.
    fn ask_whole(&mut self, method: &str, params: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        self.wait_for(|message| message["id"] == id)
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask_whole(method, params);
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    fn open(&mut self, uri: &str, text: &str) {
        let document =
            json!({ "uri": uri, "languageId": "manara-rules", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
    }

    fn change(&mut self, uri: &str, version: u64, changes: Value) {
        let document = json!({ "uri": uri, "version": version });
        let params = json!({ "textDocument": document, "contentChanges": changes });
        self.tell("textDocument/didChange", params);
    }

    /// What is wrong with a version of a file.
    fn diagnostics(&mut self, uri: &str, version: u64) -> Vec<Value> {
        let message = self.wait_for(|message| {
            message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == uri
                && message["params"]["version"] == version
        });
        message["params"]["diagnostics"].as_array().unwrap().clone()
    }

    fn at(&mut self, method: &str, uri: &str, line: u32, character: u32) -> Value {
        let position = json!({ "line": line, "character": character });
        self.ask(
            method,
            json!({ "textDocument": { "uri": uri }, "position": position }),
        )
    }

    /// Says goodbye, as the protocol wants it or not; the exit code.
    fn leave(mut self, politely: bool) -> Option<i32> {
        if politely {
            assert_eq!(self.ask("shutdown", Value::Null), Value::Null);
        }
        self.tell("exit", Value::Null);
        self.child.wait().unwrap().code()
    }

    /// Hangs up; the exit code.
    fn hang_up(mut self) -> Option<i32> {
        self.input = None;
        self.child.wait().unwrap().code()
    }
}

fn uri(path: &Path) -> String {
    url::Url::from_file_path(path).unwrap().to_string()
}

fn range(line: u32, start: u32, end: u32) -> Value {
    json!({
        "start": { "line": line, "character": start },
        "end": { "line": line, "character": end },
    })
}

/// Where the mistake of `BROKEN` begins on its line.
fn column(length: impl Fn(char) -> usize) -> u32 {
    let line = BROKEN.lines().nth(4).unwrap();
    let before = line.split("acount").next().unwrap();
    before.chars().map(length).sum::<usize>() as u32
}

#[test]
fn a_mistake_is_named_where_it_stands_and_goes_when_it_is_mended() {
    let folder = Folder::new();
    let uri = uri(&folder.write("first.rules", BROKEN));
    let mut editor = Editor::ready(&[], json!({}));
    editor.open(&uri, BROKEN);
    let found = editor.diagnostics(&uri, 1);
    let at = column(char::len_utf16);
    assert_eq!(
        found,
        [json!({
            "range": range(4, at, at + 6),
            "severity": 1,
            "source": "manara",
            "message": "unknown name `acount`\nhint: did you mean `account`?",
        })]
    );
    let change = json!([{ "range": range(4, at + 1, at + 1), "text": "c" }]);
    editor.change(&uri, 2, change);
    assert_eq!(editor.diagnostics(&uri, 2), [] as [Value; 0]);
    assert_eq!(editor.leave(true), Some(0));
}

#[test]
fn an_editor_that_counts_bytes_is_answered_in_bytes() {
    let folder = Folder::new();
    let uri = uri(&folder.path("first.rules"));
    let mut editor = Editor::start(&[]);
    let general = json!({ "positionEncodings": ["utf-32", "utf-8"] });
    let hello = editor.ask(
        "initialize",
        json!({ "capabilities": { "general": general } }),
    );
    assert_eq!(hello["capabilities"]["positionEncoding"], "utf-8");
    editor.tell("initialized", json!({}));
    editor.open(&uri, BROKEN);
    let at = column(char::len_utf8);
    assert_eq!(
        editor.diagnostics(&uri, 1)[0]["range"],
        range(4, at, at + 6)
    );
    assert_eq!(editor.leave(true), Some(0));
}

#[test]
fn completion_hover_definition_and_outline_know_the_other_files() {
    let folder = Folder::new();
    let counters = "counter bursts = count(post.created) by account.id over 1h\n";
    let other = uri(&folder.write("counters.rules", counters));
    let this = uri(&folder.path("this.rules"));
    let snippets = json!({ "completion": { "completionItem": { "snippetSupport": true } } });
    let mut editor = Editor::ready(&[], json!({ "textDocument": snippets }));
    // «راية» stands before the cursor, and counts six units.
    editor.open(
        &this,
        "rule r {\n  when \"راية\" == \"\" and bursts > 3 and ha\n}\n",
    );
    let completed = editor.at("textDocument/completion", &this, 1, 41);
    let first = &completed["items"][0];
    assert_eq!(
        (
            &first["label"],
            &first["insertTextFormat"],
            &first["textEdit"]
        ),
        (
            &json!("has"),
            &json!(2),
            &json!({ "newText": "has(${1:field})", "range": range(1, 39, 41) })
        )
    );
    let hover = editor.at("textDocument/hover", &this, 1, 26);
    assert_eq!(hover["range"], range(1, 24, 30));
    let shown = hover["contents"]["value"].as_str().unwrap();
    assert!(shown.contains("in buckets of 1m"), "{shown}");
    let definition = editor.at("textDocument/definition", &this, 1, 26);
    assert_eq!(
        definition,
        json!({ "uri": other, "range": range(0, 8, 14) })
    );
    let outline = editor.ask(
        "textDocument/documentSymbol",
        json!({ "textDocument": { "uri": this } }),
    );
    assert_eq!(outline[0]["name"], "r");
    assert_eq!(outline[0]["selectionRange"], range(0, 5, 6));
    assert_eq!(editor.at("textDocument/hover", &this, 0, 7), Value::Null);
    assert_eq!(editor.leave(true), Some(0));
}

#[test]
fn files_are_checked_together_with_the_schema_of_their_folder() {
    let folder = Folder::new();
    let schema = uri(&folder.write("schema.toml", "[attributes]\nscore = \"float\"\n"));
    let rule = |name: &str| {
        format!(
            "rule {name} {{ policy p reason \"r\" when attributes.score > 0.5 then remove(content) }}\n"
        )
    };
    folder.write("a.rules", rule("same"));
    let b = uri(&folder.path("b.rules"));
    let mut editor = Editor::ready(&[], json!({}));
    editor.open(&b, &rule("same"));
    let found = editor.diagnostics(&b, 1);
    let message = found[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("rule `same` exists already, at a.rules:1"),
        "{message}"
    );
    editor.change(&b, 2, json!([{ "text": rule("other") }]));
    assert_eq!(editor.diagnostics(&b, 2), [] as [Value; 0]);
    // A schema that is wrong is one mistake, and its attributes stay known.
    editor.open(&schema, "[attributes]\nscore = \"float\"\nx = \"colour\"\n");
    let found = editor.diagnostics(&schema, 1);
    assert_eq!(
        (found.len(), &found[0]["range"]["start"]["line"]),
        (1, &json!(2))
    );
    editor.change(&b, 3, json!([{ "text": rule("third") }]));
    assert_eq!(editor.diagnostics(&b, 3), [] as [Value; 0]);
    assert_eq!(editor.leave(true), Some(0));
}

#[test]
fn a_folder_that_is_named_is_checked_without_any_open_file() {
    let folder = Folder::new();
    let first = uri(&folder.write("first.rules", BROKEN));
    let path = folder.path("");
    let mut editor = Editor::ready(&[path.to_str().unwrap()], json!({}));
    let said = editor.wait_for(|message| message["params"]["uri"] == first);
    assert_eq!(said["params"]["diagnostics"].as_array().unwrap().len(), 1);
    // What was wrong goes with the file.
    std::fs::remove_file(folder.path("first.rules")).unwrap();
    editor.tell("workspace/didChangeWatchedFiles", json!({ "changes": [] }));
    let said = editor.wait_for(|message| message["params"]["uri"] == first);
    assert_eq!(said["params"]["diagnostics"], json!([]));
    assert_eq!(editor.leave(true), Some(0));
}

#[test]
fn banks_and_sets_come_from_a_data_directory() {
    let folder = Folder::new();
    let data = folder.path("data");
    let data = data.to_str().unwrap();
    folder
        .run(&["bank", "create", "--data", data, "SLOGANS"])
        .expect(0, &[]);
    let uri = uri(&folder.path("a.rules"));
    let mut editor = Editor::ready(&["--data", data], json!({}));
    editor.open(&uri, "rule r { when bank(\"");
    let completed = editor.at("textDocument/completion", &uri, 0, 20);
    assert_eq!(completed["items"][0]["label"], "SLOGANS");
    assert_eq!(editor.leave(true), Some(0));
}

#[test]
fn what_is_wrong_with_a_message_is_answered_and_ends_nothing() {
    let mut editor = Editor::start(&[]);
    let early = editor.ask_whole("textDocument/hover", json!({}));
    assert_eq!(early["error"]["code"], -32002);
    editor.ask("initialize", json!({ "capabilities": {} }));
    editor.tell("initialized", json!({}));
    let refused = |editor: &mut Editor| {
        editor.wait_for(|message| message["id"].is_null() && message.get("error").is_some())["error"]
            ["code"]
            .clone()
    };
    editor.write(b"Content-Length: 9\r\n\r\n{\"id\": 1,");
    assert_eq!(refused(&mut editor), -32700);
    editor.send(&json!([1, 2, 3]));
    assert_eq!(refused(&mut editor), -32600);
    editor.send(&json!({ "jsonrpc": "2.0", "id": [1], "method": "shutdown" }));
    assert_eq!(refused(&mut editor), -32600);
    let large = " ".repeat(8 * 1024 * 1024 + 1);
    editor.write(format!("Content-Length: {}\r\n\r\n{large}", large.len()).as_bytes());
    assert_eq!(refused(&mut editor), -32600);
    // Half a frame takes the next one with it, and no more.
    editor.write(b"Content-Length: 60\r\n\r\n{\"jsonrpc\": ");
    editor.send(&json!({ "jsonrpc": "2.0", "method": "lost/inTheMiddle", "params": [] }));
    assert_eq!(refused(&mut editor), -32700);
    let unknown = editor.ask_whole("textDocument/formatting", json!({}));
    assert_eq!(unknown["error"]["code"], -32601);
    let wrong = editor.ask_whole("textDocument/hover", json!({ "position": 3 }));
    assert_eq!(wrong["error"]["code"], -32602);
    let closed = editor.ask_whole(
        "textDocument/hover",
        json!({ "textDocument": { "uri": "file:///no.rules" }, "position": { "line": 0, "character": 0 } }),
    );
    assert_eq!(closed["error"]["code"], -32602);
    editor.tell("textDocument/didOpen", json!("nonsense"));
    editor.tell("$/unknown", json!({}));
    let again = editor.ask_whole("initialize", json!({ "capabilities": {} }));
    assert_eq!(again["error"]["code"], -32600);
    assert_eq!(editor.leave(true), Some(0));
}

#[test]
fn a_file_over_the_limit_is_said_to_be_and_costs_nothing() {
    let mut editor = Editor::ready(&[], json!({}));
    let uri = "untitled:Untitled-1";
    editor.open(uri, &"// x\n".repeat(250_000));
    let found = editor.diagnostics(uri, 1);
    let message = found[0]["message"].as_str().unwrap();
    assert_eq!(
        (found.len(), message.contains("the limit is 1048576")),
        (1, true),
        "{message}"
    );
    let completed = editor.at("textDocument/completion", uri, 3, 0);
    assert_eq!(completed["items"], json!([]));
    // Far over it, the text is not even kept.
    editor.change(uri, 2, json!([{ "text": "// x\n".repeat(900_000) }]));
    let found = editor.diagnostics(uri, 2);
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("is not looked at"), "{message}");
    editor.change(uri, 3, json!([{ "text": "rule" }]));
    assert_eq!(editor.diagnostics(uri, 3).len(), 1);
    assert_eq!(editor.leave(true), Some(0));
}

#[test]
fn the_exit_code_says_whether_the_editor_said_goodbye() {
    assert_eq!(Editor::ready(&[], json!({})).leave(false), Some(1));
    assert_eq!(Editor::ready(&[], json!({})).hang_up(), Some(1));
    let mut half = Editor::ready(&[], json!({}));
    half.write(b"Content-Length: 100\r\n\r\n{");
    assert_eq!(half.hang_up(), Some(1));
    let mut after = Editor::ready(&[], json!({}));
    after.ask("shutdown", Value::Null);
    let late = after.ask_whole("textDocument/hover", json!({}));
    assert_eq!(late["error"]["code"], -32600);
    assert_eq!(after.leave(false), Some(0));
}
