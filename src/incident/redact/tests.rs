//! What is taken out and what stays, in tables; and that no text is too much.

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
fn settings_and_queries() {
    assert_kept(&[
        ("password=hunter2-X", "password=[]"),
        ("DB_PASSWORD=abc def", "DB_PASSWORD=[] def"),
        ("a?token=abc&x=1", "a?token=[]&x=1"),
        ("a?token=abc&amp;x=1", "a?token=[]&amp;x=1"),
        ("a?token=ab&c!d&amp;x=1", "a?token=[]&amp;x=1"),
        (
            "next=%2F%3Ftoken%3Dabc%26x%3D1",
            "next=%2F%3Ftoken%3D[]%26x%3D1",
        ),
        (
            "Server=db;Password=abc;Uid=sa",
            "Server=db;Password=[];Uid=sa",
        ),
        (
            "host=db password=abc dbname=shop",
            "host=db password=[] dbname=shop",
        ),
        (
            "dbi:mysql:shop;password=abc at x.pl line 4",
            "dbi:mysql:shop;password=[] at x.pl line 4",
        ),
        (
            "jdbc:mysql://db/shop?user=a&password=b",
            "jdbc:mysql://db/shop?user=a&password=[]",
        ),
        ("db.password = hunter2", "db.password = []"),
        ("\npassword = letters\n", "\npassword = []\n"),
        (
            "mysql --password=abc --user=x",
            "mysql --password=[] --user=x",
        ),
        (
            "mysql --password abc --user x",
            "mysql --password [] --user x",
        ),
        ("password=a,b,user=x", "password=[],user=x"),
        ("{user=x, password=abc}", "{user=x, password=[]}"),
        ("User(name=x, password=abc)", "User(name=x, password=[])"),
        ("user%5Bpassword%5D=abc", "user%5Bpassword%5D=[]"),
        ("user[password]=abc", "user[password]=[]"),
    ]);
}

#[test]
fn dumps_of_php() {
    assert_kept(&[
        ("'password' => 'abc',", "'password' => '[]',"),
        ("    [password] => ab cd\n", "    [password] => []\n"),
        (
            "[password:protected] => abc\n",
            "[password:protected] => []\n",
        ),
        (
            "[\"password\"]=>\n  string(3) \"abc\"",
            "[\"password\"]=>\n  string(3) \"[]\"",
        ),
        (
            "[\"password\":protected]=>\n  string(3) \"abc\"",
            "[\"password\":protected]=>\n  string(3) \"[]\"",
        ),
        (
            "[\"password\":\"Shop\":private]=>\n  string(3) \"abc\"",
            "[\"password\":\"Shop\":private]=>\n  string(3) \"[]\"",
        ),
        (
            "define('DB_PASSWORD', 'abc');",
            "define('DB_PASSWORD', '[]');",
        ),
        ("where('token', 'abc')", "where('token', '[]')"),
        (
            "$config['password'] = 'abc';",
            "$config['password'] = '[]';",
        ),
        ("$password = \"abc\";", "$password = \"[]\";"),
        ("->setPassword('abc')", "->setPassword('[]')"),
    ]);
}

#[test]
fn dumps_of_python_ruby_java_and_node() {
    assert_kept(&[
        (
            "{'password': 'a\\'b', 'x': 1}",
            "{'password': '[]', 'x': 1}",
        ),
        (
            "connect(password='abc', x=1)",
            "connect(password='[]', x=1)",
        ),
        ("token = b'abc'", "token = b'[]'"),
        ("SECRET_KEY = 'abc'", "SECRET_KEY = '[]'"),
        (":password=>\"abc\"", ":password=>\"[]\""),
        ("\"password\"=>\"abc\"", "\"password\"=>\"[]\""),
        ("password: \"abc\", x: 1", "password: \"[]\", x: 1"),
        ("String password = \"abc\";", "String password = \"[]\";"),
        ("{ password: 'abc' }", "{ password: '[]' }"),
        ("{ passwords: ['abc'] }", "{ passwords: ['[]'] }"),
        ("if (password == 'abc')", "if (password == '[]')"),
        (
            "{\"password\":\"abc\",\"x\":1}",
            "{\"password\":\"[]\",\"x\":1}",
        ),
        ("{\"password\":12345678}", "{\"password\":[]}"),
        (
            r#"{\"password\":\"abc\",\"x\":1}"#,
            r#"{\"password\":\"[]\",\"x\":1}"#,
        ),
        (
            r#"{\\\"password\\\":\\\"abc\\\"}"#,
            r#"{\\\"password\\\":\\\"[]\\\"}"#,
        ),
        (
            "{\"name\":\"password\",\"value\":\"abc\"}",
            "{\"name\":\"password\",\"value\":\"[]\"}",
        ),
    ]);
}

