//! The page speaks the visitor's language: chosen by `Accept-Language` among those offered, said in header, page and record.

use crate::support::{Gateway, Origin};

fn failing() -> Origin {
    Origin::saying(500, "Content-Type: text/html\r\n", "<h1>hunter2</h1>")
}

#[test]
fn the_language_is_the_one_asked_for() {
    let origin = failing();
    let gateway = Gateway::before(&origin);
    for (asked, language, direction, title) in [
        ("", "en", "ltr", "Something went wrong"),
        (
            "Accept-Language: tlh\r\n",
            "en",
            "ltr",
            "Something went wrong",
        ),
        (
            "Accept-Language: de-AT,en;q=0.5\r\n",
            "de",
            "ltr",
            "Etwas ist schiefgegangen",
        ),
        (
            "Accept-Language: tlh, ar;q=0.9, de;q=0.8\r\n",
            "ar",
            "rtl",
            "حدث خطأ ما",
        ),
        ("Accept-Language: zh-TW\r\n", "zh-Hant", "ltr", "發生問題"),
    ] {
        let answer = gateway.get("/", &format!("Accept: text/html\r\n{asked}"));

        assert_eq!(answer.header("content-language"), Some(language));
        let page = answer.text();
        assert!(
            page.contains(&format!("<html lang=\"{language}\" dir=\"{direction}\">")),
            "{page}"
        );
        assert!(page.contains(&format!("<h1>{title}</h1>")), "{page}");
        let incident = gateway.incident(answer.id());
        assert_eq!(&*incident.served.as_ref().unwrap().language, language);
    }
}

#[test]
fn only_what_is_offered_is_spoken_and_the_first_is_the_fallback() {
    let origin = failing();
    let gateway = Gateway::set(&origin, "[pages]\nlanguages = [\"fr\", \"en\"]\n");
    for (asked, language) in [("", "fr"), ("de", "fr"), ("en-GB", "en")] {
        let answer = gateway.get("/", &format!("Accept-Language: {asked}\r\n"));

        assert_eq!(answer.header("content-language"), Some(language));
    }
}

#[test]
fn a_language_that_is_not_there_is_refused() {
    let problems = Gateway::refused("[pages]\nlanguages = [\"en\", \"tlh\"]\n");

    assert!(
        problems.contains("there are no pages in `tlh`"),
        "{problems}"
    );
}
