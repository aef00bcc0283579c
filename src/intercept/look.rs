//! An answer whose beginning is to be seen before it is decided on: it is held back, within bounds, and looked into.
//!
//! Bounds: `disguise.hold_bytes` and `disguise.hold`. What was held goes on its way in its pieces, or into the capture.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Instant, timeout_at};

use super::disguise::{Sign, Watch};
use super::{FailedAnswer, Failure, Passed, Policy, Seen};
use crate::upstream::{Answer, AnswerFault};

/// What was held of an answer, in its order.
pub type Ahead = VecDeque<Result<Frame<Bytes>, AnswerFault>>;

/// An answer that is not decided on yet.
pub struct Look {
    pub(super) answer: Answer,
    pub(super) watch: Watch,
    /// Whether it is replaced for being bare too: its status is intercepted.
    pub(super) failed: bool,
}

/// What looking came to.
pub enum Looked {
    /// It goes to the visitor.
    Pass(Passed),
    /// It does not.
    Replace(Failure),
}

impl Look {
    /// Reads on until it is found to be a failure, or has ended, or has been held for long enough.
    pub async fn decide(mut self, policy: &Policy) -> Looked {
        let (most, wait) = policy.hold();
        let ahead = self.hold(most, wait).await;
        let ended = self.answer.body.is_over();
        let found = self.watch.is_found();
        if found || (self.failed && ended && self.watch.is_bare()) {
            return Looked::Replace(self.replace(policy, ahead));
        }
        // What calls itself a failure and passes is no failure in disguise.
        let watch = (!self.failed).then(|| Box::new(self.watch));
        Looked::Pass(Passed {
            answer: self.answer,
            ahead,
            watch,
        })
    }

    /// Reads what comes in time, as far as it fits.
    async fn hold(&mut self, most: usize, wait: Duration) -> Ahead {
        let until = Instant::now() + wait;
        let mut ahead = Ahead::new();
        let mut held = 0;
        while held < most && !self.watch.is_found() && !self.answer.body.is_over() {
            let body = &mut self.answer.body;
            let Ok(piece) = timeout_at(until, poll_fn(|cx| body.poll_piece(cx))).await else {
                break;
            };
            let Some(piece) = piece else { break };
            if let Ok(frame) = &piece {
                let data = frame.data_ref().map_or(&b""[..], |data| data);
                held += data.len();
                self.watch.feed(data, self.answer.body.is_over());
            }
            let broken = piece.is_err();
            ahead.push_back(piece);
            if broken {
                return ahead;
            }
        }
        if self.answer.body.is_over() {
            self.watch.feed(b"", true);
        }
        ahead
    }

    fn replace(self, policy: &Policy, ahead: Ahead) -> Failure {
        let mut failure = FailedAnswer::from(self.answer);
        let frames = ahead.into_iter().filter_map(Result::ok);
        failure.seen = Some(Box::new(Seen {
            ahead: frames.filter_map(|frame| frame.into_data().ok()).collect(),
            disguised: (!self.failed).then(|| Disguised {
                status: policy.disguise_status(),
                signs: self.watch.signs().to_vec(),
            }),
        }));
        Failure::Answered(failure)
    }
}

/// What a failure was found by that did not call itself one.
#[derive(Clone, Debug)]
pub struct Disguised {
    /// The status that its page has.
    pub status: http::StatusCode,
    /// What was found.
    pub signs: Vec<Sign>,
}
