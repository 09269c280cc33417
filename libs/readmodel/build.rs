//! Compiles the crate again when a migration is added: the folder is outside of it.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
