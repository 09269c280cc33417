//! Manifests: what is wrong is named with its place, and what cannot be run here is left out.

use std::fs;

use nox_executor::{
    manifest::Manifest,
    modules::Modules,
    sandbox::host::{Host, Layer},
};
use serde_json::Value;

use crate::support::{host_without, shipped_modules};

const GOOD: &str = "name = 'm'
version = '1'
sandbox = 'process'
input_schema = {}
resources = { cpu = 1, mem_mb = 1, wall_time_s = 1 }
run = { program = 'sh', args = ['-c', 'true'] }
";

fn host(without: &[Layer]) -> Host {
    tokio::runtime::Runtime::new().unwrap().block_on(host_without(without))
}

fn read(toml: &str) -> Result<Modules, String> {
    read_without(toml, &[])
}

fn read_without(toml: &str, without: &[Layer]) -> Result<Modules, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("m")).unwrap();
    fs::write(folder.path().join("m/module.toml"), toml).unwrap();
    fs::write(folder.path().join("m/bad.json"), "{").unwrap();
    Modules::read(folder.path(), &host(without)).map_err(|error| error.to_string())
}

#[test]
fn a_wrong_manifest_is_refused_with_its_file_and_line() {
    for (from, to, place, reason) in [
        ("version = '1'", "version = 1", "line 2", "string"),
        ("version = '1'", "version = '1'\nverison = '2'", "line 3", "unknown field `verison`"),
        ("name = 'm'", "name = 'M'", "line 1", "a-z"),
        ("sandbox = 'process'\n", "", "line 1", "missing field `sandbox`"),
        ("'process'", "'nsjail'", "line 3", "unknown variant `nsjail`"),
        ("cpu = 1", "cpu = -1", "line 5", "u32"),
        ("cpu = 1", "cpu = 1, cpus = 1", "line 5", "unknown field `cpus`"),
        ("'true'", "'{input.x}'", "line 6", "there is no `{input.x}`"),
        ("'true'", "'{molecule.mass}'", "line 6", "a molecule has xyz, "),
        ("'true'", "'{inputs.x'", "line 6", "single brace"),
        ("'true'", "{ when = 'a', arg = ['b'] }", "line 6", "unknown field `arg`"),
        ("'true'", "7", "line 6", "a text, or a table"),
        ("program = 'sh', ", "", "line 6", "either `program` or `builtin`"),
        ("program = 'sh'", "builtin = 'noop'", "line 6", "neither `args` nor `env`"),
        ("'process'", "'namespace'", "line 3", "unknown variant `namespace`"),
    ] {
        let error = read(&GOOD.replace(from, to)).unwrap_err();
        assert!(error.contains("m/module.toml") && error.contains(place), "{to}: {error}");
        assert!(error.contains(reason), "{to}: {error}");
    }
    for (more, line, reason) in [
        ("[[write]]\npath = '../x'\ntemplate = ''", 8, "no path beneath the work directory"),
        ("[[keep]]\npath = '/etc/passwd'", 8, "no path beneath the work directory"),
        ("[[result]]\nname = 'a b'\ntype = 'json'\nfile = 'f'\npointer = ''", 7, "a result's name"),
        ("[[result]]\nname = 'a'\ntype = 'json'\nfile = 'f'\npointer = 'x'", 7, "no JSON pointer"),
        ("[[result]]\nname = 'a'\ntype = 'text'\nfile = 'f'\npointer = ''", 9, "unknown variant"),
        ("[[result]]\nname = 'a'\ntype = 'string'\nfile = 'f'\npattern = '('", 7, "unclosed group"),
        ("[[result]]\nname = 'a'\ntype = 'string'\nfile = 'f'\npattern = 'x'", 7, "no group"),
        ("[[result]]\nname = 'a'\ntype = 'string'\npointer = ''", 7, "either `file` or `stream`"),
        (
            "[[result]]\nname = 'a'\ntype = 'string'\nfile = 'f'\npattern = '(?<value>)'\ntake = 'count'",
            7,
            "is a count",
        ),
        ("[retry]\nattempts = 3", 8, "unknown field `attempts`"),
        ("[limits]\ndisk = 3", 8, "unknown field `disk`"),
    ] {
        let error = read(&format!("{GOOD}{more}")).unwrap_err();
        let place = format!("line {line}");
        assert!(error.contains(&place) && error.contains(reason), "{more}: {error}");
    }
    for (from, to, reason) in [
        ("= {}", "= 'bad.json'", "bad.json: EOF"),
        ("= {}", "= 'none.json'", "cannot read none.json"),
        ("= {}", "= { type = 'strin' }", "`input_schema`"),
        ("cpu = 1", "cpu = 0", "at least 1"),
        ("name = 'm'", "limits = { disk_mb = 0 }\nname = 'm'", "at least 1"),
        ("name = 'm'", "limits = { open_files_max = 3 }\nname = 'm'", "16 open files"),
        ("name = 'm'", "read = ['opt']\nname = 'm'", "no absolute path"),
        ("'true'", "'{molecule.xyz}'", "needs `x-nox-molecule`"),
        ("= {}", "= { x-nox-molecule = { xyz = 'a' } }", "must name an input"),
        ("'true'", "'echo {inputs.x}'", "what the shell is told"),
        ("'-c', 'true'", "'-e', '-uc', 'echo {inputs.x}'", "what the shell is told"),
        ("'-c', 'true'", "'-c', { when = 'x', args = ['{inputs.x}'] }", "what the shell is told"),
        ("name = 'm'", "name = 'command'", "`isolated` alone"),
    ] {
        let error = read(&GOOD.replace(from, to)).unwrap_err();
        assert!(error.contains("m/module.toml") && error.contains(reason), "{to}: {error}");
    }
}

