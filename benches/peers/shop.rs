//! An app that is well: its pages.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// A good page of about this size, as a shop has them: with links, a script, indentation.
pub(crate) fn page(size: usize) -> Vec<u8> {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n  <meta charset=\"utf-8\">\n  <title>Shop</title>\n  \
         <link rel=\"stylesheet\" href=\"/style.css\">\n  <script>\n    document.addEventListener('click', function (event) {\n      \
         if (event.target.matches('a.item')) { fetch('/seen', { method: 'POST' }); }\n    });\n  </script>\n</head>\n<body>\n",
    );
    let mut number = 1_u32;
    while page.len() < size {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let row = format!(
            "    <li class=\"item\"><a class=\"item\" href=\"/products/{number}\">Product {number}</a>\n      \
             <p>One of the things that our shop has had since {}, and still on offer: a fine piece of work.</p>\n    </li>\n",
            1900 + number % 100
        );
        page.push_str(&row);
    }
    page.push_str("</body>\n</html>\n");
    page.into_bytes()
}

/// A page as it goes to browsers.
pub(crate) fn gzip(page: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(page)?;
    encoder.finish()
}
