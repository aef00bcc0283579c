//! What comes before a trace, read as a visitor would: whether the answer is about nothing but the failure.
//!
//! A page that shows a failure says that something went wrong, or nothing at all, and shows it. A page about failures
//! (an article, an issue, a paste) has words of its own, links, lists, or code that is marked as code.

use memchr::{memchr, memmem};

/// Words that a page has before the trace at most, and what part of them may be of its own: one in so many.
const MOST_WORDS: usize = 60;
const OWN_WORDS: usize = 4;
/// What a page that calls itself a failure by its status may have before the trace, in words.
const MOST_WORDS_FAILED: usize = 400;
/// A text that stands in the trace again is the failure's own message from this length on.
const MESSAGE: usize = 8;

/// Elements that pages about something have before what they show.
const TELLING: [&str; 12] = [
    "a",
    "nav",
    "article",
    "li",
    "code",
    "form",
    "input",
    "button",
    "blockquote",
    "textarea",
    "img",
    "table",
];
/// Classes of an element that shows code as code.
const CODE_CLASSES: [&str; 9] = [
    "highlight",
    "prettyprint",
    "brush",
    "lang",
    "code",
    "hljs",
    "syntax",
    "paste",
    "log",
];
/// What an apology is made of. The first are those without which there is none.
const FAILING: [&str; 26] = [
    "error",
    "errors",
    "oops",
    "ooops",
    "whoops",
    "sorry",
    "exception",
    "failed",
    "failure",
    "fail",
    "fails",
    "wrong",
    "fatal",
    "problem",
    "crash",
    "crashed",
    "unhandled",
    "uncaught",
    "unexpected",
    "broken",
    "fault",
    "panic",
    "500",
    "404",
    "unavailable",
    "abort",
];
const APOLOGY: &str = "a an and are as at be been by can cannot could did do does during encountered for from had has have \
    here i in is it its just me my not of on or our so something that the there this to try trying up us was we went were what \
    when which while will with you your again administrator ajax apologies apologise apologize app application back below bad \
    caught cause caused code connect connection contact database debug description detail details developer developers happened \
    html http info information inform internal later load loading message messages moment missing more next no occurred occured \
    ok operation page please processed processing quote raised reason refresh reload reported request requested response return \
    returned route routing runtime script server service sql stack stacktrace status support system team technical temporarily \
    then thrown title trace traceback type unable unknown url user value warning web website working not_found found backtrace \
    null undefined query site resource publishing mysql mysqli_error pdo result results die died php python java ruby perl node javascript lang";

/// What an answer says of itself beside its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    /// Whether its status is 400 or more.
    pub(super) failed: bool,
    /// Whether it is a stored document, by its fields.
    pub(super) stored: bool,
    /// Whether it is HTML.
    pub(super) html: bool,
}

/// Whether the answer is about nothing but what comes after `before`, its text up to there.
pub(super) fn is_alone(before: &[u8], after: &[u8], circumstances: Circumstances) -> bool {
    let mut lead = Lead::default();
    if circumstances.html {
        lead.read_html(before, after);
    } else {
        lead.words(before, after);
    }
    if circumstances.failed {
        return lead.total() <= MOST_WORDS_FAILED;
    }
    if circumstances.stored || lead.telling || lead.total() > MOST_WORDS {
        return false;
    }
    // A page without a title may have a name in its place.
    let named = circumstances.html && lead.title.is_none() && lead.failing > 0;
    let own = if named && lead.own == 1 { 0 } else { lead.own };
    // Under a title of its own it is what the page is about.
    let about = if lead.title == Some(false) {
        lead.exceptions
    } else {
        0
    };
    let apologetic = lead.failing > about && own * OWN_WORDS <= lead.total();
    match (lead.total(), lead.title) {
        // A text that is nothing but a trace may be a paste of one.
        (0, None) => circumstances.html,
        (0, Some(failing)) => failing,
        _ => apologetic,
    }
}

