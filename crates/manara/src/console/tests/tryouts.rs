//! Back-tests in the console: from the editor and the list, while they run and when they have ended.

use super::banks::hidden;
use super::rules::{Desk, LINKS, ask, desk};
use super::*;
use manara_rules::counters::KeyHasher;
use manara_rules::{Breakers, Settings};

const FILE: &str = "/rules/files/links.rules";
const WORDS: &str = "rule words { policy spam reason \"R.\" when content.text.contains(\"banner\") then remove(content) }\n";
const DRAFT: &str = "rule words { mode draft policy spam reason \"R.\" when content.text.contains(\"banner\") then remove(content) }\n";

pub(super) fn settings() -> Settings {
    Settings {
        keys: KeyHasher::new([3; 16]),
        keys_max: 1_000,
        breakers: Breakers {
            rule_hour: 1,
            rule_day: 0,
            mild_rule_hour: 0,
            mild_rule_day: 0,
            server_hour: 0,
            server_day: 0,
        },
    }
}

/// Posts of several accounts within the last two days, the rest long ago.
fn posted(it: &Desk) {
    for (id, text, hours) in [
        ("p-5", "banner of old", 24 * 20),
        ("p-4", "nothing of it", 31),
        ("p-3", "banner again", 30),
        ("p-2", "راية الرماد banner", 1),
        ("p-1", "the grey banner <b>", 1),
    ] {
        let mut new = event(id, text);
        let at = clock::<0>() - SignedDuration::from_hours(hours);
        (new.received_at, new.decision.at) = (at, at);
        new.event.time = at;
        it.app.record(new);
    }
}

async fn ended(browser: &mut Browser<'_>, path: &str) -> Answer {
    let mut tries = 0;
    loop {
        let answer = browser.get(&format!("{path}/progress")).await;
        let answer = answer.is(StatusCode::OK, &["\"running\"", "Step "]);
        if answer.body.contains("\"running\":false") {
            return browser.get(path).await;
        }
        tries += 1;
        assert!(tries < 1_000_000, "it never ends");
        tokio::task::yield_now().await;
    }
}

/// Presses "Try it" in the editor, with another text.
async fn try_text(browser: &mut Browser<'_>, text: &str, span: &str) -> Answer {
    let page = browser.get(FILE).await;
    let mut fields = hidden(&page.body, FILE);
    fields.extend([
        ("text".into(), text.replace('\n', "\r\n")),
        ("note".into(), "as <agreed>".into()),
        ("do".into(), "try".into()),
        ("span".into(), span.into()),
    ]);
    let fields = fields.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let fields: Vec<_> = fields.collect();
    browser.post(FILE, &fields).await
}

#[tokio::test]
async fn a_text_is_tried_before_it_is_saved() {
    let it = desk(&[("links.rules", LINKS)], false);
    posted(&it);
    let mut noor = it.person("noor", Role::Policy);
    noor.get(FILE)
        .await
        .is(StatusCode::OK, &["Try it on", "the last 7 days"]);
    let started = try_text(&mut noor, WORDS, "7d")
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    let path = started.to().to_owned();
    let page = ended(&mut noor, &path).await.is(
        StatusCode::OK,
        &[
            "Back-test of links.rules",
            "a text that is not saved",
            "<dd>4</dd>",
            "Done besides",
            "<dd>3 <small>75 %</small></dd>",
            "the grey banner &lt;b&gt;",
            "راية",
            "remove(content p-1)",
            "/decisions/",
            "people decided on none of these",
            "It would have opened on",
            "Ages of accounts",
            "<svg class=\"curve\"",
            "<caption>Languages</caption>",
            "rule words",
        ],
    );
    page.says_not(&["banner of old", "http-equiv", "<script type"]);
    noor.get(&format!(
        "{FILE}?tried={}",
        path.rsplit('/').next().unwrap()
    ))
    .await
    .is(StatusCode::OK, &["rule words"]);
    noor.get("/rules/tryouts").await.is(
        StatusCode::OK,
        &[&path, "7 d up to", "as edited", ">noor<", "done"],
    );
    let file = noor.get(FILE).await;
    file.is(StatusCode::OK, &["rule links"])
        .says_not(&["rule words"]);
    // A draft says what it would do, and changes nothing.
    let started = try_text(&mut noor, DRAFT, "30d").await;
    ended(&mut noor, started.to()).await.is(
        StatusCode::OK,
        &[
            "Nothing: the same would have been done",
            "<dd>4 <small>80 %</small></dd>",
            "banner of old",
            ">draft<",
        ],
    );
    let leaves = it.app.store.read(|reader| reader.leaves(0, 1_000)).unwrap();
    let notes: Vec<_> = leaves
        .into_iter()
        .filter(|it| it.leaf.kind == "rules.tried")
        .collect();
    assert_eq!(notes.len(), 2);
    let note = notes[0].leaf.note.as_deref().unwrap_or_default();
    assert!(note.starts_with("links.rules: 20"), "{note}");
    it.verify();
}

