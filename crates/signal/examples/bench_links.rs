fn main() {
    let long = |part: &str| part.repeat(10_000_000 / part.len());
    for part in [
        "a",
        "a.",
        "a.b/",
        "@a",
        "https://",
        "https://a.example/",
        ")",
        "a.example)",
        "-",
        "[.]",
        " dot ",
        "a dot ",
        "\u{200b}",
        "。",
        "ا.",
        "x_",
        "1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggv ",
        "exаmple.",
        "://",
        "a@",
        "ab.cd/",
        "matrix:r/",
        "https://a@",
        "example.com,",
        "a.b:",
        "hxxp[:]//",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD ",
        " 4LL9oSLmtpccfufTMvppY6JwXNouMBzSkbLYfpAV5Usx3skxNgYeYTRj5UzqtReoS44qo9mtmXCqY45DJ852K5Jv2bYXZKKQePHES9khPA",
        "https://a.example/))))))",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5 ",
    ] {
        let text = long(part);
        let t = std::time::Instant::now();
        let n = manara_signal::url::find_destinations(&text).len();
        let _ = writeln!(std::io::stdout(), "{part:?} {n} {:?}", t.elapsed());
    }
}
use std::io::Write;
