//! Single members: settings, opinions, hits, quarantine and what a person decides on it.

use crate::fixtures::{
    Fixture, at, bank, decision_id, judgement, name, phrase, plain, plainly, remove, slogan,
    with_effects,
};
use manara_model::{
    ActionKind, Author, BankMode, CaseId, CaseState, DecisionId, Entity, MemberId, MemberMode,
    MemberSettings, NewMember, Opinion, Outcome, Refused, Stance,
};
use manara_signal::{Signal, SignalType};
use manara_store::{MemberHits, StoreError, standing_opinions};

const ONE: MemberId = MemberId(1);

fn noor() -> Author {
    Author::Reviewer("noor".into())
}

/// Bank A with one phrase.
fn with_member() -> Fixture {
    let it = Fixture::new();
    it.write(|tx| {
        let _ = tx.create_bank(&bank("A"), "first", &plainly(), &Author::System, at(0))?;
        tx.add_member(&bank("A"), slogan("ash", "common"), &noor(), at(1))
    });
    it
}

fn settings_of(it: &Fixture, member: MemberId) -> MemberSettings {
    it.store
        .read(|r| r.member(member))
        .unwrap()
        .unwrap()
        .1
        .settings
}

fn kinds_of_leaves(it: &Fixture) -> Vec<String> {
    let leaves = it.store.read(|r| r.leaves(0, 100)).unwrap();
    leaves.into_iter().map(|leaf| leaf.leaf.kind).collect()
}

#[test]
fn a_member_reads_back_with_its_provenance() {
    let it = with_member();
    let settings = MemberSettings {
        mode: MemberMode::Shadow,
        tags: ["grey", "ash"].map(|tag| tag.parse().unwrap()).into(),
        expires_at: Some(at(99)),
        ..MemberSettings::default()
    };
    let new = NewMember {
        exchange: Some("ash-exchange".parse().unwrap()),
        settings: settings.clone(),
        ..slogan("banner", "from a partner")
    };
    let added = new.clone();
    it.write(move |tx| tx.add_member(&bank("A"), added, &Author::Key("k-1".into()), at(2)));
    let (_, member, removed) = it.store.read(|r| r.member(MemberId(2))).unwrap().unwrap();
    assert!(!removed);
    assert_eq!((member.signal, member.note), (new.signal, new.note));
    assert_eq!(member.exchange, new.exchange);
    assert_eq!(
        (member.added_by, member.added_at),
        (Author::Key("k-1".into()), at(2))
    );
    assert_eq!(member.settings, settings);
    let listed = it.store.read(|r| r.members(&bank("A"), None, 9)).unwrap();
    assert_eq!(
        (listed[0].added_by.clone(), listed[0].exchange.clone()),
        (noor(), None)
    );
    assert_eq!(listed[1].settings, settings);
    it.verify();
}

#[test]
fn adding_what_is_a_member_already_does_not_change_its_settings() {
    let it = with_member();
    let other = NewMember {
        settings: MemberSettings {
            mode: MemberMode::Shadow,
            ..MemberSettings::default()
        },
        ..slogan("ash", "other")
    };
    let (member, done) =
        it.write(move |tx| tx.add_member(&bank("A"), other, &Author::System, at(2)));
    assert_eq!((member, done.added, done.already), (ONE, 0, 1));
    assert_eq!(settings_of(&it, ONE), MemberSettings::default());
}

/// Asserts that a member with these settings is refused, both new and changed.
#[track_caller]
fn check_refused(signal: (SignalType, &str), settings: &str, expect: &str) {
    let it = with_member();
    let settings: MemberSettings = serde_json::from_str(settings).unwrap();
    let signal = Signal::parse(signal.0, signal.1).unwrap();
    let plain = NewMember::from((signal, String::new()));
    let new = NewMember {
        settings: settings.clone(),
        ..plain.clone()
    };
    let refused = it
        .store
        .write_blocking(move |tx| tx.add_member(&bank("A"), new, &noor(), at(2)));
    assert_eq!(refused.unwrap_err().to_string(), expect);
    let (member, _) = it.write(move |tx| tx.add_member(&bank("A"), plain, &noor(), at(2)));
    let refused = it.store.write_blocking(move |tx| {
        tx.set_member(&bank("A"), member, |it| *it = settings, "", &noor(), at(3))
    });
    assert_eq!(refused.unwrap_err().to_string(), expect);
    assert_eq!(settings_of(&it, member), MemberSettings::default());
    it.verify();
}

