//! The rules in force, read-only, and what is wrong with the files that are not.

use super::{ConsoleState, Page};
use crate::console::session::Session;
use crate::console::shell::{Here, Shell, page};
use crate::console::text::{self, Html};
use crate::console::view::counted;
use askama::Template;
use axum::extract::State;
use manara_model::RuleMode;
use manara_rules::Rule;

#[derive(Template)]
#[template(path = "rules.html")]
struct Rules {
    shell: Shell,
    lead: String,
    problems: Vec<Html>,
    rules: Vec<RuleRow>,
}

struct RuleRow {
    name: String,
    version: u32,
    shadow: bool,
    policy: String,
    reason: Html,
    on: String,
    file: Html,
    text: Html,
}

/// `GET /rules`
pub(in crate::console) async fn show(State(state): State<ConsoleState>, session: Session) -> Page {
    let reading = state.clone();
    page(
        &state
            .read(move |reader| {
                Ok(read(
                    &reading,
                    Shell::new(&reading, reader, &session, Here::Rules, "Rules")?,
                ))
            })
            .await?,
    )
}

fn read(state: &ConsoleState, shell: Shell) -> Rules {
    let extra = state.overview();
    let rules = extra.rules();
    let shadow = rules
        .iter()
        .filter(|rule| rule.mode == RuleMode::Shadow)
        .count();
    let all = counted(rules.len() as u64, "rule is", "rules are");
    Rules {
        shell,
        lead: format!(
            "{all} in force, {shadow} of them in shadow: evaluated and recorded, without effect. They are files; this page only shows them."
        ),
        problems: extra
            .rule_problems
            .iter()
            .map(|problem| text::verbatim(problem))
            .collect(),
        rules: rules.iter().map(row).collect(),
    }
}

fn row(rule: &Rule) -> RuleRow {
    RuleRow {
        name: rule.name.to_string(),
        version: rule.version,
        shadow: rule.mode == RuleMode::Shadow,
        policy: rule.policy.to_string(),
        reason: text::inline(&rule.reason),
        on: if rule.on.is_empty() {
            "every event".to_owned()
        } else {
            rule.on.join(", ")
        },
        file: text::inline(&format!("{}:{}", rule.source, rule.line)),
        text: text::verbatim(&rule.text),
    }
}
