//! The addresses that a page leads to, on its own host.

use html5gum::{DefaultEmitter, Token, Tokenizer};

/// Words in addresses that change something, or end the visit.
const LEFT_ALONE: [&str; 12] = [
    "logout",
    "log-out",
    "signout",
    "sign-out",
    "delete",
    "remove",
    "destroy",
    "unsubscribe",
    "cancel",
    "reset",
    "revoke",
    "purge",
];
/// Endings of what is no page.
const FILES: [&str; 22] = [
    ".css", ".js", ".mjs", ".map", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp",
    ".woff", ".woff2", ".ttf", ".pdf", ".zip", ".gz", ".mp3", ".mp4", ".webm", ".avif", ".exe",
];
/// The longest address that is asked for.
const LONGEST: usize = 1024;

/// The targets in a page that was found at `base`, in its order.
pub(super) fn found(page: &str, base: &str, authority: &str) -> Vec<String> {
    let mut emitter = DefaultEmitter::<()>::default();
    emitter.naively_switch_states(true);
    let mut targets = Vec::new();
    for token in Tokenizer::new_with_emitter(page, emitter) {
        let Ok(token) = token;
        let Token::StartTag(tag) = token else {
            continue;
        };
        let attribute = |name: &[u8]| {
            let value = tag.attributes.get(name)?;
            Some(String::from_utf8_lossy(&value.value).into_owned())
        };
        let link = match tag.name.as_slice() {
            b"a" | b"area" => attribute(b"href"),
            b"iframe" | b"frame" => attribute(b"src"),
            b"form" => {
                let method = attribute(b"method").unwrap_or_default();
                let gets = method.is_empty() || method.eq_ignore_ascii_case("get");
                attribute(b"action").filter(|_| gets)
            }
            _ => None,
        };
        targets.extend(link.and_then(|link| target(&link, base, authority)));
    }
    targets
}

/// What a link leads to, as a target of a request; none where it leads elsewhere, or to something that is left alone.
pub(super) fn target(link: &str, base: &str, authority: &str) -> Option<String> {
    let link = link.trim().split('#').next().unwrap_or_default();
    let printable = link.bytes().all(|byte| byte.is_ascii_graphic());
    if link.is_empty() || !printable || link.len() > LONGEST {
        return None;
    }
    let here = base.split('?').next().unwrap_or("/");
    let same = ["http://", "https://", "//"]
        .iter()
        .find_map(|scheme| link.strip_prefix(scheme));
    let target = if let Some(rest) = same {
        let path = rest.strip_prefix(authority)?;
        match path.chars().next() {
            None => "/".to_owned(),
            Some('/') => path.to_owned(),
            Some('?') => format!("/{path}"),
            Some(_) => return None,
        }
    } else if link.starts_with('/') {
        link.to_owned()
    } else if link.starts_with('?') {
        format!("{here}{link}")
    } else if link.split(['/', '?']).next()?.contains(':') {
        return None;
    } else {
        let folder = here
            .rfind('/')
            .map_or("/", |at| here.get(..=at).unwrap_or("/"));
        format!("{folder}{link}")
    };
    let target = straightened(&target);
    let path = target
        .split('?')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let all = target.to_ascii_lowercase();
    let alone = LEFT_ALONE.iter().any(|word| all.contains(word));
    let file = FILES.iter().any(|ending| path.ends_with(ending));
    (!alone && !file).then_some(target)
}

/// The same without `.` and `..`.
fn straightened(target: &str) -> String {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let path = format!("/{}", parts.join("/"));
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_targets_on_the_same_host() {
        for (link, leads) in [
            ("/cart", Some("/cart")),
            ("cart?id=1#top", Some("/shop/cart?id=1")),
            ("../x", Some("/x")),
            ("?page=2", Some("/shop/list?page=2")),
            ("http://shop.example/a", Some("/a")),
            ("//shop.example", Some("/")),
            ("http://shop.example.org/a", None),
            ("https://other.example/a", None),
            ("mailto:ann@shop.example", None),
            ("javascript:void(0)", None),
            ("#top", None),
            ("/logout", None),
            ("/cart?action=delete", None),
            ("/style.css?v=3", None),
            ("/a b", None),
        ] {
            let found = target(link, "/shop/list?page=1", "shop.example");
            assert_eq!(found.as_deref(), leads, "{link}");
        }
    }

    #[test]
    fn a_page_leads_to_its_links_frames_and_search_forms() {
        let page = "<a href='/a'>a</a><iframe src=/b></iframe><form action=/c></form>\
            <form method=post action=/d></form><link href=/e><!-- <a href=/f> -->";
        assert_eq!(found(page, "/", "shop.example"), ["/a", "/b", "/c"]);
    }
}
