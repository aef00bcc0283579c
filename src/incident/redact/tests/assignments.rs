//! What stands behind the name of a secret, in many languages; and what only looks like it.

use super::{assert_kept, assert_untouched};

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
        (
            "passwords: ['a', \"b\"], x: 'c'",
            "passwords: ['[]\"], x: 'c'",
        ),
        ("auth=('shop', 'abc')", "auth=('[]')"),
        (
            "<meta name=\"csrf-token\" content=\"abc\">",
            "<meta name=\"csrf-token\" content=\"[]\">",
        ),
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
