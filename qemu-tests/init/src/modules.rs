// SPDX-License-Identifier: GPL-2.0

//! Kernel modules: a flat folder of the kernel's own and one of this project's.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use linux::sysfs;
use rustix::io::Errno;
use rustix::system::{delete_module, finit_module};

/// The modules at hand, by the name the kernel knows them by.
pub(crate) struct Modules {
    files: BTreeMap<String, PathBuf>,
}

fn kernel_name(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?.strip_suffix(".ko")?;
    Some(name.replace('-', "_"))
}

/// What `depends=` in a module's `.modinfo` lists.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(start) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = &module[start + KEY.len()..];
    let end = value
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(value.len());
    let names = String::from_utf8_lossy(&value[..end]);
    names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

/// Whether a module is loaded (or built in with parameters, which counts the same).
pub(crate) fn is_loaded(name: &str) -> bool {
    Path::new("/sys/module")
        .join(name.replace('-', "_"))
        .exists()
}

/// Whether a module that is loaded was built outside of the kernel's tree, as all of this
/// project's are.
pub(crate) fn out_of_tree(module: &str) -> Result<bool> {
    Ok(sysfs::read(format!("/sys/module/{module}/taint"))?.contains('O'))
}

impl Modules {
    /// Looks at both folders. There is a `vfio` in each, and only the one that is asked for will
    /// do; every other module of this project has a name of its own.
    pub(crate) fn find(our_vfio: bool) -> Result<Self> {
        let mut files = BTreeMap::new();
        for (folder, ours) in [("/modules/kernel", false), ("/modules/ours", true)] {
            let entries = match fs::read_dir(folder) {
                Ok(entries) => entries,
                Err(error) if ours && error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read {folder}")),
            };
            for entry in entries {
                let path = entry?.path();
                let Some(name) = kernel_name(&path) else {
                    continue;
                };
                if name != "vfio" || ours == our_vfio {
                    files.insert(name, path);
                }
            }
        }
        Ok(Modules { files })
    }

    /// Takes `file` instead of the module of that name, or besides the others.
    pub(crate) fn with(mut self, file: &Path) -> Result<Self> {
        let name = kernel_name(file).with_context(|| format!("{} is no module", file.display()))?;
        self.files.insert(name, file.to_owned());
        Ok(self)
    }

    /// Whether there is such a module; what is built into the kernel is none.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Loads a module and, before it, what it depends on.
    pub(crate) fn load(&self, name: &str) -> Result<()> {
        self.load_with(name, "")
    }

    /// Loads a module with parameters.
    pub(crate) fn load_with(&self, name: &str, parameters: &str) -> Result<()> {
        let name = &name.replace('-', "_");
        if is_loaded(name) {
            return Ok(());
        }
        let path = self
            .files
            .get(name)
            .with_context(|| format!("there is no module {name}"))?;
        let image = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        for needed in dependencies(&image) {
            self.load(&needed).with_context(|| format!("for {name}"))?;
        }
        match finit_module(File::open(path)?, &CString::new(parameters)?, 0) {
            Err(Errno::EXIST) => Ok(()),
            result => result.with_context(|| format!("cannot load module {name}")),
        }
    }
}

/// Unloads a module.
pub(crate) fn unload(name: &str) -> Result<()> {
    let name = name.replace('-', "_");
    delete_module(&CString::new(name.as_str())?, libc::O_NONBLOCK)
        .with_context(|| format!("cannot unload module {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_modinfo() {
        let image = b"\x7fELF..\0license=GPL\0depends=vfio,vfio-pci-core\0name=x\0";
        assert_eq!(dependencies(image), ["vfio", "vfio_pci_core"]);
        assert!(dependencies(b"\0depends=\0name=x\0").is_empty());
        assert!(dependencies(b"nothing of it").is_empty());
    }

    #[test]
    fn names_are_the_kernels() {
        let name = kernel_name(Path::new("/modules/ours/hisi-acc-vfio-pci-rs.ko"));
        assert_eq!(name.as_deref(), Some("hisi_acc_vfio_pci_rs"));
        assert_eq!(kernel_name(Path::new("/modules/ours/README")), None);
    }
}
