//! Banks: membership, bulk import, and following changes.

use crate::fixtures::{Fixture, at, bank, open, phrase, plainly, slogan, verify, vetoing};
use manara_model::{
    Author, BankMode, BankSettings, MemberId, MemberMode, MemberSettings, NewMember,
};
use manara_signal::{Signal, SignalType};
use manara_store::{BankChange, BankCursor, Imported, Store, StoreError};

fn with_bank() -> Fixture {
    let it = Fixture::new();
    it.write(|tx| tx.create_bank(&bank("A"), "first", &plainly(), &Author::System, at(0)));
    it
}

/// Signals of every type whose value follows from a number.
fn signal(n: u32) -> Signal {
    let ty = SignalType::ALL[n as usize % SignalType::ALL.len()];
    let value = match ty {
        SignalType::Text | SignalType::RawText => format!("slogan number {n}"),
        SignalType::SimilarText => format!("at dawn we carry banner number {n} up to the hill"),
        SignalType::TextTlsh => format!("T1{n:070X}"),
        SignalType::UrlPrefix => format!("https://example.com/{n}/"),
        SignalType::Domain => format!("banner{n}.example"),
        SignalType::Invite => format!("telegram:@banner_{n}"),
        SignalType::Wallet => format!("ethereum:0x{n:040x}"),
        SignalType::Name => format!("grey_banner_{n}"),
        SignalType::Url => format!("https://example.com/{n}"),
        SignalType::Md5 => format!("{n:032x}"),
        SignalType::Sha256 | SignalType::Pdq => format!("{n:064x}"),
    };
    Signal::parse(ty, &value).unwrap()
}

/// Settings in words; nothing for the default.
fn unusual(settings: &MemberSettings) -> String {
    if *settings == MemberSettings::default() {
        return String::new();
    }
    format!(" {}", serde_json::to_string(settings).unwrap())
}

/// What a follower hears, in words.
fn follow(store: &Store, since: &BankCursor) -> (Vec<String>, BankCursor) {
    follow_knowing(store, since, None)
}

/// The same for one that has kept the signals of one type.
fn follow_knowing(
    store: &Store,
    since: &BankCursor,
    known: Option<SignalType>,
) -> (Vec<String>, BankCursor) {
    let mut heard = Vec::new();
    let cursor = store
        .read(|r| {
            let mut hear = |change| {
                heard.push(match change {
                    BankChange::Bank {
                        name,
                        enabled,
                        settings,
                    } => {
                        let mode = settings.mode;
                        format!("bank {name} {enabled} {mode}")
                    }
                    BankChange::Member {
                        bank,
                        member,
                        signal,
                        settings,
                        added_at,
                    } => {
                        let (value, second) = (signal.encode(), (added_at - at(0)).get_seconds());
                        format!("+{bank} {member} {value} {second}s{}", unusual(&settings))
                    }
                    BankChange::Settings {
                        bank,
                        member,
                        signal,
                        settings,
                    } => format!(
                        "={bank} {member} {}{}",
                        signal.signal_type(),
                        unusual(&settings)
                    ),
                    BankChange::Removed {
                        bank,
                        member,
                        signal_type,
                    } => format!("-{bank} {member} {signal_type}"),
                });
            };
            match known {
                None => r.bank_changes(since, &mut hear),
                Some(known) => r.bank_changes_knowing(since, known, &mut hear),
            }
        })
        .unwrap();
    (heard, cursor)
}

#[test]
fn a_signal_is_a_member_once_and_its_note_stays() {
    let it = with_bank();
    let add = |note: &'static str| {
        it.write(move |tx| tx.add_member(&bank("A"), slogan("ash", note), &Author::System, at(1)))
    };
    assert_eq!(
        add("first"),
        (
            MemberId(1),
            Imported {
                added: 1,
                already: 0
            }
        )
    );
    assert_eq!(
        add("second"),
        (
            MemberId(1),
            Imported {
                added: 0,
                already: 1
            }
        )
    );
    let found = it
        .store
        .read(|r| r.find_member(&bank("A"), &phrase("ash")))
        .unwrap()
        .unwrap();
    assert_eq!((found.0, found.1.note.as_str()), (MemberId(1), "first"));
    it.write(|tx| tx.remove_member(&bank("A"), MemberId(1), "wrong", &Author::System, at(2)));
    assert_eq!(
        it.store
            .read(|r| r.find_member(&bank("A"), &phrase("ash")))
            .unwrap(),
        None
    );
    assert_eq!(
        add("third").0,
        MemberId(2),
        "a removed member is not brought back, a new one is made"
    );
    it.verify();
}

