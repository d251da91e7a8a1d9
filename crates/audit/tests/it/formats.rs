//! The written forms: leaves, notes, checkpoints, tiles and proof files. Each has one spelling,
//! reads back as written, and meets everything else with an error that says where.

use crate::common::{decision, leaf_hashes, naive_inclusion, naive_root, node_of};
use manara_audit::tiles::{self, Tile, TileCutter, TileError};
use manara_audit::{
    Author, AuthorKind, Bundle, BundleError, Checkpoint, CheckpointError, Hash, KeyError, Leaf,
    LeafError, MAX_LEAF_BYTES, NoteError, Record, SigningKey, VerifyingKey, commit,
    inclusion_proof, is_kind, leaf_hash, open_checkpoint, sign_checkpoint,
};
use proptest::prelude::*;

const ORIGIN: &str = "forum.example/log";

fn key() -> SigningKey {
    SigningKey::from_seed([42; 32], ORIGIN).expect("a key")
}

// Leaves.

/// The stored form of a leaf; a change here makes every log unreadable.
#[test]
fn the_leaf_keeps_its_form() {
    let leaf = Leaf {
        kind: "decision.made".into(),
        time: "2026-11-22T10:15:00.123456Z".into(),
        author: Author {
            kind: AuthorKind::Reviewer,
            id: "r-1".into(),
        },
        records: vec![
            Record {
                table: "decisions".into(),
                key: "01J9".into(),
                hash: Hash([0xab; 32]),
            },
            Record {
                table: "cases".into(),
                key: "c-7".into(),
                hash: Record::ERASED,
            },
        ],
        note: Some("«راية» \"a\\b\"\n\u{1}\u{7f}".into()),
    };
    let expected = format!(
        concat!(
            r#"{{"author":{{"id":"r-1","type":"reviewer"}},"kind":"decision.made","#,
            r#""note":"«راية» \"a\\b\"\n\u0001{}","records":["#,
            r#"{{"hash":"{}","key":"01J9","table":"decisions"}},"#,
            r#"{{"hash":"{}","key":"c-7","table":"cases"}}],"#,
            r#""time":"2026-11-22T10:15:00.123456Z","v":1}}"#,
        ),
        '\u{7f}',
        "ab".repeat(32),
        "00".repeat(32),
    );
    let encoded = leaf.encode().expect("a leaf");
    assert_eq!(str::from_utf8(&encoded), Ok(expected.as_str()));
    assert_eq!(Leaf::decode(&encoded), Ok(leaf));
}

