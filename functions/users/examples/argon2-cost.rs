//! What a password's hash costs on this machine: `cargo run --release -p users --example argon2-cost`.
//!
//! The function's own parameters, and what is next to them in OWASP's list. One hash at a time, as in one environment of the function.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Params, Version};

const HASHES: usize = 30;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{HASHES} hashes each; times in milliseconds")?;
    writeln!(out, "{:>9} {:>3} {:>3} {:>7} {:>7} {:>7}", "m in KiB", "t", "p", "least", "p50", "most")?;
    // The second is the function's (`password.rs`).
    for (memory, passes) in [(12 * 1024, 3), (users::ARGON2_MEMORY_KIB, users::ARGON2_PASSES), (46 * 1024, 1), (64 * 1024, 3)] {
        let times = measure(memory, passes);
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let [least, median, most] = [0, HASHES / 2, HASHES - 1].map(|index| millis(times[index]));
        writeln!(out, "{memory:>9} {passes:>3} {:>3} {least:>7.1} {median:>7.1} {most:>7.1}", 1)?;
    }
    Ok(())
}

/// Sorted.
fn measure(memory: u32, passes: u32) -> Vec<Duration> {
    let params = Params::new(memory, passes, 1, None).expect("these are valid parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut times: Vec<Duration> = (0..HASHES)
        .map(|_| {
            let started = Instant::now();
            let mut hash = [0; 32];
            argon2.hash_password_into(b"correct horse battery", b"sixteen bytes...", &mut hash).expect("a password can be hashed");
            started.elapsed()
        })
        .collect();
    times.sort();
    times
}
