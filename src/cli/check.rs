//! `pardon check`: is this configuration right? Every problem at once, or a summary of what would run.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{self, Config, Loaded};

/// Check the configuration and print every problem at once.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration file; default: pardon.toml, then /etc/pardon/pardon.toml.
    #[arg(long, value_name = "FILE", env = "PARDON_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Checks the file. `deeper` finds what only later stages can: it is asked once the file itself is right, and gives one text a
/// problem. Nothing is bound or started.
///
/// # Errors
///
/// When a standard stream cannot be written.
pub fn run(args: &Args, deeper: &dyn Fn(&Config) -> Vec<String>) -> anyhow::Result<ExitCode> {
    let color = color_on(&io::stderr());
    let loaded = config::find(args.config.as_deref())
        .and_then(|path| config::load(&path).map(|loaded| (path, loaded)));
    let (path, loaded) = match loaded {
        Ok(loaded) => loaded,
        Err(report) => return refuse(&report.render(color), report.count()),
    };
    let problems = deeper(&loaded.config);
    if !problems.is_empty() {
        return refuse(&problems.join("\n\n"), problems.len());
    }
    for warning in &loaded.warnings {
        writeln!(io::stderr(), "{}\n", warning.render(color))?;
    }
    write!(
        io::stdout(),
        "{} is right\n{}",
        path.display(),
        summary(&loaded)
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Whether to print in colour: on a terminal, unless `NO_COLOR` says otherwise.
fn color_on(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !refused
}

fn refuse(problems: &str, count: usize) -> anyhow::Result<ExitCode> {
    let plural = if count == 1 { "" } else { "s" };
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
