//! `manara bank …`, as an operator types it.

mod cli_support;

use cli_support::{Folder, Ran, example};
use serde_json::{Value, json};
use std::fmt::Write as _;

const SLOGANS: &str = "signal_type,signal,note\ntext,rise under the grey banner,slogan\ntext,راية الرماد ترتفع,\"the same, in Arabic\"\n";

/// A folder whose data directory holds the bank SLOGANS with two members.
fn with_slogans() -> Folder {
    let folder = Folder::new();
    folder.write("slogans.csv", SLOGANS);
    folder
        .run(&[
            "bank",
            "create",
            "SLOGANS",
            "--data",
            "d",
            "--description",
            "slogans of the Order",
        ])
        .expect(0, &["SLOGANS"]);
    folder
        .run(&["bank", "import", "SLOGANS", "slogans.csv", "--data", "d"])
        .expect(0, &["2 members added to SLOGANS"]);
    folder
}

fn members(folder: &Folder, bank: &str) -> usize {
    let banks = folder
        .run(&["bank", "list", "--data", "d", "--json"])
        .json();
    let bank = banks
        .iter()
        .find(|b| b["name"] == bank)
        .expect(bank)
        .clone();
    usize::try_from(bank["members"].as_u64().unwrap()).unwrap()
}

#[test]
fn a_bank_is_filled_shown_changed_and_switched_off() {
    let folder = with_slogans();
    let shown = folder
        .run(&["bank", "show", "SLOGANS", "--data", "d", "--json"])
        .expect(0, &["2 members"])
        .json();
    assert_eq!(shown[1]["signal"], "راية الرماد ترتفع");
    assert_eq!(shown[1]["note"], "the same, in Arabic");
    let first = shown[0]["id"].to_string();
    let after = folder
        .run(&[
            "bank", "show", "SLOGANS", "--data", "d", "--json", "--after", &first, "--limit", "1",
        ])
        .json();
    assert_eq!(after, [shown[1].clone()]);

    let added = folder
        .run(&[
            "bank",
            "add",
            "SLOGANS",
            "url",
            "HTTPS://Grey.example/join",
            "--note",
            "page",
            "--data",
            "d",
            "--json",
        ])
        .json();
    assert_eq!(
        (&added[0]["signal"], &added[0]["added"]),
        (&json!("https://grey.example/join"), &json!(true))
    );
    let again = folder
        .run(&[
            "bank",
            "add",
            "SLOGANS",
            "url",
            "grey.example/join",
            "--data",
            "d",
            "--json",
        ])
        .json();
    assert_eq!(
        (&again[0]["member"], &again[0]["added"]),
        (&added[0]["member"], &json!(false))
    );

    folder
        .run(&[
            "bank",
            "remove",
            "SLOGANS",
            &first,
            "--data",
            "d",
            "--reason",
            "too broad",
        ])
        .expect(0, &["taken out"]);
    folder
        .run(&["bank", "remove", "SLOGANS", &first, "--data", "d"])
        .expect(2, &["no such member"]);
    assert_eq!(members(&folder, "SLOGANS"), 2);

    folder
        .run(&["bank", "disable", "SLOGANS", "--data", "d"])
        .expect(0, &["is disabled"]);
    let listed = folder.run(&["bank", "list", "--data", "d"]).expect(0, &[]);
    assert!(
        listed.stdout.contains("disabled") && listed.stdout.contains("slogans of the Order"),
        "{}",
        listed.stdout
    );
    folder
        .run(&["bank", "enable", "SLOGANS", "--data", "d"])
        .expect(0, &["is enabled"]);
    folder
        .run(&["audit", "verify", "--data", "d"])
        .expect(0, &[]);
}