/// The commitment, computed with another tool:
/// `printf 'manara-commit-v1\0\1\1…{"a":1}' | sha256sum`, the salt being sixteen bytes of 1.
#[test]
fn the_commitment_keeps_its_form() {
    assert_eq!(
        commit(&[1; 16], br#"{"a":1}"#).to_string(),
        "afdbc47076efc7fa8230610f1e56dd3f569a39e16b7a0432c066ff0a6bf9d39e"
    );
}

#[test]
fn kinds_have_a_closed_syntax() {
    for good in [
        "decision.made",
        "case.decided.again",
        "api_key.created",
        "a.b",
    ] {
        assert!(is_kind(good), "{good}");
    }
    let long = "a".repeat(63) + ".b";
    for bad in [
        "",
        "decision",
        "decision.",
        ".made",
        "a..b",
        "A.b",
        "a.b1",
        "a b.c",
        "é.b",
        &long,
    ] {
        assert!(!is_kind(bad), "{bad}");
    }
}

#[track_caller]
fn check_field(change: impl FnOnce(&mut Leaf), expect: Option<&str>) {
    let mut leaf = decision(1);
    change(&mut leaf);
    let found = leaf
        .encode()
        .map(|bytes| Leaf::decode(&bytes).expect("readable"));
    match (found, expect) {
        (Ok(found), None) => assert_eq!(found, leaf),
        (Err(LeafError::Field { field, .. }), Some(expected)) => assert_eq!(field, expected),
        (found, expect) => panic!("expected {expect:?}, found {found:?}"),
    }
}

#[test]
fn fields_are_checked() {
    check_field(|_| (), None);
    check_field(|leaf| leaf.records.clear(), None);
    check_field(|leaf| leaf.note = Some(String::new()), None);
    check_field(|leaf| leaf.kind = "made".into(), Some("kind"));
    check_field(|leaf| leaf.author.id.clear(), Some("author.id"));
    check_field(|leaf| leaf.author.id = "a".repeat(257), Some("author.id"));
    check_field(
        |leaf| leaf.records[0].table = "Decisions".into(),
        Some("records[0].table"),
    );
    check_field(
        |leaf| leaf.records[0].table = "1decisions".into(),
        Some("records[0].table"),
    );
    check_field(|leaf| leaf.records[0].key.clear(), Some("records[0].key"));
    check_field(
        |leaf| leaf.records[0].key = "k".repeat(1025),
        Some("records[0].key"),
    );
    check_field(
        |leaf| leaf.records[0].key = "a \"quoted\"\tkey\u{b}".into(),
        None,
    );
}

#[test]
fn times_are_utc_and_exist() {
    for good in [
        "2026-11-22T10:15:00Z",
        "2026-11-22T10:15:00.1Z",
        "2026-11-22T23:59:59.123456789Z",
        "2024-02-29T00:00:00Z",
        "2000-02-29T00:00:00Z",
    ] {
        check_field(|leaf| leaf.time = good.into(), None);
    }
    for bad in [
        "",
        "2026-11-22",
        "2026-11-22T10:15:00",
        "2026-11-22T10:15:00+00:00",
        "2026-11-22T10:15:00.Z",
        "2026-11-22T10:15:00.1234567890Z",
        "2026-11-22T10:15:00.12a456Z",
        "2026-11-22 10:15:00Z",
        "2026-11-22t10:15:00z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-11-00T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T10:60:00Z",
        "2026-11-22T10:15:60Z",
        "99999999999999999999",
        "٢٠٢٦-11-22T10:15:00Z",
    ] {
        check_field(|leaf| leaf.time = bad.into(), Some("time"));
    }
}

#[test]
fn a_leaf_fits_an_entry_or_is_refused() {
    let mut leaf = decision(1);
    let bare = leaf.encode().expect("a leaf").len() + r#","note":"""#.len();
    leaf.note = Some("n".repeat(MAX_LEAF_BYTES - bare));
    let full = leaf.encode().expect("a full leaf");
    assert_eq!(full.len(), MAX_LEAF_BYTES);
    assert_eq!(Leaf::decode(&full), Ok(leaf.clone()));
    leaf.note = Some("n".repeat(MAX_LEAF_BYTES - bare + 1));
    assert_eq!(leaf.encode(), Err(LeafError::TooLarge(MAX_LEAF_BYTES + 1)));
    assert_eq!(
        Leaf::decode(&vec![b'{'; MAX_LEAF_BYTES + 1]),
        Err(LeafError::TooLarge(MAX_LEAF_BYTES + 1))
    );
}

/// Each of these is the same JSON value to a lenient reader, or close to it.
#[test]
fn only_the_canonical_spelling_is_a_leaf() {
    let mut leaf = decision(1);
    leaf.note = Some("a/b\n".into());
    let good = String::from_utf8(leaf.encode().expect("a leaf")).expect("text");
    let check = |from: &str, to: &str, expect: &str| {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from} is not in the leaf");
        let error = Leaf::decode(text.as_bytes()).expect_err("not canonical");
        assert!(
            error.to_string().contains(expect),
            "{from} -> {to}: {error}"
        );
    };
    check(
        "{\"author\"",
        "{ \"author\"",
        "expected {\"author\":{\"id\": at byte 0",
    );
    check("a/b", "a\\/b", "a canonical JSON escape");
    check("\\n", "\\u000a", "a canonical JSON escape");
    check("\\n", "\\u000B", "a canonical JSON escape");
    check("\\n", "\\ud83d", "a canonical JSON escape");
    check("\\n", "\\u00", "a canonical JSON escape");
    check("\\n", "\n", "a canonical JSON escape");
    check("a/b", "\\u0061/b", "a canonical JSON escape");
    check("\"v\":1", "\"v\":2", "\"v\":1");
    check("\"v\":1", "\"v\":1.0", "\"v\":1}");
    check("\"v\":1}", "\"v\":1} ", "nothing more");
    check("\"v\":1}", "\"v\":1,\"x\":2}", "\"v\":1}");
    check("\"rules\"", "\"ruler\"", "\"rules\", \"reviewer\"");
    check("\"hash\":\"", "\"hash\":\"A", "64 lower-case hex digits");
    check("}],", "},],", "{\"hash\":\"");
    check("[{", "[,{", "{\"hash\":\"");
    check(
        "\"kind\":\"decision.made\"",
        "\"kind\":\"decision\"",
        "field `kind`",
    );
    check(
        "\"kind\":\"decision.made\",\"note\"",
        "\"note\"",
        "},\"kind\":",
    );
    assert_eq!(Leaf::decode(b"\xff"), Err(LeafError::Utf8(0)));
    assert!(Leaf::decode(b"").is_err());
    for end in 0..good.len() {
        assert!(
            Leaf::decode(&good.as_bytes()[..end]).is_err(),
            "cut at {end}"
        );
    }
}

