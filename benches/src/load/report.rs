//! What is printed: tables for people, one JSON value for programs.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::args::Args;
use super::drive::Measured;
use super::measure::{Restarts, Run, Slow};
use super::node::Usage;

/// What an answer to a write means for the disk.
const DURABILITY: &str = "durable: one fsynced two-phase commit per batch (quick repair)";

/// A report, and whether everything in it is as it must be.
pub struct Report {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// No task was granted twice, none was lost, no request failed.
    pub good: bool,
}

#[derive(Debug, Serialize)]
struct Row<'m> {
    operation: &'m str,
    count: u64,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    errors: u64,
    first_error: Option<&'m str>,
    requests_per_commit: Option<f64>,
}

impl<'m> Row<'m> {
    fn of(measured: &'m Measured) -> Self {
        let commits = measured.commits.filter(|commits| *commits > 0);
        Self {
            operation: measured.operation,
            count: measured.count(),
            per_second: round(measured.per_second(), 1),
            p50_ms: measured.percentile_ms(50.0),
            p99_ms: measured.percentile_ms(99.0),
            max_ms: measured.percentile_ms(100.0),
            errors: measured.errors,
            first_error: measured.first_error.as_deref(),
            requests_per_commit: commits.map(|commits| round(measured.count() as f64 / commits as f64, 1)),
        }
    }
}

fn round(number: f64, digits: i32) -> f64 {
    let factor = 10f64.powi(digits);
    (number * factor).round() / factor
}

fn milliseconds(time: std::time::Duration) -> f64 {
    round(time.as_secs_f64() * 1_000.0, 1)
}

impl Run {
    fn errors(&self) -> u64 {
        self.operations.iter().map(|measured| measured.errors).sum()
    }

    fn json(&self, args: &Args) -> Value {
        json!({
            "duplicates": self.duplicates,
            "durability": DURABILITY,
            "operations": self.operations.iter().map(Row::of).collect::<Vec<_>>(),
            "clients": args.clients,
            "tasks": self.tasks,
            "body_bytes": args.body,
            "errors": self.errors(),
            "cores": cores(),
            "start_ms": self.started_in.map(milliseconds),
            "node": self.usage,
        })
    }

    fn table(&self, text: &mut String) -> std::fmt::Result {
        let heads = ("operation", "count", "rate/s", "p50 ms", "p99 ms", "max ms", "errors", "per commit");
        let (a, b, c, d, e, f, g, h) = heads;
        writeln!(text, "{a:<16} {b:>8} {c:>9} {d:>8} {e:>8} {f:>8} {g:>6} {h:>10}")?;
        for measured in &self.operations {
            let row = Row::of(measured);
            let per_commit = row.requests_per_commit.map_or_else(|| "-".to_owned(), |number| format!("{number:.1}"));
            let (count, rate, errors) = (row.count, row.per_second, row.errors);
            let (p50, p99, max) = (row.p50_ms, row.p99_ms, row.max_ms);
            writeln!(text, "{:<16} {count:>8} {rate:>9.0} {p50:>8.2} {p99:>8.2} {max:>8.2} {errors:>6} {per_commit:>10}", row.operation)?;
        }
        Ok(())
    }

    fn first_errors(&self, text: &mut String) -> std::fmt::Result {
        for measured in &self.operations {
            if let Some(error) = &measured.first_error {
                writeln!(text, "{} failed {} times, first with: {error}", measured.operation, measured.errors)?;
            }
        }
        Ok(())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn usage(usage: &Usage) -> String {
    let show = |size: Option<f64>| size.map_or_else(|| "?".to_owned(), |size| format!("{size:.0}"));
    format!("RSS {} MiB (peak {}), store {} MiB", show(usage.rss_mib), show(usage.peak_rss_mib), show(usage.store_mib))
}

fn conditions(args: &Args) -> String {
    format!("{} clients, {} cores, bodies of {} bytes", args.clients, cores(), args.body)
}

/// Reports every operation.
pub fn everything(args: &Args, run: &Run) -> Report {
    let mut text = String::new();
    // Writing to memory does not fail.
    let _ = (|| {
        writeln!(text, "{} tasks, {}", run.tasks, conditions(args))?;
        run.table(&mut text)?;
        writeln!(text, "durability: {DURABILITY}")?;
        writeln!(text, "duplicates: {}", run.duplicates)?;
        if let (Some(taken), Some(started_in)) = (&run.usage, run.started_in) {
            writeln!(text, "node: {}; answered {} ms after its start", usage(taken), milliseconds(started_in))?;
        }
        run.first_errors(&mut text)
    })();
    Report { text, json: run.json(args), good: run.duplicates == 0 && run.errors() == 0 }
}

/// The cost of one operation among more tasks, compared with that among the fewest.
#[derive(Debug, Serialize)]
struct Ratio<'m> {
    operation: &'m str,
    tasks: u64,
    cost_ratio: f64,
}

fn ratios(runs: &[Run]) -> Vec<Ratio<'_>> {
    let Some(base) = runs.iter().min_by_key(|run| run.tasks) else { return Vec::new() };
    let of = |run: &'_ Run, operation: &str| run.operations.iter().find(|m| m.operation == operation).map(Measured::per_second);
    let mut ratios = Vec::new();
    for run in runs {
        for measured in &run.operations {
            if let Some(rate) = of(base, measured.operation).filter(|_| measured.count() > 0) {
                let cost_ratio = round(rate / measured.per_second(), 2);
                ratios.push(Ratio { operation: measured.operation, tasks: run.tasks, cost_ratio });
            }
        }
    }
    ratios
}

