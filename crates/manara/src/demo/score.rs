//! What came of the demo's day: planted, found, missed, falsely acted on, by kind.
//!
//! Only what was really done counts. A verdict of a rule in shadow mode asks for nothing and so is
//! not "found"; an answer that was never received is "lost", whatever the server may have done.

use super::world::{Planned, PlantedKind};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Attribute, Cell, CellAlignment, Color, Table};
use manara_model::ActionKind;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Most notes on lost events that are kept; the number of them is always exact.
const NOTES_MAX: usize = 20;

/// What came of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// It should have been acted on, and was.
    Found,
    /// It should have been acted on, and was not.
    Missed,
    /// It should have been left alone, or dealt with more gently, and was not.
    Falsely,
    /// It should have been left alone, and was.
    LeftAlone,
    /// No answer came, or a refusal.
    Lost,
}

/// The counts of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) planted: u64,
    pub(crate) found: u64,
    pub(crate) missed: u64,
    pub(crate) falsely: u64,
    /// Nothing was done, but a rule in shadow mode would have done something.
    pub(crate) shadow_only: u64,
    pub(crate) lost: u64,
}

/// The counts so far.
#[derive(Debug, Default)]
pub(crate) struct Score {
    rows: BTreeMap<PlantedKind, Row>,
    answered: u64,
    /// Answered, and at least one action was taken.
    acted: u64,
    answered_ids: BTreeSet<String>,
    notes: Vec<String>,
}

impl Score {
    /// Counts an answer: one object as `POST /api/v1/events` gives it for this event.
    ///
    /// A refusal, an answer to another event, or one that cannot be read is counted as lost. The
    /// same event answered twice is counted once.
    pub(crate) fn add(&mut self, planned: &Planned, answer: &Value) -> Came {
        match read(planned, answer) {
            Err(why) => self.lost(planned, &why),
            Ok(read) => {
                if !self.answered_ids.insert(planned.id.clone()) {
                    return judged(planned, &read.actions);
                }
                self.answered += 1;
                self.acted += u64::from(!read.actions.is_empty());
                let came = judged(planned, &read.actions);
                self.count(planned.kind, came).shadow_only += u64::from(read.shadow_only);
                came
            }
        }
    }

    /// Counts an event to which no answer came.
    pub(crate) fn lost(&mut self, planned: &Planned, why: &str) -> Came {
        self.count(planned.kind, Came::Lost);
        if self.notes.len() < NOTES_MAX {
            self.notes.push(format!("{}: {why}", planned.id));
        }
        Came::Lost
    }

    fn count(&mut self, kind: PlantedKind, came: Came) -> &mut Row {
        let row = self.rows.entry(kind).or_default();
        row.planted += 1;
        match came {
            Came::Found => row.found += 1,
            Came::Missed => row.missed += 1,
            Came::Falsely => row.falsely += 1,
            Came::Lost => row.lost += 1,
            Came::LeftAlone => {}
        }
        row
    }

    /// Whether every event counted was answered.
    pub(crate) fn nothing_lost(&self) -> bool {
        self.total().lost == 0
    }

    /// The first lost events, each with why.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// All kinds together.
    pub(crate) fn total(&self) -> Row {
        self.rows.values().fold(Row::default(), |a, b| a.and(*b))
    }

    /// One line for while it runs.
    pub(crate) fn line(&self, of: usize, elapsed: Duration) -> String {
        let total = self.total();
        let rate = self.answered as f64 / elapsed.as_secs_f64().max(0.001);
        let lost = if total.lost > 0 {
            format!(" · {} LOST", total.lost)
        } else {
            String::new()
        };
        format!(
            "{} of {of} events · {} acted on · {} found · {} missed · {} falsely · {} in shadow only · {rate:.0}/s{lost}",
            self.answered, self.acted, total.found, total.missed, total.falsely, total.shadow_only,
        )
    }

