//! The table of failures: one row each, from which the start page, the printed list and the tests are made.

use std::time::Duration;

use super::act::Act;
use super::answer;

/// One way to fail, or one way to be left alone.
#[derive(Debug)]
pub struct Failure {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Where the app does it.
    pub path: &'static str,
    /// Its name, in a few words.
    pub title: &'static str,
    /// What the app does.
    pub app: &'static str,
    /// What a visitor sees when Pardon stands in front.
    pub visitor: &'static str,
    /// What comes out of Pardon, for tests.
    pub outcome: Outcome,
    /// A made-up secret in what the app sends, which no visitor may see.
    pub secret: Option<&'static str>,
    /// Under which heading it is listed.
    pub group: Group,
    /// How the app does it.
    pub(super) act: Act,
}

/// What comes out of Pardon for a [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Pardon's page with this status.
    Page(u16),
    /// The app's own answer, untouched, with this status.
    Passes(u16),
    /// An answer that is broken off, so that nobody takes it for whole.
    BreaksOff,
}

/// The headings of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The app answers, with an error.
    Errors,
    /// The app does not get as far as an answer.
    Connection,
    /// Nothing to replace.
    LeftAlone,
}

impl Group {
    /// Every group, in the order of the list.
    pub const ALL: [Self; 3] = [Self::Errors, Self::Connection, Self::LeftAlone];

    /// The heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Errors => "The app answers with an error",
            Self::Connection => "The app never gets as far as an answer",
            Self::LeftAlone => "Left exactly as it is",
        }
    }
}

impl Failure {
    /// The command that provokes it at `base`, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn curl(&self, base: &str) -> String {
        let data = if self.method == "POST" {
            "-d article=teapot "
        } else {
            ""
        };
        format!("curl -i {data}{base}{}", self.path)
    }
}

/// Every failure that the app knows, in the order of the list.
#[must_use]
pub fn failures() -> &'static [Failure] {
    FAILURES
}

