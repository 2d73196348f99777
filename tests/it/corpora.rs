//! The seeds of the fuzz targets, each through every target: what was found once stays found.

use std::fs;
use std::path::{Path, PathBuf};

#[expect(unreachable_pub, reason = "there it is a library")]
#[path = "../../fuzz/src/c14n.rs"]
mod c14n;
#[expect(unreachable_pub, reason = "there it is a library")]
#[path = "../../fuzz/src/decode.rs"]
mod decode;
#[expect(unreachable_pub, reason = "there it is a library")]
#[path = "../../fuzz/src/forms.rs"]
mod forms;
#[expect(unreachable_pub, reason = "there it is a library")]
#[path = "../../fuzz/src/verify.rs"]
mod verify;

/// The files of a folder and of those in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn c9_6_1_every_seed_passes_every_fuzz_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let seeds = files(&root.join("fuzz/seeds"));
    let examples = files(&root.join("schemas/testdata/examples"));
    println!("{} seeds, {} examples", seeds.len(), examples.len());
    assert_eq!((seeds.len(), examples.len()), (63, 47));
    for file in seeds.iter().chain(&examples) {
        let data = fs::read(file).unwrap();
        decode::run(&data);
        verify::run(&data);
        forms::run(&data);
        // The first byte chooses the form.
        c14n::run(&data);
        (0..16).for_each(|form| c14n::run(&[&[form], &data[..]].concat()));
    }
}