#[test]
fn how_images_match_a_bank_is_set_shown_and_audited() {
    let folder = Folder::new();
    let run = |arguments: &[&str]| folder.run(&[arguments, &["--data", "d"]].concat());
    let listed = |name: &str| -> Value {
        let banks = run(&["bank", "list", "--json"]).json();
        let bank = banks.iter().find(|bank| bank["name"] == name).unwrap();
        json!([bank["distance"]["pdq"], bank["dihedral"]])
    };
    run(&["bank", "create", "IMAGES"]).expect(0, &[]);
    assert_eq!(listed("IMAGES"), json!([null, true]), "as every new bank");
    run(&[
        "bank",
        "create",
        "STRICT",
        "--dihedral",
        "off",
        "--distance",
        "8",
    ])
    .expect(0, &[]);
    assert_eq!(listed("STRICT"), json!([8, false]));

    let set = |arguments: &[&str]| run(&[&["bank", "set", "IMAGES"], arguments].concat());
    set(&["--dihedral", "off"]).expect(
        0,
        &["up to 31 bits, mirrored and turned ones do not (dihedral off); a running server follows"],
    );
    set(&["--distance", "20"]).expect(0, &["up to 20 bits, mirrored and turned ones do not"]);
    assert_eq!(listed("IMAGES"), json!([20, false]));
    set(&["--distance", "20", "--dihedral", "off"]).expect(0, &["was set so already"]);
    set(&["--distance", "21", "--dihedral", "on"])
        .expect(0, &["up to 21 bits, mirrored and turned ones too"]);
    assert_eq!(listed("IMAGES"), json!([21, true]));
    let table = run(&["bank", "list"]).stdout;
    assert!(
        table.contains("dihedral off") && table.contains("pdq distance 8"),
        "{table}"
    );
    run(&["bank", "show", "STRICT"]).expect(
        1,
        &["images match it up to 8 bits, mirrored and turned ones do not"],
    );

    set(&[]).expect(2, &["nothing to change", "manara bank set --help"]);
    set(&["--dihedral", "maybe"]).expect(2, &["'maybe'", "on, off"]);
    set(&["--distance", "32"]).expect(2, &["the distance of pdq signals is 0 to 31, not 32"]);
    run(&["bank", "set", "IMAGE", "--dihedral", "on"]).expect(2, &["did you mean `IMAGES`?"]);
    run(&["audit", "verify"]).expect(0, &[]);
}

