//! The verdict over an answer, and the capture of a failed one.
//!
//! [`judge`] consumes what the upstream gave; only [`Verdict::Replace`] holds a failed answer, so a passing body
//! cannot be captured and a failed one cannot be passed on. [`decide`] is the pure rule beneath it. Where it takes the
//! answer's text to decide, the verdict is [`Verdict::Look`]; a passing answer may be looked into on its way
//! ([`disguise`]).

mod capture;
mod decode;
pub mod disguise;
mod look;
mod policy;

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Frame;
use tokio::time::Instant;

use crate::upstream::{Answer, AnswerBody, Seat, UpstreamError};

use disguise::Watch;

pub use capture::{Capture, Captured, Raw};
pub use decode::{Decoded, decode};
pub use look::{Ahead, Disguised, Look, Looked};
pub use policy::Policy;

/// What is to be done with what an upstream gave.
pub enum Verdict {
    /// It goes to the visitor as it is.
    Pass(Passed),
    /// That is seen from its text.
    Look(Box<Look>),
    /// It does not; the visitor gets a page.
    Replace(Failure),
}

/// An answer that goes to the visitor as it is.
pub struct Passed {
    /// Its head, and what is left of its body.
    pub answer: Answer,
    /// What was read of the body.
    pub ahead: Ahead,
    /// What looks into it on its way.
    pub watch: Option<Box<Watch>>,
}

/// A failure that a page takes the place of.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the verdict that holds it is as large for a passing answer"
)]
pub enum Failure {
    /// The app answered, with a status that is intercepted.
    Answered(FailedAnswer),
    /// There is no answer.
    Unanswered(UpstreamError),
}

/// An answer that no visitor sees, unless [`FailedAnswer::original`] says that this one may. Its body can be captured and
/// nothing else.
#[derive(Debug)]
pub struct FailedAnswer {
    /// The status, which the page keeps.
    pub status: StatusCode,
    /// The headers: the record has them all, the page those on the keep list.
    pub headers: HeaderMap,
    /// The endpoint that gave it, as records show it.
    pub endpoint: std::sync::Arc<str>,
    /// How often the request was sent.
    pub attempts: u32,
    /// From the first attempt to this head.
    pub head_time: std::time::Duration,
    /// The body, for [`Capture`].
    pub body: AnswerBody,
    seat: Rc<Seat>,
    begun: Instant,
    /// What came of looking into it, where it took that to decide.
    seen: Option<Box<Seen>>,
}

/// What came of looking into an answer.
#[derive(Debug)]
struct Seen {
    ahead: Vec<Bytes>,
    disguised: Option<Disguised>,
}

impl FailedAnswer {
    /// What was read of its body before it was decided on.
    #[must_use]
    pub fn ahead(&self) -> &[Bytes] {
        self.seen.as_ref().map_or(&[], |seen| &seen.ahead)
    }

    /// What it was found by, where it does not call itself a failure.
    #[must_use]
    pub fn disguised(&self) -> Option<&Disguised> {
        self.seen.as_ref()?.disguised.as_ref()
    }

    /// The answer as it came, but for its reason phrase: for those who may see what the page stands in for.
    #[must_use]
    pub fn original(self) -> Passed {
        let (mut head, ()) = Response::new(()).into_parts();
        head.status = self.status;
        head.headers = self.headers;
        let ahead = self.seen.map(|seen| seen.ahead).unwrap_or_default();
        Passed {
            answer: Answer {
                head,
                body: self.body,
                seat: self.seat,
                attempts: self.attempts,
                begun: self.begun,
            },
            ahead: ahead.into_iter().map(|it| Ok(Frame::data(it))).collect(),
            watch: None,
        }
    }
}

/// What the rule says of an answer's head, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Its status is not intercepted.
    PassStatus,
    /// It carries the pass header: the app's own page.
    PassHeader,
    /// Its media type is left alone.
    PassType,
    /// Its status is intercepted.
    Replace,
}

impl Decision {
    /// Whether the answer goes to the visitor as it is.
    #[must_use]
    pub fn passes(self) -> bool {
        self != Self::Replace
    }
}