/// Whether a page has said nothing yet but its title.
pub(super) fn says_nothing(before: &[u8]) -> bool {
    let mut lead = Lead::default();
    lead.read_html(before, b"");
    !lead.telling && lead.total() == 0
}

/// What was read.
#[derive(Debug, Default)]
struct Lead {
    /// Words of failing, other words of an apology, and words of the page's own.
    failing: usize,
    apology: usize,
    own: usize,
    /// Lines that are an exception: its class, and what it says.
    exceptions: usize,
    /// Whether it has what pages about something have.
    telling: bool,
    /// Whether there is a title that says something, and says that something failed.
    title: Option<bool>,
}

impl Lead {
    fn total(&self) -> usize {
        self.failing + self.apology + self.own
    }

    fn read_html(&mut self, text: &[u8], after: &[u8]) {
        let mut rest = text;
        while let Some(open) = memchr(b'<', rest) {
            let (words, tag) = rest.split_at(open);
            self.words(words, after);
            rest = self.tag(tag, after);
            if self.total() > MOST_WORDS_FAILED {
                return;
            }
        }
        self.words(rest, after);
    }

    /// Reads what begins with a tag: gives what comes after the tag, or after the element where that is no text.
    fn tag<'a>(&mut self, tag: &'a [u8], after: &[u8]) -> &'a [u8] {
        if tag.starts_with(b"<!--") {
            return past(tag, b"-->");
        }
        let end = memchr(b'>', tag).map_or(tag.len(), |end| end + 1);
        let (tag, rest) = tag.split_at(end);
        let name: Vec<_> = tag
            .iter()
            .skip(1)
            .take_while(|byte| byte.is_ascii_alphanumeric())
            .collect();
        let name: String = name
            .iter()
            .map(|byte| char::from(byte.to_ascii_lowercase()))
            .collect();
        match name.as_str() {
            // What stands within one of these is not on the page.
            "style" | "script" => {
                let close = format!("</{name}>");
                self.telling |= memmem::find(rest, close.as_bytes()).is_none();
                past(rest, close.as_bytes())
            }
            "title" => {
                let close = memmem::find(rest, b"</title>");
                self.telling |= close.is_none();
                let (title, rest) = rest.split_at(close.unwrap_or(rest.len()));
                let mut read = Self::default();
                read.words(title, after);
                let says = read.total() > 0 || !title.trim_ascii().is_empty();
                let failing = read.failing > 0 || read.total() == 0;
                self.title = says.then_some(failing);
                rest
            }
            "pre" | "div" if shows_code(tag) => {
                self.telling = true;
                rest
            }
            name => {
                self.telling |= TELLING.contains(&name);
                rest
            }
        }
    }

    /// Counts words, unless they are the message that stands in the trace again.
    fn words(&mut self, text: &[u8], after: &[u8]) {
        let text = text.trim_ascii();
        if text.len() >= MESSAGE && memmem::find(after, text).is_some() {
            return;
        }
        if is_exception(text) {
            self.exceptions += 1;
            self.failing += 1;
            return;
        }
        let text = String::from_utf8_lossy(text).to_ascii_lowercase();
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '\'');
        for word in words.filter(|word| !word.is_empty()) {
            let word = word.trim_matches('\'').replace('\'', "");
            let short = word.len() < 4 && word.bytes().all(|byte| byte.is_ascii_digit());
            if FAILING.contains(&word.as_str()) {
                self.failing += 1;
            } else if word.len() < 2 || word == "nbsp" || short {
                // Of no weight: a status, a mark, the time.
            } else if is_apology(&word) {
                self.apology += 1;
            } else {
                self.own += 1;
            }
        }
    }
}

/// Whether a word is one of an apology's, or an exception's class in passing.
fn is_apology(word: &str) -> bool {
    let class = word.ends_with("error") || word.ends_with("exception");
    class || APOLOGY.split_ascii_whitespace().any(|known| known == word)
}

