//! Whatever a person asks for.

use crate::config::units::StatusSet;

use super::*;

#[test]
fn refusals_are_a_ring_of_their_own() {
    let folder = Folder::new();
    let mut store = folder.open();
    let refusal = |n: usize| Incident {
        cause: Cause::Refused,
        body: None,
        ..sample(&format!("id-{n}"))
    };
    let all: Vec<Entry> = (0..10_010)
        .map(|n| entry(Kind::Refusal, refusal(n)))
        .collect();
    for batch in all.chunks(100) {
        store.write(batch, &Losses::default()).unwrap();
    }
    let reader = folder.reader();
    assert_eq!(count(&reader, "refusals"), 10_000);
    assert!(found(&reader, "id-9").is_empty());
    assert_eq!(found(&reader, "id-10")[0].cause, Cause::Refused);
    let asked = Filter {
        cause: Some(Cause::Refused),
        ..Filter::default()
    };
    assert_eq!(reader.list(&asked, 3).unwrap().len(), 3);
    assert!(reader.list(&Filter::default(), 3).unwrap().is_empty());
}

#[test]
fn whatever_is_typed_means_itself() {
    let folder = Folder::new();
    let mut store = folder.open();
    let key = Arc::new(crate::request_id::IdKey::new());
    let id = crate::request_id::IdSource::new(&key, 0).next(std::time::SystemTime::now());
    let own = Incident {
        id: id.clone(),
        ..sample("own")
    };
    write(
        &mut store,
        [own, sample("twice"), sample("other"), sample("twice")],
    );
    let reader = folder.reader();
    let ids = |typed: &str| -> Vec<String> {
        found(&reader, typed)
            .iter()
            .map(|one| one.id.to_string())
            .collect()
    };
    assert_eq!(ids("twice").len(), 2);
    assert_eq!(ids(" other\n"), ["other"]);
    assert_eq!(ids("othe"), ["other"], "the only one that begins so");
    let own = id.as_str();
    assert_eq!(ids(&own.to_lowercase().replace('-', " ")), [own]);
    assert_eq!(ids(&own[..12]), [own]);
    for hostile in [
        "' or 1=1 --",
        "%",
        "____",
        "*",
        "\"",
        "oth%",
        "\0",
        "",
        "TWICE",
        "twi",
    ] {
        assert!(
            matches!(reader.find(hostile).unwrap(), Found::Nothing),
            "{hostile}"
        );
    }
    let mut wrong = own.to_owned();
    let last = if own.ends_with('7') { "8" } else { "7" };
    wrong.replace_range(own.len() - 1.., last);
    match reader.find(&wrong).unwrap() {
        Found::Mistyped(nearest) => assert!(nearest.iter().any(|one| one.id == id)),
        other => panic!("{other:?}"),
    }
}

/// A store with four incidents: two of a shop, one of a blog, one more of the shop, over nine hours.
fn four() -> (Folder, Reader) {
    let folder = Folder::new();
    let at = |id: &str, hour: u8, route: &str, cause: Cause| Incident {
        time: format!("2024-02-03T{hour:02}:05:06Z").parse().unwrap(),
        route: route.into(),
        cause,
        ..sample(id)
    };
    write(
        &mut folder.open(),
        [
            at("a", 1, "shop", Cause::UpstreamStatus),
            at("b", 2, "blog", Cause::HeadTimeout),
            at("c", 5, "shop", Cause::HeadTimeout),
            at("d", 9, "shop", Cause::UpstreamStatus),
        ],
    );
    let reader = folder.reader();
    (folder, reader)
}

fn ids(listed: &[Listed]) -> String {
    listed.iter().map(|one| one.id.as_str()).collect()
}

#[test]
fn filters_find_what_they_name() {
    let (_folder, reader) = four();
    let any = Filter::default;
    let since = Some("2024-02-03T02:05:07Z".parse().unwrap());
    let route = Some("shop".to_owned());
    let cause = Some(Cause::HeadTimeout);
    let fives = Some(StatusSet(vec![500..=599]));
    let gateways = Some(StatusSet(vec![404..=404, 502..=504]));
    for (filter, expected) in [
        (any(), "dcba"),
        (Filter { since, ..any() }, "dc"),
        (
            Filter {
                route: route.clone(),
                ..any()
            },
            "dca",
        ),
        (Filter { cause, ..any() }, "cb"),
        (
            Filter {
                since,
                route,
                cause,
                ..any()
            },
            "c",
        ),
        (
            Filter {
                statuses: fives,
                ..any()
            },
            "dcba",
        ),
        (
            Filter {
                statuses: gateways,
                ..any()
            },
            "",
        ),
        (
            Filter {
                route: Some("' OR 1".to_owned()),
                ..any()
            },
            "",
        ),
    ] {
        assert_eq!(
            ids(&reader.list(&filter, 10).unwrap()),
            expected,
            "{filter:?}"
        );
        let limited = reader.list(&filter, 1).unwrap();
        assert_eq!(ids(&limited), expected.get(..1).unwrap_or_default());
    }
}

