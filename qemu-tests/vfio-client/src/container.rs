// SPDX-License-Identifier: GPL-2.0

//! The two ways to a device: a group in a type1 container, and the device's own file with iommufd.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail, ensure};
use linux::ffi::Mapping;
use linux::sysfs::Function;
use vfio_bindings::bindings::vfio::*;

use super::dirty_pages::{DirtyPages, IovaRange};
use super::ffi;

/// How devices are opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// By a group in a type1 container.
    Type1,
    /// By the device's own file, with iommufd.
    Iommufd,
}

impl Kind {
    /// With iommufd if this kernel has it: distributions leave it out. VFIO must be loaded.
    pub fn newest() -> Self {
        if Path::new(IOMMUFD).exists() {
            Kind::Iommufd
        } else {
            Kind::Type1
        }
    }
}

/// iommufd's file
const IOMMUFD: &str = "/dev/iommu";

/// Memory that devices reach by DMA.
pub struct Memory {
    /// The memory as this program has it.
    pub mapping: Arc<Mapping>,
    /// Where it begins for the device.
    pub iova: u64,
}

/// The size of a page of the IOMMU, unless the kernel has larger ones.
pub const PAGE: u64 = 4096;

/// The size of the largest pages that a kernel has. What is mapped for DMA is a multiple of it.
pub const LARGEST_PAGE: u64 = 64 << 10;

/// How functions are reached while their devices come and go.
enum Way {
    Groups {
        _container: File,
        /// Names of the functions, and their groups.
        groups: Vec<(String, File)>,
    },
    Iommufd {
        iommufd: File,
        ioas: u32,
    },
    /// As `Iommufd`, with a table of the IOMMU in which it marks the pages that are written.
    Tracked {
        iommufd: File,
        ioas: u32,
        /// Made for the first device.
        table: OnceLock<u32>,
    },
    /// Nothing is mapped.
    WithoutDma {
        _iommufd: File,
    },
}

/// The DMA mappings of the functions of one VM, and the memory behind them: they end with it.
pub struct Container {
    way: Way,
    _memories: Vec<Memory>,
}

fn open(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.with_context(|| format!("cannot open {}", path.display()))
}

impl Container {
    /// Makes `memories` the DMA memory of all of `functions`.
    pub fn new(kind: Kind, functions: &[&Function], memories: Vec<Memory>) -> Result<Self> {
        let way = match kind {
            Kind::Type1 => type1(functions, &memories)?,
            Kind::Iommufd => iommufd(&memories)?,
        };
        Ok(Container {
            way,
            _memories: memories,
        })
    }

    /// As [`Container::new`] with iommufd, and the IOMMU tracks what devices write.
    pub fn tracked(memories: Vec<Memory>) -> Result<Self> {
        let Way::Iommufd { iommufd, ioas } = iommufd(&memories)? else {
            bail!("iommufd has one way only");
        };
        Ok(Container {
            way: Way::Tracked {
                iommufd,
                ioas,
                table: OnceLock::new(),
            },
            _memories: memories,
        })
    }

    /// The iommufd and the table in which the IOMMU marks the pages that are written.
    fn table(&self) -> Result<(&File, u32)> {
        match &self.way {
            Way::Tracked { iommufd, table, .. } => {
                Ok((iommufd, *table.get().context("no device was opened yet")?))
            }
            _ => bail!("the container was not made for that"),
        }
    }

    /// Starts or stops to track what devices write. Of what they wrote before nothing is known.
    pub fn track(&self, on: bool) -> Result<()> {
        let (iommufd, table) = self.table()?;
        ffi::track(iommufd, table, on).context("IOMMU_HWPT_SET_DIRTY_TRACKING")
    }

    /// Those pages that devices have written since they were reported last.
    pub fn dirty_pages(&self, range: IovaRange) -> Result<DirtyPages> {
        let (iommufd, table) = self.table()?;
        let bitmap = ffi::dirty_bitmap(iommufd, table, range.iova, range.length, PAGE)
            .context("IOMMU_HWPT_GET_DIRTY_BITMAP")?;
        Ok(DirtyPages::new(range, PAGE, bitmap))
    }

    /// Opens a function that this was made for.
    pub(crate) fn device(&self, function: &Function) -> Result<OwnedFd> {
        match &self.way {
            Way::Groups { .. } => self.device_by_name(function, function.name()),
            Way::Iommufd { iommufd, ioas } => {
                let (device, _) = open_bound(&function.path("vfio-dev"), iommufd)?;
                attach(device, *ioas)
            }
            Way::Tracked {
                iommufd,
                ioas,
                table,
            } => {
                let (device, id) = open_bound(&function.path("vfio-dev"), iommufd)?;
                let table = match table.get() {
                    Some(table) => *table,
                    None => {
                        let made = tracking_table(iommufd, id, *ioas)?;
                        *table.get_or_init(|| made)
                    }
                };
                attach(device, table)
            }
            Way::WithoutDma { .. } => bail!("{function} was opened without DMA"),
        }
    }

    /// Opens a function by its group. `name` is the function's, with what has to be passed along.
    pub(crate) fn device_by_name(&self, function: &Function, name: &str) -> Result<OwnedFd> {
        let Way::Groups { groups, .. } = &self.way else {
            bail!("{name} is not opened by its group");
        };
        let group = groups.iter().find(|(of, _)| of == function.name());
        let (_, group) = group.with_context(|| format!("{function} is not in this container"))?;
        ffi::group_device(group, &CString::new(name)?).context("VFIO_GROUP_GET_DEVICE_FD")
    }
}