/// Gives the verdict over what an upstream gave to a request with this method; `sampled` is asked whether a compressed
/// answer that passes is looked into.
#[must_use]
pub fn judge(
    answer: Result<Answer, UpstreamError>,
    policy: &Policy,
    method: &Method,
    sampled: impl FnOnce(f64) -> bool,
) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Verdict::Replace(Failure::Unanswered(error)),
    };
    let (status, headers) = (answer.head.status, &answer.head.headers);
    match decide(status, headers, policy) {
        Decision::Replace => match policy.look_at_failure(method, status, headers) {
            Some(watch) => Verdict::Look(Box::new(Look {
                answer,
                watch,
                failed: true,
            })),
            None => Verdict::Replace(Failure::Answered(answer.into())),
        },
        Decision::PassStatus => {
            let watch = policy.watch(method, status, headers, sampled);
            match watch {
                Some(watch) if policy.replaces_disguised() => Verdict::Look(Box::new(Look {
                    answer,
                    watch,
                    failed: false,
                })),
                watch => Verdict::Pass(Passed::new(answer, watch)),
            }
        }
        Decision::PassHeader | Decision::PassType => Verdict::Pass(Passed::new(answer, None)),
    }
}

impl Passed {
    fn new(answer: Answer, watch: Option<Watch>) -> Self {
        Self {
            answer,
            ahead: Ahead::new(),
            watch: watch.map(Box::new),
        }
    }
}

impl From<Answer> for FailedAnswer {
    fn from(answer: Answer) -> Self {
        let Answer {
            head,
            body,
            seat,
            attempts,
            begun,
        } = answer;
        // The reason phrase stays behind in the head's extensions: nothing of it may reach a page.
        Self {
            status: head.status,
            headers: head.headers,
            endpoint: std::sync::Arc::clone(seat.name()),
            attempts,
            head_time: begun.elapsed(),
            body,
            seat,
            begun,
            seen: None,
        }
    }
}

/// The rule over an answer's head, without side effects.
#[must_use]
pub fn decide(status: StatusCode, headers: &HeaderMap, policy: &Policy) -> Decision {
    if !policy.intercepts(status) {
        Decision::PassStatus
    } else if policy.has_pass_header(headers) {
        Decision::PassHeader
    } else if policy.leaves_type_alone(headers) {
        Decision::PassType
    } else {
        Decision::Replace
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Intercept;
    use crate::config::units::StatusSet;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    http::HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn the_rule() {
        let policy = Policy::build(&Intercept {
            statuses: StatusSet(vec![500..=503, 404..=404]),
            pass_content_types: vec!["application/problem+json".to_owned(), "image/*".to_owned()],
            ..Intercept::default()
        });
        let html = ("content-type", "text/html; charset=utf-8");
        let problem = ("content-type", "Application/Problem+JSON; charset=utf-8");
        for (status, fields, expected) in [
            (200, &[html][..], Decision::PassStatus),
            (304, &[], Decision::PassStatus),
            (403, &[html], Decision::PassStatus),
            (404, &[html], Decision::Replace),
            (499, &[], Decision::PassStatus),
            (500, &[html], Decision::Replace),
            (500, &[], Decision::Replace),
            (503, &[html], Decision::Replace),
            (504, &[html], Decision::PassStatus),
            (500, &[html, ("x-pardon-pass", "1")], Decision::PassHeader),
            (500, &[html, ("x-pardon-pass", "")], Decision::PassHeader),
            (200, &[html, ("x-pardon-pass", "1")], Decision::PassStatus),
            (500, &[problem], Decision::PassType),
            (500, &[("content-type", "image/png")], Decision::PassType),
            (
                500,
                &[("content-type", "application/json")],
                Decision::Replace,
            ),
            (
                500,
                &[("content-type", "application/problem+jsonx")],
                Decision::Replace,
            ),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                decide(status, &headers(fields), &policy),
                expected,
                "{status} with {fields:?}"
            );
        }
    }

    #[test]
    fn every_5xx_is_intercepted_unless_the_configuration_says_otherwise() {
        let policy = Policy::build(&Intercept::default());
        for code in 100..1000 {
            let status = StatusCode::from_u16(code).unwrap();
            let replaced = decide(status, &HeaderMap::new(), &policy) == Decision::Replace;
            assert_eq!(replaced, (500..600).contains(&code), "{code}");
        }
    }
}