#[tokio::test]
async fn what_would_not_be_done_any_more_is_shown_with_samples() {
    let it = desk(&[("links.rules", WORDS)], false);
    posted(&it);
    let mut noor = it.person("noor", Role::Admin);
    let started = try_text(&mut noor, LINKS, "1d").await;
    ended(&mut noor, started.to()).await.is(
        StatusCode::OK,
        &[
            "Not done any more",
            "<dd>2 <small>100 %</small></dd>",
            "Nothing would be done that is not done now",
            "It would have fired on nothing",
        ],
    );
    let again = format!("{}/again", started.to());
    for (until, says) in [
        ("soon", "Write a day as"),
        ("2099-01-01", "Choose a time that is past"),
        ("-009999-01-02T01:59:59Z", "until-problem"),
    ] {
        let fields = [("span", "30d"), ("until", until)];
        ask(&mut noor, "noor", &again, &fields)
            .await
            .is(StatusCode::UNPROCESSABLE_ENTITY, &[says]);
    }
    ask(&mut noor, "noor", &again, &[("span", "9d")])
        .await
        .is(StatusCode::BAD_REQUEST, &["1d, 7d, 30d"]);
    let until = (clock::<0>() - SignedDuration::from_hours(24)).to_string();
    let fields = [("span", "30d"), ("until", &until)];
    let started = ask(&mut noor, "noor", &again, &fields).await;
    ended(&mut noor, started.to()).await.is(
        StatusCode::OK,
        &["<dd>3</dd>", "<dd>2 <small>67 %</small></dd>"],
    );
}

#[tokio::test]
async fn the_file_as_it_is_is_tried_from_the_list() {
    let it = desk(&[("links.rules", WORDS)], false);
    posted(&it);
    let mut noor = it.person("noor", Role::Policy);
    let path = format!("{FILE}/try");
    noor.get("/rules")
        .await
        .is(StatusCode::OK, &[&path, "Try on 7 days"]);
    let started = ask(&mut noor, "noor", &path, &[("span", "7d")]).await;
    ended(&mut noor, started.to())
        .await
        .is(StatusCode::OK, &["with the file as it is"]);
    ask(&mut noor, "noor", "/rules/files/none.rules/try", &[])
        .await
        .is(StatusCode::NOT_FOUND, &[]);
    it.put("links.rules", "rule").await;
    let refused = ask(&mut noor, "noor", &path, &[]).await;
    assert_eq!(refused.to(), "/rules/files/links.rules?done=not_tried");
}

#[tokio::test]
async fn what_does_not_check_is_not_tried_and_not_lost() {
    let it = desk(&[("links.rules", LINKS)], false);
    let mut noor = it.person("noor", Role::Policy);
    let broken = WORDS.replace("content.text", "content.txet");
    try_text(&mut noor, &broken, "7d").await.is(
        StatusCode::UNPROCESSABLE_ENTITY,
        &["It was not tried", "content.txet", "as &#60;agreed&#62;"],
    );
    try_text(&mut noor, WORDS, "8d")
        .await
        .is(StatusCode::BAD_REQUEST, &["1d, 7d, 30d"]);
    noor.get("/rules/tryouts")
        .await
        .is(StatusCode::OK, &["None yet"]);
    noor.get(&format!("{FILE}?tried=beef"))
        .await
        .is(StatusCode::NOT_FOUND, &["last 20"]);
}