fn any_leaf() -> impl Strategy<Value = Leaf> {
    let kinds = vec![
        AuthorKind::Rules,
        AuthorKind::Reviewer,
        AuthorKind::Key,
        AuthorKind::System,
        AuthorKind::Operator,
    ];
    let author =
        (proptest::sample::select(kinds), "\\PC{1,20}").prop_map(|(kind, id)| Author { kind, id });
    let record = ("[a-z][a-z0-9_]{0,20}", any::<String>(), any::<[u8; 32]>()).prop_map(
        |(table, key, hash)| {
            let key: String = key.chars().take(200).collect();
            Record {
                table,
                key: format!("k{key}"),
                hash: Hash(hash),
            }
        },
    );
    let records = proptest::collection::vec(record, 0..4);
    (
        "[a-z_]{1,9}\\.[a-z_]{1,9}",
        author,
        records,
        any::<Option<String>>(),
    )
        .prop_map(|(kind, author, records, note)| Leaf {
            kind,
            time: "2026-11-22T10:15:00.123456Z".into(),
            author,
            records,
            note,
        })
}

proptest! {
    #[test]
    fn leaves_read_back(leaf in any_leaf()) {
        prop_assert_eq!(Leaf::decode(&leaf.encode().expect("a leaf")), Ok(leaf));
    }

    /// A general JSON library reads the same leaf, and writes the same bytes when its map is sorted.
    #[test]
    fn leaves_are_canonical_json(leaf in any_leaf()) {
        let bytes = leaf.encode().expect("a leaf");
        let value: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        prop_assert_eq!(&value["author"]["id"], &leaf.author.id);
        prop_assert_eq!(value["note"].as_str(), leaf.note.as_deref());
        prop_assert_eq!(value["records"].as_array().map(Vec::len), Some(leaf.records.len()));
        prop_assert_eq!(serde_json::to_vec(&value).expect("JSON"), bytes);
    }

    /// Whatever decodes is the one spelling of what it says.
    #[test]
    fn an_edited_leaf_is_refused_or_canonical(
        leaf in any_leaf(), at in any::<usize>(), byte in any::<u8>(),
    ) {
        let mut bytes = leaf.encode().expect("a leaf");
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(leaf) = Leaf::decode(&bytes) {
            prop_assert_eq!(leaf.encode().expect("a leaf"), bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Leaf::decode(&bytes).is_err());
        if let Ok(entries) = tiles::decode_entries(&bytes) {
            prop_assert_eq!(tiles::encode_entries(&entries), Ok(bytes.clone()));
        }
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(open_checkpoint(&text, &key().verifying_key()).is_err());
        prop_assert!(VerifyingKey::parse(&text).is_err());
        prop_assert!(Bundle::decode(&text).is_err());
        prop_assert!(text.parse::<Tile>().is_err());
    }

    #[test]
    fn near_misses_are_read_without_panic(
        note in "(forum.example/log\n|[0-9]{1,20}\n|[A-Za-z0-9+/]{43}=\n|\n|— |[a-z.]{1,9} |\u{1}){0,9}",
        path in "tile/(entries|[0-9]{1,3})(/x?[0-9]{1,4}){1,8}(\\.p/[0-9]{1,4})?",
        vkey in "[a-z.]{1,9}(\\+[0-9a-f]{8}(\\+[A-Za-z0-9+/]{44})?)?",
    ) {
        prop_assert!(open_checkpoint(&note, &key().verifying_key()).is_err());
        prop_assert!(VerifyingKey::parse(&vkey).is_err());
        if let Ok(tile) = path.parse::<Tile>() {
            prop_assert_eq!(tile.to_string(), path);
        }
        if let Ok(bundle) = Bundle::decode(&format!("c2sp.org/tlog-proof@v1\n{note}")) {
            prop_assert_eq!(Bundle::decode(&bundle.encode()), Ok(bundle));
        }
    }
}

// Keys, notes, checkpoints.

#[test]
fn keys_have_names_that_fit_a_note() {
    for good in ["forum.example/log", "a", "راية", &"n".repeat(255)] {
        assert!(SigningKey::from_seed([1; 32], good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "a b",
        "a+b",
        "a\nb",
        "a\u{2003}b",
        "a\u{1}b",
        &"n".repeat(256),
    ] {
        let error = SigningKey::from_seed([1; 32], bad).expect_err("a bad name");
        assert_eq!(error, KeyError::Name(bad.into()));
    }
}

#[test]
fn a_verifier_key_reads_back_and_protects_itself() {
    let key = key().verifying_key();
    let text = key.encode();
    assert_eq!(VerifyingKey::parse(&text), Ok(key.clone()));
    assert!(text.starts_with(&format!("{ORIGIN}+{:08x}+", key.id())));
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        if let Ok(changed) = String::from_utf8(bytes) {
            assert!(VerifyingKey::parse(&changed).is_err(), "{changed}");
        }
    }
    let of = |bytes: &[u8]| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        VerifyingKey::parse(&format!("a+00000000+{}", STANDARD.encode(bytes)))
    };
    assert_eq!(VerifyingKey::parse("a"), Err(KeyError::Form));
    assert_eq!(VerifyingKey::parse("a+0000000+AQ=="), Err(KeyError::Form));
    assert_eq!(VerifyingKey::parse("a+0000000G+AQ=="), Err(KeyError::Form));
    assert_eq!(of(&[]), Err(KeyError::Form));
    assert_eq!(of(&[4; 33]), Err(KeyError::Algorithm(4)));
    assert_eq!(of(&[1; 32]), Err(KeyError::PublicKey));
    // The identity point: every signature "fits" such a key in a lax verifier.
    let mut identity = [0; 33];
    (identity[0], identity[1]) = (1, 1);
    assert_eq!(of(&identity), Err(KeyError::PublicKey));
}

#[test]
fn a_secret_is_not_printed() {
    let shown = format!("{:?}", key());
    assert!(!shown.contains("42") && !shown.contains("2a2a"), "{shown}");
}

#[test]
fn a_checkpoint_reads_back() {
    let mut checkpoint = Checkpoint::new(ORIGIN, 5, leaf_hash(b"root"));
    let note = sign_checkpoint(&checkpoint, &key()).expect("a note");
    let (text, signature) = note.split_once("\n\n").expect("a signed text");
    assert_eq!(
        text,
        format!("{ORIGIN}\n5\n{}", leaf_hash(b"root").to_base64())
    );
    assert!(signature.starts_with(&format!("— {ORIGIN} ")) && signature.ends_with("=\n"));
    assert_eq!(
        open_checkpoint(&note, &key().verifying_key()),
        Ok(checkpoint.clone())
    );
    checkpoint.extensions = vec!["first".into(), "«راية» 2".into()];
    let note = sign_checkpoint(&checkpoint, &key()).expect("a note");
    assert_eq!(
        open_checkpoint(&note, &key().verifying_key()),
        Ok(checkpoint)
    );
}

#[test]
fn an_impossible_checkpoint_is_not_signed() {
    let sign = |change: &dyn Fn(&mut Checkpoint)| {
        let mut checkpoint = Checkpoint::new(ORIGIN, 5, leaf_hash(b""));
        change(&mut checkpoint);
        sign_checkpoint(&checkpoint, &key()).map_err(|error| error.to_string())
    };
    let check = |change: &dyn Fn(&mut Checkpoint), expect: &str| {
        let error = sign(change).expect_err("refused");
        assert!(error.contains(expect), "{error}");
    };
    assert!(sign(&|_| ()).is_ok());
    check(
        &|c| c.origin = "other.example".into(),
        "for log \"other.example\"",
    );
    check(&|c| c.size = u64::MAX, "line 2");
    check(&|c| c.extensions = vec![String::new()], "line 4");
    check(
        &|c| c.extensions = vec!["a".into(), "b\nc".into()],
        "line 5",
    );
    check(&|c| c.extensions = vec!["a\u{7}".into()], "line 4");
    check(
        &|c| c.extensions = vec!["a".repeat(1 << 20)],
        "the note has",
    );
}

/// One bit anywhere: the note is refused, or (in the name of a signature, say) no longer signed.
#[test]
fn no_flipped_bit_of_a_note_passes() {
    let checkpoint = Checkpoint::new(ORIGIN, 5, leaf_hash(b"root"));
    let note = sign_checkpoint(&checkpoint, &key()).expect("a note");
    let mut read = 0;
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            if let Ok(changed) = String::from_utf8(bytes) {
                read += 1;
                let opened = open_checkpoint(&changed, &key().verifying_key());
                assert!(opened.is_err(), "byte {at} bit {bit}: {opened:?}");
            }
        }
    }
    assert!(read > 1000, "only {read} changes were text at all");
}