#[test]
fn settings_that_do_not_fit_a_member_are_refused() {
    let md5 = "0".repeat(32);
    check_refused(
        (SignalType::Md5, &md5),
        r#"{"distance":1}"#,
        "settings: distance is not a setting of md5 signals",
    );
    check_refused(
        (SignalType::Text, "rise"),
        r#"{"quality_min":60}"#,
        "settings: quality_min is not a setting of text signals",
    );
    let pdq = "0".repeat(64);
    check_refused(
        (SignalType::Pdq, &pdq),
        r#"{"distance":32}"#,
        "settings: the distance of pdq signals is 0 to 31, not 32",
    );
    let tags: Vec<String> = (0..33).map(|n| format!("\"t{n}\"")).collect();
    check_refused(
        (SignalType::Url, "https://a.example/x"),
        &format!(r#"{{"tags":[{}]}}"#, tags.join(",")),
        "settings: 33 tags: at most 32 are kept",
    );
}

#[test]
fn a_members_changes_are_kept_and_the_newest_is_in_force() {
    let it = with_member();
    let set = |mode, reason: &'static str, second| {
        it.store.write_blocking(move |tx| {
            let change = |settings: &mut MemberSettings| settings.mode = mode;
            tx.set_member(&bank("A"), ONE, change, reason, &noor(), at(second))
        })
    };
    assert_eq!(set(MemberMode::Live, "as it is", 2), Ok(false));
    assert_eq!(set(MemberMode::Shadow, "too common", 3), Ok(true));
    assert_eq!(set(MemberMode::Live, "looked at it", 4), Ok(true));
    assert_eq!(settings_of(&it, ONE), MemberSettings::default());
    let history = it.store.read(|r| r.member_history(ONE)).unwrap();
    let seen: Vec<_> = history
        .iter()
        .map(|change| (change.settings.mode, change.reason.as_str(), change.at))
        .collect();
    assert_eq!(
        seen,
        [
            (MemberMode::Shadow, "too common", at(3)),
            (MemberMode::Live, "looked at it", at(4))
        ]
    );
    assert_eq!(history[0].author, noor());
    let note = it.store.read(|r| r.leaves(2, 1)).unwrap()[0]
        .leaf
        .note
        .clone();
    assert_eq!(note.as_deref(), Some("A 1: mode: live to shadow"));
    it.write(|tx| tx.remove_member(&bank("A"), ONE, "", &noor(), at(5)));
    assert_eq!(
        set(MemberMode::Shadow, "", 6).unwrap_err().to_string(),
        "no such member 1 in bank A"
    );
    it.verify();
}

#[test]
fn a_member_of_another_bank_is_not_found() {
    let it = with_member();
    it.write(|tx| tx.create_bank(&bank("B"), "", &plainly(), &noor(), at(1)));
    let refused = |error: StoreError| {
        assert_eq!(error.to_string(), "no such member 1 in bank B");
    };
    let set = |tx: &mut manara_store::Tx<'_>| {
        tx.set_member(&bank("B"), ONE, |it| it.vouched = true, "", &noor(), at(2))
    };
    refused(it.store.write_blocking(set).unwrap_err());
    let of = |tx: &mut manara_store::Tx<'_>| {
        tx.add_opinion(
            &bank("B"),
            ONE,
            Stance::PositiveClass,
            "",
            None,
            &noor(),
            at(2),
        )
    };
    refused(it.store.write_blocking(of).unwrap_err());
    refused(quarantine_in(&it, "B", &[], &Author::System).unwrap_err());
}

#[test]
fn all_opinions_are_kept_and_the_newest_of_each_counts() {
    let it = with_member();
    let partner = || Some("ash-exchange".parse().unwrap());
    let say = |stance, exchange, by, second| {
        it.write(move |tx| {
            tx.add_opinion(&bank("A"), ONE, stance, "why", exchange, &by, at(second))
        });
    };
    let (positive, negative) = (Stance::PositiveClass, Stance::NegativeClass);
    say(positive, None, noor(), 2);
    say(negative, partner(), noor(), 3);
    say(
        Stance::InvestigationSeed,
        None,
        Author::Key("k-1".into()),
        4,
    );
    say(negative, None, noor(), 5);
    it.write(|tx| tx.remove_member(&bank("A"), ONE, "", &noor(), at(6)));
    say(negative, None, Author::Key("k-1".into()), 7);
    let opinions = it.store.read(|r| r.opinions(ONE)).unwrap();
    assert_eq!(opinions.len(), 5, "also after it was removed");
    assert_eq!(
        (opinions[0].at, opinions[1].exchange.clone()),
        (at(2), partner())
    );
    let standing: Vec<&Opinion> = standing_opinions(&opinions);
    assert_eq!(
        standing.iter().map(|it| it.at).collect::<Vec<_>>(),
        [at(3), at(5), at(7)]
    );
    let long = "x".repeat(1025);
    let refused = it.store.write_blocking(move |tx| {
        tx.add_opinion(&bank("A"), ONE, positive, &long, None, &noor(), at(8))
    });
    assert_eq!(
        refused.unwrap_err().to_string(),
        "note: 1025 bytes long, the limit is 1024: shorten it"
    );
    it.verify();
}

