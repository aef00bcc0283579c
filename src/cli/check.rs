//! `pardon check`: is this configuration right? Every problem at once, or a summary of what would run.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{self, Config, Loaded, Report};
use crate::gateway::{self, Findings};
use crate::proxy;

/// Check the configuration and print every problem at once.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration file; default: pardon.toml, then /etc/pardon/pardon.toml.
    #[arg(long, value_name = "FILE", env = "PARDON_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Checks the file and the files that it names. Nothing is bound or started.
///
/// # Errors
///
/// When a standard stream cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let path = match config::find(args.config.as_deref()) {
        Ok(path) => path,
        Err(report) => return refuse(&report),
    };
    let loaded = config::load(&path);
    let Findings { problems, warnings } = findings(&loaded);
    let (Ok(loaded), true) = (loaded, problems.is_empty()) else {
        return refuse(&problems);
    };
    for warning in loaded.warnings.iter().chain(&warnings.into_warnings()) {
        let warning = warning.render(super::color_on(&io::stderr()));
        writeln!(io::stderr(), "{warning}\n")?;
    }
    write!(
        io::stdout(),
        "{} is right\n{}",
        path.display(),
        summary(&loaded)
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Everything that is wrong: with the file, and with what the rest of it names.
pub(super) fn problems(loaded: &Result<Loaded, Report>) -> Report {
    findings(loaded).problems
}

fn findings(loaded: &Result<Loaded, Report>) -> Findings {
    let (problems, config) = match loaded {
        Ok(loaded) => (Report::default(), Some(&loaded.config)),
        Err(report) => (report.clone(), report.readable()),
    };
    let mut findings = Findings {
        problems,
        warnings: Report::default(),
    };
    if let Some(config) = config {
        let built = gateway::findings(config);
        findings.problems.add(built.problems);
        findings.warnings.add(built.warnings);
        for problem in proxy::signature_problems(config) {
            findings.problems.add(problem.into());
        }
    }
    findings
}

fn refuse(problems: &Report) -> anyhow::Result<ExitCode> {
    let count = problems.count();
    let plural = if count == 1 { "" } else { "s" };
    let problems = problems.render(super::color_on(&io::stderr()));
    writeln!(io::stderr(), "{problems}\n\n{count} problem{plural}")?;
    Ok(ExitCode::FAILURE)
}

/// What would run: listeners, upstreams, routes.
fn summary(loaded: &Loaded) -> String {
    let Config {
        server,
        admin,
        upstreams,
        routes,
        ..
    } = &loaded.config;
    let listen = listed(&server.listen);
    let mut lines = vec![format!("  listens on {listen}")];
    if !admin.listen.is_empty() {
        lines.push(format!("  admin on {}", listed(&admin.listen)));
    }
    for (name, upstream) in upstreams {
        lines.push(format!(
            "  upstream {name}: {}",
            listed(&upstream.endpoints)
        ));
    }
    for route in routes {
        let host = if route.host.is_empty() {
            "any host"
        } else {
            &route.host
        };
        lines.push(format!(
            "  route {}: {host} {} -> {}",
            route.name, route.path, route.upstream
        ));
    }
    lines.join("\n") + "\n"
}

fn listed(items: &[impl Display]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_would_run() {
        let loaded = config::for_upstream("http://127.0.0.1:3000", None).unwrap();
        let expected = "  listens on 0.0.0.0:8080\n  admin on 127.0.0.1:9180\n  \
                        upstream app: http://127.0.0.1:3000\n  route app: any host / -> app\n";
        assert_eq!(summary(&loaded), expected);
    }
}