#[track_caller]
fn check_note(text: &str, expect: Result<(), &str>) {
    // Signs anything: what is wrong is then the text, not the signature.
    let signed = sign_text(text);
    match (open_checkpoint(&signed, &key().verifying_key()), expect) {
        (Ok(_), Ok(())) => (),
        (Err(error), Err(expect)) => {
            assert!(error.to_string().contains(expect), "{text:?}: {error}");
        }
        (found, expect) => panic!("{text:?}: expected {expect:?}, found {found:?}"),
    }
}

/// A note over `text`, signed by [`key`] through the other implementation.
fn sign_text(text: &str) -> String {
    use signed_note::{Note, Signer, StandardSigner};
    let signer = StandardSigner::new(&skey()).expect("a signer");
    let mut note = Note::new(text.as_bytes(), &[]).expect("a note");
    note.add_sigs(&[&signer as &dyn Signer])
        .expect("a signature");
    String::from_utf8(note.to_bytes()).expect("text")
}

fn skey() -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let mut blob = vec![1];
    blob.extend([42; 32]);
    let id = key().verifying_key().id();
    format!("PRIVATE+KEY+{ORIGIN}+{id:08x}+{}", STANDARD.encode(blob))
}

#[test]
fn a_signed_text_has_to_be_a_checkpoint() {
    let root = leaf_hash(b"").to_base64();
    check_note(&format!("{ORIGIN}\n0\n{root}\n"), Ok(()));
    check_note(&format!("{ORIGIN}\n5\n{root}\nextra\n"), Ok(()));
    check_note(
        &format!("other.example\n5\n{root}\n"),
        Err("for log \"other.example\""),
    );
    check_note(&format!("\n5\n{root}\n"), Err("line 1"));
    check_note(&format!("{ORIGIN}\n05\n{root}\n"), Err("line 2"));
    check_note(&format!("{ORIGIN}\n+5\n{root}\n"), Err("line 2"));
    check_note(&format!("{ORIGIN}\n-5\n{root}\n"), Err("line 2"));
    check_note(&format!("{ORIGIN}\n\n{root}\n"), Err("line 2"));
    check_note(
        &format!("{ORIGIN}\n99999999999999999999\n{root}\n"),
        Err("line 2"),
    );
    check_note(&format!("{ORIGIN}\n{}\n{root}\n", u64::MAX), Err("line 2"));
    check_note(&format!("{ORIGIN}\n5\n{}\n", &root[1..]), Err("line 3"));
    check_note(&format!("{ORIGIN}\n5\n"), Err("line 3"));
    check_note(&format!("{ORIGIN}\n5\n{root}\n\nextra\n"), Err("line 4"));
}

