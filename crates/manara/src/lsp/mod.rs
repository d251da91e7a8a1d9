//! `manara rules lsp`: the language service for editors, over the Language Server Protocol.
//!
//! ```text
//!   stdin ─▶ frame ─▶ thread ─▶ queue ─▶ server ─▶ documents ─▶ workspace (files checked together)
//!                                          │ answers, and what is wrong once nothing waits any more
//!   stdout ◀────────────── frame ◀─────────┘
//! ```
//!
//! What is wrong with a message is answered and ends nothing. The protocol is spoken with JSON values
//! here: it needs ten shapes of the several hundred there are. Specification: LSP 3.17.

mod document;
mod frame;
mod workspace;

use anyhow::{Context, Result};
use document::{Change, Document, Encoding, Lines, Position, TEXT_BYTES_MAX};
use frame::Frame;
use manara_rules::assist::{self, Around, Completion, CompletionKind, SymbolKind};
use manara_rules::{Diagnostic, Severity, Source};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use workspace::{Checked, Disk, Group, check, group_of, path_of};

/// Most texts open at once.
const DOCUMENTS_MAX: usize = 1_000;

// The errors of JSON-RPC and of the protocol.
const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const NOT_INITIALIZED: i64 = -32002;

/// What the server knows besides the files.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// A folder whose files are checked even when none is open.
    pub(crate) folder: Option<PathBuf>,
    /// The names of banks there are.
    pub(crate) banks: Vec<String>,
    /// The names of sets there are.
    pub(crate) sets: Vec<String>,
}

/// Serves one editor on stdin and stdout. True when it was asked to shut down before it was asked to
/// exit, as the protocol wants it.
pub(crate) fn serve(options: Options) -> Result<bool> {
    let (sender, frames) = sync_channel(64);
    std::thread::Builder::new()
        .name("manara-lsp-input".into())
        .spawn(move || {
            let mut input = BufReader::new(std::io::stdin());
            loop {
                // An input that cannot be read has ended.
                let frame = frame::read(&mut input).unwrap_or(Frame::End);
                let is_end = frame == Frame::End;
                if sender.send(frame).is_err() || is_end {
                    return;
                }
            }
        })
        .context("starting to read from the editor")?;
    Server::new(options, std::io::stdout().lock()).run(&frames)
}

/// How far the conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Initialized,
    ShutDown,
}

struct Server<W> {
    options: Options,
    output: W,
    stage: Stage,
    encoding: Encoding,
    /// Whether the editor can fill in places.
    snippets: bool,
    /// Whether the editor wants to be asked to watch files.
    watches: bool,
    documents: BTreeMap<String, Document>,
    disk: Disk,
    checked: BTreeMap<Group, Checked>,
    /// What is to be checked once nothing waits.
    stale: BTreeSet<Group>,
    /// What was last said of each file.
    published: BTreeMap<String, (Group, Value)>,
}

/// Why a request gets no result.
struct Refused {
    code: i64,
    message: String,
}

type Answered = Result<Value, Refused>;