fn type1(functions: &[&Function], memories: &[Memory]) -> Result<Way> {
    let container = open("/dev/vfio/vfio")?;
    ensure!(
        ffi::check_extension(&container, VFIO_TYPE1v2_IOMMU)? == 1,
        "VFIO has no type1 v2 container",
    );
    let mut groups = Vec::new();
    for function in functions {
        let group = open_group(function, &container)?;
        // The container gets a type with its first group.
        if groups.is_empty() {
            ffi::set_iommu(&container, VFIO_TYPE1v2_IOMMU).context("VFIO_SET_IOMMU")?;
        }
        groups.push((function.name().to_owned(), group));
    }
    for memory in memories {
        ffi::map_dma(&container, &memory.mapping, memory.iova).context("VFIO_IOMMU_MAP_DMA")?;
    }
    Ok(Way::Groups {
        _container: container,
        groups,
    })
}

/// Opens the function's group and puts it into the container.
fn open_group(function: &Function, container: &File) -> Result<File> {
    let group = open(Path::new("/dev/vfio").join(function.iommu_group()?))?;
    let mut status = vfio_group_status {
        argsz: size_of::<vfio_group_status>() as u32,
        flags: 0,
    };
    ffi::ioctl(&group, &ffi::GROUP_GET_STATUS, &mut status)?;
    ensure!(
        status.flags & VFIO_GROUP_FLAGS_VIABLE != 0,
        "the group of {function} is not viable: a function in it has another driver",
    );
    ffi::ioctl(
        &group,
        &ffi::GROUP_SET_CONTAINER,
        &mut container.as_raw_fd(),
    )
    .context("VFIO_GROUP_SET_CONTAINER")?;
    Ok(group)
}

fn iommufd(memories: &[Memory]) -> Result<Way> {
    let iommufd = open(IOMMUFD)?;
    let mut ioas = ffi::IoasAlloc {
        size: size_of::<ffi::IoasAlloc>() as u32,
        flags: 0,
        out_ioas_id: 0,
    };
    ffi::ioctl(&iommufd, &ffi::IOAS_ALLOC, &mut ioas).context("IOMMU_IOAS_ALLOC")?;
    for memory in memories {
        ffi::ioas_map(&iommufd, ioas.out_ioas_id, &memory.mapping, memory.iova)
            .context("IOMMU_IOAS_MAP")?;
    }
    Ok(Way::Iommufd {
        iommufd,
        ioas: ioas.out_ioas_id,
    })
}

/// Whether the IOMMU can track what a function writes. This opens the function, and closes it.
pub fn iommu_tracks(function: &Function) -> Result<bool> {
    let iommufd = open("/dev/iommu")?;
    let (_device, id) = open_bound(&function.path("vfio-dev"), &iommufd)?;
    can_track(&iommufd, id)
}

fn can_track(iommufd: &File, device: u32) -> Result<bool> {
    ffi::can_track(iommufd, device).context("IOMMU_GET_HW_INFO")
}

/// Makes a table of the IOMMU for the mappings of an IOAS, in which it marks what is written.
fn tracking_table(iommufd: &File, device: u32, ioas: u32) -> Result<u32> {
    ensure!(
        can_track(iommufd, device)?,
        "the IOMMU does not track what devices write"
    );
    ffi::tracking_table(iommufd, device, ioas).context("IOMMU_HWPT_ALLOC")
}

/// Gives a device the mappings of an IOAS, or those of a table of the IOMMU.
fn attach(device: OwnedFd, mappings: u32) -> Result<OwnedFd> {
    let mut attach = vfio_device_attach_iommufd_pt {
        argsz: size_of::<vfio_device_attach_iommufd_pt>() as u32,
        flags: 0,
        pt_id: mappings,
        pasid: 0,
    };
    ffi::ioctl(&device, &ffi::DEVICE_ATTACH_IOMMUFD_PT, &mut attach)
        .context("VFIO_DEVICE_ATTACH_IOMMUFD_PT")?;
    Ok(device)
}

/// Opens the one device file listed in `folder` and binds it to `iommufd`, which opens the device.
/// Returns iommufd's number for it, too.
fn open_bound(folder: &Path, iommufd: &File) -> Result<(OwnedFd, u32)> {
    let entry = std::fs::read_dir(folder)
        .with_context(|| format!("{} is not there: no VFIO device file", folder.display()))?
        .next()
        .with_context(|| format!("{} is empty", folder.display()))??;
    let device = open(Path::new("/dev/vfio/devices").join(entry.file_name()))?;
    let mut bind = vfio_device_bind_iommufd {
        argsz: size_of::<vfio_device_bind_iommufd>() as u32,
        flags: 0,
        iommufd: iommufd.as_raw_fd(),
        out_devid: 0,
        token_uuid_ptr: 0,
    };
    ffi::ioctl(&device, &ffi::DEVICE_BIND_IOMMUFD, &mut bind)
        .context("VFIO_DEVICE_BIND_IOMMUFD")?;
    Ok((device.into(), bind.out_devid))
}

/// Opens a device that does no DMA, such as a mediated one without hardware.
pub(crate) fn open_without_dma(folder: &Path) -> Result<(Container, OwnedFd)> {
    let iommufd = open(IOMMUFD)?;
    let (device, _) = open_bound(folder, &iommufd)?;
    let container = Container {
        way: Way::WithoutDma { _iommufd: iommufd },
        _memories: Vec::new(),
    };
    Ok((container, device))
}
