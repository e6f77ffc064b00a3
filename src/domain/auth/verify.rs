//! Comparing a password with a stored hash.

use argon2::{
    Argon2, Params,
    password_hash::{self, PasswordVerifier, phc},
};

/// How a password compares with a stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is another password.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, but its hash is not made as new ones are: not of the NFC, or with other parameters.
    RightButOutdated,
    /// The stored hash is of a kind that the service cannot verify.
    Unverifiable,
}

impl Verdict {
    /// Whether it is the password.
    #[must_use]
    pub const fn is_right(self) -> bool {
        matches!(self, Self::Right | Self::RightButOutdated)
    }
}

/// A hash that no password has, at the price of one of ours. Hashing anew instead would take another time: 1.3 % more, and
/// a few hundred tries tell that.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzLg$Y4KzzIgUErd7/K7tAmABwA2eMCXmbCD25+kvB5hRRio";

/// Algorithm, version and parameters of new hashes.
const CURRENT: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// The most memory in KiB, and the most passes over it, that verifying a stored hash may take.
const MAX_MEMORY: u32 = 1024 * 1024;
const MAX_PASSES: u32 = 64;

/// Compares with the hash, or with one that no password has if there is none.
pub(super) fn verify(normalized: &str, given: &str, stored: Option<&str>) -> password_hash::Result<Verdict> {
    let hash = stored.and_then(readable);
    let is_verifiable = stored.is_none() || hash.is_some();
    let hash = match hash {
        Some(hash) => hash,
        None => phc::PasswordHash::new(NOBODYS)?,
    };
    let is_current = stored.is_some_and(|stored| stored.starts_with(CURRENT));
    let verdict = if matches(normalized, &hash)? {
        if is_current { Verdict::Right } else { Verdict::RightButOutdated }
    } else if given != normalized && matches(given, &hash)? {
        Verdict::RightButOutdated
    } else {
        Verdict::Wrong
    };
    Ok(match verdict {
        _ if !is_verifiable => Verdict::Unverifiable,
        _ if stored.is_none() => Verdict::Wrong,
        verdict => verdict,
    })
}

/// A hash of argon2, with bounded parameters; none for any other text.
fn readable(stored: &str) -> Option<phc::PasswordHash> {
    let hash = phc::PasswordHash::new(stored).ok()?;
    let params = Params::try_from(&hash).ok()?;
    let is_bounded = params.m_cost() <= MAX_MEMORY && params.t_cost() <= MAX_PASSES;
    let is_argon2 = matches!(hash.algorithm.as_str(), "argon2d" | "argon2i" | "argon2id");
    let is_whole = hash.salt.is_some() && hash.hash.is_some();
    (is_argon2 && is_bounded && is_whole && matches!(hash.version, None | Some(16 | 19))).then_some(hash)
}

fn matches(password: &str, hash: &phc::PasswordHash) -> password_hash::Result<bool> {
    match Argon2::default().verify_password(password.as_bytes(), hash) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher};

    use super::{CURRENT, NOBODYS, Verdict, verify};

    const NFC: &str = "p\u{e4}ssw\u{f6}rd";
    const NFD: &str = "pa\u{308}sswo\u{308}rd";

    fn hash(password: &str) -> String {
        Argon2::default().hash_password(password.as_bytes()).unwrap().to_string()
    }

    /// Everything but salt and hash, and how long these are.
    fn price(hash: &str) -> (&str, usize, usize) {
        let mut parts = hash.rsplitn(3, '$');
        let (hash, salt) = (parts.next().unwrap(), parts.next().unwrap());
        (parts.next().unwrap(), salt.len(), hash.len())
    }

    #[test]
    fn a_password_that_nobody_has_is_checked_at_the_price_of_any_other() {
        let anybodys = hash("a fine password");
        assert_eq!(price(NOBODYS), price(&anybodys));
        assert!(anybodys.starts_with(CURRENT), "{anybodys}");
    }

    #[test]
    fn password_is_compared_in_nfc_and_then_as_given() {
        let (composed, decomposed) = (hash(NFC), hash(NFD));
        assert_eq!(verify(NFC, NFC, Some(&composed)), Ok(Verdict::Right));
        assert_eq!(verify(NFC, NFD, Some(&composed)), Ok(Verdict::Right));
        assert_eq!(verify(NFC, NFD, Some(&decomposed)), Ok(Verdict::RightButOutdated));
        assert_eq!(verify(NFC, NFC, Some(&decomposed)), Ok(Verdict::Wrong));
        assert_eq!(verify("other", "other", Some(&composed)), Ok(Verdict::Wrong));
        assert_eq!(verify("other", "other", None), Ok(Verdict::Wrong));
    }

    #[test]
    fn hash_with_other_parameters_is_outdated() {
        let weak = Argon2::new(Algorithm::Argon2i, Version::V0x13, Params::new(1024, 1, 1, None).unwrap());
        let weak = weak.hash_password(NFC.as_bytes()).unwrap().to_string();
        assert_eq!(verify(NFC, NFC, Some(&weak)), Ok(Verdict::RightButOutdated), "{weak}");
        assert_eq!(verify("other", "other", Some(&weak)), Ok(Verdict::Wrong));
    }

    #[test]
    fn hash_of_another_kind_is_unverifiable() {
        for stored in [
            "",
            "x",
            "$",
            "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
            "$2y$10$92IXUNpkjO0rOQ5byMi.Ye4oKoEa3Ro9llC/.og/at2.uheWG/igi",
            "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
            "pbkdf2_sha256$260000$salt$hash",
            "$argon2id$v=19$m=19456,t=2,p=1",
            "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzLg",
            "$argon2id$v=19$m=4294967295,t=2,p=1$bm9ib2R5IGhhcyB0aGlzLg$Y4KzzIgUErd7/K7tAmABwA2eMCXmbCD25+kvB5hRRio",
            "$argon2id$v=19$m=19456,t=4294967295,p=1$bm9ib2R5IGhhcyB0aGlzLg$Y4KzzIgUErd7/K7tAmABwA2eMCXmbCD25+kvB5hRRio",
            "$argon2id$v=7$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzLg$Y4KzzIgUErd7/K7tAmABwA2eMCXmbCD25+kvB5hRRio",
            "$argon2id$v=19$m=1,t=2,p=1$bm9ib2R5IGhhcyB0aGlzLg$Y4KzzIgUErd7/K7tAmABwA2eMCXmbCD25+kvB5hRRio",
        ] {
            assert_eq!(verify(NFC, NFC, Some(stored)), Ok(Verdict::Unverifiable), "{stored}");
        }
    }
}