#[derive(Deserialize)]
struct TextDocument {
    uri: String,
    version: Option<i64>,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfDocument {
    text_document: TextDocument,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    text_document: TextDocument,
    content_changes: Vec<Change>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AtPosition {
    text_document: TextDocument,
    position: Position,
}

impl<W: Write> Server<W> {
    fn new(options: Options, output: W) -> Self {
        Self {
            options,
            output,
            stage: Stage::New,
            encoding: Encoding::Utf16,
            snippets: false,
            watches: false,
            documents: BTreeMap::new(),
            disk: Disk::default(),
            checked: BTreeMap::new(),
            stale: BTreeSet::new(),
            published: BTreeMap::new(),
        }
    }

    fn run(mut self, frames: &Receiver<Frame>) -> Result<bool> {
        loop {
            let frame = match frames.try_recv() {
                Ok(frame) => frame,
                // A burst of changes is checked once, when it is over.
                Err(TryRecvError::Empty) => {
                    self.check_stale()?;
                    frames.recv().unwrap_or(Frame::End)
                }
                Err(TryRecvError::Disconnected) => Frame::End,
            };
            match frame {
                Frame::End => return Ok(false),
                Frame::NotJson(why) => self.refuse(&Value::Null, PARSE_ERROR, &why)?,
                Frame::TooLarge(bytes) => {
                    let message = format!(
                        "a message of {bytes} bytes was skipped, the limit is {}",
                        frame::MESSAGE_BYTES_MAX
                    );
                    self.refuse(&Value::Null, INVALID_REQUEST, &message)?;
                }
                Frame::Message(message) if message["method"] == "exit" => {
                    return Ok(self.stage == Stage::ShutDown);
                }
                Frame::Message(message) => self.message(&message)?,
            }
        }
    }

    fn send(&mut self, message: Value) -> Result<()> {
        frame::write(&mut self.output, &message).context("writing to the editor")
    }

    fn refuse(&mut self, id: &Value, code: i64, message: &str) -> Result<()> {
        let error = json!({ "code": code, "message": message });
        self.send(json!({ "jsonrpc": "2.0", "id": id, "error": error }))
    }

    fn notify(&mut self, method: &str, params: Value) -> Result<()> {
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": params }))
    }

    fn message(&mut self, message: &Value) -> Result<()> {
        let (id, params) = (&message["id"], &message["params"]);
        match (message["method"].as_str(), id) {
            (Some(method), Value::Null) => self.notified(method, params),
            (Some(method), id @ (Value::Number(_) | Value::String(_))) => {
                match self.request(method, params) {
                    Ok(result) => {
                        self.send(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
                    }
                    Err(refused) => self.refuse(id, refused.code, &refused.message),
                }
            }
            // The editor's answer to what we asked of it.
            (None, Value::Number(_) | Value::String(_)) if is_answer(message) => Ok(()),
            _ => self.refuse(
                &Value::Null,
                INVALID_REQUEST,
                "this is no message of JSON-RPC",
            ),
        }
    }

    // ---- requests ----

    fn request(&mut self, method: &str, params: &Value) -> Answered {
        match (self.stage, method) {
            (Stage::New, "initialize") => Ok(self.initialize(params)),
            (Stage::New, _) => Err(Refused {
                code: NOT_INITIALIZED,
                message: "`initialize` comes first".to_owned(),
            }),
            (Stage::ShutDown, _) | (_, "initialize") => Err(Refused {
                code: INVALID_REQUEST,
                message: format!("`{}` cannot come now", shortened(method)),
            }),
            (_, "shutdown") => {
                self.stage = Stage::ShutDown;
                Ok(Value::Null)
            }
            (_, "textDocument/completion") => self.complete(params),
            (_, "textDocument/hover") => self.hover(params),
            (_, "textDocument/definition") => self.definition(params),
            (_, "textDocument/documentSymbol") => self.outline(params),
            _ => Err(Refused {
                code: METHOD_NOT_FOUND,
                message: format!("there is no method `{}`", shortened(method)),
            }),
        }
    }

    fn initialize(&mut self, params: &Value) -> Value {
        let client = &params["capabilities"];
        let offered = client["general"]["positionEncodings"].as_array();
        let utf8 = offered.is_some_and(|offered| offered.iter().any(|name| name == "utf-8"));
        if utf8 {
            self.encoding = Encoding::Utf8;
        }
        let item = &client["textDocument"]["completion"]["completionItem"];
        self.snippets = item["snippetSupport"] == true;
        self.watches = client["workspace"]["didChangeWatchedFiles"]["dynamicRegistration"] == true;
        self.stage = Stage::Initialized;
        json!({
            "capabilities": {
                "positionEncoding": if utf8 { "utf-8" } else { "utf-16" },
                "textDocumentSync": { "openClose": true, "change": 2, "save": true },
                "completionProvider": { "triggerCharacters": [".", "\"", "("] },
                "hoverProvider": true,
                "definitionProvider": true,
                "documentSymbolProvider": true,
            },
            "serverInfo": { "name": "manara", "version": env!("CARGO_PKG_VERSION") },
        })
    }

    fn complete(&mut self, params: &Value) -> Answered {
        let AtPosition {
            text_document: TextDocument { uri, .. },
            position,
        } = read(params)?;
        let (encoding, snippets) = (self.encoding, self.snippets);
        self.about(&uri, |text, around| {
            let lines = Lines::of(text);
            let found = assist::complete(text, lines.byte(position, encoding), around);
            let whole = found.len() < assist::COMPLETIONS_MAX;
            let items = found.iter().enumerate().map(|(rank, completion)| {
                completion_item(rank, completion, &lines, encoding, snippets)
            });
            json!({ "isIncomplete": !whole, "items": items.collect::<Vec<_>>() })
        })
    }

    fn hover(&mut self, params: &Value) -> Answered {
        let AtPosition {
            text_document: TextDocument { uri, .. },
            position,
        } = read(params)?;
        let encoding = self.encoding;
        self.about(&uri, |text, around| {
            let lines = Lines::of(text);
            let found = assist::hover(text, lines.byte(position, encoding), around);
            found.map_or(Value::Null, |hover| {
                json!({
                    "contents": { "kind": "markdown", "value": hover.markdown },
                    "range": lines.span(&hover.range, encoding),
                })
            })
        })
    }

    fn definition(&mut self, params: &Value) -> Answered {
        let AtPosition {
            text_document: TextDocument { uri, .. },
            position,
        } = read(params)?;
        let encoding = self.encoding;
        let found = self.about(&uri, |text, around| {
            let at = Lines::of(text).byte(position, encoding);
            let found = assist::definition(text, at, around);
            found.map_or(Value::Null, |found| json!(found))
        })?;
        let Some(range) = range_in(&found) else {
            return Ok(Value::Null);
        };
        let Some(name) = found["source"].as_str() else {
            let text = self.documents.get(&uri).map_or("", |d| d.text.as_str());
            return Ok(json!({ "uri": uri, "range": Lines::of(text).span(&range, encoding) }));
        };
        let group = self
            .documents
            .get(&uri)
            .map(|document| group_of(&uri, document));
        let checked = group.and_then(|group| self.checked.get(&group));
        let file = checked.and_then(|c| c.files.iter().find(|f| f.source.name == name));
        // What comes with Manara is in no file.
        Ok(file.map_or(Value::Null, |file| {
            let range = Lines::of(&file.source.text).span(&range, encoding);
            json!({ "uri": file.uri, "range": range })
        }))
    }

    fn outline(&mut self, params: &Value) -> Answered {
        let uri = read::<OfDocument>(params)?.text_document.uri;
        let encoding = self.encoding;
        self.about(&uri, |text, _| {
            let lines = Lines::of(text);
            let symbol = |symbol: &assist::Symbol| {
                let name = if symbol.name.trim().is_empty() {
                    "…"
                } else {
                    &symbol.name
                };
                // A method (6), a variable (13), an array (18) and an event (24) look most like them.
                let kind = match symbol.kind {
                    SymbolKind::Rule => 6,
                    SymbolKind::Counter => 13,
                    SymbolKind::Lexicon => 18,
                    SymbolKind::Test => 24,
                };
                json!({
                    "name": name,
                    "kind": kind,
                    "range": lines.span(&symbol.range, encoding),
                    "selectionRange": lines.span(&symbol.name_range, encoding),
                })
            };
            json!(assist::outline(text).iter().map(symbol).collect::<Vec<_>>())
        })
    }

    /// Asks about an open text, with the other files of its group around it.
    fn about(&mut self, uri: &str, ask: impl FnOnce(&str, &Around<'_>) -> Value) -> Answered {
        let Some(document) = self.documents.get(uri) else {
            return Err(Refused {
                code: INVALID_PARAMS,
                message: "this text is not open".to_owned(),
            });
        };
        let group = group_of(uri, document);
        if self.stale.contains(&group) && !self.checked.contains_key(&group) {
            let checked = check(&group, &self.documents, &mut self.disk, None);
            self.checked.insert(group.clone(), checked);
        }
        let nothing = Checked::default();
        let checked = self.checked.get(&group).unwrap_or(&nothing);
        let is_schema = checked
            .schema_file
            .as_ref()
            .is_some_and(|file| file.uri == uri);
        let others = checked.files.iter().filter(|file| file.uri != uri);
        let others: Vec<Source> = others.map(|file| file.source.clone()).collect();
        let around = Around {
            schema: &checked.schema,
            banks: &self.options.banks,
            sets: &self.options.sets,
            other_sources: &others,
        };
        let text = if is_schema {
            ""
        } else {
            document.text.as_str()
        };
        Ok(ask(text, &around))
    }

    // ---- notifications ----

    fn notified(&mut self, method: &str, params: &Value) -> Result<()> {
        if self.stage != Stage::Initialized {
            return Ok(());
        }
        match method {
            "initialized" => return self.initialized(),
            "textDocument/didOpen" => self.opened(params),
            "textDocument/didChange" => self.changed(params),
            "textDocument/didClose" => self.closed(params),
            "textDocument/didSave" | "workspace/didChangeWatchedFiles" => {
                self.stale.extend(self.groups());
            }
            // Others are none of our business.
            _ => {}
        }
        Ok(())
    }

    fn initialized(&mut self) -> Result<()> {
        self.stale.extend(self.groups());
        if !self.watches {
            return Ok(());
        }
        let watchers =
            json!([{ "globPattern": "**/*.rules" }, { "globPattern": "**/schema.toml" }]);
        let registration = json!({
            "id": "files",
            "method": "workspace/didChangeWatchedFiles",
            "registerOptions": { "watchers": watchers },
        });
        self.send(json!({
            "jsonrpc": "2.0",
            "id": "files",
            "method": "client/registerCapability",
            "params": { "registrations": [registration] },
        }))
    }

    /// The group of every open text, and that of the folder given.
    fn groups(&self) -> BTreeSet<Group> {
        let open = self
            .documents
            .iter()
            .map(|(uri, document)| group_of(uri, document));
        open.chain(self.options.folder.clone().map(Group::Folder))
            .collect()
    }

    fn opened(&mut self, params: &Value) {
        let Ok(OfDocument {
            text_document: opened,
        }) = read::<OfDocument>(params)
        else {
            return;
        };
        if self.documents.len() >= DOCUMENTS_MAX {
            return;
        }
        let lost = opened.text.len() > TEXT_BYTES_MAX;
        let document = Document {
            path: path_of(&opened.uri),
            version: opened.version,
            text: if lost { String::new() } else { opened.text },
            lost,
        };
        self.stale.insert(group_of(&opened.uri, &document));
        self.documents.insert(opened.uri, document);
    }

    fn changed(&mut self, params: &Value) {
        let Ok(changed) = read::<Changed>(params) else {
            return;
        };
        let uri = changed.text_document.uri;
        let Some(document) = self.documents.get_mut(&uri) else {
            return;
        };
        document.version = changed.text_document.version;
        for change in changed.content_changes {
            document.apply(change, self.encoding);
        }
        let group = group_of(&uri, document);
        // What is asked before the next check is asked about this text.
        self.stale.insert(group);
    }

    fn closed(&mut self, params: &Value) {
        let Ok(closed) = read::<OfDocument>(params) else {
            return;
        };
        let uri = closed.text_document.uri;
        if let Some(document) = self.documents.remove(&uri) {
            self.stale.insert(group_of(&uri, &document));
        }
    }

    // ---- what is wrong ----

    fn check_stale(&mut self) -> Result<()> {
        let wanted = self.groups();
        for group in std::mem::take(&mut self.stale) {
            let before = self.checked.remove(&group);
            let mut said: BTreeMap<String, Value> = BTreeMap::new();
            if wanted.contains(&group) {
                let checked = check(&group, &self.documents, &mut self.disk, before);
                said = self.findings(&checked);
                self.checked.insert(group.clone(), checked);
            }
            self.publish(&group, said)?;
        }
        Ok(())
    }

    /// What is to be said of each file, by its address.
    fn findings(&self, checked: &Checked) -> BTreeMap<String, Value> {
        let mut said = BTreeMap::new();
        for file in checked.files.iter().chain(&checked.schema_file) {
            let lines = Lines::of(&file.source.text);
            let of_file = checked
                .diagnostics
                .iter()
                .filter(|d| d.source == file.source.name);
            let mut found: Vec<Value> = of_file
                .map(|d| diagnostic(d, &lines, self.encoding))
                .collect();
            if self
                .documents
                .get(&file.uri)
                .is_some_and(|document| document.lost)
            {
                found = vec![too_large()];
            }
            let mut params = json!({ "uri": file.uri, "diagnostics": found });
            if let Some(version) = file.version {
                params["version"] = version.into();
            }
            said.insert(file.uri.clone(), params);
        }
        said
    }

    /// Says what is new, and takes back what no longer holds.
    fn publish(&mut self, group: &Group, said: BTreeMap<String, Value>) -> Result<()> {
        let of_group = self.published.iter().filter(|(_, (of, _))| of == group);
        let gone: Vec<String> = of_group
            .filter(|(uri, _)| !said.contains_key(*uri))
            .map(|(uri, _)| uri.clone())
            .collect();
        for uri in gone {
            self.published.remove(&uri);
            let params = json!({ "uri": uri, "diagnostics": [] });
            self.notify("textDocument/publishDiagnostics", params)?;
        }
        for (uri, params) in said {
            let before = self.published.get(&uri).map(|(_, before)| before);
            let is_silent = params["diagnostics"] == json!([]) && params["version"].is_null();
            if before == Some(&params) || (before.is_none() && is_silent) {
                continue;
            }
            self.notify("textDocument/publishDiagnostics", params.clone())?;
            self.published.insert(uri, (group.clone(), params));
        }
        Ok(())
    }
}

fn is_answer(message: &Value) -> bool {
    message.get("result").is_some() || message.get("error").is_some()
}

fn shortened(method: &str) -> String {
    method.chars().take(64).collect()
}

fn read<T: DeserializeOwned>(params: &Value) -> Result<T, Refused> {
    T::deserialize(params).map_err(|error| Refused {
        code: INVALID_PARAMS,
        message: error.to_string(),
    })
}

fn range_in(found: &Value) -> Option<std::ops::Range<usize>> {
    let at = |key: &str| usize::try_from(found["range"][key].as_u64()?).ok();
    Some(at("start")?..at("end")?)
}

fn diagnostic(diagnostic: &Diagnostic, lines: &Lines<'_>, encoding: Encoding) -> Value {
    let message = match &diagnostic.hint {
        Some(hint) => format!("{}\nhint: {hint}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    let severity = match diagnostic.severity {
        Severity::Error => 1,
        Severity::Warning => 2,
    };
    json!({
        "range": lines.span(&diagnostic.span, encoding),
        "severity": severity,
        "source": "manara",
        "message": message,
    })
}

fn too_large() -> Value {
    let start = json!({ "line": 0, "character": 0 });
    json!({
        "range": { "start": start, "end": start },
        "severity": 1,
        "source": "manara",
        "message": format!("this text is larger than {TEXT_BYTES_MAX} bytes and is not looked at\nhint: split it into several files"),
    })
}

fn completion_item(
    rank: usize,
    completion: &Completion,
    lines: &Lines<'_>,
    encoding: Encoding,
    snippets: bool,
) -> Value {
    let is_snippet = snippets && completion.insert.contains("${");
    let text = if is_snippet {
        completion.insert.clone()
    } else {
        completion.plain()
    };
    let mut item = json!({
        "label": completion.label,
        "kind": kind_of(completion.kind),
        // The best stands first, whatever its name.
        "sortText": format!("{rank:03}"),
        "filterText": completion.label,
        "insertTextFormat": if is_snippet { 2 } else { 1 },
        "textEdit": { "range": lines.span(&completion.replace, encoding), "newText": text },
    });
    if !completion.detail.is_empty() {
        item["detail"] = completion.detail.as_str().into();
    }
    if !completion.doc.is_empty() {
        item["documentation"] = json!({ "kind": "markdown", "value": completion.doc });
    }
    item
}

/// `CompletionItemKind` of the protocol.
fn kind_of(kind: CompletionKind) -> u8 {
    match kind {
        CompletionKind::Function => 3,
        CompletionKind::Field => 5,
        CompletionKind::Variable => 6,
        CompletionKind::Counter => 21,
        CompletionKind::Argument => 10,
        CompletionKind::Value => 12,
        CompletionKind::Keyword => 14,
        CompletionKind::Snippet => 15,
        CompletionKind::Effect => 2,
        CompletionKind::EventType => 23,
        CompletionKind::Rule => 18,
        CompletionKind::Bank
        | CompletionKind::Set
        | CompletionKind::Lexicon
        | CompletionKind::Policy
        | CompletionKind::Label
        | CompletionKind::Queue
        | CompletionKind::Receiver => 20,
    }
}
