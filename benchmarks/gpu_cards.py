"""Cards that XLA can compile for without having them: their descriptions as XLA's own (gpu/target_config/specs)."""

import dataclasses

SCALAR_UNITS = ((4, 64, 1), (8, 64, 1), (10, 128, 2), (11, 128, 1), (12, 64, 1), (16, 128, 2))  # type, units, rate
MATRIX_RATES = {2: 1024, 6: 1024, 10: 512, 11: 256, 16: 512} | dict.fromkeys((19, 20, *range(23, 26), 28, 29), 1024)
DESCRIPTION = """
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152 shared_memory_per_core: 233472
  threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
  memory_bandwidth: {bandwidth} l2_cache_size: 52428800 clock_rate_ghz: 1.98 device_memory_size: {memory}
  shared_memory_per_block_optin: 232448 registers_per_core_limit: 65536 registers_per_block_limit: 65536
  cuda_compute_capability {{ major: 9 feature_extension: ACCELERATED_FEATURES }}
  device_vendor: "NVIDIA Corporation" platform_version: "Compute Capability 9.0a" device_address_bits: 64
  pcie_bandwidth: 34359738368 ecc_enabled: true
  driver_version: "13.0.0" runtime_version: "13.0.0" compile_time_toolkit_version: "13.0.0" dnn_version: "9.10.0"
  scalar_unit_description {{ {scalar} }}
  matrix_unit_description {{ {matrix} }}
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
runtime_version {{ major: 13 minor: 0 patch: 0 }}
device_description_str: "{name}"
"""


@dataclasses.dataclass(frozen=True)
class Card:
    """A card by its data sheet.

    Attributes:
      name: as its driver calls it.
      bandwidth: of its memory, bytes a second; nine tenths of it is what copies reach.
      memory: in bytes.
    """

    name: str
    bandwidth: float
    memory: int

    @property
    def description(self) -> str:
        """What XLA must know of it."""
        scalar = " ".join(_rate(kind, 1.98, units, rate) for kind, units, rate in SCALAR_UNITS)
        matrix = " ".join(_rate(kind, 1.8295201, 4, rate) for kind, rate in MATRIX_RATES.items())
        values = {"name": self.name, "bandwidth": int(self.bandwidth), "memory": self.memory}
        return DESCRIPTION.format(scalar=scalar, matrix=matrix, **values)


CARDS = {
    "H100": Card("NVIDIA H100 80GB HBM3", 3.35232e12, 84942979072),
    "H200": Card("NVIDIA H200 141GB HBM3e", 4.8e12, 151397597184),
}


def _rate(kind: int, clock: float, units: int, rate: int) -> str:
    value = f"clock_rate_ghz: {clock} units_per_core: {units} ops_per_clock: {rate}"
    return f"rate_infos {{ key: {kind} value {{ {value} }} }}"
