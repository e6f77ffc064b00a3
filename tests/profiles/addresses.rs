//! Addresses in profiles: tools find code by them, in the executable that ran.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    cpu::alone,
    decoded::Decoded,
    go,
    guilty::{Guilty, burns},
    program::{Program, get},
    support::Service,
};

/// A CPU profile of a service that burns, in a file.
async fn cpu_profile(folder: &TempDir) -> (String, Decoded) {
    let service = Service::start().await;
    let _guilty = Guilty::on(&service.main, burns);
    let bytes = service.internal("/debug/pprof/profile?seconds=1").await.bytes().await.unwrap();
    let file = folder.path().join("cpu");
    fs::write(&file, &bytes).unwrap();
    (file.to_str().unwrap().to_owned(), Decoded::of(&bytes))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cpu_profile_has_addresses_mapping_and_build_id() {
    let _alone = alone().await;
    let (_, profile) = cpu_profile(&TempDir::new().unwrap()).await;
    let executable = fs::read_link("/proc/self/exe").unwrap();
    let mapping = &profile.mappings[0];
    assert_eq!(mapping.file, executable.to_str().unwrap());
    let notes = Command::new("readelf").arg("-n").arg(&executable).output().unwrap();
    let notes = String::from_utf8(notes.stdout).unwrap();
    assert!(notes.contains(&format!("Build ID: {}", mapping.build_id)) && mapping.build_id.len() >= 32, "{notes}");
    let burning: Vec<_> = profile.samples.iter().filter(|seen| seen.stack[0].name.ends_with("guilty::burns")).collect();
    assert!(!burning.is_empty());
    for sample in burning {
        assert!(mapping.range.contains(&sample.addresses[0]), "{sample:x?} in {mapping:x?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_pprof_disassembles_and_lists_the_burning_function() {
    let _alone = alone().await;
    let folder = TempDir::new().unwrap();
    let (file, _) = cpu_profile(&folder).await;
    let disassembly = go::pprof(&["-disasm=guilty.*burns"], &file).await;
    assert!(disassembly.contains("ROUTINE") && disassembly.contains("guilty.rs:"), "{disassembly}");
    let listing = go::pprof(&["-list=guilty::burns"], &file).await;
    assert!(listing.contains("ROUTINE") && listing.contains("black_box"), "{listing}");
}

/// The executable's file is replaced while it runs, as a package upgrade does before the restart.
#[test]
fn profile_of_replaced_executable_still_has_names() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("glasshouse");
    let program = replaced(&path, &fs::read(env!("CARGO_BIN_EXE_glasshouse")).unwrap());
    let (status, text) = get(program.internal, "/debug/pprof/goroutine?debug=2").unwrap();
    assert_eq!(status, 200);
    assert!(text.contains("glasshouse::") && !text.contains("    0x"), "{text}");
}

/// Without symbols, Go's tool finds the names later, in a copy of the executable that has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profile_without_names_is_symbolized_with_the_executable() {
    let folder = TempDir::new().unwrap();
    let stripped = folder.path().join("stripped");
    let built = env!("CARGO_BIN_EXE_glasshouse");
    let strip = Command::new("strip").arg("-o").arg(&stripped).arg(built).stderr(Stdio::null()).status().unwrap();
    assert!(strip.success());
    let program = Program::start_executable(&stripped, &[]);
    let load = get(program.internal, "/debug/pprof/goroutine?debug=2");
    assert!(load.unwrap().1.contains("has no symbols"), "the answer says why there are no names");
    let profile = folder.path().join("profile");
    // On a busy machine a second may bring hardly any samples.
    let mut attempts = 0;
    let decoded = loop {
        let bytes = profile_under_scrapes(&program).await;
        fs::write(&profile, &bytes).unwrap();
        let decoded = Decoded::of(&bytes);
        if decoded.samples.len() >= 10 {
            break decoded;
        }
        attempts += 1;
        assert!(attempts < 60, "a minute of scrapes has {} samples a second", decoded.samples.len());
    };
    assert!(!decoded.mappings[0].build_id.is_empty());
    let names = decoded.samples.iter().flat_map(|sample| &sample.stack).map(|frame| &frame.name);
    assert!({ names }.all(|name| !name.contains("write_pages")), "the program has no names itself");
    let top = go::pprof(&["-top", "-cum", "-symbolize=local", built], profile.to_str().unwrap()).await;
    assert!(top.contains("write_pages"), "{top}");
}

/// A CPU profile of a second in which the program writes one page of metrics after the other.
async fn profile_under_scrapes(program: &Program) -> Vec<u8> {
    let url = format!("http://{}/debug/pprof/profile?seconds=1", program.internal);
    let metrics = format!("http://{}/metrics", program.internal);
    let scrapes = async {
        loop {
            assert_eq!(reqwest::get(&metrics).await.unwrap().status(), 200);
        }
    };
    let profile = async { reqwest::get(url).await.unwrap().bytes().await.unwrap() };
    tokio::select! {
        bytes = profile => bytes.to_vec(),
        () = scrapes => unreachable!("scrapes have no end"),
    }
}

/// Starts the program from that path, then puts another file there.
fn replaced(path: &Path, content: &[u8]) -> Program {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    let program = Program::start_executable(path, &[]);
    let other = path.with_extension("new");
    fs::write(&other, "another version").unwrap();
    fs::rename(&other, path).unwrap();
    program
}
