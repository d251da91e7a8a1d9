use super::*;
use jiff::SignedDuration;
use manara_model::{Author, Decision, Event, Origin};
use manara_rules::counters::KeyHasher;
use manara_rules::{Breakers, Schema, Source, compile};
use manara_store::{NewEvent, Options};

const FLOOD: &str = r#"
    counter burst = count(post.created) by account.id over 1h
    rule flood { on post.created policy p reason "r" when burst > 2 then restrict(content) }"#;

fn compiled(text: &str) -> Arc<RuleSet> {
    let source = Source {
        name: "t.rules".into(),
        text: text.into(),
    };
    Arc::new(compile(&[source], &Schema::builtin()).unwrap())
}

/// A minute of the one day these tests play in.
fn minute(number: i64) -> Timestamp {
    let day: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    day + SignedDuration::from_mins(number)
}

struct Kept {
    _dir: tempfile::TempDir,
    store: Store,
}

/// A store with posts, each by its minute and account.
fn kept(posts: impl IntoIterator<Item = (i64, String)>) -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        audit_seed: [7; 32],
        origin: "manara.example/audit".into(),
        max_bytes: None,
        readers: 2,
    };
    let store = Store::open(&dir.path().join("m.db"), options).unwrap();
    let posts: Vec<_> = posts.into_iter().enumerate().map(post).collect();
    store
        .write_blocking(move |tx| tx.record_events(posts))
        .unwrap();
    Kept { _dir: dir, store }
}

fn post((number, (at, account)): (usize, (i64, String))) -> NewEvent {
    let at = minute(at);
    let body = format!(
        r#"{{"id":"p-{number}","source":"s","type":"post.created","time":"{at}",
            "account":{{"id":"{account}","created_at":"2026-02-26T00:00:00Z"}},
            "content":{{"id":"c-{number}","text":"post {number}","language":"en"}}}}"#
    );
    let (event, _) = Event::from_json(body.as_bytes(), Origin::Http).unwrap();
    let decision = Decision {
        id: DecisionId::new(u64::try_from(at.as_millisecond()).unwrap(), number as u128),
        author: Author::Rules,
        at,
        event: Some(("s".into(), event.id.clone())),
        case: None,
        verdicts: Vec::new(),
        actions: Vec::new(),
        note: String::new(),
    };
    let mut fingerprint = [0; 32];
    fingerprint[..8].copy_from_slice(&number.to_le_bytes());
    NewEvent {
        event,
        body,
        media: Vec::new(),
        fingerprint,
        received_at: at,
        decision,
        previews: Vec::new(),
    }
}

fn trial(new: &str) -> Trial {
    let breakers = Breakers {
        rule_hour: 0,
        rule_day: 0,
        mild_rule_hour: 0,
        mild_rule_day: 0,
        server_hour: 0,
        server_day: 0,
    };
    Trial {
        old: None,
        new: compiled(new),
        since: minute(0),
        until: minute(24 * 60),
        settings: Settings {
            keys: KeyHasher::new([3; 16]),
            keys_max: 1_000,
            breakers,
        },
        threads: 2,
        as_if_live: false,
    }
}

impl Kept {
    fn try_out(&self, trial: &Trial) -> Report {
        run(&self.store, trial, &AtomicBool::new(false), &mut |_, _| ()).unwrap()
    }
}

fn fired(report: &Report) -> &Tallied {
    &report.rules[0].fired
}

#[test]
fn counters_are_full_when_the_first_event_counts() {
    let kept = kept((0..5).map(|n| (n * 10, "a".to_owned())));
    let all = kept.try_out(&trial(FLOOD));
    assert_eq!((all.events, fired(&all).events), (5, 3));
    // From the fourth on, with the three before it counted and not reported.
    let late = Trial {
        since: minute(30),
        ..trial(FLOOD)
    };
    let late = kept.try_out(&late);
    assert_eq!((late.events, fired(&late).events), (2, 2));
    let early = Trial {
        until: minute(25),
        ..trial(FLOOD)
    };
    let early = kept.try_out(&early);
    assert_eq!((early.events, fired(&early).events), (3, 1));
}

#[test]
fn the_order_of_the_log_is_kept_on_any_number_of_threads() {
    // More events than one reading of the log takes, of accounts that take turns.
    let events = (PAGES * TOGETHER * 2 + 77) as i64;
    let kept = kept((0..events).map(|n| (n / 100, format!("a-{}", n % 613))));
    let of = |threads| {
        let report = kept.try_out(&Trial {
            threads,
            ..trial(FLOOD)
        });
        serde_json::to_value(&report).unwrap()
    };
    let one = of(1);
    assert_eq!(one["events"], events);
    let found = one["rules"][0]["events"].as_u64().unwrap();
    assert!(found > 1_000, "{found}");
    assert_eq!(one["rules"][0]["accounts"], 613);
    for threads in [2, 5] {
        assert_eq!(of(threads), one, "{threads}");
    }
}