#[test]
fn hits_add_up_by_hour_and_leave_no_leaf() {
    let it = with_member();
    it.write(|tx| tx.add_member(&bank("A"), slogan("banner", ""), &noor(), at(2)));
    let leaves = kinds_of_leaves(&it).len();
    let hits = |member, hour, hits, withheld| MemberHits {
        member: MemberId(member),
        hour,
        hits,
        withheld,
    };
    it.write(move |tx| tx.add_hits(&[hits(1, 10, 2, 0), hits(2, 10, 1, 1), hits(1, 10, 1, 1)]));
    it.write(move |tx| tx.add_hits(&[hits(1, 11, 5, 0)]));
    let since = |hour| it.store.read(|r| r.hits_since(hour)).unwrap();
    assert_eq!(
        since(10),
        [hits(1, 10, 3, 1), hits(2, 10, 1, 1), hits(1, 11, 5, 0)]
    );
    assert_eq!(since(11), [hits(1, 11, 5, 0)]);
    let of = |hour| it.store.read(|r| r.hits_of(ONE, hour)).unwrap();
    assert_eq!((of(0).len(), of(11)), (2, vec![hits(1, 11, 5, 0)]));
    assert_eq!(it.write(|tx| tx.drop_hits_before(11)), 2);
    assert_eq!(since(0), [hits(1, 11, 5, 0)]);
    assert_eq!(kinds_of_leaves(&it).len(), leaves);
    it.verify();
}

fn quarantine_in(
    it: &Fixture,
    of: &'static str,
    samples: &[DecisionId],
    by: &Author,
) -> Result<CaseId, StoreError> {
    let (samples, by) = (samples.to_vec(), by.clone());
    it.store.write_blocking(move |tx| {
        let (queue, policy) = (name("banks"), name("bank_care"));
        let why = "40 matches in an hour, 1 in a day before";
        tx.quarantine(
            &bank(of),
            ONE,
            why,
            &samples,
            &queue,
            &policy,
            6,
            &by,
            at(20),
        )
    })
}

fn decide(
    it: &Fixture,
    case: CaseId,
    outcome: Outcome,
) -> Result<manara_model::Decision, StoreError> {
    let decided = it.store.write_blocking(move |tx| {
        tx.decide_case(case, "noor", &judgement(outcome), decision_id(), at(30))
    });
    decided.map(|(_, decision)| decision)
}

fn sampled(it: &Fixture, count: usize) -> Vec<DecisionId> {
    let events = (0..count).map(|n| with_effects(&format!("post-{n}"), &[remove()]));
    events
        .map(|event| {
            let id = event.decision.id;
            it.record(event);
            id
        })
        .collect()
}

#[test]
fn a_member_in_quarantine_is_a_case_with_its_events() {
    let it = with_member();
    it.store.set_receivers(vec!["forum".into()]);
    let samples = sampled(&it, 25);
    let case = quarantine_in(&it, "A", &samples, &Author::System).unwrap();
    assert_eq!(settings_of(&it, ONE).mode, MemberMode::Quarantine);
    let open = it.open_case();
    assert_eq!((open.id, &open.entity), (case, &Entity::from(ONE)));
    assert_eq!(
        (open.queue, open.policy, open.priority, open.account),
        (name("banks"), name("bank_care"), 6, None)
    );
    let detail = it.store.read(|r| r.case_detail(case)).unwrap().unwrap();
    assert_eq!((detail.events.len(), detail.events_total), (20, 20));
    let why = "member 1 of A in quarantine: 40 matches in an hour, 1 in a day before";
    assert_eq!(
        (detail.trail[0].what.as_str(), detail.trail[0].note.as_str()),
        ("opened", why)
    );
    let leaves = kinds_of_leaves(&it);
    assert_eq!(leaves.last().unwrap(), "member.quarantined");
    it.verify();

    // Twice is once: the case is there and full.
    assert_eq!(quarantine_in(&it, "A", &samples, &Author::System), Ok(case));
    assert_eq!(kinds_of_leaves(&it), leaves);
    assert_eq!(it.store.read(|r| r.member_history(ONE)).unwrap().len(), 1);
}

#[test]
fn a_pending_case_about_a_member_is_added_to() {
    let it = with_member();
    let samples = sampled(&it, 3);
    let case = quarantine_in(&it, "A", &samples[..1], &Author::System).unwrap();
    assert_eq!(quarantine_in(&it, "A", &samples, &Author::System), Ok(case));
    let detail = it.store.read(|r| r.case_detail(case)).unwrap().unwrap();
    assert_eq!(detail.events_total, 3);
    let trail: Vec<_> = detail
        .trail
        .iter()
        .map(|entry| entry.what.as_str())
        .collect();
    assert_eq!(trail, ["opened", "event_added"]);
    let unknown = quarantine_in(&it, "A", &[decision_id()], &Author::System);
    assert!(
        matches!(unknown, Err(StoreError::NotFound { .. })),
        "{unknown:?}"
    );
    it.verify();
}

