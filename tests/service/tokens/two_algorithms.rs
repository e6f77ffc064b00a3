//! Attacks that need two algorithms, or ECDSA.

use glasshouse::domain::auth::SigningAlgorithm;
use serde_json::json;

use super::{
    forge::{Forge, changed, signed_by},
    table::{ALGORITHM, Attack, SIGNATURE, row},
};

/// Keys and algorithms of both families, mixed up.
pub(super) fn families(forge: &Forge) -> Vec<Attack> {
    let head = |algorithm: SigningAlgorithm, kid: &str| {
        changed(&forge.head, |head| {
            head["alg"] = json!(algorithm.as_str());
            head["kid"] = json!(kid);
        })
    };
    let (own, other) = (&forge.key, &forge.other);
    let mut rows = Vec::new();
    for (signer, key) in [("its own", own), ("the other", other), ("a stranger's", &forge.stranger)] {
        let signed = |head: String| signed_by(key, head, &forge.claims);
        rows.push(row(format!("other alg, signed by {signer} key"), signed(head(other.algorithm, &own.id)), ALGORITHM));
        rows.push(row(format!("other kid, signed by {signer} key"), signed(head(own.algorithm, &other.id)), ALGORITHM));
    }
    let swapped = signed_by(own, head(other.algorithm, &other.id), &forge.claims);
    rows.push(row("other alg and kid, signed by its own key", swapped, SIGNATURE));
    let swapped = signed_by(other, head(own.algorithm, &own.id), &forge.claims);
    rows.push(row("signed by the other key", swapped, SIGNATURE));
    rows
}

/// Signatures that broken verifiers of ECDSA accept, and other ways to write the right one. The signature with the
/// negative of `s` is right as well (RFC 7518 does not exclude it); it says nothing else, so it is no attack.
pub(super) fn ecdsa(signature: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (r, s) = signature.split_at(32);
    let (zero, one) = ([0; 32], [&[0; 31][..], &[1]].concat());
    let integer = |number: &[u8]| [&[2, 33, 0][..], number].concat();
    let der = [&[0x30, 70][..], &integer(r), &integer(s)].concat();
    vec![
        ("r of zero", [&zero, s].concat()),
        ("s of zero", [r, &zero].concat()),
        ("r and s of the order", [ORDER, ORDER].concat()),
        ("r of the order", [&ORDER, s].concat()),
        ("s of the order", [r, &ORDER].concat()),
        ("r and s of one", [one.clone(), one].concat()),
        ("r and s exchanged", [s, r].concat()),
        ("the right signature in DER", der),
        ("the right signature with zeros before both", [&[0][..], r, &[0], s].concat()),
    ]
}
