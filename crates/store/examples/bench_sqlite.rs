//! The bare engine's limit: one table, rows of an event's size, committed in groups with full sync.
//!
//! `bench_sqlite FILE ROWS GROUP`

use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, file, rows, group] = arguments.as_slice() else {
        return Err("usage: bench_sqlite FILE ROWS GROUP".into());
    };
    let (rows, group): (u64, u64) = (rows.parse()?, group.parse()?);
    let mut connection = rusqlite::Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, body TEXT NOT NULL)",
        [],
    )?;
    let body = "x".repeat(500);
    let started = Instant::now();
    for first in (0..rows).step_by(usize::try_from(group)?) {
        let transaction = connection.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO t (key, body) VALUES (?1, ?2)")?;
            for i in first..(first + group).min(rows) {
                insert.execute((format!("bench.example/{i}"), &body))?;
            }
        }
        transaction.commit()?;
    }
    let took = started.elapsed().as_secs_f64();
    #[expect(
        clippy::print_stdout,
        reason = "the figure is what this program is for"
    )]
    {
        println!(
            "{rows} rows of 500 bytes, {group} a commit: {:.0} rows/s",
            rows as f64 / took
        );
    }
    Ok(())
}
