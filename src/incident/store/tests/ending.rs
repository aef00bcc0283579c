//! How what was written ends: forgotten, too old, too much, set aside.

use super::*;

#[test]
fn equal_bodies_are_kept_once() {
    let folder = Folder::new();
    let mut store = folder.open();
    let same = |n: usize| incident(&format!("id-{n}"), b"the same");
    let seqs = write(&mut store, (0..50).map(same));
    write(&mut store, [incident("other", b"another")]);
    let reader = folder.reader();
    assert_eq!(count(&reader, "bodies"), 2);
    for n in 0..50 {
        let [one] = found(&reader, &format!("id-{n}")).try_into().unwrap();
        assert_eq!(one.body.unwrap().content, "the same");
    }
    // The one that brought it goes; the others keep it.
    forget_id(&folder.file(), "id-0").unwrap();
    assert_eq!(
        found(&reader, "id-49")[0].body.as_ref().unwrap().content,
        "the same"
    );
    for n in 1..50 {
        forget_id(&folder.file(), &format!("id-{n}")).unwrap();
    }
    assert_eq!(count(&reader, "bodies"), 1);
    // The writer does not know; it looks.
    let later = write(&mut store, [same(50)]);
    assert!(later[0] > seqs[49]);
    assert_eq!(
        found(&reader, "id-50")[0].body.as_ref().unwrap().content,
        "the same"
    );
}

#[test]
fn a_damaged_file_is_set_aside_with_its_companions() {
    let folder = Folder::new();
    fs::write(
        folder.file(),
        b"SQLite format 3\0 and then nonsense".repeat(99),
    )
    .unwrap();
    fs::write(beside(&folder.file(), "-wal"), b"log").unwrap();
    assert!(matches!(folder.refused().kind(), Trouble::Damaged(_)));
    let now = "2026-11-21T09:15:00Z".parse().unwrap();
    let aside = set_aside(&folder.file(), now).unwrap();
    assert!(aside.ends_with("pardon.db.damaged-20261121T091500Z"));
    assert!(!folder.file().exists());
    assert_eq!(fs::read(beside(&aside, "-wal")).unwrap(), b"log");
    fs::write(folder.file(), "again").unwrap();
    let second = set_aside(&folder.file(), now).unwrap();
    assert!(second.ends_with("pardon.db.damaged-20261121T091500Z-2"));
    assert_eq!(aside::set_aside_of(&folder.file()).len(), 3);
    drop(folder.open());
}

#[test]
fn one_process_writes() {
    let folder = Folder::new();
    let held = Lock::take(&folder.file()).unwrap();
    let refused = Lock::take(&folder.file()).unwrap_err();
    assert!(refused.is_for_a_person());
    let text = format!("in use by another process ({})", std::process::id());
    assert!(refused.to_string().contains(&text), "{refused}");
    drop(held);
    assert!(Lock::take(&folder.file()).is_ok());
}

