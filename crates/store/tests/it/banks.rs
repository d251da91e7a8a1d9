//! Banks: membership, bulk import, and following changes.

use crate::fixtures::{Fixture, at, bank, open, phrase, verify};
use manara_model::{Author, MemberId};
use manara_signal::{Signal, SignalType};
use manara_store::{BankChange, BankCursor, Imported, Store, StoreError};

fn with_bank() -> Fixture {
    let it = Fixture::new();
    it.write(|tx| tx.create_bank(&bank("A"), "first", &Author::System, at(0)));
    it
}

/// Signals of every type whose value follows from a number.
fn signal(n: u32) -> Signal {
    let ty = SignalType::ALL[n as usize % SignalType::ALL.len()];
    let value = match ty {
        SignalType::Text => format!("slogan number {n}"),
        SignalType::Url => format!("https://example.com/{n}"),
        SignalType::Md5 => format!("{n:032x}"),
        SignalType::Sha256 | SignalType::Pdq => format!("{n:064x}"),
    };
    Signal::parse(ty, &value).unwrap()
}

/// What a follower hears, in words.
fn follow(store: &Store, since: &BankCursor) -> (Vec<String>, BankCursor) {
    let mut heard = Vec::new();
    let cursor = store
        .read(|r| {
            r.bank_changes(since, &mut |change| {
                heard.push(match change {
                    BankChange::Bank {
                        name,
                        enabled,
                        distance,
                        dihedral,
                    } => {
                        let turned = if dihedral { "" } else { " as stored" };
                        format!("bank {name} {enabled} {distance}{turned}")
                    }
                    BankChange::Member {
                        bank,
                        member,
                        signal,
                    } => format!("+{bank} {member} {}", signal.encode()),
                    BankChange::Removed {
                        bank,
                        member,
                        signal_type,
                    } => format!("-{bank} {member} {signal_type}"),
                });
            })
        })
        .unwrap();
    (heard, cursor)
}

#[test]
fn a_signal_is_a_member_once_and_its_note_stays() {
    let it = with_bank();
    let add = |note: &'static str| {
        it.write(move |tx| tx.add_member(&bank("A"), &phrase("ash"), note, &Author::System, at(1)))
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
    it.write(|tx| tx.create_bank(&bank("B"), "", &Author::System, at(0)));
    for name in ["A", "B"] {
        let added = it.write(move |tx| {
            tx.add_member(&bank(name), &phrase("ash"), "", &Author::System, at(1))
        });
        assert_eq!(added.1.added, 1);
    }
    let again =
        it.write(|tx| tx.add_member(&bank("A"), &phrase("ash"), "", &Author::System, at(2)));
    assert_eq!(again.0, MemberId(1));
}

#[test]
fn what_is_not_there_is_named() {
    let it = with_bank();
    let missing = it.store.write_blocking(|tx| {
        tx.add_member(&bank("NONE"), &phrase("ash"), "", &Author::System, at(1))
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
        .write_blocking(|tx| tx.create_bank(&bank("A"), "", &Author::System, at(1)));
    assert_eq!(
        twice,
        Err(StoreError::Conflict("there is a bank A already".into()))
    );
    let long = "x".repeat(1025);
    let refused = it.store.write_blocking(move |tx| {
        tx.add_member(&bank("A"), &phrase("ash"), &long, &Author::System, at(1))
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
    let rows = (0..200_000).map(|n| Ok((signal(n), format!("row {n}"))));
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
    let rows = (199_990..200_010).map(|n| Ok((signal(n), String::new())));
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
        n => Ok((signal(n), String::new())),
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
    it.write(|tx| tx.add_member(&bank("A"), &phrase("ash"), "", &Author::System, at(1)));
    let (heard, cursor) = follow(&it.store, &BankCursor::default());
    assert_eq!(heard, ["bank A true 31", "+A 1 ash"]);
    assert_eq!(
        follow(&it.store, &cursor),
        (vec!["bank A true 31".into()], cursor)
    );

    let mut watch = it.store.watch().unwrap();
    assert!(!watch.poll());
    other
        .write_blocking(|tx| {
            let _ = tx.add_member(&bank("A"), &phrase("grey"), "", &Author::System, at(2))?;
            let _ = tx.add_member(&bank("A"), &phrase("banner"), "", &Author::System, at(2))?;
            let _ = tx.remove_member(&bank("A"), MemberId(1), "", &Author::System, at(3))?;
            let _ = tx.remove_member(&bank("A"), MemberId(3), "", &Author::System, at(3))?;
            tx.set_bank_enabled(&bank("A"), false, &Author::System, at(4))
        })
        .unwrap();
    assert!(watch.poll() && !watch.poll());
    let (heard, cursor) = follow(&it.store, &cursor);
    assert_eq!(
        heard,
        ["bank A false 31", "+A 2 grey", "-A 1 text"],
        "what came and went is not told"
    );
    assert_eq!(follow(&it.store, &cursor).0, ["bank A false 31"]);
    assert_eq!(
        follow(&it.store, &BankCursor::default()).0,
        ["bank A false 31", "+A 2 grey"]
    );
    other.close_blocking().unwrap();
    verify(&it.store);
}

#[test]
fn whether_a_bank_wants_turned_images_is_told_to_followers() {
    let it = with_bank();
    let set = |dihedral| {
        it.write(move |tx| tx.set_bank_dihedral(&bank("A"), dihedral, &Author::System, at(1)))
    };
    assert!(!set(true), "a new bank wants them");
    assert!(set(false));
    assert!(!set(false));
    let (heard, _) = follow(&it.store, &BankCursor::default());
    assert_eq!(heard, ["bank A true 31 as stored"]);
    let listed = it.store.read(|r| r.bank(&bank("A"))).unwrap();
    assert!(listed.is_some_and(|bank| !bank.dihedral));
    it.verify();
}

#[test]
fn a_banks_distance_is_told_to_followers() {
    let it = with_bank();
    let set = |distance| {
        it.store.write_blocking(move |tx| {
            tx.set_bank_distance(&bank("A"), distance, &Author::System, at(1))
        })
    };
    assert_eq!(set(20), Ok(true));
    assert_eq!(set(20), Ok(false));
    let refused = set(32).unwrap_err().to_string();
    assert!(refused.contains("0 to 31, not 32"), "{refused}");
    let (heard, _) = follow(&it.store, &BankCursor::default());
    assert_eq!(heard, ["bank A true 20"]);
    it.verify();
}
