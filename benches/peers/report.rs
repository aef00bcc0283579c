//! What is printed: a table for each scenario, and the ratios once more at the end.

use crate::contest::{Kept, Outcome, Ratio};
use crate::figures::Figures;
use crate::scenario::Scenario;

/// Prints a scenario's table.
pub(crate) fn print(scenario: &Scenario, outcome: &Outcome) {
    println!("\n{}: {}", scenario.name, scenario.about);
    println!("  each answered with {}", outcome.answers);
    println!(
        "  {:<18} {:>26} {:>9} {:>7} {:>7} {:>7} {:>10} {:>9}",
        "",
        "CPU us/request (min..max)",
        "req/s",
        "p50 us",
        "p99",
        "p99.9",
        "conns/1000",
        "peak MiB"
    );
    outcome.figures.iter().for_each(line);
    outcome.ratios.iter().for_each(ratio);
    outcome.kept.iter().for_each(kept);
    for round in &outcome.rounds {
        if let Some(wrong) = &round.wrong {
            let (name, number) = (&round.contender, round.number);
            println!("  not counted: {name} in round {number}: {wrong}");
        }
    }
}

fn line(figures: &Figures) {
    let cpu = figures.cpu;
    let range = format!("({:.1}..{:.1})", cpu.least, cpu.most);
    println!(
        "  {:<18} {:>9.1} {range:>16} {:>9.0} {:>7.0} {:>7.0} {:>7.0} {:>10.2} {:>9.1}",
        figures.contender,
        cpu.median,
        figures.rate.median,
        figures.p50.median,
        figures.p99.median,
        figures.p999.median,
        figures.connections,
        mebibytes(figures.memory),
    );
}

fn ratio(ratio: &Ratio) {
    let spread = ratio.pairs;
    let verdict = |held| if held { "held" } else { "missed" };
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
    print!(
        "  {contender}: {failures} failures of the app, {pages} pages received, {records} on record, {missing} lost"
    );
    if let (Some(rows), Some(losses)) = (kept.rows, kept.losses) {
        print!("; {rows} rows in the store now, {losses} given up or late");
    }
    println!();
}

/// The ratios, one a line: what a program reads.
pub(crate) fn ratios<'a>(ratios: impl Iterator<Item = &'a Ratio>) {
    println!();
    for ratio in ratios {
        println!("{} ratio {:.2}", ratio.name, ratio.pairs.median);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size to be read")]
fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
