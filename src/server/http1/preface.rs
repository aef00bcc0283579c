//! How a client begins that knows that HTTP/2 is spoken here (RFC 9113, 3.3 and 3.4).

/// The first bytes of every HTTP/2 connection.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether the first bytes of a connection are HTTP/2's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preface {
    Whole,
    /// As far as they have come.
    Begun,
    None,
}

impl Preface {
    pub(super) fn of(first: &[u8]) -> Self {
        if first.starts_with(PREFACE) {
            Self::Whole
        } else if PREFACE.starts_with(first) {
            Self::Begun
        } else {
            Self::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_is_told_from_a_head() {
        for (first, found) in [
            (
                &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0"[..],
                Preface::Whole,
            ),
            (b"PRI * HTTP/2.0\r\n\r\n", Preface::Begun),
            (b"P", Preface::Begun),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", Preface::None),
            (b"POST", Preface::None),
            (b"PRI * HTTP/1.1\r\n", Preface::None),
            (b"GET / HTTP/1.1\r\n\r\n", Preface::None),
        ] {
            assert_eq!(Preface::of(first), found, "{}", first.escape_ascii());
        }
    }
}