/// Whether a text is the class of an exception, with or without what it says after a colon.
fn is_exception(text: &[u8]) -> bool {
    let class = |byte: &u8| byte.is_ascii_alphanumeric() || b"._\\:$".contains(byte);
    let end = text.iter().position(|byte| !class(byte));
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let said = name.ends_with(b":") || rest.is_empty();
    let name = name.strip_suffix(b":").unwrap_or(name);
    let named = [&b"Error"[..], b"Exception"].iter().any(|kind| {
        let before = name.len().saturating_sub(kind.len());
        before > 0 && name.ends_with(kind)
    });
    said && named
}

/// Whether an element's classes say that it shows code.
fn shows_code(tag: &[u8]) -> bool {
    let tag = String::from_utf8_lossy(tag).to_ascii_lowercase();
    let Some((_, classes)) = tag.split_once("class=") else {
        return false;
    };
    CODE_CLASSES.iter().any(|class| classes.contains(class))
}

/// What comes after the first `end`.
fn past<'a>(text: &'a [u8], end: &[u8]) -> &'a [u8] {
    let at = memmem::find(text, end).map_or(text.len(), |at| at + end.len());
    text.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &[u8] = b"Traceback (most recent call last):\nKeyError: 'cart of Bob'\n";

    fn alone(before: &str, failed: bool, stored: bool, html: bool) -> bool {
        is_alone(
            before.as_bytes(),
            TRACE,
            Circumstances {
                failed,
                stored,
                html,
            },
        )
    }

    #[test]
    fn an_apology_and_a_trace_are_alone() {
        for before in [
            "",
            "<pre>",
            "<h1>Oops</h1><pre>",
            "<html><body><h1>Error</h1><pre>",
            "<!doctype html><html><head><title>Error</title></head><body><pre>",
            "<title>Shop</title><style>h1 { color: red }</style><h1>Sorry, something went wrong</h1><pre>",
            "<h1>Internal Server Error</h1><p>KeyError: 'cart of Bob'</p><pre>",
            "<html><body><h1>Shop</h1><p>KeyError: 'mug of Ann'</p><pre>",
            "<p>We are sorry, we could not load your cart. Please try again later.</p><pre>",
        ] {
            assert!(alone(before, false, false, true), "{before}");
            assert!(!alone(before, false, true, true), "stored: {before}");
        }
    }

    #[test]
    fn a_page_about_something_is_not() {
        for before in [
            "<title>Paste 42</title><pre>",
            "<h1>Paste 42</h1><pre>",
            "<title>Ticket 12</title><h1>TypeError: my cart is null</h1><pre>",
            "<h1>KeyError in my view</h1><p>I get this:</p><pre>",
            "<h1>Error in my Django view</h1><p>I get this:</p><pre>",
            "<h1>Error</h1><pre class=\"highlight\">",
            "<h1>Error</h1><pre><code>",
            "<nav><a href=\"/\">Home</a></nav><h1>Error</h1><pre>",
            "<h1>Post-mortem: how a missing index took the shop down</h1><h2>The traceback</h2><pre>",
            "<title>KeyError in Cart.total - Issues</title><h1>KeyError in Cart.total</h1><pre>",
        ] {
            assert!(!alone(before, false, false, true), "{before}");
        }
    }

    #[test]
    fn a_status_of_failure_makes_it_so() {
        let before = "<nav><a href=\"/\">Home</a></nav><h1>This page is not in our shop</h1><pre>";
        assert!(alone(before, true, false, true));
        assert!(!alone(&"<p>word</p>".repeat(500), true, false, true));
    }

    #[test]
    fn a_text_that_is_a_trace_may_be_a_paste() {
        assert!(!alone("", false, false, false));
        assert!(alone("Sorry, an error occurred:\n", false, false, false));
        assert!(alone("", true, false, false));
        assert!(!alone(
            "2024-02-03 worker-7 ERROR checkout\n",
            false,
            false,
            false
        ));
    }
}
