//! Secrets that are known by their own form or place: connection strings, tokens and keys.

use super::*;

#[test]
fn connection_strings_lose_their_password_alone() {
    assert_kept(&[
        (
            "mysql://shop:abc@db.internal:3306/shop",
            "mysql://shop:[]@db.internal:3306/shop",
        ),
        ("redis://:abc@cache", "redis://:[]@cache"),
        ("amqp://a:b%40c@mq/%2f", "amqp://a:[]@mq/%2f"),
        ("postgres://a:b@c@db/x", "postgres://a:[]@db/x"),
        ("postgres://a:b/c@db/x", "postgres://a:[]@db/x"),
        (
            "mysql:&#x2F;&#x2F;shop:abc@db&#x2F;shop",
            "mysql:&#x2F;&#x2F;shop:[]@db&#x2F;shop",
        ),
        (
            "mysql:&#47;&#47;shop:a&amp;b@db",
            "mysql:&#47;&#47;shop:[]@db",
        ),
        (
            r"mysql:\/\/shop:abc@db\/shop",
            r"mysql:\/\/shop:[]@db\/shop",
        ),
        ("mysql%3A%2F%2Fshop:abc@db", "mysql%3A%2F%2Fshop:[]@db"),
        ("mysql://shop:<b>abc</b>@db", "mysql://shop:[]@db"),
        ("mysql://shop:abc", "mysql://shop:[]"),
        (
            "https://0123456789abcdef0123@sentry.example/1",
            "https://[]@sentry.example/1",
        ),
        (
            "shop:abc@tcp(10.1.2.3:3306)/shop",
            "shop:[]@tcp(10.1.2.3:3306)/shop",
        ),
        (
            "PDO->__construct('mysql:host=db', 'shop', 'abc')",
            "PDO->__construct('mysql:host=db', 'shop', '[]')",
        ),
        (
            "mysqli_connect(\"db\", \"shop\", \"abc\", \"shop\")",
            "mysqli_connect(\"db\", \"shop\", \"[]\", \"shop\")",
        ),
        (
            "PDO-&gt;__construct(&#039;mysql:host=db&#039;, &#039;shop&#039;, &#039;abc...&#039;)",
            "PDO-&gt;__construct(&#039;mysql:host=db&#039;, &#039;shop&#039;, &#039;[]&#039;)",
        ),
        (
            "DriverManager.getConnection(\"jdbc:x\", \"sa\", \"abc\")",
            "DriverManager.getConnection(\"jdbc:x\", \"sa\", \"[]\")",
        ),
    ]);
}

#[test]
fn addresses_without_a_password_stay() {
    assert_untouched(&[
        "http://localhost:3000/a@b",
        "http://localhost:80",
        "https://example.com/~john@doe",
        "http://[::1]:80/x",
        "ssh://git@github.com/x",
        "https://user@host/",
        "http://${USER}:${PASSWORD}@host/",
        "mysql://shop:@db",
        "://://://",
        "connect('a', 'b')",
        "connect(host, 'b', 'c')",
    ]);
}

#[test]
fn tokens_are_known_by_their_form() {
    let letters = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6kL9";
    let web = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    for (secret, name) in [
        ("AKIAIOSFODNN7EXAMPLE".to_owned(), "aws-key"),
        (format!("AIza{}", &letters[..35]), "google-key"),
        (format!("ya29.{letters}"), "google-token"),
        (format!("ghp_{}", &letters[..36]), "github-token"),
        (format!("github_pat_{letters}"), "github-token"),
        (format!("glpat-{}", &letters[..20]), "gitlab-token"),
        ("xoxb-123456789012-abcdef".to_owned(), "slack-token"),
        (format!("sk_live_{}", &letters[..24]), "stripe-key"),
        (format!("whsec_{}", &letters[..32]), "stripe-key"),
        (web.to_owned(), "jwt"),
        ("4111 1111 1111 1111".to_owned(), "card"),
    ] {
        let text = format!("at f({secret}) <b>{secret}</b>");
        let marked = redactor(ClientAddress::Full).line(&text);
        let mark = format!("[redacted: {name}]");
        assert_eq!(marked, format!("at f({mark}) <b>{mark}</b>"));
        for around in [format!("x{secret}"), format!("z9{secret}")] {
            assert_eq!(brief(&around), around, "part of a longer word");
        }
    }
    assert_kept(&[
        ("/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.", "/reset/[]"),
        ("cut: eyJhbGciOiJIUzI1NiJ9", "cut: []"),
        ("sent Bearer abc123.def x", "sent Bearer [] x"),
        ("sent Basic YWxhZGRpbjpvcGVu x", "sent Basic [] x"),
        (
            "https://hooks.slack.com/services/T0/B0/abc",
            "https://hooks.slack.com/services/[]",
        ),
        ("cut: ghp_abc", "cut: []"),
    ]);
    assert_untouched(&[
        "Bearer authentication is needed",
        "Bearer token",
        "Basic authentication realm",
        "Basic usage",
        "the eyJ of it; eyJhbGciOiJIUzI1NiJ9 x",
        "AKIA and ASIA; AKIAIOSFODNN7EXAMPLE1; AKIAshort",
        "ghp_short x",
    ]);
}

#[test]
fn private_keys_are_taken_out_whole() {
    let key = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIB+/=\nAb9\n-----END RSA PRIVATE KEY-----";
    let flat = key.replace('\n', "\\n");
    let page = key.replace('\n', "<br>\n");
    for (text, kept) in [
        (format!("a\n{key}\nb"), "a\n[]\nb".to_owned()),
        (
            format!("{{\"private_key\":\"{flat}\\n\"}}"),
            "{\"private_key\":\"[]\\n\"}".to_owned(),
        ),
        (
            format!("private_key={key}\nx"),
            "private_key=[]\nx".to_owned(),
        ),
        (
            format!("<td>PRIVATE_KEY</td><td>{page}</td>"),
            "<td>PRIVATE_KEY</td><td>[]</td>".to_owned(),
        ),
        (key[..70].to_owned(), "[]".to_owned()),
    ] {
        assert_eq!(brief(&text), kept, "{text}");
    }
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";
    assert_untouched(&[certificate, "-----BEGIN PRIVATE", "-----BEGIN PRIVATE KEY"]);
}
