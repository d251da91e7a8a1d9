//! Small stores with something of everything in them.

use jiff::{SignedDuration, Timestamp};
use manara_model::{
    Action, ActionKind, Author, BankMode, BankName, BankSettings, Case, Decision, DecisionId,
    Detail, Effect, Entity, EntityType, Event, Judgement, Match, MemberId, MemberSettings, Mode,
    Name, NewMember, Origin, Outcome, RuleMode, Stance, Verdict, actions_of,
};
use manara_signal::{Signal, SignalType};
use manara_store::{
    Attempt, CaseFilter, CaseStage, Committed, Later, MemberHits, NewApiKey, NewEvent, NewProposal,
    NewReviewer, NewRuleFile, NewSession, NewStop, Options, Preview, Recorded, Role, RuleText,
    Store, StoreError, Tx, rule_text_sha256,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// A store in a directory of its own.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) dir: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir.path().join("manara.db"));
        Self { store, dir }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("manara.db")
    }

    /// Lets go of the file and opens it again.
    pub(crate) fn reopened(self) -> Self {
        self.store.clone().close_blocking().unwrap();
        Self {
            store: open(&self.path()),
            dir: self.dir,
        }
    }

    pub(crate) fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Tx<'_>) -> Result<Committed<T>, StoreError> + Send + 'static,
    ) -> T {
        self.store.write_blocking(job).unwrap()
    }

    pub(crate) fn record(&self, event: NewEvent) -> Recorded {
        self.write(move |tx| tx.record_events(vec![event]))
            .pop()
            .unwrap()
    }

    /// Asserts that everything agrees with the audit log.
    #[track_caller]
    pub(crate) fn verify(&self) {
        verify(&self.store);
    }

    /// The only open case.
    pub(crate) fn open_case(&self) -> Case {
        let mut cases = self.cases();
        assert_eq!(cases.len(), 1, "{cases:?}");
        cases.pop().unwrap()
    }

    /// The open cases.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let filter = CaseFilter {
            queue: None,
            stage: CaseStage::Open,
            after: None,
            limit: 10,
        };
        self.store.read(|reader| reader.cases(&filter)).unwrap()
    }
}

#[track_caller]
pub(crate) fn verify(store: &Store) {
    let report = store.verify(&mut |_, _| ()).unwrap();
    assert_eq!(report.findings, []);
}

pub(crate) fn options() -> Options {
    Options {
        audit_seed: [7; 32],
        origin: "forum.example/log".into(),
        max_bytes: None,
        readers: 2,
    }
}

pub(crate) fn open(path: &Path) -> Store {
    Store::open(path, options()).unwrap()
}

pub(crate) fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-11-22T10:15:00Z".parse().unwrap();
    start + SignedDuration::from_secs(second)
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn bank(text: &str) -> BankName {
    text.parse().unwrap()
}

/// A new bank's settings.
pub(crate) fn plainly() -> BankSettings {
    BankSettings::default()
}

/// Settings that veto these banks.
pub(crate) fn vetoing(banks: &[&str]) -> BankSettings {
    BankSettings {
        vetoes: banks.iter().map(|name| bank(name)).collect(),
        ..plainly()
    }
}

/// A phrase as a member to be added.
pub(crate) fn slogan(text: &str, note: &str) -> NewMember {
    (phrase(text), note.to_owned()).into()
}

pub(crate) fn phrase(text: &str) -> Signal {
    Signal::parse(SignalType::Text, text).unwrap()
}

pub(crate) fn decision_id() -> DecisionId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    DecisionId::new(1_795_342_500_000 + n, u128::from(n))
}

/// An event on which no rule fired.
pub(crate) fn plain(id: &str) -> NewEvent {
    with_effects(id, &[])
}