#[test]
fn the_same_signal_may_be_in_two_banks() {
    let it = with_bank();
    it.write(|tx| tx.create_bank(&bank("B"), "", &plainly(), &Author::System, at(0)));
    for name in ["A", "B"] {
        let added = it
            .write(move |tx| tx.add_member(&bank(name), slogan("ash", ""), &Author::System, at(1)));
        assert_eq!(added.1.added, 1);
    }
    let again = it.write(|tx| tx.add_member(&bank("A"), slogan("ash", ""), &Author::System, at(2)));
    assert_eq!(again.0, MemberId(1));
}

#[test]
fn what_is_not_there_is_named() {
    let it = with_bank();
    let missing = it.store.write_blocking(|tx| {
        tx.add_member(&bank("NONE"), slogan("ash", ""), &Author::System, at(1))
    });
    assert_eq!(missing.unwrap_err().to_string(), "no such bank NONE");
    let missing = it
        .store
        .write_blocking(|tx| tx.remove_member(&bank("A"), MemberId(5), "", &Author::System, at(1)));
    assert_eq!(
        missing.unwrap_err().to_string(),
        "no such member 5 in bank A"
    );
    let twice = it
        .store
        .write_blocking(|tx| tx.create_bank(&bank("A"), "", &plainly(), &Author::System, at(1)));
    assert_eq!(
        twice,
        Err(StoreError::Conflict("there is a bank A already".into()))
    );
    let long = "x".repeat(1025);
    let refused = it.store.write_blocking(move |tx| {
        tx.add_member(&bank("A"), slogan("ash", &long), &Author::System, at(1))
    });
    assert_eq!(
        refused.unwrap_err().to_string(),
        "note: 1025 bytes long, the limit is 1024: shorten it"
    );
    it.verify();
}

#[test]
fn an_import_of_200_000_is_one_leaf_and_reads_back() {
    let it = with_bank();
    let rows = (0..200_000).map(|n| Ok((signal(n), format!("row {n}")).into()));
    let (told, hear) = std::sync::mpsc::channel();
    let done = it.write(move |tx| {
        tx.import(&bank("A"), rows, &Author::System, at(1), move |n| {
            told.send(n).unwrap();
        })
    });
    assert_eq!(
        done,
        Imported {
            added: 200_000,
            already: 0
        }
    );
    let told: Vec<u64> = hear.iter().collect();
    assert!(told.is_sorted() && told.last() == Some(&200_000) && told.len() > 10);
    let (leaves, listed, page) = it
        .store
        .read(|r| {
            let mut listed = 0;
            r.each_member(&bank("A"), |member| {
                assert_eq!(
                    (member.signal, member.note),
                    (signal(listed), format!("row {listed}"))
                );
                listed += 1;
                Ok(())
            })?;
            Ok((
                r.totals()?.leaves,
                listed,
                r.members(&bank("A"), Some(MemberId(1000)), 3)?,
            ))
        })
        .unwrap();
    assert_eq!((leaves, listed), (2, 200_000));
    assert_eq!(
        page.iter().map(|m| m.id.0).collect::<Vec<_>>(),
        [1001, 1002, 1003]
    );
    let rows = (199_990..200_010).map(|n| Ok((signal(n), String::new()).into()));
    let done = it.write(move |tx| tx.import(&bank("A"), rows, &Author::System, at(2), |_| ()));
    assert_eq!(
        done,
        Imported {
            added: 10,
            already: 10
        }
    );
    assert_eq!(
        it.store
            .read(|r| r.bank(&bank("A")))
            .unwrap()
            .unwrap()
            .members,
        200_010
    );
    it.verify();
}

#[test]
fn a_bad_row_ends_an_import_and_nothing_of_it_stays() {
    let it = with_bank();
    let rows = (0..1000).map(|n| match n {
        700 => Err(StoreError::Aborted("banks.csv:701:5: not a signal".into())),
        n => Ok((signal(n), String::new()).into()),
    });
    let failed = it
        .store
        .write_blocking(move |tx| tx.import(&bank("A"), rows, &Author::System, at(1), |_| ()));
    assert_eq!(
        failed.unwrap_err().to_string(),
        "banks.csv:701:5: not a signal"
    );
    assert_eq!(
        it.store.read(|r| r.members(&bank("A"), None, 10)).unwrap(),
        []
    );
    assert_eq!(
        it.store.read(manara_store::Reader::totals).unwrap().leaves,
        1
    );
    it.verify();
}

