//! What an answer tells, and what is to be done about it.

use std::sync::LazyLock;

use regex::bytes::Regex;
use serde::Serialize;

use super::side::{Answer, Ask, Side};
use crate::cli::told;
use crate::intercept::disguise::{Disguise, Sign};

/// Places of one finding that are kept; the others are counted.
const MOST_PLACES: usize = 5;
/// How much of an answer is searched for versions, in bytes.
const SEARCHED: usize = 64 << 10;

/// The framework of a signature that fits several.
const ANY: &str = "any";

/// The rules that every answer is held against.
static RULES: LazyLock<Disguise> = LazyLock::new(Disguise::of_failures);
/// A name of software with its version, in the text of an answer.
static VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names = "Apache|Apache Tomcat|nginx|openresty|lighttpd|Jetty|Microsoft-IIS|IIS|PHP|Werkzeug|Python|gunicorn|\
        CherryPy|Dancer2|Phusion Passenger|WildFly|JBoss|GlassFish|Catalyst|Rack|Puma|OpenSSL|Django|Ruby on Rails|Symfony|Laravel";
    Regex::new(&format!(r"(?-u)\b(?:{names})[/ ]v?\d+(?:\.\d+)+")).ok()
});

/// Something that an app tells, or fails to say.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    #[serde(flatten)]
    pub(super) what: What,
    /// The first places where it was found, and in how many answers in all.
    pub(super) places: Vec<Place>,
    pub(super) count: usize,
    /// What a visitor gets with Pardon in front, once that was asked.
    pub(super) with_pardon: String,
    pub(super) advice: String,
    #[serde(skip)]
    ask: Option<Ask>,
}

/// What there is to find.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub(super) enum What {
    /// Internals are shown, though the status says that nothing failed.
    DisguisedLeak { evidence: Vec<Evidence> },
    /// Internals are shown in an answer that says that it failed.
    Leak { evidence: Vec<Evidence> },
    /// There is no whole answer.
    NoAnswer { reason: String },
    /// A failure has no page: nothing for a visitor to read.
    BarePage { status: u16 },
    /// A text names what the app is made of.
    Version { text: String },
    /// So does a header field.
    Header { field: String, value: String },
}

/// A signature in an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Evidence {
    pub(super) signature: String,
    pub(super) framework: String,
    pub(super) weight: u32,
    pub(super) offset: u64,
}

/// Where it was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Place {
    pub(super) method: &'static str,
    pub(super) target: String,
    pub(super) status: Option<u16>,
    pub(super) why: String,
}

/// What there is to find in an answer, or in its absence.
pub(super) fn found_in(ask: &Ask, answer: Result<&Answer, &String>) -> Vec<Finding> {
    let finding = |what: What, status| Finding {
        advice: what.advice(),
        what,
        places: vec![Place {
            method: ask.method,
            target: ask.target.clone(),
            status,
            why: ask.why.clone(),
        }],
        count: 1,
        with_pardon: String::new(),
        ask: Some(ask.clone()),
    };
    let no_answer = |reason: String| vec![finding(What::NoAnswer { reason }, None)];
    let answer = match answer {
        Err(reason) => return no_answer(reason.clone()),
        Ok(answer) if answer.is_proxys() => {
            let status = answer.status.as_u16();
            // What Pardon refuses itself never came to the app.
            return match status {
                400..500 => Vec::new(),
                _ => no_answer(format!(
                    "where an answer should be there is status {status}"
                )),
            };
        }
        Ok(answer) => answer,
    };
    let status = Some(answer.status.as_u16());
    let found = in_answer(answer);
    found
        .into_iter()
        .map(|what| finding(what, status))
        .collect()
}

