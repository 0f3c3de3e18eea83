//! The short form of `proof/fuzz`: each property holds for all inputs that its searches have left. Needs neither a broker nor libFuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tributary::fuzzing::PROPERTIES;

/// What all of them may take together: they are part of every checkout.
const MOST_BYTES: u64 = 200 << 10;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proof/fuzz")
}

/// The names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn properties_hold_for_what_searches_have_left() {
    let mut bytes = 0;
    for (name, check) in PROPERTIES {
        let folder = fuzz().join("corpus").join(name);
        let inputs = names(&folder);
        assert!(inputs.len() > 1, "only {} inputs for {name}", inputs.len());
        for input in inputs {
            // Shown only if the property breaks.
            println!("proof/fuzz/corpus/{name}/{input}");
            let input = fs::read(folder.join(input)).unwrap();
            bytes += input.len() as u64;
            check(&input);
        }
    }
    assert!(bytes < MOST_BYTES, "{bytes} bytes");
}

#[test]
fn each_property_has_a_search() {
    let properties: BTreeSet<String> = PROPERTIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("corpus")), properties);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let script = fs::read_to_string(fuzz().join("run")).unwrap();
    for name in &properties {
        let target = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("hold({name:?}, data)")), "{target}");
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name} is not in Cargo.toml"
        );
    }
    let all = properties.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    assert!(script.contains(&format!("targets=({all})")), "the script does not run all of them");
}
