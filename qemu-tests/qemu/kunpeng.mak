# What the emulated Kunpeng host consists of, apart from the accelerator itself.
CONFIG_ARM_VIRT=y
CONFIG_PCIE_PORT=y
# A network between two emulated hosts
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_NET=y
# A PCI function that is not ours, for the example of a variant driver
CONFIG_EDU=y