#[test]
fn of_a_comparison_the_breakers_of_the_new_rules_are_told() {
    let kept = kept((0..6).map(|n| (n, "a".to_owned())));
    let limited = FLOOD.replace("when burst", "limit 1 per hour when burst");
    let compare = |old: &str, new: &str| {
        kept.try_out(&Trial {
            old: Some(compiled(old)),
            ..trial(new)
        })
    };
    let names = |report: &Report| -> Vec<String> {
        let stopped = report.stopped.iter();
        stopped.map(|(rule, ..)| rule.clone()).collect()
    };
    let (old, new) = (compare(&limited, FLOOD), compare(FLOOD, &limited));
    assert_eq!((names(&old), names(&new)), (vec![], vec!["flood".into()]));
    // What a rule would do is asked, and not when it would be stopped: neither is a difference.
    for report in [old, new] {
        let difference = report.difference.unwrap();
        assert_eq!(
            (
                difference.added.events,
                difference.removed.events,
                difference.same
            ),
            (0, 0, 4)
        );
    }
}

#[test]
fn what_would_change_is_told_both_ways_with_its_rules() {
    let kept = kept((0..6).map(|n| (n, "a".to_owned())));
    let other = FLOOD
        .replace("rule flood", "rule torrent")
        .replace("restrict(content)", "remove(content)")
        .replace("burst > 2", "burst > 3");
    let report = kept.try_out(&Trial {
        old: Some(compiled(FLOOD)),
        ..trial(&other)
    });
    let Difference {
        added,
        removed,
        same,
    } = report.difference.unwrap();
    assert_eq!((added.events, removed.events, same), (3, 4, 0));
    assert_eq!((added.accounts, removed.accounts), (1, 1));
    let rules = |tallied: &Tallied| tallied.samples[0].rules.clone();
    assert_eq!(
        (rules(&added), rules(&removed)),
        (vec!["torrent".to_owned()], vec!["flood".to_owned()])
    );
    assert_eq!(added.by_effect["remove"], 3);
    assert_eq!(removed.by_language["en"], 4);
    assert_eq!(removed.by_account_age[&report::Age::Week], 4);
    let one = added.samples.iter().map(|it| it.actions.as_slice());
    assert!(one.clone().all(|it| it.len() == 1), "{added:?}");
}

#[test]
fn drafts_and_shares_act_only_as_if_live() {
    let kept = kept((0..6).map(|n| (n, "a".to_owned())));
    let in_mode = |mode: &str| {
        let mode = format!("mode {mode} on post.created policy");
        FLOOD.replace("on post.created policy", &mode)
    };
    let as_if_live = |mode| {
        kept.try_out(&Trial {
            as_if_live: true,
            ..trial(&in_mode(mode))
        })
    };
    for mode in ["draft", "shadow", "live 0.01%"] {
        let found = as_if_live(mode);
        let sample = fired(&found).samples.first();
        assert_eq!(fired(&found).events, 4, "{mode}");
        assert_eq!(sample.unwrap().actions, ["restrict(content c-2)"], "{mode}");
        let written = kept.try_out(&Trial {
            old: Some(compiled("")),
            ..trial(&in_mode(mode))
        });
        assert_eq!(written.difference.unwrap().added.events, 0, "{mode}");
    }
    // What is off is not asked.
    assert_eq!(fired(&as_if_live("off")).events, 0);
}

#[test]
fn twenty_samples_are_spread_over_all_and_always_the_same() {
    let kept = kept((0..500).map(|n| (n, format!("a-{n}"))));
    let all = FLOOD.replace("burst > 2", "burst > 0");
    let report = kept.try_out(&trial(&all));
    let samples: Vec<Timestamp> = fired(&report)
        .samples
        .iter()
        .map(|it| it.received_at)
        .collect();
    assert_eq!((fired(&report).events, samples.len()), (500, 20));
    assert!(samples.is_sorted(), "{samples:?}");
    let late = samples.iter().filter(|at| **at >= minute(250)).count();
    assert!((4..=16).contains(&late), "{late}");
    let again = kept.try_out(&trial(&all));
    assert_eq!(fired(&again).samples, fired(&report).samples);
}

#[test]
fn one_that_is_cancelled_says_that_it_is_cut() {
    let kept = kept((0..10).map(|n| (n, "a".to_owned())));
    let report = run(
        &kept.store,
        &trial(FLOOD),
        &AtomicBool::new(true),
        &mut |_, _| (),
    )
    .unwrap();
    assert!(report.cut && report.events == 0);
    assert!(!kept.try_out(&trial(FLOOD)).cut);
}
