//! The frame around every page: title, navigation with its counts, who is logged in, and a notice.

use super::assets::STYLESHEET;
use super::session::Session;
use super::text::{self, Html};
use super::view::Count;
use super::{ConsoleState, Error};
use manara_store::{Reader, StoreError};

/// What the frame shows. Language and direction are values here and nowhere else, so that a
/// localised console changes them in one place.
pub(super) struct Shell {
    pub(super) lang: &'static str,
    pub(super) dir: &'static str,
    pub(super) title: String,
    pub(super) stylesheet: &'static str,
    pub(super) session: Option<SessionView>,
    pub(super) nav: Vec<NavItem>,
    pub(super) notice: Option<Notice>,
}

pub(super) struct SessionView {
    pub(super) login: Html,
    pub(super) csrf: String,
}

pub(super) struct NavItem {
    pub(super) href: &'static str,
    pub(super) name: &'static str,
    pub(super) count: Option<Count>,
    pub(super) alarm: bool,
    pub(super) current: bool,
}

/// A page of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Here {
    Overview,
    Queues,
    Banks,
    Similar,
    DeadLetters,
    Conflicts,
    Rules,
    Audit,
    Elsewhere,
}

/// What has just been done, shown once on top of the next page. The address carries only the word,
/// never the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Notice {
    pub(super) tone: &'static str,
    pub(super) text: &'static str,
}

impl Notice {
    /// The notice for the word after `?done=`.
    pub(super) fn of(done: Option<&str>) -> Option<Self> {
        let good = |text| Some(Self { tone: "good", text });
        match done? {
            "claimed" => good("The case is yours."),
            "released" => good("The case is back in its queue."),
            "decided" => good("The decision is recorded, and what follows from it is on its way."),
            "member_kept" => {
                good("The decision is recorded. The member matches again, and is vouched for.")
            }
            "member_taken_out" => {
                good("The decision is recorded. The member is out of its bank and matches no more.")
            }
            "bank_made" => good("The bank is made. It holds nothing yet."),
            "bank_changed" => good("The bank is changed. It holds for new events within a moment."),
            "member_added" => good(
                "The member is added. It matches within a moment; what was uploaded before is looked through for it.",
            ),
            "member_added_in_shadow" => {
                good("The member is added in shadow: its matches are recorded and have no effect.")
            }
            "member_already" => good("Nothing was added: this member is there already."),
            "member_changed" => {
                good("The member is changed. It holds for new events within a moment.")
            }
            "member_removed" => good("The member is out of its bank and matches no more."),
            "rules_saved" => good("The file is saved, and its rules are in force."),
            "rules_kept" => Some(Self {
                tone: "warn",
                text: "The file is saved. It is not in force yet: another file does not check, and the earlier rules work on until it does.",
            }),
            "proposed" => Some(Self {
                tone: "warn",
                text: "This would go live, so it waits for a second person. Nothing has changed yet.",
            }),
            "proposal_approved" => good("The proposal is approved, and its rules are in force."),
            "proposal_declined" => good("The proposal is closed. Nothing has changed by it."),
            "rule_reset" => {
                good("The circuit breaker is closed. From the next event on, it acts again.")
            }
            "rule_let_act" => {
                good("The decision is recorded. The rule acts again from the next event on.")
            }
            "rule_left" => good(
                "The decision is recorded. The rule stays without effect until somebody lets it act again, on the page of rules.",
            ),
            "tryout_busy" => Some(Self {
                tone: "warn",
                text: "Nothing was started: one back-test runs at a time. Wait for it, or cancel it on its page.",
            }),
            "not_tried" => Some(Self {
                tone: "stop",
                text: "It was not tried: the rules do not check with this text. What is wrong is listed under it.",
            }),
            "set_made" => good("The set is made. It holds nothing yet."),
            "set_changed" => good("The set is changed. It holds for new events within a moment."),
            "opinion_added" => good("Your opinion is recorded."),
            "unchanged" => good("Nothing is different from how it was."),
            "replayed" => good("The action goes out again, under the same idempotency key."),
            "logged_out" => good("You are logged out."),
            "set_up" => {
                good("The administrator exists. Log in with the login and password you chose.")
            }
            _ => None,
        }
    }
}

impl Shell {
    /// The frame of a page for somebody logged in.
    pub(super) fn new(
        state: &ConsoleState,
        reader: &Reader,
        session: &Session,
        here: Here,
        title: impl Into<String>,
    ) -> Result<Self, StoreError> {
        let totals = reader.totals()?;
        let problems = state.overview().rule_problems.len() as u64;
        let proposals = reader.count_open_proposals()?;
        let item = |page: Here, href, name, count: Option<u64>, alarm| NavItem {
            href,
            name,
            count: count.map(Count),
            alarm,
            current: page == here,
        };
        let alarming = |count: u64| Some(count).filter(|count| *count > 0);
        Ok(Self {
            nav: vec![
                item(Here::Overview, "/", "Overview", None, false),
                item(
                    Here::Queues,
                    "/queues",
                    "Queues",
                    Some(totals.open_cases),
                    false,
                ),
                item(Here::Banks, "/banks", "Banks", None, false),
                item(Here::Similar, "/similar", "Similar uploads", None, false),
                item(
                    Here::DeadLetters,
                    "/dead-letters",
                    "Dead letters",
                    alarming(totals.outbox_dead),
                    true,
                ),
                item(
                    Here::Conflicts,
                    "/events/conflicts",
                    "Conflicts",
                    alarming(totals.conflicts),
                    false,
                ),
                item(
                    Here::Rules,
                    "/rules",
                    "Rules",
                    alarming(problems).or(alarming(proposals)),
                    problems > 0,
                ),
                item(Here::Audit, "/audit", "Audit log", None, false),
            ],
            session: Some(SessionView {
                login: text::inline(&session.login),
                csrf: session.csrf.clone(),
            }),
            ..Self::alone(title, None)
        })
    }

    /// The frame of a page for anybody.
    pub(super) fn alone(title: impl Into<String>, notice: Option<Notice>) -> Self {
        Self {
            lang: "en",
            dir: "ltr",
            title: title.into(),
            stylesheet: STYLESHEET.as_str(),
            session: None,
            nav: Vec::new(),
            notice,
        }
    }

    /// The same frame with a notice.
    pub(super) fn with(self, notice: Option<Notice>) -> Self {
        Self { notice, ..self }
    }
}

/// A template as a page.
pub(super) fn page(
    template: &impl askama::Template,
) -> Result<axum::response::Html<String>, Error> {
    Ok(axum::response::Html(template.render()?))
}