#[test]
fn what_cannot_be_run_here_is_not_declared_and_never_run_at_a_lower_level() {
    for (from, to, reason) in [
        ("'sh'", "'no-such-program-anywhere'", "is not installed"),
        ("'sh'", "'./sh'", "is not installed"),
    ] {
        let modules = read(&GOOD.replace(from, to)).unwrap();
        assert_eq!(modules.declared().len(), 0, "{to}");
        let left_out = modules.left_out();
        assert!(
            left_out[0].name.as_str() == "m" && left_out[0].reason.contains(reason),
            "{left_out:?}"
        );
    }
    assert_eq!(read(GOOD).unwrap().declared().len(), 1);
}

#[test]
fn two_modules_of_one_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("module.toml"), GOOD).unwrap();
    }
    let error = Modules::read(folder.path(), &host(&[])).unwrap_err().to_string();
    assert!(error.contains("b/module.toml") && error.contains("another module `m`"), "{error}");
}

#[test]
fn the_modules_that_nox_comes_with_are_right() {
    let modules = Modules::read(&shipped_modules(), &host(&[])).unwrap();
    let declared = modules.declared();
    let mut names: Vec<_> = declared.iter().map(|module| module.name.as_str()).collect();
    names.extend(modules.left_out().iter().map(|left_out| left_out.name.as_str()));
    names.sort_unstable();
    let expected = [
        "command",
        "dirfix",
        "gaussian",
        "nfofix",
        "noop",
        "orca",
        "packaging",
        "readnfo",
        "repack",
        "xtb",
        "xtb_hello",
    ];
    assert_eq!(names, expected);
    for module in declared {
        assert!(!module.title.is_empty());
        let schema: Value = serde_json::from_str(module.input_schema.get()).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{}", module.name);
    }
}

#[test]
fn a_file_beside_the_manifest_is_read_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |of: &str| {
        let toml = format!(
            "name = 'm'\nversion = '1'\nsandbox = 'process'\ninput_schema = {{}}\n\
             resources = {{ cpu = 1, mem_mb = 64, wall_time_s = 60 }}\nrun = {{ program = 'sh' }}\n\
             [[write]]\npath = 'a'\n{of}"
        );
        fs::write(folder.path().join("module.toml"), toml).unwrap();
        Manifest::read(folder.path()).map(|_| ()).map_err(|error| error.to_string())
    };
    assert!(write("file = 'script.sh'").unwrap_err().contains("cannot read script.sh"));
    fs::write(folder.path().join("script.sh"), "echo {not a template}").unwrap();
    write("file = 'script.sh'").unwrap();
    fs::write(folder.path().join("script.sh"), vec![b' '; (1 << 20) + 1]).unwrap();
    assert!(write("file = 'script.sh'").unwrap_err().contains("1048576"));
    for wrong in ["", "file = 'x'\ntemplate = ''", "file = '../x'", "file = '/etc/passwd'"] {
        assert!(write(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_manifest_in_the_readme_is_right() {
    let readme = fs::read_to_string(shipped_modules().join("README.md")).unwrap();
    let toml = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("module.toml"), toml).unwrap();
    for schema in ["inputs.json", "outputs.json", "library.bc"] {
        fs::write(folder.path().join(schema), "{}").unwrap();
    }
    let manifest = Manifest::read(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(manifest.file.result.len(), 2);
}
