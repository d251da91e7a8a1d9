//! Tokens to syntax tree, by recursive descent with a Pratt loop for operators.
//!
//! A problem is reported where it stands and costs the author only the clause it stands in: reading
//! goes on at the next clause, rule or test. Nesting is bounded while reading, so that neither
//! this nor any later walk over the tree can run out of stack.
//!
//! ```text
//! file   = { "rule" name "{" { clause } "}" | "test" string "{" { part } "}" | counter
//!        | "lexicon" name [ "level" word ] "{" { string [","] } "}" }
//! clause = "on" name { "," name } | "mode" word [ number "%" ] | "policy" name
//!        | "reason" [ language ] string | "once" "per" expressions "over" duration
//!        | "limit" int "per" ( "hour" | "day" ) { "," int "per" … }
//!        | "when" expression | "then" effect { "," effect }
//! counter = "counter" word "=" "count" "(" [ name { "," name } ] ")" { of }
//!         | "counter" word "=" ( "distinct" | "sum" | "last" ) "(" expression ")" { of }
//! of     = "on" name { "," name } | "by" expressions | "over" duration | "where" expression
//! part   = "at" string | "before" [ int ] json | "given" given | "event" json | "media" json
//!        | "match" json | "members" name "{" { word string [","] } "}"
//! given  = "counter" word "=" expression | "label" word string | "strikes" "=" int
//!        | "set" string "{" { string [","] } "}"
//!        | "expect" expected { "," expected }
//! expected = "nothing" | [ "no" ] "verdict" name | effect
//! effect = word "(" [ argument { "," argument } ] ")"      argument = [ word ":" ] expression
//! ```

use crate::ast::{
    Arg, Binary, Counter, Effect, Expect, Expr, ExprKind, File, Given, Json, Lexicon, Limit,
    Members, Mode, Once, Rule, Spanned, Test,
};
use crate::diagnostic::{Problems, Source, Span};
use crate::lexer::{Lexeme, Token, lex, shown};
use crate::literal;
use crate::suggest::{did_you_mean_or_list, nearest, one_of};
use sha2::{Digest, Sha256};

/// Deepest nesting of an expression.
pub(crate) const DEPTH_MAX: u16 = 64;

pub(crate) const ITEMS: &[&str] = &["rule", "test", "counter", "lexicon"];
pub(crate) const RULE_CLAUSES: &[&str] = &[
    "on", "mode", "policy", "reason", "once", "limit", "when", "then",
];
pub(crate) const TEST_PARTS: &[&str] = &[
    "at", "before", "given", "event", "media", "match", "members", "expect",
];
pub(crate) const COUNTER_CLAUSES: &[&str] = &["on", "by", "over", "where"];
/// Functions a counter may be.
pub(crate) const COUNTER_FUNCTIONS: &[&str] = &["count", "distinct", "sum", "last"];
/// Most events of one `before`, so that a test ends soon.
const BEFORE_MAX: i64 = 10_000;

/// Reads one file. `None` marks what was reported and left out.
pub(crate) fn parse(source: &Source, problems: &mut Problems<'_>) -> File {
    let tokens = lex(&source.text, problems);
    let mut parser = Parser {
        text: &source.text,
        tokens: &tokens,
        at: 0,
        depth: 0,
        problems,
    };
    parser.file()
}

/// Reads a text that is one expression and nothing else.
pub(crate) fn parse_expression(source: &Source, problems: &mut Problems<'_>) -> Option<Expr> {
    let tokens = lex(&source.text, problems);
    let mut parser = Parser {
        text: &source.text,
        tokens: &tokens,
        at: 0,
        depth: 0,
        problems,
    };
    let expr = parser.expression()?;
    (parser.token() == Token::End).then_some(expr)
}

struct Parser<'t, 'p, 's> {
    text: &'t str,
    tokens: &'t [Lexeme],
    at: usize,
    depth: u16,
    problems: &'p mut Problems<'s>,
}

impl<'t> Parser<'t, '_, '_> {
    // ---- tokens ----

    fn ahead(&self, by: usize) -> Lexeme {
        let end = Span {
            start: self.text.len(),
            end: self.text.len(),
        };
        self.tokens.get(self.at + by).copied().unwrap_or(Lexeme {
            token: Token::End,
            span: end,
        })
    }

    fn token(&self) -> Token {
        self.ahead(0).token
    }

    fn span(&self) -> Span {
        self.ahead(0).span
    }

    fn bump(&mut self) -> Lexeme {
        let lexeme = self.ahead(0);
        self.at = (self.at + 1).min(self.tokens.len());
        lexeme
    }

    fn previous_span(&self) -> Span {
        self.at
            .checked_sub(1)
            .and_then(|i| self.tokens.get(i))
            .map(|l| l.span)
            .unwrap_or_default()
    }

