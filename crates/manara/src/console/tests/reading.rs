//! How each match of a text was read, on the pages of cases and decisions.

use super::*;
use manara_model::{BankName, MemberSettings, NewMember};

/// Records a text that matched a member and gives the page of its case.
async fn case_page(
    signal_type: SignalType,
    signal: &str,
    settings: &str,
    text: &str,
    part: Option<&str>,
) -> (String, String) {
    let app = app();
    let bank: BankName = "SLOGANS".parse().unwrap();
    let member = NewMember {
        signal: Signal::parse(signal_type, signal).unwrap(),
        note: String::new(),
        exchange: None,
        settings: serde_json::from_str::<MemberSettings>(settings).unwrap(),
    };
    app.store
        .write_blocking(move |tx| {
            let settings = BankSettings::default();
            let author = Author::System;
            tx.create_bank_with(&bank, "", &settings, vec![member], &author, clock::<0>())
        })
        .unwrap();
    let mut new = event("p-1", text);
    let decision = new.decision.id;
    let because = &mut new.decision.verdicts[0].because[0];
    because.signal_type = signal_type;
    because.how = None;
    because.span = part.map(|part| {
        let start = text.find(part).unwrap();
        let end = start + part.len();
        Span { start, end }
    });
    app.record(new);
    let filter = CaseFilter {
        queue: None,
        stage: CaseStage::Open,
        after: None,
        limit: 1,
    };
    let id = app.store.read(|reader| reader.cases(&filter)).unwrap()[0].id;
    let mut noor = app.logged_in("noor", false);
    let case = noor.get(&format!("/cases/{id}")).await;
    let decision = noor.get(&format!("/decisions/{decision}")).await;
    (
        case.is(StatusCode::OK, &[]).body,
        decision.is(StatusCode::OK, &[]).body,
    )
}

/// What both pages say in the details of the match, and nothing of what would be obeyed.
#[track_caller]
fn check((case, decision): (String, String), expect: &[&str]) {
    for page in [case, decision] {
        let (_, read) = page
            .split_once("<summary>How it was read</summary>")
            .expect("details of the match");
        let (read, _) = read.split_once("</details>").unwrap();
        for words in expect {
            assert!(read.contains(words), "{words}\nis not in\n{read}");
        }
        for never in ["<script", "<img", "style=", "\u{202e}"] {
            assert!(!read.contains(never), "{read}");
        }
    }
}

#[tokio::test]
async fn a_phrase_is_followed_from_what_was_posted_to_its_keys() {
    let page = case_page(SignalType::Text, "راية الرماد", "{}", TEXT, Some(PHRASE));
    check(
        page.await,
        &[
            "<mark>رايــــة الرَّمادِ</mark> بعد &lt;b&gt;</bdi>",
            "Stretched Arabic words (tatweel) closed up <span class=\"chip\">strict key</span>",
            "<mark>راية الرَّمادِ</mark>",
            "Vowel signs and accents taken off</th>",
            "Letters that writers interchange made one <span class=\"chip\">folded key</span>",
            "<mark>رايه الرماد</mark>",
            "data-label=\"Member:\"><bdi dir=\"auto\">رايه الرماد</bdi>",
            "Language of the text",
            "Folded: what changes how a word looks, not how it reads, was undone as well.",
        ],
    );
}

#[tokio::test]
async fn an_aggressive_reading_is_named() {
    let page = case_page(
        SignalType::Text,
        "راية الرماد",
        r#"{"term":{"level":"aggressive"}}"#,
        "tahta rayat el-ramad!",
        Some("rayat el-ramad"),
    );
    check(
        page.await,
        &[
            "tahta <mark>rayat el-ramad</mark>!",
            "Nothing had to be undone <span class=\"chip\">strict and folded key</span>",
            "The marked part was read as</th>",
            "<bdi dir=\"auto\">رايه الرماد</bdi>",
            "Aggressive: a reading was tried",
        ],
    );
}

#[tokio::test]
async fn a_long_text_is_cut_around_what_matched() {
    let text = format!("{}grey banner{}", "a ".repeat(20_000), " b".repeat(10_000));
    let page = case_page(
        SignalType::Text,
        "grey banner",
        "{}",
        &text,
        Some("grey banner"),
    );
    let (case, decision) = page.await;
    // The case shows the text itself, the decision only the passage.
    assert!(decision.len() < 20_000, "{}", decision.len());
    check(
        (case, decision),
        &["<bdi dir=\"auto\">…", "<mark>grey banner</mark>", "…</bdi>"],
    );
}

#[tokio::test]
async fn links_names_and_texts_show_what_is_compared() {
    let page = case_page(
        SignalType::Domain,
        "grey.example",
        "{}",
        "see hxxps://user@cdn[.]grey.example:8443/%2541 now",
        Some("hxxps://user@cdn[.]grey.example:8443/%2541"),
    );
    check(
        page.await,
        &[
            "written so that nobody clicks it",
            "https://cdn.grey.example:8443/%2541",
            "Registered domain",
            "Unusual port",
            "a user name before the host, which hides the host",
            "percent-encoding inside percent-encoding",
        ],
    );
    let page = case_page(
        SignalType::Name,
        "grey_banner_17",
        "{}",
        "ask @gr3y.banner_backup about <it>",
        Some("@gr3y.banner_backup"),
    );
    check(
        page.await,
        &[
            "greybanner17",
            "Added word, left out",
            "Counter, left out",
            "&lt;it&gt;",
        ],
    );
    let leaflet = "The grey banner rises over the valley before the winter comes again.";
    let page = case_page(
        SignalType::RawText,
        leaflet,
        "{}",
        "The grey banner rises over the walley before the winter comes again!",
        None,
    );
    check(
        page.await,
        &["Compared as", "thegreybannerrisesoverthewalley", "English"],
    );
}

#[tokio::test]
async fn posted_links_say_what_is_peculiar_and_texts_their_language() {
    let app = app();
    let mut new = event(
        "p-1",
        "The ferry leaves at noon and comes back before dark.",
    );
    let content = new.event.content.as_mut().unwrap();
    content.links = vec![
        "https://bit.ly/x".into(),
        "https://<b>/".into(),
        "https://exаmple.com/".into(),
        "not a link".into(),
    ];
    new.body = serde_json::to_string(&new.event).unwrap();
    app.record(new);
    let mut noor = app.logged_in("noor", false);
    let queue = noor.get("/queues").await.is(StatusCode::OK, &[]).body;
    let (_, case) = queue.split_once("href=\"/cases/").unwrap();
    let (case, _) = case.split_once('"').unwrap();
    noor.get(&format!("/cases/{case}")).await.is(
        StatusCode::OK,
        &[
            "Language: <bdi dir=\"auto\">English</bdi>.",
            "A shortener: it leads elsewhere.",
            "Looks like: example.com",
            "https://&lt;b&gt;/",
            "Not compared with banks: ",
        ],
    );
}
