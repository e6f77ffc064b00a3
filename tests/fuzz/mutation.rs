//! Inputs that are nearly others.

/// Words that parsers look for, which chance finds late.
const WORDS: &[&str] = &[
    "\"email\":",
    "\"password\":",
    "\"name\":",
    "\"role\":",
    "\"refresh_token\":",
    "null",
    "{}",
    "[]",
    "\\u0000",
    "\\ud800",
    "@",
    "xn--",
    "\u{202e}",
    "\u{feff}",
    "é",
    "%00",
    "%2e%2e/",
    "..",
    "\r\n",
    "\r\n\r\n",
    "Bearer ME",
    "\"*\"",
    "W/\"1\"",
    "If-Match: ",
    "Authorization: ",
    "X-Forwarded-For: ",
    "traceparent: 00-",
    "Content-Type: application/json\r\n",
    "GET ",
    "PATCH ",
    "/api/v1/users/me",
    "?limit=",
    "&cursor=",
    "\"alg\":\"none\"",
    "\"exp\":",
    "\"sub\":",
    "1e999",
    "9223372036854775808",
    "-1",
    "[http]\n",
    "[\"",
    "\"\"\"",
    "= true\n",
    "10s",
    "99999999999d",
    "$argon2id$",
];

/// A generator of numbers that gives the same each time (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, or zero if there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from((self.next() >> 16) % end).unwrap_or_default()
    }
}

/// The longest input.
const LONGEST: usize = 4096;

/// One of these with a few changes.
pub(crate) fn mutated(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut input = corpus.get(dice.below(corpus.len())).cloned().unwrap_or_default();
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len() + 1);
        let until = at + dice.below(input.len() - at + 1).min(32);
        match dice.below(8) {
            0 => drop(input.drain(at..until)),
            1 => {
                let again = input[at..until].to_vec();
                drop(input.splice(at..at, again));
            }
            2 | 3 => drop(input.splice(at..at, WORDS[dice.below(WORDS.len())].bytes())),
            4 => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            5 => input.insert(at, u8::try_from(dice.below(256)).unwrap_or_default()),
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
        }
    }
    input.truncate(LONGEST);
    input
}