#[test]
fn filters_find_what_is_not_settled_yet_and_what_settles_late() {
    let folder = Folder::new();
    let mut store = folder.open();
    let early = Incident {
        settled: false,
        ..sample("a")
    };
    let early = entry(Kind::Incident, early);
    let late = Incident {
        time: "2024-02-03T09:05:06Z".parse().unwrap(),
        route: "blog".into(),
        ..sample("c")
    };
    let batch = [
        early,
        entry(Kind::Incident, sample("b")),
        entry(Kind::Incident, late),
    ];
    store.write(&batch, &Losses::default()).unwrap();
    let asked = Filter {
        route: Some("shop".to_owned()),
        ..Filter::default()
    };
    let listed = || ids(&folder.reader().list(&asked, 9).unwrap());
    assert_eq!(listed(), "ba");

    let amendment = Entry::new(
        Kind::Amendment,
        Arc::new(sample("a")),
        Arc::clone(&batch[0].ticket),
        None,
    );
    store.write(&[amendment], &Losses::default()).unwrap();

    assert_eq!(listed(), "ba", "it was counted after a later one");
}

#[test]
fn of_many_ids_that_begin_alike_the_last_are_given() {
    let folder = Folder::new();
    let mut store = folder.open();
    write(&mut store, (100..300).map(|n| sample(&format!("many-{n}"))));
    match folder.reader().find("many").unwrap() {
        Found::Beginning(found) => {
            assert_eq!(found.len(), 100);
            assert_eq!(found[0].id.as_str(), "many-299");
            assert_eq!(found[99].id.as_str(), "many-200");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_came_after_is_given_in_its_order() {
    let (_folder, reader) = four();
    let any = Filter::default();
    let second = reader.list(&any, 10).unwrap()[2].seq;
    assert_eq!(ids(&reader.after(second, &any, 10).unwrap()), "cd");
    assert_eq!(
        ids(&reader
            .after(reader.newest(&any).unwrap(), &any, 10)
            .unwrap()),
        ""
    );
    assert_eq!(reader.last().unwrap().unwrap().id.as_str(), "d");
}

#[test]
fn an_hour_has_no_more_groups_than_its_bound() {
    let folder = Folder::new();
    let mut store = folder.open();
    let different = |n: u64| Incident {
        fingerprint: Fingerprint(n),
        ..sample("a")
    };
    write(&mut store, (1..=1100).map(different));
    let groups = folder.reader().groups(&Filter::default(), 5000).unwrap();
    assert_eq!(groups.len(), 1001);
    assert_eq!(
        (groups[0].fingerprint, groups[0].count),
        (Fingerprint(0), 100)
    );
    assert_eq!(groups.iter().map(|group| group.count).sum::<u64>(), 1100);
}

#[test]
fn what_is_in_no_group_of_its_own_is_found_even_when_others_are_forgotten() {
    let folder = Folder::new();
    let mut store = folder.open();
    let different = |n: u64| Incident {
        fingerprint: Fingerprint(n),
        ..sample(&format!("id-{n}"))
    };
    write(&mut store, (1..=1005).map(different));
    forget_id(&folder.file(), "id-1005").unwrap();
    let asked = Filter {
        statuses: Some(StatusSet(vec![500..=500])),
        ..Filter::default()
    };
    let listed = folder.reader().list(&asked, 4).unwrap();
    assert_eq!(ids(&listed), "id-1004id-1003id-1002id-1001");
}

#[test]
fn losses_add_up() {
    let folder = Folder::new();
    let mut store = folder.open();
    let losses = Losses {
        bodies: 3,
        rows: 1,
        ..Losses::default()
    };
    write(&mut store, [sample("a")]);
    store.write(&[], &losses).unwrap();
    store.write(&[], &losses).unwrap();
    let counted = folder.reader().losses(None).unwrap();
    assert_eq!(
        (counted.bodies, counted.rows, counted.unconfirmed),
        (6, 2, 0)
    );
    let later = folder
        .reader()
        .losses(Some("2030-01-01T00:00:00Z".parse().unwrap()));
    assert!(later.unwrap().is_none());
}

#[test]
fn a_reader_gives_no_more_bytes_than_it_is_told_to_but_one_incident_in_any_case() {
    let folder = Folder::new();
    let mut store = folder.open();
    let bodies = [[b'a'; 40], [b'b'; 40], [b'c'; 40]];
    write(
        &mut store,
        bodies.iter().map(|body| incident("twice", body)),
    );
    for (most, given) in [(0, 1), (40, 1), (79, 1), (80, 2), (120, 3), (usize::MAX, 3)] {
        let reader = folder.reader().at_most(most);
        assert_eq!(found(&reader, "twice").len(), given, "{most}");
    }
}

#[test]
fn a_question_can_be_stopped_from_another_thread() {
    let folder = Folder::new();
    drop(folder.open());
    let reader = folder.reader();
    let stop = reader.stopper();
    let asking = std::thread::spawn(move || {
        let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
        let asked = reader
            .connection
            .query_row(endless, [], |row| row.get::<_, i64>(0));
        asked.map_err(|error| error.sqlite_error_code())
    });
    while !asking.is_finished() {
        stop();
        std::thread::yield_now();
    }
    let interrupted = Some(rusqlite::ErrorCode::OperationInterrupted);
    assert_eq!(asking.join().unwrap(), Err(interrupted));
    stop();
}