#[tokio::test]
async fn reviewers_look_at_back_tests_and_start_none() {
    let it = desk(&[("links.rules", WORDS)], false);
    posted(&it);
    let mut noor = it.person("noor", Role::Policy);
    let started = try_text(&mut noor, WORDS, "7d").await;
    ended(&mut noor, started.to()).await;
    let mut sam = it.person("sam", Role::Reviewer);
    sam.get(started.to())
        .await
        .is(StatusCode::OK, &["What would be different"])
        .says_not(&["Over another time", "Edit this text"]);
    sam.get("/rules")
        .await
        .is(StatusCode::OK, &["Back-tests"])
        .says_not(&["Try on 7 days"]);
    let mut nobody = it.app.browser();
    for path in [
        format!("{FILE}/try"),
        format!("{}/again", started.to()),
        format!("{}/cancel", started.to()),
    ] {
        let fields = [("span", "7d")];
        ask(&mut sam, "sam", &path, &fields)
            .await
            .is(StatusCode::FORBIDDEN, &["role policy or admin"]);
        ask(&mut noor, "sam", &path, &fields)
            .await
            .is(StatusCode::FORBIDDEN, &["too old"]);
        ask(&mut nobody, "sam", &path, &fields)
            .await
            .is(StatusCode::UNAUTHORIZED, &[]);
    }
    for path in ["/rules/tryouts/beef", "/rules/tryouts/beef/progress"] {
        noor.get(path)
            .await
            .is(StatusCode::NOT_FOUND, &["There is nothing here"]);
        nobody.get(path).await.is(StatusCode::SEE_OTHER, &[]);
    }
}

#[tokio::test]
async fn one_runs_at_a_time_and_is_cancelled() {
    let it = desk(&[("links.rules", WORDS)], false);
    posted(&it);
    let mut noor = it.person("noor", Role::Policy);
    // The writer is held up, so that the back-test waits for its note in the audit log.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let store = it.app.store.clone();
    let holding = std::thread::spawn(move || {
        let hold = move |tx: &mut manara_store::Tx<'_>| {
            wait.recv().unwrap();
            tx.note("test.held", &Author::System, clock::<0>(), None)
        };
        store.write_blocking(hold).unwrap();
    });
    let started = try_text(&mut noor, WORDS, "7d")
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    noor.get(started.to()).await.is(
        StatusCode::OK,
        &[
            "It runs",
            "<noscript><meta http-equiv=\"refresh\"",
            "src=\"/static/tryout.js?v=",
            "Cancel it",
            "Step 1 of 2",
        ],
    );
    try_text(&mut noor, LINKS, "7d").await.is(
        StatusCode::CONFLICT,
        &["one back-test runs at a time", "rule links"],
    );
    let refused = ask(&mut noor, "noor", &format!("{FILE}/try"), &[]).await;
    assert_eq!(refused.to(), "/rules/tryouts?done=tryout_busy");
    ask(&mut noor, "noor", &format!("{}/cancel", started.to()), &[])
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    go.send(()).unwrap();
    holding.join().unwrap();
    ended(&mut noor, started.to())
        .await
        .is(StatusCode::OK, &["It was cancelled", "Over another time"]);
    noor.get("/rules/tryouts")
        .await
        .is(StatusCode::OK, &["cancelled"]);
}

#[tokio::test]
async fn what_people_decided_is_held_against_rules() {
    let it = desk(&[("links.rules", LINKS)], false);
    posted(&it);
    let mut noor = it.person("noor", Role::Policy);
    let filter = CaseFilter {
        queue: None,
        stage: CaseStage::Open,
        after: None,
        limit: 100,
    };
    let cases = it.app.store.read(|reader| reader.cases(&filter)).unwrap();
    for (post, outcome) in [("p-1", "remove"), ("p-2", "keep"), ("p-3", "remove")] {
        let case = cases.iter().find(|case| case.entity.id == post).unwrap();
        let fields = [("outcome", outcome), ("policy", "spam"), ("note", "")];
        ask(
            &mut noor,
            "noor",
            &format!("/cases/{}/decide", case.id),
            &fields,
        )
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    }
    let started = try_text(&mut noor, WORDS, "7d").await;
    ended(&mut noor, started.to()).await.is(
        StatusCode::OK,
        &[
            "<dd>67 %</dd>",
            "2 of 3 people decided",
            "people: removed",
            "people: kept",
        ],
    );
}
