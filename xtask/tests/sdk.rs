//! A vendor with the packed SDK and nothing else of ours: unpacked outside the
//! tree, the tool is installed from it as its README says, and what that writes
//! is built with the crate beside it.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What a program wrote to standard output; it must succeed. No network: what
/// the workspace is built from is enough.
fn said<S: AsRef<OsStr>>(folder: &Path, program: impl AsRef<OsStr>, arguments: &[S]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("CARGO_NET_OFFLINE", "true");
    let output = command.env_remove("CARGO_TARGET_DIR").output().expect("the program starts");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out.trim().to_owned()
}

#[test]
fn the_tool_is_installed_and_makes_a_plugin_from_the_packed_sdk_alone() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let packed = said(
        dir.path(),
        env!("CARGO_BIN_EXE_xtask"),
        &["sdk".as_ref(), "--out".as_ref(), out.as_os_str()],
    );
    println!("{packed}: {} bytes", fs::metadata(&packed).unwrap().len());
    said(dir.path(), "tar", &["xzf", &packed]);
    let sdk = dir.path().join(
        Path::new(&packed).file_name().unwrap().to_str().unwrap().trim_end_matches(".tar.gz"),
    );
    let names = said(&sdk, "find", &[".", "-type", "l"]);
    assert_eq!(names, "", "links would lead out of it");

    // Compiled once for all runs, crates of ours aside.
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk");
    let install = ["install", "--locked", "--debug", "--path", "sdk/tool", "--root"];
    let mut words: Vec<&OsStr> = install.iter().map(OsStr::new).collect();
    words.extend([dir.path().as_os_str(), OsStr::new("--target-dir"), kept.as_os_str()]);
    said(&sdk, env!("CARGO"), &words);

    let tool = dir.path().join("bin/evenkeel-plugin");
    let guest = sdk.join("sdk/guest");
    said(
        dir.path(),
        &tool,
        &["new".as_ref(), "acme".as_ref(), "--sdk".as_ref(), guest.as_os_str()],
    );
    let plugin = dir.path().join("acme");
    // The versions that this machine has.
    fs::copy(sdk.join("Cargo.lock"), plugin.join("Cargo.lock")).unwrap();
    std::os::unix::fs::symlink(&kept, plugin.join("target")).unwrap();
    said(dir.path(), &tool, &["build", "acme"]);
    said(dir.path(), &tool, &["keygen", "--role", "plugin", "--name", "acme", "--out", "acme.key"]);
    let bundle = said(dir.path(), &tool, &["sign", "--key", "acme.key", "acme"]);
    let report = said(dir.path(), &tool, &["inspect", "--trust", "acme.pub", &bundle]);
    assert!(report.contains("VERIFIED") && report.contains("acme 0.1.0"), "{report}");
    assert!(!report.contains("WARNING"), "{report}");
}