fn in_answer(answer: &Answer) -> Vec<What> {
    let status = answer.status.as_u16();
    let mut found = Vec::new();
    let (signs, bare) = looked_into(answer);
    if !signs.is_empty() {
        let evidence = signs.iter().map(Evidence::of).collect();
        found.push(match status {
            500.. => What::Leak { evidence },
            _ => What::DisguisedLeak { evidence },
        });
    } else if status >= 500 && bare {
        found.push(What::BarePage { status });
    }
    if !answer.whole {
        let reason = "the answer breaks off".to_owned();
        found.push(What::NoAnswer { reason });
    }
    if status >= 400 {
        let text = answer.body.get(..SEARCHED).unwrap_or(&answer.body);
        let version = VERSION.as_ref().and_then(|version| version.find(text));
        found.extend(version.map(|version| What::Version {
            text: String::from_utf8_lossy(version.as_bytes()).into_owned(),
        }));
    }
    let telling = answer.headers.iter().filter(|(name, _)| told::tells(name));
    found.extend(telling.map(|(name, value)| What::Header {
        field: name.to_string(),
        value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
    }));
    found
}

/// The signs of a failure in an answer, and whether it is a page that nobody designed.
fn looked_into(answer: &Answer) -> (Vec<Sign>, bool) {
    let Some(mut watch) = RULES.watch_failure(answer.status, &answer.headers) else {
        return (Vec::new(), true);
    };
    watch.feed(&answer.body, true);
    let signs = if watch.is_found() {
        watch.signs().to_vec()
    } else {
        Vec::new()
    };
    (signs, watch.is_bare())
}

impl Finding {
    /// Whether another is the same, found elsewhere.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        match (&self.what, &other.what) {
            (What::Leak { evidence }, What::Leak { evidence: others })
            | (What::DisguisedLeak { evidence }, What::DisguisedLeak { evidence: others }) => {
                let first = |of: &[Evidence]| of.first().map(|first| first.signature.clone());
                first(evidence) == first(others)
            }
            // A cookie's or a timing's value changes with each answer; what tells is the field.
            (What::Header { field, .. }, What::Header { field: other, .. }) => field == other,
            (what, other) => what == other,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.count += other.count;
        let room = MOST_PLACES.saturating_sub(self.places.len());
        self.places.extend(other.places.into_iter().take(room));
    }

    /// The worst first.
    pub(super) fn rank(&self) -> u8 {
        match self.what {
            What::DisguisedLeak { .. } => 0,
            What::Leak { .. } => 1,
            What::NoAnswer { .. } => 2,
            What::BarePage { .. } => 3,
            What::Version { .. } => 4,
            What::Header { .. } => 5,
        }
    }

    /// Asks for its first place again with Pardon in front.
    pub(super) fn compare(&mut self, before: &Side) {
        let Some(ask) = &self.ask else { return };
        self.with_pardon = match before.ask(ask) {
            Err(reason) => format!("no answer: {reason}"),
            Ok(answer) if answer.is_page() => format!(
                "a page with status {} and a reference, and nothing of this",
                answer.status.as_u16()
            ),
            Ok(answer) => self.what.fate(&answer),
        };
    }
}

impl What {
    /// What becomes of it in an answer that is the app's own.
    fn fate(&self, answer: &Answer) -> String {
        let still = in_answer(answer).iter().any(|what| match (self, what) {
            (Self::Header { field, .. }, Self::Header { field: other, .. }) => field == other,
            (mine, other) => std::mem::discriminant(mine) == std::mem::discriminant(other),
        });
        match (still, self) {
            (true, Self::Header { field, .. }) => {
                format!("passes; `strip_headers = [\"{field}\"]` in [intercept] takes it out")
            }
            (true, Self::Version { .. }) => {
                "passes, as its status is not one that is replaced".to_owned()
            }
            (true, _) => "passes, and is recorded where Pardon finds it".to_owned(),
            (false, _) => "not there this time".to_owned(),
        }
    }

