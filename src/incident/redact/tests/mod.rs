//! What is taken out and what stays, in tables; and that no text is too much.

mod any_text;
mod assignments;
mod kinds;

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
        let redact = Redact {
            builtin: false,
            ..Redact::default()
        };
        let redactor = Redactor::new(&redact, ClientAddress::Full);
        assert_eq!(redactor.url(url), expected, "{url}");
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

/// The text as it is kept, with `[]` for each mark.
fn brief(text: &str) -> String {
    let redacted = redactor(ClientAddress::Full).text(Bytes::copy_from_slice(text.as_bytes()));
    let again = redactor(ClientAddress::Full).text(redacted.text.clone());
    assert_eq!(again.marks, 0, "once is enough: {:?}", redacted.text);
    let mut text = String::from_utf8(redacted.text.to_vec()).unwrap();
    while let Some(start) = text.find("[redacted: ") {
        let end = start + text[start..].find(']').unwrap();
        text.replace_range(start..=end, "[]");
    }
    text
}

/// Each text, with what is kept of it.
fn assert_kept(table: &[(&str, &str)]) {
    for (text, kept) in table {
        assert_eq!(brief(text), *kept, "{text}");
    }
}

/// Texts that stay as they are.
fn assert_untouched(texts: &[&str]) {
    for text in texts {
        assert_eq!(brief(text), *text);
    }
}

#[test]
fn own_patterns_name_what_they_take_out() {
    let patterns = [
        r"badge-(?P<badge>\d+)",
        r"^internal: .*$",
        "(é|ö)x",
        "[αβγ]+",
        "[",
    ]
    .map(str::to_owned)
    .to_vec();
    for builtin in [true, false] {
        let redact = Redact {
            patterns: patterns.clone(),
            builtin,
            ..Redact::default()
        };
        let own = Redactor::new(&redact, ClientAddress::Full);
        let text = "a badge-77 b\ninternal: x\nöx, αβγ";
        let kept = "a badge-[redacted: badge] b\n[redacted: pattern]\n[redacted: pattern]x, [redacted: pattern]";
        assert_eq!(own.line(text), kept);
        assert_eq!(own.line(kept), kept);
        assert_eq!(own.line("DB_PASSWORD=abc") == "DB_PASSWORD=abc", !builtin);
    }
}

#[test]
fn listed_names_count_in_bodies_too() {
    let headers = ["x-badge", "x-api-key"]
        .map(HeaderName::from_static)
        .to_vec();
    for builtin in [true, false] {
        let redact = Redact {
            headers: headers.clone(),
            builtin,
            ..Redact::default()
        };
        let listed = Redactor::new(&redact, ClientAddress::Full);
        for (text, kept) in [
            ("GET /a?code=abc&x=1", "GET /a?code=[redacted: code]&x=1"),
            (
                "href=\"/a?x=1&amp;KEY=abc\"",
                "href=\"/a?x=1&amp;KEY=[redacted: key]\"",
            ),
            (
                "X-Badge: a b c\nHost: x",
                "X-Badge: [redacted: x-badge]\nHost: x",
            ),
            (
                "'HTTP_X_BADGE': 'abc'",
                "'HTTP_X_BADGE': '[redacted: x-badge]'",
            ),
            (
                "key=abc code: 500 status_code=1 ?monkey=1",
                "key=abc code: 500 status_code=1 ?monkey=1",
            ),
            ("?x=%3Fcode%3Dabc%26y", "?x=%3Fcode%3D[redacted: code]%26y"),
        ] {
            assert_eq!(listed.line(text), kept);
        }
    }
}

#[test]
fn header_values_and_urls_are_read_too() {
    assert_eq!(
        recorded(
            ClientAddress::Full,
            &[
                ("x-debug", "password=abc"),
                ("x-auth-token", "abc"),
                ("x-trace", "Bearer abc123def"),
                (
                    "location",
                    "/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln?x=1"
                ),
                ("x-plain", "text"),
            ]
        ),
        [
            "x-debug: password=[redacted: password]",
            "x-auth-token: [redacted: x-auth-token]",
            "x-trace: Bearer [redacted: bearer]",
            "location: /reset/[redacted: jwt]?x=1",
            "x-plain: text",
        ]
    );
}

#[test]
fn a_text_without_secrets_is_not_copied() {
    let text = Bytes::from_static(b"nothing \xff\0 here");
    let redacted = redactor(ClientAddress::Full).text(text.clone());
    assert_eq!((redacted.text.as_ptr(), redacted.marks), (text.as_ptr(), 0));
}