/// An event on which one rule fired with these effects.
pub(crate) fn with_effects(id: &str, effects: &[Effect]) -> NewEvent {
    let json = format!(
        r#"{{"id":"{id}","source":"forum.example","type":"post.created","time":"2026-11-22T10:15:00Z",
        "account":{{"id":"a-19","handle":"grey_banner_17"}},"content":{{"id":"p-{id}","text":"راية الرماد — \"hello\""}}}}"#
    );
    let (event, _) = Event::from_json(json.as_bytes(), Origin::Http).unwrap();
    let verdicts: Vec<Verdict> = if effects.is_empty() {
        vec![]
    } else {
        vec![verdict(effects)]
    };
    let id = decision_id();
    let actions = actions_of(id, at(1), &verdicts, |r#type, index| {
        event.entity(r#type, index)
    });
    NewEvent {
        body: serde_json::to_string(&event).unwrap(),
        media: vec![],
        fingerprint: fingerprint(&event),
        received_at: at(1),
        decision: Decision {
            id,
            author: Author::Rules,
            at: at(1),
            event: Some((event.source.clone(), event.id.clone())),
            case: None,
            verdicts,
            actions,
            note: String::new(),
        },
        previews: vec![],
        event,
    }
}

/// The same event as it looks when its sender sends it again: decided on once more.
pub(crate) fn again(event: &NewEvent) -> NewEvent {
    let mut again = event.clone();
    again.decision.id = decision_id();
    again.received_at = at(60);
    again
}

/// Another event under the same source and id.
pub(crate) fn other_body(event: &NewEvent) -> NewEvent {
    let mut other = again(event);
    other.body = other.body.replace("hello", "goodbye");
    other.fingerprint[0] ^= 1;
    other
}

fn fingerprint(event: &Event) -> [u8; 32] {
    let mut out = [0; 32];
    for (index, byte) in serde_json::to_vec(event).unwrap().into_iter().enumerate() {
        out[index % 32] ^= byte.rotate_left(index as u32 / 32);
    }
    out
}

fn verdict(effects: &[Effect]) -> Verdict {
    Verdict {
        rule: name("known_image"),
        version: 1,
        mode: Mode::Live,
        policy: name("tvec_known"),
        reason: "a partner confirmed it".into(),
        reasons: std::collections::BTreeMap::new(),
        held: None,
        because: vec![],
        trace: vec![],
        effects: effects.to_vec(),
    }
}

pub(crate) fn effect(kind: ActionKind, target: EntityType) -> Effect {
    Effect {
        kind,
        target,
        index: None,
        detail: Detail::default(),
    }
}

/// Ask a person, in that queue.
pub(crate) fn enqueue(queue: &str, priority: u8) -> Effect {
    let detail = Detail {
        queue: Some(name(queue)),
        priority: Some(priority),
        ..Detail::default()
    };
    Effect {
        detail,
        ..effect(ActionKind::Enqueue, EntityType::Content)
    }
}

pub(crate) fn remove() -> Effect {
    effect(ActionKind::Remove, EntityType::Content)
}

pub(crate) fn judgement(outcome: Outcome) -> Judgement {
    Judgement {
        outcome,
        policy: name("tvec_known"),
        note: "seen before".into(),
    }
}

pub(crate) fn entity(r#type: EntityType, id: &str) -> Entity {
    Entity {
        r#type,
        id: id.into(),
    }
}

