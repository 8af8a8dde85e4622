//! Which files a table may be read from: those below the directories that the owner of the hub has named.
//!
//! A statement comes with a token, not from somebody with an account on this machine. Links are followed first and judged by
//! where they lead; what is not below the directories and what is not there is answered with the same words.

use std::path::{Path, PathBuf};

use crate::hub::EngineError;

pub(super) fn resolve(place: &str, directories: &[PathBuf]) -> Result<PathBuf, EngineError> {
    let roots: Vec<PathBuf> = directories.iter().filter_map(|root| root.canonicalize().ok()).collect();
    let is_below = |path: &PathBuf| roots.iter().any(|root| path.starts_with(root));
    let named = Path::new(place);
    let mut candidates = match named.is_absolute() {
        true => vec![named.to_owned()],
        false => roots.iter().map(|root| root.join(named)).collect(),
    };
    let found = candidates.drain(..).filter_map(|path| path.canonicalize().ok()).find(is_below);
    found.ok_or_else(|| {
        let shown: Vec<String> = directories.iter().map(|root| format!("`{}`", root.display())).collect();
        EngineError::Place { place: place.to_owned(), directories: shown.join(", ") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_below_the_directories_are_found_whatever_path_leads_there() {
        let data = tempfile::tempdir().unwrap();
        let (inside, outside) = (data.path().join("import"), data.path().join("other"));
        for folder in [&inside, &outside, &inside.join("deeper")] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join("a.csv"), "a").unwrap();
        }
        std::fs::write(data.path().join("imports.csv"), "a").unwrap();
        std::os::unix::fs::symlink(outside.join("a.csv"), inside.join("out.csv")).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("away")).unwrap();
        std::os::unix::fs::symlink(inside.join("a.csv"), outside.join("in.csv")).unwrap();
        let directories = [inside.clone(), data.path().join("not-there")];
        let text = |path: PathBuf| path.display().to_string();
        for allowed in [
            "a.csv".to_owned(),
            "deeper/a.csv".to_owned(),
            "deeper/../a.csv".to_owned(),
            text(inside.join("a.csv")),
            text(outside.join("in.csv")),
        ] {
            assert!(resolve(&allowed, &directories).is_ok(), "{allowed}");
        }
        for refused in [
            "out.csv".to_owned(),
            "away/a.csv".to_owned(),
            "../other/a.csv".to_owned(),
            "none.csv".to_owned(),
            text(outside.join("a.csv")),
            text(inside.join("../imports.csv")),
            "/etc/hostname".to_owned(),
        ] {
            let error = resolve(&refused, &directories).unwrap_err().to_string();
            assert!(error.contains("is no file below"), "{refused}: {error}");
        }
    }
}
