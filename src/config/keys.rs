//! The keys behind access tokens: read, judged, and in development made at first start.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{Environment, faults::Faults, file, redact, secret_file, values::Values};
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
        let remedy = match found {
            Ok(found) => format!("for the key that is there, set {ALGORITHM} to {}", found.as_str()),
            Err(_) => reason(signing.expose_secret()).to_owned(),
        };
        faults.add(values.fault(name, format!("{}; {remedy}", key_of(algorithm))));
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
            Ok(pem) => faults.add(values.fault(
                VERIFYING,
                format!(
                    "Ed25519 or P-256 public keys as PEM, as `openssl pkey -pubout` writes them; {} is none: {}",
                    shown(path),
                    reason(&pem)
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
        // Refused by `secret_file`.
        (true, true) => return None,
        (true, false) => return values.secret(INLINE).map(|key| (key, None, None)),
        (false, false) if environment == Environment::Production => {
            faults.add(values.fault(FILE, "in production, a key that is named: this, or auth.signing_key"));
            return None;
        }
        (false, _) => {}
    }
    let path = values.path(FILE);
    match secret_file::text(FILE, &path, values, environment, faults) {
        Ok((pem, warning)) => Some((pem.into(), None, warning)),
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

/// Why a text is not the key that is wanted, by its form; no part of it is repeated.
fn reason(pem: &str) -> &'static str {
    let text = pem.trim();
    let label = text.strip_prefix("-----BEGIN ").and_then(|rest| rest.split_once("-----")).map(|(label, _)| label);
    match label {
        _ if text.is_empty() => "it is empty",
        _ if text.contains("\\n") => {
            "its line breaks are written as \\n: write real line breaks, or put the key into a file \
             (auth.signing_key_file)"
        }
        None => "it does not begin with -----BEGIN",
        Some("ENCRYPTED PRIVATE KEY") => "it is encrypted: decrypt it with `openssl pkey`",
        Some("PUBLIC KEY") => "it is a public key, of another algorithm or damaged where one is wanted",
        Some("PRIVATE KEY") => "it is a private key, of another algorithm or damaged where one is wanted",
        Some("CERTIFICATE") => "it is a certificate",
        Some(_) => "it is a key in another format",
    }
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
