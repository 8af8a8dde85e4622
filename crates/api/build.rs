//! Puts the page into the binary: every file of `web/dist` as bytes, gzipped where that helps.
//!
//! A fresh `web/dist` (its stamp is the hash of the sources) is taken as it is. Otherwise npm builds it when npm is
//! there and `SPRINGHOUSE_WEB` is not `0`. Where neither works the binary carries a plain page that says how to
//! build the real one. The files are copied into the output folder first, so that a built binary and a later
//! compilation do not depend on a folder that somebody is rebuilding.

use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fmt};

const STAMP: &str = ".springhouse-sources";
/// Below this a compressed file is hardly smaller than its headers.
const GZIP_BYTES_MIN: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=SPRINGHOUSE_WEB");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/page/fallback.html");
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let web = manifest.join("../../web");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    if web.join("package.json").exists() {
        watch_sources(&web)?;
        if let Err(error) = build_if_stale(&web) {
            println!("cargo:warning=the page was not rebuilt: {error}");
        }
    }
    let dist = web.join("dist");
    let (root, files) = if dist.join("index.html").exists() {
        println!("cargo:rerun-if-changed={}", dist.join("index.html").display());
        (dist.clone(), files_below(&dist)?)
    } else {
        println!("cargo:warning=no built page in web/dist: the binary carries a plain page instead");
        let folder = out.join("fallback");
        fs::create_dir_all(&folder)?;
        fs::copy(manifest.join("src/page/fallback.html"), folder.join("index.html"))?;
        (folder.clone(), files_below(&folder)?)
    };
    write_table(&root, &files, &out)
}

/// Tells cargo which files make the page, leaving out what npm and vite write.
fn watch_sources(web: &Path) -> Result<(), Box<dyn Error>> {
    for entry in top_level(web)? {
        println!("cargo:rerun-if-changed={}", entry.display());
    }
    Ok(())
}

fn top_level(web: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let written = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        matches!(
            name.as_str(),
            "node_modules" | "dist" | "test-results" | "playwright-report" | "tests" | "e2e"
        ) || name.starts_with('.')
    };
    let mut entries =
        fs::read_dir(web)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    entries.retain(|path| !written(path));
    entries.sort();
    Ok(entries)
}

fn build_if_stale(web: &Path) -> Result<(), Box<dyn Error>> {
    let stamp = web.join("dist").join(STAMP);
    let fresh = |wanted: &str| fs::read_to_string(&stamp).is_ok_and(|found| found == wanted);
    let wanted = hash_of_sources(web)?;
    if fresh(&wanted) || env::var("SPRINGHOUSE_WEB").is_ok_and(|value| value == "0") {
        return Ok(());
    }
    if !web.join("package-lock.json").exists() {
        return Err("web/package-lock.json is missing".into());
    }
    // Two cargo processes with different target folders share this web folder.
    let lock = File::create(lock_path(web))?;
    lock.lock()?;
    if fresh(&wanted) {
        return Ok(());
    }
    if !web.join("node_modules").exists() {
        npm(web, &["ci", "--no-audit", "--no-fund"])?;
    }
    npm(web, &["run", "build"])?;
    // Hashed again: sources that changed during the build make the stamp stale at once.
    if hash_of_sources(web)? == wanted {
        fs::write(&stamp, &wanted)?;
    }
    Ok(())
}

fn lock_path(web: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    fs::canonicalize(web).unwrap_or_else(|_| web.to_owned()).hash(&mut hasher);
    env::temp_dir().join(format!("springhouse-web-{:016x}.lock", hasher.finish()))
}

struct NpmFailed {
    what: String,
    output: String,
}

impl fmt::Debug for NpmFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NpmFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last: Vec<&str> =
            self.output.lines().rev().filter(|line| !line.trim().is_empty()).take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        write!(f, "`npm {}` failed: {}", self.what, last.join(" | "))
    }
}

impl Error for NpmFailed {}

fn npm(web: &Path, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let what = arguments.join(" ");
    let output = Command::new("npm")
        .args(arguments)
        .current_dir(web)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("npm cannot be started ({error}); hint: install Node.js 20 or newer"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(Box::new(NpmFailed { what, output: String::from_utf8_lossy(&text).into_owned() }))
}

fn hash_of_sources(web: &Path) -> Result<String, Box<dyn Error>> {
    let mut hasher = DefaultHasher::new();
    for entry in top_level(web)? {
        let files = if entry.is_dir() { files_below(&entry)? } else { vec![entry] };
        for file in files {
            file.strip_prefix(web)?.hash(&mut hasher);
            fs::read(&file)?.hash(&mut hasher);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// All files of a folder in a stable order, hidden ones left out.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    let mut entries =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    for path in entries {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Writes `page_files.rs`: the table of [`File`]s that `page/mod.rs` includes.
fn write_table(root: &Path, files: &[PathBuf], out: &Path) -> Result<(), Box<dyn Error>> {
    let folder = out.join("page");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut table = String::from("static FILES: &[File] = &[\n");
    for (number, file) in files.iter().enumerate() {
        let content = fs::read(file)?;
        let address = format!("/{}", file.strip_prefix(root)?.to_string_lossy().replace('\\', "/"));
        let plain = folder.join(format!("{number}"));
        fs::write(&plain, &content)?;
        let zipped = gzip(&content)?;
        let gzip_path = folder.join(format!("{number}.gz"));
        let worth_it = content.len() >= GZIP_BYTES_MIN && zipped.len() < content.len() / 10 * 9;
        let gzip_bytes = if worth_it {
            fs::write(&gzip_path, &zipped)?;
            format!("Some(include_bytes!({:?}))", gzip_path.display().to_string())
        } else {
            String::from("None")
        };
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        table.push_str(&format!(
            "    File {{ path: {address:?}, content_type: {:?}, etag: \"\\\"{:016x}\\\"\", plain: include_bytes!({:?}), gzip: {gzip_bytes} }},\n",
            content_type(&address),
            hasher.finish(),
            plain.display().to_string(),
        ));
    }
    table.push_str("];\n");
    fs::write(out.join("page_files.rs"), table)?;
    Ok(())
}

fn gzip(content: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

fn content_type(address: &str) -> &'static str {
    match address.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
