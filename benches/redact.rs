//! What redaction costs: `cargo bench --bench redact`. Prints microseconds for texts of 8 KiB and 256 KiB, without a secret, with many, and
//! made to cost as much as they can.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program that measures prints, and ends where it cannot"
)]

use std::fmt::Write as _;
use std::time::Instant;

use bytes::Bytes;
use pardon::config::{ClientAddress, Redact};
use pardon::incident::Redactor;

const SIZES: [usize; 2] = [8 << 10, 256 << 10];

/// Texts without a secret.
const CLEAN: [(&str, &str); 5] = [
    (
        "text",
        "The quick brown fox jumps over the lazy dog and runs away from 17 angry hens.\n",
    ),
    (
        "trace",
        "  File \"/srv/shop/views.py\", line 88, in checkout\n    return render(request, self.template, {'cart': cart})\n",
    ),
    (
        "page",
        "<tr><td class=\"file\">/srv/shop/app/Http/Kernel.php</td><td>line <b>117</b></td><td><pre>    $response = $next($request);</pre></td></tr>\n",
    ),
    (
        "japanese",
        "<p>注文の処理中にエラーが発生しました。しばらくしてからもう一度お試しください。</p>\n",
    ),
    (
        "names",
        "password is required; the author passed a token to the session. <a href=\"https://example.com/api\">key</a>\n",
    ),
];

/// Texts full of secrets, real and pretended.
const OTHERS: [(&str, &str); 22] = [
    (
        "secrets",
        "DB_PASSWORD=abc123 mysql://shop:hunter2@db/shop 'token' => 'abc' Bearer abc123def456 card 4111 1111 1111 1111\n",
    ),
    ("assignments", "password=password="),
    ("names alone", "password "),
    ("parts", "-key"),
    ("joined", "tokentoken"),
    ("colons", "password: x "),
    ("open quotes", "password=\"[redacted: "),
    ("tags", "password<b><i class=\"aaaaaaaaaaaaaaaaaaaaaa\">"),
    ("no tags", "password<a"),
    ("cells", "<td>password</td><td>"),
    ("addresses", "://"),
    ("users", "a://b:"),
    ("eyJ", "eyJ"),
    ("segments", "eyJhbGciOiJI."),
    ("keys", "-----BEGIN PRIVATE KEY----- ("),
    ("digits", "4"),
    ("groups", "4111 "),
    ("pairs", "1 2x"),
    ("quotes", "\""),
    ("entities", "&quot;"),
    ("calls", "connect('a','b',"),
    ("commas", "password=,a"),
];

fn main() {
    let begun = Instant::now();
    let redactor = redactor(&[]);
    _ = redactor.line("");
    println!("first build {} us", begun.elapsed().as_micros());
    let build = nanoseconds(2_000, || drop(self::redactor(&[])));
    println!("next builds {:.1} us", build / 1000.0);
    for (name, piece) in CLEAN {
        report(&redactor, name, piece.as_bytes());
    }
    report(&redactor, "binary", &binary());
    let patterns = [
        r"badge-(?P<badge>\d+)",
        r"^internal: .*$",
        r"\bSSN \d{3}-\d{2}-\d{4}\b",
        r"iban[: ]+\w+",
        "corp-[a-z]{8}",
    ];
    for (name, count) in [("1 pattern", 1), ("5 patterns", 5)] {
        let own = self::redactor(patterns.get(..count).unwrap_or(&patterns));
        report(
            &own,
            name,
            CLEAN.first().expect("there are some").1.as_bytes(),
        );
    }
    for (name, piece) in OTHERS {
        report(&redactor, name, piece.as_bytes());
    }
}

fn redactor(patterns: &[&str]) -> Redactor {
    let redact = Redact {
        patterns: patterns
            .iter()
            .map(|pattern| (*pattern).to_owned())
            .collect(),
        ..Redact::default()
    };
    Redactor::new(&redact, ClientAddress::Full)
}

fn report(redactor: &Redactor, name: &str, piece: &[u8]) {
    let mut columns = format!("{name:<12}");
    for size in SIZES {
        let text = Bytes::from(piece.iter().copied().cycle().take(size).collect::<Vec<_>>());
        let marks = redactor.marks(&text).len();
        let runs = if size > 10_000 { 40 } else { 1_000 };
        let took = nanoseconds(runs, || drop(redactor.text(text.clone()))) / 1000.0;
        let kibibytes = size >> 10;
        // Writing to a string cannot fail.
        _ = write!(
            columns,
            " {kibibytes:>4} KiB {took:>9.1} us {marks:>6} marks"
        );
    }
    println!("{columns}");
}

/// Bytes that look random.
fn binary() -> Vec<u8> {
    let mut state = 7_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(256 << 10).collect()
}

/// The time of one run, in nanoseconds: the best of five rounds.
fn nanoseconds(runs: u32, mut run: impl FnMut()) -> f64 {
    let round = |run: &mut dyn FnMut()| {
        let begun = Instant::now();
        for _ in 0..runs {
            run();
        }
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(runs)
    };
    (0..5)
        .map(|_| round(&mut run))
        .fold(f64::INFINITY, f64::min)
}
