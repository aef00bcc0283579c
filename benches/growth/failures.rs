//! The failures that a store is filled with: two hundred of an app that grew, the first far more frequent than the last.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Version};
use jiff::Timestamp;
use pardon::incident::{
    BodyRecord, Cause, Description, HeaderField, Incident, RequestRecord, Served, UpstreamRecord,
    describe,
};
use pardon::request_id::RequestId;

use crate::dice::Dice;

/// How many failures there are.
const KINDS: usize = 200;
/// The route of a failure that comes twice an hour.
pub(crate) const SELDOM: &str = "admin";
/// The cause of one that comes sixteen times in all.
pub(crate) const RARE: Cause = Cause::Malformed;

const ROUTES: [&str; 8] = [
    "shop", "api", "checkout", "search", "account", "media", "feed", "blog",
];
const CAUSES: [(Cause, u16); 20] = [
    (Cause::UpstreamStatus, 500),
    (Cause::UpstreamStatus, 500),
    (Cause::UpstreamStatus, 500),
    (Cause::UpstreamStatus, 503),
    (Cause::UpstreamStatus, 500),
    (Cause::UpstreamStatus, 502),
    (Cause::HeadTimeout, 504),
    (Cause::UpstreamStatus, 500),
    (Cause::ConnectFailed, 502),
    (Cause::UpstreamStatus, 500),
    (Cause::UpstreamStatus, 500),
    (Cause::ClosedEarly, 502),
    (Cause::UpstreamStatus, 503),
    (Cause::UpstreamStatus, 500),
    (Cause::BrokenOff, 200),
    (Cause::UpstreamStatus, 500),
    (Cause::Disguised, 200),
    (Cause::UpstreamStatus, 501),
    (Cause::TotalTimeout, 504),
    (Cause::NoEndpoint, 503),
];
const HEADERS: [(&str, &str); 11] = [
    ("host", "shop.example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://shop.example.com/catalogue/jars?page=3"),
    ("cookie", "[redacted]"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("x-forwarded-proto", "https"),
    ("priority", "u=0, i"),
];
const WORDS: [&str; 24] = [
    "at ",
    "line ",
    "in ",
    "render",
    "Cart",
    "Order",
    "Session",
    ".py\", ",
    "/srv/app/",
    "controllers/",
    "middleware/",
    "self.",
    "request",
    "return ",
    "<td>",
    "</td></tr>\n",
    "<tr class=\"frame\">",
    "get_response",
    "(",
    ")\n",
    "connection",
    " = ",
    "database",
    "timeout ",
];

/// All failures, and how often each comes.
pub(crate) struct Failures {
    kinds: Vec<Kind>,
    /// Up to which number, of the last's, each comes.
    shares: Vec<u64>,
    seldom: Kind,
    rare: Kind,
    refused: Kind,
    /// After how many incidents the seldom one and the rare one come.
    every: (u64, u64),
    dice: Dice,
    instance: Arc<str>,
    upstream: (Arc<str>, Arc<str>),
}

/// One failure.
struct Kind {
    cause: Cause,
    status: u16,
    route: Arc<str>,
    description: Description,
    /// What every second answer of its looks like.
    body: Bytes,
    headers: Vec<HeaderField>,
}

impl Failures {
    /// For a store of so many incidents.
    pub(crate) fn new(incidents: u64) -> Self {
        let mut dice = Dice(7);
        let mut kinds = Vec::new();
        for ((cause, status), number) in CAUSES.into_iter().cycle().zip(0..KINDS) {
            let route = ROUTES[number * 5 % ROUTES.len()];
            kinds.push(Kind::new(cause, status, route, &mut dice));
        }
        let mut sum = 0;
        let shares = (1..=KINDS as u64).map(|rank| {
            sum += 1_000_000 / rank;
            sum
        });
        Self {
            shares: shares.collect(),
            kinds,
            seldom: Kind::new(Cause::UpstreamStatus, 500, SELDOM, &mut dice),
            rare: Kind::new(RARE, 502, "api", &mut dice),
            refused: Kind::new(Cause::Refused, 431, "shop", &mut dice),
            every: ((incidents / 1440).max(2), (incidents / 16).max(2)),
            dice,
            instance: "web-1".into(),
            upstream: ("app".into(), "http://127.0.0.1:3000".into()),
        }
    }

    /// The incident with this number in time.
    pub(crate) fn incident(&mut self, number: u64, id: RequestId, time: Timestamp) -> Incident {
        let (seldom, rare) = self.every;
        let kind = if number % rare == rare / 2 {
            &self.rare
        } else if number % seldom == 1 {
            &self.seldom
        } else {
            let last = self.shares.last().copied().unwrap_or(1);
            let share = self.dice.below(last);
            let index = self.shares.partition_point(|end| *end <= share);
            self.kinds.get(index).unwrap_or(&self.rare)
        };
        let mut incident = kind.incident(id, time, &self.instance, &mut self.dice);
        incident.upstream = Some(kind.upstream(&self.upstream));
        incident.body = (self.dice.below(10) > 0).then(|| kind.body(number, &mut self.dice));
        incident
    }

    /// A refusal.
    pub(crate) fn refusal(&mut self, id: RequestId, time: Timestamp) -> Incident {
        self.refused
            .incident(id, time, &self.instance, &mut self.dice)
    }
}

impl Kind {
    fn new(cause: Cause, status: u16, route: &str, dice: &mut Dice) -> Self {
        let words = (dice.pick(&WORDS[3..7]), dice.pick(&WORDS[3..7]));
        let name = letters(dice);
        let error = format!("{name}Error: {} of {} failed: {name}", words.0, words.1);
        let length = 1024 + usize::try_from(dice.below(3072)).unwrap_or(0);
        Self {
            cause,
            status,
            route: route.into(),
            description: describe(cause, route, None, b"", Some(&error)),
            body: page(&error, length, dice).into(),
            headers: answer_headers(length),
        }
    }

    fn incident(
        &self,
        id: RequestId,
        time: Timestamp,
        instance: &Arc<str>,
        dice: &mut Dice,
    ) -> Incident {
        let served = Served {
            status: self.status,
            format: "html".into(),
            language: "en".into(),
            template: "built-in".into(),
        };
        Incident {
            seq: 0,
            id,
            time,
            instance: Arc::clone(instance),
            cause: self.cause,
            route: Arc::clone(&self.route),
            summary: self.description.summary.clone(),
            fingerprint: self.description.fingerprint,
            request: request(&self.route, dice),
            upstream: None,
            body: None,
            served: (self.cause != Cause::BrokenOff).then_some(served),
            reference: (dice.below(10) == 0).then(|| format!("{:016x}", dice.roll())),
            trace_id: (dice.below(2) == 0)
                .then(|| format!("{:016x}{:016x}", dice.roll(), dice.roll())),
            evidence: Vec::new(),
            settled: true,
            duration: Duration::from_micros(dice.below(400_000)),
        }
    }

    fn upstream(&self, (name, endpoint): &(Arc<str>, Arc<str>)) -> UpstreamRecord {
        UpstreamRecord {
            name: Arc::clone(name),
            endpoint: Arc::clone(endpoint),
            status: Some(self.status),
            headers: self.headers.clone(),
            attempts: 1,
            head_ms: Some(12.5),
            error: None,
        }
    }

    /// Every second body is like others; the rest has in three places what no other has.
    fn body(&self, number: u64, dice: &mut Dice) -> BodyRecord {
        let mut content = self.body.clone();
        if dice.below(2) == 0 {
            let mut own = content.to_vec();
            for third in own.chunks_exact_mut(content.len() / 3) {
                let mark = format!("{number:012}{:016x}", dice.roll());
                third[..mark.len()].copy_from_slice(mark.as_bytes());
            }
            content = own.into();
        }
        let length = content.len() as u64;
        BodyRecord {
            content,
            content_type: Some("text/html; charset=utf-8".to_owned()),
            content_encoding: None,
            bytes: length,
            kept: length,
            complete: true,
            decoded: true,
            redactions: 0,
        }
    }
}

fn request(route: &str, dice: &mut Dice) -> RequestRecord {
    let count = 3 + usize::try_from(dice.below(7)).unwrap_or(0);
    let each = HEADERS.iter().take(count);
    RequestRecord {
        method: (*dice.pick(&["GET", "GET", "GET", "POST"])).to_owned(),
        url: format!(
            "/{route}/items/{}?page={}",
            dice.below(100_000),
            dice.below(9)
        ),
        version: Version::HTTP_11,
        client: Some([203, 0, 113, dice.roll().to_le_bytes()[0]].into()),
        headers: each.map(|(name, value)| header(name, value)).collect(),
    }
}

fn answer_headers(length: usize) -> Vec<HeaderField> {
    vec![
        header("content-type", "text/html; charset=utf-8"),
        header("content-length", &length.to_string()),
        header("date", "Tue, 03 Jun 2025 08:12:31 GMT"),
    ]
}

fn header(name: &'static str, value: &str) -> HeaderField {
    HeaderField::new(&HeaderName::from_static(name), value.as_bytes())
}

/// A name of eight letters: what tells one failure from another.
fn letters(dice: &mut Dice) -> String {
    (0..8)
        .map(|_| char::from(b'a' + dice.roll().to_le_bytes()[0] % 26))
        .collect()
}

fn page(error: &str, length: usize, dice: &mut Dice) -> String {
    let mut page = format!("<!doctype html><title>{error}</title><h1>{error}</h1>\n");
    while page.len() < length {
        page.push_str(dice.pick::<&str>(&WORDS));
        if dice.below(6) == 0 {
            page.push_str(&dice.below(1000).to_string());
        }
    }
    page
}