/// Reports the same operations among several numbers of open tasks.
pub fn scale(args: &Args, runs: &[Run]) -> Report {
    let (duplicates, errors) = (runs.iter().map(|run| run.duplicates).sum::<u64>(), runs.iter().map(Run::errors).sum::<u64>());
    let ratios = ratios(runs);
    let mut text = String::new();
    let _ = (|| {
        writeln!(text, "samples of {}, {}", args.sample, conditions(args))?;
        for run in runs {
            writeln!(text, "\n{} open tasks", run.tasks)?;
            run.table(&mut text)?;
            if let (Some(taken), Some(started_in)) = (&run.usage, run.started_in) {
                writeln!(text, "node: {}; answered {} ms after its start", usage(taken), milliseconds(started_in))?;
            }
            run.first_errors(&mut text)?;
        }
        writeln!(text, "\ncost of one operation, compared with the fewest tasks")?;
        for Ratio { operation, tasks, cost_ratio } in &ratios {
            writeln!(text, "{operation:<16} {tasks:>8} {cost_ratio:>8.2}")?;
        }
        writeln!(text, "durability: {DURABILITY}")?;
        writeln!(text, "duplicates: {duplicates}")
    })();
    let json = json!({
        "duplicates": duplicates,
        "durability": DURABILITY,
        "errors": errors,
        "scale": runs.iter().map(|run| run.json(args)).collect::<Vec<_>>(),
        "ratios": ratios,
    });
    Report { text, json, good: duplicates == 0 && errors == 0 }
}

/// How long the calls of one kind took among slow callers, compared with the same calls without them.
#[derive(Debug, Serialize)]
struct Times<'m> {
    operation: &'m str,
    p50_ratio: f64,
    p99_ratio: f64,
}

fn times(slow: &Slow) -> Vec<Times<'_>> {
    let ratio = |with: f64, without: f64| round(with / without.max(f64::EPSILON), 2);
    let pairs = slow.quiet.operations.iter().zip(&slow.crowded.operations);
    let pair = |(without, with): (&'_ Measured, &Measured)| {
        let of = |percentile| ratio(with.percentile_ms(percentile), without.percentile_ms(percentile));
        Times { operation: without.operation, p50_ratio: of(50.0), p99_ratio: of(99.0) }
    };
    pairs.map(pair).collect()
}

/// Reports the same calls without and with callers who take their time.
pub fn slow(args: &Args, found: &Slow) -> Report {
    let rounds = [("without slow callers", &found.quiet), ("among slow callers", &found.crowded)];
    let (duplicates, errors) =
        rounds.iter().fold((0, 0), |(duplicates, errors), (_, run)| (duplicates + run.duplicates, errors + run.errors()));
    let times = times(found);
    let mut text = String::new();
    let _ = (|| {
        writeln!(text, "{} tasks, {}", args.tasks, conditions(args))?;
        for (name, run) in rounds {
            writeln!(text, "\n{name}")?;
            run.table(&mut text)?;
            if let Some(taken) = &run.usage {
                writeln!(text, "node: {}", usage(taken))?;
            }
            run.first_errors(&mut text)?;
        }
        writeln!(text, "\n{} slow callers, {} connections; how many times as long calls took among them", args.slow, found.opened)?;
        writeln!(text, "{:<16} {:>8} {:>8}", "operation", "p50", "p99")?;
        for Times { operation, p50_ratio, p99_ratio } in &times {
            writeln!(text, "{operation:<16} {p50_ratio:>8.2} {p99_ratio:>8.2}")?;
        }
        writeln!(text, "durability: {DURABILITY}")?;
        writeln!(text, "duplicates: {duplicates}")
    })();
    let json = json!({
        "slow": args.slow,
        "connections": found.opened,
        "duplicates": duplicates,
        "errors": errors,
        "durability": DURABILITY,
        "quiet": found.quiet.json(args),
        "crowded": found.crowded.json(args),
        "ratios": times,
    });
    Report { text, json, good: duplicates == 0 && errors == 0 }
}

