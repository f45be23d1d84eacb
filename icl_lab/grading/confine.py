"""What is taken away inside the sandbox before any code of a student runs: root, capabilities, some system calls.

A script beside `inside`, on the standard library alone. Bubblewrap hides files and cuts the network; the calls that are
refused here would let a submission hold memory that no process shows (shared segments, files in memory, mounts of its
own), or reach into the process that supervises it. Numbers of the calls: Linux, asm/unistd.h.
"""

import ctypes
import errno
import os
import platform
import struct

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
NAMESPACES = 0x7E020000  # every flag of clone that asks for a namespace
SHARED_ANONYMOUS = 0x21  # flags of mmap: memory that stays when a process says that it needs it no more
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 4, 22, 38
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
COLUMN = {"x86_64": 0, "aarch64": 1}
CALLS = {  # name: (x86_64, aarch64)
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "io_setup": (206, 0),
    "io_uring_setup": (425, 425),
    "vmsplice": (278, 75),
    "userfaultfd": (323, 282),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "open_by_handle_at": (304, 265),
    "personality": (135, 92),
}
CLONE, MMAP, CLONE3 = (56, 220), (9, 222), (435, 435)
LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06  # classic BPF
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
NUMBER, MACHINE, FIRST, FOURTH = 0, 4, 16, 40  # offsets in what the filter sees: call, machine, arguments


def confine():
    """No root, no capability, no namespace, no tracing. Raises OSError where the kernel does not do it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        libc.unshare(CLONE_NEWUSER)  # its own count of processes; where it is not allowed nothing is lost
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    must(libc.capset(header, none))
    must(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))  # the memory of the supervisor is nobody's
    must(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    code = ctypes.create_string_buffer(program(platform.machine()))
    rules = struct.pack("HP", (len(code) - 1) // 8, ctypes.addressof(code))
    must(libc.prctl(PR_SET_SECCOMP, 2, rules, 0, 0))


def must(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def program(machine):
    """The filter for one kind of machine, as the kernel reads it. Raises OSError for a kind that it does not know."""
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"no list of system calls for {machine}")
    column = COLUMN[machine]
    lines = [(LOAD, 0, 0, MACHINE), (EQUAL, 1, 0, MACHINES[machine]), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    if machine == "x86_64":  # the second table of numbers of the same calls
        lines += [(AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, KILL)]
    for numbers in CALLS.values():
        lines += [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, REFUSE | errno.EPERM)]
    lines += [(EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]  # the C library then takes clone
    lines += [(EQUAL, 0, 4, CLONE[column]), (LOAD, 0, 0, FIRST), (ANY_BIT, 0, 1, NAMESPACES)]
    lines += [(RETURN, 0, 0, REFUSE | errno.EPERM), (RETURN, 0, 0, ALLOW)]
    lines += [(EQUAL, 0, 4, MMAP[column]), (LOAD, 0, 0, FOURTH), (AND, 0, 0, SHARED_ANONYMOUS)]
    lines += [(EQUAL, 0, 1, SHARED_ANONYMOUS), (RETURN, 0, 0, REFUSE | errno.EPERM)]
    lines += [(RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)
