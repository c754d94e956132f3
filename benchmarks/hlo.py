"""Kernels, and what they read and write, counted in the text of a program that XLA has compiled for a GPU.

Of a parameter that a kernel only slices, the slices count; of one that it updates in place, the update. Caches are left
out: what is read twice in two kernels counts twice.
"""

import dataclasses
import math
import re

BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "s64": 8, "u64": 8, "f64": 8}
NO_KERNEL = {"parameter", "get-tuple-element", "tuple", "bitcast", "constant", "opt-barrier", "after-all", "while"}
SLICES = {"slice", "dynamic-slice", "gather"}
COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)$")


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a program; `size` is that of its result in bytes."""

    name: str
    size: int
    opcode: str
    operands: tuple[str, ...]
    rest: str  # of the line
    is_root: bool

    def attribute(self, pattern: str) -> str | None:
        """Return what the first group of a pattern finds among the attributes."""
        found = re.search(pattern, self.rest)
        return found and found.group(1)


Program = dict[str, dict[str, Instruction]]  # computations by name, instructions by name; "ENTRY" is the first to run


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One launch: its name, and bytes."""

    name: str
    read: int
    written: int


@dataclasses.dataclass(frozen=True)
class Loop:
    """The body of a loop, or the whole program.

    Attributes:
      trips: how often it runs; None if only the device knows, so that the host asks it before each.
      kernels: in one run of the body, those of inner loops left out.
      loops: inside it.
    """

    trips: int | None
    kernels: list[Kernel]
    loops: list["Loop"]

    @property
    def traffic(self) -> int:
        """Bytes read and written by one run of its own kernels."""
        return sum(kernel.read + kernel.written for kernel in self.kernels)

    def every(self) -> list["Loop"]:
        """Return itself and all loops inside, outer ones first."""
        return [self, *(inner for loop in self.loops for inner in loop.every())]


def read_program(text: str) -> Loop:
    """Return the loops of a program and their kernels."""
    return _read_loop(_parse(text), "ENTRY", 1, [])


def _read_loop(program: Program, name: str, trips: int | None, before: list[Kernel]) -> Loop:
    body = program[name]
    kernels = [_measure(program, body, line) for line in body.values() if line.opcode not in NO_KERNEL]
    loops = []
    for line in body.values():
        if line.opcode == "while":
            inner, condition = line.attribute(r"body=%?([\w.\-]+)"), line.attribute(r"condition=%?([\w.\-]+)")
            known = line.attribute(r'known_trip_count":\{"n":"(\d+)"')
            asked = program[condition or ""]
            test = [_measure(program, asked, x) for x in asked.values() if x.opcode not in NO_KERNEL]
            loops.append(_read_loop(program, inner or "", int(known) if known else None, [] if known else test))
    return Loop(trips, before + kernels, loops)


def _parse(text: str) -> Program:
    program: Program = {}
    lines: dict[str, Instruction] = {}
    for line in text.splitlines():
        if start := COMPUTATION.match(line):
            lines = {}
            program["ENTRY" if start.group(1) else start.group(2)] = lines
        elif found := INSTRUCTION.match(line):
            root, name, shape, opcode, rest = found.groups()
            operands = tuple(re.findall(r"%([\w.\-]+)", rest[: _closing(rest)]))
            lines[name] = Instruction(name, _size(shape), opcode, operands, rest, bool(root))
    return program


def _closing(text: str) -> int:
    """Return where the bracket closes that was open before the text."""
    depth = 1
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return place
    return len(text)


def _size(shape: str) -> int:
    found = re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", shape)
    return sum(BYTES.get(kind, 4) * math.prod(int(side) for side in sides.split(",") if side) for kind, sides in found)


def _measure(program: Program, around: dict[str, Instruction], line: Instruction) -> Kernel:
    called = program.get(line.attribute(r"calls=%?([\w.\-]+)") or "")
    whole = [around[name].size if name in around else 0 for name in line.operands]
    if called is None:
        return Kernel(line.name, sum(whole), line.size)
    read = sum(_read(called, position, size) for position, size in enumerate(whole))
    return Kernel(line.name, read, _written(called))


def _read(called: dict[str, Instruction], position: int, whole: int) -> int:
    """Return the bytes that a fusion reads of a parameter of `whole` bytes."""
    start = next((x for x in called.values() if x.opcode == "parameter" and x.rest.startswith(f"{position})")), None)
    if start is None:
        return whole
    names, read = {start.name}, 0
    for line in called.values():
        if names.isdisjoint(line.operands):
            continue
        if line.opcode == "bitcast":
            names.add(line.name)
        elif line.opcode in SLICES:
            read += line.size
        elif line.opcode != "dynamic-update-slice" or line.operands[0] not in names:
            return whole
    return min(read, whole)


def _written(called: dict[str, Instruction]) -> int:
    root = next(line for line in called.values() if line.is_root)
    results = [called[name] for name in root.operands] if root.opcode == "tuple" else [root]
    written = 0
    for line in results:
        while line.opcode == "bitcast":
            line = called[line.operands[0]]
        written += called[line.operands[1]].size if line.opcode == "dynamic-update-slice" else line.size
    return written
