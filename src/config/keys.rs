//! The keys behind access tokens: read, judged, and in development made at first start.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{Environment, faults::Faults, file, redact, values::Values};
use crate::domain::auth::{Keys, SigningAlgorithm};

const FILE: &str = "auth.signing_key_file";
const INLINE: &str = "auth.signing_key";
const ALGORITHM: &str = "auth.signing_algorithm";
const VERIFYING: &str = "auth.verification_key_files";

/// The keys that will be used.
pub(super) struct Read {
    pub(super) signing: SecretString,
    pub(super) verifying: Vec<String>,
    /// Where the signing key, just made and kept nowhere yet, belongs.
    pub(super) new: Option<PathBuf>,
    pub(super) warning: Option<String>,
}

/// Reads the keys, and says what is wrong with them. Changes nothing on disk.
pub(super) fn read(values: &Values, environment: Environment, faults: &mut Faults) -> Option<Read> {
    let verifying = verifying(values, faults);
    let algorithm = SigningAlgorithm::parse(values.text(ALGORITHM)).unwrap_or(SigningAlgorithm::EdDsa);
    let (signing, new, warning) = signing(values, environment, algorithm, faults)?;
    let found = Keys::parse(&signing, &[]).map(|keys| keys.algorithm());
    if !found.as_ref().is_ok_and(|found| *found == algorithm) {
        let name = if values.is_set(INLINE) { INLINE } else { FILE };
        let remedy = found.map(|found| format!("; for the key that is there, set {ALGORITHM} to {}", found.as_str()));
        faults.add(values.fault(name, format!("{}{}", key_of(algorithm), remedy.unwrap_or_default())));
        return None;
    }
    Some(Read { signing, verifying, new, warning })
}

fn verifying(values: &Values, faults: &mut Faults) -> Vec<String> {
    let mut verifying = Vec::new();
    for path in values.texts(VERIFYING) {
        let path = Path::new(path);
        match file::text(path) {
            Ok(pem) if Keys::is_verifying(&pem) => verifying.push(pem),
            Ok(_) => faults.add(values.fault(
                VERIFYING,
                format!(
                    "Ed25519 or P-256 public keys as PEM, as `openssl pkey -pubout` writes them; {} is none",
                    shown(path)
                ),
            )),
            Err(error) => {
                faults.add(values.fault(VERIFYING, format!("files that can be read; {}: {error}", shown(path))));
            }
        }
    }
    verifying
}

/// What is accepted as a signing key.
const fn key_of(algorithm: SigningAlgorithm) -> &'static str {
    match algorithm {
        SigningAlgorithm::EdDsa => {
            "an Ed25519 private key as PKCS#8 PEM, as `openssl genpkey -algorithm ed25519` writes it"
        }
        SigningAlgorithm::Es256 => {
            "a P-256 private key as PKCS#8 PEM, as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` \
             writes it"
        }
    }
}

type Signing = (SecretString, Option<PathBuf>, Option<String>);

fn signing(
    values: &Values,
    environment: Environment,
    algorithm: SigningAlgorithm,
    faults: &mut Faults,
) -> Option<Signing> {
    match (values.is_set(INLINE), values.is_set(FILE)) {
        (true, true) => {
            faults.add(values.fault(INLINE, "either this or auth.signing_key_file, not both"));
            return None;
        }
        (true, false) => return values.secret(INLINE).map(|key| (key, None, None)),
        (false, false) if environment == Environment::Production => {
            faults.add(values.fault(FILE, "in production, a key that is named: this, or auth.signing_key"));
            return None;
        }
        (false, _) => {}
    }
    let path = values.path(FILE);
    match file::text(&path) {
        Ok(pem) => {
            let warning = exposed(&path)
                .then(|| format!("{FILE}: {} can be read by others than its owner; run chmod 600 on it", shown(&path)));
            if warning.is_some() && environment == Environment::Production {
                faults.add(values.fault(FILE, "in production, a file that only its owner can read: mode 0600 or 0400"));
            }
            Some((pem.into(), None, warning))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && environment == Environment::Development => {
            let Ok(pem) = Keys::generate_pem(algorithm) else {
                faults.add(values.fault(FILE, "a key that is there; none can be made without random numbers"));
                return None;
            };
            Some((pem, Some(path), None))
        }
        Err(error) => {
            faults.add(values.fault(FILE, format!("a file that can be read; {error}")));
            None
        }
    }
}

fn exposed(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

fn shown(path: &Path) -> String {
    redact::quoted(&path.to_string_lossy())
}

/// Keeps a new key at its place, with mode 0600, in a folder that is made where there is none; gives
/// the key that is there in the end, which is another one if somebody else was faster. Nothing is ever overwritten,
/// and nobody sees half a file.
///
/// # Errors
/// When the place cannot be written to.
pub(super) fn keep(path: &Path, key: &SecretString) -> io::Result<SecretString> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = folder.join(format!(".signing-key-{}", uuid::Uuid::now_v7()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(key.expose_secret().as_bytes())?;
            file.sync_all()
        })
        // A link is made only where there is nothing yet, whole or not at all.
        .and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    match written {
        Ok(()) => removed.map(|()| key.clone()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => file::text(path).map(SecretString::from),
        Err(error) => Err(error),
    }
}
