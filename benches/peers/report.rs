//! What is printed: a table for each scenario, and the ratios once more at the end.

use crate::contest::{Kept, Outcome, Ratio};
use crate::extra::{Extra, Measured};
use crate::figures::{Figures, Spread};
use crate::scenario::Scenario;
use crate::split::Split;

/// Up to which percentage of its core other programs do not disturb a proxy.
const QUIET: f64 = 3.0;

/// Prints a scenario's table.
pub(crate) fn print(scenario: &Scenario, outcome: &Outcome) {
    println!("\n{}: {}", scenario.name, scenario.about);
    println!("  each answered with {}", outcome.answers);
    if scenario.task.load.is_timed() {
        requests(&outcome.figures);
        outcome.threads.iter().for_each(threads);
    } else {
        streams(&outcome.figures);
    }
    outcome.ratios.iter().for_each(ratio);
    outcome.kept.iter().for_each(kept);
    if let Some(split) = &outcome.split {
        parts(split);
    }
    let others = Spread::of(outcome.rounds.iter().map(|round| round.others * 100.0));
    if others.median >= QUIET {
        println!(
            "  a busy machine: other programs had {:.0}% of the proxy's core ({:.0}..{:.0})",
            others.median, others.least, others.most
        );
    }
    for round in &outcome.rounds {
        if let Some(wrong) = &round.wrong {
            let (name, number) = (&round.contender, round.number);
            println!("  not counted: {name} in round {number}: {wrong}");
        }
    }
}

fn requests(figures: &[Figures]) {
    println!(
        "  {:<18} {:>26} {:>9} {:>7} {:>7} {:>7} {:>10} {:>9}",
        "",
        "CPU us/request (min..max)",
        "req/s",
        "p50 us",
        "p99 us",
        "p99.9",
        "conns/1000",
        "peak MiB"
    );
    for one in figures {
        println!(
            "  {:<18} {:>26} {:>9.0} {:>7.0} {:>7.0} {:>7.0} {:>10.2} {:>9.1}",
            one.contender,
            ranged(one.cpu, 1.0),
            one.rate.median,
            one.p50.median,
            one.p99.median,
            one.p999.median,
            one.connections,
            mebibytes(one.memory),
        );
    }
}

fn streams(figures: &[Figures]) {
    println!(
        "  {:<18} {:>26} {:>9} {:>9}",
        "", "CPU ms/GiB (min..max)", "GiB/s", "peak MiB"
    );
    for one in figures {
        println!(
            "  {:<18} {:>26} {:>9.2} {:>9.1}",
            one.contender,
            ranged(one.cpu, 1e-3),
            one.rate.median,
            mebibytes(one.memory),
        );
    }
}

/// The middle of a spread, and its ends.
fn ranged(spread: Spread, unit: f64) -> String {
    let range = format!("({:.1}..{:.1})", spread.least * unit, spread.most * unit);
    format!("{:.1} {range:>16}", spread.median * unit)
}

fn ratio(ratio: &Ratio) {
    let spread = ratio.pairs;
    let (ours, theirs) = ratio.p99;
    print!(
        "  {} to {}: {:.2} ({:.2}..{:.2})",
        ratio.contender, ratio.reference, spread.median, spread.least, spread.most,
    );
    if let Some(most) = ratio.most {
        let held = verdict(spread.median <= most);
        print!(", bound {most:.2}: {held}");
    }
    if theirs > 0.0 {
        let held = verdict(ours <= theirs);
        print!("; p99 {ours:.0} us to {theirs:.0} us: {held}");
    }
    println!();
}

fn kept(kept: &Kept) {
    let Kept {
        contender,
        pages,
        failures,
        records,
        ..
    } = kept;
    let missing = pages.saturating_sub(*records);
    print!("  {contender}: {pages} pages received, {records} on record, {missing} lost");
    if *failures > 0 {
        print!("; {failures} failures of the app");
    }
    if let (Some(rows), Some(losses)) = (kept.rows, kept.losses) {
        print!("; {rows} rows in the store now, {losses} given up or late");
    }
    println!();
}

fn threads((contender, threads): &(String, Vec<(String, f64)>)) {
    let named = threads.iter().filter(|(_, cost)| *cost >= 0.05);
    if named.clone().count() < 2 {
        return;
    }
    let named: Vec<String> = named
        .map(|(name, cost)| format!("{name} {cost:.1}"))
        .collect();
    println!("  {contender}, us/request by thread: {}", named.join(", "));
}

fn parts(split: &Split) {
    println!(
        "  the parts by themselves in this program's build, us: page {:.1}, redaction {:.1}, summary and fingerprint {:.1}, row {:.1} (and {:.1} for its checkpoint), \
         log line {:.1} (and {:.1} to write it)",
        split.page,
        split.redaction,
        split.summary,
        split.row,
        split.checkpoint,
        split.line,
        split.line_writer,
    );
}

/// Prints what was measured otherwise.
pub(crate) fn extra(extra: &Extra, measured: &Measured) {
    println!("\n{}: {}", extra.name, extra.about);
    print!("  {:<18}", "");
    for column in &measured.columns {
        print!(" {column:>24}");
    }
    println!();
    for (contender, values) in &measured.rows {
        print!("  {contender:<18}");
        for value in values {
            let Spread {
                median,
                least,
                most,
            } = value;
            print!(" {:>24}", format!("{median:.2} ({least:.2}..{most:.2})"));
        }
        println!();
    }
    for limit in &measured.limits {
        let held = verdict(limit.value <= limit.most);
        println!(
            "  {}: {:.2}, bound {:.2}: {held}",
            limit.name, limit.value, limit.most
        );
    }
}

fn verdict(held: bool) -> &'static str {
    if held { "held" } else { "missed" }
}

/// The ratios, one a line: what a program reads.
pub(crate) fn ratios(outcomes: &[Outcome], measured: &[Measured]) {
    println!();
    for ratio in outcomes.iter().flat_map(|outcome| &outcome.ratios) {
        println!("{} ratio {:.2}", ratio.name, ratio.pairs.median);
    }
    for limit in measured.iter().flat_map(|measured| &measured.limits) {
        println!("{} ratio {:.2}", limit.name, limit.ratio());
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size to be read")]
fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