#[test]
fn other_signatures_are_skipped_and_limited() {
    let checkpoint = Checkpoint::new(ORIGIN, 5, leaf_hash(b"root"));
    let note = sign_checkpoint(&checkpoint, &key()).expect("a note");
    let open = |note: &str| open_checkpoint(note, &key().verifying_key());
    let reason = |note: &str| match open(note) {
        Err(CheckpointError::Note(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let witness = format!("— witness.example {}\n", "A".repeat(96));
    assert_eq!(
        open(&format!("{note}{}", witness.repeat(99))),
        Ok(checkpoint)
    );
    assert_eq!(
        reason(&format!("{note}{}", witness.repeat(100))),
        NoteError::TooManySignatures
    );
    assert_eq!(
        reason(&format!("{note}garbage\n")),
        NoteError::SignatureLine(2)
    );
    assert_eq!(
        reason(&format!("{note}— witness.example AAAA\n")),
        NoteError::SignatureLine(2)
    );
    assert_eq!(reason(note.trim_end()), NoteError::Unsigned);
    assert_eq!(reason("no signature\n"), NoteError::Unsigned);
    assert_eq!(
        reason(&format!("a\tb\n\n{witness}")),
        NoteError::ControlCharacter(1)
    );
    assert_eq!(
        reason(&"a".repeat((1 << 20) + 1)),
        NoteError::TooLarge((1 << 20) + 1)
    );
    let (text, _) = note.split_once("\n\n").expect("a signature");
    let key = key().verifying_key().to_string();
    assert_eq!(
        reason(&format!("{text}\n\n{witness}")),
        NoteError::NotSignedBy(key.clone())
    );
    // A second, bad signature by a known key spoils the note, even beside a good one.
    let forged = sign_text(&format!(
        "{ORIGIN}\n6\n{}\n",
        leaf_hash(b"root").to_base64()
    ));
    let (_, forged) = forged.split_once("\n\n").expect("a signature");
    assert_eq!(
        reason(&format!("{note}{forged}")),
        NoteError::SignatureInvalid(key)
    );
}

#[test]
fn another_key_of_the_same_name_does_not_open() {
    let note =
        sign_checkpoint(&Checkpoint::new(ORIGIN, 5, leaf_hash(b"")), &key()).expect("a note");
    let other = SigningKey::from_seed([43; 32], ORIGIN)
        .expect("a key")
        .verifying_key();
    assert_eq!(
        open_checkpoint(&note, &other),
        Err(NoteError::NotSignedBy(other.to_string()).into())
    );
}

// Tiles.

#[test]
fn tile_paths_are_those_of_the_specification() {
    let check = |tile: Result<Tile, TileError>, path: &str| {
        let tile = tile.expect("a tile");
        assert_eq!(tile.to_string(), path);
        assert_eq!(path.parse(), Ok(tile));
    };
    check(Tile::hashes(0, 0, 256), "tile/0/000");
    check(Tile::hashes(0, 1_234_067, 256), "tile/0/x001/x234/067");
    check(Tile::hashes(7, 1000, 1), "tile/7/x001/000.p/1");
    check(Tile::entries(999, 255), "tile/entries/999.p/255");
    check(Tile::entries(1_000_000, 256), "tile/entries/x001/x000/000");
    check(
        Tile::hashes(0, tiles::MAX_INDEX, 256),
        "tile/0/x018/x014/x398/x509/x481/983",
    );
}

#[test]
fn other_paths_are_no_tiles() {
    for bad in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/+0/000",
        "tile/8/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/x234",
        "tile/0/001/234",
        "tile/0/x001",
        "tile/0/x01/000",
        "tile/0/xx01/000",
        "tile/0/+01",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/05",
        "tile/0/000.p/",
        "tile/0/000.p/1.p/1",
        "tile/data/000",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/../000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(
            bad.parse::<Tile>(),
            Err(TileError::Path(bad.into())),
            "{bad}"
        );
    }
    assert_eq!(Tile::hashes(8, 0, 1), Err(TileError::Level(8)));
    assert_eq!(Tile::hashes(0, 0, 0), Err(TileError::Width(0)));
    assert_eq!(Tile::entries(0, 257), Err(TileError::Width(257)));
    let beyond = tiles::MAX_INDEX + 1;
    assert_eq!(Tile::entries(beyond, 1), Err(TileError::Index(beyond)));
}

/// Published step by step, in steps that do not fit the tiles, every file has the right content.
#[test]
fn published_tiles_cover_the_log_and_prove_it() {
    const SIZE: u64 = 66_000;
    let leaves = leaf_hashes(SIZE);
    let (mut cutter, mut resumed) = (TileCutter::new(), TileCutter::new());
    let mut files = std::collections::BTreeMap::new();
    let mut published = 0;
    for step in [1, 250, 256, 257, 600, 65_535, 65_536, 65_537, SIZE] {
        for leaf in &leaves[published as usize..step as usize] {
            cutter.push(*leaf, |tile, hashes| {
                let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
                files.insert(tile.to_string(), bytes);
            });
            resumed.push(*leaf, |_, _| ());
        }
        for (tile, hashes) in cutter.partial() {
            files.insert(
                tile.to_string(),
                hashes.iter().flat_map(|hash| hash.0).collect(),
            );
        }
        // What was due is there, and equal when cut from the tree's nodes instead.
        for tile in tiles::grown(published, step) {
            if matches!(tile.kind(), tiles::TileKind::Hashes { .. }) {
                let bytes = tile.cut(node_of(&leaves)).expect("a tile");
                assert_eq!(
                    files.get(&tile.to_string()),
                    Some(&bytes),
                    "{tile} at {step}"
                );
            }
        }
        let read = |tile: &Tile| Ok(files.get(&tile.to_string()).cloned().unwrap_or_default());
        resumed = TileCutter::resume(step, read).expect("the partial tiles");
        assert_eq!(
            resumed.partial().collect::<Vec<_>>(),
            cutter.partial().collect::<Vec<_>>(),
            "resumed at {step}"
        );
        published = step;
    }
    assert_eq!((resumed.size(), cutter.size()), (SIZE, SIZE));
    assert_eq!(files.get("tile/1/001.p/1").map(Vec::len), Some(32));
    assert_eq!(files.get("tile/2/000.p/1").map(Vec::len), Some(32));
    // A client that has only the files makes the same proofs.
    let from_files = || tiles::nodes(SIZE, |tile| tile.read(files.get(&tile.to_string())?).ok());
    for index in [0, 255, 256, 40_000, 65_535, 65_536, SIZE - 1] {
        let proof = inclusion_proof(index, SIZE, from_files()).expect("a proof");
        assert_eq!(
            proof,
            naive_inclusion(index as usize, &leaves),
            "leaf {index}"
        );
    }
    let mut node = from_files();
    assert_eq!(node(0, SIZE), None);
    assert_eq!(node(0, SIZE + 1000), None);
    assert_eq!(node(17, 0), None);
    assert_eq!(node(255, u64::MAX), None);
    assert_eq!(node(16, 0), Some(naive_root(&leaves[..65_536])));
}

#[test]
fn only_grown_tiles_are_due() {
    let paths = |old, new| {
        tiles::grown(old, new)
            .map(|t| t.to_string())
            .collect::<Vec<_>>()
    };
    assert!(paths(0, 0).is_empty() && paths(5, 5).is_empty() && paths(6, 5).is_empty());
    assert!(paths(0, u64::MAX).is_empty());
    assert_eq!(paths(0, 1), ["tile/entries/000.p/1", "tile/0/000.p/1"]);
    assert_eq!(paths(256, 257), ["tile/entries/001.p/1", "tile/0/001.p/1"]);
    assert_eq!(
        paths(255, 256),
        ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    );
    assert_eq!(tiles::grown(0, 65_536).count(), 256 + 256 + 1 + 1);
}

#[test]
fn tiles_of_the_wrong_kind_or_size_are_refused() {
    let tile = Tile::hashes(0, 0, 2).expect("a tile");
    let entries = Tile::entries(0, 2).expect("a tile");
    assert_eq!(
        tile.read(&[0; 65]),
        Err(TileError::Length {
            tile,
            expected: 64,
            found: 65
        })
    );
    assert_eq!(entries.read(&[0; 64]), Err(TileError::NotHashes(entries)));
    assert_eq!(entries.cut(|_, _| None), Err(TileError::NotHashes(entries)));
    assert_eq!(
        tile.cut(|_, index| (index == 0).then_some(Hash([0; 32]))),
        Err(TileError::NodeMissing {
            tile,
            level: 0,
            index: 1
        })
    );
}

#[test]
fn entries_read_back_and_name_the_one_cut_short() {
    let longest = vec![7; MAX_LEAF_BYTES];
    let entries: [&[u8]; 3] = [b"first", b"", &longest];
    let bytes = tiles::encode_entries(&entries).expect("a bundle");
    assert_eq!(&bytes[..9], b"\0\x05first\0\0");
    assert_eq!(tiles::decode_entries(&bytes), Ok(entries.to_vec()));
    assert_eq!(tiles::decode_entries(&[]), Ok(vec![]));
    assert_eq!(
        tiles::decode_entries(&bytes[..bytes.len() - 1]),
        Err(TileError::EntryTruncated { entry: 2, at: 9 })
    );
    assert_eq!(
        tiles::decode_entries(&[0]),
        Err(TileError::EntryTruncated { entry: 0, at: 0 })
    );
    assert_eq!(
        tiles::decode_entries(&[0; 514]),
        Err(TileError::TooManyEntries)
    );
    assert_eq!(
        tiles::encode_entries(&[b""; 257]),
        Err(TileError::TooManyEntries)
    );
    assert_eq!(
        tiles::encode_entries(&[vec![], vec![0; 65_536]]),
        Err(TileError::EntryTooLarge {
            entry: 1,
            bytes: 65_536
        })
    );
}

// Proof files.

fn bundle() -> (Bundle, Vec<Vec<u8>>) {
    let data: Vec<Vec<u8>> = (0..7)
        .map(|n| decision(n).encode().expect("a leaf"))
        .collect();
    let leaves: Vec<Hash> = data.iter().map(|data| leaf_hash(data)).collect();
    let checkpoint = Checkpoint::new(ORIGIN, 7, naive_root(&leaves));
    let bundle = Bundle {
        index: 4,
        proof: inclusion_proof(4, 7, node_of(&leaves)).expect("a proof"),
        checkpoint: sign_checkpoint(&checkpoint, &key()).expect("a note"),
        extra: Some(data[4].clone()),
    };
    (bundle, data)
}

#[test]
fn a_proof_file_convinces_of_its_leaf_only() {
    let (mut bundle, data) = bundle();
    let text = bundle.encode();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra "), "{text}");
    assert!(text.contains("\nindex 4\n"), "{text}");
    assert_eq!(Bundle::decode(&text), Ok(bundle.clone()));
    let public = key().verifying_key();
    let (leaf, checkpoint) = bundle.verify_leaf(&public).expect("a proof");
    assert_eq!((leaf, checkpoint.size), (decision(4), 7));
    for (index, data) in data.iter().enumerate() {
        let verified = bundle.verify(leaf_hash(data), &public);
        assert_eq!(verified.is_ok(), index == 4, "leaf {index}");
    }
    bundle.extra = None;
    assert_eq!(Bundle::decode(&bundle.encode()), Ok(bundle.clone()));
    assert_eq!(bundle.verify_leaf(&public), Err(BundleError::NoLeaf));
}

#[test]
fn no_flipped_bit_of_a_proof_file_passes() {
    let text = bundle().0.encode();
    let public = key().verifying_key();
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            let verified = Bundle::decode(&changed).and_then(|b| b.verify_leaf(&public));
            assert!(verified.is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn a_broken_proof_file_names_the_line() {
    let good = bundle().0.encode();
    let check = |from: &str, to: &str, expect: usize| {
        let text = good.replacen(from, to, 1);
        match Bundle::decode(&text) {
            Err(BundleError::Line { line, .. }) => assert_eq!(line, expect, "{from} -> {to}"),
            other => panic!("{from} -> {to}: {other:?}"),
        }
    };
    check("@v1", "@v2", 1);
    check("\n\n", "\n", 7);
    check("extra ", "extra =", 2);
    check("extra ", "more ", 2);
    check("index 4", "index 04", 3);
    check("index 4", "indexes 4", 3);
    check("index 4\n", "index 4\nAAAA\n", 4);
    check(
        "index 4\n",
        &format!("index 4\n{}", (Hash([0; 32]).to_base64() + "\n").repeat(64)),
        68,
    );
    check("extra ", &format!("extra {}", "A".repeat(200_000)), 2);
}
