//! Sets in the console: who may change them, what is refused, and what rules miss.

use super::rules::{ask, desk};
use super::*;

const ASKS: &str = "rule strangers { policy spam reason \"R.\" when not (account.id in set(\"trusted\")) then remove(content) }\n";

#[tokio::test]
async fn a_set_that_rules_miss_is_named_made_filled_and_emptied() {
    let it = desk(&[("strangers.rules", ASKS)], false);
    let mut noor = it.person("noor", Role::Policy);
    for page in ["/rules", "/sets"] {
        noor.get(page)
            .await
            .is(StatusCode::OK, &["sets that nobody keeps", ">trusted<"]);
    }
    let new = [("name", "trusted"), ("description", "accounts <we> know")];
    let made = ask(&mut noor, "noor", "/sets", &new).await;
    assert_eq!(made.to(), "/sets/trusted?done=set_made");
    noor.get("/rules")
        .await
        .is(StatusCode::OK, &[])
        .says_not(&["sets that nobody keeps"]);
    let items = "a-19\r\n\r\n <b>20\r\nراية\r\na-19";
    let add = [("items", items), ("note", "city <council>")];
    let added = ask(&mut noor, "noor", "/sets/trusted/add", &add).await;
    assert_eq!(added.to(), "/sets/trusted?done=set_changed");
    noor.get(added.to()).await.is(
        StatusCode::OK,
        &[
            "accounts &lt;we&gt; know",
            "3 in it",
            "&lt;b&gt;20",
            "value=\"&#60;b&#62;20\"",
            "<bdi dir=\"auto\">راية</bdi>",
            "city &lt;council&gt;",
            "by <bdi dir=\"auto\">noor</bdi>",
        ],
    );
    let again = ask(&mut noor, "noor", "/sets/trusted/add", &add).await;
    assert_eq!(again.to(), "/sets/trusted?done=unchanged");
    let out = [("items", "<b>20")];
    let removed = ask(&mut noor, "noor", "/sets/trusted/remove", &out).await;
    noor.get(removed.to())
        .await
        .is(StatusCode::OK, &["taken out", "2 in it"]);
    noor.get("/sets")
        .await
        .is(StatusCode::OK, &["/sets/trusted", "yes"]);
    let kinds = it.app.leaf_kinds();
    for kind in ["set.created", "set.items_added", "set.items_removed"] {
        assert_eq!(kinds.iter().filter(|it| *it == kind).count(), 1, "{kind}");
    }
    it.verify();
}

#[tokio::test]
async fn what_is_wrong_is_said_at_its_field() {
    let it = desk(&[], false);
    let mut noor = it.person("noor", Role::Admin);
    let long = "d".repeat(1_025);
    for (name, description, says) in [
        ("", "", "Give the set a name"),
        ("No Name", "", "name-problem"),
        ("a", &long, "the limit is 1024"),
    ] {
        let fields = [("name", name), ("description", description)];
        ask(&mut noor, "noor", "/sets", &fields)
            .await
            .is(StatusCode::UNPROCESSABLE_ENTITY, &[says]);
    }
    let fields = [("name", "a")];
    ask(&mut noor, "noor", "/sets", &fields)
        .await
        .is(StatusCode::SEE_OTHER, &[]);
    ask(&mut noor, "noor", "/sets", &fields).await.is(
        StatusCode::UNPROCESSABLE_ENTITY,
        &["name-problem", "There is a set a already"],
    );
    let (item, note) = ("i".repeat(257), "n".repeat(1_025));
    for (path, items, note, says) in [
        ("/sets/a/add", " \n ", "", "Write one item a line"),
        ("/sets/a/remove", "", "", "remove-items-problem"),
        ("/sets/a/add", &item, "", "add-items-problem"),
        ("/sets/a/add", "x", &note, "note-problem"),
    ] {
        let fields = [("items", items), ("note", note)];
        ask(&mut noor, "noor", path, &fields)
            .await
            .is(StatusCode::UNPROCESSABLE_ENTITY, &[says, items.trim()]);
    }
    let fields = [("items", "x")];
    for path in ["/sets/none/add", "/sets/none/remove", "/sets/No!/add"] {
        ask(&mut noor, "noor", path, &fields)
            .await
            .is(StatusCode::NOT_FOUND, &["There is nothing here"]);
    }
    noor.get("/sets/none").await.is(StatusCode::NOT_FOUND, &[]);
    it.verify();
}

#[tokio::test]
async fn reviewers_read_sets_and_change_none() {
    let it = desk(&[], false);
    let mut noor = it.person("noor", Role::Policy);
    ask(&mut noor, "noor", "/sets", &[("name", "a")]).await;
    ask(&mut noor, "noor", "/sets/a/add", &[("items", "x")]).await;
    let mut sam = it.person("sam", Role::Reviewer);
    for page in ["/sets", "/sets/a"] {
        sam.get(page)
            .await
            .is(StatusCode::OK, &["Only people with the role policy"])
            .says_not(&["<textarea", "Take out<"]);
    }
    let fields = [("name", "b"), ("items", "x")];
    let mut nobody = it.app.browser();
    for path in ["/sets", "/sets/a/add", "/sets/a/remove"] {
        ask(&mut sam, "sam", path, &fields)
            .await
            .is(StatusCode::FORBIDDEN, &["role policy or admin"]);
        ask(&mut noor, "sam", path, &fields)
            .await
            .is(StatusCode::FORBIDDEN, &["too old"]);
        ask(&mut nobody, "sam", path, &fields)
            .await
            .is(StatusCode::UNAUTHORIZED, &[]);
    }
    noor.get("/sets/a").await.is(StatusCode::OK, &["1 in it"]);
}
