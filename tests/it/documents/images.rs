//! The Dockerfiles build what the manifests name: their stubs stand in for every target until the sources are copied.

use std::collections::BTreeSet;

use toml::Table;

use super::read;

/// Where the manifest has the sources of its targets, besides `src/lib.rs` and `src/main.rs`.
fn targets(manifest: &str) -> Vec<String> {
    let table: Table = read(manifest).parse().unwrap_or_else(|error| panic!("{manifest}: {error}"));
    let kinds = ["test", "bench", "bin", "example"].iter().filter_map(|kind| table.get(*kind));
    let entries = kinds.flat_map(|entries| entries.as_array().expect("a list of targets"));
    entries.map(|target| target["path"].as_str().expect("a path").to_owned()).collect()
}

/// A target without a stub stops the layer of the dependencies: cargo misses its file.
#[test]
fn each_target_has_a_stub_in_the_images() {
    let manifest: Table = read("Cargo.toml").parse().expect("Cargo.toml");
    let members = manifest["workspace"]["members"].as_array().expect("members").iter();
    let members: Vec<&str> = members.map(|member| member.as_str().expect("a name")).collect();
    assert!(members.len() > 1, "{members:?}");
    for dockerfile in ["Dockerfile", "tests/Dockerfile"] {
        let text = read(dockerfile);
        let words: BTreeSet<&str> =
            text.split(|c: char| c.is_whitespace() || matches!(c, ';' | '\\')).collect();
        let mut expected = targets("Cargo.toml");
        assert!(expected.len() > 3, "{expected:?}");
        expected.push("src/main.rs".to_owned());
        expected.push("src/lib.rs".to_owned());
        for member in &members {
            expected.push(format!("{member}/Cargo.toml"));
            expected.push(format!("{member}/src/lib.rs"));
            let own = targets(&format!("{member}/Cargo.toml"));
            expected.extend(own.iter().map(|path| format!("{member}/{path}")));
        }
        let missing: Vec<_> = expected.iter().filter(|path| !words.contains(path.as_str())).collect();
        assert!(missing.is_empty(), "{dockerfile} names no {missing:?}");
    }
}

/// What makes the SBOM comes in one version, wherever it is said how to get it, and to where the PATH of any image leads.
#[test]
fn the_maker_of_the_sbom_is_the_same_everywhere() {
    let (image, script) = (read("Dockerfile"), read("packaging/sbom"));
    let version = |text: &str| {
        let orders = text.split("cargo install cargo-cyclonedx --locked --version ").skip(1);
        let words = |order: &str| order.split([' ', '\n', '"', ')', ',']).next().unwrap().to_owned();
        orders.map(words).collect::<Vec<_>>()
    };
    let (of_image, of_script) = (version(&image), version(&script));
    assert_eq!(of_image.len(), 1);
    assert!(of_script.len() > 1, "{of_script:?}");
    assert!(of_script.iter().all(|version| *version == of_image[0]), "{of_image:?} {of_script:?}");
    assert!(image.contains(&format!("--version {} --root /usr/local\n", of_image[0])));
}
