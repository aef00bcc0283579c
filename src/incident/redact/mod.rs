//! What is taken out of a record before anything is written: values of listed headers, values of listed query keys and user info in
//! URLs wherever they stand, and the visitor's address. Each leaves a mark, `[redacted: name]`.
//!
//! One pass over the text, whatever the text: an attacker who chooses the URL chooses its length, never the time per byte. In doubt more is
//! taken out rather than less: a listed key's value ends only where every parser would end it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::{CONTENT_LOCATION, FORWARDED, LINK, LOCATION, REFERER, REFRESH};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode;

use super::HeaderField;
use crate::config::{ClientAddress, Redact};

/// Headers whose values are or hold URLs.
const URL_HEADERS: [HeaderName; 9] = [
    CONTENT_LOCATION,
    LINK,
    LOCATION,
    REFERER,
    REFRESH,
    HeaderName::from_static("x-forwarded-uri"),
    HeaderName::from_static("x-original-uri"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

/// Headers in which other proxies tell the visitor's address.
const CLIENT_HEADERS: [HeaderName; 9] = [
    FORWARDED,
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("fastly-client-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-original-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

/// Takes secrets out of records, as a route's configuration asks.
#[derive(Clone, Debug)]
pub struct Redactor {
    headers: Vec<HeaderName>,
    query: Vec<String>,
    client: ClientAddress,
}

impl Redactor {
    /// A redactor of `intercept.redact` and `incidents.client`.
    #[must_use]
    pub fn new(redact: &Redact, client: ClientAddress) -> Self {
        Self {
            headers: redact.headers.clone(),
            query: redact.query.clone(),
            client,
        }
    }

    /// The header fields for a record.
    #[must_use]
    pub fn headers(&self, headers: &HeaderMap) -> Vec<HeaderField> {
        let mut fields = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            fields.push(self.header(name, value.as_bytes()));
        }
        fields
    }

    /// One header field for a record, a log line or the like.
    #[must_use]
    pub fn header(&self, name: &HeaderName, value: &[u8]) -> HeaderField {
        let mut field = HeaderField::new(name, value);
        if self.headers.contains(name) {
            field.value = mark(name.as_str());
        } else if self.client != ClientAddress::Full && CLIENT_HEADERS.contains(name) {
            field.value = mark("client");
        } else if URL_HEADERS.contains(name) {
            field.value = self.url(&field.value);
        }
        field
    }

    /// A URL, or a path and query, or a text that ends in one.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        let bare = without_user_info(url);
        let Some(query) = bare.find(['?', '#', ';']) else {
            return bare;
        };
        let (path, mut rest) = bare.split_at_checked(query).unwrap_or((&bare, ""));
        let mut out = String::with_capacity(bare.len() + 16);
        out.push_str(path);
        while !rest.is_empty() {
            rest = self.parameter(&mut out, rest);
        }
        out
    }

    /// The visitor's address, as far as it is kept.
    #[must_use]
    pub fn client(&self, client: IpAddr) -> Option<IpAddr> {
        match (self.client, client.to_canonical()) {
            (ClientAddress::Full, address) => Some(address),
            (ClientAddress::None, _) => None,
            (ClientAddress::Masked, IpAddr::V4(address)) => {
                let network = u32::from(address) & (u32::MAX << 8);
                Some(Ipv4Addr::from(network).into())
            }
            (ClientAddress::Masked, IpAddr::V6(address)) => {
                let network = u128::from(address) & (u128::MAX << 80);
                Some(Ipv6Addr::from(network).into())
            }
        }
    }

    /// Copies one delimiter and the parameter behind it; gives what follows. Delimiters and `=` may be percent-encoded: then the parameter
    /// is part of a URL that is itself a value (`?next=%2Freset%3Ftoken%3D1`).
    fn parameter<'a>(&self, out: &mut String, text: &'a str) -> &'a str {
        let opening = delimiter(text.as_bytes()).unwrap_or(0);
        let key = text.get(opening..).unwrap_or_default();
        let (end, equals) = key_end(key.as_bytes());
        let value_at = opening + end + equals;
        let (kept, value) = text.split_at_checked(value_at).unwrap_or((text, ""));
        out.push_str(kept);
        let key = key.get(..end).unwrap_or_default();
        let Some(name) = self.listed(key).filter(|_| equals > 0) else {
            return value;
        };
        let end = value_end(value, equals > 1);
        if end > 0 {
            out.push_str(&mark(name));
        }
        value.get(end..).unwrap_or_default()
    }

    /// The listed name that a key stands for: the whole key, or a part of `user[password]` or `user.password`.
    fn listed(&self, key: &str) -> Option<&str> {
        let mut decoded;
        let key = if key.contains('%') {
            decoded = percent_decode(key.as_bytes()).decode_utf8_lossy();
            if decoded.contains('%') {
                decoded = percent_decode(decoded.as_bytes())
                    .decode_utf8_lossy()
                    .into_owned()
                    .into();
            }
            &*decoded
        } else {
            key
        };
        // A `+` is a space there.
        let blank = |letter: char| letter.is_whitespace() || letter == '+';
        let same = |part: &str, name: &str| part.trim_matches(blank).eq_ignore_ascii_case(name);
        let names = |part: &str| self.query.iter().find(|name| same(part, name));
        names(key)
            .or_else(|| key.split(['[', ']', '.']).find_map(names))
            .map(String::as_str)
    }
}

