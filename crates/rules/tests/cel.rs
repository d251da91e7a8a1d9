//! The expressions of rules mean what they mean in CEL: compared with an implementation that is not
//! ours, on random expressions of the part both languages share.
//!
//! `scripts/cel-differential` compares a million of them, with a second implementation too. Where
//! the two differ on purpose is listed in `cel/compare.rs`, one exception with its reason for each.
//! Left out altogether, since it is not in both languages: arithmetic of an int with a float, which
//! neither allows, and whatever asks for banks or media.

#[path = "cel/mod.rs"]
mod differential;

use differential::compare::{Answer, CelCrate, Ended, Oracle, Ours, Tally, compare, declared};
use differential::generator::{Dialect, Form, Node, Options, Scene, Ty, Value, generate};

const SEED: u64 = 1;

/// Compares these expressions with the `cel` crate, each on one of sixteen events.
fn compared(numbers: impl Iterator<Item = u64>) -> Tally {
    let scenes: Vec<Scene> = (0..16).map(|number| Scene::new(SEED, number)).collect();
    let (schema, mut oracle, mut tally) = (declared(), CelCrate::default(), Tally::default());
    for number in numbers {
        let node = generate(SEED, number, Options::default());
        let scene = &scenes[(number % 16) as usize];
        let theirs = oracle.answer(&node.text(Dialect::Cel), scene);
        let ended = compare(&node, theirs, scene, &schema, &mut oracle);
        if let Some(disagreement) = tally.add(&node, ended) {
            panic!("--seed {SEED} --only {number}\n{disagreement}");
        }
    }
    tally
}

#[test]
fn random_expressions_mean_the_same() {
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let halves = [0, 1]
            .map(|half| scope.spawn(move || compared((0..10_000).map(move |n| 2 * n + half))));
        for half in halves {
            tally.merge(half.join().expect("the half agrees"));
        }
    });
    assert_eq!(tally.unexpected_refusals(), Vec::<&str>::new());
    // A comparison of what is unknown anyway would show little.
    assert!(
        tally.compared > 19_000 && tally.unknown * 10 < tally.compared * 4,
        "{} unknown",
        tally.unknown
    );
    for kind in [
        "int + int",
        "int / int",
        "int % int",
        "float * float",
        "string + string",
        "time - time",
        "time + duration",
        "duration + time",
        "int < float",
        "float == int",
        "string <= string",
        "duration > duration",
        "time != time",
        "bool == bool",
        "int in ints",
        "float in floats",
        "string in strings",
        "string.contains",
        "string.startsWith",
        "string.endsWith",
        "size: string",
        "size: ints",
        "has",
        "!",
        "- int",
        "&&",
        "||",
        "? : bool",
        "ints.exists",
        "strings.all",
        "durations.count",
    ] {
        assert!(
            tally.kinds.get(kind).is_some_and(|n| *n > 20),
            "{kind} is hardly ever generated"
        );
    }
}

/// The comparison can fail: an oracle that is wrong about one operator is found out, down to it.
#[test]
fn a_wrong_answer_is_found_and_made_small() {
    struct Wrong(CelCrate);
    impl Oracle for Wrong {
        fn name(&self) -> &'static str {
            "wrong"
        }
        fn answer(&mut self, expression: &str, scene: &Scene) -> Answer {
            self.0.answer(&expression.replace("<=", "<"), scene)
        }
    }
    let int = |n: i64| Node::literal(&Value::Int(n), Ty::Int);
    let at_most = |a, b| Node::new(Form::Binary("<="), Ty::Bool, vec![a, b]);
    let sum = Node::new(Form::Binary("+"), Ty::Int, vec![int(1), int(2)]);
    let whole = Node::new(
        Form::And { word: true },
        Ty::Bool,
        vec![at_most(int(1), int(5)), at_most(sum, int(3))],
    );
    let (scene, mut wrong) = (Scene::new(SEED, 0), Wrong(CelCrate::default()));
    let theirs = wrong.answer(&whole.text(Dialect::Cel), &scene);
    let Ended::Disagreed(disagreement) = compare(&whole, theirs, &scene, &declared(), &mut wrong)
    else {
        panic!("nothing was found");
    };
    let shown = disagreement.to_string();
    assert!(
        shown.contains("1 <= 5 and 1 + 2 <= 3") && shown.contains("smallest:    3 <= 3"),
        "{shown}"
    );
}

#[track_caller]
fn check(node: Node, expect: Ours) {
    let (scene, schema) = (Scene::new(SEED, 0), declared());
    let mut oracle = CelCrate::default();
    let theirs = oracle.answer(&node.text(Dialect::Cel), &scene);
    match compare(&node, theirs, &scene, &schema, &mut oracle) {
        Ended::Agreed { ours, exceptions } => {
            assert_eq!(
                (ours, exceptions),
                (expect, Vec::new()),
                "{}",
                node.text(Dialect::Ours)
            );
        }
        Ended::Refused(reason) => panic!("{reason}"),
        Ended::Disagreed(disagreement) => panic!("{disagreement}"),
    }
}

#[test]
fn an_unknown_item_is_unknown_in_any_list() {
    let item = || Node::unknown(Ty::Int);
    let list = |items: Vec<Node>| Node::new(Form::List, Ty::Ints, items);
    let is_in = |list: Node| Node::new(Form::Binary("in"), Ty::Bool, vec![item(), list]);
    check(is_in(list(Vec::new())), Ours::Unknown);
    check(
        is_in(list(vec![Node::literal(&Value::Int(3), Ty::Int)])),
        Ours::Unknown,
    );
}
