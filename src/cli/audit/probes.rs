//! Requests that provoke harmless failures: nothing in them changes anything.

use super::side::Ask;

/// A path that no app has.
const UNKNOWN: &str = "/pardon-audit-no-such-page";
/// How many bytes the long header field has: more than most servers take.
const LONG: usize = 20_000;
/// How many addresses with a query are asked for with a bad one.
const QUERIES: usize = 10;

/// What is asked of any app, and of those of its addresses that have a query.
pub(super) fn all(pages: &[String]) -> Vec<Ask> {
    let mut asks = of_any();
    let mut seen = Vec::new();
    for page in pages {
        let Some((path, query)) = page.split_once('?') else {
            continue;
        };
        if seen.contains(&path) || seen.len() >= QUERIES {
            continue;
        }
        seen.push(path);
        let names = query.split('&').filter_map(|pair| pair.split('=').next());
        let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
        for (form, what) in [
            ("[]=x", "lists where it has values"),
            ("=%FF%27", "values that are no text"),
        ] {
            let query: Vec<_> = names.iter().map(|name| format!("{name}{form}")).collect();
            let target = format!("{path}?{}", query.join("&"));
            asks.push(Ask::get(&target, format!("a query with {what}")));
        }
    }
    asks
}

fn of_any() -> Vec<Ask> {
    let get = |target: &str, why: &str| Ask::get(target, why.to_owned());
    vec![
        get(UNKNOWN, "an unknown path"),
        Ask {
            accept: Some("application/json"),
            ..get(UNKNOWN, "an unknown path, asked for as JSON")
        },
        get(&format!("{UNKNOWN}.php"), "an unknown path of PHP's"),
        get("/%FF", "a path that is no text"),
        get("/?pardon[]=%FF&pardon=%27", "a query that is no text"),
        Ask {
            method: "PROPFIND",
            ..get("/", "a method of other protocols")
        },
        Ask {
            accept: Some("application/x-pardon-audit"),
            ..get("/", "a type that nobody has")
        },
        Ask {
            fields: format!("X-Pardon-Audit: {}\r\n", "a".repeat(LONG)),
            ..get("/", "a header field of 20,000 bytes")
        },
        Ask {
            fields: "Cookie: pardon_audit=%FF; session=%27\r\n".to_owned(),
            ..get("/", "a cookie that is no session")
        },
    ]
}
