//! The chunked coding (RFC 9112, 7.1), read strictly: sizes in hexadecimal digits, lines that end in CR LF.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Malformed;
use super::decoder::Decoded;

/// How many bytes of extensions a body may have in all, and how many its trailers may have.
const MOST: usize = 16 * 1024;

/// How many trailers there may be.
const TRAILERS: usize = 64;

const TOO_MANY: &str = "more than 64 trailers follow its last chunk; the app must send fewer, or send them as header fields";

/// A chunked body that is being read.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    extensions: usize,
    padding: Padding,
}

/// Whether a chunk's size may have zeros before it or blanks behind it. Some apps write sizes of a fixed width; of clients only
/// those do who want two parsers to disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    Allowed,
    Refused,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In a chunk's size, of which so many digits have come.
    Size {
        size: u64,
        digits: u8,
    },
    /// After a size and blanks, where an extension may begin.
    Blank {
        size: u64,
    },
    /// In an extension, which is thrown away.
    Extension {
        size: u64,
    },
    /// At the line feed of a size's line.
    SizeEnd {
        size: u64,
    },
    /// In a chunk's data, of which so many bytes are to come.
    Data {
        left: u64,
    },
    /// At the line end after a chunk's data.
    DataEnd,
    /// After the last chunk.
    Trailers,
    Over,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

impl Chunked {
    pub(crate) fn new(padding: Padding) -> Self {
        Self {
            state: State::default(),
            extensions: 0,
            padding,
        }
    }

    /// Whether all of it was read, trailers included.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Takes the next piece out of `input`.
    pub(crate) fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, Malformed> {
        loop {
            match self.state {
                State::Data { left } => {
                    let Some(data) = take(input, left) else {
                        return Ok(Decoded::More);
                    };
                    let left = left - data.len() as u64;
                    self.state = if left == 0 {
                        State::DataEnd
                    } else {
                        State::Data { left }
                    };
                    return Ok(Decoded::Data(data));
                }
                State::DataEnd => match input.get(..2) {
                    Some(b"\r\n") => {
                        input.advance(2);
                        self.state = State::default();
                    }
                    None if input.is_empty() || input.starts_with(b"\r") => {
                        return Ok(Decoded::More);
                    }
                    _ => return Err(Malformed("a chunk is longer than its size says")),
                },
                State::Trailers => return self.trailers(input),
                State::Over => return Ok(Decoded::Over),
                State::Size { .. }
                | State::Blank { .. }
                | State::Extension { .. }
                | State::SizeEnd { .. } => {
                    let Some(byte) = input.first().copied() else {
                        return Ok(Decoded::More);
                    };
                    input.advance(1);
                    self.state = self.size_line(byte)?;
                }
            }
        }
    }

    /// One byte of a size's line.
    fn size_line(&mut self, byte: u8) -> Result<State, Malformed> {
        match (self.state, byte) {
            (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                if digits > 0 && size == 0 && self.padding == Padding::Refused {
                    return Err(Malformed("a chunk's size begins with zeros"));
                }
                if digits == 16 {
                    return Err(Malformed("a chunk's size has too many digits"));
                }
                Ok(State::Size {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                })
            }
            (State::Size { digits: 0, .. }, _) => {
                Err(Malformed("a chunk has no size in hexadecimal digits"))
            }
            (State::Blank { .. }, b'\r') if self.padding == Padding::Refused => {
                Err(Malformed("a chunk's size has blanks behind it"))
            }
            (
                State::Size { size, .. } | State::Blank { size } | State::Extension { size },
                b'\r',
            ) => Ok(State::SizeEnd { size }),
            (State::Size { size, .. } | State::Blank { size }, b';') => {
                Ok(State::Extension { size })
            }
            (State::Size { size, .. } | State::Blank { size }, b' ' | b'\t') => {
                self.extensions += 1;
                if self.extensions > MOST {
                    return Err(Malformed("its chunks have extensions without end"));
                }
                Ok(State::Blank { size })
            }
            (State::Extension { size }, _) if byte == b'\t' || !byte.is_ascii_control() => {
                self.extensions += 1;
                if self.extensions > MOST {
                    return Err(Malformed("its chunks have extensions without end"));
                }
                Ok(State::Extension { size })
            }
            (State::SizeEnd { size: 0 }, b'\n') => Ok(State::Trailers),
            (State::SizeEnd { size }, b'\n') => Ok(State::Data { left: size }),
            _ => Err(Malformed("a chunk's size does not end its line")),
        }
    }