#[test]
fn a_follower_hears_every_change_once_even_another_process_s() {
    let it = with_bank();
    let other = open(&it.path());
    it.write(|tx| tx.add_member(&bank("A"), slogan("ash", ""), &Author::System, at(1)));
    let (heard, cursor) = follow(&it.store, &BankCursor::default());
    assert_eq!(heard, ["bank A true live", "+A 1 ash 1s"]);
    assert_eq!(
        follow(&it.store, &cursor),
        (vec!["bank A true live".into()], cursor)
    );

    let mut watch = it.store.watch().unwrap();
    assert!(!watch.poll());
    other
        .write_blocking(|tx| {
            let _ = tx.add_member(&bank("A"), slogan("grey", ""), &Author::System, at(2))?;
            let _ = tx.add_member(&bank("A"), slogan("banner", ""), &Author::System, at(2))?;
            let _ = tx.remove_member(&bank("A"), MemberId(1), "", &Author::System, at(3))?;
            let _ = tx.remove_member(&bank("A"), MemberId(3), "", &Author::System, at(3))?;
            tx.set_bank_enabled(&bank("A"), false, &Author::System, at(4))
        })
        .unwrap();
    assert!(watch.poll() && !watch.poll());
    let (heard, cursor) = follow(&it.store, &cursor);
    assert_eq!(
        heard,
        ["bank A false live", "+A 2 grey 2s", "-A 1 text"],
        "what came and went is not told"
    );
    assert_eq!(follow(&it.store, &cursor).0, ["bank A false live"]);
    assert_eq!(
        follow(&it.store, &BankCursor::default()).0,
        ["bank A false live", "+A 2 grey 2s"]
    );
    other.close_blocking().unwrap();
    verify(&it.store);
}

/// Asserts what comes of giving a bank other settings, and what the newest leaf notes.
#[track_caller]
fn check_set(
    it: &Fixture,
    name: &'static str,
    change: impl FnOnce(&mut BankSettings) + Send + 'static,
    expect: Result<Option<&str>, &str>,
) {
    let set = it
        .store
        .write_blocking(move |tx| tx.set_bank(&bank(name), change, &Author::System, at(1)));
    let leaves = it.store.read(|r| r.totals()).unwrap().leaves;
    let newest = it.store.read(|r| r.leaves(leaves - 1, 1)).unwrap();
    let note = newest[0].leaf.note.clone();
    match expect {
        Ok(Some(expect)) => assert_eq!((set, note.as_deref()), (Ok(true), Some(expect))),
        Ok(None) => assert_eq!(set, Ok(false)),
        Err(expect) => assert_eq!(set.unwrap_err().to_string(), expect),
    }
    it.verify();
}

#[test]
fn a_banks_settings_are_changed_noted_and_told_to_followers() {
    let it = with_bank();
    check_set(&it, "A", |_| (), Ok(None));
    check_set(
        &it,
        "A",
        |it| {
            it.mode = BankMode::Shadow;
            it.distance.insert(SignalType::Pdq, 20);
            it.tags = ["grey", "ash"].map(|tag| tag.parse().unwrap()).into();
            it.dihedral = false;
        },
        Ok(Some(
            "A: dihedral: true to false, distance: default to pdq 20, mode: live to shadow, tags: none to ash grey",
        )),
    );
    let (heard, _) = follow(&it.store, &BankCursor::default());
    assert_eq!(heard, ["bank A true shadow"]);
    let listed = it.store.read(|r| r.bank(&bank("A"))).unwrap().unwrap();
    assert_eq!(listed.settings.distance(SignalType::Pdq), 20);
    assert!(!listed.settings.dihedral);
    check_set(
        &it,
        "A",
        |it| it.quality_min = 101,
        Err("settings: a quality is 0 to 100, not 101"),
    );
    let tags = (0..33).map(|n| format!("t{n}").parse().unwrap()).collect();
    check_set(
        &it,
        "A",
        |it| it.tags = tags,
        Err("settings: 33 tags: at most 32 are kept"),
    );
    let told = it
        .store
        .write_blocking(|tx| tx.set_bank_description(&bank("A"), "second", &Author::System, at(2)));
    assert_eq!(told, Ok(true));
    let listed = it.store.read(|r| r.bank(&bank("A"))).unwrap().unwrap();
    assert_eq!(listed.description, "second");
}

