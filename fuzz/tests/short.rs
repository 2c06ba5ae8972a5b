//! The short run: every target with the inputs that are kept in `seeds`, and with random ones that are the
//! same each time.

use std::fs;
use std::path::Path;

fn run(name: &str, target: fn(&[u8]), count: u64) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut kept = 0;
    for entry in fs::read_dir(folder).expect("a folder of inputs") {
        target(&fs::read(entry.expect("an entry").path()).expect("an input"));
        kept += 1;
    }
    assert!(kept > 0);
    for number in 0..count {
        // More follows from these bytes, as random as they are: see `input.rs`.
        target(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    }
}

#[test]
fn strided() {
    run("strided", querist_fuzz::strided, 20_000);
}

#[test]
fn sparse() {
    run("sparse", querist_fuzz::sparse, 20_000);
}

#[test]
fn scores() {
    run("scores", querist_fuzz::scores, 3000);
}

#[test]
fn committee() {
    run("committee", querist_fuzz::committee, 3000);
}

#[test]
fn votes() {
    run("votes", querist_fuzz::votes, 5000);
}

#[test]
fn picks() {
    run("picks", querist_fuzz::picks, 3000);
}