    /// The table at the end.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY);
        let heads = [
            "",
            "planted",
            "found",
            "missed",
            "falsely acted on",
            "in shadow only",
            "lost",
        ];
        table.set_header(heads.map(|head| Cell::new(head).add_attribute(Attribute::Bold)));
        let mut group = "";
        for (kind, row) in &self.rows {
            if kind.group() != group {
                group = kind.group();
                table.add_row(vec![Cell::new(group).add_attribute(Attribute::Bold)]);
            }
            table.add_row(cells(
                &format!("  {}", kind.label()),
                *row,
                kind.expectation().act,
            ));
        }
        let sum = |act: bool| {
            let rows = self
                .rows
                .iter()
                .filter(|(kind, _)| kind.expectation().act == act);
            rows.fold(Row::default(), |a, (_, b)| a.and(*b))
        };
        table.add_row(vec![Cell::new("all").add_attribute(Attribute::Bold)]);
        table.add_row(cells("  to be acted on", sum(true), true));
        table.add_row(cells("  to be left alone", sum(false), false));
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// The same for programs.
    pub(crate) fn to_json(&self) -> Value {
        let kinds: Vec<Value> = self
            .rows
            .iter()
            .map(|(kind, row)| {
                let mut object = row.to_json();
                object["group"] = kind.group().into();
                object["kind"] = kind.label().into();
                object["act"] = kind.expectation().act.into();
                object
            })
            .collect();
        json!({
            "answered": self.answered,
            "acted": self.acted,
            "total": self.total().to_json(),
            "kinds": kinds,
            "lost": self.notes,
        })
    }
}

impl Row {
    fn and(self, other: Self) -> Self {
        Self {
            planted: self.planted + other.planted,
            found: self.found + other.found,
            missed: self.missed + other.missed,
            falsely: self.falsely + other.falsely,
            shadow_only: self.shadow_only + other.shadow_only,
            lost: self.lost + other.lost,
        }
    }

    fn to_json(self) -> Value {
        json!({
            "planted": self.planted,
            "found": self.found,
            "missed": self.missed,
            "falsely_acted_on": self.falsely,
            "shadow_only": self.shadow_only,
            "lost": self.lost,
        })
    }
}

fn cells(label: &str, row: Row, act: bool) -> Vec<Cell> {
    let count = |n: u64, colour: Color| {
        if n == 0 {
            Cell::new("0")
        } else {
            Cell::new(n).fg(colour)
        }
    };
    // What is to be left alone can be neither found nor missed.
    let when_act = |cell: Cell| if act { cell } else { Cell::new("–") };
    vec![
        Cell::new(label),
        Cell::new(row.planted),
        when_act(count(row.found, Color::Green)),
        when_act(count(row.missed, Color::Yellow)),
        count(row.falsely, Color::Red),
        Cell::new(row.shadow_only),
        count(row.lost, Color::Red),
    ]
}

/// What an answer says.
struct Read {
    actions: Vec<ActionKind>,
    /// A shadow rule fired, and no live one acted.
    shadow_only: bool,
}

fn read(planned: &Planned, answer: &Value) -> Result<Read, String> {
    if let Some(problem) = answer
        .get("problem")
        .or_else(|| answer.get("detail").and(Some(answer)))
    {
        let part = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or("");
        return Err(format!("refused: {} {}", part("field"), part("detail")));
    }
    let id = answer.get("id").and_then(Value::as_str);
    if id != Some(planned.id.as_str()) {
        return Err(format!("the answer is for {}", id.unwrap_or("no event")));
    }
    let list = |name: &str| {
        answer
            .get(name)
            .and_then(Value::as_array)
            .ok_or_else(|| format!("the answer has no {name}"))
    };
    let actions = list("actions")?
        .iter()
        .map(kind_of)
        .collect::<Result<Vec<_>, _>>()?;
    let in_shadow = |v: &Value| v.get("mode").and_then(Value::as_str) == Some("shadow");
    let shadow_only = actions.is_empty() && list("verdicts")?.iter().any(in_shadow);
    Ok(Read {
        actions,
        shadow_only,
    })
}

fn kind_of(action: &Value) -> Result<ActionKind, String> {
    let kind = action.get("kind").and_then(Value::as_str).unwrap_or("");
    kind.parse()
        .map_err(|error| format!("the answer holds an action of no known kind: {error}"))
}