#[test]
fn keeping_a_member_lets_it_match_again_and_undoes_nothing_else() {
    let it = with_member();
    it.store.set_receivers(vec!["forum".into()]);
    let samples = sampled(&it, 2);
    let case = quarantine_in(&it, "A", &samples, &Author::System).unwrap();
    let suspended = decide(&it, case, Outcome::Suspend);
    assert_eq!(
        suspended,
        Err(StoreError::Refused(Refused::MemberSuspended))
    );
    let decision = decide(&it, case, Outcome::Keep).unwrap();
    let actions: Vec<_> = decision
        .actions
        .iter()
        .map(|a| (a.kind, &a.target))
        .collect();
    assert_eq!(actions, [(ActionKind::Restore, &Entity::from(ONE))]);
    let sent = it.store.read(|r| r.deliveries(decision.id)).unwrap();
    assert_eq!(sent, [], "the platform has nothing to do");
    let settings = settings_of(&it, ONE);
    assert_eq!((settings.mode, settings.vouched), (MemberMode::Live, true));
    let opinions = it.store.read(|r| r.opinions(ONE)).unwrap();
    assert_eq!(
        (
            opinions[0].stance,
            &opinions[0].author,
            opinions[0].note.as_str()
        ),
        (Stance::PositiveClass, &noor(), "seen before")
    );
    let again = decide(&it, case, Outcome::Remove);
    assert!(
        matches!(again, Err(StoreError::Refused(Refused::Closed { .. }))),
        "{again:?}"
    );
    let by_itself = quarantine_in(&it, "A", &samples, &Author::System).unwrap_err();
    assert_eq!(
        by_itself.to_string(),
        "a person has vouched for member 1 of A: it does not go into quarantine by itself"
    );
    let other = quarantine_in(&it, "A", &samples, &noor()).unwrap();
    assert_ne!(other, case, "a person may still ask for it");
    let detail = it.store.read(|r| r.case_detail(other)).unwrap().unwrap();
    assert_eq!(
        detail.related.iter().map(|c| c.id).collect::<Vec<_>>(),
        [case]
    );
    it.verify();
}

#[test]
fn removing_a_member_takes_it_out_of_its_bank() {
    let it = with_member();
    let case = quarantine_in(&it, "A", &[], &Author::System).unwrap();
    decide(&it, case, Outcome::Remove).unwrap();
    let (_, _, removed) = it.store.read(|r| r.member(ONE)).unwrap().unwrap();
    assert!(removed);
    let found = it.store.read(|r| r.find_member(&bank("A"), &phrase("ash")));
    assert_eq!(found, Ok(None));
    let opinions = it.store.read(|r| r.opinions(ONE)).unwrap();
    assert_eq!(opinions[0].stance, Stance::NegativeClass);
    let gone = quarantine_in(&it, "A", &[], &Author::System).unwrap_err();
    assert_eq!(gone.to_string(), "no such member 1 in bank A");
    it.verify();
}

#[test]
fn a_case_about_a_member_removed_meanwhile_can_still_be_closed() {
    let it = with_member();
    let case = quarantine_in(&it, "A", &[], &Author::System).unwrap();
    it.write(|tx| tx.remove_member(&bank("A"), ONE, "wrong", &noor(), at(25)));
    let kept = decide(&it, case, Outcome::Keep).unwrap_err().to_string();
    assert!(
        kept.contains("was taken out of its bank meanwhile"),
        "{kept}"
    );
    assert_eq!(it.open_case().state, CaseState::Open);
    decide(&it, case, Outcome::Remove).unwrap();
    it.verify();
}

#[test]
fn a_member_in_shadow_is_not_put_into_quarantine() {
    let it = with_member();
    it.write(|tx| {
        let shadow = |settings: &mut MemberSettings| settings.mode = MemberMode::Shadow;
        tx.set_member(&bank("A"), ONE, shadow, "", &noor(), at(2))
    });
    let refused = quarantine_in(&it, "A", &[], &Author::System).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "member 1 of A is in shadow: its matches have no effect that could be held back"
    );
    // The bank's own mode is another matter.
    it.write(|tx| {
        let _ = tx.set_bank(&bank("A"), |it| it.mode = BankMode::Shadow, &noor(), at(3))?;
        tx.set_member(
            &bank("A"),
            ONE,
            |it| *it = MemberSettings::default(),
            "",
            &noor(),
            at(3),
        )
    });
    quarantine_in(&it, "A", &[], &Author::System).unwrap();
    it.record(plain("post-1"));
    it.verify();
}