/// Reports starts after SIGKILL.
pub fn restart(args: &Args, found: &Restarts) -> Report {
    let killed: Vec<f64> = found.killed.iter().map(|time| milliseconds(*time)).collect();
    let mut text = String::new();
    let _ = (|| {
        writeln!(text, "{} records, {} tasks, {}", found.records, found.tasks, conditions(args))?;
        writeln!(text, "first answer after a clean end: {} ms", milliseconds(found.clean))?;
        let shown: Vec<_> = killed.iter().map(|time| format!("{time} ms")).collect();
        writeln!(text, "first answer after SIGKILL under load: {}", shown.join(", "))?;
        writeln!(text, "acknowledged claims: {}, lost: {}", found.acknowledged, found.lost)?;
        writeln!(text, "node: {}", usage(&found.usage))?;
        writeln!(text, "durability: {DURABILITY}")?;
        found.first_error.as_ref().map_or(Ok(()), |error| writeln!(text, "first lost: {error}"))
    })();
    let json = json!({
        "records": found.records,
        "tasks": found.tasks,
        "clean_start_ms": milliseconds(found.clean),
        "killed_start_ms": killed,
        "acknowledged": found.acknowledged,
        "lost": found.lost,
        "durability": DURABILITY,
        "node": found.usage,
    });
    Report { text, json, good: found.lost == 0 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;
    use hdrhistogram::Histogram;

    use super::*;

    fn measured(operation: &'static str, count: u64, seconds: u64) -> Measured {
        let mut latency = Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds");
        latency.record_n(2_000, count).expect("within bounds");
        Measured { operation, elapsed: Duration::from_secs(seconds), latency, errors: 0, first_error: None, commits: Some(count / 4) }
    }

    fn run(tasks: u64, seconds: u64) -> Run {
        Run { tasks, operations: vec![measured("claim", 1_000, seconds)], ..Run::default() }
    }

    fn args() -> Args {
        Args::try_parse_from(["load"]).expect("arguments")
    }

    #[test]
    fn the_json_has_the_fields_that_scripts_read() {
        let report = everything(&args(), &run(1_000, 2));
        assert!(report.good);
        assert_eq!(report.json["duplicates"], 0);
        assert!(report.json["durability"].as_str().is_some_and(|text| text.starts_with("durable")));
        let claim = &report.json["operations"][0];
        assert_eq!((claim["operation"].as_str(), claim["per_second"].as_f64()), (Some("claim"), Some(500.0)));
        assert!(claim["p50_ms"].as_f64().is_some_and(|ms| (1.99..2.01).contains(&ms)) && claim["p99_ms"].is_number());
        assert_eq!(claim["requests_per_commit"].as_f64(), Some(4.0));
    }

    #[test]
    fn a_duplicate_or_a_failed_request_makes_the_report_bad() {
        assert!(!everything(&args(), &Run { duplicates: 1, ..run(1, 1) }).good);
        let mut failed = run(1, 1);
        failed.operations[0].wrong("409: held".to_owned());
        let report = everything(&args(), &failed);
        assert!(!report.good && report.text.contains("409: held"), "{}", report.text);
        assert!(!restart(&args(), &Restarts { lost: 1, ..Restarts::default() }).good);
    }

    #[test]
    fn calls_among_slow_callers_are_compared_with_those_without_them() {
        let mut crowded = run(1_000, 2);
        crowded.operations[0].latency.clear();
        crowded.operations[0].latency.record_n(3_000, 1_000).expect("within bounds");
        let found = Slow { quiet: run(1_000, 2), crowded, opened: 501 };
        let report = slow(&args(), &found);
        let ratio = |name: &str| report.json["ratios"][0][name].as_f64();
        assert_eq!((ratio("p50_ratio"), ratio("p99_ratio"), report.good), (Some(1.5), Some(1.5), true));
        assert!(!slow(&args(), &Slow { crowded: Run { duplicates: 1, ..run(1, 1) }, ..found }).good);
    }

    #[test]
    fn costs_are_compared_with_the_fewest_tasks_whatever_the_order() {
        let runs = [run(100_000, 3), run(1_000, 2)];
        let found: Vec<_> = ratios(&runs).iter().map(|ratio| (ratio.tasks, ratio.cost_ratio)).collect();
        assert_eq!(found, [(100_000, 1.5), (1_000, 1.0)]);
    }
}
