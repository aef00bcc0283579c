//! The programs that have to be on the machine. None is installed; what is missing is said, and what can be measured without it.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use crate::contender::Peer;
use crate::plan::Plan;

/// A program of Debian's.
struct Program {
    name: &'static str,
    package: &'static str,
    /// What makes it print its version.
    version: &'static str,
    /// What is measured without it.
    without: &'static str,
}

const WRK: Program = Program {
    name: "wrk",
    package: "wrk",
    version: "-v",
    without: "idle, start",
};
const H2LOAD: Program = Program {
    name: "h2load",
    package: "nghttp2-client",
    version: "--version",
    without: "all but pass-h2-tls",
};
const NGINX: Program = Program {
    name: "nginx",
    package: "nginx-light",
    version: "-v",
    without: "two-workers",
};
const HAPROXY: Program = Program {
    name: "haproxy",
    package: "haproxy",
    version: "-v",
    without: "two-workers",
};
const CADDY: Program = Program {
    name: "caddy",
    package: "caddy",
    version: "version",
    without: "all but pass-1k and replace-page",
};

/// Says what has to be installed for a plan.
pub(crate) fn check(plan: &Plan) -> Result<()> {
    let mut missing = needed(plan);
    missing.retain(|program| !program.is_there());
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|program| program.name).collect();
    let packages: Vec<&str> = missing.iter().map(|program| program.package).collect();
    let mut said = format!(
        "not on this machine: {}. Install\n    apt-get install {}\nor name with --scenario what is measured without",
        names.join(", "),
        packages.join(" ")
    );
    for Program { name, without, .. } in missing {
        // Writing to a string cannot fail.
        _ = write!(said, "\n    {name}: {without}");
    }
    bail!(said)
}

/// The machine and the versions of what is measured on it.
pub(crate) fn about(plan: &Plan) -> Vec<String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors
        .lines()
        .find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": "));
    let kernel = read("/proc/sys/kernel/osrelease");
    let mut about = vec![format!(
        "{}, Linux {}",
        model.map_or("a processor without a name", |(_, model)| model),
        kernel.trim()
    )];
    about.extend(needed(plan).into_iter().map(Program::about));
    about
}

fn needed(plan: &Plan) -> Vec<&'static Program> {
    let haproxies = [Peer::Haproxy, Peer::HaproxyRaw, Peer::Relay];
    let all = [
        (&WRK, plan.needs_load()),
        (&H2LOAD, plan.needs_streams()),
        (&NGINX, plan.needs(Peer::Nginx)),
        (&HAPROXY, haproxies.iter().any(|peer| plan.needs(*peer))),
        (&CADDY, plan.needs(Peer::Caddy)),
    ];
    let needed = all.into_iter().filter(|(_, is_needed)| *is_needed);
    needed.map(|(program, _)| program).collect()
}

impl Program {
    fn is_there(&self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(self.name).is_file())
    }

    /// The first line that it prints about itself.
    fn about(&self) -> String {
        let printed = Command::new(self.name).arg(self.version).output();
        let printed = printed.map(|printed| [printed.stdout, printed.stderr].concat());
        let printed = String::from_utf8_lossy(&printed.unwrap_or_default()).into_owned();
        let line = printed.lines().next().unwrap_or_default().trim();
        if line.contains(self.name) {
            return line.to_owned();
        }
        format!("{} {line}", self.name)
    }
}
