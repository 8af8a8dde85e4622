//! Puts the page into the binary: every file of `web/dist` as bytes, gzipped where that helps.
//!
//! `scripts/web.sh build` makes `web/dist` when it is older than its sources; with `SPRINGHOUSE_WEB=0`, or where npm is
//! missing, what is there is taken as it is. Without a `web/dist` the binary carries a plain page that says how to build
//! the real one. The files are copied into the output folder first, so that a built binary and a later
//! compilation do not depend on a folder that somebody is rebuilding.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::error::Error;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the page is made of, as in `scripts/web.sh`.
const SOURCES: [&str; 6] =
    ["src", "public", "index.html", "package-lock.json", "vite.config.ts", "tsconfig.json"];
/// Lines of a failed build that fit into a warning.
const LINES_SHOWN: usize = 5;
/// Below this a compressed file is hardly smaller than its headers.
const GZIP_BYTES_MIN: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=SPRINGHOUSE_WEB");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/page/fallback.html");
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest.join("../..");
    let web = root.join("web");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    if web.join("package.json").exists() {
        for source in SOURCES {
            println!("cargo:rerun-if-changed={}", web.join(source).display());
        }
        if let Err(error) = build_if_stale(&root) {
            println!("cargo:warning=the page was not rebuilt: {error}");
        }
    }
    let dist = web.join("dist");
    let (folder, files) = if dist.join("index.html").exists() {
        println!("cargo:rerun-if-changed={}", dist.join("index.html").display());
        (dist.clone(), files_below(&dist)?)
    } else {
        println!("cargo:warning=no built page in web/dist: the binary carries a plain page instead");
        let folder = out.join("fallback");
        fs::create_dir_all(&folder)?;
        fs::copy(manifest.join("src/page/fallback.html"), folder.join("index.html"))?;
        (folder.clone(), files_below(&folder)?)
    };
    write_table(&folder, &files, &out)
}

/// Runs the one recipe for the page, which does nothing when `web/dist` is up to date.
fn build_if_stale(root: &Path) -> Result<(), Box<dyn Error>> {
    if env::var("SPRINGHOUSE_WEB").is_ok_and(|value| value == "0") {
        return Ok(());
    }
    let output = Command::new(root.join("scripts/web.sh"))
        .arg("build")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("scripts/web.sh cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(LINES_SHOWN)..).unwrap_or_default().join(" | ");
    Err(format!("`scripts/web.sh build` failed: {last}; hint: the page needs Node.js 20 or newer").into())
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
