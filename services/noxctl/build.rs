//! In a release, functions with the same machine code are linked once: `noxctl` holds all services, and many
//! of their generic functions end up the same. Rust promises no function an address of its own.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    // There rustc links with LLD; other linkers may not know the option.
    if is("PROFILE", "release") && is("TARGET", "x86_64-unknown-linux-gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}
