# What the emulated Kunpeng host consists of, apart from the accelerator itself.
CONFIG_ARM_VIRT=y
CONFIG_PCIE_PORT=y