static FAILURES: &[Failure] = &[
    Failure {
        method: "GET",
        path: "/error/html",
        title: "A debug page",
        app: "Answers 500 with the page its framework shows to developers: stack trace, local variables, settings.",
        visitor: "A calm page with status 500 and a request ID.",
        outcome: Outcome::Page(500),
        secret: Some("tulip-harbour-42"),
        group: Group::Errors,
        act: Act::Whole(answer::debug_page),
    },
    Failure {
        method: "GET",
        path: "/error/json",
        title: "A JSON error",
        app: "Answers 500 with the exception, its stack and a connection string, as JSON.",
        visitor: "The same page; a program that asks for JSON gets problem+json.",
        outcome: Outcome::Page(500),
        secret: Some("copper-lantern-7"),
        group: Group::Errors,
        act: Act::Whole(answer::json_error),
    },
    Failure {
        method: "GET",
        path: "/error/trace",
        title: "A plain stack trace",
        app: "Answers 500 with a stack trace as plain text, three causes deep.",
        visitor: "A calm page with status 500 and a request ID.",
        outcome: Outcome::Page(500),
        secret: Some("walnut-ferry-19"),
        group: Group::Errors,
        act: Act::Whole(answer::plain_trace),
    },
    Failure {
        method: "GET",
        path: "/error/gzip",
        title: "A compressed error",
        app: "Answers 500 with a gzip body, so that the trace is in no log that greps for it.",
        visitor: "A calm page with status 500. The record holds the text, unpacked.",
        outcome: Outcome::Page(500),
        secret: Some("velvet-anchor-63"),
        group: Group::Errors,
        act: Act::Whole(answer::gzip_trace),
    },
    Failure {
        method: "GET",
        path: "/error/head",
        title: "A leak in the headers",
        app: "Answers 500 with next to no body, but with a password in the reason phrase and in a debug header.",
        visitor: "A calm page with status 500 and the standard reason.",
        outcome: Outcome::Page(500),
        secret: Some("amber-kettle-88"),
        group: Group::Errors,
        act: Act::Whole(answer::leaking_head),
    },
    Failure {
        method: "GET",
        path: "/error/empty",
        title: "An empty error",
        app: "Answers 500 with no body at all: a white page.",
        visitor: "A calm page with status 500 instead of a blank one.",
        outcome: Outcome::Page(500),
        secret: None,
        group: Group::Errors,
        act: Act::Whole(answer::empty_error),
    },
    Failure {
        method: "GET",
        path: "/error/large",
        title: "A very long error",
        app: "Answers 500 with two megabytes of log.",
        visitor: "A calm page with status 500, of a few kilobytes. The record holds the beginning and says so.",
        outcome: Outcome::Page(500),
        secret: Some("silver-thistle-27"),
        group: Group::Errors,
        act: Act::Whole(answer::large_error),
    },
    Failure {
        method: "GET",
        path: "/error/slow",
        title: "A slow error",
        app: "Answers 500 and lets its stack trace drip out over four seconds.",
        visitor: "A calm page, almost at once. Pardon reads the rest behind it.",
        outcome: Outcome::Page(500),
        secret: Some("marble-sparrow-51"),
        group: Group::Errors,
        act: Act::Drip {
            answer: answer::slow_trace,
            pieces: 20,
            pause: Duration::from_millis(200),
        },
    },
    Failure {
        method: "GET",
        path: "/error/broken",
        title: "An error that breaks off",
        app: "Answers 500, promises a whole page, sends half of it and hangs up.",
        visitor: "A calm page with status 500. The record holds the half that came, marked as incomplete.",
        outcome: Outcome::Page(500),
        secret: Some("tulip-harbour-42"),
        group: Group::Errors,
        act: Act::Half(answer::debug_page),
    },
    Failure {
        method: "GET",
        path: "/error/busy",
        title: "Too busy",
        app: "Answers 503 with Retry-After, and tells which cache it cannot reach.",
        visitor: "A calm page with status 503; Retry-After is kept.",
        outcome: Outcome::Page(503),
        secret: Some("cedar-violin-34"),
        group: Group::Errors,
        act: Act::Whole(answer::busy),
    },
    Failure {
        method: "POST",
        path: "/error/form",
        title: "A form that fails",
        app: "Takes an order, fails to store it, and answers 500 with the statement that failed.",
        visitor: "A calm page with status 500, which never sends the form again by itself.",
        outcome: Outcome::Page(500),
        secret: Some("saffron-bridge-76"),
        group: Group::Errors,
        act: Act::Whole(answer::failed_order),
    },
    Failure {
        method: "GET",
        path: "/closed",
        title: "Hangs up",
        app: "Reads the request and closes the connection without a word, as a crashing process does.",
        visitor: "A calm page with status 502.",
        outcome: Outcome::Page(502),
        secret: None,
        group: Group::Connection,
        act: Act::Close,
    },
    Failure {
        method: "GET",
        path: "/garbage",
        title: "Not HTTP",
        app: "Answers with what its crash handler prints instead of HTTP.",
        visitor: "A calm page with status 502. Not one byte of the garbage.",
        outcome: Outcome::Page(502),
        secret: Some("ivory-compass-95"),
        group: Group::Connection,
        act: Act::Raw(answer::GARBAGE),
    },
    Failure {
        method: "GET",
        path: "/timeout",
        title: "Never answers",
        app: "Reads the request and says nothing for minutes.",
        visitor: "A calm page with status 504, after the two seconds that this demo allows.",
        outcome: Outcome::Page(504),
        secret: None,
        group: Group::Connection,
        act: Act::Silence,
    },
    Failure {
        method: "GET",
        path: "/refused",
        title: "Not running",
        app: "Is not there: this path leads to a port where nothing listens.",
        visitor: "A calm page with status 502.",
        outcome: Outcome::Page(502),
        secret: None,
        group: Group::Connection,
        act: Act::Elsewhere,
    },
    Failure {
        method: "GET",
        path: "/broken-page",
        title: "A page that breaks off",
        app: "Begins a good page with status 200, sends half of it and hangs up.",
        visitor: "The half that came, broken off so that nobody takes it for whole: the head has already been sent. It is recorded.",
        outcome: Outcome::BreaksOff,
        secret: None,
        group: Group::Connection,
        act: Act::Half(answer::catalogue),
    },
    Failure {
        method: "GET",
        path: "/fine",
        title: "A page that works",
        app: "Answers 200.",
        visitor: "The app's page, byte for byte.",
        outcome: Outcome::Passes(200),
        secret: None,
        group: Group::LeftAlone,
        act: Act::Whole(answer::catalogue),
    },
    Failure {
        method: "GET",
        path: "/missing",
        title: "Not found",
        app: "Answers 404 with a page of its own.",
        visitor: "The app's 404: only 5xx is replaced unless the configuration says more.",
        outcome: Outcome::Passes(404),
        secret: None,
        group: Group::LeftAlone,
        act: Act::Whole(answer::not_found),
    },
    Failure {
        method: "GET",
        path: "/own-page",
        title: "The app's own error page",
        app: "Answers 503 with a page it is proud of, and marks it with X-Pardon-Pass.",
        visitor: "The app's page with its status 503; the mark is removed.",
        outcome: Outcome::Passes(503),
        secret: None,
        group: Group::LeftAlone,
        act: Act::Whole(answer::own_page),
    },
    Failure {
        method: "GET",
        path: "/stream",
        title: "A stream",
        app: "Answers 200 with a line every third of a second, eighteen times.",
        visitor: "Each line as it comes: nothing is held back.",
        outcome: Outcome::Passes(200),
        secret: None,
        group: Group::LeftAlone,
        act: Act::Drip {
            answer: answer::stream,
            pieces: 18,
            pause: Duration::from_millis(333),
        },
    },
];