#[test]
fn pages_and_markup() {
    assert_kept(&[
        ("password: hunter2\n", "password: []\n"),
        ("password: letters\n", "password: []\n"),
        ("<password>abc</password>", "<password>[]</password>"),
        (
            "<db:password>abc</db:password>",
            "<db:password>[]</db:password>",
        ),
        (
            "&lt;password&gt;abc&lt;/password&gt;",
            "&lt;password&gt;[]&lt;/password&gt;",
        ),
        ("<db password=\"abc\"/>", "<db password=\"[]\"/>"),
        (
            "<property name=\"password\" value=\"abc\"/>",
            "<property name=\"password\" value=\"[]\"/>",
        ),
        (
            "&quot;password&quot;: &quot;abc&quot;",
            "&quot;password&quot;: &quot;[]&quot;",
        ),
        ("password=&#x27;abc&#x27;", "password=&#x27;[]&#x27;"),
        (
            r"\u0022password\u0022:\u0022abc\u0022",
            r"\u0022password\u0022:\u0022[]\u0022",
        ),
        (
            "<td>SECRET_KEY</td>\n <td class=\"code\"><pre>&#x27;abc&#x27;</pre></td>",
            "<td>SECRET_KEY</td>\n <td class=\"code\"><pre>&#x27;[]&#x27;</pre></td>",
        ),
        (
            "<td class=\"e\">DB_PASSWORD </td><td class=\"v\">abc </td></tr>",
            "<td class=\"e\">DB_PASSWORD </td><td class=\"v\">[] </td></tr>",
        ),
        (
            "<dt>password</dt><dd>abc</dd>",
            "<dt>password</dt><dd>[]</dd>",
        ),
        (
            "<b>'password'</b><i> =&gt;&nbsp;</i><span class=\"s\">'abc'</span>",
            "<b>'password'</b><i> =&gt;&nbsp;</i><span class=\"s\">'[]'</span>",
        ),
        ("password=<b>ab</b><i>cd</i> x", "password=<b>[]</i> x"),
    ]);
}

#[test]
fn dumps_of_headers() {
    assert_kept(&[
        (
            "Authorization: Digest a=\"b\", c=d\nHost: x",
            "Authorization: []\nHost: x",
        ),
        ("Cookie: a=b; c=d\nHost: x", "Cookie: []\nHost: x"),
        ("'HTTP_COOKIE': 'a=b; c=d',", "'HTTP_COOKIE': '[]',"),
        (
            "curl -H 'Authorization: Bearer abc' x",
            "curl -H 'Authorization: []' x",
        ),
        ("x-auth-token: abc\n", "x-auth-token: []\n"),
        (
            "<td>HTTP_AUTHORIZATION</td><td>Basic abc</td>",
            "<td>HTTP_AUTHORIZATION</td><td>[]</td>",
        ),
    ]);
}

#[test]
fn values_cut_in_the_middle() {
    assert_kept(&[
        ("{\"password\":\"ab", "{\"password\":\"[]"),
        ("password=a", "password=[]"),
        ("<td>password</td><td>abc", "<td>password</td><td>[]"),
    ]);
}

#[test]
fn code_and_prose_stay() {
    assert_untouched(&[
        "Wrong password: please try again",
        "password is required",
        "Access denied for user 'shop'@'10.1.2.3' (using password: YES)",
        "password = get_password()",
        "password=get_password(x)",
        "$password = $_POST['password'];",
        "$password = $this->password;",
        "password=password, x=1",
        "password=settings.DB_PASSWORD",
        "token = parts[0]",
        "    password = raw\n",
        "if (!$password) {",
        "function login($user, $password) {",
        "def check(self, password=None):",
        "let token: string;",
        "password: config.password,",
        "'password' => $password,",
        "'password' => Hash::make($x)",
        "SyntaxError: Unexpected token: punc",
        "SyntaxError: Unexpected token '<', \"<html\" is not valid JSON",
        "unexpected token \"}\", expecting \",\"",
        "PASSWORD_HASHERS = ['a.b.C']",
        "AUTH_USER_MODEL = 'auth.User'",
        "SESSION_COOKIE_AGE = 1209600",
        "PWD=/srv/app OLDPWD='/'",
        "<td>token_type</td><td>abc1</td>",
        "<td>&#x27;csrftoken&#x27;</td></tr><tr><td>NEXT_SETTING</td>",
        "password=******** [FILTERED]",
        "password: [FILTERED]",
        "'password': '********************'",
        "password=%s",
        "mysql:host=#{host};password=#{pw}",
        "password=${DB_PASSWORD}",
        "<label for=\"password\">Password</label>",
        "<input type=\"password\" name=\"password\" required>",
        "at login (/srv/pass.js:10:5)",
        "session: app.session",
    ]);
}

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