    fn trailers(&mut self, input: &mut BytesMut) -> Result<Decoded, Malformed> {
        if input.starts_with(b"\r\n") {
            input.advance(2);
            self.state = State::Over;
            return Ok(Decoded::Over);
        }
        let end = memchr::memmem::find(input, b"\n\r\n").map(|at| at + 3);
        let lines = input.get(..end.unwrap_or(input.len())).unwrap_or_default();
        // A line that ends otherwise is not one for everybody.
        let mut ends = memchr::memchr_iter(b'\n', lines);
        if ends.any(|at| at == 0 || lines.get(at - 1) != Some(&b'\r')) {
            return Err(Malformed("a trailer's line ends in a bare LF"));
        }
        if lines.len() > MOST {
            return Err(Malformed("its trailers are too long"));
        }
        if end.is_none() {
            return Ok(Decoded::More);
        }
        let mut fields = [httparse::EMPTY_HEADER; TRAILERS];
        let malformed = Malformed("its trailers are no header fields");
        let (length, fields) = match httparse::parse_headers(lines, &mut fields) {
            Ok(httparse::Status::Complete(parsed)) => parsed,
            Err(httparse::Error::TooManyHeaders) => return Err(Malformed(TOO_MANY)),
            _ => return Err(malformed),
        };
        let mut trailers = HeaderMap::with_capacity(fields.len());
        for field in fields {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let value = HeaderValue::from_bytes(field.value);
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(malformed);
            };
            trailers.append(name, value);
        }
        input.advance(length);
        self.state = State::Over;
        Ok(Decoded::Trailers(trailers))
    }
}

/// What `input` has of the next `left` bytes.
pub(super) fn take(input: &mut BytesMut, left: u64) -> Option<Bytes> {
    if input.is_empty() {
        return None;
    }
    let most = usize::try_from(left).unwrap_or(usize::MAX);
    let data = if most < input.len() {
        input.split_to(most)
    } else {
        input.split()
    };
    Some(data.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a body comes to when it arrives in pieces of `size` bytes: its data, its trailers, what is left after it.
    fn read(body: &[u8], size: usize) -> Result<(Vec<u8>, usize, usize), Malformed> {
        let (mut chunked, mut input) = (Chunked::new(Padding::Allowed), BytesMut::new());
        let (mut data, mut trailers) = (Vec::new(), 0);
        for piece in body.chunks(size) {
            input.extend_from_slice(piece);
            loop {
                match chunked.decode(&mut input)? {
                    Decoded::Data(piece) => data.extend_from_slice(&piece),
                    Decoded::Trailers(fields) => trailers = fields.len(),
                    Decoded::Over | Decoded::More => break,
                }
            }
        }
        assert!(chunked.is_over(), "it is not over");
        Ok((data, trailers, input.len()))
    }

    #[test]
    fn a_body_reads_the_same_however_it_is_cut() {
        let body = b"5\r\nhello\r\n06 ; a=\"b\"\r\n world\r\n0;x\r\nA: 1\r\nB: 2\r\n\r\nHTTP";
        for size in 1..body.len() {
            let (data, trailers, left) = read(body, size).unwrap();
            assert_eq!((&data[..], trailers), (&b"hello world"[..], 2), "{size}");
            assert_eq!(left, 4, "what comes after it stays");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for body in [
            &b"\r\n"[..],
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"-1\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"5;a\nb\r\nhello\r\n0\r\n\r\n",
            b"5;\x00\r\nhello\r\n0\r\n\r\n",
            b"5 7\r\nhello\r\n0\r\n\r\n",
            b"0\r\n\n",
            b"0\r\nA: 1\n\n",
            b"0\r\nA: 1\n\r\n",
            b"0\r\nA: 1\nB: 2\r\n\r\n",
            b"10000000000000000\r\n",
            b"0\r\nno field\r\n\r\n",
        ] {
            let read = std::panic::catch_unwind(|| read(body, 1).is_err());
            assert!(read.unwrap_or(false), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn padded_sizes_are_an_apps_privilege() {
        for (body, padding, whole) in [
            (&b"5 \r\nhello\r\n0\t\r\n\r\n"[..], Padding::Allowed, true),
            (b"5 \r\nhello\r\n0\r\n\r\n", Padding::Refused, false),
            (b"5\r\nhello\r\n0\t\r\n\r\n", Padding::Refused, false),
            (b"5 ;a\r\nhello\r\n0\r\n\r\n", Padding::Refused, true),
            (b"05\r\nhello\r\n00\r\n\r\n", Padding::Allowed, true),
            (b"05\r\nhello\r\n0\r\n\r\n", Padding::Refused, false),
            (b"5\r\nhello\r\n00\r\n\r\n", Padding::Refused, false),
            (b"5\r\nhello\r\n0\r\n\r\n", Padding::Refused, true),
        ] {
            let mut chunked = Chunked::new(padding);
            let mut input = BytesMut::from(body);
            let read = loop {
                match chunked.decode(&mut input) {
                    Ok(Decoded::Over) => break true,
                    Ok(_) => {}
                    Err(_) => break false,
                }
            };
            assert_eq!(read, whole, "{} {padding:?}", body.escape_ascii());
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let extension = [b"1;".to_vec(), vec![b'x'; MOST + 1]].concat();
        assert!(read(&extension, 1000).is_err());
        let trailers = [b"0\r\nA: ".to_vec(), vec![b'x'; MOST + 1]].concat();
        assert!(read(&trailers, 1000).is_err());
    }

    #[test]
    fn too_many_trailers_are_said_to_be_too_many() {
        let body = |count| format!("0\r\n{}\r\n", "A: 1\r\n".repeat(count));
        assert!(read(body(TRAILERS).as_bytes(), 1000).is_ok());
        let error = read(body(TRAILERS + 1).as_bytes(), 1000).unwrap_err();
        assert_eq!(error.0, TOO_MANY);
        assert!(TOO_MANY.contains(&format!("than {TRAILERS} ")));
    }
}