#[test]
fn hashes_are_read_in_either_case_and_of_one_length_only() {
    let folder = Folder::new();
    let run = |arguments: &[&str]| folder.run(&[arguments, &["--data", "d"]].concat());
    run(&["bank", "create", "HASHES"]).expect(0, &[]);
    let (lower, upper) = ("0a".repeat(32), "0A".repeat(32));
    for (name, file, added) in [
        ("a.csv", format!("pdq,{upper},\nsha256,{upper},\n"), 2),
        ("b.csv", format!("pdq,{lower},\n"), 0),
        (
            "c.ndjson",
            format!(r#"{{"signal_type":"pdq","signal":"{upper}"}}"#),
            0,
        ),
    ] {
        folder.write(name, file);
        let imported = run(&["bank", "import", "HASHES", name, "--json"]).json();
        assert_eq!(imported[0]["added"], added, "{name}");
    }
    let added = run(&["bank", "add", "HASHES", "pdq", &upper, "--json"]).json();
    assert_eq!(added[0]["added"], false);
    assert_eq!(added[0]["signal"], json!(lower));

    let short = &lower[1..];
    let says = "a pdq signal is 64 hexadecimal digits, this has 63";
    run(&["bank", "add", "HASHES", "pdq", short]).expect(2, &[says]);
    folder.write("short.csv", format!("pdq,{lower},\npdq,{short},\n"));
    run(&["bank", "import", "HASHES", "short.csv"])
        .expect(2, &[says, "--> short.csv:2:5", "nothing was imported"]);
    folder.write(
        "long.ndjson",
        format!(r#"{{"signal_type":"pdq","signal":"{lower}0"}}"#),
    );
    run(&["bank", "import", "HASHES", "long.ndjson"]).expect(2, &["this has 65"]);
    let scan = folder.run(&["scan", "--bank", "B=short.csv", "d"]);
    scan.expect(2, &[says, "short.csv:2"]);
    folder
        .run(&["compare", &format!("pdq:{short}"), &lower])
        .expect(2, &[says]);
}

#[test]
fn slips_in_names_are_guessed() {
    let folder = with_slogans();
    folder
        .run(&["bank", "show", "SLOGAN", "--data", "d"])
        .expect(2, &["there is no bank SLOGAN; did you mean `SLOGANS`?"]);
    folder
        .run(&["bank", "show", "IMAGES", "--data", "d"])
        .expect(2, &["manara bank create IMAGES"]);
    folder
        .run(&["bank", "add", "SLOGANS", "txt", "x", "--data", "d"])
        .expect(2, &["unknown signal type `txt`: did you mean `text`?"]);
    folder
        .run(&["bank", "add", "SLOGANS", "md5", "00", "--data", "d"])
        .expect(2, &["an md5 signal is 32 hexadecimal digits, this has 2"]);
    folder
        .run(&["bank", "create", "a b", "--data", "d"])
        .expect(2, &["not a bank name"]);
    folder
        .run(&["bank", "create", "SLOGANS", "--data", "d"])
        .expect(2, &["already"]);
    folder
        .run(&["bank", "list", "--data", "nowhere"])
        .expect(2, &["nowhere holds no Manara database"]);
}

/// Imports a file that must be refused, and checks that nothing of it arrived.
#[track_caller]
fn check_refused(name: &str, content: &[u8], says: &[&str]) {
    let folder = with_slogans();
    folder.write(name, content);
    let ran = folder.run(&["bank", "import", "SLOGANS", name, "--data", "d"]);
    ran.expect(2, says);
    assert_eq!(members(&folder, "SLOGANS"), 2);
}

#[test]
fn a_bad_file_is_refused_by_line_and_column_and_nothing_of_it_imported() {
    let good = "text,ash tower,x\n";
    check_refused(
        "a.csv",
        format!("{good}pdqq,00,x\n").as_bytes(),
        &[
            "unknown signal type `pdqq`",
            "--> a.csv:2:1",
            "hint: did you mean `pdq`?",
            "nothing was imported",
        ],
    );
    check_refused(
        "a.csv",
        format!("{good}{good}pdq,00fg,x\n").as_bytes(),
        &["`g` at byte 3", "--> a.csv:3:5"],
    );
    check_refused(
        "a.csv",
        format!("{good}text,\"open\n{good}").as_bytes(),
        &["never closed", "--> a.csv:2:6"],
    );
    check_refused(
        "a.csv",
        b"text,ash tower,x\ntext,\xff,x\n",
        &["byte 0xff is not UTF-8", "--> a.csv:2:6"],
    );
    check_refused(
        "a.ndjson",
        b"{\"signal_type\":\"text\",\"signal\":\"ash\"}\n{\"signal_type\":\"text\",\"signal\":7}\n",
        &["`signal` is not a string", "--> a.ndjson:2:32"],
    );
    check_refused(
        "a.json",
        b"[{\"signal\":\"x\"}]",
        &["is a JSON array", "jq -c"],
    );
    check_refused(
        "a.csv",
        b"\xff\xfet\0e\0x\0t\0",
        &["UTF-16", "save it as UTF-8"],
    );
    check_refused(
        "a.csv",
        format!("{good}text,{},x\n", "x".repeat(70_000)).as_bytes(),
        &["the limit is 65536", "--> a.csv:2:1"],
    );
    let junk: Vec<u8> = (0..100_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    check_refused("a.bin", &junk, &["--> a.bin:1:"]);
    check_refused(
        "a.csv",
        &vec![b'x'; 64 << 20],
        &["the line is 67108864 bytes long", "--> a.csv:1:1"],
    );
}

#[test]
fn what_is_no_file_is_named() {
    let folder = with_slogans();
    folder.write("folder/x.csv", SLOGANS);
    folder
        .run(&["bank", "import", "SLOGANS", "missing.csv", "--data", "d"])
        .expect(2, &["missing.csv", "No such file"]);
    folder
        .run(&["bank", "import", "SLOGANS", "folder", "--data", "d"])
        .expect(2, &["folder", "it is a directory"]);
    folder.write("empty.csv", "");
    folder
        .run(&["bank", "import", "SLOGANS", "empty.csv", "--data", "d"])
        .expect(1, &["0 members added"]);
    assert_eq!(members(&folder, "SLOGANS"), 2);
}

#[test]
fn marks_line_ends_pipes_and_either_format_are_read() {
    let folder = with_slogans();
    folder.write(
        "windows.csv",
        "\u{feff}signal_type,signal,note,source\r\ntext,ash tower,\"two\r\nlines\",partner\r\n",
    );
    folder
        .run(&["bank", "import", "SLOGANS", "windows.csv", "--data", "d"])
        .expect(0, &["1 member added"]);
    let lines = b"{\"signal_type\":\"text\",\"signal\":\"ash tower\"}\n{\"signal_type\":\"text\",\"signal\":\"fog tower\"}\n";
    folder
        .run_with(&["bank", "import", "SLOGANS", "-", "--data", "d"], lines)
        .expect(0, &["1 member added", "1 there already"]);
    let shown = folder
        .run(&["bank", "show", "SLOGANS", "--data", "d", "--json"])
        .json();
    assert_eq!(shown[2]["note"], "two\r\nlines; source=partner");
    folder
        .run(&["bank", "import", "OTHER", "slogans.csv", "--data", "d"])
        .expect(2, &["there is no bank OTHER"]);
    folder
        .run(&[
            "bank",
            "import",
            "OTHER",
            "slogans.csv",
            "--data",
            "d",
            "--create",
        ])
        .expect(0, &["2 members added to OTHER"]);
}

#[test]
fn bad_rows_can_be_left_out_counted_and_listed() {
    let folder = with_slogans();
    let mut csv = String::from("signal_type,signal,note\n");
    for n in 0..300 {
        let _ = if n % 2 == 0 {
            writeln!(csv, "text,phrase number {n},x")
        } else {
            writeln!(csv, "md5,{n},x")
        };
    }
    folder.write("mixed.csv", &csv);
    let ran = folder.run(&[
        "bank",
        "import",
        "SLOGANS",
        "mixed.csv",
        "--data",
        "d",
        "--skip-bad",
        "--bad",
        "bad.txt",
    ]);
    let ran = ran.expect(
        0,
        &[
            "150 members added",
            "150 bad rows left out",
            "mixed.csv:3:5: an md5 signal",
            "--json lists them all",
        ],
    );
    assert_eq!(ran.stderr.matches("left out: mixed.csv").count(), 100);
    assert_eq!(
        std::fs::read_to_string(folder.path("bad.txt"))
            .unwrap()
            .lines()
            .count(),
        150
    );
    assert_eq!(members(&folder, "SLOGANS"), 152);

    let rows = folder
        .run(&[
            "bank",
            "import",
            "SLOGANS",
            "mixed.csv",
            "--data",
            "d",
            "--skip-bad",
            "--json",
        ])
        .json();
    assert_eq!(rows.len(), 151);
    assert_eq!(
        (&rows[0]["line"], &rows[0]["column"]),
        (&json!(3), &json!(5))
    );
    assert_eq!(
        rows[150],
        json!({"bank": "SLOGANS", "added": 0, "already": 150, "bad": 150})
    );
    folder.write("all-bad.csv", "md5,1,x\n");
    folder
        .run(&[
            "bank",
            "import",
            "SLOGANS",
            "all-bad.csv",
            "--data",
            "d",
            "--skip-bad",
        ])
        .expect(1, &["1 bad row left out"]);
}

#[test]
fn what_is_exported_imports_to_the_same_members() {
    let folder = with_slogans();
    let hash = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22";
    folder
        .run(&[
            "bank",
            "add",
            "SLOGANS",
            "pdq",
            hash,
            "--note",
            "quotes \" and, commas",
            "--data",
            "d",
        ])
        .expect(0, &[]);
    folder
        .run(&[
            "bank",
            "add",
            "SLOGANS",
            "text",
            "say \"rise\", all",
            "--note",
            "=1+1\nline",
            "--data",
            "d",
        ])
        .expect(0, &[]);
    let rows = |bank: &str| -> Vec<_> {
        let shown = folder
            .run(&["bank", "show", bank, "--data", "d", "--json"])
            .json();
        shown
            .into_iter()
            .map(|m| {
                (
                    m["signal_type"].clone(),
                    m["signal"].clone(),
                    m["note"].clone(),
                )
            })
            .collect()
    };
    for format in ["csv", "ndjson"] {
        let exported = folder
            .run(&[
                "bank", "export", "SLOGANS", "--format", format, "--data", "d",
            ])
            .expect(0, &[]);
        folder.write(&format!("out.{format}"), &exported.stdout);
        let copy = format!("COPY_{format}");
        folder
            .run(&[
                "bank",
                "import",
                &copy,
                &format!("out.{format}"),
                "--create",
                "--data",
                "d",
            ])
            .expect(0, &["4 members"]);
        assert_eq!(rows(&copy), rows("SLOGANS"), "{format}");
    }
}

#[test]
fn fifty_thousand_members_arrive_in_one_import() {
    let folder = Folder::new();
    let mut csv = String::from("signal_type,signal,note\n");
    for n in 0..50_000_u64 {
        let half = format!("{:016x}{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n);
        let _ = writeln!(csv, "pdq,{half}{half},row {n}");
    }
    folder.write("hashes.csv", &csv);
    let import: &[&str] = &[
        "bank",
        "import",
        "HASHES",
        "hashes.csv",
        "--create",
        "--data",
        "d",
    ];
    folder
        .run(import)
        .expect(0, &["50,000 members added to HASHES"]);
    folder
        .run(import)
        .expect(0, &["0 members added to HASHES, 50,000 there already"]);
    assert_eq!(members(&folder, "HASHES"), 50_000);
    let exported = folder
        .run(&["bank", "export", "HASHES", "--data", "d"])
        .expect(0, &[]);
    assert!(
        exported.stdout == csv,
        "an export is the file that was imported"
    );
    folder
        .run(&["audit", "verify", "--data", "d"])
        .expect(0, &[]);
}

#[test]
fn a_file_is_added_by_its_hashes() {
    let folder = with_slogans();
    folder.draw("flag.png", &cli_support::drawing(7, 320, 240));
    let ran: Ran = folder.run(&[
        "bank", "add", "SLOGANS", "--file", "flag.png", "--note", "flag", "--data", "d", "--json",
    ]);
    let types: Vec<_> = ran
        .expect(0, &[])
        .json()
        .iter()
        .map(|m| m["signal_type"].clone())
        .collect();
    assert_eq!(types, ["sha256", "pdq"]);
    folder.write("flat.txt", "hello");
    let added = folder
        .run(&[
            "bank", "add", "SLOGANS", "--file", "flat.txt", "--data", "d", "--json",
        ])
        .expect(0, &[])
        .json();
    assert_eq!(
        added[0]["signal"],
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    );
    folder
        .run(&["bank", "add", "SLOGANS", "--file", "missing", "--data", "d"])
        .expect(2, &["missing"]);
}

#[test]
fn the_example_banks_import_without_a_bad_row() {
    let folder = Folder::new();
    let mut files: Vec<_> = std::fs::read_dir(example("banks"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_uppercase();
        folder
            .run(&[
                "bank",
                "import",
                &name,
                file.to_str().unwrap(),
                "--create",
                "--data",
                "d",
            ])
            .expect(0, &["added to"]);
    }
}

#[test]
fn every_setting_of_a_bank_is_set_listed_and_cleared() {
    let folder = Folder::new();
    let run = |arguments: &[&str]| folder.run(&[arguments, &["--data", "d"]].concat());
    run(&["bank", "create", "TVEC", "--tag", "agreed"]).expect(0, &[]);
    run(&[
        "bank", "create", "SAFE", "--vetoes", "TVEC", "--mode", "shadow",
    ])
    .expect(0, &[]);
    let set = |arguments: &[&str]| run(&[&["bank", "set", "TVEC"], arguments].concat());
    set(&[
        "--quality-min",
        "60",
        "--enable-ratio",
        "0.25",
        "--quarantine",
        "off",
        "--expires",
        "2027-01-31T00:00:00Z",
        "--tag",
        "trial",
        "--untag",
        "agreed",
        "--description",
        "agreed images",
    ])
    .expect(
        0,
        &[
            "quality 60 and up; enable ratio 0.25; vetoed by SAFE; quarantine off; expires 2027-01-31T00:00:00Z; tags trial",
        ],
    );
    let banks = run(&["bank", "list", "--json"]).json();
    let bank = |name: &str| banks.iter().find(|bank| bank["name"] == name).unwrap();
    let tvec = bank("TVEC");
    assert_eq!(tvec["expires_at"], "2027-01-31T00:00:00Z");
    assert_eq!(tvec["tags"], json!(["trial"]));
    assert_eq!(tvec["description"], "agreed images");
    assert_eq!(bank("SAFE")["vetoes"], json!(["TVEC"]));
    assert_eq!(bank("SAFE")["mode"], "shadow");
    set(&["--expires", "never", "--quarantine", "on"]).expect(0, &["is set"]);
    run(&["bank", "set", "SAFE", "--vetoes", "none"]).expect(0, &["is set"]);
    let banks = run(&["bank", "list", "--json"]).json();
    for bank in banks {
        assert_eq!([&bank["vetoes"], &bank["expires_at"]], [&Value::Null; 2]);
    }
    run(&["audit", "verify"]).expect(0, &[]);
}

#[test]
fn settings_that_cannot_be_are_refused_with_the_reason() {
    let folder = Folder::new();
    let run = |arguments: &[&str]| folder.run(&[arguments, &["--data", "d"]].concat());
    run(&["bank", "create", "TVEC"]).expect(0, &[]);
    run(&["bank", "create", "SAFE", "--vetoes", "TVEC"]).expect(0, &[]);
    let refused = |arguments: &[&str], says: &str| {
        run(&[&["bank", "set", "TVEC"], arguments].concat()).expect(2, &[says]);
    };
    refused(
        &["--vetoes", "SAFE"],
        "SAFE is a negative bank itself (it vetoes TVEC): its matches lead to nothing that could be vetoed; two banks cannot veto each other",
    );
    refused(&["--vetoes", "TVEC"], "bank TVEC cannot veto itself");
    refused(&["--vetoes", "NONE"], "no such bank NONE to veto");
    refused(&["--expires", "tomorrow"], "`tomorrow` is not a time");
    refused(&["--expires", "0d"], "`0d` is not a time");
    refused(&["--expires", "99999999999999999d"], "is not a time");
    refused(
        &["--enable-ratio", "1.5"],
        "is not a share: use a number from 0 to 1",
    );
    refused(&["--quality-min", "101"], "a quality is 0 to 100, not 101");
    refused(
        &["--distance", "md5=1"],
        "the distance of md5 signals is 0 to 0, not 1",
    );
    refused(&["--distance", "far"], "`far` is not a whole number");
    refused(&["--mode", "off"], "use one of live, shadow");
    refused(&["--tag", "two words"], "is not a tag");
    run(&["bank", "create", "OTHER", "--quality-min", "101"]).expect(2, &["0 to 100"]);
}

#[test]
fn a_member_is_shown_changed_and_judged() {
    let folder = with_slogans();
    let run = |arguments: &[&str]| folder.run(&[arguments, &["--data", "d"]].concat());
    let set =
        |arguments: &[&str]| run(&[&["bank", "member-set", "SLOGANS", "1"], arguments].concat());
    set(&[
        "--mode",
        "shadow",
        "--tag",
        "common",
        "--reason",
        "too common",
    ])
    .expect(0, &["shadow; tags common", "a running server follows"]);
    set(&["--mode", "shadow"]).expect(0, &["was set so already"]);
    set(&["--expires", "2027-01-31T00:00:00Z", "--vouched", "on"]).expect(0, &["vouched"]);
    set(&[]).expect(2, &["nothing to change"]);
    set(&["--quality-min", "60"]).expect(2, &["quality_min is not a setting of text signals"]);
    set(&["--distance", "near"]).expect(2, &["nor `bank`"]);
    let opinion = [
        "bank",
        "opinion",
        "SLOGANS",
        "1",
        "negative_class",
        "--note",
        "a song",
    ];
    run(&opinion).expect(0, &["is kept"]);
    run(&["bank", "opinion", "SLOGANS", "1", "bad"]).expect(2, &["use one of positive_class"]);
    run(&["bank", "opinion", "SLOGANS", "9", "negative_class"])
        .expect(2, &["no such member 9 in bank SLOGANS"]);
    run(&["bank", "member", "SLOGANS", "9"]).expect(2, &["there is no member 9 in bank SLOGANS"]);

    let shown = run(&["bank", "member", "SLOGANS", "1", "--json"]).json();
    let member = &shown[0];
    assert_eq!(member["signal"], "rise under the grey banner");
    assert_eq!(member["settings"]["mode"], "shadow");
    assert_eq!(member["settings"]["vouched"], true);
    let reasons: Vec<_> = member["history"].as_array().unwrap().iter().collect();
    assert_eq!(
        (reasons.len(), &reasons[0]["reason"]),
        (2, &json!("too common"))
    );
    assert_eq!(member["opinions"][0]["stance"], "negative_class");
    assert_eq!(
        (&member["days"], &member["removed"]),
        (&json!([]), &json!(false))
    );
    let table = run(&["bank", "member", "SLOGANS", "1"]).stdout;
    for part in ["shadow", "too common", "a song", "in its bank"] {
        assert!(table.contains(part), "{part} in {table}");
    }

    let show =
        |arguments: &[&str]| run(&[&["bank", "show", "SLOGANS", "--json"], arguments].concat());
    assert_eq!(show(&[]).json().len(), 2);
    assert_eq!(show(&["--tag", "common"]).json()[0]["id"], 1);
    assert_eq!(show(&["--mode", "live"]).json()[0]["id"], 2);
    show(&["--exchange", "partners"]).expect(1, &["0 of them shown"]);
    run(&["bank", "remove", "SLOGANS", "1"]).expect(0, &[]);
    set(&["--mode", "live"]).expect(2, &["no such member 1 in bank SLOGANS"]);
    let shown = run(&["bank", "member", "SLOGANS", "1", "--json"]).json();
    assert_eq!(shown[0]["removed"], true);
}

#[test]
fn a_files_settings_are_read_kept_and_exported() {
    let folder = Folder::new();
    let run = |arguments: &[&str]| folder.run(&[arguments, &["--data", "d"]].concat());
    let hash = "0f".repeat(32);
    let csv = format!(
        "signal_type,signal,note,exchange,mode,distance,quality_min,expires_at,tags,vouched\n\
         pdq,{hash},one,partners,shadow,9,70,2027-01-31T00:00:00Z,a; b,true\n\
         text,grey banner,two,,,,,,,\n"
    );
    folder.write("all.csv", &csv);
    run(&["bank", "import", "ALL", "all.csv", "--create"]).expect(0, &["2 members"]);
    let shown = |bank: &str| {
        let mut shown = run(&["bank", "show", bank, "--json"]).json();
        for member in &mut shown {
            let fields = member.as_object_mut().unwrap();
            for own in ["id", "added_at"] {
                fields.remove(own).unwrap();
            }
        }
        shown
    };
    let all = shown("ALL");
    assert_eq!(all[0]["tags"], json!(["a", "b"]));
    assert_eq!(
        (&all[0]["mode"], &all[0]["exchange"]),
        (&json!("shadow"), &json!("partners"))
    );
    assert_eq!(
        (&all[0]["distance"], &all[0]["quality_min"]),
        (&json!(9), &json!(70))
    );
    assert_eq!(all[1]["mode"], Value::Null, "as its bank says");
    for format in ["csv", "ndjson"] {
        let exported = run(&["bank", "export", "ALL", "--format", format]).expect(0, &[]);
        let file = format!("out.{format}");
        folder.write(&file, &exported.stdout);
        let copy = format!("COPY_{format}");
        run(&["bank", "import", &copy, &file, "--create"]).expect(0, &["2 members"]);
        assert_eq!(shown(&copy), all, "{format}");
    }
}
