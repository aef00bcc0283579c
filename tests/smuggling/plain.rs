//! What goes on in another form than it came in.

use crate::support::{Gateway, Origin};

/// What RFC 9112 lets a recipient bear with, or what can be read in one way only though it looks odd: always five bytes for `a`.
fn odd() -> Vec<(&'static str, String)> {
    let chunked = |body: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
    };
    let five = |head: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\nhello");
    vec![
        (
            "empty lines before (2.2)",
            format!("\r\n\r\n{}", five("Content-Length: 5")),
        ),
        (
            "equal lengths (6.3)",
            five("Content-Length: 5\r\nContent-Length: 5"),
        ),
        ("zeros before a length", five("Content-Length: 005")),
        ("blanks around a length", five("Content-Length:  \t5 \t")),
        ("a name in other letters", five("cONTENT-lENGTH: 5")),
        (
            "an absolute target, its host counts (3.2.2)",
            five("Content-Length: 5")
                .replace(" / ", " http://a/ ")
                .replace("Host: a", "Host: b"),
        ),
        (
            "a coding in other letters",
            chunked("5\r\nhello\r\n0\r\n\r\n").replace("chunked", "cHuNkEd"),
        ),
        (
            "blanks around a coding",
            chunked("5\r\nhello\r\n0\r\n\r\n").replace(" chunked", "\t chunked\t "),
        ),
        (
            "an extension (7.1.1)",
            chunked("5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n"),
        ),
        (
            "blanks before an extension",
            chunked("5 ;a\r\nhello\r\n0\r\n\r\n"),
        ),
        (
            "trailers that frame (6.5.1)",
            chunked(
                "5\r\nhello\r\n0\r\nHost: b\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\n\r\n",
            ),
        ),
        (
            "fields that Connection names",
            five("Content-Length: 5\r\nConnection: Host, Content-Length, Transfer-Encoding"),
        ),
    ]
}

#[test]
fn what_can_be_read_in_one_way_only_goes_on_in_its_plain_form() {
    let origin = Origin::saying(200, "", "fine");
    let gateway = Gateway::before(&origin);
    for (case, request) in odd() {
        let before = origin.requests().len();
        let mut client = gateway.connect();
        // A bare LF in what follows is no matter.
        let behind = "POST /next HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na\nb\n\n";
        client.send(format!("{request}{behind}"));
        let both = [client.answer().status, client.answer().status];
        assert_eq!(both, [200, 200], "{case}");
        let requests = origin.requests().split_off(before);
        let [first, second] = &requests[..] else {
            panic!("{case}: {requests:#?}");
        };
        assert_eq!(first.line(), "POST / HTTP/1.1", "{case}");
        assert_eq!(first.body, b"hello", "{case}");
        assert_eq!(first.header("host"), Some("a"), "{case}");
        assert!(first.trailers.is_empty(), "{case}: {:?}", first.trailers);
        let framed = [
            first.headers("content-length"),
            first.headers("transfer-encoding"),
        ];
        assert!(
            [["5"].as_slice(), ["chunked"].as_slice()].contains(&&framed.concat()[..]),
            "{case}: {framed:?}"
        );
        assert_eq!(second.line(), "POST /next HTTP/1.1", "{case}");
        assert_eq!(second.body, b"a\nb\n\n", "{case}");
    }
}

/// Apps behind CGI, WSGI and PHP hear `X_Forwarded_For` under the name of `X-Forwarded-For`.
#[test]
fn what_an_app_would_take_for_a_field_of_the_proxys_does_not_go_on() {
    let origin = Origin::saying(200, "", "fine");
    let gateway = Gateway::before(&origin);
    let disguised = [
        "X_Forwarded_For",
        "x-forwarded_for",
        "X_FORWARDED-PROTO",
        "X_Forwarded_Host",
        "X.Forwarded.For",
        "X_Request_ID",
        "x!request!id",
        "Transfer_Encoding",
        "Content_Length",
        "Proxy_Connection",
        "Keep_Alive",
        "X_Forwarded_Port",
        "X_Real_IP",
        "X-Real_IP",
        "Front.End.Https",
        "X-Forwarded-Port",
        "X-Forwarded-Ssl",
        "X-Forwarded-Prefix",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "Front-End-Https",
        "Proxy",
    ];
    let fields = disguised
        .map(|name| format!("{name}: 6.6.6.6\r\n"))
        .concat();
    let plain = "X_Kept: yes\r\nX_Forwarded: yes\r\n";
    assert_eq!(gateway.get("/", &format!("{fields}{plain}")).status, 200);
    let received = origin.request();
    assert!(!received.head.contains("6.6.6.6"), "{}", received.head);
    assert_eq!(received.header("x_kept"), Some("yes"));
    assert_eq!(received.header("x_forwarded"), Some("yes"));
}
