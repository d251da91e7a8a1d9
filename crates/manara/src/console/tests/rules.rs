//! Rules in the console: who may change them, what is refused and what is kept when it is, and what
//! two people do to one file.

use super::banks::hidden;
use super::*;
use crate::console::did::did;
use crate::rulebook::Rulebook;
use manara_model::Held;
use manara_store::{Reader, rule_text_sha256};
use std::path::PathBuf;

pub(super) const LINKS: &str = "rule links { policy spam reason \"Many <links>.\" when content.links.size() > 3 then remove(content) }\n";
pub(super) const WIDER: &str = "rule links { policy spam reason \"Many <links>.\" when content.links.size() > 1 then remove(content) }\n";
pub(super) const SHADOW: &str = "rule links { mode shadow policy spam reason \"Many <links>.\" when content.links.size() > 1 then remove(content) }\n";
pub(super) const BROKEN: &str =
    "rule links { policy spam reason \"R.\" when content.lnks.size() > 1 then remove(content) }\n";
const TESTED: &str = r#"
test "three links" {
  event { "type": "post.created", "content": { "links": ["https://a.example", "https://b.example", "https://c.example"] } }
  expect remove(content)
}
"#;
pub(super) const FILE: &str = "/rules/files/links.rules";

/// An application over a folder of rules.
pub(super) struct Desk {
    pub(super) app: App,
    pub(super) book: Arc<Rulebook>,
    folder: PathBuf,
}

pub(super) fn desk(files: &[(&str, &str)], approval: bool) -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("rules");
    std::fs::create_dir(&folder).unwrap();
    for (file, text) in files {
        std::fs::write(folder.join(file), text).unwrap();
    }
    let mut book = None;
    let app = app_with(dir, clock::<0>, false, |store, options| {
        let opened = waited(Rulebook::open(folder.clone(), store)).unwrap();
        let opened = Arc::new(opened.with_approval(approval));
        let (of, shown) = (Arc::clone(&opened), Arc::clone(&opened));
        options.settings = Arc::new(|| Some(super::tryouts::settings()));
        options.rulebook = Arc::new(move || Some(Arc::clone(&of)));
        options.overview = Arc::new(move || {
            let status = shown.status();
            OverviewExtra {
                rules: Some(status.rules),
                rule_problems: status.problems,
            }
        });
        book = Some(opened);
    });
    Desk {
        app,
        book: book.unwrap(),
        folder,
    }
}

/// Waits for something that a server does before it has a runtime's thread for requests.
pub(super) fn waited<T: Send>(work: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(work)
        });
        thread.join().unwrap()
    })
}

impl Desk {
    fn on_disk(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).unwrap_or_default()
    }

    /// Somebody changes a file behind the console's back, and the server looks.
    pub(super) async fn put(&self, file: &str, text: &str) {
        std::fs::write(self.folder.join(file), text).unwrap();
        self.book.look(&self.app.store).await;
    }

    /// A person with that role, logged in.
    pub(super) fn person(&self, login: &str, role: Role) -> Browser<'_> {
        self.app.person(login, role);
        self.app.session(login, clock::<0>())
    }

    pub(super) fn verify(&self) {
        let report = self.app.store.verify(&mut |_, _| ()).unwrap();
        assert_eq!(report.findings, []);
    }
}

/// Sends a file's form as its page made it, with another text.
pub(super) async fn send(
    browser: &mut Browser<'_>,
    page: &str,
    text: &str,
    more: &[(&str, &str)],
) -> Answer {
    let mut fields = hidden(page, FILE);
    // Browsers end lines so.
    fields.push(("text".into(), text.replace('\n', "\r\n")));
    let fields = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let fields: Vec<(&str, &str)> = fields.chain(more.iter().copied()).collect();
    browser.post(FILE, &fields).await
}

