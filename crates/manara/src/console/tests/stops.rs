//! Circuit breakers in the console: what is said of them, who lets a rule act again, and cases about rules.

use super::rules::{Desk, LINKS, ask, desk};
use super::*;
use manara_store::NewStop;

const RESET: &str = "/rules/reset";

/// A rule, or all of them, is stopped.
fn stop(it: &Desk, rule: Option<&str>, post: &str) {
    let stop = NewStop {
        rule: rule.map(|rule| rule.parse().unwrap()),
        why: "1,000 <actions> within an hour".into(),
        queue: "rules".parse().unwrap(),
        policy: "spam".parse().unwrap(),
        priority: 9,
    };
    let event = event(post, post);
    let write = move |tx: &mut manara_store::Tx<'_>| {
        tx.record_events_with(vec![event], |_, _, _| Ok(vec![stop.clone()]))
    };
    it.app.store.write_blocking(write).unwrap();
}

fn is_open(it: &Desk, rule: Option<&str>) -> bool {
    let rule = rule.map(|rule| rule.parse().unwrap());
    let read = |reader: &manara_store::Reader| reader.open_stop(rule.as_ref());
    it.app.store.read(read).unwrap().is_some()
}

fn case_about(it: &Desk, rule: &str) -> CaseId {
    let filter = CaseFilter {
        queue: Some("rules".parse().unwrap()),
        stage: CaseStage::Open,
        after: None,
        limit: 10,
    };
    let cases = it.app.store.read(|reader| reader.cases(&filter)).unwrap();
    let mut cases = cases.into_iter();
    cases.find(|case| case.entity.id == rule).unwrap().id
}

#[tokio::test]
async fn a_rule_that_is_stopped_is_named_and_let_act_again() {
    let it = desk(&[("links.rules", LINKS)], false);
    let mut noor = it.person("noor", Role::Policy);
    noor.get("/rules")
        .await
        .is(StatusCode::OK, &[])
        .says_not(&["circuit breaker"]);
    stop(&it, Some("links"), "p-1");
    stop(&it, None, "p-2");
    let (of_rule, of_all) = (case_about(&it, "links"), case_about(&it, "*"));
    noor.get("/rules").await.is(
        StatusCode::OK,
        &[
            "Rule links does not act: its circuit breaker is open",
            "No rule acts: the server’s circuit breaker is open",
            "1,000 &lt;actions&gt; within an hour",
            &format!("/cases/{of_rule}"),
            &format!("/cases/{of_all}"),
            "Let it act again",
            "Let all rules act again",
            "Stops (1)",
        ],
    );
    let mut sam = it.person("sam", Role::Reviewer);
    sam.get("/rules")
        .await
        .is(StatusCode::OK, &["Rule links does not act"])
        .says_not(&["Let it act again"]);
    let fields = [("rule", "links"), ("note", "looked <at> it")];
    ask(&mut sam, "sam", RESET, &fields)
        .await
        .is(StatusCode::FORBIDDEN, &["role policy or admin"]);
    ask(&mut noor, "sam", RESET, &fields)
        .await
        .is(StatusCode::FORBIDDEN, &["too old"]);
    for note in ["", "  ", &"ن".repeat(513)] {
        let fields = [("rule", "links"), ("note", note)];
        ask(&mut noor, "noor", RESET, &fields).await.is(
            StatusCode::UNPROCESSABLE_ENTITY,
            &["id=\"reset-2-problem\"", note.trim()],
        );
    }
    let fields_of_none = [("rule", "No Rule"), ("note", "x")];
    ask(&mut noor, "noor", RESET, &fields_of_none)
        .await
        .is(StatusCode::BAD_REQUEST, &["names no rule"]);
    assert!(is_open(&it, Some("links")) && is_open(&it, None));
    let done = ask(&mut noor, "noor", RESET, &fields).await;
    assert_eq!(done.to(), "/rules?done=rule_reset");
    let again = ask(&mut noor, "noor", RESET, &fields).await;
    assert_eq!(again.to(), "/rules?done=unchanged");
    assert!(!is_open(&it, Some("links")) && is_open(&it, None));
    noor.get(done.to())
        .await
        .is(
            StatusCode::OK,
            &[
                "The circuit breaker is closed",
                "looked &lt;at&gt; it",
                "<bdi dir=\"auto\">noor</bdi>",
            ],
        )
        .says_not(&["Rule links does not act"]);
    let all = [("rule", "*"), ("note", "so")];
    ask(&mut noor, "noor", RESET, &all)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    assert!(!is_open(&it, None));
    it.verify();
}

#[tokio::test]
async fn a_case_about_a_rule_is_read_and_decided_in_words() {
    let it = desk(&[("links.rules", LINKS)], false);
    stop(&it, Some("links"), "p-1");
    stop(&it, None, "p-2");
    let mut noor = it.person("noor", Role::Reviewer);
    let case = case_about(&it, "links");
    let path = format!("/cases/{case}");
    noor.get(&path)
        .await
        .is(
            StatusCode::OK,
            &[
                "Rule links was stopped",
                "1,000 &lt;actions&gt; within an hour.",
                "/rules/files/links.rules?line=1",
                "It may act again",
                "Leave it without effect",
                "The events that would have been too many",
            ],
        )
        .says_not(&["Suspend the account", "is taken down"]);
    let decide = [("outcome", "keep"), ("policy", "spam"), ("note", "right")];
    let done = ask(&mut noor, "noor", &format!("{path}/decide"), &decide).await;
    assert_eq!(done.to(), format!("{path}?done=rule_let_act"));
    assert!(!is_open(&it, Some("links")));
    noor.get(done.to()).await.is(
        StatusCode::OK,
        &[
            "acts again",
            "Let act again",
            "Rule links was stopped, and may act again",
        ],
    );
    let path = format!("/cases/{}", case_about(&it, "*"));
    noor.get(&path)
        .await
        .is(StatusCode::OK, &["All rules were stopped"]);
    let decide = [("outcome", "suspend"), ("policy", "spam"), ("note", "")];
    ask(&mut noor, "noor", &format!("{path}/decide"), &decide)
        .await
        .is(StatusCode::UNPROCESSABLE_ENTITY, &[]);
    let decide = [("outcome", "remove"), ("policy", "spam"), ("note", "")];
    let done = ask(&mut noor, "noor", &format!("{path}/decide"), &decide).await;
    assert_eq!(done.to(), format!("{path}?done=rule_left"));
    assert!(is_open(&it, None));
    noor.get(done.to())
        .await
        .is(StatusCode::OK, &["Left without effect"]);
    it.verify();
}
