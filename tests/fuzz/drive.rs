//! Drives a fuzz target without a fuzzer: over its seeds, then over mutations of them.

use std::{fs, path::PathBuf};

/// What random numbers begin with unless `MESHHOST_FUZZ_SEED` says otherwise.
const SEED: u64 = 0x6d65_7368;
/// Longest mutated input in bytes.
const BYTES_MAX: usize = 16 * 1024;

/// Numbers that look random and are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        // Those that formats are made of come more often.
        const TELLING: &[u8] = b"\0\x01\x7f\x80\xff\n \"\\,.:;=*/[]{}-_0189aAzZ";
        if self.below(2) == 0 {
            TELLING[self.below(TELLING.len())]
        } else {
            self.next().to_le_bytes()[0]
        }
    }
}

/// Calls `target` with every seed, and `count` times with a mutation of one. Says first with which
/// number the mutations begin, so that a failure can be repeated.
pub(crate) fn drive(name: &str, target: fn(&[u8]), count: usize) {
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "no seeds of {name}");
    seeds.iter().for_each(|seed| target(seed));
    let given = std::env::var_os("MESHHOST_FUZZ_SEED");
    let given = given.and_then(|text| text.to_str()?.parse().ok());
    let start: u64 = given.unwrap_or(SEED).max(1);
    println!("{name}: {} seeds, {count} mutations, MESHHOST_FUZZ_SEED={start}", seeds.len());
    let mut numbers = Numbers(start);
    for _ in 0..count {
        let mut bytes = seeds[numbers.below(seeds.len())].clone();
        for _ in 0..=numbers.below(6) {
            mutate(&mut bytes, &seeds, &mut numbers);
        }
        bytes.truncate(BYTES_MAX);
        target(&bytes);
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found = root.ancestors().map(|folder| folder.join("tests/fuzz/seeds").join(name));
    let folder = found.into_iter().find(|folder| folder.is_dir()).expect("a folder of seeds");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], numbers: &mut Numbers) {
    let place = numbers.below(bytes.len() + 1);
    let end = place + numbers.below(bytes.len() - place + 1).min(40);
    match numbers.below(7) {
        0 => bytes.insert(place, numbers.byte()),
        1 => drop(bytes.drain(place..end)),
        2 => bytes.truncate(place),
        3 => {
            let part = bytes[place..end].to_vec();
            bytes.splice(place..place, part);
        }
        4 => {
            let other = &seeds[numbers.below(seeds.len())];
            let from = numbers.below(other.len() + 1);
            let part = other[from..].iter().copied().take(numbers.below(60)).collect::<Vec<_>>();
            bytes.splice(place..place, part);
        }
        _ => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = if numbers.below(2) == 0 {
                    numbers.byte()
                } else {
                    *byte ^ (1 << numbers.below(8))
                };
            }
        }
    }
}
