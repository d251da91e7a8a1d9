use super::*;
use manara_model::{BankMode, MemberMode, Withheld};

/// A hash with so many of the lowest bits set.
fn hash(bits: usize) -> Pdq {
    let mut hash = Pdq([0; 32]);
    for bit in 0..bits {
        hash.0[31 - bit / 8] |= 1 << (bit % 8);
    }
    hash
}

/// A medium with these forms, each with a hash that has so many of the lowest bits set.
fn medium_of(forms: &[(&'static str, usize)]) -> MediaSignals {
    let mut signals = MediaSignals::unavailable(String::new());
    for (form, bits) in forms {
        let hash = PdqHash {
            hash: hash(*bits),
            quality: 90,
        };
        signals.pdq.push((hash, Cow::Borrowed(*form)));
    }
    signals
}

fn settings(distance: u32, dihedral: bool) -> BankSettings {
    BankSettings {
        distance: [(SignalType::Pdq, distance)].into(),
        dihedral,
        ..BankSettings::default()
    }
}

fn medium(bits: usize) -> MediaSignals {
    medium_of(&[(forms::STORED, bits)])
}

fn add(matcher: &Matcher, bank: &str, member: i64, hash: Pdq) {
    matcher.apply([Change::Add {
        bank: bank.parse().unwrap(),
        member: MemberId(member),
        signal: Signal::Pdq(hash),
        settings: MemberSettings::default(),
    }]);
}

/// What is found of a medium: bank, form and distance, and what the lookups cost.
fn found(matcher: &Matcher, medium: &MediaSignals) -> (Vec<String>, String) {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let matches =
        metrics::with_local_recorder(&recorder, || matcher.matches_of_medium("m", medium));
    let show = |m: &Match| {
        let stored = m
            .distance_stored
            .map_or_else(String::new, |it| format!(" stored {it}"));
        assert_eq!(m.form.is_some(), m.form_hash.is_some());
        format!("{} {} {}{stored}", m.bank, m.form().unwrap(), m.distance)
    };
    let costs = recorder.handle().render();
    let mut costs: Vec<&str> = costs
        .lines()
        .filter_map(|line| line.strip_prefix("manara_image_lookups_total{form="))
        .collect();
    costs.sort_unstable();
    (matches.iter().map(show).collect(), costs.join(" "))
}

#[test]
fn mirrored_and_turned_images_match_the_banks_that_ask() {
    let matcher = Matcher::default();
    let [asks, declines]: [BankName; 2] = ["ASKS", "DECLINES"].map(|it| it.parse().unwrap());
    add(&matcher, "ASKS", 1, hash(0));
    add(&matcher, "DECLINES", 2, hash(0));
    let set = |bank: &BankName, enabled, dihedral| {
        matcher.set_bank(bank, enabled, settings(PDQ_DISTANCE_MAX, dihedral));
    };
    set(&asks, true, true);
    set(&declines, true, false);
    let turned = medium_of(&[(forms::STORED, 128), ("rotate180", 3), ("flip_x", 7)]);
    let all = "\"dihedral\"} 2 \"original\"} 1";
    let (matches, costs) = found(&matcher, &turned);
    assert_eq!(
        (matches, &*costs),
        (vec!["ASKS rotate180 3".to_owned()], all)
    );

    // The image as displayed is a form of its own, which no bank declines.
    let displayed = medium_of(&[(forms::STORED, 128), ("exif_orientation", 3)]);
    let (matches, _) = found(&matcher, &displayed);
    let both = ["ASKS exif_orientation 3", "DECLINES exif_orientation 3"];
    assert_eq!(matches, both);

    // When nobody asks, or nobody who does is there or on, it costs nothing.
    for (enabled, dihedral) in [(true, false), (false, true)] {
        set(&asks, enabled, dihedral);
        let (matches, costs) = found(&matcher, &turned);
        assert!(matches.is_empty(), "{matches:?}");
        assert_eq!(costs, "\"original\"} 1");
    }
    set(&asks, true, true);
    assert_eq!(found(&matcher, &turned).1, all);
    matcher.apply([Change::Remove {
        bank: asks,
        member: MemberId(1),
        signal_type: SignalType::Pdq,
    }]);
    assert_eq!(found(&matcher, &turned).1, "\"original\"} 1");
}

#[test]
fn the_nearest_form_is_kept_with_its_hash_and_the_distance_as_stored() {
    let matcher = Matcher::default();
    add(&matcher, "B", 1, hash(0));
    matcher.set_bank(&"B".parse().unwrap(), true, settings(10, true));
    let one = |forms: &[(&'static str, usize)]| found(&matcher, &medium_of(forms)).0;
    assert_eq!(one(&[(forms::STORED, 4), ("flip_y", 6)]), ["B original 4"]);
    let both = [(forms::STORED, 6), ("without_bars", 4), ("frame_3", 5)];
    assert_eq!(one(&both), ["B without_bars 4 stored 6"]);
    // Known although the bank would not have taken it.
    let far = [(forms::STORED, 30), ("frame_3", 4)];
    assert_eq!(one(&far), ["B frame_3 4 stored 30"]);
    let farther = [(forms::STORED, 32), ("frame_3", 4)];
    assert_eq!(one(&farther), ["B frame_3 4"]);
    let matches = matcher.matches_of_medium("m", &medium_of(&farther));
    assert_eq!(matches[0].form_hash, Some(hash(4)));
}

#[test]
fn events_looked_up_together_get_what_each_would_alone() {
    let matcher = Matcher::default();
    for member in 0..40 {
        add(&matcher, "B", member, hash(member as usize));
    }
    // More images than are looked up in one go.
    let of_event = |n: usize| -> Vec<MediaSignals> {
        let forms = [
            (forms::STORED, n % 70),
            ("flip_x", n % 9),
            ("frame_2", n % 50),
        ];
        (0..n % 4).map(|_| medium_of(&forms)).collect()
    };
    let media: Vec<Vec<MediaSignals>> = (0..400).map(of_event).collect();
    let json = br#"{"id":"1","source":"s","type":"post.created","time":"2026-11-22T10:15:00Z"}"#;
    let (event, _) = Event::from_json(json, manara_model::Origin::Http).unwrap();
    assert!(media.iter().flatten().count() * 3 > LOOKUPS_MAX);
    let together =
        matcher.matches_of_events(media.iter().map(|media| (&event, &media[..], event.time)));
    assert_eq!(together.len(), media.len());
    for (matches, media) in together.iter().zip(&media) {
        assert_eq!(matches, &matcher.matches(&event, media));
        let fields: Vec<&str> = matches.iter().map(|m| &*m.field).collect();
        assert_eq!(fields.is_empty(), media.is_empty());
    }
}

#[test]
fn signals_are_looked_up_by_themselves_and_in_order() {
    let matcher = Matcher::default();
    for member in 0..80 {
        add(&matcher, "MANY", member, hash(20));
    }
    add(&matcher, "B", 100, hash(0));
    let phrase = Signal::parse(SignalType::Text, "grey banner").unwrap();
    matcher.apply([Change::Add {
        bank: "B".parse().unwrap(),
        member: MemberId(101),
        signal: phrase,
        settings: MemberSettings::default(),
    }]);
    let image = |bits, quality| {
        let hash = hash(bits);
        Asked::Image(PdqHash { hash, quality })
    };
    let asked = [
        image(3, 90),
        Asked::Text("the GREY banner".to_owned()),
        image(0, 49),
        image(200, 90),
    ];
    let show = |distance_max| -> Vec<String> {
        let answers = matcher.look_up(&asked, distance_max);
        let show = |(matches, more): &(Vec<Match>, usize)| match &matches[..] {
            [] => "nothing".to_owned(),
            [first, ..] => {
                format!(
                    "{} {} {}+{more}",
                    first.member,
                    first.distance,
                    matches.len()
                )
            }
        };
        answers.iter().map(show).collect()
    };
    assert_eq!(show(99), ["100 3 64+17", "101 0 1+0", "nothing", "nothing"]);
    assert_eq!(show(3), ["100 3 1+0", "101 0 1+0", "nothing", "nothing"]);
    assert_eq!(show(2), ["nothing", "101 0 1+0", "nothing", "nothing"]);
}

#[test]
fn many_matches_of_one_bank_hide_none_of_another() {
    let matcher = Matcher::default();
    for member in 0..200 {
        add(&matcher, "MANY", member, hash(4));
    }
    add(&matcher, "ONE", 200, hash(20));
    add(&matcher, "ONE", 201, hash(21));
    let matches = matcher.matches_of_medium("m", &medium(0));
    assert_eq!(matches.len(), MATCHES_MAX + 1);
    let last = matches.last().unwrap();
    assert_eq!((last.bank.as_str(), last.distance), ("ONE", 20));
    let image = Asked::Image(PdqHash {
        hash: hash(0),
        quality: 90,
    });
    let (given, left_out) = &matcher.look_up(&[image], 31)[0];
    assert_eq!((given.len(), *left_out), (MATCHES_MAX + 1, 137));
}

/// Whoever asks after a removal was acknowledged is not told of the member, whatever else goes on.
#[test]
fn a_removed_member_is_in_no_later_answer() {
    use std::sync::atomic::{AtomicI64, Ordering};
    const MEMBERS: i64 = 6_000;
    let matcher = Matcher::default();
    // Hashes far apart from each other, each of ten members.
    let near = |member: i64| {
        let mut hash = Pdq([0; 32]);
        for (bytes, salt) in hash.0.chunks_exact_mut(8).zip(1_u64..) {
            let mixed = (member as u64 / 10 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (salt << 17));
            bytes.copy_from_slice(&mixed.rotate_left(23).to_le_bytes());
        }
        hash
    };
    for member in 0..MEMBERS {
        add(&matcher, "B", member, near(member));
    }
    // Members up to here are removed, and their removal was acknowledged.
    let removed = AtomicI64::new(0);
    let images: Vec<Asked> = (0..200)
        .map(|n| {
            let hash = near(n * MEMBERS / 200);
            Asked::Image(PdqHash { hash, quality: 90 })
        })
        .collect();
    let mut medium = MediaSignals::unavailable(String::new());
    for member in (0..MEMBERS).step_by(500) {
        let hash = near(member);
        let form = Cow::Owned(format!("frame_{member}"));
        medium.pdq.push((PdqHash { hash, quality: 90 }, form));
    }
    let asking = || {
        let mut last = 0;
        while last < MEMBERS {
            last = removed.load(Ordering::Acquire);
            let answers = matcher.look_up(&images, 31).into_iter().flat_map(|it| it.0);
            let answers = answers.chain(matcher.matches_of_medium("m", &medium));
            for found in answers {
                assert!(found.member.0 >= last, "{} of {last}", found.member);
            }
        }
    };
    std::thread::scope(|scope| {
        let askers = [scope.spawn(asking), scope.spawn(asking)];
        for member in 0..MEMBERS {
            matcher.apply([Change::Remove {
                bank: "B".parse().unwrap(),
                member: MemberId(member),
                signal_type: SignalType::Pdq,
            }]);
            removed.store(member + 1, Ordering::Release);
            if member % 500 == 0 {
                add(&matcher, "B", MEMBERS + member, near(member));
                matcher.tend();
            }
        }
        for asker in askers {
            asker.join().unwrap();
        }
    });
    assert_eq!(matcher.size().0, 12);
}

#[test]
fn an_image_matches_as_far_as_each_bank_says() {
    let matcher = Matcher::default();
    let names: [BankName; 2] = ["NARROW", "WIDE"].map(|name| name.parse().unwrap());
    let zero = Signal::Pdq(Pdq([0; 32]));
    matcher.apply(names.iter().zip(1..).map(|(bank, id)| Change::Add {
        bank: bank.clone(),
        member: MemberId(id),
        signal: zero.clone(),
        settings: MemberSettings::default(),
    }));
    matcher.set_bank(&names[0], true, settings(10, true));
    matcher.set_bank(&names[1], true, settings(PDQ_DISTANCE_MAX, true));
    let found = |bits| -> Vec<String> {
        let matches = matcher.matches_of_medium("m", &medium(bits));
        matches.iter().map(|m| m.bank.to_string()).collect()
    };
    assert_eq!(found(10), ["NARROW", "WIDE"]);
    assert_eq!(found(11), ["WIDE"]);
    assert_eq!(found(31), ["WIDE"]);
    assert!(found(32).is_empty());
    matcher.set_bank(&names[0], true, settings(11, true));
    assert_eq!(found(11), ["NARROW", "WIDE"]);
    matcher.set_bank(&names[1], false, settings(PDQ_DISTANCE_MAX, true));
    assert_eq!(found(11), ["NARROW"]);
}

/// A matcher in which the phrases of SLOGANS, and of SAFE, which vetoes it, are members 1, 2, … and 101, 102, …
fn slogans(slogans: &[&str], safe: &[&str]) -> Matcher {
    let matcher = Matcher::default();
    let phrase = |text: &str| Signal::parse(SignalType::Text, text).unwrap();
    let add = |bank: &str, first: i64, phrases: &[&str]| {
        matcher.apply(
            phrases
                .iter()
                .zip(first..)
                .map(|(text, member)| Change::Add {
                    bank: bank.parse().unwrap(),
                    member: MemberId(member),
                    signal: phrase(text),
                    settings: MemberSettings::default(),
                }),
        );
    };
    add("SLOGANS", 1, slogans);
    add("SAFE", 101, safe);
    let vetoes = ["SLOGANS".parse().unwrap()].into();
    let negative = BankSettings {
        vetoes,
        ..BankSettings::default()
    };
    matcher.set_bank(&"SAFE".parse().unwrap(), true, negative);
    matcher
}

/// The members of SLOGANS that are found, with the reasons of those that are withheld.
fn said(matcher: &Matcher, text: &str) -> Vec<String> {
    let matches = matcher.matches_of_text("content.text", text);
    let of_slogans = matches.iter().filter(|m| m.bank.as_str() == "SLOGANS");
    let show = |m: &Match| match &m.withheld {
        Some(why) => format!("{}: {why}", m.member),
        None => m.member.to_string(),
    };
    of_slogans.map(show).collect()
}

#[test]
fn a_negative_bank_forbids_what_it_covers() {
    let matcher = slogans(&["grey banner", "rise"], &["museum of the grey banner"]);
    let vetoed = "1: vetoed by SAFE 101 at distance 0";
    assert_eq!(
        said(&matcher, "the Museum of the Grey Banner opens"),
        [vetoed]
    );
    // The other phrase is not covered, and neither is another occurrence of the first.
    assert_eq!(
        said(&matcher, "Museum of the grey banner, rise!"),
        ["2", vetoed]
    );
    let twice = "museum of the grey banner? Under the grey banner!";
    assert_eq!(said(&matcher, twice), ["1"]);
    // A negative bank that is off, or in shadow, forbids nothing.
    let safe: BankName = "SAFE".parse().unwrap();
    let settings = |mode| BankSettings {
        mode,
        vetoes: ["SLOGANS".parse().unwrap()].into(),
        ..BankSettings::default()
    };
    matcher.set_bank(&safe, true, settings(BankMode::Shadow));
    assert_eq!(said(&matcher, "the museum of the grey banner"), ["1"]);
    matcher.set_bank(&safe, false, settings(BankMode::Live));
    assert_eq!(said(&matcher, "the museum of the grey banner"), ["1"]);
}

#[test]
fn an_image_is_vetoed_by_what_is_at_least_as_near() {
    let matcher = Matcher::default();
    add(&matcher, "TVEC", 1, hash(0));
    add(&matcher, "SAFE", 2, hash(20));
    let vetoes = BankSettings {
        vetoes: ["TVEC".parse().unwrap()].into(),
        ..BankSettings::default()
    };
    matcher.set_bank(&"SAFE".parse().unwrap(), true, vetoes);
    let found = |bits| -> Vec<String> {
        let matches = matcher.matches_of_medium("m", &medium(bits));
        let show = |m: &Match| match &m.withheld {
            Some(why) => format!("{} {}: {why}", m.bank, m.distance),
            None => format!("{} {}", m.bank, m.distance),
        };
        matches.iter().map(show).collect()
    };
    assert_eq!(found(2), ["TVEC 2", "SAFE 18"]);
    assert_eq!(found(9), ["TVEC 9", "SAFE 11"]);
    assert_eq!(
        found(10),
        ["SAFE 10", "TVEC 10: vetoed by SAFE 2 at distance 10"]
    );
    assert_eq!(
        found(25),
        ["SAFE 5", "TVEC 25: vetoed by SAFE 2 at distance 5"]
    );
}

#[test]
fn what_is_in_shadow_is_found_without_effect() {
    let matcher = slogans(&["grey banner", "rise"], &[]);
    let bank: BankName = "SLOGANS".parse().unwrap();
    let set = |member, settings| {
        matcher.apply([Change::Set {
            bank: bank.clone(),
            member: MemberId(member),
            signal: Signal::parse(
                SignalType::Text,
                ["", "grey banner", "rise"][member as usize],
            )
            .unwrap(),
            settings,
        }]);
    };
    let in_mode = |mode| MemberSettings {
        mode,
        ..MemberSettings::default()
    };
    let text = "rise, grey banner";
    set(1, in_mode(MemberMode::Shadow));
    assert_eq!(said(&matcher, text), ["2", "1: the member is in shadow"]);
    set(1, MemberSettings::default());
    assert_eq!(said(&matcher, text), ["1", "2"]);
    assert!(matcher.quarantine(&bank, MemberId(2)));
    assert!(
        !matcher.quarantine(&bank, MemberId(2)),
        "it is there already"
    );
    assert_eq!(
        said(&matcher, text),
        ["1", "2: the member is in quarantine"]
    );
    // Whoever vouches for a member lets it match whatever it matches.
    let vouched = MemberSettings {
        vouched: true,
        ..MemberSettings::default()
    };
    set(2, vouched);
    assert!(!matcher.quarantine(&bank, MemberId(2)));
    assert_eq!(said(&matcher, text), ["1", "2"]);
    let mut settings = BankSettings {
        mode: BankMode::Shadow,
        ..BankSettings::default()
    };
    matcher.set_bank(&bank, true, settings.clone());
    let shadow = ["1: the bank is in shadow", "2: the bank is in shadow"];
    assert_eq!(said(&matcher, text), shadow);
    settings.mode = BankMode::Live;
    settings.quarantine = false;
    matcher.set_bank(&bank, true, settings);
    assert!(!matcher.quarantine(&bank, MemberId(1)), "its bank declines");
}

#[test]
fn members_narrow_what_their_bank_takes() {
    let matcher = Matcher::default();
    add(&matcher, "B", 1, hash(0));
    let bank: BankName = "B".parse().unwrap();
    let found = |bits, quality| {
        let mut medium = medium(bits);
        medium.pdq[0].0.quality = quality;
        !matcher.matches_of_medium("m", &medium).is_empty()
    };
    assert!(found(31, 50) && !found(31, 49));
    let own = |distance, quality_min| {
        let settings = MemberSettings {
            distance,
            quality_min,
            ..MemberSettings::default()
        };
        matcher.apply([Change::Set {
            bank: bank.clone(),
            member: MemberId(1),
            signal: Signal::Pdq(hash(0)),
            settings,
        }]);
    };
    own(Some(10), Some(80));
    assert!(found(10, 80) && !found(11, 80) && !found(10, 79));
    // The bank takes less than the member would.
    own(Some(30), Some(10));
    let narrow = BankSettings {
        quality_min: 30,
        ..settings(20, true)
    };
    matcher.set_bank(&bank, true, narrow);
    assert_eq!(matcher.quality_floor(), 30);
    assert!(found(20, 30) && !found(21, 30) && !found(20, 29));
}

#[test]
fn what_has_expired_is_not_found() {
    let matcher = slogans(&["grey banner"], &[]);
    let bank: BankName = "SLOGANS".parse().unwrap();
    let now = clock::now();
    let in_hours = |hours| now + jiff::SignedDuration::from_hours(hours);
    for (hours, expect) in [(1, &["1"][..]), (-1, &[])] {
        let settings = BankSettings {
            expires_at: Some(in_hours(hours)),
            ..BankSettings::default()
        };
        matcher.set_bank(&bank, true, settings);
        assert_eq!(said(&matcher, "grey banner"), expect);
    }
    matcher.set_bank(&bank, true, BankSettings::default());
    for (hours, expect) in [(1, &["1"][..]), (-1, &[])] {
        matcher.apply([Change::Set {
            bank: bank.clone(),
            member: MemberId(1),
            signal: Signal::parse(SignalType::Text, "grey banner").unwrap(),
            settings: MemberSettings {
                expires_at: Some(in_hours(hours)),
                ..MemberSettings::default()
            },
        }]);
        assert_eq!(said(&matcher, "grey banner"), expect);
    }
}

#[test]
fn the_enable_ratio_takes_always_the_same_events() {
    let matcher = slogans(&["grey banner"], &[]);
    let quarter = BankSettings {
        enable_ratio: "0.25".parse().unwrap(),
        ..BankSettings::default()
    };
    matcher.set_bank(&"SLOGANS".parse().unwrap(), true, quarter);
    let counts = |id: usize| {
        let json = format!(
            r#"{{"id":"{id}","source":"s","type":"post.created","time":"2026-11-22T10:15:00Z","content":{{"id":"c","text":"grey banner"}}}}"#
        );
        let (event, _) = Event::from_json(json.as_bytes(), manara_model::Origin::Http).unwrap();
        let matches = matcher.matches(&event, &[]);
        assert_eq!(matches.len(), 1);
        match &matches[0].withheld {
            None => true,
            Some(Withheld::EnableRatio) => false,
            other => panic!("{other:?}"),
        }
    };
    let first: Vec<bool> = (0..1000).map(counts).collect();
    let count = first.iter().filter(|counts| **counts).count();
    assert!((190..310).contains(&count), "{count}");
    assert_eq!((0..1000).map(counts).collect::<Vec<_>>(), first);
    // Outside of an event there is nothing to choose by.
    assert_eq!(said(&matcher, "grey banner"), ["1"]);
}

/// Whether a matcher finds anything in an account's name, received so many seconds after 1970.
fn knows_name(matcher: &Matcher, name: &str, second: i64) -> bool {
    let json = format!(
        r#"{{"id":"1","source":"s","type":"post.created","time":"2026-11-22T10:15:00Z","account":{{"id":"a","display_name":"{name}"}}}}"#
    );
    let (event, _) = Event::from_json(json.as_bytes(), manara_model::Origin::Http).unwrap();
    let at = Timestamp::from_second(second).unwrap();
    let matches = matcher.matches_of_events([(&event, &[][..], at)]).pop();
    !matches.unwrap().is_empty()
}

#[test]
fn a_remembered_name_is_looked_up_again_when_it_matters() {
    let matcher = Matcher::for_many_events();
    let bank: BankName = "B".parse().unwrap();
    matcher.set_bank(&bank, true, BankSettings::default());
    let phrase = |member, text, expires_at: Option<i64>| {
        let signal = Signal::parse(SignalType::Text, text).unwrap();
        matcher.apply([Change::Add {
            bank: bank.clone(),
            member: MemberId(member),
            signal,
            settings: MemberSettings {
                expires_at: expires_at.map(|it| Timestamp::from_second(it).unwrap()),
                ..MemberSettings::default()
            },
        }]);
    };
    phrase(1, "grey banner", Some(1000));
    for _ in 0..2 {
        assert!(!knows_name(&matcher, "Ash Order", 10));
        // What does not count at one time does at another.
        assert!(!knows_name(&matcher, "Grey Banner", 2000));
        assert!(knows_name(&matcher, "Grey Banner", 10));
    }
    phrase(2, "ash order", None);
    assert!(knows_name(&matcher, "Ash Order", 10));
}