    fn text_of(&self, span: Span) -> &'t str {
        span.of(self.text)
    }

    /// The word at the cursor, "" when something else stands there.
    fn word(&self) -> &'t str {
        self.word_ahead(0)
    }

    fn word_ahead(&self, by: usize) -> &'t str {
        let lexeme = self.ahead(by);
        if lexeme.token == Token::Word {
            self.text_of(lexeme.span)
        } else {
            ""
        }
    }

    fn eat(&mut self, token: Token) -> bool {
        let there = self.token() == token;
        if there {
            self.bump();
        }
        there
    }

    /// Whether the two tokens from the cursor on touch.
    fn touches(&self, by: usize) -> bool {
        self.ahead(by).span.end == self.ahead(by + 1).span.start
    }

    /// What stands at the cursor, for "expected …, found …".
    fn found(&self) -> String {
        match self.token() {
            Token::End => "the end of the file".to_owned(),
            Token::Text => "a text".to_owned(),
            _ => format!("`{}`", shown(self.text_of(self.span()))),
        }
    }

    fn expected(&mut self, what: &str) {
        if self.token() == Token::Stray {
            return;
        }
        let message = format!("expected {what}, found {}", self.found());
        self.problems.error(self.span(), message);
    }

    fn expected_hint(&mut self, what: &str, hint: impl Into<String>) {
        if self.token() == Token::Stray {
            return;
        }
        let message = format!("expected {what}, found {}", self.found());
        self.problems.error_hint(self.span(), message, hint);
    }

    fn expect(&mut self, token: Token, what: &str) -> Option<Lexeme> {
        if self.token() == token {
            return Some(self.bump());
        }
        self.expected(what);
        None
    }

    // ---- files, rules, tests ----

    fn file(&mut self) -> File {
        let mut file = File::default();
        loop {
            match (self.token(), self.word()) {
                (Token::End, _) => return file,
                (_, "rule") => file.rules.extend(self.rule()),
                (_, "test") => file.tests.extend(self.test()),
                (_, "counter") => file.counters.extend(self.counter()),
                (_, "lexicon") => file.lexicons.extend(self.lexicon()),
                (_, word) => {
                    let hint = nearest(word, ITEMS.iter().copied())
                        .map(|near| format!("did you mean `{near}`?"));
                    let message = format!("expected {}, found {}", one_of(ITEMS), self.found());
                    if self.token() != Token::Stray {
                        self.problems.error_maybe(self.span(), message, hint);
                    }
                    self.bump();
                    self.skip_to_item();
                }
            }
        }
    }

    fn begins_item(&self) -> bool {
        match self.word() {
            "rule" | "lexicon" => matches!(self.ahead(1).token, Token::Word | Token::Text),
            "test" => self.ahead(1).token == Token::Text,
            "counter" => self.ahead(1).token == Token::Word && self.ahead(2).token == Token::Assign,
            _ => false,
        }
    }

    fn skip_to_item(&mut self) {
        while self.token() != Token::End && !self.begins_item() {
            self.bump();
        }
    }

    fn lexicon(&mut self) -> Option<Lexicon> {
        self.bump();
        let head = self.name("the lexicon's name");
        let level = if self.word() == "level" {
            self.bump();
            self.name("`strict`, `folded` or `aggressive`")
        } else {
            None
        };
        let head = head.filter(|_| self.expect(Token::OpenBrace, "`{`").is_some());
        let Some(name) = head else {
            self.skip_to_item();
            return None;
        };
        let mut phrases = Vec::new();
        while self.token() == Token::Text {
            phrases.extend(self.string("a phrase in quotes"));
            self.eat(Token::Comma);
        }
        if self
            .expect(Token::CloseBrace, "a phrase in quotes, or `}`")
            .is_none()
        {
            self.skip_to_item();
        }
        Some(Lexicon {
            name,
            level,
            phrases,
        })
    }

    /// Skips to the next of `clauses`, the closing brace of this block or the next item.
    fn skip_clause(&mut self, clauses: &[&str]) {
        let mut braces = 0_u32;
        loop {
            match self.token() {
                Token::End => return,
                Token::OpenBrace => braces += 1,
                Token::CloseBrace if braces == 0 => return,
                Token::CloseBrace => braces -= 1,
                Token::Word if self.begins_item() => return,
                Token::Word if braces == 0 && clauses.contains(&self.word()) => {
                    // `content.on` is a field with a clause's name.
                    let after_dot = self.at > 0
                        && self
                            .tokens
                            .get(self.at - 1)
                            .is_some_and(|l| l.token == Token::Dot);
                    if !after_dot {
                        return;
                    }
                }
                _ => {}
            }
            self.bump();
        }
    }

    fn rule(&mut self) -> Option<Rule> {
        let first = self.at;
        let start = self.bump().span;
        let head = self
            .name("the rule's name")
            .filter(|_| self.expect(Token::OpenBrace, "`{`").is_some());
        let Some(name) = head else {
            self.skip_to_item();
            return None;
        };
        let mut rule = Rule {
            name,
            span: start,
            hash: [0; 32],
            on: vec![],
            mode: None,
            policy: None,
            reasons: vec![],
            once: None,
            limits: vec![],
            when: None,
            then: None,
            broken: false,
        };
        loop {
            let (token, word, at) = (self.token(), self.word(), self.span());
            if token == Token::CloseBrace {
                rule.span = start.to(self.bump().span);
                break;
            }
            if token == Token::End || self.begins_item() {
                let message = format!("rule `{}` has no closing `}}`", rule.name.node);
                self.problems.error(rule.name.span, message);
                rule.span = start.to(self.previous_span());
                break;
            }
            if !RULE_CLAUSES.contains(&word) {
                self.expected_hint(
                    "a part of the rule",
                    did_you_mean_or_list(word, RULE_CLAUSES),
                );
                rule.broken = true;
                self.bump();
                self.skip_clause(RULE_CLAUSES);
                continue;
            }
            if rule_has(&rule, word) {
                self.problems.error_hint(
                    at,
                    format!("`{word}` is given twice"),
                    "keep one of the two",
                );
            }
            self.bump();
            if self.rule_clause(word, &mut rule).is_none() {
                rule.broken = true;
                self.skip_clause(RULE_CLAUSES);
            }
        }
        rule.hash = self.hash_of(first);
        Some(rule)
    }

    fn rule_clause(&mut self, word: &str, rule: &mut Rule) -> Option<()> {
        match word {
            "on" => {
                rule.on = self.list_of(|p| p.name("an event type, for example `post.created`"))?;
            }
            "mode" => rule.mode = Some(self.mode()?),
            "policy" => rule.policy = Some(self.name("the policy's name")?),
            "reason" => {
                let language = match self.token() {
                    Token::Word => Some(self.name("a language")?),
                    _ => None,
                };
                let reason = self.string("the reason in quotes")?;
                rule.reasons.push((language, reason));
            }
            "once" => rule.once = Some(self.once()?),
            "limit" => rule.limits = self.list_of(Self::limit)?,
            "when" => rule.when = Some(self.whole_expression(RULE_CLAUSES)?),
            _ => rule.then = Some(self.list_of(Self::effect)?),
        }
        Some(())
    }

    fn mode(&mut self) -> Option<Mode> {
        let word = self.name("`live`, `shadow`, `draft` or `off`")?;
        let span = self.span();
        let number = matches!(self.token(), Token::Int | Token::Float);
        if !number {
            return Some(Mode { word, share: None });
        }
        self.bump();
        let percent = self.text_of(span).parse::<f64>().unwrap_or(f64::NAN);
        let end = self.expect(Token::Percent, "`%` after the share of events")?;
        let share = Some(Spanned {
            node: percent,
            span: span.to(end.span),
        });
        Some(Mode { word, share })
    }

    fn once(&mut self) -> Option<Once> {
        let start = self.previous_span();
        self.expect_word(
            "per",
            "`per` and for what, for example `once per account.id over 24h`",
        )?;
        let by = self.list_of(Self::expression)?;
        self.expect_word("over", "`over` and for how long, for example `over 24h`")?;
        let over = self.expression()?;
        let span = start.to(over.span);
        Some(Once { by, over, span })
    }

    fn limit(&mut self) -> Option<Limit> {
        let number = self.expression()?;
        self.expect_word("per", "`per hour` or `per day`")?;
        let per = self.name("`hour` or `day`")?;
        Some(Limit { number, per })
    }

    fn expect_word(&mut self, word: &str, what: &str) -> Option<()> {
        if self.word() == word {
            self.bump();
            return Some(());
        }
        self.expected(what);
        None
    }

    /// `counter burst = count(post.created) by account.id over 1h`.
    fn counter(&mut self) -> Option<Counter> {
        let first = self.at;
        let start = self.bump().span;
        let head = self.counter_head();
        let Some((name, function)) = head else {
            self.skip_to_item();
            return None;
        };
        let mut counter = Counter {
            name,
            span: start,
            hash: [0; 32],
            function,
            value: None,
            on: vec![],
            by: vec![],
            over: None,
            filter: None,
            broken: false,
        };
        if self.counter_value(&mut counter).is_none() {
            counter.broken = true;
            self.skip_clause(COUNTER_CLAUSES);
        }
        while self.token() != Token::End && !self.begins_item() {
            let (word, at) = (self.word(), self.span());
            if !COUNTER_CLAUSES.contains(&word) {
                let hint = did_you_mean_or_list(word, COUNTER_CLAUSES);
                self.expected_hint("a part of the counter", hint);
                counter.broken = true;
                self.skip_to_item();
                break;
            }
            if counter_has(&counter, word) {
                let message = format!("`{word}` is given twice");
                self.problems.error_hint(at, message, "keep one of the two");
            }
            self.bump();
            if self.counter_clause(word, &mut counter).is_none() {
                counter.broken = true;
                self.skip_clause(COUNTER_CLAUSES);
            }
        }
        counter.span = start.to(self.previous_span());
        counter.hash = self.hash_of(first);
        Some(counter)
    }

    fn counter_head(&mut self) -> Option<(Spanned<String>, Spanned<String>)> {
        let name = self.plain_word("the counter's name")?;
        self.expect(Token::Assign, "`=` and what is counted")?;
        let function = self.plain_word(&one_of(COUNTER_FUNCTIONS))?;
        self.expect(Token::OpenParen, "`(` after what is counted")?;
        Some((name, function))
    }

    fn plain_word(&mut self, what: &str) -> Option<Spanned<String>> {
        let lexeme = self.expect(Token::Word, what)?;
        Some(Spanned {
            node: self.text_of(lexeme.span).to_owned(),
            span: lexeme.span,
        })
    }

    /// What stands between the parentheses, and the closing one.
    fn counter_value(&mut self, counter: &mut Counter) -> Option<()> {
        if counter.function.node == "count" {
            if self.token() != Token::CloseParen {
                counter.on =
                    self.list_of(|p| p.name("an event type, for example `post.created`"))?;
            }
        } else {
            counter.value = Some(self.expression()?);
        }
        self.expect(Token::CloseParen, "`)`").map(|_| ())
    }

    fn counter_clause(&mut self, word: &str, counter: &mut Counter) -> Option<()> {
        match word {
            "on" => {
                counter.on =
                    self.list_of(|p| p.name("an event type, for example `post.created`"))?;
            }
            "by" => counter.by = self.list_of(Self::expression)?,
            "over" => counter.over = Some(self.expression()?),
            _ => counter.filter = Some(self.whole_expression(COUNTER_CLAUSES)?),
        }
        Some(())
    }

    /// SHA-256 over the tokens since `first`, each with its length before it.
    fn hash_of(&self, first: usize) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for lexeme in self.tokens.get(first..self.at).unwrap_or_default() {
            let text = self.text_of(lexeme.span);
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
        hasher.finalize().into()
    }

    fn test(&mut self) -> Option<Test> {
        self.bump();
        let head = self
            .string("the test's name in quotes")
            .filter(|_| self.expect(Token::OpenBrace, "`{`").is_some());
        let Some(name) = head else {
            self.skip_to_item();
            return None;
        };
        let mut test = Test {
            name,
            at: None,
            before: vec![],
            given: vec![],
            event: None,
            media: vec![],
            matches: vec![],
            members: vec![],
            expect: vec![],
            broken: false,
        };
        loop {
            let (token, word, span) = (self.token(), self.word(), self.span());
            if token == Token::CloseBrace {
                self.bump();
                return Some(test);
            }
            if token == Token::End || self.begins_item() {
                self.problems
                    .error(test.name.span, "this test has no closing `}`");
                test.broken = true;
                return Some(test);
            }
            if !TEST_PARTS.contains(&word) {
                self.expected_hint("a part of the test", did_you_mean_or_list(word, TEST_PARTS));
                test.broken = true;
                self.bump();
                self.skip_clause(TEST_PARTS);
                continue;
            }
            if (word == "at" && test.at.is_some()) || (word == "event" && test.event.is_some()) {
                let hint =
                    "a test is about one event: write a second test, or let it come `before`";
                self.problems
                    .error_hint(span, format!("`{word}` is given twice"), hint);
            }
            self.bump();
            if self.test_part(word, &mut test).is_none() {
                test.broken = true;
                self.skip_clause(TEST_PARTS);
            }
        }
    }

    fn test_part(&mut self, word: &str, test: &mut Test) -> Option<()> {
        match word {
            "at" => {
                test.at =
                    Some(self.string("a time in quotes, for example `\"2026-11-22T10:15:00Z\"`")?);
            }
            "before" => {
                let times = self.before_times()?;
                test.before.push((times, self.json()?));
            }
            "given" => {
                let given = self.given()?;
                test.given.push(given);
            }
            "event" => test.event = Some(self.json()?),
            "media" => test.media.push(self.json()?),
            "match" => test.matches.push(self.json()?),
            "members" => {
                let members = self.members()?;
                test.members.push(members);
            }
            _ => {
                let expected = self.list_of(Self::expected_outcome)?;
                test.expect.extend(expected);
            }
        }
        Some(())
    }

    /// How many times an event came before; once, when nothing is said.
    fn before_times(&mut self) -> Option<u32> {
        if self.token() != Token::Int {
            return Some(1);
        }
        let span = self.span();
        let times = self.int(false)?;
        if (1..=BEFORE_MAX).contains(&times) {
            return u32::try_from(times).ok();
        }
        let message = format!("an event may come 1 to {BEFORE_MAX} times before");
        self.problems.error(span, message);
        None
    }

    fn given(&mut self) -> Option<Given> {
        const KINDS: &[&str] = &["counter", "label", "strikes", "set"];
        let word = self.word();
        if !KINDS.contains(&word) {
            self.expected_hint("what is given", did_you_mean_or_list(word, KINDS));
            return None;
        }
        self.bump();
        match word {
            "counter" => {
                let name = self.plain_word("the counter's name")?;
                self.expect(Token::Assign, "`=` and its value")?;
                Some(Given::Counter(name, self.expression()?))
            }
            "label" => {
                let entity = self.plain_word("`account`, `space` or `content`")?;
                Some(Given::Label(entity, self.string("the label in quotes")?))
            }
            "strikes" => {
                self.expect(Token::Assign, "`=` and their weight")?;
                Some(Given::Strikes(self.expression()?))
            }
            _ => {
                let set = self.string("the set's name in quotes")?;
                self.expect(Token::OpenBrace, "`{`")?;
                let mut items = Vec::new();
                while self.token() == Token::Text {
                    items.push(self.string("an entry in quotes")?);
                    self.eat(Token::Comma);
                }
                self.expect(Token::CloseBrace, "an entry in quotes, or `}`")?;
                Some(Given::Set(set, items))
            }
        }
    }

    fn members(&mut self) -> Option<Members> {
        let bank = self.string("the bank's name in quotes")?;
        self.expect(Token::OpenBrace, "`{`")?;
        let mut members = Vec::new();
        while self.token() == Token::Word && !self.begins_item() {
            let lexeme = self.bump();
            let signal_type = Spanned {
                node: self.text_of(lexeme.span).to_owned(),
                span: lexeme.span,
            };
            members.push((signal_type, self.string("the member's signal in quotes")?));
            self.eat(Token::Comma);
        }
        self.expect(
            Token::CloseBrace,
            "a signal type and a signal, for example `text \"…\"`, or `}`",
        )?;
        Some(Members { bank, members })
    }

    fn expected_outcome(&mut self) -> Option<Expect> {
        let span = self.span();
        match (self.word(), self.word_ahead(1)) {
            ("nothing", _) => {
                self.bump();
                Some(Expect::Nothing(span))
            }
            ("no", "verdict") => {
                self.bump();
                self.bump();
                Some(Expect::Verdict {
                    rule: self.name("a rule's name")?,
                    fires: false,
                })
            }
            ("verdict", _) => {
                self.bump();
                Some(Expect::Verdict {
                    rule: self.name("a rule's name")?,
                    fires: true,
                })
            }
            _ => self.effect().map(Expect::Action),
        }
    }

    /// The JSON object at the cursor, as text: its tokens where they stand, the rest blank.
    fn json(&mut self) -> Option<Json> {
        let open = self.span();
        if self.token() != Token::OpenBrace {
            self.expected("a JSON object `{…}`");
            return None;
        }
        let first = self.at;
        let mut braces = 0_u32;
        let mut is_whole = true;
        loop {
            match self.token() {
                Token::OpenBrace => braces += 1,
                Token::CloseBrace => braces = braces.saturating_sub(1),
                _ => {}
            }
            is_whole &= self.token() != Token::Stray;
            if self.token() == Token::End || self.begins_item() {
                self.problems
                    .error(open, "this JSON object has no closing `}`");
                return None;
            }
            let last = self.bump().span;
            if braces == 0 {
                let span = open.to(last);
                let mut text: Vec<u8> = vec![b' '; span.end - span.start];
                for lexeme in self.tokens.get(first..self.at).unwrap_or_default() {
                    let at = lexeme.span.start - span.start..lexeme.span.end - span.start;
                    if let Some(place) = text.get_mut(at) {
                        place.copy_from_slice(self.text_of(lexeme.span).as_bytes());
                    }
                }
                // What is no token was reported, and is no JSON either.
                return String::from_utf8(text)
                    .ok()
                    .filter(|_| is_whole)
                    .map(|text| Json { text, span });
            }
        }
    }

    // ---- pieces ----

    fn list_of<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(Token::Comma) {
            items.push(item(self)?);
        }
        Some(items)
    }

    /// A name with dots and dashes, `post.created` or `grey-banner`, or any text in quotes.
    fn name(&mut self, what: &str) -> Option<Spanned<String>> {
        match self.token() {
            Token::Text => self.string(what),
            Token::Word => {
                let mut span = self.bump().span;
                loop {
                    let joint = matches!(self.token(), Token::Dot | Token::Minus)
                        && span.end == self.span().start;
                    let part = matches!(
                        self.ahead(1).token,
                        Token::Word | Token::Int | Token::Duration
                    );
                    if !(joint && part && self.touches(0)) {
                        break;
                    }
                    self.bump();
                    span = span.to(self.bump().span);
                }
                Some(Spanned {
                    node: self.text_of(span).to_owned(),
                    span,
                })
            }
            _ => {
                self.expected(what);
                None
            }
        }
    }

    fn string(&mut self, what: &str) -> Option<Spanned<String>> {
        if self.token() != Token::Text {
            self.expected(what);
            return None;
        }
        let span = self.bump().span;
        self.decode(span).map(|node| Spanned { node, span })
    }

    fn decode(&mut self, span: Span) -> Option<String> {
        match literal::decode(self.text_of(span)) {
            Ok(text) => Some(text),
            Err(bad) => {
                let at = Span {
                    start: span.start + bad.at,
                    end: span.start + bad.at + bad.len,
                };
                let message = format!("`{}` is not an escape", shown(self.text_of(at)));
                self.problems.error_hint(
                    at,
                    message,
                    "write `\\\\` for a backslash, or begin the text with `r\"`",
                );
                None
            }
        }
    }

    fn effect(&mut self) -> Option<Effect> {
        if self.token() != Token::Word {
            self.expected("an effect, for example `remove(content)`");
            return None;
        }
        let name = self.bump().span;
        self.expect(Token::OpenParen, "`(` after the effect's name")?;
        let args = self.args()?;
        let span = name.to(self.previous_span());
        let name = Spanned {
            node: self.text_of(name).to_owned(),
            span: name,
        };
        Some(Effect { name, args, span })
    }

    /// Arguments up to and with the closing parenthesis; the opening one has been read.
    fn args(&mut self) -> Option<Vec<Arg>> {
        let mut args = Vec::new();
        if self.eat(Token::CloseParen) {
            return Some(args);
        }
        loop {
            let name =
                (self.token() == Token::Word && self.ahead(1).token == Token::Colon).then(|| {
                    let span = self.bump().span;
                    self.bump();
                    Spanned {
                        node: self.text_of(span).to_owned(),
                        span,
                    }
                });
            args.push(Arg {
                name,
                value: self.expression()?,
            });
            if !self.eat(Token::Comma) {
                self.expect(Token::CloseParen, "`,` or `)`")?;
                return Some(args);
            }
        }
    }

    // ---- expressions ----

    /// An expression that must be followed by the next clause or the end of the block.
    fn whole_expression(&mut self, clauses: &[&str]) -> Option<Expr> {
        let expr = self.expression()?;
        if self.token() == Token::CloseBrace
            || self.token() == Token::End
            || clauses.contains(&self.word())
            || self.begins_item()
        {
            return Some(expr);
        }
        let hint = match (self.token(), self.word()) {
            (_, "AND" | "And") => "write `and` or `&&`",
            (_, "OR" | "Or") => "write `or` or `||`",
            (_, "is") => "write `==` to compare",
            (_, "contains" | "startsWith" | "endsWith" | "matches") => {
                "write it as a call: `text.contains(\"…\")`"
            }
            (Token::CloseParen | Token::CloseBracket, _) => "there is one closing bracket too many",
            _ => "join two conditions with `and` or `or`",
        };
        self.expected_hint("an operator or the next part of the rule", hint);
        None
    }

    fn make(&mut self, kind: ExprKind, span: Span) -> Option<Expr> {
        let depth = kind.depth_inside() + 1;
        if depth > DEPTH_MAX {
            self.too_deep(span);
            return None;
        }
        Some(Expr { kind, span, depth })
    }

    fn too_deep(&mut self, span: Span) {
        let hint = "split the rule, or put the values into a list or a bank";
        self.problems.error_hint(
            span,
            format!("this expression nests deeper than {DEPTH_MAX}"),
            hint,
        );
    }

    fn expression(&mut self) -> Option<Expr> {
        if self.depth >= DEPTH_MAX {
            self.too_deep(self.span());
            return None;
        }
        self.depth += 1;
        let expr = self.choice();
        self.depth -= 1;
        expr
    }

    fn choice(&mut self) -> Option<Expr> {
        let condition = self.binary(LOWEST)?;
        if !self.eat(Token::Question) {
            return Some(condition);
        }
        let yes = self.expression()?;
        self.expect(Token::Colon, "`:` and the value otherwise")?;
        let no = self.expression()?;
        let span = condition.span.to(no.span);
        self.make(
            ExprKind::Choose(Box::new(condition), Box::new(yes), Box::new(no)),
            span,
        )
    }

    /// Operators at least as strong as `min`, left to right.
    fn binary(&mut self, min: u8) -> Option<Expr> {
        let mut left = self.prefix(min)?;
        while let Some((operator, strength)) = self.operator().filter(|(_, s)| *s >= min) {
            let lexeme = self.bump();
            let at = lexeme.span;
            if lexeme.token == Token::Assign {
                self.problems
                    .error_hint(at, "`=` means nothing here", "write `==` to compare");
            }
            let right = self.binary(strength + 1)?;
            let span = left.span.to(right.span);
            left = match operator {
                Operator::And => self.join(
                    ExprKind::And,
                    |k| matches!(k, ExprKind::And(_)),
                    left,
                    right,
                )?,
                Operator::Or => {
                    self.join(ExprKind::Or, |k| matches!(k, ExprKind::Or(_)), left, right)?
                }
                Operator::Binary(op) => {
                    if strength == RELATION && matches!(self.operator(), Some((_, RELATION))) {
                        let hint = "join two comparisons with `and`: `a < b and b < c`";
                        self.problems.error_hint(
                            at.to(self.span()),
                            "comparisons do not chain",
                            hint,
                        );
                        return None;
                    }
                    self.make(ExprKind::Binary(op, Box::new(left), Box::new(right)), span)?
                }
            };
        }
        Some(left)
    }

    /// `a && b && c` is one conjunction of three: long chains stay flat. A parenthesised first
    /// operand that is a chain of the same operator joins too, which changes nothing it means.
    fn join(
        &mut self,
        kind: fn(Vec<Expr>) -> ExprKind,
        is_same: fn(&ExprKind) -> bool,
        left: Expr,
        right: Expr,
    ) -> Option<Expr> {
        let span = left.span.to(right.span);
        let own_depth = if is_same(&left.kind) {
            left.depth
        } else {
            left.depth + 1
        };
        let depth = own_depth.max(right.depth + 1);
        if depth > DEPTH_MAX {
            self.too_deep(span);
            return None;
        }
        let mut items = match left.kind {
            ExprKind::And(items) | ExprKind::Or(items) if own_depth == left.depth => items,
            kind => vec![Expr { kind, ..left }],
        };
        items.push(right);
        Some(Expr {
            kind: kind(items),
            span,
            depth,
        })
    }

    fn operator(&self) -> Option<(Operator, u8)> {
        let binary = |op, strength| Some((Operator::Binary(op), strength));
        match self.token() {
            Token::Or => Some((Operator::Or, LOWEST)),
            Token::And => Some((Operator::And, CONJUNCTION)),
            Token::Word => match self.word() {
                "or" => Some((Operator::Or, LOWEST)),
                "and" => Some((Operator::And, CONJUNCTION)),
                "in" => binary(Binary::In, RELATION),
                _ => None,
            },
            Token::Equal | Token::Assign => binary(Binary::Equal, RELATION),
            Token::NotEqual => binary(Binary::NotEqual, RELATION),
            Token::Less => binary(Binary::Less, RELATION),
            Token::LessEqual => binary(Binary::LessEqual, RELATION),
            Token::Greater => binary(Binary::Greater, RELATION),
            Token::GreaterEqual => binary(Binary::GreaterEqual, RELATION),
            Token::Plus => binary(Binary::Add, SUM),
            Token::Minus => binary(Binary::Subtract, SUM),
            Token::Star => binary(Binary::Multiply, PRODUCT),
            Token::Slash => binary(Binary::Divide, PRODUCT),
            Token::Percent => binary(Binary::Remainder, PRODUCT),
            _ => None,
        }
    }

    /// `!x`, `-x`, and `not x`, which is as weak as it reads: `not a == b` denies the comparison.
    fn prefix(&mut self, min: u8) -> Option<Expr> {
        let at = self.span();
        let is_not = self.word() == "not";
        if !(is_not || matches!(self.token(), Token::Not | Token::Minus)) {
            return self.postfix();
        }
        if is_not && min > RELATION {
            let hint = "put it in parentheses: `(not …)`, or write `!`";
            self.problems
                .error_hint(at, "`not` cannot stand here", hint);
            return None;
        }
        if self.depth >= DEPTH_MAX {
            self.too_deep(at);
            return None;
        }
        let minus = self.bump().token == Token::Minus;
        if minus && self.token() == Token::Int {
            // A negative literal: the smallest whole number has no positive counterpart to negate.
            let span = at.to(self.span());
            let number = self.int(true)?;
            let expr = self.make(ExprKind::Int(number), span)?;
            return self.postfix_of(expr);
        }
        self.depth += 1;
        let operand = if is_not {
            self.binary(RELATION)
        } else {
            self.prefix(UNARY)
        };
        self.depth -= 1;
        let operand = operand?;
        let span = at.to(operand.span);
        let kind = if minus {
            ExprKind::Negate
        } else {
            ExprKind::Not
        };
        self.make(kind(Box::new(operand)), span)
    }

    fn int(&mut self, negative: bool) -> Option<i64> {
        let span = self.bump().span;
        let number = literal::parse_int(self.text_of(span), negative);
        if number.is_none() {
            let message = format!(
                "`{}` is not a whole number of 64 bits",
                shown(self.text_of(span))
            );
            self.problems.error(span, message);
        }
        number
    }

    fn postfix(&mut self) -> Option<Expr> {
        let primary = self.primary()?;
        self.postfix_of(primary)
    }

    fn postfix_of(&mut self, mut expr: Expr) -> Option<Expr> {
        loop {
            match self.token() {
                Token::Dot => {
                    self.bump();
                    let lexeme = self.expect(Token::Word, "a field or function after `.`")?;
                    let name = Spanned {
                        node: self.text_of(lexeme.span).to_owned(),
                        span: lexeme.span,
                    };
                    let start = expr.span;
                    let kind = if self.eat(Token::OpenParen) {
                        ExprKind::Call {
                            receiver: Some(Box::new(expr)),
                            name,
                            args: self.args()?,
                        }
                    } else {
                        ExprKind::Field(Box::new(expr), name)
                    };
                    expr = self.make(kind, start.to(self.previous_span()))?;
                }
                Token::OpenBracket => expr = self.index(expr)?,
                _ => return Some(expr),
            }
        }
    }

    /// `map["key"]`; the opening bracket stands at the cursor.
    fn index(&mut self, of: Expr) -> Option<Expr> {
        let open = self.bump().span;
        if matches!(self.token(), Token::Int | Token::Minus) {
            let hint = "ask about any element with `.exists(x, …)`, or about all with `.all(x, …)`";
            self.problems
                .error_hint(open, "elements are not picked by number", hint);
            return None;
        }
        let key = self.expression()?;
        let close = self.expect(Token::CloseBracket, "`]`")?;
        let span = of.span.to(close.span);
        self.make(ExprKind::Index(Box::new(of), Box::new(key)), span)
    }

    fn primary(&mut self) -> Option<Expr> {
        let span = self.span();
        match self.token() {
            Token::Int => {
                let number = self.int(false)?;
                self.make(ExprKind::Int(number), span)
            }
            Token::Float => {
                self.bump();
                let number = self
                    .text_of(span)
                    .parse::<f64>()
                    .ok()
                    .filter(|f| f.is_finite());
                if number.is_none() {
                    self.problems.error(span, "this number is too large");
                }
                self.make(ExprKind::Float(number?), span)
            }
            Token::Duration => {
                self.bump();
                // What the lexer could not read as a duration it has reported.
                let duration = literal::parse_duration(self.text_of(span))?;
                self.make(ExprKind::Duration(duration), span)
            }
            Token::Text => {
                self.bump();
                let text = self.decode(span)?;
                self.make(ExprKind::Text(text), span)
            }
            Token::OpenParen => {
                self.bump();
                let inner = self.expression()?;
                if self.token() != Token::CloseParen {
                    let (line, column) = self.problems.line_column(span.start);
                    self.expected_hint(
                        "an operator or `)`",
                        format!("the `(` at {line}:{column} is not closed"),
                    );
                    return None;
                }
                Some(Expr {
                    span: span.to(self.bump().span),
                    ..inner
                })
            }
            Token::OpenBracket => self.list(),
            Token::Word => self.name_or_call(),
            _ => {
                self.expected("a value");
                None
            }
        }
    }

    fn list(&mut self) -> Option<Expr> {
        let open = self.bump().span;
        let mut items = Vec::new();
        while self.token() != Token::CloseBracket {
            items.push(self.expression()?);
            if !self.eat(Token::Comma) {
                break;
            }
        }
        let close = self.expect(Token::CloseBracket, "`,` or `]`")?;
        self.make(ExprKind::List(items), open.to(close.span))
    }

    fn name_or_call(&mut self) -> Option<Expr> {
        let span = self.span();
        match self.word() {
            "and" | "or" | "in" => {
                self.expected("a value");
                return None;
            }
            word if RULE_CLAUSES.contains(&word) => {
                self.expected("a value");
                return None;
            }
            "null" | "none" | "None" | "nil" => {
                let hint = "ask whether a value is there with `has(…)`";
                self.problems.error_hint(span, "there is no null", hint);
                return None;
            }
            _ => {}
        }
        let word = self.word().to_owned();
        self.bump();
        if self.eat(Token::OpenParen) {
            let name = Spanned { node: word, span };
            let args = self.args()?;
            return self.make(
                ExprKind::Call {
                    receiver: None,
                    name,
                    args,
                },
                span.to(self.previous_span()),
            );
        }
        let kind = match word.as_str() {
            "true" => ExprKind::Bool(true),
            "false" => ExprKind::Bool(false),
            _ => ExprKind::Name(word),
        };
        self.make(kind, span)
    }
}

enum Operator {
    And,
    Or,
    Binary(Binary),
}

// How strongly operators bind, weakest first, as in CEL.
const LOWEST: u8 = 1;
const CONJUNCTION: u8 = 2;
const RELATION: u8 = 3;
const SUM: u8 = 4;
const PRODUCT: u8 = 5;
const UNARY: u8 = 6;

fn rule_has(rule: &Rule, clause: &str) -> bool {
    match clause {
        "on" => !rule.on.is_empty(),
        "mode" => rule.mode.is_some(),
        "policy" => rule.policy.is_some(),
        // Each in a language of its own; the checker looks.
        "reason" => false,
        "once" => rule.once.is_some(),
        "limit" => !rule.limits.is_empty(),
        "when" => rule.when.is_some(),
        _ => rule.then.is_some(),
    }
}

fn counter_has(counter: &Counter, clause: &str) -> bool {
    match clause {
        "on" => !counter.on.is_empty(),
        "by" => !counter.by.is_empty(),
        "over" => counter.over.is_some(),
        _ => counter.filter.is_some(),
    }
}
