//! The loader as a whole: what is laid over what, and what follows from the rest.

mod cross_checks;
mod example;
mod mistakes;

use std::path::{Path, PathBuf};

use super::load::parse_in;
use super::*;

/// A file that has what every file must have.
const APP: &str = "[upstreams.app]\nendpoints = [\"http://127.0.0.1:3000\"]\n";

fn read(text: &str) -> Result<Loaded, Report> {
    let environment = |name: &str| (name == "PORT").then(|| "3000".to_owned());
    parse_in(
        (text, "pardon.toml"),
        Path::new("/nowhere"),
        &Flags::default(),
        &environment,
    )
}

fn loaded(text: &str) -> Config {
    read(text)
        .unwrap_or_else(|report| panic!("{report}"))
        .config
}

fn report(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn one_upstream_without_routes_gets_all_requests() {
    let config = loaded(&format!(
        "{APP}timeouts.head = \"3s\"\n[brand]\nname = \"Shop\"\n"
    ));
    let [route] = config.routes.as_slice() else {
        panic!("one route")
    };
    assert_eq!(
        (route.name.as_str(), route.upstream.as_str()),
        ("app", "app")
    );
    assert_eq!((route.host.as_str(), route.path.as_str()), ("", "/"));
    assert_eq!(route.timeouts.head, units::Period::seconds(3));
    assert_eq!(route.brand.name.as_deref(), Some("Shop"));
}

#[test]
fn a_route_overrides_key_by_key() {
    let config = loaded(&format!(
        "{APP}timeouts.head = \"3s\"\ntimeouts.body = \"4s\"\n[intercept]\nstatuses = [\"500\"]\nonly = \"leaking\"\n\
         [intercept.capture]\nhold = \"1s\"\n\
         [[routes]]\nhost = \"Shop.Example.com\"\nname = \"shop\"\ntimeouts.head = \"9s\"\n[routes.intercept]\n\
         statuses = [\"4xx\"]\ncapture.max_body = \"1B\"\n[[routes]]\n"
    ));
    let [shop, rest] = config.routes.as_slice() else {
        panic!("two routes")
    };
    assert_eq!(shop.host, "shop.example.com");
    assert_eq!(shop.timeouts.head, units::Period::seconds(9));
    assert_eq!(shop.timeouts.body, units::Period::seconds(4));
    assert!(shop.intercept.statuses.contains(404) && !shop.intercept.statuses.contains(500));
    assert_eq!(shop.intercept.only, Only::Leaking);
    assert_eq!(shop.intercept.capture.hold, units::Period::seconds(1));
    assert_eq!(shop.intercept.capture.max_body, units::Size(1));
    assert_eq!(rest.intercept, config.intercept);
    assert_eq!(rest.timeouts.head, units::Period::seconds(3));
}

#[test]
fn variables_stand_in_values_only() {
    let text = "[upstreams.app]\nendpoints = [\"http://${HOST:-app}:${PORT}\"] # ${NOPE}\n";
    let config = loaded(text);
    let endpoints: Vec<_> = config
        .upstreams
        .values()
        .flat_map(|app| &app.endpoints)
        .collect();
    assert_eq!(endpoints, [&"http://app:3000".parse().unwrap()]);
}

#[test]
fn flags_alone_are_enough() {
    let config = for_upstream("http://localhost:3000", Some("127.0.0.1:0"))
        .unwrap()
        .config;
    assert_eq!(config.routes.len(), 1);
    assert_eq!(config.server.listen, ["127.0.0.1:0".parse().unwrap()]);
    let wrong = for_upstream("localhost", Some("x")).unwrap_err();
    assert_eq!(wrong.count(), 2);
    assert!(for_upstream("unix:/run/app.sock", None).is_ok());
    assert!(for_upstream("unix:app.sock", None).is_err());
}

#[test]
fn the_search_says_where_it_looked() {
    assert_eq!(
        find(Some(Path::new("x.toml"))).unwrap(),
        PathBuf::from("x.toml")
    );
    let text = load(Path::new("/nowhere/pardon.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("error: cannot read `/nowhere/pardon.toml`"),
        "{text}"
    );
}

#[test]
fn color_only_when_asked() {
    let report = read("[server]\ntimout = 1\n").unwrap_err();
    assert!(!report.render(false).contains('\x1b'));
    assert!(report.render(true).contains('\x1b'));
}
