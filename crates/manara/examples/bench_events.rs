//! A load generator for `POST /api/v1/events`: kept-alive connections, arrays of posts, latencies per request.
//!
//! ```text
//! bench_events --address 127.0.0.1:8080 --key KEY --events 200000 --batch 100 --connections 4 [--rate 5000]
//! ```
//! With `--rate` requests start on a fixed schedule and their latency counts from the scheduled
//! start, so a server that stalls cannot hide it by slowing the generator down.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const WORDS: &[&str] = &[
    "market",
    "river",
    "coffee",
    "match",
    "evening",
    "the",
    "a",
    "of",
    "with",
    "new",
    "garden",
    "train",
    "music",
    "صباح",
    "الخير",
    "مدينة",
    "كتاب",
    "جميل",
    "سوق",
    "pagi",
    "kota",
    "buku",
    "город",
    "книга",
    "утро",
];

struct Load {
    address: String,
    key: String,
    events: u64,
    batch: u64,
    rate: Option<f64>,
    run: String,
    next: AtomicU64,
    started: Instant,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flags: HashMap<&str, &str> = arguments
        .chunks(2)
        .filter_map(|p| Some((p.first()?.as_str(), p.get(1)?.as_str())))
        .collect();
    let number = |name: &str, default: u64| {
        flags
            .get(name)
            .map_or(default, |v| v.parse().expect("a number"))
    };
    let load = Arc::new(Load {
        address: flags
            .get("--address")
            .copied()
            .unwrap_or("127.0.0.1:8080")
            .to_owned(),
        key: flags.get("--key").copied().unwrap_or_default().to_owned(),
        events: number("--events", 100_000),
        batch: number("--batch", 100),
        rate: flags.get("--rate").map(|v| v.parse().expect("a number")),
        run: flags.get("--run").copied().unwrap_or("r").to_owned(),
        next: AtomicU64::new(0),
        started: Instant::now(),
    });
    let threads: Vec<_> = (0..number("--connections", 4))
        .map(|_| {
            let load = Arc::clone(&load);
            std::thread::spawn(move || connection(&load))
        })
        .collect();
    let mut latencies: Vec<Duration> = threads
        .into_iter()
        .flat_map(|t| t.join().expect("a connection"))
        .collect();
    let took = load.started.elapsed();
    latencies.sort_unstable();
    let at =
        |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    #[expect(
        clippy::print_stdout,
        reason = "the figure is what this program is for"
    )]
    {
        println!(
            "{} events in {:.2} s = {:.0} events/s; request of {}: median {:.1} ms, 90 % {:.1} ms, 99 % {:.1} ms, longest {:.1} ms",
            load.events,
            took.as_secs_f64(),
            load.events as f64 / took.as_secs_f64(),
            load.batch,
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
    }
}

/// Sends batches until there are none left; the time each took.
fn connection(load: &Load) -> Vec<Duration> {
    let stream = TcpStream::connect(&load.address).expect("the server listens");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut writer = stream;
    let mut latencies = Vec::new();
    loop {
        let first = load.next.fetch_add(load.batch, Ordering::Relaxed);
        if first >= load.events {
            return latencies;
        }
        let body = batch(load, first);
        let begin = match load.rate {
            Some(rate) => {
                let due = load.started + Duration::from_secs_f64(first as f64 / rate);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due
            }
            None => Instant::now(),
        };
        let head = format!(
            "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            load.key,
            body.len()
        );
        writer
            .write_all(head.as_bytes())
            .and_then(|()| writer.write_all(body.as_bytes()))
            .expect("sent");
        expect_answers(&mut reader);
        latencies.push(begin.elapsed());
    }
}

fn batch(load: &Load, first: u64) -> String {
    let mut body = String::with_capacity(load.batch as usize * 420);
    for i in first..(first + load.batch).min(load.events) {
        body.push(if i == first { '[' } else { ',' });
        let text = text(i);
        body.push_str(&format!(
            r#"{{"id":"{run}-{i}","source":"bench.example","type":"post.created","time":"2026-11-22T10:15:00Z","account":{{"id":"a-{a}","handle":"someone_{a}","display_name":"Some One","created_at":"2024-01-01T00:00:00Z","followers":{f}}},"space":{{"id":"c-{s}","kind":"group","name":"a group","members":410}},"content":{{"id":"p-{run}-{i}","text":"{text}","language":"en"}}}}"#,
            run = load.run,
            a = i % 50_000,
            f = i % 1000,
            s = i % 700,
        ));
    }
    body.push(']');
    body
}

/// About twenty words, different for each event.
fn text(i: u64) -> String {
    let mut state = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = String::with_capacity(160);
    for _ in 0..20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(WORDS[(state % WORDS.len() as u64) as usize]);
        text.push(' ');
    }
    text
}

/// Reads one response and insists that every event was kept.
fn expect_answers(reader: &mut BufReader<TcpStream>) {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a status line");
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).expect("a header");
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    assert!(
        !body.windows(10).any(|w| w == b"\"problem\":"),
        "{}",
        String::from_utf8_lossy(&body)
    );
}