#[test]
fn a_negative_bank_cannot_be_vetoed() {
    let it = with_bank();
    it.write(|tx| {
        let _ = tx.create_bank(&bank("SAFE"), "", &vetoing(&["A"]), &Author::System, at(0))?;
        tx.create_bank(&bank("B"), "", &plainly(), &Author::System, at(0))
    });
    let vetoes = |names: &[&str]| {
        let vetoes = vetoing(names).vetoes;
        move |settings: &mut BankSettings| settings.vetoes = vetoes
    };
    check_set(
        &it,
        "B",
        vetoes(&["SAFE"]),
        Err(
            "SAFE is a negative bank itself (it vetoes A): its matches lead to nothing that could be vetoed",
        ),
    );
    check_set(
        &it,
        "A",
        vetoes(&["SAFE"]),
        Err(
            "SAFE is a negative bank itself (it vetoes A): its matches lead to nothing that could be vetoed; two banks cannot veto each other",
        ),
    );
    check_set(
        &it,
        "A",
        vetoes(&["B"]),
        Err(
            "A is vetoed by SAFE, so it cannot veto others: the matches of a negative bank lead to nothing that could be vetoed",
        ),
    );
    check_set(
        &it,
        "B",
        vetoes(&["B"]),
        Err("settings: bank B cannot veto itself: name the banks whose matches it forbids"),
    );
    check_set(
        &it,
        "B",
        vetoes(&["A", "NONE"]),
        Err("no such bank NONE to veto"),
    );
    check_set(&it, "B", vetoes(&["A"]), Ok(Some("B: vetoes: none to A")));
    check_set(
        &it,
        "SAFE",
        vetoes(&["A", "B"]),
        Err(
            "B is a negative bank itself (it vetoes A): its matches lead to nothing that could be vetoed",
        ),
    );
    check_set(&it, "B", vetoes(&[]), Ok(Some("B: vetoes: A to none")));
    check_set(
        &it,
        "SAFE",
        vetoes(&["A", "B"]),
        Ok(Some("SAFE: vetoes: A to A B")),
    );
    let created = it.store.write_blocking(|tx| {
        tx.create_bank(&bank("C"), "", &vetoing(&["SAFE"]), &Author::System, at(2))
    });
    let refused = created.unwrap_err().to_string();
    assert!(
        refused.starts_with("SAFE is a negative bank itself"),
        "{refused}"
    );
}

/// A picture's hash as a member with these settings.
fn picture(n: u32, settings: &str) -> NewMember {
    let signal = Signal::parse(SignalType::Pdq, &format!("{n:064x}")).unwrap();
    NewMember {
        settings: serde_json::from_str(settings).unwrap(),
        ..NewMember::from((signal, String::new()))
    }
}

#[test]
fn followers_hear_of_settings_once_and_only_as_they_are_now() {
    let it = with_bank();
    let set = |member, mode| {
        it.write(move |tx| {
            let change = |settings: &mut MemberSettings| settings.mode = mode;
            tx.set_member(
                &bank("A"),
                MemberId(member),
                change,
                "",
                &Author::System,
                at(3),
            )
        })
    };
    it.write(|tx| {
        let rows = [
            picture(1, "{}"),
            picture(2, r#"{"distance":9}"#),
            slogan("ash", ""),
        ];
        tx.import(
            &bank("A"),
            rows.into_iter().map(Ok),
            &Author::System,
            at(1),
            |_| (),
        )
    });
    assert!(set(1, MemberMode::Shadow) && set(1, MemberMode::Quarantine));
    let first = "0".repeat(63);
    let (heard, cursor) = follow(&it.store, &BankCursor::default());
    assert_eq!(
        heard[1..],
        [
            format!(r#"+A 1 {first}1 1s {{"mode":"quarantine"}}"#),
            format!(r#"+A 2 {first}2 1s {{"distance":9}}"#),
            "+A 3 ash 1s".into(),
        ]
    );
    assert!(set(1, MemberMode::Live) && set(1, MemberMode::Shadow));
    assert!(!set(1, MemberMode::Shadow), "it is so already");
    assert!(set(3, MemberMode::Shadow));
    it.write(|tx| tx.remove_member(&bank("A"), MemberId(3), "", &Author::System, at(4)));
    let (heard, after) = follow(&it.store, &cursor);
    assert_eq!(heard[1..], [r#"=A 1 pdq {"mode":"shadow"}"#, "-A 3 text"]);
    assert_eq!(follow(&it.store, &after).0.len(), 1);
    // One that kept the pictures' hashes hears how they match, whenever that was set.
    let (heard, _) = follow_knowing(&it.store, &after, Some(SignalType::Pdq));
    let expect = [
        r#"=A 1 pdq {"mode":"shadow"}"#,
        r#"=A 2 pdq {"distance":9}"#,
    ];
    assert_eq!(heard[1..], expect);
    let (heard, _) = follow_knowing(&it.store, &BankCursor::default(), Some(SignalType::Pdq));
    assert_eq!(
        heard.len(),
        3,
        "before everything there is nothing to know: {heard:?}"
    );
    it.verify();
}