fn mark(name: &str) -> String {
    format!("[redacted: {name}]")
}

/// The length of the delimiter that the text begins with.
fn delimiter(text: &[u8]) -> Option<usize> {
    match text {
        [b'?' | b'&' | b';' | b'#', ..] => Some(1),
        [b'%', b'3', b'f' | b'F' | b'b' | b'B', ..] | [b'%', b'2', b'3' | b'6', ..] => Some(3),
        _ => None,
    }
}

/// Where a key ends, and how long the equals sign behind it is; 0 when the key has no value.
fn key_end(text: &[u8]) -> (usize, usize) {
    for at in 0..text.len() {
        let rest = text.get(at..).unwrap_or_default();
        match rest {
            [b'=', ..] => return (at, 1),
            [b'%', b'3', b'd' | b'D', ..] => return (at, 3),
            rest if delimiter(rest).is_some() => return (at, 0),
            _ => {}
        }
    }
    (text.len(), 0)
}

/// Where a secret value ends: at `&` or `#`, and within a percent-encoded URL at those two encoded. A `;` or `?` may be part of it.
fn value_end(value: &str, encoded: bool) -> usize {
    let ends = |rest: &[u8]| match rest {
        [b'&' | b'#', ..] => true,
        [b'%', b'2', b'3' | b'6', ..] => encoded,
        _ => false,
    };
    let bytes = value.as_bytes();
    (0..bytes.len())
        .find(|at| ends(bytes.get(*at..).unwrap_or_default()))
        .unwrap_or(bytes.len())
}

