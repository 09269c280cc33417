//! Puts the console, as `make console` has built it into web/dist, into the program. Where it was not built, nothing is
//! put there, and the gateway says so: building Nox needs no Node.

use std::{
    env,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let dist = root.join("../../web/dist");
    // In a checkout the folder is always there, so that this runs again only when something in it has changed.
    println!("cargo::rerun-if-changed={}", dist.display());
    let built = dist.join("ui");
    let mut files = Vec::new();
    if built.is_dir() {
        gather(&built.canonicalize()?, &mut files)?;
    }
    files.sort();
    let mut text = String::from("&[\n");
    for file in &files {
        let name = file.to_string_lossy();
        // Names are of their folder `ui`, whatever lies above it.
        let name = name.rsplit_once("/web/dist/ui/").map_or(&*name, |(_, name)| name);
        let packed = |ending: &str| {
            let path = format!("{}{ending}", file.display());
            if Path::new(&path).is_file() {
                format!("Some(include_bytes!({path:?}))")
            } else {
                "None".to_owned()
            }
        };
        let _ = writeln!(
            text,
            "    File {{ name: {name:?}, plain: include_bytes!({:?}), brotli: {}, gzip: {} }},",
            file.display().to_string(),
            packed(".br"),
            packed(".gz"),
        );
    }
    text.push(']');
    fs::write(PathBuf::from(env::var("OUT_DIR").unwrap_or_default()).join("console.rs"), text)
}

/// Files that browsers ask for. Their packed forms stand beside them; what begins with a dot is the builder's own.
fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name.ends_with(".br") || name.ends_with(".gz") {
            continue;
        }
        if path.is_dir() {
            gather(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
