//! Texts of rule files, and proposals that a second person decides on.

use crate::fixtures::{Fixture, at, rule_file, rule_proposal};
use manara_model::Author;
use manara_store::{NewRuleFile, ProposalState, StoreError, rule_text_sha256};

fn person(login: &str) -> Author {
    Author::Reviewer(login.into())
}

impl Fixture {
    fn kinds(&self) -> Vec<String> {
        let leaves = self.store.read(|reader| reader.leaves(0, 100)).unwrap();
        leaves.into_iter().map(|it| it.leaf.kind).collect()
    }

    fn texts(&self, file: &'static str) -> Vec<(u32, String, Author)> {
        let read = |reader: &manara_store::Reader| {
            let versions = reader.rule_file_versions(file, None, 100)?;
            versions
                .into_iter()
                .map(|it| {
                    let (same, text) = reader.rule_file(file, it.version)?.unwrap();
                    assert_eq!(same, it);
                    assert_eq!(it.sha256, rule_text_sha256(&text));
                    Ok((it.version, text, it.author))
                })
                .collect()
        };
        self.store.read(read).unwrap()
    }

    fn propose(&self, text: &'static str, login: &'static str) -> i64 {
        self.write(move |tx| tx.propose_rules(&rule_proposal(text), &person(login), at(5)))
    }

    fn state(&self, id: i64) -> ProposalState {
        let found = self.store.read(|reader| reader.proposal(id)).unwrap();
        found.unwrap().state
    }
}

#[test]
fn every_text_of_a_file_is_kept_and_the_same_text_is_no_new_version() {
    let it = Fixture::new();
    for (text, version) in [("one", 1), ("one", 1), ("two", 2), ("one", 3)] {
        let noor = person("noor");
        let versions = it.write(move |tx| tx.record_rule_files(&[rule_file(text)], &noor, at(1)));
        assert_eq!(versions, [version], "{text}");
    }
    let other = NewRuleFile {
        file: "links.rules".into(),
        ..rule_file("other")
    };
    it.write(move |tx| tx.record_rule_files(&[other], &Author::System, at(2)));
    let texts: Vec<_> = it
        .texts("images.rules")
        .into_iter()
        .map(|it| it.1)
        .collect();
    assert_eq!(texts, ["one", "two", "one"]);
    let read = |reader: &manara_store::Reader| {
        let of = reader.rule_file_of("images.rules", &rule_text_sha256("one"))?;
        assert_eq!(of.unwrap().0.version, 3);
        let page = reader.rule_file_versions("images.rules", Some(3), 1)?;
        assert_eq!(page[0].version, 2);
        reader.rule_files()
    };
    let newest = it.store.read(read).unwrap();
    let newest: Vec<_> = newest
        .iter()
        .map(|it| (it.file.as_str(), it.version))
        .collect();
    assert_eq!(newest, [("images.rules", 3), ("links.rules", 1)]);
    assert_eq!(it.kinds(), ["rules.file_saved"; 4]);
    it.verify();
}

#[test]
fn a_second_person_decides_on_a_proposal() {
    let it = Fixture::new();
    let id = it.propose("better", "noor");
    let own = it
        .store
        .write_blocking(move |tx| tx.approve_rules(id, &person("noor"), "", at(6)));
    assert!(
        matches!(&own, Err(StoreError::Conflict(why)) if why.contains("their own")),
        "{own:?}"
    );
    assert_eq!(it.state(id), ProposalState::Proposed);
    assert_eq!(it.texts("images.rules"), []);

    it.write(move |tx| tx.approve_rules(id, &person("sam"), "seen", at(7)));
    assert_eq!(it.state(id), ProposalState::Approved);
    assert_eq!(
        it.texts("images.rules"),
        [(1, "better".into(), person("noor"))]
    );
    let version = it
        .store
        .read(|r| r.newest_rule_file("images.rules"))
        .unwrap();
    assert_eq!(version.unwrap().proposal, Some(id));
    for who in ["sam", "ada"] {
        let again = it
            .store
            .write_blocking(move |tx| tx.approve_rules(id, &person(who), "", at(8)));
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
        let late = it
            .store
            .write_blocking(move |tx| tx.decline_rules(id, &person(who), "", at(8)));
        assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    }
    assert_eq!(it.kinds(), ["rules.proposed", "rules.approved"]);
    it.verify();
}

#[test]
fn a_proposal_ends_in_other_ways_too() {
    let it = Fixture::new();
    let first = it.propose("first", "noor");
    let of_sam = it.propose("of sam", "sam");
    let second = it.propose("second", "noor");
    assert_eq!(it.state(first), ProposalState::Superseded);
    assert_eq!(it.state(of_sam), ProposalState::Proposed);
    let declined = it.write(move |tx| tx.decline_rules(second, &person("sam"), "too wide", at(8)));
    assert_eq!(declined, ProposalState::Rejected);
    let declined = it.write(move |tx| tx.decline_rules(of_sam, &person("sam"), "", at(9)));
    assert_eq!(declined, ProposalState::Withdrawn);
    let read = |r: &manara_store::Reader| {
        assert_eq!(
            (r.open_proposals()?, r.count_open_proposals()?),
            (vec![], 0)
        );
        r.decided_proposals(2)
    };
    let decided = it.store.read(read).unwrap();
    assert_eq!(
        decided.iter().map(|it| it.id).collect::<Vec<_>>(),
        [second, of_sam]
    );
    assert_eq!(decided[0].answer, "too wide");
    assert_eq!(decided[0].decided_by, Some(person("sam")));
    let missing = it
        .store
        .write_blocking(|tx| tx.decline_rules(99, &person("sam"), "", at(9)));
    assert_eq!(missing.unwrap_err().to_string(), "no such proposal 99");
    it.verify();
}

#[test]
fn what_is_too_large_is_refused_and_changes_nothing() {
    let it = Fixture::new();
    let check = |file: NewRuleFile, says: &str| {
        let write = move |tx: &mut manara_store::Tx<'_>| {
            tx.record_rule_files(&[file], &Author::System, at(1))
        };
        let refused = it.store.write_blocking(write).unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    };
    check(rule_file(&"x".repeat(1024 * 1024 + 1)), "split it");
    let long = "x".repeat(9000);
    check(
        NewRuleFile {
            note: long,
            ..rule_file("x")
        },
        "shorten it",
    );
    for name in ["", "../x.rules", "a/b.rules"] {
        check(
            NewRuleFile {
                file: name.into(),
                ..rule_file("x")
            },
            "without `/`",
        );
    }
    assert_eq!(it.kinds(), [""; 0]);
}
