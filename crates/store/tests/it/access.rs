//! Keys, reviewers, sessions, and the versions of rules.

use crate::fixtures::{Fixture, at, name};
use manara_model::{Author, RuleMode};
use manara_store::{NewApiKey, NewReviewer, NewSession, Role, RuleText, StoreError};

fn by() -> Author {
    Author::Operator("root".into())
}

fn key(id: &str) -> NewApiKey {
    NewApiKey {
        id: id.into(),
        name: "forum".into(),
        secret_hash: [id.len() as u8; 32],
        scopes: vec!["events:write".into()],
    }
}

fn reviewer(login: &str) -> NewReviewer {
    NewReviewer {
        login: login.into(),
        password_hash: "$argon2id$v=19$…".into(),
        role: Role::Reviewer,
    }
}

fn session(n: u8, login: &str) -> NewSession {
    NewSession {
        token_hash: [n; 32],
        login: login.into(),
        csrf: format!("csrf-{n}"),
        expires_at: at(100),
    }
}

#[test]
fn a_revoked_key_stays_listed_and_revoked() {
    let it = Fixture::new();
    it.write(|tx| tx.create_key(&key("k-1"), &by(), at(1)));
    it.write(|tx| tx.seed_key(&key("k-1"), &by(), at(2)));
    assert!(matches!(
        it.store
            .write_blocking(|tx| tx.create_key(&key("k-1"), &by(), at(2))),
        Err(StoreError::Conflict(_))
    ));
    it.write(|tx| tx.revoke_key("k-1", &by(), at(3)));
    it.write(|tx| tx.revoke_key("k-1", &by(), at(9)));
    it.write(|tx| tx.seed_key(&key("k-1"), &by(), at(10)));
    let keys = it.store.read(manara_store::Reader::api_keys).unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (keys[0].revoked_at, &keys[0].scopes),
        (Some(at(3)), &vec!["events:write".to_owned()])
    );
    let missing = it
        .store
        .write_blocking(|tx| tx.revoke_key("k-9", &by(), at(3)));
    assert_eq!(missing.unwrap_err().to_string(), "no such key k-9");
    it.verify();
}

#[test]
fn only_one_person_becomes_the_first_reviewer() {
    let it = Fixture::new();
    assert!(!it.store.read(manara_store::Reader::has_reviewers).unwrap());
    it.write(|tx| tx.create_first_reviewer(&reviewer("noor"), at(1)));
    let late = it
        .store
        .write_blocking(|tx| tx.create_first_reviewer(&reviewer("sami"), at(2)));
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    assert!(it.store.read(manara_store::Reader::has_reviewers).unwrap());
}

#[test]
fn a_session_ends_by_logout_time_password_or_dismissal() {
    let it = Fixture::new();
    it.write(|tx| tx.create_reviewer(&reviewer("noor"), &by(), at(1)));
    let live = |n: u8, now| it.store.read(|r| r.session(&[n; 32], at(now))).unwrap();
    for n in 1..=4 {
        it.write(move |tx| tx.open_session(&session(n, "noor"), at(2)));
    }
    let found = live(1, 3).unwrap();
    assert_eq!(
        (found.login.as_str(), found.role, found.csrf.as_str()),
        ("noor", Role::Reviewer, "csrf-1")
    );
    it.write(|tx| tx.close_session(&[1; 32], at(3)));
    it.write(|tx| tx.close_session(&[1; 32], at(4)));
    assert_eq!((live(1, 4), live(9, 4)), (None, None));
    assert!(live(2, 99).is_some() && live(2, 100).is_none());
    it.write(|tx| tx.set_password("noor", "$argon2id$other", &by(), at(5)));
    assert_eq!(live(2, 6), None);
    it.write(|tx| tx.open_session(&session(5, "noor"), at(6)));
    it.write(|tx| tx.disable_reviewer("noor", &by(), at(7)));
    assert_eq!(live(5, 8), None);
    let refused = it
        .store
        .write_blocking(|tx| tx.open_session(&session(6, "noor"), at(9)));
    assert_eq!(refused.unwrap_err().to_string(), "no such reviewer noor");
    it.verify();
}

#[test]
fn a_rule_gets_a_new_version_only_when_its_text_changed() {
    let it = Fixture::new();
    let rule = |n: &str, hash: u8| RuleText {
        name: name(n),
        hash: [hash; 32],
        text: format!("rule {n} {{ {hash} }}"),
        file: "a.rules".into(),
        mode: RuleMode::Live,
    };
    let record =
        |rules: Vec<RuleText>| it.write(move |tx| tx.record_rules(&rules, &Author::System, at(1)));
    assert_eq!(record(vec![rule("a", 1), rule("b", 1)]), [1, 1]);
    assert_eq!(record(vec![rule("a", 1), rule("b", 2)]), [1, 2]);
    assert_eq!(
        record(vec![rule("b", 1), rule("a", 1)]),
        [3, 1],
        "an older text again is a newer version"
    );
    let totals = it.store.read(manara_store::Reader::totals).unwrap();
    assert_eq!(totals.leaves, 3);
    record(vec![rule("b", 1), rule("a", 1)]);
    assert_eq!(
        it.store.read(manara_store::Reader::totals).unwrap().leaves,
        3,
        "nothing new, no leaf"
    );
    let old = it
        .store
        .read(|r| r.rule_version(&name("b"), 2))
        .unwrap()
        .unwrap();
    assert_eq!(old.rule, rule("b", 2));
    let history = it.store.read(|r| r.rule_versions(&name("b"))).unwrap();
    assert_eq!(
        history.iter().map(|v| v.version).collect::<Vec<_>>(),
        [3, 2, 1]
    );
    it.verify();
}

#[test]
fn a_note_is_a_leaf_without_records() {
    let it = Fixture::new();
    let author = Author::Reviewer("noor".into());
    let seq = it.write(move |tx| {
        tx.note(
            "login.refused",
            &author,
            at(1),
            Some("wrong password".into()),
        )
    });
    let leaves = it.store.read(|r| r.leaves(seq, 10)).unwrap();
    assert_eq!(
        (leaves.len(), leaves[0].leaf.kind.as_str()),
        (1, "login.refused")
    );
    let proof = it.store.read(|r| r.prove(seq)).unwrap().unwrap();
    assert_eq!(
        proof.verify_leaf(it.store.verifying_key()).unwrap().0,
        leaves[0].leaf
    );
    assert_eq!(it.store.read(|r| r.prove(seq + 1)).unwrap(), None);
    it.verify();
}