    /// What a person can do about it in the app.
    fn advice(&self) -> String {
        match self {
            Self::DisguisedLeak { evidence } | Self::Leak { evidence } => {
                let mut frameworks = evidence.iter().map(|one| one.framework.as_str());
                advice_for(frameworks.find(|name| *name != ANY).unwrap_or_default())
            }
            Self::NoAnswer { .. } => "see the app's log: it died, hung, or closed the connection".to_owned(),
            Self::BarePage { .. } => "give the app or its server a page for this status, or let Pardon serve one".to_owned(),
            Self::Version { .. } => "turn off the server's signature in its own pages, such as ServerTokens Prod or server_tokens off".to_owned(),
            Self::Header { field, .. } => format!("turn the field `{field}` off in the app, or let Pardon take it out"),
        }
    }

    /// What it is, on a line.
    pub(super) fn title(&self) -> String {
        match self {
            Self::DisguisedLeak { evidence } => {
                format!(
                    "An answer that calls itself good shows internals{}",
                    of(evidence)
                )
            }
            Self::Leak { evidence } => format!("A failure shows internals{}", of(evidence)),
            Self::NoAnswer { reason } => format!("There is no whole answer: {reason}"),
            Self::BarePage { status } => {
                format!("A failure with status {status} has no page for visitors")
            }
            Self::Version { text } => format!("An error page names the software: {text}"),
            Self::Header { field, value } => format!("A header field tells: {field}: {value}"),
        }
    }
}

impl Evidence {
    fn of(sign: &Sign) -> Self {
        Self {
            signature: sign.signature.clone(),
            framework: sign.framework.clone(),
            weight: sign.weight,
            offset: sign.offset,
        }
    }
}

/// The frameworks of the evidence behind a colon, each once; nothing where all of it fits several.
fn of(evidence: &[Evidence]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for one in evidence {
        if one.framework != ANY && !names.contains(&one.framework.as_str()) {
            names.push(&one.framework);
        }
    }
    if names.is_empty() {
        return String::new();
    }
    format!(": {}", names.join(", "))
}

fn advice_for(framework: &str) -> String {
    let known = match framework {
        "PHP" | "Xdebug" => "set display_errors = Off and log_errors = On in php.ini",
        "WordPress" => "set WP_DEBUG_DISPLAY to false in wp-config.php",
        "Django" => "set DEBUG = False and ALLOWED_HOSTS in the settings",
        "Werkzeug" | "Starlette" | "Bottle" | "Sanic" | "Litestar" => {
            "run the app without debug=True"
        }
        "Laravel" | "Whoops" => "set APP_DEBUG=false in .env",
        "Symfony" => "set APP_ENV=prod and APP_DEBUG=0",
        "Rails" | "Rack" | "Sinatra" => "run the app with RAILS_ENV or RACK_ENV = production",
        "Express" | "Node.js" | "Koa" => "run the app with NODE_ENV=production",
        "Tomcat" | "Java" => {
            "set showReport=\"false\" on the ErrorReportValve, and an error-page in web.xml"
        }
        "Spring" => "set server.error.include-stacktrace=never",
        "ASP.NET" => "set customErrors mode=\"RemoteOnly\" in web.config",
        "ASP.NET Core" => "set ASPNETCORE_ENVIRONMENT=Production",
        "Mojolicious" | "Dancer" | "Plack" => "run the app in its production environment",
        _ => "turn off what shows errors in the app, and log them instead",
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frameworks_are_named_once_and_any_is_none() {
        let evidence = |names: &[&str]| -> Vec<Evidence> {
            let one = |name: &&str| Evidence {
                signature: "s".to_owned(),
                framework: (*name).to_owned(),
                weight: 100,
                offset: 0,
            };
            names.iter().map(one).collect()
        };
        for (names, expected) in [
            (&["PHP", "any", "PHP"][..], ": PHP"),
            (&["any", "Rack", "Rails", "Rack"], ": Rack, Rails"),
            (&["any", "any"], ""),
        ] {
            assert_eq!(of(&evidence(names)), expected, "{names:?}");
        }
    }
}
