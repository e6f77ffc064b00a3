//! Secrets in files of their own, as orchestrators mount them: `DATABASE_URL_FILE` and its like.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::{Environment, faults::Faults, file, redact, setting, values::Values};

/// The signing key's file may be missing, and is then made: `keys` reads it.
const MADE: &str = "auth.signing_key";

/// Reads every secret whose `…_file` is set into the setting beside it. Returns a warning for each file that too many
/// users can read.
pub(super) fn read_all(values: &mut Values, environment: Environment, faults: &mut Faults) -> Vec<String> {
    let mut warnings = Vec::new();
    for setting in setting::all() {
        let Some(of_file) = setting.file().filter(|it| values.is_set(it.name)) else { continue };
        let Some(path) = values.optional_text(of_file.name).map(PathBuf::from) else { continue };
        if values.is_set(setting.name) {
            let other = if of_file.is_standard() { of_file.name.to_owned() } else { of_file.variable() };
            faults.add(values.fault(setting.name, format!("either this or {other}, not both")));
        } else if setting.name != MADE {
            match text(of_file.name, &path, values, environment, faults) {
                Ok((text, warning)) => {
                    values.replace(setting, path, text.trim_end_matches(['\r', '\n']), faults);
                    warnings.extend(warning);
                }
                Err(error) => faults.add(values.fault(of_file.name, format!("a file that can be read; {error}"))),
            }
        }
    }
    warnings
}

/// The text of the file that a setting names, and a warning if too many users can read it, which production refuses.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn text(
    name: &str,
    path: &Path,
    values: &Values,
    environment: Environment,
    faults: &mut Faults,
) -> io::Result<(String, Option<String>)> {
    let text = file::text(path)?;
    let metadata = fs::metadata(path)?;
    let own = rustix::process::geteuid().as_raw();
    let Err(Exposed { accepted, remedy }) = check_mode(metadata.uid(), own, metadata.permissions().mode()) else {
        return Ok((text, None));
    };
    if environment == Environment::Production {
        faults.add(values.fault(name, format!("in production, {accepted}")));
    }
    let shown = redact::quoted(&path.to_string_lossy());
    Ok((text, Some(format!("{name}: {shown} can be read by others than its owner; {remedy}"))))
}

/// Too many users can read a file.
#[derive(Debug)]
struct Exposed {
    accepted: &'static str,
    remedy: &'static str,
}

/// PostgreSQL's rule for the key of its certificate. A file of our own is for us only. A file of another user (root, for
/// what an orchestrator mounts) reaches us through our group, which may read it and not write it.
const fn check_mode(owner: u32, own: u32, mode: u32) -> Result<(), Exposed> {
    if owner == own && mode & 0o077 != 0 {
        return Err(Exposed {
            accepted: "a file that only its owner can read: mode 0600 or 0400",
            remedy: "run chmod 600 on it",
        });
    }
    if owner != own && mode & 0o037 != 0 {
        return Err(Exposed {
            accepted: "a file that its owner and its group can read: mode 0640 or 0440",
            remedy: "mount it with mode 0440",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_mode;

    #[test]
    fn secret_file_mode_follows_the_rule_of_postgresql() {
        let (root, own) = (0, 65532);
        for (owner, mode, is_accepted) in [
            (own, 0o400, true),
            (own, 0o600, true),
            (own, 0o640, false),
            (own, 0o440, false),
            (own, 0o604, false),
            (root, 0o400, true),
            (root, 0o440, true),
            (root, 0o640, true),
            (root, 0o660, false),
            (root, 0o444, false),
            (root, 0o644, false),
            (root, 0o450, false),
        ] {
            assert_eq!(check_mode(owner, own, 0o100_000 | mode).is_ok(), is_accepted, "{owner} {mode:o}");
        }
        // A process of root's own has the stricter rule too.
        assert!(check_mode(root, root, 0o440).is_err() && check_mode(root, root, 0o400).is_ok());
    }
}
