//! Inputs that are nearly others.

use std::ops::Range;

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
    "{\"fault\": \"",
    "\"route\": \"/users\"",
    "\"statement\": \"BEGIN\"",
    "\"per_second\": ",
    "\"share\": 0.5",
    "\"for\": \"300ms\"",
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

/// What separates parts in whatever is parsed here.
const JOINTS: &[u8] = b"{}[]:,\"=&;. \r\n";

/// A place to cut: often where parts meet, so that whole ones are moved, or at an end, where parsers look first.
fn place(input: &[u8], dice: &mut Dice) -> usize {
    match dice.below(8) {
        0 => return 0,
        1 => return input.len(),
        _ => {}
    }
    let joints: Vec<usize> = (0..input.len()).filter(|at| JOINTS.contains(&input[*at])).collect();
    match joints.get(dice.below(joints.len() * 2)) {
        Some(joint) => joint + dice.below(2),
        None => dice.below(input.len() + 1),
    }
}

/// A part of it, not too long.
fn part(input: &[u8], dice: &mut Dice) -> Range<usize> {
    let (one, other) = (place(input, dice), place(input, dice));
    let at = one.min(other);
    at..one.max(other).min(at + 64)
}

/// Any, but mostly one that people can type.
fn octet(dice: &mut Dice) -> u8 {
    let any = if dice.below(4) == 0 { dice.below(256) } else { 32 + dice.below(95) };
    u8::try_from(any).unwrap_or_default()
}

/// One of these with a few changes. There must be some.
pub(crate) fn mutated(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    // What was found last has been tried least.
    let newest = if dice.below(2) == 0 { corpus.len().saturating_sub(8) } else { 0 };
    let mut input = corpus[newest + dice.below(corpus.len() - newest)].clone();
    for _ in 0..=dice.below(4) {
        let here = part(&input, dice);
        let other = &corpus[dice.below(corpus.len())];
        match dice.below(8) {
            0 => drop(input.drain(here)),
            1 => {
                let again = input[here.clone()].to_vec();
                drop(input.splice(here.start..here.start, again));
            }
            2 => drop(input.splice(here.start..here.start, WORDS[dice.below(WORDS.len())].bytes())),
            3 => drop(input.splice(here, WORDS[dice.below(WORDS.len())].bytes())),
            4 => {
                input.truncate(here.start);
                input.extend_from_slice(&other[place(other, dice)..]);
            }
            5 => drop(input.splice(here.start..here.start, other[part(other, dice)].iter().copied())),
            6 => input.insert(here.start, octet(dice)),
            _ => {
                if let Some(byte) = input.get_mut(here.start) {
                    *byte ^= 1 << dice.below(8);
                }
            }
        }
    }
    input.truncate(LONGEST);
    input
}
