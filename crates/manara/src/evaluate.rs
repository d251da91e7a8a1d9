//! The rules on one event, with the matches that count; and on what they would have said had those
//! that are withheld counted too.

use jiff::Timestamp;
use manara_model::{Event, Facts, Held, Match, MediaFacts, Mode, Verdict};
use manara_rules::counters::KeyHasher;
use manara_rules::{Begun, Judged, Opened, Past, RuleSet, Sets, State, Undo};
use manara_store::NewEvent;
use std::sync::Arc;

/// What rules look at, besides matches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) event: &'a Event,
    pub(crate) media: &'a [MediaFacts],
    pub(crate) received_at: Timestamp,
}

/// What was made of an event before its place in the log was known.
///
/// Rules see the matches that count. A rule that would have fired on one that is withheld (its bank
/// or member is in shadow, a negative bank forbids it) leaves a verdict in shadow: recorded with the
/// match and the reason, without effect.
#[derive(Debug)]
pub(crate) struct Pending {
    rules: Arc<RuleSet>,
    /// All matches, in the order in which they were found.
    matches: Vec<Match>,
    begun: Begun,
    /// The same with the matches that are withheld, when there are some.
    with_withheld: Option<Begun>,
}

impl Pending {
    /// The first stage: everything that does not depend on what happened before.
    pub(crate) fn begin(
        rules: Arc<RuleSet>,
        subject: Subject<'_>,
        matches: Vec<Match>,
        sets: &Sets,
        keys: &KeyHasher,
    ) -> Self {
        let is_withheld = matches.iter().any(|it| it.withheld.is_some());
        let (begun, with_withheld) = if is_withheld {
            let begun = rules.begin(&facts(subject, &counting(&matches)), sets, keys);
            (
                begun,
                Some(rules.begin(&facts(subject, &matches), sets, keys)),
            )
        } else {
            (rules.begin(&facts(subject, &matches), sets, keys), None)
        };
        Self {
            rules,
            matches,
            begun,
            with_withheld,
        }
    }

    /// Whether nothing fired, nothing may fire and nothing is counted.
    pub(crate) fn is_done(&self) -> bool {
        self.begun.is_done() && self.with_withheld.as_ref().is_none_or(Begun::is_done)
    }

    /// What was begun for the matches that count.
    pub(crate) fn begun(&self) -> &Begun {
        &self.begun
    }

    /// All matches, in the order in which they were found.
    pub(crate) fn matches(&self) -> &[Match] {
        &self.matches
    }

    /// The verdicts that are sure to come, unless something holds them back.
    pub(crate) fn foreseen(&self) -> impl Iterator<Item = &Verdict> {
        self.begun.verdicts()
    }

    /// The same for the rules that are in force now.
    pub(crate) fn for_rules(
        self,
        rules: &Arc<RuleSet>,
        new: &NewEvent,
        sets: &Sets,
        keys: &KeyHasher,
    ) -> Self {
        if Arc::ptr_eq(&self.rules, rules) {
            return self;
        }
        let subject = subject_of(new);
        Self::begin(Arc::clone(rules), subject, self.matches, sets, keys)
    }

    /// The second stage: what happened before is known, and the event is remembered.
    pub(crate) fn finish(
        self,
        rules: &RuleSet,
        state: &mut State,
        new: &NewEvent,
        past: &dyn Past,
        undo: &mut Undo,
    ) -> (Vec<Verdict>, Vec<Opened>) {
        let Self {
            matches,
            begun,
            with_withheld,
            ..
        } = self;
        let subject = subject_of(new);
        let (event, received_at) = (subject.event, subject.received_at);
        let readings = state.count(rules, &begun, event, received_at, undo);
        let Some(with_withheld) = with_withheld else {
            let judged = state.judge(rules, &facts(subject, &matches), begun, &readings, past);
            return state.settle(rules, judged, event, received_at, past, undo);
        };
        let that_count = counting(&matches);
        let judged = state.judge(rules, &facts(subject, &that_count), begun, &readings, past);
        let all = state.judge(
            rules,
            &facts(subject, &matches),
            with_withheld,
            &readings,
            past,
        );
        let withheld = resting_on_withheld(&judged, all);
        let (mut verdicts, opened) = state.settle(rules, judged, event, received_at, past, undo);
        verdicts.extend(withheld);
        (verdicts, opened)
    }
}

/// The verdicts on an event with nothing known of counters, as if it came by itself.
pub(crate) fn verdicts(
    rules: &RuleSet,
    subject: Subject<'_>,
    matches: &[Match],
    past: &dyn Past,
) -> Vec<Verdict> {
    rules.evaluate_alone(&facts(subject, &counting(matches)), past)
}

fn counting(matches: &[Match]) -> Vec<Match> {
    let counting = matches.iter().filter(|it| it.withheld.is_none());
    counting.cloned().collect()
}

/// Verdicts that would have come had all matches counted, in shadow.
fn resting_on_withheld(judged: &[Judged], all: Vec<Judged>) -> Vec<Verdict> {
    let verdicts = all.into_iter().map(|it| it.verdict);
    let new = verdicts.filter(|withheld| {
        let fired = judged.iter().any(|it| it.verdict.rule == withheld.rule);
        let rests_on_withheld = withheld.because.iter().any(|m| m.withheld.is_some());
        !fired && rests_on_withheld
    });
    new.map(|verdict| Verdict {
        held: (verdict.mode == Mode::Live).then_some(Held::WithheldMatch),
        mode: Mode::Shadow,
        ..verdict
    })
    .collect()
}

fn subject_of(new: &NewEvent) -> Subject<'_> {
    Subject {
        event: &new.event,
        media: &new.media,
        received_at: new.received_at,
    }
}

fn facts<'a>(subject: Subject<'a>, matches: &'a [Match]) -> Facts<'a> {
    Facts {
        event: subject.event,
        media: subject.media,
        matches,
        received_at: subject.received_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use manara_model::{Author, Decision, DecisionId, MemberId, Origin, Withheld};
    use manara_rules::{Recollection, Schema, Source, compile};
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
        let rules = Arc::new(rules);
        let json = br#"{"id":"1","source":"s","type":"post.created","time":"2026-11-22T10:15:00Z","content":{"id":"c","text":"x"}}"#;
        let (event, _) = Event::from_json(json, Origin::Http).unwrap();
        let new = NewEvent {
            body: String::new(),
            media: Vec::new(),
            fingerprint: [0; 32],
            received_at: event.time,
            decision: Decision {
                id: DecisionId::new(1, 1),
                author: Author::Rules,
                at: event.time,
                event: None,
                case: None,
                verdicts: Vec::new(),
                actions: Vec::new(),
                note: String::new(),
            },
            previews: Vec::new(),
            event,
        };
        let settings =
            crate::past::Limits::default().settings(crate::past::Counters::default(), [0; 16]);
        let mut state = State::new(&rules, settings);
        let (sets, keys) = (Sets::default(), state.keys().clone());
        let subject = subject_of(&new);
        let pending = Pending::begin(Arc::clone(&rules), subject, matches.to_vec(), &sets, &keys);
        let (past, mut undo) = (Recollection::default(), Undo::default());
        let (verdicts, opened) = pending.finish(&rules, &mut state, &new, &past, &mut undo);
        assert_eq!(opened, []);
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
