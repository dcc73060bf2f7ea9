# What a guest of the emulated host needs
CONFIG_ARM_VIRT=y
CONFIG_VFIO_PCI=y
CONFIG_IOMMUFD=y
