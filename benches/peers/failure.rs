//! Answers of an app that fails: 8 KiB of Python trace with the values of its variables, as debuggers print it, and no two alike.
//!
//! Every frame has names, numbers and addresses of its own, so that neither equal bodies nor common runs make keeping them cheap.

use std::fmt::Write;

/// Bytes of a body.
const LENGTH: usize = 8192;

/// Where a body has letters (`@`), digits (`#`) and hexadecimal digits (`%`) of its own.
const TOP: &str = "Traceback (most recent call last):\n  File \"/srv/shop/.venv/lib/python3.12/site-packages/django/core/handlers/exception.py\", line 55, in inner\n    \
    response = get_response(request)\n  File \"/srv/shop/.venv/lib/python3.12/site-packages/django/core/handlers/base.py\", line 197, in _get_response\n    \
    response = wrapped_callback(request, *callback_args, **callback_kwargs)\n";
const FRAMES: [&str; 3] = [
    "  File \"/srv/shop/orders/@@@@@@@@@@.py\", line ####, in @@@@@@@_@@@@\n    price = self.@@@@@@@@(order_id=#########, trace='%%%%%%%%-%%%%-%%%%')\n      \
     self = <shop.orders.models.Order object at 0x7f%%%%%%%%%%>\n",
    "  File \"/srv/shop/stock/@@@@@@@@.py\", line ###, in @@@@@@@@\n    row = cursor.execute(query, (#######, #####)).fetchone()\n      \
     cursor = <psycopg.Cursor [OK] at 0x7f%%%%%%%%%%>; shelf = '@@@@-####'\n",
    "  File \"/srv/shop/lib/@@@@@@@@@@@@.py\", line ###, in __call__\n    return await self.@@@@@@@@@@(request, started=17636####.######)\n",
];
const BOTTOM: &str = "psycopg.OperationalError: connection to \"db-%%.internal\" lost in transaction %%%%%%%%: order ######### of basket @@@@@@@@\n";

/// A sequence of failures.
pub(crate) struct Failure {
    answer: Vec<u8>,
    /// Where the body begins.
    body: usize,
    holes: Vec<Hole>,
    state: u64,
}

/// A character that each answer has of its own.
struct Hole {
    place: usize,
    alphabet: &'static [u8; 16],
}

impl Failure {
    pub(crate) fn new() -> Self {
        let mut body = TOP.to_owned();
        let mut frames = FRAMES.iter().cycle();
        while body.len() + 400 < LENGTH {
            body.push_str(frames.next().copied().unwrap_or_default());
        }
        let left = LENGTH - body.len() - BOTTOM.len() - 1;
        // A last line of the length that is left.
        _ = writeln!(body, "{:@<left$}", "  note: ");
        body.push_str(BOTTOM);
        let head = format!(
            "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {LENGTH}\r\n\r\n"
        );
        let from = head.len();
        let holes = body.bytes().enumerate().filter_map(|(place, byte)| {
            let alphabet = alphabet(byte)?;
            let place = from + place;
            Some(Hole { place, alphabet })
        });
        Self {
            holes: holes.collect(),
            answer: (head + &body).into_bytes(),
            body: from,
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The next answer, head and body.
    pub(crate) fn next(&mut self) -> &[u8] {
        for holes in self.holes.chunks(16) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            let mut random = self.state;
            for hole in holes {
                if let Some(byte) = self.answer.get_mut(hole.place) {
                    *byte = hole.alphabet[(random & 15) as usize];
                }
                random >>= 4;
            }
        }
        &self.answer
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        self.answer.get(self.body..).unwrap_or_default()
    }
}

fn alphabet(hole: u8) -> Option<&'static [u8; 16]> {
    match hole {
        b'@' => Some(b"aeioulnrstmdcpbg"),
        b'#' => Some(b"0123456789012345"),
        b'%' => Some(b"0123456789abcdef"),
        _ => None,
    }
}
