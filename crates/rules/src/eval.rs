//! One rule looked at closely: every part of its condition with its value on one event, whether it
//! fires or not.

use crate::env::{Ctx, Memo};
use crate::explain::explain_fully;
use crate::memory::{Memory, Nothing};
use crate::ruleset::RuleSet;
use crate::state::{OfEvent, Past, Readings};
use manara_model::{Facts, Name};
use serde::Serialize;

/// What a rule's condition comes to on one event, part by part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The rule.
    pub rule: Name,
    /// Whether the rule is about events of this type; otherwise it is not evaluated by itself.
    pub sees_event: bool,
    /// What the condition comes to; `None` when that is not known.
    pub value: Option<bool>,
    /// The condition, then its parts in the order of the text, each below what it is part of. An
    /// element of a list has a line of its own before the condition that is asked of it; literals have none.
    pub lines: Vec<ExplainedLine>,
    /// Whether there was more than 10,000 lines.
    pub cut: bool,
    /// The rule's `once per …` as written: whether it has fired already is not looked at here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub once: Option<String>,
}

/// One part of a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedLine {
    /// How deep it lies: 0 for the whole condition.
    pub depth: u16,
    /// As its author wrote it, on one line, at most 200 characters of it.
    pub expression: String,
    /// Its value as the rule language writes it, or `unknown` and why.
    pub value: String,
}

impl RuleSet {
    /// Every part of a rule's condition with its value on this event. `None` when there is no rule of
    /// this name.
    ///
    /// ```
    /// # use manara_model::{Event, Facts, Origin};
    /// # use manara_rules::{Schema, Source, compile};
    /// let text = "rule new_account { policy p reason \"r\"
    ///     when account.followers < 5 and account.age < 24h then enqueue(\"q\") }";
    /// let source = Source { name: "t.rules".into(), text: text.into() };
    /// let rules = compile(&[source], &Schema::builtin()).unwrap();
    /// # let json = br#"{"id":"1","source":"s","type":"post.created","time":"2026-11-22T10:15:00Z",
    /// #   "account":{"id":"a","followers":3}}"#;
    /// # let (event, _) = Event::from_json(json, Origin::Http).unwrap();
    /// # let facts = Facts { event: &event, media: &[], matches: &[], received_at: event.time };
    /// let explained = rules.explain(&facts, "new_account").unwrap();
    /// assert_eq!(explained.value, None);
    /// let line = |n: usize| {
    ///     let line = &explained.lines[n];
    ///     format!("{} {} = {}", line.depth, line.expression, line.value)
    /// };
    /// assert_eq!(line(1), "1 account.followers < 5 = true");
    /// assert_eq!(line(4), "2 account.age = unknown (account.created_at is missing)");
    /// ```
    pub fn explain(&self, facts: &Facts<'_>, rule_name: &str) -> Option<Explained> {
        self.explain_remembering(facts, rule_name, &Nothing)
    }

    /// The same with what is known of what happened before: labels, strikes and sets, and what counters
    /// read for this event.
    pub fn explain_with(
        &self,
        facts: &Facts<'_>,
        rule_name: &str,
        readings: &Readings,
        past: &dyn Past,
    ) -> Option<Explained> {
        let memory = OfEvent {
            facts,
            readings,
            past,
        };
        self.explain_remembering(facts, rule_name, &memory)
    }

    fn explain_remembering(
        &self,
        facts: &Facts<'_>,
        rule_name: &str,
        memory: &dyn Memory,
    ) -> Option<Explained> {
        let (rule, program) = self.rule_named(rule_name)?;
        let memo = Memo::default();
        let ctx = Ctx::new(facts, self.shared(), &memo).remembering(memory);
        let full = explain_fully(&program.when, program.start, &rule.text, &ctx);
        let line = |line: crate::explain::FullLine| ExplainedLine {
            depth: line.depth,
            expression: line.expression,
            value: line.value,
        };
        Some(Explained {
            rule: rule.name.clone(),
            sees_event: rule.on.is_empty() || rule.on.contains(&facts.event.r#type),
            value: full.value,
            lines: full.lines.into_iter().map(line).collect(),
            cut: full.cut,
            once: program.once.as_ref().map(|once| {
                let words: Vec<&str> = once.text.split_whitespace().collect();
                words.join(" ")
            }),
        })
    }
}
