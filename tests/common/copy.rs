//! Copies of a sandbox, to do something to each of many.

use std::path::Path;

use super::Sandbox;

impl Sandbox {
    /// The same sandbox in another place: every file with its bytes, mode and time.
    pub(crate) fn copy(&self) -> Self {
        let mut copy = Self::empty();
        let (old, new) = (self.root().to_owned(), copy.root().to_owned());
        copy_all(&old, &new);
        let [from, to] = [&old, &new].map(|path| path.to_str().unwrap().to_owned());
        let env = self.env.iter();
        let env = env.map(|(name, value)| (name.clone(), value.replace(&from, &to)));
        copy.env = env.collect();
        copy.place = new.join(self.place.file_name().unwrap());
        copy
    }

    /// Goes on in another directory of the sandbox.
    pub(crate) fn enter(&mut self, name: &str) {
        self.place = self.root().join(name);
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&path).unwrap(), &copy).unwrap();
        } else if kind.is_dir() {
            copy_all(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).unwrap();
            let modified = entry.metadata().unwrap().modified().unwrap();
            // A read-only file can be opened for reading only, which is enough for its times.
            let file = std::fs::File::open(&copy).unwrap();
            file.set_modified(modified).unwrap();
        }
    }
}
