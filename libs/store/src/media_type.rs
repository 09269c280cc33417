//! What kind of file a name says.

/// What is said of a file of which nothing is known.
pub const UNKNOWN: &str = "application/octet-stream";

/// What chemists' programs write, and the registered types of everything else do not have: the chemical
/// types of Rzepa and others, without dots and in lower case.
const CHEMICAL: &[(&str, &str)] = &[
    ("cif", "chemical/x-cif"),
    ("cml", "chemical/x-cml"),
    ("com", "chemical/x-gaussian-input"),
    ("cub", "chemical/x-gaussian-cube"),
    ("cube", "chemical/x-gaussian-cube"),
    ("extxyz", "chemical/x-xyz"),
    ("fch", "chemical/x-gaussian-checkpoint"),
    ("fchk", "chemical/x-gaussian-checkpoint"),
    ("gjf", "chemical/x-gaussian-input"),
    ("mol", "chemical/x-mdl-molfile"),
    ("mol2", "chemical/x-mol2"),
    ("molden", "chemical/x-molden"),
    ("out", "text/plain"),
    ("pdb", "chemical/x-pdb"),
    ("sdf", "chemical/x-mdl-sdfile"),
    ("xyz", "chemical/x-xyz"),
];

/// The media type of a file by the end of its name.
pub fn of(name: &str) -> &'static str {
    let last = name.rsplit('/').next().unwrap_or_default();
    let Some((_, extension)) = last.rsplit_once('.') else { return UNKNOWN };
    let known = CHEMICAL.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension));
    match known {
        Some((_, kind)) => kind,
        None => mime_guess::from_ext(extension).first_raw().unwrap_or(UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_says_what_it_is() {
        for (name, kind) in [
            ("xtbopt.xyz", "chemical/x-xyz"),
            ("a.xyz/b.PDB", "chemical/x-pdb"),
            ("xtbout.json", "application/json"),
            ("run.log", "text/plain"),
            ("page.html", "text/html"),
            ("vibspectrum", UNKNOWN),
            ("a.xyz/none", UNKNOWN),
            ("x.nobody-knows", UNKNOWN),
            ("", UNKNOWN),
        ] {
            assert_eq!(of(name), kind, "{name}");
        }
    }
}
