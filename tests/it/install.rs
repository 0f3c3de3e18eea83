//! What a package installs besides the program: completions and manual pages.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::harness::process;
use crate::harness::wait::GENEROUS;

/// What the program prints for these arguments.
#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let mut process = process::subcommand(arguments, &[]);
    let status = process.wait_exit(GENEROUS);
    assert!(status.success(), "{arguments:?}: {status}\n{}", process.log().join("\n"));
    process.log().join("\n")
}

/// A real bash, to which the script is told, completes the beginning of a command.
#[test]
fn bash_completes_commands_and_flags() {
    let script = printed(&["completions", "bash"]);
    let complete = |line: &[&str]| {
        let (word, last) = (line.last().unwrap(), line.len() - 1);
        let ask = format!(
            "{script}\nCOMP_WORDS=({}); COMP_CWORD={last}; _tributary tributary '{word}' '{}'; echo \"${{COMPREPLY[*]}}\"",
            line.join(" "),
            line[last - 1],
        );
        let out = Command::new("bash").args(["--norc", "-c", &ask]).output().expect("bash runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let found = String::from_utf8(out.stdout).unwrap();
        found.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let expected = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(complete(&["tributary", "de"]), expected(&["dead-letters", "demo"]));
    assert_eq!(complete(&["tributary", "run", "--start"]), expected(&["--start-anew"]));
}

#[test]
fn every_shell_has_its_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell]);
        assert!(script.contains("dead-letters") && script.contains("start-anew"), "{shell}");
    }
}

#[test]
fn each_command_has_a_manual_page() {
    assert!(printed(&["man"]).contains(".TH tributary 1"));
    let directory = tempfile::tempdir().unwrap();
    printed(&["man", "--all", directory.path().to_str().unwrap()]);
    let pages = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages: BTreeSet<String> = pages.collect();
    for page in ["tributary.1", "tributary-run.1", "tributary-dead-letters-list.1", "tributary-mock.1"] {
        assert!(pages.contains(page), "{page} is not among {pages:?}");
    }
    let text = fs::read_to_string(directory.path().join("tributary-run.1")).unwrap();
    assert!(text.contains("start\\-anew"), "{text}");
    let mut none = process::subcommand(&["man", "--all", "/nowhere/at/all"], &[]);
    assert_eq!(none.wait_exit(GENEROUS).code(), Some(1));
    none.wait_for_log("cannot write pages into /nowhere/at/all", GENEROUS);
}
