//! What stages run in: told in run records, never a reason to run.

use std::collections::BTreeMap;
use std::path::Path;

use crate::fs;

/// The largest file of the system that is read.
const MAX_FILE: u64 = 64 * 1024;

/// What a stage ran in.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Environment {
    /// The operating system and its release.
    pub os: String,
    /// The architecture of the processor.
    pub arch: String,
    /// What the interpreter that the command names says of its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// The hashes of the files that pin packages.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// The version of the GPU's driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_driver: Option<String>,
    /// The image of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

impl Environment {
    /// What can be seen of this machine without asking any program.
    pub fn of_this_machine() -> Self {
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        Self {
            os: format!("{} {}", text(uname.sysname()), text(uname.release())),
            arch: text(uname.machine()),
            gpu_driver: read(Path::new("/proc/driver/nvidia/version"))
                .and_then(|text| nvidia(&text)),
            image: read(Path::new("/run/.containerenv")).and_then(|text| image(&text)),
            ..Self::default()
        }
    }
}

/// The name of this machine.
pub fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn read(path: &Path) -> Option<String> {
    // Files of `/proc` say that they are empty, so this bounds the others alone.
    fs::metadata(path)
        .ok()?
        .filter(|stat| stat.len() <= MAX_FILE)?;
    String::from_utf8(fs::read(path).ok()?).ok()
}

/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.07  Sat …` has one word of digits.
fn nvidia(text: &str) -> Option<String> {
    let first = text.lines().next()?;
    let version = |word: &&str| {
        word.contains('.')
            && word
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    first.split_whitespace().find(version).map(str::to_owned)
}

/// The line that podman writes: `imageid="…"`.
fn image(text: &str) -> Option<String> {
    let mut lines = text.lines();
    let id = lines.find_map(|line| line.strip_prefix("imageid="))?;
    let id = id.trim_matches('"');
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_images_are_found_in_their_files() {
        let driver = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.07  Sat Feb 17\nGCC version: 12.3\n";
        assert_eq!(nvidia(driver).as_deref(), Some("535.161.07"));
        assert_eq!(nvidia("nothing here"), None);
        let podman = "engine=\"podman-4\"\nimageid=\"sha256:ab\"\n";
        assert_eq!(image(podman).as_deref(), Some("sha256:ab"));
        assert_eq!(image("imageid=\"\"\n"), None);
    }

    #[test]
    fn the_machine_has_a_system_a_processor_and_a_name() {
        let environment = Environment::of_this_machine();
        assert!(environment.os.contains(' ') && !environment.arch.is_empty());
        assert!(!host().is_empty());
    }
}