/// Pieces that the checks look for, and that look like more than they are.
const PIECES: [&str; 64] = [
    "password",
    "Token",
    "SECRET_KEY",
    "api_key",
    "sid=",
    "Cookie",
    "Authorization",
    "=",
    ": ",
    " = ",
    "=>",
    "&quot;",
    "&#39;",
    "\"",
    "'",
    "\\",
    "\\\"",
    "`",
    "<td>",
    "</td>",
    "<b>",
    "</b>",
    "<",
    ">",
    "&amp;",
    "&",
    ";",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "://",
    "@",
    ":",
    "/",
    "?",
    "%3D",
    "%26",
    "eyJhbGciOi",
    ".",
    "-----BEGIN PRIVATE KEY-----",
    "-----END",
    "Bearer ",
    "Basic ",
    "ghp_",
    "AKIA",
    "xoxb-",
    "4111111111111111",
    "4111 1111 ",
    "1",
    "-",
    " ",
    "\n",
    "value",
    "ü",
    "\0",
    "[redacted: token]",
    "x",
    "@tcp(",
    "connect(",
    "$",
];

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    /// A text of pieces, now and then with a byte that is no text.
    fn text(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..self.below(40) {
            text.extend_from_slice(PIECES[self.below(PIECES.len())].as_bytes());
            if self.below(20) == 0 {
                text.push(u8::try_from(self.below(256)).unwrap());
            }
        }
        text
    }
}

#[test]
fn any_text_keeps_what_is_no_secret_and_is_redacted_once() {
    let redactor = redactor(ClientAddress::Full);
    let mut dice = Dice(7);
    for _ in 0..20_000 {
        let text = dice.text();
        let shown = String::from_utf8_lossy(&text).into_owned();
        let redacted = redactor.text(text.clone().into());
        let mut rest = &redacted.text[..];
        let mut done = 0;
        for secret in redactor.marks(&text) {
            assert!(
                done <= secret.range.start && secret.range.start < secret.range.end,
                "{shown}"
            );
            let before = &text[done..secret.range.start];
            rest = rest.strip_prefix(before).unwrap();
            rest = rest.strip_prefix(mark(&secret.name).as_bytes()).unwrap();
            done = secret.range.end;
        }
        assert_eq!(rest, &text[done..], "{shown}");
        let again = redactor.text(redacted.text.clone());
        let twice = String::from_utf8_lossy(&again.text).into_owned();
        assert_eq!(twice, String::from_utf8_lossy(&redacted.text), "{shown}");
    }
}

#[test]
fn the_work_follows_from_the_length() {
    let redactor = redactor(ClientAddress::Full);
    let mut hostile: Vec<String> = PIECES.iter().map(|piece| (*piece).to_owned()).collect();
    for text in [
        "password=password=",
        "password: ",
        "password: x ",
        "password=\"",
        "password = \"a\\\"",
        "token<b><i>",
        "<td>password</td><td>",
        "password<span class=\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\">",
        "a://b:",
        "://a:b",
        "http://a:b/c",
        "eyJ",
        "eyJ.",
        "eyJhbGciOiJI.",
        "tokentoken",
        "token_",
        "-----BEGIN PRIVATE KEY----- (",
        "1234 ",
        "1 2",
        "4111-",
        "&quot;",
        "&amp;amp;",
        "\\\\",
        "<<<<",
        "<a",
        "<![CDATA[",
        "<password>",
        "Cookie: a=",
        "Bearer a ",
        "Basic YWJj ",
        "connect('a','b',",
        "a:b@tcp(",
        "password: [[",
        "[password:",
        "?code=",
        "password=[redacted",
        "password=x[redacted: ",
        "password=\"[redacted: ",
        "password=,a",
        "password=&a",
        "password=(",
        "password \t ",
        "pass&#x",
        "hooks.slack.com/services/ ",
        "x-api-key: ",
    ] {
        hostile.push(text.to_owned());
    }
    for piece in hostile {
        let text = piece.repeat((1 << 16) / piece.len());
        _ = super::symbol::counted::steps();
        _ = redactor.marks(text.as_bytes());
        let each = super::symbol::counted::steps() / text.len();
        assert!(each <= 40, "{each} steps a byte for {piece:?}");
    }
}