pub(super) async fn ask(
    browser: &mut Browser<'_>,
    login: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> Answer {
    let csrf = csrf_of(login);
    let mut all = vec![("csrf", csrf.as_str())];
    all.extend(fields);
    browser.post(path, &all).await
}

const SAVE: [(&str, &str); 2] = [("do", "save"), ("note", "as <agreed>")];

#[tokio::test]
async fn a_rule_is_changed_and_in_force() {
    let it = desk(&[("links.rules", LINKS)], false);
    let mut noor = it.person("noor", Role::Policy);
    noor.get("/rules").await.is(
        StatusCode::OK,
        &[
            "links.rules:1",
            "/rules/files/links.rules?line=1",
            "Many &lt;links&gt;.",
            "New file",
        ],
    );
    let page = noor
        .get(FILE)
        .await
        .is(StatusCode::OK, &["Many &#60;links&#62;", "Version 1"]);
    let saved = send(&mut noor, &page.body, WIDER, &SAVE)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(saved.to(), "/rules/files/links.rules?done=rules_saved");
    assert_eq!(it.on_disk("links.rules"), WIDER);
    let rules = it.book.rules();
    assert!(
        rules
            .rules()
            .iter()
            .any(|rule| rule.text == WIDER.trim_end())
    );
    noor.get(saved.to())
        .await
        .is(StatusCode::OK, &["in force", "Version 2"]);
    noor.get("/rules/files/links.rules/history").await.is(
        StatusCode::OK,
        &[
            "as &lt;agreed&gt;",
            "by <bdi dir=\"auto\">noor</bdi>",
            "as it is now",
            "found on disk",
        ],
    );
    let version = "/rules/files/links.rules/versions/2";
    noor.get(version).await.is(
        StatusCode::OK,
        &["1 line in, 1 out", "The file is as it was in this version"],
    );
    it.verify();
}

#[tokio::test]
async fn an_earlier_version_comes_back() {
    let it = desk(&[("links.rules", LINKS)], false);
    let mut noor = it.person("noor", Role::Admin);
    let page = noor.get(FILE).await;
    send(&mut noor, &page.body, SHADOW, &SAVE)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    let version = noor
        .get("/rules/files/links.rules/versions/1")
        .await
        .is(StatusCode::OK, &["Return to this version"]);
    let back = "/rules/files/links.rules/return";
    let fields = hidden(&version.body, back);
    let fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    noor.post(back, &fields)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(it.on_disk("links.rules"), LINKS);
    noor.get("/rules/files/links.rules/history")
        .await
        .is(StatusCode::OK, &["Version 3", "return to version 1"]);
    // Pressed again on the old page: the file is not what that page was about.
    noor.post(back, &fields)
        .await
        .is(StatusCode::CONFLICT, &["changed this file meanwhile"]);
    let missing = [("version", "9"), ("base", "00")];
    ask(&mut noor, "noor", back, &missing)
        .await
        .is(StatusCode::NOT_FOUND, &["version 9"]);
    it.verify();
}

#[tokio::test]
async fn only_people_with_the_role_change_rules() {
    let it = desk(&[("links.rules", LINKS)], false);
    let mut sam = it.person("sam", Role::Reviewer);
    sam.get("/rules")
        .await
        .is(
            StatusCode::OK,
            &["links", "Only people with the role policy"],
        )
        .says_not(&["New file"]);
    sam.get(FILE)
        .await
        .is(StatusCode::OK, &["Many &lt;links&gt;", "Only people with"])
        .says_not(&["<textarea", "<script"]);
    sam.get("/rules/files/links.rules/versions/1")
        .await
        .is(StatusCode::OK, &[])
        .says_not(&["Return to this version</button>"]);
    let base = hex::encode(rule_text_sha256(LINKS));
    let fields = [
        ("file", "links.rules"),
        ("text", WIDER),
        ("base", &base),
        ("do", "save"),
        ("offset", "0"),
        ("version", "1"),
        ("name", "more"),
    ];
    let paths = [
        FILE,
        "/rules/files",
        "/rules/files/links.rules/return",
        "/rules/check",
        "/rules/test",
        "/rules/complete",
        "/rules/proposals/1",
    ];
    for path in paths {
        ask(&mut sam, "sam", path, &fields)
            .await
            .is(StatusCode::FORBIDDEN, &["Only people with the role policy"]);
    }
    let mut nobody = it.app.browser();
    for path in paths {
        let answer = ask(&mut nobody, "sam", path, &fields).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in [
        "/rules",
        FILE,
        "/rules/files/links.rules/history",
        "/rules/proposals",
    ] {
        nobody.get(path).await.is(StatusCode::SEE_OTHER, &[]);
    }
    let mut noor = it.person("noor", Role::Policy);
    for path in paths {
        let mut fields = fields.to_vec();
        fields.push(("csrf", "x"));
        noor.post(path, &fields)
            .await
            .is(StatusCode::FORBIDDEN, &["too old"]);
    }
    assert_eq!(it.on_disk("links.rules"), LINKS);
}

#[tokio::test]
async fn what_is_no_rule_file_has_no_page() {
    let it = desk(&[("links.rules", LINKS)], false);
    let mut noor = it.person("noor", Role::Admin);
    for path in [
        "/rules/files/..%2Fmanara.db",
        "/rules/files/LINKS.rules",
        "/rules/files/links.txt",
        "/rules/files/other.rules/history",
        "/rules/files/links.rules/versions/9",
        "/rules/files/links.rules/versions/x",
        "/rules/proposals/9",
        "/rules/proposals/x",
    ] {
        noor.get(path)
            .await
            .is(StatusCode::NOT_FOUND, &["There is nothing here"]);
    }
    let made = |name| [("name", name)];
    for (name, to) in [
        ("more", "/rules/files/more.rules"),
        ("more.rules", "/rules/files/more.rules"),
    ] {
        let answer = ask(&mut noor, "noor", "/rules/files", &made(name))
            .await
            .is(StatusCode::SEE_OTHER, &[]);
        assert_eq!(answer.to(), to);
    }
    for name in ["", "../x", "More", "a b"] {
        ask(&mut noor, "noor", "/rules/files", &made(name))
            .await
            .is(StatusCode::UNPROCESSABLE_ENTITY, &["lower-case letter"]);
    }
    noor.get("/rules/files/more.rules")
        .await
        .is(StatusCode::OK, &["A new file"]);
    let mut sam = it.person("sam", Role::Reviewer);
    sam.get("/rules/files/more.rules")
        .await
        .is(StatusCode::NOT_FOUND, &[]);
}

#[tokio::test]
async fn what_does_not_check_is_not_saved_and_not_lost() {
    let it = desk(&[("links.rules", LINKS)], false);
    let mut noor = it.person("noor", Role::Policy);
    let page = noor.get(FILE).await;
    send(&mut noor, &page.body, BROKEN, &SAVE).await.is(
        StatusCode::UNPROCESSABLE_ENTITY,
        &[
            "Nothing was saved",
            "content.lnks",
            "links.rules:1:",
            "did you mean",
            "as &#60;agreed&#62;",
        ],
    );
    assert_eq!(it.on_disk("links.rules"), LINKS);
    let long = "n".repeat(1_001);
    send(
        &mut noor,
        &page.body,
        WIDER,
        &[("do", "save"), ("note", &long)],
    )
    .await
    .is(
        StatusCode::UNPROCESSABLE_ENTITY,
        &["Use at most 1000 characters", "size() &#62; 1"],
    );
    // The session ends while somebody writes: the text comes back.
    noor.cookies.clear();
    send(&mut noor, &page.body, WIDER, &SAVE).await.is(
        StatusCode::UNAUTHORIZED,
        &[
            "Your session has ended",
            "size() &#62; 1",
            "as &#60;agreed&#62;",
            "/login?next=/rules/files/links.rules",
        ],
    );
    assert_eq!(it.on_disk("links.rules"), LINKS);
}

#[tokio::test]
async fn tests_are_played_as_edited() {
    let it = desk(&[("links.rules", LINKS)], false);
    let mut noor = it.person("noor", Role::Policy);
    let page = noor.get(FILE).await;
    let run = [("do", "test"), ("note", "")];
    let (failing, passing) = (format!("{LINKS}{TESTED}"), format!("{WIDER}{TESTED}"));
    send(&mut noor, &page.body, &failing, &run).await.is(
        StatusCode::OK,
        &["0 of 1 test passed", "three links", "did not fire"],
    );
    send(&mut noor, &page.body, &passing, &run).await.is(
        StatusCode::OK,
        &["1 test passed.", "1 rule goes live with this: links"],
    );
    send(&mut noor, &page.body, BROKEN, &run)
        .await
        .is(StatusCode::OK, &["were not run"]);
    assert_eq!(it.on_disk("links.rules"), LINKS);
    let asked = |text| [("file", "links.rules"), ("text", text)];
    let answer = ask(&mut noor, "noor", "/rules/test", &asked(failing.as_str()))
        .await
        .is(StatusCode::OK, &[]);
    let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(answer["tests"][0]["passed"], false);
    assert_eq!(answer["tests"][0]["line"], 3);
    send(&mut noor, &page.body, &failing, &SAVE)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    noor.get("/rules")
        .await
        .is(StatusCode::OK, &["0 of 1 test passed.", "links.rules:3"]);
}

#[tokio::test]
async fn the_editor_is_told_what_is_wrong_and_what_fits() {
    let it = desk(&[("links.rules", LINKS), ("other.rules", "// 🏴\n")], false);
    it.app.bank("SLOGANS");
    let mut noor = it.person("noor", Role::Policy);
    let text = format!("// 🏴\n{BROKEN}");
    let fields = [("file", "links.rules"), ("text", text.as_str())];
    let answer = ask(&mut noor, "noor", "/rules/check", &fields)
        .await
        .is(StatusCode::OK, &[]);
    let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let (from, to) = (
        &answer["diagnostics"][0]["from"],
        &answer["diagnostics"][0]["to"],
    );
    let units: Vec<u16> = text.encode_utf16().collect();
    let range = from.as_u64().unwrap() as usize..to.as_u64().unwrap() as usize;
    assert_eq!(String::from_utf16(&units[range]).unwrap(), "lnks");
    // What this text breaks elsewhere is said, too.
    let fields = [("file", "a.rules"), ("text", LINKS)];
    let answer = ask(&mut noor, "noor", "/rules/check", &fields).await;
    assert!(answer.body.contains("links.rules:1:"), "{}", answer.body);
    let fields = [
        ("file", "a.rules"),
        ("text", "rule r { when bank(\"SL"),
        ("offset", "22"),
    ];
    let answer = ask(&mut noor, "noor", "/rules/complete", &fields)
        .await
        .is(StatusCode::OK, &["SLOGANS"]);
    assert!(answer.body.contains("\"from\":20"), "{}", answer.body);
    // The other files are known: their rules may be expected by a test.
    let text = "test \"t\" { expect verdict li";
    let offset = text.len().to_string();
    let fields = [
        ("file", "a.rules"),
        ("text", text),
        ("offset", offset.as_str()),
    ];
    ask(&mut noor, "noor", "/rules/complete", &fields)
        .await
        .is(StatusCode::OK, &["\"label\":\"links\""]);
    let fields = [("file", "a.rules"), ("text", "x"), ("offset", "-1")];
    ask(&mut noor, "noor", "/rules/complete", &fields)
        .await
        .is(StatusCode::BAD_REQUEST, &["whole number"]);
    let large = "x".repeat(5 * 1024 * 1024);
    let fields = [("file", "a.rules"), ("text", large.as_str())];
    ask(&mut noor, "noor", "/rules/check", &fields)
        .await
        .is(StatusCode::BAD_REQUEST, &["with a rule file in it"]);
}

#[tokio::test]
async fn of_two_people_who_edit_one_file_neither_loses_anything() {
    let it = desk(&[("links.rules", LINKS)], false);
    let (mut noor, mut sam) = (
        it.person("noor", Role::Policy),
        it.person("sam", Role::Policy),
    );
    let (hers, his) = (noor.get(FILE).await, sam.get(FILE).await);
    send(&mut noor, &hers.body, WIDER, &SAVE)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    let mine = LINKS.replace("spam", "flood");
    let late = send(&mut sam, &his.body, &mine, &SAVE).await.is(
        StatusCode::CONFLICT,
        &[
            "noor saved version 2 (“as &#60;agreed&#62;”)",
            "What was changed meanwhile",
            "What you changed",
            "+</td>",
            "policy flood",
            "What you wrote",
        ],
    );
    assert_eq!(it.on_disk("links.rules"), WIDER);
    // He goes on from hers.
    let both = WIDER.replace("spam", "flood");
    send(&mut sam, &late.body, &both, &SAVE)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(it.on_disk("links.rules"), both);
    it.verify();
}

#[tokio::test]
async fn changes_of_two_people_that_do_not_touch_are_put_together() {
    let text = |first: &str, last: &str| format!("// {first}\n\n{LINKS}\n// {last}\n");
    let it = desk(&[("links.rules", &text("first", "last"))], false);
    let (mut noor, mut sam) = (
        it.person("noor", Role::Policy),
        it.person("sam", Role::Policy),
    );
    let (hers, his) = (noor.get(FILE).await, sam.get(FILE).await);
    send(&mut noor, &hers.body, &text("hers", "last"), &SAVE)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    let late = send(&mut sam, &his.body, &text("first", "his"), &SAVE)
        .await
        .is(
            StatusCode::CONFLICT,
            &["the editor below holds both", "// hers", "// his"],
        );
    assert_eq!(
        it.on_disk("links.rules"),
        text("hers", "last"),
        "it is a suggestion"
    );
    send(&mut sam, &late.body, &text("hers", "his"), &SAVE)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(it.on_disk("links.rules"), text("hers", "his"));
    it.verify();
}

#[tokio::test]
async fn a_half_saved_file_is_told_of_and_mended_here() {
    let it = desk(&[("links.rules", LINKS)], false);
    let mut noor = it.person("noor", Role::Policy);
    it.put("links.rules", &WIDER[..60]).await;
    noor.get("/rules").await.is(
        StatusCode::OK,
        &[
            "The files as they are now are not in force",
            "Open links.rules at line",
            "size() &gt; 3",
        ],
    );
    noor.get("/").await.is(StatusCode::OK, &["not in force"]);
    noor.get("/rules/files/more.rules")
        .await
        .is(StatusCode::OK, &["Another file does not check"])
        .says_not(&["saved it half-way"]);
    let page = noor.get(FILE).await.is(
        StatusCode::OK,
        &[
            "saved it half-way",
            "goes on working",
            "/rules/files/links.rules/versions/1",
        ],
    );
    send(&mut noor, &page.body, WIDER, &SAVE)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    noor.get("/rules")
        .await
        .is(StatusCode::OK, &["size() &gt; 1"])
        .says_not(&["not in force"]);
    it.verify();
}

#[tokio::test]
async fn what_goes_live_is_approved_by_somebody_else() {
    let it = desk(&[("links.rules", LINKS)], true);
    let (mut noor, mut sam) = (
        it.person("noor", Role::Policy),
        it.person("sam", Role::Policy),
    );
    let page = noor
        .get(FILE)
        .await
        .is(StatusCode::OK, &["waits for a second person"]);
    let proposed = send(&mut noor, &page.body, WIDER, &SAVE)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    let path = "/rules/proposals/1";
    assert_eq!(proposed.to(), "/rules/proposals/1?done=proposed");
    assert_eq!(it.on_disk("links.rules"), LINKS);
    noor.get(proposed.to())
        .await
        .is(
            StatusCode::OK,
            &[
                "waits for a second person",
                "Take it back",
                "<code>links</code>",
            ],
        )
        .says_not(&["Approve"]);
    let approve = [("do", "approve"), ("answer", "looked at <it>")];
    ask(&mut noor, "noor", path, &approve).await.is(
        StatusCode::UNPROCESSABLE_ENTITY,
        &["Nobody approves their own"],
    );
    let mut ada = it.person("ada", Role::Reviewer);
    ada.get(path)
        .await
        .is(StatusCode::OK, &[])
        .says_not(&["Approve"]);
    ask(&mut ada, "ada", path, &approve)
        .await
        .is(StatusCode::FORBIDDEN, &[]);
    sam.get("/rules")
        .await
        .is(StatusCode::OK, &["<span class=\"count alarm\">1</span>"]);
    sam.get(path).await.is(
        StatusCode::OK,
        &["Approve", "What it changes", "as &lt;agreed&gt;"],
    );
    let approved = ask(&mut sam, "sam", path, &approve)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(
        approved.to(),
        "/rules/files/links.rules?done=proposal_approved"
    );
    assert_eq!(it.on_disk("links.rules"), WIDER);
    noor.get(path)
        .await
        .is(StatusCode::OK, &["approved", "looked at &lt;it&gt;", "sam"]);
    ask(&mut sam, "sam", path, &approve)
        .await
        .is(StatusCode::CONFLICT, &["approved already"]);
    let page = noor.get(FILE).await;
    send(&mut noor, &page.body, SHADOW, &SAVE)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(
        it.on_disk("links.rules"),
        SHADOW,
        "switching off does not wait"
    );
    it.verify();
}

#[tokio::test]
async fn a_proposal_is_declined_taken_back_or_brought_onto_the_present_text() {
    let it = desk(&[("links.rules", LINKS)], true);
    let (mut noor, mut sam) = (
        it.person("noor", Role::Policy),
        it.person("sam", Role::Policy),
    );
    let page = noor.get(FILE).await;
    send(&mut noor, &page.body, WIDER, &SAVE)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    // Meanwhile the live rule is switched off, at once.
    send(
        &mut sam,
        &page.body.replace(&csrf_of("noor"), &csrf_of("sam")),
        SHADOW,
        &SAVE,
    )
    .await
    .is(StatusCode::SEE_OTHER, &[]);
    let path = "/rules/proposals/1";
    sam.get(path).await.is(
        StatusCode::OK,
        &["The file has changed since", "?proposal=1", "disabled"],
    );
    ask(&mut sam, "sam", path, &[("do", "approve")])
        .await
        .is(StatusCode::UNPROCESSABLE_ENTITY, &["It was not approved"]);
    assert_eq!(it.on_disk("links.rules"), SHADOW);
    let page = noor.get("/rules/files/links.rules?proposal=1").await.is(
        StatusCode::OK,
        &["changed this file meanwhile", "What you wrote"],
    );
    send(&mut noor, &page.body, WIDER, &SAVE)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    noor.get("/rules/proposals")
        .await
        .is(StatusCode::OK, &["superseded", "Proposal 2"]);
    let decline = [("do", "decline"), ("answer", "too wide")];
    ask(&mut sam, "sam", "/rules/proposals/2", &decline)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    sam.get("/rules/proposals")
        .await
        .is(StatusCode::OK, &["rejected", "too wide"]);
    ask(&mut noor, "noor", "/rules/proposals/2", &decline)
        .await
        .is(StatusCode::CONFLICT, &["rejected already"]);
    ask(&mut noor, "noor", "/rules/proposals/2", &[])
        .await
        .is(StatusCode::BAD_REQUEST, &[]);
    let page = noor.get(FILE).await;
    send(&mut noor, &page.body, WIDER, &SAVE)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    ask(
        &mut noor,
        "noor",
        "/rules/proposals/3",
        &[("do", "decline")],
    )
    .await
    .is(StatusCode::SEE_OTHER, &[]);
    let kinds = it.app.leaf_kinds();
    for kind in [
        "rules.file_saved",
        "rules.proposed",
        "rules.rejected",
        "rules.withdrawn",
    ] {
        assert!(kinds.iter().any(|it| it == kind), "{kind} in {kinds:?}");
    }
    it.verify();
}

#[tokio::test]
async fn what_each_rule_did_is_counted_by_days() {
    let it = desk(
        &[(
            "slogans.rules",
            "rule slogan { policy tvec reason \"R.\" when content.text.contains(\"x\") then remove(content) }\n",
        )],
        false,
    );
    let mut noor = it.person("noor", Role::Reviewer);
    let now = clock::<0>();
    let hours = SignedDuration::from_hours;
    for (id, before, held) in [
        ("p-1", hours(0), false),
        ("p-2", hours(0), false),
        ("p-3", hours(0), true),
        ("p-4", hours(24), false),
        ("p-5", hours(24 * 14), false),
    ] {
        let mut event = event(id, id);
        event.decision.at = now - before;
        event.decision.id = decision_at(now - before);
        if held {
            let verdict = event.decision.verdicts.first_mut().unwrap();
            (verdict.mode, verdict.held) = (Mode::Shadow, Some(Held::RuleLimit));
        }
        it.app.record(event);
    }
    let read = |at: Timestamp| {
        let read = move |reader: &Reader| Ok(did(reader, at).unwrap());
        let all = it.app.store.read(read).unwrap();
        let slogan = all.get(&"slogan".parse().unwrap()).cloned();
        slogan.map(|it| (it.live, it.held, it.last, it.days.is_empty()))
    };
    assert_eq!(read(now), Some((2, 1, Some(now), false)));
    assert_eq!(read(now + hours(24)), Some((0, 0, Some(now), false)));
    assert_eq!(read(now + hours(24 * 20)), Some((0, 0, Some(now), true)));
    assert_eq!(read(now + hours(24 * 100)), None);
    noor.get("/rules").await.is(
        StatusCode::OK,
        &[
            "<span class=\"nowrap\">remove 2</span>",
            "<span class=\"nowrap\">enqueue 2</span>",
            "data-label=\"Held back\">1<",
            "oldest first: 0 0 0 0 0 0 0 0 0 0 0 0 1 3\"",
        ],
    );
}

#[tokio::test]
async fn a_file_that_is_gone_comes_back_from_its_history() {
    let it = desk(&[("links.rules", LINKS)], false);
    let mut noor = it.person("noor", Role::Policy);
    std::fs::remove_file(it.folder.join("links.rules")).unwrap();
    it.book.look(&it.app.store).await;
    noor.get("/rules").await.is(
        StatusCode::OK,
        &["not there any more", "/rules/files/links.rules/history"],
    );
    let back = "/rules/files/links.rules/return";
    let version = noor.get("/rules/files/links.rules/versions/1").await;
    let fields = hidden(&version.body, back);
    let fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    noor.post(back, &fields)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(it.on_disk("links.rules"), LINKS);
    it.verify();
}

#[tokio::test]
async fn rules_are_found_by_their_words_and_modes() {
    let it = desk(
        &[
            ("links.rules", LINKS),
            (
                "more.rules",
                "rule quiet { mode shadow policy calm reason \"Q.\" when content.text.contains(\"x\") then remove(content) }\n",
            ),
        ],
        false,
    );
    let mut noor = it.person("noor", Role::Reviewer);
    let found = ask(
        &mut noor,
        "noor",
        "/rules/find",
        &[("text", "MANY & more"), ("mode", "")],
    )
    .await
    .is(StatusCode::SEE_OTHER, &[]);
    assert_eq!(found.to(), "/rules?text=MANY+%26+more");
    let row = |name: &str| format!("<th scope=\"row\" class=\"full rule\">{name}<br>");
    for (query, some, none) in [
        ("?text=MANY", "links", "quiet"),
        ("?text=calm", "quiet", "links"),
        ("?mode=shadow", "quiet", "links"),
        ("?mode=live", "links", "quiet"),
    ] {
        let page = noor.get(&format!("/rules{query}")).await;
        page.is(StatusCode::OK, &[&row(some)])
            .says_not(&[&row(none)]);
    }
    noor.get("/rules?mode=none")
        .await
        .is(StatusCode::OK, &["No rule here"]);
}

#[tokio::test]
async fn the_editor_alone_may_bring_a_script() {
    let it = desk(&[("links.rules", LINKS)], false);
    let mut noor = it.person("noor", Role::Policy);
    let policy = |answer: &Answer| {
        answer.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .to_owned()
    };
    for path in [
        "/rules",
        "/rules/proposals",
        "/rules/files/links.rules/history",
    ] {
        let page = noor
            .get(path)
            .await
            .is(StatusCode::OK, &[])
            .says_not(&["<script"]);
        assert!(!policy(&page).contains("script-src"), "{path}");
    }
    let page = noor.get(FILE).await.is(
        StatusCode::OK,
        &["<script type=\"module\" src=\"/static/editor.js?v="],
    );
    let allowed = policy(&page);
    assert!(
        allowed.contains("script-src 'self'") && !allowed.contains("unsafe"),
        "{allowed}"
    );
    let (_, rest) = page.body.split_once("src=\"/static/editor").unwrap();
    let script = format!("/static/editor{}", rest.split('"').next().unwrap());
    let script = noor.get(&script).await.is(StatusCode::OK, &["CodeMirror"]);
    assert_eq!(
        script.headers[header::CONTENT_TYPE],
        "text/javascript; charset=utf-8"
    );
}

#[tokio::test]
async fn a_server_that_is_loading_says_so() {
    let app = app();
    let mut noor = app.logged_in("noor", true);
    noor.get(FILE)
        .await
        .is(StatusCode::SERVICE_UNAVAILABLE, &["still loading"]);
    noor.get("/rules/proposals")
        .await
        .is(StatusCode::OK, &["Nothing waits"]);
}

#[tokio::test]
async fn the_list_says_what_acts_and_knows_the_schema() {
    let more = ["shadow", "draft", "off"].map(|mode| {
        format!("rule {mode}s {{ mode {mode} policy p reason \"R.\" when account.followers > 1 then remove(content) }}\n")
    });
    let it = desk(
        &[("links.rules", &format!("{LINKS}{}", more.concat()))],
        false,
    );
    it.put("schema.toml", "[attributes]\ncountry = \"string\"\n")
        .await;
    let mut noor = it.person("noor", Role::Policy);
    let page = noor.get("/rules").await.is(
        StatusCode::OK,
        &[
            "1 is evaluated and recorded without effect, 2 are drafts or off and not evaluated.",
            "schema.toml",
            "it is changed on disk",
        ],
    );
    assert!(!page.body.contains("not there any more"), "{}", page.body);
}