/// The text with what stands between `//` and `@` taken out of every URL's authority.
fn without_user_info(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(slashes) = rest.find("//") {
        let (before, authority) = rest.split_at_checked(slashes + 2).unwrap_or((rest, ""));
        out.push_str(before);
        let end = authority
            .find(['/', '?', '#', '<', '>', '"', ' '])
            .unwrap_or(authority.len());
        let (name, after) = authority.split_at_checked(end).unwrap_or((authority, ""));
        match name.rsplit_once('@') {
            Some((_, host)) => {
                out.push_str(&mark("user"));
                out.push('@');
                out.push_str(host);
            }
            None => out.push_str(name),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn redactor(client: ClientAddress) -> Redactor {
        Redactor::new(&Redact::default(), client)
    }

    #[test]
    fn values_of_listed_query_keys_are_taken_out() {
        let r = "[redacted: token]";
        let p = "[redacted: password]";
        for (url, expected) in [
            ("/", "/".to_owned()),
            ("/a?b=c&d", "/a?b=c&d".to_owned()),
            ("/token=1/a", "/token=1/a".to_owned()),
            ("/?token=s3", format!("/?token={r}")),
            ("/?TOKEN=s3&x=1", format!("/?TOKEN={r}&x=1")),
            ("/?x=1&%74oken=s3#f", format!("/?x=1&%74oken={r}#f")),
            ("/?x=1;token=s3", format!("/?x=1;token={r}")),
            ("/?token=s3;y=s3", format!("/?token={r}")),
            ("/?token=s3?s3", format!("/?token={r}")),
            ("/?token=s3%26s3&x=1", format!("/?token={r}&x=1")),
            ("/?a&token=s3&token=s4", format!("/?a&token={r}&token={r}")),
            ("/?token=&token", "/?token=&token".to_owned()),
            ("/?token;x=1&y", "/?token;x=1&y".to_owned()),
            ("/?q=token=s3&y", format!("/?q=token={r}&y")),
            ("/?tokens=1&atoken=2", "/?tokens=1&atoken=2".to_owned()),
            ("/?user[password]=s3", format!("/?user[password]={p}")),
            (
                "/?user%5Bpassword%5D=s3",
                format!("/?user%5Bpassword%5D={p}"),
            ),
            ("/#token=s3", format!("/#token={r}")),
            ("/?next=/r?token=s3", format!("/?next=/r?token={r}")),
            (
                "/?next=%2Fr%3Fa%3D1%26token%3Ds3%26b%3D2&c=3",
                format!("/?next=%2Fr%3Fa%3D1%26token%3D{r}%26b%3D2&c=3"),
            ),
            ("/?+token=s3&a", format!("/?+token={r}&a")),
            ("/?token+=s3", format!("/?token+={r}")),
            ("/a;token=s3?b=1", format!("/a;token={r}")),
            ("/?=&&;;==%", "/?=&&;;==%".to_owned()),
            ("/?ü=ä&token=ö&é", format!("/?ü=ä&token={r}&é")),
        ] {
            assert_eq!(redactor(ClientAddress::Full).url(url), expected, "{url}");
        }
    }

    #[test]
    fn user_info_is_taken_out_of_urls() {
        for (url, expected) in [
            ("http://a:s3@host/x", "http://[redacted: user]@host/x"),
            ("https://s3@host", "https://[redacted: user]@host"),
            ("//a:s@3@host/?q=a@b", "//[redacted: user]@host/?q=a@b"),
            ("http://host/a@b", "http://host/a@b"),
            (
                "/?to=ftp://u:s3@h/&x=http://v@i",
                "/?to=ftp://[redacted: user]@h/&x=http://[redacted: user]@i",
            ),
        ] {
            assert_eq!(redactor(ClientAddress::Full).url(url), expected);
        }
    }

    fn recorded(client: ClientAddress, fields: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let fields = redactor(client).headers(&headers);
        fields
            .iter()
            .map(|field| format!("{}: {}", field.name, field.value))
            .collect()
    }

    #[test]
    fn listed_headers_lose_their_whole_value() {
        assert_eq!(
            recorded(
                ClientAddress::Full,
                &[
                    ("Authorization", "Bearer s3"),
                    ("set-cookie", "sid=s3; Path=/"),
                    ("set-cookie", "b=s3"),
                    ("location", "http://u:s3@h/?code=s3&x=1"),
                    ("referer", "/a?key=s3"),
                    ("refresh", "0; url=/?secret=s3"),
                    ("x-forwarded-for", "192.0.2.7"),
                ]
            ),
            [
                "authorization: [redacted: authorization]",
                "set-cookie: [redacted: set-cookie]",
                "set-cookie: [redacted: set-cookie]",
                "location: http://[redacted: user]@h/?code=[redacted: code]&x=1",
                "referer: /a?key=[redacted: key]",
                "refresh: 0; url=/?secret=[redacted: secret]",
                "x-forwarded-for: 192.0.2.7",
            ]
        );
    }

    #[test]
    fn an_address_that_is_not_kept_stands_in_no_header_either() {
        let fields = [("forwarded", "for=192.0.2.7"), ("x-real-ip", "192.0.2.7")];
        for client in [ClientAddress::Masked, ClientAddress::None] {
            assert_eq!(
                recorded(client, &fields),
                [
                    "forwarded: [redacted: client]",
                    "x-real-ip: [redacted: client]"
                ]
            );
        }
    }

    #[test]
    fn addresses_are_masked_to_their_network() {
        for (address, masked) in [
            ("192.0.2.77", "192.0.2.0"),
            ("::ffff:192.0.2.77", "192.0.2.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            let expected: IpAddr = masked.parse().unwrap();
            assert_eq!(
                redactor(ClientAddress::Masked).client(address),
                Some(expected)
            );
            assert_eq!(redactor(ClientAddress::None).client(address), None);
            let full = redactor(ClientAddress::Full).client(address);
            assert_eq!(full, Some(address.to_canonical()));
        }
    }
}