/// The kinds and targets of actions.
pub(crate) fn kinds(actions: &[Action]) -> Vec<(ActionKind, EntityType)> {
    actions
        .iter()
        .map(|action| (action.kind, action.target.r#type))
        .collect()
}

/// A store in which every audited table has rows, some of them changed after they were made.
pub(crate) fn furnished() -> Fixture {
    let it = Fixture::new();
    it.store
        .set_receivers(vec!["forum".into(), "archive".into()]);
    let by = Author::Operator("root".into());
    it.write(move |tx| {
        let members = ["grey banner", "ash rises", "rise, rise"].map(|text| slogan(text, text));
        let _ = tx.create_bank_with(
            &bank("SLOGANS"),
            "what they say",
            &plainly(),
            members.to_vec(),
            &by,
            at(0),
        )?;
        let _ = tx.create_bank(&bank("SPARE"), "", &plainly(), &by, at(0))?;
        let _ = tx.set_bank_enabled(&bank("SPARE"), false, &by, at(1))?;
        let shadow = |settings: &mut BankSettings| settings.mode = BankMode::Shadow;
        let _ = tx.set_bank(&bank("SPARE"), shadow, &by, at(1))?;
        let shared = NewMember {
            exchange: Some("ash-exchange".parse().unwrap()),
            settings: MemberSettings {
                tags: ["reviewed".parse().unwrap()].into(),
                ..MemberSettings::default()
            },
            ..slogan("ashes", "by hand")
        };
        let added = tx.add_member(&bank("SLOGANS"), shared, &by, at(2))?;
        let _ = tx.remove_member(&bank("SLOGANS"), added.get().0, "too common", &by, at(3))?;
        for vouched in [true, false] {
            let change = |settings: &mut MemberSettings| settings.vouched = vouched;
            let _ = tx.set_member(&bank("SLOGANS"), MemberId(2), change, "seen", &by, at(3))?;
        }
        for exchange in [None, Some("ash-exchange".parse().unwrap())] {
            let (stance, bank) = (Stance::PositiveClass, bank("SLOGANS"));
            let _ = tx.add_opinion(&bank, MemberId(2), stance, "known", exchange, &by, at(3))?;
        }
        let hits = MemberHits {
            member: MemberId(2),
            hour: 498_000,
            hits: 3,
            withheld: 1,
        };
        let _ = tx.add_hits(&[hits])?;
        let key = |id: &str, n: u8| NewApiKey {
            id: id.into(),
            name: "forum".into(),
            secret_hash: [n; 32],
            scopes: vec!["events:write".into()],
        };
        let _ = tx.create_key(&key("k-1", 1), &by, at(4))?;
        let _ = tx.create_key(&key("k-2", 2), &by, at(4))?;
        let _ = tx.revoke_key("k-1", &by, at(5))?;
        let reviewer = NewReviewer {
            login: "noor".into(),
            password_hash: "$argon2id$…".into(),
            role: Role::Admin,
        };
        let _ = tx.create_first_reviewer(&reviewer, at(6))?;
        let session = |n: u8| NewSession {
            token_hash: [n; 32],
            login: "noor".into(),
            csrf: "c".into(),
            expires_at: at(9999),
        };
        let _ = tx.open_session(&session(1), at(7))?;
        let _ = tx.open_session(&session(2), at(7))?;
        let _ = tx.close_session(&[1; 32], at(8))?;
        let rule = RuleText {
            name: name("known_image"),
            hash: [3; 32],
            text: "rule known_image { … }".into(),
            file: "images.rules".into(),
            mode: RuleMode::Live,
        };
        let _ = tx.record_rules(&[rule], &by, at(9))?;
        let _ = tx.record_rule_files(&[rule_file("rule known_image { … }")], &by, at(9))?;
        let noor = Author::Reviewer("noor".into());
        for text in ["// a draft", "// better"] {
            let _ = tx.propose_rules(&rule_proposal(text), &noor, at(10))?;
        }
        let _ = tx.approve_rules(2, &Author::Reviewer("sam".into()), "good", at(11))?;
        tx.propose_rules(&rule_proposal("// more"), &noor, at(12))
    });
    it.record(plain("post-1"));
    it.record(other_body(&plain("post-1")));
    let strike = effect(ActionKind::Strike, EntityType::Account);
    let mut second = with_effects("post-2", &[remove(), strike, enqueue("tvec", 8)]);
    second.previews.push(Preview {
        sha256: [9; 32],
        content_type: "image/jpeg".into(),
        bytes: vec![1; 3000],
    });
    it.record(second);
    let case = it.open_case().id;
    it.write(move |tx| {
        let _ = tx.claim_case(case, "noor", at(20))?;
        let _ = tx.reveal_media(case, &[9; 32], "noor", at(21))?;
        tx.decide_case(
            case,
            "noor",
            &judgement(Outcome::Keep),
            decision_id(),
            at(22),
        )
    });
    it.record(with_effects(
        "post-3",
        &[
            effect(ActionKind::Restrict, EntityType::Content),
            enqueue("tvec", 3),
        ],
    ));
    it.write(|tx| {
        let event = tx.reader().event("forum.example", "post-3")?.unwrap();
        tx.record_later(later(event.decision.id, "post-3", 2, at(40)))
    });
    it.write(|tx| {
        let mut items = tx.lease_outbox("forum", at(30), at(60), 10)?.get().clone();
        assert_eq!(items.len(), 3, "remove, restore, restrict");
        let failed = Attempt::Failed {
            error: "500".into(),
            next_at: at(90),
        };
        let dead = Attempt::Dead {
            error: "410".into(),
        };
        let attempts = [Attempt::Delivered, failed, dead];
        tx.settle_outbox(
            items
                .drain(..)
                .map(|item| item.token)
                .zip(attempts)
                .collect(),
            at(31),
        )
    });
    let labelled = [label("watched", None), label("loud", Some(3600))];
    it.record(with_effects("post-4", &labelled));
    let labelled = with_effects("post-5", &[label("quiet", None), enqueue("labels", 2)]);
    it.write(move |tx| {
        tx.record_events_with(vec![labelled], |_, _, _| Ok(vec![stop("known_image")]))
    });
    it.write(|tx| tx.reset_rule(Some(&name("known_image")), &Author::System, "seen", at(50)));
    let again = with_effects("post-6", &[]);
    it.write(move |tx| tx.record_events_with(vec![again], |_, _, _| Ok(vec![stop("known_image")])));
    it.write(|tx| {
        let trusted = name("trusted");
        let _ = tx.create_set(&trusted, "accounts we know", &Author::System, at(51))?;
        let items = ["a-1".to_owned(), "a-2".to_owned()];
        let _ = tx.add_to_set(&trusted, &items, "by hand", &Author::System, at(52))?;
        tx.remove_from_set(&trusted, &items[..1], &Author::System, at(53))
    });
    let of_label = |case: &Case| case.queue.as_str() == "labels";
    let case = it.cases().into_iter().find(of_label).unwrap().id;
    let keep = judgement(Outcome::Keep);
    it.write(move |tx| tx.decide_case(case, "noor", &keep, decision_id(), at(60)));
    it
}

/// Carry a label, for so many seconds.
pub(crate) fn label(label: &str, duration_s: Option<u64>) -> Effect {
    Effect {
        detail: Detail {
            label: Some(name(label)),
            duration_s,
            ..Detail::default()
        },
        ..effect(ActionKind::Label, EntityType::Content)
    }
}

/// A rule acted too often.
pub(crate) fn stop(rule: &str) -> NewStop {
    NewStop {
        rule: Some(name(rule)),
        why: "3 in an hour".into(),
        queue: name("rules"),
        policy: name("tvec_known"),
        priority: 9,
    }
}

/// A text of the file `images.rules`.
pub(crate) fn rule_file(text: &str) -> NewRuleFile {
    NewRuleFile {
        file: "images.rules".into(),
        text: text.into(),
        note: "as agreed".into(),
    }
}

/// A proposal for the file `images.rules`, which had no text.
pub(crate) fn rule_proposal(text: &str) -> NewProposal {
    NewProposal {
        file: "images.rules".into(),
        base: rule_text_sha256(""),
        text: text.into(),
        note: "as agreed".into(),
    }
}

/// Member `member` of SLOGANS found later in the event of this id, to be looked at by a person.
pub(crate) fn later(of: DecisionId, event: &str, member: i64, now: Timestamp) -> Later {
    let found: Match = serde_json::from_str(&format!(
        r#"{{"bank":"SLOGANS","member":{member},"signal_type":"text","distance":0,"field":"content.text"}}"#
    ))
    .unwrap();
    let verdict = Verdict {
        because: vec![found],
        ..verdict(&[enqueue("later", 6)])
    };
    let id = decision_id();
    let content = entity(EntityType::Content, &format!("p-{event}"));
    let actions = actions_of(id, now, std::slice::from_ref(&verdict), |_, _| {
        Some(content.clone())
    });
    Later {
        event_decision: of,
        decision: Decision {
            id,
            author: Author::System,
            at: now,
            event: Some(("forum.example".into(), event.into())),
            case: None,
            verdicts: vec![verdict],
            actions,
            note: String::new(),
        },
    }
}