#[test]
fn forgetting_leaves_nothing_in_the_file_or_the_log() {
    let folder = Folder::new();
    let mut store = folder.open();
    let personal = Bytes::from("Ms Marple of St Mary Mead ".repeat(900));
    let about = |id: &str, client: [u8; 4]| {
        let mut incident = incident(id, &personal);
        incident.body = incident.body.map(|body| BodyRecord {
            content: format!("{id} {}", String::from_utf8_lossy(&personal)).into(),
            ..body
        });
        incident.request.client = Some(client.into());
        incident.request.url = format!("/people/{id}");
        incident
    };
    let mut told = about("told-in-a-header", [127, 0, 0, 1]);
    let name = http::HeaderName::from_static("x-forwarded-for");
    told.request.headers.push(crate::incident::HeaderField::new(
        &name,
        b"10.0.0.9, 192.0.2.9:4711",
    ));
    write(
        &mut store,
        [
            about("first-of-two", [192, 0, 2, 9]),
            about("of-another", [192, 0, 2, 99]),
            told,
            about("by-its-id", [192, 0, 2, 1]),
        ],
    );
    store
        .write(
            &[entry(Kind::Refusal, about("refused-one", [192, 0, 2, 9]))],
            &Losses::default(),
        )
        .unwrap();

    let gone = forget_client(&folder.file(), "192.0.2.9".parse().unwrap()).unwrap();
    assert_eq!((gone.incidents, gone.refusals, gone.log_cut), (2, 1, true));
    let gone = forget_id(&folder.file(), "by-its-id").unwrap();
    assert_eq!((gone.incidents, gone.refusals), (1, 0));
    assert_eq!(forget_id(&folder.file(), "by-its-id").unwrap().incidents, 0);

    let bytes = ["", "-wal"]
        .map(|ending| fs::read(beside(&folder.file(), ending)).unwrap())
        .concat();
    for id in [
        "first-of-two",
        "told-in-a-header",
        "by-its-id",
        "refused-one",
    ] {
        assert_eq!(memchr::memmem::find(&bytes, id.as_bytes()), None, "{id}");
    }
    assert!(memchr::memmem::find(&bytes, b"of-another").is_some());
    let groups = folder.reader().groups(&Filter::default(), 9).unwrap();
    assert_eq!(groups[0].count, 1);
    assert_eq!(groups[0].newest.as_ref().unwrap().id.as_str(), "of-another");
    let alike = folder.reader().alike(groups[0].fingerprint, Timestamp::MIN);
    assert_eq!(alike.unwrap(), 1);
}

#[test]
fn what_is_old_or_too_much_goes_in_steps() {
    let folder = Folder::new();
    let mut store = folder.open();
    let now: Timestamp = "2024-02-03T05:00:00Z".parse().unwrap();
    let limits = |age: u64, size: u64| {
        Limits::new(&crate::config::Incidents {
            max_age: crate::config::units::Period::seconds(age),
            max_size: crate::config::units::Size(size),
            ..crate::config::Incidents::default()
        })
    };
    let noise = |seed: u64| -> Vec<u8> {
        let mut state = seed + 1;
        let next = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..8000).map(next).collect()
    };
    write(
        &mut store,
        (0..200).map(|n| incident(&format!("old-{n}"), &noise(n))),
    );
    let young = |n: u64| Incident {
        time: "2024-02-03T04:59:00Z".parse().unwrap(),
        ..incident(&format!("young-{n}"), &noise(1000 + n))
    };
    write(&mut store, (0..400).map(young));

    let one = Written {
        rows: 1,
        bytes: 8000,
    };
    let mut steps = 0;
    while store.retain(&limits(3000, 1 << 30), now, one).unwrap().more {
        steps += 1;
    }
    assert!(steps >= 2, "in steps");
    let reader = folder.reader();
    assert_eq!(count(&reader, "incidents"), 400);
    assert_eq!(count(&reader, "bodies"), 400);

    while store
        .retain(&limits(3000, 2 << 20), now, Written::default())
        .unwrap()
        .more
    {}
    let kept = count(&reader, "incidents");
    assert!((100..230).contains(&kept), "{kept}");
    assert!(found(&reader, "young-0").is_empty());
    assert_eq!(found(&reader, "young-399").len(), 1);
    let pages: u64 = store
        .connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    assert!(pages * 8192 <= 2 << 20, "the file shrinks: {pages} pages");
}

#[test]
fn a_flood_of_refusals_costs_no_incident() {
    let folder = Folder::new();
    let mut store = folder.open();
    write(
        &mut store,
        (0..50).map(|n| incident(&format!("id-{n}"), b"text")),
    );
    let wide = || Incident {
        body: None,
        cause: Cause::Refused,
        ..sample("refused")
    };
    let flood: Vec<Entry> = (0..4000).map(|_| entry(Kind::Refusal, wide())).collect();
    store.write(&flood, &Losses::default()).unwrap();
    let limits = Limits::new(&crate::config::Incidents {
        max_size: crate::config::units::Size(1 << 20),
        ..crate::config::Incidents::default()
    });
    let now = "2024-02-03T05:00:00Z".parse().unwrap();
    while store.retain(&limits, now, Written::default()).unwrap().more {}
    let reader = folder.reader();
    assert_eq!(count(&reader, "incidents"), 50);
    assert!(count(&reader, "refusals") < 4000);
}
