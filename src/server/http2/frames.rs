//! What comes of a connection, seen as frames (RFC 9113, 4.1): whether a head is half there, and what does nothing.
//!
//! The library reads frames and answers them; it bounds what they cost in memory, and not how many there are or how long a head
//! may take. So their heads are looked at on their way to it.

use std::time::Duration;

use tokio::time::Instant;

/// Bytes of a connection's preface (RFC 9113, 3.4), and of a frame's head.
const PREFACE: usize = 24;
const HEAD: usize = 9;

/// Over how long frames that do nothing are counted, and how many there may be in that time.
const IDLE_SPAN: Duration = Duration::from_secs(10);
const IDLE_MOST: u32 = 4000;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// Follows the frames of a connection.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes of the preface that are still to come.
    preface: usize,
    head: [u8; HEAD],
    /// How much of `head` has come.
    filled: usize,
    /// Bytes of a frame's payload that are still to come.
    left: usize,
    /// Whether a request's or its trailers' fields have begun to come and are not whole.
    fields: bool,
    begun: bool,
    foreign: bool,
    idle: u32,
    idle_since: Option<Instant>,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            preface: PREFACE,
            head: [0; HEAD],
            filled: 0,
            left: 0,
            fields: false,
            begun: false,
            foreign: false,
            idle: 0,
            idle_since: None,
        }
    }
}

impl Frames {
    /// Whether more has come that does nothing than a client has reason to send.
    pub(super) fn is_flood(&self) -> bool {
        self.idle > IDLE_MOST
    }

    /// Whether what followed the preface were no settings: its client speaks something else (RFC 9113, 3.4).
    pub(super) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Whether something has begun to come that cannot be acted on before it is whole. The payload of a body's piece is none: its
    /// reader waits for that.
    pub(super) fn is_half(&self) -> bool {
        self.fields || self.filled > 0 || self.preface > 0
    }

    /// So much has come.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = if self.preface > 0 {
                let skipped = self.preface.min(bytes.len());
                self.preface -= skipped;
                skipped
            } else if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                skipped
            } else {
                self.take_head(bytes)
            };
            bytes = bytes.get(skipped..).unwrap_or_default();
        }
    }

    /// Takes what belongs to a frame's head; how much that was.
    fn take_head(&mut self, bytes: &[u8]) -> usize {
        let room = self.head.get_mut(self.filled..).unwrap_or_default();
        let count = room.len().min(bytes.len());
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.filled += count;
        if self.filled == HEAD {
            self.filled = 0;
            let [a, b, c, kind, flags, ..] = self.head;
            self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            self.begin(kind, flags);
        }
        count
    }

    /// A frame begins.
    fn begin(&mut self, kind: u8, flags: u8) {
        if !std::mem::replace(&mut self.begun, true) {
            self.foreign = kind != SETTINGS || flags & ACK != 0;
        }
        match kind {
            HEADERS | CONTINUATION => {
                self.fields = flags & END_HEADERS == 0;
                if kind == CONTINUATION && self.left == 0 {
                    self.count_idle();
                }
            }
            DATA if self.left > 0 || flags & END_STREAM != 0 => {}
            PING if flags & ACK != 0 => {}
            RST_STREAM | WINDOW_UPDATE | GOAWAY => {}
            _ => self.count_idle(),
        }
    }

    fn count_idle(&mut self) {
        let now = Instant::now();
        if self.idle_since.is_none_or(|since| since + IDLE_SPAN <= now) {
            self.idle_since = Some(now);
            self.idle = 0;
        }
        self.idle += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn frames_are_followed_however_they_are_cut() {
        let mut bytes = vec![0; PREFACE];
        bytes.extend(frame(4, 0, &[]));
        bytes.extend(frame(HEADERS, 0, b"abc"));
        bytes.extend(frame(CONTINUATION, END_HEADERS, b"defg"));
        bytes.extend(frame(RST_STREAM, 0, &[0; 4]));
        for size in 1..bytes.len() {
            let mut frames = Frames::default();
            for piece in bytes.chunks(size) {
                frames.take(piece);
            }
            assert!(!frames.is_half(), "{size}");
            assert_eq!(frames.idle, 1, "{size}");
        }
    }

    #[test]
    fn settings_come_first() {
        for (kind, flags, foreign) in [
            (SETTINGS, 0, false),
            (SETTINGS, ACK, true),
            (PING, 0, true),
            (HEADERS, END_HEADERS | END_STREAM, true),
        ] {
            let mut frames = Frames::default();
            frames.take(&[0; PREFACE]);
            frames.take(&frame(kind, flags, &[]));
            frames.take(&frame(SETTINGS, 0, &[]));
            assert_eq!(frames.is_foreign(), foreign, "{kind} {flags}");
        }
    }

    #[test]
    fn a_head_is_half_there_until_its_end() {
        let mut frames = Frames::default();
        frames.take(&[0; PREFACE]);
        assert!(!frames.is_half());
        frames.take(&frame(HEADERS, 0, b"abc"));
        assert!(frames.is_half());
        frames.take(&frame(CONTINUATION, END_HEADERS, b""));
        assert!(!frames.is_half());
        frames.take(&[0, 0]);
        assert!(frames.is_half());
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_do_nothing_are_counted_for_a_while() {
        let mut frames = Frames::default();
        frames.take(&[0; PREFACE]);
        for _ in 0..IDLE_MOST {
            frames.take(&frame(PING, 0, &[0; 8]));
        }
        assert!(!frames.is_flood());
        tokio::time::advance(IDLE_SPAN).await;
        frames.take(&frame(PING, 0, &[0; 8]));
        for _ in 0..IDLE_MOST {
            frames.take(&frame(PING, ACK, &[0; 8]));
            frames.take(&frame(DATA, 0, b"x"));
        }
        assert!(!frames.is_flood());
        for _ in 0..IDLE_MOST {
            frames.take(&frame(DATA, 0, b""));
        }
        assert!(frames.is_flood());
    }
}
