//! The repository is what its map says: layers, sizes, links, decisions.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A crate may depend on crates of earlier rows and, in the rows marked so in the map, of its own row to its left.
const LAYERS: [&[&str]; 8] = [
    &["model"],
    &["frame", "schema", "policy", "identity", "wasm"],
    &["meta", "log"],
    &["mqtt", "ingest"],
    &["engine"],
    &["lake"],
    &["act", "api"],
    &["springhouse"],
];
/// Beside the layers: used by the binary and by tests of any crate.
const BESIDE: &str = "testkit";
const NAMES_DATAFUSION: [&str; 2] = ["engine", "lake"];
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 75;
const DECISION_LINES_MAX: usize = 80;

/// Cargo runs tests in the folder of their crate; a path fixed at compile time would be that of another checkout when
/// two share a target directory.
fn root() -> PathBuf {
    Path::new("../..").canonicalize().unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files under a folder whose names end so, without what is built.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !matches!(name.as_ref(), "target" | "node_modules" | "dist" | ".git") {
                found.extend(files(&path, ending));
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn crates() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join("crates"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn rust_files() -> Vec<PathBuf> {
    files(&root().join("crates"), ".rs")
}

/// The names that a section of a manifest depends on.
fn dependencies(name: &str, section: &str) -> Vec<String> {
    let manifest = read(&root().join("crates").join(name).join("Cargo.toml"));
    let header = format!("[{section}]");
    manifest
        .lines()
        .skip_while(|line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|word| !word.is_empty() && !word.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn crates_depend_on_earlier_layers_only() {
    let place: BTreeMap<&str, (usize, usize)> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(row, names)| names.iter().enumerate().map(move |(column, name)| (*name, (row, column))))
        .collect();
    let mut wrong = Vec::new();
    for name in crates() {
        if name == BESIDE {
            continue;
        }
        let Some(own) = place.get(name.as_str()) else {
            wrong.push(format!("{name} is in no layer"));
            continue;
        };
        for dependency in dependencies(&name, "dependencies") {
            let Some(other) = dependency.strip_prefix("springhouse-") else { continue };
            let allowed = match place.get(other) {
                Some(place) => place < own,
                None => other == BESIDE && name == "springhouse",
            };
            if !allowed {
                wrong.push(format!("{name} depends on {other}"));
            }
        }
    }
    none(&wrong, "dependencies point one way, see ARCHITECTURE.md");
}

#[test]
fn only_engine_and_lake_name_datafusion() {
    assert_eq!(naming("datafusion"), NAMES_DATAFUSION);
}

#[test]
fn only_the_sandbox_names_wasmtime() {
    assert_eq!(naming("wasmtime"), ["wasm"]);
}

/// The crates that depend on others whose names begin so.
fn naming(prefix: &str) -> Vec<String> {
    let named = crates().into_iter().filter(|name| {
        let all = [dependencies(name, "dependencies"), dependencies(name, "dev-dependencies")].concat();
        all.iter().any(|dependency| dependency.starts_with(prefix))
    });
    named.collect()
}

#[test]
fn the_architecture_names_every_crate() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let missing: Vec<String> =
        crates().into_iter().filter(|name| !text.contains(&format!("| `{name}` |"))).collect();
    none(&missing, "ARCHITECTURE.md has a row for every crate");
}

#[test]
fn files_and_functions_stay_readable() {
    let mut long = Vec::new();
    for path in rust_files() {
        let text = read(&path);
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            long.push(format!("{} has {lines} lines", path.display()));
        }
        long.extend(long_functions(&text).into_iter().map(|what| format!("{}: {what}", path.display())));
    }
    none(&long, "files have at most 600 lines, functions about 70");
}

/// Functions over the limit, by the indentation that rustfmt gives them.
fn long_functions(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String, usize)> = None;
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        match &open {
            None => {
                let head = trimmed.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
                let head = head
                    .trim_start_matches("pub(super) ")
                    .trim_start_matches("const ")
                    .trim_start_matches("async ");
                if let Some(rest) = head.strip_prefix("fn ") {
                    let name = rest.split(['(', '<']).next().unwrap_or_default();
                    open = Some((indent, name.to_owned(), number));
                }
            }
            Some((opened, name, from)) => {
                let is_end = indent == *opened && (trimmed.starts_with('}') || trimmed.ends_with(';'));
                if is_end {
                    let lines = number - from + 1;
                    if lines > FUNCTION_LINES_MAX {
                        found.push(format!("fn {name} has {lines} lines"));
                    }
                    open = None;
                }
            }
        }
        // One-line bodies and trait methods without a body end where they begin.
        if let Some((_, _, from)) = &open
            && *from == number
            && (trimmed.ends_with('}') || trimmed.ends_with(';'))
        {
            open = None;
        }
    }
    found
}

#[test]
fn nothing_is_left_for_later_or_left_out() {
    // Put together, so that this file does not find itself.
    let marks = [
        ["#[ig", "nore"].concat(),
        ["todo", "!("].concat(),
        ["unimpl", "emented!("].concat(),
        ["FIX", "ME"].concat(),
    ];
    let mut found = Vec::new();
    for path in rust_files() {
        for (number, line) in read(&path).lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    none(&found, "work is finished and tests run");
}

#[test]
fn decisions_are_numbered_short_and_listed() {
    let folder = root().join("docs/decisions");
    let list = read(&folder.join("README.md"));
    let mut wrong = Vec::new();
    let records: Vec<PathBuf> =
        files(&folder, ".md").into_iter().filter(|path| !path.ends_with("README.md")).collect();
    for (index, path) in records.iter().enumerate() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let lines = read(path).lines().count();
        if !name.starts_with(&format!("{:04}-", index + 1)) {
            wrong.push(format!("{name} is not number {:04}", index + 1));
        }
        if lines > DECISION_LINES_MAX {
            wrong.push(format!("{name} has {lines} lines, at most {DECISION_LINES_MAX}"));
        }
        if !list.contains(&name) {
            wrong.push(format!("{name} is not in the list"));
        }
    }
    none(&wrong, "decisions are numbered, short and listed in docs/decisions/README.md");
}

#[test]
fn links_in_documents_lead_somewhere() {
    let root = root();
    let mut documents = files(&root.join("docs"), ".md");
    documents.extend(
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root.join(name)),
    );
    let mut broken = Vec::new();
    for document in documents.into_iter().filter(|path| path.is_file()) {
        let folder = document.parent().unwrap();
        for link in links(&read(&document)) {
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    none(&broken, "links resolve");
}

/// Targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    let marks = [["/ho", "me/"].concat(), ["/ro", "ot/"].concat()];
    let mut found = Vec::new();
    let mut everything = rust_files();
    for ending in [".md", ".sh", ".toml", ".ts", ".tsx"] {
        everything.extend(files(&root(), ending));
    }
    for path in everything {
        for line in read(&path).lines().filter(|line| marks.iter().any(|mark| line.contains(mark.as_str()))) {
            found.push(format!("{}: {}", path.display(), line.trim()));
        }
    }
    none(&found, "paths are relative or of the system");
}