fn judged(planned: &Planned, actions: &[ActionKind]) -> Came {
    let should = &planned.should;
    if !should.act {
        return if actions.is_empty() {
            Came::LeftAlone
        } else {
            Came::Falsely
        };
    }
    if actions.iter().any(|kind| should.never.contains(kind)) {
        return Came::Falsely;
    }
    if actions.iter().any(|kind| should.any_of.contains(kind)) {
        Came::Found
    } else {
        Came::Missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::world::Expectation;

    fn planned(kind: PlantedKind) -> Planned {
        let should: Expectation = kind.expectation();
        Planned {
            id: "ev-1".into(),
            json: "{}".into(),
            kind,
            should,
        }
    }

    fn answer(actions: &[&str], mode: &str) -> Value {
        let actions: Vec<Value> =
            actions.iter().map(|kind| json!({"kind": kind, "target": {"type": "content", "id": "p"}, "policy": "p"})).collect();
        json!({"id": "ev-1", "decision": "d", "duplicate": false, "actions": actions,
               "verdicts": [{"rule": "r", "version": 1, "mode": mode, "because": []}]})
    }

    #[track_caller]
    fn check(kind: PlantedKind, answer: &Value, expect: Came) {
        let mut score = Score::default();
        assert_eq!(score.add(&planned(kind), answer), expect);
        let total = score.total();
        let counts = [total.found, total.missed, total.falsely, total.lost];
        let expected = [Came::Found, Came::Missed, Came::Falsely, Came::Lost]
            .map(|came| u64::from(came == expect));
        assert_eq!((total.planted, counts), (1, expected));
        assert_eq!(score.nothing_lost(), expect != Came::Lost);
    }

    #[test]
    fn an_answer_is_judged_by_what_was_planted() {
        use PlantedKind::{NearLink, Ordinary, SloganQuoted, Undecodable};
        let link = PlantedKind::Link(crate::demo::world::LinkDisguise::Plain);
        check(link, &answer(&["remove", "strike"], "live"), Came::Found);
        check(link, &answer(&["enqueue"], "live"), Came::Missed);
        check(link, &answer(&[], "live"), Came::Missed);
        check(Undecodable, &answer(&["enqueue"], "live"), Came::Found);
        check(
            Undecodable,
            &answer(&["enqueue", "remove"], "live"),
            Came::Falsely,
        );
        check(SloganQuoted, &answer(&["enqueue"], "live"), Came::Found);
        check(NearLink, &answer(&[], "live"), Came::LeftAlone);
        check(NearLink, &answer(&["label"], "live"), Came::Falsely);
        check(Ordinary, &answer(&[], "shadow"), Came::LeftAlone);
        check(link, &answer(&[], "shadow"), Came::Missed);
    }

    #[test]
    fn refusals_and_strange_answers_are_lost_and_say_why() {
        let refusal = json!({"problem": {"type": "/problems/invalid-event", "field": "time", "detail": "missing"}});
        let other = json!({"id": "ev-2", "actions": [], "verdicts": []});
        let unknown = answer(&["vaporise"], "live");
        for (bad, says) in [
            (refusal, "time missing"),
            (other, "ev-2"),
            (json!(null), "no event"),
            (unknown, "vaporise"),
        ] {
            check(PlantedKind::Ordinary, &bad, Came::Lost);
            let mut score = Score::default();
            score.add(&planned(PlantedKind::Ordinary), &bad);
            assert!(score.notes()[0].contains(says), "{:?}", score.notes());
        }
    }

    #[test]
    fn what_only_a_shadow_rule_would_do_is_counted_apart() {
        for (given, expect) in [
            (answer(&[], "shadow"), 1),
            (answer(&["remove"], "shadow"), 0),
            (answer(&[], "live"), 0),
        ] {
            let mut score = Score::default();
            score.add(&planned(PlantedKind::NearLink), &given);
            assert_eq!(score.total().shadow_only, expect, "{given}");
        }
    }

    #[test]
    fn an_event_answered_twice_is_counted_once() {
        let mut score = Score::default();
        for _ in 0..2 {
            score.add(&planned(PlantedKind::NearLink), &answer(&[], "live"));
        }
        assert_eq!(score.total().planted, 1);
    }

    #[test]
    fn the_table_and_the_json_hold_every_kind() {
        let mut score = Score::default();
        score.add(
            &planned(PlantedKind::NearLink),
            &answer(&["remove"], "live"),
        );
        score.add(
            &Planned {
                id: "ev-2".into(),
                ..planned(PlantedKind::Undecodable)
            },
            &json!({}),
        );
        let table = score.table().to_string();
        for part in ["look-alikes", "undecodable file", "falsely acted on"] {
            assert!(table.contains(part), "{table}");
        }
        let json = score.to_json();
        assert_eq!(
            (&json["total"]["lost"], &json["total"]["falsely_acted_on"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(json["kinds"][1]["kind"], "link");
        assert!(score.line(5000, Duration::from_secs(1)).contains("1 LOST"));
    }
}
