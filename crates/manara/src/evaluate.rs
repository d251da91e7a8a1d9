//! The rules on one event, with the matches that count; and on what they would have said had those
//! that are withheld counted too.

use jiff::Timestamp;
use manara_model::{Event, Facts, Match, MediaFacts, Mode, Verdict};
use manara_rules::RuleSet;

/// What rules look at, besides matches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) event: &'a Event,
    pub(crate) media: &'a [MediaFacts],
    pub(crate) received_at: Timestamp,
}

/// The verdicts on an event.
///
/// Rules see the matches that count. A rule that would have fired on one that is withheld (its bank
/// or member is in shadow, a negative bank forbids it) leaves a verdict in shadow: recorded with the
/// match and the reason, without effect.
pub(crate) fn verdicts(rules: &RuleSet, subject: Subject<'_>, matches: &[Match]) -> Vec<Verdict> {
    if matches.iter().all(|m| m.withheld.is_none()) {
        return evaluate(rules, subject, matches);
    }
    let counting: Vec<Match> = matches
        .iter()
        .filter(|m| m.withheld.is_none())
        .cloned()
        .collect();
    let mut verdicts = evaluate(rules, subject, &counting);
    for withheld in evaluate(rules, subject, matches) {
        let fired = verdicts.iter().any(|v| v.rule == withheld.rule);
        let rests_on_withheld = withheld.because.iter().any(|m| m.withheld.is_some());
        if !fired && rests_on_withheld {
            verdicts.push(Verdict {
                mode: Mode::Shadow,
                ..withheld
            });
        }
    }
    verdicts
}

fn evaluate(rules: &RuleSet, subject: Subject<'_>, matches: &[Match]) -> Vec<Verdict> {
    rules.evaluate(&Facts {
        event: subject.event,
        media: subject.media,
        matches,
        received_at: subject.received_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use manara_model::{MemberId, Origin, Withheld};
    use manara_rules::{Schema, Source, compile};
    use manara_signal::SignalType;

    const RULES: &str = r#"
        rule slogan {
          on post.created
          policy tvec_known
          reason "A slogan."
          when bank("SLOGANS").matches(content.text)
          then remove(content)
        }
        rule unknown_slogan {
          on post.created
          policy tvec_known
          reason "No slogan that is known."
          when not bank("SLOGANS").matches(content.text)
          then label(content, "unknown")
        }"#;

    fn found(member: i64, withheld: Option<Withheld>) -> Match {
        Match {
            signal_type: SignalType::Text,
            bank: "SLOGANS".parse().unwrap(),
            member: MemberId(member),
            distance: 0,
            field: "content.text".into(),
            quality: None,
            span: None,
            how: None,
            form: None,
            form_hash: None,
            distance_stored: None,
            withheld,
        }
    }

    /// Which rules fire, in which mode, because of which members.
    #[track_caller]
    fn check(matches: &[Match], expect: &[(&str, Mode, &[i64])]) {
        let source = Source {
            name: "t.rules".into(),
            text: RULES.into(),
        };
        let rules = compile(&[source], &Schema::builtin()).unwrap();
        let json = br#"{"id":"1","source":"s","type":"post.created","time":"2026-11-22T10:15:00Z","content":{"id":"c","text":"x"}}"#;
        let (event, _) = Event::from_json(json, Origin::Http).unwrap();
        let subject = Subject {
            event: &event,
            media: &[],
            received_at: event.time,
        };
        let verdicts = verdicts(&rules, subject, matches);
        let said: Vec<(String, Mode, Vec<i64>)> = verdicts
            .iter()
            .map(|v| {
                let members = v.because.iter().map(|m| m.member.0).collect();
                (v.rule.to_string(), v.mode, members)
            })
            .collect();
        let expect: Vec<(String, Mode, Vec<i64>)> = expect
            .iter()
            .map(|(rule, mode, members)| ((*rule).to_owned(), *mode, members.to_vec()))
            .collect();
        assert_eq!(said, expect);
    }

    #[test]
    fn what_is_withheld_leaves_a_verdict_without_effect() {
        let unknown = ("unknown_slogan", Mode::Live, &[][..]);
        check(&[], &[unknown]);
        check(&[found(1, None)], &[("slogan", Mode::Live, &[1])]);
        let vetoed = || {
            Some(Withheld::Vetoed {
                bank: "SAFE".parse().unwrap(),
                member: MemberId(9),
                distance: 0,
            })
        };
        check(
            &[found(1, vetoed())],
            &[unknown, ("slogan", Mode::Shadow, &[1])],
        );
        // One that counts is enough, and is the evidence.
        check(
            &[found(2, None), found(1, Some(Withheld::MemberShadow))],
            &[("slogan", Mode::Live, &[2])],
        );
    }
}
